"""The named data sets: their files, found or downloaded, and how to load them.

`datasets.csv` lists the data sets and `sources.csv` their files. Three files are used without
verification, since their sha256 is not known: the complete counts of Scala et al., the release of
Gouwens et al. and the counts of Stoeckius et al.
"""

from __future__ import annotations

import csv
import json
import os
from collections import namedtuple
from importlib import import_module
from pathlib import Path

import pandas as pd
import pooch
from anndata import AnnData

from sbnn.errors import check_among

_HERE = Path(__file__).resolve().parent
#: Root of the checkout of the repository.
ROOT = _HERE.parents[1]
#: Study -> its default data set, and a simulated one.
_DEFAULTS = {
    "sbnn": ("scala", "simulated"),
    "ephys_types": ("lee_human", "simulated_ephys"),
    "mechanism_shift": ("papalexi", "simulated_screen"),
    "dynamics": ("grn_350", "simulated_grn"),
}


def _rows(name, kind):
    with (_HERE / name).open(newline="", encoding="utf-8") as table:
        header, *rows = csv.reader(table)
    make = namedtuple(kind, header)
    return {row[0]: make(*row) for row in rows}


def _read_datasets():
    datasets = _rows("datasets.csv", "Dataset")
    for name, dataset in datasets.items():
        options = json.loads(dataset.options)
        datasets[name] = dataset._replace(files=dataset.files.split(), options=options)
    return datasets


#: Name -> study, about, reader (a function in `sbnn.data` of the paths of `files` in order),
#: files (none for simulated data), options of the reader, and instead: the file that replaces the
#: first one if it is not available.
DATASETS = _read_datasets()
#: Name -> folder (below each place), sha256 (empty if unknown), url (stable address of this
#: version; empty if there is none) and source (page to download it by hand).
FILES = _rows("sources.csv", "DataFile")


def names_of(study: str = "sbnn") -> tuple[str, ...]:
    """Names of the data sets of a study."""
    return tuple(name for name, dataset in DATASETS.items() if dataset.study == study)


def cache_folder() -> Path:
    """Folder of the package in the user's cache."""
    return Path(pooch.os_cache("sbnn"))


def local_file(name: str) -> Path | None:
    """Path of a file on this machine, which is not verified, or None."""
    places = [os.environ.get("SBNN_DATA"), ROOT / "data", ROOT.parent / "shared" / "data"]
    for place in [*filter(None, places), cache_folder()]:
        for path in (Path(place, FILES[name].folder, name), Path(place, name)):
            if path.expanduser().is_file():
                return path.expanduser()
    return None


def find_file(name: str, *, download: bool = True) -> Path:
    """Find or download one of `FILES`, and verify its sha256 if it is known.

    Parameters
    ----------
    name : str
        A key of `FILES`.
    download : bool
        Whether to download a missing file.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If the file is not on this machine and cannot be downloaded.
    ValueError
        If its content is not the published one.
    """
    check_among("file", name, FILES)
    file = FILES[name]
    path = local_file(name)
    if path is None:
        return _download(file, download)
    if file.sha256 and pooch.file_hash(path) != file.sha256:
        raise ValueError(f"{path} is truncated or altered; get the file from {file.source}")
    return path


def _download(file, allowed):
    problem = "not downloaded"
    if allowed and file.url:
        # GitHub's blob addresses otherwise wrap the file in JSON
        headers = {"Accept": "application/vnd.github.raw+json, */*"}
        downloader = pooch.HTTPDownloader(progressbar=True, headers=headers)
        folder = cache_folder() / file.folder
        sha256 = file.sha256 or None
        try:
            path = pooch.retrieve(file.url, sha256, file.name, folder, downloader=downloader)
            return Path(path)
        except OSError as error:
            problem = error
    raise FileNotFoundError(
        f"{file.name} is missing ({problem}); get it from {file.source} and put it into data/ or "
        "the folder of the environment variable SBNN_DATA"
    )


def files_of(name: str) -> list[str]:
    """Files of a data set, with the replacement of the first one if this is not here."""
    files = DATASETS[name].files
    instead = DATASETS[name].instead
    if instead and local_file(files[0]) is None:
        return [instead, *files[1:]]
    return files


def load_dataset(
    name: str, *, download: bool = True, verbose: bool = True, **options: object
) -> AnnData:
    """Load a data set by name.

    Files are looked for in the folder of the environment variable ``SBNN_DATA``, ``data/`` in the
    checkout of the repository, ``../shared/data`` beside it, and the cache.

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
          ``"simulated_grn"``.
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

    Returns
    -------
    AnnData

    Raises
    ------
    ValueError, TypeError
        If the name or an option is unknown, or a file is truncated or altered.
    FileNotFoundError
        If a file is missing and cannot be downloaded.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> load_dataset("simulated", n_cells=100, n_genes=60, verbose=False).shape
    (100, 60)
    """
    check_among("data set", name, DATASETS)
    dataset = DATASETS[name]
    paths = [find_file(file, download=download) for file in files_of(name)]
    options = dataset.options | options
    if paths:
        hashes = {path.name: FILES[path.name].sha256 or pooch.file_hash(path) for path in paths}
        options["files"] = hashes
    module, function = dataset.reader.rsplit(".", 1)
    read = getattr(import_module(f"sbnn.data.{module}"), function)
    data = read(*paths, **options)
    if verbose:
        print(f"{name}: {dataset.about}\n  source: {data.uns['sbnn']['source']}")
    return data


def default_dataset(name: str = "auto", study: str = "sbnn", *, verbose: bool = True) -> str:
    """Name of a data set or, if it is not available, of a simulated one.

    Parameters
    ----------
    name : str
        A data set of the study, or "auto" for its default one.
    study : {"sbnn", "ephys_types", "mechanism_shift", "dynamics"}
    verbose : bool
        Whether to print the name and, for simulated data, why.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a file of the real data is truncated or altered.

    Examples
    --------
    >>> from sbnn import default_dataset
    >>> default_dataset("simulated", verbose=False)
    'simulated'
    """
    check_among("study", study, _DEFAULTS)
    check_among("dataset", name, ("auto", *names_of(study)))
    wanted, simulated = _DEFAULTS[study]
    if name != "auto":
        wanted = name
    text = f"data set: {wanted}"
    try:
        for file in files_of(wanted):
            find_file(file)
    except FileNotFoundError as error:
        wanted = simulated
        text = f"data set: {simulated}, because {error}"
    if verbose:
        print(text)
    return wanted


def list_datasets() -> pd.DataFrame:
    """List the data sets, with their state on this machine.

    Returns
    -------
    DataFrame
        With a row for each name and the columns ``study``, ``state`` ("here", "download" or, if a
        file has no address, "by hand"), ``missing`` (list of files) and ``about``.
    """
    rows = {}
    for name, dataset in DATASETS.items():
        missing = [file for file in files_of(name) if local_file(file) is None]
        state = "here"
        if missing:
            state = "download" if all(FILES[file].url for file in missing) else "by hand"
        rows[name] = [dataset.study, state, missing, dataset.about]
    columns = ["study", "state", "missing", "about"]
    return pd.DataFrame.from_dict(rows, "index", columns=columns)
