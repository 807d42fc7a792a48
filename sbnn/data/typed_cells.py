"""Typed neurons, as AnnData of features in families, and as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array

from sbnn.data.checks import check_labels, check_names, check_recorded, check_unmasked, some
from sbnn.data.containers import about_data, name_and_sha256, with_about
from sbnn.data.diagnose import marks
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.errors import warn

if TYPE_CHECKING:
    from anndata import AnnData
    from numpy.typing import ArrayLike

    from sbnn.typehints import Families


ALL = "all"  # the only family if none are given


@dataclass(frozen=True, eq=False)
class TypedCells:
    """Arrays made by `as_typed`."""

    X: np.ndarray  # float64 of shape (n, p), NaN where no value was recorded
    y: np.ndarray  # types, "unknown" if missing
    feature_names: np.ndarray
    families: np.ndarray
    units: np.ndarray  # "" for a feature without a unit
    labels: pd.DataFrame
    cell_names: np.ndarray
    name: str
    sha256: str

    @property
    def n_cells(self):
        """Number of cells."""
        return len(self.X)


def typed_cells(
    X: pd.DataFrame | ArrayLike,
    labels: pd.DataFrame | None = None,
    families: Families | None = None,
    units: Mapping[str, str] | None = None,
    **about: object,
) -> AnnData:
    """Build a validated AnnData of typed neurons.

    Parameters
    ----------
    X : DataFrame or array-like, shape (n, p)
        Features in their original units, NaN where a value was not recorded, indexed by cell name.
    labels : DataFrame, optional
        Columns ``type`` and, if known, ``donor`` and ``condition``, indexed by cell name in any
        order; may hold other cells.
    families : dict of str to list, sequence of str, optional
        Feature names of each family, or the family of each column.
    units : dict of str to str, optional
        Feature -> unit.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``var["family"]``, ``var["unit"]``, labels in ``obs`` (a missing
        ``type`` is ``"unknown"``) and ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        If values are infinite or no numbers, names repeat, a cell has no labels, or families or
        units do not fit the features.

    Warns
    -----
    UserWarning
        If a cell has no values, or values such as -999 may mark missing values.

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
    check_unmasked(X, "X")
    values = check_array(
        np.asarray(X), dtype=np.float64, order="C", ensure_all_finite=False, input_name="X"
    )
    rows = getattr(X, "index", None)
    columns = getattr(X, "columns", None)
    cells = check_names(rows, "X", "cell", values.shape[0])
    features = check_names(columns, "X", "feature", values.shape[1])
    check_recorded(values, "X", cells, features)
    for text in marks(values, "X", features):
        warn(text)
    if isinstance(labels, pd.DataFrame):
        labels = labels[labels.index.astype(str).isin(cells)]
    obs = check_labels(labels, cells, ("type",), ("donor", "condition")).rename_axis(index=None)
    units = dict(units or {})
    unknown = units.keys() - {*features}
    if unknown:
        raise ValueError(f"units: unknown features: {some(sorted(unknown))}")
    var = pd.DataFrame({"family": families_of(families, features)}, features)
    var["unit"] = [units.get(feature, "") for feature in features]
    content = _fingerprint(values, cells, features, obs["type"])
    return with_about(ad.AnnData(values, obs, var), about_data(**about), content)


def as_typed(data):
    """Convert an AnnData from `typed_cells`, or with ``type`` in ``obs``."""
    if isinstance(data, TypedCells):
        return data
    if not isinstance(data, ad.AnnData):
        got = type(data).__name__
        raise TypeError(f"data: expected an AnnData as from sbnn.typed_cells, got {got}")
    if "sbnn" not in data.uns or "type" not in data.obs or not {"family", "unit"} <= {*data.var}:
        units = data.var["unit"].to_dict() if "unit" in data.var else None
        data = typed_cells(data.to_df(), data.obs, data.var.get("family"), units)
    X = np.ascontiguousarray(data.X, dtype=np.float64)
    types = data.obs["type"].to_numpy(dtype=str)
    features = data.var_names.to_numpy(dtype=str)
    cells = data.obs_names.to_numpy(dtype=str)
    families = data.var["family"].to_numpy(dtype=str)
    units = data.var["unit"].to_numpy(dtype=str)
    about = name_and_sha256(data.uns.get("sbnn", {}), _fingerprint(X, cells, features, types))
    return TypedCells(X, types, features, families, units, data.obs, cells, *about)


def families_of(families, names):
    """Family of each column."""
    names = [str(name) for name in names]
    if families is None:
        families = [ALL] * len(names)
    elif isinstance(families, Mapping):
        family_of = {}
        n_given = 0
        for family, its in families.items():
            family_of.update(dict.fromkeys(map(str, np.ravel(its)), family))
            n_given += np.size(its)
        families = []
        if n_given == len(names) and family_of.keys() == set(names):
            families = [family_of[name] for name in names]
    if np.shape(families) != (len(names),):
        raise ValueError(f"families: expected one family for each of the columns {some(names)}")
    return np.array([str(family) for family in families], dtype=object)


def family_columns(family_of):
    """Positions of the columns of each family."""
    return {family: np.flatnonzero(family_of == family) for family in dict.fromkeys(family_of)}


def _fingerprint(X, cells, features, types):
    return fingerprint_parameters(
        {"values": fingerprint_arrays(X), "cells": cells, "features": features, "types": types}
    )
