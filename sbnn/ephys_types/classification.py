"""Cross-validation of classifiers, and importance of families of features."""

from __future__ import annotations

import inspect
import time
import warnings
from dataclasses import replace
from functools import partial
from itertools import chain

import numpy as np
import pandas as pd
from anndata import AnnData
from joblib import delayed
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, f1_score, recall_score
from tqdm.auto import tqdm

from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.determinism import reproducible
from sbnn.ephys_types.base import LEFT_OUT_WARNING
from sbnn.ephys_types.folds import target_labels, repeated_donor_folds
from sbnn.evaluation.folds import check_folds
from sbnn.evaluation.runs import configure, describe_estimator, fit_all, in_workers, store_result
from sbnn.results import Record

#: Lower bound for probabilities in the log loss, as forests predict 0 for rare types.
LEAST_PROBABILITY = 1e-3
N_BINS = 10  # of confidence, for the calibration error
SEED = 0  # of the importance of families
NO_NAMES_WARNING = "X does not have valid feature names"  # scikit-learn's warning about arrays


def cross_validate_classifier(
    estimator: BaseEstimator,
    data: AnnData,
    folds=None,
    n_jobs: int = 1,
    *,
    target: str = "type",
    source: AnnData | None = None,
    compact: bool = False,
    **options: object,
) -> Record:
    """Fit and score a classifier of typed cells on every fold of every repeat.

    Parameters
    ----------
    estimator : classifier
        With ``predict_proba``. Its ``fit`` gets the families of the features and the donors of the
        cells if it takes ``families`` and ``groups``.
    data : AnnData of typed cells
    folds : dict of int to list of (training, test) positions, optional
        Sets of folds by seed, which also seeds estimators whose ``random_state`` is None. By
        default those of `repeated_donor_folds`.
    n_jobs : int
    target : str
        Column of ``data.obs``.
    source : AnnData of typed cells, optional
        Cells of another species with the same features, passed to ``fit`` as ``source``.
    compact : bool
        Keep no names and probabilities of cells, but the mean attention to families.
    **options
        ``results``, ``overwrite`` and ``verbose``, as in `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``macro_f1``, ``accuracy``, ``balanced_accuracy`` and ``log_loss`` have shape (folds, 1),
        and ``f1`` (folds, 1, classes). ``test_predictions[0][fold]`` holds the predicted types of
        the test cells, as positions in ``classes``, and ``test_probabilities[0][fold]`` the
        probabilities of all types; ``true`` the label of every cell, and ``repeats`` the seed of
        every fold. If `compact`, ``attention``, (folds, 1, classes, families), holds means over the
        test cells of each class, if the model has ``attention_weights``.
    """
    data = as_typed(data)
    y = target_labels(data, target)
    folds = folds or repeated_donor_folds(data, target=target)
    repeats = np.repeat(list(folds), [len(of_seed) for of_seed in folds.values()])
    pairs = check_folds(chain.from_iterable(folds.values()), len(y))
    models = [configure(estimator, {}, int(s)) for s in repeats]
    # only what the fits use: their results stay valid if other labels change
    cells = replace(data, y=y, labels=data.labels[data.labels.columns.intersection(["donor"])])
    if source is not None:
        source = as_typed(source)
    values = {
        "feature_names": data.feature_names,
        "classes": np.unique(y),
        "true": y,
        "repeats": repeats,
        "family_names": list(map(str, family_columns(data.families))),
    }
    if not compact:
        values["cell_names"] = data.cell_names
    record = Record(
        experiment="classification",
        dataset=data.name,
        sha256=data.sha256,
        params=[{}],
        seed=0,
        settings={"estimator": describe_estimator(estimator), "scaling": "none", "target": target},
        folds=pairs,
        values=values,
    )
    fits = []
    for model, fold in zip(models, pairs, strict=True):
        fits.append(partial(_classify_fold, model, cells, fold, source=source, compact=compact))
    return fit_all(record, [fits], n_jobs=n_jobs, **options)


