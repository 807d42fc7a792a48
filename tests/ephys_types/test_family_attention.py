"""Attention over families: what is missing says nothing, members are networks of their own."""

import numpy as np
import pytest
import torch
from material.estimators import seeded
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

from sbnn.ephys_types.family_attention import FamilyAttentionNetwork


@pytest.fixture
def network():
    """Two members for features 0 and 2 of a family, 1 of another, and three classes."""
    return FamilyAttentionNetwork(
        columns=[np.array([0, 2]), np.array([1])],
        n_classes=3,
        n_members=2,
        dropout=0.0,
        generator=seeded(),
    ).double()


@pytest.fixture
def random_network(network):
    """The same with biases, and with scores that differ."""
    torch.manual_seed(0)
    for parameter in network.parameters():
        parameter.data.normal_()
    return network


def silu(z):
    return z * expit(z)


def test_a_network_written_out(random_network, rng):
    """The second member, and five cells, by the formulas and numpy alone."""
    x = rng.normal(size=(2, 5, 3))
    measured = np.ones((2, 5, 3))
    measured[1, 1, 2] = 0  # one of a family's two features
    measured[1, 3:, 1] = 0  # all of a family's
    logits, attention = random_network(torch.tensor(x), torch.tensor(measured))

    parameters = random_network.named_parameters()
    p = {name: value[1].detach().numpy() for name, value in parameters}
    p["embedding"][1, :16] = 0  # a family reads its own columns
    p["embedding"][[0, 2], 16:] = 0
    inputs = x[1] * measured[1]
    embedded = silu(inputs @ p["embedding"] + p["embedding_bias"])
    tokens = embedded.reshape(5, 2, 16)
    scores = (tokens * p["score"]).sum(axis=2) + p["score_bias"]
    scores[3:, 1] = -np.inf
    weights = softmax(scores, axis=1)
    assert_allclose(attention[1].detach(), weights, atol=1e-12)

    weighted = tokens * weights[:, :, None] * 2
    weighted = weighted.reshape(5, 32)
    hidden = silu(weighted @ p["hidden"] + p["hidden_bias"])
    expected = hidden @ p["head"] + p["head_bias"]
    assert_allclose(logits[1].detach(), expected, atol=1e-12)


def test_members_start_apart(network):
    x = torch.ones(2, 4, 3).double()
    logits, _ = network(x, measured=x)
    assert not torch.equal(logits[0], logits[1])
