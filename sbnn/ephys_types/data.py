"""Typed neurons, as AnnData of features in families, and as arrays."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import anndata as ad
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_array

from sbnn.data.checks import (
    abbreviate,
    check_numeric,
    check_one_for_each,
    check_only_genes,
    check_table,
    fill_labels,
    fill_names,
    get_cell_names,
    match_rows,
    order_by_name,
    order_labels,
    read_numbers,
)
from sbnn.data.fingerprint import annotate_adata, annotation_arguments
from sbnn.data.inputs import load_into_memory

#: Columns of each family, or the family of each column, or None for a single family.
FeatureFamilies: TypeAlias = (
    Mapping[Hashable, object] | Sequence[object] | np.ndarray | pd.Series | None
)
ONLY_FAMILY = "all"  # the only family if none are given
OTHER_LABELS = "donor", "condition"  # labels that are no features


@dataclass(frozen=True, eq=False)
class TypedCells:
    """Arrays made by `as_typed`."""

    X: np.ndarray  # float64 of shape (n, p), NaN where no value was recorded
    y: np.ndarray  # types, "unknown" if missing
    feature_names: np.ndarray
    families: np.ndarray
    labels: pd.DataFrame
    cell_names: np.ndarray
    name: str
    sha256: str


def typed_cells(
    X: pd.DataFrame | ArrayLike,
    labels: pd.DataFrame | None = None,
    families: FeatureFamilies = None,
    units: Mapping[str, str] | pd.Series | None = None,
    **about: object,
) -> AnnData:
    """Build a validated AnnData of typed neurons.

    Parameters
    ----------
    X : DataFrame or array-like, shape (n, p)
        Features in their original units, NaN where missing, indexed by cell name.
    labels : DataFrame, optional
        Columns ``type`` and, if known, ``donor`` and ``condition``, indexed by cell name; may hold
        other cells.
    families : dict of str to list, sequence of str, optional
        Feature names of each family, or the family of each column.
    units : dict of str to str or Series, optional
        Feature -> unit.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``var["family"]``, ``var["unit"]`` and labels in ``obs`` (a missing
        ``type`` is ``"unknown"``).

    Raises
    ------
    ValueError
        If values are infinite or no numbers, names repeat, a cell has no labels, labels have no
        column ``type``, or families do not fit the features.

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn import typed_cells
    >>> cells = ["a", "b", "c"]
    >>> X = pd.DataFrame({"AP width": [0.2, 0.9, None], "Rheobase": [90, 40, 60.0]}, cells)
    >>> labels = pd.DataFrame({"type": ["Pvalb", "IT", "IT"]}, cells)
    >>> typed_cells(X, labels, units={"AP width": "ms"}).obs
        type
    a  Pvalb
    b     IT
    c     IT
    """
    if isinstance(X, pd.DataFrame):
        X = read_numbers(X, "X")
    check_numeric(X, "X")
    values = check_array(
        X, dtype=np.float64, order="C", ensure_all_finite="allow-nan", input_name="X"
    )
    n_cells, n_features = values.shape
    cells = fill_names(get_cell_names(X), "X", "cell", size=n_cells)
    features = fill_names(getattr(X, "columns", None), "X", "feature", size=n_features)
    if labels is not None:
        labels = labels.to_frame() if isinstance(labels, pd.Series) else labels
        check_table(labels, "labels")
        labels = match_rows(labels, cells, "labels")
        if "type" not in labels:
            raise ValueError(f"labels: no column 'type' among {abbreviate(labels.columns, 8)}")
    obs = fill_labels(order_labels(labels, cells), ("type",), optional=OTHER_LABELS)
    obs = obs.rename_axis(index=None)
    if isinstance(X, pd.DataFrame):
        check_only_genes(X, obs.filter(["type", *OTHER_LABELS]), "X")
    family_of = feature_families(families, features)
    var = pd.DataFrame({"family": family_of, "unit": feature_units(units, features)}, features)
    return annotate_adata(ad.AnnData(values, obs, var), "typed_cells", ["type"], **about)


def as_typed(data: AnnData | TypedCells, argument: str = "data") -> TypedCells:
    """Convert an AnnData from `typed_cells`, or with ``type`` in ``obs``."""
    if isinstance(data, TypedCells):
        return data
    if not isinstance(data, ad.AnnData):
        got = type(data).__name__
        raise TypeError(f"{argument}: expected an AnnData as from sbnn.typed_cells, got {got}")
    checked = typed_cells(
        load_into_memory(data).to_df(),
        data.obs,
        data.var.get("family"),
        **annotation_arguments(data),
    )
    description = checked.uns["sbnn"]
    return TypedCells(
        X=checked.X,
        y=checked.obs["type"].to_numpy(str),
        feature_names=checked.var_names.to_numpy(str),
        families=checked.var["family"].to_numpy(str),
        labels=checked.obs,
        cell_names=checked.obs_names.to_numpy(str),
        name=description["name"],
        sha256=description["sha256"],
    )


def feature_units(units: Mapping[str, str] | pd.Series | None, names: np.ndarray) -> pd.Series:
    """Unit of each feature, "" if it has none."""
    if units is None:
        units = {}
    if not isinstance(units, Mapping | pd.Series):
        got = type(units).__name__
        raise TypeError(f"units: expected a dict of feature to unit, got {got}")
    given = pd.Series(units, dtype=object).rename(index=str).dropna()
    unknown = given.index.difference(names)
    if len(unknown):
        raise ValueError(
            f"units: no features are called {abbreviate(unknown)}; the features are "
            f"{abbreviate(names)}"
        )
    return given.reindex(names, fill_value="")


def feature_families(families: FeatureFamilies, names: Iterable[object]) -> np.ndarray:
    """Family of each column, from such a list or Series, or from the names of each family."""
    columns = [str(name) for name in names]
    family_of: Sequence[object] | np.ndarray | pd.Series
    if families is None:
        family_of = [ONLY_FAMILY] * len(columns)
    elif isinstance(families, Mapping):
        # one row for each pair of a family and a column
        pairs = pd.Series(families).explode()
        by_column = pd.Series(pairs.index, pairs.astype(str))
        twice = by_column.index[by_column.index.duplicated()]
        if len(twice):
            raise ValueError(f"families: columns in two families: {abbreviate(twice.unique())}")
        family_of = by_column[by_column.index.isin(columns)].reindex(columns).dropna()
    elif isinstance(families, pd.Series):
        family_of = families.set_axis(families.index.astype(str))
        if set(columns) <= set(family_of.index):
            family_of = family_of[columns]
        else:  # by position, unless they are families of other columns
            order_by_name(family_of.index, columns, "families")
    else:
        check_one_for_each(families, "families", what="column")
        family_of = families
    if len(family_of) != len(columns):
        raise ValueError(
            f"families: expected one family for each of the columns {abbreviate(columns)}"
        )
    is_missing = pd.isna(np.array([*family_of], dtype=object))
    if is_missing.any():
        without = np.array(columns)[is_missing]
        raise ValueError(f"families: none of the columns {abbreviate(without)}; name one for each")
    return np.array([str(family) for family in family_of], dtype=object)


def family_columns(family_of: np.ndarray) -> dict[str, np.ndarray]:
    """Positions of the columns of each family."""
    return {family: np.flatnonzero(family_of == family) for family in dict.fromkeys(family_of)}
