"""Model files, whatever the class of the saved model."""

from sbnn.models.bottleneck.distilled import DistilledBottleneckRegressor
from sbnn.models.bottleneck.persistence import load_model
from sbnn.models.bottleneck.sparse import SparseBottleneckRegressor


def load_network(path):
    """Read a network of either class; see `SparseBottleneckRegressor.load`."""
    return load_model(path, [SparseBottleneckRegressor, DistilledBottleneckRegressor])
