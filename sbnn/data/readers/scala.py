"""Patch-seq data of mouse motor cortex by Scala et al., from the raw files.

Cells and features are chosen as in Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import match_rows
from sbnn.data.counts import read_count_table
from sbnn.data.paired import paired

#: Least counts of an ion channel gene over all cells.
_MIN_COUNTS = 10
_TABLES = Path(__file__).parents[1]

#: Cells left out, with the reason.
EXCLUDED_CELLS = {
    "20180315sample6": "RNA and firing disagree",
    "20180321sample4": "RNA and firing disagree",
    "20181116sample10": "RNA and firing disagree",
    "20190325sample2": "RNA and firing disagree",
    "20190611sample1": "RNA and firing disagree",
    "20190611sample11": "RNA and firing disagree",
    "20190704sample2": "outside of M1",
}

_NAMES = pd.read_csv(_TABLES / "scala_ephys.csv", index_col="column")["name"]
#: Column -> short name of the 16 outputs.
EPHYS_FEATURES = _NAMES.to_dict()
#: Features of which the natural logarithm is used.
LOG_FEATURES = ["AP amp CV", "AI", "ISI CV"]

_PATH_PATTERN = r"(?P<month>\d\d) (?P<day>\d\d) (?P<year>\d{4}) sample (?P<sample>\d+)\.mat$"


def read_scala(
    counts_path: Path,
    ephys_path: Path,
    metadata_path: Path,
    terms_path: Path | None = None,
    **about: Any,
) -> AnnData:
    """Read features, and genes (selected, or from a term list), of cells at room temperature.

    Genes in a term list need at least ten counts over all published cells.
    """
    counts, names, genes = read_count_table(counts_path)
    if terms_path is not None:
        channels = genes.isin(ion_channel_genes(terms_path))
        channels &= counts.sum(axis=0) >= _MIN_COUNTS
        counts = counts[:, np.flatnonzero(channels)]
        genes = genes[channels]
        if counts_path.name == "gene_counts.csv":
            complete = "complete counts"
            selected = f"1000 selected genes only, for lack of the {complete}"
            about["source"] = about["source"].replace(complete, selected)
    ephys = pd.read_csv(ephys_path, index_col=0)
    labels = match_rows(read_cell_labels(metadata_path), ephys.index, "metadata")
    rows = match_rows(pd.Series(range(len(names)), join_cell_names(names)), ephys.index, "counts")
    return paired(
        X=None,
        Y=ephys,
        gene_names=genes,
        labels=labels,
        colors=published_type_colors(labels["type"]),
        counts=counts[rows].toarray(),  # (n_cells, n_genes)
        **about,
    )


def read_scala_34c_counts(counts_path: Path, metadata_path: Path, **about: Any) -> AnnData:
    """Read all counts of cells at physiological temperature, without outputs."""
    counts, names, genes = read_count_table(counts_path)
    cells = join_cell_names(names)
    labels = match_rows(read_cell_labels(metadata_path), cells, "metadata")
    return paired(
        X=counts,
        gene_names=genes,
        cell_names=cells,
        labels=labels,
        colors=published_type_colors(labels["type"]),
        counts=counts,
        **about,
    )


def published_type_colors(types: pd.Series) -> dict[str, str]:
    """Published colours of types, in the order of the Allen taxonomy."""
    colors = pd.read_csv(_TABLES / "type_colors.csv", index_col="RNA type")["color"]
    return colors[colors.index.isin(types)].to_dict()


def join_cell_names(names: Iterable[str]) -> pd.Index:
    """``20180918sample1`` for ``20180918_sample_1``, with or without more parts."""
    parts = pd.Index(names, dtype=object).str.split("_")
    return parts.str[:3].str.join("")


def select_labels(data: str, metadata: pd.DataFrame) -> pd.DataFrame:
    """Select and rename label columns."""
    table = pd.read_csv(_TABLES / "label_columns.csv", index_col=["data", "column"])
    labels = table["label"][data]  # column -> label
    present = labels.index.intersection(metadata.columns, sort=False)
    return metadata[present].rename(columns=labels)


def read_cell_labels(path: Path) -> pd.DataFrame:
    """`cell_labels` of a file."""
    return cell_labels(pd.read_csv(path, sep="\t", dtype={"Targeted layer": str}))


def cell_labels(metadata: pd.DataFrame) -> pd.DataFrame:
    """Labels by cell name; cells of low quality have no type."""
    cells = join_cell_names(metadata["Cell"])
    labels = select_labels("scala", metadata).set_axis(cells, axis=0)
    # some depths are "Slice Lost"
    labels["soma_depth_um"] = pd.to_numeric(labels["soma_depth_um"], errors="coerce")
    labels["type"] = labels["type"].replace("low quality", np.nan)
    return labels


def ephys_from_raw(
    cell_features: pd.DataFrame, metadata: pd.DataFrame
) -> tuple[pd.DataFrame, pd.Series]:
    """Outputs from the raw features, and reasons why cells are not kept."""
    parts = cell_features["name sample"].str.extract(_PATH_PATTERN)
    days = parts["year"] + parts["month"] + parts["day"]
    names = days + "sample" + parts["sample"]
    cells = pd.Index(names, dtype=object)
    features = cell_features[list(EPHYS_FEATURES)].rename(columns=EPHYS_FEATURES)
    features = features.set_axis(cells).astype(np.float64)
    labels = cell_labels(metadata)
    typed = labels.index[labels["type"].notna()]

    reason = pd.Series("", cells)
    reason[~cells.isin(typed)] = "no RNA type (missing or low quality)"
    reason[~cells.isin(labels.index)] = "not in the metadata"
    reason[features.isna().any(axis=1)] = "missing ephys value"
    reason.update(pd.Series(EXCLUDED_CELLS))

    kept = reason == ""
    features = features[kept]
    features[LOG_FEATURES] = np.log(features[LOG_FEATURES])
    return features, reason[~kept]


def ion_channel_genes(path: Path) -> list[str]:
    """Symbols of genes in a term list of the Gene Ontology."""
    # lines have one tab more than the header, which would shift the columns
    table = pd.read_csv(path, sep="\t", index_col=False, usecols=["Symbol"])
    return table["Symbol"].dropna().unique().tolist()
