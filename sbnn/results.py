"""Records of experiments, which are saved atomically and loaded without running any code.

A file is the pickle of a dict with the format, the schema, a checksum and the content, another
pickle of Python's built-in containers, numbers, strings and bytes (`sbnn.plain`). It loads with
other versions of numpy, pandas and torch, is safe to open, and is rejected if a bit was flipped.
"""

import glob
import hashlib
import importlib.metadata
import numbers
import os
import pickle
import platform
import re
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass, field, fields
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sbnn.errors import check_flag, check_number
from sbnn.plain import decode, encode, read_pickle

if TYPE_CHECKING:
    import pathlib
    from collections.abc import Callable

    from sbnn.typehints import PathLike


__all__ = ["Record", "load", "load_folder", "results_folder", "save"]

# Parts of the pickle of {"format": "sbnn-record", "schema": 2, "sha256": <64 digits>, "content":
# <bytes>}, which can be written in only one way, so that any changed bit is detected.
HEADER = b"\x80\x04}(\x8c\x06format\x8c\x0bsbnn-record\x8c\x06schemaK\x02\x8c\x06sha256\x8c\x40"
BETWEEN, END = b"\x8c\x07content\x8e", b"u."


def library_versions():
    """Versions of libraries and, if torch is loaded, its instruction set."""
    versions = {"python": platform.python_version()}
    versions["sbnn"] = sys.modules["sbnn"].__version__
    for name in ("numpy", "pandas", "scipy", "scikit-learn", "torch"):
        versions[name] = importlib.metadata.version(name)
    if "torch" in sys.modules:  # slow to import
        versions["instructions"] = sys.modules["torch"].backends.cpu.get_cpu_capability()
    return versions


