"""Losses and weights against their formulas; cells that are set aside, and cells that are made."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.ephys_types import training
from sbnn.ephys_types.training import oversample, validation_part

LABELS = torch.tensor([0, 2, 1])


def test_a_focal_loss_is_cross_entropy_with_a_factor_for_each_cell(rng):
    logits = rng.normal(size=(3, 3))
    weights = np.array([1.0, 2.0, 5.0])
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    of_true = p[np.arange(3), LABELS]
    of_cells = weights[LABELS]
    for gamma in (0.0, 0.5, 2.0):
        losses = -((1 - of_true) ** gamma) * np.log(of_true)
        found = training.focal(torch.tensor(logits), LABELS, torch.tensor(weights), gamma)
        assert found.item() == approx((of_cells * losses).sum() / of_cells.sum())
    usual = training.focal(torch.tensor(logits), LABELS, torch.tensor(weights))
    assert usual == found


def test_the_margin_is_added_to_the_angle_of_the_true_class():
    angles = np.array([[0.5, 1.5, 1.8], [1.2, 1.3, 2.7], [2.0, 3.0, 1.1]])
    cosines = torch.tensor(np.cos(angles))
    for margin in (0.0, 0.2, 0.35):
        expected = np.cos(angles)
        expected[0, 0] = math.cos(0.5 + margin)
        expected[1, 2] = math.cos(2.7 + margin)
        if 3.0 + margin <= math.pi:
            expected[2, 1] = math.cos(3.0 + margin)
        else:  # the line that goes on falling
            expected[2, 1] = math.cos(3.0) - margin * math.sin(margin)
        found = training.add_angular_margin(cosines, LABELS, margin)
        assert_allclose(found, 30 * expected, atol=1e-9)
    torch.testing.assert_close(training.add_angular_margin(cosines, LABELS), found)


def test_weights_of_classes():
    counts = torch.tensor([1, 4, 10])
    weights = training.balanced_weights(counts)
    assert_allclose(weights, [5, 1.25, 0.5])
    for beta in (0.5, 0.999):
        effective = (1 - beta ** counts.numpy().astype(float)) / (1 - beta)
        expected = (1 / effective) / np.mean(1 / effective)
        found = training.effective_number_weights(counts, beta)
        assert_allclose(found, expected, rtol=1e-5)
    assert torch.equal(training.effective_number_weights(counts), found)


def descended(**options):
    """Weight of a network after three steps down the parabola 3 w^2, from 1."""
    layer = torch.nn.Linear(1, 1, bias=False)
    torch.nn.init.ones_(layer.weight)
    gradients = []
    layer.weight.register_post_accumulate_grad_hook(lambda w: gradients.append(w.grad.item()))
    losses = (3 * (layer.weight**2).sum() for _ in range(3))
    training.descend(layer, losses, 0.1, 0.5, **options)
    assert not layer.training
    return layer.weight.item(), gradients, layer.weight.grad.item()


def adamw(gradient_of, rates, weight=1.0, decay=0.5):
    """The steps of AdamW (Loshchilov and Hutter 2019), written out."""
    mean = square = 0.0
    for step, rate in enumerate(rates, 1):
        gradient = gradient_of(weight)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        direction = (mean / (1 - 0.9**step)) / (math.sqrt(square / (1 - 0.999**step)) + 1e-8)
        weight -= rate * decay * weight + rate * direction
    return weight


def test_steps_are_those_of_adamw():
    constant, gradients, _ = descended()
    assert constant == approx(adamw(lambda w: 6 * w, [0.1] * 3), rel=1e-5)
    assert gradients[:1] == [6.0]
    clipped, _, last = descended(clip=0.1)
    assert abs(last) == approx(0.1, rel=1e-4)
    assert clipped == approx(adamw(lambda w: min(6 * w, 0.1), [0.1] * 3), rel=1e-5)


def test_the_learning_rate_rises_and_falls_within_the_steps(monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *arguments):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    layer = torch.nn.Linear(1, 1)
    losses = (layer(torch.ones(1, 1)).sum() for _ in range(20))
    training.descend(layer, losses, 0.1, 0.5, n_steps=20)
    peak = int(np.argmax(rates))
    assert len(rates) == 20
    assert rates[peak] == approx(0.1)
    assert (np.diff(rates[: peak + 1]) > 0).all()
    assert (np.diff(rates[peak:]) < 0).all()
    assert rates[-1] < 1e-4


def test_new_cells_lie_between_two_of_their_class(rng):
    labels = np.repeat([0, 1], [20, 4])
    values = rng.normal(size=(24, 3)) + 10 * labels[:, None]
    made, new = oversample(values, labels, 0)
    assert new.tolist() == labels.tolist() + [1] * 16
    assert_array_equal(made[:24], values)
    for cell in made[24:]:
        # Distances to the two parents add up to the distance between them.
        way = np.linalg.norm(cell - values[20:], axis=1)
        between = np.linalg.norm(values[20:, None] - values[20:], axis=2)
        detours = way[:, None] + way - between
        assert detours[~np.eye(4, dtype=bool)].min() < 1e-9
    other, _ = oversample(values, labels, 4)
    assert not np.array_equal(made, other)


def test_new_cells_lack_what_their_nearer_parent_lacks():
    values = np.array([[0, 1], [1, 2], [2, 3], [3, 1], [2, 5], [9, 7], [8, np.nan]])
    made, _ = oversample(values, np.array([0, 0, 0, 0, 0, 1, 1]), 0)
    new = made[7:]
    assert ((new[:, 0] > 8) & (new[:, 0] < 9)).all()
    nearer_to_whole = new[:, 0] > 8.5
    assert nearer_to_whole.any() and not nearer_to_whole.all()
    assert_allclose(new[nearer_to_whole, 1], 7)
    assert np.isnan(new[~nearer_to_whole, 1]).all()
    assert_array_equal(made[:7], values)


def test_a_share_of_each_class_is_set_aside():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    random = np.random.RandomState(0)  # noqa: NPY002
    part = validation_part(labels, 0.25, None, 1, random)
    assert np.bincount(labels[part], minlength=3).tolist() == [25, 10, 0]
    two = labels[:140]
    most = validation_part(two, 0.9, None, 8, random)
    assert np.bincount(two[~most]).tolist() == [10, 8]
    with pytest.raises(ValueError, match="^validation_share="):
        validation_part(labels, 1e-6, None, 1, random)


def test_donors_are_not_split():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    # A donor that has all cells of a class stays for training, however large the share.
    donors = np.r_[np.arange(100) % 10, np.full(40, 11), 3]
    random = np.random.RandomState(0)  # noqa: NPY002
    part = validation_part(labels, 0.9, donors, 1, random)
    assert set(donors[part])
    assert set(labels[~part]) == {0, 1, 2}
    assert not set(donors[part]) & set(donors[~part])
