"""What is wrong with names of genes in raw tables: spike-ins, counters, versions, names given twice."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from sbnn.data.checks import some

# ERCC-00002 and the like; ERCC1 to ERCC8, ERCC6L and ERCC6-PGBD3 are genes.
_SPIKE_IN = re.compile(
    r"(gspikein[-_. ]?)?ercc([-_. ].*|\d{5})|gspikein.*|(rna[-_. ]?)?spike([-_. ]?ins?)?[-_. ]?\d+|rna[-_. ]spike.*",
    re.IGNORECASE,
)
_COUNTER = re.compile(
    r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)"
    r"|no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique"
)
_VERSION = re.compile(r"(ENS[A-Z]*\d{11})\.\d+")


def spike_ins(names: pd.Index) -> np.ndarray:
    """Which names are those of RNA that was added, not of genes: bool of shape (n_genes,)."""
    return np.array([_SPIKE_IN.fullmatch(name) is not None for name in names], dtype=bool)


def counters(names: pd.Index) -> np.ndarray:
    """Which rows are those of HTSeq and STAR about reads of no gene: bool of shape (n_genes,)."""
    return np.array([_COUNTER.fullmatch(name) is not None for name in names], dtype=bool)


def without_versions(names: pd.Index, notes: list[str]) -> pd.Index:
    """Take the version off Ensembl's identifiers, ENSMUSG00000000001.4, wherever they stay unique without it."""
    short = pd.Index([match[1] if (match := _VERSION.fullmatch(name)) else name for name in names], dtype=object)
    changed = (short != names) & ~short.duplicated(keep=False)
    if changed.any():
        first = f"{names[changed][0]} is {short[changed][0]}"
        notes.append(f"expression: {changed.sum()} Ensembl identifiers have lost their version, {first}")
    return short.where(changed, names)


def unique_genes(X: pd.DataFrame, duplicates: str, is_log: bool, notes: list[str]) -> pd.DataFrame:
    """Make one gene of those of the same name.

    Parameters
    ----------
    X : DataFrame of shape (n_cells, n_genes)
    duplicates : {"error", "sum", "first"}
    is_log : bool
        Whether X is taken as it is: logarithms are not added up.
    notes : list of str
        Is told what was done.

    Returns
    -------
    DataFrame
        In the order of the first of each.

    Raises
    ------
    ValueError
        Genes of the same name, and ``"error"``, or ``"sum"`` of logarithms.
    """
    repeated = X.columns[X.columns.duplicated()]
    if not len(repeated):
        return X
    told = f"expression: {repeated.nunique()} gene names appear more than once: {some(repeated.unique())}"
    if duplicates == "error":
        adds = "" if is_log else "duplicates='sum' adds them up, as is right for counts, and "
        raise ValueError(f"{told}; {adds}duplicates='first' takes the first of each")
    if duplicates == "first":
        notes.append(f"{told}; the first of each is taken")
        return X.loc[:, ~X.columns.duplicated()]
    if is_log:
        raise ValueError(f"{told}; log values cannot be added up, duplicates='first' takes the first of each")
    notes.append(f"{told}; they are added up")
    codes, names = pd.factorize(X.columns)
    added = np.zeros((len(names), len(X)))
    np.add.at(added, codes, X.to_numpy().T)
    return pd.DataFrame(added.T, index=X.index, columns=names)
