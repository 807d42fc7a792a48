"""Typed neurons from a user's own tables: cells are matched by name, and a warning lists whatever is left out."""

import warnings
from pathlib import Path

import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.ephys_features import known_features, unlikely_units
from sbnn.data.readers.tables import as_numbers, leave_out, read_table
from sbnn.data.typed_cells import families_of, typed_cells
from sbnn.errors import attempt

OTHER = "other"  # family of features without a published name, if other features have one
_LABELS = ("type", "donor", "condition")


def read_ephys_table(
    features, labels=None, families=None, units=None, *, name="custom", source=None
):
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
    paths = [Path(given) for given in (features, labels) if isinstance(given, str | Path)]
    source = (
        "the user's tables" + "".join(f", {path.name}" for path in paths)
        if source is None
        else source
    )
    table = read_table(features, "features")
    if labels is None:
        among = [column for column in _LABELS if column in table]
        labels, table = table[among].astype(object), table.drop(columns=among)
    else:
        labels = labels.to_frame("type") if isinstance(labels, pd.Series) else labels
        labels = read_table(labels, "labels").astype(object)
    dropped = {}
    cells = table.index[table.index.isin(labels.index)]
    leave_out(
        dropped,
        "features",
        "cells without labels",
        table.index.difference(cells, sort=False),
        len(table),
    )
    unmatched = labels.index.difference(cells, sort=False)
    leave_out(dropped, "labels", "labels of cells without features", unmatched, len(labels))
    table, labels = table.loc[cells], labels.loc[cells]
    if "type" in labels:
        labels["type"] = (
            labels["type"].where(labels["type"].notna(), UNKNOWN).astype(str).str.strip()
        )
        typed = ~labels["type"].isin(["", UNKNOWN])
        leave_out(dropped, "labels", "cells without a type", cells[~typed], len(cells))
        table, labels = table[typed], labels[typed]
    known = known_features(table.columns)
    if families is None and len(known):
        families = known["family"].reindex(table.columns).fillna(OTHER)
    family_of = pd.Series(families_of(families, table.columns), table.columns)
    numbers = as_numbers(table, "features")
    empty = numbers.isna().all(axis=1)
    leave_out(
        dropped, "features", "cells without a single value", numbers.index[empty], len(numbers)
    )
    numbers = numbers[~empty]
    constant = numbers.columns[numbers.nunique() < 2]
    leave_out(
        dropped, "features", "features without two different values", constant, numbers.shape[1]
    )
    numbers, labels = numbers.drop(columns=constant), labels.loc[numbers.index]
    units = known["unit"].to_dict() | attempt(
        "units: expected a dict that maps features to units", dict, units or {}
    )
    units = {feature: unit for feature, unit in units.items() if feature not in constant}
    doubts = unlikely_units(numbers, units)
    if doubts:
        warnings.warn(
            f"unusual values: {some(doubts)}; if units differ, pass units={{feature: unit}}",
            stacklevel=2,
        )
    return typed_cells(
        numbers,
        labels,
        family_of[numbers.columns],
        units,
        name=name,
        source=source,
        dropped=dropped,
    )
