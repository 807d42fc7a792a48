"""Names of rows, columns and genes in a user's table."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from sbnn.data.checks import dates_among, some
from sbnn.data.readers.table_numbers import is_number
from sbnn.errors import warn

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
_NO_GENE = re.compile("|".join(_SPIKE_INS + _COUNTERS), re.I)


def texts(values: Iterable) -> pd.Index:
    """Convert names to text without surrounding blanks; missing names become ""."""
    return pd.Index(map(_text, values), dtype=object)


def _text(value) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)  # a column of whole numbers with gaps
    return "" if pd.isna(value) else str(value).strip()


def named(names: list[str], body: pd.DataFrame, key: str | None) -> pd.DataFrame:
    """Set the names; leave out unnamed columns without values and unnamed rows without numbers."""
    of_rows = names.index(key) if key in names else 0
    body = body.set_axis(texts(names), axis=1).set_axis(texts(body.iloc[:, of_rows]), axis=0)
    has_name = body.columns != ""  # (n_columns,)
    columns = has_name | body.notna().any().to_numpy()
    columns[0] = has_name[0]  # without a name, it holds names or numbers of the rows
    columns[of_rows] = False
    table = body.loc[:, columns]
    unnamed = table.index == ""  # (n_rows,)
    rows = ~unnamed
    rows[unnamed] = [any(map(is_number, row)) for row in table[unnamed].to_numpy()]
    units = pd.Series(table[~rows].to_numpy().ravel()).dropna()
    if len(units):
        warn(f"rows with neither a name nor a number are left out: {some(units)}")
    return table[rows].rename_axis(index=key if key in names else None)


def check_names(table: pd.DataFrame) -> None:
    """Reject missing names, and names that a spreadsheet turned into dates."""
    if not table.size:
        raise ValueError("it holds no values")
    for axis, names in (("column", table.columns), ("row", table.index)):
        dates = dates_among(names)
        if dates:
            raise ValueError(f"dates instead of {axis} names, such as {dates[0]}; enter text")
        missing = np.flatnonzero(names == "")
        if len(missing):
            raise ValueError(f"{axis} {missing[0] + 1} has values but no name")


def no_genes(names: pd.Index) -> np.ndarray:
    """Mask, of shape (n_genes,), of the spike-ins and the counters of unassigned reads."""
    return np.array([_NO_GENE.fullmatch(name) is not None for name in names], dtype=bool)
