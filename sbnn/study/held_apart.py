"""Cells of other donors and of later dates: how much of the accuracy on random folds is left of it.

Cells of one mouse, or of one day, share more than their type, and random folds train on some and test on others. Here
whole mice are held out, and the last fifth of the recording dates.
"""

from pathlib import Path

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import grouped_folds, later_fold, split_and_scale
from sbnn.metrics import pooled_r2
from sbnn.models.linear import LeaveOneOutRidge
from sbnn.study.experiments import SEED, network

PREFIX = "apart_"
#: What is held apart: the label of the cells, the folds it makes, and how a table calls it.
APART = {
    "mouse": (grouped_folds, "mice kept apart, ten folds"),
    "date": (later_fold, "trained on the first four fifths of the recording dates, tested on the last"),
}
TITLES = {"default": "distilled, d=2", "network": "paper, d=2", "ridge": "ridge, all genes"}


def models(data, fast=False):
    """Models that are compared, by name: those with two units and 25 genes, and ridge on all genes."""
    return {
        "default": network(data, fast, protocol="distilled", n_components=2),
        "network": network(data, fast, n_components=2),
        "ridge": LeaveOneOutRidge(),
    }


def run_held_apart(data, folder, *, fast=False, fresh=False, n_jobs=1, verbose=True):
    """Cross-validate, or load, for every label in `APART` that the data have.

    Parameters
    ----------
    data : PairedData
    folder : str or path-like
    fast : bool
        Small networks, two folds.
    fresh : bool
    n_jobs : int
    verbose : bool

    Returns
    -------
    dict of str to Record
        By label and model, ``apart_<label>_<model>``; empty where the cells have neither label.
    """
    records = {}
    for label in (label for label in APART if label in data.labels):
        folds = APART[label][0](data.groups(label))[: 2 if fast else None]
        for name, model in models(data, fast).items():
            key = f"{PREFIX}{label}_{name}"
            records[key] = cross_validate(
                clone(model), data, folds, n_jobs=n_jobs, results=Path(folder) / f"{key}.pickle", overwrite=fresh,
                seed=SEED, verbose=verbose,
            )  # fmt: skip
    return records


def held_apart_table(records):
    """Test R2 on cells held apart, beside that on random folds.

    Parameters
    ----------
    records : dict of str to Record
        Of a data set, by experiment.

    Returns
    -------
    DataFrame
        Indexed by what is held apart; mean ± SD over folds of each model as text, without an SD where there is one
        fold. The first row is of random folds, as far as there are any.
    """
    rows = {}
    for name, title in TITLES.items():
        row = rows.setdefault("random folds", {})
        record = records.get(f"cv_{name}")
        if record is not None:
            known = {} if name == "ridge" else {"n_components": 2}
            known |= {"pretraining": True, "group_lasso": 0.1} if name == "network" else {}
            row[title] = _mean_and_sd(record.test_r2[:, record.find(**known)])
        for label, (_, held) in APART.items():
            if f"{PREFIX}{label}_{name}" in records:
                rows.setdefault(held, {})[title] = _mean_and_sd(records[f"{PREFIX}{label}_{name}"].test_r2[:, 0])
    return pd.DataFrame.from_dict(rows, orient="index").fillna("").rename_axis("tested on")


def offsets_table(data, records):
    """How much of what is missing on later dates is an offset: outputs that are all higher, or all lower, than before.

    No gene can tell it, since it moves cells of all types alike: solutions, temperature, the hand of the experimenter.

    Parameters
    ----------
    data : PairedData
    records : dict of str to Record
        From `run_held_apart`, with those of the dates.

    Returns
    -------
    DataFrame
        Indexed by model: ``test_r2``, ``without_offsets`` (the mean residual of each test output set to zero), and the
        output with the largest ``offset`` in SD, under ``output``.
    """
    rows = {}
    for name, title in TITLES.items():
        record = records[f"{PREFIX}date_{name}"]
        [fold], [predicted] = record.folds, record.test_predictions[0]
        _, Y_train, _, Y_test = split_and_scale(data, fold, record.settings["scaling"])
        residual = Y_test - np.asarray(predicted)
        offsets, mean = residual.mean(0), Y_train.mean(0)
        largest = np.abs(offsets).argmax()
        rows[title] = {
            "test_r2": pooled_r2(Y_test, predicted, mean),
            "without_offsets": pooled_r2(Y_test, predicted + offsets, mean),
            "output": data.feature_names[largest],
            "offset": offsets[largest],
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("model")


def _mean_and_sd(r2):
    return f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}" if len(r2) > 1 else f"{r2.mean():.3f}"
