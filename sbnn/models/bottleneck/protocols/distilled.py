"""The distilled protocol: a Gaussian process chooses the genes, and the network learns from a
better predictor.

Forward selection and a Gaussian process choose the genes. A teacher, consisting of trees and wide
networks, is trained on these genes. The student, which has the narrow bottleneck, learns the
teacher's predictions for artificial cells. The module `few_cells` contains the protocol for few
cells.
"""

# The published protocol underfits with 25 genes, while the same network overfits if it is trained
# directly on these genes. R2 depends mainly on the chosen genes and on smoothing, and little on the
# width of the bottleneck. Distillation: Hinton, Vinyals and Dean, arXiv 1503.02531 (2015). Input
# noise as regularisation: Bishop, Neural Computation 7, 108 (1995).

from functools import partial

import numpy as np
import torch

from sbnn.models.bottleneck.gene_prior import GenePrior
from sbnn.models.bottleneck.network import BottleneckNetwork
from sbnn.models.bottleneck.protocols import few_cells
from sbnn.models.bottleneck.protocols.gaussian_process import RelevanceProcess, most_relevant
from sbnn.models.bottleneck.protocols.greedy import cells_behind, forward_selection, grow_forest
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.bottleneck.training import Run, Trained, networks_of_teacher, train_with_noise

PARAMETERS = ("distillation",)
HIDDEN_LAYERS = (64, 64, 64)
COMPARED = 3  # number of held-out parts of the cells on which noise levels are compared
# number of measured cells in a step of the student, which also uses twice as many labelled cells
MEASURED_AT_ONCE = 64


def algorithm_version(model, n_cells):
    """Version of the algorithm; see `SparseBottleneckRegressor.algorithm_version`."""
    # 2. With few cells, nothing is chosen on held-out cells from this version on.
    # 3. With few cells, clipped genes are rescaled to their original SD. With over 100 cells, genes
    # are mixed less.
    # 4. With few cells, predictions are shrunk according to held-out error.
    # 5. Noise levels are compared on fewer parts of the cells, and a step of the student uses half
    # as many cells.
    return 5


def input_limits(model, X):
    """Limits to which genes are clipped: the range in the training cells or, with few cells, a narrower range."""
    settings = model.distillation or DistilledSettings()
    if len(X) <= settings.few_cells:
        return few_cells.input_limits(X, settings.few_cells_limit)
    return X.min(0), X.max(0)


def train(model, x, target, random, generator, eval_set=None, progress=None):
    """Train a network on scaled expression, shape (n, p), and scaled outputs, shape (n, q).

    The returned history describes the training of the student.
    """
    settings = model.distillation or DistilledSettings()
    run = Run(settings, random, generator, GenePrior.of(model, x.shape[1]))
    hidden_layers = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    kept = choose_genes(x, target, model.n_genes, run)
    support = np.isin(np.arange(x.shape[1]), kept)
    all_genes, x = x, x[:, kept].contiguous()
    eval_set = eval_set and (eval_set[0][:, kept].contiguous(), eval_set[1])

    def new(n_kept, width=settings.teacher_width):
        return BottleneckNetwork(
            n_kept, target.shape[1], width, hidden_layers, "silu", generator=generator
        )

    few = len(x) <= settings.few_cells
    teacher = (few_cells.Teacher if few else Teacher)(partial(new, len(kept)), x, target, run)
    most_mixed = few and len(x) <= settings.fewest_cells
    augmented = augment(x, settings.few_cells_swapped if most_mixed else settings.swapped, run)
    network = new(len(kept), model.n_components).to(x.device)
    history = train_with_noise(
        network,
        x,
        target,
        teacher.noise,
        generator,
        n_steps=settings.steps_of_student,
        learning_rate=settings.rate_of_student,
        labelled=(augmented, teacher.predict(augmented)),
        settings=settings,
        eval_set=eval_set,
        progress=progress,
        batch_size=MEASURED_AT_ONCE,
    )
    if few:
        choose = partial(choose_genes, n_genes=model.n_genes, run=run)
        network.scale_outputs(few_cells.shrinkage(new, all_genes, target, choose, run))
    norms = np.zeros(len(support))
    norms[support] = network.input_norms().cpu().numpy()
    return Trained(network, support, norms, history)


