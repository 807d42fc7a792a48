"""Edges of gene-regulatory dynamics from forests, alone and with a tenth of the prior.

    python benchmarks/network_forest.py [--data grn_350] [--seeds 3] [--report-only]

For each target, a forest predicts ``dx/dt + rate x``, what drives it, from all other genes. The
importances of genes, with a sum of 1 for each target, rank the edges, and decay rates are estimated
as in dynGENIE3 (Huynh-Thu and Geurts, Sci. Rep. 2018). The second method adds a tenth of the prior
to the importances. As many edges are drawn as the prior has.

Adds what is missing to saved_models/benchmarks/network_forest.csv, and prints it beside records.
"""

import argparse
import time
from itertools import product
from pathlib import Path

import numpy as np
import pandas as pd
from pages import print_tables
from sklearn.ensemble import ExtraTreesRegressor

from sbnn.data.datasets import load_dataset
from sbnn.data.gene_dynamics import prior_table, truth_table
from sbnn.data.trajectories import as_trajectories
from sbnn.dynamics import report
from sbnn.dynamics.evaluation import edge_accuracy, select_test_samples
from sbnn.evaluation.verdict import differences_over_draws

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
SCORES = SAVED / "benchmarks" / "network_forest.csv"
FOREST = {"n_estimators": 50, "max_features": "sqrt", "min_samples_leaf": 5}
#: Simulated conditions: their noise, and the fraction of the prior's edges that is misplaced.
NOISE = {"noise_0": (0.0, 0.0), "noise_5": (0.025, 0.05), "noise_10": (0.05, 0.1)}
SIMULATED = {"grn_350": tuple(NOISE), "grn_690": ("noise_5",)}
CONDITIONS = SIMULATED | {"breast_desmedt": ("real",), "yeast_pramila": ("real",)}
LABELS = {"forest": "forest", "forest_prior": "forest and a tenth of the prior"}
DIFFERENCE = "AUROC minus forest and prior"
KEYS = ["dataset", "condition", "seed", "method"]
#: Scores of `edge_accuracy` in the tables.
OF_EDGES = ["auroc", "balanced_accuracy", "recall_missing", "kept_wrong", "new_right"]


def load_condition(dataset, condition, seed):
    """Data of one condition; measured data are the same for each seed."""
    if condition == "real":
        return load_dataset(dataset, verbose=False)
    noise, wrong = NOISE[condition]
    return load_dataset(dataset, noise=noise, wrong=wrong, random_state=seed, verbose=False)


def decay_rates(samples):
    """Rates of genes, the largest over samples, if they decay between their extreme values."""
    lowest = min(values.min() for values in samples.values)
    rates = []
    for values, times in zip(samples.values, samples.times, strict=True):
        logs = np.log(np.maximum(values - lowest, 1e-6))
        span = np.abs(times[values.argmax(axis=0)] - times[values.argmin(axis=0)])
        rates.append(np.ptp(logs, axis=0) / np.maximum(span, np.diff(times).min()))
    return np.maximum(np.max(rates, axis=0), 1e-6)  # predictions divide by them


def fit_forests(data, seed):
    """Importances, [regulator, target], and the one-step MSE in test samples."""
    train = as_trajectories(data[data.obs["split"] == "train"])
    before, after, spans = train.intervals()
    start, end, test_spans = select_test_samples(data).intervals()
    rates = decay_rates(train)
    drive = (after - before) / np.diff(spans) + rates * before
    test_decay = np.exp(-rates * np.diff(test_spans))
    importances = np.zeros((data.n_vars, data.n_vars))
    levels = np.zeros_like(start)
    for target in range(data.n_vars):
        others = np.arange(data.n_vars) != target
        forest = ExtraTreesRegressor(random_state=seed, **FOREST)
        forest.fit(before[:, others], drive[:, target])
        importances[others, target] = forest.feature_importances_
        levels[:, target] = forest.predict(start[:, others]) / rates[target]
    predicted = levels + test_decay * (start - levels)
    return importances, np.square(predicted - end).mean()


def score_edges(sizes, data):
    """Scores of edges of these sizes, drawn if they are among as many as the prior has."""
    prior, truth = prior_table(data), truth_table(data)
    if truth is None:
        return {}
    n_edges = int((prior != 0).to_numpy().sum())
    least = np.sort(sizes, axis=None)[-n_edges]
    ranked = pd.DataFrame(sizes, prior.index, prior.columns)
    scores = edge_accuracy(ranked.where(ranked >= least, 0), truth, prior)
    return scores | {"auroc": edge_accuracy(ranked, truth, prior)["auroc"]}


def measure(dataset, condition, seed):
    """Rows of both methods for one draw of data, or one start on measured data."""
    data = load_condition(dataset, condition, seed)
    started = time.process_time()
    importances, error = fit_forests(data, seed)
    seconds = time.process_time() - started
    with_prior = importances + 0.1 * abs(prior_table(data).to_numpy())
    rows = []
    for method, sizes in {"forest": importances, "forest_prior": with_prior}.items():
        row = {"dataset": dataset, "condition": condition, "seed": seed, "method": method}
        row |= score_edges(sizes, data)
        rows.append(row | {"mse_ahead": error, "seconds": seconds})
    return pd.DataFrame(rows).reindex(columns=[*KEYS, *OF_EDGES, "mse_ahead", "seconds"])


def all_scores(dataset, condition):
    """Scores of forests and of records; the index is method and seed."""
    records = report.read_dynamics_records(SAVED / dataset)
    recorded = report.condition_scores(records, condition)
    forests = pd.read_csv(SCORES).query("dataset == @dataset and condition == @condition")
    both = pd.concat([forests.set_index(["method", "seed"]), recorded])
    both["relative"] = both["mse_ahead"] / recorded.loc["prior", "mse_ahead"].mean()
    return both[[*OF_EDGES, "relative", "seconds"]].dropna(axis=1, how="all")


def compare(dataset, condition):
    """Means over seeds, and differences of AUROC in the same draws of data."""
    both = all_scores(dataset, condition)
    table = both.groupby(level="method", sort=False).mean()
    if "auroc" in table:
        by_seed = both["auroc"].unstack("method")[table.index]
        differences = differences_over_draws(by_seed, "forest_prior")
        table[DIFFERENCE] = [str(found or "") for found in differences]
    table = table.rename(index=LABELS | report.METHOD_LABELS, columns=report.SCORE_LABELS)
    return table.rename_axis("method")


def main():
    """Measure what is missing and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", nargs="+", choices=CONDITIONS, default=list(CONDITIONS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--report-only", action="store_true", help="show what is saved")
    options = parser.parse_args()
    conditions = [(name, condition) for name in options.data for condition in CONDITIONS[name]]
    for (dataset, condition), seed in product(conditions, range(options.seeds)):
        done = pd.read_csv(SCORES, index_col=KEYS).index.droplevel("method")
        if not options.report_only and (dataset, condition, seed) not in done:
            rows = measure(dataset, condition, seed)
            rows.to_csv(SCORES, mode="a", header=False, index=False)
    done = pd.read_csv(SCORES, index_col=KEYS[:2]).index
    print_tables({", ".join(key): compare(*key) for key in conditions if key in done})


if __name__ == "__main__":
    main()
