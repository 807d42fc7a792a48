"""Models as scikit-learn estimators: networks with a bottleneck, and linear baselines.

`published` is the network of the paper, and `distilled` the more accurate one. `base` has what both
share, `network` the layers and their training, and `training` the minibatches, also of the networks
in other packages.
"""
