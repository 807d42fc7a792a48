"""Cross-validate any scikit-learn-style classifier of cell types, and measure the importance of feature families."""

import inspect
import time
import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.base import clone
from sklearn.metrics import confusion_matrix, f1_score
from tqdm.auto import tqdm

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.determinism import reproducible
from sbnn.errors import attempt, check_number
from sbnn.evaluation.folds import SEEDS, deal_donors, folds_of, labels_of
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import fit_all, in_workers, load_or_compute
from sbnn.results import Record

#: Lower bound for probabilities in the log loss of all models, needed because forests predict 0 for
#: rare types.
LEAST_PROBABILITY = 1e-3
LOSSES = ("macro_f1", "log_loss")
N_SHUFFLES = 10


def cross_validate_classifier(
    estimator, data, folds=None, n_jobs=1, *, target="type", seed=0, **options
):
    """Fit and score a classifier of typed cells on every fold of every repeat.

    Parameters
    ----------
    estimator : classifier
        A scikit-learn-style classifier with ``predict_proba``. If its ``fit`` takes ``families``,
        the families of the features are passed; if it takes ``groups``, the donors are passed,
        unless ``estimator.power`` is a number.
    data : AnnData of typed cells
    folds : dict of int to folds, or list of (training, test) positions, optional
        Sets of folds, keyed by seed, or a single set of folds, whose seed is `seed`. An estimator
        whose ``random_state`` is None is seeded with the seed of the set of folds. The default is
        three sets of five folds, which keep the cells of a donor together.
    n_jobs : int
    target : str
        Column of ``data.obs``.
    seed : int
    **options
        ``results``, ``overwrite`` and ``verbose``, as in `sbnn.cross_validate`.

    Returns
    -------
    Record
        The scores ``macro_f1``, ``accuracy``, ``balanced_accuracy`` and ``log_loss`` have shape
        (folds, 1), and ``f1`` has shape (folds, 1, classes). ``test_predictions[0][fold]`` holds
        the predicted types of the test cells, as positions in ``classes``, and
        ``test_probabilities[0][fold]`` holds the probabilities of all types. ``true`` holds the
        label of every cell, and ``repeats`` holds the seed of each fold.
    """
    attempt(
        "estimator: expected a classifier with predict_proba", getattr, estimator, "predict_proba"
    )
    data = as_typed(data)
    y = labels_of(data, target)
    classes = np.unique(y)
    folds = {s: deal_donors(data, y, 5, s) for s in SEEDS} if folds is None else folds
    folds = {
        s: folds_of(its, len(y))
        for s, its in (folds if isinstance(folds, dict) else {seed: folds}).items()
    }
    by_seed = {s: configured(estimator, {}, s) for s in folds}
    repeats = [int(s) for s, its in folds.items() for _ in its]
    folds = folds_of([fold for its in folds.values() for fold in its], len(y))
    models = [by_seed[s] for s in repeats]
    extra = extra_of(estimator, data)
    besides = {
        name: fingerprint_arrays(np.asarray(value, str))
        for name, value in ({"labels": y} | extra).items()
    }
    besides["target"] = target
    names = {
        "feature_names": data.feature_names,
        "cell_names": data.cell_names,
        "classes": classes,
        "true": y,
    }
    names |= {
        "repeats": np.array(repeats),
        "family_names": [str(name) for name in dict.fromkeys(data.families)],
    }
    wanted = Record(
        "classification", data.name, data.sha256, [{}], seed, {"target": target}, folds, names
    )

    def plan(done):
        left = [f for f in range(len(folds)) if (0, f) not in done]
        return [
            delayed(_fit_and_score)(f, models[f], data.X, y, classes, folds[f], extra) for f in left
        ]

    return fit_all(wanted, [models], plan, estimator, "none", besides, n_jobs=n_jobs, **options)


def extra_of(estimator, data):
    """Arguments that `fit` takes in addition to X and y."""
    takes = inspect.signature(estimator.fit).parameters
    extra = {"families": data.families} if "families" in takes else {}
    if "groups" in takes and getattr(estimator, "power", "groups") == "groups":
        extra["groups"] = np.asarray(data.labels.get("donor", data.cell_names), dtype=str)
    return extra


def fit_on(model, X, y, cells, extra):
    """Fit a model to some of the cells, and pass families and groups if its `fit` takes them."""
    of_cells = {"groups": extra["groups"][cells]} if "groups" in extra else {}
    return model.fit(X[cells], y[cells], **extra | of_cells)


def _fit_and_score(f, model, X, y, classes, fold, extra):
    """Fit and score one fold; returns the outcome with its position in the record. Runs in a worker."""
    train, test = fold
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", message="X does not have valid feature names|X is unlike the training cells"
        )
        started = time.process_time()
        fit_on(model, X, y, train, extra)
        seconds = time.process_time() - started
        probabilities = class_probabilities(model, X[test], classes)
        predicted = np.asarray(model.predict(X[test]), dtype=str)
        outcome = {"seconds": seconds, **scores(y[test], predicted, probabilities, classes)}
        outcome["test_predictions"] = np.searchsorted(classes, predicted).astype(np.int16)
        outcome["test_probabilities"] = probabilities.astype(np.float32)
    return [((0, f), outcome)]


