"""The named data sets: their files, found or downloaded, and how to load them.

`datasets.csv` lists the data sets and `sources.csv` their files. Three files without a known sha256
are not verified.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from pkgutil import resolve_name

import pandas as pd
import pooch
from anndata import AnnData

from sbnn.errors import check_among

_HERE = Path(__file__).resolve().parent
#: Where a checkout of the repository has its files.
DATA_FOLDER = _HERE.parents[1] / "data"
#: Name -> system, about (with the names of the next three columns), rows, columns and outputs as
#: published, reader (a function in `sbnn` of the paths of `files`), files, options of the reader
#: (JSON), the file that replaces the first one if that is not available (`instead`),
#: and source. Of each system, the first data set is the default and the last one is simulated.
DATASETS = pd.read_csv(_HERE / "datasets.csv", index_col="name", keep_default_na=False)
#: Name -> folder, sha256 (empty if unknown), url (empty if there is none) and source (page to
#: download it by hand).
FILES = pd.read_csv(_HERE / "sources.csv", index_col="name", keep_default_na=False)


def cache_folder() -> Path:
    """Folder of the package in the user's cache."""
    return pooch.os_cache("sbnn")


def local_file(name: str) -> Path | None:
    """Path of a file on this machine, which is not verified, or None."""
    places = [DATA_FOLDER, cache_folder()]
    if os.environ.get("SBNN_DATA"):
        places.insert(0, Path(os.environ["SBNN_DATA"]).expanduser())
    for place in places:
        for folder in (FILES.folder[name], ""):
            path = place / folder / name
            if path.is_file():
                return path
    return None


def find_file(name: str, *, download: bool = True) -> Path:
    """Find or download a file, and verify its sha256 if it is known.

    Parameters
    ----------
    name : str
        An entry of `FILES`.
    download : bool
        If it is missing.

    Returns
    -------
    Path

    Raises
    ------
    FileNotFoundError
        If the file is missing and cannot be downloaded.
    ValueError
        If there is no such entry, or the content is not the published one.
    """
    check_among("name", name, FILES.index)
    file = FILES.loc[name]
    path = local_file(name)
    if path is not None:
        if file.sha256 not in ("", pooch.file_hash(path)):
            raise ValueError(f"{path} is truncated or altered; get the file from {file.source}")
        return path
    problem: str | OSError = "not downloaded"
    if download and file.url:
        # GitHub's blob addresses otherwise wrap the file in JSON
        headers = {"Accept": "application/vnd.github.raw+json, */*"}
        downloader = pooch.HTTPDownloader(progressbar=True, headers=headers)
        path = cache_folder() / file.folder / name
        try:
            pooch.retrieve(
                file.url,
                known_hash=file.sha256 or None,
                fname=path.name,
                path=path.parent,
                downloader=downloader,
            )
            return path
        except OSError as error:
            problem = error
    raise FileNotFoundError(
        f"{name} is missing ({problem}); put it into data/ or $SBNN_DATA, from {file.source}"
    )


def list_files(name: str) -> list[str]:
    """Files of a data set, with the replacement of the first one if this is not here."""
    check_among("data set", name, DATASETS.index)
    files = DATASETS.files[name].split()
    instead = DATASETS.instead[name]
    if instead and local_file(files[0]) is None:
        files[0] = instead
    return files


def describe_dataset(name: str, adata: AnnData | None = None) -> str:
    """What a data set is, with the size of the data that were read, or else as published."""
    dataset = DATASETS.loc[name]
    size = dict(dataset[["rows", "columns", "outputs"]])
    if adata is not None:
        size |= {"rows": adata.n_obs, "columns": adata.n_vars}
        if "outputs" in adata.obsm:
            size["outputs"] = adata.obsm["outputs"].shape[1]
    return dataset.about.format(**size)


