"""Load a data set by name: find its files, verify them and return `PairedData`.

``python -m sbnn.datasets list`` names the data sets, ``python -m sbnn.datasets get scala`` fetches the files of one.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from importlib.resources import files as package_files
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from sbnn.paired import PairedData
from sbnn.preprocessing import log2p1, normalize_library_size
from sbnn.registry import FoundFile, find_files
from sbnn.scala import cell_labels, read_counts
from sbnn.simulate import simulate_patchseq

_CITATION = "Scala et al., Nature 598, 144 (2021), GEO GSE163764"


def load_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True, **options) -> PairedData:
    """Load a data set by name.

    Parameters
    ----------
    name : {"scala", "scala_34c_counts", "simulated"}
        ``"scala"``: mouse motor cortex, 1213 cells x 1000 genes -> 16 electrophysiological features; `X` is log2 of
        the library-size normalised counts plus one, `Y` in the features' own units, neither z-scored.
        ``"scala_34c_counts"``: complete raw counts of the 185 cells recorded at 33-34 degrees Celsius, no outputs.
        ``"simulated"``: see `simulate_patchseq`.
    path : path-like, optional
        Folder with the files; by default they are searched as `sbnn.registry` describes.
    download : bool
        Whether to download files that no place holds.
    verbose : bool
        Whether to print what was loaded, and from where.
    **options
        Parameters of `simulate_patchseq`, for ``"simulated"`` only.

    Returns
    -------
    PairedData

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
    """
    if name not in DATASETS:
        raise ValueError(f"unknown data set {name!r}; the known ones are {', '.join(DATASETS)}")
    dataset = DATASETS[name]
    if dataset.files:
        if options:
            raise TypeError(f"data set {name!r} takes no options, got {', '.join(options)}")
        found = find_files(dataset.files, path, download=download, verbose=verbose, hint=name)
        data = dataset.read(found)
    else:
        if path is not None:
            raise ValueError(f"data set {name!r} is not read from files; path must be None, got {str(path)!r}")
        found = {}
        data = dataset.read(**options)
    if verbose:
        places = ", ".join(dict.fromkeys(file.place for file in found.values()))
        print(data.summary() + (f" [{places}]" if places else ""))
    return data


def default_dataset(path=None, *, download: bool = True, verbose: bool = True) -> str:
    """Name the data set to work on: the real one where it can be had, else the simulated one.

    Parameters
    ----------
    path, download
        As for `load_dataset`.
    verbose : bool
        Whether to print which it is, and why.

    Returns
    -------
    {"scala", "simulated"}

    Raises
    ------
    DataIntegrityError
        A file of the real data is there but truncated or altered: that is to be mended, not passed over.
    """
    try:
        found = find_files(DATASETS["scala"].files, path, download=download, verbose=verbose, hint="scala")
    except FileNotFoundError as error:
        name, why = "simulated", f"the real data cannot be had. {error}"
    else:
        name, why = "scala", "its files are in " + ", ".join(dict.fromkeys(file.place for file in found.values()))
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
    with (package_files("sbnn") / "type_colors.csv").open() as table:
        colors = pd.read_csv(table, index_col="RNA type")["color"].to_dict()
    return colors | {name.replace(" PT_", " ET_"): color for name, color in colors.items() if " PT_" in name}


def _read_scala(found: dict[str, FoundFile]) -> PairedData:
    counts, cells, genes = read_counts(found["gene_counts.csv"].path)
    ephys = pd.read_csv(found["ephys_values.csv"].path, index_col=0)
    counts = counts.toarray()
    labels = _read_labels(found["mini-atlas-meta-data.csv"].path).loc[cells]
    return PairedData(
        X=log2p1(normalize_library_size(counts)),
        Y=ephys.loc[cells].to_numpy(),
        gene_names=genes,
        feature_names=ephys.columns,
        cell_names=cells,
        labels=labels,
        colors=_colors_of(labels),
        counts=counts,
        name="scala",
        source=f"{_CITATION}; genes and features as selected in github.com/berenslab/sBNN",
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
        files=_sha256_of(found),
    )


def _read_labels(path: Path) -> pd.DataFrame:
    return cell_labels(pd.read_csv(path, sep="\t", dtype={"Targeted layer": str}))


def _colors_of(labels: pd.DataFrame) -> dict[str, str]:
    present = set(labels["type"])
    return {name: color for name, color in type_colors().items() if name in present}


def _sha256_of(found: dict[str, FoundFile]) -> dict[str, str]:
    return {name: file.sha256 for name, file in found.items()}


class _Dataset(NamedTuple):
    """A data set: what it is, its files, and what turns the found files (or options) into `PairedData`."""

    about: str
    files: tuple[str, ...]
    read: Callable[..., PairedData]


#: Every data set that `load_dataset` knows.
DATASETS: dict[str, _Dataset] = {
    "scala": _Dataset(
        "mouse motor cortex Patch-seq: 1213 cells x 1000 genes -> 16 electrophysiological features",
        ("gene_counts.csv", "ephys_values.csv", "mini-atlas-meta-data.csv"),
        _read_scala,
    ),
    "scala_34c_counts": _Dataset(
        "raw counts of 185 mouse motor cortex cells recorded at 33-34 C, 30749 genes",
        ("m1_patchseq_phys_temp_exon_counts.csv.gz", "m1_patchseq_phys_temp_meta_data.csv"),
        _read_scala_34c_counts,
    ),
    "simulated": _Dataset("simulated Patch-seq with known ground truth", (), simulate_patchseq),
}


def main(arguments: list[str] | None = None) -> int:
    """Run ``python -m sbnn.datasets``.

    Parameters
    ----------
    arguments : list of str, optional
        By default those of the command line.

    Returns
    -------
    int
        Exit status, 1 when a file cannot be had.
    """
    parser = argparse.ArgumentParser(prog="python -m sbnn.datasets", description="List or fetch the data sets.")
    commands = parser.add_subparsers(required=True, dest="command")
    commands.add_parser("list", help="name the data sets")
    get = commands.add_parser("get", help="find or download the files of a data set, verified")
    get.add_argument("names", nargs="+", metavar="name", help="data set, or file of the registry")
    get.add_argument("--path", help="folder to look in first")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        for name, dataset in DATASETS.items():
            print(f"{name}: {dataset.about}")
        return 0
    names = [file for name in chosen.names for file in (DATASETS[name].files if name in DATASETS else (name,))]
    try:
        for file in find_files(names, chosen.path, hint=" ".join(chosen.names)).values():
            print(f"{file.path}  sha256 {file.sha256}")
    except (FileNotFoundError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
