"""What models of gene-regulatory dynamics cost as networks grow, and what their solvers do; prints
tables.

    python benchmarks/dynamics.py [--fresh]
        random networks of 50 to 1400 genes
    python benchmarks/dynamics.py --solvers
        what an epoch costs: this solver beside those of torchdiffeq
    python benchmarks/dynamics.py --beeline
        edges of curated models of BEELINE, beside other ways to find them
    python benchmarks/dynamics.py --systems
        edges of samples that follow other laws (--seeds 2: measure one more)
    python benchmarks/dynamics.py --new-edges
        precision and calibration of edges that are not in the prior, under five further laws
    python benchmarks/dynamics.py --combined
        predictions of PHOENIX and DASH, combined with models without a network, on real data
    python benchmarks/dynamics.py --published
        the default recipe of PHOENIX beside that of the published code

Other accuracy is measured in notebook 06. What is saved (saved_models, *.csv beside this file) is
loaded, unless --fresh asks to measure it anew; rows of BEELINE that are missing are measured if
their library is installed (PySINDy).
"""

import argparse
import time
from importlib.util import find_spec
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from joblib import Parallel, delayed
from scipy.integrate import solve_ivp
from scipy.special import expit
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV
from sklearn.metrics import average_precision_score

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_network import KINDS, TIMES, GeneNetwork
from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics import (
    PUBLISHED,
    PhoenixRegressor,
    Recipe,
    SparseRegulationRegressor,
    evaluation,
    report,
)
from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import advance, advance_exactly, step_factors
from sbnn.dynamics.training import Intervals
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record, load
from sbnn.tables import print_table

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
SIZED = SAVED / "simulated_grn" / "dynamics_sizes.pickle"
BEELINE, SYSTEMS, AS_PUBLISHED, NEW_EDGES, COMBINED = (
    Path(__file__).with_name(f"dynamics_{name}.csv")
    for name in ("beeline", "systems", "published", "new_edges", "combined")
)
ERRORS = ("mse_ahead", "mse_rollout")
SIZES = (50, 100, 200, 350, 700, 1400)
REPEATS = 3
CLOSE_TO_CHANCE = 1.1  # largest AUPRC, divided by that of chance, that counts as chance


def sizes(path=SIZED, fresh=False):
    """Record of DASH and SparseRegulation on random networks of several sizes: a row for each size and method."""
    methods = {
        "dash": PhoenixRegressor(recipe=Recipe(), random_state=0),
        "sparse": SparseRegulationRegressor(),
    }
    samples = {"noise": 0.025, "wrong": 0.05, "random_state": 0}

    def compute():
        rows = []
        for genes, method in product(SIZES, methods):
            data = load_dataset("simulated_grn", n_genes=genes, verbose=False, **samples)
            row = evaluation.fit_and_score(clone(methods[method]), data)
            rows.append({"method": method, "genes": genes} | row)
        return {"scores": pd.DataFrame(rows)}

    settings = {"sizes": list(SIZES), "version": 1}
    params = [{"methods": list(methods)}]
    wanted = Record(
        "dynamics sizes",
        "simulated_grn",
        fingerprint_parameters(samples),
        params,
        settings=settings,
    )
    return load_or_compute(
        wanted, compute, path, fresh, estimator=PhoenixRegressor(recipe=Recipe())
    )


def train_of(load, n_bins=25):
    """Cells of BEELINE in bins along each trajectory; 2000 bins are the cells as they are."""
    data = load(n_bins=n_bins)
    return data[data.obs["split"] == "train"]


def changes(train):
    """Expression before each interval, and rates of change."""
    before, after, spans = as_trajectories(train).intervals()
    return before, (after - before) / np.diff(spans, axis=1)


def importances(X, Y, same=True):
    """Of each column of X in a forest of 100 trees for each column of Y; without the same column, if not `same`."""
    found = np.zeros((X.shape[1], Y.shape[1]))
    for gene in range(Y.shape[1]):
        used = np.arange(X.shape[1]) if same else np.delete(np.arange(X.shape[1]), gene)
        trees = RandomForestRegressor(100, max_features="sqrt", random_state=0).fit(
            X[:, used], Y[:, gene]
        )
        found[used, gene] = trees.feature_importances_
    return found


