"""Attention over families: what is missing says nothing, members are networks of their own."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.ephys_types.family_attention import (
    SETTINGS,
    FamilyAttentionClassifier,
    FamilyAttentionNetwork,
)


def network(n_members=1, dropout=0.0):
    generator = torch.Generator().manual_seed(0)
    columns = [np.array([0, 2]), np.array([1])]
    return FamilyAttentionNetwork(columns, 3, n_members, dropout, generator).double()


def silu(z):
    return z / (1 + np.exp(-z))


def test_a_network_written_out(rng):
    """Two members and five cells, by the formulas and numpy alone."""
    net = network(n_members=2)
    x = rng.normal(size=(2, 5, 3))
    measured = np.ones((2, 5, 3))
    measured[:, 1, 2] = 0  # one of a family's two features
    measured[:, 3:, 1] = 0  # all of a family's
    with torch.no_grad():
        for bias in net.parameters():
            bias += 0.1 * torch.randn(bias.shape, generator=torch.Generator().manual_seed(1))
        found, attention = net(torch.tensor(x), torch.tensor(measured))
    for member in range(2):
        p = {name: value.detach().numpy()[member] for name, value in net.named_parameters()}
        p["embedding"][1, :16] = p["embedding"][[0, 2], 16:] = 0  # a family reads its own columns
        read = x[member] * measured[member]
        tokens = silu(read @ p["embedding"] + p["embedding_bias"]).reshape(5, 2, 16)
        weights = np.exp((tokens * p["score"]).sum(2) + p["score_bias"])
        weights[3:, 1] = 0
        weights /= weights.sum(axis=1, keepdims=True)
        weighted = (tokens * weights[:, :, None] * 2).reshape(5, 32)
        hidden = silu(weighted @ p["hidden"] + p["hidden_bias"])
        assert_allclose(attention[member], weights, atol=1e-12)
        assert_allclose(found[member], hidden @ p["head"] + p["head_bias"], atol=1e-12)


def test_members_start_apart_and_drop_out():
    net, x = network(n_members=2, dropout=0.5), torch.ones(2, 4, 3).double()
    assert not torch.equal(net(x, x)[0], net(x, x)[0])
    first, second = net.eval()(x, x)[0]
    assert not torch.equal(first, second)
    assert torch.equal(net(x, x)[0][1], second)


def test_noise_is_added_and_a_tenth_of_the_features_is_left_out():
    model = FamilyAttentionClassifier(n_members=3)
    seen = []
    model.network_ = lambda *given: seen.extend(given) or (torch.zeros(3, 200, 2), None)
    x = torch.arange(100.0).repeat(40, 1).T
    target = (torch.arange(100) > 9).long()
    generator = torch.Generator().manual_seed(0)
    settings = {"noise": 0.5, "batch_size": 200}
    losses = model._losses(x, torch.ones(100, 40), target, settings, generator)
    assert next(losses) == approx(3 * np.log(2), rel=1e-5)
    noisy, known = seen
    assert known.mean() == approx(0.9, abs=0.01)
    cells = noisy.mean(2).round()
    assert (noisy - cells[..., None]).std() == approx(0.5, abs=0.01)
    assert (cells > 9).float().mean() == approx(0.5, abs=0.06)  # classes are equally frequent


@pytest.mark.parametrize(("n_cells", "share"), [(50, 0), (500 * 10**0.25, 0.25), (9000, 1)])
def test_settings_change_with_the_logarithm_of_the_number_of_cells(n_cells, share):
    expected = {name: few + share * (many - few) for name, (few, many) in SETTINGS.items()}
    assert FamilyAttentionClassifier()._settings_for(n_cells) == approx(expected)
    expected["n_steps"] = 7
    assert FamilyAttentionClassifier(n_steps=7)._settings_for(n_cells) == approx(expected)
