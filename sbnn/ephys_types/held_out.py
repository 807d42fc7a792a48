"""Scores of `EphysTypeClassifier` and of baselines on left-out groups."""

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import confusion_matrix
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn.ephys_types.classification import scores
from sbnn.ephys_types.plotting import draw_confusion
from sbnn.evaluation.verdict import difference_with_error
from sbnn.plotting.common import styled

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
COLUMNS = {
    "macro_f1": "macro-F1",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "log_loss": "log loss",
}
NOTE = """\
Majority predicts the most frequent type, with the training frequencies as probabilities; the \
others give every type the same weight, so that majority may have the lower log loss if types \
differ in frequency. Logistic regression: z-scored features, missing values as the mean. Balanced \
accuracy is the share of correct cells, averaged over the types; guessing gives 1 / types. The \
calibration of EphysTypeClassifier, a single number, was chosen on the same cells."""


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


def scores_table(model, probabilities):
    """Scores of each method."""
    types = model.classes_
    rows = {}
    for name, its in probabilities.items():
        found = scores(types[model._codes], types[its.argmax(axis=1)], its, types)
        rows[name] = {label: found[score] for score, label in COLUMNS.items()}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("method")


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


def sentence(table, gains, cells="held-out cells"):
    """State the scores, and whether the model is better than the baselines."""
    own = table.loc[OWN]
    guessing = gains["majority"].low <= 0
    parts = []
    for name, gain in gains.items():
        if guessing and gain.low > 0:
            continue  # better than a baseline that may be worse than guessing
        word = "not clearly better than"
        if gain.low > 0:
            word = "better than"
        if gain.high < 0:
            word = "worse than"
        parts.append(f"{word} {name} ({gain})")
    return (
        f"on {cells}: macro-F1 {own['macro-F1']:.3f}, "
        f"log loss {own['log loss']:.3f}; in balanced accuracy, {' and '.join(parts)}"
    )


@styled
def confusion_figure(model, probabilities):
    """Share of each type (rows) that is predicted as each type, above the number of cells."""
    counts = confusion_matrix(model._codes, probabilities[OWN].argmax(axis=1))
    side = 1.5 + 0.4 * len(counts)  # inches
    figure = Figure(figsize=(side + 0.7, side), layout="constrained")
    ax = figure.subplots()
    image = draw_confusion(ax, counts, model.classes_)
    ax.set(xlabel="predicted", ylabel="true")
    ax.set_title(f"{np.trace(counts)} of {counts.sum()} held-out cells are correct")
    figure.colorbar(image, ax=ax, label="share of the true type", fraction=0.05, aspect=25)
    return figure
