"""The experiments of the project: which models are run on a data set, and where their results go.

Every function loads what is saved and computes only what is missing, so the notebooks can be run top to bottom at any
time. Results go to ``<saved_models>/<data set>/<experiment>.pickle``.
"""

from functools import partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters
from sbnn.data.paired import as_paired
from sbnn.data.preselection import with_preselected
from sbnn.data.simulate import simulate_patchseq
from sbnn.evaluation.fits import fit_full, genes_curve, repeat_fits, stability_selection
from sbnn.evaluation.folds import paper_folds, split_and_scale
from sbnn.evaluation.identity import described, version_of
from sbnn.evaluation.interpretation import interpret
from sbnn.evaluation.runs import load_or_compute
from sbnn.evaluation.stability import selection_table
from sbnn.models.bottleneck.estimator import NUMBERS, SparseBottleneckRegressor
from sbnn.models.bottleneck.settings import DistilledSettings
from sbnn.models.linear import LeaveOneOutRidge, SparseReducedRankRegression
from sbnn.results import Record, load
from sbnn.study import published

SEED = 42
N_GENES = 25
NOISES = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)  # SD of simulated noise in SD of the noise-free output
LASSO = 0.1  # the strength of the group lasso that the paper settled on
STANDARD = {"pretraining": True, "group_lasso": LASSO}  # of the published network, where it varies
WIDTHS = (1, 2, 4, 6, 8, 10, 64)  # of the bottleneck
PENALTIES = [float(f"{2 * 0.9**k:.3g}") for k in range(36)]  # of sRRR, dense enough to meet any number of genes
ALPHAS = {"scala": [round(0.1 * k, 1) for k in range(19, 0, -1)]}  # the published ones
MAPS = (2, 64)  # widths of the networks that are fitted to all cells and shown as maps
LEAK = "scaled_over_all_cells"  # ending of the experiments that repeat the published scaling
THREE_FOLDS = f"cv_network_three_folds_{LEAK}"  # where published numbers are those of folds of a third of the cells
FAST = {"hidden_layers": (32, 16), "epochs": (2, 3, 3, 4)}  # enough to see that everything runs
FAST_DISTILLATION = DistilledSettings(steps_of_teachers=50, steps_of_student=100)
CITESEQ = ("stoeckius", "citeseq_cd8", "pbmc_5k_protein", "pbmc_10k_protein")


class CrossValidation(NamedTuple):
    """An estimator, its grid, and the folds and the scaling it is cross-validated with."""

    estimator: object
    param_grid: dict
    folds: list
    scaling: str = "fold"


def load_for(data, path):
    """A record that further work starts from; an error if it is of other data."""
    record = load(path)
    if (record.dataset, record.sha256) != (data.name, data.sha256):
        raise ValueError(f"{path} is of other data than the {data.name!r} that is given; compute it anew first")
    return record


def network(data, fast=False, n_genes=None, **params):
    """The network for z-scored data, trained by the published protocol unless `params` name another."""
    # The data arrive z-scored from the cross-validation, and a GPU would change the last bits.
    fixed = {"standardize": False, "device": "cpu", "random_state": SEED}
    fixed["n_genes"] = min(n_genes or N_GENES, data.n_genes)
    if params.get("protocol", "paper") == "paper":
        fixed |= {"protocol": "paper", "hidden_layers": (512, 128)} | (FAST if fast else {})
    elif fast:
        fixed |= {"hidden_layers": FAST["hidden_layers"], "distillation": FAST_DISTILLATION}
    return SparseBottleneckRegressor(**fixed | params)


def ranks(data):
    """The ranks that were published, for other data sets 2 and full rank."""
    full = min(data.n_outputs, data.n_genes)
    return sorted({min(rank, full) for rank in published.srrr_genes(data.name) or (2, full)})


def cross_validations(data, fast=False):
    """The cross-validations of a data set, by name: the paper's models, the default network, and ridge."""
    lassos = [0.01, 0.1] if fast else [1e-4, 1e-2, 1e-1, 1.0]
    # Falling, so that the CPU seconds of each include its own work only.
    alphas = [0.8, 0.4, 0.2] if fast else ALPHAS.get(data.name, PENALTIES)
    model, default = network(data, fast), network(data, fast, protocol="distilled")
    strategies = {"n_components": [2, 64], "pretraining": [True, False]}
    # Nothing is squeezed by a bottleneck wider than the outputs; 64 is the paper's network without one.
    widths = [2, 4] if fast else [d for d in WIDTHS if d <= max(2, data.n_outputs) or d == 64]
    others = {"n_components": [d for d in widths if d not in MAPS]}
    usual = [{**strategies, "group_lasso": [LASSO]}, {**others, "pretraining": [True], "group_lasso": [LASSO]}]
    if not (known := published.rows(data.name, data.n_genes)):
        # The curves of the figures need every strength of the group lasso once.
        usual.append({"n_components": [2, 64], "pretraining": [True], "group_lasso": [a for a in lassos if a != LASSO]})
    ridge = LeaveOneOutRidge(), {}
    srrr = SparseReducedRankRegression(relaxed=True), {"rank": ranks(data), "alpha": alphas}
    few = 2 if fast else None
    folds = paper_folds(data.n_cells)[:few]
    specs = {
        "cv_network": CrossValidation(model, usual, folds),
        "cv_default": CrossValidation(default, {"n_components": widths}, folds),
        "cv_srrr": CrossValidation(*srrr, folds),
        "cv_ridge": CrossValidation(*ridge, folds),
    }
    if known:
        leaky = {"network": (model, {**strategies, "group_lasso": lassos}), "srrr": srrr, "ridge": ridge}
        specs |= {f"cv_{name}_{LEAK}": CrossValidation(*one, folds, "all") for name, one in leaky.items()}
    if thirds := {row["n_components"] for row in published.rows(data.name, data.n_genes, folds=3)}:
        grid = {"n_components": sorted(thirds), "pretraining": [True], "group_lasso": lassos}
        specs[THREE_FOLDS] = CrossValidation(model, grid, paper_folds(data.n_cells, 3)[:few], "all")
    return specs


