"""What a test R2 is worth, compared with the training mean, ridge and other models."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose as close
from scipy import stats
from sklearn.linear_model import Ridge

from sbnn import cross_validate, paper_folds
from sbnn.evaluation.verdict import corrected_difference, outputs_table, paired_difference, verdict


@pytest.fixture(scope="module")
def record(data):
    return cross_validate(Ridge(30.0), data, 5, verbose=False)


def moved(record, by):
    """Record of a model whose R2 is higher by a value for each fold."""
    test_r2 = record.test_r2 + np.reshape(by, (-1, 1))
    return replace(record, values=record.values | {"test_r2": test_r2})


@pytest.mark.parametrize("n", [4, 3])
def test_the_interval_of_a_difference_is_the_corrected_one(rng, n):
    """Also if fewer folds are counted."""
    differences = rng.normal(0.2, 0.1, 4)
    found = corrected_difference(differences, 0.5, n)
    mean = differences.mean()
    se = differences.std(ddof=1) * np.sqrt(1 / n + 0.5)
    close(found, [mean, *stats.t.interval(0.95, n - 1, mean, se)])


def test_records_are_paired_fold_by_fold(record):
    by = [-0.1, 0, 0, 0, -0.2]
    other = moved(record, by)
    close(paired_difference(other, record, "test_r2"), corrected_difference(by, 24 / 96))
    # of seven times the same folds, three count
    values = {"test_r2": np.tile(record.test_r2, (7, 1))}
    again = replace(record, folds=record.folds * 7, values=values)
    difference = paired_difference(moved(again, by * 7), again, "test_r2")
    close(difference, corrected_difference(by * 7, 24 / 96, 15))
    for name, wrong in {
        "folds": {"folds": record.folds[::-1]},
        "dataset, sha256": {"sha256": "other", "dataset": "other"},
        "true": {"values": record.values | {"true": np.zeros(9)}},
    }.items():
        with pytest.raises(ValueError, match=f"record, ridge: .* another {name}$"):
            paired_difference(record, replace(other, **wrong), "test_r2")


def test_the_point_is_the_one_that_is_asked_for(data, record):
    """Of a verdict and of a table with an interval for each output."""
    both = cross_validate(Ridge(), data, 5, {"alpha": [30.0, 300.0]}, verbose=False)
    told = verdict(both, record, point=1)
    assert told.difference.mean == pytest.approx(np.diff(both.test_r2).mean())
    table = outputs_table(both, record)
    r2 = both.test_feature_r2[:, 0]
    close(table.sd, r2.std(0, ddof=1))
    close(table.ridge_r2, record.test_feature_r2.mean((0, 1)))
    found = corrected_difference(r2[:, 2], 24 / 96)
    close(table.iloc[2][["test_r2", "low", "high"]], found)


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        ([0.1, 0.11, 0.1, 0.09, 0.1], "0.100 above ridge [+0.087, +0.113]: better than ridge."),
        ([-0.1, -0.11, -0.1, -0.09, -0.1], "[-0.113, -0.087]: worse than ridge."),
        ([0.01, -0.01, 0.01, -0.01, 0.001], "not distinguishable from ridge."),
    ],
)
def test_a_model_is_compared_with_the_mean_and_with_ridge(record, by, standing):
    told = verdict(moved(record, by), record)
    r2 = record.test_r2[:, 0] + by
    close(told.interval, corrected_difference(r2, 24 / 96))
    close(told.difference, corrected_difference(by, 24 / 96), atol=1e-12)
    start = f"Test R2 {r2.mean():.3f} ± {r2.std(ddof=1):.3f} (5 folds) ["
    assert str(told).startswith(start)
    assert ": better than predicting the mean of the training cells; " in str(told)
    assert str(told).endswith(standing)


def test_one_fold_has_no_interval(data):
    one = cross_validate(Ridge(), data, paper_folds(data.n_cells, 4)[:1], verbose=False)
    told = verdict(one, one)
    assert told.interval is told.difference is None
    assert str(told).endswith("(one fold: no interval); 0.000 above ridge.")
