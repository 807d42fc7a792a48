"""The Scala et al. mouse motor cortex Patch-seq data from its raw files: which cells, which features, which genes.

Phenotypic variation of transcriptomic cell types in mouse motor cortex, Nature 598, 144 (2021). The choices of cells
and features are those of Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pooch
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.paired import PairedData
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
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
        `cre`, `mouse` and `soma_depth_um` where the table has them. Cells of low quality have the family
        ``"low quality"`` and no type.

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


def load_scala_raw(
    counts_path,
    ephys_path,
    metadata_path,
    n_genes: int = 1000,
    threshold: float = 30,
    genes: Sequence[str] | None = None,
    colors: Mapping[str, str] | None = None,
) -> PairedData:
    """Build the paired data from the three raw files: complete counts, raw ephys table, metadata.

    Parameters
    ----------
    counts_path : path-like
        Complete exon counts, see `read_counts`.
    ephys_path : path-like
        `Cell_Features_M1.csv`, see `ephys_from_raw`.
    metadata_path : path-like
        `mini-atlas-meta-data.csv` (tab separated), see `cell_labels`.
    n_genes, threshold
        Gene selection on the cells that are kept, see `select_genes`. Ignored when `genes` is given.
    genes : sequence of str, optional
        Names of the genes to take instead, in this order.
    colors : mapping of str to str, optional
        Type -> ``"#RRGGBB"``, such as `sbnn.data.datasets.type_colors`.

    Returns
    -------
    PairedData
        `X` is log2 of the counts normalised to the median library size (over the chosen genes) plus one; `Y` the 16
        features of `ephys_from_raw` in their own units; `counts` the raw counts. Cells in the order of the ephys table.

    Raises
    ------
    FileNotFoundError
        A path that leads to no file.
    ValueError
        A file with another layout, no cell in common, or `genes` that are not in the counts.

    Warns
    -----
    UserWarning
        Naming cells that have ephys and a type but no counts, or counts but no metadata. They are left out.
    """
    paths = {"counts_path": counts_path, "ephys_path": ephys_path, "metadata_path": metadata_path}
    for argument, path in paths.items():
        if not Path(path).is_file():
            raise FileNotFoundError(f"{argument}: no file {str(path)!r}")
    metadata = pd.read_csv(metadata_path, sep="\t", dtype={"Targeted layer": str})
    features, labels, _ = ephys_from_raw(pd.read_csv(ephys_path), metadata)
    counts, counted, gene_names = read_counts(counts_path)

    cells = features.index[features.index.isin(counted)]
    if len(cells) == 0:
        raise ValueError(
            f"no cell of {Path(counts_path).name} ({some(counted)}) has ephys and a type; expected genes x cells with "
            f"names such as {some(features.index, 1) or '20180918_sample_1'}"
        )
    _warn_left_out(features.index.difference(cells), "have ephys and a type but no counts")
    _warn_left_out(counted.difference(join_cell_names(metadata["Cell"])), "have counts but are not in the metadata")
    counts = counts[counted.get_indexer(cells)]

    if genes is None:
        columns = np.flatnonzero(select_genes(counts, n_genes, threshold).selected)
    else:
        columns = gene_names.get_indexer(list(genes))
        absent = [gene for gene, column in zip(genes, columns, strict=True) if column < 0]
        if absent:
            raise ValueError(f"genes: {len(absent)} of {len(columns)} are not in the counts: {some(absent)}")
    chosen = pd.DataFrame(counts[:, columns].toarray(), index=cells, columns=gene_names[columns])
    files = {Path(path).name: pooch.file_hash(str(path), alg="sha256") for path in paths.values()}
    return PairedData(
        X=log2p1(normalize_library_size(chosen)),
        Y=features.loc[cells].to_numpy(),
        gene_names=chosen.columns,
        feature_names=features.columns,
        cell_names=cells,
        labels=labels.loc[cells],
        colors=colors,
        counts=chosen.to_numpy(),
        name="scala",
        source=SOURCE,
        sha256=fingerprint_files(files),
        files=files,
    )


def _require_columns(table: pd.DataFrame, columns: Sequence[str], name: str) -> None:
    missing = [column for column in columns if column not in table]
    if missing:
        raise ValueError(f"{name} lacks the column(s) {missing}; it has {list(table.columns)}")


def _warn_left_out(cells: pd.Index, why: str) -> None:
    if len(cells):
        warnings.warn(f"{len(cells)} cells are left out because they {why}: {some(cells)}", stacklevel=3)
