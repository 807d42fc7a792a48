"""Which data sets there are and which files each is made of: what can be told without reading any.

Imports nothing that is slow, so that ``sbnn --help`` and ``sbnn data list`` answer at once; what reads the files is in
`sbnn.data.datasets`.
"""

from __future__ import annotations

import warnings
from typing import NamedTuple

from sbnn.data.registry import FoundFile, find_files

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"
GOUWENS_MAT = "PS_v5_beta_0-4_pc_scaled_ipfx_eqTE.mat"

#: What data sets are for: genes that predict a second measurement of the same cells (`PairedData`), electrophysiology
#: that predicts the type of a cell (`typed_cells`), perturbations that shift latents (`PerturbationScreen`), or
#: expression over time that tells who regulates whom (`GeneDynamics`).
STUDIES = SBNN, EPHYS_TYPES, MECHANISM_SHIFT, DYNAMICS = "sbnn", "ephys_types", "mechanism_shift", "dynamics"


class Dataset(NamedTuple):
    """A data set by its files.

    Attributes
    ----------
    about : str
        What it is, in a line.
    files : tuple of str
        Keys of `sbnn.data.sources.FILES`; none for data that are made, not read.
    options : tuple of str
        What `load_dataset` takes for it besides the files.
    instead : dict of str to str
        For each file that need not be had, the one that stands in for it.
    study : str
        What it is for, one of `STUDIES`. What runs over all data sets of one study takes them from `names_of`.
    """

    about: str
    files: tuple[str, ...]
    options: tuple[str, ...] = ()
    instead: dict[str, str] = {}
    study: str = SBNN


_CITESEQ_OPTIONS = ("n_genes", "log_proteins")
_GRN_OPTIONS = ("n_samples", "noise", "wrong", "random_state")


def _grn_files(n_genes: int, prior: str) -> tuple[str, ...]:
    tables = (f"{part}_{n_genes}.csv" for part in ("edges", "rate_equations", "gene_names"))
    return (*tables, f"test_{n_genes}_10_samples.csv", f"prior_{n_genes}_noise_{prior}.csv")


#: Every data set that `load_dataset` knows.
DATASETS: dict[str, Dataset] = {
    "scala": Dataset(
        "mouse motor cortex Patch-seq: 1213 cells x 1000 genes -> 16 electrophysiological features",
        ("gene_counts.csv", "ephys_values.csv", "mini-atlas-meta-data.csv"),
    ),
    "scala_ion_channels": Dataset(
        "the same cells, ion channel genes only: 423, or 55 without the complete counts",
        (FULL_COUNTS, "ephys_values.csv", "mini-atlas-meta-data.csv", "go_ion_channel_term_summary.txt"),
        instead={FULL_COUNTS: "gene_counts.csv"},
    ),
    "scala_34c_counts": Dataset(
        "raw counts of 185 mouse motor cortex cells recorded at 33-34 C, 30749 genes",
        ("m1_patchseq_phys_temp_exon_counts.csv.gz", "m1_patchseq_phys_temp_meta_data.csv"),
    ),
    "gouwens": Dataset(
        "mouse visual cortex Patch-seq: 3395 cells x 1252 genes -> 55 electrophysiological features",
        (GOUWENS_MAT, "E_names.json"),
    ),
    "stoeckius": Dataset(
        "cord blood CITE-seq: 7652 cells x 1000 genes -> 13 proteins",
        (
            "GSE100866_CBMC_8K_13AB_10X-RNA_umi.zip",
            "GSE100866_CBMC_8K_13AB_10X-ADT_umi.csv",
            "CBMC_clustering.csv",
        ),
        options=_CITESEQ_OPTIONS,
    ),
    "citeseq_cd8": Dataset(
        "CITE-seq of blood cells sorted by CD8: 1774 cells x 1000 genes -> 5 proteins",
        ("GSE100866_CD8_merged-RNA_umi.csv.gz", "GSE100866_CD8_merged-ADT_umi.csv.gz"),
        options=_CITESEQ_OPTIONS,
    ),
    "pbmc_5k_protein": Dataset(
        "CITE-seq of 200 blood cells: 1000 genes -> 29 proteins",
        ("pbmc_5k_protein_v3.h5ad",),
        options=_CITESEQ_OPTIONS,
    ),
    "pbmc_10k_protein": Dataset(
        "CITE-seq of 200 blood cells: 1000 genes -> 14 proteins",
        ("pbmc_10k_protein_v3.h5ad",),
        options=_CITESEQ_OPTIONS,
    ),
    "gouwens_ephys": Dataset(
        "mouse visual cortex Patch-seq: 4215 cells, 45 electrophysiological features -> 4 transcriptomic types",
        ("ipfx_features.csv", "20200711_patchseq_metadata_mouse.csv"),
        options=("relative",),
        study=EPHYS_TYPES,
    ),
    "lee_human": Dataset(
        "human cortex Patch-seq: 702 cells, 93 electrophysiological features -> 4 transcriptomic types",
        ("LeeDalley_ephys_fx.csv", "LeeDalley_manuscript_metadata.csv"),
        study=EPHYS_TYPES,
    ),
    "simulated_ephys": Dataset("simulated electrophysiology of four types, human or mouse", (), study=EPHYS_TYPES),
    "papalexi": Dataset(
        "ECCITE-seq screen of THP-1 cells: 16093 cells x 299 genes, 25 genes knocked out",
        ("response_cells_x_genes.npz", "genes.txt", "cells.csv.gz"),
        options=("confident_only",),
        study=MECHANISM_SHIFT,
    ),
    "simulated_screen": Dataset(
        "simulated perturbation screen with known latents and shifts", (), study=MECHANISM_SHIFT
    ),
    "grn_350": Dataset(
        "simulated gene network with known truth: 350 genes, 550 edges, 10 test samples",
        _grn_files(350, "0.025"),
        options=_GRN_OPTIONS,
        study=DYNAMICS,
    ),
    "grn_690": Dataset(
        "simulated gene network with known truth: 690 genes, 1082 edges, 10 test samples",
        _grn_files(690, "0.05"),
        options=_GRN_OPTIONS,
        study=DYNAMICS,
    ),
    "yeast_pramila": Dataset(
        "yeast cell cycle: 500 genes at 24 times, and its dye swap",
        (
            "pramila_500genes_1sample_24T.csv",
            "pramila_500genes_1VALsample_24T.csv",
            "pramila500_gene_names.csv",
            "edge_prior_matrix_pramila_500.csv",
        ),
        study=DYNAMICS,
    ),
    "breast_desmedt": Dataset(
        "breast cancer along a pseudotime: 500 genes at 178 times, 8 held out",
        (
            "desmedt_500genes_1sample_178T.csv",
            "desmedt_500genes_1TESTsample_8middleT.csv",
            "desmedt_gene_names_500.csv",
            "edge_prior_matrix_desmedt_500.csv",
            "validation_network.csv",
        ),
        study=DYNAMICS,
    ),
    "simulated_grn": Dataset("simulated samples of a random gene network with known truth", (), study=DYNAMICS),
    "simulated": Dataset("simulated Patch-seq with known ground truth", ()),
}


