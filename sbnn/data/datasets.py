"""Load a data set by name: find its files, verify them and return what a study of its kind works on.

``sbnn data list`` names the data sets and says which are here, ``get scala`` fetches the files of one,
and ``check`` reads all files that are here and compares their checksums (`sbnn.data.inventory`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.resources import files as package_files
from pathlib import Path

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.catalogue import (
    DATASETS,
    DYNAMICS,
    EPHYS_TYPES,
    FULL_COUNTS,
    GOUWENS_MAT,
    MECHANISM_SHIFT,
    SBNN,
    find_dataset,
    names_of,
)
from sbnn.data.fingerprint import fingerprint_files
from sbnn.data.gene_dynamics import GeneDynamics, simulate_gene_dynamics
from sbnn.data.paired import PairedData
from sbnn.data.perturbation_screen import PerturbationScreen
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.citeseq import read_cd8, read_cord_blood, read_pbmc
from sbnn.data.readers.ephys_types import read_gouwens_ephys, read_lee_human
from sbnn.data.readers.gene_dynamics import read_breast, read_grn, read_yeast
from sbnn.data.readers.gouwens import read_gouwens
from sbnn.data.readers.papalexi import read_papalexi
from sbnn.data.readers.scala import cell_labels, ion_channel_genes, read_counts
from sbnn.data.registry import FoundFile, find_files
from sbnn.data.simulate import simulate_patchseq
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.data.simulate_perturbations import simulate_perturbations

_CITATION = "Scala et al., Nature 598, 144 (2021), GEO GSE163764"
#: An ion channel gene with fewer counts in all cells together is left out.
_MIN_COUNTS = 10
#: Study -> the real data set to work on, and the one that is made where it cannot be had.
_DEFAULTS = {
    SBNN: ("scala", "simulated"),
    EPHYS_TYPES: ("lee_human", "simulated_ephys"),
    MECHANISM_SHIFT: ("papalexi", "simulated_screen"),
    DYNAMICS: ("grn_350", "simulated_grn"),
}
#: A screen that every method can be fitted to in minutes; in the paper it has 250 cells of each perturbation.
_SMALL_SCREEN = {"n_cells_per": 50, "n_perturbations": 100, "n_latents": 15, "n_genes": 100}

#: What data sets come as, after their study.
Data = PairedData | AnnData | PerturbationScreen | GeneDynamics


def load_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True, **options) -> Data:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        A key of `DATASETS`. In those with genes `X` is log2 of the library-size normalised counts plus one, where
        nothing else is said, `Y` is in its own units, and neither is z-scored.

        - ``"scala"``: mouse motor cortex, 1213 cells x 1000 genes -> 16 electrophysiological features.
        - ``"scala_ion_channels"``: the same cells, ion channel genes only: the 423 of the complete counts, or, with a
          warning, the 55 among the 1000 selected genes where the complete counts cannot be had.
        - ``"scala_34c_counts"``: complete raw counts of the 185 cells recorded at 33-34 degrees Celsius, no outputs.
        - ``"gouwens"``: mouse visual cortex, 3395 cells x 1252 genes (log expression as released, no counts) -> 55
          electrophysiological features and sparse principal components.
        - ``"stoeckius"``: cord blood, 7652 cells x 1000 genes -> 13 proteins.
        - ``"citeseq_cd8"``: blood cells sorted by CD8, 1774 cells x 1000 genes -> 5 proteins.
        - ``"pbmc_5k_protein"``, ``"pbmc_10k_protein"``: 200 blood cells each, 1000 genes -> 29 and 14 proteins.
        - ``"simulated"``: see `simulate_patchseq`.

        Without genes, electrophysiology to tell the type of a cell by (AnnData of `typed_cells`):

        - ``"gouwens_ephys"``: mouse visual cortex, 4215 cells, 45 features, four types.
        - ``"lee_human"``: human cortex, 702 cells, 93 features, the same four types.
        - ``"simulated_ephys"``: see `simulate_ephys_types`.

        Counts of cells each under one perturbation (`PerturbationScreen`):

        - ``"papalexi"``: THP-1 cells, 16093 cells x 299 genes, 25 genes knocked out.
        - ``"simulated_screen"``: see `simulate_perturbations`; 100 perturbations of 50 cells, 15 latents and 100 genes.

        Expression over time, a prior and, where there is one, the truth (`GeneDynamics`):

        - ``"grn_350"``, ``"grn_690"``: simulated networks; 150 samples to learn from are simulated, 10 are published.
        - ``"yeast_pramila"``: yeast cell cycle, 500 genes at 24 times, and its dye swap.
        - ``"breast_desmedt"``: breast cancer along a pseudotime, 500 genes at 178 times, and 8 times held out.
        - ``"simulated_grn"``: see `simulate_gene_dynamics`; a random network of 350 genes.
    path : path-like, optional
        Folder with the files; by default they are searched as `sbnn.data.registry` describes.
    download : bool
        Whether to download files that no place holds.
    verbose : bool
        Whether to print what was loaded, and from where.
    **options
        Simulated data: parameters of what simulates them. The four sets with proteins: ``n_genes``, how many genes to
        select, and ``log_proteins``, whether `Y` is log2(1 + counts) or the counts as they are (as in the paper; the
        default of ``"stoeckius"`` alone).
        ``"gouwens_ephys"``: ``relative``, whether spikes are measured from their threshold (`relative_to_threshold`).
        ``"papalexi"``: ``confident_only``, whether to leave out cells without a clear guide.
        ``"grn_350"`` and ``"grn_690"``: ``n_samples``, ``noise``, ``wrong`` and ``random_state`` of `read_grn`.

    Returns
    -------
    PairedData, AnnData, PerturbationScreen or GeneDynamics

    Raises
    ------
    ValueError
        An unknown name, or a `path` for simulated data.
    TypeError
        Options that the data set does not have.
    FileNotFoundError
        A file that is nowhere and cannot be downloaded; the message says what to do.
    DataIntegrityError
        A file that is truncated or altered.

    Warns
    -----
    UserWarning
        Where another file stands in for one that cannot be had.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; the known ones are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if dataset.files:
        unknown = sorted(options.keys() - dataset.options)
        if unknown:
            takes = f"takes the options {', '.join(dataset.options)}" if dataset.options else "takes no options"
            raise TypeError(f"data set {name!r} {takes}, got {', '.join(unknown)}")
        found = find_dataset(name, path, download=download, verbose=verbose)
        data = _READ[name](found, **options)
    else:
        if path is not None:
            raise ValueError(f"data set {name!r} is not read from files; path must be None, got {str(path)!r}")
        found = {}
        data = _READ[name](**options)
    if verbose:
        places = ", ".join(dict.fromkeys(file.place for file in found.values()))
        told = data.summary() if hasattr(data, "summary") else _summary(data)
        print(told + (f" [{places}]" if places else ""))
    return data


def _summary(data):
    """Shape, types with their counts, and source of typed cells."""
    types = ", ".join(f"{name} {size}" for name, size in data.obs["type"].value_counts().items())
    families, about = data.var["family"].nunique(), data.uns["sbnn"]
    shape = f"{data.n_obs} cells x {data.n_vars} features in {families} families"
    return f"{about['name']}: {shape}; types: {types}\n  source: {about['source']}"


def default_dataset(path=None, *, download: bool = True, verbose: bool = True, study: str = SBNN) -> str:
    """Name the data set to work on: the real one where it can be had, else the simulated one.

    Parameters
    ----------
    path, download
        As for `load_dataset`.
    verbose : bool
        Whether to print which it is, and why.
    study : {"sbnn", "ephys_types", "mechanism_shift", "dynamics"}
        What it is for.

    Returns
    -------
    str
        A real and a simulated one of each study, such as ``"scala"`` or ``"simulated"``.

    Raises
    ------
    ValueError
        Another study.
    DataIntegrityError
        A file of the real data is there but truncated or altered: that is to be mended, not passed over.
    """
    names_of(study)  # refuses another one
    real, made = _DEFAULTS[study]
    try:
        found = find_files(DATASETS[real].files, path, download=download, verbose=verbose, hint=real)
    except FileNotFoundError as error:
        name, why = made, f"the real data cannot be had. {error}"
    else:
        name, why = real, "its files are in " + ", ".join(dict.fromkeys(file.place for file in found.values()))
    if verbose:
        print(f"data set: {name}, because {why}")
    return name


def type_colors() -> dict[str, str]:
    """Colours of the transcriptomic types of mouse motor cortex, as published with the Allen taxonomy.

    Returns
    -------
    dict of str to str
        RNA type -> ``"#RRGGBB"`` in the order of the taxonomy. The four L5 PT types also under their later name, L5 ET.
    """
    with (package_files("sbnn.data") / "type_colors.csv").open() as table:
        colors = pd.read_csv(table, index_col="RNA type")["color"].to_dict()
    return colors | {name.replace(" PT_", " ET_"): color for name, color in colors.items() if " PT_" in name}


def _read_scala(found: dict[str, FoundFile]) -> PairedData:
    counts, cells, genes = read_counts(found["gene_counts.csv"].path)
    return _pair_with_ephys(
        counts,
        cells,
        genes,
        found,
        "scala",
        f"{_CITATION}; genes and features as selected in github.com/berenslab/sBNN",
    )


def _read_scala_ion_channels(found: dict[str, FoundFile]) -> PairedData:
    complete = FULL_COUNTS in found
    counts, cells, genes = read_counts(found[FULL_COUNTS if complete else "gene_counts.csv"].path)
    channels = genes.isin(ion_channel_genes(found["go_ion_channel_term_summary.txt"].path))
    # Over all cells of the table, those without electrophysiology too, as published.
    channels &= np.asarray(counts.sum(axis=0)).ravel() >= _MIN_COUNTS
    columns = np.flatnonzero(channels)
    which = "complete counts" if complete else "1000 selected genes only, for lack of the complete counts"
    return _pair_with_ephys(
        counts[:, columns],
        cells,
        genes[columns],
        found,
        "scala_ion_channels",
        f"{_CITATION}; ion channel genes of the Gene Ontology among the {which}, files of github.com/berenslab/sBNN",
    )


def _pair_with_ephys(counts, cells, genes, found: dict[str, FoundFile], name: str, source: str) -> PairedData:
    """Pair counts of motor cortex cells, of some genes, with the 16 features of the cells that have them."""
    ephys = pd.read_csv(found["ephys_values.csv"].path, index_col=0)
    counts = counts[cells.get_indexer(ephys.index)].toarray()
    labels = _read_labels(found["mini-atlas-meta-data.csv"].path).loc[ephys.index]
    return PairedData(
        X=log2p1(normalize_library_size(counts)),
        Y=ephys.to_numpy(),
        gene_names=genes,
        feature_names=ephys.columns,
        cell_names=ephys.index,
        labels=labels,
        colors=_colors_of(labels),
        counts=counts,
        name=name,
        source=source,
        sha256=fingerprint_files(_sha256_of(found)),
        files=_sha256_of(found),
    )


def _read_scala_34c_counts(found: dict[str, FoundFile]) -> PairedData:
    counts, cells, genes = read_counts(found["m1_patchseq_phys_temp_exon_counts.csv.gz"].path)
    labels = _read_labels(found["m1_patchseq_phys_temp_meta_data.csv"].path).loc[cells]
    return PairedData(
        X=counts,
        gene_names=genes,
        cell_names=cells,
        labels=labels,
        colors=_colors_of(labels),
        counts=counts,
        name="scala_34c_counts",
        source=f"{_CITATION}; cells recorded at 33-34 C, exon counts of github.com/berenslab/mini-atlas",
        sha256=fingerprint_files(_sha256_of(found)),
        files=_sha256_of(found),
    )


def _read_gouwens(found: dict[str, FoundFile]) -> PairedData:
    return read_gouwens(found[GOUWENS_MAT].path, found["E_names.json"].path, _sha256_of(found))


def _read_tables(read: Callable, found: dict[str, FoundFile], **options) -> Data:
    """Hand the paths of the files, in their order, to a reader that takes them so."""
    return read(*(file.path for file in found.values()), files=_sha256_of(found), **options)


def _read_labels(path: Path) -> pd.DataFrame:
    return cell_labels(pd.read_csv(path, sep="\t", dtype={"Targeted layer": str}))


def _colors_of(labels: pd.DataFrame) -> dict[str, str]:
    present = set(labels["type"])
    return {name: color for name, color in type_colors().items() if name in present}


def _sha256_of(found: dict[str, FoundFile]) -> dict[str, str]:
    return {name: file.sha256 for name, file in found.items()}


#: Data set -> what turns its found files, or else its options, into data.
_READ: dict[str, Callable[..., Data]] = {
    "scala": _read_scala,
    "scala_ion_channels": _read_scala_ion_channels,
    "scala_34c_counts": _read_scala_34c_counts,
    "gouwens": _read_gouwens,
    "stoeckius": partial(_read_tables, read_cord_blood),
    "citeseq_cd8": partial(_read_tables, read_cd8),
    "pbmc_5k_protein": partial(_read_tables, partial(read_pbmc, name="pbmc_5k_protein")),
    "pbmc_10k_protein": partial(_read_tables, partial(read_pbmc, name="pbmc_10k_protein")),
    "gouwens_ephys": partial(_read_tables, read_gouwens_ephys),
    "lee_human": partial(_read_tables, read_lee_human),
    "simulated_ephys": simulate_ephys_types,
    "papalexi": partial(_read_tables, read_papalexi),
    "simulated_screen": partial(simulate_perturbations, **_SMALL_SCREEN),
    "grn_350": partial(_read_tables, partial(read_grn, name="grn_350")),
    "grn_690": partial(_read_tables, partial(read_grn, name="grn_690")),
    "yeast_pramila": partial(_read_tables, read_yeast),
    "breast_desmedt": partial(_read_tables, read_breast),
    "simulated_grn": simulate_gene_dynamics,
    "simulated": simulate_patchseq,
}
