"""Scores of `EphysTypeClassifier` and of baselines on left-out groups."""

import numpy as np
import pandas as pd
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.evaluation.verdict import difference_with_error

OWN = "EphysTypeClassifier"
#: Unfitted baselines by name. Z-scores ignore missing values, and 0 is the training mean.
BASELINES = {
    "majority": DummyClassifier(strategy="prior"),
    "logistic regression": make_pipeline(
        StandardScaler(),
        SimpleImputer(strategy="constant", fill_value=0.0, keep_empty_features=True),
        LogisticRegression(class_weight="balanced", max_iter=2000),
    ),
}


def held_out_probabilities(model):
    """Probabilities of left-out cells by method, dict of name to ndarray (n, n_classes)."""
    found = {OWN: model.held_out_probabilities_}
    for name, baseline in BASELINES.items():
        probabilities = np.full(found[OWN].shape, np.nan)
        for train, test in model._parts():
            fitted = clone(baseline).fit(model._cells[train], model._codes[train])
            probabilities[test] = fitted.predict_proba(model._cells[test])
        found[name] = probabilities
    return found


def gains_over_baselines(model, probabilities):
    """Balanced accuracy minus that of each baseline, dict of name to `PairedDifference`.

    Standard errors are from a jackknife over groups, as cells of a group are alike. Macro-F1 would
    reward guesses that are spread over the types.
    """
    codes = model._codes
    of_type = np.eye(len(model.classes_))[codes]  # (n, n_classes)
    cells = _sums(of_type, model._groups)  # (n_groups, n_classes)
    correct = {}
    for name, its in probabilities.items():
        correct[name] = (its.argmax(axis=1) == codes).astype(float)
    n = len(cells)
    gains = {}
    for name in BASELINES:
        more = correct[OWN] - correct[name]
        more = _sums(of_type * more[:, None], model._groups)
        gain = np.mean(more.sum(axis=0) / cells.sum(axis=0))
        without = (more.sum(axis=0) - more) / (cells.sum(axis=0) - cells)
        se = np.sqrt(n - 1) * without.mean(axis=1).std()
        gains[name] = difference_with_error(float(gain), float(se), n)
    return gains


def _sums(values, groups):
    return pd.DataFrame(values).groupby(groups).sum().to_numpy()
