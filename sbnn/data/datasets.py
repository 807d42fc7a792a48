"""Which data sets there are, whether their files are here, and how to load one; imports nothing slow until it loads."""

from __future__ import annotations

import argparse
import sys
import warnings
from importlib import import_module
from typing import NamedTuple

from sbnn.data.registry import (
    FILES,
    DataIntegrityError,
    FoundFile,
    check_file,
    find_files,
    locate_file,
    search_places,
)

FULL_COUNTS = "final_patch_seq_allcells_exon_allreads.zip"
#: What data sets are for: genes that predict a second measurement of the same cells, electrophysiology that predicts
#: the type of a cell, perturbations that shift latents, or expression over time from which a gene network is learned.
STUDIES = SBNN, EPHYS_TYPES, MECHANISM_SHIFT, DYNAMICS = "sbnn", "ephys_types", "mechanism_shift", "dynamics"
#: Study -> the real data set to work on, and the simulated one that replaces it.
_DEFAULTS = {
    SBNN: ("scala", "simulated"),
    EPHYS_TYPES: ("lee_human", "simulated_ephys"),
    MECHANISM_SHIFT: ("papalexi", "simulated_screen"),
    DYNAMICS: ("grn_350", "simulated_grn"),
}
#: Column of ``obs`` -> what the groups are called that it tells apart.
_GROUPS = {"perturbation": "perturbations", "split": "split", "family": "families", "type": "types"}


class Dataset(NamedTuple):
    """A data set: the reader below `sbnn.data` takes the paths of its `files` (keys of `FILES`) in this order."""

    about: str
    reader: str
    files: tuple[str, ...] = ()  # none for data that are simulated
    study: str = SBNN
    options: dict = {}  # that the reader always gets; those of the caller come before
    instead: dict[str, str] = {}  # file that may be missing -> the one that replaces it


def _grn(n_genes: int, n_edges: int, prior: str) -> Dataset:
    tables = (f"{part}_{n_genes}.csv" for part in ("edges", "rate_equations", "gene_names"))
    return Dataset(
        f"simulated gene network with known truth: {n_genes} genes, {n_edges} edges, 10 test samples",
        "readers.gene_dynamics.read_grn",
        (*tables, f"test_{n_genes}_10_samples.csv", f"prior_{n_genes}_noise_{prior}.csv"),
        DYNAMICS,
        {"name": f"grn_{n_genes}"},
    )


def _pbmc(name: str, n_proteins: int) -> Dataset:
    return Dataset(
        f"CITE-seq of 200 blood cells: 1000 genes -> {n_proteins} proteins",
        "readers.citeseq.read_pbmc",
        (f"{name}_v3.h5ad",),
        options={"name": name},
    )


