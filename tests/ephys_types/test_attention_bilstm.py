"""The published BiLSTM: its parts by hand, validation cells, and transfer from another species."""

from copy import deepcopy
from dataclasses import replace
from unittest.mock import Mock

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

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import (
    BiLSTM,
    add_angular_margin,
    focal_loss,
    select_validation_cells,
)


def fitted(cells, source=None, **params):
    """A quick model; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=1, random_state=0).set_params(**params)
    return model.fit(cells.X, cells.y, cells.families, cells.labels["donor"], source)


@pytest.fixture(scope="module")
def model(cells):
    return fitted(cells)


def test_a_network_written_out():
    torch.manual_seed(0)
    tokens = torch.randn(4, 3, 6)
    net = BiLSTM(6, 4, 5).eval()
    states, _ = net.lstm(net.norm_tokens(tokens))
    first, _, second = net.score
    attention = second(torch.tanh(first(states))).softmax(1)
    state, weights = net.encode(tokens)
    assert_close(weights, attention[..., 0])
    assert_close(state, (attention * states).sum(1))
    assert_close(net(tokens), net.head(net.norm_state(state)))
    net.cosine = True
    cosines = torch.cosine_similarity(state[:, None], net.head.weight, dim=2)
    assert_close(net(tokens), cosines)
    net.score = None  # without attention
    assert_close(net.encode(tokens)[0], states[:, -1])


def test_tokens_are_z_scores_of_each_family_with_zeros_for_missing_values_and_padding(cells, model):
    tokens = model._tokenize(cells.X).numpy()
    zeros = np.nan_to_num(cells.X)
    scaled = StandardScaler().fit(zeros[~model.validation_]).transform(zeros)
    for family, columns in enumerate(model.families_.values()):
        assert_allclose(tokens[:, family, : len(columns)], scaled[:, columns], atol=1e-4)
        assert not tokens[:, family, len(columns) :].any()


def test_smote_makes_training_cells_only(cells, monkeypatch):
    train = Mock()
    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train_on_target", train)
    model = fitted(cells, smote=True)
    learned, labels = train.call_args.args[0]
    assert len(set(np.bincount(labels))) == 1
    assert model._class_weights.tolist() == [1] * 4
    real = model._tokenize(cells.X)[~model.validation_]
    assert_array_equal(learned[: len(real)], real)


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells, model):
    """Other values of validation cells change neither network nor scaling if no epoch is chosen."""
    donors = cells.labels["donor"]
    assert 0.2 < model.validation_.mean() < 0.3
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(replace(cells, X=changed))
    assert_array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


@pytest.mark.parametrize("score", ["macro_f1", "accuracy"])
def test_the_best_epoch_is_kept_and_patience_ends_training(cells, monkeypatch, score):
    monkeypatch.setattr(attention_bilstm, "BILSTM_PATIENCE", 2)
    told = iter([(0.5, 3), (0.5, 2), (0.5, 4), (0.1, 1)])
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
    X, true = cells.X[model.validation_], cells.y[model.validation_]
    predicted = model.predict(X)
    accuracy = (predicted == true).mean()
    f1 = f1_score(true, predicted, average="macro", labels=np.unique(true))
    loss = log_loss(true, model.predict_proba(X), labels=model.classes_)
    assert_allclose(model.history_.iloc[0, 1:], [loss, accuracy, f1], rtol=1e-5)


def test_arcface_scales_its_cosines_and_corrects_for_the_shares_of_the_classes(cells):
    model = fitted(cells, loss="arcface", attention=False, prior_power=-0.5)
    assert not hasattr(model, "attention_weights")
    cosines = model.network_(model._tokenize(cells.X)).detach().double()
    shares = np.unique(cells.y[~model.validation_], return_counts=True)[1]
    expected = softmax(30 * cosines.numpy() - np.log(shares) / 2, 1)
    assert_allclose(model.predict_proba(cells.X), expected, rtol=1e-4)
    true = cosines.argmin(1)
    assert model._loss(cosines, true) == focal_loss(30 * cosines, true, model._class_weights)


@pytest.fixture(scope="module")
def source(cells):
    """Cells of another species, with three types and without the second feature."""
    others = cells.y != "VIP"
    X = cells.X[others] + 5
    X[:, 1] = np.nan
    return X, cells.y[others]


@pytest.fixture
def descents(monkeypatch):
    """Rate, largest number of epochs and parameters of each training, and the weights after it."""
    seen = []
    descend = AttentionBiLSTMClassifier._train_by_adamw

    def look(self, losses, parameters, rate, max_epochs):
        parameters = list(parameters)
        descend(self, losses, parameters, rate, max_epochs)
        seen.append((rate, max_epochs, parameters, deepcopy(self.network_.state_dict())))

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train_by_adamw", look)
    return seen


def transferred(cells, source, way):
    with pytest.warns(UserWarning, match="x1"):
        return fitted(cells, source, transfer=way, max_epochs=7)


def test_pretraining_gives_the_encoder_and_a_new_head_is_trained_first(cells, source, descents):
    transferred(cells, source, "pretrained")
    rates, epochs, parameters, weights = zip(*descents, strict=True)
    assert rates == (1e-3, 1e-3, 5e-4)
    assert epochs == (7, 5, 7)
    assert len(parameters[1]) == 2
    learned, warmed, final = weights
    for name in learned:
        if not name.startswith("head"):
            assert torch.equal(learned[name], warmed[name])
            assert not torch.equal(warmed[name], final[name])


def test_joint_training_adds_half_of_the_loss_of_the_source(cells, source, descents, monkeypatch):
    """The first loss, of one minibatch with all cells."""
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", 400)
    monkeypatch.setattr(attention_bilstm, "DROPOUT", 0.0)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: None)
    model = transferred(cells, source, "joint")
    (rate, _, parameters, _), (final, *_) = descents
    assert (rate, final) == (5e-4, 3e-4)
    kept = ~model.validation_
    own = cells.X[kept], cells.y[kept], model.network_.head.parameters()
    losses = []
    for X, y, head in (own, (*source, parameters[-2:])):
        scaled = StandardScaler().fit_transform(model._fill_missing(X))
        state, _ = model.network_.encode(model._arrange_tokens(scaled))
        logits = functional.linear(model.network_.norm_state(state), *head)
        codes = torch.from_numpy(np.unique(y, return_inverse=True)[1])
        counts = torch.bincount(codes)
        weights = counts.sum() / len(counts) / counts
        losses.append(functional.cross_entropy(logits, codes, weights).item())
    assert model.history_["loss"][0] == approx(losses[0] + 0.5 * losses[1], rel=1e-4)


LABELS = torch.tensor([0, 2, 1])


def test_a_focal_loss_is_cross_entropy_with_a_factor_for_each_cell(rng):
    logits = torch.tensor(rng.normal(size=(3, 3)))
    weights = torch.tensor([1.0, 2.0, 5.0])
    losses = functional.cross_entropy(logits, LABELS, reduction="none")
    losses *= (1 - torch.exp(-losses)) ** 2
    expected = (weights[LABELS] * losses).sum() / weights.sum()
    assert_close(focal_loss(logits, LABELS, weights), expected)


def test_a_margin_is_added_to_the_angle_of_the_true_class():
    angles = np.array([[0.5, 1.5, 1.8], [1.2, 1.3, 2.7], [2.0, 3.0, 1.1]])
    expected = np.cos(angles)
    line = np.cos(3.0) - 0.35 * np.sin(0.35)  # goes on falling beyond pi
    expected[[0, 1, 2], LABELS] = np.cos(0.85), np.cos(3.05), line
    found = add_angular_margin(torch.tensor(np.cos(angles)), LABELS, 0.35)
    assert_allclose(found, 30 * expected, atol=1e-9)


def test_a_share_of_each_class_is_set_aside():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    random = np.random.RandomState(0)  # noqa: NPY002

    def n_aside(labels, share, keep):
        part = select_validation_cells(labels, share, np.arange(len(labels)), keep, random)
        return np.bincount(labels[part]).tolist()

    assert n_aside(labels, 0.25, 1) == [25, 10]
    assert n_aside(labels[:140], 0.9, 8) == [90, 32]
    with pytest.raises(ValueError, match="^validation_share="):
        n_aside(labels, 1e-6, 1)
    with pytest.raises(ValueError, match="each type needs 2 to train on"):
        n_aside(labels, 0.25, 2)
