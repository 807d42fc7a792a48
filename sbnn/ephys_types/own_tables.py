"""Types of cells in a user's own tables (``sbnn ephys-types``)."""

from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_tables import read_features
from sbnn.ephys_types import held_out
from sbnn.ephys_types.classifier import EphysTypeClassifier
from sbnn.errors import warn
from sbnn.explorer.report import write_report
from sbnn.plotting.common import save_figure
from sbnn.store import write_atomically

SEED = 42
PAGE = "types.html"  # beside the model


def study(data, path, n_steps="auto"):
    """Fit a model to typed cells, save it to `path`, and write a page beside it.

    Returns a sentence, and scores of the model and baselines on held-out cells, a DataFrame that is
    empty without calibration.
    """
    if data.obs["type"].eq(UNKNOWN).all():
        raise ValueError("labels: no cell has a type; name a column of types by type_key=...")
    donors = data.obs.get("donor")
    model = EphysTypeClassifier(n_steps, random_state=SEED)
    fitted_to = data.to_df(), data.obs["type"], data.var["family"], donors
    model.fit(*fitted_to)
    cautions = []
    path = Path(model.save(path))
    types = pd.Series(model._codes).value_counts().sort_index()
    types = pd.DataFrame({"cells": types.to_numpy()}, pd.Index(model.classes_, name="type"))
    found = "not calibrated, so that scores on held-out cells are unknown"
    scores = pd.DataFrame()
    pictures = []
    tables = [("Cells by type", types)]
    if model.held_out_probabilities_ is not None:
        probabilities = held_out.held_out_probabilities(model)
        scores = held_out.scores_table(model, probabilities)
        gains = held_out.gains_over_baselines(model, probabilities)
        cells = "held-out cells" if donors is None else "cells of held-out donors"
        found = held_out.sentence(scores, gains, cells)
        drawn = held_out.confusion_figure(model, probabilities)
        [drawn] = save_figure(drawn, path.with_name("types_confusion"))
        pictures.append((drawn, "Held-out cells", held_out.confusion_figure.__doc__))
        tables.insert(0, ("Scores on held-out cells", scores, held_out.NOTE))
    about = data.uns["sbnn"]
    write_report(
        path.with_name(PAGE),
        f"{path.name}: {len(model._codes)} cells x {data.n_vars} features",
        found,
        pictures,
        tables,
        cautions=cautions,
        left_out=about["dropped"],
        source=about["source"],
    )
    return found, scores


def predict(model, table, out, abstain=None, source="", **how):
    """Predict the type of each cell of a table (see `predict_table`), and write a CSV and a page.

    The page, ``<out without .csv>_summary.html``, counts cells by predicted type; its footer shows
    `source`.
    """
    found = predict_table(model, table, abstain, **how)
    cautions = []
    out = Path(out)
    write_atomically(found.to_csv().encode(), out)
    untyped = (found["type"] == UNKNOWN).sum()
    by_type = found.astype({"far": int}).groupby("type")
    counts = by_type["far"].agg(cells="size", far="sum")
    counts["median probability"] = by_type["probability"].median()
    write_report(
        out.with_name(f"{out.stem}_summary.html"),
        f"{out.name}: types of {len(found)} cells",
        f"{len(found) - untyped} of {len(found)} cells have a predicted type; "
        f"{counts['far'].sum()} far from all training cells",
        [],
        [("Predicted types", counts)],
        cautions=cautions,
        source=source,
    )
    return found


def predict_table(model, features, abstain=None, **how):
    """Predict the type of each cell of a table, whose features are matched by name.

    Returns a DataFrame with type, probability, a mark of far cells, and all probabilities. `how`
    are options of all readers, see `sbnn.data.readers.reading.TableOptions`.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise ValueError("model: fitted without feature names, by which columns are matched")
    table, columns = read_features(features, names, **how)
    lacking = np.setdiff1d(names, table.columns)
    if len(lacking):
        warn(
            f"features: the table lacks {len(lacking)} of the {len(names)} features "
            f"of the model: {some(lacking)}"
        )
    cells = table.reindex(columns=names)
    empty = cells.isna().all(axis=1)
    if empty.all():
        raise ValueError(
            "features: no cell has a value for any feature of the model, "
            f"such as {some(names, 3)}; the columns are {some(columns, 3)}"
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
