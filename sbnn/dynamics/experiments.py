"""The experiments of the study: every method on trajectories with known truth and on real ones, sparsities, sizes."""

import time
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import pandas as pd

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.methods import FAST, METHODS, SPARSITY
from sbnn.dynamics.model import rollouts
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

SEEDS = (0, 1, 2)
#: Standard deviation of the noise of the data, and share of misplaced edges of the prior, by their published names.
CONDITIONS = {"noise_0": (0.0, 0.0), "noise_5": (0.025, 0.05), "noise_10": (0.05, 0.1), "real": None}
SHOWN = ("imp", "dash", "sparse")  # methods of which edges and trajectories are kept for figures
DRAWN_CONDITIONS = ("noise_5", "real")
SWEPT = ("post_hoc", "imp", "biological", "dash")
SPARSITIES = (0.8, 0.9, 0.98)  # beside that of all methods
SIZES = (50, 100, 200, 350, 700, 1400)
SIZED = ("dash", "sparse")
STRONGEST = 500  # edges that are kept
TRIAL = {"n_samples": 12}  # of networks with known truth, in a trial
TRIAL_GENES = 40

_ALL = tuple(METHODS)
_SOME = tuple(name for name in METHODS if METHODS[name].kind != "penalty" and name != "phoenix")
_FEW = ("prior", "dash", "sparse")


class Setting(NamedTuple):
    """How the methods are run on a data set.

    Attributes
    ----------
    n_hidden : int
        Of PHOENIX.
    runs : dict of str to tuple of str
        Condition -> methods.
    swept : bool
        Whether the sparsity is varied as well.
    data_weight : float
        Of PHOENIX with the prior in the loss; as published.
    drawn : bool
        Whether what figures need of single fits is kept.
    """

    n_hidden: int
    runs: dict[str, tuple[str, ...]]
    swept: bool = False
    data_weight: float = 0.99
    drawn: bool = True


SETTINGS = {
    "grn_350": Setting(40, {"noise_0": _SOME, "noise_5": _ALL, "noise_10": _SOME}, swept=True),
    "grn_690": Setting(40, {"noise_5": _FEW}, drawn=False),
    "simulated_grn": Setting(40, {"noise_5": _SOME}),
    "yeast_pramila": Setting(120, {"real": _ALL}, data_weight=0.8),
    "breast_desmedt": Setting(300, {"real": _ALL}, data_weight=0.999),
}


@lru_cache(maxsize=4)
def load(name, condition, seed, fast=False):
    """Data of a condition; what is simulated of it, and the prior, follow from the seed.

    Parameters
    ----------
    name : str
        A key of `SETTINGS`.
    condition : str
        A key of `CONDITIONS`.
    seed : int
    fast : bool
        A trial: few samples, and few genes where the network is drawn.

    Returns
    -------
    GeneDynamics
    """
    options = {}
    if CONDITIONS[condition] is not None:
        noise, wrong = CONDITIONS[condition]
        options = {"noise": noise, "wrong": wrong, "random_state": seed} | (TRIAL if fast else {})
        if fast and name == "simulated_grn":
            options["n_genes"] = TRIAL_GENES
    return load_dataset(name, verbose=False, **options)


def make(name, condition, method, seed, sparsity=SPARSITY, fast=False):
    """Estimator of a method for a data set; the prior counts less where there is no noise, as published."""
    setting = SETTINGS[name]
    influence = (0.05, 0.01) if condition == "noise_0" else (0.5, 0.05)
    recipe = FAST if fast else {}
    if method == "phoenix":
        recipe = recipe | {"data_weight": setting.data_weight}
    return METHODS[method].make(
        n_hidden=setting.n_hidden, influence=influence, sparsity=sparsity, random_state=seed, **recipe
    )


def score(model, data):
    """Fit to the trajectories of a data set, and compare with its truth and its test trajectories.

    Parameters
    ----------
    model : estimator
    data : GeneDynamics

    Returns
    -------
    dict of str to float
        As of `edge_accuracy`, where there is a truth, and `path_errors`; ``sparsity`` and CPU ``seconds`` of the fit.
    """
    started = time.process_time()
    model.fit(data[data.obs["split"] == "train"], prior_of(data))
    row = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if (truth := truth_of(data)) is not None:
            confidence = getattr(model, "edge_probabilities_", None)
            row |= edge_accuracy(model.edge_scores_, truth, prior_of(data), confidence)
        return row | path_errors(model, held_out(data))


def held_out(data):
    """`Samples` to test on."""
    return as_trajectories(data[data.obs["split"] == "test"])


