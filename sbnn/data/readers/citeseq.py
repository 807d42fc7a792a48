"""CITE-seq data: counts of RNA and surface proteins in the same cells."""

import warnings

import numpy as np
import pandas as pd
from anndata import OldFormatWarning, read_h5ad
from scipy import sparse

from sbnn.data.paired import paired_cells
from sbnn.data.preprocessing import select_genes
from sbnn.data.readers.counts import read_count_table

_HUMAN = "HUMAN_"


def read_cord_blood(rna_path, protein_path, clustering_path, **options):
    """Read the 7652 typed cord blood cells, with human genes and 13 proteins as outputs."""
    clustering = pd.read_csv(clustering_path, index_col="cell_barcode")
    clustering = clustering[clustering["type"].notna() & (clustering["type"] != "Ery")]
    labels = clustering[["type", "cluster"]].assign(family=clustering["type"])
    counts, cells, genes = read_count_table(rna_path)
    human = genes.str.startswith(_HUMAN)
    counts = counts[cells.get_indexer(labels.index)][:, np.flatnonzero(human)]
    genes = genes[human].str.removeprefix(_HUMAN)
    proteins = pd.read_csv(protein_path, index_col=0).T.loc[labels.index]
    return pair_counts(counts, genes, proteins, labels, **options)


def read_cd8(rna_path, protein_path, **options):
    """Read blood cells sorted by CD8; the gate, a part of the cell name, is the type."""
    counts, cells, genes = read_count_table(rna_path)
    gate = cells.str.rsplit("_", n=1).str[0].str.replace("_", " ")
    labels = pd.DataFrame({"family": gate, "type": gate}, cells)
    proteins = pd.read_csv(protein_path, index_col=0).T.loc[cells]
    return pair_counts(counts, genes, proteins, labels, **options)


def read_pbmc(path, **options):
    """Read one of the data sets of 10x Genomics, an AnnData without labels."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", OldFormatWarning)  # the files are of 2020
        adata = read_h5ad(path)
    proteins = pd.DataFrame(
        adata.obsm["protein_expression"], adata.obs_names, adata.uns["protein_names"]
    )
    proteins.columns = proteins.columns.str.removesuffix("_TotalSeqB")
    return pair_counts(sparse.csr_array(adata.X), adata.var_names, proteins, **options)


def pair_counts(
    counts,
    gene_names,
    proteins,
    labels=None,
    *,
    n_genes=1000,
    log_proteins=True,
    source="",
    **about,
):
    """Pair proteins with expression over `n_genes` selected by the counts of all cells."""
    selected = counts.sum(axis=0) > 0
    if n_genes is not None:
        selected = select_genes(counts, n_genes).selected
    columns = np.flatnonzero(selected)
    chosen = counts[:, columns].toarray()  # (n_cells, n_genes)
    counted = chosen.sum(axis=1) > 0
    chosen = chosen[counted]
    outputs = proteins[counted].astype(np.float64)
    if log_proteins:
        outputs = np.log2(1 + outputs)
    if labels is not None:
        labels = labels[counted]
    return paired_cells(
        None,
        outputs,
        gene_names[columns],
        labels=labels,
        counts=chosen,
        source=f"{source}; proteins as {'log2(1 + counts)' if log_proteins else 'counts'}",
        dropped={"no counts in the selected genes": proteins.index[~counted]},
        **about,
    )
