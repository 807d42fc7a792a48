"""Models as scikit-learn estimators: the network (`bottleneck`) and linear baselines (`linear`,
`sparse_linear`).

`pruning_scores` combines the size of genes or weights with prior knowledge to decide which genes or
weights to prune.
"""