def choose_genes(x, target, n_genes, run):
    """Sorted positions of the genes on which a Gaussian process of the outputs depends most (all if n_genes=None)."""
    (n, p), settings = x.shape, run.settings
    if n_genes is None or n_genes == p:
        return np.arange(p)
    if n > settings.most_cells:
        cells = np.sort(run.random.choice(n, settings.most_cells, replace=False))
        x, target = x[cells], target[cells]
        x, target = x - x.mean(0), target - target.mean(0)
    few = n <= settings.few_cells
    cells_wanted = settings.few_cells_of_a_gene if few else settings.fewest_cells_of_a_gene
    usable = np.flatnonzero(cells_behind(x) >= min(cells_wanted, n / 6))
    x, prior = x[:, usable], run.prior and run.prior.among(usable)
    X, Y = x.cpu().numpy(), target.cpu().numpy()
    if few:
        chosen = few_cells.choose_genes(X, Y, n_genes, run._replace(prior=prior))
    else:
        # If there are hardly more cells than genes, a Gaussian process with all genes could fit any
        # outputs.
        n_screened = min(max(settings.screened_genes, 2 * n_genes), max(n_genes, len(X) // 2))
        screened = np.sort(forward_selection(X, Y, n_screened, prior=prior))
        n_relevant = max(n_genes, settings.fewest_relevant)
        process = RelevanceProcess(x[:, screened].contiguous(), target, settings)
        chosen = screened[most_relevant(process, n_relevant, prior and prior.among(screened))]
        if len(chosen) > n_genes:
            some = x[:, chosen].contiguous()
            denoised = (
                RelevanceProcess(some, target, settings)
                .fit(settings.process_steps[0])
                .predict(some)
            )
            denoised = (denoised - denoised.mean(0)).cpu().numpy()
            best = forward_selection(
                X[:, chosen], denoised, n_genes, prior=prior and prior.among(chosen)
            )
            chosen = chosen[best]
    chosen = usable[chosen]
    # If many genes are requested, the remaining genes may all be copies of chosen genes; it does
    # not matter which of them are added.
    left = np.append(np.setdiff1d(usable, chosen), np.setdiff1d(np.arange(p), usable))
    return np.sort(np.append(chosen, left[: n_genes - len(chosen)]))


class Teacher:
    """Mixture of extremely randomised trees and of networks trained with input noise; `new` builds a network."""

    # Every network and every forest is trained on all but one of the `n_teachers` parts of the
    # cells. The noise level is chosen by the error on the first `COMPARED` left-out parts: starting
    # from the usual level, weaker levels are tried as long as the error decreases, and then
    # stronger levels in the same way. The share of the trees in the mixture minimises the error on
    # all left-out parts, and is shrunk towards one half.

    def __init__(self, new, x, target, run):
        settings = run.settings
        # The generator shuffles the cells, so that all randomness of a fit has one source on every
        # device.
        parts = (
            torch.randperm(len(x), generator=run.generator)
            .to(x.device)
            .tensor_split(settings.n_teachers)
        )
        self.noise, noises, tried = (
            settings.usual_noise,
            settings.noises,
            {noise: [] for noise in settings.noises},
        )

        # for each of the first `n_parts` parts, a network trained without this part, and its
        # residuals
        def fits(noise, n_parts):
            left_out = range(len(tried[noise]), n_parts)
            tried[noise] += (
                _networks_without(parts, new, x, target, run, noise, left_out) if left_out else []
            )
            return tried[noise][:n_parts]

        def error(found):
            return sum(float(residual.square().sum()) for _, residual in found)

        usual, n_compared = noises.index(self.noise), min(COMPARED, len(parts))
        for others in (noises[:usual][::-1], noises[usual + 1 :]):
            for noise in others:
                if error(fits(noise, n_compared)) >= error(fits(self.noise, n_compared)):
                    break
                self.noise = noise
        self.networks, of_networks = zip(*fits(self.noise, len(parts)), strict=True)
        fitted = [_forest_without(parts, x, target, run, part) for part in range(len(parts))]
        self.forests, of_forests = zip(*fitted, strict=True)
        self.weight = _weight_of_second(
            torch.cat(of_networks), torch.cat(of_forests), settings.prior_cells
        )

    @torch.no_grad()
    def predict(self, x):
        """Predict outputs of shape (m, q) for cells given as a tensor of shape (m, k)."""
        by_networks = sum(network(x) for network in self.networks) / len(self.networks)
        cells = x.cpu().numpy()
        by_forests = torch.as_tensor(
            sum(forest.predict(cells) for forest in self.forests) / len(self.forests)
        )
        return torch.lerp(
            by_networks, by_forests.to(by_networks).reshape(by_networks.shape), self.weight
        )


def _networks_without(parts, new, x, target, run, noise, left_out):
    """Networks that are each trained on all parts of the cells but one, with their residuals on the left-out part."""
    members = [torch.cat(parts[:part] + parts[part + 1 :]) for part in left_out]
    networks = networks_of_teacher(new, x, target, run, noise, members)
    watched = [parts[part][: run.settings.watched_cells] for part in left_out]
    with torch.no_grad():
        return [
            (network, network(x[cells]) - target[cells])
            for network, cells in zip(networks, watched, strict=True)
        ]


def _forest_without(parts, x, target, run, part):
    """Trees grown on all parts of the cells but one, and their residuals on the left-out part."""
    left_out, cells = (
        parts[part][: run.settings.watched_cells],
        torch.cat(parts[:part] + parts[part + 1 :]),
    )
    cells = cells[: run.settings.most_cells_of_trees]
    forest = grow_forest(
        x[cells].cpu().numpy(), target[cells].cpu().numpy(), run.settings.n_trees, run.random
    )
    wanted = target[left_out]
    if not len(left_out):
        return forest, wanted
    predicted = torch.as_tensor(forest.predict(x[left_out].cpu().numpy())).to(wanted)
    return forest, predicted.reshape(wanted.shape) - wanted


def _weight_of_second(first, second, prior_cells):
    """Weight of the second prediction that minimises the error of a mixture of two, given residuals of shape (n, q)."""
    difference = first - second
    best = float((first * difference).sum() / difference.square().sum().clamp(min=1e-12))
    # The weight is shrunk towards one half by a prior that counts as much as `prior_cells` cells.
    return (len(first) * min(max(best, 0.0), 1.0) + prior_cells / 2) / (len(first) + prior_cells)


def augment(x, swapped, run):
    """Artificial cells of shape (n_augmented, k): measured cells with noise and a share of genes from other cells."""
    n, generator = run.settings.n_augmented, run.generator
    first, second = (
        torch.randint(len(x), (n,), generator=generator).to(x.device) for _ in range(2)
    )
    shape = (n, x.shape[1])
    others = (torch.rand(shape, generator=generator) < swapped).to(x.device)
    noise = torch.randn(shape, generator=generator).to(x.device)
    return torch.where(others, x[second], x[first]).add_(
        noise, alpha=run.settings.augmentation_noise
    )
