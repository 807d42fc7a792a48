"""What every protocol returns."""

from typing import NamedTuple

import numpy as np

from sbnn.models.bottleneck.network import BottleneckNetwork


class Trained(NamedTuple):
    """A trained network and how it came about."""

    network: BottleneckNetwork
    support: np.ndarray
    gene_norms: np.ndarray
    history: list
