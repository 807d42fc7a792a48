"""The one record every experiment leaves behind: saved atomically, loaded without running any code.

A record is a pickle, of a dict with its format, its schema, a checksum, and the content. The content is the pickle of
nothing but Python's own containers, numbers, strings and bytes (`sbnn.plain`). So a file written today loads under
another version of numpy, pandas or torch; `load` does not unpickle at all, which is what makes it safe to open a file
from somebody else; and a file with a flipped bit is refused. Records of the first schema, without a checksum, load too.
"""

import glob
import hashlib
import importlib.metadata
import numbers
import os
import pickle
import platform
import sys
import tempfile
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

from sbnn.plain import decode, encode, read_pickle

__all__ = ["Record", "load", "results_folder", "save"]

FORMAT = "sbnn-record"
SCHEMA = 2
# The pickle of {"format": FORMAT, "schema": SCHEMA, "sha256": <64 digits>, "content": <bytes>}, spelled out: only one
# file has a certain content, so that a changed bit shows wherever it is.
HEADER = b"\x80\x04}(\x8c\x06format\x8c\x0bsbnn-record\x8c\x06schemaK\x02\x8c\x06sha256\x8c\x40"
BETWEEN, END = b"\x8c\x07content\x8e", b"u."


def library_versions():
    """Versions of Python and of the libraries the numbers depend on; with torch, also the instructions it uses."""
    versions = {"python": platform.python_version()}
    for name in ("sbnn", "numpy", "pandas", "scipy", "scikit-learn", "torch"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
    if "torch" in sys.modules:  # takes seconds to import, and what only reads or draws does not need it
        versions["instructions"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    return versions


@dataclass
class Record:
    """What an experiment computed, and everything needed to know how.

    Parameters
    ----------
    experiment : str
        Kind of experiment, for example ``"cross-validation"`` or ``"fit"``.
    dataset : str
        Name of the data set.
    sha256 : str
        Fingerprint of the data.
    params : list of dict
        Parameters of every grid point; one entry for a single fit.
    seed : int or None
        Random seed of the experiment.
    settings : dict
        Whatever else decides the result (estimator, scaling, ...).
    folds : list of tuple of ndarray
        ``(train, test)`` positions of the cells, one pair per fold; empty where there was no cross-validation.
    values : dict
        The results: arrays, tables (DataFrame), lists and dicts of them. Also reachable as attributes:
        ``record.test_r2`` is ``record.values["test_r2"]``.
    versions : dict of str to str
        Library versions, see `library_versions`.
    """

    experiment: str
    dataset: str
    sha256: str
    params: list
    seed: int | None = None
    settings: dict = field(default_factory=dict)
    folds: list = field(default_factory=list)
    values: dict = field(default_factory=dict)
    versions: dict = field(default_factory=library_versions)

    def __getattr__(self, name):
        # Only called when normal look-up fails; `values` itself may be missing while unpickling or copying.
        values = self.__dict__.get("values", {})
        if name in values:
            return values[name]
        raise AttributeError(
            f"this {self.__dict__.get('experiment')!r} record has no {name!r}; it holds {sorted(values)}"
        )

    def __dir__(self):
        return [*super().__dir__(), *self.values]

    def __repr__(self):
        return (
            f"<Record {self.experiment!r} on {self.dataset!r}: {len(self.params)} parameter setting(s), "
            f"{len(self.folds)} fold(s), values {sorted(self.values)}>"
        )

    def to_frame(self):
        """One tidy row per fold and grid point.

        Every value with leading dimensions (folds, grid points) and no further ones becomes a column, beside the
        fold number and the parameters.

        Returns
        -------
        pandas.DataFrame
            Columns ``fold``, the parameters, then the values; for a record without folds one row per grid point.
        """
        n_folds, n_points = max(len(self.folds), 1), len(self.params)
        rows = pd.DataFrame([{"fold": fold, **point} for point in self.params for fold in range(n_folds)])
        for name, value in self.values.items():
            if isinstance(value, np.ndarray) and value.shape == (n_folds, n_points):
                rows[name] = value.T.ravel()
        return rows

    def parameter(self, point, name, default=None):
        """Parameter of a grid point, also where the estimator of the whole grid has it."""
        shared = self.settings.get("estimator", {}).get("params", {})
        return self.params[point].get(name, shared.get(name, default))

    def points(self, **params):
        """Positions of all grid points with these parameters; numbers are compared to 9 digits."""
        return [
            point
            for point in range(len(self.params))
            if all(same_value(self.parameter(point, name), value) for name, value in params.items())
        ]

    def find(self, **params):
        """Position of the one grid point with these parameters.

        Parameters
        ----------
        **params
            As for `points`.

        Returns
        -------
        int

        Raises
        ------
        KeyError
            If no grid point matches, or more than one.
        """
        hits = self.points(**params)
        if len(hits) != 1:
            raise KeyError(f"{len(hits)} of {len(self.params)} grid points match {params}; they are {self.params}")
        return hits[0]

    def within_genes(self, n_genes, **params):
        """Position of the grid point with most selected genes of those that have at most `n_genes`.

        Their number is the mean over the folds, rounded, as tables and figures name it. Where all have more, the point
        with the fewest; of equal ones the first.
        """
        hits = self.points(**params)
        if not hits:
            raise KeyError(f"no grid point matches {params}; they are {self.params}")
        genes = self.n_selected[:, hits].mean(0)
        within = genes.round() <= n_genes
        return hits[np.argmax(np.where(within, genes, -np.inf)) if within.any() else np.argmin(genes)]


def same_value(a, b):
    """Whether two values of a parameter agree; numbers to 9 digits."""
    if isinstance(a, float | int) and isinstance(b, float | int):
        return bool(np.isclose(a, b, rtol=1e-9, atol=0))
    return a == b


def results_path(path, argument="path"):
    """Check the path of a file, and put the user's home in place of ``~``."""
    if not isinstance(path, str | os.PathLike):
        raise TypeError(f"{argument}: expected the path of a file, got {path!r}")
    text = os.fspath(path)
    try:
        expanded = Path(path).expanduser()
    except RuntimeError as error:
        raise ValueError(f"{argument}: expected the path of a file, got {text!r}: {error}") from None
    if not text or text.endswith(os.sep) or expanded.is_dir():
        raise ValueError(f"{argument}: expected the path of a file, got {f'the folder {text}' if text else 'no name'}")
    return expanded


def results_folder(saved_models, dataset, fast=False):
    """Folder of the results of a data set; quick runs have one of their own, so that they replace nothing."""
    return Path(saved_models) / (f"{dataset}-fast" if fast else dataset)


def save(record, path):
    """Write a record to a file, all of it or nothing.

    The record goes to a temporary file in the same folder which then replaces `path` in one step, so a killed run, a
    full disk or a read-only folder leaves whatever was there before untouched.

    Parameters
    ----------
    record : Record
    path : str or path-like
        Usually ``saved_models/<dataset>/<experiment>.pickle``; folders are made.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If the file cannot be written; the message names it and the reason.
    TypeError
        If the record holds something that is neither data nor a container of data.
    ValueError
        If `path` is empty or a folder, or the record could not be read back as it is.
    """
    if not isinstance(record, Record):
        raise TypeError(f"save writes a Record, got {type(record).__name__}")
    wrong = _wrong_part(record)
    if wrong:
        raise TypeError(wrong)
    content = {part.name: encode(getattr(record, part.name), part.name) for part in fields(Record)}
    write_atomically(_seal(pickle.dumps(content, protocol=4)), path)
    return results_path(path)


def write_atomically(content, path):
    """Write bytes so that `path` holds either the old content or all of the new one."""
    path = results_path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=".tmp")
        with os.fdopen(descriptor, "wb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)  # mkstemp makes private files
        os.replace(temporary, path)
    except OSError as error:
        raise type(error)(
            error.errno, f"cannot write {path}: {error.strerror or error}; what was there before is unchanged"
        ) from error
    finally:
        if temporary is not None and os.path.exists(temporary):
            os.unlink(temporary)


def drop_leftovers(path):
    """Delete what a killed writer of a file has left beside it, once no other can be writing it."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        leftover.unlink(missing_ok=True)


def load(path):
    """Read a record; needs numpy and pandas alone and never runs code from the file.

    Parameters
    ----------
    path : str or path-like

    Returns
    -------
    Record

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file is not a record as `save` writes it: truncated, altered, of another schema, or a pickle of anything
        else, for example of what could run code. The message names the file.
    """
    path = results_path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}; the notebooks and README say which command computes them")
    whole = path.read_bytes()
    try:
        content = _content(whole)
        names = {part.name for part in fields(Record)}
        if content.keys() != names:
            raise ValueError(f"it should have the entries {sorted(names)}, but has {sorted(content)[:20]}")
        record = Record(**{name: decode(value, len(whole)) for name, value in content.items()})
        wrong = _wrong_part(record)
        if wrong:
            raise ValueError(wrong)
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{path} is not a record of sbnn that can be read: {error or 'out of memory'}") from error
    return record


def _seal(content):
    """The file that holds a content, with its checksum; bytes."""
    digest = hashlib.sha256(content).hexdigest().encode()
    return HEADER + digest + BETWEEN + len(content).to_bytes(8, "little") + content + END


def _content(whole):
    """Entries of a record in a file, still spelled out, as a dict."""
    if whole.startswith(HEADER):
        content = whole[len(HEADER) + 64 + len(BETWEEN) + 8 : -len(END)]
        if _seal(content) != whole:
            raise ValueError("it is truncated or altered, its checksum is not that of its content")
        content = read_pickle(content)
    else:
        content = read_pickle(whole)
        if type(content) is not dict or content.pop("format", None) != FORMAT:
            raise ValueError("it is a pickle of something else")
        schema = content.pop("schema", None)
        if type(schema) is not int or schema == SCHEMA:  # the header of this version is known to the byte
            raise ValueError("its first bytes are altered")
        if schema != 1:
            raise ValueError(
                f"it has schema version {schema}; this sbnn reads 1 and {SCHEMA}, install the one it is of"
            )
    if type(content) is not dict:
        raise ValueError("its content is not a dict")
    return content


def _wrong_part(record):
    """What is wrong with the parts of a record, in words; None if each is of its kind."""
    for name in ("experiment", "dataset", "sha256"):
        if not isinstance(getattr(record, name), str):
            return f"{name}: expected text, got {type(getattr(record, name)).__name__}"
    if record.seed is not None and (isinstance(record.seed, bool) or not isinstance(record.seed, numbers.Integral)):
        return f"seed: expected a whole number or None, got {type(record.seed).__name__}"
    if not isinstance(record.params, list) or not all(map(_is_named, record.params)):
        return "params: expected a list of dicts with text as keys"
    for name in ("settings", "values", "versions"):
        if not _is_named(getattr(record, name)):
            return f"{name}: expected a dict with text as keys"
    if not isinstance(record.folds, list) or not all(map(_is_fold, record.folds)):
        return "folds: expected a list of pairs of positions"
    return None


def _is_named(value):
    return isinstance(value, dict) and all(isinstance(key, str) for key in value)


def _is_fold(fold):
    return isinstance(fold, tuple | list) and len(fold) == 2 and all(map(_are_positions, fold))


def _are_positions(cells):
    return isinstance(cells, np.ndarray) and cells.ndim == 1 and cells.dtype.kind in "iu"
