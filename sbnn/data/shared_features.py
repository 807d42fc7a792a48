"""The 27 features, in 7 families, that the mouse and the human release both allow to compute.

The table `shared_features.csv` beside this module says how: a shared feature, named and measured as in the human
release of Lee et al. (2023), is ``(mouse - minus) * factor + offset`` of columns of the mouse release of Gouwens et al.
(2020), where the long square step begins 0.5 s after the sweep. Column `r` is the correlation between both over `n`
mouse cells for which the human kind of features was published too (`check_shared_features`).
"""

from __future__ import annotations

import warnings
from functools import cache
from importlib.resources import files as package_files

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.ephys_features import EphysFeatures
from sbnn.data.ephys_units import feature_table, unit_factor
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.unit_mixups import check_units, told

#: Shared features for which the two releases disagree about some cells: the sweep that latency and mean interval are
#: taken from, and the short square sweeps, are chosen in another way.
WEAK = ("latency_hero", "mean_isi_hero", "upstroke_downstroke_ratio_short_square", "threshold_v_short_square")

_DERIVED = {  # human kind of feature that the table of mouse cells lacks: difference of two that it has
    "trough_deltav_rheo": ("trough_v_rheo", "threshold_v_rheo"),
    "trough_deltav_ramp": ("trough_v_ramp", "threshold_v_ramp"),
}


@cache
def _table() -> pd.DataFrame:
    with (package_files("sbnn.data") / "shared_features.csv").open() as table:
        return pd.read_csv(table, index_col="feature", keep_default_na=False, na_values={"r": [""], "n": [""]})


def shared_feature_table() -> pd.DataFrame:
    """List the shared features and what each is made of.

    Returns
    -------
    DataFrame
        Indexed by feature, with the columns `family`, `unit`, `mouse`, `minus` (``""`` where nothing is subtracted),
        `factor`, `offset`, `r`, `n` (NaN where it could not be compared), `mouse_median` and `mouse_spread` (robust
        SD), the last two in `unit`, over the mouse release.
    """
    return _table().copy()


def to_shared_features(data: EphysFeatures, *, missing: str = "error") -> EphysFeatures:
    """Express data of either species in the shared features, with the names and units of the human release.

    Parameters
    ----------
    data : EphysFeatures
        With the columns of the mouse or of the human release, whichever it holds more of; others are left out. Units
        that `data` states are converted.
    missing : {"error", "nan"}
        What to do for a shared feature whose columns are not there: name it, or leave it missing in all cells.

    Returns
    -------
    EphysFeatures
        The same cells with 27 features in 7 families, called as `data` with ``_shared`` added.

    Raises
    ------
    ValueError
        Columns that are not there; values that look like another unit than they are said to be in, in all cells or
        in some (`check_units`), since transfer between data sets would take that for biology.
    """
    if missing not in ("error", "nan"):
        raise ValueError(f"missing must be 'error' or 'nan', got {missing!r}")
    shared = _table()
    if list(data.feature_names) == list(shared.index) and data.families.family_of == tuple(shared["family"]):
        return data
    suspects = check_units(data)
    if len(suspects):
        raise ValueError(f"{data.name}: {len(suspects)} feature(s) look like another unit: {told(suspects)}")
    given = data.table
    minus = shared["minus"]
    human = {feature: [feature] for feature in shared.index}
    mouse = {feature: [shared["mouse"][feature], *filter(None, [minus[feature]])] for feature in shared.index}
    ways = [(set(given) >= set(sum(needed.values(), [])), _n_there(needed, given), needed) for needed in (human, mouse)]
    needed = max(ways, key=lambda way: way[:2])[2]
    absent = {feature: [name for name in names if name not in given] for feature, names in needed.items()}
    absent = {feature: names for feature, names in absent.items() if names}
    if len(absent) == len(shared) or (absent and missing == "error"):
        kind = "human" if needed is human else "mouse"
        raise ValueError(
            f"{data.name}: {len(absent)} of the {len(shared)} shared features cannot be computed; columns of the "
            f"{kind} release that are not there: {some(dict.fromkeys(sum(absent.values(), [])))}"
        )
    units = feature_table("lee_2023" if needed is human else "gouwens_2020")["unit"]

    def column(name: str) -> pd.Series:
        return given[name] * unit_factor(data.units[name] or units[name], units[name])

    values = pd.DataFrame(np.nan, index=given.index, columns=shared.index)
    for feature in shared.index.difference(list(absent), sort=False):
        if needed is human:
            values[feature] = column(feature)
        else:
            values[feature] = _from_mouse(shared.loc[feature], column)
    return EphysFeatures(
        X=values.to_numpy(),
        feature_names=shared.index,
        families=_families(shared),
        units=shared["unit"].to_dict(),
        labels=data.labels,
        cell_names=data.cell_names,
        name=f"{data.name}_shared",
        source=data.source,
        sha256=fingerprint_parameters({"shared features of": data.sha256, "features": list(shared.index)}),
        files=data.files,
        dropped=data.dropped,
    )


