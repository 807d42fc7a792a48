"""The published BiLSTM: its parts by hand, validation cells, and transfer from another species."""

from copy import deepcopy

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.special import softmax
from sklearn.metrics import f1_score, log_loss
from sklearn.preprocessing import StandardScaler
from torch.nn import functional
from torch.testing import assert_close

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm, training
from sbnn.ephys_types.attention_bilstm import BiLSTM
from sbnn.ephys_types.training import focal, validation_part


def fitted(cells, X=None, **params):
    """A quick model; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=1, random_state=0).set_params(**params)
    X = cells.X if X is None else X
    return model.fit(X, cells.y, cells.families, cells.labels["donor"])


@pytest.fixture(scope="module")
def model(cells):
    return fitted(cells)


def test_a_network_written_out():
    tokens = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))
    torch.manual_seed(0)
    net, cosine = (BiLSTM(6, 4, 5, cosine=cosine).eval() for cosine in (False, True))
    states, _ = net.lstm(net.norm_tokens(tokens))
    first, _, second = net.score
    attention = second(torch.tanh(first(states))).softmax(1)
    state, weights = net.encode(tokens)
    assert_close(weights, attention[..., 0])
    assert_close(state, (attention * states).sum(1))
    assert_close(net(tokens), net.head(net.norm_state(state)))
    net.score = None  # without attention
    assert_close(net.encode(tokens)[0], states[:, -1])
    state, _ = cosine.encode(tokens)
    expected = torch.cosine_similarity(state[:, None], cosine.head.weight, dim=2)
    assert_close(cosine(tokens), expected)


def test_tokens_are_z_scores_of_each_family_with_zeros_for_missing_values_and_padding(cells, model):
    tokens = model._tokens_of(cells.X).numpy()
    zeros = np.nan_to_num(cells.X)
    scaled = StandardScaler().fit(zeros[~model.validation_]).transform(zeros)
    for family, columns in enumerate(model.families_.values()):
        assert_allclose(tokens[:, family, : len(columns)], scaled[:, columns], atol=1e-4)
        assert not tokens[:, family, len(columns) :].any()


def test_smote_makes_training_cells_only(cells, monkeypatch):
    given = []
    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train", lambda _, *its: given.append(its))
    model = fitted(cells, smote=True)
    [((learned, labels), _)] = given
    assert len(set(np.bincount(labels))) == 1
    assert model._weights.tolist() == [1] * 4
    real = model._tokens_of(cells.X)[~model.validation_]
    assert_array_equal(learned[: len(real)], real)


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells, model):
    """Other values of validation cells change neither network nor scaling if no epoch is chosen."""
    donors = cells.labels["donor"]
    assert 0.2 < model.validation_.mean() < 0.3
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(cells, changed)
    assert_array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


@pytest.mark.parametrize("score", ["macro_f1", "accuracy"])
def test_the_best_epoch_is_kept_and_patience_ends_training(cells, monkeypatch, score):
    monkeypatch.setattr(attention_bilstm, "PATIENCE", 2)
    told = iter([(0.5, 3), (0.5, 2), (0.5, 4), *[(0.1, 1)] * 9])
    states = []

    def scored(self, *_):
        states.append(self.network_.head.weight.detach().clone())
        scores = {"validation_macro_f1": 9, "validation_accuracy": 9}
        scores[f"validation_{score}"], scores["validation_loss"] = next(told)
        return scores

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_score", scored)
    model = fitted(cells, stop_on=score, max_epochs=12)
    assert len(model.history_) == 2 + 2
    assert torch.equal(model.network_.head.weight, states[1])


def test_scores_are_of_validation_cells(cells):
    model = fitted(cells, validation_share=0.3, class_weight=None)
    codes = np.searchsorted(model.classes_, cells.y[model.validation_])
    p = model.predict_proba(cells.X[model.validation_])
    [epoch] = model.history_.to_dict("records")
    assert epoch["validation_accuracy"] == (p.argmax(1) == codes).mean()
    f1 = f1_score(codes, p.argmax(1), average="macro", labels=np.unique(codes))
    assert epoch["validation_macro_f1"] == approx(f1)
    assert epoch["validation_loss"] == approx(log_loss(codes, p, labels=range(4)), rel=1e-5)


def test_arcface_scales_its_cosines_and_corrects_for_the_shares_of_the_classes(cells):
    model = fitted(cells, loss="arcface", attention=False, prior_power=-0.5)
    assert not hasattr(model, "attention_weights")
    with torch.no_grad():
        cosines = model.network_(model._tokens_of(cells.X)).double()
    shares = np.unique(cells.y[~model.validation_], return_counts=True)[1]
    assert_allclose(
        model.predict_proba(cells.X), softmax(30 * cosines.numpy() - np.log(shares) / 2, 1)
    )
    true = torch.from_numpy(np.searchsorted(model.classes_, cells.y))
    assert model._loss(cosines, true) == focal(30 * cosines, true, model._weights)


@pytest.fixture(scope="module")
def source(cells):
    """Cells of another species, with three types and without the second feature."""
    X = np.tile(cells.X + 5, (2, 1))
    X[:, 1] = np.nan
    y = np.tile(cells.y, 2)
    return X[y != "VIP"], y[y != "VIP"]


@pytest.fixture
def descents(monkeypatch):
    """For each training: rate, epochs, parameters, losses of an epoch, weights before and after."""
    seen = []
    descend = AttentionBiLSTMClassifier._descend

    def look(self, losses, parameters, rate, max_epochs):
        parameters = list(parameters)
        first = [loss.item() for loss in losses()]
        before = deepcopy(self.network_.state_dict())
        descend(self, losses, parameters, rate, max_epochs)
        after = deepcopy(self.network_.state_dict())
        seen.append((rate, max_epochs, parameters, first, before, after))

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_descend", look)
    return seen


def transferred(cells, source, way):
    model = AttentionBiLSTMClassifier(hidden=8, transfer=way, max_epochs=7, random_state=0)
    with pytest.warns(UserWarning, match="x1"):
        return model.fit(cells.X, cells.y, cells.families, cells.labels["donor"], source)


def test_pretraining_gives_the_encoder_and_a_new_head_is_trained_first(cells, source, descents):
    transferred(cells, source, "pretrained")
    assert [its[:2] for its in descents] == [(1e-3, 7), (1e-3, 5), (5e-4, 7)]
    (*_, learned), (*_, warm, warmed), (*_, start, end) = descents
    for name in learned:
        if not name.startswith("head"):
            assert torch.equal(learned[name], warm[name])
            assert torch.equal(warm[name], warmed[name])
    assert not torch.equal(warm["head.weight"], warmed["head.weight"])
    assert torch.equal(start["head.weight"], warmed["head.weight"])
    assert not torch.equal(start["lstm.weight_ih_l0"], end["lstm.weight_ih_l0"])


def test_joint_training_adds_half_of_the_loss_of_the_source(cells, source, descents, monkeypatch):
    """The first loss, of one minibatch with all cells."""
    X, y = source
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", len(y))
    monkeypatch.setattr(attention_bilstm, "DROPOUT", 0.0)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: None)
    model = transferred(cells, source, "joint")
    (rate, _, parameters, [found], *_), (final, *_) = descents
    assert (rate, final) == (5e-4, 3e-4)

    def loss(tokens, y, head):
        codes = torch.from_numpy(np.unique(y, return_inverse=True)[1])
        counts = torch.bincount(codes)
        state = model.network_.norm_state(model.network_.encode(tokens)[0])
        logits = functional.linear(state, *head)
        return functional.cross_entropy(logits, codes, counts.sum() / len(counts) / counts)

    scaled = StandardScaler().fit_transform(np.nan_to_num(X[:, model._seen]))
    of_source = loss(model._tokens(scaled), y, parameters[-2:])
    kept = ~model.validation_
    head = model.network_.head.parameters()
    own = loss(model._tokens_of(cells.X[kept]), cells.y[kept], head)
    assert found == approx((own + 0.5 * of_source).item(), rel=1e-4)


LABELS = torch.tensor([0, 2, 1])


def test_a_focal_loss_is_cross_entropy_with_a_factor_for_each_cell(rng):
    logits, weights = torch.tensor(rng.normal(size=(3, 3))), torch.tensor([1.0, 2.0, 5.0])
    losses = functional.cross_entropy(logits, LABELS, reduction="none")
    losses *= (1 - torch.exp(-losses)) ** 2
    expected = (weights[LABELS] * losses).sum() / weights.sum()
    assert_close(training.focal(logits, LABELS, weights), expected)


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
