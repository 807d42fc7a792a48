"""What every protocol returns."""

from typing import NamedTuple

import numpy as np

from sbnn.models.bottleneck.network import BottleneckNetwork


class Trained(NamedTuple):
    """A trained network and how it came about.

    Attributes
    ----------
    network : BottleneckNetwork
        Takes the kept genes only.
    support : ndarray of bool, shape (p,)
        The kept genes.
    gene_norms : ndarray, shape (p,)
        How much every gene mattered when the last ones were dropped.
    history : list of dict
        One entry per epoch, see `sbnn.models.bottleneck.training.Trainer`.
    """

    network: BottleneckNetwork
    support: np.ndarray
    gene_norms: np.ndarray
    history: list
