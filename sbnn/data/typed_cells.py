"""Typed neurons: an AnnData of electrophysiological features in families, and the arrays that the code below takes."""

from collections.abc import Mapping
from dataclasses import dataclass

import anndata as ad
import numpy as np
import pandas as pd

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters

ALL = "all"  # the one family if none is given


@dataclass(frozen=True, eq=False)
class TypedCells:
    """The arrays of typed neurons, as all code below the border takes them; `as_typed` makes it."""

    X: np.ndarray  # float64, (n, p), NaN where not recorded
    y: np.ndarray  # types, "unknown" where not known
    feature_names: np.ndarray
    families: np.ndarray
    units: np.ndarray  # "" without
    labels: pd.DataFrame
    cell_names: np.ndarray
    name: str
    sha256: str

    @property
    def n_cells(self):
        """Number of cells."""
        return len(self.X)


def typed_cells(X, labels=None, families=None, units=None, *, name="custom", source="user's table", **about):
    """Build typed neurons, checked, from a table of features and what is known of the cells.

    Parameters
    ----------
    X : DataFrame or array-like, shape (n, p)
        Features in their units, NaN where not recorded, cell names in the index.
    labels : DataFrame, optional
        Indexed by cell name, in any order: ``type``, and if known ``donor``, ``condition`` and others.
    families : dict of str to list, sequence of str, optional
        Feature names of each family, or the family of each column; one family by default.
    units : dict of str to str, optional
        Units of features that have one.
    name, source : str
        Short name, and where the data came from.
    **about
        Further entries of ``uns["sbnn"]``: ``sha256`` (by default of values, names and types), ``files``, ``dropped``.

    Returns
    -------
    AnnData
        ``X`` (float64), ``var["family"]``, ``var["unit"]``, `labels` in ``obs`` (``type`` always, ``"unknown"`` where
        nothing was given) and ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        Infinite values, duplicate names, labels that lack a cell, families that do not hold every column once, units of
        other features.
    """
    table = X if isinstance(X, pd.DataFrame) else _named(np.asarray(X, dtype=np.float64))
    values = np.ascontiguousarray(table, dtype=np.float64)
    cells, features = table.index.astype(str), table.columns.astype(str)
    for kind, names in (("cell", cells), ("feature", features)):
        if not names.is_unique:
            raise ValueError(f"X: duplicate {kind} names: {some(names[names.duplicated()])}")
    if np.isinf(values).any():
        i, j = np.argwhere(np.isinf(values))[0]
        raise ValueError(f"X: infinite value of cell {cells[i]!r}, feature {features[j]!r}; expected NaN if missing")
    obs = pd.DataFrame(index=cells) if labels is None else labels.set_axis(labels.index.astype(str), axis=0)
    if not cells.isin(obs.index).all():
        raise ValueError(f"labels: no row for the cells {some(cells[~cells.isin(obs.index)])}")
    obs = obs.loc[cells].rename_axis(index=None)
    for column in ("type", "donor", "condition"):
        if column in obs or column == "type":
            text = obs[column].astype(object) if column in obs else pd.Series(UNKNOWN, cells)
            obs[column] = text.where(text.notna() & (text != ""), UNKNOWN).astype(str)
    strangers = set(units or {}) - set(features)
    if strangers:
        raise ValueError(f"units: no such features: {some(sorted(strangers))}")
    columns = family_columns(families, features)
    family_of = pd.Series({j: family for family, its in columns.items() for j in its}).sort_index()
    var = {"family": family_of.to_numpy(object), "unit": [(units or {}).get(feature, "") for feature in features]}
    adata = ad.AnnData(values, obs, pd.DataFrame(var, index=features))
    content = _fingerprint(values, cells, features, obs["type"])
    empty = {"name": name, "source": source, "files": {}, "dropped": {}, "notes": []}
    about = {key: value for key, value in about.items() if value is not None}
    adata.uns["sbnn"] = empty | {"sha256": content, "content_sha256": content} | about
    return adata


def as_typed(data):
    """Arrays of typed neurons: `TypedCells` of an AnnData (of `typed_cells`, or with ``type`` in ``obs``)."""
    if isinstance(data, TypedCells):
        return data
    if not isinstance(data, ad.AnnData):
        raise TypeError(f"data: expected an AnnData of typed cells, got {type(data).__name__}; see sbnn.typed_cells")
    if "sbnn" not in data.uns or "type" not in data.obs:
        units = data.var["unit"].to_dict() if "unit" in data.var else None
        data = typed_cells(data.to_df(), data.obs, data.var.get("family"), units)
    about, X = data.uns["sbnn"], np.ascontiguousarray(data.X, dtype=np.float64)
    content = _fingerprint(X, data.obs_names, data.var_names, data.obs["type"])
    columns = (data.obs["type"], data.var_names, data.var["family"], data.var["unit"])
    y, features, families, units = (names.to_numpy(dtype=str) for names in columns)
    sha256 = about["sha256"] if content == about["content_sha256"] else content
    return TypedCells(X, y, features, families, units, data.obs, data.obs_names.to_numpy(str), about["name"], sha256)


def family_columns(families, names):
    """Positions of the columns of each family, in order of appearance: dict of family to ndarray of int.

    `families` is the family of each of the columns `names`, a dict of family to some of these names, or None.
    """
    names = list(names)
    if families is None:
        families = [ALL] * len(names)
    elif isinstance(families, Mapping):
        members = [(name, family) for family, its in families.items() for name in its]
        if sorted(map(str, names)) != sorted(str(name) for name, _ in members):
            wrong = {str(name) for name, _ in members} ^ set(map(str, names))
            raise ValueError(f"families: every column of X belongs in one family; unknown, missing or twice: {wrong}")
        family_of = dict(members)
        families = [family_of[name] for name in names]
    elif len(families) != len(names):
        raise ValueError(f"families: expected one for each of the {len(names)} columns of X, got {len(families)}")
    family_of = np.array([str(family) for family in families], dtype=object)
    return {family: np.flatnonzero(family_of == family) for family in dict.fromkeys(family_of)}


def _named(X):
    return pd.DataFrame(X).rename(index="cell_{}".format, columns="feature_{}".format)


def _fingerprint(X, cells, features, types):
    """Fingerprint of values, names and types."""
    parts = {"cells": cells, "features": features, "types": types}
    lists = {part: [str(value) for value in values] for part, values in parts.items()}
    return fingerprint_parameters({"values": fingerprint_arrays(X)} | lists)
