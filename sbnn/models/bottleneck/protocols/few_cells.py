"""The distilled protocol for few cells: nothing is chosen on held-out cells, and more models are
averaged.

Inputs are clipped, genes are chosen to predict outputs that were denoised using all genes, and the
teacher is trained on all cells. The student is the same as with many cells, but its predictions are
shrunk according to held-out error.
"""

# If genes are chosen on all training cells, R2 on held-out training cells is far too high,
# especially with few cells (with 30 cells, 0.5 compared with 0.1 on new cells). The noise levels
# and weights of the teacher are therefore fixed. With few cells, ridge regression on all genes is
# hard to beat, since it averages over hundreds of noisy genes. Its predictions are therefore used
# to choose the genes, with a penalty that favours informative genes even if they are redundant.

from functools import partial

import numpy as np
import torch

from sbnn.models.bottleneck.protocols.greedy import forward_selection, grow_forest
from sbnn.models.bottleneck.training import networks_of_teacher
from sbnn.models.linear import LeaveOneOutRidge

# number of parts of the cells; each is held out once to estimate the shrinkage of predictions
PARTS = 5
# weight, as a number of cells, of the prior assumption that all outputs need the same shrinkage
PRIOR_CELLS = 60
# Number of trees, and number of genes that the trees use: the genes with the largest ridge
# coefficients.
DENOISING_TREES, DENOISING_GENES = 40, 1000


def input_limits(X, limit):
    """Minimum and maximum of each gene, but at most `limit` SDs from the mean of the gene."""
    mean, reach = X.mean(0, dtype=np.float64), limit * X.std(0, dtype=np.float64)
    x_min, x_max = X.min(0), X.max(0)
    return np.maximum(x_min, mean - reach).astype(X.dtype), np.minimum(x_max, mean + reach).astype(
        X.dtype
    )


def choose_genes(X, Y, n_genes, run):
    """Positions of up to `n_genes` genes that best summarise the predictions from all genes."""
    clean = denoised(X, Y, run.random)
    penalty = run.settings.few_cells_penalty * len(X)
    return forward_selection(X, clean - clean.mean(0), n_genes, penalty, run.prior)


def denoised(X, Y, random):
    """Outputs predicted from all genes, shape (n, q): the mean of the predictions of ridge regression and trees."""
    # The predictions are in-sample: when genes were chosen with held-out predictions, R2 was lower
    # by 0.01 to 0.1.
    ridge = LeaveOneOutRidge().fit(X, Y)
    some = X[:, np.argsort(-np.square(ridge.coef_).sum(0), kind="stable")[:DENOISING_GENES]]
    forest = grow_forest(some, Y, DENOISING_TREES, random, bootstrap=True)
    return (ridge.predict(X) + forest.predict(some).reshape(Y.shape)) / 2


class Teacher:
    """Mean of extremely randomised trees and of networks with medium or strong input noise, trained on all cells."""

    def __init__(self, new, x, target, run, n_members=None):
        settings = run.settings
        # number of networks at each noise level, and of sets of `n_trees` trees
        n_members = n_members or settings.n_teachers
        self.noise, self.networks = max(settings.few_cells_noises), []
        members = [torch.arange(len(x), device=x.device)] * n_members
        for noise in settings.few_cells_noises:
            self.networks += networks_of_teacher(new, x, target, run, noise, members)
        self.forest = grow_forest(
            x.cpu().numpy(), target.cpu().numpy(), n_members * settings.n_trees, run.random
        )

    @torch.no_grad()
    def predict(self, x):
        """Predict outputs of shape (m, q) for cells given as a tensor of shape (m, k)."""
        by_networks = sum(network(x) for network in self.networks) / len(self.networks)
        by_trees = torch.as_tensor(self.forest.predict(x.cpu().numpy())).to(by_networks)
        return (by_networks + by_trees.reshape(by_networks.shape)) / 2


def shrinkage(new, x, target, choose, run):
    """Factors between 0 and 1, one per output; predictions are multiplied by them to reduce the error for new cells."""
    # With few cells, a model can fit anything, so its predictions vary as much for an output that
    # no gene explains as for any other output. Therefore, each part of the cells is held out in
    # turn, and genes are chosen and a small teacher is trained without this part. The factor is the
    # slope of the regression of held-out outputs on their predictions, shrunk towards the slope for
    # all outputs together.
    parts = (
        torch.randperm(len(x), generator=run.generator)
        .to(x.device)
        .tensor_split(min(PARTS, len(x)))
    )
    products, squares = torch.zeros_like(target[0]), torch.zeros_like(target[0])
    for i, left_out in enumerate(parts):
        cells = torch.cat(parts[:i] + parts[i + 1 :])
        x_mean, y_mean = x[cells].mean(0), target[cells].mean(0)
        some, outputs = x[cells] - x_mean, target[cells] - y_mean
        kept = choose(some, outputs)
        teacher = Teacher(
            partial(new, len(kept)), some[:, kept].contiguous(), outputs, run, n_members=1
        )
        predicted = teacher.predict((x[left_out] - x_mean)[:, kept].contiguous())
        products += (predicted * (target[left_out] - y_mean)).sum(0)
        squares += predicted.square().sum(0)
    together = (products.sum() / squares.sum().clamp(min=1e-12)).clamp(0, 1)
    prior = PRIOR_CELLS / len(x) * squares.mean()
    return ((products + prior * together) / (squares + prior).clamp(min=1e-12)).clamp(0, 1)
