"""Folds of donors, cross-validation of classifiers, and importance of families of features."""

from __future__ import annotations

import inspect
import time
import warnings
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from os import PathLike
from typing import Any, TypeAlias

import numpy as np
import pandas as pd
from anndata import AnnData
from joblib import delayed
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.metrics import accuracy_score, f1_score, recall_score
from sklearn.model_selection import StratifiedGroupKFold
from tqdm.auto import tqdm

from sbnn.data.checks import abbreviate, known_labels, order_by_name
from sbnn.determinism import reproducible
from sbnn.ephys_types.base import LEFT_OUT_WARNING
from sbnn.ephys_types.data import TypedCells, as_typed, family_columns
from sbnn.errors import check_among, warn
from sbnn.evaluation.folds import make_folds
from sbnn.evaluation.runs import configure, describe_estimator, fit_all, in_workers, store_result
from sbnn.results import Record

SEEDS = (0, 1, 2)  # each gives one set of folds
#: Lower bound for probabilities in the log loss, as forests predict 0 for rare types.
LEAST_PROBABILITY = 1e-3
N_BINS = 10  # of confidence, for the calibration error
SEED = 0  # of the importance of families
NO_NAMES_WARNING = "X does not have valid feature names"  # of scikit-learn, about arrays
#: Positions of training and test cells of a fold.
Fold: TypeAlias = tuple[np.ndarray, np.ndarray]


def repeated_donor_folds(
    data: AnnData | TypedCells,
    n_folds: int = 5,
    seeds: Iterable[int] = SEEDS,
    *,
    target: str = "type",
) -> dict[int, list[Fold]]:
    """Stratified folds that do not split donors, by seed.

    There are at most as many folds as the class with the fewest donors has donors, but at least
    two. Without donors, cells are dealt one by one. The same folds of several seeds are kept once.
    Folds depend on the order of the donors' sorted labels, so that renamed donors can give others.
    """
    cells = as_typed(data)
    y = target_labels(cells, target)
    if "donor" in cells.labels:
        donors = target_labels(cells, "donor")
    else:
        donors = cells.cell_names
        warn(f"{cells.name}: without donors in the labels, folds may split the cells of a donor")
    donors_of_class = pd.Series(donors).groupby(y).nunique()
    n_folds = min(n_folds, max(donors_of_class.min(), 2))
    # sets of test cells, which tell folds apart -> seed and folds
    distinct: dict[frozenset[bytes], tuple[int, list[Fold]]] = {}
    for seed in map(int, seeds):
        # StratifiedGroupKFold starts with the donors whose cells are spread most unevenly over
        # classes, so folds of different seeds are not independent.
        splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
        folds = list(splitter.split(y, y, donors))
        absent = _find_absent_classes(y, folds)
        if absent:
            names = ", ".join(sorted(absent))
            warn(f"{cells.name}: a fold has no training or no test cells of {names}")
        test_sets = frozenset(test.tobytes() for _, test in folds)
        distinct.setdefault(test_sets, (seed, folds))
    return dict(distinct.values())


def _find_absent_classes(y, folds):
    """Classes without cells in some training or test set."""
    absent = set()
    for part in chain(*folds):
        absent |= set(y) - set(y[part])
    return absent


def target_labels(data: TypedCells, target: str) -> np.ndarray:
    """Labels of all cells, str of shape (n,)."""
    check_among("target", target, data.labels)
    values = data.labels[target]
    unknown = known_labels(values).isna()
    if unknown.any():
        raise ValueError(
            f"{data.name}: expected a label for every cell in {target!r}, there is none of "
            f"{abbreviate(values.index[unknown])}; leave these cells out"
        )
    if values.nunique() < 2:
        raise ValueError(
            f"{data.name}: expected at least two different labels in {target!r}, got one"
        )
    return values.to_numpy(str)


