"""The one record every experiment leaves behind: saved atomically, loaded without running any code.

A record is written as a pickle of nothing but Python's own containers, numbers, strings and bytes; arrays and
tables are spelled out as dtype, shape and compressed bytes. So a file written today loads under another version of
numpy, pandas or torch, and `load` can forbid *every* import a pickle may ask for, which is what makes it safe to open a
file from somebody else.
"""

import importlib.metadata
import io
import os
import pickle
import platform
import tempfile
import zlib
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import pandas as pd

FORMAT = "sbnn-record"
SCHEMA = 1


def library_versions():
    """Versions of Python and of the libraries the numbers depend on.

    Returns
    -------
    dict of str to str
    """
    versions = {"python": platform.python_version()}
    for name in ("sbnn", "numpy", "pandas", "scipy", "scikit-learn", "torch"):
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            versions[name] = "not installed"
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
        Fingerprint of the data (`PairedData.sha256`).
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

    def find(self, **params):
        """Position of the one grid point with these parameters.

        Parameters
        ----------
        **params
            Names and values; floats are compared to 9 digits.

        Returns
        -------
        int

        Raises
        ------
        KeyError
            If no grid point matches, or more than one.
        """
        hits = [i for i, point in enumerate(self.params) if all(_same(point.get(k), v) for k, v in params.items())]
        if len(hits) != 1:
            raise KeyError(f"{len(hits)} of {len(self.params)} grid points match {params}; they are {self.params}")
        return hits[0]

    def nearest_in_genes(self, n_genes, among=None):
        """Position of the grid point whose mean number of selected genes over the folds is nearest to `n_genes`.

        Parameters
        ----------
        n_genes : int
        among : sequence of int, optional
            Positions to choose from; all by default.

        Returns
        -------
        int
        """
        among = np.arange(len(self.params)) if among is None else np.asarray(among)
        return int(among[np.argmin(np.abs(self.n_selected[:, among].mean(0) - n_genes))])


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
    """
    if not isinstance(record, Record):
        raise TypeError(f"save writes a Record, got {type(record).__name__}")
    content = {"format": FORMAT, "schema": SCHEMA}
    for part in fields(Record):
        content[part.name] = _encode(getattr(record, part.name), part.name)
    write_atomically(pickle.dumps(content, protocol=4), path)
    return Path(path)


def results_path(path):
    """Path of a results file, with ``~`` for the user's home; a ValueError for what cannot be a file."""
    path = Path(path).expanduser()
    if path.is_dir() or path.name == "":
        raise ValueError(f"results: expected the path of a file, got {str(path)!r}")
    return path


def write_atomically(content, path):
    """Write bytes so that `path` holds either the old content or all of the new one.

    Parameters
    ----------
    content : bytes
    path : str or path-like

    Raises
    ------
    OSError
        If the folder is read-only, the disk is full, ...; the message names the file and the reason.
    """
    path = Path(path)
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
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
        If the file is truncated, was not written by `save`, asks to import anything (a pickle that could run code), or
        has another schema version.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no results at {path}; the notebooks and README say which command computes them")
    try:
        content = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except ForbiddenImport as error:
        raise ValueError(f"{path} is refused: {error}. Records of sbnn hold plain data only.") from None
    except Exception as error:  # unpickling garbage may raise nearly anything
        raise ValueError(f"{path} is not a record of sbnn, or it is truncated: {error}") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise ValueError(f"{path} is a pickle, but not a record of sbnn")
    if content.get("schema") != SCHEMA:
        raise ValueError(
            f"{path} has schema version {content.get('schema')!r}, this sbnn reads version {SCHEMA}: "
            "recompute it, or use the version of sbnn that wrote it "
            f"({_version_of(content)})"
        )
    names = {part.name for part in fields(Record)}
    missing = sorted(names - set(content))
    if missing:
        raise ValueError(f"{path} lacks the entries {missing} of a record of sbnn")
    try:
        return Record(**{name: _decode(content[name]) for name in names})
    except (KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"{path} holds a damaged array or table: {error}") from error


class ForbiddenImport(pickle.UnpicklingError):
    """A pickle asked for a class or function, which a record never does."""


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module, name):
        raise ForbiddenImport(f"it wants to import {module}.{name}, which could run code")

    def persistent_load(self, pid):
        raise ForbiddenImport(f"it refers to an object outside the file ({pid!r})")


def _version_of(content):
    versions = content.get("versions")
    return f"sbnn {versions.get('sbnn', 'unknown')}" if isinstance(versions, dict) else "unknown"


def _same(a, b):
    if isinstance(a, float) or isinstance(b, float):
        try:
            return bool(np.isclose(a, b, rtol=1e-9, atol=0))
        except TypeError:
            return False
    return a == b


_PLAIN = (type(None), bool, int, float, str, bytes)


def _encode(value, where):
    """Spell a value out in Python's own types; `where` names it in errors."""
    if isinstance(value, np.generic):
        return value.item()
    if type(value) in _PLAIN:  # not isinstance: the pickle of a subclass names its class
        return value
    if isinstance(value, pd.DataFrame):
        return {
            "__table__": {str(c): _encode(value[c].to_numpy(), f"{where}.{c}") for c in value.columns},
            "index": _encode(value.index.to_numpy(), f"{where} index"),
        }
    if isinstance(value, np.ndarray):
        if value.dtype.kind in "OU":  # text: a list of str is smaller than fixed-width unicode and knows no byte order
            return {"__text__": [_text(v, where) for v in value.ravel()], "shape": list(value.shape)}
        if value.dtype.kind not in "biuf":
            raise TypeError(f"{where}: arrays of dtype {value.dtype} cannot be saved")
        little = np.ascontiguousarray(value, dtype=value.dtype.newbyteorder("<"))
        packed = zlib.compress(little.tobytes(), 9)
        return {"__array__": little.dtype.str, "shape": list(value.shape), "zlib": packed}
    if isinstance(value, dict):
        return {"__dict__": [[_encode(k, where), _encode(v, f"{where}.{k}")] for k, v in value.items()]}
    if isinstance(value, tuple):
        return {"__tuple__": [_encode(v, where) for v in value]}
    if isinstance(value, list):
        return [_encode(v, where) for v in value]
    raise TypeError(
        f"{where}: a {type(value).__name__} cannot be saved; give arrays, tables, numbers, text or containers"
    )


def _text(value, where):
    if isinstance(value, str):
        return str(value)
    if value is None or (isinstance(value, float) and np.isnan(value)):
        return ""  # a missing label
    raise TypeError(f"{where}: an object array may hold text only, found {type(value).__name__}")


def _decode(value):
    if isinstance(value, list):
        return [_decode(v) for v in value]
    if not isinstance(value, dict):
        return value
    if "__dict__" in value:
        return {_decode(k): _decode(v) for k, v in value["__dict__"]}
    if "__tuple__" in value:
        return tuple(_decode(v) for v in value["__tuple__"])
    if "__array__" in value:
        flat = np.frombuffer(bytearray(zlib.decompress(value["zlib"])), dtype=np.dtype(value["__array__"]))
        return flat.reshape(value["shape"])
    if "__text__" in value:
        return np.array(value["__text__"], dtype=object).reshape(value["shape"])
    if "__table__" in value:
        return pd.DataFrame({k: _decode(v) for k, v in value["__table__"].items()}, index=_decode(value["index"]))
    raise ValueError(f"an unknown entry with the keys {sorted(map(str, value))}")
