"""Units mixed up in features of electrophysiology, in all cells or in some: s for ms, V for mV, percent for a ratio.

All cells of a feature are judged by their median, which has to be where that of published data may be. Some of them are
judged by the others: cells in another unit lie a power of a thousand away from the rest, as close together as the rest,
and next to nothing lies between. Cells near zero, as the peak of a spike may be, lie there too, but the nearer to zero
the fewer they are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.checks import some
from sbnn.data.ephys_units import known_features, multiple_of_unit, unit_factor

_EXPONENTS = (3, -3, 6, -6, 9, -9, 12, -12)
#: Share of values of the other sign from which on they are no measurements in any unit, but z-scores or the like.
_OTHER_SIGN = 0.25
#: Cells in one unit lie within this factor of their median; some do not, see `_GAP`.
_WITHIN = 10
#: Largest number of cells between two units, as a share of those in the rarer unit.
_GAP = 0.25
#: Fewest cells of which anything is said. Published data have none that is a thousand times too large, but single ones
#: that are as much too small, of the other sign, or ratios above 1.
_FEWEST_LARGER, _FEWEST = 1, 3
#: Share of cells above 1 from which on all of them are taken for percent: a small ratio in percent is below 1 too.
_ALL_PERCENT = 0.9

_COLUMNS = ["median", "low", "high", "unit", "factor", "looks_like", "n_cells", "n_measured", "cells"]


class _Suspicion(NamedTuple):
    """Which cells, by what their values are to be multiplied (NaN where nothing helps), and what they look like."""

    cells: np.ndarray  # (n,) of bool
    factor: float
    looks_like: str


def check_units(data: Any, units: dict[str, str] | None = None) -> pd.DataFrame:
    """Find features whose values look like another unit, in all cells or in some: s for ms, V for mV, A for pA.

    Parameters
    ----------
    data : EphysFeatures or DataFrame
        Features in columns; those without a published name are passed over.
    units : dict of str to str, optional
        Units that the values are meant to be in, by default those of `data`, else those of the release.

    Returns
    -------
    DataFrame
        One row for each suspect, indexed by feature: `median` of the suspect cells; `low`, `high` and `unit` that were
        expected; `factor` by which the values are to be multiplied, NaN where none helps; `looks_like`, the unit they
        seem to be in, ``"z-scores"`` where a quarter has the wrong sign, ``"1 - ratio"`` and ``"no ratio"`` for what
        should be a ratio, or ``""``; `n_cells` that are suspect, of `n_measured`; and `cells`, the names of these where
        they are not all, else an empty tuple. Empty where nothing is suspect.

    Notes
    -----
    Of ratios, such as the sag, those in percent among others are told by being above 1: cells whose sag is below 1 %
    are not counted.
    """
    table = data if isinstance(data, pd.DataFrame) else data.table
    units = dict(getattr(data, "units", {}) if units is None else units)
    known = known_features(table.columns)
    rows = {}
    for feature, about in known[known["low"].notna()].iterrows():
        column = table[feature].astype(np.float64)
        column = column[np.isfinite(column)]
        unit = units.get(feature) or about["unit"]
        try:
            scale = unit_factor(about["unit"], unit)
        except ValueError:
            continue  # a unit of one's own; nothing is known of values in it
        values = column.to_numpy()
        if about["unit"] == "":
            values, unit, scale = values / scale, "", 1.0
        low, high = about["low"] * scale, about["high"] * scale
        suspect = _suspicion(values, low, high, unit) if len(values) else None
        if suspect is not None:
            chosen = suspect.cells
            names = () if chosen.all() else tuple(map(str, column.index[chosen]))
            judged = float(np.median(values[chosen])), low, high, unit
            rows[feature] = (*judged, suspect.factor, suspect.looks_like, int(chosen.sum()), len(values), names)
    return pd.DataFrame.from_dict(rows, orient="index", columns=_COLUMNS).rename_axis("feature")


def told(suspects: pd.DataFrame, limit: int = 5) -> str:
    """Put what `check_units` found into a sentence or two."""
    lines = []
    for feature, about in suspects.iloc[:limit].iterrows():
        part = len(about["cells"]) > 0
        of = f" of {about['n_cells']} of {about['n_measured']} cells" if part else ""
        expected = f"{feature}: the median{of} is {about['median']:.3g}, expected {about['low']:g} to {about['high']:g}"
        looks = f", looks like {about['looks_like']}" if about["looks_like"] else ""
        advice = f", multiply by {about['factor']:g}" if np.isfinite(about["factor"]) else ""
        named = f" ({some(about['cells'], 3)})" if part else ""
        lines.append(f"{expected} {about['unit']}".rstrip() + looks + advice + named)
    more = f"; and {len(suspects) - limit} more" if len(suspects) > limit else ""
    return "; ".join(lines) + more


def _suspicion(values: np.ndarray, low: float, high: float, unit: str) -> _Suspicion | None:
    if unit == "":
        return _suspect_ratio(values, low, high)
    for exponent in _EXPONENTS:
        part = _moved(values, low, high, exponent)
        if part.sum() >= (_FEWEST_LARGER if exponent > 0 else _FEWEST):
            factor = float(f"1e{-exponent}")
            return _Suspicion(part, factor, multiple_of_unit(unit, factor))
    median, every = np.median(values), np.ones(len(values), dtype=bool)
    if low <= median <= high:
        return None
    if _are_z_scores(values, low):
        return _Suspicion(every, np.nan, "z-scores")
    for factor in (float(f"1e{exponent}") for exponent in _EXPONENTS):
        if low <= median * factor <= high:
            return _Suspicion(every, factor, multiple_of_unit(unit, factor))
    return None  # unusual, but no unit explains it


def _moved(values: np.ndarray, low: float, high: float, exponent: int) -> np.ndarray:
    """Cells that lie this power of ten away from those of usual size, with next to none between; mask, shape (n,)."""
    nobody = np.zeros(len(values), dtype=bool)
    usual = (values >= low) & (values <= high)
    if not usual.any():
        return nobody
    ratio = values / np.median(values[usual])
    away = np.full(len(values), np.nan)
    away[ratio > 0] = np.log10(ratio[ratio > 0])
    away *= np.sign(exponent)
    width, distance = np.log10(_WITHIN), abs(exponent)
    part = np.abs(away - distance) < width
    between = (away > width) & (away <= distance - width)
    most = (part | (np.abs(away) < width)).mean() > 0.5  # else the feature is not what its name says, in any unit
    return part if most and between.sum() <= _GAP * part.sum() else nobody


def _suspect_ratio(values: np.ndarray, low: float, high: float) -> _Suspicion | None:
    """Suspicion of what should lie between 0 and 1: percent, the complement, or nothing of the kind."""
    above, every = values > 1, np.ones(len(values), dtype=bool)
    median = np.median(values)
    # Noise makes single ratios a little larger than 1, percent are mostly much larger.
    much_larger = above.sum() >= _FEWEST and (values[above] <= 2).sum() <= _GAP * (values > 2).sum()
    if much_larger and low <= np.median(values[above]) / 100 <= high:
        return _Suspicion(every if above.mean() >= _ALL_PERCENT else above, 0.01, "percent")
    if low <= median <= high:
        return None
    if _are_z_scores(values, low):
        return _Suspicion(every, np.nan, "z-scores")
    if median > high and len(values) >= _FEWEST:
        return _Suspicion(every, np.nan, "1 - ratio" if median <= 1 else "no ratio")
    return None


def _are_z_scores(values: np.ndarray, low: float) -> bool:
    return len(values) >= _FEWEST and bool((values * np.sign(low) < 0).mean() > _OTHER_SIGN)
