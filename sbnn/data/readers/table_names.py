"""Names in a user's table."""

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from sbnn.data.checks import dates_among
from sbnn.data.readers.table_numbers import is_number

# ERCC-00002, but not the genes ERCC1 to ERCC8, ERCC6L and ERCC6-PGBD3.
_SPIKE_INS = (
    r"(gspikein[-_. ]?)?ercc([-_. ]\d.*|\d{5})",
    r"gspikein.*",
    r"(rna[-_. ]?)?spike([-_. ]?ins?)?[-_. ]?\d+",
    r"rna[-_. ]spike.*",
    r"(blank|neg(ative)?(control|prb)(probe|codeword)?|systemcontrol|unassignedcodeword)[-_]?\d+",
)
# Reads of no gene, as HTSeq and STAR count them.
_COUNTERS = (
    r"__\w+",
    r"N_(unmapped|multimapping|noFeature|ambiguous)",
    r"unmapped|no_feature|ambiguous|too_low_aQual|not_aligned|alignment_not_unique",
)
# Columns beside counts, as featureCounts and Ensembl call them.
_ABOUT_GENES = re.compile(
    "chr(omosome)?([_ ]name)?|start|end|strand|(gene|exon|transcript)?[_ ]?length"
    "|(gene[_ ]?)?(id|name|symbol|description|biotype|type)|entrez(gene)?([_ ]?id)?",
    re.I,
)
# Columns of numbers beside genes, some of them of Seurat and scanpy.
_ABOUT_CELLS = re.compile(
    "sample|replicate|batch|donor|patient|animal|subject|(n|total|mapped)_?(reads|counts|genes|umis?)"
    "|n(count|feature)_rna|(log1p_)?(n_genes_by_counts|total_counts.*)|(pct|percent)[_.].*"
    "|(seurat_)?clusters?|leiden|louvain|(s|g2m)[._]score|doublet_scores?",
    re.I,
)
UNNAMED = "unnamed column"  # start of names of columns without one
_NO_GENE = re.compile("|".join(_SPIKE_INS + _COUNTERS), re.I)
_COUNTER = re.compile("|".join(_COUNTERS), re.I)


def texts(values: Iterable) -> pd.Index:
    """Text without surrounding blanks; missing names become ""."""
    return pd.Index(map(_text, values), dtype=object)


def _text(value) -> str:
    return "" if pd.isna(value) else str(value).strip()


def texts_of_cells(values: Iterable) -> pd.Index:
    """Names of cells as text; identifiers stored as decimals become whole."""
    names = texts(values)
    if names.str.fullmatch(r"(\d+\.0+)?").all():
        names = names.str.replace(r"\.0+$", "", regex=True)
    return names


def named(names: list[str], body: pd.DataFrame, key: str | None) -> tuple[pd.DataFrame, list[str]]:
    """The table, and the text of rows without name and numbers."""
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
    """What is wrong with names -> these names."""
    unnamed = [name for name in names if name.startswith(UNNAMED)]
    kinds = {"columns without a name": unnamed, "dates instead of names": dates_among(names)}
    return {kind: found for kind, found in kinds.items() if found}


def no_genes(names: pd.Index) -> np.ndarray:
    """Mask of spike-ins and counters."""
    return _fitting(names, _NO_GENE)


def counters(names: pd.Index) -> np.ndarray:
    """Mask of counters."""
    return _fitting(names, _COUNTER)


def about_cells(names: pd.Index) -> np.ndarray:
    """Mask of columns such as batch and nCount_RNA."""
    return _fitting(names, _ABOUT_CELLS)


def about_genes(names: pd.Index) -> np.ndarray:
    """Mask of columns such as Chr and Length."""
    return _fitting(names, _ABOUT_GENES)


def _fitting(names, pattern) -> np.ndarray:
    return np.array([pattern.fullmatch(name) is not None for name in names], dtype=bool)
