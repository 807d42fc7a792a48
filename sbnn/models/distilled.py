"""The distilled network, which learns from a better predictor on few well-chosen genes.

The student learns the predictions of a mixture of trees and wide networks for artificial cells.
"""

# The published protocol underfits with 25 genes; the same network, trained on them, overfits.
# Distillation: Hinton, Vinyals and Dean, arXiv 1503.02531 (2015). Input noise: Bishop, Neural
# Computation 7, 108 (1995).

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.ensemble import ExtraTreesRegressor

from sbnn.data.checks import gene_positions
from sbnn.errors import check_number
from sbnn.metrics import LEAST_CELLS_BEHIND, cells_behind
from sbnn.models.base import (
    FORWARD_BATCH_SIZE,
    BottleneckRegressor,
    ScaledCells,
    Stage,
    eval_scores,
)
from sbnn.models.network import (
    BottleneckNetwork,
    Layer,
    adam_steps,
    squared_error,
)
from sbnn.models.training import minibatches

MOST_SELECTION_CELLS = 2000  # on which genes are chosen
MOST_FOREST_CELLS = 10_000  # on which trees are trained
PRIOR_CELLS = 100  # weight of the assumptions that trees are as good as networks, and slopes are 1
TEACHER_BATCH_SIZE = 128  # of each network of the teacher
MEASURED_BATCH_SIZE = 64  # of the student, beside twice as many labelled cells
# In the loss, relative to a labelled cell. Test R2 is as high with 0; measured cells are kept
# because a teacher that sees few of very many cells could be worse than they are.
WEIGHT_OF_MEASURED = 0.15
RECORDED_EVERY = 100  # steps of the student
MOST_WATCHED_CELLS = 20_000  # on which R2 is recorded


@dataclass(frozen=True)
class DistilledSettings:
    """Settings of `DistilledBottleneckRegressor`.

    The defaults are used for all data sets.

    Examples
    --------
    >>> from sbnn import DistilledBottleneckRegressor, DistilledSettings
    >>> quick = DistilledSettings(steps_of_teachers=100, steps_of_student=500)
    >>> model = DistilledBottleneckRegressor(distillation=quick)
    """

    #: Parts of the training cells (at least 2), without each of which a network and a forest are
    #: trained.
    n_teachers: int = 5
    #: Bottleneck units of the teacher's networks.
    teacher_width: int = 16
    #: Steps of each network of the teacher. With 300, test R2 was 0.002 higher on average, but the
    #: maps of M1 by other seeds differed more (mean R2 between two maps 0.81 instead of 0.94).
    steps_of_teachers: int = 400
    #: Peak learning rate of the teacher's networks.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Artificial cells that the teacher labels.
    n_augmented: int = 24_000
    #: Fraction of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise of artificial cells, relative to the SDs of the genes.
    augmentation_noise: float = 0.25
    #: Steps of the student. From 1500 to 3000, test R2 differed by at most 0.002.
    steps_of_student: int = 2000
    #: Peak learning rate of the student.
    rate_of_student: float = 1e-2

    def __post_init__(self) -> None:
        for field in fields(self):
            kind = type(field.default)
            lowest = 1 if kind is int else 0
            check_number(field.name, getattr(self, field.name), kind, low=lowest)
        check_number("n_teachers", self.n_teachers, int, low=2)
        check_number("swapped", self.swapped, float, low=0, high=1)


