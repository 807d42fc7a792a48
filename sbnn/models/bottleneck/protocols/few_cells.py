"""The distilled protocol for few cells: nothing is chosen on held-out cells.

Genes are clipped, and chosen to predict outputs that were denoised using all genes; predictions are
shrunk according to held-out error.
"""

# If genes are chosen on all training cells, R2 on held-out training cells is far too high (with 30
# cells, 0.5 compared with 0.1 on new cells), so the noise levels and weights of the teacher are
# fixed. Ridge regression on hundreds of noisy genes is hard to beat, so its predictions choose the
# genes, with a penalty that favours informative genes even if redundant.

import numpy as np
import torch

from sbnn.models.bottleneck.protocols.greedy import forward_selection, grow_forest
from sbnn.models.bottleneck.training import networks_of_teacher
from sbnn.models.linear import LeaveOneOutRidge

PARTS = 5  # of the cells, to estimate the shrinkage of predictions
# weight, in cells, of the prior assumption that all outputs need the same shrinkage
PRIOR_CELLS = 60
DENOISING_TREES = 40
DENOISING_GENES = 1000  # with the largest coefficients


def input_limits(moments, limit):
    """Minimum and maximum of each gene, but at most `limit` SDs from its mean."""
    reach = limit * moments.sd
    lower = np.maximum(moments.low, moments.mean - reach)
    upper = np.minimum(moments.high, moments.mean + reach)
    return lower.astype(np.float32), upper.astype(np.float32)


def choose_genes(x, target, n_genes, run):
    """Positions of up to `n_genes` genes that best summarise the predictions from all genes."""
    X = x.cpu().numpy()
    clean = denoised(X, target.cpu().numpy(), run.random)
    penalty = run.settings.few_cells_penalty * len(X)
    return forward_selection(X, clean - clean.mean(0), n_genes, penalty)


def denoised(X, Y, random):
    """Outputs, (n, q), predicted from all genes: the mean of ridge regression and trees."""
    # in-sample: with held-out predictions, R2 was lower by 0.01 to 0.1
    ridge = LeaveOneOutRidge().fit(X, Y)
    squares = np.square(ridge.coef_).sum(0)
    largest_first = np.argsort(-squares, kind="stable")
    some = X[:, largest_first[:DENOISING_GENES]]
    forest = grow_forest(some, Y, DENOISING_TREES, random, bootstrap=True)
    by_trees = forest.predict(some).reshape(Y.shape)
    return (ridge.predict(X) + by_trees) / 2


def shuffled_parts(x, n_parts, run):
    """Positions of all cells in random order, in parts of similar size."""
    order = torch.randperm(len(x), generator=run.generator).to(x.device)
    return order.tensor_split(min(n_parts, len(x)))


def all_but(parts, left_out):
    """Positions of the cells of all parts but one."""
    others = parts[:left_out] + parts[left_out + 1 :]
    return torch.cat(others)


class Teacher:
    """Mean of trees and of networks with input noise, trained on all cells."""

    def __init__(self, new, x, target, run, n_members):
        settings = run.settings
        self.noise = max(settings.few_cells_noises)
        self.networks = []
        members = [torch.arange(len(x), device=x.device)] * n_members
        for noise in settings.few_cells_noises:
            self.networks += networks_of_teacher(new, x, target, run, noise, members)
        n_trees = n_members * settings.n_trees
        self.forest = grow_forest(x.cpu().numpy(), target.cpu().numpy(), n_trees, run.random)

    @torch.no_grad()
    def predict(self, x):
        """Outputs, (m, q), for cells, (m, k)."""
        by_networks = mean([network(x) for network in self.networks])
        by_trees = predicted_by(self.forest, x).to(by_networks)
        return (by_networks + by_trees) / 2


def mean(predictions):
    """Mean of a list."""
    return sum(predictions) / len(predictions)


def predicted_by(forest, x):
    """Predictions of trees, (m, q), for cells x, (m, k), in double precision."""
    predicted = torch.as_tensor(forest.predict(x.cpu().numpy()))
    return predicted.reshape(len(x), -1)


def shrinkage(new, x, target, choose, run):
    """Factors, (q,), between 0 and 1 that reduce the error of predictions for new cells."""
    # Predictions vary as much for an output that no gene explains as for any other. The factor is
    # the slope of the regression of held-out outputs on predictions by a small teacher, shrunk
    # towards that for all outputs.
    products = torch.zeros_like(target[0])
    squares = torch.zeros_like(target[0])
    parts = shuffled_parts(x, PARTS, run)
    for i, left_out in enumerate(parts):
        cells = all_but(parts, i)
        x_mean = x[cells].mean(0)
        y_mean = target[cells].mean(0)
        inputs = x[cells] - x_mean
        outputs = target[cells] - y_mean
        kept = choose(inputs, outputs)
        teacher = Teacher(new, inputs[:, kept].contiguous(), outputs, run, n_members=1)
        new_inputs = x[left_out] - x_mean
        predicted = teacher.predict(new_inputs[:, kept].contiguous())
        products += (predicted * (target[left_out] - y_mean)).sum(0)
        squares += predicted.square().sum(0)
    together = (products.sum() / squares.sum().clamp(min=1e-12)).clamp(0, 1)
    prior = PRIOR_CELLS / len(x) * squares.mean()
    slopes = (products + prior * together) / (squares + prior).clamp(min=1e-12)
    return slopes.clamp(0, 1)
