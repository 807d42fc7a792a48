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


@pytest.mark.parametrize("name", ["5 folds x 10", "20 random tenths", "5 folds of donors x 5"])
def test_noise_is_seldom_better_than_chance_in_repeated_folds(name):
    false, found = levels.chance(name, 50)
    assert at_most(false, 0.05, 50)
    assert found > 0.25


@pytest.mark.parametrize("name", ["5 folds", "5 folds x 10"])
def test_intervals_of_differences_hold_the_mean_difference(name):
    false, _ = levels.differences(name, 100)
    assert at_most(false, 0.05, 100)


@pytest.mark.parametrize(
    ("name", "least"), [("40 donors of 10 cells, 3 new", 0.5), ("8 donors of 25 cells, 2 new", 0)]
)
def test_tables_of_new_donors_are_seldom_called_shifted(name, least):
    false, found = levels.means(name, 60)
    assert at_most(false, 0.06, 60)
    assert found >= least
