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
from sbnn.models.bottleneck.protocols import few_cells
from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess, most_relevant
from sbnn.models.bottleneck.protocols.greedy import cells_behind, forward_selection, grow_forest
from sbnn.models.bottleneck.training import Trained, networks_of_teacher, train_student

HIDDEN_LAYERS = (64, 64, 64)
COMPARED = 3  # held-out parts of the cells on which noise levels are compared


def train(model, cells, target, run, eval_set=None, progress=None):
    """Train a network on `ScaledCells`, (n, p), and scaled outputs, (n, q); see `Trained`."""
    settings = run.settings
    n_genes = cells.shape[1]
    hidden_layers = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    choose = partial(choose_genes, n_genes=model.n_genes, run=run)
    all_genes = cells
    if len(cells) <= max(settings.most_cells, settings.few_cells):
        all_genes = cells[:]
    kept = choose(all_genes, target)
    x = cells[:, kept]  # shape (n, n_kept)
    if eval_set is not None:
        eval_set = eval_set[0][:, kept], eval_set[1]
    new = partial(BottleneckNetwork, len(kept), target.shape[1], generator=run.generator)
    new_teacher = partial(new, settings.teacher_width, hidden_layers, "silu")
    is_few = len(x) <= settings.few_cells
    if is_few:
        teacher = few_cells.Teacher(new_teacher, x, target, run, settings.n_teachers)
    else:
        teacher = Teacher(new_teacher, x, target, run)
    swapped = settings.swapped
    if len(x) <= min(settings.few_cells, settings.fewest_cells):
        swapped = settings.few_cells_swapped
    augmented = augment(x, swapped, run)
    student = new(model.n_components, hidden_layers, "silu").to(x.device)
    labelled = augmented, teacher.predict(augmented)
    history = train_student(student, x, target, labelled, teacher.noise, run, eval_set, progress)
    if is_few:
        student.scale_outputs(few_cells.shrinkage(new_teacher, all_genes, target, choose, run))
    norms = np.zeros(n_genes)
    norms[kept] = student.input_norms().cpu().numpy()
    support = np.isin(np.arange(n_genes), kept)
    return Trained(student, support, norms, history)


def choose_genes(x, target, n_genes, run):
    """Sorted positions of the genes on which the outputs depend most."""
    settings = run.settings
    n, p = x.shape
    if n_genes is None or n_genes == p:
        return np.arange(p)
    is_few = n <= settings.few_cells
    least = settings.few_cells_of_a_gene if is_few else settings.fewest_cells_of_a_gene
    if n > settings.most_cells:
        cells = np.sort(run.random.choice(n, settings.most_cells, replace=False))
        x = x[cells]
        x = x - x.mean(0)
        target = target[cells]
        target = target - target.mean(0)
    usable = np.flatnonzero(cells_behind(x) >= min(least, n / 6))
    choose = few_cells.choose_genes if is_few else choose_of_many
    best = choose(x[:, usable], target, n_genes, run)
    chosen = usable[best]
    # if fewer are chosen, the others are copies of them
    ranked = pd.unique(np.concatenate([chosen, usable, np.arange(p)]))
    return np.sort(ranked[:n_genes])


