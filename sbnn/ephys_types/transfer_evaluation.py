"""Accuracy of transfer from one species to another, with few or no labels in the target."""

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import transfer
from sbnn.ephys_types.classification import label_scores
from sbnn.ephys_types.family_attention import TransferAttentionClassifier
from sbnn.ephys_types.report import CONTROL, WITHOUT
from sbnn.evaluation.folds import SEEDS, repeated_donor_folds
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SIZES = (25, 50, 100, 200, None)
N_FOLDS = 5
FEWEST_OF_A_TYPE = 2  # minimum number of labelled cells of each type; draws with fewer are repeated
# version of both experiments; incremented whenever the same settings give different numbers
VERSION = 2


def zero_shot(source, target, seeds=SEEDS, results=None, overwrite=False):
    """Predict the types of all cells of one species from another species, in both directions and
    with three alignments.

    Parameters
    ----------
    source, target : AnnData of typed cells
        Cells of two species; only features that both species share are used.
    seeds : sequence of int
        Seeds of the classifier (see `ZeroShotClassifier`).
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``scores`` has a row for each direction, alignment and seed, with the estimated shares of
        the types.

    Notes
    -----
    The settings (scales, alignment, pseudo-cells) were chosen with knowledge of the scores from
    mouse to human, so these scores are optimistic; see ``benchmarks/ephys_types_tries.md``.
    """
    both = [as_typed(data) for data in (source, target)]

    def compute():
        shared = [as_typed(to_shared_features(data)) for data in (source, target)]
        cells = [(transfer.physiological_scale(its.X, its.feature_names), its.y) for its in shared]
        there, back = (" -> ".join(its.name for its in way) for way in (both, both[::-1]))
        return _scores_of_alignments({there: cells, back: cells[::-1]}, seeds)

    return load_or_compute(_question("zero-shot", *both, [{}], seeds), compute, results, overwrite)


def _question(experiment, source, target, params, seeds, **settings):
    of_source = {
        "source": source.name,
        "source_sha256": source.sha256,
        "seeds": list(seeds),
        "version": VERSION,
    }
    return Record(experiment, target.name, target.sha256, params, seeds[0], of_source | settings)


def _scores_of_alignments(ways, seeds):
    """Scores for each direction in `ways` (cells and types of both species); probabilities for the first direction."""
    rows, kept = [], {}
    for way, ((X, y), (target_X, types)) in ways.items():
        classes = np.union1d(y, types).astype(str)
        for alignment in ("shift", "own", "source"):
            for seed in seeds:
                model = transfer.ZeroShotClassifier(alignment=alignment, random_state=seed).fit(
                    X, y, target_X
                )
                probabilities = model.predict_proba(target_X)
                scores = _scores(types, model.classes_[probabilities.argmax(1)], classes)
                row = {"way": way, "method": alignment, "seed": seed} | scores
                if model.shares_ is not None:
                    row |= {
                        f"share {name}": share
                        for name, share in zip(model.classes_, model.shares_, strict=True)
                    }
                rows.append(row)
                if not kept and alignment == "shift":
                    kept = {
                        "test_probabilities": probabilities,
                        "classes": model.classes_.astype(str),
                        "types": types,
                    }
    return {"scores": pd.DataFrame(rows), **kept}


def _scores(types, predicted, classes):
    found = label_scores(types, predicted, classes)
    return {name: found[name] for name in ("macro_f1", "accuracy")}


