"""The named data sets, their files and how to load them; slow imports are deferred until a data set is loaded."""

import argparse
import csv
import json
import sys
import warnings
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from sbnn.data.registry import (
    FILES,
    DataIntegrityError,
    FoundFile,
    Search,
    check_file,
    locate_file,
    search_places,
)
from sbnn.errors import check_among, check_flag

#: Uses of data sets: genes that predict a second measurement of the same cells, electrophysiology
#: that predicts the type of a cell, perturbations that shift latents, or expression over time from
#: which a gene network is learned.
STUDIES = SBNN, EPHYS_TYPES, MECHANISM_SHIFT, DYNAMICS = (
    "sbnn",
    "ephys_types",
    "mechanism_shift",
    "dynamics",
)
#: Study -> its default real data set, and study -> the simulated data set to use if the real one is
#: unavailable.
_REAL = dict(zip(STUDIES, ("scala", "lee_human", "papalexi", "grn_350"), strict=True))
_SIMULATED = dict(
    zip(STUDIES, ("simulated", "simulated_ephys", "simulated_screen", "simulated_grn"), strict=True)
)
#: Column of ``obs`` -> word for the groups in this column.
_GROUPS = {"perturbation": "perturbations", "split": "split", "family": "families", "type": "types"}


class Dataset(NamedTuple):
    """A data set: `reader`, a function in `sbnn.data`, takes the paths of `files` (keys of `FILES`) in this order."""

    study: str
    about: str
    reader: str
    files: tuple[str, ...]  # empty for simulated data
    # options that replace the defaults of the reader (such as a smaller screen than in the paper)
    options: dict
    instead: dict[str, str]  # file that may be missing -> file that replaces it


with Path(__file__).with_name("datasets.csv").open(newline="") as _table:
    _rows = {row.pop("name"): row for row in csv.DictReader(_table)}
for _row in _rows.values():
    _row |= {key: json.loads(_row[key] or "{}") for key in ("options", "instead")}
#: Every data set that `load_dataset` can load.
DATASETS = {
    name: Dataset(**row | {"files": tuple(row["files"].split())}) for name, row in _rows.items()
}


def names_of(study: str = SBNN) -> tuple[str, ...]:
    """List the data sets of a study."""
    return tuple(name for name, dataset in DATASETS.items() if dataset.study == study)


def require_study(name: str, study: str = SBNN) -> None:
    """Reject a data set of another study; names that are not in `DATASETS` are accepted."""
    if name in DATASETS and DATASETS[name].study != study:
        raise ValueError(f"data set {name!r}: expected one of {', '.join(names_of(study))}")


def load_dataset(name: str, path=None, *, download: bool = True, verbose: bool = True, **options):
    """Load a data set by name.

    Parameters
    ----------
    name : str
        A key of `DATASETS`; ``sbnn data list`` and data/README.md describe the data sets.

        - Genes and outputs: ``"scala"``, ``"scala_ion_channels"`` (fewer genes and a warning if the
          complete counts cannot be found or downloaded), ``"scala_34c_counts"`` (raw counts without
          outputs), ``"gouwens"``, ``"stoeckius"``, ``"citeseq_cd8"``, ``"pbmc_5k_protein"``,
          ``"pbmc_10k_protein"``, ``"simulated"``. `X` is log2(x + 1) of the library-size normalised
          counts, and outputs are in their original units; neither is z-scored. The expression and
          outputs of ``"gouwens"`` are as released (the outputs include z-scored features).
        - Electrophysiology and types: ``"gouwens_ephys"``, ``"lee_human"``, ``"simulated_ephys"``.
        - Counts and the perturbation of each cell: ``"papalexi"``, ``"simulated_screen"``.
        - Expression over time, a prior and, if known, the true network: ``"grn_350"``,
          ``"grn_690"``, ``"yeast_pramila"``, ``"breast_desmedt"``, ``"hematopoiesis"``,
          ``"beeline_gsd"``, ``"beeline_hsc"``, ``"simulated_grn"``.
    path : path-like, optional
        Folder to search first for the files. The other places are, in this order, ``$SBNN_DATA``,
        ``data/`` in the checkout of the repository, ``../shared/data`` relative to the checkout,
        and the local cache. Files that are in none of these places are downloaded.
    download : bool
        Whether to download files that are not found locally.
    verbose : bool
        Whether to print what was loaded, and from where.
    **options
        Options that some data sets have:

        - Simulated data: the parameters of the simulator.
        - The four data sets with proteins: ``n_genes`` is the number of genes to select.
          ``log_proteins`` sets whether outputs are log2(1 + counts) or, by default for
          ``"stoeckius"`` only, the counts themselves.
        - ``"gouwens_ephys"``: ``relative`` sets whether times and voltages of spikes are relative
          to the spike threshold.
        - ``"papalexi"``: ``confident_only`` sets whether cells without a clear guide are left out.
        - ``"grn_350"`` and ``"grn_690"``: ``n_samples``, ``noise``, ``wrong`` and ``random_state``
          of `read_grn`.
        - ``"hematopoiesis"``: ``cells_per_bin`` is the number of neighbouring cells to average.
        - ``"beeline_gsd"`` and ``"beeline_hsc"``: ``repeat`` (0 to 4), ``dropout`` and ``n_bins``
          of `read_beeline`.

    Returns
    -------
    AnnData

    Raises
    ------
    ValueError, TypeError
        If the name is unknown or the data set does not have one of the options.
    FileNotFoundError
        If a file is missing and cannot be downloaded; the message explains what to do.
    DataIntegrityError
        If a file is truncated or altered.
    """
    check_among("data set", name, DATASETS)
    dataset = DATASETS[name]
    module, function = dataset.reader.rsplit(".", 1)
    read, options = (
        getattr(import_module(f"sbnn.data.{module}"), function),
        dataset.options | options,
    )
    found = find_dataset(
        name, Search(path, check_flag("download", download), check_flag("verbose", verbose))
    )
    if found:
        options["files"] = {name: file.sha256 for name, file in found.items()}
    data = read(*(file.path for file in found.values()), **options)
    if verbose:
        places = ", ".join(dict.fromkeys(file.place for file in found.values()))
        print(summary(data) + (f" [{places}]" if places else ""))
    return data


