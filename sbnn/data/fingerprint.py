"""Fingerprints (sha256) of anything a result depends on, and the description in ``uns["sbnn"]``."""

import datetime
import functools
import hashlib
import inspect
import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from numbers import Number
from pathlib import PurePath

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse
from sklearn.frozen import FrozenEstimator

from sbnn.data.counts import dense, log2p1, normalize_library_size, size_of_library

CELLS_AT_ONCE = 1000
TIMES = datetime.date, datetime.timedelta, np.datetime64, np.timedelta64, pd.Period

#: Entries of the description of data that can change a result.
OF_DATA = ("name", "control", "truth", "gene_major")
#: Arguments of `annotate_adata`; the other entries are computed anew.
ABOUT = ("name", "source", "files", "dropped", "truth", "notes", "control")
OF_CELLS = ("latent", "latents", "outputs")  # entries of the truth with a row for each cell
#: Columns of ``obs`` and ``var`` that the package uses by name.
LABELS = ("type", "family", "donor", "condition", "perturbation", "sample", "time", "split")
OF_GENES = ("family", "truth_known")
#: Arguments that change no result.
NOT_DECISIVE = {"results", "model_file", "overwrite", "n_jobs", "verbose", "keep"}
#: Parameters of estimators that change no result.
OF_WORKERS = {"n_jobs", "verbose"}
#: What is known about our data and records besides their content: fields, and entries of these.
NOT_CONTENT = {"about", "sha256", "arguments", "keys", "seconds", "versions"}


def fingerprint(value: object) -> str:
    """Fingerprint of the content of a value.

    Values are numbers, text, arrays, tables with their names, sparse matrices, AnnData,
    estimators (by class, ``algorithm_version`` and parameters), records, functions (by their names
    and the variables that they enclose, lambdas and local ones also by their code), and containers
    of these. NaN equals NaN. Arrays of floats are compared in single precision, since sums are
    rounded in another order on other processors.

    Raises
    ------
    TypeError
        If it is anything else.
    """
    return _Fingerprint().add(value).hexdigest()


def fingerprint_arguments(function, args, kwargs) -> dict[str, str]:
    """Fingerprint of each argument of a call that can change its result, by name.

    Of an AnnData, columns of ``obs`` and entries of ``obsm`` count if the package uses them by
    name, or if an argument names them.
    """
    arguments = bound_arguments(function, args, kwargs)
    decisive = {name: arguments[name] for name in arguments if name not in NOT_DECISIVE}
    used = frozenset(_texts(list(decisive.values())))
    prints = {name: _Fingerprint(used).add(value) for name, value in decisive.items()}
    return {name: digest.hexdigest() for name, digest in prints.items()}


def bound_arguments(function, args, kwargs) -> dict[str, object]:
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


def _texts(values):
    """All texts in lists and tuples: maybe names of labels or outputs."""
    for value in values:
        if isinstance(value, str):
            yield value
        elif isinstance(value, list | tuple):
            yield from _texts(value)