def saved(run, path, fresh):
    """An experiment of a function of `sbnn.evaluation`."""
    return run(results=path, overwrite=fresh)


def fits(data, fast, n_jobs):
    """The models of all cells that the maps show, and fits again with other seeds and to halves of them; after `cv`."""
    model, default = network(data, fast), network(data, fast, protocol="distilled")
    planned = {}
    for (name, estimator), d in product({"network": model, "default": default}.items(), MAPS):
        wide = clone(estimator).set_params(n_components=d, reconstruct=True)
        planned[f"fit_{name}_{d}d"] = partial(saved, partial(fit_full, wide, data, seed=SEED))
    planned |= {f"fit_srrr_rank{rank}": partial(_fit_srrr, data, rank) for rank in ranks(data)}
    n_repeats, n_pairs = (3, 2) if fast else (10, 25)
    repeats = partial(repeat_fits, model, data, n_repeats, n_jobs=n_jobs)
    halves = partial(stability_selection, default, data, n_pairs, n_jobs=n_jobs, seed=SEED)
    return planned | {"repeats_network": partial(saved, repeats), "halves_default": partial(saved, halves)}


def _fit_srrr(data, rank, path, fresh):
    # The penalty that kept about as many genes as the network in the cross-validation.
    record = load_for(data, path.with_name("cv_srrr.pickle"))
    model = SparseReducedRankRegression(**record.params[record.within_genes(N_GENES, rank=rank)])
    return fit_full(model, data, results=path, overwrite=fresh, seed=SEED)


def run_genes_curve(data, path, fresh=False, *, folds=None, preselect=None, fast=False, n_jobs=1):
    """Test R2 of the default network with few to many genes, and with a number that it chooses itself; or load it."""
    model = network(data, fast, protocol="distilled", n_components=2)
    numbers, folds = (2, 5) if fast else NUMBERS, folds or (2 if fast else 5)
    how = {"nested": not fast, "n_jobs": n_jobs, "overwrite": fresh, "preselect": preselect, "seed": SEED}
    return genes_curve(data, model, numbers, folds, results=path, **how)


def run_interpretation(data, path, fresh=False, *, preselect=None, n_genes=None, fast=False):
    """What every kept gene of the default network does, on a quarter of the cells that it has not seen; or load it."""
    stability = selection_table(load_for(data, Path(path).with_name("halves_default.pickle")))
    fold = paper_folds(data.n_cells, 4)[0]
    chosen, said = with_preselected(data, preselect, fold[0])
    model = network(chosen, fast, n_genes, protocol="distilled")
    frequencies = fingerprint_arrays(stability.index.to_numpy(str), stability["frequency"].to_numpy())
    settings = {"scaling": "fold", "held out": "a quarter", "stability": frequencies} | said

    def compute():
        X_train, Y_train, X_test, Y_test = split_and_scale(chosen, fold)
        names = {"gene_names": chosen.gene_names, "feature_names": data.feature_names, "name": data.name}
        model.fit(X_train, Y_train)
        return interpret(model, X_test, Y_test, stability=stability, random_state=SEED, **names).values

    wanted = Record("interpretation", data.name, data.sha256, [{}], SEED, settings)
    return load_or_compute(wanted, compute, path, fresh, estimator=model, n_cells=len(fold[0]))


def run_noise(path, fresh=False, *, fast=False):
    """How well known genes are found as the noise of simulated outputs grows; or load it."""
    noises, n_repeats = ((0.5, 2.0), 1) if fast else (NOISES, 3)
    params = [{"noise": noise, "seed": seed} for noise in noises for seed in range(n_repeats)]
    draws = [as_paired(simulate_patchseq(noise=point["noise"], random_state=point["seed"])) for point in params]
    models = {name: network(draws[0], fast, protocol=name) for name in ("distilled", "paper")}
    wanted = Record("noise", "simulated", fingerprint_parameters({"draws": [data.sha256 for data in draws]}), params)
    wanted.settings = settings_of(models, dict.fromkeys(models, draws[0].n_cells * 4 // 5), path, fresh)
    return load_or_compute(wanted, lambda: {"table": _known_genes(draws, params, models)}, path, fresh)


def settings_of(models, n_cells, path, fresh):
    """Description and version of each model, in its own number of training cells, as a record at `path` has them."""
    known = load(path).settings if Path(path).exists() and not fresh else {}  # what was added since has its default
    return {
        name: described(model, known.get(name)) | {"version": version_of(model, n_cells[name])}
        for name, model in models.items()
    }


def _known_genes(draws, params, models):
    """A row for every draw and protocol: genes found, and R2 on the fifth of the cells that was held out."""
    rows = []
    for data, point in zip(draws, params, strict=True):
        true = np.isin(data.gene_names, data.truth["genes"])
        X_train, Y_train, X_test, Y_test = split_and_scale(data, paper_folds(data.n_cells, 5)[0])
        for name, model in models.items():
            fitted = clone(model).set_params(n_genes=int(true.sum())).fit(X_train, Y_train)
            kept = fitted.get_support()
            row = {"model": name, "precision": true[kept].mean(), "recall": kept[true].mean()}
            row |= {"test_r2": fitted.score(X_test, Y_test), "best_r2": 1 / (1 + point["noise"] ** 2)}
            rows.append(point | row | {"chance": true.mean()})
    return pd.DataFrame(rows)
