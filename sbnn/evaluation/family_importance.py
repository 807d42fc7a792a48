"""Which families of features a classifier needs: asked by shuffling, by leaving out, and by its own attention."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from joblib import delayed
from scipy.stats import spearmanr
from sklearn.base import clone
from tqdm.auto import tqdm

from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.determinism import reproducible
from sbnn.evaluation.classification import class_probabilities, extra_of, fit_on, scores
from sbnn.evaluation.folds import check_folds, donor_folds, labels_of
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import in_workers, load_or_compute
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
    y = labels_of(data, target)
    classes = np.unique(y)
    folds = check_folds(donor_folds(data, 5, seed, target=target) if folds is None else folds, data.n_cells)
    model = configured(estimator, {}, seed)
    wanted = Record("family importance", data.name, data.sha256, [{}], seed, folds=folds)
    wanted.settings = {"target": target, "n_shuffles": n_shuffles, "folds": [[int(i) for i in t] for _, t in folds]}

    def compute():
        jobs = [
            delayed(_of_fold)(model, data, y, classes, fold, np.random.default_rng([seed, f]), n_shuffles)
            for f, fold in enumerate(folds)
        ]
        outcomes = in_workers(jobs, n_jobs, "generator")
        costs, weights = zip(*tqdm(outcomes, f"{data.name}: families", len(jobs), disable=not verbose), strict=True)
        values = {"family_names": names, "classes": classes}
        for i, loss in enumerate(LOSSES):
            for j, way in enumerate(("shuffled", "left_out")):
                values[f"{way}_{loss}"] = np.array([cost[j][:, i] for cost in costs])
        if weights[0] is not None:
            labels = np.concatenate([y[test] for _, test in folds])
            values["attention"] = attention_by_class(np.concatenate(weights), labels, classes)
        return values

    return load_or_compute(wanted, compute, results, overwrite, estimator=model, n_cells=len(folds[0][0]))


def _of_fold(estimator, data, y, classes, fold, rng, n_shuffles):
    """What each family costs if it is shuffled and if it is left out, (families, losses), and the attention of cells.

    The losses rise as a model gets worse.
    """
    train, test = fold

    def losses(model, X):
        outcome = scores(y[test], np.asarray(model.predict(X), str), class_probabilities(model, X, classes), classes)
        return np.array([-outcome["macro_f1"], outcome["log_loss"]])

    with reproducible(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="X does not have valid feature names")
        model, X = fit_on(clone(estimator), data.X, y, train, extra_of(estimator, data)), data.X[test]
        usual, shuffled, left_out = losses(model, X), [], []
        for columns in family_columns(data.families, data.feature_names).values():
            worse = []
            for _ in range(n_shuffles):
                moved = X.copy()
                moved[:, columns] = X[rng.permutation(len(X))][:, columns]
                worse.append(losses(model, moved))
            shuffled.append(np.mean(worse, axis=0) - usual)
        weights = model.attention_weights(X) if hasattr(model, "attention_weights") else None
        warnings.filterwarnings("ignore", message=".*without a value.*|.*missing in.*")
        for family in dict.fromkeys(data.families):
            others = data.families != family
            kept = replace(data, X=data.X[:, others], families=data.families[others])
            cells = ~np.isnan(kept.X[train]).all(axis=1)  # a cell that had this family alone cannot be trained on
            blind = fit_on(clone(estimator), kept.X, y, train[cells], extra_of(estimator, kept))
            left_out.append(losses(blind, kept.X[test]) - usual)
    return (np.array(shuffled), np.array(left_out)), weights


def attention_by_class(weights, labels, classes):
    """Mean attention over the cells of each class, (classes, families), rows to one; NaN for a class of no cell."""
    means = pd.DataFrame(weights).groupby(labels).mean().reindex(classes).to_numpy(dtype=np.float64)
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