class _Fingerprint:
    """A sha256 of the content of values; `used` are further labels and outputs of an AnnData."""

    def __init__(self, used=frozenset()):
        self._digest = hashlib.sha256()
        self._used = used

    def hexdigest(self):
        return self._digest.hexdigest()

    def _tag(self, *texts):
        self._digest.update(repr(texts).encode())

    def add(self, value):
        """Add a value; returns this fingerprint."""
        if value is None or isinstance(value, bool | bytes):
            self._tag("plain", value)
        elif isinstance(value, str):
            self._tag("plain", str(value))  # text of NumPy is the same
        elif isinstance(value, np.bool_):
            self._tag("plain", bool(value))
        elif isinstance(value, PurePath):
            self._tag("plain", str(value))
        elif value is pd.NA or value is pd.NaT:
            self._tag("number", "nan")
        elif isinstance(value, TIMES):
            self._tag("time", str(value))
        elif isinstance(value, Number):
            self._add_number(value)
        elif isinstance(value, types.ModuleType):
            self._tag("module", value.__name__)
        elif isinstance(value, np.ndarray):
            self._add_array(value)
        elif isinstance(value, pd.DataFrame):
            self._tag("table", value.shape)
            self._add_items([value.index, value.columns.tolist()])
            self._add_items(column.to_numpy() for _, column in value.items())
        elif isinstance(value, pd.Series | pd.Index):
            self._tag("column", value.name if isinstance(value.name, str) else repr(value.name))
            self._add_items([value.index] if isinstance(value, pd.Series) else [])
            self._add_array(value.to_numpy())
        elif sparse.issparse(value):
            self._add_matrix(value)
        elif isinstance(value, AnnData):
            self._add_anndata(value)
        elif isinstance(value, Mapping):
            self._tag("mapping", len(value))
            self._add_items([part for item in value.items() for part in item])
        elif isinstance(value, list | tuple | range):
            self._tag("sequence", len(value))
            self._add_items(value)
        elif isinstance(value, set | frozenset):
            self._tag("set", *sorted(fingerprint(item) for item in value))
        elif hasattr(value, "get_params") and not isinstance(value, type):
            self._tag("estimator", _class_of(value), getattr(value, "algorithm_version", 1))
            params = value.get_params(deep=False)
            self._add_named({name: params[name] for name in params if name not in OF_WORKERS})
            if isinstance(value, FrozenEstimator):  # which is not fitted again
                self._add_named(vars(value.estimator))
        elif is_dataclass(value) and not isinstance(value, type):
            self._tag("dataclass", _class_of(value))
            self._add_named(_content_of(value))
        elif isinstance(value, np.random.RandomState):
            self._tag("generator")
            self.add(value.get_state(legacy=False))
        elif isinstance(value, np.random.Generator):
            self._tag("generator")
            self.add(value.bit_generator.state)
        elif isinstance(value, functools.partial):
            self._tag("partial")
            self._add_items([value.func, value.args, value.keywords])
        elif inspect.isroutine(value) or isinstance(value, type | np.ufunc):
            self._add_function(value)
        elif hasattr(value, "__array__"):  # such as a tensor or an array of pandas
            self._add_array(np.asarray(value))
        elif vars(type(value)).get("__slots__") is None and hasattr(value, "__dict__"):
            self._tag("object", _class_of(value))  # such as a splitter of scikit-learn
            self._add_named(vars(value))
        else:
            raise TypeError(f"a result cannot be saved for a {type(value).__name__}: {value!r:.80}")
        return self

    def _add_number(self, value):
        """Add a number; 1 is not 1.0, which means another thing to some estimators."""
        if isinstance(value, np.generic):
            value = value.item()
        if value != value:
            value = "nan"
        self._tag("number", value)

    def _add_items(self, items):
        for item in items:
            self.add(item)
            self._tag(",")

    def _add_named(self, values):
        for name in sorted(values):
            self._tag(name)
            self.add(values[name])

    def _add_function(self, function):
        name = getattr(function, "__qualname__", "")
        self._tag("function", function.__name__, name)
        cells = getattr(function, "__closure__", None) or ()
        self._add_items([cell.cell_contents for cell in cells])
        defaults = getattr(function, "__defaults__", None)
        if defaults:
            self._add_items(defaults)
        owner = getattr(function, "__self__", None)  # of a method
        if owner is not None and not isinstance(owner, types.ModuleType):
            self.add(owner)
        if "<" in name:  # a lambda or local function, whose name says little
            self._add_code(function.__code__)

    def _add_code(self, code):
        self._tag("code", code.co_code, code.co_names)
        for constant in code.co_consts:
            if isinstance(constant, types.CodeType):
                self._add_code(constant)
            else:
                self._tag(constant)

    def _add_array(self, array):
        if array.dtype.kind not in "biuf":
            if array.ndim > 1:
                self._tag("array", array.shape)
            self.add(array.ravel().tolist())  # text as a list of text
            return
        kind = "i" if array.dtype.kind == "u" else array.dtype.kind
        self._tag("array", array.shape, kind)
        self._digest.update(_canonical_bytes(array))

    def _add_matrix(self, matrix):
        """Add values and places of what is not 0, so that dense and sparse matrices are equal."""
        matrix = sparse.csr_array(matrix, copy=True)
        matrix.sum_duplicates()
        matrix.eliminate_zeros()
        self._tag("matrix", matrix.shape)
        for part in (matrix.data, matrix.indices, matrix.indptr):
            self._digest.update(_canonical_bytes(part))

    def _add_anndata(self, adata):
        """Add names, values and what the package uses by name of an AnnData as it is now."""
        self._tag("anndata")
        self._add_measurements(adata)
        for table, names in ((adata.obs, LABELS), (adata.var, OF_GENES)):
            for name in table:
                if name in names or name in self._used:
                    self._tag(name)
                    self._add_column(table[name])
        for name in adata.obsm:
            if name in self._used or name.startswith("true_"):
                table = adata.obsm[name]
                self._tag(name, [str(column) for column in getattr(table, "columns", ())])
                self.add(_dense(table))
        about = adata.uns.get("sbnn", {})
        self._add_named({name: about[name] for name in OF_DATA if name in about})
        colors = adata.uns.get("type_colors")
        if colors is not None and "type" in adata.obs:  # colours are in the order of categories
            types_in_order = pd.Categorical(adata.obs["type"]).categories
            self._add_items([[str(name) for name in types_in_order], [str(c) for c in colors]])

    def _add_measurements(self, adata):
        """Add names of cells, genes and outputs, counts, X if it is not made of these, outputs."""
        self._add_items([adata.obs_names.tolist(), adata.var_names.tolist()])
        counts = adata.layers.get("counts")
        X = adata.X
        if counts is not None:
            self._tag("counts")
            self._add_matrix(counts)
            X = None if X is None else _expression(X, counts)
        if X is None or isinstance(X, str):
            self._tag("X", X)
        else:
            self._add_matrix(X)
        outputs = adata.obsm.get("outputs")
        if outputs is not None:
            names = getattr(outputs, "columns", range(np.shape(outputs)[1]))
            self.add([str(name) for name in names])
            self._add_array(np.asarray(_dense(outputs), float))
        for name in sorted(adata.varp):
            self._tag(name)
            self._add_matrix(adata.varp[name])

    def _add_column(self, column):
        """Add labels, whatever pandas stores them as, or numbers."""
        if pd.api.types.is_integer_dtype(column) and not column.hasnans:
            self._add_array(column.to_numpy(np.int64))
        elif pd.api.types.is_numeric_dtype(column):
            self._add_array(column.to_numpy(float, na_value=np.nan))
        else:
            self.add(column.astype(object).tolist())