@dataclass
class Record:
    """Results of an experiment, and everything that identifies it.

    Parameters
    ----------
    experiment : str
        Such as ``"cross-validation"`` or ``"fit"``.
    dataset : str
    sha256 : str
        Fingerprint of the data.
    params : list of dict
        Parameters of every grid point.
    seed : int or None
    settings : dict
        Everything else that determines the result (estimator, scaling, ...).
    folds : list of tuple of ndarray
        ``(train, test)`` positions of the cells, one pair per fold; empty without cross-validation.
    values : dict
        Arrays, DataFrames, and lists and dicts of these, which are also attributes:
        ``record.test_r2`` is ``record.values["test_r2"]``.
    versions : dict of str to str
        Library versions, see `library_versions`.

    Examples
    --------
    >>> from sbnn import results
    >>> record = results.load("saved_models/scala/cv_default.pickle")
    >>> record.find(n_components=2), record.test_r2.shape
    (1, (10, 7))
    """

    experiment: str
    dataset: str
    sha256: str
    params: list
    seed: numbers.Integral | None = None
    settings: dict = field(default_factory=dict)
    folds: list = field(default_factory=list)
    values: dict = field(default_factory=dict)
    versions: dict = field(default_factory=library_versions)

    def __post_init__(self):
        _check(self)

    def __getattr__(self, name):
        # `values` may be missing while unpickling or copying
        values = self.__dict__.get("values", {})
        if name in values:
            return values[name]
        kind = self.__dict__.get("experiment")
        raise AttributeError(f"this {kind!r} record has no {name!r}; it holds {sorted(values)}")

    def __dir__(self):
        return [*super().__dir__(), *self.values]

    def __repr__(self):
        size = f"{len(self.params)} parameter setting(s), {len(self.folds)} fold(s)"
        values = f"values {sorted(self.values)}"
        return f"<Record {self.experiment!r} on {self.dataset!r}: {size}, {values}>"

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per fold and grid point.

        The columns are ``fold``, the parameters, and every value with one number in each row.
        """
        n_folds = max(len(self.folds), 1)
        n_points = len(self.params)
        rows = [{"fold": fold, **point} for point in self.params for fold in range(n_folds)]
        rows = pd.DataFrame(rows)
        for name, value in self.values.items():
            if isinstance(value, np.ndarray) and value.shape == (n_folds, n_points):
                rows[name] = value.T.ravel()
        return rows

    def parameter(self, point: int, name: str, default: object = None) -> object:
        """Value of a parameter at a grid point, or in the estimator if the grid has one value."""
        n_points = len(self.params)
        if point not in range(-n_points, n_points):
            raise ValueError(f"point: expected a position among {n_points}, got {point!r}")
        return self.params[point].get(name, self._of_estimator().get(name, default))

    def _of_estimator(self):
        return self.settings.get("estimator", {}).get("params", {})

    def points(self, **params: object) -> list[int]:
        """Positions of all grid points with these parameters; numbers are compared to 9 digits."""
        points = range(len(self.params))
        for name, value in kept_params(params).items():
            points = [point for point in points if same_value(self.parameter(point, name), value)]
        return list(points)

    def find(self, **params: object) -> int:
        """Position of the only grid point with these parameters; KeyError if there is not one."""
        hits = self.points(**params)
        if len(hits) != 1:
            raise KeyError(f"{params} match {len(hits)} grid points, expected one of {self.params}")
        return hits[0]

    def best_with_at_most(self, n_genes: int, **params: object) -> int:
        """Position of the grid point with the most selected genes, but at most `n_genes`.

        Numbers of genes are rounded means over the folds. If all grid points have more genes, that
        with the fewest is taken. Ties go to the first.
        """
        check_number("n_genes", n_genes, float)
        hits = self.points(**params)
        genes = self.n_selected[:, hits].mean(0)  # (n_hits,)
        # numbers above `n_genes` come last, the smallest first
        order = np.where(genes.round() <= n_genes, genes, -genes)
        return hits[np.argmax(order)]


def kept_params(point):
    """Parameters as stored: a Series as a dict, an array or a set as a list."""
    kept = {}
    for name, value in point.items():
        if isinstance(value, pd.Series):
            value = value.to_dict()
        elif isinstance(value, np.ndarray):
            value = value.tolist()
        elif isinstance(value, set | frozenset):
            value = sorted(value)
        kept[name] = value
    return kept


def same_value(a, b):
    """Whether values of a parameter are equal to 9 digits."""
    if isinstance(a, float | int) and isinstance(b, float | int):
        return bool(np.isclose(a, b, rtol=1e-9, atol=0))
    return a == b


def results_path(path, argument="path", inputs=()):
    """Expand ``~``; reject what cannot be a file, and the `inputs`."""
    text = os.path.expanduser(path) if isinstance(path, str | os.PathLike) else ""
    other = os.path.exists(text) and not os.path.isfile(text)  # a folder or a device
    if not text or text.startswith("~") or text.endswith(os.sep) or other:
        raise ValueError(f"{argument}: expected the path of a file, got {path!r}")
    for given in inputs:
        if given is not None and os.path.realpath(os.path.expanduser(given)) == os.path.realpath(
            text
        ):
            raise ValueError(f"{argument}: {text!r} is an input and would be overwritten")
    return Path(text)


def require(record, argument, names, other=None):
    """Check that a record has these values or parameters, and the data of `other`."""
    if not isinstance(record, Record):
        got = repr(record) if isinstance(record, str) else type(record).__name__
        raise ValueError(f"{argument}: expected a record, as from sbnn.results.load, got {got}")
    known = {*record.values, *record._of_estimator()}.union(*record.params)
    missing = [name for name in names if name not in known]
    if missing:
        raise ValueError(f"{argument}: expected a record with {', '.join(missing)}, got {record!r}")
    if other is not None and record.sha256 != other.sha256:
        raise ValueError(
            f"{argument}: expected a record of the same data as the others, got {record!r} of "
            f"{record.sha256[:12]}, not of {other.sha256[:12]}"
        )


def results_folder(saved_models: "PathLike", dataset: str, fast: bool = False) -> "pathlib.Path":
    """Folder of the results of a data set; quick runs have their own.

    Examples
    --------
    >>> from sbnn import results
    >>> results.results_folder("saved_models", "scala", fast=True).as_posix()
    'saved_models/scala-fast'
    """
    return Path(saved_models, f"{dataset}-fast" if check_flag("fast", fast) else dataset)


def save(record: Record, path: "PathLike") -> "pathlib.Path":
    """Write a record to a file atomically.

    A temporary file in the same folder replaces `path` in one step, so an existing file stays
    unchanged if the run is killed or the disk is full.

    Parameters
    ----------
    record : Record
    path : str or path-like
        Usually ``saved_models/<dataset>/<experiment>.pickle``; missing folders are created.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If the file cannot be written.
    TypeError
        If the record contains anything but data.
    ValueError
        If `path` is no file, or the record could not be read back unchanged.

    Examples
    --------
    >>> from sbnn import LeaveOneOutRidge, cross_validate, results, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> record = cross_validate(LeaveOneOutRidge(), data, folds=5, verbose=False)
    >>> results.save(record, "ridge.pickle")
    PosixPath('ridge.pickle')
    """
    _check(record)
    path = results_path(path)
    content = {part.name: encode(getattr(record, part.name), part.name) for part in fields(Record)}
    content = pickle.dumps(content, protocol=4)
    write_atomically(_seal(content), path, re.escape(HEADER[:24]))
    return path


def write_atomically(content, path, kind=b""):
    """Write bytes such that the file is either unchanged or complete.

    An existing file must begin with the regular expression `kind`.
    """
    if path.is_file() and path.stat().st_size:
        with path.open("rb") as there:
            if not re.match(kind, there.read(64), re.DOTALL):
                raise ValueError(
                    f"{path} exists and is another kind of file; choose another path, or delete it"
                )
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("xb") as handle:
            handle.write(content)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except OSError as error:
        why = f"cannot write {path}: {error.strerror or error}; an existing file is left unchanged"
        raise type(error)(error.errno, why) from error
    finally:
        with suppress(OSError):  # gone after success
            temporary.unlink()


def drop_leftovers(path):
    """Delete temporary files of interrupted writes of a file."""
    for leftover in path.parent.glob(f".{glob.escape(path.name)}.????????.tmp"):
        leftover.unlink(missing_ok=True)


def load(path: "PathLike") -> Record:
    """Read a record, without running code from the file.

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
        If the file is not an intact record written by `save`.

    Examples
    --------
    >>> from sbnn import results
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> f"{ridge.test_r2.mean():.3f}"
    '0.449'
    """
    path = results_path(path)
    whole = path.read_bytes()
    try:
        content = whole[len(HEADER) + 64 + len(BETWEEN) + 8 : -len(END)]
        if _seal(content) != whole:
            raise ValueError(
                "it is truncated, altered, from another version, or another kind of file"
            )
        entries = read_pickle(content)
        return Record(**{name: decode(value, len(whole)) for name, value in entries.items()})
    except Exception as error:  # any error that a damaged or hostile file causes
        raise ValueError(f"{path} is not a record of sbnn that can be read: {error!r}") from error


def load_folder(
    folder: "PathLike",
    prefix: str = "",
    data_of: "Callable[[Record], object]" = lambda record: (record.dataset, record.sha256),
) -> dict[str, Record]:
    """Read all records of a folder, by their file names without `prefix` and extension.

    Records for which the function `data_of` differs raise a ValueError, since their data must not
    be compared; a record for which it returns None is accepted with any others. Without records, a
    FileNotFoundError is raised.
    """
    folder = Path(folder)
    paths = sorted(folder.glob(f"{prefix}*.pickle"))
    records = {path.stem.removeprefix(prefix): load(path) for path in paths}
    if not records:
        raise FileNotFoundError(
            f"no results in {folder / prefix}; run the notebooks or `sbnn fit` first (results of "
            "quick runs need --fast)"
        )
    name_with_data = {data_of(record): name for name, record in records.items()}
    name_with_data.pop(None, None)  # fits any other data
    if len(name_with_data) > 1:
        examples = name_with_data.values()
        found = ", ".join(f"{name} of {records[name].dataset!r}" for name in examples)
        raise ValueError(f"{folder} has results of several data sets: {found}; keep one of them")
    return records


def named_after(records, prefix, names):
    """Records called ``<prefix>_<name>``, by name, in the order of the names."""
    found = {}
    for name in names:
        if f"{prefix}_{name}" in records:
            found[name] = records[f"{prefix}_{name}"]
    return found


def _seal(content):
    digest = hashlib.sha256(content).hexdigest().encode()
    return HEADER + digest + BETWEEN + len(content).to_bytes(8, "little") + content + END


def _check(record):
    if not isinstance(record, Record):
        raise TypeError(f"record: expected a Record, got {type(record).__name__}")
    for part in fields(Record):
        value = getattr(record, part.name)
        if not isinstance(value, part.type):
            raise TypeError(f"{part.name}: expected {part.type}, got {type(value).__name__}")
    for named in (record.settings, record.values, record.versions, *record.params):
        if not isinstance(named, dict) or not all(isinstance(name, str) for name in named):
            raise TypeError(
                "settings, values, versions and params: expected dicts whose keys are text"
            )
    for cells in chain.from_iterable(record.folds):
        if not isinstance(cells, np.ndarray) or cells.ndim != 1 or cells.dtype.kind not in "iu":
            raise TypeError("folds: expected pairs of positions, each a vector of whole numbers")