def extra_fit_arguments(estimator, data):
    """Families and donors, as further arguments of `fit` if it takes them."""
    takes = inspect.signature(estimator.fit).parameters
    extra = {}
    if "families" in takes:
        extra["families"] = data.families
    if "groups" in takes:
        extra["groups"] = np.asarray(data.labels.get("donor", data.cell_names), dtype=str)
    return extra


def fit_to_cells(model, X, y, cells, extra):
    """Fit to some cells."""
    if "groups" in extra:
        extra = extra | {"groups": extra["groups"][cells]}
    return model.fit(X[cells], y[cells], **extra)


def _classify_fold(model, cells, fold, source, compact):
    train, test = fold
    X = cells.X
    y = cells.y
    extra = extra_fit_arguments(model, cells)
    if source is not None:
        extra["source"] = source.X, source.y
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=NO_NAMES_WARNING)
        started = time.process_time()
        fit_to_cells(model, X, y, train, extra)
        seconds = time.process_time() - started
        outcome = score_predictions(model, X[test], y[test], np.unique(y)) | {"seconds": seconds}
        if compact:
            del outcome["test_probabilities"]
            if hasattr(model, "attention_weights"):
                of_types = pd.DataFrame(model.attention_weights(X[test])).groupby(y[test]).mean()
                outcome["attention"] = of_types.reindex(np.unique(y)).to_numpy()
        return outcome


def score_predictions(model, X, true, classes):
    """Scores and predictions for cells `X`, of shape (n, p).

    Probabilities of classes without training cells are 0; F1 is NaN for a class that is neither
    true nor predicted.
    """
    predicted = np.asarray(model.predict(X), dtype=str)
    probabilities = np.zeros((len(X), len(classes)))
    known = np.searchsorted(classes, np.asarray(model.classes_, dtype=str))
    probabilities[:, known] = model.predict_proba(X)
    f1 = f1_score(true, predicted, labels=classes, average=None, zero_division=0)
    f1[~np.isin(classes, [*true, *predicted])] = np.nan
    clipped = np.maximum(probabilities, LEAST_PROBABILITY)
    of_true = clipped[np.arange(len(true)), np.searchsorted(classes, true)]
    return {
        "macro_f1": float(np.nanmean(f1)),
        "accuracy": accuracy_score(true, predicted),
        "balanced_accuracy": recall_score(true, predicted, labels=np.unique(true), average="macro"),
        "f1": f1,
        "log_loss": float(-np.log(of_true / clipped.sum(axis=1)).mean()),
        "test_predictions": np.searchsorted(classes, predicted).astype(np.int16),
        "test_probabilities": probabilities.astype(np.float32),
    }


def test_cells(record):
    """Position, repeat, true and predicted type of test cells."""
    tested = [test for _, test in record.folds]
    table = pd.DataFrame({"cell": np.concatenate(tested)})
    table["repeat"] = np.repeat(record.repeats, [len(test) for test in tested])
    table["true"] = record.true[table["cell"]]
    table["predicted"] = record.classes[np.concatenate(record.test_predictions[0])]
    return table


def repeat_means(record, metric="macro_f1"):
    """Means over the folds of each repeat, ndarray of shape (repeats,)."""
    of_folds = pd.Series(record.values[metric][:, 0])
    return of_folds.groupby(record.repeats, sort=False).mean().to_numpy()


def calibration_error(record):
    """Expected calibration error (Guo et al., ICML 2017)."""
    cells = test_cells(record)
    probabilities = np.concatenate(record.test_probabilities[0]).astype(np.float64)
    cells["confidence"] = probabilities.max(axis=1)
    cells["accuracy"] = record.classes[probabilities.argmax(axis=1)] == cells["true"]
    cells["share"] = 1 / len(cells)
    bins = np.minimum((cells["confidence"] * N_BINS).astype(int), N_BINS - 1)
    how = {"confidence": "mean", "accuracy": "mean", "share": "sum"}
    table = cells.groupby(bins.to_numpy()).agg(how)
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["share"] * gaps).sum())