class DistilledBottleneckRegressor(BottleneckRegressor):
    """Network with a narrow bottleneck that learns from a more accurate predictor.

    Forward selection chooses the genes, and the network learns from a mixture of trees and wider
    networks. `SparseBottleneckRegressor` is the published network.

    Parameters
    ----------
    n_components : int
        Width of the bottleneck. 2 gives a map of the cells.
    n_genes : int or None
        Number of genes to keep; None keeps all, as the default does of fewer than 25.
    reconstruct : bool
        Also train a head that predicts the kept genes from the latent space, for
        `reconstruct_genes`.
    standardize : bool
        Z-score genes and outputs with the mean and population SD of the training cells; if False,
        only centre them.
    hidden_layers : tuple of int, optional
        Widths of the hidden layers of the encoder, by default (64, 64, 64); the
        decoder mirrors them.
    distillation : DistilledSettings or None
        Settings of the training.
    random_state : int, RandomState or None
    device : str
        "cpu", "cuda", ...; "auto" uses a GPU if there is one, which changes the last bits.
    required_genes : list of str, optional
        Genes to keep in any case, by their names in a DataFrame or AnnData. They count among
        `n_genes`, and forward selection starts with them, so that the others complement them.
    candidate_genes : list of str, optional
        Genes among which the others are chosen, by default all.

    Attributes
    ----------
    network_ : BottleneckNetwork
    gene_order_ : ndarray, shape (k,)
        Positions of the kept genes in the order of choice: the required genes as they are listed,
        then each gene after those chosen before it. If all genes are kept, they are in the order
        of the columns.
    gene_norms_ : ndarray, shape (p,)
        Weight norm of every gene; 0 for genes that are not kept.
    history_ : DataFrame
        One row per 100 steps of the student; columns as in `SparseBottleneckRegressor`.
    left_out_predictions_ : ndarray, shape (n, q), or (n,) for a one-dimensional ``y``
        Outputs of the training cells, in their units, as predicted by those models of the teacher
        that were trained without them. The genes and the slope of each output were chosen on all
        cells. Not kept in files.
    x_min_, x_max_ : ndarray, shape (p,)
        Range of the training cells, to which genes are clipped.
    normalizer_ : CountNormalizer or None
        For new counts, if `fit` had an AnnData whose ``X`` the package computed from its counts.
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

    left_out_predictions_: np.ndarray
    _clips = True
    _hidden_layers = 64, 64, 64
    _settings_class = DistilledSettings
    _parameter_constraints = BottleneckRegressor._parameter_constraints | {
        "distillation": [DistilledSettings, None],
        "required_genes": ["array-like", None],
        "candidate_genes": ["array-like", None],
    }
    gene_order_: np.ndarray

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
        required_genes: ArrayLike | None = None,
        candidate_genes: ArrayLike | None = None,
    ) -> None:
        self.n_components = n_components
        self.n_genes = n_genes
        self.reconstruct = reconstruct
        self.standardize = standardize
        self.hidden_layers = hidden_layers
        self.distillation = distillation
        self.random_state = random_state
        self.device = device
        self.required_genes = required_genes
        self.candidate_genes = candidate_genes

    @property
    def algorithm_version(self) -> int:
        """Version of the algorithm, incremented when results change."""
        return 7

    def _train(self, read_genes, target, random, generator, eval_cells):
        settings = self.distillation or DistilledSettings()
        n, q = target.shape
        p = self.n_features_in_

        # the genes are those of a linear model, chosen before any network is trained
        required, allowed = self._panel_positions()
        self.gene_order_ = allowed
        if self.n_genes not in (None, p):
            rows = np.arange(n)
            if n > MOST_SELECTION_CELLS:
                rows = np.sort(random.choice(n, MOST_SELECTION_CELLS, replace=False))
            x = read_genes(allowed, rows)
            places = np.searchsorted(allowed, required)
            order = choose_genes(x, target[rows], self.n_genes, required=places)
            self.gene_order_ = allowed[order]
        kept = np.sort(self.gene_order_)
        cells = ScaledCells(x=read_genes(kept), target=target)  # shape (n, k)
        if eval_cells is not None:
            eval_cells = eval_cells._replace(x=eval_cells.x[:, kept])

        # SD of the noise of networks, relative to the SDs of the genes: fewer cells need more
        noise_variance = (0.1 + 150 / n) * max(len(kept) / 25, 1)
        noise = np.sqrt(noise_variance)

        # the teacher, with a wider bottleneck, labels artificial cells
        sizes = self._layer_sizes(len(kept), settings.teacher_width, q)
        labelled_cells, left_out = pseudo_labelled_cells(
            sizes, cells, noise, settings=settings, random=random, generator=generator
        )
        outputs = self._unscale_outputs(left_out.cpu().numpy().astype(np.float64))
        self.left_out_predictions_ = outputs[:, 0] if self._flat_output else outputs

        # the student, with the bottleneck, learns from measured and labelled cells
        sizes = self._layer_sizes(len(kept), self.n_components, q)
        device = cells.x.device
        student = BottleneckNetwork(sizes, "silu", generator=generator, device=device)
        history = train_distilled(
            student,
            cells,
            labelled_cells,
            noise=noise,
            settings=settings,
            generator=generator,
            eval_cells=eval_cells,
        )
        norms = np.zeros(p)
        norms[kept] = student.input_norms().cpu().numpy()
        return student, kept, norms, history

    def _panel_positions(self):
        """Positions of the required genes as listed, and sorted ones of all that may be kept."""
        required = np.arange(0)
        allowed = np.arange(self.n_features_in_)
        if self.required_genes is None and self.candidate_genes is None:
            return required, allowed
        if not hasattr(self, "feature_names_in_"):
            raise ValueError(
                "required_genes, candidate_genes: X has no names of genes; fit to a DataFrame or "
                "an AnnData"
            )
        names = self.feature_names_in_
        if self.required_genes is not None:
            required = gene_positions(self.required_genes, names, argument="required_genes")
        if self.candidate_genes is not None:
            candidates = gene_positions(self.candidate_genes, names, argument="candidate_genes")
            allowed = np.union1d(required, candidates)
        if self.n_genes is not None and len(required) > self.n_genes:
            raise ValueError(
                f"required_genes: {len(required)} genes are more than n_genes={self.n_genes}; "
                "raise n_genes, or require fewer"
            )
        if not len(allowed) or (self.n_genes not in (None, 25) and self.n_genes > len(allowed)):
            raise ValueError(
                f"candidate_genes: with the required ones, there are {len(allowed)} genes for "
                f"n_genes={self.n_genes}; lower n_genes, or give more candidates"
            )
        return required, allowed

    def _reconstruction_stage(self, n_frozen):
        return Stage(
            name="reconstruction",
            n_epochs=100,
            learning_rate=1e-4,
            batch_size=32,
            n_frozen=n_frozen,
        )


# -- genes -----------------------------------------------------------------------------------------


def choose_genes(
    x: torch.Tensor, target: torch.Tensor, n_genes: int, required: Sequence[int] | np.ndarray = ()
) -> np.ndarray:
    """Positions of the required genes, then of those that best predict the outputs with them."""
    n, p = x.shape
    X = x.cpu().numpy()
    Y = target.cpu().numpy()
    X = X - X.mean(axis=0)
    Y = Y - Y.mean(axis=0)
    is_usable = cells_behind(X) >= min(LEAST_CELLS_BEHIND, n / 6)
    is_usable[list(required)] = True
    usable = np.flatnonzero(is_usable)
    penalty = 3e4 / n  # with fewer cells, informative genes even if redundant
    first = np.searchsorted(usable, required)
    best = forward_selection(X[:, usable], Y, n_genes=n_genes, penalty=penalty, first=first)
    chosen = usable[best]
    if len(chosen) < n_genes:
        # the others are copies of these, then genes of few cells: those that predict best alone, as
        # the first columns would be chosen from any cells
        explained = np.square(X.T @ Y).sum(axis=1) / (np.square(X).sum(axis=0) + penalty)
        ranked = np.lexsort((-explained, ~is_usable))
        chosen = pd.unique(np.concatenate([chosen, ranked]))[:n_genes]
    return chosen


def forward_selection(
    X: np.ndarray,
    Y: np.ndarray,
    n_genes: int,
    penalty: float,
    first: Sequence[int] | np.ndarray = (),
) -> np.ndarray:
    """Positions of up to `n_genes` genes that reduce the squared error the most, one by one.

    X, (n, p), and Y, (n, q), are centred. The genes at the positions `first` are taken first.
    """
    # Orthogonal least squares (Chen, Billings and Luo, International Journal of Control 50, 1873,
    # 1989); with a penalty, genes are as if each had an independent part of this squared length.
    squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    # squared length of what the chosen genes leave of each gene
    remaining = squares.copy()
    cross = (X.T @ Y).astype(np.float64)  # inner products of this part with the outputs
    directions = np.zeros((n_genes, X.shape[1]))
    chosen: list[int] = []
    for step in range(n_genes):
        # rounding errors could favour a gene with hardly any orthogonal part
        usable = remaining > 1e-3 * squares
        usable[chosen] = False
        if step < len(first):
            gene = int(first[step])
        elif usable.any():
            # the gene whose orthogonal part explains most of the outputs
            lengths = np.where(usable, remaining + penalty, 1)
            explained = np.square(cross).sum(1) / lengths
            gene = int(np.where(usable, explained, -1).argmax())
        else:
            break
        chosen.append(gene)
        # Gram-Schmidt: what the earlier genes leave of it, in inner products with all genes
        earlier = directions[:step]
        products = X.T @ X[:, gene]
        direction = products - earlier[:, gene] @ earlier
        length = np.sqrt(remaining[gene] + penalty)
        direction /= length
        directions[step] = direction
        cross -= np.outer(direction, cross[gene] / length)
        remaining -= np.square(direction)
    return np.array(chosen, dtype=int)


# -- the teacher -----------------------------------------------------------------------------------


def pseudo_labelled_cells(
    sizes: Sequence[int],
    cells: ScaledCells,
    noise: float,
    settings: DistilledSettings,
    random: np.random.RandomState,
    generator: torch.Generator,
) -> tuple[ScaledCells, torch.Tensor]:
    """Artificial cells, (n_augmented, k), with genes of two cells and noise, and their outputs.

    A mixture of trees and of networks of these sizes predicts them, all trained without a part of
    the cells; each output is then multiplied by a slope. Also return what they predict for measured
    cells, (n, q), from models that were trained without them.
    """
    x, target = cells
    # cross-fitting: each network and each forest is trained without a part of the cells
    order = torch.randperm(len(x), generator=generator).to(x.device)
    parts = order.tensor_split(min(settings.n_teachers, len(x)))
    training_sets = []
    for i in range(len(parts)):
        other_parts = parts[:i] + parts[i + 1 :]
        training_sets.append(torch.cat(other_parts))
    networks = train_teacher_networks(
        sizes, cells, training_sets, noise=noise, settings=settings, generator=generator
    )

    # genes of two cells are mixed, so that artificial cells have new combinations
    n_artificial = settings.n_augmented
    first = torch.randint(len(x), (n_artificial,), generator=generator)
    second = torch.randint(len(x), (n_artificial,), generator=generator)
    uniform = torch.rand((n_artificial, x.shape[1]), generator=generator)
    is_swapped = (uniform < settings.swapped).to(x.device)
    artificial = torch.where(is_swapped, x[second], x[first])
    add_noise(artificial, settings.augmentation_noise, generator)

    forests = []
    for rows in training_sets:
        forest = grow_forest(x[rows], target[rows], settings.n_trees, random=random)
        forests.append(forest)

    # both kinds predict the artificial cells, and the cells that each model was trained without
    labels = []
    residuals = []
    for models in (networks, forests):
        predictions = [predict_outputs(model, artificial) for model in models]
        labels.append(torch.stack(predictions).mean(dim=0))
        errors = []
        for model, rows in zip(models, parts, strict=True):
            errors.append(predict_outputs(model, x[rows]) - target[rows])
        residuals.append(torch.cat(errors))

    # stacking (Wolpert, Neural Networks 5, 241, 1992): the weights with the least such error
    weight_of_trees = mixture_weight(residuals[0], residuals[1], PRIOR_CELLS)
    mixed_labels = torch.lerp(labels[0], labels[1], weight_of_trees)
    left_out = torch.empty_like(target)
    left_out[order] = target[order] + torch.lerp(residuals[0], residuals[1], weight_of_trees)

    # weak outputs are predicted with too much spread, which the student would learn
    slopes = calibration_slopes(left_out, target, PRIOR_CELLS)
    return ScaledCells(x=artificial, target=mixed_labels * slopes), left_out * slopes


@torch.inference_mode()
def train_teacher_networks(
    sizes: Sequence[int],
    cells: ScaledCells,
    training_sets: Sequence[torch.Tensor],
    noise: float,
    settings: DistilledSettings,
    generator: torch.Generator,
) -> list[BottleneckNetwork]:
    """Networks that are trained at once, each on the cells at its own positions."""
    x, target = cells
    networks = []
    for _ in training_sets:
        network = BottleneckNetwork(sizes, "silu", generator=generator, device=x.device)
        networks.append(network)
    # the same layers of all networks are multiplied at once
    stacked_layers = []
    for layers in zip(*(network.layers for network in networks), strict=True):
        weight = torch.stack([layer.weight for layer in layers])
        bias = torch.stack([layer.bias for layer in layers])
        stacked_layers.append(Layer(weight=weight, bias=bias, is_linear=layers[0].is_linear))

    # in every step, each network gets a batch of its own cells, with noise
    batch_size = min(TEACHER_BATCH_SIZE, min(map(len, training_sets)))
    streams = []
    for training_rows in training_sets:
        streams.append(minibatches(len(training_rows), batch_size, generator, drop_last=True))
    all_rows = (
        torch.stack([rows[batch] for rows, batch in zip(training_sets, step, strict=True)])
        for step in zip(*streams, strict=True)
    )  # shape (networks, batch_size)
    batches = ((add_noise(x[rows], noise, generator), target[rows]) for rows in all_rows)
    rates = one_cycle_learning_rates(settings.steps_of_teachers, settings.rate_of_teachers)
    for _ in adam_steps(stacked_layers, "silu", batches=batches, rates=rates):
        pass
    for i, network in enumerate(networks):
        network.layers = [
            Layer(weight=layer.weight[i], bias=layer.bias[i], is_linear=layer.is_linear)
            for layer in stacked_layers
        ]
    return networks


def grow_forest(
    X: torch.Tensor, Y: torch.Tensor, n_trees: int, random: np.random.RandomState
) -> ExtraTreesRegressor:
    """Extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 3, 2006)."""
    seed = int(random.randint(2**31 - 1))
    forest = ExtraTreesRegressor(n_trees, min_samples_leaf=3, max_features=0.4, random_state=seed)
    genes = X[:MOST_FOREST_CELLS].cpu()
    outputs = Y[:MOST_FOREST_CELLS].cpu()
    return forest.fit(genes, outputs.squeeze(1))


def predict_outputs(
    model: BottleneckNetwork | ExtraTreesRegressor, x: torch.Tensor
) -> torch.Tensor:
    """Outputs, (m, q), that a network or trees predict for cells, (m, k)."""
    if isinstance(model, BottleneckNetwork):
        return torch.cat([model(batch) for batch in x.split(FORWARD_BATCH_SIZE)])
    outputs = torch.as_tensor(model.predict(x.cpu()))
    return outputs.to(x).reshape(len(x), -1)


def mixture_weight(
    first: torch.Tensor, second: torch.Tensor, prior_cells: float, optimism: float = 0.0
) -> float:
    """Weight of the second of two predictions, with residuals (n, q), with the least error.

    It is shrunk towards 1/2 with the weight of `prior_cells` cells. The squares of the first
    residuals are too small by `optimism`, as the predictions were adapted to the outputs.
    """
    # |(1 - w) first + w second|^2 is least at w = first . (first - second) / |first - second|^2.
    # Predictions f of outputs y that they know have too large a product y . f, which the square of
    # y - f has twice, the product below once, and first - second, in which y cancels, not at all.
    difference = first - second
    product = (first * difference).sum() + optimism / 2
    squares = difference.square().sum().clamp(min=1e-12)
    best = float((product / squares).clamp(0, 1))
    n_cells = len(first)
    return (n_cells * best + prior_cells / 2) / (n_cells + prior_cells)


def calibration_slopes(
    predictions: torch.Tensor, target: torch.Tensor, prior_cells: float, optimism: float = 0.0
) -> torch.Tensor:
    """Slopes, (q,), of the centred outputs, (n, q), on predictions for cells that were left out.

    They are shrunk towards 1 with the weight of `prior_cells` cells, and never below 0. `optimism`,
    of the squared errors of all outputs, is as in `mixture_weight`.
    """
    n_cells = len(target)
    products = (predictions * target).mean(dim=0) - optimism / 2 / target.numel()
    squares = predictions.square().mean(dim=0).clamp(min=1e-12)
    slopes = (n_cells * products / squares + prior_cells) / (n_cells + prior_cells)
    return slopes.clamp(min=0)


# -- the student -----------------------------------------------------------------------------------


@torch.inference_mode()
def train_distilled(
    network: BottleneckNetwork,
    cells: ScaledCells,
    labelled_cells: ScaledCells,
    noise: float,
    settings: DistilledSettings,
    generator: torch.Generator,
    eval_cells: ScaledCells | None = None,
) -> list[dict[str, Any]]:
    """Train on measured cells and on those that a teacher labelled; return the history."""
    x, target = cells
    artificial, labels = labelled_cells
    n_measured = min(MEASURED_BATCH_SIZE, len(x))
    n_labelled = min(2 * MEASURED_BATCH_SIZE, len(labels))

    # a batch has measured cells with noise, then labelled cells, which have noise already
    measured_rows = minibatches(len(x), n_measured, generator, drop_last=True)
    labelled_rows = minibatches(len(labels), n_labelled, generator, drop_last=True)
    measured = ((add_noise(x[rows], noise, generator), target[rows]) for rows in measured_rows)
    labelled = ((artificial[rows], labels[rows]) for rows in labelled_rows)
    batches = (
        (torch.cat([noisy_x, artificial_x]), torch.cat([outputs, label_batch]))
        for (noisy_x, outputs), (artificial_x, label_batch) in zip(measured, labelled, strict=True)
    )

    # measured outputs have noise of their own, so these cells weigh less; the mean weight is 1
    weights = x.new_ones((n_measured + n_labelled, 1))
    weights[:n_measured] = WEIGHT_OF_MEASURED
    weights /= weights.mean()
    loss = partial(squared_error, weights=weights)
    rates = one_cycle_learning_rates(settings.steps_of_student, settings.rate_of_student)
    losses = adam_steps(network.layers, "silu", batches=batches, rates=rates, loss=loss)

    n_values = len(weights) * target.shape[1]
    watched_cells = ScaledCells(x=x[:MOST_WATCHED_CELLS], target=target[:MOST_WATCHED_CELLS])
    history = []
    while recent_losses := [value / n_values for value in islice(losses, RECORDED_EVERY)]:
        mean = float(sum(recent_losses)) / len(recent_losses)
        scores = eval_scores(network, watched_cells)
        row = {
            "stage": "student",
            "loss": mean,
            "penalty": 0.0,
            "genes_alive": x.shape[1],
            "r2": scores["eval_r2"],
        }
        history.append(row | eval_scores(network, eval_cells))
    return history


def one_cycle_learning_rates(n_steps: int, peak: float) -> list[float]:
    """Learning rates that rise to a peak and then fall (Smith and Topin, arXiv 1708.07120)."""
    # the schedule sets the rate of an optimiser, which has nothing to train here
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak, total_steps=n_steps, pct_start=0.15, cycle_momentum=False
    )
    rates = [float(schedule.get_last_lr()[0])]
    for _ in range(n_steps - 1):
        optimizer.step()
        schedule.step()
        rates.append(float(schedule.get_last_lr()[0]))
    return rates


def add_noise(x: torch.Tensor, noise: float, generator: torch.Generator) -> torch.Tensor:
    """Add normal noise with this SD to the values, which are overwritten."""
    samples = torch.randn(x.shape, generator=generator).to(x.device)
    return x.add_(samples, alpha=noise)
