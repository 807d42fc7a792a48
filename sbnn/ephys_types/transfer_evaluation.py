"""Accuracy of transfer from one species to another, with few or no labels in the target."""

from itertools import product

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import transfer
from sbnn.ephys_types.classification import label_scores
from sbnn.ephys_types.folds import SEEDS, repeated_donor_folds
from sbnn.ephys_types.report import CONTROL, WITHOUT
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SIZES = (25, 50, 100, 200, None)
ALIGNMENTS = ("shift", "own", "source")  # predictions of the first one are stored
N_FOLDS = 5
FEWEST_OF_A_TYPE = 2  # labelled cells; draws with fewer are repeated
VERSION = 2  # incremented whenever the same settings give other numbers


def zero_shot(source, target, seeds=SEEDS, results=None, overwrite=False):
    """Predict types of one species from another, in both directions, with three alignments.

    Parameters
    ----------
    source, target : AnnData of typed cells
        Of two species; only shared features are used.
    seeds : sequence of int
        Of the classifier.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``scores`` has a row for each direction, alignment and seed, with the estimated shares.

    Notes
    -----
    Settings were chosen knowing the scores from mouse to human, which are optimistic.
    """
    species = as_typed(source), as_typed(target)
    wanted = _unanswered("zero-shot", *species, [{}], seeds)

    def compute():
        first = as_typed(to_shared_features(source))
        second = as_typed(to_shared_features(target))
        names = [data.name for data in species]
        there, predicted = _one_way(first, second, " -> ".join(names), seeds)
        back, _ = _one_way(second, first, " -> ".join(names[::-1]), seeds)
        return {"scores": pd.DataFrame(there + back), "types": second.y} | predicted

    return load_or_compute(wanted, compute, results, overwrite)


def _one_way(source, target, way, seeds):
    """Scores from one species to another, and the first predictions."""
    X = _scaled(source)
    target_X = _scaled(target)
    classes = np.union1d(source.y, target.y).astype(str)
    rows = []
    for alignment, seed in product(ALIGNMENTS, seeds):
        model = transfer.ZeroShotClassifier(alignment=alignment, random_state=seed)
        probabilities = model.fit(X, source.y, target_X).predict_proba(target_X)
        row = {"way": way, "method": alignment, "seed": seed}
        row |= _scores(target.y, model.classes_[probabilities.argmax(1)], classes)
        if model.shares_ is not None:
            names = [f"share {name}" for name in model.classes_]
            row |= dict(zip(names, model.shares_, strict=True))
        if not rows:
            found = {"test_probabilities": probabilities, "classes": model.classes_.astype(str)}
        rows.append(row)
    return rows, found


def _scaled(shared):
    return transfer.physiological_scale(shared.X, shared.feature_names)


def _unanswered(experiment, source, target, params, seeds, **settings):
    settings |= {
        "source": source.name,
        "source_sha256": source.sha256,
        "seeds": list(seeds),
        "version": VERSION,
    }
    return Record(experiment, target.name, target.sha256, params, seeds[0], settings)


def _scores(types, predicted, classes):
    found = label_scores(types, predicted, classes)
    return {name: found[name] for name in ("macro_f1", "accuracy")}


