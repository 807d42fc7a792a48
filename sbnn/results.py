"""Records of experiments, which are saved atomically and loaded without running any code."""

import importlib.metadata
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from sbnn.store import ENDING, read_file, write_file

__all__ = ["Record", "SavedResults", "load", "load_folder", "results_folder", "save"]

LIBRARIES = ("sbnn", "numpy", "pandas", "scipy", "scikit-learn", "torch")

#: Parameters that say which model it is, whether a grid varies them or not.
MAIN_PARAMETERS = ("n_components", "rank", "n_genes", "alpha")
STACKED = "sbnn.StackedRegressor"

Fold = tuple[np.ndarray, np.ndarray]  # positions of training and of test cells


def library_versions() -> dict[str, str]:
    """Versions of libraries and, if torch is loaded, its instruction set."""
    versions = {name: importlib.metadata.version(name) for name in LIBRARIES}
    versions["python"] = platform.python_version()
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
        The estimator, the scaling and other settings, for tables.
    folds : list of tuple of ndarray
        ``(train, test)`` positions of the cells; empty without cross-validation.
    values : dict
        Arrays, DataFrames, and lists and dicts of these, which are also attributes:
        ``record.test_r2`` is ``record.values["test_r2"]``.
    versions : dict of str to str
        Library versions, see `library_versions`.
    arguments : dict
        Fingerprint of each argument of the call that computed the result, or a list of those of all
        fits; see `sbnn.data.fingerprint.fingerprint`.

    Examples
    --------
    >>> from sbnn import results
    >>> record = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> record.find(n_components=2), record.test_r2.shape
    (1, (10, 7))
    """

    experiment: str
    dataset: str
    sha256: str
    params: list[dict[str, Any]]
    seed: int | None = None
    settings: dict[str, Any] = field(default_factory=dict)
    folds: list[Fold] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=library_versions)
    arguments: dict[str, Any] = field(default_factory=dict)

    def __getattr__(self, name: str) -> Any:
        # `values` may be missing while unpickling or copying
        values = self.__dict__.get("values", {})
        if name not in values:
            raise AttributeError(f"this record has no {name!r}; it holds {sorted(values)}")
        return values[name]

    def __repr__(self) -> str:
        return f"<Record {self.experiment!r} on {self.dataset!r}: {sorted(self.values)}>"

    def to_frame(self) -> pd.DataFrame:
        """Table with one row per fold and grid point.

        The columns are ``fold``, the parameters, and every value with one number in each row.
        """
        n_folds = max(len(self.folds), 1)
        n_points = len(self.params)
        rows = [{"fold": fold, **point} for point in self.params for fold in range(n_folds)]
        table = pd.DataFrame(rows)
        for name, value in self.values.items():
            if isinstance(value, np.ndarray) and value.shape == (n_folds, n_points):
                table[name] = value.T.ravel()
        return table

    def parameter(self, point: int, name: str) -> Any:
        """Value of a parameter at a grid point, or in the estimator if the grid has one value."""
        estimator = self.settings.get("estimator", {})
        usual = estimator.get("params", {}).get(name)
        return self.params[point].get(name, usual)

    def points(self, **params: object) -> list[int]:
        """Positions of all grid points with these parameters; numbers are compared to 9 digits."""
        points = list(range(len(self.params)))
        for name, value in plain_params(params).items():
            points = [point for point in points if same_value(self.parameter(point, name), value)]
        return points

    def find(self, **params: object) -> int:
        """Position of the only grid point with these parameters; if there is not one, all listed.

        Without parameters, the record must have a single grid point.
        """
        hits = self.points(**params)
        if len(hits) == 1:
            return hits[0]
        asked = f"with {_params_text(params)}" if params else "without parameters"
        listed = [self.params[point] for point in hits or range(len(self.params))]
        texts = "; ".join(_params_text(point) for point in listed)
        first = listed[0]
        raise ValueError(
            f"record: expected one grid point {asked}, got {len(hits)}; choose one of {texts}, as "
            f"in point=record.find({_params_text(first)}), or (record, {first}) for a figure"
        )

    def describe(self, point: int) -> str:
        """Class and main parameters of a grid point, such as ``Ridge(alpha=1.0)``."""
        estimator = self.settings.get("estimator", {"class": "model"})
        name = estimator["class"].split(".")[-1]
        shown = {}
        for parameter in MAIN_PARAMETERS:
            value = self.parameter(point, parameter)
            if value is not None:
                shown[parameter] = value
        text = _params_text(shown | self.params[point])
        return f"{name}({text})" if text else name

    def n_genes(self, point: int) -> int:
        """Number of genes that a grid point predicts from, the rounded mean over the folds."""
        estimator = self.settings.get("estimator", {})
        # its map has selected genes, and its prediction takes all
        is_stacked = estimator.get("class") == STACKED
        if "n_selected" in self.values and not is_stacked:
            return round(self.n_selected[:, point].mean())
        if "preselected" in self.values:
            return round(self.preselected.sum(-1).mean())
        return len(self.gene_names)

    def best_with_at_most(self, n_genes: int, **params: object) -> int:
        """Position of the grid point with the most selected genes, but at most `n_genes`.

        Numbers of genes are rounded means over the folds. If all have more genes, that with the
        fewest is taken. Ties go to the first.
        """
        hits = self.points(**params)
        genes = self.n_selected[:, hits].mean(0)  # (n_hits,)
        # numbers above `n_genes` come last, the smallest first
        order = np.where(genes.round() <= n_genes, genes, -genes)
        return hits[np.argmax(order)]


def _params_text(params: Mapping[str, Any]) -> str:
    """Parameters as in a call."""
    return ", ".join(f"{name}={value!r}" for name, value in params.items())


def list_differences(saved: dict[str, Any], expected: dict[str, Any]) -> list[str]:
    """Names of the entries that differ between a saved dict and the expected one."""
    return [name for name in expected | saved if expected.get(name) != saved.get(name)]


def plain_params(point: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as stored: an array as a list."""
    params = dict(point)
    for name, value in point.items():
        if isinstance(value, np.ndarray):
            params[name] = value.tolist()
    return params


