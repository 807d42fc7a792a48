"""RNA and proteins of the same cells (CITE-seq: counts of both) or tumours."""

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData, OldFormatWarning, read_h5ad
from scipy import sparse

from sbnn.data.checks import match_rows
from sbnn.data.counts import read_count_table
from sbnn.data.paired import paired
from sbnn.data.preprocessing import select_genes
from sbnn.errors import check_among, require

_HUMAN = "HUMAN_"
#: Antibodies of CiteFuse that bind to no protein of its cells.
ISOTYPE_CONTROLS = "IgG1", "IgG2a"


def read_cord_blood(
    rna_path: Path, protein_path: Path, clustering_path: Path, **options: Any
) -> AnnData:
    """Read the 7652 typed cord blood cells, with human genes and 13 proteins as outputs."""
    clustering = pd.read_csv(clustering_path, index_col="cell_barcode")
    types = clustering["type"]
    clustering = clustering[types.notna() & (types != "Ery")]
    labels = clustering[["type", "cluster"]].assign(family=clustering["type"])
    counts, cells, genes = read_count_table(rna_path)
    human = genes.str.startswith(_HUMAN)
    counts = counts[match_rows(pd.Series(range(len(cells)), cells), labels.index, "counts")]
    counts = counts[:, np.flatnonzero(human)]
    genes = genes[human].str.removeprefix(_HUMAN)
    proteins = match_rows(pd.read_csv(protein_path, index_col=0).T, labels.index, "proteins")
    return pair_counts(counts, genes, proteins, labels=labels, **options)


def read_cd8(rna_path: Path, protein_path: Path, **options: Any) -> AnnData:
    """Read blood cells sorted by CD8; the gate, a part of the cell name, is the type."""
    counts, cells, genes = read_count_table(rna_path)
    prefix = cells.str.rsplit("_", n=1).str[0]
    gate = prefix.str.replace("_", " ")
    labels = pd.DataFrame({"family": gate, "type": gate}, cells)
    proteins = match_rows(pd.read_csv(protein_path, index_col=0).T, cells, "proteins")
    return pair_counts(counts, genes, proteins, labels=labels, **options)


def read_pbmc(path: Path, **options: Any) -> AnnData:
    """Read one of the data sets of 10x Genomics, an AnnData without labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldFormatWarning)  # the files are of 2020
        adata = read_h5ad(path)
    proteins = pd.DataFrame(
        adata.obsm["protein_expression"], adata.obs_names, adata.uns["protein_names"]
    )
    proteins.columns = proteins.columns.str.removesuffix("_TotalSeqB")
    return pair_counts(sparse.csr_array(adata.X), adata.var_names, proteins, **options)


def read_citefuse(path: Path, *, log_proteins: bool | str = "centred", **options: Any) -> AnnData:
    """Read the CITE-seq example of CiteFuse, 500 blood cells, with centred logs of 47 proteins."""
    tables = r_objects(path)["CITEseq_example"]
    counts, cells, genes = tables["RNA"]
    protein_counts, protein_cells, protein_names = tables["ADT"]
    proteins = pd.DataFrame(protein_counts.toarray(), protein_cells, protein_names)
    proteins = proteins.loc[cells].drop(columns=[*ISOTYPE_CONTROLS])
    return pair_counts(
        counts,
        genes.str.removeprefix("hg19_"),
        proteins,
        log_proteins=log_proteins,
        **options,
    )


def read_tcga_breast(path: Path, **about: Any) -> AnnData:
    """Read 150 breast tumours of TCGA: log expression, proteins, and PAM50 subtypes as types."""
    tables = r_objects(path)["breast.TCGA"]["data.train"]
    expression = tables["mrna"].to_pandas()
    proteins = tables["protein"].to_pandas()
    subtypes = np.asarray(tables["subtype"], dtype=object)
    labels = pd.DataFrame({"family": subtypes, "type": subtypes}, expression.index)
    return paired(X=expression, Y=proteins.loc[expression.index], labels=labels, **about)


def pair_counts(
    counts: sparse.csr_array,
    gene_names: pd.Index,
    proteins: pd.DataFrame,
    labels: pd.DataFrame | None = None,
    *,
    n_genes: int | None = 1000,
    log_proteins: bool | str = True,
    source: str = "",
    **about: Any,
) -> AnnData:
    """Pair proteins with expression over `n_genes` selected by the counts of all cells.

    With ``log_proteins="centred"``, the mean over the proteins of a cell is subtracted from its
    logarithms: centred log-ratios, up to the base of the logarithm.
    """
    if isinstance(log_proteins, str):
        check_among("log_proteins", log_proteins, ["centred"])
    selected = counts.sum(axis=0) > 0
    if n_genes is not None:
        selected = select_genes(counts, n_genes).selected
    columns = np.flatnonzero(selected)
    chosen = counts[:, columns].toarray()  # (n_cells, n_genes)
    is_counted = chosen.sum(axis=1) > 0
    outputs = proteins[is_counted].astype(np.float64)
    scale = "counts"
    if log_proteins:
        outputs = np.log2(1 + outputs)
        scale = "log2(1 + counts)"
    if log_proteins == "centred":
        outputs = outputs.sub(outputs.mean(axis=1), axis=0)
        scale += " minus the mean of the cell"
    return paired(
        X=None,
        Y=outputs,
        gene_names=gene_names[columns],
        labels=None if labels is None else labels[is_counted],
        counts=chosen[is_counted],
        source=f"{source}; proteins as {scale}",
        dropped={"no counts in the selected genes": proteins.index[~is_counted]},
        **about,
    )


def r_objects(path: Path) -> dict[str, Any]:
    """Objects in an ``.rda`` file by name; a sparse matrix is a triple, see `sparse_counts`."""
    require("rdata")
    import rdata

    constructors = {**rdata.conversion.DEFAULT_CLASS_MAP, "dgCMatrix": sparse_counts}
    return rdata.read_rda(path, constructor_dict=constructors)


def sparse_counts(
    matrix: Any, attributes: Mapping[str, Any]
) -> tuple[sparse.csr_array, pd.Index, pd.Index]:
    """Counts, (cells, genes), names of the cells and of the genes of a matrix genes x cells of R.

    R stores the columns one after the other: the values ``x`` of the rows ``i``, from ``p[j]`` on.
    """
    genes, cells = (pd.Index(names, dtype=object) for names in matrix.Dimnames)
    shape = len(cells), len(genes)
    counts = sparse.csr_array((matrix.x.astype(np.int32), matrix.i, matrix.p), shape=shape)
    return counts, cells, genes