def check_shared_features(mouse: EphysFeatures, human_style: pd.DataFrame) -> pd.DataFrame:
    """Compare the shared features of mouse cells with those computed directly by the human pipeline.

    Parameters
    ----------
    mouse : EphysFeatures
        Mouse cells with the columns of the mouse release, named by specimen.
    human_style : DataFrame
        The same specimens (in the index, or in the column `cell_name`) with features of the human kind, as published
        for mouse cells in ``mouse_cells_with_lee_style_features.csv``. Cells of one table alone are passed over.

    Returns
    -------
    DataFrame
        Indexed by shared feature: `r` (Pearson) and `rho` (Spearman), `n` cells with both, `median_ratio` (median over
        cells of ours by theirs), `within_2_percent` (share of cells). NaN where the other table lacks the feature.

    Raises
    ------
    ValueError
        No cell in common.
    """
    if "cell_name" in human_style:
        human_style = human_style.set_index("cell_name")
    theirs = human_style.set_axis(human_style.index.astype(str), axis=0)
    ours = to_shared_features(mouse).table
    cells = ours.index.intersection(theirs.index)
    if not len(cells):
        raise ValueError(
            f"mouse and human_style have no cell in common: {some(ours.index, 3)}; {some(theirs.index, 3)}"
        )
    ours, theirs = ours.loc[cells], theirs.loc[cells]
    rows = {}
    for feature in ours:
        if feature in theirs:
            other = theirs[feature]
        elif set(_DERIVED.get(feature, ["no"])) <= set(theirs):
            of, minus = _DERIVED[feature]
            other = theirs[of] - theirs[minus]
        else:
            rows[feature] = (np.nan, np.nan, 0, np.nan, np.nan)
            continue
        both = ours[feature].notna() & other.notna()
        rows[feature] = _agreement(ours.loc[both, feature], other[both])
    columns = ["r", "rho", "n", "median_ratio", "within_2_percent"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("feature")


def _n_there(needed: dict[str, list[str]], given: pd.DataFrame) -> int:
    return sum(set(names) <= set(given) for names in needed.values())


def _from_mouse(how: pd.Series, column) -> pd.Series:
    values = column(how["mouse"])
    if how["minus"]:
        values = values - column(how["minus"])
    return values * how["factor"] + how["offset"]


def _families(shared: pd.DataFrame) -> dict[str, list[str]]:
    return {family: list(rows.index) for family, rows in shared.groupby("family", sort=False)}


def _agreement(ours: pd.Series, theirs: pd.Series) -> tuple:
    if len(ours) < 3:
        return np.nan, np.nan, len(ours), np.nan, np.nan
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant column has no correlation
        r, rho = ours.corr(theirs), ours.corr(theirs, method="spearman")
    nonzero = theirs != 0
    ratio = float((ours[nonzero] / theirs[nonzero]).median()) if nonzero.any() else np.nan
    return r, rho, len(ours), ratio, float(((ours - theirs).abs() <= 0.02 * theirs.abs() + 1e-9).mean())
