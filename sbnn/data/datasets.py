"""The named data sets, their files and how to load them."""

from __future__ import annotations

import argparse
import json
import sys
from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

from sbnn.data.registry import (
    FILES,
    DataIntegrityError,
    FoundFile,
    Search,
    locate_file,
    rows_of,
    search_places,
)
from sbnn.errors import check_among, warn

if TYPE_CHECKING:
    from anndata import AnnData

    from sbnn.typehints import PathLike


#: Uses of data sets.
SBNN = "sbnn"
EPHYS_TYPES = "ephys_types"
MECHANISM_SHIFT = "mechanism_shift"
DYNAMICS = "dynamics"
STUDIES = (SBNN, EPHYS_TYPES, MECHANISM_SHIFT, DYNAMICS)
#: Study -> its default data set, and a simulated one.
_DEFAULTS = {
    SBNN: ("scala", "simulated"),
    EPHYS_TYPES: ("lee_human", "simulated_ephys"),
    MECHANISM_SHIFT: ("papalexi", "simulated_screen"),
    DYNAMICS: ("grn_350", "simulated_grn"),
}
#: Column of ``obs`` -> word for its groups.
_GROUPS = {"perturbation": "perturbations", "split": "split", "family": "families", "type": "types"}


class Dataset(NamedTuple):
    """A data set; `reader`, a function in `sbnn.data`, takes the paths of `files` in order."""

    name: str
    study: str
    about: str
    reader: str
    files: tuple[str, ...]  # empty for simulated data
    options: dict  # of the reader
    instead: dict[str, str]  # file that may be missing -> file that replaces it


def _read_datasets():
    datasets = {}
    for row in rows_of("datasets.csv"):
        row["files"] = tuple(row["files"].split())
        row["options"] = json.loads(row["options"])
        row["instead"] = json.loads(row["instead"])
        datasets[row["name"]] = Dataset(**row)
    return datasets


#: Every data set that `load_dataset` can load.
DATASETS = _read_datasets()


def names_of(study: str = SBNN) -> tuple[str, ...]:
    """Names of the data sets of a study."""
    return tuple(name for name, dataset in DATASETS.items() if dataset.study == study)


def require_study(name: str) -> None:
    """Reject a data set of a companion study; other names are accepted."""
    if name in DATASETS:
        check_among("data set", name, names_of())


def load_dataset(
    name: str,
    path: PathLike | None = None,
    *,
    download: bool = True,
    verbose: bool = True,
    **options: object,
) -> AnnData:
    """Load a data set by name.

    Parameters
    ----------
    name : str
        A key of `DATASETS`.

        - Genes and outputs: ``"scala"``, ``"scala_ion_channels"``, ``"scala_34c_counts"`` (raw
          counts without outputs), ``"gouwens"`` (outputs z-scored), ``"stoeckius"``,
          ``"citeseq_cd8"``, ``"pbmc_5k_protein"``, ``"pbmc_10k_protein"``, ``"simulated"``. `X` is
          log2(x + 1) of normalised counts, outputs are in their original units.
        - Electrophysiology and types: ``"gouwens_ephys"``, ``"lee_human"``, ``"simulated_ephys"``.
        - Counts and the perturbation of each cell: ``"papalexi"``, ``"simulated_screen"``.
        - Expression over time, a prior and, if known, the true network: ``"grn_350"``,
          ``"grn_690"``, ``"yeast_pramila"``, ``"breast_desmedt"``, ``"hematopoiesis"``,
          ``"beeline_gsd"``, ``"beeline_hsc"``, ``"simulated_grn"``.
    path : path-like, optional
        Folder to search before ``$SBNN_DATA``, ``data/`` in the checkout of the repository,
        ``../shared/data`` beside it, and the cache.
    download : bool
        Whether to download missing files.
    verbose : bool
        Whether to print what was loaded.
    **options
        Options of some data sets:

        - Simulated data: the parameters of the simulator.
        - Proteins: ``n_genes`` to select, and ``log_proteins``: whether outputs are
          log2(1 + counts) or, as by default for ``"stoeckius"``, counts.
        - ``"gouwens_ephys"``: ``relative``: times and voltages relative to the spike threshold.
        - ``"grn_350"`` and ``"grn_690"``: ``n_samples``, ``noise``, ``wrong`` and ``random_state``
          of `read_grn`.
        - ``"hematopoiesis"``: ``cells_per_bin``, neighbouring cells to average.
        - ``"beeline_gsd"`` and ``"beeline_hsc"``: ``repeat`` (0 to 4), ``dropout`` and ``n_bins``
          of `read_beeline`.

    Returns
    -------
    AnnData

    Raises
    ------
    ValueError, TypeError
        If the name or an option is unknown.
    FileNotFoundError
        If a file is missing and cannot be downloaded.
    DataIntegrityError
        If a file is truncated or altered.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> load_dataset("simulated", n_cells=100, n_genes=60, verbose=False).shape
    (100, 60)
    """
    check_among("data set", name, DATASETS)
    search = Search(path, download, verbose)
    dataset = DATASETS[name]
    module, function = dataset.reader.rsplit(".", 1)
    read = getattr(import_module(f"sbnn.data.{module}"), function)
    options = dataset.options | options
    found = find_dataset(name, search)
    if found:
        options["files"] = {file: at.sha256 for file, at in found.items()}
    paths = [at.path for at in found.values()]
    data = read(*paths, **options)
    if verbose:
        places = _places(found)
        print(summary(data) + (f" [{places}]" if places else ""))
    return data


