"""Typed neurons from a user's own tables, in which cells are matched by name."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_features import known_features, unlikely_units
from sbnn.data.readers.tables import as_numbers, leave_out, read_table
from sbnn.data.typed_cells import families_of, typed_cells
from sbnn.errors import warn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData

    from sbnn.typehints import Families, TableLike


OTHER = "other"  # family of features without a published name, if other features have one
_LABELS = ("type", "donor", "condition")


def read_ephys_table(
    features: TableLike,
    labels: TableLike | pd.Series | None = None,
    families: Families | None = None,
    units: Mapping[str, str] | None = None,
    *,
    name: str = "custom",
    source: str | None = None,
) -> AnnData:
    """Read a table of electrophysiological features and a table of cell types.

    Parameters
    ----------
    features : path-like, (path-like, sheet) or DataFrame
        Cells x features, with cell names in the first column (or the index of a DataFrame). Missing
        values are empty fields. Columns called ``type``, ``donor`` and ``condition`` are taken as
        labels if `labels` is not given.
    labels : path-like, (path-like, sheet), DataFrame or Series, optional
        Cells x labels, with the columns ``type`` and, if known, ``donor`` and ``condition``; other
        columns are kept. A Series holds the types.
    families, units : optional
        See `typed_cells`. By default, features with a published name get their family and unit in
        the release (see `sbnn.data.ephys_features.feature_table`), and all other features are in
        the family ``"other"``.
    name, source : str, optional
        By default, `source` lists the names of the files.

    Returns
    -------
    AnnData
        As returned by `typed_cells`, for the cells that have a type and at least one value, and the
        features that vary between these cells.

    Raises
    ------
    FileNotFoundError
    ValueError
        If the tables have no cell in common, there is text among the numbers, no cell or feature is
        left, or `typed_cells` rejects the data.

    Warns
    -----
    UserWarning
        If anything is left out, or if features seem to be in another unit.
    """
    if source is None:
        paths = [Path(given) for given in (features, labels) if isinstance(given, str | Path)]
        source = ", ".join(["the user's tables", *(path.name for path in paths)])
    table = read_table(features, "features")
    if labels is None:
        columns = table.columns.intersection(_LABELS, sort=False)
        labels = table[columns].astype(object)
        table = table.drop(columns=columns)
    else:
        if isinstance(labels, pd.Series):
            labels = labels.to_frame("type")
        labels = read_table(labels, "labels").astype(object)
    dropped = {}
    in_both = table.index.isin(labels.index)
    cells = table.index[in_both]
    left_out = table.index[~in_both]
    leave_out(dropped, "features", "cells without labels", left_out, len(table))
    left_out = labels.index.difference(cells, sort=False)
    leave_out(dropped, "labels", "labels of cells without features", left_out, len(labels))
    table = table.loc[cells]
    labels = labels.loc[cells]
    if "type" in labels:
        types = labels["type"].where(labels["type"].notna(), UNKNOWN).astype(str).str.strip()
        labels["type"] = types
        typed = ~types.isin(["", UNKNOWN])
        leave_out(dropped, "labels", "cells without a type", cells[~typed], len(cells))
        table = table[typed]
        labels = labels[typed]
    known = known_features(table.columns)
    if families is None and len(known):
        families = known["family"].reindex(table.columns).fillna(OTHER)
    families = pd.Series(families_of(families, table.columns), table.columns)
    numbers = as_numbers(table, "features")  # (n_cells, n_features)
    empty = numbers.isna().all(axis=1)
    left_out = numbers.index[empty]
    leave_out(dropped, "features", "cells without a single value", left_out, len(numbers))
    numbers = numbers[~empty]
    labels = labels[~empty]
    constant = numbers.nunique() < 2
    left_out = numbers.columns[constant]
    reason = "features without two different values"
    leave_out(dropped, "features", reason, left_out, numbers.shape[1])
    numbers = numbers.loc[:, ~constant]
    units = known["unit"].to_dict() | dict(units or {})
    units = {feature: unit for feature, unit in units.items() if feature not in left_out}
    doubts = unlikely_units(numbers, units)
    if doubts:
        found = some(doubts)
        warn(f"unusual values: {found}; if units differ, pass units={{feature: unit}}")
    return typed_cells(
        numbers, labels, families[~constant], units, name=name, source=source, dropped=dropped
    )
