"""R2 with permuted outputs: against a loop by hand, and against all permutations of few cells."""

import itertools
import warnings

import numpy as np
import pytest
from made_up import changed
from sklearn.linear_model import Lasso, Ridge

from sbnn import cross_validate
from sbnn.evaluation.crossval import chance_table, compared_with_chance, least_p, permuted_r2
from sbnn.metrics import feature_r2, pooled_r2
from sbnn.results import Record


@pytest.mark.parametrize(("of_outputs", "score"), [(False, pooled_r2), (True, feature_r2)])
def test_permutations_shuffle_the_outputs_within_each_fold(rng, of_outputs, score):
    Y = rng.normal([3, -1], [1, 2], size=(24, 2)).astype(np.float32)
    folds = [(np.arange(12, 24), np.arange(7)), (np.arange(14), np.arange(14, 24))]
    predicted = [rng.normal(size=(len(test), 2)) for _, test in folds]
    record = Record("", "", "", [{}], None, {"scaling": "none"}, folds)
    record.values["test_predictions"] = [predicted]
    expected = 0
    for f, (train, test) in enumerate(folds):
        random = np.random.default_rng((0, f))
        orders = [np.arange(len(test)), *(random.permutation(len(test)) for _ in range(3))]
        mean = Y[train].mean(0, dtype=float)
        r2 = [score(Y[test][order], predicted[f], mean) for order in orders]
        expected = expected + np.array(r2) / 2
    found = permuted_r2(record, Y, 0, 3, of_outputs)
    np.testing.assert_allclose(found, expected, atol=1e-10)


def test_a_cell_that_is_tested_twice_has_the_same_permuted_outputs_twice(rng):
    """With equal means and totals, the sum over repeated folds is that of the mean prediction."""
    Y = rng.normal(size=(12, 1)).round(1)
    Y -= Y.mean()
    tests = [np.arange(0, 6), np.arange(6, 12), np.arange(0, 12, 2), np.arange(1, 12, 2)]
    folds = [(np.arange(12), test) for test in tests]
    predicted = [rng.normal(size=(6, 1)) for _ in tests]
    record = Record("", "", "", [{}], None, {"scaling": "none"}, folds)
    record.values["test_predictions"] = [predicted]
    weighted = np.zeros(12)
    constant = 0
    for test, of_fold in zip(tests, predicted, strict=True):
        total = np.square(Y[test]).sum()
        weighted[test] += of_fold[:, 0] / total / 4
        constant += np.square(of_fold).sum() / total / 4
    random = np.random.default_rng((0, 0))
    expected = [2 * weighted @ Y[:, 0] - constant]
    for _ in range(5):
        expected.append(2 * weighted @ Y[random.permutation(12), 0] - constant)
    np.testing.assert_allclose(permuted_r2(record, Y, 0, 5), expected, atol=1e-10)


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
def test_the_measured_r2_is_that_of_the_record(data, scaling):
    """R2 is relative to the mean of the training cells, which is far from 0."""
    shifted = changed(data, Y=data.Y + 10)
    grid = {"alpha": [1.0, 30.0, 9.0]}
    record = cross_validate(Ridge(), shifted, 3, grid, scaling=scaling, verbose=False)
    table = chance_table(record, shifted.Y)
    np.testing.assert_allclose(table.test_r2, record.test_r2.mean(0), atol=1e-5)
    assert (table.p == 1 / 200).all()
    assert (table.permuted_r2 < 0).all()
    record.test_predictions[0][1] = None
    assert chance_table(record, shifted.Y, 9).index.tolist() == [1, 2]
    [row] = chance_table(record, shifted.Y, points=[0, 2]).index
    assert row == 2


def test_p_is_the_share_of_permutations_that_reach_the_measured_r2():
    r2 = np.array([[0.5, np.nan], [0.5, 0.1], [0.6, 0.1], [0.1, 0.1], [0.0, 0.1]])
    table = compared_with_chance(r2, ["a", "b"], 1)
    np.testing.assert_array_equal(table.p, [3 / 5, np.nan])
    np.testing.assert_allclose(table.permuted_r2, [0.3, 0.1])
    # one fold: 0.4 does not reach 0.43; several folds: 0.3 + sqrt(2) * 0.1 = 0.441 does
    near = np.array([[0.43, 0.445], [0.4, 0.4], [0.2, 0.2]])
    assert compared_with_chance(near, ["a", "b"], 1).p.tolist() == [1 / 3, 1 / 3]
    assert compared_with_chance(near, ["a", "b"], 2).p.tolist() == [2 / 3, 1 / 3]


def test_the_least_p_counts_the_orders_of_the_test_cells():
    pairs = [(np.arange(3, 5), np.arange(3)), (np.arange(3), np.arange(3, 5))]
    orders = list(itertools.product(itertools.permutations(range(3)), range(2)))
    record = Record("", "", "", [], folds=pairs)
    assert least_p(record) == pytest.approx(1 / len(orders))
    assert least_p(record, 9) == 1 / 10
    # a cell that is tested twice has the same outputs twice
    record = Record("", "", "", [], folds=[pairs[0], (np.arange(3, 5), np.arange(1, 3))])
    assert least_p(record) == pytest.approx(1 / 6)


def test_predictions_at_chance_are_warned_of(data):
    shuffled = changed(data, Y=data.Y[np.random.default_rng(1).permutation(data.n_cells)])
    with pytest.warns(UserWarning, match=r"held-out cells .* 2 of 2 .*R2 -.*permuted outputs -"):
        cross_validate(Ridge(), shuffled, 5, {"alpha": [1.0, 30.0]}, verbose=False)
    # of the one without a gene
    with pytest.warns(UserWarning, match=r"1 of 2 grid points .* p = 1.00"):
        cross_validate(Lasso(), data, 5, {"alpha": [0.05, 9.0]}, verbose=False)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        cross_validate(Ridge(30.0), data, 5, verbose=False)
        # nothing is known if each fold tests one cell
        cross_validate(Ridge(), shuffled, [([0, 1, 2, 3], [i]) for i in (4, 5)], verbose=False)