def cross_validate_classifier(
    estimator: BaseEstimator,
    data: AnnData | TypedCells,
    folds: Mapping[int, Sequence[tuple[ArrayLike, ArrayLike]]] | None = None,
    n_jobs: int = 1,
    *,
    target: str = "type",
    source: AnnData | TypedCells | None = None,
    compact: bool = False,
    **options: Any,
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
        Cells of another species with the same features, in any order, and labels in the same
        column, passed to ``fit`` as ``source``.
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
    cells = as_typed(data)
    y = target_labels(cells, target)
    if not folds:
        folds = repeated_donor_folds(cells, target=target)
    if not isinstance(folds, Mapping):
        raise TypeError(
            "folds: expected a dict of seed to a list of (training, test) positions, such as "
            f"{{0: folds}}, got {type(folds).__name__}"
        )
    n_folds_of_seed = [len(folds_of_seed) for folds_of_seed in folds.values()]
    repeats = np.repeat(list(folds), n_folds_of_seed)
    all_folds = make_folds(chain.from_iterable(folds.values()), len(y))
    # only what the fits use: their results stay valid if other labels change
    donor_column = cells.labels.columns.intersection(["donor"])
    fit_cells = replace(cells, y=y, labels=cells.labels[donor_column])
    source_cells = None
    if source is not None:
        source_cells = as_typed(source, "source")
        order = order_by_name(source_cells.feature_names, cells.feature_names, "source")
        source_cells = replace(
            source_cells,
            y=target_labels(source_cells, target),
            X=source_cells.X.take(order, axis=1),
            feature_names=source_cells.feature_names[order],
            families=source_cells.families[order],
        )
    values = {
        "feature_names": cells.feature_names,
        "classes": np.unique(y),
        "true": y,
        "repeats": repeats,
        "family_names": _family_names(cells),
    }
    if not compact:
        values["cell_names"] = cells.cell_names
    record = Record(
        experiment="classification",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{}],
        seed=0,
        settings={"estimator": describe_estimator(estimator), "scaling": "none", "target": target},
        folds=all_folds,
        values=values,
    )
    fits = []
    for seed, fold in zip(repeats, all_folds, strict=True):
        fit = partial(
            _classify_fold,
            model=configure(estimator, {}, int(seed)),
            cells=fit_cells,
            fold=fold,
            source=source_cells,
            compact=compact,
        )
        fits.append(fit)
    return fit_all(record, [fits], n_jobs=n_jobs, **options)


def _family_names(cells):
    return [str(family) for family in family_columns(cells.families)]


def fit_classifier(
    model: BaseEstimator,
    cells: TypedCells,
    y: np.ndarray,
    training: np.ndarray,
    source: TypedCells | None = None,
) -> BaseEstimator:
    """Fit to the cells at the positions `training`.

    ``fit`` is given the families and the donors of the cells if it takes ``families`` and
    ``groups``, and the `source`, if there is one.
    """
    accepted = inspect.signature(model.fit).parameters
    fit = model.fit
    if "families" in accepted:
        fit = partial(fit, families=cells.families)
    if "groups" in accepted:
        donors = np.asarray(cells.labels.get("donor", cells.cell_names), dtype=str)
        fit = partial(fit, groups=donors[training])
    if source is not None:
        fit = partial(fit, source=(source.X, source.y))
    return fit(cells.X[training], y[training])


# The names of this function and of its parameters identify saved fits.
def _classify_fold(model, cells, fold, source, compact):
    """Scores and predictions for the test cells of a fold, and the CPU time of the fit."""
    training, test = fold
    X = cells.X[test]
    true = cells.y[test]
    classes = np.unique(cells.y)
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=NO_NAMES_WARNING)
        started = time.process_time()
        fit_classifier(model, cells, cells.y, training=training, source=source)
        seconds = time.process_time() - started
        values = score_predictions(model, X, true, classes=classes)
        values["seconds"] = seconds
        if compact:
            del values["test_probabilities"]
            if hasattr(model, "attention_weights"):
                attention = pd.DataFrame(model.attention_weights(X))
                type_means = attention.groupby(true).mean()
                values["attention"] = type_means.reindex(classes).to_numpy()
        return values


def score_predictions(
    model: BaseEstimator, X: np.ndarray, true: np.ndarray, classes: np.ndarray
) -> dict[str, object]:
    """Scores and predictions for cells `X`, of shape (n, p).

    Probabilities of classes without training cells are 0; F1 is NaN for a class that is neither
    true nor predicted.
    """
    predicted = np.asarray(model.predict(X), dtype=str)
    probabilities = np.zeros((len(X), len(classes)))
    trained = np.searchsorted(classes, np.asarray(model.classes_, dtype=str))
    probabilities[:, trained] = model.predict_proba(X)
    f1 = f1_score(true, predicted, labels=classes, average=None, zero_division=0)
    present = np.isin(classes, [*true, *predicted])
    f1[~present] = np.nan
    # the mean of the recall of each class
    balanced_accuracy = recall_score(true, predicted, labels=np.unique(true), average="macro")
    # -log of the probability of the true class, after rows sum to 1 again
    clipped = np.maximum(probabilities, LEAST_PROBABILITY)
    true_codes = np.searchsorted(classes, true)
    clipped_true = clipped[np.arange(len(true)), true_codes]
    p_true = clipped_true / clipped.sum(axis=1)
    return {
        "macro_f1": float(np.nanmean(f1)),
        "accuracy": accuracy_score(true, predicted),
        "balanced_accuracy": balanced_accuracy,
        "f1": f1,
        "log_loss": float(-np.log(p_true).mean()),
        "test_predictions": np.searchsorted(classes, predicted).astype(np.int16),
        "test_probabilities": probabilities.astype(np.float32),
    }


def test_cells(record: Record) -> pd.DataFrame:
    """Position, repeat, true and predicted type of test cells."""
    test_positions = [test for _, test in record.folds]
    sizes = [len(test) for test in test_positions]
    codes = np.concatenate(record.test_predictions[0])
    table = pd.DataFrame({"cell": np.concatenate(test_positions)})
    table["repeat"] = np.repeat(record.repeats, sizes)
    table["true"] = record.true[table["cell"]]
    table["predicted"] = record.classes[codes]
    return table


