"""Typed neurons: an AnnData of electrophysiological features in families, and its arrays for internal use."""

import re
import warnings
from collections.abc import Mapping
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd
from sklearn.utils.validation import check_array

from sbnn.data.checks import (
    check_labels,
    check_names,
    check_recorded,
    check_unmasked,
    some,
    warn_of_marks,
)
from sbnn.data.containers import about_data, name_and_sha256, with_about
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.errors import attempt, naming

ALL = "all"  # name of the only family if no families are given
_SYMBOL = r"[fpnuµμmckMG]?(s|V|A|Ohms?|ohms?|Ω|F|Hz|S|m|C|J|W|L|g|M|B|rad)|min|h|°C?|deg|%|\d+|a\.?u\.?|SD"
UNIT = re.compile(rf"(({_SYMBOL}|spikes?|APs?|counts?)(\^?-?\d)?(\s*([/*·. ]|per)\s*|$))*")


@dataclass(frozen=True, eq=False)
class TypedCells:
    """Arrays of typed neurons for internal use, made by `as_typed`."""

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


def typed_cells(X, labels=None, families=None, units=None, **about):
    """Build a validated AnnData of typed neurons from a table of features and labels of the cells.

    Parameters
    ----------
    X : DataFrame or array-like, shape (n, p)
        Features in their original units, with NaN where a value was not recorded and cell names in
        the index.
    labels : DataFrame, optional
        Columns ``type`` and, if known, ``donor`` and ``condition``, indexed by cell name in any
        order; cells that are not in `X` are ignored.
    families : dict of str to list, sequence of str, optional
        Feature names of each family, or the family of each column; by default a single family.
    units : dict of str to str, optional
        Feature -> unit, for the features that have a unit.
    **about
        ``name``, ``source`` and other entries of ``uns["sbnn"]``; see `sbnn.paired`.

    Returns
    -------
    AnnData
        With ``X`` (float64), ``var["family"]``, ``var["unit"]``, the labels in ``obs`` (``type`` is
        ``"unknown"`` where it is missing) and ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        If values are infinite, names repeat, a cell has no labels, a column is not in exactly one
        family, or units are given for unknown features.
    """
    check_unmasked(X, "X")
    named = isinstance(X, pd.DataFrame)
    with naming("X: expected numbers, cells x features"):
        values = check_array(
            np.asarray(X), dtype=np.float64, order="C", ensure_all_finite=False, input_name="X"
        )
    cells = check_names(X.index if named else None, "X", "cell", values.shape[0])
    features = check_names(X.columns if named else None, "X", "feature", values.shape[1])
    check_recorded(values, "X", cells, features)
    warn_of_marks(values, "X", features)
    if isinstance(labels, pd.DataFrame):
        labels = labels[labels.index.astype(str).isin(cells)]
    obs = check_labels(labels, cells, ("type",), ("donor", "condition")).rename_axis(index=None)
    units = attempt("units: expected a dict that maps features to units", dict, units or {})
    if not {*units} <= {*features}:
        raise ValueError(f"units: unknown features: {some(sorted({*units} - {*features}))}")
    if odd := sorted({str(unit) for unit in units.values() if not UNIT.fullmatch(str(unit))}):
        warnings.warn(
            f"units: {some(odd)} is not a unit such as s, mV, pA, MOhm, Hz/pA or 1", stacklevel=2
        )
    var = {
        "family": families_of(families, features),
        "unit": [units.get(feature, "") for feature in features],
    }
    adata = ad.AnnData(values, obs, pd.DataFrame(var, index=features))
    return with_about(
        adata, about_data(**about), _fingerprint(values, cells, features, obs["type"])
    )


def as_typed(data):
    """Convert an AnnData (from `typed_cells`, or with ``type`` in ``obs``) to `TypedCells`."""
    if isinstance(data, TypedCells):
        return data
    if not isinstance(data, ad.AnnData):
        raise TypeError(
            f"data: expected an AnnData as from sbnn.typed_cells, got {type(data).__name__}"
        )
    if "sbnn" not in data.uns or "type" not in data.obs or not {"family", "unit"} <= {*data.var}:
        units = data.var["unit"].to_dict() if "unit" in data.var else None
        data = typed_cells(data.to_df(), data.obs, data.var.get("family"), units)
    X = np.ascontiguousarray(data.X, dtype=np.float64)
    columns = (data.obs["type"], data.var_names, data.var["family"], data.var["unit"])
    y, features, families, units = (names.to_numpy(dtype=str) for names in columns)
    about = name_and_sha256(data.uns.get("sbnn", {}), _fingerprint(X, data.obs_names, features, y))
    return TypedCells(
        X, y, features, families, units, data.obs, data.obs_names.to_numpy(str), *about
    )


def families_of(families, names):
    """Family of each column in `names`, from a list of families, a dict of family to names, or None for one family."""
    names, n_given = [str(name) for name in names], 0
    if families is None:
        families = [ALL] * len(names)
    elif isinstance(families, Mapping):
        n_given = sum(map(np.size, families.values()))
        family_of = {
            str(name): family for family, its in families.items() for name in np.ravel(its)
        }
        families = [family_of[name] for name in names if name in family_of]
    if np.shape(families) != (len(names),) or n_given not in (0, len(names)):
        raise ValueError(
            f"families: expected exactly one family for each of the columns {some(names)}"
        )
    return np.array([str(family) for family in families], dtype=object)


def family_columns(family_of):
    """Map families, in order of appearance, to the positions of their columns; `family_of` has one entry per column."""
    return {family: np.flatnonzero(family_of == family) for family in dict.fromkeys(family_of)}


def _fingerprint(X, cells, features, types):
    """Fingerprint of values, names and types."""
    parts = {"cells": cells, "features": features, "types": types}
    lists = {part: [str(value) for value in values] for part, values in parts.items()}
    return fingerprint_parameters({"values": fingerprint_arrays(X)} | lists)
