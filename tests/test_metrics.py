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
    assert pooled_r2(truth[:, 0], predicted[:, 0], 0.5) == feature_r2(truth[:, :1], predicted[:, :1], [0.5])[0]
    assert pooled_r2(truth, predicted, 0.5) == pooled_r2(truth, predicted, np.full(4, 0.5))
    large = np.r_[1001, np.full(9999, 1000)].astype(np.float32)[:, None]  # sums are in double precision
    assert pooled_r2(large, np.full_like(large, 1000), 1000.5) == pytest.approx(1 - 1 / 2500, rel=1e-12)


def test_nothing_to_explain_is_nan_of_an_output_and_a_score_as_in_scikit_learn():
    truth = np.array([[1.0, 2.0], [1.0, 3.0]])
    np.testing.assert_array_equal(feature_r2(truth, truth, [1.0, 2.0]), [np.nan, 1])
    for predicted in truth.T:
        assert pooled_r2(truth[:, 0], predicted, 1.0) == r2_score(truth[:, 0], predicted)


@pytest.mark.parametrize("score", [pooled_r2, feature_r2])
def test_bad_input_is_refused(outputs, score):
    t, p, m = outputs
    of_other_shape = [(t, p[:-1], m), (t[:, :1], p[:, 0], m), (t[:0], p[:0], m), (t, p, m[:3])]
    not_finite = [(t, np.where(p == p.max(), np.nan, p), m), (np.where(t == t.max(), np.inf, t), p, m)]
    for bad in of_other_shape + not_finite:
        with pytest.raises(ValueError, match="Y_true, Y_pred and Y_mean: expected finite"):
            score(*bad)
