"""What both networks share."""

from __future__ import annotations

import copy
from numbers import Integral
from typing import Self

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, RegressorMixin
from sklearn.utils import check_array, check_random_state
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_is_fitted

from sbnn.data import inputs
from sbnn.data.count_normalizer import CountNormalizer
from sbnn.determinism import reproducible
from sbnn.errors import check_number
from sbnn.metrics import pooled_r2
from sbnn.models.bottleneck.persistence import load_model, save_model
from sbnn.models.bottleneck.scales import (
    ScaledCells,
    learn_scales,
    outputs_in_units,
    scaled_outputs,
    through_network,
)
from sbnn.models.bottleneck.training import Stage, Trainer
from sbnn.models.linear import GeneSelectionMixin, LatentMixin

# also of units in a layer
MOST_COMPONENTS = 10_000
COUNTED = Interval(Integral, 1, None, closed="left")


class BottleneckRegressor(GeneSelectionMixin, LatentMixin, RegressorMixin, BaseEstimator):
    """Base class of networks with a linear bottleneck.

    A subclass has ``_train``, which returns `Trained`, and says in ``_clips`` whether new cells are
    clipped to the range of the training cells.
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, MOST_COMPONENTS, closed="both")],
        "n_genes": [COUNTED, None],
        "reconstruct": ["boolean"],
        "standardize": ["boolean"],
        "hidden_layers": ["array-like", None],
        "random_state": ["random_state"],
    }

    def fit(
        self,
        X,
        y=None,
        eval_set=None,
    ) -> Self:
        """Train the network and choose its genes.

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            Expression, usually log-transformed counts. An AnnData may be opened with
            ``backed="r"``; `DistilledBottleneckRegressor` then reads it in blocks.
        y : array-like, DataFrame or Series, shape (n, q) or (n,); str or list of str
            Outputs of the same cells; of an AnnData, also a key of ``obsm`` (by default
            ``"outputs"``) or columns of ``obs``.
        eval_set : tuple (X, Y), optional
            Cells on which R2 is recorded after every epoch, without effect on the fit.

        Returns
        -------
        self
        """
        cells, Y = inputs.training_cells(self, X, y)
        self._flat_output = Y.ndim == 1
        Y = Y.reshape(len(Y), -1)
        self._check_params(cells.shape[1])
        device = self._torch_device()
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
        learn_scales(self, cells, Y)
        x = ScaledCells(self, cells, device)
        target = scaled_outputs(self, Y, device)
        del Y  # as large as all kept genes
        if eval_set is not None:
            eval_set = self._scaled_eval_set(eval_set, device)
        with reproducible():
            trained = self._train(x, target, random, generator, eval_set)
            self.network_ = trained.network
            self.support_ = trained.support
            self.gene_norms_ = trained.gene_norms
            history = trained.history
            self._gene_network = None
            if self.reconstruct:
                history = history + self._train_gene_network(x, generator)
        self.history_ = pd.DataFrame(history)
        epochs = np.arange(1, len(history) + 1)
        self.history_.insert(min(1, self.history_.shape[1]), "epoch", epochs)
        self.normalizer_ = None  # expression, not counts; see `save`
        return self

    def _scaled_eval_set(self, eval_set, device):
        try:
            X, Y = eval_set
        except (TypeError, ValueError) as error:
            raise ValueError("eval_set: expected a pair (X, Y)") from error
        X, Y = inputs.two_tables(X, Y)
        cells = inputs.new_cells(self, X)
        Y = self._measured(Y, len(cells), "eval_set")
        return ScaledCells(self, cells, device), scaled_outputs(self, Y, device)

    def _measured(self, Y, n_cells, argument):
        """Outputs as an array, (n_cells, q), checked."""
        Y = check_array(Y, dtype=np.float64, ensure_2d=False, input_name=argument)
        expected = n_cells, len(self.y_mean_)
        if len(Y) != n_cells or Y.size != np.prod(expected):
            raise ValueError(f"{argument}: expected outputs of shape {expected}, got {Y.shape}")
        return Y.reshape(expected)

    def _train_gene_network(self, x, generator):
        genes = x[:, np.flatnonzero(self.support_)]
        self._gene_network = copy.deepcopy(self.network_)
        self._gene_network.replace_head(genes.shape[1], generator)
        n_epochs, learning_rate, batch_size = self._settings_of_head()
        frozen = self.network_.bottleneck + 1
        stage = Stage("reconstruction", n_epochs, learning_rate, frozen=frozen)
        trainer = Trainer(self._gene_network, generator, batch_size)
        trainer.run(stage, genes, genes)
        return trainer.history

    def _check_params(self, n_genes):
        self._validate_params()
        if self.n_genes is not None:
            check_number("n_genes", self.n_genes, int, 1, n_genes)
        if self.hidden_layers is not None:
            check_number("the length of hidden_layers", len(self.hidden_layers), int, 2)
            for width in self.hidden_layers:
                check_number("hidden_layers", width, int, 1, MOST_COMPONENTS)

    def predict(self, X) -> np.ndarray:
        """Predict outputs in the units of `Y`, float64 of shape (n, q) or, for a vector, (n,).

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            With gene names, the kept genes in any order; otherwise, all p genes of `fit`.
        """
        check_is_fitted(self)
        Y = outputs_in_units(self, self._through(self.network_, X))
        return Y[:, 0] if self._flat_output else Y

    def transform(self, X) -> np.ndarray | pd.DataFrame:
        """Map cells to the latent space, float64 of shape (n, n_components); X as in `predict`."""
        check_is_fitted(self)
        latent = self._through(self.network_, X, last=self.network_.bottleneck + 1)
        return self._named(latent, X)

    def reconstruct_genes(self, X) -> np.ndarray:
        """Predict the kept genes from the latent space, in the units of X; shape (n, n_genes)."""
        check_is_fitted(self)
        if self._gene_network is None:
            raise AttributeError("reconstruct_genes needs a model fitted with reconstruct=True")
        scaled = self._through(self._gene_network, X)
        return scaled * self.x_scale_[self.support_] + self.x_mean_[self.support_]

    def _through(self, network, X, last=None):
        genes = inputs.genes_of(self, X, np.flatnonzero(self.support_))
        return through_network(self, network, last, genes)

    def score(self, X, y=None) -> float:
        """R2 pooled over the outputs, relative to the training means; X and y are as in `fit`.

        With ``standardize=True``, outputs have the same weight: they are in training SDs.
        """
        X, Y = inputs.two_tables(X, y)
        predicted = self.predict(X)
        Y = self._measured(Y, len(predicted), "y")
        scale = 1 / self.y_scale_
        predicted = (predicted.reshape(Y.shape) - self.y_mean_) * scale
        return pooled_r2((Y - self.y_mean_) * scale, predicted, 0.0)

    def save(self, path, normalizer: CountNormalizer | None = None) -> None:
        """Write the model to one safetensors file (arrays and JSON, no code); return its path.

        `normalizer`, by default ``normalizer_``, is a fitted `CountNormalizer` for new cells.
        """
        check_is_fitted(self)
        if normalizer is None:
            normalizer = self.normalizer_
        return save_model(self, path, normalizer)

    @classmethod
    def load(cls, path) -> Self:
        """Read a model and its ``normalizer_``; a ValueError is raised if the file was altered."""
        return load_model(path, [cls])

    def _support_mask(self):
        return self.support_.copy()

    def _torch_device(self):
        if self.device == "auto":
            return torch.device("cuda" if torch.cuda.is_available() else "cpu")
        try:
            device = torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise ValueError(f"device: expected auto or a torch device; {error}") from error
        if device.type == "cuda" and not torch.cuda.is_available():
            raise ValueError(f"device: {self.device!r}, but torch finds no CUDA device")
        return device

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.target_tags.multi_output = True
        return tags
