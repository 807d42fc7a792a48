"""Fingerprints (sha256) of anything a result depends on, and the description in ``uns["sbnn"]``.

Stored records hold fingerprints: the rules below, and the order in which they add things, stay.
"""

from __future__ import annotations

import functools
import hashlib
import inspect
import sys
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from itertools import chain
from numbers import Number
from pathlib import Path, PurePath
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import BaseCrossValidator

from sbnn.data.checks import dense
from sbnn.data.counts import confirm_library_size, row_sums

#: Entries of the description of data that can change a result.
DECISIVE_ENTRIES = ("name", "control", "truth", "gene_major")
#: Columns of ``obs`` and ``var`` that the package uses by name.
OBS_COLUMNS = ("type", "family", "donor", "condition", "perturbation", "sample", "time", "split")
VAR_COLUMNS = ("family", "truth_known")
#: Class of the entries of the description, and how errors call it.
KINDS_OF_ENTRIES = {
    "name": (str, "text"),
    "source": (str, "text"),
    "files": (Mapping, "a dict of file name to sha256"),
    "dropped": (Mapping, "a dict of reason to names or number"),
    "truth": (Mapping, "a dict"),
    "notes": (Iterable, "a list of text"),
}
#: Entries of the truth with a row for each cell, which are in ``obsm``.
TRUTH_OF_CELLS = ("latent", "latents", "outputs")
#: Arguments that change no result.
NOT_DECISIVE = {"results", "model_file", "overwrite", "n_jobs", "verbose"}
#: Parameters of estimators that change no result.
WORKER_PARAMETERS = {"n_jobs", "verbose"}
#: Parameters of estimators that were added after results had been stored; None changes nothing.
ADDED_PARAMETERS = {"required_genes", "candidate_genes"}
#: Packages whose functions and classes are identified by their names.
NAMED_PACKAGES = {"sbnn", "sklearn", "numpy"}
#: Folders of installed packages.
INSTALLED = {"site-packages", "dist-packages"}
#: What is known about our data and records besides their content: fields, and entries of these.
NOT_CONTENT = {
    "about",
    "arguments",
    "cells_behind",
    "keys",
    "library_size",
    "seconds",
    "sha256",
    "versions",
}


def fingerprint(value: object) -> str:
    """Fingerprint of the content of a value.

    Values are numbers, text, arrays, tables with their names, sparse matrices, AnnData,
    estimators (by class, ``algorithm_version`` and parameters), records, and containers of these.
    NaN equals NaN. Arrays of floats are compared in single precision, since sums are rounded in
    another order on other processors.

    A function or class counts by its module and name if it is one of this package, scikit-learn
    or NumPy, with its defaults, what a decorator encloses, and the arguments of a
    `functools.partial`. Any other may be edited and keep its name.

    Raises
    ------
    TypeError
        If it is anything else, or an estimator of a script, a notebook or a module that is not
        installed, whose class has no ``algorithm_version``.
    """
    return _Fingerprint().add(value).digest.hexdigest()


def fingerprint_arguments(arguments: Mapping[str, object]) -> dict[str, str]:
    """Fingerprint of each argument that can change a result, from those of `bound_arguments`.

    Of an AnnData, columns of ``obs`` and entries of ``obsm`` count if the package uses them by
    name, or if an argument names them.
    """
    decisive = {name: arguments[name] for name in arguments if name not in NOT_DECISIVE}
    used = frozenset(_iterate_texts(decisive.values()))
    prints = {}
    for name, value in decisive.items():
        prints[name] = _Fingerprint(used).add(value).digest.hexdigest()
    return prints


def bound_arguments(
    function: Callable[..., object], args: Sequence[object], kwargs: Mapping[str, object]
) -> dict[str, object]:
    """All arguments of a call by name, with defaults; those of ``**options`` on their own."""
    signature = inspect.signature(function)
    call = signature.bind(*args, **kwargs)
    call.apply_defaults()
    arguments = dict(call.arguments)
    for name, parameter in signature.parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            options = arguments.pop(name)
            arguments |= dict(sorted(options.items()))
    return arguments


