"""Attention over families: what is missing says nothing, members are networks of their own."""

import numpy as np
import torch
from numpy.testing import assert_allclose
from scipy.special import expit, softmax

from sbnn.ephys_types.family_attention import FamilyAttentionNetwork


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
