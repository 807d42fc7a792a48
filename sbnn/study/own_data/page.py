"""What stands on a page, whatever it is written as."""

from dataclasses import dataclass, field
from pathlib import Path

import pandas as pd


@dataclass(frozen=True)
class Table:
    """A table of a page.

    Parameters
    ----------
    title : str
    frame : DataFrame
        As it is shown, index included; text or numbers.
    note : str
        Below it.
    """

    title: str
    frame: pd.DataFrame
    note: str = ""


@dataclass(frozen=True)
class Picture:
    """A picture of a page: a PNG file with what it shows in words."""

    title: str
    path: Path
    alternative: str


@dataclass(frozen=True)
class Page:
    """One page.

    Parameters
    ----------
    title : str
    verdict : str
        What the numbers say, in a sentence or two.
    facts : dict of str to str
        What the page is about, by name.
    cautions : list of str
        What a reader should know before believing it, a sentence each.
    tables, pictures : list
    footer : str
    """

    title: str
    verdict: str
    facts: dict
    cautions: list = field(default_factory=list)
    tables: list = field(default_factory=list)
    pictures: list = field(default_factory=list)
    footer: str = ""
