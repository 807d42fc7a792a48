"""What a test R2 is worth, compared with the training mean, ridge and other models."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import stats
from sklearn.linear_model import Ridge

from sbnn import cross_validate, paper_folds
from sbnn.evaluation.verdict import corrected_difference, outputs_table, paired_difference, verdict
from sbnn.plotting import accuracy_comparison

TEST_FRACTION = 24 / 96  # of five folds of 120 cells


@pytest.fixture(scope="module")
def ridge(data):
    return cross_validate(Ridge(30.0), data, 5, verbose=False)


def shift_r2(record, by):
    """Record of a model whose R2 is higher by a value for each fold."""
    test_r2 = record.test_r2 + np.reshape(by, (-1, 1))
    return replace(record, values=record.values | {"test_r2": test_r2})


@pytest.mark.parametrize("n", [4, 3])
def test_an_interval_is_the_corrected_one(rng, n):
    """Also if fewer folds are counted."""
    differences = rng.normal(0.2, 0.1, 4)
    mean = differences.mean()
    error = differences.std(ddof=1) * np.sqrt(1 / n + 0.5)
    low, high = stats.t.interval(0.95, n - 1, mean, error)
    close(corrected_difference(differences, 0.5, n), [mean, low, high])


def test_three_repeats_of_folds_count(ridge):
    """Of seven times the same folds."""
    by = [-0.1, 0, 0, 0, -0.2]
    values = {"test_r2": np.tile(ridge.test_r2, (7, 1))}
    repeated = replace(ridge, folds=ridge.folds * 7, values=values)
    difference = paired_difference(shift_r2(repeated, by * 7), repeated, "test_r2")
    close(difference, corrected_difference(by * 7, TEST_FRACTION, 15))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"folds": []}, "folds"),
        ({"folds": paper_folds(120, 5)[::-1]}, "folds"),
        ({"sha256": "other", "dataset": "other"}, "dataset, sha256"),
        ({"values": {"true": np.zeros(9)}}, "true"),
    ],
)
def test_records_of_other_folds_are_not_paired(ridge, changes, named):
    with pytest.raises(ValueError, match=f"record, ridge: .* another {named}$"):
        paired_difference(ridge, replace(ridge, **changes), "test_r2")


@pytest.fixture(scope="module")
def two_points(data):
    """The penalty of `ridge`, and a larger one."""
    return cross_validate(Ridge(), data, 5, {"alpha": [30.0, 300.0]}, verbose=False)


def test_a_verdict_is_of_the_point_asked_for(two_points, ridge):
    difference = np.diff(two_points.test_r2).mean()
    assert verdict(two_points, ridge, point=1).difference.mean == pytest.approx(difference)


def difference_from_ridge(record, ridge):
    return paired_difference(record, ridge, "test_r2")


def figure_beside_ridge(record, ridge):
    return accuracy_comparison({"network": record, "ridge": ridge})


@pytest.mark.parametrize(
    "function", [verdict, outputs_table, difference_from_ridge, figure_beside_ridge]
)
def test_no_grid_point_is_chosen_silently(function, two_points, ridge):
    with pytest.raises(ValueError, match=r"got 2; choose one of alpha=30\.0; alpha=300\.0"):
        function(two_points, ridge)


def test_a_sentence_names_the_model(two_points):
    assert str(verdict(two_points, point=1)).startswith("Test R2 of Ridge(alpha=300.0) is ")


@pytest.mark.parametrize("function", [verdict, outputs_table])
def test_a_grid_of_ridge_is_refused(function, two_points, ridge):
    with pytest.raises(ValueError, match="ridge: expected one grid point, got 2"):
        function(ridge, two_points)


def test_every_output_has_its_interval(two_points):
    table = outputs_table(two_points, point=1)
    r2 = two_points.test_feature_r2[:, 1]
    close(table.sd, r2.std(0, ddof=1))
    interval = corrected_difference(r2[:, 2], TEST_FRACTION)
    close(table.iloc[2][["test_r2", "low", "high"]], interval)


BETTER = [0.1, 0.11, 0.1, 0.09, 0.1]
WORSE = [-0.1, -0.11, -0.1, -0.09, -0.1]
ALIKE = [0.01, -0.01, 0.01, -0.01, 0.001]


def test_a_sentence_compares_with_the_training_mean(ridge):
    sentence = str(verdict(shift_r2(ridge, BETTER), ridge))
    r2 = ridge.test_r2[:, 0] + BETTER
    scores = f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f} (5 folds) ["
    assert sentence.startswith(f"Test R2 of Ridge(alpha=30.0) is {scores}")
    assert ": better than predicting the mean of the training cells; " in sentence


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        (BETTER, "0.100 above ridge [+0.087, +0.113]: better than ridge."),
        (WORSE, "[-0.113, -0.087]: worse than ridge."),
        (ALIKE, "not distinguishable from ridge."),
    ],
)
def test_a_sentence_ends_with_the_comparison_with_ridge(ridge, by, standing):
    assert str(verdict(shift_r2(ridge, by), ridge)).endswith(standing)


@pytest.mark.parametrize(("n_folds", "text"), [(1, "one fold"), (2, "2 folds")])
def test_few_folds_have_no_interval(n_folds, text, data):
    few = paper_folds(data.n_cells, 4)[:n_folds]
    record = cross_validate(Ridge(), data, few, verbose=False)
    result = verdict(record, record)
    assert result.interval is None
    assert result.difference is None
    assert str(result).endswith(f"({text}: no interval); 0.000 above ridge.")
