"""CITE-seq data: counts of RNA and surface proteins in the same cells, from published tables or an
AnnData file.

The data are from Stoeckius et al., Simultaneous epitope and transcriptome measurement in single
cells, Nature Methods 14, 865 (2017), GEO GSE100866, and from 10x Genomics (two small data sets, as
distributed with scvi-tools). The cord blood cells are selected as in Bernaerts, Berens & Kobak
(arXiv 2006.10411).
"""

import warnings

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.objects import obsm_table
from sbnn.data.paired import paired
from sbnn.data.preprocessing import log2p1, normalize_library_size, select_genes
from sbnn.data.readers.counts import read_count_table

SOURCE = "Stoeckius et al., Nature Methods 14, 865 (2017), GEO GSE100866"
_SOURCE_10X = (
    "10x Genomics peripheral blood cells, 200 of them as kept in github.com/scverse/scvi-tools"
)
_HUMAN = "HUMAN_"


def read_cord_blood(rna_path, protein_path, clustering_path, **options):
    """Read the human genes and 13 proteins of the 7652 typed cord blood cells, in the order of the clustering table."""
    clustering = pd.read_csv(clustering_path)
    clustering = clustering.set_index(clustering["cell_barcode"].astype(str))
    # not immune cells
    clustering = clustering[clustering["type"].notna() & (clustering["type"] != "Ery")]
    labels = clustering[["type", "cluster"]].assign(family=clustering["type"])
    counts, cells, genes = read_count_table(rna_path)
    human = genes.str.startswith(_HUMAN)
    counts = counts[pd.Series(range(len(cells)), cells).loc[labels.index].to_numpy()][
        :, np.flatnonzero(human)
    ]
    genes, proteins = (
        genes[human].str.removeprefix(_HUMAN),
        pd.read_csv(protein_path, index_col=0).T,
    )
    about = {
        "name": "stoeckius",
        "source": f"{SOURCE}; cells as selected in github.com/berenslab/sBNN",
    }
    return pair_counts(
        counts,
        genes,
        proteins.loc[labels.index],
        labels,
        **about | {"log_proteins": False} | options,
    )


def read_cd8(rna_path, protein_path, **options):
    """Read the blood cells sorted by CD8 protein; the sorting gate (part of the cell name) is the family and type."""
    counts, cells, genes = read_count_table(rna_path)
    gate = cells.str.rsplit("_", n=1).str[0].str.replace("_", " ")
    labels, proteins = (
        pd.DataFrame({"family": gate, "type": gate}, cells),
        pd.read_csv(protein_path, index_col=0).T,
    )
    options |= {
        "name": "citeseq_cd8",
        "source": f"{SOURCE}, CD8 sample; tables of github.com/databio/bds_hackathon",
    }
    return pair_counts(counts, genes, proteins.loc[cells], labels, **options)


def read_pbmc(path, name, **options):
    """Read one of the two small data sets of 10x Genomics, stored as AnnData without labels."""
    import anndata  # slower to import than any other package

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PendingDeprecationWarning)  # the files have an older layout
        adata = anndata.read_h5ad(path)
    proteins = obsm_table(adata, "protein_expression")
    proteins.columns = proteins.columns.str.removesuffix("_TotalSeqB")
    counts = sparse.csr_array(adata.X)
    return pair_counts(counts, adata.var_names, proteins, name=name, source=_SOURCE_10X, **options)


def pair_counts(
    counts,
    gene_names,
    proteins,
    labels=None,
    *,
    name,
    source,
    n_genes=1000,
    log_proteins=True,
    files=None,
):
    """Pair proteins with the expression of selected genes, normalised by the library size over
    these genes.

    The `n_genes` genes are selected by their counts in all cells; if `n_genes` is None, all genes
    with counts are used.
    """
    # options that determine what is taken from the files
    options = {"n_genes": n_genes, "log_proteins": log_proteins}
    kept = counts.sum(axis=0) > 0 if n_genes is None else select_genes(counts, n_genes).selected
    columns = np.flatnonzero(kept)
    chosen = pd.DataFrame(
        counts[:, columns].toarray(), index=proteins.index, columns=gene_names[columns]
    )
    counted = (chosen.sum(axis=1) > 0).to_numpy()
    chosen, outputs = chosen[counted], proteins[counted].astype(np.float64)
    outputs = np.log2(1 + outputs) if log_proteins else outputs
    sha256 = fingerprint_parameters(options | {"files": fingerprint_files(files)}) if files else ""
    return paired(
        log2p1(normalize_library_size(chosen)),
        outputs.to_numpy(),
        chosen.columns,
        outputs.columns,
        chosen.index,
        None if labels is None else labels[counted],
        None,
        chosen.to_numpy(),
        name=name,
        source=f"{source}; proteins as {'log2(1 + counts)' if log_proteins else 'counts'}",
        sha256=sha256,
        files=files,
        dropped={"no counts in the selected genes": list(proteins.index[~counted])},
    )