def forest(load):
    """GENIE3-like: importance of each gene in a forest that predicts the target from the same cells."""
    cells = train_of(load, 2000).X
    return importances(cells, cells, same=False)


def partial_correlation(load):
    """Size of the correlation of two genes over cells, given all others."""
    precision = np.linalg.pinv(np.cov(train_of(load, 2000).X.T))
    size = np.sqrt(np.diag(precision))
    return np.abs(precision / np.outer(size, size))


def lasso(train, scale=None, **how):
    """Size of the coefficients of all genes for the rates of change, and the error that chose the
    penalty.

    Of edges with a larger `scale`, (genes, genes), the penalty is lower.
    """
    before, rates = changes(train)
    scale = np.ones(2 * [before.shape[1]]) if scale is None else scale
    moving = np.flatnonzero(np.ptp(rates, axis=0))
    fits = {
        gene: LassoCV(cv=5, **how).fit(before * scale[:, gene], rates[:, gene]) for gene in moving
    }
    found = np.zeros(scale.shape)
    for gene, fit in fits.items():
        found[:, gene] = np.abs(fit.coef_) * scale[:, gene]
    return found, sum(
        fit.mse_path_.mean(axis=1).min() / rates[:, gene].var() for gene, fit in fits.items()
    )


def sparse(load):
    """Probability of edges; where it is the same, by strength."""
    model = SparseRegulationRegressor().fit(train_of(load))
    strength = model.edge_scores_.abs().to_numpy()
    return model.edge_probabilities_.to_numpy() + 1e-9 * strength / max(strength.max(), 1e-12)


def phoenix(load, pruning):
    """Size of the effects."""
    return (
        PhoenixRegressor(40, pruning, 0.9, random_state=0)
        .fit(train_of(load))
        .edge_scores_.abs()
        .to_numpy()
    )


def sindy(load):
    """Largest coefficient of PySINDy, with products of two genes, among the terms with a gene.

    The threshold is the best of 0, 0.003, 0.01, 0.03 and 0.1 (its default, which leaves next to
    nothing) on these data.
    """
    import pysindy

    samples = as_trajectories(train_of(load))
    model = pysindy.SINDy(pysindy.STLSQ(threshold=0.003), pysindy.PolynomialLibrary(2))
    model.fit(samples.values, t=samples.times)
    terms = model.feature_library.powers_ > 0  # (terms, genes)
    return (terms[:, :, None] * np.abs(model.coefficients()).T[:, None]).max(axis=0)


RANKINGS = {
    "SparseRegulation": sparse,
    "forest on cells (like GENIE3)": forest,
    "partial correlation of cells": partial_correlation,
    "lasso on derivatives": lambda load: lasso(train_of(load), max_iter=5000)[0],
    "PHOENIX": lambda load: phoenix(load, "none"),
    "PHOENIX, pruned by magnitude": lambda load: phoenix(load, "imp"),
    "PySINDy": sindy,
}


def ranked_edges(name, model, dropout, repeat):
    """Scores of one method on one data set of BEELINE."""

    def load(n_bins):
        how = {"repeat": repeat, "dropout": dropout, "n_bins": n_bins}
        return load_dataset(f"beeline_{model}", verbose=False, **how)

    started = time.process_time()
    with reproducible():
        found = RANKINGS[name](load)
    seconds, truth = time.process_time() - started, load(25).varp["truth"]
    pairs = ~np.eye(len(truth), dtype=bool)
    true, scores = truth[pairs] != 0, found[pairs]
    first = true[np.argsort(-scores, kind="stable")[: true.sum()]]
    ratios = {
        "auprc": average_precision_score(true, scores) / true.mean(),
        "early": first.mean() / true.mean(),
    }
    return (
        {"method": name, "model": model, "dropout": dropout, "repeat": repeat}
        | ratios
        | {"seconds": seconds}
    )


def beeline(fresh=False, n_jobs=1):
    """AUPRC and early precision over those of chance, a row for each method and data set."""
    table = (
        pd.read_csv(BEELINE) if BEELINE.exists() and not fresh else pd.DataFrame(columns=["method"])
    )
    lacking = [name for name in RANKINGS if name not in set(table["method"])]
    lacking = [name for name in lacking if name != "PySINDy" or find_spec("pysindy")]
    tasks = product(lacking, ("gsd", "hsc"), (False, True), range(5))
    rows = Parallel(n_jobs)(delayed(ranked_edges)(*task) for task in tasks)
    if rows:
        table = pd.concat([table, pd.DataFrame(rows).round(5)])
        table.to_csv(BEELINE, index=False)
    return table