def class_probabilities(model, X, classes):
    """Probabilities of shape (n, n_classes), in the order of `classes`; 0 for a class without training cells."""
    probabilities = np.zeros((len(X), len(classes)))
    probabilities[:, np.searchsorted(classes, np.asarray(model.classes_, dtype=str))] = (
        model.predict_proba(X)
    )
    return probabilities


def scores(true, predicted, probabilities, classes):
    """Scores of the predictions for some cells, as `cross_validate_classifier` stores them for each fold."""
    clipped = np.clip(probabilities, LEAST_PROBABILITY, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    of_true = clipped[np.arange(len(true)), np.searchsorted(classes, true)]
    return label_scores(true, predicted, classes) | {"log_loss": float(-np.log(of_true).mean())}


def label_scores(true, predicted, classes):
    """Scores of predicted labels; F1 is NaN for a class that is not the true or predicted label of any cell."""
    f1 = f1_score(true, predicted, labels=classes, average=None, zero_division=0)
    there = np.isin(classes, true)
    f1[~there & ~np.isin(classes, predicted)] = np.nan
    hit = predicted == true
    balanced = np.mean([hit[true == name].mean() for name in classes[there]])
    found = {"macro_f1": np.nanmean(f1), "accuracy": hit.mean(), "balanced_accuracy": balanced}
    return {name: float(score) for name, score in found.items()} | {"f1": f1}


def repeats_of(record):
    """For each set of folds, a tuple: positions of the test cells, true and predicted labels, and probabilities."""
    found = []
    for seed in dict.fromkeys(record.repeats.tolist()):
        folds = np.flatnonzero(record.repeats == seed)
        parts = [
            (record.folds[f][1], record.test_predictions[0][f], record.test_probabilities[0][f])
            for f in folds
        ]
        cells, predicted, probabilities = map(np.concatenate, zip(*parts, strict=True))
        found.append(
            (cells, record.true[cells], record.classes[predicted], probabilities.astype(np.float64))
        )
    return found


def repeat_means(record, metric="macro_f1"):
    """Mean of a metric over the folds of each repeat, ndarray of shape (repeats,)."""
    return (
        pd.Series(record.values[metric][:, 0]).groupby(record.repeats, sort=False).mean().to_numpy()
    )


def confusion_counts(record):
    """Number of cells by true class (rows) and predicted class (columns), averaged over the repeats."""
    repeats = repeats_of(record)
    tables = [
        confusion_matrix(true, predicted, labels=record.classes)
        for _, true, predicted, _ in repeats
    ]
    return np.mean(tables, axis=0)


def calibration(record, n_bins=10):
    """Table of accuracy by confidence, and the expected calibration error (Guo et al., ICML 2017)."""
    _, true, _, probabilities = map(np.concatenate, zip(*repeats_of(record), strict=True))
    confidence = probabilities.max(axis=1)
    hit = record.classes[probabilities.argmax(axis=1)] == true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    by = pd.DataFrame(
        {"confidence": confidence, "accuracy": hit.astype(float), "share": 1 / len(hit)}
    ).groupby(bins)
    table = by.agg({"confidence": "mean", "accuracy": "mean", "share": "sum"}).reset_index(
        drop=True
    )
    return table, float((table["share"] * (table["accuracy"] - table["confidence"]).abs()).sum())


def scores_within(record, groups):
    """Mean and SD, over the repeats, of the scores within each group of cells; the largest group is
    first.

    Each score is computed from all test cells of a repeat that belong to the group. ``classes`` is
    the number of classes in a group, and ``smallest`` the number of cells in its smallest class.
    """
    groups, rows = np.asarray(groups, dtype=str), []
    for cells, true, predicted, _ in repeats_of(record):
        for group in np.unique(groups[cells]):
            inside = groups[cells] == group
            found = label_scores(true[inside], predicted[inside], record.classes)
            f1 = found["f1"][np.isin(record.classes, true[inside])].mean()
            rows.append({"group": group, "macro_f1": f1, "accuracy": found["accuracy"]})
    of_repeats = pd.DataFrame(rows).groupby("group")
    sizes = pd.Series(record.true).groupby(groups).value_counts()  # counts by group and class
    table = of_repeats.mean().join(of_repeats.std().add_suffix("_sd"))
    of_groups = sizes.groupby(level=0).agg(cells="sum", classes="count", smallest="min")
    columns = ["cells", "macro_f1", "macro_f1_sd", "accuracy", "accuracy_sd", "classes", "smallest"]
    # keeps groups of equal size in order of appearance
    order = pd.Index(pd.unique(groups), name="group")
    return (
        of_groups.join(table)
        .reindex(order)[columns]
        .sort_values("cells", ascending=False, kind="stable")
    )


def family_importance(
    estimator,
    data,
    folds=None,
    n_jobs=1,
    *,
    target="type",
    n_shuffles=N_SHUFFLES,
    results=None,
    overwrite=False,
    seed=0,
    verbose=True,
):
    """Importance of each family of features for a classifier, measured on held-out cells.

    Parameters
    ----------
    estimator, data, n_jobs, target, seed
        See `cross_validate_classifier`.
    folds : list of (training, test) positions, optional
        The default is five folds, which keep the cells of a donor together.
    n_shuffles : int
        Number of shuffles of each family in each fold.
    results, overwrite, verbose
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``family_names``, ``classes``, and arrays of shape (folds, families) with the fall in
        macro-F1 or the rise in log loss. For ``shuffled_*``, all features of a family are permuted
        together across the test cells, without refitting the model, and values are averaged over
        the shuffles. For ``left_out_*``, the model is fitted and tested without the family. For
        models with attention weights, ``attention``, of shape (classes, families), holds the mean
        weights over the test cells of each class; rows sum to one.

    Notes
    -----
    The two measures differ: predictions get worse if a redundant family is shuffled, but not if it
    is left out.
    """
    check_number("n_shuffles", n_shuffles, int, 1)
    data = as_typed(data)
    y = labels_of(data, target)
    classes = np.unique(y)
    folds = folds_of(deal_donors(data, y, 5, seed) if folds is None else folds, data.n_cells)
    model = configured(estimator, {}, seed)
    wanted = Record("family importance", data.name, data.sha256, [{}], seed, folds=folds)
    wanted.settings = {
        "target": target,
        "n_shuffles": n_shuffles,
        "folds": [[int(i) for i in t] for _, t in folds],
    }

    def compute():
        jobs = [
            delayed(_of_fold)(model, data, y, classes, folds[f], [seed, f], n_shuffles)
            for f in range(len(folds))
        ]
        outcomes = in_workers(jobs, n_jobs, "generator")
        costs, weights = zip(
            *tqdm(outcomes, f"{data.name}: families", len(jobs), disable=not verbose), strict=True
        )
        values = {
            "family_names": [str(name) for name in dict.fromkeys(data.families)],
            "classes": classes,
        }
        for i, loss in enumerate(LOSSES):
            for j, way in enumerate(("shuffled", "left_out")):
                values[f"{way}_{loss}"] = np.array([cost[j][:, i] for cost in costs])
        if weights[0] is not None:
            labels = np.concatenate([y[test] for _, test in folds])
            values["attention"] = attention_by_class(np.concatenate(weights), labels, classes)
        return values

    return load_or_compute(
        wanted, compute, results, overwrite, estimator=model, n_cells=len(folds[0][0])
    )


def _of_fold(estimator, data, y, classes, fold, seeds, n_shuffles):
    """Rise in each loss if a family is shuffled or left out, and attention of the test cells.

    The rises are two arrays of shape (families, losses).
    """
    (train, test), rng = fold, np.random.default_rng(seeds)

    def losses(model, X):
        outcome = scores(
            y[test],
            np.asarray(model.predict(X), str),
            class_probabilities(model, X, classes),
            classes,
        )
        return np.array([-outcome["macro_f1"], outcome["log_loss"]])

    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        model, X = (
            fit_on(clone(estimator), data.X, y, train, extra_of(estimator, data)),
            data.X[test],
        )
        usual, shuffled, left_out = losses(model, X), [], []
        for columns in family_columns(data.families).values():
            worse, moved = [], X.copy()
            for _ in range(n_shuffles):
                moved[:, columns] = X[rng.permutation(len(X))][:, columns]
                worse.append(losses(model, moved))
            shuffled.append(np.mean(worse, axis=0) - usual)
        weights = model.attention_weights(X) if hasattr(model, "attention_weights") else None
        warnings.filterwarnings("ignore", message=".*without a value.*|.*missing in.*")
        for family in dict.fromkeys(data.families):
            others = data.families != family
            kept = replace(data, X=data.X[:, others], families=data.families[others])
            # cells that have only this family cannot be used for training
            cells = ~np.isnan(kept.X[train]).all(axis=1)
            blind = fit_on(clone(estimator), kept.X, y, train[cells], extra_of(estimator, kept))
            left_out.append(losses(blind, kept.X[test]) - usual)
    return (np.array(shuffled), np.array(left_out)), weights


def attention_by_class(weights, labels, classes):
    """Mean attention over the cells of each class, ndarray of shape (classes, families).

    Each row sums to one, or is NaN if the class has no cells.
    """
    means = pd.DataFrame(weights).groupby(labels).mean().reindex(classes).to_numpy(dtype=np.float64)
    return means / means.sum(axis=1, keepdims=True)


def importance_table(record):
    """DataFrame of mean ``attention`` and of the mean rise in log loss if a family is ``shuffled`` or ``left out``."""
    table = pd.DataFrame(index=pd.Index(record.family_names, name="family"))
    if "attention" in record.values:
        table["attention"] = np.nanmean(record.attention, axis=0)
    table["shuffled"] = record.shuffled_log_loss.mean(axis=0)
    table["left out"] = record.left_out_log_loss.mean(axis=0)
    return table
