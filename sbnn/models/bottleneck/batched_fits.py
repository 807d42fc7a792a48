"""Fits that differ in fold, penalty, learning rate or seed alone, trained at once: which, and how many."""

import gc
import json
import time
import warnings
from numbers import Integral

import numpy as np
import torch
from joblib import Parallel, delayed
from sklearn.base import clone

from sbnn.determinism import reproducible
from sbnn.models.bottleneck.number_of_genes import AUTO
from sbnn.models.bottleneck.parameters import check_params
from sbnn.models.bottleneck.protocols import paper_batched
from sbnn.models.bottleneck.protocols.paper import HIDDEN_LAYERS

MAY_DIFFER = ("group_lasso", "learning_rate", "random_state", "verbose")  # within an ensemble
MEMBERS_ON_CPU = 8  # more are hardly faster there
MOST_MEMBERS = 512  # more are hardly faster, and a killed run would lose more
MEMORY_FRACTION = 0.8  # of the free memory of the device, which the estimate of the need must not exceed


def is_trained_together(model, batched, X):
    """Tell whether a model is trained in an ensemble, and refuse what cannot be before any work.

    Parameters
    ----------
    model : SparseBottleneckRegressor
        One grid point.
    batched : bool or None
        None: if it is on a CUDA device.
    X : ndarray, shape (n, p)

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        If a device is asked for that is not there, if `batched` is True for a model that cannot be trained so, or if
        a parameter of a model that will be is out of range.
    """
    on_gpu = model._torch_device().type == "cuda"
    able = model.protocol == "paper" and not model.reconstruct and model.n_genes != AUTO
    if batched and not able:
        raise ValueError(
            f'batched: only protocol="paper" with reconstruct=False and a number of genes is trained in ensembles, '
            f"got {model!r}"
        )
    chosen = able and (on_gpu if batched is None else batched)
    if chosen:
        check_params(model, X)
    return chosen


def fit_together(models, folds, arrays, members_at_once=None, n_jobs=1):
    """Fit one model per pair of parameters and fold, many at once.

    Models that differ in more than penalty, learning rate and seed form several ensembles. Where the memory of the
    device does not suffice, an ensemble is halved.

    Parameters
    ----------
    models : list of SparseBottleneckRegressor
        See `is_trained_together`; they stay unfitted.
    folds : list of int
        The fold of each.
    arrays : callable
        Fold -> (X_train, Y_train, X_test, Y_test).
    members_at_once : int, optional
        Largest ensemble. By default what the free memory of a CUDA device holds, at most 512; 8 on a CPU.
    n_jobs : int
        Processes for the clusters of the pretraining, of which every fold and seed needs some.

    Yields
    ------
    list of tuple (position, model, arrays, seconds)
        A finished ensemble: position in `models`, the fitted model, the arrays of its fold, and its share of the CPU
        seconds of this process.

    Raises
    ------
    MemoryError
        If not even one network fits into the memory of the device.
    """
    alike = {}
    for i, model in enumerate(models):
        shared = {k: repr(v) for k, v in model.decisive_params().items() if k not in MAY_DIFFER}
        alike.setdefault(json.dumps(shared, sort_keys=True), []).append(i)
    for group in alike.values():
        queue = sorted(group, key=folds.__getitem__)  # so that few folds are in memory together
        known, at_once = {}, members_at_once
        while queue:
            if at_once is None:
                at_once = _members_that_fit(models[queue[0]], arrays(folds[queue[0]]))
            now, started, problem = queue[:at_once], time.process_time(), None
            try:
                finished = _fit(now, models, folds, arrays, known, n_jobs)
            except torch.OutOfMemoryError as error:
                problem = str(error)  # not the error itself: its traceback holds the tensors
            if problem is None:
                seconds = (time.process_time() - started) / len(now)
                yield [(i, model, cells, seconds) for i, model, cells in finished]
                queue = queue[len(now) :]
                continue
            gc.collect()
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            device = models[now[0]]._torch_device()
            if len(now) == 1:
                raise MemoryError(f"device: not even one network fits into the memory of {device}: {problem}")
            at_once = len(now) // 2
            warnings.warn(
                f"{len(now)} networks do not fit into the memory of {device}: going on with {at_once}", stacklevel=2
            )


def _fit(now, models, folds, arrays, known, n_jobs):
    """Train one ensemble; `known` keeps what was drawn, for other ensembles of the same folds and seeds."""
    settings = [models[i] for i in now]
    numbers = {f: k for k, f in enumerate(dict.fromkeys(folds[i] for i in now))}
    with reproducible(settings[0].n_threads), settings[0]._progress() as progress:
        cells = {f: arrays(f) for f in numbers}
        ready = {f: clone(settings[0]).set_params(random_state=0, verbose=0) for f in numbers}
        scaled = {f: ready[f]._prepare(*cells[f][:2], cells[f][2:])[:3] for f in numbers}
        names = [_same_draws(models[i], folds[i], i) for i in now]
        missing = {name: i for name, i in zip(names, now, strict=True) if name not in known}
        drawn = Parallel(n_jobs=n_jobs)(
            delayed(_draw)(clone(models[i]), scaled[folds[i]][1].cpu()) for i in missing.values()
        )
        known.update(zip(missing, drawn, strict=True))
        members = [
            paper_batched.Member(models[i], numbers[folds[i]], known[name]) for i, name in zip(now, names, strict=True)
        ]
        results = paper_batched.train(members, [scaled[f] for f in numbers], progress)
    return [
        (i, _trained(models[i], ready[folds[i]], result), cells[folds[i]])
        for i, result in zip(now, results, strict=True)
    ]


def _same_draws(model, fold, i):
    """Name of what a fit draws; a random state that is an object is drawn from by one fit only."""
    return (fold, int(model.random_state)) if isinstance(model.random_state, Integral) else (fold, "fit", i)


def _draw(model, target):
    with reproducible(model.n_threads):
        return paper_batched.draw(model, target)


def _trained(model, ready, result):
    """A model with its own parameters, the scales of its fold, and what the training gave."""
    fitted, learned = clone(model), vars(ready).keys() - ready.get_params().keys()
    for name in learned:
        setattr(fitted, name, getattr(ready, name))
    fitted._keep(result)
    return fitted


def _members_that_fit(model, cells):
    """Networks that train at once in the free memory of the device of a model."""
    device = model._torch_device()
    if device.type != "cuda":
        return MEMBERS_ON_CPU
    (n, p), q = cells[0].shape, cells[1].shape[1]
    hidden = HIDDEN_LAYERS if model.hidden_layers is None else tuple(model.hidden_layers)
    heads = max(q, model.n_clusters)
    widths = [p, *hidden, model.n_components, *hidden[::-1], heads]
    n_weights = sum((a + 1) * b for a, b in zip(widths, widths[1:], strict=False))
    n_genes = p if model.n_genes is None else model.n_genes
    numbers = 5 * n_weights  # weights, gradients, two moments of Adam, and a copy while layers are replaced
    numbers += model.batch_size * 4 * sum(widths)
    numbers += (n + len(cells[2])) * (sum(hidden[1:2]) + n_genes + heads + 8)  # inputs of the stages, orders
    numbers += paper_batched.CELLS_AT_ONCE * (p + 3 * max(widths[1:]))
    free = torch.cuda.mem_get_info(device)[0] + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
    return int(np.clip(MEMORY_FRACTION * free / (4 * numbers), 1, MOST_MEMBERS))