def beeline_table(scores):
    """AUPRC over that of chance, median and range over the data sets of each curated model; median
    early precision over that of chance; number of data sets whose AUPRC is close to chance; CPU
    seconds.
    """
    order = [name for name in RANKINGS if name in set(scores["method"])]
    table = pd.DataFrame(index=pd.Index(order, name="method"))
    for method, of_method in scores.groupby("method"):
        for (model, dropout), of in of_method.groupby(["model", "dropout"]):
            low, middle, high = of["auprc"].quantile([0, 0.5, 1])
            text = f"{middle:.2f} ({low:.2f} to {high:.2f}), {of['early'].median():.2f}"
            table.loc[method, f"{model.upper()}{', dropout' if dropout else ''}"] = text
        n_close = (of_method["auprc"] <= CLOSE_TO_CHANCE).sum()
        table.loc[method, "close to chance"] = f"{n_close} of {len(of_method)}"
        seconds = of_method.groupby(["model", "dropout"])["seconds"].median()
        table.loc[method, "CPU s"] = f"{seconds.min():.1f} to {seconds.max():.1f}"
    return table


PRIORS = {"no prior": None, "90 % right": 0.1, "50 % right": 0.5}


def found_edges(kind, seed, n_genes=100, n_samples=150):
    """Rows of all methods on samples of one law: AUPR over all pairs; of SparseRegulation also
    precision and recall.

    Rivals: the lasso on derivatives, without the prior, with penalties lower for edges of the prior
    by a factor chosen by cross-validation, and behind the edges of the prior; a forest on
    derivatives (like dynGENIE3).
    """
    network = GeneNetwork.random(n_genes, random_state=seed)
    train, pairs = network.simulate(n_samples, 0.025, seed, kind=kind), ~np.eye(n_genes, dtype=bool)
    true = network.graph.to_numpy() != 0
    before, rates = changes(train)
    how = {"alphas": 25, "max_iter": 2000, "tol": 1e-3}
    plain, trees = lasso(train, **how)[0], importances(before, rates + before)
    rows = []
    for prior_name, wrong in PRIORS.items():
        prior = None if wrong is None else network.misplaced_prior(wrong, seed)
        given = np.zeros_like(true) if prior is None else prior.to_numpy() != 0
        started = time.process_time()
        model = SparseRegulationRegressor().fit(train, prior)
        seconds, strength = time.process_time() - started, model.edge_scores_.abs().to_numpy()
        p, found = model.edge_probabilities_.to_numpy(), model.edge_scores_.to_numpy() != 0
        ranks = {
            "SparseRegulation": p + 1e-9 * strength / strength.max(),
            "lasso on derivatives": plain,
            "forest on derivatives": trees,
        }
        if prior is not None:
            weighted = [lasso(train, 1 + given * (factor - 1), **how) for factor in (2, 5, 10)]
            ranks |= {"the prior": given, "lasso, the prior first": plain / plain.max() + given}
            ranks["lasso, penalties by the prior"] = min(weighted, key=lambda fit: fit[1])[0]
        for name, rank in ranks.items():
            rows.append({"kind": kind, "prior": prior_name, "seed": seed, "method": name})
            rows[-1]["aupr"] = average_precision_score(true[pairs], rank[pairs])
        new = found & ~given
        share = {
            "precision": (found & true).sum() / found.sum(),
            "recall": found[true].mean(),
            "seconds": seconds,
        }
        rows[-len(ranks)] |= share | {
            "new": new.sum(),
            "new_right": (new & true).sum() / max(new.sum(), 1),
        }
    return rows


def systems(seeds=(), fresh=False, n_jobs=1):
    """Rows of `found_edges` for all laws and these seeds, and those that are saved already."""
    table = (
        pd.read_csv(SYSTEMS)
        if SYSTEMS.exists() and not fresh
        else pd.DataFrame(columns=["kind", "seed"])
    )
    lacking = [
        (k, s)
        for s, k in product(seeds, KINDS)
        if not ((table["kind"] == k) & (table["seed"] == s)).any()
    ]
    for rows in Parallel(n_jobs, return_as="generator_unordered")(
        delayed(found_edges)(*task) for task in lacking
    ):
        table = pd.concat([table, pd.DataFrame(rows).round(5)])
        table.to_csv(SYSTEMS, index=False)
    return table