#: Every data set that `load_dataset` knows.
DATASETS: dict[str, Dataset] = {
    "scala": Dataset(
        "mouse motor cortex Patch-seq: 1213 cells x 1000 genes -> 16 electrophysiological features",
        "readers.scala.read_scala",
        ("gene_counts.csv", "ephys_values.csv", "mini-atlas-meta-data.csv"),
    ),
    "scala_ion_channels": Dataset(
        "the same cells, ion channel genes only: 423, or 55 without the complete counts",
        "readers.scala.read_scala_ion_channels",
        (FULL_COUNTS, "ephys_values.csv", "mini-atlas-meta-data.csv", "go_ion_channel_term_summary.txt"),
        instead={FULL_COUNTS: "gene_counts.csv"},
    ),
    "scala_34c_counts": Dataset(
        "raw counts of 185 mouse motor cortex cells recorded at 33-34 C, 30749 genes",
        "readers.scala.read_scala_34c_counts",
        ("m1_patchseq_phys_temp_exon_counts.csv.gz", "m1_patchseq_phys_temp_meta_data.csv"),
    ),
    "gouwens": Dataset(
        "mouse visual cortex Patch-seq: 3395 cells x 1252 genes -> 55 electrophysiological features",
        "readers.gouwens.read_gouwens",
        ("PS_v5_beta_0-4_pc_scaled_ipfx_eqTE.mat", "E_names.json"),
    ),
    "stoeckius": Dataset(
        "cord blood CITE-seq: 7652 cells x 1000 genes -> 13 proteins",
        "readers.citeseq.read_cord_blood",
        ("GSE100866_CBMC_8K_13AB_10X-RNA_umi.zip", "GSE100866_CBMC_8K_13AB_10X-ADT_umi.csv", "CBMC_clustering.csv"),
    ),
    "citeseq_cd8": Dataset(
        "CITE-seq of blood cells sorted by CD8: 1774 cells x 1000 genes -> 5 proteins",
        "readers.citeseq.read_cd8",
        ("GSE100866_CD8_merged-RNA_umi.csv.gz", "GSE100866_CD8_merged-ADT_umi.csv.gz"),
    ),
    "pbmc_5k_protein": _pbmc("pbmc_5k_protein", 29),
    "pbmc_10k_protein": _pbmc("pbmc_10k_protein", 14),
    "gouwens_ephys": Dataset(
        "mouse visual cortex Patch-seq: 4215 cells, 45 electrophysiological features -> 4 transcriptomic types",
        "readers.ephys_types.read_gouwens_ephys",
        ("ipfx_features.csv", "20200711_patchseq_metadata_mouse.csv"),
        EPHYS_TYPES,
    ),
    "lee_human": Dataset(
        "human cortex Patch-seq: 702 cells, 93 electrophysiological features -> 4 transcriptomic types",
        "readers.ephys_types.read_lee_human",
        ("LeeDalley_ephys_fx.csv", "LeeDalley_manuscript_metadata.csv"),
        EPHYS_TYPES,
    ),
    "simulated_ephys": Dataset(
        "simulated electrophysiology of four types, human or mouse",
        "simulate_ephys.simulate_ephys_types",
        study=EPHYS_TYPES,
    ),
    "papalexi": Dataset(
        "ECCITE-seq screen of THP-1 cells: 16093 cells x 299 genes, 25 genes knocked out",
        "readers.papalexi.read_papalexi",
        ("response_cells_x_genes.npz", "genes.txt", "cells.csv.gz"),
        MECHANISM_SHIFT,
    ),
    "simulated_screen": Dataset(
        "simulated perturbation screen with known latents and shifts",
        "simulate_perturbations.simulate_perturbations",
        study=MECHANISM_SHIFT,
        # Every method is fitted to it in minutes; in the paper it has 250 cells of each perturbation.
        options={"n_cells_per": 50, "n_perturbations": 100, "n_latents": 15, "n_genes": 100},
    ),
    "grn_350": _grn(350, 550, "0.025"),
    "grn_690": _grn(690, 1082, "0.05"),
    "yeast_pramila": Dataset(
        "yeast cell cycle: 500 genes at 24 times, and its dye swap",
        "readers.gene_dynamics.read_yeast",
        (
            "pramila_500genes_1sample_24T.csv",
            "pramila_500genes_1VALsample_24T.csv",
            "pramila500_gene_names.csv",
            "edge_prior_matrix_pramila_500.csv",
        ),
        DYNAMICS,
    ),
    "breast_desmedt": Dataset(
        "breast cancer along a pseudotime: 500 genes at 178 times, 8 held out",
        "readers.gene_dynamics.read_breast",
        (
            "desmedt_500genes_1sample_178T.csv",
            "desmedt_500genes_1TESTsample_8middleT.csv",
            "desmedt_gene_names_500.csv",
            "edge_prior_matrix_desmedt_500.csv",
            "validation_network.csv",
        ),
        DYNAMICS,
    ),
    "simulated_grn": Dataset(
        "simulated samples of a random gene network with known truth",
        "gene_dynamics.simulate_gene_dynamics",
        study=DYNAMICS,
    ),
    "simulated": Dataset("simulated Patch-seq with known ground truth", "simulate.simulate_patchseq"),
}


def names_of(study: str = SBNN) -> tuple[str, ...]:
    """List the data sets of a study."""
    return tuple(name for name, dataset in DATASETS.items() if dataset.study == study)


def require_study(name: str, study: str = SBNN) -> None:
    """Refuse a known data set that is of another study."""
    if name in DATASETS and DATASETS[name].study != study:
        raise ValueError(
            f"data set {name!r} is of the study {DATASETS[name].study!r}; those of {study!r} are "
            f"{', '.join(names_of(study))}"
        )


