"""Cross-validation of any scikit-learn-style classifier of typed cells: repeated, parallel, resumable.

By the rules of `sbnn.evaluation.crossval`: every finished fold is on disk before the next, fits are named by all that
decides them, and each runs on one thread, so that the numbers do not depend on the number of workers.
"""

import inspect
import time
import warnings

import numpy as np
from joblib import delayed
from sklearn.metrics import f1_score
from tqdm.auto import tqdm

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.typed_cells import as_typed
from sbnn.determinism import reproducible
from sbnn.evaluation.donors import labels_of, repeated_donor_folds
from sbnn.evaluation.folds import check_folds
from sbnn.evaluation.identity import configured, fit_key
from sbnn.evaluation.runs import ResumableRun, in_workers, require_names
from sbnn.results import Record

EXPERIMENT = "classification"
#: A probability below counts as this in the logarithmic loss, for all models alike: forests say 0 and mean "rarely".
LEAST_PROBABILITY = 1e-3


def cross_validate_classifier(
    estimator,
    data,
    folds=None,
    n_jobs=1,
    *,
    target="type",
    results=None,
    overwrite=False,
    seed=0,
    verbose=True,
):
    """Fit and score a classifier on every fold of every repeat.

    Parameters
    ----------
    estimator : scikit-learn-style classifier
        Needs ``fit``, ``predict``, ``predict_proba`` and ``classes_``, and takes NaN. If its ``fit`` takes ``families``
        it gets ``var["family"]``, if ``groups``, the donors of the training cells. Where it has
        ``attention_weights(X)``, of shape (n, families), those of the test cells are kept.
    data : AnnData of typed cells
    folds : dict of int to list of (train, test), list of (train, test), optional
        Sets of folds by their seed, which an estimator without a ``random_state`` gets; a list is one set, of `seed`.
        By default `repeated_donor_folds`: five folds, seeds 0, 1 and 2.
    n_jobs : int
        Worker processes; the result is the same for any number.
    target : str
        Column of the labels that is predicted.
    results : str or path-like, optional
        File to save to. If it exists, what it holds is not computed again; after a kill, neither is what was finished.
    overwrite : bool
        Compute everything anew.
    seed : int
        Of a list of folds.
    verbose : bool
        Show a progress bar.

    Returns
    -------
    Record
        ``experiment="classification"``; ``values`` has, over (folds, 1): ``macro_f1``, ``accuracy``,
        ``balanced_accuracy``, ``log_loss`` (see `LEAST_PROBABILITY`), ``seconds`` (CPU, fit alone); over (folds, 1,
        classes): ``f1`` (NaN for a class that is neither in the test cells nor predicted). Macro-F1 is the mean of the
        others. Lists [0][fold]: ``test_predictions`` (test cells; positions in ``classes``) and ``test_probabilities``
        (test cells, classes; float32). Of the whole: ``classes``,
        ``true`` (label of every cell of the data), ``repeats`` (seed of each fold), ``feature_names`` and
        ``family_names``.

    Raises
    ------
    ValueError
        Folds or labels that do not fit (`donor_folds`), a file that holds something else and `overwrite` is False,
        probabilities that are not finite.
    OSError
        If the results cannot be written; checked before the first fit.
    """
    data = as_typed(data)
    y = labels_of(data, target)
    classes = np.unique(y)
    if len(classes) < 2:
        raise ValueError(f"{data.name}: all cells are {str(classes[0])!r}; expected at least two classes of {target!r}")
    if folds is None:
        folds = repeated_donor_folds(data, target=target)
    if not isinstance(folds, dict):
        folds = {seed: folds}
    repeats = [int(s) for s, its in folds.items() for _ in its]
    folds = check_folds([fold for its in folds.values() for fold in its], data.n_cells)
    models = {s: configured(estimator, {}, s) for s in dict.fromkeys(repeats)}
    extra = extra_of(estimator, data)
    besides = {"target": target, "labels": fingerprint_arrays(y)} | {
        name: fingerprint_arrays(np.asarray(value, dtype=str)) for name, value in extra.items()
    }
    params = [{}]
    run = ResumableRun(
        results,
        overwrite,
        lambda known: [
            [fit_key(data, models[s], fold, "none", known, **besides) for s, fold in zip(repeats, folds, strict=True)]
        ],
    )
    if run.stored is not None:
        require_names(run.stored, data, run.results)
        if run.complete:
            return run.stored
    with run.writing():
        if run.complete:  # by another run, that was waited for
            return run.stored
        left = [f for f in range(len(folds)) if not run.is_done(0, f)]
        jobs = (delayed(_fit_and_score)(f, models[repeats[f]], data.X, y, classes, folds[f], extra) for f in left)
        part = Record(EXPERIMENT, data.name, data.sha256, params, seed)
        with tqdm(total=len(left), desc=f"{data.name}: {type(estimator).__name__}", disable=not verbose) as bar:
            for f, outcome in in_workers(jobs, n_jobs):
                run.keep(0, f, outcome, part)
                bar.update()
        record = Record(EXPERIMENT, data.name, data.sha256, params, seed, folds=folds)
        families = [str(name) for name in dict.fromkeys(data.families)]
        about = {"classes": classes, "true": y, "repeats": np.array(repeats), "family_names": families}
        return run.finish(record, data, estimator, "none", about, target=target)


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
    """Outcome of one fold, with its number; runs in a worker."""
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
    return f, outcome


def class_probabilities(model, X, classes):
    """Probabilities in the order of `classes`, shape (n, n_classes); 0 for one that was not in the training cells."""
    given = np.asarray(model.predict_proba(X), dtype=np.float64)
    if not np.isfinite(given).all():
        raise ValueError(f"{type(model).__name__} gives probabilities that are not finite")
    probabilities = np.zeros((len(given), len(classes)))
    probabilities[:, np.searchsorted(classes, np.asarray(model.classes_, dtype=str))] = given
    return probabilities


def scores(true, predicted, probabilities, classes):
    """How good predictions are: the values over folds of `cross_validate_classifier`.

    Parameters
    ----------
    true, predicted : ndarray of str, shape (n,)
    probabilities : ndarray, shape (n, n_classes)
    classes : ndarray of str, shape (n_classes,)

    Returns
    -------
    dict of str to float or ndarray
    """
    clipped = np.clip(probabilities, LEAST_PROBABILITY, None)
    clipped /= clipped.sum(axis=1, keepdims=True)
    of_true = clipped[np.arange(len(true)), np.searchsorted(classes, true)]
    return label_scores(true, predicted, classes) | {"log_loss": float(-np.log(of_true).mean())}


def label_scores(true, predicted, classes):
    """How good predicted labels are, whatever their probabilities.

    Parameters
    ----------
    true, predicted : ndarray of str, shape (n,)
    classes : ndarray of str, shape (n_classes,)
        All that there are. One that is neither true nor predicted of any cell has no F1; one that is predicted and not
        there has an F1 of 0, which counts in the mean.

    Returns
    -------
    dict of str to float or ndarray
        ``macro_f1``, ``accuracy``, ``balanced_accuracy``, and ``f1`` of every class, NaN where there is none.
    """
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
