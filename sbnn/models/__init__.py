"""Models, all scikit-learn estimators: `bottleneck` (the network), `linear` and `sparse_linear` (linear baselines).

`pruning_scores`: scores of genes or weights for pruning, from their size and prior knowledge.
"""
