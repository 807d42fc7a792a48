"""What both networks share."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from functools import partial
from itertools import islice, repeat
from typing import TYPE_CHECKING, Any, NamedTuple, Self

import numpy as np
import pandas as pd
import torch
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data import inputs
from sbnn.data.counts import normalizer_to
from sbnn.determinism import atomic_fit, reproducible
from sbnn.errors import check_number
from sbnn.metrics import pooled_r2
from sbnn.models.linear import GeneSelectionMixin, LatentMixin
from sbnn.models.network import (
    BottleneckNetwork,
    Layer,
    adam_steps,
    add_penalties,
    apply_layers,
    squared_error,
)
from sbnn.models.saved import FileMixin
from sbnn.models.training import minibatches

if TYPE_CHECKING:
    from sbnn.data.paired import Paired

FORWARD_BATCH_SIZE = 16_384  # most cells that pass through the network at once
ADAM_EPSILON = 1e-7  # of the published network, as in Keras, which its code used
ALIVE_FRACTION = 0.1  # of the largest weight norm
HISTORY = ("stage", "epoch", "loss", "penalty", "r2", "eval_loss", "eval_r2", "genes_alive")


class ScaledCells(NamedTuple):
    """Expression, (n, k), and outputs, (n, q), of the same cells, in single precision.

    Outputs may be class labels, (n,).
    """

    x: torch.Tensor
    target: torch.Tensor


# -- scaling ---------------------------------------------------------------------------------------


class ScalingMixin:
    """Genes and outputs in units of the data, and as z-scores of the training cells.

    A subclass has the parameter ``standardize``; without it, genes and outputs are only centred. In
    ``_clips`` it says whether new cells are clipped to the range of the training cells.

    Attributes
    ----------
    x_mean_, x_scale_, x_min_, x_max_ : ndarray, shape (p,)
        Mean, population SD and range of the training cells; SDs of 0 are replaced by 1.
    y_mean_, y_scale_ : ndarray, shape (q,)
        Mean and population SD of the outputs.
    """

    standardize: bool
    _clips: bool
    x_mean_: np.ndarray
    x_scale_: np.ndarray
    x_min_: np.ndarray
    x_max_: np.ndarray
    y_mean_: np.ndarray
    y_scale_: np.ndarray

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

    def _scale_genes(self, X, genes):
        if self._clips:
            X = np.clip(X, self.x_min_[genes], self.x_max_[genes])
        return (X - self.x_mean_[genes]) / self.x_scale_[genes]

    def _unscale_genes(self, scaled, genes):
        return scaled * self.x_scale_[genes] + self.x_mean_[genes]

    def _scale_outputs(self, Y, n):
        """Scaled outputs of n cells, float64 of shape (n, q)."""
        values = check_array(Y, ensure_2d=False, dtype=np.float64, input_name="y")
        columns = values.reshape(len(values), -1)
        expected = n, len(self.y_mean_)
        if columns.shape != expected:
            raise ValueError(f"y: expected outputs of shape {expected}, got {columns.shape}")
        return (columns - self.y_mean_) / self.y_scale_

    def _unscale_outputs(self, scaled):
        return scaled * self.y_scale_ + self.y_mean_


# -- the estimator ---------------------------------------------------------------------------------


def find_device(device: Any) -> Any:
    """The device of torch, for "auto" a GPU if there is one; ValueError if it is not here."""
    if device == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=device)
    except (AssertionError, RuntimeError, TypeError) as error:  # depend on the build of torch
        reason, *_ = str(error).splitlines()
        raise ValueError(
            f"device: {device!r} cannot be used here ({reason:.80}); 'auto' takes a GPU if there "
            "is one, and else the CPU"
        ) from error
    return device


class BottleneckRegressor(
    FileMixin, ScalingMixin, GeneSelectionMixin, LatentMixin, inputs.ExpressionRegressor
):
    """Base class of networks with a linear bottleneck.

    A subclass has ``_train``, which reads scaled expression by a function of genes and cells, and
    returns the network, the sorted positions of its genes, their norms and the rows of the history;
    and ``_reconstruction_stage``, in which the head for genes is trained.
    """

    _hidden_layers: tuple[int, ...]  # by default
    _parameter_constraints = {
        "n_components": inputs.COUNT,
        "reconstruct": ["boolean"],
        "standardize": ["boolean"],
        "hidden_layers": ["array-like", None],
    }
    support_: np.ndarray
    gene_norms_: np.ndarray

    @atomic_fit
    def fit(self, X: Any, y: Any = None, eval_set: tuple[Any, Any] | None = None) -> Self:
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
        cells, outputs = inputs.validate_training_cells(self, X, y)
        self._flat_output = outputs.ndim == 1
        Y = outputs.reshape(len(outputs), -1)
        self._validate_params()
        p = self.n_features_in_
        if self.n_genes not in (None, 25):  # the default keeps all of fewer genes
            check_number("n_genes", self.n_genes, int, low=1, high=p)
        device = find_device(self.device)
        # one seed for scikit-learn, and one drawn from it for torch
        random = check_random_state(self.random_state)
        seed = int(random.randint(2**31 - 1))
        generator = torch.Generator().manual_seed(seed)

        # the network sees z-scores of the training cells, in single precision
        self._learn_scales(cells, Y)
        read_genes = partial(self._read_genes, cells, device)
        to_tensor = partial(torch.as_tensor, dtype=torch.float32, device=device)
        target = to_tensor(self._scale_outputs(Y, len(Y)))
        eval_cells = None
        if eval_set is not None:
            if not isinstance(eval_set, tuple | list) or len(eval_set) != 2:
                raise ValueError("eval_set: expected a pair (X, Y)")
            X_eval, y_eval = eval_set
            new_Y = inputs.match_outputs(self, X_eval, y_eval, argument="eval_set")
            new_cells = inputs.validate_new_cells(self, X_eval)
            eval_x = self._read_genes(new_cells, device)
            eval_target = to_tensor(self._scale_outputs(new_Y, len(new_cells)))
            eval_cells = ScaledCells(x=eval_x, target=eval_target)
        network, kept, norms, history = self._train(
            read_genes, target, random=random, generator=generator, eval_cells=eval_cells
        )

        # a copy with another head learns to predict its genes from the same latent space
        self._gene_network = None
        if self.reconstruct:
            gene_network = copy.deepcopy(network)
            gene_network.replace_head(len(kept), generator)
            stage = self._reconstruction_stage(n_frozen=network.bottleneck + 1)
            x = read_genes(kept)
            cells_and_genes = ScaledCells(x=x, target=x)
            history += train_stage(gene_network, stage, cells_and_genes, generator=generator)
            self._gene_network = gene_network
        self.network_ = network
        self.support_ = np.isin(np.arange(p), kept)
        self.gene_norms_ = norms
        self.history_ = pd.DataFrame(history, columns=HISTORY)
        self.history_["epoch"] = np.arange(1, len(history) + 1)
        self.normalizer_ = inputs.find_normalizer(X)
        return self

    def _layer_sizes(self, n_genes, n_components, n_outputs):
        """Numbers of genes, of units of every layer, and of outputs."""
        hidden = self._hidden_layers if self.hidden_layers is None else self.hidden_layers
        if min(hidden) < 1:
            raise ValueError(f"hidden_layers: expected positive numbers, got {hidden}")
        return [n_genes, *hidden, n_components, *hidden[::-1], n_outputs]

    def _read_genes(self, cells, device, genes=slice(None), rows=None):
        """Scaled expression in single precision, (rows, genes), by default of all."""
        blocks = inputs.cell_blocks(cells) if rows is None else [rows]
        parts = []
        for block in blocks:
            X = self._scale_genes(inputs.read_cells(cells, block, genes), genes)
            parts.append(torch.as_tensor(X, dtype=torch.float32))
        return torch.cat(parts).to(device)

    def predict(self, X: Any) -> np.ndarray:
        """Predict outputs in the units of `Y`, float64 of shape (n, q) or, for a vector, (n,).

        Parameters
        ----------
        X : array-like, DataFrame, sparse matrix or AnnData, shape (n, p)
            With gene names, the kept genes in any order; otherwise, all p genes of `fit`.
        """
        check_is_fitted(self)
        Y = self._unscale_outputs(self._apply_network(self.network_, X))
        return Y[:, 0] if self._flat_output else Y

    def transform(self, X: Any) -> np.ndarray | pd.DataFrame:
        """Map cells to the latent space, float64 of shape (n, n_components); X as in `predict`."""
        check_is_fitted(self)
        latent = self._apply_network(self.network_, X, last=self.network_.bottleneck + 1)
        return self._format_latent(latent, X)

    def reconstruct_genes(self, X: Any) -> np.ndarray:
        """Predict the kept genes from the latent space, in the units of X; shape (n, n_genes)."""
        check_is_fitted(self)
        if self._gene_network is None:
            raise AttributeError("reconstruct_genes needs a model fitted with reconstruct=True")
        return self._unscale_genes(self._apply_network(self._gene_network, X), self.support_)

    def _apply_network(self, network, X, last=None):
        """Apply layers of a network to the kept genes, in double precision."""
        # in single precision, the prediction for a cell would depend on the number of cells
        layers = []
        for weight, bias, is_linear in network.layers[:last]:
            layers.append(Layer(weight=weight.double(), bias=bias.double(), is_linear=is_linear))
        kept = np.flatnonzero(self.support_)
        values = inputs.validate_genes(self, X, kept).astype(np.float64, copy=False)
        scaled = np.asfortranarray(self._scale_genes(values, kept))
        x = torch.as_tensor(scaled, device=layers[0].weight.device)
        results = []
        with reproducible():
            for batch in x.split(FORWARD_BATCH_SIZE):
                results.append(apply_layers(layers, network.activation, batch))
        return torch.cat(results).cpu().numpy()

    def score(self, X: Any, y: Any = None) -> float:
        """R2 pooled over the outputs, relative to the training means; X and y are as in `fit`.

        Outputs with names are matched to those of the fit. With ``standardize=True``, outputs are
        in training SDs.
        """
        Y = inputs.match_outputs(self, X, y)
        predictions = self.predict(X)
        n = len(predictions)
        scaled_outputs = self._scale_outputs(Y, n)
        scaled_predictions = self._scale_outputs(predictions, n)
        return pooled_r2(scaled_outputs, scaled_predictions, Y_mean=0.0)


def model_in_units(
    model: BottleneckRegressor, data: Paired, genes: np.ndarray
) -> BottleneckRegressor:
    """Give a model that was fitted to z-scores the scales of the data, in a copy.

    Parameters
    ----------
    model : BottleneckRegressor
        Fitted to z-scored genes and outputs of `data`.
    data : Paired
        All genes, and outputs, in their units.
    genes : ndarray of str
        Names of the genes that the model was fitted to.

    Returns
    -------
    BottleneckRegressor
        It takes all genes, and predicts outputs, in the units of `data`.
    """
    in_units = copy.copy(model).set_params(standardize=True)
    # names and scales are learned as in a fit
    X = pd.DataFrame(data.X, columns=data.gene_names)
    Y = pd.DataFrame(data.Y, columns=data.feature_names)
    cells, outputs = inputs.validate_training_cells(in_units, X, Y, check=False)
    in_units._learn_scales(cells, outputs)
    in_units.normalizer_ = normalizer_to(data.library_size, data.counts, data.gene_names)
    # genes that the model was not fitted to are not among those that it kept
    is_fitted = np.isin(data.gene_names, genes)
    in_units.support_ = np.zeros(data.n_genes, bool)
    in_units.support_[is_fitted] = model.support_
    in_units.gene_norms_ = np.zeros(data.n_genes, model.gene_norms_.dtype)
    in_units.gene_norms_[is_fitted] = model.gene_norms_
    if hasattr(model, "gene_order_"):
        in_units.gene_order_ = np.flatnonzero(is_fitted)[model.gene_order_]
    if hasattr(model, "left_out_predictions_"):
        in_units.left_out_predictions_ = in_units._unscale_outputs(model.left_out_predictions_)
    return in_units


# -- a stage of the published protocol -------------------------------------------------------------


class Stage(NamedTuple):
    """How a network is trained for some epochs.

    The first `n_frozen` layers stay as they are. `group_lasso` is the strength of the penalty on
    the gene norms.
    """

    name: str
    n_epochs: int
    learning_rate: float
    batch_size: int
    n_frozen: int = 0
    group_lasso: float = 0.0
    loss: Callable[..., tuple[torch.Tensor, torch.Tensor]] = squared_error


@torch.inference_mode()
def train_stage(
    network: BottleneckNetwork,
    stage: Stage,
    cells: ScaledCells,
    generator: torch.Generator,
    eval_cells: ScaledCells | None = None,
) -> list[dict[str, Any]]:
    """Train as published; return a row of the history for every epoch."""
    x, target = cells
    # what frozen layers give stays the same, and is computed once
    hidden = network(x, last=stage.n_frozen)
    n_batches = math.ceil(len(x) / stage.batch_size)
    all_rows = minibatches(len(x), stage.batch_size, generator)
    batches = ((hidden[rows], target[rows]) for rows in all_rows)
    trained_layers = network.layers[stage.n_frozen :]
    penalty = partial(add_penalties, stage.group_lasso)
    losses = adam_steps(
        trained_layers,
        network.activation,
        batches=batches,
        rates=repeat(stage.learning_rate),
        loss=stage.loss,
        penalty=penalty,
        epsilon=ADAM_EPSILON,
    )
    history = []
    for _ in range(stage.n_epochs):
        # a step for every batch; the mean of its losses, each before the step
        mean = float(sum(islice(losses, n_batches)) / target.numel())
        norms = network.input_norms()
        is_alive = norms > ALIVE_FRACTION * norms.max()
        row = {
            "stage": stage.name,
            "loss": mean,
            "penalty": stage.group_lasso * float(norms.sum()),
            "genes_alive": int(is_alive.sum()),
        }
        if stage.loss is squared_error:
            row["r2"] = r2_from_loss(mean, target)
        history.append(row | eval_scores(network, eval_cells, stage.loss))
    return history


def r2_from_loss(mean: float, target: torch.Tensor) -> float:
    """R2 for a mean squared error; NaN for outputs that are 0 in all cells."""
    total = float(target.square().sum()) or math.nan
    return 1 - mean * target.numel() / total


def eval_scores(
    network: BottleneckNetwork,
    cells: ScaledCells | None,
    loss: Callable[..., tuple[torch.Tensor, torch.Tensor]] = squared_error,
) -> dict[str, float]:
    """Entries of the history for cells that are watched, if there are any."""
    if cells is None:
        return {}
    value, _ = loss(network(cells.x), cells.target)
    mean = float(value) / cells.target.numel()
    scores = {"eval_loss": mean}
    if loss is squared_error:
        scores["eval_r2"] = r2_from_loss(mean, cells.target)
    return scores
