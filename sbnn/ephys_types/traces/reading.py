"""A folder of recordings becomes a table of the twelve families, in parallel, resumable, whatever single files hold."""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from tqdm.auto import tqdm

from sbnn.data.checks import some
from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.registry import cache_folder
from sbnn.data.typed_cells import typed_cells
from sbnn.ephys_types.traces.extra import quiet, require_extra
from sbnn.ephys_types.traces.layout import joined, settings_fingerprint, trace_families, trace_units
from sbnn.ephys_types.traces.recording import cell_name, open_recording
from sbnn.ephys_types.traces.sweeps import sweeps_of
from sbnn.ephys_types.traces.vectors import vectors_of
from sbnn.results import write_atomically

SOURCE = "twelve families of IPFX feature vectors from NWB recordings"


class CellVectors(NamedTuple):
    """What one recording gives.

    Attributes
    ----------
    values : ndarray of shape (2607,)
        NaN where the cell lacks a protocol.
    donor, species : str
        Empty where the file does not tell.
    notes : tuple of str
        What is missing and why.
    sha256 : str
        Of the file.
    """

    values: np.ndarray
    donor: str
    species: str
    notes: tuple[str, ...]
    sha256: str


def read_traces(paths, *, labels=None, n_jobs=1, cache=None, name="traces", verbose=True):
    """Compute the twelve IPFX families of every recording in a folder.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        NWB files, one cell each, or folders that hold some, however deep. DANDI 000020 (mouse visual cortex) and 000636
        (human cortex) are of this layout.
    labels : DataFrame, optional
        Indexed by cell name, the ``<id>`` of ``ses-<id>`` in the name of a file (else its name without ending), with
        any of `type`, `donor`, `condition` and others. It may know more cells than there are files.
    n_jobs : int
        Recordings read at the same time; the result does not depend on it.
    cache : path-like or False, optional
        Folder of finished recordings, by default one for this package. A recording whose file is the same, bit for
        bit, is not computed again. False keeps nothing.
    name : str
        Of the data.
    verbose : bool
        Whether to show progress.

    Returns
    -------
    AnnData of typed cells
        Cells in the order of their files' names, 2607 columns as `trace_families` lists them, NaN where a cell lacks a
        protocol. ``obs`` holds the labels given, `donor` and `species` as the files tell, ``file``, ``notes``: what is
        missing in a cell and why. ``uns["sbnn"]["dropped"]`` holds, for each reason, the files that gave no cell.

    Raises
    ------
    ImportError
        Without the extra ``traces``.
    FileNotFoundError
        A path that does not exist, or no NWB file.
    ValueError
        Two files of the same cell, labels of none of the cells, or no file that gives a cell; the message tells why.
    """
    require_extra()
    files = find_recordings(paths)
    known = _checked_labels(labels, files)
    home = cache_folder()
    folder = (home and home / "traces") if cache is None else Path(cache) if cache is not False else None
    settings = settings_fingerprint()
    jobs = (delayed(_read_or_load)(path, folder, settings) for path in files.values())
    cells, dropped = {}, {}
    finished = Parallel(n_jobs=n_jobs, return_as="generator")(jobs)
    for cell, outcome in tqdm(
        zip(files, finished, strict=True), total=len(files), desc=f"{name}: recordings", disable=not verbose
    ):
        if isinstance(outcome, CellVectors):
            cells[cell] = outcome
        else:
            dropped.setdefault(outcome, []).append(files[cell].name)
    if not cells:
        reasons = "; ".join(f"{some(names)}: {reason}" for reason, names in dropped.items())
        raise ValueError(f"none of the {len(files)} file(s) gives a cell: {reasons}")
    checksums = {files[cell].name: outcome.sha256 for cell, outcome in cells.items()}
    units = trace_units()
    return typed_cells(
        pd.DataFrame(np.stack([outcome.values for outcome in cells.values()]), list(cells), list(units)),
        _labels(cells, files, known),
        trace_families(),
        units,
        name=name,
        source=SOURCE,
        sha256=fingerprint_parameters({"files": fingerprint_files(checksums), "settings": settings}),
        files=checksums,
        dropped=dropped,
    )