def calibration_error(record: Record) -> float:
    """Expected calibration error (Guo et al., ICML 2017).

    It is the sum over bins b of (n_b / n) |accuracy_b - confidence_b|.
    """
    cells = test_cells(record)
    probabilities = np.concatenate(record.test_probabilities[0]).astype(np.float64)
    predicted = record.classes[probabilities.argmax(axis=1)]
    cells["confidence"] = probabilities.max(axis=1)
    cells["accuracy"] = predicted == cells["true"]
    cells["fraction"] = 1 / len(cells)
    bins = np.minimum((cells["confidence"] * N_BINS).astype(int), N_BINS - 1)
    table = cells.groupby(bins.to_numpy()).agg(
        {"confidence": "mean", "accuracy": "mean", "fraction": "sum"}
    )
    gaps = (table["accuracy"] - table["confidence"]).abs()
    return float((table["fraction"] * gaps).sum())


@store_result
def family_importance(
    estimator: BaseEstimator,
    data: AnnData | TypedCells,
    folds: Sequence[tuple[ArrayLike, ArrayLike]] | None = None,
    n_jobs: int = 1,
    *,
    target: str = "type",
    n_shuffles: int = 10,
    results: str | PathLike[str] | None = None,
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
    A redundant family costs something if it is shuffled (permutation importance; Breiman, Machine
    Learning 45, 2001), and nothing if it is left out.
    """
    cells = as_typed(data)
    y = target_labels(cells, target)
    if len(set(cells.families)) < 2:
        raise ValueError(
            f"{cells.name}: expected features of two or more families, got only those of "
            f"{cells.families[0]}"
        )
    if folds is None:
        folds = repeated_donor_folds(cells, n_folds=5, seeds=[SEED], target=target)[SEED]
    fold_list = make_folds(folds, len(cells.X))
    model = configure(estimator, {}, SEED)
    jobs = []
    for number, fold in enumerate(fold_list):
        job = delayed(_measure_importance)(
            model, cells, y, fold=fold, seeds=[SEED, number], n_shuffles=n_shuffles
        )
        jobs.append(job)
    outcomes = tqdm(
        in_workers(jobs, n_jobs), f"{cells.name}: families", len(jobs), disable=not verbose
    )
    shuffled, left_out, attention = zip(*outcomes, strict=True)
    values = {
        "family_names": _family_names(cells),
        "classes": np.unique(y),
        "shuffled_log_loss": np.array(shuffled),
        "left_out_log_loss": np.array(left_out),
    }
    if attention[0] is not None:
        test_labels = np.concatenate([y[test] for _, test in fold_list])
        means = pd.DataFrame(np.concatenate(attention)).groupby(test_labels).mean()
        values["attention"] = means.div(means.sum(axis=1), axis=0).to_numpy()
    return Record(
        experiment="family importance",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{}],
        seed=SEED,
        settings={
            "estimator": describe_estimator(model),
            "target": target,
            "n_shuffles": n_shuffles,
        },
        folds=fold_list,
        values=values,
    )


def _measure_importance(estimator, cells, y, fold, seeds, n_shuffles):
    """Rises in log loss, lists of both measures by family, and attention of the test cells."""
    training, test = fold
    X = cells.X[test]
    classes = np.unique(y)

    def log_loss(model, X):
        scores = score_predictions(model, X, y[test], classes=classes)
        return scores["log_loss"]

    rng = np.random.default_rng(seeds)
    shuffled = []
    left_out = []
    attention = None
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=f"{NO_NAMES_WARNING}|{LEFT_OUT_WARNING}")
        model = fit_classifier(clone(estimator), cells, y, training=training)
        usual_loss = log_loss(model, X)
        for family, columns in family_columns(cells.families).items():
            # permutation importance (Breiman 2001), of all features of the family together, so
            # that no other feature of the family can tell the value of a shuffled one
            total_loss = 0.0
            for _ in range(n_shuffles):
                permuted = X.copy()
                order = rng.permutation(len(X))
                permuted[:, columns] = X[order][:, columns]
                total_loss += log_loss(model, permuted)
            shuffled.append(total_loss / n_shuffles - usual_loss)

            other_features = cells.families != family
            reduced = replace(
                cells, X=cells.X[:, other_features], families=cells.families[other_features]
            )
            # without cells that have only this family
            has_values = np.isfinite(reduced.X[training]).any(axis=1)
            trainable = training[has_values]
            blind_model = fit_classifier(clone(estimator), reduced, y, training=trainable)
            left_out.append(log_loss(blind_model, reduced.X[test]) - usual_loss)
        if hasattr(model, "attention_weights"):
            attention = model.attention_weights(X)
    return shuffled, left_out, attention
