"""Colours of types: given ones, and shades of one hue per family."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.colors import to_hex

from sbnn.data.checks import UNKNOWN

GREY = "#808080"  # colour of unknown cells
# Okabe & Ito (2008), without the yellow, which is too pale for dots
OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
# without black, which has no lighter shades of its own, and with three dark hues; these differ from
# all others by at least 30 (CIELAB), also for protanopes and deuteranopes (Machado et al. 2009)
HUES = (*OKABE_ITO[:-1], "#2A1ACC", "#4A3300", "#770055")


def fill_colors(colors: Mapping[str, Any], labels: pd.DataFrame) -> dict[str, str]:
    """Colours of types as ``"#RRGGBB"``: given ones, and `type_shades`."""
    if not isinstance(colors, Mapping):
        raise TypeError(f"colors: expected a dict of type to colour, got {type(colors).__name__}")
    codes = {}
    for name, color in colors.items():
        try:
            codes[str(name)] = to_hex(color).upper()
        except ValueError as error:
            raise ValueError(f"colors: {color!r} of {name} is no colour; use '#RRGGBB'") from error
    if (labels["type"] == UNKNOWN).any():
        codes.setdefault(UNKNOWN, GREY)
    for name, color in type_shades(labels).items():
        codes.setdefault(name, color)
    return codes


def type_shades(labels: pd.DataFrame) -> dict[str, str]:
    """Colours of the known types: shades of one hue per family; hues repeat in darker colours."""
    known = labels.loc[labels["type"] != UNKNOWN, ["family", "type"]]
    known["family"] = known["family"].mask(known["family"] == UNKNOWN)
    # of several families of a type the first by name, in whatever order the cells are
    types = known.sort_values("family").drop_duplicates("type")
    # a type without a family is its own
    types["family"] = types["family"].fillna(types["type"])
    colors = {}
    for i, (_, of_family) in enumerate(types.groupby("family")["type"]):
        n_darker, hue = divmod(i, len(HUES))
        code = HUES[hue].removeprefix("#")
        levels = np.frombuffer(bytes.fromhex(code), np.uint8)
        darkened = levels * 0.6**n_darker
        to_white = 255 - darkened
        for place, name in enumerate(sorted(of_family)):
            mixed = darkened + to_white * 0.65 * place / len(of_family)
            code = np.rint(mixed).astype(np.uint8).tobytes().hex()
            colors[name] = f"#{code.upper()}"
    return colors
