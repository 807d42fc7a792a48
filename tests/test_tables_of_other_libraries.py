"""Tables that are not of pandas, whose names would be ignored, are refused wherever data enter."""

import narwhals
import numpy as np
import pandas as pd
import pytest
from material.cells import cells
from material.estimators import CLASSIFIERS, REGRESSORS, class_name
from sklearn.base import clone

from sbnn import (
    CountNormalizer,
    cross_validate,
    fit_full,
    interpret,
    paired,
    read_tables,
    stability_selection,
    typed_cells,
)
from sbnn.data.counts import normalize_library_size
from sbnn.data.preprocessing import select_genes
from sbnn.dynamics import PhoenixRegressor, trajectories
from sbnn.dynamics.baselines import Linear
from sbnn.mechanism_shift.data import screen
from sbnn.own_data.new_cells import predict_cells

X, Y, COUNTS = cells().to_df(), cells().obsm["outputs"], cells().to_df("counts")
LABELS = pd.DataFrame({"type": ["a", "b"] * 40}, X.index)
TYPES = np.array(["a", "b"] * 40)
TABLES = {"X": X, "Y": Y, "counts": COUNTS, "labels": LABELS}


class TableOfPyArrow:
    """What is seen of one."""

    def __init__(self, table):
        self.table = table
        self.column_names = [*table.columns]
        self.shape = table.shape

    def __array__(self, dtype=None, copy=None):
        return self.table.to_numpy(dtype)


def calls_of_estimators():
    """By name, what passes a table to a method of an estimator, and which table it is."""
    calls = {}
    for model in REGRESSORS + CLASSIFIERS:
        y = TYPES if model in CLASSIFIERS else Y
        name = class_name(model)
        calls[f"{name}.fit"] = "X", lambda table, model=model, y=y: clone(model).fit(table, y)
        for method in ("predict", "transform", "predict_proba"):
            if hasattr(model, method):
                calls[f"{name}.{method}"] = (
                    "X",
                    lambda table, model=model, y=y, method=method: getattr(
                        clone(model).fit(X, y), method
                    )(table),
                )
        calls[f"{name}.score"] = (
            "X",
            lambda table, model=model, y=y: clone(model).fit(X, y).score(table, y),
        )
    for model in REGRESSORS:
        name = class_name(model)
        calls[f"{name}.fit, Y"] = "Y", lambda table, model=model: clone(model).fit(X, table)
        calls[f"{name}.score, Y"] = (
            "Y",
            lambda table, model=model: clone(model).fit(X, Y).score(X, table),
        )
    return calls


RIDGE, SRRR = REGRESSORS[0], REGRESSORS[2]
COURSE = trajectories([X.iloc[:4], X.iloc[4:8]], times=range(4))
CALLS = calls_of_estimators() | {
    "paired": ("X", lambda table: paired(table, Y)),
    "paired, Y": ("Y", lambda table: paired(X, table)),
    "paired, counts": ("counts", lambda table: paired(X, Y, counts=table)),
    "paired, counts alone": ("counts", lambda table: paired(None, Y, counts=table)),
    "paired, labels": ("labels", lambda table: paired(X, Y, labels=table)),
    "cross_validate": ("X", lambda table: cross_validate(RIDGE, (table, Y), 3)),
    "cross_validate, Y": ("Y", lambda table: cross_validate(RIDGE, (X, table), 3)),
    "cross_validate, Y of an AnnData": (
        "Y",
        lambda table: cross_validate(RIDGE, (cells(), table), 3),
    ),
    "fit_full": ("X", lambda table: fit_full(SRRR, (table, Y))),
    "stability_selection": ("Y", lambda table: stability_selection(SRRR, (X, table), 2)),
    "interpret": ("X", lambda table: interpret(clone(SRRR).fit(X, Y), table, Y)),
    "interpret, Y": ("Y", lambda table: interpret(clone(SRRR).fit(X, Y), X, table)),
    "CountNormalizer.fit": ("counts", lambda table: CountNormalizer().fit(table)),
    "CountNormalizer.transform": (
        "counts",
        lambda table: CountNormalizer().fit(COUNTS).transform(table),
    ),
    "normalize_library_size": ("counts", normalize_library_size),
    "select_genes": ("counts", lambda table: select_genes(table, 3)),
    "read_tables": ("counts", lambda table: read_tables(table, Y)),
    "read_tables, outputs": ("Y", lambda table: read_tables(COUNTS, table)),
    "read_tables, labels": ("labels", lambda table: read_tables(COUNTS, Y, table)),
    "predict_cells": ("X", lambda table: predict_cells(clone(SRRR).fit(X, Y), table)),
    "typed_cells": ("X", lambda table: typed_cells(table, LABELS)),
    "typed_cells, labels": ("labels", lambda table: typed_cells(X, table)),
    "screen": ("counts", lambda table: screen(table, TYPES)),
    "screen, labels": ("labels", lambda table: screen(COUNTS, TYPES, labels=table)),
    "trajectories": ("X", trajectories),
    "trajectories, samples": ("X", lambda table: trajectories([table], times=range(80))),
    "start of a course": ("X", lambda table: Linear("ridge").fit(COURSE).predict(table, [0, 1])),
    "prior": ("X", lambda table: PhoenixRegressor(2, "none").fit(COURSE, prior=table)),
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("convert", [narwhals.from_native, TableOfPyArrow])
@pytest.mark.parametrize("name", CALLS)
def test_a_table_of_another_library_is_refused(name, convert):
    which, call = CALLS[name]
    table = convert(TABLES[which].iloc[:, ::-1])
    kind = f"{type(table).__module__}.{type(table).__name__}"
    with pytest.raises(TypeError, match=rf"DataFrame of pandas, got {kind}; .*\.to_pandas\(\)"):
        call(table)