def names_of(study: str = SBNN) -> tuple[str, ...]:
    """List the data sets of a study.

    Parameters
    ----------
    study : str
        One of `STUDIES`.

    Returns
    -------
    tuple of str
        Keys of `DATASETS`, in its order.

    Raises
    ------
    ValueError
        Another study.
    """
    if study not in STUDIES:
        raise ValueError(f"study must be one of {', '.join(STUDIES)}, got {study!r}")
    return tuple(name for name, dataset in DATASETS.items() if dataset.study == study)


def require_study(name: str, study: str = SBNN) -> None:
    """Refuse a known data set that is of another study; names that are not known are left to others.

    Parameters
    ----------
    name : str
        A data set, or any other name.
    study : str
        One of `STUDIES`.

    Raises
    ------
    ValueError
        The data set is of another study; the message lists those that are of this one.
    """
    of = names_of(study)
    if name in DATASETS and name not in of:
        raise ValueError(
            f"data set {name!r} is of the study {DATASETS[name].study!r}; those of {study!r} are {', '.join(of)}"
        )


def find_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True) -> dict[str, FoundFile]:
    """Find all files of a data set, or download them, and verify each.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.
    path, download, verbose
        As for `load_dataset`.

    Returns
    -------
    dict of str to FoundFile
        A file that cannot be had is replaced by the one that stands in for it, if there is one.

    Raises
    ------
    FileNotFoundError, DataIntegrityError
        As for `load_dataset`.

    Warns
    -----
    UserWarning
        Where another file stands in for one that cannot be had.
    """
    dataset = DATASETS[name]
    found = find_files(
        [file for file in dataset.files if file not in dataset.instead],
        path,
        download=download,
        verbose=verbose,
        hint=name,
    )
    for file, stand_in in dataset.instead.items():
        try:
            found |= find_files([file], path, download=download, verbose=verbose, hint=file)
        except FileNotFoundError:
            found |= find_files([stand_in], path, download=download, verbose=verbose, hint=name)
            warnings.warn(
                f"{name}: {stand_in} stands in for {file}, which cannot be had. To see why: sbnn data get {file}",
                stacklevel=3,
            )
    return found
