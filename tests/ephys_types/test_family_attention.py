"""Attention over families: what is missing says nothing, members are networks of their own."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from sbnn.ephys_types.family_attention import (
    SETTINGS,
    FamilyAttentionClassifier,
    FamilyAttentionNetwork,
)


def network(n_members=1, dropout=0.0):
    generator = torch.Generator().manual_seed(0)
    return FamilyAttentionNetwork(
        [np.array([0, 2]), np.array([1])], 3, n_members, 4, 5, dropout, generator
    ).double()


def test_a_network_written_out():
    """One member and one cell, by the formulas and numpy alone."""
    net, x = network(), np.array([0.5, -1.0, 2.0])
    p = {name: value.detach().numpy()[0] for name, value in net.named_parameters()}

    def silu(z):
        return z / (1 + np.exp(-z))

    embedding = p["embedding"].copy()
    embedding[1, :4] = embedding[[0, 2], 4:] = 0  # a family reads its own columns
    tokens = silu(x @ embedding + p["embedding_bias"][0]).reshape(2, 4)
    scores = (tokens * p["score"]).sum(1) + p["score_bias"][0]
    weights = np.exp(scores) / np.exp(scores).sum()
    said = silu((tokens * weights[:, None] * 2).ravel() @ p["hidden"] + p["hidden_bias"][0])
    logits, attention = net(torch.tensor(x)[None, None], torch.ones(1, 1, 3).double())
    assert_allclose(attention[0, 0].detach(), weights, atol=1e-12)
    assert_allclose(logits[0, 0].detach(), said @ p["head"] + p["head_bias"][0], atol=1e-12)


def test_fillers_of_missing_values_are_not_read():
    net, x = network(), torch.randn(1, 6, 3).double()
    measured = torch.ones(1, 6, 3).double()
    measured[0, :, 2] = 0  # one of a family's two features
    measured[0, 3:, 1] = 0  # all of a family's
    other = torch.where(measured == 1, x, torch.full_like(x, 77.0))
    for one, again in zip(net(x, measured), net(other, measured), strict=True):
        torch.testing.assert_close(one, again, rtol=0, atol=0)
    attention = net(x, measured)[1][0]
    assert (attention[3:, 1] == 0).all()
    torch.testing.assert_close(attention.sum(1), torch.ones(6).double())


def test_members_share_nothing_and_drop_out():
    net, x = network(n_members=2), torch.randn(2, 4, 3).double()
    logits, _ = net(x, torch.ones_like(x))
    logits[0].sum().backward()
    for parameter in net.parameters():
        assert (parameter.grad[1] == 0).all()
        assert not torch.equal(parameter[0], parameter[1]) or not parameter[0].any()
    dropping = network(dropout=0.5)
    assert not torch.equal(*(dropping(x[:1], torch.ones_like(x[:1]))[0] for _ in range(2)))
    assert torch.equal(*(dropping.eval()(x[:1], torch.ones_like(x[:1]))[0] for _ in range(2)))


def test_a_tenth_of_the_features_is_left_out_at_each_step(rng, monkeypatch):
    seen, forward = [], FamilyAttentionNetwork.forward
    watched = lambda self, x, known: seen.append(known.mean().item()) or forward(self, x, known)  # noqa: E731
    monkeypatch.setattr(FamilyAttentionNetwork, "forward", watched)
    FamilyAttentionClassifier(n_steps=9, n_members=1).fit(
        rng.normal(size=(60, 8)), np.arange(60) % 2
    )
    assert np.mean(seen) == pytest.approx(0.9, abs=0.02)


@pytest.mark.parametrize(
    ("n_cells", "share"), [(50, 0), (500, 0), (500 * 10**0.25, 0.25), (5000, 1), (9000, 1)]
)
def test_settings_change_with_the_logarithm_of_the_number_of_cells(n_cells, share):
    model = FamilyAttentionClassifier(n_members=1)
    model.families_, model._seen = {"one": np.arange(2)}, np.ones(2, bool)
    model._build(2, n_cells, torch.Generator())
    assert model._settings == pytest.approx(
        {name: few + share * (many - few) for name, (few, many) in SETTINGS.items()}
    )
