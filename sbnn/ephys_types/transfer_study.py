"""Transfer from mouse to human, measured: without human types, and with few of them."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types.base import lightgbm
from sbnn.ephys_types.family_attention import TransferAttentionClassifier
from sbnn.ephys_types.kernel_logistic import KernelLogistic
from sbnn.ephys_types.report import CONTROL, WITHOUT
from sbnn.ephys_types.transfer import (
    ALIGNMENTS,
    SourcePriorClassifier,
    ZeroShotClassifier,
    physiological_scale,
    two_experts,
)
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


def run_zero_shot(source, target, results=None, fresh=False, seeds=SEEDS):
    """Types of all cells of a target species from those of a source, by every alignment, in both directions; a Record.

    The scores of the way from mouse to human are those of settings that were chosen in sight of them (scales,
    alignment, pseudo cells), so they are what can be had at best, and not what a first look would give; see
    ``benchmarks/ephys_types_tries.md``.
    """
    data, (source, target) = (source, target), map(as_typed, (source, target))
    wanted = Record("zero-shot", target.name, target.sha256, [{}], seeds[0])
    wanted.settings = {"source": source.name, "source_sha256": source.sha256, "seeds": list(seeds), "version": VERSION}
    return load_or_compute(wanted, lambda: _zero_shot(*data, seeds), results, fresh)


def _zero_shot(source, target, seeds):
    species = [as_typed(to_shared_features(data)) for data in (source, target)]
    source, target = as_typed(source), as_typed(target)
    cells = [(physiological_scale(data.X, data.feature_names), data.y) for data in species]
    rows, kept, classes = [], {}, np.union1d(*(types for _, types in cells)).astype(str)
    ways = {f"{source.name} -> {target.name}": cells, f"{target.name} -> {source.name}": cells[::-1]}
    for way, ((X, y), (target_X, types)) in ways.items():
        for alignment in ALIGNMENTS:
            for seed in seeds:
                model = ZeroShotClassifier(alignment=alignment, random_state=seed).fit(X, y, target_X)
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
    source, target, results=None, fresh=False, sizes=SIZES, seeds=SEEDS, draws=DRAWS, models=None, network=None
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
    data, (source, target) = (source, target), map(as_typed, (source, target))
    wanted = Record("learning-curves", target.name, target.sha256, [{"model": name} for name in models], seeds[0])
    wanted.settings = {
        "source": source.name, "source_sha256": source.sha256, "sizes": list(sizes), "seeds": list(seeds),
        "draws": draws, "version": VERSION,
        "models": {name: described(model) for name, model in models.items()}, "network": described(network),
    }  # fmt: skip
    return load_or_compute(wanted, lambda: _curves(*data, sizes, seeds, draws, models, network), results, fresh)


def learners():
    """Models of the learning curves, by name."""
    return {"kernel": KernelLogistic(C=10.0, gamma=0.1), "trees": lightgbm(random_state=0)}


def _curves(source, target, sizes, seeds, draws, models, network):
    source_shared, target_shared = (as_typed(to_shared_features(data)) for data in (source, target))
    target = as_typed(target)
    shared_cells = source_shared, target_shared
    source_cells = physiological_scale(source_shared.X, source_shared.feature_names), source_shared.y
    shared = physiological_scale(target_shared.X, target_shared.feature_names)
    types, classes, rows = target.y, np.unique(target.y), []
    for seed in seeds:
        for fold, (train, test) in enumerate(donor_folds(target, N_FOLDS, seed)):
            for size, draw in ((n, draw) for n in sizes for draw in range(draws if n else 1)):
                known, others = _drawn(train, types, size, np.random.default_rng([seed, fold, size or 0, draw]))
                helper = SourcePriorClassifier().fit(
                    shared[known], types[known], source=source_cells, unlabelled=shared[others] if len(others) else None
                )
                prior = helper.prior_proba(shared[test])
                # A second expert of the settings of the prior, of the target's own labelled cells.
                control = clone(helper.prior_).fit(helper.prior_features(shared[known]), types[known])
                second = control.predict_proba(helper.prior_features(shared[test]))
                key = {"n_cells": len(known), "seed": seed, "fold": fold, "draw": draw}
                said = {("source", "transfer"): prior}
                for name, model in models.items():
                    own = clone(model).fit(target.X[known], types[known]).predict_proba(target.X[test])
                    said[name, WITHOUT] = own
                    said[name, CONTROL] = two_experts(own, second, helper.power_)
                    said[name, "transfer"] = two_experts(own, prior, helper.power_)
                if draw == 0:
                    said |= _by_networks(network, shared_cells, known, others, test, types, seed)
                for (name, method), probabilities in said.items():
                    predicted = helper.classes_[probabilities.argmax(1)]
                    rows.append({"model": name, "method": method} | key | _scores(types[test], predicted, classes))
    return {"scores": pd.DataFrame(rows)}


def _by_networks(network, shared_cells, known, others, test, types, seed):
    """Probabilities of networks on the shared features: of the target alone, and helped by the source in two ways."""
    source, target = shared_cells
    said, unlabelled = {}, {"unlabelled": target.X[others]} if len(others) else {}
    for method, way in ((WITHOUT, "joint"), ("pretrained", "pretrained"), ("joint", "joint")):
        model = clone(network).set_params(way=way, random_state=seed)
        help = {} if method == WITHOUT else {"source": (source.X, source.y)}
        model.fit(target.X[known], types[known], target.families, **help, **unlabelled)
        said["attention, shared features", method] = model.predict_proba(target.X[test])
    return said


def _drawn(train, types, size, random):
    """Labelled cells and the others, of the training cells; the former have some cells of every type."""
    if size is None or size >= len(train):
        return train, train[:0]
    names, counts = np.unique(types[train], return_counts=True)
    if size < FEWEST_OF_A_TYPE * len(names) or counts.min() < FEWEST_OF_A_TYPE:
        raise ValueError(
            f"sizes: {size} labelled cells cannot hold {FEWEST_OF_A_TYPE} of each type; of the training cells "
            f"{', '.join(f'{n} are {name}' for name, n in zip(names, counts, strict=True))}"
        )
    while True:
        order = random.permutation(train)
        found, counts = np.unique(types[order[:size]], return_counts=True)
        if len(found) == len(np.unique(types[train])) and counts.min() >= FEWEST_OF_A_TYPE:
            return order[:size], order[size:]
