"""The published protocol for many networks at once: the same stages, cells and draws, in batched matrix products.

A GPU is idle most of the time while it trains one small network. Here every tensor has an axis of members in front, so
a step of hundreds of networks takes as many kernel launches as a step of one. Each member draws what it would draw
alone, in the same order; only the order of floating-point sums differs. Members may differ in fold, seed, penalty and
learning rate. Where one has fewer cells than another, it is padded with cells of weight zero, and rests in the steps
beyond its last batch.
"""

from itertools import groupby
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.utils import check_random_state

from sbnn.models.bottleneck.gene_prior import GenePrior, most_important
from sbnn.models.bottleneck.network import Ensemble, Gradient
from sbnn.models.bottleneck.protocols.base import Trained
from sbnn.models.bottleneck.protocols.paper import (
    new_network,
    paper_stages,
    pretraining_cells,
    pretraining_labels,
)
from sbnn.models.bottleneck.training import ADAM_EPSILON, ALIVE

CELLS_AT_ONCE = 256  # of every member, where no gradient is needed


class Draws(NamedTuple):
    """What chance decides in one fit, apart from the numbers of its generator.

    Attributes
    ----------
    seed : int
        Of the generator of the weights and of the order of the cells.
    labels : ndarray of int, shape (n,), or None
        Clusters of the pretraining; None without pretraining.
    cells : tuple of ndarray, or None
        Positions of the cells that the pretraining trains on, and of those that it watches.
    """

    seed: int
    labels: np.ndarray | None
    cells: tuple | None


class Member(NamedTuple):
    """One network to be trained.

    Attributes
    ----------
    settings : SparseBottleneckRegressor
        Its parameters.
    fold : int
        Position of its cells among the folds.
    draws : Draws
        Members that hold the same object draw the same numbers; they are drawn once.
    """

    settings: object
    fold: int
    draws: Draws


def draw(settings, target):
    """Draw from the random state of a fit what it draws before the training.

    Parameters
    ----------
    settings : SparseBottleneckRegressor
    target : tensor, shape (n, q)
        Scaled outputs of the training cells.

    Returns
    -------
    Draws
    """
    random = check_random_state(settings.random_state)
    seed = int(random.randint(2**31 - 1))
    labels = pretraining_labels(settings, target, random)
    return Draws(seed, labels, None if labels is None else pretraining_cells(labels, random))


def train(members, folds, progress=None):
    """Train many networks by the published protocol.

    Parameters
    ----------
    members : list of Member
        Their parameters differ in nothing but `group_lasso`, `learning_rate` and `random_state`.
    folds : list of tuple (x, target, eval_set)
        Of each fold the tensors that `train` of the module `paper` takes, all on one device; all eval sets may be None.
    progress : callable, optional
        Called with the number of finished epochs.

    Returns
    -------
    list of Trained
        In the order of the members. Networks are on the device of the folds.
    """
    # Some folds may have too few cells for clusters: their networks follow other stages.
    with_labels = [m.draws.labels is not None for m in members]
    results = [None] * len(members)
    for pretraining in (True, False):
        # Neighbours of one learning rate and size are stepped together.
        chosen = sorted((i for i, has in enumerate(with_labels) if has == pretraining), key=lambda i: _kin(members[i]))
        if chosen:
            trained = _train_alike([members[i] for i in chosen], folds, pretraining, progress)
            for i, result in zip(chosen, trained, strict=True):
                results[i] = result
    return results


def _kin(member):
    settings, cells = member.settings, member.draws.cells
    return settings.learning_rate, settings.group_lasso > 0, 0 if cells is None else len(cells[0]), member.fold