def _iterate_texts(values: Iterable[object]) -> Iterator[str]:
    """All texts in lists and tuples: maybe names of labels or outputs."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _iterate_texts(value)


def fingerprint_of_data(adata: AnnData, columns: Iterable[str] = ()) -> str:
    """Fingerprint of names, counts (or `X`), outputs, ``varp`` and some columns of ``obs``."""
    value = _Fingerprint()
    value.add_anndata_measurements(adata)
    for name in columns:
        if name in adata.obs:
            value.add_column(adata.obs[name])
    return value.digest.hexdigest()


def fingerprint_of_measurements(
    cells: list[str],
    genes: list[str],
    X: np.ndarray,
    counts: np.ndarray | sparse.csr_array | None,
    library_size: float | None,
    outputs: pd.DataFrame | None,
) -> str:
    """What `fingerprint_of_data` returns for an AnnData of these parts.

    `library_size` is what `sbnn.data.counts.confirm_library_size` returns.
    """
    value = _Fingerprint()
    value.add_measurements(
        cells=cells,
        genes=genes,
        X=X,
        counts=counts,
        library_size=library_size,
        outputs=outputs,
    )
    return value.digest.hexdigest()


class _Fingerprint:
    """A sha256 of the content of values; `used` are further labels and outputs of an AnnData."""

    def __init__(self, used: Collection[str] = frozenset()):
        self.digest = hashlib.sha256()
        self._used = used

    def add(self, value: Any) -> _Fingerprint:
        """Add a value by the first rule that it fits; returns this fingerprint."""
        match value:
            case None | bool() | bytes():
                self._tag("plain", value)
            case str() | PurePath():
                self._tag("plain", str(value))  # text of NumPy is the same
            case np.bool_():
                self._tag("plain", bool(value))
            case _ if value is pd.NA or value is pd.NaT:
                self._tag("number", "nan")
            case Number():
                self._add_number(value)
            case np.ma.MaskedArray():
                raise _no_identity(value)
            case np.ndarray():
                self._add_array(value)
            case pd.DataFrame():
                self._add_table(value)
            case pd.Series() | pd.Index():
                self._add_series(value)
            case _ if sparse.issparse(value):
                self._add_matrix(value)
            case AnnData():
                self._add_anndata(value)
            case Mapping():
                self._tag("mapping", len(value))
                self._add_items(chain.from_iterable(value.items()))
            case list() | tuple() | range():
                self._tag("sequence", len(value))
                self._add_items(value)
            case _:
                self._add_object(value)
        return self

    def _add_object(self, value):
        """Add an object by its name, or by what it is made of: parameters, fields or variables."""
        is_instance = not isinstance(value, type)
        if hasattr(value, "get_params") and is_instance:
            self._add_estimator(value)
        elif is_dataclass(value) and is_instance and _has_known_name(type(value)):
            self._tag("dataclass", _class_name(value))
            self._add_named(_dataclass_content(value))
        elif isinstance(value, functools.partial):
            self._tag("partial")
            self._add_items([value.func, value.args, value.keywords])
        elif _has_known_name(value):
            self._add_function(value)
        elif hasattr(value, "__array__") and is_instance:  # such as a tensor or an array of pandas
            self._add_array(np.asarray(value))
        elif isinstance(value, BaseCrossValidator) and _has_known_name(type(value)):
            self._tag("object", _class_name(value))
            self._add_named(vars(value))
        else:
            raise _no_identity(value)

    # --- containers and their parts

    def _tag(self, *texts):
        self.digest.update(repr(texts).encode())

    def _add_items(self, items):
        for item in items:
            self.add(item)
            self._tag(",")

    def _add_named(self, values):
        for name in sorted(values):
            self._tag(name)
            self.add(values[name])

    # --- numbers, arrays and tables

    def _add_number(self, value):
        """Add a number; 1 is not 1.0, which means another thing to some estimators."""
        number = value.item() if isinstance(value, np.generic) else value
        if isinstance(number, float):
            number += 0.0  # 0 in place of -0, as in arrays
        is_nan = number != number
        self._tag("number", "nan" if is_nan else number)

    def _add_array(self, array):
        if array.dtype.kind not in "biuf":
            if array.ndim > 1:
                self._tag("array", array.shape)
            self.add(array.ravel().tolist())  # text as a list of text
            return
        kind = "i" if array.dtype.kind == "u" else array.dtype.kind
        self._tag("array", array.shape, kind)
        self.digest.update(_canonical_bytes(array))

    def _add_matrix(self, matrix):
        """Add values and places of what is not 0, so that dense and sparse matrices are equal."""
        nonzero = sparse.csr_array(matrix, copy=True)
        nonzero.sum_duplicates()
        nonzero.eliminate_zeros()
        self._tag("matrix", nonzero.shape)
        self.digest.update(_canonical_bytes(nonzero.data, are_measured=True))
        for part in (nonzero.indices, nonzero.indptr):
            self.digest.update(_canonical_bytes(part))

    def _add_table(self, table):
        self._tag("table", table.shape)
        self._add_items([table.index, table.columns.tolist()])
        self._add_items(column.to_numpy() for _, column in table.items())

    def _add_series(self, series):
        """Add a Series with its index, or an Index."""
        name = series.name.item() if isinstance(series.name, np.generic) else series.name
        self._tag("column", name if isinstance(name, str) else repr(name))
        if isinstance(series, pd.Series):
            self._add_items([series.index])
        self._add_array(series.to_numpy())

    def add_column(self, column: pd.Series) -> None:
        """Add labels, whatever pandas stores them as, or numbers, without names."""
        if pd.api.types.is_integer_dtype(column) and not column.hasnans:
            self._add_array(column.to_numpy(np.int64))
        elif pd.api.types.is_numeric_dtype(column):
            self._add_array(column.to_numpy(float, na_value=np.nan))
        else:
            self.add(column.astype(object).tolist())

    # --- estimators and functions

    def _add_estimator(self, model):
        _require_version(model)
        self._tag("estimator", _class_name(model), getattr(model, "algorithm_version", 1))
        params = model.get_params(deep=False)
        decisive = {}
        for name, value in params.items():
            is_as_before = name in ADDED_PARAMETERS and value is None
            if name not in WORKER_PARAMETERS and not is_as_before:
                is_column = isinstance(value, pd.Index | pd.Series)  # such as names of genes
                decisive[name] = value.tolist() if is_column else value
        self._add_named(decisive)
        if isinstance(model, FrozenEstimator):  # which is not fitted again
            self._add_named(vars(model.estimator))

    def _add_function(self, function):
        """Add a function, method or class by its module and name."""
        # methods of arrays are in no module; stored results have their name twice
        module = getattr(function, "__module__", function.__name__)
        self._tag("function", module, function.__qualname__)
        if _package(function) == "sbnn":  # another package has a version
            variables = getattr(function, "__closure__", None) or ()  # such as what is decorated
            self._add_items(variable.cell_contents for variable in variables)
            defaults = getattr(function, "__defaults__", None) or ()
            self._add_items(defaults)
        owner = getattr(function, "__self__", None)  # of a method
        if owner is not None and not inspect.ismodule(owner):
            self.add(owner)

    # --- cells

    def _add_anndata(self, adata):
        """Add names, values and what the package uses by name of an AnnData as it is now."""
        self._tag("anndata")
        self.add_anndata_measurements(adata)
        for table, names in ((adata.obs, OBS_COLUMNS), (adata.var, VAR_COLUMNS)):
            for name in table:
                if name in names or name in self._used:
                    self._tag(name)
                    self.add_column(table[name])
        for name in adata.obsm:
            if name in self._used or name.startswith("true_"):
                table = adata.obsm[name]
                columns = [str(column) for column in getattr(table, "columns", ())]
                self._tag(name, columns)
                self.add(dense(table))
        entries = adata.uns.get("sbnn", {})
        self._add_named({name: entries[name] for name in DECISIVE_ENTRIES if name in entries})
        colors = adata.uns.get("type_colors")
        if colors is not None and "type" in adata.obs:  # colours are in the order of categories
            types_in_order = pd.Categorical(adata.obs["type"]).categories
            type_names = [str(name) for name in types_in_order]
            self._add_items([type_names, [str(color) for color in colors]])

    def add_anndata_measurements(self, adata: AnnData) -> None:
        """Add names, counts, X if it is not made of these, outputs and relations of genes."""
        counts = adata.layers.get("counts")
        stored_size = adata.uns.get("sbnn", {}).get("library_size")
        self.add_measurements(
            cells=adata.obs_names.tolist(),
            genes=adata.var_names.tolist(),
            X=adata.X,
            counts=counts,
            library_size=confirm_library_size(adata.X, counts, stored_size),
            outputs=adata.obsm.get("outputs"),
        )
        for name in sorted(adata.varp):
            self._tag(name)
            self._add_matrix(adata.varp[name])

    def add_measurements(
        self,
        *,
        cells: Sequence[str],
        genes: Sequence[str],
        X: Any,
        counts: Any,
        library_size: float | None,
        outputs: Any,
    ) -> None:
        """Add names, counts, X or how it is made of these, and outputs."""
        self._add_items([cells, genes])
        if counts is not None:
            self._tag("counts")
            self._add_matrix(counts)
        expression = _expression(X, counts, library_size)
        if expression is None or isinstance(expression, str):
            self._tag("X", expression)
        else:
            self._add_matrix(expression)
        if outputs is not None:
            names = getattr(outputs, "columns", range(np.shape(outputs)[1]))
            self.add([str(name) for name in names])
            self._add_array(np.asarray(dense(outputs), float))


def _expression(X, counts, library_size):
    """X, or how it is made of counts if these were normalised to a library size.

    The last bits of logarithms differ between processors, counts do not. The median total of the
    cells, which is the usual size and is rounded in another order there, too, has four digits.
    """
    if library_size is None:
        return X
    size = f"{library_size:.4g}"
    if (
        not np.isclose(library_size, np.median(row_sums(counts)), rtol=1e-6)
        and float(size) != library_size
    ):
        size = repr(library_size)
    return f"log2(1 + counts / total * {size})"


def _dataclass_content(value):
    """Fields of a dataclass, such as a record, that are its content."""
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    if not type(value).__module__.startswith("sbnn."):
        return content
    for name, part in list(content.items()):
        if name in NOT_CONTENT:
            del content[name]
        elif isinstance(part, dict):
            content[name] = {key: item for key, item in part.items() if key not in NOT_CONTENT}
    if "X" in content and content.get("counts") is not None:  # `Paired`
        library_size = confirm_library_size(value.X, value.counts, value.library_size)
        content["X"] = _expression(value.X, value.counts, library_size)
        content["counts"] = sparse.csr_array(value.counts)
    return content


def _no_identity(value):
    """The error about a value whose content is not known."""
    return TypeError(
        f"a result cannot be saved for a {type(value).__name__}: {value!r:.80}; give plain values"
    )


def _package(code):
    """Package of a function or class, such as NumPy of ``np.ndarray.clip``."""
    home = getattr(code, "__objclass__", code)
    module = getattr(home, "__module__", None) or ""
    return module.partition(".")[0]


def _has_known_name(value):
    """Whether it is a function or class of a module of `NAMED_PACKAGES`."""
    name = getattr(value, "__qualname__", "<none>")
    return "<" not in name and _package(value) in NAMED_PACKAGES


def _require_version(model):
    """Reject an estimator whose class may be edited, and does not say which version it is."""
    kind = type(model)
    if "algorithm_version" in vars(kind) or _package(kind) in NAMED_PACKAGES:
        return
    module = sys.modules.get(kind.__module__)
    file = getattr(module, "__file__", None) or ""  # a notebook has none
    if not INSTALLED.isdisjoint(Path(file).parts):
        return
    raise TypeError(
        f"a result cannot be saved for the estimator {kind.__name__}, whose code may change: write "
        "algorithm_version = 1 into its class, and raise it whenever its numbers change"
    )


def _class_name(value):
    """Package and name of a class, as it may move within a package."""
    kind = type(value)
    return f"{_package(kind)}.{kind.__qualname__}"


def _canonical_bytes(array, are_measured=False):
    """Bytes of numbers: whole ones as int64, others in single precision.

    Labels and times that this makes equal keep all bits, unless they `are_measured`.
    """
    if array.dtype.kind in "biu":
        return np.ascontiguousarray(array, "<i8").tobytes()
    with np.errstate(over="ignore"):
        floats = np.ascontiguousarray(array, "<f4")
    is_too_large = np.isinf(floats).sum() > np.isinf(array).sum()
    may_be_labels = array.ndim == 1 and not are_measured
    if is_too_large or (may_be_labels and len(np.unique(floats)) < len(np.unique(array))):
        floats = np.ascontiguousarray(array, "<f8")
    floats = floats + 0  # 0 in place of -0
    floats[np.isnan(floats)] = np.nan
    return floats.tobytes()


# --- the description in uns["sbnn"]


@dataclass(frozen=True, kw_only=True)
class Description:
    """What is said about data besides their content; `sbnn.paired` explains the entries."""

    name: str = "custom"
    source: str = "the user's data"
    files: Mapping[str, str] | None = None
    dropped: Mapping[str, Any] | None = None
    truth: Mapping[str, Any] | None = None
    notes: Sequence[str] | None = None
    control: str | None = None
    library_size: float | None = None

    def entries(self, sha256: str, library_size: float | None = None) -> dict[str, Any]:
        """Entries of ``uns["sbnn"]``, for data with this fingerprint and library size."""
        dropped = {}
        for reason, names in (self.dropped or {}).items():
            dropped[reason] = np.asarray(names).tolist()
        truth = self.truth or {}
        entries: dict[str, Any] = {
            "name": self.name,
            "source": self.source,
            "files": self.files or {},
            "dropped": {reason: names for reason, names in dropped.items() if names},
            "truth": {key: truth[key] for key in truth if key not in TRUTH_OF_CELLS},
            "notes": [] if self.notes is None else list(self.notes),
            "sha256": sha256,
        }
        if self.control is not None:
            entries["control"] = self.control
        if library_size is not None:
            entries["library_size"] = library_size
        return entries

    def truth_of_cells(self) -> dict[str, np.ndarray]:
        """Entries of the truth with a row for each cell."""
        truth = self.truth or {}
        return {key: np.asarray(truth[key]) for key in TRUTH_OF_CELLS if key in truth}


def describe(builder: str, entries: Mapping[str, Any]) -> Description:
    """Entries that a builder was given; unknown ones, and values of another kind, are refused."""
    names = [field.name for field in fields(Description)]
    for name, value in entries.items():
        if name not in names:
            raise TypeError(
                f"{builder}() has no argument {name!r}; entries of uns['sbnn'] are {names}"
            )
        kind, expected = KINDS_OF_ENTRIES.get(name, (object, ""))
        is_text_in_place_of_list = kind is Iterable and isinstance(value, str)
        if value is not None and (is_text_in_place_of_list or not isinstance(value, kind)):
            raise TypeError(f"{name}: expected {expected}, got {value!r}")
    return Description(**entries)


def annotate_adata(adata: AnnData, builder: str, columns: Iterable[str], **about: Any) -> AnnData:
    """Describe an AnnData in its ``uns["sbnn"]`` by what its builder was given.

    `columns` of ``obs`` belong to the fingerprint.
    """
    description = describe(builder, about)
    for key, values in description.truth_of_cells().items():
        adata.obsm[f"true_{key}"] = values
    adata.uns["sbnn"] = description.entries(fingerprint_of_data(adata, columns))
    return adata


def annotation_arguments(adata: AnnData) -> dict[str, Any]:
    """Fields of the `Description` in an AnnData, to build the data anew."""
    entries = adata.uns.get("sbnn", {})
    names = [field.name for field in fields(Description)]
    # other versions had more
    arguments = {name: entries[name] for name in names if name in entries}
    of_cells = {key: adata.obsm.get(f"true_{key}") for key in TRUTH_OF_CELLS}
    stored_truth = {key: values for key, values in of_cells.items() if values is not None}
    return arguments | {"truth": arguments.get("truth", {}) | stored_truth}
