import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sbnn.ephys_types.losses import (
    add_angular_margin,
    balanced_weights,
    cross_entropy,
    effective_number_weights,
    focal,
    shift_prior,
)

COUNTS = torch.tensor([10, 30, 160])
LABELS = torch.tensor([0, 1, 2, 2, 1])


@pytest.fixture
def logits():
    return torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


def test_balanced_weights_give_each_class_the_same_total():
    weights = balanced_weights(COUNTS)
    np.testing.assert_allclose(weights * COUNTS, 200 / 3)
    assert float((weights * COUNTS).sum() / COUNTS.sum()) == pytest.approx(1)


def test_weights_by_the_effective_number():
    effective = [(1 - 0.999**n) / (1 - 0.999) for n in COUNTS.tolist()]
    weights = effective_number_weights(COUNTS).numpy()
    np.testing.assert_allclose(weights * effective, (weights * effective)[0], rtol=1e-5)
    assert weights.mean() == pytest.approx(1)
    np.testing.assert_allclose(effective_number_weights(COUNTS, beta=0.0), 1)
    # As beta goes to 1, so does the effective number to the count.
    nearly = effective_number_weights(COUNTS, beta=1 - 1e-9).numpy()
    np.testing.assert_allclose(nearly * COUNTS.numpy(), nearly[0] * 10, rtol=1e-5)


def test_cross_entropy_and_focal_by_hand(logits):
    weights = torch.tensor([3.0, 1.0, 0.5], dtype=torch.float64)
    p = np.exp(logits.numpy())
    p = (p / p.sum(1, keepdims=True))[np.arange(5), LABELS]
    w = weights.numpy()[LABELS]
    assert float(cross_entropy(logits, LABELS)) == pytest.approx(-np.log(p).mean())
    assert float(cross_entropy(logits, LABELS, weights)) == pytest.approx(-(w * np.log(p)).sum() / w.sum())
    assert float(focal(logits, LABELS, gamma=0.0)) == pytest.approx(-np.log(p).mean())
    assert float(focal(logits, LABELS)) == pytest.approx(-((1 - p) ** 2 * np.log(p)).mean())
    assert float(focal(logits, LABELS, weights)) == pytest.approx(-(w * (1 - p) ** 2 * np.log(p)).sum() / w.sum())


def test_focal_of_a_certain_cell_has_a_gradient():
    logits = torch.tensor([[200.0, 0.0]], requires_grad=True)
    focal(logits, torch.tensor([0])).backward()
    assert torch.isfinite(logits.grad).all()


@given(st.lists(st.floats(0.01, math.pi - 0.36), min_size=3, max_size=3))
def test_margin_is_added_to_the_angle_of_the_own_class(angles):
    cosines = torch.tensor([angles], dtype=torch.float64).cos()
    with_margin = add_angular_margin(cosines, torch.tensor([1]))[0]
    expected = [30 * math.cos(angle + 0.35 * (i == 1)) for i, angle in enumerate(angles)]
    np.testing.assert_allclose(with_margin, expected, atol=1e-6)


def test_margin_makes_every_angle_harder():
    """Also beyond pi - margin, where the cosine of the sum would rise again."""
    angles = torch.linspace(0, math.pi, 400, dtype=torch.float64)
    moved = add_angular_margin(angles.cos()[:, None], torch.zeros(400, dtype=int))[:, 0]
    assert (moved.diff() < 0).all()
    assert (moved < 30 * angles.cos()).all()


def test_margin_has_a_gradient_at_the_ends():
    cosines = torch.tensor([[1.0, -1.0], [-1.0, 1.0]], requires_grad=True)
    add_angular_margin(cosines, torch.tensor([0, 0])).sum().backward()
    assert torch.isfinite(cosines.grad).all()


def test_prior_is_shifted_as_bayes_has_it():
    """Two Gaussians: what balanced training gives, shifted, is the posterior under the frequencies of the classes."""
    x = torch.linspace(-3, 5, 50, dtype=torch.float64)
    log_likelihood = torch.stack([-(x**2) / 2, -((x - 2) ** 2) / 2], dim=1)
    balanced, frequent = torch.tensor([0.5, 0.5]), torch.tensor([0.9, 0.1])
    trained = (log_likelihood + balanced.log()).log_softmax(1)
    shifted = shift_prior(trained, balanced, frequent).log_softmax(1)
    np.testing.assert_allclose(shifted, (log_likelihood + frequent.log()).log_softmax(1), atol=1e-6)
    assert (shifted[:, 0] > trained[:, 0]).all()  # towards the large class