def _train_alike(members, folds, pretraining, progress):
    """Train members with the same stages."""
    settings = members[0].settings
    prior = GenePrior.of(settings, folds[0][0].shape[1])
    device, (p, n_outputs) = folds[0][0].device, (folds[0][0].shape[1], folds[0][1].shape[1])
    draws = list({id(m.draws): m.draws for m in members}.values())
    source = [next(i for i, d in enumerate(draws) if d is m.draws) for m in members]
    generators = [torch.Generator().manual_seed(d.seed) for d in draws]
    networks = [
        new_network(settings, p, n_outputs, d.labels, g).to(device) for d, g in zip(draws, generators, strict=True)
    ]
    classes = [n.weights[-1].shape[1] for n in networks]
    if pretraining:
        for one in networks:
            _widen(one, max(classes))
    network = Ensemble([networks[s] for s in source])
    trainer = _Trainer(network, generators, source, settings.batch_size, settings.weight_decay, progress)

    cells = _Cells.of(members, [fold[:2] for fold in folds])
    watched = None if folds[0][2] is None else _Cells.of(members, [fold[2] for fold in folds])
    support, norms = np.ones((len(members), p), dtype=bool), None
    for stages in zip(*(_stages(m.settings, pretraining) for m in members), strict=True):
        if stages[0].classify:
            train, watch = (cells.labelled(members, part, max(classes)) for part in (0, 1))
            trainer.run(stages, train, watch, [classes[s] for s in source])
            for one, generator in zip(networks, generators, strict=True):
                one.replace_head(n_outputs, generator)
            network.replace_head([networks[s] for s in source])
            continue
        if stages[0].name == "fine-tuning":
            norms = network.input_norms().cpu().numpy()
        if stages[0].n_genes is not None:
            kept = np.stack([most_important(row, stages[0].n_genes, prior) for row in norms])
            np.put_along_axis(support := np.zeros_like(support), kept, True, axis=1)
            kept = torch.as_tensor(kept, device=device)
            network.keep_inputs(kept)
            cells, watched = (c and c.with_genes(kept) for c in (cells, watched))
        trainer.run(stages, cells, watched)
    return [Trained(network.member(i), support[i], norms[i], rows) for i, rows in enumerate(trainer.history)]


def _stages(settings, pretraining):
    return paper_stages(settings.group_lasso, settings.n_genes, pretraining, settings.epochs, settings.learning_rate)


def _widen(network, n_classes):
    """Give a network more classes, of weight zero: they stay zero, since their probability is kept at zero."""
    weights, biases = list(network.weights), list(network.biases)
    more = (0, n_classes - len(biases[-1]))
    weights[-1], biases[-1] = F.pad(weights[-1].detach(), more), F.pad(biases[-1].detach(), more)
    network._lay_out(weights, biases)


class _Cells(NamedTuple):
    """Cells that every member trains on or watches: positions in arrays that the members share.

    Attributes
    ----------
    x : tensor, shape (rows, width)
    y : tensor, shape (rows of its own, q)
        Outputs, or one column per class.
    x_rows, y_rows : tensor of int, shape (members, n)
        Where the cells of each member are; members with fewer cells are padded with any.
    counts : ndarray of int, shape (members,)
        Cells without the padding, which comes last.
    """

    x: torch.Tensor
    y: torch.Tensor
    x_rows: torch.Tensor
    y_rows: torch.Tensor
    counts: np.ndarray

    @classmethod
    def of(cls, members, sets):
        """All cells of each member's fold, from the pairs (x, y) of the folds."""
        starts = np.cumsum([0, *(len(x) for x, _ in sets)])
        rows, counts = _padded([np.arange(starts[m.fold], starts[m.fold + 1]) for m in members])
        x, y = (torch.cat(parts) for parts in zip(*sets, strict=True))
        rows = rows.to(x.device)
        return cls(x, y, rows, rows, counts)

    def labelled(self, members, part, n_classes):
        """Cells of the pretraining (part 0) or watched during it (part 1), with their clusters; None without any."""
        chosen = [m.draws.cells[part] for m in members]
        rows, counts = _padded(chosen)
        if not rows.shape[1]:
            return None
        labels, _ = _padded([m.draws.labels[cells] for m, cells in zip(members, chosen, strict=True)])
        y = F.one_hot(labels.to(self.x.device), n_classes).to(self.x.dtype)
        return self._replace(
            x_rows=self.x_rows.gather(1, rows.to(self.x.device)), y=y.flatten(0, 1), y_rows=_own_rows(y), counts=counts
        )

    def with_genes(self, kept):
        """The same cells with the genes that each member keeps, shape (members, k)."""
        return self._with_x(self.x[self.x_rows[:, :, None], kept[:, None]])

    def after(self, network, layers):
        """The same cells as they leave the first layers of each member."""
        return self._with_x(torch.cat([network(x, last=layers) for x, _, _ in self.blocks()], 1)) if layers else self

    def _with_x(self, x):
        return self._replace(x=x.flatten(0, 1), x_rows=_own_rows(x))

    def mask(self):
        """1 for cells and 0 for padding, shape (members, n, 1)."""
        counts = torch.as_tensor(self.counts, device=self.x.device)
        places = torch.arange(self.x_rows.shape[1], device=self.x.device)
        return (places < counts[:, None]).to(self.x.dtype)[:, :, None]

    def blocks(self):
        """Inputs, targets and mask of some cells of all members after the other."""
        mask = self.mask()
        for start in range(0, self.x_rows.shape[1], CELLS_AT_ONCE):
            part = slice(start, start + CELLS_AT_ONCE)
            yield self.x[self.x_rows[:, part]], self.y[self.y_rows[:, part]], mask[:, part]


