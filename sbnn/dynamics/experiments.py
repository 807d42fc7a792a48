"""The experiments of the study: every method on trajectories with known truth and on real ones, sparsities, sizes."""

import time
from dataclasses import replace
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.trajectories import as_trajectories, prior_matrix
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.model import PhoenixRegressor
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor
from sbnn.dynamics.training import Recipe, Schedule
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

#: Name of a method -> its label in tables and figures, in their order.
METHODS = {
    "prior": "the prior alone", "none": "PHOENIX", "phoenix": "PHOENIX, prior in the loss", "c_node": "C-NODE",
    "l0": "L0", "path_reg": "PathReg", "post_hoc": "post hoc", "imp": "IMP", "biological": "BioPruning",
    "dash": "DASH", "sparse": "SparseRegulation",
}  # fmt: skip
SPARSITY = 0.955  # about that of the published results of DASH
PRIOR_POINTS = 1000  # at which PHOENIX is compared with the prior: a tenth of the published number, and of its cost
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
#: A quick run: training, samples of networks with known truth, and their genes where the network is drawn.
FAST = {"epochs": 8, "schedule": Schedule(first_epoch=1, every=1, share=0.5), "fine_tuning": 2, "n_prior_points": 100}
FAST_DATA = {"n_samples": 12}
FAST_GENES = 40

_SOME = ("prior", "none", "post_hoc", "imp", "biological", "dash", "sparse")


class Setting(NamedTuple):
    """How the methods are run on a data set."""

    n_hidden: int  # of PHOENIX
    runs: dict[str, tuple[str, ...]]  # methods by condition
    swept: bool = False  # whether sparsities are varied
    data_weight: float = 0.99  # of PHOENIX with the prior in the loss; as published
    drawn: bool = True  # whether what figures need of single fits is kept


SETTINGS = {
    "grn_350": Setting(40, {"noise_0": _SOME, "noise_5": tuple(METHODS), "noise_10": _SOME}, swept=True),
    "grn_690": Setting(40, {"noise_5": ("prior", "dash", "sparse")}, drawn=False),
    "simulated_grn": Setting(40, {"noise_5": _SOME}),
    "yeast_pramila": Setting(120, {"real": tuple(METHODS)}, data_weight=0.8),
    "breast_desmedt": Setting(300, {"real": tuple(METHODS)}, data_weight=0.999),
}


class PriorAlone(BaseEstimator):
    """What is had without any learning: the prior for the network, and samples that stay as they are."""

    def fit(self, trajectories, prior):
        """Keep the prior."""
        names = trajectories.var_names
        self.edge_scores_ = pd.DataFrame(prior_matrix(prior, names), names, names)
        self.sparsity_ = float((self.edge_scores_.to_numpy() == 0).mean())
        return self

    def predict(self, x0, times):
        """Repeat the start; (samples, times, genes)."""
        return np.repeat(np.asarray(x0, dtype=float)[:, None], np.shape(times)[-1], axis=1)


def make(name, condition, method, seed, sparsity=SPARSITY, fast=False):
    """Estimator of a method for a data set; the prior counts less where there is no noise, as published."""
    if method == "prior":
        return PriorAlone()
    if method == "sparse":
        return SparseRegulationRegressor(1) if fast else SparseRegulationRegressor()
    setting, recipe = SETTINGS[name], Recipe()
    if method == "phoenix":
        recipe = replace(recipe, data_weight=setting.data_weight, n_prior_points=PRIOR_POINTS)
    if fast:
        recipe = replace(recipe, **FAST)
    influence = (0.05, 0.01) if condition == "noise_0" else (0.5, 0.05)
    pruning = "none" if method == "phoenix" else method
    return PhoenixRegressor(setting.n_hidden, pruning, sparsity, influence, recipe, random_state=seed)


def experiments(dataset, fast, n_jobs):
    """Record name -> ``call(path, fresh)``, of a data set of `SETTINGS`."""
    setting = SETTINGS[dataset]
    pairs = [(condition, method) for condition, methods in setting.runs.items() for method in methods]
    planned = {
        f"{condition}_{method}": partial(run_method, dataset, condition, method, fast) for condition, method in pairs
    }
    if setting.swept:
        planned["sparsities"] = partial(run_sparsities, dataset, fast)
    if dataset == "simulated_grn":
        planned["sizes"] = partial(run_sizes, fast)
    return planned


@lru_cache(maxsize=4)
def load(name, condition, seed, fast=False, n_genes=None):
    """Data of a condition; what is simulated of it, and the prior, follow from the seed."""
    n_genes = n_genes or (FAST_GENES if fast and name == "simulated_grn" else None)
    size = {"n_genes": n_genes} if n_genes else {}
    return load_dataset(name, verbose=False, **_options(condition, seed, fast), **size)


def _options(condition, seed, fast):
    if condition == "real":
        return {}
    noise, wrong = CONDITIONS[condition]
    return {"noise": noise, "wrong": wrong, "random_state": seed} | (FAST_DATA if fast else {})


def held_out(data):
    """Values (samples, times, genes) and times (samples, times) to test on."""
    samples = as_trajectories(data[data.obs["split"] == "test"])
    return np.stack(samples.values), np.stack(samples.times)


