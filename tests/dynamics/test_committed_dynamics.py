"""Committed results of gene-regulatory dynamics: one fit of each kind is made again."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from same import assert_same

from sbnn import load_dataset, results
from sbnn.dynamics import experiments, study
from sbnn.dynamics.methods import METHODS
from sbnn.dynamics.model import rollouts

SAVED = Path(__file__).resolve().parents[2] / "saved_models"


def require(name):
    try:
        load_dataset(name, download=False, verbose=False)
    except FileNotFoundError:
        pytest.skip("the data are not here")


@pytest.mark.parametrize(
    ("name", "condition", "method"),
    [
        ("grn_350", "noise_5", "dash"),
        ("grn_350", "noise_5", "sparse"),
        ("grn_350", "noise_10", "imp"),
        ("grn_350", "noise_5", "l0"),
        ("simulated_grn", "noise_5", "biological"),
        ("yeast_pramila", "real", "path_reg"),
        ("breast_desmedt", "real", "dash"),
    ],
)
def test_a_committed_fit_comes_out_the_same(name, condition, method):
    require(name)
    stored = results.load(SAVED / name / f"dynamics_{condition}_{method}.pickle")
    first = stored.scores.iloc[0]
    seed = int(first["seed"])
    data, model = experiments.load(name, condition, seed), experiments.make(name, condition, method, seed)
    row = experiments.score(model, data)
    compared = [column for column in row if column != "seconds"]
    assert_same([row[column] for column in compared], first[compared].to_numpy(float))
    if "predicted" in stored.values:
        test = experiments.held_out(data)
        predicted = np.stack(rollouts(model, test.values, test.times)).astype(np.float32)
        assert_same(predicted, stored.predicted)
        strongest = stored.edges.iloc[0]
        assert_same(model.edge_scores_.loc[strongest["regulator"], strongest["target"]], strongest["score"])


def test_committed_results_are_those_of_the_study():
    for name, setting in experiments.SETTINGS.items():
        records = study.load_records(SAVED / name)
        expected = {f"{condition}_{method}" for condition, methods in setting.runs.items() for method in methods}
        expected |= {"sparsities"} if setting.swept else set()
        assert set(records) == expected | ({"sizes"} if name == study.SIMULATED else set())
        for record in records.values():
            assert np.isfinite(record.scores["mse_ahead"]).all()


def test_the_best_method_is_more_right_than_the_prior_it_is_given():
    """What the method is for; on three priors of the published network, with 5 and with 10 % of the edges misplaced."""
    records = study.load_records(SAVED / "grn_350")
    for condition in ("noise_5", "noise_10"):
        of = {name: records[f"{condition}_{name}"].scores.set_index("seed") for name in ("prior", "sparse", *METHODS)
              if f"{condition}_{name}" in records}  # fmt: skip
        scores = pd.concat(of, names=["method"])
        best = scores.loc["sparse"]
        assert (best["balanced_accuracy"] > scores.loc["prior", "balanced_accuracy"]).all()
        assert (best["kept_wrong"] < 0.3).all() and (best["recall_missing"] > 0.5).all()
