"""Cross-validation of any scikit-learn-style classifier of typed cells, and what its records say."""

import inspect
import time
import warnings

import numpy as np
import pandas as pd
from joblib import delayed
from sklearn.metrics import confusion_matrix, f1_score

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.typed_cells import as_typed
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import check_folds, labels_of, repeated_donor_folds
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import fit_all
from sbnn.results import Record

#: A probability below counts as this in the logarithmic loss, for all models alike: forests say 0 and mean "rarely".
LEAST_PROBABILITY = 1e-3


def cross_validate_classifier(
    estimator, data, folds=None, n_jobs=1, *, target="type", results=None, overwrite=False, seed=0, verbose=True
):
    """Fit and score a classifier of typed cells on every fold of every repeat.

    Options are those of `sbnn.cross_validate`. A ``fit`` that takes ``families`` or ``groups`` gets those of the
    features or the donors. `folds` are sets of folds by their seed, which an estimator without a ``random_state`` gets,
    or a list of folds, of `seed`; by default `repeated_donor_folds`. The record has scores over (folds, 1), ``f1`` over
    (folds, 1, classes), ``test_predictions`` (positions in ``classes``) and ``test_probabilities`` [0][fold],
    ``classes``, ``true`` (label of every cell) and ``repeats`` (seed of each fold).
    """
    data = as_typed(data)
    y = labels_of(data, target)
    classes = np.unique(y)
    if folds is None:
        folds = repeated_donor_folds(data, target=target)
    if not isinstance(folds, dict):
        folds = {seed: folds}
    repeats = [int(s) for s, its in folds.items() for _ in its]
    folds = check_folds([fold for its in folds.values() for fold in its], len(y))
    by_seed = {s: configured(estimator, {}, s) for s in dict.fromkeys(repeats)}
    models = [by_seed[s] for s in repeats]
    extra = extra_of(estimator, data)
    besides = {"target": target, "labels": fingerprint_arrays(y)} | {
        name: fingerprint_arrays(np.asarray(value, dtype=str)) for name, value in extra.items()
    }
    families = [str(name) for name in dict.fromkeys(data.families)]
    names = {"feature_names": data.feature_names, "cell_names": data.cell_names}
    names |= {"classes": classes, "true": y, "repeats": np.array(repeats), "family_names": families}
    wanted = Record("classification", data.name, data.sha256, [{}], seed, {"target": target}, folds, names)

    def plan(done):
        left = [f for f in range(len(folds)) if (0, f) not in done]
        return [delayed(_fit_and_score)(f, models[f], data.X, y, classes, folds[f], extra) for f in left]

    how = {"results": results, "overwrite": overwrite, "n_jobs": n_jobs, "verbose": verbose}
    return fit_all(wanted, [models], plan, estimator, "none", besides, **how)


def extra_of(estimator, data):
    """What `fit` takes besides X and y."""
    takes = inspect.signature(estimator.fit).parameters
    extra = {"families": data.families} if "families" in takes else {}
    if "groups" in takes:
        donors = data.labels.get("donor", data.cell_names)
        extra["groups"] = np.asarray(donors, dtype=str)
    return extra


def fit_on(model, X, y, cells, extra):
    """Fit a model to some cells, with the families and the groups that it takes."""
    given = {name: value[cells] if name == "groups" else value for name, value in extra.items()}
    return model.fit(X[cells], y[cells], **given)


def _fit_and_score(f, model, X, y, classes, fold, extra):
    """Outcome of one fold, by its place; runs in a worker."""
    train, test = fold
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
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
    """Probabilities in the order of `classes`, shape (n, n_classes); 0 for one that was not in the training cells."""
    probabilities = np.zeros((len(X), len(classes)))
    probabilities[:, np.searchsorted(classes, np.asarray(model.classes_, dtype=str))] = model.predict_proba(X)
    return probabilities


