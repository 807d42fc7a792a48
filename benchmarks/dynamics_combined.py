"""Errors on real data of networks combined with the best model without a network.

    python benchmarks/dynamics_combined.py [--fresh]

Prints a table; "reversed" exchanges training and test samples.
"""

import argparse

import numpy as np
import pandas as pd
from dynamics_tables import saved, saved_rows
from pages import to_markdown
from sklearn.base import clone

from sbnn.data.datasets import load_dataset
from sbnn.dynamics import PhoenixRegressor, SparseRegulationRegressor, evaluation, report
from sbnn.dynamics.baselines import BASELINES

COMBINED = saved("combined")
ERRORS = {"mse_ahead": "one-step", "mse_rollout": "rollout"}
#: Data set -> number of hidden units, and arguments of its loader.
SETS = {
    "yeast_pramila": (120, {}),
    "hematopoiesis": (50, {"cells_per_bin": 12}),
    "breast_desmedt": (300, {}),
}
TIED = 1.005  # largest ratio of errors that counts as a tie


def directions(name):
    """Data as split, and with training and test samples exchanged, by name.

    The eight test times of breast cancer are too few to train on.
    """
    _, how = SETS[name]
    data = load_dataset(name, verbose=False, **how)
    found = {name: data}
    if name != "breast_desmedt":
        other = data.copy()
        other.obs["split"] = np.where(data.obs["split"] == "test", "train", "test")
        found[f"{name}, reversed"] = other
    return found


def combined(fresh=False):
    """Errors on real data of networks combined with the best model without a network.

    Errors are divided by those of no change. Those of the chosen model without a network, by
    itself, and the lowest test errors of such a model, which no method knows, are added.
    """
    rows = saved_rows(COMBINED, fresh)
    done = {row["data"] for row in rows}
    for name, (n_hidden, _) in SETS.items():
        models = {
            "none": PhoenixRegressor(n_hidden, "none", random_state=0, combine=True),
            "dash": PhoenixRegressor(n_hidden, "dash", random_state=0, combine=True),
            "sparse": SparseRegulationRegressor(),
        }
        for direction, data in directions(name).items():
            if direction in done:
                continue
            simple = pd.DataFrame(
                {name: evaluation.fit_and_score(clone(m), data) for name, m in BASELINES.items()}
            ).loc[[*ERRORS]]
            unchanged = simple.pop("prior")
            simple = simple.div(unchanged, axis=0)
            for method, model in models.items():
                scores = evaluation.fit_and_score(model, data)
                chosen = model.weights_.drop("network").idxmax()
                row = {"data": direction, "method": report.METHODS[method]}
                row["weight"] = model.weights_["network"]
                row["seconds"] = scores["seconds"]
                row["chosen"] = chosen
                for score in ERRORS:
                    row[score] = scores[score] / unchanged[score]
                    row[f"{score}_chosen"] = simple.loc[score, chosen]
                    row[f"{score}_simple"] = simple.loc[score].min()
                    row[f"{score}_best"] = simple.loc[score].idxmin()
                rows.append(row)
                pd.DataFrame(rows).round(4).to_csv(COMBINED, index=False)
    return pd.DataFrame(rows)


def combined_table(rows):
    """Errors relative to no change; in brackets, the lowest without a network, and a verdict.

    Methods with the same predictions share a row. Which model has the lowest error is known from
    the test samples only.
    """
    same = ["data", "weight", "chosen", *ERRORS]
    groups = rows.groupby(same, sort=False)
    table = groups.first().reset_index()
    shown = pd.DataFrame({"data": table["data"].replace(report.REAL, regex=True)})
    shown["network"] = groups["method"].agg(", ".join).to_numpy()
    shown["weight"] = table["weight"].map("{:.2g}".format)
    for score, name in ERRORS.items():
        lowest = table[f"{score}_simple"]
        ratio = table[score] / lowest
        verdicts = np.select([ratio < 1 / TIED, ratio <= TIED], ["better", "tie"], "worse")
        numbers = table[score].map("{:.3f}".format) + " [" + lowest.map("{:.3f}".format)
        shown[name] = numbers + "] " + verdicts
    return shown.set_index("data")


def main(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fresh", action="store_true")
    print(to_markdown(combined_table(combined(parser.parse_args(arguments).fresh))))


if __name__ == "__main__":
    main()
