"""What a test R2 is worth, compared with the training mean, ridge and other models."""

from dataclasses import replace

import numpy as np
import pytest
from made_up import changed
from scipy import stats
from sklearn.linear_model import Ridge

from sbnn import cross_validate, paper_folds
from sbnn.evaluation.verdict import corrected_difference, outputs_table, paired_difference, verdict

close = np.testing.assert_allclose


def scored(data, folds=5, **options):
    return cross_validate(Ridge(30.0), data, folds, verbose=False, **options)


@pytest.fixture(scope="module")
def record(data):
    return scored(data)


def with_values(record, **values):
    return replace(record, values=record.values | values)


def moved(record, by):
    """Record of a model whose R2 is higher by a value for each fold."""
    return with_values(record, test_r2=record.test_r2 + np.reshape(by, (-1, 1)))


@pytest.mark.parametrize("n", [4, 3])
def test_the_interval_of_a_difference_is_the_corrected_one(rng, n):
    """Also if fewer folds are counted."""
    differences = rng.normal(0.2, 0.1, 4)
    found = corrected_difference(differences, 0.5, n)
    mean = differences.mean()
    se = differences.std(ddof=1) * np.sqrt(1 / n + 0.5)
    low, high = stats.t.interval(0.95, n - 1, mean, se)
    p = 2 * stats.t.sf(mean / se, n - 1)
    close(found, [mean, low, high, se, p, 4])
    assert corrected_difference(-differences, 0.5, n).p == pytest.approx(p)
    assert str(found) == f"{mean:+.3f} [{low:+.3f}, {high:+.3f}]"
    assert corrected_difference([0, 0], 0.5).p == 1
    assert corrected_difference([0.5, 0.5], 0.5).p == 0


def test_records_are_paired_fold_by_fold(record):
    by = [-0.1, 0, 0, 0, -0.2]
    other = moved(record, by)
    difference = paired_difference(other, record, "test_r2")
    close(difference, corrected_difference(by, 24 / 96))
    # of seven times the same folds, three count
    again = replace(record, folds=record.folds * 7)
    again = with_values(again, test_r2=np.tile(record.test_r2, (7, 1)))
    difference = paired_difference(moved(again, by * 7), again, "test_r2")
    close(difference, corrected_difference(by * 7, 24 / 96, 15))
    for wrong in (
        replace(other, folds=record.folds[::-1]),
        replace(other, folds=record.folds[:4]),
        replace(other, sha256="other"),
        with_values(other, true=np.zeros(9)),
    ):
        with pytest.raises(ValueError, match="record, ridge: "):
            paired_difference(record, wrong, "test_r2")


def test_outputs_have_an_interval_each(data, record):
    both = scored(data, param_grid={"alpha": [1.0, 30.0]})
    table = outputs_table(both, record, point=1)
    r2 = both.test_feature_r2[:, 1]
    assert table.index.tolist() == data.feature_names.tolist()
    close(table.test_r2, r2.mean(0))
    close(table.sd, r2.std(0, ddof=1))
    close(table.ridge_r2, table.test_r2)
    for i, row in enumerate(table.itertuples()):
        close([row.low, row.high], corrected_difference(r2[:, i], 24 / 96)[1:3])
    assert "ridge_r2" not in outputs_table(both)


@pytest.mark.parametrize(
    ("by", "standing"),
    [
        ([0.1, 0.11, 0.1, 0.09, 0.1], "better than ridge."),
        ([-0.1, -0.11, -0.1, -0.09, -0.1], "worse than ridge."),
        ([0.01, -0.01, 0.01, -0.01, 0.0], "not distinguishable from ridge."),
    ],
)
def test_a_model_is_compared_with_the_mean_and_with_ridge(record, by, standing):
    told = verdict(moved(record, by), record)
    r2 = record.test_r2[:, 0] + by
    interval = corrected_difference(r2, 24 / 96)
    difference = corrected_difference(by, 24 / 96)
    close(told[:2], [r2.mean(), r2.std(ddof=1)])
    close(told.interval, interval)
    close(told.difference, difference, atol=1e-12)
    side = "above" if np.mean(by) >= 0 else "below"
    assert str(told) == (
        f"Test R2 {r2.mean():.3f} ± {r2.std(ddof=1):.3f} (5 folds) "
        f"[{interval.low:.3f}, {interval.high:.3f}]: better than predicting the mean of the "
        f"training cells; {abs(np.mean(by)):.3f} {side} ridge "
        f"[{difference.low:+.3f}, {difference.high:+.3f}]: {standing}"
    )


def test_noise_is_not_better_than_the_mean(data, record):
    noise = scored(changed(data, Y=data.Y[::-1].copy()))
    assert "better than predicting" not in str(verdict(noise))
    assert "worse than predicting" in str(verdict(moved(record, -30)))
    around = with_values(record, test_r2=np.array([[0.1], [-0.1], [0.1], [-0.1], [0.0]]))
    assert "not distinguishable from predicting" in str(verdict(around))


def test_one_fold_has_no_interval(data):
    one = scored(data, paper_folds(data.n_cells, 4)[:1])
    told = verdict(one, one)
    assert told.interval is told.difference is None
    expected = f"Test R2 {told.test_r2:.3f} (one fold: no interval); 0.000 above ridge."
    assert str(told) == expected


def test_the_point_is_the_one_that_is_asked_for(data):
    record = scored(data, param_grid={"alpha": [1.0, 300.0]})
    told = verdict(record, record, point=1)
    assert told.test_r2 == pytest.approx(record.test_r2[:, 1].mean())
    assert told.difference.mean == pytest.approx(np.diff(record.test_r2).mean())