def systems_table(scores):
    """Mean AUPR by law and prior, that of the best other method, the difference by seed, and precision and recall."""
    rows = []
    for (kind, prior), of in scores.groupby(["kind", "prior"], sort=False):
        aupr = of.pivot_table("aupr", "seed", "method")
        rivals = aupr.drop(columns="SparseRegulation")
        best, ours = rivals.mean().idxmax(), of[of["method"] == "SparseRegulation"]
        row = {
            "law": kind,
            "prior": prior,
            "SparseRegulation": aupr["SparseRegulation"].mean(),
            "best other": best,
        }
        row["its AUPR"] = rivals[best].mean()
        row["difference by seed"] = ", ".join(
            f"{gain:+.3f}" for gain in aupr["SparseRegulation"] - rivals[best]
        )
        row |= (
            ours[["precision", "recall", "new_right"]]
            .mean()
            .rename({"new_right": "new edges right"})
            .to_dict()
        )
        rows.append(row)
    order = {(kind, prior): i for i, (kind, prior) in enumerate(product(KINDS, PRIORS))}
    return pd.DataFrame(sorted(rows, key=lambda row: order[row["law"], row["prior"]])).set_index(
        "law"
    )


LAWS = ("sum of Hill terms", "thermodynamic", "lagged sigmoid", "linear", "mass action")
RIGHT = (0.5, 0.7, 0.9, 1.0)  # shares of the edges of the prior that are true


def samples_of(law, network, n, noise, seed):
    """Samples of a network whose genes decay at different rates and follow one of `LAWS`.

    The laws and their parameters are not those of `GeneNetwork.simulate`; effects are steeper.
    """
    random = np.random.default_rng([seed, 7])
    names = list(network.gene_names)
    edges = network.edges
    n_genes, n_edges = len(names), len(edges)
    source = np.array([names.index(edge.regulator) for edge, _ in edges])
    target = np.array([names.index(gene) for _, gene in edges])
    activates = np.array([[edge.activation] for edge, _ in edges])
    half = random.uniform(0.3, 0.7, (n_edges, 1))
    power = random.uniform(2, 4, (n_edges, 1))
    size = random.uniform(0.5, 1.5, (n_edges, 1))
    decay = np.exp(random.normal(0, 0.3, (n_genes, 1)))
    base = random.uniform(0, 0.2, (n_genes, 1))
    signed = np.where(activates, size, -size)

    def summed(effects):
        of_genes = np.zeros((n_genes, effects.shape[1]))
        np.add.at(of_genes, target, effects)
        return of_genes

    def drawn_to(x, acting):
        level = np.maximum(acting, 0)[source]
        bound = (level / half) ** power
        if law == "sum of Hill terms":
            share = bound / (1 + bound)
            effects = size * np.where(activates, share, 1 - share)
            return base + summed(effects) / np.maximum(summed(size), 1e-9)
        if law == "thermodynamic":
            helps = 0.3 + base + summed(np.where(activates, size * bound, 0))
            hinders = summed(np.where(activates, 0, size * bound))
            return helps / (1 + helps + hinders)
        if law == "lagged sigmoid":
            return expit(5 * base - 0.5 + summed(6 * signed * (level - 0.5)))
        if law == "linear":
            return 0.5 + summed(signed * (level - 0.5)) / np.maximum(summed(size), 1)
        made = base + 0.2 + 0.6 * summed(np.where(activates, size * level, 0))
        return made - x * summed(np.where(activates, 0, 2 * size * level))

    def rates(_, state):
        x, proteins = state.reshape(2, n_genes, n)
        acting = proteins if law == "lagged sigmoid" else x
        change = decay * (drawn_to(x, acting) - x)
        change[network.is_input] = 0
        return np.concatenate([change, (x - proteins) / 1.5]).ravel()

    random = np.random.default_rng([seed, 11])
    start = network.starts.draw(n, random).T
    times = np.array(TIMES, dtype=float)
    solved = solve_ivp(
        rates, (0, times[-1]), np.tile(start.ravel(), 2), t_eval=times, rtol=1e-6, atol=1e-7
    )
    values = solved.y.T.reshape(len(times), 2, n_genes, n)[:, 0].transpose(2, 0, 1)
    return trajectories(values + noise * random.standard_normal(values.shape), times, names)


