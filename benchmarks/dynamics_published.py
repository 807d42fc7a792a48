"""How does the default recipe of PHOENIX compare with that of the published code? Prints a table.

python benchmarks/dynamics_published.py [--fresh]
"""

import argparse
from itertools import product
from pathlib import Path

import pandas as pd
from dynamics_tables import saved, saved_rows
from pages import to_markdown

from sbnn.data.datasets import load_dataset
from sbnn.dynamics import PUBLISHED, PhoenixRegressor, Recipe, evaluation, report
from sbnn.results import load

SAVED = Path(__file__).resolve().parents[1] / "saved_models"
AS_PUBLISHED = saved("published")
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
    rows = saved_rows(AS_PUBLISHED, fresh)
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


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true")
    print(to_markdown(published_table(published(parser.parse_args(arguments).fresh))))


if __name__ == "__main__":
    main()