def load_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True, **options):
    """Load a data set by name.

    Parameters
    ----------
    name : str
        A key of `DATASETS`, of which ``sbnn data list`` prints what each is and data/README.md says more.

        - Genes and outputs: ``"scala"``, ``"scala_ion_channels"`` (of fewer genes, with a warning, if the complete
          counts cannot be found or downloaded), ``"scala_34c_counts"`` (raw counts without outputs), ``"gouwens"``,
          ``"stoeckius"``, ``"citeseq_cd8"``, ``"pbmc_5k_protein"``, ``"pbmc_10k_protein"``, ``"simulated"``. `X` is
          log2 of the library-size normalised counts plus one (of ``"gouwens"`` as released), outputs are in their own
          units, and neither is z-scored.
        - Electrophysiology and types: ``"gouwens_ephys"``, ``"lee_human"``, ``"simulated_ephys"``.
        - Counts, each cell under one perturbation: ``"papalexi"``, ``"simulated_screen"``.
        - Expression over time, a prior and, where there is one, the truth: ``"grn_350"``, ``"grn_690"``,
          ``"yeast_pramila"``, ``"breast_desmedt"``, ``"simulated_grn"``.
    path : path-like, optional
        Folder with the files. Otherwise they are taken from the first place that holds them: ``$SBNN_DATA``, ``data/``
        in the checkout, ``../shared/data`` beside it, the local cache, and at last their public source.
    download : bool
        Whether to download files that no place holds.
    verbose : bool
        Whether to print what was loaded, and from where.
    **options
        Simulated data: parameters of the simulator. The four sets with proteins: ``n_genes``, how many genes to select,
        and ``log_proteins``, whether outputs are log2(1 + counts) or the counts as they are (as in the paper; the
        default of ``"stoeckius"`` alone). ``"gouwens_ephys"``: ``relative``, whether spikes are measured from their
        threshold. ``"papalexi"``: ``confident_only``, whether to leave out cells without a clear guide. ``"grn_350"``
        and ``"grn_690"``: ``n_samples``, ``noise``, ``wrong`` and ``random_state`` of `read_grn`.

    Returns
    -------
    AnnData

    Raises
    ------
    ValueError
        An unknown name.
    TypeError
        Options that the data set does not have.
    FileNotFoundError
        A missing file that cannot be downloaded; the message says what to do.
    DataIntegrityError
        A file that is truncated or altered.

    Warns
    -----
    UserWarning
        If another file replaces one that cannot be found or downloaded.
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; the known ones are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    module, function = dataset.reader.rsplit(".", 1)
    read, options = getattr(import_module(f"sbnn.data.{module}"), function), dataset.options | options
    found = find_dataset(name, path, download=download, verbose=verbose)
    if found:
        options["files"] = {name: file.sha256 for name, file in found.items()}
    data = read(*(file.path for file in found.values()), **options)
    if verbose:
        places = ", ".join(dict.fromkeys(file.place for file in found.values()))
        print(summary(data) + (f" [{places}]" if places else ""))
    return data


def summary(data) -> str:
    """Name, shape, groups with their sizes, source and notes."""
    about, obs = data.uns["sbnn"], data.obs
    column, groups = next((c, g) for c, g in _GROUPS.items() if c in obs)
    sizes = obs[column].value_counts()
    shape = f"{data.n_obs} {'times' if column == 'split' else 'cells'} x {data.n_vars} "
    shape += "features" if "unit" in data.var else "genes"
    if column == "family":
        shape += f" -> {data.obsm['outputs'].shape[1]} outputs" if "outputs" in data.obsm else " -> no outputs"
    listed = ", ".join(f"{name} {size}" for name, size in sizes[sizes > 0][:12].items())
    listed += f" and {len(sizes) - 12} more" if len(sizes) > 12 else ""
    notes = "".join(f"\n  note: {note}" for note in about.get("notes", ()))
    return f"{about['name']}: {shape}; {groups}: {listed}\n  source: {about['source']}{notes}"


def find_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True) -> dict[str, FoundFile]:
    """Find or download the files of a data set; one that cannot be had is replaced, with a warning, if one can."""
    dataset, how = DATASETS[name], {"download": download, "verbose": verbose}
    found = find_files([file for file in dataset.files if file not in dataset.instead], path, **how, hint=name)
    files = list(dataset.files)
    for file, other in dataset.instead.items():
        try:
            found |= find_files([file], path, **how)
        except FileNotFoundError:
            found |= find_files([other], path, **how, hint=name)
            files[files.index(file)] = other
            warnings.warn(
                f"{name}: {other} replaces {file}, which cannot be found or downloaded. To see why: "
                f"sbnn data get {file}",
                stacklevel=3,
            )
    return {file: found[file] for file in files}


def default_dataset(path=None, *, download: bool = True, verbose: bool = True, study: str = SBNN) -> str:
    """Name the data set to work on: the real one if it can be found or downloaded, else the simulated one.

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
        Such as ``"scala"`` or ``"simulated"``.

    Raises
    ------
    DataIntegrityError
        A file of the real data is truncated or altered: that is to be fixed, not passed over.
    """
    real, simulated = _DEFAULTS[study]
    try:
        found = find_files(DATASETS[real].files, path, download=download, verbose=verbose, hint=real)
    except FileNotFoundError as error:
        name, why = simulated, f"the real data cannot be found or downloaded. {error}"
    else:
        name, why = real, "its files are in " + ", ".join(dict.fromkeys(file.place for file in found.values()))
    if verbose:
        print(f"data set: {name}, because {why}")
    return name


class DatasetState(NamedTuple):
    """State of a data set: "here", "here in part", "downloadable", "to be fetched by hand" or "made here"."""

    name: str
    about: str
    state: str
    missing: tuple[str, ...]


def list_datasets(path=None) -> list[DatasetState]:
    """Say of every data set whether its files are here, intact or not; nothing is read or downloaded."""
    places = search_places(path)
    absent = {name for name, file in FILES.items() if locate_file(file, places) is None}
    states = []
    for name, dataset in DATASETS.items():
        missing = tuple(file for file in dataset.files if file in absent)
        needed = {dataset.instead.get(file, file) for file in missing} & absent
        if not dataset.files:
            state = "made here"
        elif not needed:
            state = "here in part" if missing else "here"
        else:
            state = "downloadable" if all(FILES[file].url for file in needed) else "to be fetched by hand"
        states.append(DatasetState(name, dataset.about, state, missing))
    return states


def main(arguments: list[str] | None = None, prog="sbnn data") -> int:
    """Run ``sbnn data``; exit status 1 when a file cannot be had or is corrupt."""
    parser = argparse.ArgumentParser(prog=prog, description="List, fetch or check the data sets.")
    commands = parser.add_subparsers(required=True, dest="command")
    for command, several, about in (
        ("list", None, "name the data sets and say which are here"),
        ("get", "+", "find or download the files of data sets, verified"),
        ("check", "*", "read the files that are here and compare their checksums"),
    ):
        subparser = commands.add_parser(command, help=about)
        subparser.add_argument("--path", help="folder to look in first")
        if several:
            subparser.add_argument("names", nargs=several, metavar="name", help="data set, or one of its files")
    chosen = parser.parse_args(arguments)
    unknown = [name for name in getattr(chosen, "names", ()) if name not in DATASETS and name not in FILES]
    if unknown:
        print(f"unknown name(s) {unknown}; the data sets are {', '.join(DATASETS)}", file=sys.stderr)
        return 1
    try:
        if chosen.command == "check":
            return _check(chosen.names, search_places(chosen.path))
        if chosen.command == "list":
            for name, about, state, missing in list_datasets(chosen.path):
                lacks = f", lacks {', '.join(missing)}" if missing else ""
                print(f"{name}: {about} [{state}{lacks}]")
        for name in getattr(chosen, "names", ()):
            find = find_dataset(name, chosen.path) if name in DATASETS else find_files([name], chosen.path)
            for file in find.values():
                print(f"{file.path}  sha256 {file.sha256}")
    except (FileNotFoundError, DataIntegrityError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(names, places) -> int:
    """Verify the copy of every file that would be used and print what it is: ok, corrupt or absent."""
    of_names = [DATASETS[n].files + tuple(DATASETS[n].instead.values()) if n in DATASETS else (n,) for n in names]
    corrupt = 0
    for name in dict.fromkeys(sum(of_names, ())) if names else FILES:
        state, detail = "absent", ""
        if located := locate_file(FILES[name], places):
            try:
                check_file(FILES[name], located[0])
                state, detail = "ok", str(located[0])
            except DataIntegrityError as error:
                state, detail, corrupt = "corrupt", str(error), 1
        print("  ".join(filter(None, (f"{state:7}", name, detail))))
    return corrupt
