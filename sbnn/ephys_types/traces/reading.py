"""Read a folder of recordings into a table of the twelve families."""

import hashlib
import logging
import re
import warnings
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Memory, delayed
from pynwb import NWBHDF5IO
from tqdm.auto import tqdm

from sbnn.data.checks import some
from sbnn.data.datasets import cache_folder
from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.typed_cells import typed_cells
from sbnn.ephys_types.traces.recording import sweeps_of
from sbnn.ephys_types.traces.vectors import (
    joined,
    settings_fingerprint,
    trace_families,
    trace_units,
    vectors_of,
)
from sbnn.evaluation.runs import in_workers
from sbnn.store import write_atomically

SOURCE = "twelve families of IPFX feature vectors from NWB recordings"


class CellVectors(NamedTuple):
    """Result for one recording."""

    features: np.ndarray  # of shape (2607,)
    donor: str
    species: str
    notes: tuple[str, ...]  # on missing parts
    sha256: str  # of the file


def read_traces(paths, *, n_jobs=1, cache=None, verbose=True):
    """Compute the twelve IPFX families of every recording in a folder.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        NWB files of one cell each, or folders with such files at any depth, as in DANDI 000020
        (mouse) and 000636 (human). A cell is named after its file, or ``<id>`` if the name of the
        file contains ``ses-<id>``.
    n_jobs : int
    cache : path-like or False, optional
        Folder for results of finished recordings, so that interrupted runs resume; by default the
        cache folder of this package.
    verbose : bool

    Returns
    -------
    AnnData of typed cells
        Cells in the order of their files, with the 2607 columns of `trace_families`; NaN where a
        cell lacks a protocol. ``obs`` holds ``donor``, ``species``, ``file``, and ``notes`` on what
        is missing. ``uns["sbnn"]["dropped"]`` lists files without a cell by reason.

    Raises
    ------
    FileNotFoundError
        If there is no NWB file, or a path does not exist.
    ValueError
        If two files belong to the same cell, or if no file yields a cell.
    """
    files = find_recordings(paths)
    if cache is None:
        cache = cache_folder() / "traces"
    settings = settings_fingerprint()
    jobs = [delayed(_vectors_or_reason)(path, cache or None, settings) for path in files.values()]
    outcomes = in_workers(jobs, n_jobs, "generator")
    cells = {}
    dropped = {}
    bar = tqdm(outcomes, "recordings", len(jobs), disable=not verbose)
    for cell, its in zip(files, bar, strict=True):
        if isinstance(its, CellVectors):
            cells[cell] = its
        else:
            dropped.setdefault(its, []).append(files[cell].name)
    if not cells:
        reasons = "; ".join(f"{some(names)}: {reason}" for reason, names in dropped.items())
        raise ValueError(f"no file holds a cell whose features can be computed: {reasons}")
    found = pd.DataFrame(list(cells.values()), pd.Index(list(cells), dtype=object))
    found["file"] = [files[cell].name for cell in cells]
    found["notes"] = found["notes"].str.join("; ")
    units = trace_units()
    checksums = dict(zip(found["file"], found["sha256"], strict=True))
    content = {"files": fingerprint_files(checksums), "settings": settings}
    return typed_cells(
        pd.DataFrame(np.stack(found["features"]), found.index, list(units)),
        found[["donor", "species", "file", "notes"]],
        trace_families(),
        units,
        name="traces",
        source=SOURCE,
        sha256=fingerprint_parameters(content),
        files=checksums,
        dropped=dropped,
    )


def write_traces(features, path):
    """Write features from `read_traces` to a CSV file, and metadata of cells to ``<stem>_cells``.

    Returns both paths. Once types are added to the second file,
    ``read_ephys_table(path, cells, families=trace_families())`` reads both.
    """
    path = Path(path)
    tables = {path: features.to_df(), path.with_stem(f"{path.stem}_cells"): features.obs}
    for file, table in tables.items():
        write_atomically(table.to_csv(index_label="cell").encode(), file)
    return tuple(tables)


def find_recordings(paths):
    """Path of the NWB file of each cell, in the order of the file names."""
    if isinstance(paths, str | Path):
        paths = [paths]
    found = []
    for path in map(Path, paths):
        if path.is_dir():
            found += path.rglob("*.nwb")
        elif path.exists():
            found.append(path)
        else:
            raise FileNotFoundError(f"paths: no such file {path}")
    if not found:
        raise FileNotFoundError(f"paths: no .nwb in {paths}")
    files = {}
    for path in sorted(found, key=attrgetter("name", "parts")):
        session = re.search(r"(?:^|_)ses-([^_.]+)", path.name)
        cell = session[1] if session else path.stem
        if cell in files:
            raise ValueError(f"two files of cell {cell!r}: {files[cell]} and {path}")
        files[cell] = path
    return files


def _vectors_or_reason(path, cache, settings):
    """Vectors of a recording, or the reason why there are none."""
    with open(path, "rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    try:
        return Memory(cache, verbose=0).cache(cell_vectors, ignore=["path"])(path, sha256, settings)
    except ValueError as error:
        return str(error)
    except Exception as error:  # damaged files can raise any error
        return f"{type(error).__name__}: {error}"


def cell_vectors(path, sha256, settings):
    """Vectors of one recording; `sha256` and `settings` are keys of the cache."""
    with quiet(), NWBHDF5IO(str(path), mode="r", load_namespaces=True) as file:
        nwb = file.read()
        sweeps, notes = sweeps_of(nwb)
        vectors, missing = vectors_of(sweeps)
        notes += missing
        if not vectors:
            raise ValueError(f"no family of features can be computed ({'; '.join(notes)})")
        donor = getattr(nwb.subject, "subject_id", None) or ""
        species = getattr(nwb.subject, "species", None) or ""
    return CellVectors(joined(vectors), donor, species, tuple(notes), sha256)


@contextmanager
def quiet():
    """Suppress warnings and logs of IPFX and pynwb."""
    root = logging.getLogger()
    swallow = logging.NullHandler()
    level = root.manager.disable
    # otherwise IPFX would set up logging to the terminal
    root.addHandler(swallow)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)
        root.removeHandler(swallow)
