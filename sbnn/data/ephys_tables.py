"""Electrophysiological features out of a user's own tables: matched by cell name, and what does not fit is told."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from sbnn.data.checks import some
from sbnn.data.ephys_units import known_features, unit_factor
from sbnn.data.families import FeatureFamilies
from sbnn.data.labels import UNKNOWN
from sbnn.data.readers.tables import as_numbers, leave_out, read_table
from sbnn.data.type_names import KNOWN_CLASSES, usual_name
from sbnn.data.unit_mixups import check_units, told

#: Family of features that have no published name, where others have.
OTHER = "other"

_LABELS = ("type", "donor", "condition")


def read_ephys_table(
    features,
    labels=None,
    families: FeatureFamilies | Mapping[str, Iterable[str]] | None = None,
    units: Mapping[str, str] | None = None,
    *,
    unlabelled: str = "drop",
    classes: Iterable[str] = KNOWN_CLASSES,
    name: str = "custom",
    source: str | None = None,
) -> dict[str, Any]:
    """Read a table of features and one of labels.

    Parameters
    ----------
    features : path-like, (path-like, str) or DataFrame
        Cells x features, cell names in the first column (the index of a DataFrame), empty where a value is missing; as
        `sbnn.data.readers.tables.read_tables` takes them. Where `labels` has the names of its columns instead of its
        rows, it is turned. Columns called `type`, `donor` and `condition` are taken as labels where `labels` is not
        given.
    labels : path-like, (path-like, str), DataFrame or Series, optional
        Cells x labels: `type`, and if known `donor` and `condition`; others are kept. A Series holds the types.
    families : FeatureFamilies or dict of str to list of str, optional
        As for `EphysFeatures`. By default features with a published name (`sbnn.data.ephys_units.feature_table`) are in
        the family they have there, and all others in ``"other"``; without any published name there is one family.
    units : dict of str to str, optional
        Units that the values are in. By default those of the release whose names the features have.
    unlabelled : {"drop", "keep"}
        What to do with cells without a type where other cells have one; kept ones have the type ``"unknown"``.
    classes : iterable of str
        Types that are recognised in other spellings and by their synonyms: ``"Sst"``, ``"sst "`` and ``"SOM"`` are
        ``"SST"``, ``"PV"`` is ``"PVALB"``, ``"V.I.P."`` is ``"VIP"`` (`sbnn.data.type_names`). Types that are none of
        them stay as they are, without blanks at their ends; of those that differ in case or punctuation alone
        `EphysFeatures` warns.
    name, source : str, optional
        As for `EphysFeatures`; by default the source names the files.

    Returns
    -------
    dict
        Arguments of `EphysFeatures`. What was left out is in ``"dropped"``: cells of one table alone, cells without a
        type or without a single value, features without a value or with one value in all cells.

    Raises
    ------
    FileNotFoundError, ImportError
    ValueError
        A file that is no table, repeated names, no cell in common, values that are not numbers, families or units of
        features that are not there, a stated unit that does not measure what the release does.

    Warns
    -----
    UserWarning
        Telling what is left out, which types were spelled in another way, and which features look like another unit,
        in all cells or in some.
    """
    if unlabelled not in ("drop", "keep"):
        raise ValueError(f"unlabelled must be 'drop' or 'keep', got {unlabelled!r}")
    given = [what for what in (features, labels) if what is not None]
    table, labels = _both(features, labels)
    dropped: dict[str, list[str]] = {}
    if labels is not None:
        cells = table.index[table.index.isin(labels.index)]
        if unlabelled == "drop":
            leave_out(dropped, "cells without labels", table.index.difference(cells, sort=False), len(table), "cells")
            table = table.loc[cells]
        strangers = labels.index.difference(cells, sort=False)
        leave_out(dropped, "labels of cells without features", strangers, len(labels), "labels")
        labels = labels.reindex(table.index)
        if "type" in labels:
            labels["type"] = _spelled(labels["type"], tuple(classes))
            without = labels.index[labels["type"].isna()]
            if unlabelled == "drop" and len(without):
                leave_out(dropped, "cells without a type", without, len(table), "cells")
                table, labels = table.drop(index=without), labels.drop(index=without)
    if not len(table):
        raise ValueError("features: no cell is left that has a type")

    table = as_numbers(table, "features")
    bound = _families(families, table)
    strangers = [feature for feature in units or {} if feature not in table]
    if strangers:
        raise ValueError(f"units names features that are not in the table: {some(strangers)}")
    empty = table.index[table.isna().all(axis=1)]
    leave_out(dropped, "cells without a single value", empty, len(table), "cells")
    table = table.drop(index=empty)
    if not len(table):
        raise ValueError("features: no cell is left that has a value")
    for why, columns in (
        ("features without a value", table.columns[table.isna().all()]),
        ("features with one value in all cells", table.columns[table.nunique() == 1]),
    ):
        leave_out(dropped, why, columns, table.shape[1], "features")
        table = table.drop(columns=columns)
    if not table.shape[1]:
        raise ValueError("features: none is left, each is empty or has one value in all cells")
    units = _units(units or {}, table)
    suspects = check_units(table, units)
    if len(suspects):
        warnings.warn(
            f"{len(suspects)} feature(s) look like another unit: {told(suspects)}. Correct them, or say in which unit "
            f"all cells of a feature are: units={{feature: unit}}",
            stacklevel=3,
        )
    return {
        "X": table,
        "families": bound.subset(list(table.columns)),
        "units": units,
        "labels": None if labels is None else labels.loc[table.index],
        "dropped": dropped,
        "name": name,
        "source": source or "the user's tables: " + ", ".join(map(_called, given)),
    }


def _both(features, labels) -> tuple[pd.DataFrame, pd.DataFrame | None]:
    """Read both tables, cells in rows, and find the labels that stand among the features."""
    table = read_table(features, "features")
    if labels is None:
        among = [column for column in _LABELS if column in table]
        return table.drop(columns=among), table[among].astype(object) if among else None
    labels = labels.to_frame("type") if isinstance(labels, pd.Series) else labels
    labels = read_table(labels, "labels").astype(object)
    if not table.index.isin(labels.index).any():
        if not table.columns.isin(labels.index).any():
            raise ValueError(
                f"features and labels share no cell name: features has the rows {some(table.index, 3)}, labels has "
                f"{some(labels.index, 3)}"
            )
        table = table.T
    return table, labels


def _spelled(types: pd.Series, classes: tuple[str, ...]) -> pd.Series:
    """Types as text, known ones in the usual spelling, missing ones (or ``"unknown"``) as NaN."""
    spelled = types.where(types.notna(), "").astype(str).map(lambda name: usual_name(name, classes))
    changed = sorted({f"{old!r} as {new!r}" for old, new in zip(types, spelled, strict=True) if new and old != new})
    if changed:
        warnings.warn(f"types are read in the usual spelling: {some(changed)}", stacklevel=4)
    return spelled.where(~spelled.isin(["", UNKNOWN]))


def _families(families, table: pd.DataFrame) -> FeatureFamilies:
    if families is None:
        known = known_features(table.columns)["family"]
        if len(known):
            family_of = known.reindex(table.columns).fillna(OTHER)
            return FeatureFamilies(table.columns, family_of)
    if isinstance(families, Mapping):
        families = {family: [str(name).strip() for name in names] for family, names in families.items()}
    return FeatureFamilies.of(families, table)


def _units(units: Mapping[str, str], table: pd.DataFrame) -> dict[str, str]:
    """Unit of each feature: as said, else as in the release, else none."""
    usual = known_features(table.columns)["unit"].to_dict()
    units = {feature: units.get(feature, usual.get(feature, "")) for feature in table.columns}
    for feature, unit in units.items():
        if usual.get(feature) and unit:
            try:
                unit_factor(unit, usual[feature])
            except ValueError as error:
                raise ValueError(f"units: {feature} is usually in {usual[feature]}: {error}") from None
    return units


def _called(table: Any) -> str:
    if isinstance(table, pd.DataFrame | pd.Series):
        return f"a {type(table).__name__}"
    return Path(table[0] if isinstance(table, tuple) else table).name
