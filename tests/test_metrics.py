import numpy as np
import pytest

from sbnn.metrics import feature_r2, pooled_r2


@pytest.fixture
def outputs(rng):
    """Measured (30, 4), predicted, and training means that differ from the means of these cells."""
    truth = rng.normal(size=(30, 4)) * [1, 2, 3, 10]
    return truth, truth + rng.normal(size=truth.shape), rng.normal(size=4)


def test_one_mean_stands_for_all_outputs_and_sums_are_in_double_precision(outputs):
    truth, predicted, _ = outputs
    assert pooled_r2(truth, predicted, 0.5) == pooled_r2(truth, predicted, np.full(4, 0.5))
    large = np.r_[1001, np.full(9999, 1000)].astype(np.float32)[:, None]
    assert pooled_r2(large, np.full_like(large, 1000), 1000.5) == pytest.approx(1 - 1 / 2500, rel=1e-12)


@pytest.mark.parametrize("score", [pooled_r2, feature_r2])
def test_bad_input_is_refused(outputs, score):
    t, p, m = outputs
    of_other_shape = [(t, p[:-1], m), (t[:, :1], p[:, 0], m), (t[:0], p[:0], m), (t, p, m[:3])]
    not_finite = [(t, np.where(p == p.max(), np.nan, p), m), (np.where(t == t.max(), np.inf, t), p, m)]
    for bad in of_other_shape + not_finite:
        with pytest.raises(ValueError, match="Y_true, Y_pred and Y_mean: expected finite"):
            score(*bad)
