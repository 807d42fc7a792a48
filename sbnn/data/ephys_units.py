"""What is known of published features of electrophysiology, family, unit and usual values, and how units convert.

The table `ephys_features.csv` beside this module lists the features of two releases, with the range in which the median
of a data set in this unit is to be expected (narrower than a factor of 1000, so that milli- and micro- are told apart),
and the median and the robust SD (interquartile range / 1.349) of the release.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files as package_files

import numpy as np
import pandas as pd

#: Releases by the names of whose features a table is recognised: mouse (Gouwens et al. 2020), human (Lee et al. 2023).
GOUWENS, LEE = "gouwens_2020", "lee_2023"

_PREFIXES = {"f": -15, "p": -12, "n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9}
_UNIT = re.compile(r"(f|p|n|u|m|k|M|G|)(V|A|s|Ohm|Hz|rad|S|F)")
_ALSO_WRITTEN = {"µ": "u", "μ": "u", "Ω": "Ohm", "ohm": "Ohm", "*": " ", "·": " ", "sec": "s"}
_PERCENT = {"%": 0.01, "percent": 0.01, "": 1.0}


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


def multiple_of_unit(unit: str, factor: float) -> str:
    """Name the unit that is so many of another, as 1000 ms are s.

    Parameters
    ----------
    unit : str
    factor : float
        A power of ten.

    Returns
    -------
    str
        Empty where it has no usual name.
    """
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
