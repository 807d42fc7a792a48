"""Across species: shift and shares are recovered without types of the target."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import multivariate_normal
from sklearn.linear_model import LogisticRegression

from sbnn.ephys_types import ZeroShotClassifier, transfer
from sbnn.ephys_types.transfer import align, own_scale, physiological_scale

SHIFT = np.array([0.8, -1.0, 0.5, 0.0, 0.6])
CENTRES = np.array([[3.0, 0, 0, 0, 0], [0, 3.0, 0, 1, 0], [0, 0, 3.0, 0, 1]])


def drawn(shares, n, seed, shift=0.0):
    rng = np.random.default_rng(seed)
    codes = rng.choice(3, n, p=shares)
    return CENTRES[codes] + rng.normal(size=(n, 5)) + shift, codes


@pytest.fixture(scope="module")
def source():
    """Cells of shape (300, 5) and types."""
    return drawn([0.3, 0.3, 0.4], 300, 0)


@pytest.fixture
def one_start(monkeypatch):
    """A search from equal shares only, which is enough where not its result is tested."""
    monkeypatch.setattr(transfer, "_starts", lambda n_types: np.full((1, n_types), 1 / n_types))


def test_shift_and_shares_are_recovered_without_types(source):
    target, types = drawn([0.6, 0.3, 0.1], 800, 1, SHIFT)
    shift, shares, memberships = align(*source, target)
    assert_allclose(shift, SHIFT, atol=0.25)
    # drawn to equal shares by pseudo-cells
    assert_allclose(shares, [0.55, 0.3, 0.15], atol=0.04)
    assert (memberships.argmax(1) == types).mean() > 0.93
    # a majority where another type was
    target, types = drawn([0.1, 0.8, 0.1], 500, 1, CENTRES[2] - CENTRES[1])
    memberships = align(*source, target)[2]
    assert (memberships.argmax(1) == types).mean() > 0.95


def test_a_step_of_the_estimation_by_brute_force(rng, monkeypatch):
    """Memberships, shares and posterior of the first step."""
    monkeypatch.setattr(transfer, "STEPS", 1)
    cells = rng.normal(size=(4, 2))
    means = rng.normal(size=(2, 2))
    covariances = np.array([np.eye(2), [[2, 0.5], [0.5, 1]]])
    shares = np.array([0.3, 0.7])
    found, new_shares, memberships = transfer._maximise(cells, means, covariances, shares)
    shift = cells.mean(axis=0) - shares @ means
    joint = np.empty((4, 2))
    for k in range(2):
        density = multivariate_normal(means[k] + shift, covariances[k]).pdf(cells)
        joint[:, k] = shares[k] * density * 2 * np.pi
    likelihoods = joint.sum(axis=1)
    expected = joint / likelihoods[:, None]
    assert_allclose(memberships, expected)
    assert found == pytest.approx(np.log(likelihoods).sum() + 0.4 * np.log(shares).sum())
    assert_allclose(new_shares, (expected.sum(axis=0) + 0.4) / (4 + 0.8))


def test_scales():
    found = physiological_scale(
        [[np.nan, 0.03, 0.09, -27]], ["x", "sag", "fi_fit_slope", "adapt_hero"]
    )
    assert_allclose(found, [[np.nan, np.log(0.05), 0.3, -3]])
    reference = np.transpose([[0, 1, 2, 3, 4, np.nan], [4] * 6])  # the second has no spread
    given = [[2 + 2 * 2 / 1.349, 9], [np.nan, 4], [99, 3], [-99, np.nan]]
    assert_allclose(own_scale(given, reference), [[2, 4], [0, 0], [4, -1], [-4, 0]])


def test_targets_are_scaled_and_shifted(source, one_start):
    target, types = drawn([0.7, 0.2, 0.1], 300, 1, 4 * SHIFT)
    target[:20, 0] = np.nan
    model = ZeroShotClassifier(LogisticRegression()).fit(*source, target)
    scaled = own_scale(target, target)
    own = own_scale(source[0], source[0])
    shift, shares, _ = align(own, source[1], scaled)
    assert_allclose(model.shift_, shift)
    assert_allclose(model.shares_, shares)
    expected = LogisticRegression().fit(own, source[1])
    assert_allclose(model.predict_proba(target), expected.predict_proba(scaled - shift))
    assert model.score(target, types) > 0.85


def lacking(X, *columns):
    X = X.copy()
    X[:, list(columns)] = np.nan
    return X


@pytest.mark.usefixtures("one_start")
def test_lost_features_are_named_and_left_out(source):
    target, _ = drawn([0.3, 0.3, 0.4], 200, 1, SHIFT)
    kept = [0, 2, 4]
    fewer = ZeroShotClassifier(LogisticRegression())
    fewer.fit(source[0][:, kept], source[1], target[:, kept])
    model = ZeroShotClassifier(LogisticRegression())
    with pytest.warns(UserWarning, match="features without a value .*: x1, x3$"):
        model.fit(lacking(source[0], 1), source[1], lacking(target, 3))
    assert_allclose(model.predict_proba(target), fewer.predict_proba(target[:, kept]))
    assert_array_equal(model.shift_[[1, 3]], 0)