def load_dataset(
    name: str, *, download: bool = True, verbose: bool = True, **options: object
) -> AnnData:
    """Load a data set by name.

    Files are looked for in the folder ``$SBNN_DATA``, ``data/`` in the checkout of the repository,
    and the cache, to which they are otherwise downloaded.

    Parameters
    ----------
    name : str
        An entry of `DATASETS`.

        - Genes and outputs: ``"scala"``, ``"scala_ion_channels"``, ``"scala_34c_counts"`` (raw
          counts without outputs), ``"gouwens"`` (outputs z-scored), ``"stoeckius"``,
          ``"citeseq_cd8"``, ``"pbmc_5k_protein"``, ``"pbmc_10k_protein"``, ``"citefuse"``,
          ``"tcga_breast"`` (tumours), ``"simulated"``. `X` is log2(x + 1) of normalised counts,
          outputs are in their original units.
        - Electrophysiology and types: ``"gouwens_ephys"``, ``"lee_human"``, ``"simulated_ephys"``.
        - Perturbation screens: ``"papalexi"``, ``"simulated_screen"``.
        - Expression over time, a prior and, if known, the true network: ``"grn_350"``,
          ``"grn_690"``, ``"yeast_pramila"``, ``"breast_desmedt"``, ``"hematopoiesis"``,
          ``"simulated_grn"``.
    download : bool
        Whether to download missing files.
    verbose : bool
        Whether to print what was loaded, its source, and the sha256 of files that cannot be
        verified; ``uns["sbnn"]["files"]`` holds that of all files.
    **options
        Options of some data sets:

        - Simulated data: the parameters of the simulator.
        - Proteins: ``n_genes`` to select, and ``log_proteins``: True for log2(1 + counts) as
          outputs, ``"centred"`` (default for ``"citefuse"``) for these minus the mean of the cell,
          False (default for ``"stoeckius"``) for counts.
        - ``"gouwens_ephys"``: ``relative``: times and voltages relative to the spike threshold.
        - ``"grn_350"`` and ``"grn_690"``: ``n_samples``, ``noise``, ``wrong`` and ``random_state``
          of `read_grn`.
        - ``"breast_desmedt"``: ``interactions``: whether to read those of proteins.
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
    check_among("data set", name, DATASETS.index)
    dataset = DATASETS.loc[name]
    paths = [find_file(file, download=download) for file in list_files(name)]
    read = resolve_name(f"sbnn.{dataset.reader}")
    arguments = json.loads(dataset.options)
    arguments.update(options)
    if paths:  # a simulator knows its name and source
        hashes = {path.name: FILES.sha256[path.name] or pooch.file_hash(path) for path in paths}
        data = read(*paths, name=name, source=dataset.source, files=hashes, **arguments)
    else:
        data = read(**arguments)
    if verbose:
        print(f"{name}: {describe_dataset(name, data)}\n  source: {data.uns['sbnn']['source']}")
        for path in paths:
            if not FILES.sha256[path.name]:
                print(
                    f"  {path.name} has no known checksum; sha256 of this one: {hashes[path.name]}"
                )
    return data


def default_dataset(name: str = "auto", system: str = "sbnn", *, verbose: bool = True) -> str:
    """Name of a data set, or of a simulated one if it is not available.

    Parameters
    ----------
    name : str
        A data set of the system, or "auto" for its default one.
    system : {"sbnn", "ephys_types", "mechanism_shift", "dynamics"}
    verbose : bool
        Whether to print the name and why it was chosen.

    Returns
    -------
    str

    Raises
    ------
    ValueError
        If a file is truncated or altered.
    """
    check_among("system", system, DATASETS.system.unique())
    names = DATASETS.index[DATASETS.system == system]
    if name == "auto":
        name = names[0]
    check_among("dataset", name, names)
    reason = ""
    try:
        for file in list_files(name):
            find_file(file)
    except FileNotFoundError as error:
        name = names[-1]
        reason = f", because {error}"
    if verbose:
        print(f"data set: {name}{reason}")
    return name


def list_datasets() -> pd.DataFrame:
    """List the data sets, with their state on this machine.

    Returns
    -------
    DataFrame
        Columns ``system``, ``state`` ("here" or "missing") and ``about``, indexed by name.
    """
    states = []
    for name in DATASETS.index:
        paths = [local_file(file) for file in list_files(name)]
        states.append("here" if all(paths) else "missing")
    return DATASETS[["system"]].assign(state=states, about=[*map(describe_dataset, DATASETS.index)])
