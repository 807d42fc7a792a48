"""Numbers, names and notes that figures read from records."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import fit_record, linear_record, network_record, ridge_record

from sbnn.plotting import reading


def test_a_title_names_kind_protocol_width_and_genes():
    params = {"n_components": 3, "n_genes": 1}
    settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": params}}
    linear = fit_record(width=8)
    linear.settings = {"estimator": {"class": "a.SparseReducedRankRegression"}}
    linear.settings["estimator"]["params"] = {"rank": 8}
    titles = {
        "sBNN, paper protocol, d = 2, 12 genes": fit_record(),
        "sRRR, rank 8 + t-SNE, 12 genes": linear,
        "sBNN, paper protocol, d = 3, 1 gene": replace(ridge_record(), settings=settings),
    }
    for title, record in titles.items():
        assert reading.model_title(record) == title
    assert reading.network_name(network_record(), -1) == "sBNN, paper protocol, d = 64"


def test_mean_and_sample_sd_over_folds():
    r2 = np.random.default_rng(0).normal(size=(5, 3))
    mean, spread = reading.mean_sd(r2)
    np.testing.assert_allclose(mean, r2.sum(0) / 5)
    np.testing.assert_allclose(spread**2, ((r2 - mean) ** 2).sum(0) / 4)
    assert reading.mean_text([0.12345]) == "0.123"
    assert reading.mean_text([-0.1, -0.2]) == "−0.150 ± 0.071"


def test_penalties_are_short():
    texts = {1e-4: "10⁻⁴", 100: "10²", 0.05: "0.05", 0.1: "0.1", 10: "10", 30: "30", 0: "0"}
    for value, text in texts.items():
        assert reading.number(value) == text


def test_the_nearest_value_is_near_in_ratio():
    assert reading.nearest([0.01, 0.1, 1.0], 0.04) == 0.1
    assert reading.nearest([0.01, 0.1, 1.0], 0.02) == 0.01
    assert reading.nearest([1e-3, 0], 0) == 0


def test_notes_on_folds_and_scaling():
    five = replace(linear_record(), values={"test_r2": np.ones((5, 1))})
    one = replace(ridge_record(), values={"test_r2": np.ones((1, 1))})
    assert reading.folds_text(network_record(), five) == "mean ± SD over 3 or 5 folds"
    assert reading.folds_text(one) == "one fold"
    assert reading.levels_of(network_record(), "rank") == []


def test_published_results_of_the_same_parameters():
    narrow = {"n_components": 2, "group_lasso": 0.1, "test_r2": 0.4}
    straight = {"n_components": 2, "pretraining": False, "test_r2": 0.4}
    linear = {"rank": 2, "test_r2": 0.3}
    rows = [narrow, straight, linear, {"n_components": 64, "test_r2": 0.4}]
    assert reading.published_rows(rows, n_components=2) == [narrow, straight]
    assert reading.published_rows(rows, n_components=2, pretraining=True) == [narrow]
    assert reading.published_rows(rows, n_components=2, group_lasso=0.2) == [straight]
    assert reading.published_rows(rows, rank=2) == [linear]


def test_the_largest_model_with_few_enough_genes_is_chosen():
    srrr = linear_record()
    chosen = reading.choose_models({"a": (srrr, {"rank": 16}), "b": ridge_record()}, 13)
    assert chosen["a"] == (srrr, 10)
    assert chosen["b"][1] == 0
    with pytest.raises(ValueError, match=r"models\['m'\]: .* match 2 of"):
        reading.choose_models({"m": network_record(lassos=(0.1,), variants=(True,))}, 5)
