"""Counts of independent genes, against independent formulas and a committed record."""

import numpy as np
import pytest
from material.paths import ROOT
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy import sparse, stats

from sbnn import results
from sbnn.mechanism_shift import simulate_perturbations
from sbnn.mechanism_shift.baselines import MeanShares

NAMES = np.repeat(["a", "b"], 200)


@pytest.fixture(scope="module")
def counts():
    """Negative binomial counts of three genes, with other means in each perturbation."""
    rng = np.random.default_rng(0)
    means = np.where(NAMES[:, None] == "a", [20, 30, 50], [60, 30, 10])
    return sparse.csr_array(1 + rng.poisson(rng.gamma(2.0, means / 2.0)))


@pytest.mark.parametrize("by_perturbation", [False, True])
def test_bounds_are_log_probabilities_with_mean_shares(by_perturbation, counts):
    table = counts.toarray()
    fitted = MeanShares(by_perturbation).fit(counts, NAMES)
    inverse = np.exp(fitted.dispersion_.numpy())
    for name in "ab":
        own = table[NAMES == name]
        sums = own.sum(axis=0) if by_perturbation else table.sum(axis=0)
        means = (sums / sums.sum() + 1e-6) * own.sum(axis=1, keepdims=True)
        expected = stats.nbinom.logpmf(own, inverse, inverse / (inverse + means)).sum(axis=1)
        assert_allclose(fitted.bounds(counts, NAMES)[NAMES == name], expected)


def test_new_perturbations_learn_their_shares_alone(counts):
    half = np.arange(400) % 2 == 0
    fitted = MeanShares().fit(counts[half], NAMES[half])
    before = fitted.bounds(counts, NAMES)
    new = np.full(200, "new")
    learned = fitted.fit_new_perturbations(counts[:200], new)
    assert learned.elbo(counts[:200], new) > fitted.elbo(counts[:200], new)
    unlearned = fitted.fit_new_perturbations(counts[:200], new, learn_shifts=False)
    assert_array_equal(unlearned.bounds(counts[:200], new), before[:200])
    for model in (fitted, learned):
        assert_array_equal(model.bounds(counts, NAMES), before)


def test_the_committed_bounds_come_out_the_same():
    stored = results.load(ROOT / "saved_models/simulated_screen/shift_new_mean_shares.pickle.xz")
    screen = simulate_perturbations(50, 100, 15, 100, random_state=0)
    names = screen.obs["perturbation"].to_numpy(str)
    is_new = np.isin(names, stored.settings["left_out"])
    fitted = MeanShares(n_cells=2000).fit(screen.X[~is_new], names[~is_new])
    cells = np.random.default_rng(0).permutation(np.flatnonzero(is_new))
    learned = fitted.fit_new_perturbations(screen.X[cells[::2]], names[cells[::2]])
    after = stored.bounds.query("step == 'after'").set_index("target")["IWELBO"]
    for name in after.index[:3]:
        scored = cells[1::2][names[cells[1::2]] == name]
        assert learned.iwelbo(screen.X[scored], names[scored]) == approx(after[name], rel=1e-6)
