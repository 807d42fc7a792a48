"""The distilled network, which learns from a better predictor on few well-chosen genes.

The student learns the predictions of a mixture of trees and wide networks for artificial cells.
"""

# The published protocol underfits with 25 genes; the same network, trained on them, overfits.
# Distillation: Hinton, Vinyals and Dean, arXiv 1503.02531 (2015). Input noise: Bishop, Neural
# Computation 7, 108 (1995).

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from itertools import islice

import numpy as np
import pandas as pd
import torch
from sklearn.ensemble import ExtraTreesRegressor

from sbnn.errors import check_number
from sbnn.models.base import CELLS_AT_ONCE, BottleneckRegressor, eval_scores
from sbnn.models.network import (
    BottleneckNetwork,
    Layer,
    squared_error,
    train,
)
from sbnn.models.training import minibatches

CELLS_OF_GENES = 2000  # most cells on which genes are chosen
# fewest cells behind a gene, since one that is expressed in two can fit any outputs of these
CELLS_BEHIND = 10
CELLS_OF_TREES = 10_000  # most training cells of a forest
PRIOR_CELLS = 100  # weight of the assumption that trees and networks are equally good
TEACHERS_AT_ONCE = 128  # cells in a step of each network of the teacher
# measured cells in a step of the student, and twice as many labelled cells
MEASURED_AT_ONCE = 64
WEIGHT_OF_MEASURED = 0.5  # in the loss, relative to a labelled cell
RECORDED_EVERY = 100  # steps of the student
WATCHED_CELLS = 20_000  # most cells on which R2 is recorded
HEAD = 32, 100, 1e-4  # of `reconstruct`: batch size, epochs, learning rate


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
    #: Steps of each network of the teacher.
    steps_of_teachers: int = 400
    #: Peak learning rate of the teacher's networks.
    rate_of_teachers: float = 5e-3
    #: Trees in each forest.
    n_trees: int = 30
    #: Artificial cells that the teacher labels.
    n_augmented: int = 24_000
    #: Share of the genes of an artificial cell that come from a second cell.
    swapped: float = 0.15
    #: SD of the noise of artificial cells, relative to the SDs of the genes.
    augmentation_noise: float = 0.25
    #: Steps of the student.
    steps_of_student: int = 3000
    #: Peak learning rate of the student.
    rate_of_student: float = 1e-2

    def __post_init__(self):
        for field in fields(self):
            kind = type(field.default)
            low = 1 if kind is int else 0
            check_number(field.name, getattr(self, field.name), kind, low)
        check_number("n_teachers", self.n_teachers, int, 2)
        check_number("swapped", self.swapped, float, 0, 1)


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

    Attributes
    ----------
    network_ : BottleneckNetwork
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
    _hidden_layers = 64, 64, 64
    _settings_class = DistilledSettings
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

    @property
    def algorithm_version(self) -> int:
        """Version of the algorithm, incremented when results change."""
        return 6

    def _train(self, read, target, random, generator, eval_set):
        settings = self.distillation or DistilledSettings()
        n, q = target.shape
        p = self.n_features_in_
        kept = np.arange(p)
        if self.n_genes not in (None, p):
            rows = np.arange(n)
            if n > CELLS_OF_GENES:
                rows = np.sort(random.choice(n, CELLS_OF_GENES, replace=False))
            kept = choose_genes(read(rows=rows), target[rows], self.n_genes)
        x = read(kept)  # shape (n, k)
        if eval_set is not None:
            eval_set = eval_set[0][:, kept], eval_set[1]
        # SD of the noise of networks, relative to the SDs of the genes
        noise = np.sqrt((0.1 + 150 / n) * max(len(kept) / 25, 1))
        sizes = self._sizes(len(kept), settings.teacher_width, q)
        labelled = pseudo_labelled_cells(sizes, x, target, noise, settings, random, generator)
        sizes = self._sizes(len(kept), self.n_components, q)
        student = BottleneckNetwork(sizes, "silu", generator=generator, device=x.device)
        given = x, target, labelled, noise, settings, generator
        history = train_distilled(student, *given, eval_set)
        norms = np.zeros(p)
        norms[kept] = student.input_norms().cpu().numpy()
        return student, kept, norms, history

    def _settings_of_head(self):
        return HEAD


# -- genes -----------------------------------------------------------------------------------------


