"""Names of rows, columns and genes in a user's table."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from sbnn.data.checks import dates_among
from sbnn.data.readers.table_numbers import is_number

# Spike-ins, such as ERCC-00002 (but ERCC1 to ERCC8, ERCC6L and ERCC6-PGBD3 are genes).
_SPIKE_INS = (
    r"(gspikein[-_. ]?)?ercc([-_. ]\d.*|\d{5})",
    r"gspikein.*",
    r"(rna[-_. ]?)?spike([-_. ]?ins?)?[-_. ]?\d+",
    r"rna[-_. ]spike.*",
)
# Rows in which HTSeq and STAR count reads that belong to no gene.
_COUNTERS = (
    r"__\w+",
    r"N_(unmapped|multimapping|noFeature|ambiguous)",
    r"no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique",
)
UNNAMED = "unnamed column"  # start of the names of columns that have none
_NO_GENE = re.compile("|".join(_SPIKE_INS + _COUNTERS), re.I)


def texts(values: Iterable) -> pd.Index:
    """Convert names to text without surrounding blanks; missing names become ""."""
    return pd.Index(map(_text, values), dtype=object)


def _text(value) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps
    return "" if pd.isna(value) else str(value).strip()


def texts_of_cells(values: Iterable) -> pd.Index:
    """Convert names of cells to text; identifiers that were stored as decimals become whole."""
    names = texts(values)
    if names.str.fullmatch(r"(\d+\.0+)?").all():
        names = names.str.replace(r"\.0+$", "", regex=True)
    return names


def named(names: list[str], body: pd.DataFrame, key: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The table with its names, and the text in rows that have neither a name nor a number.

    These rows are left out, as are empty columns; other columns without a name get one.
    """
    of_rows = names.index(key) if key in names else 0
    columns = list(names)
    wanted = np.array(columns) != ""  # (n_columns,)
    for j in range(1, len(names)):
        if not names[j] and texts(body.iloc[:, j]).any():
            columns[j] = f"{UNNAMED} {j + 1}"
            wanted[j] = True
    wanted[of_rows] = False
    body = body.set_axis(texts(columns), axis=1).set_axis(texts(body.iloc[:, of_rows]), axis=0)
    table = body.loc[:, wanted]
    unnamed = table.index == ""  # (n_rows,)
    rows = ~unnamed
    rows[unnamed] = [any(map(is_number, row)) for row in table[unnamed].to_numpy()]
    units = list(filter(None, texts(table[~rows].to_numpy().ravel())))
    return table[rows].rename_axis(index=key if key in names else None), units


def doubtful_names(names: pd.Index) -> dict[str, list[str]]:
    """What is wrong with some names -> these names."""
    unnamed = [name for name in names if name.startswith(UNNAMED)]
    kinds = {"columns without a name": unnamed, "dates instead of names": dates_among(names)}
    return {kind: found for kind, found in kinds.items() if found}


def no_genes(names: pd.Index) -> np.ndarray:
    """Mask, of shape (n_genes,), of the spike-ins and the counters of unassigned reads."""
    return np.array([_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)
