"""Compares the default training of PHOENIX with that of the published code.

python benchmarks/dynamics_published.py [--fresh]

Prints a table of `grn_350` with 5 % noise; finished fits are kept. Below it are the edges of breast
cancer, from records of notebook 07.
"""

import sys
from itertools import product
from pathlib import Path

import pandas as pd
from pages import print_tables

from sbnn.data.datasets import load_dataset
from sbnn.dynamics import PUBLISHED_OPTIONS, PhoenixRegressor, evaluation, report
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import load

SAVED = Path(__file__).with_suffix(".csv")
RECORDS = Path(__file__).resolve().parents[1] / "saved_models"
GRN = RECORDS / "grn_350"
#: Scores of edges of breast cancer; the published one is the second.
OF_BREAST = {"auroc": "AUROC", "auroc_share": "AUROC of shares"}
PRUNINGS = ("dash", "path_reg")
RECIPES = {
    "default, one sample per step": {"batch_size": 1},
    "as published, four samples per step": {"as_published": PUBLISHED_OPTIONS},
    "`PUBLISHED_OPTIONS`": {"batch_size": 1, "as_published": PUBLISHED_OPTIONS},
}
SCORES = ["seed", "sparsity", "balanced_accuracy", "mse_ahead", "seconds"]


def score_recipes(fresh=False):
    """Scores by pruning method, recipe and seed; those of the default are saved in records."""
    rows = [] if fresh else pd.read_csv(SAVED).to_dict("records")
    finished = {(row["method"], row["recipe"], row["seed"]) for row in rows}
    for method, recipe, seed in product(PRUNINGS, RECIPES, range(3)):
        if (method, recipe, seed) in finished:
            continue
        data = load_dataset("grn_350", noise=0.025, wrong=0.05, random_state=seed)
        model = PhoenixRegressor(pruning=method, random_state=seed, **RECIPES[recipe])
        row = {"method": method, "recipe": recipe, "seed": seed}
        rows.append(row | evaluation.fit_and_score_network(model, data))
        table = pd.DataFrame(rows)[["method", "recipe", *SCORES]]
        table.round(5).to_csv(SAVED, index=False)  # a run that is killed goes on from here
    tables = [pd.DataFrame(rows)]
    for method in PRUNINGS:
        record = load(GRN / f"dynamics_noise_5_{method}.pickle.xz")
        tables.append(record.scores[SCORES].assign(method=method, recipe="default"))
    return pd.concat(tables)


def recipes_table(scores):
    """Mean and SD over seeds."""
    groups = scores.groupby(["method", "recipe"])[SCORES[1:]]
    means_and_sds = groups.mean().join(groups.std(), rsuffix=" SD")
    return means_and_sds.reset_index("recipe")


def breast_table():
    """AUROC of the edges of breast cancer, and minus that of the prior, over starts."""
    records = report.read_dynamics_records(RECORDS / "breast_desmedt")
    prior = records["published_prior"].scores
    rows = {}
    for name, label in report.METHOD_LABELS.items():
        if f"published_{name}" in records:
            starts = records[f"published_{name}"].scores
            row = rows[label] = {}
            for score, title in OF_BREAST.items():
                row[title] = f"{starts[score].mean():.3f}"
                difference = corrected_difference(starts[score] - prior[score], 0)
                row[f"{title}, minus the prior"] = "" if name == "prior" else str(difference)
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("trained as published")


if __name__ == "__main__":
    recipes = recipes_table(score_recipes(fresh="--fresh" in sys.argv))
    print_tables({"grn_350, 5 % noise": recipes, "Breast cancer": breast_table()})