def _content_of(value):
    """Fields of a dataclass, such as a record, that are its content."""
    content = {field.name: getattr(value, field.name) for field in fields(value)}
    if not type(value).__module__.startswith("sbnn."):
        return content
    for name, part in list(content.items()):
        if name in NOT_CONTENT:
            del content[name]
        elif isinstance(part, dict):
            content[name] = {key: item for key, item in part.items() if key not in NOT_CONTENT}
    if "X" in content and content.get("counts") is not None:
        content["X"] = _expression(content["X"], content["counts"])
        content["counts"] = sparse.csr_array(content["counts"])
    return content


def _expression(X, counts):
    """X, or the total of each cell if X is the logarithm of counts that are normalised to this.

    The last bits of logarithms differ between processors, counts do not.
    """
    library_size = size_of_library(X, counts)
    if library_size is None:
        return X
    for start in range(0, X.shape[0], CELLS_AT_ONCE):
        cells = slice(start, start + CELLS_AT_ONCE)
        expected = dense(log2p1(normalize_library_size(counts[cells], library_size)))
        if not np.allclose(dense(X[cells]), expected, rtol=1e-4, atol=1e-4):
            return X
    return f"log2(1 + counts / total * {library_size:.4g})"


def _dense(table):
    return table.toarray() if sparse.issparse(table) else np.asarray(table)


def _class_of(value):
    """Package and name of a class, as it may move within a package."""
    kind = type(value)
    return f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}"


def _canonical_bytes(array):
    """Bytes of numbers: whole ones as int64, others in single precision."""
    if array.dtype.kind in "biu":
        return np.ascontiguousarray(array, "<i8").tobytes()
    with np.errstate(over="ignore"):
        single = np.ascontiguousarray(array, "<f4")
    # too large for single precision, or labels and times that are no longer different
    if np.isinf(single).sum() > np.isinf(array).sum() or (
        array.ndim == 1 and len(np.unique(single)) < len(np.unique(array))
    ):
        single = np.ascontiguousarray(array, "<f8")
    single = single + 0  # 0 in place of -0
    single[np.isnan(single)] = np.nan
    return single.tobytes()


def fingerprint_of_data(adata: AnnData, columns=()) -> str:
    """Fingerprint of names, counts (or `X`), outputs, ``varp`` and some columns of ``obs``."""
    digest = _Fingerprint()
    digest._add_measurements(adata)
    for name in columns:
        if name in adata.obs:
            digest._add_column(adata.obs[name])
    return digest.hexdigest()


def annotate_adata(
    adata,
    columns=(),
    *,
    name="custom",
    source="the user's data",
    files=None,
    dropped=None,
    truth=None,
    notes=(),
    control=None,
):
    """Describe an AnnData in its ``uns["sbnn"]``, see `sbnn.paired_cells`.

    `columns` of ``obs`` belong to the fingerprint.
    """
    dropped = {why: np.asarray(what).tolist() for why, what in (dropped or {}).items()}
    truth = dict(truth or {})
    for key in OF_CELLS:
        if key in truth:
            adata.obsm[f"true_{key}"] = np.asarray(truth.pop(key))
    about = {
        "name": name,
        "source": source,
        "files": files or {},
        "dropped": {why: what for why, what in dropped.items() if what},
        "truth": truth,
        "notes": list(notes),
        "sha256": fingerprint_of_data(adata, columns),
    }
    if control is not None:
        about["control"] = control
    adata.uns["sbnn"] = about
    return adata


def annotation_arguments(adata):
    """What `annotate_adata` has written, to build the data anew."""
    about = dict(adata.uns.get("sbnn", {}))
    about = {name: about[name] for name in ABOUT if name in about}  # other versions had more
    of_cells = {key: adata.obsm.get(f"true_{key}") for key in OF_CELLS}
    known = {key: values for key, values in of_cells.items() if values is not None}
    return about | {"truth": about.get("truth", {}) | known}