def choose_genes(x, target, n_genes):
    """Sorted positions of the genes that predict the outputs best."""
    n, p = x.shape
    X = x.cpu().numpy()
    Y = target.cpu().numpy()
    X = X - X.mean(axis=0)
    # m for a gene at the same level in m of many cells, n / 3 for a normal gene, 0 for a constant
    squares = np.square(X, dtype=np.float64)
    fourth_powers = np.square(squares).sum(axis=0).clip(min=1e-300)
    cells_behind = np.square(squares.sum(axis=0)) / fourth_powers
    usable = np.flatnonzero(cells_behind >= min(CELLS_BEHIND, n / 6))
    penalty = 3e4 / n  # with fewer cells, informative genes even if redundant
    best = forward_selection(X[:, usable], Y - Y.mean(axis=0), n_genes, penalty)
    # if fewer are chosen, the others are copies of them
    ranked = pd.unique(np.concatenate([usable[best], usable, np.arange(p)]))
    return np.sort(ranked[:n_genes])


def forward_selection(X, Y, n_genes, penalty):
    """Positions of up to `n_genes` genes that reduce the squared error the most, one by one.

    X, (n, p), and Y, (n, q), are centred.
    """
    # Orthogonal least squares (Chen, Billings and Luo, International Journal of Control 50, 1873,
    # 1989); with a penalty, genes are as if each had an independent part of this squared length.
    squares = np.einsum("ij,ij->j", X, X, dtype=np.float64)
    # squared length of what the chosen genes leave of each gene
    left = squares.copy()
    cross = (X.T @ Y).astype(np.float64)  # inner products of this part with the outputs
    directions = np.zeros((n_genes, X.shape[1]))
    chosen = []
    for step in range(n_genes):
        # rounding errors could favour a gene with hardly any orthogonal part
        usable = left > 1e-3 * squares
        usable[chosen] = False
        if not usable.any():
            break
        lengths = np.where(usable, left + penalty, 1)
        explained = np.square(cross).sum(1) / lengths
        gene = int(np.where(usable, explained, -1).argmax())
        chosen.append(gene)
        earlier = directions[:step]
        direction = X.T @ X[:, gene] - earlier[:, gene] @ earlier
        length = np.sqrt(left[gene] + penalty)
        direction /= length
        directions[step] = direction
        cross -= np.outer(direction, cross[gene] / length)
        left -= np.square(direction)
    return np.array(chosen, dtype=int)


# -- the teacher -----------------------------------------------------------------------------------