def learning_curves(
    source,
    target,
    models,
    network,
    *,
    sizes=SIZES,
    seeds=SEEDS,
    draws=4,
    results=None,
    overwrite=False,
):
    """Score classifiers of few labelled cells, with and without the cells of another species.

    Parameters
    ----------
    source, target : AnnData of typed cells
        Of two species. The target is split into five folds of donors.
    models : dict of str to classifier
        Fitted to all features of the labelled target cells; scored with and without a classifier of
        the source.
    network : TransferAttentionClassifier
        Fitted to the shared features.
    sizes : sequence of int or None
        Numbers of labelled training cells; None for all.
    seeds : sequence of int
        Of the sets of folds.
    draws : int
        Of labelled cells for each fold and size.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``scores`` has a row for each model, method, fold and draw.

    Notes
    -----
    Two classifiers are often better than one, whatever the second one was trained on. In a control,
    the second one is therefore fitted to the labelled target cells.
    """
    cells = as_typed(target)
    params = [{"model": name} for name in models]
    wanted = _unanswered(
        "learning-curves",
        as_typed(source),
        cells,
        params,
        seeds,
        sizes=list(sizes),
        draws=draws,
        models={name: described(model) for name, model in models.items()},
        network=described(network),
    )

    def compute():
        shared_source = as_typed(to_shared_features(source))
        shared = as_typed(to_shared_features(target))
        folds = repeated_donor_folds(cells, N_FOLDS, seeds)
        rows = []
        for key, known, others, test in labelled_cells(folds, cells.y, sizes, draws):
            drawn = known, others, test
            predicted = _by_experts(models, cells, shared_source, shared, *drawn)
            if key["draw"] == 0:
                seeded = clone(network).set_params(random_state=key["seed"])
                predicted |= _by_networks(seeded, shared_source, shared, *drawn)
            types = np.unique(cells.y[known])
            for (name, method), probabilities in predicted.items():
                row = {"model": name, "method": method, "n_cells": len(known)} | key
                found = types[probabilities.argmax(1)]
                rows.append(row | _scores(cells.y[test], found, np.unique(cells.y)))
        return {"scores": pd.DataFrame(rows)}

    return load_or_compute(wanted, compute, results, overwrite)


def _by_experts(models, cells, source, target, known, others, test):
    """Probabilities by model and method.

    Models predict alone, with a second classifier of the target, and with one of the source.
    """
    target_X = _scaled(target)
    types = target.y[known]
    helper = transfer.SourcePriorClassifier()
    helper.fit(target_X[known], types, (_scaled(source), source.y), target_X[others])
    tested = helper.prior_features(target_X[test])
    prior = helper.prior_.predict_proba(tested)
    second = clone(helper.prior_).fit(helper.prior_features(target_X[known]), types)
    second = second.predict_proba(tested)
    predicted = {("source", "transfer"): prior}
    for name, model in models.items():
        own = clone(model).fit(cells.X[known], types).predict_proba(cells.X[test])
        predicted[name, WITHOUT] = own
        predicted[name, CONTROL] = transfer.two_experts(own, second, helper.power_)
        predicted[name, "transfer"] = transfer.two_experts(own, prior, helper.power_)
    return predicted


def _by_networks(network, source, target, known, others, test):
    """Probabilities of networks on the shared features, without and with the source."""
    training = target.X[known], target.y[known], target.families
    predicted = {}
    for method in (WITHOUT, "pretrained", "joint"):
        model = clone(network)
        both = None
        if method != WITHOUT:
            model.set_params(way=method)
            both = source.X, source.y
        model.fit(*training, both, target.X[others])
        predicted["attention, shared features", method] = model.predict_proba(target.X[test])
    return predicted


def labelled_cells(folds, types, sizes, draws):
    """Yield seed, fold and draw as a dict, and positions of labelled, other and test cells.

    `folds` maps a seed to its folds. If all training cells are labelled, there is one draw.
    """
    for seed, splits in folds.items():
        for fold, (train, test) in enumerate(splits):
            for size in sizes:
                if size is None:
                    yield {"seed": seed, "fold": fold, "draw": 0}, train, train[:0], test
                    continue
                for draw in range(draws):
                    random = np.random.default_rng([seed, fold, size, draw])
                    known, others = _drawn(train, types, size, random)
                    yield {"seed": seed, "fold": fold, "draw": draw}, known, others, test


def _drawn(train, types, size, random):
    """Labelled cells, some of every type, and other training cells."""
    if size >= len(train):
        return train, train[:0]
    names, counts = np.unique(types[train], return_counts=True)
    if size < FEWEST_OF_A_TYPE * len(names) or counts.min() < FEWEST_OF_A_TYPE:
        raise ValueError(f"sizes: {size} cells cannot include {FEWEST_OF_A_TYPE} of each type")
    while True:
        order = random.permutation(train)
        found, counts = np.unique(types[order[:size]], return_counts=True)
        if len(found) == len(names) and counts.min() >= FEWEST_OF_A_TYPE:
            return order[:size], order[size:]
