"""How often noise is called an effect; `benchmarks/levels.py` measures it on more data sets."""

import sys
from pathlib import Path

import pytest
from scipy.stats import binom

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))
import levels

pytestmark = pytest.mark.slow


def at_most(share, level, n_sets):
    """Whether a share could be measured in `n_sets` data sets at this level, with p above 0.001."""
    return round(share * n_sets) <= binom.ppf(0.999, n_sets, level)


@pytest.mark.parametrize("name", ["5 folds x 10", "5 folds of donors x 5"])
def test_noise_is_seldom_better_than_the_mean_in_repeated_folds(name):
    false, found = levels.intervals(name, 50)
    assert at_most(false, 0.05, 50)
    assert found > 0.25


def test_intervals_of_differences_hold_the_mean_difference():
    false, _ = levels.differences("5 folds x 10", 100)
    assert at_most(false, 0.05, 100)


@pytest.mark.parametrize("name", ["simulated types, 60 cells", "simulated types"])
def test_probabilities_of_new_donors_are_calibrated(name):
    confidence, accuracy, warned = levels.calibration(name, 40)  # four fits
    assert confidence == pytest.approx(accuracy, abs=0.05)
    assert warned == 0
