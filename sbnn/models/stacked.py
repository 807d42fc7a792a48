"""Stacking of the distilled network with ridge on all genes.

The network, its map and its genes stay what they are; only the prediction takes all genes.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold
from sklearn.utils.validation import check_is_fitted

from sbnn.data import inputs
from sbnn.data.counts import CountNormalizer
from sbnn.determinism import atomic_fit
from sbnn.metrics import pooled_r2
from sbnn.models.base import model_in_units
from sbnn.models.distilled import (
    MOST_SELECTION_CELLS,
    PRIOR_CELLS,
    DistilledBottleneckRegressor,
    calibration_slopes,
    choose_genes,
    mixture_weight,
)
from sbnn.models.linear import (
    GeneSelectionMixin,
    LatentMixin,
    LeaveOneOutRidge,
    left_out_residuals,
)
from sbnn.models.saved import FileMixin

if TYPE_CHECKING:
    from sbnn.data.paired import Paired

N_PARTS = 5  # of the cells; genes are chosen again without each
CELLS_FOR_HALF = 25  # weight of the assumption that network and ridge are equally good
RIDGE_ARRAYS = "coef_", "intercept_", "x_mean_", "y_mean_"


class StackedRegressor(FileMixin, GeneSelectionMixin, LatentMixin, inputs.ExpressionRegressor):
    """Weighted mean of the predictions of the distilled network and of ridge on all genes.

    Stacked generalisation [1]_ [2]_: the mean is ``(1 - w) network + w ridge``. The weight w
    minimises the squared error of cells that were left out: by the teacher of the network, and in
    closed form by ridge. No network is fitted again for it. As the genes of the teacher were chosen
    on all cells, its error is too small; by how much is estimated, and the weight is corrected. It
    is shrunk towards 1/2 with the weight of 25 cells. Both predictions are shrunk, and their mean
    even more, so each output of it is multiplied by a slope, also from the cells left out. If only
    the prediction matters, use this; the map, the kept genes and their names are those of the
    network. Genes of new cells are clipped to the range of the training cells, for ridge as for the
    network.

    Parameters
    ----------
    network : DistilledBottleneckRegressor, optional
        By default with its own defaults; to set its parameters by ``network__...``, give one.
    ridge : LeaveOneOutRidge, optional
        It is fitted to z-scores if the network is.
    random_state : int, RandomState or None
        Of the network, if that has none.

    Attributes
    ----------
    network_ : DistilledBottleneckRegressor
        The fitted network, with its history and gene norms.
    ridge_ : LeaveOneOutRidge
        Fitted ridge, in the units of the data; ``alpha_`` and ``best_score_`` are those of z-scores
        if the network is fitted to z-scores.
    weight_of_ridge_ : float
        From 0 to 1.
    slopes_ : ndarray, shape (q,)
        Factors of the mean of both predictions, relative to the training means of the outputs.
    support_ : ndarray of bool, shape (p,)
        Genes of the map; the prediction takes all.
    normalizer_ : CountNormalizer or None
        For new counts, if `fit` had an AnnData whose ``X`` the package computed from its counts.
    n_features_in_, feature_names_in_ : number and names of the genes seen by `fit`.
    output_names_ : ndarray of str, shape (q,)

    References
    ----------
    .. [1] Wolpert, Neural Networks 5, 241, 1992.
    .. [2] Breiman, Machine Learning 24, 49, 1996.

    Examples
    --------
    >>> from sbnn import DistilledBottleneckRegressor, StackedRegressor, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> network = DistilledBottleneckRegressor(n_genes=10, random_state=0)
    >>> model = StackedRegressor(network).fit(data)
    >>> 0 < model.weight_of_ridge_ < 1, model.predict(data).shape, model.transform(data).shape
    (True, (100, 16), (100, 2))
    """

    network_: DistilledBottleneckRegressor  # type: ignore[assignment]
    ridge_: LeaveOneOutRidge
    weight_of_ridge_: float
    slopes_: np.ndarray
    _parameter_constraints = {
        "network": [DistilledBottleneckRegressor, None],
        "ridge": [LeaveOneOutRidge, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        network: DistilledBottleneckRegressor | None = None,
        ridge: LeaveOneOutRidge | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.network = network
        self.ridge = ridge
        self.random_state = random_state

    @atomic_fit
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit both models and weigh them; X and y are as in `DistilledBottleneckRegressor.fit`."""
        self._validate_params()
        network = clone(self.network or DistilledBottleneckRegressor())
        if network.random_state is None:
            network.random_state = self.random_state
        self.network_ = network.fit(X, y)
        genes, outputs = inputs.validate_training_arrays(self, X, y)
        Y = outputs.reshape(len(outputs), -1)

        scaled_genes = (genes - network.x_mean_) / network.x_scale_
        scaled_outputs = network._scale_outputs(Y, len(Y))
        ridge = clone(self.ridge or LeaveOneOutRidge()).fit(scaled_genes, scaled_outputs)

        # both kinds of residuals are of cells that a model was not fitted to, but all cells were
        # among those on which the genes of the network were chosen
        left_out = network._scale_outputs(network.left_out_predictions_, len(Y))
        of_network = torch.from_numpy(scaled_outputs - left_out)
        of_ridge = torch.from_numpy(left_out_residuals(scaled_genes, scaled_outputs, ridge.alpha_))
        required, allowed = network._panel_positions()
        optimism = selection_optimism(
            scaled_genes[:, allowed],
            scaled_outputs,
            n_genes=int(network.support_.sum()),
            required=np.searchsorted(allowed, required),
        )
        target = torch.from_numpy(scaled_outputs)
        self.weight_of_ridge_, self.slopes_ = weight_and_slopes(
            of_network, of_ridge, target, optimism
        )
        self.ridge_ = ridge_in_units(ridge, network)
        return self

    @property
    def algorithm_version(self) -> int:
        """Version of the network, and of ridge, weight and slopes in the last two digits."""
        return 100 * DistilledBottleneckRegressor().algorithm_version + 4

    @property
    def support_(self) -> np.ndarray:
        """Mask of the genes of the map, (p,)."""
        return self.network_.support_

    @property
    def normalizer_(self) -> CountNormalizer | None:  # type: ignore[override]
        """Normaliser of counts like those of the fit, if it knows them."""
        return self.network_.normalizer_

    def predict(self, X: Any) -> np.ndarray:
        """Predict outputs in the units of `Y` from all genes, (n, q) or, for a vector, (n,).

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            With gene names, in any order.
        """
        check_is_fitted(self)
        genes = inputs.validate_new_cells(self, X, needed=self._needed_genes())
        # a cell far from all training cells would be extrapolated without limit
        genes = np.clip(genes, self.network_.x_min_, self.network_.x_max_)
        weight = self.weight_of_ridge_
        of_ridge = self.ridge_._predict_genes(genes)
        mean = (1 - weight) * self.network_.predict(X) + weight * of_ridge
        return self.slopes_ * mean + (1 - self.slopes_) * self.network_.y_mean_

    def _needed_genes(self):
        """Positions of the genes that one of the two models takes."""
        return np.union1d(self.ridge_._genes_with_effect(), np.flatnonzero(self.support_))

    def transform(self, X: Any) -> np.ndarray | pd.DataFrame:
        """Map cells to the latent space of the network, (n, n_components)."""
        check_is_fitted(self)
        return self._format_latent(np.asarray(self.network_.transform(X)), X)

    def score(self, X: Any, y: Any = None) -> float:
        """R2 pooled over the outputs; see `DistilledBottleneckRegressor.score`."""
        Y = inputs.match_outputs(self, X, y)
        predictions = self.predict(X)
        n = len(predictions)
        scaled_outputs = self.network_._scale_outputs(Y, n)
        scaled_predictions = self.network_._scale_outputs(predictions, n)
        return pooled_r2(scaled_outputs, scaled_predictions, Y_mean=0.0)

    def _header_and_tensors(self, normalizer):
        """Those of the network, and ridge beside it."""
        header, tensors = self.network_._header_and_tensors(normalizer)
        alphas = self.ridge_.alphas
        header |= {
            "class": type(self).__name__,
            "weight_of_ridge": self.weight_of_ridge_,
            "slopes": self.slopes_,
            "ridge_alphas": None if alphas is None else np.asarray(alphas),
            "ridge_alpha": self.ridge_.alpha_,
            "ridge_best_score": self.ridge_.best_score_,
        }
        for name in RIDGE_ARRAYS:
            tensors[f"ridge.{name}"] = torch.tensor(getattr(self.ridge_, name))
        return header, tensors

    @classmethod
    def _from_header_and_tensors(cls, header, tensors):
        network = DistilledBottleneckRegressor._from_header_and_tensors(header, tensors)
        ridge = LeaveOneOutRidge(header["ridge_alphas"])
        ridge.alpha_ = header["ridge_alpha"]
        ridge.best_score_ = header["ridge_best_score"]
        for name in RIDGE_ARRAYS:
            # an array without dimensions becomes a number
            setattr(ridge, name, tensors[f"ridge.{name}"].numpy()[()])
        copy_names(network, ridge)
        model = cls(clone(network), clone(ridge))
        model.network_ = network
        model.ridge_ = ridge
        model.weight_of_ridge_ = header["weight_of_ridge"]
        # which models of an earlier version lack
        model.slopes_ = np.array(header.get("slopes", np.ones(len(network.y_mean_))))
        model.x_mean_, model.x_max_ = network.x_mean_, network.x_max_
        copy_names(network, model)
        return model


