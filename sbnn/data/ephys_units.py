"""What is known of published features of electrophysiology: family, unit and usual values; and units mixed up.

The table `ephys_features.csv` beside this module lists the features of two releases, with the range in which the median
of a data set in this unit is to be expected (narrower than a factor of 1000, so that milli- and micro- are told apart),
and the median and the robust SD (interquartile range / 1.349) of the release.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files as package_files
from typing import Any

import numpy as np
import pandas as pd

#: Releases by the names of whose features a table is recognised: mouse (Gouwens et al. 2020), human (Lee et al. 2023).
GOUWENS, LEE = "gouwens_2020", "lee_2023"

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_UNIT = re.compile(r"(f|p|n|u|m|k|M|G|)(V|A|s|Ohm|Hz|rad|S|F)")
_ALSO_WRITTEN = {"µ": "u", "μ": "u", "Ω": "Ohm", "ohm": "Ohm", "*": " ", "·": " ", "sec": "s"}
_EXPONENTS = (3, -3, 6, -6, 9, -9, 12, -12)
_PERCENT = {"%": 0.01, "percent": 0.01, "": 1.0}
#: Share of values of the other sign from which on they are no measurements in any unit, but z-scores or the like.
_OTHER_SIGN = 0.25


@cache
def _features() -> pd.DataFrame:
    with (package_files("sbnn.data") / "ephys_features.csv").open() as table:
        return pd.read_csv(table, keep_default_na=False, na_values={"low": [""], "high": [""]})


def feature_table(release: str) -> pd.DataFrame:
    """List the features of a release.

    Parameters
    ----------
    release : {"gouwens_2020", "lee_2023"}

    Returns
    -------
    DataFrame
        Indexed by feature, in the order of the release, with the columns `family`, `unit`, `low` and `high` (where
        the median of a data set is to be expected; NaN where nothing can be said), `median` and `spread` (of the
        release).

    Raises
    ------
    ValueError
        Another release.
    """
    if release not in (GOUWENS, LEE):
        raise ValueError(f"release must be {GOUWENS!r} or {LEE!r}, got {release!r}")
    table = _features()
    return table[table["release"] == release].drop(columns="release").set_index("feature")


def known_features(names) -> pd.DataFrame:
    """List what is known of features, by the release most of them are named as in.

    Parameters
    ----------
    names : sequence of str

    Returns
    -------
    DataFrame
        The rows of `feature_table` of those that are known; none where no name is. Names that both releases have, as
        ``tau`` (ms in the mouse's, s in the human one), are taken as in the release that knows more of the names, and
        in the human one where both know as many.
    """
    releases = [feature_table(release) for release in (LEE, GOUWENS)]
    return max((table[table.index.isin(list(names))] for table in releases), key=len)


def unit_factor(unit: str, to: str) -> float:
    """Tell by what values in one unit are multiplied to be in another.

    Parameters
    ----------
    unit, to : str
        As in ``"mV"``, ``"MOhm"``, ``"Hz/pA"``, ``"mV/ms"``, ``"percent"`` or ``""``.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        Units that are not known, or of different quantities.
    """
    if unit == to:
        return 1.0
    if unit in _PERCENT and to in _PERCENT:
        return _PERCENT[unit] / _PERCENT[to]
    (exponent, quantity), (to_exponent, to_quantity) = _parsed(unit), _parsed(to)
    if quantity != to_quantity:
        raise ValueError(f"{unit!r} cannot be converted to {to!r}: they are units of different quantities")
    return float(f"1e{exponent - to_exponent}")  # exactly the nearest number, which a power may miss


def check_units(data: Any, units: dict[str, str] | None = None) -> pd.DataFrame:
    """Find features whose values look like another unit, by their medians: s for ms, V for mV, A for pA.

    Parameters
    ----------
    data : EphysFeatures or DataFrame
        Features in columns; those without a published name are passed over.
    units : dict of str to str, optional
        Units that the values are meant to be in, by default those of `data`, else those of the release.

    Returns
    -------
    DataFrame
        One row for each suspect, indexed by feature: `median`; `low`, `high` and `unit` that were expected; `factor` by
        which the values are to be multiplied, NaN where none helps; `looks_like`, the unit they seem to be in,
        ``"z-scores"`` where a quarter has the wrong sign, or ``""``. Empty where nothing is suspect.
    """
    table = data if isinstance(data, pd.DataFrame) else data.table
    units = dict(getattr(data, "units", {}) if units is None else units)
    known = known_features(table.columns)
    rows = {}
    for feature, about in known[known["low"].notna()].iterrows():
        values = table[feature].to_numpy(dtype=np.float64)
        values = values[np.isfinite(values)]
        if not len(values):
            continue
        unit = units.get(feature) or about["unit"]
        try:
            scale = unit_factor(about["unit"], unit)
        except ValueError:
            continue  # a unit of one's own; nothing is known of values in it
        suspect = _suspicion(values, about["low"] * scale, about["high"] * scale, unit)
        if suspect:
            rows[feature] = suspect
    columns = ["median", "low", "high", "unit", "factor", "looks_like"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("feature")


def told(suspects: pd.DataFrame, limit: int = 5) -> str:
    """Put what `check_units` found into a sentence or two."""
    lines = []
    for feature, about in suspects.iloc[:limit].iterrows():
        expected = f"{feature}: the median is {about['median']:.3g}, expected {about['low']:g} to {about['high']:g}"
        advice = f", multiply by {about['factor']:g}" if np.isfinite(about["factor"]) else ""
        looks = f", looks like {about['looks_like']}" if about["looks_like"] else ""
        lines.append(f"{expected} {about['unit']}".rstrip() + looks + advice)
    more = f"; and {len(suspects) - limit} more" if len(suspects) > limit else ""
    return "; ".join(lines) + more


def _suspicion(values: np.ndarray, low: float, high: float, unit: str) -> tuple | None:
    median = float(np.median(values))
    if low <= median <= high:
        return None
    if (values * np.sign(low) < 0).mean() > _OTHER_SIGN:
        return median, low, high, unit, np.nan, "z-scores"
    factors = [0.01] if unit == "" else [float(f"1e{exponent}") for exponent in _EXPONENTS]
    for factor in factors:
        if low <= median * factor <= high:
            return median, low, high, unit, factor, "percent" if unit == "" else _unit_times(unit, factor)
    return None  # unusual, but no unit explains it


def _parsed(unit: str) -> tuple[int, str]:
    """Power of ten and quantity: ``"mV/ms"`` -> 0, ``"V/s"``."""
    for written, meant in _ALSO_WRITTEN.items():
        unit = unit.replace(written, meant)
    exponent, quantity, sign = 0, "", 1
    for part in re.split(r"([/ ])", unit.strip()):
        if part in ("/", " "):
            sign = -1 if part == "/" else 1
            quantity += part
            continue
        match = _UNIT.fullmatch(part)
        if match is None:
            raise ValueError(f"the unit {unit!r} is not known; expected one such as mV, pA, ms, MOhm, Hz, Hz/pA, mV/ms")
        exponent += sign * _PREFIXES[match[1]]
        quantity += match[2]
    return exponent, quantity


def _unit_times(unit: str, factor: float) -> str:
    """Unit that is so many of this one, as 1000 ms are s; empty where it has no usual name."""
    exponent = round(np.log10(factor))
    names = {power: prefix for prefix, power in _PREFIXES.items()}
    parts = re.split(r"([/ ])", unit)
    for i, part in enumerate(parts):
        match = _UNIT.fullmatch(part)
        if match is None or (match[2] == "Hz" and len(parts) > 1):  # nobody writes mHz/pA
            continue
        sign = -1 if i and parts[i - 1] == "/" else 1
        prefix = names.get(_PREFIXES[match[1]] + sign * exponent)
        if prefix is not None:
            return "".join([*parts[:i], prefix + match[2], *parts[i + 1 :]])
    return ""
