"""Accuracy of transfer from one species to another, with few or no labels in the target."""

from itertools import product

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.ephys_features import to_shared_features
from sbnn.data.typed_cells import as_typed
from sbnn.ephys_types import transfer
from sbnn.ephys_types.classification import label_scores
from sbnn.ephys_types.report import CONTROL, WITHOUT
from sbnn.evaluation.folds import SEEDS, repeated_donor_folds
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SIZES = (25, 50, 100, 200, None)
# of `ZeroShotClassifier`; the predictions of the first one are stored
ALIGNMENTS = ("shift", "own", "source")
N_FOLDS = 5
FEWEST_OF_A_TYPE = 2  # minimum number of labelled cells of each type; draws with fewer are repeated
# version of both experiments; incremented whenever the same settings give different numbers
VERSION = 2


def zero_shot(source, target, seeds=SEEDS, results=None, overwrite=False):
    """Predict types of one species from another, in both directions and with three alignments.

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
    species = as_typed(source), as_typed(target)
    wanted = _unanswered("zero-shot", *species, [{}], seeds)

    def compute():
        shared = [as_typed(to_shared_features(data)) for data in (source, target)]
        scores = []
        predictions = []
        for i, j in ((0, 1), (1, 0)):
            start = shared[i]
            end = shared[j]
            way = f"{species[i].name} -> {species[j].name}"
            X = _scaled(start)
            target_X = _scaled(end)
            classes = np.union1d(start.y, end.y).astype(str)
            for alignment, seed in product(ALIGNMENTS, seeds):
                model = transfer.ZeroShotClassifier(alignment=alignment, random_state=seed)
                probabilities = model.fit(X, start.y, target_X).predict_proba(target_X)
                row = {"way": way, "method": alignment, "seed": seed}
                row |= _scores(end.y, model.classes_[probabilities.argmax(1)], classes)
                if model.shares_ is not None:
                    names = [f"share {name}" for name in model.classes_]
                    row |= dict(zip(names, model.shares_, strict=True))
                scores.append(row)
                predictions.append((probabilities, model.classes_.astype(str)))
        # from source to target, with the first alignment and the first seed
        first_probabilities, first_classes = predictions[0]
        return {
            "scores": pd.DataFrame(scores),
            "types": shared[1].y,
            "test_probabilities": first_probabilities,
            "classes": first_classes,
        }

    return load_or_compute(wanted, compute, results, overwrite)


def _scaled(shared):
    """Shared features on scales on which differences have one meaning."""
    return transfer.physiological_scale(shared.X, shared.feature_names)


def _unanswered(experiment, source, target, params, seeds, **settings):
    """Record without values, which identifies an experiment."""
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
        Cells of two species. The target is split into five folds, which keep the cells of a donor
        together.
    models : dict of str to classifier
        Each model is fitted to all features of the labelled target cells. It is scored alone and in
        combination with a classifier of the source.
    network : TransferAttentionClassifier
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
    """Probabilities by model and method, from classifiers of target cells and of source cells.

    A classifier of all features of the target predicts alone, with a second expert that is trained
    on the target, and with one that is trained on the source.
    """
    target_X = _scaled(target)
    types = target.y[known]
    helper = transfer.SourcePriorClassifier()
    helper.fit(target_X[known], types, (_scaled(source), source.y), target_X[others])
    tested = helper.prior_features(target_X[test])
    prior = helper.prior_.predict_proba(tested)
    # A second expert with the settings of the prior, fitted to the labelled target cells.
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
    """Probabilities of networks on the shared features: of the target alone, and in both ways."""
    training = target.X[known], target.y[known], target.families
    both = source.X, source.y
    predicted = {}
    for method, given in ((WITHOUT, None), ("pretrained", both), ("joint", both)):
        model = clone(network)
        if given is not None:
            model.set_params(way=method)
        model.fit(*training, given, target.X[others])
        predicted["attention, shared features", method] = model.predict_proba(target.X[test])
    return predicted


def labelled_cells(folds, types, sizes, draws):
    """Yield seed, fold and draw as a dict, labelled and other training cells, and test cells.

    `folds` maps a seed to its folds. Cells are positions. With None among the `sizes`, all training
    cells are labelled, so there is only one draw, draw 0.
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
    """Labelled and other training cells; the labelled ones include cells of every type."""
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
