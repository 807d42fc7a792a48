"""CITE-seq data: counts of RNA and of surface proteins of the same cells, as published tables or an AnnData file.

Simultaneous epitope and transcriptome measurement in single cells, Stoeckius et al., Nature Methods 14, 865 (2017),
GEO GSE100866; two small sets of 10x Genomics as kept with scvi-tools. The choices for the cord blood cells are those of
Bernaerts, Berens & Kobak (arXiv 2006.10411).
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.paired import PairedData
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.data.readers.anndata import obsm_table
from sbnn.data.readers.counts import read_count_table

SOURCE = "Stoeckius et al., Nature Methods 14, 865 (2017), GEO GSE100866"
_SOURCE_10X = "10x Genomics peripheral blood cells, 200 of them as kept in github.com/scverse/scvi-tools"
_HUMAN = "HUMAN_"
#: Clusters of the cord blood cells that are left out: erythrocytes are no immune cells.
EXCLUDED_TYPES = ("Ery",)


def read_cord_blood(
    rna_path, protein_path, clustering_path, *, n_genes=1000, log_proteins=False, files=None
) -> PairedData:
    """Read the cord blood cells of Stoeckius et al. (CBMC, 8k cells, 13 antibodies).

    Parameters
    ----------
    rna_path, protein_path : path-like
        Count tables, genes or proteins x cells, see `read_count_table`. Human genes have the prefix
        ``HUMAN_``, which is removed; others (mouse, spike-ins) are left out.
    clustering_path : path-like
        Comma-separated table with columns "cell_barcode", "cluster" and "type".
    n_genes : int
        How many genes to select on the cells that are kept (threshold 0, see `select_genes`).
    log_proteins : bool
        Whether `Y` is log2(1 + counts) of the proteins; by default the counts as they are, as published.
    files : dict of str to str, optional
        Name -> sha256 of the files, for the fingerprint.

    Returns
    -------
    PairedData
        The cells with a type, except `EXCLUDED_TYPES`, in the order of the clustering; `family` and `type` are both the
        cell type. In the published files 7652 cells and 13 proteins.

    Raises
    ------
    FileNotFoundError
    ValueError
        A file with another layout, clustered cells without RNA or proteins, no gene with the prefix.
    """
    clustering = pd.read_csv(clustering_path)
    missing = [column for column in ("cell_barcode", "cluster", "type") if column not in clustering]
    if missing:
        raise ValueError(f"{clustering_path} lacks the column(s) {missing}; it has {list(clustering.columns)}")
    clustering = clustering.set_index(clustering["cell_barcode"].astype(str))
    clustering = clustering[clustering["type"].notna() & ~clustering["type"].isin(EXCLUDED_TYPES)]
    labels = clustering[["type", "cluster"]].assign(family=clustering["type"])

    counts, cells, genes = read_count_table(rna_path)
    human = genes.str.startswith(_HUMAN)
    if not human.any():
        raise ValueError(f"{rna_path} has no gene with the prefix {_HUMAN!r}; its genes are {some(genes)}")
    proteins = _read_proteins(protein_path)
    for path, measured in ((rna_path, cells), (protein_path, proteins.index)):
        without = labels.index.difference(measured)
        if len(without):
            raise ValueError(f"{path} lacks {len(without)} of {len(labels)} clustered cells: {some(without)}")
    return pair_counts(
        counts[cells.get_indexer(labels.index)][:, np.flatnonzero(human)],
        genes[human].str.removeprefix(_HUMAN),
        proteins.loc[labels.index],
        labels,
        n_genes=n_genes,
        log_proteins=log_proteins,
        name="stoeckius",
        source=f"{SOURCE}; cells as selected in github.com/berenslab/sBNN",
        files=files,
    )


def read_cd8(rna_path, protein_path, *, n_genes=1000, log_proteins=True, files=None) -> PairedData:
    """Read the CD8 sample of Stoeckius et al.: blood cells sorted by their CD8 protein.

    Parameters
    ----------
    rna_path, protein_path : path-like
        Count tables, genes or proteins x cells, see `read_count_table`.
    n_genes : int
        How many genes to select (threshold 0, see `select_genes`).
    log_proteins : bool
        Whether `Y` is log2(1 + counts) of the proteins, or the counts as they are.
    files : dict of str to str, optional
        Name -> sha256 of the files, for the fingerprint.

    Returns
    -------
    PairedData
        In the order of the RNA. `family` and `type` are both the gate that a cell was sorted into, from its name:
        ``"CD8 off"``, ``"CD8 low"``, ``"CD8 intermediate"`` or ``"CD8 high"``. In the published files 5 proteins.

    Raises
    ------
    FileNotFoundError
    ValueError
        A file with another layout, or cells that are in one of the two alone.
    """
    counts, cells, genes = read_count_table(rna_path)
    proteins = _read_proteins(protein_path)
    alone = cells.symmetric_difference(proteins.index)
    if len(alone):
        raise ValueError(f"{len(alone)} cells are in only one of {rna_path} and {protein_path}: {some(alone)}")
    gate = cells.str.rsplit("_", n=1).str[0].str.replace("_", " ")
    return pair_counts(
        counts,
        genes,
        proteins.loc[cells],
        pd.DataFrame({"family": gate, "type": gate}, index=cells),
        n_genes=n_genes,
        log_proteins=log_proteins,
        name="citeseq_cd8",
        source=f"{SOURCE}, CD8 sample; tables of github.com/databio/bds_hackathon",
        files=files,
    )


def read_pbmc(path, name, *, n_genes=1000, log_proteins=True, files=None) -> PairedData:
    """Read one of the two small sets of 10x Genomics, kept as AnnData.

    Parameters
    ----------
    path : path-like
        ``.h5ad`` file: counts of RNA in ``X``, of proteins in ``obsm["protein_expression"]``, their names in
        ``uns["protein_names"]``.
    name : str
        Name of the data set.
    n_genes : int
        How many genes to select (threshold 0, see `select_genes`).
    log_proteins : bool
        Whether `Y` is log2(1 + counts) of the proteins, or the counts as they are.
    files : dict of str to str, optional
        Name -> sha256 of the file, for the fingerprint.

    Returns
    -------
    PairedData
        Without labels: `family` and `type` are ``"unknown"``.

    Raises
    ------
    FileNotFoundError
    KeyError, ValueError
        A file with another layout.
    """
    import anndata  # takes longer to import than all the rest

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the files are older than the present layout
        adata = anndata.read_h5ad(path)
    proteins = obsm_table(adata, "protein_expression")
    proteins.columns = proteins.columns.str.removesuffix("_TotalSeqB")
    return pair_counts(
        sparse.csr_array(adata.X),
        adata.var_names,
        proteins,
        None,
        n_genes=n_genes,
        log_proteins=log_proteins,
        name=name,
        source=_SOURCE_10X,
        files=files,
    )


def pair_counts(
    counts, gene_names, proteins, labels=None, *, n_genes, log_proteins, name, source, files=None
) -> PairedData:
    """Select and normalise genes and pair them with the proteins.

    Parameters
    ----------
    counts : csr_array of int, shape (n_cells, n_genes_in)
        Raw counts of RNA.
    gene_names : Index of str
    proteins : DataFrame of shape (n_cells, n_proteins)
        Counts of the same cells in the same order; its index names the cells.
    labels : DataFrame, optional
        Of the same cells in the same order.
    n_genes : int or None
        How many genes to select on all cells given (threshold 0, see `select_genes`); None keeps all that have counts.
    log_proteins : bool
        Whether `Y` is log2(1 + counts) of the proteins.
    name, source, files
        As for `PairedData`.

    Returns
    -------
    PairedData
        `X` is log2 of the library-size normalised counts (over the selected genes) plus one, `counts` the raw ones.
        Cells without a count in the selected genes are left out, named in `dropped`.
    """
    options = {"n_genes": n_genes, "log_proteins": log_proteins}  # the same files give other data with others
    kept = counts.sum(axis=0) > 0 if n_genes is None else select_genes(counts, n_genes).selected
    columns = np.flatnonzero(kept)
    chosen = pd.DataFrame(counts[:, columns].toarray(), index=proteins.index, columns=gene_names[columns])
    counted = (chosen.sum(axis=1) > 0).to_numpy()
    chosen, outputs = chosen[counted], proteins[counted].astype(np.float64)
    return PairedData(
        X=log2p1(normalize_library_size(chosen)),
        Y=(np.log2(1 + outputs) if log_proteins else outputs).to_numpy(),
        gene_names=chosen.columns,
        feature_names=outputs.columns,
        cell_names=chosen.index,
        labels=None if labels is None else labels[counted],
        counts=chosen.to_numpy(),
        sha256=fingerprint_parameters(options | {"files": fingerprint_files(files)}) if files else "",
        dropped={"no counts in the selected genes": list(proteins.index[~counted])},
        name=name,
        source=f"{source}; proteins as {'log2(1 + counts)' if log_proteins else 'counts'}",
        files=files or {},
    )


def _read_proteins(path) -> pd.DataFrame:
    counts, cells, proteins = read_count_table(path)
    return pd.DataFrame(counts.toarray(), index=cells, columns=proteins)
