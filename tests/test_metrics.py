import numpy as np
import pytest
from sklearn.metrics import r2_score

from sbnn.metrics import feature_r2, pooled_r2


@pytest.fixture
def outputs(rng):
    """Measured (30, 4), predicted, and training means that differ from the means of these cells."""
    truth = rng.normal(size=(30, 4)) * [1, 2, 3, 10]
    return truth, truth + rng.normal(size=truth.shape), rng.normal(size=4)


def test_r2_is_one_minus_the_ratio_of_the_sums(outputs):
    truth, predicted, mean = outputs
    errors, total = ((truth - predicted) ** 2).sum(0), ((truth - mean) ** 2).sum(0)
    assert pooled_r2(truth, predicted, mean) == pytest.approx(1 - errors.sum() / total.sum(), rel=1e-12)
    np.testing.assert_allclose(feature_r2(truth, predicted, mean), 1 - errors / total, rtol=1e-12)


def test_the_training_mean_scores_zero_and_the_truth_scores_one(outputs):
    truth, _, mean = outputs
    assert pooled_r2(truth, np.tile(mean, (30, 1)), mean) == 0
    assert pooled_r2(truth, truth, mean) == 1
    np.testing.assert_array_equal(feature_r2(truth, np.tile(mean, (30, 1)), mean), np.zeros(4))


def test_one_output_and_one_mean_for_all(outputs):
    truth, predicted, _ = outputs
    assert pooled_r2(truth[:, 0], predicted[:, 0], 0.5) == feature_r2(truth[:, :1], predicted[:, :1], [0.5])[0]
    assert pooled_r2(truth, predicted, 0.5) == pooled_r2(truth, predicted, np.full(4, 0.5))


def test_sums_are_in_double_precision():
    truth = np.full((10_000, 1), 1000, dtype=np.float32)
    truth[0] = 1001
    assert pooled_r2(truth, np.full_like(truth, 1000), 1000.5) == pytest.approx(1 - 1 / 2500, rel=1e-12)


def test_nothing_to_explain_is_nan_of_an_output_and_a_score_as_in_scikit_learn():
    truth = np.array([[1.0, 2.0], [1.0, 3.0]])
    per_feature = feature_r2(truth, truth, [1.0, 2.0])
    assert np.isnan(per_feature[0])
    assert per_feature[1] == 1
    assert pooled_r2(truth[:, 0], truth[:, 0], 1.0) == r2_score(truth[:, 0], truth[:, 0]) == 1
    assert pooled_r2(truth[:, 0], truth[:, 1], 1.0) == r2_score(truth[:, 0], truth[:, 1]) == 0


@pytest.mark.parametrize(
    "change",
    [
        lambda t, p, m: (t, p[:-1], m),
        lambda t, p, m: (t[:, :1], p[:, 0], m),
        lambda t, p, m: (t[:0], p[:0], m),
        lambda t, p, m: (t, p, m[:3]),
        lambda t, p, m: (t, np.where(p == p.max(), np.nan, p), m),
        lambda t, p, m: (np.where(t == t.max(), np.inf, t), p, m),
    ],
)
def test_bad_input_is_refused(outputs, change):
    for score in (pooled_r2, feature_r2):
        with pytest.raises(ValueError, match="Y_true, Y_pred and Y_mean: expected finite values"):
            score(*change(*outputs))
