"""Typed neurons from a user's own tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_features import known_features, unlikely_units
from sbnn.data.readers.matching import alone, joined
from sbnn.data.readers.reading import Reading
from sbnn.data.readers.table_names import texts_of_cells
from sbnn.data.typed_cells import families_of, typed_cells
from sbnn.errors import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from sbnn.typehints import Families, TableLike


OTHER = "other"  # family of features without a published name, beside others
#: Names of columns of types.
_OF_TYPES = re.compile("type|class|cluster|label", re.I)


def read_ephys_table(
    features: TableLike,
    labels: TableLike | pd.Series | None = None,
    families: Families | None = None,
    units: Mapping[str, str] | None = None,
    *,
    type_key: str = "type",
    donor_key: str = "donor",
    condition_key: str = "condition",
    name: str = "custom",
    source: str | None = None,
    **how: object,
) -> AnnData:
    """Read a table of electrophysiological features and a table of cell types.

    Parameters
    ----------
    features : path-like, (path-like, sheet), DataFrame or AnnData
        Cells x features, or features x cells, with columns of types, donors and conditions unless
        `labels` is given. Columns without a number are left out.
    labels : path-like, (path-like, sheet), DataFrame or Series, optional
        Types and, if known, donors and conditions. A Series holds the types.
    families, units : optional
        See `typed_cells`. By default, features with a published name get its family and unit.
    type_key, donor_key, condition_key : str
        Columns of types, donors and conditions.
    name, source : str, optional
    **how
        Options of all readers, see `sbnn.data.readers.reading.TableOptions`.

    Returns
    -------
    AnnData
        As returned by `typed_cells`, for cells with a type and at least one value, and features
        that vary.

    Raises
    ------
    sbnn.data.readers.reading.ReadingError
        A ValueError with all problems.

    Examples
    --------
    >>> from sbnn import load_dataset, read_ephys_table
    >>> cells = load_dataset("simulated_ephys", verbose=False)
    >>> cells.to_df().to_csv("features.csv")
    >>> cells.obs[["type", "donor"]].to_csv("labels.csv")
    >>> read_ephys_table("features.csv", "labels.csv").shape == cells.shape
    True
    """
    keys = {"type": type_key, "donor": donor_key, "condition": condition_key}
    choices = {f"{kind}_key": key for kind, key in keys.items() if key != kind}
    reading = Reading("types", how, choices)
    if isinstance(labels, pd.Series):
        labels = labels.to_frame(type_key)
    tables = reading.open({"features": features, "labels": labels})
    if labels is not None:
        table, labels = joined(reading, tables["features"], tables["labels"])
    else:
        table = alone(reading, tables["features"], [*keys.values()])
        labels = table[table.columns.intersection(keys.values(), sort=False)]
    reading.require_known_columns()
    labels = _named_labels(reading, labels.astype(object), keys)
    if "donor" not in labels:
        reading.notes.append("no column of donors; if there is one, name it with donor_key=COLUMN")
    if "type" not in labels:
        may_have_types = labels if "labels" in tables else table
        labels["type"] = _likely_types(reading, may_have_types)
    labels["type"] = texts_of_cells(labels["type"])
    untyped = labels["type"].isin(["", UNKNOWN])
    reading.leave_out("labels", "cells without a type", labels.index, untyped)
    table = table[~untyped].drop(columns=[*keys.values()], errors="ignore")
    numbers = reading.numbers(table, "features", "features")  # (n_cells, n_features)
    empty = numbers.isna().all(axis=1)
    reading.leave_out("features", "cells without a single value", numbers.index, empty)
    numbers = numbers[~empty]
    constant = (numbers.nunique() < 2).to_numpy()
    reason = "features without two different values"
    numbers = reading.without(numbers, constant, "features", reason)
    reading.describe("features", used=f"{len(numbers)} cells, {numbers.shape[1]} features")
    reading.require_no_problem()
    families = _families(families, table.columns, numbers.columns)
    units = known_features(numbers.columns)["unit"].to_dict() | dict(units or {})
    units = {feature: unit for feature, unit in units.items() if feature in numbers}
    doubts = unlikely_units(numbers, units)
    if doubts:
        warn(f"unusual values: {some(doubts)}; if units differ, convert the values")
    typed = typed_cells(numbers, labels, families, units, **reading.about(name, source))
    return reading.attach(typed)


def read_features(features: TableLike, names, **how: object) -> tuple[pd.DataFrame, pd.Index]:
    """Read those of the features `names` that a table has, and all names of columns."""
    reading = Reading("types", how, {})
    table = alone(reading, reading.open({"features": features})["features"], names)
    reading.require_known_columns()
    known = table.loc[:, table.columns.isin(names)]
    if known.shape[1]:
        known = reading.numbers(known, "features", "features")
    reading.require_no_problem()
    return known, table.columns


def _named_labels(reading, labels, keys):
    for kind, key in keys.items():
        if key != kind and key not in labels:
            reading.problem(f"{kind}_key: no column {key!r}; there are {some(labels, 12)}")
    return labels.rename(columns={key: kind for kind, key in keys.items()})


def _likely_types(reading, labels):
    likely = [column for column in labels if 1 < labels[column].nunique() < len(labels) / 2]
    likely = [column for column in likely if _OF_TYPES.search(str(column))]
    text = f"labels: no column of types; there are {some(labels, 12)}"
    if not likely:
        reading.stop(f"{text}; give them with labels or type_key")
    reading.problem(text, type_key=likely[0])
    return labels[likely[0]]


def _families(families, given, kept):
    known = known_features(given)
    if families is None and len(known):
        families = known["family"].reindex(given).fillna(OTHER)
    of_all = pd.Series(families_of(families, given), given)
    return of_all[kept]
