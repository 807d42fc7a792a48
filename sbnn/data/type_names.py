"""Names of types: other spellings of the known classes, and spellings that are kept apart but may mean one type."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable

import numpy as np

from sbnn.data.checks import some
from sbnn.data.labels import UNKNOWN

#: Classes whose other spellings are recognised.
KNOWN_CLASSES = ("LAMP5", "PVALB", "SST", "VIP", "SNCG")
#: What else the known classes are called, as `spelling_key` gives it.
SYNONYMS = {
    "som": "SST",
    "somatostatin": "SST",
    "pv": "PVALB",
    "parvalbumin": "PVALB",
    "vasoactiveintestinalpeptide": "VIP",
    "vasoactiveintestinalpolypeptide": "VIP",
    "gammasynuclein": "SNCG",
}

# Between digits a separator stays, since clusters 1.1 and 11 are two; a minus at the end says that a marker is absent.
_BETWEEN_DIGITS = re.compile(r"(?<=\d)[\s._/-]+(?=\d)")
_SEPARATORS = re.compile(r"[\s._/]+|-(?=.)|\+$")


def spelling_key(name: str) -> str:
    """Reduce a name to what is left without case, blanks and punctuation, as ``"V.I.P. "`` to ``"vip"``.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        A separator between digits is kept (as ``"|"``), and so is a minus at the end; a plus there is not, since a cell
        that has the marker is of its class.
    """
    return _SEPARATORS.sub("", _BETWEEN_DIGITS.sub("|", name.strip().casefold()))


def usual_name(name: str, classes: Iterable[str] = KNOWN_CLASSES) -> str:
    """Give a class in its usual spelling: ``"Sst"``, ``"SOM"`` and ``"SST+"`` are ``"SST"``.

    Parameters
    ----------
    name : str
    classes : iterable of str
        Classes in the spelling that is wanted.

    Returns
    -------
    str
        The name itself, without blanks at its ends, where it is none of the classes.
    """
    usual = {spelling_key(wanted): wanted for wanted in classes}
    key = spelling_key(name)
    synonym = SYNONYMS.get(key, "")
    return usual.get(key) or usual.get(spelling_key(synonym)) or name.strip()


def warn_of_spellings(types: Iterable[str]) -> None:
    """Warn of types that may be one: they differ in case or punctuation alone, or are synonyms of one known class.

    Parameters
    ----------
    types : iterable of str

    Warns
    -----
    UserWarning
        Naming those that may be one.
    """
    spellings: dict[str, list[str]] = {}
    for name in np.unique(list(types)):
        if name != UNKNOWN:
            spellings.setdefault(spelling_key(usual_name(name)), []).append(str(name))
    alike = [" and ".join(map(repr, names)) for names in spellings.values() if len(names) > 1]
    if alike:
        warnings.warn(
            f"types that may be one in several spellings are kept apart: {some(alike)}; give them one name if they are",
            stacklevel=4,  # where the cells are made
        )