def run_method(name, condition, method, results=None, fresh=False, fast=False, seeds=None):
    """Score a method under one condition.

    Parameters
    ----------
    name, condition, method : str
        Keys of `SETTINGS`, `CONDITIONS` and `METHODS`.
    results : path-like, optional
    fresh, fast : bool
    seeds : sequence of int, optional
        Of the method, and of what is simulated; by default `SEEDS`.

    Returns
    -------
    Record
        ``scores``: a row for each seed, as of `score`. ``out_degree``, shape (genes,): targets of each gene, first
        seed. Where it is drawn, of methods of `SHOWN` also ``edges``, the strongest of them, and ``predicted``, shape
        (samples, times, genes), the test trajectories followed from their start. Of the prior alone these themselves,
        ``test`` with ``times`` and ``gene_names``, and ``true_out_degree`` where the truth is known.
    """
    seeds = _seeds(seeds, fast)
    wanted = _wanted("dynamics methods", name, [(condition, seed) for seed in seeds], fast)
    wanted.params, wanted.settings = [{"method": method}], {"condition": condition, "seeds": list(seeds), "version": 1}

    def compute():
        rows, first = [], {}
        for seed in seeds:
            data, model = load(name, condition, seed, fast), make(name, condition, method, seed, fast=fast)
            rows.append({"seed": seed} | score(model, data))
            drawn = SETTINGS[name].drawn and condition in DRAWN_CONDITIONS
            first = first or _shown(model, data, method if drawn else None)
        return {"scores": pd.DataFrame(rows)} | first

    example = make(name, condition, method, None, fast=fast)
    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def run_sparsities(name, results=None, fresh=False, fast=False, methods=SWEPT, sparsities=SPARSITIES, seeds=None):
    """Score methods of pruning at several sparsities, with noise.

    Parameters
    ----------
    name : str
    results, fresh, fast, seeds
        As for `run_method`.
    methods : sequence of str
    sparsities : sequence of float

    Returns
    -------
    Record
        ``scores``: a row for each method, ``asked`` sparsity and seed.
    """
    seeds, condition = _seeds(seeds, fast), "noise_5"
    methods, sparsities = (methods[-1:], sparsities[-1:]) if fast else (methods, sparsities)
    wanted = _wanted("dynamics sparsities", name, [(condition, seed) for seed in seeds], fast)
    wanted.settings = {"seeds": list(seeds), "methods": list(methods), "sparsities": list(sparsities), "version": 1}

    def compute():
        rows = []
        for method in methods:
            for sparsity in sparsities:
                for seed in seeds:
                    model = make(name, condition, method, seed, sparsity, fast)
                    row = score(model, load(name, condition, seed, fast))
                    rows.append({"method": method, "asked": sparsity, "seed": seed} | row)
        return {"scores": pd.DataFrame(rows)}

    example = make(name, condition, methods[-1], None, fast=fast)
    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def run_sizes(results=None, fresh=False, fast=False, methods=SIZED, sizes=SIZES):
    """Score methods on random networks of several sizes; what they cost.

    Parameters
    ----------
    results, fresh, fast
        As for `run_method`.
    methods : sequence of str
    sizes : sequence of int
        Genes.

    Returns
    -------
    Record
        ``scores``: a row for each method and number of genes.
    """
    name, condition, seed = "simulated_grn", "noise_5", 0
    sizes = (20, TRIAL_GENES) if fast else sizes
    noise, wrong = CONDITIONS[condition]
    options = {"noise": noise, "wrong": wrong, "random_state": seed} | (TRIAL if fast else {})
    wanted = Record("dynamics sizes", name, fingerprint_parameters(options), [{"methods": list(methods)}])
    wanted.settings = {"sizes": list(sizes), "version": 1}

    def compute():
        rows = []
        for n_genes in sizes:
            data = load_dataset(name, verbose=False, n_genes=n_genes, **options)
            for method in methods:
                row = score(make(name, condition, method, seed, fast=fast), data)
                rows.append({"method": method, "genes": n_genes} | row)
        return {"scores": pd.DataFrame(rows)}

    example = make(name, condition, methods[0], None, fast=fast)
    return load_or_compute(wanted, compute, results, fresh, estimator=example)


def _seeds(seeds, fast):
    if seeds is None:
        return SEEDS[:1] if fast else SEEDS
    return tuple(seeds)


def _wanted(experiment, name, parts, fast):
    """A record without values, of the data of all conditions and seeds."""
    sha256 = [load(name, condition, seed, fast).uns["sbnn"]["sha256"] for condition, seed in parts]
    return Record(experiment, name, fingerprint_parameters({"data": sha256}), [{}])


def _shown(model, data, method):
    """What figures need of one fit."""
    scores, test, truth = model.edge_scores_.to_numpy(), held_out(data), truth_of(data)
    shown = {"out_degree": np.count_nonzero(scores, axis=1).astype(np.int32)}
    if method == "prior":
        shown |= {"test": np.stack(test.values).astype(np.float32), "times": np.stack(test.times)}
        shown |= {"gene_names": test.gene_names}
        if truth is not None and len(truth) == data.n_vars:
            shown["true_out_degree"] = np.count_nonzero(truth, axis=1).astype(np.int32)
    if method in SHOWN:
        with reproducible():
            predicted = np.stack(rollouts(model, test.values, test.times))
        shown |= {"edges": _strongest(scores, data), "predicted": predicted.astype(np.float32)}
    return shown


def _strongest(scores, data):
    """The edges with the largest scores, and what prior and truth say of each; DataFrame."""
    names = data.var_names.to_numpy(str)
    order = np.argsort(-np.abs(scores), axis=None, kind="stable")[: min(STRONGEST, np.count_nonzero(scores))]
    regulator, target = np.unravel_index(order, scores.shape)
    table = {"regulator": names[regulator], "target": names[target], "score": scores[regulator, target]}
    table["in_prior"] = data.varp["prior"][regulator, target] != 0
    if "truth" in data.varp:
        truth = data.varp["truth"]  # NaN of genes of which nothing is known
        table["true"] = np.where(np.isnan(truth), np.nan, truth != 0)[regulator, target]
    return pd.DataFrame(table)