def edges_and_probabilities(law, right, seed, n_genes=40, n_samples=60):
    """Numbers of edges inside and outside the prior, of right ones, and of those called sure."""
    network = GeneNetwork.random(n_genes, random_state=seed)
    prior = network.misplaced_prior(1 - right, seed)
    model = SparseRegulationRegressor().fit(samples_of(law, network, n_samples, 0.025, seed), prior)
    true, given = network.graph.to_numpy() != 0, prior.to_numpy() != 0
    found, p = model.edge_scores_.to_numpy() != 0, model.edge_probabilities_.to_numpy()
    row = {"law": law, "prior_right": right, "seed": seed, "missing": (true & ~given).sum()}
    for name, part in (("prior", given), ("new", ~given)):
        row |= {
            f"{name}_edges": (found & part).sum(),
            f"{name}_edges_right": true[found & part].sum(),
        }
        for said, chosen in (("sure", p >= 0.9), ("likely", (p >= 0.8) & (p < 0.95))):
            row[f"{name}_{said}"] = (chosen & part).sum()
            row[f"{name}_{said}_right"] = true[chosen & part].sum()
            row[f"{name}_{said}_said"] = p[chosen & part].sum()
    return row


def new_edges(seeds=range(5), fresh=False):
    """Rows of `edges_and_probabilities` for all laws, priors and seeds; saved ones are loaded."""
    if NEW_EDGES.exists() and not fresh:
        return pd.read_csv(NEW_EDGES)
    rows = []
    with reproducible():
        for seed, law, right in product(seeds, LAWS, RIGHT):
            rows.append(edges_and_probabilities(law, right, seed))
            pd.DataFrame(rows).round(4).to_csv(NEW_EDGES, index=False)
    return pd.DataFrame(rows)


def new_edges_table(rows):
    """By law and quality of the prior: precision of all edges, and of new ones; seeds are pooled."""
    sums = rows.groupby(["law", "prior_right"], sort=False).sum()
    n_new = sums["new_edges"]
    right = sums["prior_edges_right"] + sums["new_edges_right"]
    precision = right / (sums["prior_edges"] + n_new)
    of_new = sums["new_edges_right"] / n_new
    table = pd.DataFrame(index=pd.Index(LAWS, name="law"))
    for law, share in sums.index:
        text = f"{precision[law, share]:.2f}; none new"
        if n_new[law, share]:
            text = f"{precision[law, share]:.2f}; {of_new[law, share]:.2f} of {n_new[law, share]}"
        table.loc[law, f"prior {share:.0%} right"] = text
    return table


def calibration_table(rows):
    """What edges called probable are worth: mean probability and share that is right, by law."""
    sums = rows.groupby("law", sort=False).sum()
    table = pd.DataFrame(index=sums.index)
    for part, said in product(("new", "prior"), ("likely", "sure")):
        n = sums[f"{part}_{said}"]
        name = f"{part}, {'0.8 to 0.95' if said == 'likely' else '0.9 or more'}"
        said_right = zip(
            n, sums[f"{part}_{said}_said"] / n, sums[f"{part}_{said}_right"] / n, strict=True
        )
        table[name] = [f"{mean:.2f}: {share:.2f} of {k}" for k, mean, share in said_right]
    return table