def scores(true, predicted, probabilities, classes):
    """Scores of predictions of cells: the values over folds of `cross_validate_classifier`."""
    clipped = np.clip(probabilities, LEAST_PROBABILITY, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    of_true = clipped[np.arange(len(true)), np.searchsorted(classes, true)]
    return label_scores(true, predicted, classes) | {"log_loss": float(-np.log(of_true).mean())}


def label_scores(true, predicted, classes):
    """Scores of predicted labels alone; a class that is neither true nor predicted of any cell has no F1."""
    f1 = f1_score(true, predicted, labels=classes, average=None, zero_division=0)
    there = np.isin(classes, true)
    f1[~there & ~np.isin(classes, predicted)] = np.nan
    hit = predicted == true
    return {
        "macro_f1": float(np.nanmean(f1)),
        "accuracy": float(hit.mean()),
        "balanced_accuracy": float(np.mean([hit[true == name].mean() for name in classes[there]])),
        "f1": f1,
    }


def repeats_of(record):
    """Cells (positions), their true and predicted labels and probabilities (n, n_classes) for each set of folds."""
    found = []
    for seed in dict.fromkeys(record.repeats.tolist()):
        folds = np.flatnonzero(record.repeats == seed)
        cells = np.concatenate([record.folds[f][1] for f in folds])
        predicted = np.concatenate([record.test_predictions[0][f] for f in folds])
        probabilities = np.concatenate([record.test_probabilities[0][f] for f in folds]).astype(np.float64)
        found.append((cells, record.true[cells], record.classes[predicted], probabilities))
    return found


def repeat_means(record, metric="macro_f1"):
    """Mean of a metric over the folds of each repeat, shape (repeats,)."""
    return pd.Series(record.values[metric][:, 0]).groupby(record.repeats, sort=False).mean().to_numpy()


def confusion_counts(record):
    """Cells by true (rows) and predicted class (columns), mean over the repeats; shape (n_classes, n_classes)."""
    repeats = repeats_of(record)
    tables = [confusion_matrix(true, predicted, labels=record.classes) for _, true, predicted, _ in repeats]
    return np.mean(tables, axis=0)


def calibration(record, n_bins=10):
    """Confidence, accuracy and share of predictions by confidence, and the expected calibration error.

    The error is the mean of |accuracy - confidence| weighted by the share (Guo, Pleiss, Sun and Weinberger, ICML 2017).
    """
    _, true, _, probabilities = map(np.concatenate, zip(*repeats_of(record), strict=True))
    confidence = probabilities.max(axis=1)
    hit = record.classes[probabilities.argmax(axis=1)] == true
    bins = np.minimum((confidence * n_bins).astype(int), n_bins - 1)
    by = pd.DataFrame({"confidence": confidence, "accuracy": hit.astype(float), "share": 1 / len(hit)}).groupby(bins)
    table = by.agg({"confidence": "mean", "accuracy": "mean", "share": "sum"}).reset_index(drop=True)
    return table, float((table["share"] * (table["accuracy"] - table["confidence"]).abs()).sum())


def scores_within(record, groups):
    """Scores among the cells of each group, such as acute or culture, the largest group first.

    Computed over all test cells of a repeat together: mean and SD over the repeats. Classes that are not in a group do
    not count; ``classes`` says how many are, and ``smallest``, how many cells its smallest class has.
    """
    groups, rows = np.asarray(groups, dtype=str), []
    for cells, true, predicted, _ in repeats_of(record):
        for group in np.unique(groups[cells]):
            inside = groups[cells] == group
            found = label_scores(true[inside], predicted[inside], record.classes)
            f1 = found["f1"][np.isin(record.classes, true[inside])].mean()
            rows.append({"group": group, "macro_f1": f1, "accuracy": found["accuracy"]})
    of_repeats = pd.DataFrame(rows).groupby("group")
    sizes = pd.Series(record.true).groupby(groups).value_counts()  # by group and class
    table = of_repeats.mean().join(of_repeats.std().add_suffix("_sd"))
    of_groups = sizes.groupby(level=0).agg(cells="sum", classes="count", smallest="min")
    columns = ["cells", "macro_f1", "macro_f1_sd", "accuracy", "accuracy_sd", "classes", "smallest"]
    order = pd.Index(pd.unique(groups), name="group")  # of groups of one size
    return of_groups.join(table).reindex(order)[columns].sort_values("cells", ascending=False, kind="stable")
