"""Models, all scikit-learn estimators: `bottleneck` (the network), `linear` and `sparse_linear` (its peers).

`pruning_scores`: what is kept when genes or weights are pruned, by their size and by prior knowledge.
"""
