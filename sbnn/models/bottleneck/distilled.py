"""The distilled network, which learns from a more accurate predictor."""

from __future__ import annotations

import numpy as np

from sbnn.models.bottleneck.base import BottleneckRegressor
from sbnn.models.bottleneck.protocols import distilled
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.bottleneck.training import Run

# head of `reconstruct`: epochs, learning rate, batch size
HEAD = 100, 1e-4, 32


class DistilledBottleneckRegressor(BottleneckRegressor):
    """Network with a narrow bottleneck that learns from a more accurate predictor.

    Predicts outputs (electrophysiology, proteins) from gene expression through a linear bottleneck.
    Forward selection chooses the genes, and the network learns from a mixture of trees and wider
    networks. `SparseBottleneckRegressor` is the published network.

    Parameters
    ----------
    n_components : int, default=2
        Width of the bottleneck. 2 gives a map of the cells.
    n_genes : int or None, default=25
        Number of genes to keep; None keeps all.
    reconstruct : bool, default=False
        Also train a head that predicts the kept genes from the latent space, for
        `reconstruct_genes`; nothing else changes.
    standardize : bool, default=True
        Z-score genes and outputs with the mean and population SD of the training cells. If False,
        only centre them. Predictions are in the units of `Y` in both cases.
    hidden_layers : tuple of int, optional
        Widths of the hidden layers of the encoder, at least two, by default (64, 64, 64); the
        decoder mirrors them.
    distillation : DistilledSettings or None, default=None
        Settings of the training; None uses the defaults of `sbnn.DistilledSettings`.
    random_state : int, RandomState or None, default=None
        Seed of everything that is drawn.
    device : str, default="auto"
        "cpu", "cuda", ...; "auto" uses a GPU if there is one, which changes the last bits.

    Attributes
    ----------
    network_ : BottleneckNetwork
        The trained network, which takes the kept genes.
    gene_norms_ : ndarray, shape (p,)
        Weight norm of every gene; 0 for genes that are not kept.
    history_ : DataFrame
        One row per 100 steps of the student; columns as in `SparseBottleneckRegressor`.
    x_min_, x_max_ : ndarray, shape (p,)
        Range of the training cells, to which genes are clipped.
    n_features_in_, feature_names_in_ : number and names of the genes seen by `fit`.
    output_names_ : ndarray of str, shape (q,)

    Examples
    --------
    >>> from sbnn import DistilledBottleneckRegressor, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model = DistilledBottleneckRegressor(n_genes=10, random_state=0).fit(data)
    >>> model.get_feature_names_out().shape, model.transform(data).shape
    ((10,), (100, 2))
    """

    _clips = True
    _parameter_constraints = BottleneckRegressor._parameter_constraints | {
        "distillation": [DistilledSettings, None]
    }

    def __init__(
        self,
        n_components: int = 2,
        n_genes: int | None = 25,
        reconstruct: bool = False,
        standardize: bool = True,
        hidden_layers: tuple[int, ...] | None = None,
        distillation: DistilledSettings | None = None,
        random_state: int | np.random.RandomState | None = None,
        device: str = "auto",
    ) -> None:
        self.n_components = n_components
        self.n_genes = n_genes
        self.reconstruct = reconstruct
        self.standardize = standardize
        self.hidden_layers = hidden_layers
        self.distillation = distillation
        self.random_state = random_state
        self.device = device

    def algorithm_version(self, n_cells: int) -> int:
        """Version of the algorithm, incremented when results change."""
        return 6

    def decisive_params(self) -> dict[str, object]:
        """Parameters that identify a stored result, with the default settings in place of None."""
        return self.get_params() | {"distillation": self._settings()}

    def _settings(self):
        return DistilledSettings() if self.distillation is None else self.distillation

    def _train(self, x, target, random, generator, eval_set):
        run = Run(self._settings(), random, generator)
        return distilled.train(self, x, target, run, eval_set)

    def _settings_of_head(self):
        return HEAD