def _places(found: dict[str, FoundFile]) -> str:
    return ", ".join(dict.fromkeys(at.place for at in found.values()))


def summary(data) -> str:
    """Name, shape, groups, source and notes as text."""
    from sbnn.data.checks import some  # slow to import

    about = data.uns["sbnn"]
    column = next(column for column in _GROUPS if column in data.obs)
    rows = "times" if column == "split" else "cells"
    columns = "features" if "unit" in data.var else "genes"
    shape = f"{data.n_obs} {rows} x {data.n_vars} {columns}"
    if "outputs" in data.obsm:
        shape += f" -> {data.obsm['outputs'].shape[1]} outputs"
    sizes = data.obs[column].value_counts()
    groups = some([f"{name} {size}" for name, size in sizes[sizes > 0].items()], 12)
    lines = [f"{about['name']}: {shape}; {_GROUPS[column]}: {groups}", f"source: {about['source']}"]
    lines += [f"note: {note}" for note in about.get("notes", ())]
    return "\n  ".join(lines)


def find_dataset(name: str, search: Search) -> dict[str, FoundFile]:
    """Find or download the files of a data set."""
    dataset = DATASETS[name]
    files = list(dataset.files)
    for file, other in dataset.instead.items():
        try:
            search.find([file])
        except FileNotFoundError:
            files[files.index(file)] = other
            warn(f"{name}: {other} replaces the missing {file}; to get it: sbnn data get {file}")
    return search.find(files)


def default_dataset(
    name: str = "auto",
    path: PathLike | None = None,
    *,
    download: bool = True,
    verbose: bool = True,
    study: str = SBNN,
) -> str:
    """Name of a data set or, if it is not available, of a simulated one.

    Parameters
    ----------
    name : str
        A data set of the study, or "auto" for its default one.
    path, download, verbose
        See `load_dataset`.
    study : {"sbnn", "ephys_types", "mechanism_shift", "dynamics"}

    Returns
    -------
    str

    Raises
    ------
    DataIntegrityError
        If a file of the real data is truncated or altered.

    Examples
    --------
    >>> from sbnn import default_dataset
    >>> default_dataset("simulated", verbose=False)
    'simulated'
    """
    check_among("study", study, STUDIES)
    check_among("dataset", name, ("auto", *names_of(study)))
    real, simulated = _DEFAULTS[study]
    wanted = real if name == "auto" else name
    try:
        found = find_dataset(wanted, Search(path, download, verbose))
        why = f"its files are in {_places(found)}" if found else "it needs no files"
    except FileNotFoundError as error:
        wanted = simulated
        why = f"the real data cannot be found or downloaded: {error}"
    if verbose:
        print(f"data set: {wanted}, because {why}")
    return wanted


def list_datasets(path=None) -> dict[str, tuple[str, tuple[str, ...]]]:
    """State and missing files of every data set."""
    places = search_places(path)
    absent = {name for name, file in FILES.items() if locate_file(file, places) is None}
    states = {}
    for name, dataset in DATASETS.items():
        missing = tuple(file for file in dataset.files if file in absent)
        needed = {dataset.instead.get(file, file) for file in missing} & absent
        if not all(FILES[file].url for file in needed):
            state = "manual download"
        elif needed:
            state = "downloadable"
        elif missing:
            state = "partly available"
        elif dataset.files:
            state = "available"
        else:
            state = "available (simulated)"
        states[name] = state, missing
    return states


def main(arguments: list[str] | None = None, prog="sbnn data") -> int:
    """Run ``sbnn data``; the exit status is 1 if files are missing or corrupt."""
    parser = argparse.ArgumentParser(prog=prog, description="List, fetch or check the data sets.")
    parser.add_argument(
        "command", choices=("list", "get", "check"), help="show, download or verify data sets"
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="name",
        help="data set or data file; check verifies all by default",
    )
    parser.add_argument("--path", help="folder to search first for the files")
    chosen = parser.parse_args(arguments)
    unknown = set(chosen.names).difference(DATASETS, FILES)
    if unknown or (chosen.command == "get" and not chosen.names):
        parser.error(f"expected names of files or of data sets: {', '.join(DATASETS)}")
    if chosen.command == "check":
        return _check(chosen.names, Search(chosen.path, download=False))
    if chosen.command == "list":
        for name, (state, missing) in list_datasets(chosen.path).items():
            print(f"{name}: {DATASETS[name].about} [{state}]", *missing)
        return 0
    return _get(chosen.names, Search(chosen.path))


def _get(names, search) -> int:
    try:
        for name in names:
            found = find_dataset(name, search) if name in DATASETS else search.find([name])
            for file in found.values():
                print(f"{file.path}  sha256 {file.sha256}")
    except (FileNotFoundError, DataIntegrityError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(names, search) -> int:
    files = []
    for name in names or FILES:
        if name in DATASETS:
            files += [*DATASETS[name].files, *DATASETS[name].instead.values()]
        else:
            files.append(name)
    status = 0
    for name in dict.fromkeys(files):
        try:
            print(f"ok       {name}  {search.find([name])[name].path}")
        except FileNotFoundError:
            print(f"absent   {name}")
        except DataIntegrityError as error:
            print(f"corrupt  {name}  {error}")
            status = 1
    return status
