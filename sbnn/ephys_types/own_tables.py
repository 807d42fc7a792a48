"""Fit the default classifier to a user's own table, and predict types for another table (``sbnn ephys-types``)."""

import warnings

import numpy as np
import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_features import unlikely_units
from sbnn.data.ephys_tables import read_ephys_table
from sbnn.data.readers.tables import as_numbers, read_table
from sbnn.ephys_types.classification import scores
from sbnn.ephys_types.classifier import EphysTypeClassifier

SEED = 42


def fit_table(features, labels=None, n_steps="auto"):
    """Fit a model to tables of features and types (see `read_ephys_table`), and calibrate it by donors, if known."""
    data = read_ephys_table(features, labels)
    if data.obs["type"].eq(UNKNOWN).all():
        raise ValueError(
            "labels: no cell has a type; give a column named type in the features or in --types"
        )
    model = EphysTypeClassifier(n_steps, random_state=SEED)
    return model.fit(data.to_df(), data.obs["type"], data.var["family"], data.obs.get("donor"))


def predict_table(model, features, abstain=None):
    """DataFrame with the type predicted for each cell, its probability, a mark of far cells, and
    all probabilities.

    Features are matched by name. Features that the table lacks count as not measured; a cell
    without any value gets no type.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise ValueError(
            "model: it was fitted without feature names, so the columns of new tables cannot be matched"
        )
    table = read_table(features, "features")
    there = table.columns.isin(names)
    lacking = [name for name in names if name not in table]
    if lacking:
        absent = f"features: the table lacks {len(lacking)} of the {len(names)} features of the model: {some(lacking)}"
        warnings.warn(absent, stacklevel=2)
    cells = as_numbers(table.loc[:, there], "features")
    if doubts := unlikely_units(cells, {}):
        warnings.warn(f"values in another unit? {some(doubts)}", stacklevel=2)
    cells, empty = cells.reindex(columns=names), cells.isna().all(axis=1)
    if empty.any():
        untyped = f"cells without any value, which stay untyped: {some(cells.index[empty])}"
        warnings.warn(untyped, stacklevel=2)
    if empty.all():
        among = f"such as {some(names, 3)}; the columns are {some(table.columns, 3)}"
        raise ValueError(f"features: no cell has a value for any feature of the model, {among}")
    measured = cells[~empty]
    types, probabilities = (
        model.predict(measured, abstain).astype(object),
        model.predict_proba(measured),
    )
    found = pd.DataFrame(
        {"type": UNKNOWN, "probability": np.nan, "far": True}, cells.index
    ).rename_axis("cell")
    found[[f"p({name})" for name in model.classes_]] = np.nan
    found[~empty] = np.column_stack(
        [types, probabilities.max(axis=1), model.far(measured), probabilities]
    )
    return found


def held_out_sentence(model):
    """Macro-F1 and log loss of the model on cells of held-out groups, as text."""
    if model.held_out_probabilities_ is None:
        return "not calibrated"
    (_, codes), p = model._training, model.held_out_probabilities_
    found = scores(model.classes_[codes], model.classes_[p.argmax(axis=1)], p, model.classes_)
    return f"on cells of held-out donors: macro-F1 {found['macro_f1']:.3f}, log loss {found['log_loss']:.3f}"