def score(model, data):
    """Fit to a data set: `edge_accuracy` if there is a truth, `path_errors`, sparsity and CPU seconds of the fit."""
    train, prior, truth = data[data.obs["split"] == "train"], prior_of(data), truth_of(data)
    started = time.process_time()
    model.fit(train, prior)
    row = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if truth is not None:
            row |= edge_accuracy(model.edge_scores_, truth, prior, getattr(model, "edge_probabilities_", None))
        return row | path_errors(model, *held_out(data))


def run_method(name, condition, method, fast, path=None, fresh=False):
    """Record of a method under one condition: ``scores``, a row for each seed, and of the first seed what is drawn."""
    seeds = SEEDS[:1] if fast else SEEDS
    data = _data_of(name, condition, seeds, fast)
    wanted = _wanted("methods", name, data, {"method": method}, condition=condition, seeds=list(seeds))

    def compute():
        rows, first = [], {}
        for seed in seeds:
            data, model = load(name, condition, seed, fast), make(name, condition, method, seed, fast=fast)
            rows.append({"seed": seed} | score(model, data))
            drawn = SETTINGS[name].drawn and condition in DRAWN_CONDITIONS
            first = first or _shown(model, data, method if drawn else None)
        return {"scores": pd.DataFrame(rows)} | first

    return load_or_compute(wanted, compute, path, fresh, estimator=make(name, condition, method, None, fast=fast))


def run_sparsities(name, fast, path=None, fresh=False):
    """Record of ways of pruning at several sparsities, with noise: a row per method, ``asked`` sparsity and seed."""
    seeds, condition = SEEDS[:1] if fast else SEEDS, "noise_5"
    methods, sparsities = (SWEPT[-1:], SPARSITIES[-1:]) if fast else (SWEPT, SPARSITIES)
    settings = {"seeds": list(seeds), "methods": list(methods), "sparsities": list(sparsities)}
    wanted = _wanted("sparsities", name, _data_of(name, condition, seeds, fast), {}, **settings)
    fits = [{"method": m, "asked": asked, "seed": seed} for m, asked, seed in product(methods, sparsities, seeds)]
    compute, example = (
        partial(_scores, name, condition, fast, fits),
        make(name, condition, methods[-1], None, fast=fast),
    )
    return load_or_compute(wanted, compute, path, fresh, estimator=example)


def run_sizes(fast, path=None, fresh=False):
    """Record of methods on random networks of several sizes, and of their cost: a row for each method and size."""
    name, condition, sizes = "simulated_grn", "noise_5", (20, FAST_GENES) if fast else SIZES
    wanted = _wanted("sizes", name, _options(condition, 0, fast), {"methods": list(SIZED)}, sizes=list(sizes))
    fits = [{"method": method, "genes": genes} for genes, method in product(sizes, SIZED)]
    compute, example = partial(_scores, name, condition, fast, fits), make(name, condition, SIZED[0], None, fast=fast)
    return load_or_compute(wanted, compute, path, fresh, estimator=example)


def _scores(name, condition, fast, fits):
    rows = []
    for fit in fits:
        seed = fit.get("seed", 0)
        model = make(name, condition, fit["method"], seed, fit.get("asked", SPARSITY), fast)
        rows.append(fit | score(model, load(name, condition, seed, fast, fit.get("genes"))))
    return {"scores": pd.DataFrame(rows)}


def _data_of(name, condition, seeds, fast):
    """Fingerprints of the data of all seeds."""
    return {"data": [load(name, condition, seed, fast).uns["sbnn"]["sha256"] for seed in seeds]}


def _wanted(kind, name, data, params, **settings):
    """A record without values, known by what decides the data."""
    sha256 = fingerprint_parameters(data)
    return Record(f"dynamics {kind}", name, sha256, [params], settings=settings | {"version": 1})


def _shown(model, data, method):
    """What figures need of one fit."""
    (values, times), truth = held_out(data), truth_of(data)
    shown = {"out_degree": np.count_nonzero(model.edge_scores_, axis=1).astype(np.int32)}
    if method == "prior":
        shown |= {"test": values.astype(np.float32), "times": times, "gene_names": data.var_names.to_numpy(str)}
        if truth is not None and len(truth) == data.n_vars:
            shown["true_out_degree"] = np.count_nonzero(truth, axis=1).astype(np.int32)
    if method in SHOWN:
        predicted = model.predict(values[:, 0], times).astype(np.float32)
        shown |= {"edges": strongest(model.edge_scores_, data), "predicted": predicted}
    return shown


def strongest(edge_scores, data):
    """The edges with the largest scores, and whether prior and truth have them; DataFrame."""
    table = edge_scores.rename_axis(index="regulator", columns="target").stack().rename("score").reset_index()
    table["in_prior"] = data.varp["prior"].ravel() != 0
    if "truth" in data.varp:
        truth = data.varp["truth"].ravel()  # NaN of genes of which nothing is known
        table["true"] = np.where(np.isnan(truth), np.nan, truth != 0)
    found = table[table["score"] != 0]
    return found.sort_values("score", key=lambda score: -score.abs(), kind="stable")[:STRONGEST].reset_index(drop=True)
