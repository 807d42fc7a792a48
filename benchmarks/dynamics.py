"""What models of gene-regulatory dynamics cost as networks grow, and what their solvers do; prints tables.

    python benchmarks/dynamics.py [--fresh]     random networks of 50 to 1400 genes
    python benchmarks/dynamics.py --solvers     what an epoch costs: this solver beside those of torchdiffeq
    python benchmarks/dynamics.py --beeline     edges of curated models of BEELINE, beside other ways to find them

Other accuracy is measured in notebook 07. What is saved in saved_models is loaded, unless --fresh asks to measure it
anew.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestRegressor
from sklearn.linear_model import LassoCV
from sklearn.metrics import average_precision_score

from sbnn.data.datasets import load_dataset
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_network import GeneNetwork
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics import PhoenixRegressor, Recipe, SparseRegulationRegressor, evaluation, report
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import advance, advance_exactly, step_factors
from sbnn.dynamics.training import Intervals
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record
from sbnn.tables import print_table

SIZED = Path(__file__).resolve().parents[1] / "saved_models" / "simulated_grn" / "dynamics_sizes.pickle"
BEELINE = SIZED.parents[1] / "benchmarks" / "beeline.pickle"
SIZES = (50, 100, 200, 350, 700, 1400)
REPEATS = 3


def sizes(path=SIZED, fresh=False):
    """Record of DASH and SparseRegulation on random networks of several sizes: a row for each size and method."""
    methods = {"dash": PhoenixRegressor(recipe=Recipe(), random_state=0), "sparse": SparseRegulationRegressor()}
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
    wanted = Record("dynamics sizes", "simulated_grn", fingerprint_parameters(samples), params, settings=settings)
    return load_or_compute(wanted, compute, path, fresh, estimator=PhoenixRegressor(recipe=Recipe()))


def forest(cells, train):
    """GENIE3-like: importance of each gene in a forest of 100 trees that predicts the target from the same cells."""
    importance = np.zeros((cells.shape[1],) * 2)
    for gene in range(cells.shape[1]):
        others = np.delete(np.arange(cells.shape[1]), gene)
        trees = RandomForestRegressor(100, max_features="sqrt", random_state=0).fit(cells[:, others], cells[:, gene])
        importance[others, gene] = trees.feature_importances_
    return importance


def partial_correlation(cells, train):
    """Size of the correlation of two genes over cells, given all others."""
    precision = np.linalg.pinv(np.cov(cells.T))
    size = np.sqrt(np.diag(precision))
    return np.abs(precision / np.outer(size, size))


def lasso(cells, train):
    """Size of the coefficients of all genes for the rates of change between bins, penalty by cross-validation."""
    before, after, spans = as_trajectories(train).intervals()
    rates = (after - before) / np.diff(spans, axis=1)
    return np.abs([LassoCV(cv=5, max_iter=5000).fit(before, rate).coef_ for rate in rates.T]).T


def sparse(cells, train):
    """Probability of edges; where it is 1, or the same, by strength."""
    model = SparseRegulationRegressor().fit(train)
    strength = model.edge_scores_.abs().to_numpy()
    return model.edge_probabilities_.to_numpy() + 1e-9 * strength / max(strength.max(), 1e-12)


RANKINGS = {"SparseRegulation": sparse, "forest (GENIE3-like)": forest, "partial correlation": partial_correlation,
            "lasso on derivatives": lasso}  # fmt: skip


def beeline(path=BEELINE, fresh=False, repeats=range(5)):
    """Record of curated models: AUPRC and early precision over those of chance, a row per data set and method."""

    def compute():
        rows = []
        for model, dropout, repeat in product(("gsd", "hsc"), (False, True), repeats):
            data = load_dataset(f"beeline_{model}", repeat=repeat, dropout=dropout, verbose=False)
            cells = load_dataset(f"beeline_{model}", repeat=repeat, dropout=dropout, n_bins=2000, verbose=False)
            train, cells = data[data.obs["split"] == "train"], cells[cells.obs["split"] == "train"].X
            pairs = ~np.eye(data.n_vars, dtype=bool)
            true = data.varp["truth"][pairs] != 0
            for name, rank in RANKINGS.items():
                started = time.process_time()
                scores = rank(cells, train)[pairs]
                row = {"auprc": average_precision_score(true, scores) / true.mean()}
                row["early"] = true[np.argsort(-scores, kind="stable")[: true.sum()]].mean() / true.mean()
                row["seconds"] = time.process_time() - started
                rows.append({"model": model, "dropout": dropout, "repeat": repeat, "method": name} | row)
        return {"scores": pd.DataFrame(rows)}

    settings = {"methods": list(RANKINGS), "repeats": list(repeats), "version": 1}
    wanted = Record("dynamics beeline", "beeline", fingerprint_parameters(settings), [{}], settings=settings)
    return load_or_compute(wanted, compute, path, fresh, estimator=SparseRegulationRegressor())


def beeline_table(record):
    """Medians over the data sets of each curated model: AUPRC and early precision over those of chance, CPU seconds."""
    scores = record.scores.assign(model=record.scores["model"].str.upper())
    scores.loc[scores["dropout"], "model"] += ", dropout"
    table = scores.groupby(["method", "model"], sort=False)[["auprc", "early", "seconds"]].median().unstack("model")
    table = table.swaplevel(axis=1).sort_index(axis=1, level=0, sort_remaining=False)
    table.columns = [f"{model}: {column}" for model, column in table.columns]
    return table.map("{:.2f}".format)


def solvers(n_genes=350, n_hidden=40, n_samples=140, repeats=REPEATS):
    """Seconds of an epoch, loss and gradient of every interval of all samples, by solver; and their errors; DataFrame.

    torchdiffeq follows one sample, from one observed time to the next, per step, as the published training does; ours
    takes four samples with all their intervals. Errors are of the values at the ends of the intervals of one sample,
    against dopri5 at a tolerance of 1e-10 in float64. dopri5 is timed on a few samples.
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
        errors = {name: float((ends([0])[0] - true).abs().max()) for name, (ends, *_) in candidates.items()}
        adaptive = advance_exactly(exact, samples.before[0].double(), length, 1e-6)
    rows = {"exponential, steps halved (predict)": {"largest error": f"{float((adaptive - true).abs().max()):.0e}"}}
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
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fresh", action="store_true")
    parser.add_argument("--solvers", action="store_true")
    parser.add_argument("--beeline", action="store_true")
    options = parser.parse_args(arguments)
    if options.solvers:
        with reproducible():
            print_table(solvers())
    elif options.beeline:
        print_table(beeline_table(beeline(fresh=options.fresh)))
    else:
        print_table(report.sizes_table({"sizes": sizes(fresh=options.fresh)}))


if __name__ == "__main__":
    main()
