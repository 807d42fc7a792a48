"""The distilled protocol: a network learns from a better predictor on few well-chosen genes.

The teacher is a mixture of trees and wide networks. The student, with the narrow bottleneck, learns
its predictions for artificial cells.
"""

# The published protocol underfits with 25 genes; the same network, trained directly on them,
# overfits. Distillation: Hinton, Vinyals and Dean, arXiv 1503.02531 (2015). Input noise as
# regularisation: Bishop, Neural Computation 7, 108 (1995).

from functools import partial

import numpy as np
import pandas as pd
import torch

from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols.greedy import cells_behind, forward_selection, grow_forest
from sbnn.models.bottleneck.training import Trained, networks_of_teacher, train_student

HIDDEN_LAYERS = (64, 64, 64)
CELLS_OF_GENES = 2000  # most cells on which genes are chosen
# fewest cells behind a gene, since one that is expressed in two can fit any outputs of these
CELLS_BEHIND = 10
CELLS_OF_TREES = 10_000  # most training cells of a forest
PRIOR_CELLS = 100  # weight of the assumption that trees and networks are equally good


def train(model, cells, target, run, eval_set=None):
    """Train a network on `ScaledCells`, (n, p), and scaled outputs, (n, q); see `Trained`."""
    n, n_genes = cells.shape
    hidden_layers = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    kept = choose_genes(cells, target, model.n_genes, run)
    x = cells[:, kept]  # shape (n, n_kept)
    if eval_set is not None:
        eval_set = eval_set[0][:, kept], eval_set[1]
    noise = input_noise(n, len(kept))
    new = partial(BottleneckNetwork, len(kept), target.shape[1], generator=run.generator)
    new_teacher = partial(new, run.settings.teacher_width, hidden_layers, "silu")
    teacher = Teacher(new_teacher, x, target, noise, run)
    augmented = augment(x, run)
    labelled = augmented, teacher.predict(augmented)
    student = new(model.n_components, hidden_layers, "silu").to(x.device)
    history = train_student(student, x, target, labelled, noise, run, eval_set)
    norms = np.zeros(n_genes)
    norms[kept] = student.input_norms().cpu().numpy()
    support = np.isin(np.arange(n_genes), kept)
    return Trained(student, support, norms, history)


def input_noise(n_cells, n_genes):
    """SD of the noise of networks, relative to the SDs of the genes.

    It is stronger with fewer cells, and with more than 25 genes.
    """
    return np.sqrt((0.1 + 150 / n_cells) * max(n_genes / 25, 1))


def choose_genes(cells, target, n_genes, run):
    """Sorted positions of the genes that predict the outputs best."""
    n, p = cells.shape
    if n_genes is None or n_genes == p:
        return np.arange(p)
    rows = np.arange(n)
    if n > CELLS_OF_GENES:
        rows = np.sort(run.random.choice(n, CELLS_OF_GENES, replace=False))
    X = cells[rows].cpu().numpy()
    Y = target[rows].cpu().numpy()
    X = X - X.mean(axis=0)
    usable = np.flatnonzero(cells_behind(X) >= min(CELLS_BEHIND, n / 6))
    penalty = 3e4 / len(rows)  # with fewer cells, informative genes even if redundant
    best = forward_selection(X[:, usable], Y - Y.mean(axis=0), n_genes, penalty)
    # if fewer are chosen, the others are copies of them
    ranked = pd.unique(np.concatenate([usable[best], usable, np.arange(p)]))
    return np.sort(ranked[:n_genes])


class Teacher:
    """Mixture of trees and of networks trained with input noise, all without a part of the cells.

    `new` builds a network. Cells are x, (n, k), and target, (n, q).
    """

    def __init__(self, new, x, target, noise, run):
        settings = run.settings
        order = torch.randperm(len(x), generator=run.generator).to(x.device)
        parts = order.tensor_split(min(settings.n_teachers, len(x)))
        others = [torch.cat(parts[:i] + parts[i + 1 :]) for i in range(len(parts))]
        self.networks = networks_of_teacher(new, x, target, run, noise, others)
        self.forests = []
        residuals = []
        for network, part, members in zip(self.networks, parts, others, strict=True):
            members = members[:CELLS_OF_TREES]
            X = x[members].cpu().numpy()
            forest = grow_forest(X, target[members].cpu().numpy(), settings.n_trees, run.random)
            self.forests.append(forest)
            with torch.no_grad():
                predicted = torch.stack([network(x[part]), predicted_by(forest, x[part])])
            residuals.append(predicted - target[part])
        self.weight = weight_of_second(*torch.cat(residuals, dim=1), PRIOR_CELLS)

    @torch.no_grad()
    def predict(self, x):
        """Outputs, (m, q), for cells, (m, k)."""
        by_networks = torch.stack([network(x) for network in self.networks]).mean(dim=0)
        by_forests = torch.stack([predicted_by(forest, x) for forest in self.forests]).mean(dim=0)
        return torch.lerp(by_networks, by_forests, self.weight)


def predicted_by(forest, x):
    """Predictions of trees, (m, q), for cells x, (m, k)."""
    predicted = torch.as_tensor(forest.predict(x.cpu().numpy()))
    return predicted.reshape(len(x), -1).to(x)


def weight_of_second(first, second, prior_cells):
    """Weight of the second of two predictions, with residuals (n, q), with the least error.

    It is shrunk towards one half with the weight of `prior_cells` cells.
    """
    difference = first - second
    squares = difference.square().sum().clamp(min=1e-12)
    best = float((first * difference).sum() / squares)
    best = min(max(best, 0.0), 1.0)
    n_cells = len(first)
    return (n_cells * best + prior_cells / 2) / (n_cells + prior_cells)


def augment(x, run):
    """Artificial cells, (n_augmented, k), with noise and genes of others."""
    generator = run.generator
    shape = (run.settings.n_augmented, x.shape[1])
    first = torch.randint(len(x), shape[:1], generator=generator)
    second = torch.randint(len(x), shape[:1], generator=generator)
    is_swapped = torch.rand(shape, generator=generator) < run.settings.swapped
    noise = torch.randn(shape, generator=generator).to(x.device)
    mixed = torch.where(is_swapped.to(x.device), x[second.to(x.device)], x[first.to(x.device)])
    return mixed.add_(noise, alpha=run.settings.augmentation_noise)
