"""What both networks share."""

from __future__ import annotations

import copy
import math
from functools import partial
from itertools import islice, repeat
from typing import Self

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data import inputs
from sbnn.determinism import atomic_fit, reproducible
from sbnn.errors import check_number
from sbnn.metrics import pooled_r2
from sbnn.models.linear import GeneSelectionMixin, LatentMixin
from sbnn.models.network import (
    Layer,
    add_penalties,
    apply_layers,
    squared_error,
    train,
)
from sbnn.models.saved import FileMixin
from sbnn.models.training import minibatches

CELLS_AT_ONCE = 16_384  # most cells that pass through the network at once
ADAM_EPSILON = 1e-7  # of the published network, as in Keras, which its code used
ALIVE = 0.1  # of the largest weight norm
HISTORY = ("stage", "epoch", "loss", "penalty", "r2", "eval_loss", "eval_r2", "genes_alive")


class BottleneckRegressor(FileMixin, GeneSelectionMixin, LatentMixin, inputs.ExpressionRegressor):
    """Base class of networks with a linear bottleneck.

    A subclass has ``_train``, which reads scaled expression by a function of genes and cells, and
    returns the network, the sorted positions of its genes, their norms and the rows of the history.
    In ``_clips`` it says whether new cells are clipped to the range of the training cells.
    """

    _parameter_constraints = {
        "n_components": inputs.COUNT,
        "reconstruct": ["boolean"],
        "standardize": ["boolean"],
        "hidden_layers": ["array-like", None],
    }

    @atomic_fit
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
            Expression, usually log-transformed counts.
        y : array-like, DataFrame or Series, shape (n, q) or (n,); str or list of str
            Outputs of the same cells; of an AnnData, also a key of ``obsm`` (by default
            ``"outputs"``) or columns of ``obs``.
        eval_set : tuple (X, Y), optional
            Cells on which R2 is recorded in training, without effect on the fit.

        Returns
        -------
        self
        """
        cells, Y = inputs.validate_training_cells(self, X, y)
        self._flat_output = Y.ndim == 1
        Y = Y.reshape(len(Y), -1)
        self._validate_params()
        p = self.n_features_in_
        if self.n_genes not in (None, 25):  # the default keeps all of fewer genes
            check_number("n_genes", self.n_genes, int, 1, p)
        device = self.device
        if device == "auto":
            device = "cuda" if torch.cuda.is_available() else "cpu"
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(int(random.randint(2**31 - 1)))
        self._learn_scales(cells, Y)
        read = partial(self._expression, cells, device)
        tensor = partial(torch.as_tensor, dtype=torch.float32, device=device)
        target = tensor(self._outputs(Y, len(Y)))
        if eval_set is not None:
            X, wanted = inputs.expression_and_outputs(*eval_set)
            watched = inputs.validate_new_cells(self, X)
            wanted = tensor(self._outputs(wanted, len(watched)))
            eval_set = self._expression(watched, device), wanted
        self.network_, kept, self.gene_norms_, history = self._train(
            read, target, random, generator, eval_set
        )
        self._gene_network = None
        if self.reconstruct:
            network = self._gene_network = copy.deepcopy(self.network_)
            network.replace_head(len(kept), generator)
            x = read(kept)
            given = *self._settings_of_head(), "reconstruction", x, x
            history += train_stage(network, generator, *given, frozen=network.bottleneck + 1)
        self.support_ = np.isin(np.arange(p), kept)
        self.history_ = pd.DataFrame(history, columns=HISTORY)
        self.history_["epoch"] = np.arange(1, len(history) + 1)
        self.normalizer_ = None  # expression, not counts; see `save`
        return self

    def _sizes(self, n_genes, n_components, n_outputs):
        """Numbers of genes, of units of every layer, and of outputs."""
        hidden = self._hidden_layers if self.hidden_layers is None else self.hidden_layers
        if min(hidden) < 1:
            raise ValueError(f"hidden_layers: expected positive numbers, got {hidden}")
        return [n_genes, *hidden, n_components, *hidden[::-1], n_outputs]

    # -- scaling: by the mean and SD of the training cells, then in single precision

    def _learn_scales(self, cells, Y):
        """Learn them block by block, as the cells may be in a file."""
        genes = StandardScaler()
        limits = MinMaxScaler()
        for rows in inputs.cell_blocks(cells):
            X = inputs.read_cells(cells, rows).astype(np.float64)
            genes.partial_fit(X)
            limits.partial_fit(X)
        outputs = StandardScaler().fit(Y)
        self.x_mean_, self.x_scale_ = genes.mean_, genes.scale_
        self.x_min_, self.x_max_ = limits.data_min_, limits.data_max_
        self.y_mean_, self.y_scale_ = outputs.mean_, outputs.scale_
        if not self.standardize:
            self.x_scale_ = np.ones_like(self.x_scale_)
            self.y_scale_ = np.ones_like(self.y_scale_)

    def _scaled(self, X, genes):
        if self._clips:
            X = np.clip(X, self.x_min_[genes], self.x_max_[genes])
        return (X - self.x_mean_[genes]) / self.x_scale_[genes]

    def _expression(self, cells, device, genes=slice(None), rows=None):
        """Scaled expression in single precision, (rows, genes), by default of all."""
        parts = []
        for block in inputs.cell_blocks(cells) if rows is None else [rows]:
            X = self._scaled(inputs.read_cells(cells, block, genes), genes)
            parts.append(torch.as_tensor(X, dtype=torch.float32))
        return torch.cat(parts).to(device)

    def _outputs(self, Y, n):
        """Scaled outputs of n cells, float64 of shape (n, q)."""
        Y = check_array(Y, ensure_2d=False, dtype=np.float64, input_name="y")
        Y = Y.reshape(len(Y), -1)
        expected = n, len(self.y_mean_)
        if Y.shape != expected:
            raise ValueError(f"y: expected outputs of shape {expected}, got {Y.shape}")
        return (Y - self.y_mean_) / self.y_scale_

    # -- the fitted model

    def predict(self, X) -> np.ndarray:
        """Predict outputs in the units of `Y`, float64 of shape (n, q) or, for a vector, (n,).

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            With gene names, the kept genes in any order; otherwise, all p genes of `fit`.
        """
        check_is_fitted(self)
        Y = self._through(self.network_, X) * self.y_scale_ + self.y_mean_
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
        """Apply layers of a network to the kept genes, in double precision."""
        # in single precision, the prediction for a cell would depend on the number of cells
        layers = [
            Layer(weight.double(), bias.double(), is_linear)
            for weight, bias, is_linear in network.layers[:last]
        ]
        kept = np.flatnonzero(self.support_)
        values = inputs.validate_genes(self, X, kept).astype(np.float64, copy=False)
        scaled = np.asfortranarray(self._scaled(values, kept))
        given = torch.as_tensor(scaled, device=layers[0].weight.device).split(CELLS_AT_ONCE)
        with reproducible():
            results = [apply_layers(layers, network.activation, some) for some in given]
        return torch.cat(results).cpu().numpy()

    def score(self, X, y=None) -> float:
        """R2 pooled over the outputs, relative to the training means; X and y are as in `fit`.

        With ``standardize=True``, outputs are in training SDs.
        """
        X, Y = inputs.expression_and_outputs(X, y)
        predicted = self.predict(X)
        n = len(predicted)
        return pooled_r2(self._outputs(Y, n), self._outputs(predicted, n), 0.0)


@torch.inference_mode()
def train_stage(
    network,
    generator,
    batch_size,
    n_epochs,
    rate,
    name,
    x,
    target,
    eval_set=None,
    frozen=0,
    lasso=0.0,
    loss=squared_error,
):
    """Train on cells, (n, p), and targets, (n, q), as published; return a row for every epoch."""
    given = network(x, last=frozen)
    n_batches = math.ceil(len(x) / batch_size)
    rows = minibatches(len(x), batch_size, generator)
    batches = ((given[cells], target[cells]) for cells in rows)
    how = {"loss": loss, "penalty": partial(add_penalties, lasso), "epsilon": ADAM_EPSILON}
    losses = train(network.layers[frozen:], network.activation, batches, repeat(rate), **how)
    history = []
    for _ in range(n_epochs):
        mean = float(sum(islice(losses, n_batches)) / target.numel())
        norms = network.input_norms()
        row = {
            "stage": name,
            "loss": mean,
            "penalty": lasso * float(norms.sum()),
            "genes_alive": int((norms > ALIVE * norms.max()).sum()),
        }
        if loss is squared_error:
            row["r2"] = r2_from_loss(mean, target)
        history.append(row | eval_scores(network, eval_set, loss))
    return history


def r2_from_loss(mean, target):
    """R2 for a mean squared error; NaN for outputs that are 0 in all cells."""
    return 1 - mean * target.numel() / (float(target.square().sum()) or math.nan)


def eval_scores(network, eval_set, loss=squared_error):
    """Entries of the history for cells that are watched, if there are any."""
    if eval_set is None:
        return {}
    cells, target = eval_set
    value, _ = loss(network(cells), target)
    mean = float(value) / target.numel()
    scores = {"eval_loss": mean}
    if loss is squared_error:
        scores["eval_r2"] = r2_from_loss(mean, target)
    return scores


def model_in_units(model, data, genes):
    """From a model of z-scores of `genes`, one of all genes of `data` in their units."""
    turned = copy.copy(model).set_params(standardize=True)
    turned._learn_scales(data.X, data.Y.astype(np.float64))
    is_given = np.isin(data.gene_names, genes)
    for name in ("support_", "gene_norms_"):
        values = np.zeros(len(is_given), getattr(model, name).dtype)
        values[is_given] = getattr(model, name)
        setattr(turned, name, values)
    turned.n_features_in_ = len(is_given)
    turned.feature_names_in_ = data.gene_names.astype(object)
    turned.output_names_ = data.feature_names.astype(object)
    return turned