@store_result
def family_importance(
    estimator: BaseEstimator,
    data: AnnData,
    folds=None,
    n_jobs: int = 1,
    *,
    target: str = "type",
    n_shuffles: int = 10,
    results=None,
    overwrite: bool = False,
    verbose: bool = True,
) -> Record:
    """Measure the importance of each family of features on held-out cells.

    Parameters
    ----------
    estimator, data, n_jobs, target
        See `cross_validate_classifier`.
    folds : list of (training, test) positions, optional
        By default five folds of donors.
    n_shuffles : int
        Shuffles of each family in each fold.
    results, overwrite, verbose
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``family_names``, ``classes``, and two arrays of shape (folds, families) with the rise in
        log loss (nats): ``shuffled_log_loss``, if all features of a family are permuted together
        between test cells, and ``left_out_log_loss``, if the model is fitted and tested without the
        family. For models with ``attention_weights``, ``attention``, (classes, families), holds
        their means over the test cells of each class.

    Notes
    -----
    A redundant family costs something if it is shuffled, and nothing if it is left out.
    """
    data = as_typed(data)
    y = target_labels(data, target)
    if folds is None:
        folds = repeated_donor_folds(data, 5, [SEED], target=target)[SEED]
    folds = check_folds(folds, len(data.X))
    model = configure(estimator, {}, SEED)
    jobs = []
    for f, fold in enumerate(folds):
        jobs.append(delayed(_importance)(model, data, y, fold, [SEED, f], n_shuffles))
    outcomes = tqdm(
        in_workers(jobs, n_jobs), f"{data.name}: families", len(jobs), disable=not verbose
    )
    shuffled, left_out, attention = zip(*outcomes, strict=True)
    values = {
        "family_names": list(map(str, family_columns(data.families))),
        "classes": np.unique(y),
        "shuffled_log_loss": np.array(shuffled),
        "left_out_log_loss": np.array(left_out),
    }
    if attention[0] is not None:
        labels = np.concatenate([y[test] for _, test in folds])
        means = pd.DataFrame(np.concatenate(attention)).groupby(labels).mean()
        values["attention"] = means.div(means.sum(axis=1), axis=0).to_numpy()
    return Record(
        experiment="family importance",
        dataset=data.name,
        sha256=data.sha256,
        params=[{}],
        seed=SEED,
        settings={
            "estimator": describe_estimator(model),
            "target": target,
            "n_shuffles": n_shuffles,
        },
        folds=folds,
        values=values,
    )


def _importance(estimator, data, y, fold, seeds, n_shuffles):
    """Rises in log loss, lists of both measures by family, and attention of the test cells."""
    train, test = fold
    X = data.X[test]

    def loss(model, X):
        return score_predictions(model, X, y[test], np.unique(y))["log_loss"]

    rng = np.random.default_rng(seeds)
    shuffled = []
    left_out = []
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f"{NO_NAMES_WARNING}|{LEFT_OUT_WARNING}")
        model = fit_to_cells(clone(estimator), data.X, y, train, extra_fit_arguments(estimator, data))
        usual = loss(model, X)
        for family, columns in family_columns(data.families).items():
            total = 0.0
            for _ in range(n_shuffles):
                moved = X.copy()
                moved[:, columns] = X[rng.permutation(len(X))][:, columns]
                total += loss(model, moved)
            shuffled.append(total / n_shuffles - usual)
            others = data.families != family
            kept = replace(data, X=data.X[:, others], families=data.families[others])
            # without cells that have only this family
            cells = train[np.isfinite(kept.X[train]).any(axis=1)]
            blind = fit_to_cells(clone(estimator), kept.X, y, cells, extra_fit_arguments(estimator, kept))
            left_out.append(loss(blind, kept.X[test]) - usual)
        attention = model.attention_weights(X) if hasattr(model, "attention_weights") else None
    return shuffled, left_out, attention
