"""Attention over families: what is missing says nothing, members are networks of their own."""

from unittest.mock import Mock

import numpy as np
import torch
from numpy.testing import assert_allclose
from pytest import approx
from scipy.special import expit, softmax

from sbnn.ephys_types.family_attention import FamilyAttentionClassifier, FamilyAttentionNetwork


def network():
    """A network of two members."""
    columns = [np.array([0, 2]), np.array([1])]
    return FamilyAttentionNetwork(columns, 3, 2, 0.0, torch.Generator().manual_seed(0)).double()


def silu(z):
    return z * expit(z)


def test_a_network_written_out(rng):
    """The second member, and five cells, by the formulas and numpy alone."""
    net = network()
    for parameter in net.parameters():
        parameter.data.normal_()
    x = rng.normal(size=(2, 5, 3))
    measured = np.ones((2, 5, 3))
    measured[1, 1, 2] = 0  # one of a family's two features
    measured[1, 3:, 1] = 0  # all of a family's
    found, attention = net(torch.tensor(x), torch.tensor(measured))
    p = {name: value[1].detach().numpy() for name, value in net.named_parameters()}
    p["embedding"][1, :16] = p["embedding"][[0, 2], 16:] = 0  # a family reads its own columns
    read = x[1] * measured[1]
    tokens = silu(read @ p["embedding"] + p["embedding_bias"]).reshape(5, 2, 16)
    scores = (tokens * p["score"]).sum(axis=2) + p["score_bias"]
    scores[3:, 1] = -np.inf
    weights = softmax(scores, axis=1)
    assert_allclose(attention[1].detach(), weights, atol=1e-12)
    weighted = tokens * weights[:, :, None] * 2
    hidden = silu(weighted.reshape(5, 32) @ p["hidden"] + p["hidden_bias"])
    assert_allclose(found[1].detach(), hidden @ p["head"] + p["head_bias"], atol=1e-12)


def test_members_start_apart():
    x = torch.ones(2, 4, 3).double()
    first, second = network()(x, x)[0]
    assert not torch.equal(first, second)


def test_noise_is_added_and_a_tenth_of_the_features_is_left_out():
    model = FamilyAttentionClassifier(n_members=3)
    model.network_ = Mock(return_value=(torch.zeros(3, 200, 2), None))
    x = torch.arange(100.0).repeat(40, 1).T
    target = (torch.arange(100) > 9).long()
    generator = torch.Generator().manual_seed(0)
    settings = {"noise": 0.5, "batch_size": 200}
    losses = model._losses(x, torch.ones(100, 40), target, settings, generator)
    assert next(losses) == approx(3 * np.log(2), rel=1e-5)
    noisy, known = model.network_.call_args.args
    assert known.mean() == approx(0.9, abs=0.01)
    cells = noisy.mean(2).round()
    assert (noisy - cells[..., None]).std() == approx(0.5, abs=0.01)
    assert (cells > 9).float().mean() == approx(0.5, abs=0.06)  # classes are equally frequent