def same_value(a: Any, b: Any) -> bool:
    """Whether values of a parameter are equal to 9 digits; a list is a tuple, NaN equals NaN."""
    if isinstance(a, float | int) and isinstance(b, float | int):
        return bool(np.isclose(a, b, rtol=1e-9, atol=0, equal_nan=True))
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same_value, a, b))
    return a == b


def results_folder(saved_models: str | PathLike[str], dataset: str, fast: bool = False) -> Path:
    """Folder of the results of a data set; quick runs have their own.

    Examples
    --------
    >>> from sbnn import results
    >>> results.results_folder("saved_models", "scala", fast=True).as_posix()
    'saved_models/scala-fast'
    """
    return Path(saved_models, f"{dataset}-fast" if fast else dataset)


@dataclass(frozen=True)
class SavedResults:
    """A folder in which each result has a name: computed once, loaded from then on.

    Parameters
    ----------
    folder : str or path-like
        Such as `results_folder` gives; it is created when the first result is saved.
    overwrite : bool
        Whether results that are there are computed anew.

    Examples
    --------
    >>> import sbnn
    >>> from sbnn.results import SavedResults
    >>> saved = SavedResults("mine")
    >>> data, ridge = sbnn.simulate_patchseq(n_cells=60), sbnn.LeaveOneOutRidge()
    >>> scores = saved.compute("cv_ridge", sbnn.cross_validate, ridge, data, 3, verbose=False)
    >>> scores.test_r2.shape
    (3, 1)
    """

    folder: str | PathLike[str]
    overwrite: bool = False

    def compute(
        self, name: str, function: Callable[..., Record], *arguments: Any, **options: Any
    ) -> Record:
        """Return what a function returns, loaded if it was computed from the same arguments.

        Parameters
        ----------
        name : str
            Name of the result, which is that of its file.
        function : callable
            One that takes `results` and `overwrite`, such as `cross_validate`, `fit_full` or
            `stability_selection`.
        *arguments, **options
            Those of the function.

        Returns
        -------
        Record

        Raises
        ------
        ValueError
            If the result with this name was computed from other arguments, which the message
            names, or if the name has a folder.
        """
        if not isinstance(name, str) or not name or Path(name).name != name:
            raise ValueError(f"name must be that of a file without its folder, got {name!r}")
        path = Path(self.folder, f"{name}{ENDING}")
        return function(*arguments, **options, results=path, overwrite=self.overwrite)


def save(record: Record, path: str | PathLike[str]) -> Path:
    """Write a record to a file atomically.

    An existing file stays unchanged if the run is killed or the disk is full.

    Parameters
    ----------
    record : Record
    path : str or path-like
        Usually ``saved_models/<dataset>/<experiment>.pickle.xz``; missing folders are created.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    OSError
        If the file cannot be written.
    ValueError
        If the record contains anything but data, or data that a file would not give back, or if
        there is another file that is no record.
    """
    write_file(vars(record), path)
    return Path(path)


def check_record(argument: str, value: Any) -> None:
    """Reject what is no record, such as the path of one."""
    if not isinstance(value, Record):
        raise TypeError(
            f"{argument}: expected a Record, got {value!r:.80}; sbnn.results.load(path) reads one"
        )


def load(path: str | PathLike[str]) -> Record:
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
        If the file is damaged, no record, or one of sbnn 1.0 or earlier.

    Examples
    --------
    >>> from sbnn import results
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle.xz")
    >>> f"{ridge.test_r2.mean():.3f}"
    '0.449'
    """
    return read_file(path, build=_build_record)


def _build_record(entries):
    record = Record(**entries)
    for name in ("settings", "values", "versions", "arguments"):
        if not isinstance(getattr(record, name), dict):
            raise ValueError(f"its {name} are no dict")
    return record


def load_folder(
    folder: str | PathLike[str],
    prefix: str = "",
    data_of: Callable[[Record], Any] = lambda record: (record.dataset, record.sha256),
) -> dict[str, Record]:
    """Read all records of a folder, by their file names without `prefix` and extension.

    Records for which the function `data_of` differs raise a ValueError; None is accepted with any
    others. Without records, a FileNotFoundError is raised.
    """
    records = {}
    for path in sorted(Path(folder).glob(f"{prefix}*{ENDING}")):
        if path.name.startswith("."):  # macOS writes such a file beside each one on foreign disks
            continue
        name = path.name.removesuffix(ENDING).removeprefix(prefix)
        records[name] = load(path)
    if not records:
        raise FileNotFoundError(f"no results in {Path(folder, prefix)}; run the notebooks first")
    data_sets = {data_of(record) for record in records.values()} - {None}  # None fits any data
    if len(data_sets) > 1:
        raise ValueError(
            f"{folder} has results of several data sets: {sorted(data_sets)}; keep one of them"
        )
    return records


def records_by_name(
    records: Mapping[str, Record], prefix: str, names: Iterable[str]
) -> dict[str, Record]:
    """Records called ``<prefix>_<name>``, by name, in the order of the names."""
    named = {}
    for name in names:
        record = records.get(f"{prefix}_{name}")
        if record is not None:
            named[name] = record
    return named
