"""Transfer from mouse to human, measured: without human types, and with few of them."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import transfer
from sbnn.ephys_types.base import lightgbm
from sbnn.ephys_types.family_attention import TransferAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.report import CONTROL, WITHOUT
from sbnn.evaluation.classification import label_scores
from sbnn.evaluation.folds import SEEDS, donor_folds
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SIZES = (25, 50, 100, 200, None)  # labelled cells; None: all of a training fold
N_FOLDS = 5
DRAWS = 4  # of the labelled cells of a fold, for each size
FEWEST_OF_A_TYPE = 2  # labelled cells, without which a draw is repeated
VERSION = 2  # of both experiments: raised whenever the same settings come to give other numbers


def run_zero_shot(source, target, results=None, overwrite=False, seeds=SEEDS):
    """Types of all cells of a target species from those of a source, by every alignment, in both directions; a Record.

    The scores of the way from mouse to human are those of settings that were chosen in sight of them (scales,
    alignment, pseudo cells), so they are what can be had at best, and not what a first look would give; see
    ``benchmarks/ephys_types_tries.md``.
    """
    wanted = _question("zero-shot", source, target, [{}], seeds)
    return load_or_compute(wanted, lambda: _zero_shot(source, target, seeds), results, overwrite)


def _question(experiment, source, target, params, seeds, **settings):
    source, target = as_typed(source), as_typed(target)
    of_source = {"source": source.name, "source_sha256": source.sha256, "seeds": list(seeds), "version": VERSION}
    return Record(experiment, target.name, target.sha256, params, seeds[0], of_source | settings)


def _zero_shot(source, target, seeds):
    shared = [as_typed(to_shared_features(data)) for data in (source, target)]
    cells = [(transfer.physiological_scale(its.X, its.feature_names), its.y) for its in shared]
    source, target = as_typed(source).name, as_typed(target).name
    rows, kept, classes = [], {}, np.union1d(*(types for _, types in cells)).astype(str)
    ways = {f"{source} -> {target}": cells, f"{target} -> {source}": cells[::-1]}
    for way, ((X, y), (target_X, types)) in ways.items():
        for alignment in transfer.ALIGNMENTS:
            for seed in seeds:
                model = transfer.ZeroShotClassifier(alignment=alignment, random_state=seed).fit(X, y, target_X)
                probabilities = model.predict_proba(target_X)
                row = {"way": way, "method": alignment, "seed": seed}
                row |= _scores(types, model.classes_[probabilities.argmax(1)], classes)
                if model.shares_ is not None:
                    row |= {f"share {name}": share for name, share in zip(model.classes_, model.shares_, strict=True)}
                rows.append(row)
                if not kept and alignment == "shift":
                    kept = {"test_probabilities": probabilities, "classes": model.classes_.astype(str), "types": types}
    return {"scores": pd.DataFrame(rows), **kept}


def _scores(types, predicted, classes):
    found = label_scores(types, predicted, classes)
    return {name: found[name] for name in ("macro_f1", "accuracy")}


def run_learning_curves(
    source, target, results=None, overwrite=False, sizes=SIZES, seeds=SEEDS, draws=DRAWS, models=None, network=None
):
    """Score models of few labelled cells of a target, helped by a source and without, on the same cells; a Record.

    Folds keep donors together. Labelled cells are drawn from the training cells of a fold, the same ones for every
    model; the others count as cells without types. With help and without, a model has the same settings, sees the same
    cells, and nothing is stopped early.

    Two classifiers are often better than one, wherever the second was trained. The control tells that from transfer: a
    classifier of the settings of the prior, fitted to the labelled cells' shared features in place of the source's, is
    multiplied in at the same power.
    """
    models = learners() if models is None else models
    network = TransferAttentionClassifier() if network is None else network
    of_models = {"models": {name: described(model) for name, model in models.items()}, "network": described(network)}
    params = [{"model": name} for name in models]
    wanted = _question("learning-curves", source, target, params, seeds, sizes=list(sizes), draws=draws, **of_models)
    how = source, target, sizes, seeds, draws, models, network
    return load_or_compute(wanted, lambda: _curves(*how), results, overwrite)


def learners():
    """Models of the learning curves, by name."""
    return {"kernel": KernelLogistic(C=10.0, gamma=0.1), "trees": lightgbm(random_state=0)}


def _curves(source, target, sizes, seeds, draws, models, network):
    of_source, of_target = (as_typed(to_shared_features(data)) for data in (source, target))
    mouse, shared = (transfer.physiological_scale(its.X, its.feature_names) for its in (of_source, of_target))
    target, rows = as_typed(target), []
    types, classes = target.y, np.unique(target.y)
    for seed, fold, draw, known, others, test in _draws(target, sizes, seeds, draws):
        unlabelled = shared[others] if len(others) else None
        helper = transfer.SourcePriorClassifier().fit(shared[known], types[known], (mouse, of_source.y), unlabelled)
        first, tested = helper.prior_features(shared[known]), helper.prior_features(shared[test])
        prior = helper.prior_.predict_proba(tested)
        # A second expert of the settings of the prior, of the target's own labelled cells.
        second = clone(helper.prior_).fit(first, types[known]).predict_proba(tested)
        said = {("source", "transfer"): prior}
        for name, model in models.items():
            own = clone(model).fit(target.X[known], types[known]).predict_proba(target.X[test])
            said[name, WITHOUT] = own
            said[name, CONTROL] = transfer.two_experts(own, second, helper.power_)
            said[name, "transfer"] = transfer.two_experts(own, prior, helper.power_)
        if draw == 0:
            said |= _by_networks(network, seed, of_source, of_target, known, others, test)
        key = {"n_cells": len(known), "seed": seed, "fold": fold, "draw": draw}
        for (name, method), probabilities in said.items():
            scores = _scores(types[test], helper.classes_[probabilities.argmax(1)], classes)
            rows.append({"model": name, "method": method} | key | scores)
    return {"scores": pd.DataFrame(rows)}


def _by_networks(network, seed, source, target, known, others, test):
    """Probabilities of networks on the shared features: of the target alone, and helped by the source in two ways."""
    said, unlabelled = {}, target.X[others] if len(others) else None
    for method, way in ((WITHOUT, "joint"), ("pretrained", "pretrained"), ("joint", "joint")):
        help = None if method == WITHOUT else (source.X, source.y)
        model = clone(network).set_params(way=way, random_state=seed)
        model.fit(target.X[known], target.y[known], target.families, source=help, unlabelled=unlabelled)
        said["attention, shared features", method] = model.predict_proba(target.X[test])
    return said


def _draws(target, sizes, seeds, draws):
    """Seed, fold and draw; labelled cells and the others of the training cells, and the test cells."""
    for seed in seeds:
        for fold, (train, test) in enumerate(donor_folds(target, N_FOLDS, seed)):
            for size in sizes:
                for draw in range(draws if size else 1):
                    random = np.random.default_rng([seed, fold, size or 0, draw])
                    yield seed, fold, draw, *_drawn(train, target.y, size, random), test


def _drawn(train, types, size, random):
    """Labelled cells and the others, of the training cells; the former have some cells of every type."""
    if size is None or size >= len(train):
        return train, train[:0]
    names, counts = np.unique(types[train], return_counts=True)
    if size < FEWEST_OF_A_TYPE * len(names) or counts.min() < FEWEST_OF_A_TYPE:
        raise ValueError(f"sizes: {size} labelled cells cannot hold {FEWEST_OF_A_TYPE} of each of {', '.join(names)}")
    while True:
        order = random.permutation(train)
        drawn = types[order[:size]]
        if all((drawn == name).sum() >= FEWEST_OF_A_TYPE for name in names):
            return order[:size], order[size:]
