"""The experiments on gene-regulatory dynamics: what is run on which data, and where its results go.

Every function loads what is saved and computes only what is missing. Results go to
``<saved_models>/<data set>/dynamics_<experiment>.pickle``.
"""

from sbnn.data.datasets import DYNAMICS, require_study
from sbnn.dynamics import experiments
from sbnn.dynamics.experiments import CONDITIONS, SETTINGS, SWEPT
from sbnn.dynamics.methods import METHODS
from sbnn.results import load

PREFIX = "dynamics_"
SIMULATED = "simulated_grn"


def run(name, folder, *, only=None, fast=False, fresh=False, verbose=True):
    """Run the study of a data set.

    Parameters
    ----------
    name : str
    folder : Path
        Of its results.
    only : sequence of str, optional
        Methods, without the experiments that vary sparsity or size; by default everything.
    fast : bool
        One seed, few epochs, and small networks where they are drawn: to see that everything runs.
    fresh : bool
        Compute anew what is saved.
    verbose : bool

    Raises
    ------
    ValueError
        A data set of another study or an unknown one, methods that are unknown or not run on it.
    """
    require_study(name, DYNAMICS)
    unknown = sorted(set(only or ()) - METHODS.keys())
    if unknown:
        raise ValueError(f"only: unknown methods {', '.join(unknown)}; there are {', '.join(METHODS)}")
    if name not in SETTINGS:
        raise ValueError(f"data set: expected one of {', '.join(SETTINGS)}, got {name!r}")
    runs = SETTINGS[name].runs
    absent = [method for method in only or () if not any(method in methods for methods in runs.values())]
    if absent:
        there = [method for method in METHODS if any(method in methods for methods in runs.values())]
        raise ValueError(f"only: {', '.join(absent)} is not run on {name!r}; there are {', '.join(there)}")
    how = {"fresh": fresh, "fast": fast}
    for condition, methods in runs.items():
        for method in (m for m in only or methods if m in methods):
            path = folder / f"{PREFIX}{condition}_{method}.pickle"
            _tell(experiments.run_method(name, condition, method, path, **how), f"{name} {condition} {method}", verbose)
    if only is None and SETTINGS[name].swept:
        path = folder / f"{PREFIX}sparsities.pickle"
        _tell(experiments.run_sparsities(name, path, methods=SWEPT, **how), f"{name} sparsities", verbose)
    if only is None and name == SIMULATED:
        _tell(experiments.run_sizes(folder / f"{PREFIX}sizes.pickle", **how), f"{name} sizes", verbose)


def load_records(folder):
    """All results of a folder.

    Parameters
    ----------
    folder : Path

    Returns
    -------
    dict of str to Record
        By the name of the file, without ``dynamics_``.
    """
    return {path.stem.removeprefix(PREFIX): load(path) for path in sorted(folder.glob(f"{PREFIX}*.pickle"))}


def of_condition(records, condition):
    """Records of the methods under one condition, by name, in the order of `METHODS`."""
    return {name: records[f"{condition}_{name}"] for name in METHODS if f"{condition}_{name}" in records}


def conditions_of(records):
    """Conditions of which there are results, in the order of `CONDITIONS`."""
    return [condition for condition in CONDITIONS if of_condition(records, condition)]


def _tell(record, name, verbose):
    if verbose:
        shown = [c for c in ("balanced_accuracy", "auroc", "mse_ahead", "seconds") if c in record.scores]
        means = record.scores[shown].mean()
        print(f"{name}: " + ", ".join(f"{column} {means[column]:.3g}" for column in shown), flush=True)
