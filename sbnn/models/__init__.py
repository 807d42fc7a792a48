"""Models as scikit-learn estimators: networks in `bottleneck`, and linear baselines.

`pruning_scores` combines the size of genes or weights with prior knowledge to decide which genes or
weights to prune.
"""
