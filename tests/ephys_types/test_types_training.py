"""Losses and weights against their formulas; cells that are set aside, and cells that are made."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.ephys_types import training
from sbnn.ephys_types.training import validation_part

LABELS = torch.tensor([0, 2, 1])


def test_a_focal_loss_is_cross_entropy_with_a_factor_for_each_cell(rng):
    logits = rng.normal(size=(3, 3))
    weights = np.array([1.0, 2.0, 5.0])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_true = p[np.arange(3), LABELS]
    losses = -((1 - of_true) ** 2) * np.log(of_true)
    found = training.focal(torch.tensor(logits), LABELS, torch.tensor(weights))
    assert found.item() == approx((weights[LABELS] * losses).sum() / weights[LABELS].sum())


@pytest.mark.parametrize("margin", [0.0, 0.1, 0.35])
def test_the_margin_is_added_to_the_angle_of_the_true_class(margin):
    angles = np.array([[0.5, 1.5, 1.8], [1.2, 1.3, 2.7], [2.0, 3.0, 1.1]])
    own = angles[np.arange(3), LABELS]
    # beyond pi, a line goes on falling
    line = np.cos(own) - margin * np.sin(margin)
    moved = np.where(own + margin <= np.pi, np.cos(own + margin), line)
    expected = np.cos(angles)
    expected[np.arange(3), LABELS] = moved
    found = training.add_angular_margin(torch.tensor(np.cos(angles)), LABELS, margin)
    assert_allclose(found, 30 * expected, atol=1e-9)


def test_a_share_of_each_class_is_set_aside():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    random = np.random.RandomState(0)  # noqa: NPY002
    cells = np.arange(141)
    part = validation_part(labels, 0.25, cells, 1, random)
    assert np.bincount(labels[part], minlength=3).tolist() == [25, 10, 0]
    most = validation_part(labels[:140], 0.9, cells[:140], 8, random)
    assert np.bincount(labels[:140][~most]).tolist() == [10, 8]
    with pytest.raises(ValueError, match="^validation_share="):
        validation_part(labels, 1e-6, cells, 1, random)
    # A donor that has all cells of a class stays for training, however large the share.
    donors = np.r_[np.arange(100) % 10, np.full(40, 11), 3]
    part = validation_part(labels, 0.9, donors, 1, random)
    assert set(labels[~part]) == {0, 1, 2}
    assert set(donors[part]).isdisjoint(donors[~part])