def combined(sets=("yeast_pramila", "hematopoiesis", "breast_desmedt"), fresh=False):
    """Errors on real data of PHOENIX and DASH combined with the best model without a network.

    Errors are divided by those of no change; that of the best simple model is the lowest of all
    test errors, which no method knows.
    """
    rows = []
    if COMBINED.exists() and not fresh:
        rows = pd.read_csv(COMBINED).to_dict("records")
    done = {row["data"] for row in rows}
    n_hidden = {"yeast_pramila": 120, "hematopoiesis": 50, "breast_desmedt": 300}
    for name in sets:
        if name in done:
            continue
        how = {"cells_per_bin": 12} if name == "hematopoiesis" else {}
        data = load_dataset(name, verbose=False, **how)
        errors = {}
        for simple, model in BASELINES.items():
            errors[simple] = evaluation.fit_and_score(clone(model), data)
        simple = {score: min(e[score] for e in errors.values()) for score in ERRORS}
        for pruning in ("none", "dash"):
            model = PhoenixRegressor(n_hidden[name], pruning, random_state=0, combine=True)
            scores = evaluation.fit_and_score(model, data)
            row = {"data": name, "method": report.METHODS[pruning]}
            row |= {"weight": model.weights_["network"], "seconds": scores["seconds"]}
            row["chosen"] = model.weights_.drop("network").idxmax()
            for score in ERRORS:
                row[score] = scores[score] / errors["prior"][score]
                row[f"{score}_simple"] = simple[score] / errors["prior"][score]
            rows.append(row)
            pd.DataFrame(rows).round(4).to_csv(COMBINED, index=False)
    return pd.DataFrame(rows)


def combined_table(rows):
    """Errors relative to no change, beside the lowest test error of a model without a network."""
    table = rows[["data", "method", "weight", "chosen"]].copy()
    table["chosen"] = table["chosen"].map(report.METHODS)
    for score, name in zip(ERRORS, ("one-step", "rollout"), strict=True):
        table[name] = rows[score].round(3)
        table[f"{name}, best simple"] = rows[f"{score}_simple"].round(3)
    return table.set_index("data")


RECIPES = {
    "default, one sample per step": Recipe(batch_size=1),
    "as published, four samples per step": Recipe(as_published=True),
    "`PUBLISHED`": PUBLISHED,
}
SCORES = ["seed", "sparsity", "balanced_accuracy", "mse_ahead", "seconds"]


def published(fresh=False):
    """Scores on `grn_350` with 5 % noise, by pruning method, recipe and seed.

    Those of the default recipe are from the records of notebook 06.
    """
    rows = []
    if AS_PUBLISHED.exists() and not fresh:
        rows = pd.read_csv(AS_PUBLISHED).to_dict("records")
    done = {(row["method"], row["recipe"], row["seed"]) for row in rows}
    for method, recipe, seed in product(("dash", "path_reg"), RECIPES, range(3)):
        if (method, recipe, seed) in done:
            continue
        data = load_dataset("grn_350", noise=0.025, wrong=0.05, random_state=seed, verbose=False)
        model = PhoenixRegressor(pruning=method, recipe=RECIPES[recipe], random_state=seed)
        scores = {"seed": seed} | evaluation.fit_and_score(model, data)
        row = {"method": method, "recipe": recipe}
        rows.append(row | {name: scores[name] for name in SCORES})
        pd.DataFrame(rows).round(5).to_csv(AS_PUBLISHED, index=False)
    tables = [pd.DataFrame(rows)]
    for method in ("dash", "path_reg"):
        record = load(SAVED / "grn_350" / f"dynamics_noise_5_{method}.pickle")
        tables.append(record.scores[SCORES].assign(method=method, recipe="default"))
    return pd.concat(tables)


def published_table(scores):
    """Mean ± SD over seeds."""
    order = pd.MultiIndex.from_product([["dash", "path_reg"], ["default", *RECIPES]])
    groups = scores.groupby(["method", "recipe"])[SCORES[1:]]
    mean = groups.mean()
    sd = groups.std()
    table = pd.DataFrame(index=order.intersection(mean.index, sort=False))
    digits = {"sparsity": ".3f", "balanced_accuracy": ".3f", "mse_ahead": ".1e", "seconds": ".0f"}
    for score, form in digits.items():
        cells = zip(mean.loc[table.index, score], sd.loc[table.index, score], strict=True)
        table[report.COLUMNS[score]] = [f"{m:{form}} ± {s:{form}}" for m, s in cells]
    return table.rename_axis(["method", "recipe"]).reset_index(level="recipe")


