"""How often noise is called an effect; `benchmarks/levels.py` measures it on more data sets."""

import levels
import pytest
from scipy.stats import binom

pytestmark = pytest.mark.slow


def test_intervals_of_differences_hold_the_mean_difference():
    false, _ = levels.differences("5 folds x 10", 100)
    assert 100 * false <= binom.ppf(0.999, 100, 0.05)
