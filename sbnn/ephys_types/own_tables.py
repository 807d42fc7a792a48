"""Types of cells in a user's own tables, by the default classifier (``sbnn ephys-types``)."""

import numpy as np
import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_tables import read_ephys_table
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.ephys_types.classification import scores
from sbnn.ephys_types.classifier import EphysTypeClassifier
from sbnn.errors import warn

SEED = 42


def fit_table(features, labels=None, n_steps="auto"):
    """Fit a model to tables (see `read_ephys_table`); donors calibrate it, if they are known."""
    data = read_ephys_table(features, labels)
    if data.obs["type"].eq(UNKNOWN).all():
        raise ValueError("labels: no cell has a type; give a column type here or in --types")
    model = EphysTypeClassifier(n_steps, random_state=SEED)
    donors = data.obs.get("donor")
    return model.fit(data.to_df(), data.obs["type"], data.var["family"], donors)


def predict_table(model, features, abstain=None):
    """Predict the type of each cell of a table, whose features are matched by name.

    Returns a DataFrame with type, probability, a mark of far cells, and all probabilities. Features
    that the table lacks count as not measured; a cell without any value gets no type.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise ValueError("model: fitted without feature names, by which columns are matched")
    table = read_table(features, "features")
    lacking = np.setdiff1d(names, table.columns)
    if len(lacking):
        warn(
            f"features: the table lacks {len(lacking)} of the {len(names)} features "
            f"of the model: {some(lacking)}"
        )
    known = table.columns.isin(names)
    cells = as_numbers(table.loc[:, known], "features").reindex(columns=names)
    empty = cells.isna().all(axis=1)
    if empty.all():
        raise ValueError(
            "features: no cell has a value for any feature of the model, "
            f"such as {some(names, 3)}; the columns are {some(table.columns, 3)}"
        )
    if empty.any():
        warn(f"cells without any value, which stay untyped: {some(cells.index[empty])}")
    measured = cells[~empty]
    probabilities = pd.DataFrame(model.predict_proba(measured), measured.index, model.classes_)
    found = probabilities.add_prefix("p(").add_suffix(")")
    found.insert(0, "type", model.predict(measured, abstain))
    found.insert(1, "probability", probabilities.max(axis=1))
    found.insert(2, "far", model.far(measured))
    found = found.reindex(cells.index)
    found.loc[empty, ["type", "far"]] = UNKNOWN, True
    return found.rename_axis("cell")


def held_out_sentence(model):
    """Macro-F1 and log loss of the model on cells of held-out groups, as text."""
    probabilities = model.held_out_probabilities_
    if probabilities is None:
        return "not calibrated"
    true = model.classes_[model._codes]
    predicted = model.classes_[probabilities.argmax(axis=1)]
    found = scores(true, predicted, probabilities, model.classes_)
    f1 = found["macro_f1"]
    return f"on cells of held-out donors: macro-F1 {f1:.3f}, log loss {found['log_loss']:.3f}"
