"""Models, all scikit-learn estimators: `bottleneck` (the network), `linear` (its peers), `maps` (other maps).

`pruning_scores`: what is kept when genes or weights are pruned, by their size and by prior knowledge.
"""
