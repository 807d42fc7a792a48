"""How often noise is called an effect; `benchmarks/levels.py` measures it on more data sets."""

import levels
import pytest
from scipy.stats import binom

pytestmark = pytest.mark.slow


def test_intervals_of_differences_hold_the_mean_difference():
    false, _ = levels.differences("5 folds x 10", 100)
    assert 100 * false <= binom.ppf(0.999, 100, 0.05)


@pytest.mark.parametrize("name", ["simulated types, 60 cells", "simulated types"])
def test_probabilities_of_new_donors_are_calibrated(name):
    confidence, accuracy, warned = levels.calibration(name, 40)  # four fits
    assert confidence == pytest.approx(accuracy, abs=0.05)
    assert warned == 0