def choose_of_many(x, target, n_genes, run):
    """Positions of up to `n_genes` genes."""
    settings = run.settings
    X = x.cpu().numpy()
    Y = target.cpu().numpy()
    # with hardly more cells than genes, a Gaussian process could fit any outputs
    most = max(n_genes, len(X) // 2)
    n_screened = min(max(settings.screened_genes, 2 * n_genes), most)
    screened = np.sort(forward_selection(X, Y, n_screened))
    process = RelevanceProcess(x[:, screened].contiguous(), target, settings)
    n_relevant = max(n_genes, settings.fewest_relevant)
    chosen = screened[most_relevant(process, n_relevant, run)]
    if len(chosen) <= n_genes:
        return chosen
    some = x[:, chosen].contiguous()
    process = RelevanceProcess(some, target, settings).fit(settings.process_steps[0])
    denoised = process.predict(some)
    denoised = (denoised - denoised.mean(0)).cpu().numpy()
    return chosen[forward_selection(X[:, chosen], denoised, n_genes)]


class Teacher:
    """Mixture of trees and of networks trained with input noise."""

    def __init__(self, new, x, target, run):
        settings = run.settings
        held_out = HeldOut(new, x, target, run)
        n_compared = min(COMPARED, len(held_out.parts))
        self.noise = best_noise(held_out, settings.noises, settings.usual_noise, n_compared)
        networks = held_out.networks(self.noise, len(held_out.parts))
        forests = [held_out.forest(part) for part in range(len(held_out.parts))]
        self.networks, of_networks = zip(*networks, strict=True)
        self.forests, of_forests = zip(*forests, strict=True)
        residuals = torch.cat(of_networks), torch.cat(of_forests)
        self.weight = weight_of_second(*residuals, settings.prior_cells)

    @torch.no_grad()
    def predict(self, x):
        """Outputs, (m, q), for cells, (m, k)."""
        by_networks = few_cells.mean([network(x) for network in self.networks])
        by_forests = few_cells.mean([few_cells.predicted_by(forest, x) for forest in self.forests])
        return torch.lerp(by_networks, by_forests.to(by_networks), self.weight)


class HeldOut:
    """Models trained on all parts of the cells but one, with their residuals on it.

    `new` builds a network. Cells are x, (n, k), and target, (n, q).
    """

    def __init__(self, new, x, target, run):
        self.new = new
        self.x = x
        self.target = target
        self.run = run
        self.parts = few_cells.shuffled_parts(x, run.settings.n_teachers, run)
        self.others = [few_cells.all_but(self.parts, part) for part in range(len(self.parts))]
        self.fitted = {}  # noise level -> pairs of a network and its residuals, by part

    def networks(self, noise, n_parts):
        """Pairs of a network and its residuals for the first parts."""
        fitted = self.fitted.setdefault(noise, [])
        members = self.others[len(fitted) : n_parts]
        if members:
            networks = networks_of_teacher(self.new, self.x, self.target, self.run, noise, members)
            for network in networks:
                fitted.append((network, self._residuals(network, len(fitted))))
        return fitted[:n_parts]

    def forest(self, part):
        """Extremely randomised trees and their residuals."""
        settings = self.run.settings
        cells = self.others[part][: settings.most_cells_of_trees]
        X = self.x[cells].cpu().numpy()
        Y = self.target[cells].cpu().numpy()
        forest = grow_forest(X, Y, settings.n_trees, self.run.random)
        predict = partial(few_cells.predicted_by, forest)
        return forest, self._residuals(predict, part)

    @torch.no_grad()
    def _residuals(self, predict, part):
        cells = self.parts[part][: self.run.settings.watched_cells]
        return predict(self.x[cells]).to(self.target) - self.target[cells]

    def error(self, noise, n_parts):
        """Sum of squared residuals of networks on the first parts."""
        total = 0.0
        for _, residuals in self.networks(noise, n_parts):
            total += float(residuals.square().sum())
        return total


def best_noise(held_out, noises, usual, n_parts):
    """Noise level, found by walking from the usual one while the held-out error falls."""
    position = noises.index(usual)
    weaker = reversed(noises[:position])
    stronger = noises[position + 1 :]
    best = usual
    for direction in (weaker, stronger):
        for noise in direction:
            if held_out.error(noise, n_parts) >= held_out.error(best, n_parts):
                break
            best = noise
    return best


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


def augment(x, swapped, run):
    """Artificial cells, (n_augmented, k), with noise and genes of others."""
    generator = run.generator
    shape = (run.settings.n_augmented, x.shape[1])
    first = torch.randint(len(x), shape[:1], generator=generator)
    second = torch.randint(len(x), shape[:1], generator=generator)
    is_swapped = torch.rand(shape, generator=generator) < swapped
    noise = torch.randn(shape, generator=generator).to(x.device)
    mixed = torch.where(is_swapped.to(x.device), x[second.to(x.device)], x[first.to(x.device)])
    return mixed.add_(noise, alpha=run.settings.augmentation_noise)
