"""Attention over families: what is missing says nothing, members are networks of their own, the seed decides all."""

from copy import copy

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks
from stand_ins import present

from sbnn.ephys_types import FamilyAttentionClassifier, family_attention
from sbnn.ephys_types.family_attention import FamilyAttentionNetwork

SHORT = {"n_steps": 20, "n_members": 2, "random_state": 0}


@pytest.fixture(scope="module")
def model(cells):
    return FamilyAttentionClassifier(**SHORT).fit(cells.X, cells.y, cells.families)


def network(n_members=1, dropout=0.0, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return FamilyAttentionNetwork([np.array([0, 2]), np.array([1])], 3, n_members, 4, 5, dropout, generator).double()


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
    np.testing.assert_allclose(attention[0, 0].detach(), weights, atol=1e-12)
    np.testing.assert_allclose(logits[0, 0].detach(), said @ p["head"] + p["head_bias"][0], atol=1e-12)


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


def test_members_share_nothing():
    net, x = network(n_members=2), torch.randn(2, 4, 3).double()
    logits, _ = net(x, torch.ones_like(x))
    logits[0].sum().backward()
    for parameter in net.parameters():
        assert (parameter.grad[1] == 0).all()
        assert not torch.equal(parameter[0], parameter[1]) or not parameter[0].any()


def test_attention_is_that_of_measured_families(cells, model):
    weights = model.attention_weights(cells.X)
    np.testing.assert_allclose(weights.sum(1), 1, atol=1e-9)
    assert (weights[~present(cells)] == 0).all()
    assert (weights[present(cells)] > 0).all()


def test_every_class_counts_alike(monkeypatch):
    """With labels that features say nothing of, rare classes are predicted as probable as frequent ones."""
    monkeypatch.setitem(family_attention.SETTINGS, "noise", (2.0, 2.0))
    rng = np.random.default_rng(0)
    y = rng.choice(["a", "b"], 400, p=[0.9, 0.1])
    X = rng.normal(size=(400, 6))
    model = FamilyAttentionClassifier(n_steps=100, n_members=2, random_state=0).fit(X, y)
    assert abs(model.predict_proba(X).mean(0)[1] - 0.5) < 0.1


def test_the_seed_decides_whatever_torch_drew_before(cells, model):
    torch.manual_seed(99)
    again = clone(model).fit(cells.X, cells.y, cells.families)
    np.testing.assert_array_equal(again.predict_proba(cells.X), model.predict_proba(cells.X))
    other = clone(model).set_params(random_state=1).fit(cells.X, cells.y, cells.families)
    assert not np.array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


def test_a_fit_leaves_the_random_numbers_of_others_alone(cells, model):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    clone(model).fit(cells.X, cells.y, cells.families)
    assert torch.equal(torch.rand(3), expected)


def test_a_cell_is_predicted_alone_as_among_others(cells, model):
    np.testing.assert_allclose(model.predict_proba(cells.X[:1]), model.predict_proba(cells.X)[:1], atol=1e-12)


def test_settings_follow_the_number_of_cells(model):
    def of(n, **changes):
        other = copy(model)
        for name, value in changes.items():
            setattr(other, name, value)
        return other._build(2, n, torch.Generator())

    few, many = of(100, n_steps="auto"), of(10**6, n_steps="auto")
    assert few == pytest.approx({"noise": 0.7, "dropout": 0.3, "n_steps": 400, "batch_size": 128})
    assert many == pytest.approx({"noise": 0.15, "dropout": 0.1, "n_steps": 1200, "batch_size": 256})
    assert 0.4 < of(1581)["noise"] < 0.45 and of(100)["n_steps"] == 20


def test_a_feature_without_values_is_left_out_with_a_warning(cells):
    X = cells.X.copy()
    passive = cells.families == "passive"
    X[:, passive] = np.nan
    with pytest.warns(UserWarning, match="feature_2"):
        model = FamilyAttentionClassifier(**SHORT).fit(X, cells.y, cells.families)
    weights = model.attention_weights(X)
    assert weights.shape == (200, 11) and (weights[:, list(model.families_).index("passive")] == 0).all()


def test_wrong_input_is_named(cells, model):
    with pytest.raises(ValueError, match="one class"):
        FamilyAttentionClassifier(**SHORT).fit(cells.X, np.full(200, "SST"))
    with pytest.raises(ValueError, match="inf"):
        FamilyAttentionClassifier(**SHORT).fit(np.where(np.isnan(cells.X), np.inf, cells.X), cells.y)
    with pytest.raises(ValueError, match="features"):
        model.predict(cells.X[:, :5])


@pytest.mark.slow
@parametrize_with_checks([FamilyAttentionClassifier(n_steps=100, n_members=2, random_state=0)])
def test_scikit_learn_api(estimator, check):
    check(estimator)