def weight_and_slopes(
    of_network: torch.Tensor, of_ridge: torch.Tensor, target: torch.Tensor, optimism: float
) -> tuple[float, np.ndarray]:
    """Weight of ridge, and slopes, (q,), of the mean, from residuals of left-out cells, (n, q).

    `optimism` is that of the network, by `selection_optimism`.
    """
    weight = mixture_weight(of_network, of_ridge, CELLS_FOR_HALF, optimism)
    # models that are shrunk predict too little spread, and so does the mean of two
    mean = target - torch.lerp(of_network, of_ridge, weight)
    # ridge takes all genes, so that only the share of the network is optimistic
    slopes = calibration_slopes(mean, target, PRIOR_CELLS, (1 - weight) * optimism)
    return weight, slopes.numpy()


def selection_optimism(
    X: np.ndarray, Y: np.ndarray, n_genes: int, required: Sequence[int] | np.ndarray = ()
) -> float:
    """How much smaller errors of left-out cells are because they took part in choosing the genes.

    It is at least 0, of the squared error summed over cells and outputs. Each fifth of the cells,
    X, (n, p), and Y, (n, q), z-scores, is predicted by ridge that was fitted to the others: on
    genes that the others choose, and on genes that all choose.
    """
    if n_genes == X.shape[1]:
        return 0.0
    # in random order, as cells may be sorted by type; a network chooses its genes on as many
    order = np.random.RandomState(0).permutation(len(X))[:MOST_SELECTION_CELLS]
    X, Y = X[order], Y[order]
    n = len(X)

    def choose(rows):
        x, y = torch.from_numpy(X[rows]), torch.from_numpy(Y[rows])
        return choose_genes(x, y, n_genes, required=required)

    chosen_by_all = choose(slice(None))
    optimism = 0.0
    for others, part in KFold(min(N_PARTS, n)).split(X):
        for sign, genes in (1, choose(others)), (-1, chosen_by_all):
            # about halves the coefficients of independent genes, as a teacher fits noise in part
            ridge = Ridge(alpha=n).fit(X[np.ix_(others, genes)], Y[others])
            predicted = ridge.predict(X[np.ix_(part, genes)]).reshape(len(part), -1)
            optimism += sign * np.square(Y[part] - predicted).sum()
    return max(optimism, 0.0)


