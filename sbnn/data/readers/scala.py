"""The Scala et al. mouse motor cortex Patch-seq data from its raw files: which cells, which features, which genes.

Phenotypic variation of transcriptomic cell types in mouse motor cortex, Nature 598, 144 (2021). The choices of cells
and features are those of Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.readers.counts import read_count_table, require_unique

SOURCE = "Scala et al., Nature 598, 144 (2021); raw files of github.com/berenslab/mini-atlas and GEO GSE163764"

_MISMATCH = "RNA and firing disagree"
#: Cells left out whatever was measured, with the reason.
EXCLUDED_CELLS = {
    "20180315sample6": _MISMATCH,
    "20180321sample4": _MISMATCH,
    "20181116sample10": _MISMATCH,
    "20190325sample2": _MISMATCH,
    "20190611sample1": _MISMATCH,
    "20190611sample11": _MISMATCH,
    "20190704sample2": "outside of M1",
}

#: Column of the raw ephys table -> short name of the feature, for the 16 features that are used, in order.
EPHYS_FEATURES = {
    "AP amplitude (mV)": "AP amp",
    "AP amplitude adaptation index": "AP amp adapt",
    "AP coefficient of variation": "AP amp CV",
    "AP threshold (mV)": "AP thresh",
    "AP width (ms)": "AP width",
    "Afterhyperpolarization (mV)": "AHP",
    "ISI adaptation index": "AI",
    "ISI coefficient of variation": "ISI CV",
    "Input resistance (MOhm)": "R_input",
    "Max number of APs": "Max AP num",
    "Membrane time constant (ms)": "Tau",
    "Rebound (mV)": "Rebound",
    "Resting membrane potential (mV)": "V_rest",
    "Rheobase (pA)": "Rheobase",
    "Sag ratio": "Sag",
    "Upstroke-to-downstroke ratio": "UDR",
}
#: Features with a long right tail, of which the natural logarithm is taken.
LOG_FEATURES = ("AP amp CV", "AI", "ISI CV")

_PATH_COLUMN = "name sample"
_PATH_PATTERN = r"(?P<month>\d\d) (?P<day>\d\d) (?P<year>\d{4}) sample (?P<sample>\d+)\.mat$"
_LOW_QUALITY = "low quality"
_LABEL_COLUMNS = {"RNA family": "family", "RNA type": "type"}
_DEPTH = "Soma depth (µm)"
_EXTRA_LABELS = {
    "RNA type confidence": "type_confidence",
    "Targeted layer": "layer",
    "Cre": "cre",
    "Mouse": "mouse",
    "Date": "date",
    "User": "user",
    _DEPTH: "soma_depth_um",
}


class EphysSelection(NamedTuple):
    """The cells and features that `ephys_from_raw` kept, and why it left out the others.

    Attributes
    ----------
    features : DataFrame of float64, shape (n_cells, 16)
        Transformed features in their own units, indexed by cell name.
    labels : DataFrame
        `cell_labels` of the same cells.
    dropped : Series of str
        Cell name -> reason, for every other cell of the ephys table.
    """

    features: pd.DataFrame
    labels: pd.DataFrame
    dropped: pd.Series


def join_cell_names(names: Iterable[str]) -> pd.Index:
    """Bring cell names of the count and metadata files to one form: ``20180918_sample_1`` -> ``20180918sample1``.

    Only the first three parts count; some releases append more.

    Parameters
    ----------
    names : iterable of str

    Returns
    -------
    Index of str
    """
    return pd.Index(["".join(str(name).split("_")[:3]) for name in names], dtype=object)


def cell_names_from_paths(paths: Iterable[str]) -> pd.Index:
    """Read cell names off recording paths: ``.../09 18 2018 sample 1.mat`` -> ``20180918sample1``.

    Parameters
    ----------
    paths : iterable of str
        Column "name sample" of the raw ephys table; each ends in ``MM DD YYYY sample N.mat``.

    Returns
    -------
    Index of str

    Raises
    ------
    ValueError
        Paths with another ending.
    """
    paths = pd.Series(list(paths), dtype=str)
    parts = paths.str.extract(_PATH_PATTERN)
    unread = paths[parts.isna().any(axis=1)]
    if len(unread):
        raise ValueError(
            f"{len(unread)} of {len(paths)} values of column {_PATH_COLUMN!r} do not end in 'MM DD YYYY sample N.mat': "
            f"{some(unread)}"
        )
    return pd.Index(parts["year"] + parts["month"] + parts["day"] + "sample" + parts["sample"], dtype=object)


def cell_labels(metadata: pd.DataFrame) -> pd.DataFrame:
    """Take the labels of the cells out of the metadata table.

    Parameters
    ----------
    metadata : DataFrame
        The published tab-separated table with columns "Cell", "RNA family" and "RNA type".

    Returns
    -------
    DataFrame
        Indexed by joined cell name: `family` and `type` (empty where there is none), and `type_confidence`, `layer`,
        `cre`, `mouse`, `date` and `user` (of the recording) and `soma_depth_um` where the table has them. Cells of low
        quality have the family ``"low quality"`` and no type.

    Raises
    ------
    ValueError
        Missing columns or repeated cells.
    """
    _require_columns(metadata, ["Cell", *_LABEL_COLUMNS], "metadata")
    columns = _LABEL_COLUMNS | {raw: name for raw, name in _EXTRA_LABELS.items() if raw in metadata}
    labels = metadata[list(columns)].rename(columns=columns)
    if _DEPTH in metadata:
        labels["soma_depth_um"] = pd.to_numeric(labels["soma_depth_um"], errors="coerce")  # some say "Slice Lost"
    labels.index = join_cell_names(metadata["Cell"])
    require_unique(labels.index, "cells of the metadata")
    labels[["family", "type"]] = labels[["family", "type"]].fillna("").replace({"type": {_LOW_QUALITY: ""}})
    return labels


def ephys_from_raw(cell_features: pd.DataFrame, metadata: pd.DataFrame) -> EphysSelection:
    """Turn the published table of raw electrophysiology into the 16 outputs of the cells that are used.

    Takes the natural logarithm of `LOG_FEATURES` and leaves out spike-frequency adaptation, afterdepolarization, sag
    time, sag area, AP Fano factor, ISI Fano factor, wildness, rebound number of APs, ISI and AP amplitude average
    adaptation index, burstiness and latency. Cells are dropped, in this order, when they are in `EXCLUDED_CELLS`,
    lack a value of a used feature, or have no RNA type ("low quality").

    Parameters
    ----------
    cell_features : DataFrame
        `Cell_Features_M1.csv`: column "name sample" with the path of the recording and one column per raw feature.
    metadata : DataFrame
        `mini-atlas-meta-data.csv`, see `cell_labels`.

    Returns
    -------
    EphysSelection
        In the order of `cell_features`.

    Raises
    ------
    ValueError
        Missing columns, paths that hold no cell name, repeated cells, features that are not numbers, or values of
        `LOG_FEATURES` that are not positive.
    """
    _require_columns(cell_features, [_PATH_COLUMN, *EPHYS_FEATURES], "the ephys table")
    cells = cell_names_from_paths(cell_features[_PATH_COLUMN])
    require_unique(cells, "cells of the ephys table")
    features = cell_features[list(EPHYS_FEATURES)].rename(columns=EPHYS_FEATURES).set_axis(cells)
    try:
        features = features.astype(np.float64)
    except ValueError as error:
        raise ValueError(f"the ephys table holds values that are not numbers: {error}") from None
    labels = cell_labels(metadata)

    reason = pd.Series("", index=cells)
    reason[~cells.isin(labels.index[labels["type"] != ""])] = "no RNA type (missing or low quality)"
    reason[~cells.isin(labels.index)] = "not in the metadata"
    reason[features.isna().any(axis=1)] = "missing ephys value"
    for cell in cells.intersection(EXCLUDED_CELLS):
        reason[cell] = EXCLUDED_CELLS[cell]

    kept = reason == ""
    features = features[kept]
    logged = list(LOG_FEATURES)
    bad = features.index[(features[logged] <= 0).any(axis=1)]
    if len(bad):
        raise ValueError(f"the logarithm of {logged} needs positive values; {len(bad)} cells have others: {some(bad)}")
    features[logged] = np.log(features[logged])
    return EphysSelection(features, labels.loc[features.index], reason[~kept])


def read_counts(path) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Read a count table of this study: `sbnn.data.readers.counts.read_count_table` with the cell names joined."""
    return read_count_table(path, rename=join_cell_names)


def ion_channel_genes(path) -> list[str]:
    """Read the symbols of the ion channel genes off a term list of the Gene Ontology.

    Parameters
    ----------
    path : path-like
        `go_ion_channel_term_summary.txt`: tab-separated lines with a column "Symbol", one for each gene and term, with
        one more tab than the header has.

    Returns
    -------
    list of str
        Each symbol once, in the order of the file.

    Raises
    ------
    FileNotFoundError
    ValueError
        A file without that column or without a symbol.
    """
    # Split by hand: the extra tab makes pandas take the first column for row names and shift the others.
    with open(path, encoding="utf-8-sig") as handle:
        rows = [line.rstrip("\r\n").split("\t") for line in handle]
    header = rows[0] if rows else []
    if "Symbol" not in header:
        raise ValueError(f"{path} has no column 'Symbol'; its first line holds {header}")
    column = header.index("Symbol")
    symbols = list(dict.fromkeys(row[column] for row in rows[1:] if len(row) > column and row[column]))
    if not symbols:
        raise ValueError(f"{path} names no gene in its column 'Symbol'")
    return symbols


def _require_columns(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{name} lacks the column(s) {missing}; it has {list(table.columns)}")
