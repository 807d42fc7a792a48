"""R2 with permuted outputs: against a loop by hand, and against all permutations of few cells."""

import itertools

import numpy as np
import pytest
from scipy import stats

from sbnn.evaluation.crossval import chance_table, compared_with_chance, least_p, permuted_r2
from sbnn.evaluation.verdict import corrected_difference
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record


def unscaled(folds, *predictions):
    """Record of predictions, (fold, cells, outputs) for each grid point, of unscaled outputs."""
    params = [{"point": g} for g in range(len(predictions))]
    values = {"test_predictions": [list(of_folds) for of_folds in predictions]}
    settings = {"scaling": "none"}
    return Record("cross-validation", "noise", "s", params, 0, settings, folds, values)


@pytest.fixture
def Y(rng):
    return rng.normal([3, -1], [1, 2], size=(24, 2)).astype(np.float32)


FOLDS = [(np.arange(12, 24), np.arange(12)), (np.arange(12), np.arange(12, 24))]


@pytest.mark.parametrize("of_outputs", [False, True])
def test_permutations_shuffle_the_outputs_within_each_fold(Y, rng, of_outputs):
    score = feature_r2 if of_outputs else pooled_r2
    predicted = rng.normal(size=(2, 12, 2)).astype(np.float32)
    found = permuted_r2(unscaled(FOLDS, predicted), Y, 0, 3, 7, of_outputs)
    expected = np.zeros(found.shape)
    for f, (train, test) in enumerate(FOLDS):
        random = np.random.default_rng((7, f))
        orders = [np.arange(12), *(random.permutation(12) for _ in range(3))]
        for k, order in enumerate(orders):
            mean = Y[train].mean(0, dtype=float)
            expected[k] += score(Y[test][order], predicted[f], mean) / 2
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_grid_points_share_permutations_and_seeds_and_folds_do_not(Y, rng):
    predicted = np.array([rng.normal(size=(12, 2))] * 2)
    record = unscaled(FOLDS, predicted, predicted)
    table = chance_table(record, Y, 20, seed=1)
    assert table.permuted_r2[0] == table.permuted_r2[1]
    assert chance_table(record, Y, 20, seed=2).permuted_r2[0] != table.permuted_r2[0]
    # the same fold twice is permuted in two ways
    twice = unscaled(FOLDS[:1] * 2, predicted)
    once = unscaled(FOLDS[:1], predicted[:1])
    assert permuted_r2(twice, Y, 0, 1)[1] != permuted_r2(once, Y, 0, 1)[1]


def test_predictions_of_a_single_output_may_be_vectors(Y, rng):
    predicted = rng.normal(size=(2, 12))
    table = chance_table(unscaled(FOLDS, predicted), Y[:, :1], 5)
    columns = chance_table(unscaled(FOLDS, predicted[:, :, None]), Y[:, :1], 5)
    assert table.equals(columns)


def test_points_without_predictions_are_left_out(Y, rng):
    predicted = rng.normal(size=(2, 12, 2))
    partly = [predicted[0], None]
    record = unscaled(FOLDS, partly, predicted, predicted)
    assert chance_table(record, Y, 5).index.tolist() == [1, 2]
    assert chance_table(record, Y, 5, points=[0, 2]).index.tolist() == [2]


def test_p_is_the_share_of_permutations_that_reach_the_measured_r2():
    r2 = np.array([[0.5, np.nan], [0.5, 0.1], [0.6, 0.1], [0.1, 0.1], [0.0, 0.1]])
    table = compared_with_chance(r2, ["a", "b"], 1)
    assert table.p["a"] == 3 / 5
    assert np.isnan(table.p["b"])
    assert table.permuted_r2["a"] == pytest.approx(0.3)
    # one fold: 0.4 does not reach 0.43; several folds: 0.3 + sqrt(2) * 0.1 does
    near = np.array([[0.43], [0.4], [0.2]])
    assert compared_with_chance(near, ["a"], 1).p["a"] == 1 / 3
    assert compared_with_chance(near, ["a"], 2).p["a"] == 2 / 3


def test_the_least_p_counts_the_orders_of_the_test_cells():
    pairs = [(np.arange(2), np.arange(2, 5)), (np.arange(3), np.arange(3, 5))]
    orders = list(itertools.product(itertools.permutations(range(3)), range(2)))
    record = Record("", "", "", [], folds=pairs)
    assert least_p(record) == pytest.approx(1 / len(orders))
    assert least_p(record, 9) == 1 / 10
    alone = Record("", "", "", [], folds=[(np.arange(1, 3), np.arange(1))] * 2)
    assert least_p(alone) == 1


def test_the_interval_of_a_difference_is_the_corrected_one():
    found = corrected_difference([0.1, 0.3, 0.2], 0.5)
    se = 0.1 * np.sqrt(1 / 3 + 0.5)
    low, high = stats.t.interval(0.95, 2, 0.2, se)
    p = 2 * stats.t.sf(0.2 / se, 2)
    np.testing.assert_allclose(found, [0.2, low, high, se, p, 3])
    assert str(found) == f"+0.200 [{low:+.3f}, {high:+.3f}]"
    assert corrected_difference([0, 0], 0.5).p == 1
    assert corrected_difference([0.5, 0.5], 0.5).p == 0