def copy_names(source: Any, target: Any) -> None:
    """Give an estimator the numbers and names of the genes and outputs of a fitted one."""
    for name in ("n_features_in_", "feature_names_in_", "output_names_"):
        if hasattr(source, name):
            setattr(target, name, getattr(source, name))


def ridge_in_units(
    ridge: LeaveOneOutRidge,
    network: DistilledBottleneckRegressor,
    genes: slice | np.ndarray = slice(None),
) -> LeaveOneOutRidge:
    """Convert ridge, fitted to z-scores of some genes, to the units and all genes of a network."""
    coef = np.zeros((len(network.y_mean_), network.n_features_in_))
    coef[:, genes] = ridge.coef_
    coef *= network.y_scale_[:, None] / network.x_scale_
    offsets = network.y_mean_ + network.y_scale_ * ridge.intercept_
    in_units = copy.copy(ridge)
    copy_names(network, in_units)
    in_units.x_mean_ = network.x_mean_
    in_units.y_mean_ = network.y_mean_
    in_units.coef_ = coef
    in_units.intercept_ = offsets - coef @ network.x_mean_
    if network._flat_output:
        for name in ("y_mean_", "coef_", "intercept_"):
            setattr(in_units, name, getattr(in_units, name)[0])
    return in_units


def stacked_in_units(model: StackedRegressor, data: Paired, genes: np.ndarray) -> StackedRegressor:
    """Give a model that was fitted to z-scores the scales of the data; see `model_in_units`."""
    in_units = copy.copy(model)
    in_units.network_ = model_in_units(model.network_, data, genes)
    in_units.x_mean_, in_units.x_max_ = in_units.network_.x_mean_, in_units.network_.x_max_
    is_fitted = np.isin(data.gene_names, genes)
    in_units.ridge_ = ridge_in_units(model.ridge_, in_units.network_, is_fitted)
    copy_names(in_units.network_, in_units)
    return in_units