def learning_curves(
    source,
    target,
    models,
    network=None,
    *,
    sizes=SIZES,
    seeds=SEEDS,
    draws=4,
    results=None,
    overwrite=False,
):
    """Score classifiers fitted to a few labelled cells of one species, with and without the cells
    of another species.

    Parameters
    ----------
    source, target : AnnData of typed cells
        Cells of two species. The target is split into five folds, which keep the cells of a donor
        together.
    models : dict of str to classifier
        Each model is fitted to all features of the labelled target cells. It is scored alone and in
        combination with a classifier of the source.
    network : TransferAttentionClassifier, optional
        Network that is fitted to the shared features.
    sizes : sequence of int or None
        Numbers of labelled cells, which are drawn from the training cells of a fold and are the
        same for every model. The other training cells are used without their types. With None, all
        training cells are labelled.
    seeds : sequence of int
        Seeds of the sets of folds.
    draws : int
        Number of draws of labelled cells in each fold, for each size.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``scores`` has a row for each model, method, fold and draw.

    Notes
    -----
    A model has the same settings and test cells with and without the source, and there is no early
    stopping. Two classifiers are often better than one, no matter what the second one was trained
    on. A control separates this effect from transfer: the prior is replaced by a classifier that
    has the same settings and the same power but is fitted to the shared features of the labelled
    target cells.
    """
    network = TransferAttentionClassifier() if network is None else network
    of_models = {
        "models": {name: described(model) for name, model in models.items()},
        "network": described(network),
    }
    settings = {"sizes": list(sizes), "draws": draws} | of_models
    of_source, cells = as_typed(source), as_typed(target)
    wanted = _question(
        "learning-curves", of_source, cells, [{"model": name} for name in models], seeds, **settings
    )

    def compute():
        shared, rows = [as_typed(to_shared_features(data)) for data in (source, target)], []
        folds = repeated_donor_folds(cells, N_FOLDS, seeds)
        for seed, fold, draw, *drawn in labelled_cells(folds, cells.y, sizes, draws):
            predicted = _by_experts(models, cells, *shared, *drawn)
            if draw == 0:
                predicted |= _by_networks(
                    clone(network).set_params(random_state=seed), *shared, *drawn
                )
            known, _, test = drawn
            types = np.unique(cells.y[known])
            key = {"n_cells": len(known), "seed": seed, "fold": fold, "draw": draw}
            for (name, method), probabilities in predicted.items():
                scores = _scores(cells.y[test], types[probabilities.argmax(1)], np.unique(cells.y))
                rows.append({"model": name, "method": method} | key | scores)
        return {"scores": pd.DataFrame(rows)}

    return load_or_compute(wanted, compute, results, overwrite)


def _by_experts(models, cells, source, target, known, others, test):
    """Probabilities from classifiers of target cells: alone, with a second target expert, and with a source expert."""
    mouse, human = (
        transfer.physiological_scale(its.X, its.feature_names) for its in (source, target)
    )
    types, unlabelled = target.y[known], human[others] if len(others) else None
    helper = transfer.SourcePriorClassifier().fit(
        human[known], types, (mouse, source.y), unlabelled
    )
    first, tested = helper.prior_features(human[known]), helper.prior_features(human[test])
    prior = helper.prior_.predict_proba(tested)
    # A second expert with the settings of the prior, fitted to the labelled target cells.
    second = clone(helper.prior_).fit(first, types).predict_proba(tested)
    predicted = {("source", "transfer"): prior}
    for name, model in models.items():
        own = clone(model).fit(cells.X[known], types).predict_proba(cells.X[test])
        predicted[name, WITHOUT] = own
        predicted[name, CONTROL] = transfer.two_experts(own, second, helper.power_)
        predicted[name, "transfer"] = transfer.two_experts(own, prior, helper.power_)
    return predicted


def _by_networks(network, source, target, known, others, test):
    """Probabilities from networks on the shared features: trained on the target, or on both species in two ways."""
    predicted, unlabelled = {}, target.X[others] if len(others) else None
    for method, way in ((WITHOUT, "joint"), ("pretrained", "pretrained"), ("joint", "joint")):
        help = None if method == WITHOUT else (source.X, source.y)
        model = clone(network).set_params(way=way)
        model.fit(
            target.X[known], target.y[known], target.families, source=help, unlabelled=unlabelled
        )
        predicted["attention, shared features", method] = model.predict_proba(target.X[test])
    return predicted


def labelled_cells(folds, types, sizes, draws):
    """Yield seed, fold and draw, followed by labelled training cells, other training cells, and
    test cells.

    Some cells of every type are labelled.
    """
    for seed, its in folds.items():
        for fold, (train, test) in enumerate(its):
            for size in sizes:
                for draw in range(draws if size else 1):
                    random = np.random.default_rng([seed, fold, size or 0, draw])
                    yield seed, fold, draw, *_drawn(train, types, size, random), test


def _drawn(train, types, size, random):
    """Labelled and other training cells; the labelled ones include cells of every type."""
    if size is None or size >= len(train):
        return train, train[:0]
    names, counts = np.unique(types[train], return_counts=True)
    if size < FEWEST_OF_A_TYPE * len(names) or counts.min() < FEWEST_OF_A_TYPE:
        raise ValueError(
            f"sizes: {size} cells cannot include {FEWEST_OF_A_TYPE} of each type ({', '.join(names)})"
        )
    while True:
        order = random.permutation(train)
        drawn = types[order[:size]]
        if all((drawn == name).sum() >= FEWEST_OF_A_TYPE for name in names):
            return order[:size], order[size:]
