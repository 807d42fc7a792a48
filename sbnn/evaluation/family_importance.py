"""Which families of features a classifier needs: asked by shuffling, by leaving out, and by its own attention."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from scipy.stats import spearmanr
from tqdm.auto import tqdm

from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.determinism import reproducible
from sbnn.evaluation.classification import class_probabilities, extra_of, fit_on, scores
from sbnn.evaluation.folds import check_folds, donor_folds, labels_of
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

LOSSES = ("macro_f1", "log_loss")
N_SHUFFLES = 10


def family_importance(
    estimator, data, folds=None, n_jobs=1, *, target="type", n_shuffles=N_SHUFFLES, results=None, overwrite=False,
    seed=0, verbose=True,
):  # fmt: skip
    """Importance of every family of features for a classifier, on cells that it has not seen.

    The record holds ``family_names``, ``classes`` and, over (folds, families), what macro-F1 falls or the log loss
    rises by: ``shuffled_*``, when all features of the family together go to other test cells (mean over the
    shuffles, model unchanged), and ``left_out_*``, when the model is fitted and tested without the family. The two
    differ: a family that others repeat is shuffled at a loss and left out at none. Where the model has
    ``attention_weights``, ``attention`` over (classes, families): mean over the test cells of a class, rows to one.
    """
    data = as_typed(data)
    names = [str(name) for name in dict.fromkeys(data.families)]
    if len(names) < 2:
        raise ValueError(f"{data.name}: expected at least two families of features, got {len(names)}")
    y = labels_of(data, target)
    classes = np.unique(y)
    folds = check_folds(donor_folds(data, 5, seed, target=target) if folds is None else folds, data.n_cells)
    model = configured(estimator, {}, seed)
    wanted = Record("family importance", data.name, data.sha256, [{}], seed, folds=folds)
    wanted.settings = {"target": target, "n_shuffles": n_shuffles, "folds": [[int(i) for i in t] for _, t in folds]}

    def compute():
        tasks = [(f, family) for f in range(len(folds)) for family in (None, *names)]
        jobs = (
            delayed(_shuffled if family is None else _without)(
                configured(estimator, {}, seed), data, y, classes, folds[f], family, (seed, f, n_shuffles)
            )
            for f, family in tasks
        )
        outcomes = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
        outcomes = tqdm(outcomes, f"{data.name}: families", len(tasks), disable=not verbose)
        found = dict(zip(tasks, outcomes, strict=True))
        return _gathered(found, names, y, classes, folds)

    return load_or_compute(wanted, compute, results, overwrite, estimator=model, n_cells=len(folds[0][0]))


def _quality(model, X, y, classes):
    """Losses of a model on some cells; both rise as it gets worse."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        outcome = scores(y, np.asarray(model.predict(X), dtype=str), class_probabilities(model, X, classes), classes)
    return np.array([-outcome["macro_f1"], outcome["log_loss"]])


def _shuffled(model, data, y, classes, fold, _, how):
    """Quality of the model, what each shuffled family costs (families, losses), and the attention of the test cells."""
    (train, test), (seed, f, n_shuffles) = fold, how
    with reproducible():
        fit_on(model, data.X, y, train, extra_of(model, data))
        X, usual = data.X[test], _quality(model, data.X[test], y[test], classes)
        rng = np.random.default_rng([seed, f])
        costs = []
        for columns in family_columns(data.families, data.feature_names).values():
            worse = []
            for _ in range(n_shuffles):
                moved = X.copy()
                moved[:, columns] = X[rng.permutation(len(X))][:, columns]
                worse.append(_quality(model, moved, y[test], classes))
            costs.append(np.mean(worse, axis=0) - usual)
        weights = model.attention_weights(X) if hasattr(model, "attention_weights") else None
    return usual, np.array(costs), weights


def _without(model, data, y, classes, fold, family, _):
    """Quality of a model that never saw a family."""
    others = data.families != family
    kept = replace(data, X=data.X[:, others], families=data.families[others])
    train, test = fold
    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*without a value.*|.*missing in.*")
        cells = ~np.isnan(kept.X[train]).all(axis=1)  # a cell that had this family alone cannot be trained on
        fit_on(model, kept.X, y, train[cells], extra_of(model, kept))
        return _quality(model, kept.X[test], y[test], classes)


def _gathered(found, names, y, classes, folds):
    """Values of the record."""
    n = len(folds)
    usual = [found[f, None][0] for f in range(n)]
    shuffled = np.array([found[f, None][1] for f in range(n)])
    left_out = np.array([[found[f, name] - usual[f] for name in names] for f in range(n)])
    values = {"family_names": names, "classes": classes}
    for i, loss in enumerate(LOSSES):
        values |= {f"shuffled_{loss}": shuffled[:, :, i], f"left_out_{loss}": left_out[:, :, i]}
    weights = [found[f, None][2] for f in range(n)]
    if all(w is not None for w in weights):
        labels = np.concatenate([y[test] for _, test in folds])
        values["attention"] = attention_by_class(np.concatenate(weights), labels, classes)
    return values


def attention_by_class(weights, labels, classes):
    """Mean attention over the cells of each class, (classes, families), rows to one; NaN for a class of no cell."""
    means = [
        weights[labels == name].mean(axis=0) if (labels == name).any() else weights[0] * np.nan for name in classes
    ]
    means = np.array(means, dtype=np.float64)
    return means / means.sum(axis=1, keepdims=True)


def agreement_table(record, loss="log_loss"):
    """Spearman's rho between the ways of asking which families matter."""
    ways = importance_table(record, loss)
    rho = [[spearmanr(ways[a], ways[b]).statistic for b in ways] for a in ways]
    return pd.DataFrame(rho, ways.columns, ways.columns)


def importance_table(record, loss="log_loss"):
    """What the absence of each family costs, mean of folds: ``attention`` (if any), ``shuffled``, ``left out``."""
    table = pd.DataFrame(index=pd.Index(record.family_names, name="family"))
    if "attention" in record.values:
        table["attention"] = np.nanmean(record.attention, axis=0)
    table["shuffled"] = record.values[f"shuffled_{loss}"].mean(axis=0)
    table["left out"] = record.values[f"left_out_{loss}"].mean(axis=0)
    return table