def _padded(lists):
    """One row per list of whole numbers, filled up with zeros at the end; and their lengths."""
    counts = np.array([len(numbers) for numbers in lists])
    rows = np.zeros((len(lists), counts.max()), dtype=np.int64)
    for row, numbers in zip(rows, lists, strict=True):
        row[: len(numbers)] = numbers
    return torch.as_tensor(rows), counts


def _own_rows(values):
    """Rows of an array of shape (members, n, ...) once the first two axes are one."""
    return torch.arange(values[..., 0].numel(), device=values.device).view(values.shape[:2])


class _Trainer:
    """Runs stages on all members, as `sbnn.models.bottleneck.training.Trainer` does on one network."""

    def __init__(self, network, generators, source, batch_size, weight_decay, progress):
        self.network = network
        self.generators = generators
        self.source = source  # the generator of each member
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.progress = progress
        self.history = [[] for _ in source]

    @torch.no_grad()
    def run(self, stages, cells, watched, classes=None):
        """Train through one stage; `classes` are the numbers of classes where it classifies."""
        first, classify, size = stages[0].frozen, stages[0].classify, self.batch_size
        cells = cells.after(self.network, first)
        watched = watched and watched.after(self.network, first)
        device, (n_members, n) = cells.x.device, cells.x_rows.shape
        starts = np.arange(0, n, size)
        present = np.clip(cells.counts - starts[:, None], 0, size)  # cells of each member in each batch
        padded = (present < np.minimum(size, n - starts)[:, None]).any(1)
        each = 1 if classify else 2 / cells.y.shape[1]
        scale = np.divide(each, present, out=np.zeros(present.shape), where=present > 0)
        scale = torch.as_tensor(scale, dtype=cells.x.dtype, device=device)[:, :, None, None]
        mask, absent = cells.mask(), self._absent_classes(classes, cells)
        source = torch.as_tensor(self.source, device=device)
        gradient = Gradient(self.network, first)
        step = _AdamSteps(gradient, stages, -(-cells.counts // size), self.weight_decay)
        losses, records = cells.x.new_zeros(len(starts), n_members), []
        for _ in range(stages[0].epochs):
            order = self._order(n, cells.counts).to(device)[source]
            x_order, y_order = cells.x_rows.gather(1, order), cells.y_rows.gather(1, order)
            for batch, start in enumerate(starts):
                part = slice(start, start + size)
                output, target = gradient.forward(cells.x[x_order[:, part]]), cells.y[y_order[:, part]]
                loss, delta = _cross_entropy(output, target, absent) if classify else _squared_error(output, target)
                if padded[batch]:
                    loss, delta = loss * mask[:, part], delta * mask[:, part]
                torch.sum(loss, (1, 2), out=losses[batch])
                gradient.backward(delta.mul_(scale[batch]))
                step(batch)
            records.append(self._measure(losses.sum(0), watched, first, absent, classify))
            if self.progress is not None:
                self.progress(len(self.history[0]) + len(records))
        self._record(stages, records, cells, watched)

    def _order(self, n, counts):
        """Cells of an epoch for every generator; the padding stays last."""
        order = torch.arange(n).repeat(len(self.generators), 1)
        count = dict(zip(self.source, counts, strict=True))
        for i, generator in enumerate(self.generators):
            order[i, : count[i]] = torch.randperm(int(count[i]), generator=generator)
        return order

    @staticmethod
    def _absent_classes(classes, cells):
        """What makes classes that a member does not have impossible, shape (members, 1, classes); None for none."""
        n_classes = cells.y.shape[1]
        if classes is None or min(classes) == n_classes:
            return None
        absent = torch.arange(n_classes) >= torch.as_tensor(classes)[:, None]
        return (absent * -1e30).to(cells.x)[:, None]  # finite, so that zero times its logarithm is zero

    def _measure(self, loss, watched, first, absent, classify):
        """What an epoch leaves, on the device: rows of numbers, one for each member."""
        norms = self.network.input_norms()
        alive = (norms > ALIVE * norms.amax(1, keepdim=True)).sum(1)
        error = torch.zeros_like(loss)
        for x, target, mask in watched.blocks() if watched else ():
            output = self.network(x, first=first)
            watched_loss, _ = _cross_entropy(output, target, absent) if classify else _squared_error(output, target)
            error += (watched_loss * mask).sum((1, 2))
        return torch.stack([loss, norms.sum(1), alive.to(loss), error])

    def _record(self, stages, records, cells, watched):
        """Write the history of a stage; the only time that the numbers leave the device."""
        if not records:
            return
        classify = stages[0].classify
        records = torch.stack(records).cpu().numpy().astype(float)
        per_cell = 1 if classify else cells.y.shape[1]
        sums = [None if c is None or classify else _sum_of_squares(c) for c in (cells, watched)]
        for i, stage in enumerate(stages):
            for epoch, (loss, norms, alive, error) in enumerate(records[:, :, i]):
                row = {
                    "stage": stage.name,
                    "epoch": epoch,
                    "loss": loss / (per_cell * cells.counts[i]),
                    "penalty": stage.group_lasso * norms,
                    "r2": np.nan if classify else 1 - loss / sums[0][i],
                    "eval_loss": np.nan,
                    "eval_r2": np.nan,
                    "genes_alive": int(alive),
                }
                if watched is not None and watched.counts[i]:
                    row["eval_loss"] = error / (per_cell * watched.counts[i])
                    row["eval_r2"] = np.nan if classify else 1 - error / sums[1][i]
                self.history[i].append(row)


def _sum_of_squares(cells):
    return sum((y.square() * mask).sum((1, 2)) for _, y, mask in cells.blocks()).cpu().numpy().astype(float)


def _squared_error(output, target):
    """Squared residuals, and half their gradient."""
    residual = output.sub_(target)
    return residual.square(), residual


def _cross_entropy(output, target, absent):
    """Terms of the cross-entropy, and their gradient."""
    log_p = F.log_softmax(output if absent is None else output.add_(absent), 2)
    return log_p.mul(target).neg_(), log_p.exp_().sub_(target)


class _AdamSteps:
    """Optimiser steps of all members, with the penalties' gradients added; members rest after their last batch."""

    def __init__(self, gradient, stages, n_batches, weight_decay):
        self.weight, self.weight_gradient = gradient.network_weights[0], gradient.weights[0]
        lasso = [stage.group_lasso if stage.frozen == 0 else 0.0 for stage in stages]
        self.lasso = torch.tensor(lasso).to(self.weight)[:, None, None] if any(lasso) else None
        pairs = [
            (values, slopes)
            for one, other in (
                (gradient.network_weights, gradient.weights),
                (gradient.network_biases, gradient.biases),
            )
            for values, slopes in zip(one, other, strict=True)
        ]
        alike = [(s.learning_rate, bool(strength), n) for s, strength, n in zip(stages, lasso, n_batches, strict=True)]
        self.optimizers = []
        for (rate, penalised, batches), run in groupby(range(len(stages)), alike.__getitem__):
            run = list(run)
            parameters = [_parameter(*pair, slice(run[0], run[-1] + 1)) for pair in pairs]
            groups = [{"params": parameters[penalised:], "weight_decay": 2 * weight_decay}]
            if penalised:
                groups.append({"params": parameters[:1]})
            self.optimizers.append((batches, torch.optim.Adam(groups, lr=rate, eps=ADAM_EPSILON, fused=True)))

    def __call__(self, batch):
        if self.lasso is not None:
            norms = torch.linalg.vector_norm(self.weight, dim=2, keepdim=True).clamp_min_(1e-12)
            self.weight_gradient.addcmul_(self.weight, self.lasso / norms)
        for batches, optimizer in self.optimizers:
            if batch < batches:
                optimizer.step()


def _parameter(values, slopes, members):
    parameter = torch.nn.Parameter(values[members], requires_grad=False)
    parameter.grad = slopes[members]
    return parameter