def find_recordings(paths) -> dict[str, Path]:
    """List NWB files by the name of their cell, sorted by the names of the files.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        Files, or folders to search.

    Returns
    -------
    dict of str to Path

    Raises
    ------
    FileNotFoundError, ValueError
        As for `read_traces`.
    """
    if isinstance(paths, str | Path):
        paths = [paths]
    elif not isinstance(paths, Iterable):
        raise TypeError(f"paths must be a file, a folder or a list of them, got {type(paths).__name__}")
    found = []
    for path in map(Path, paths):
        if not path.exists():
            raise FileNotFoundError(f"paths: there is no file or folder {str(path)!r}")
        found += [file for file in path.rglob("*.nwb") if file.is_file()] if path.is_dir() else [path]
    if not found:
        raise FileNotFoundError("paths: no file that ends in .nwb was found")
    files: dict[str, Path] = {}
    for path in sorted(found, key=lambda path: (path.name, str(path))):
        cell = cell_name(path)
        if cell in files:
            raise ValueError(f"two files of cell {cell!r}: {files[cell]} and {path}; give one of them")
        files[cell] = path
    return files


def cell_vectors(path) -> CellVectors:
    """Compute the vectors of one recording, without a cache.

    Parameters
    ----------
    path : path-like
        An NWB file.

    Returns
    -------
    CellVectors

    Raises
    ------
    OSError
        The file cannot be read.
    ValueError
        It holds no sweep in current clamp, none of the three protocols, or units that cannot be.
    """
    with quiet():
        with open_recording(path) as recording:
            sweeps, notes = sweeps_of(recording)
            donor, species = recording.donor, recording.species
        if not any(sweeps.values()):
            raise ValueError(f"no short square, long square or ramp was recognised ({'; '.join(notes) or 'no notes'})")
        vectors, missing = vectors_of(sweeps)
        if not vectors:
            raise ValueError(f"no family can be computed ({'; '.join(notes + missing)})")
    return CellVectors(joined(vectors), donor, species, tuple(notes + missing), _sha256(path))


def _read_or_load(path: Path, folder: Path | None, settings: str) -> CellVectors | str:
    """Vectors of a recording, or why there are none; runs in a worker."""
    stored = None
    try:
        if folder is not None:
            stored = folder / f"{_sha256(path)}-{settings[:16]}.npz"
            if (outcome := _load(stored)) is not None:
                return outcome
        outcome = cell_vectors(path)
    except ValueError as error:
        return str(error)
    except Exception as error:  # what reading a damaged file may raise, no list foresees
        return f"{type(error).__name__}: {error}"
    if stored is not None:
        _save(outcome, stored)
    return outcome


def _save(outcome: CellVectors, path: Path) -> None:
    content = io.BytesIO()
    text = json.dumps([outcome.donor, outcome.species, outcome.notes, outcome.sha256])
    np.savez_compressed(content, values=outcome.values, text=np.array(text))
    write_atomically(content.getvalue(), path)


def _load(path: Path) -> CellVectors | None:
    """What was kept of a recording; None if there is nothing, or nothing that can be read."""
    try:
        with np.load(path, allow_pickle=False) as content:
            donor, species, notes, sha256 = json.loads(str(content["text"]))
            return CellVectors(content["values"], donor, species, tuple(notes), sha256)
    except (OSError, EOFError, KeyError, ValueError, zipfile.BadZipFile, zlib.error):
        return None


def _sha256(path) -> str:
    with open(path, "rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _checked_labels(labels, files: dict[str, Path]) -> pd.DataFrame | None:
    if labels is None:
        return None
    if not isinstance(labels, pd.DataFrame):
        raise TypeError(f"labels must be a pandas DataFrame, got {type(labels).__name__}")
    labels = labels.set_axis(labels.index.astype(str), axis=0)
    if labels.index.has_duplicates:
        raise ValueError(f"duplicate cell names in labels: {some(labels.index[labels.index.duplicated()])}")
    if not labels.index.isin(list(files)).any():
        raise ValueError(
            f"labels knows none of the cells; it is indexed by {some(labels.index)}, the files are of {some(files)}"
        )
    return labels


def _labels(cells: dict[str, CellVectors], files: dict[str, Path], known: pd.DataFrame | None) -> pd.DataFrame:
    told = pd.DataFrame(
        {
            "donor": [outcome.donor for outcome in cells.values()],
            "species": [outcome.species for outcome in cells.values()],
            "file": [files[cell].name for cell in cells],
            "notes": ["; ".join(outcome.notes) for outcome in cells.values()],
        },
        index=pd.Index(list(cells), dtype=object),
    )
    if known is None:
        return told
    known = known.reindex(told.index)
    return pd.concat([known, told[[column for column in told if column not in known]]], axis=1)
