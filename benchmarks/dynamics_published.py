"""Compares the default training of PHOENIX with that of the published code.

python benchmarks/dynamics_published.py [--fresh]

Prints a table of `grn_350` with 5 % noise; finished fits are kept.
"""

import sys
from itertools import product
from pathlib import Path

import pandas as pd
from pages import to_markdown

from sbnn.data.datasets import load_dataset
from sbnn.dynamics import PUBLISHED_OPTIONS, PhoenixRegressor, evaluation
from sbnn.results import load

SAVED = Path(__file__).with_suffix(".csv")
GRN = Path(__file__).resolve().parents[1] / "saved_models" / "grn_350"
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


if __name__ == "__main__":
    scores = score_recipes(fresh="--fresh" in sys.argv)
    print(to_markdown(recipes_table(scores)))