def pseudo_labelled_cells(sizes, x, target, noise, settings, random, generator):
    """Artificial cells, (n_augmented, k), with genes of two cells and noise, and their outputs.

    A mixture of trees and of networks of these sizes predicts them, all trained without a part of
    the cells x, (n, k), and target, (n, q).
    """
    order = torch.randperm(len(x), generator=generator).to(x.device)
    parts = order.tensor_split(min(settings.n_teachers, len(x)))
    others = [torch.cat(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
    networks = train_teacher_networks(sizes, x, target, noise, settings, generator, others)

    shape = settings.n_augmented, x.shape[1]
    first = torch.randint(len(x), shape[:1], generator=generator)
    second = torch.randint(len(x), shape[:1], generator=generator)
    is_swapped = torch.rand(shape, generator=generator) < settings.swapped
    mixed = torch.where(is_swapped.to(x.device), x[second], x[first])
    artificial = with_noise(mixed, settings.augmentation_noise, generator)

    forests = [grow_forest(x[own], target[own], settings.n_trees, random) for own in others]
    labels = []
    residuals = []
    for models in (networks, forests):
        labels.append(
            torch.stack([predict_outputs(model, artificial) for model in models]).mean(dim=0)
        )
        errors = [
            predict_outputs(model, x[part]) - target[part]
            for model, part in zip(models, parts, strict=True)
        ]
        residuals.append(torch.cat(errors))
    weight = weight_of_second(*residuals, PRIOR_CELLS)
    return artificial, torch.lerp(*labels, weight)


@torch.inference_mode()
def train_teacher_networks(sizes, x, target, noise, settings, generator, members):
    """Networks that are trained at once; `members` has the training cells of each."""
    networks = [
        BottleneckNetwork(sizes, "silu", generator=generator, device=x.device) for _ in members
    ]
    together = []
    for layers in zip(*(network.layers for network in networks), strict=True):
        weights, biases, kinds = zip(*layers, strict=True)
        together.append(Layer(torch.stack(weights), torch.stack(biases), kinds[0]))
    size = min(TEACHERS_AT_ONCE, min(map(len, members)))
    own_batches = [minibatches(len(cells), size, generator, drop_last=True) for cells in members]
    rows = (
        torch.stack([cells[own] for cells, own in zip(members, positions, strict=True)])
        for positions in zip(*own_batches, strict=True)
    )  # shape (members, size)
    batches = ((with_noise(x[cells], noise, generator), target[cells]) for cells in rows)
    rates = one_cycle_learning_rates(settings.steps_of_teachers, settings.rate_of_teachers)
    for _ in train(together, "silu", batches, rates):
        pass
    for i, network in enumerate(networks):
        network.layers = [Layer(weight[i], bias[i], kind) for weight, bias, kind in together]
    return networks


def grow_forest(X, Y, n_trees, random):
    """Extremely randomised trees (Geurts, Ernst and Wehenkel, Machine Learning 63, 3, 2006)."""
    seed = int(random.randint(2**31 - 1))
    forest = ExtraTreesRegressor(n_trees, min_samples_leaf=3, max_features=0.4, random_state=seed)
    return forest.fit(X[:CELLS_OF_TREES].cpu(), Y[:CELLS_OF_TREES].squeeze(1).cpu())


def predict_outputs(model, x):
    """Outputs, (m, q), that a network or trees predict for cells, (m, k)."""
    if isinstance(model, BottleneckNetwork):
        return torch.cat([model(some) for some in x.split(CELLS_AT_ONCE)])
    return torch.as_tensor(model.predict(x.cpu())).to(x).reshape(len(x), -1)


def weight_of_second(first, second, prior_cells):
    """Weight of the second of two predictions, with residuals (n, q), with the least error.

    It is shrunk towards 1/2 with the weight of `prior_cells` cells.
    """
    difference = first - second
    squares = difference.square().sum().clamp(min=1e-12)
    best = float(((first * difference).sum() / squares).clamp(0, 1))
    n_cells = len(first)
    return (n_cells * best + prior_cells / 2) / (n_cells + prior_cells)


# -- the student -----------------------------------------------------------------------------------


@torch.inference_mode()
def train_distilled(network, x, target, labelled, noise, settings, generator, eval_set=None):
    """Train on cells x, (n, k), and target, (n, q), and on such a pair that a teacher labelled.

    Returns the history.
    """
    artificial, labels = labelled
    n_measured = min(MEASURED_AT_ONCE, len(x))
    n_labelled = min(2 * MEASURED_AT_ONCE, len(labels))
    cells = minibatches(len(x), n_measured, generator, drop_last=True)
    others = minibatches(len(labels), n_labelled, generator, drop_last=True)
    weights = x.new_ones((n_measured + n_labelled, 1))
    weights[:n_measured] = WEIGHT_OF_MEASURED
    weights /= weights.mean()

    def batches():
        for own in cells:
            noisy = with_noise(x[own], noise, generator)
            made = next(others)
            yield torch.cat([noisy, artificial[made]]), torch.cat([target[own], labels[made]])

    rates = one_cycle_learning_rates(settings.steps_of_student, settings.rate_of_student)
    loss = partial(squared_error, weights=weights)
    values = train(network.layers, "silu", batches(), rates, loss)
    trained = x[:WATCHED_CELLS], target[:WATCHED_CELLS]
    n_values = len(weights) * target.shape[1]
    history = []
    while losses := [value / n_values for value in islice(values, RECORDED_EVERY)]:
        row = {
            "stage": "student",
            "loss": float(sum(losses)) / len(losses),
            "penalty": 0.0,
            "genes_alive": x.shape[1],
            "r2": eval_scores(network, trained)["eval_r2"],
        }
        history.append(row | eval_scores(network, eval_set))
    return history


def one_cycle_learning_rates(n_steps, peak):
    """Learning rates that rise to a peak and then fall (Smith and Topin, arXiv 1708.07120)."""
    # the schedule sets the rate of an optimiser, which has nothing to train here
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=peak)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=peak, total_steps=n_steps, pct_start=0.15, cycle_momentum=False
    )
    rates = schedule.get_last_lr()
    for _ in range(n_steps - 1):
        optimizer.step()
        schedule.step()
        rates += schedule.get_last_lr()
    return rates


def with_noise(inputs, noise, generator):
    """Add normal noise with this SD to the inputs, which are overwritten."""
    drawn = torch.randn(inputs.shape, generator=generator).to(inputs.device)
    return inputs.add_(drawn, alpha=noise)