def solvers(n_genes=350, n_hidden=40, n_samples=140, repeats=REPEATS):
    """Seconds of an epoch, loss and gradient of every interval of all samples, by solver; and their
    errors; DataFrame.

    torchdiffeq follows one sample, from one observed time to the next, per step, as the published
    training does; ours takes four samples with all their intervals. Errors are of the values at the
    ends of the intervals of one sample, against dopri5 at a tolerance of 1e-10 in float64. dopri5
    is timed on a few samples.
    """
    from torchdiffeq import odeint, odeint_adjoint

    trajectories = GeneNetwork.random(n_genes, random_state=0).simulate(n_samples, 0.025, 0)
    samples = Intervals(as_trajectories(trajectories), range(n_samples))
    network = Phoenix(n_genes, n_hidden, torch.Generator().manual_seed(0))

    class Rates(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, _, x):
            return self.network.decay() * (self.network.targets(x) - x)

    def ours(n_steps):
        def ends(rows):
            factors = step_factors(network.decay(), samples.length[rows] / n_steps)
            return advance(network.targets, samples.before[rows], factors, n_steps)

        return ends, 4, n_samples

    def theirs(solve, **how):
        def ends(rows):
            parts = [
                solve(Rates(), before, torch.tensor([0.0, float(length)]), **how)[-1]
                for row in rows
                for before, length in zip(samples.before[row], samples.length[row], strict=True)
            ]
            return torch.stack(parts)[None]

        return ends, 1, 4

    candidates = {
        "exponential, 3 steps (the default)": ours(3),
        "exponential, 6 steps": ours(6),
        "dopri5, tolerance 1e-4": theirs(odeint, method="dopri5", rtol=1e-4, atol=1e-4),
        "dopri5, default tolerance": theirs(odeint, method="dopri5"),
        "dopri5, default tolerance, adjoint (published)": theirs(odeint_adjoint, method="dopri5"),
    }
    with torch.no_grad():
        exact = Phoenix(n_genes, n_hidden).double()
        exact.load_state_dict(network.state_dict())
        length = samples.length[0].double()
        true = torch.stack(
            [
                odeint(
                    lambda _, x: exact.decay() * (exact.targets(x) - x),
                    x,
                    torch.tensor([0.0, float(t)]),
                    rtol=1e-10,
                    atol=1e-10,
                )[-1]
                for x, t in zip(samples.before[0].double(), length, strict=True)
            ]
        )
        errors = {
            name: float((ends([0])[0] - true).abs().max())
            for name, (ends, *_) in candidates.items()
        }
        adaptive = advance_exactly(exact, samples.before[0].double(), length, 1e-6)
    rows = {
        "exponential, steps halved (predict)": {
            "largest error": f"{float((adaptive - true).abs().max()):.0e}"
        }
    }
    seconds = {name: [] for name in candidates}
    for _ in range(repeats):  # in turn, so that whatever else the machine does is shared
        for name, (ends, batch, n_timed) in candidates.items():
            started = time.perf_counter()
            for rows_of in torch.arange(n_timed).split(batch):
                network.zero_grad()
                (ends(rows_of) - samples.after[rows_of]).square().mean().backward()
            seconds[name].append((time.perf_counter() - started) * n_samples / n_timed)
    for name, taken in seconds.items():
        rows[name] = {"seconds per epoch": min(taken), "200 epochs, minutes": min(taken) * 200 / 60}
        rows[name]["largest error"] = f"{errors[name]:.0e}"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("solver")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--solvers", action="store_true")
    parser.add_argument("--beeline", action="store_true")
    parser.add_argument("--systems", action="store_true")
    parser.add_argument("--new-edges", action="store_true")
    parser.add_argument("--combined", action="store_true")
    parser.add_argument("--published", action="store_true")
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    parser.add_argument("--jobs", type=int, default=1)
    options = parser.parse_args(arguments)
    if options.solvers:
        with reproducible():
            print_table(solvers())
    elif options.beeline:
        print_table(beeline_table(beeline(options.fresh, options.jobs)))
    elif options.systems:
        print_table(systems_table(systems(options.seeds, options.fresh, options.jobs)))
    elif options.new_edges:
        rows = new_edges(fresh=options.fresh)
        print_table(new_edges_table(rows))
        print_table(calibration_table(rows))
    elif options.combined:
        print_table(combined_table(combined(fresh=options.fresh)))
    elif options.published:
        print_table(published_table(published(options.fresh)))
    else:
        print_table(report.sizes_table({"sizes": sizes(fresh=options.fresh)}))


if __name__ == "__main__":
    main()