def summary(data) -> str:
    """Describe a data set for printing: name, shape, sizes of its groups, source and notes."""
    about, obs = data.uns["sbnn"], data.obs
    column, groups = next((c, g) for c, g in _GROUPS.items() if c in obs)
    sizes = obs[column].value_counts()
    shape = f"{data.n_obs} {'times' if column == 'split' else 'cells'} x {data.n_vars} "
    shape += "features" if "unit" in data.var else "genes"
    if column == "family":
        shape += (
            f" -> {data.obsm['outputs'].shape[1]} outputs"
            if "outputs" in data.obsm
            else " -> no outputs"
        )
    listed = ", ".join(f"{name} {size}" for name, size in sizes[sizes > 0][:12].items())
    listed += f" and {len(sizes) - 12} more" if len(sizes) > 12 else ""
    notes = "".join(f"\n  note: {note}" for note in about.get("notes", ()))
    return f"{about['name']}: {shape}; {groups}: {listed}\n  source: {about['source']}{notes}"


def find_dataset(name: str, search: Search) -> dict[str, FoundFile]:
    """Find or download the files of a data set; warn if a missing file is replaced by another one."""
    dataset = DATASETS[name]
    found = search.find([file for file in dataset.files if file not in dataset.instead])
    files = list(dataset.files)
    for file, other in dataset.instead.items():
        try:
            found |= search.find([file])
        except FileNotFoundError:
            found |= search.find([other])
            files[files.index(file)] = other
            warnings.warn(
                f"{name}: {other} replaces the missing {file}; to get it: sbnn data get {file}",
                stacklevel=3,
            )
    return {file: found[file] for file in files}


def default_dataset(
    name: str = "auto", path=None, *, download: bool = True, verbose: bool = True, study: str = SBNN
) -> str:
    """Name of the data set to use: the requested one if it can be found or downloaded, otherwise a
    simulated one.

    Parameters
    ----------
    name : str
        A data set of the study, or "auto" for the default real data set of the study.
    path, download, verbose
        See `load_dataset`.
    study : {"sbnn", "ephys_types", "mechanism_shift", "dynamics"}
        Use of the data set; see `STUDIES`.

    Returns
    -------
    str
        Name of a data set, such as ``"scala"`` or ``"simulated"``.

    Raises
    ------
    ValueError
        If there is no such study, or no such data set in the study.
    DataIntegrityError
        If a file of the real data is truncated or altered; such data are not replaced by simulated
        data.
    """
    check_among("study", study, STUDIES)
    check_among("dataset", name, ("auto", *names_of(study)))
    wanted = _REAL[study] if name == "auto" else name
    try:
        found = find_dataset(wanted, Search(path, download, verbose))
    except FileNotFoundError as error:
        wanted, why = _SIMULATED[study], f"the real data cannot be found or downloaded: {error}"
    else:
        places = dict.fromkeys(file.place for file in found.values())
        why = "its files are in " + ", ".join(places) if places else "it needs no files"
    if verbose:
        print(f"data set: {wanted}, because {why}")
    return wanted


def list_datasets(path=None) -> dict[str, tuple[str, tuple[str, ...]]]:
    """State and missing files of every data set; files are not read, so altered files are not
    detected.

    The state is "available", "partly available", "downloadable", "manual download" or "available
    (simulated)".
    """
    places = search_places(path)
    absent = {name for name, file in FILES.items() if locate_file(file, places) is None}
    states = {}
    for name, dataset in DATASETS.items():
        missing = tuple(file for file in dataset.files if file in absent)
        needed = {dataset.instead.get(file, file) for file in missing} & absent
        if needed:
            state = "downloadable" if all(FILES[file].url for file in needed) else "manual download"
        else:
            state = (
                "partly available"
                if missing
                else "available"
                if dataset.files
                else "available (simulated)"
            )
        states[name] = state, missing
    return states


def main(arguments: list[str] | None = None, prog="sbnn data") -> int:
    """Run ``sbnn data``; the exit status is 1 if a name is unknown or a file is missing or corrupt."""
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
    if chosen.command == "get" and not chosen.names:
        parser.error("get: name the data sets or files to download")
    if unknown := [name for name in chosen.names if name not in DATASETS and name not in FILES]:
        print(
            f"unknown: {', '.join(unknown)}; the data sets are {', '.join(DATASETS)}",
            file=sys.stderr,
        )
        return 1
    if chosen.command == "check":
        return _check(chosen.names, search_places(chosen.path))
    if chosen.command == "list":
        for name, (state, missing) in list_datasets(chosen.path).items():
            lacks = f", lacks {', '.join(missing)}" if missing else ""
            print(f"{name}: {DATASETS[name].about} [{state}{lacks}]")
        return 0
    search = Search(chosen.path)
    try:
        for name in chosen.names:
            found = find_dataset(name, search) if name in DATASETS else search.find([name])
            for file in found.values():
                print(f"{file.path}  sha256 {file.sha256}")
    except (FileNotFoundError, DataIntegrityError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _check(names, places) -> int:
    """Verify the copy of each file that would be used, and print the state of each file: ok, corrupt or absent."""
    of_names = [
        DATASETS[n].files + tuple(DATASETS[n].instead.values()) if n in DATASETS else (n,)
        for n in names
    ]
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
