"""The published BiLSTM: its parts by hand, validation cells, and transfer from another species."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import f1_score
from torch.testing import assert_close

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import BiLSTM
from sbnn.ephys_types.training import focal


def fitted(cells, X=None, **params):
    """A quick model; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=1, random_state=0).set_params(**params)
    X = cells.X if X is None else X
    return model.fit(X, cells.y, cells.families, cells.labels["donor"])


def network(**changes):
    torch.manual_seed(0)
    return BiLSTM(6, 4, 5, **changes).eval()


def test_a_network_written_out():
    tokens = torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))
    net = network()
    found, attention = net.encode(tokens)
    states, _ = net.lstm(net.norm_tokens(tokens))
    assert states.shape == (4, 3, 10)
    first, _, second = net.score
    hidden = torch.tanh(states @ first.weight.T + first.bias)
    assert_close(attention, (hidden @ second.weight[0]).softmax(1))
    assert_close(found, (attention[:, :, None] * states).sum(1))
    assert_close(net(tokens), net.head(net.norm_state(found)))
    net.score = None  # without attention
    found, weights = net.encode(tokens)
    assert weights.tolist() == [[0, 0, 1]] * 4
    assert_close(found, states[:, -1])
    cosine = network(cosine=True)
    pooled, _ = cosine.encode(tokens)
    expected = torch.cosine_similarity(pooled[:, None], cosine.head.weight, dim=2)
    assert_close(cosine(tokens), expected)


def test_tokens_are_z_scores_of_each_family_with_zeros_for_missing_values_and_padding(cells):
    model = fitted(cells)
    tokens = model._tokens_of(cells.X).numpy()
    zeros = np.nan_to_num(cells.X)
    kept = zeros[~model.validation_]
    scaled = (zeros - kept.mean(0)) / kept.std(0)
    for family, columns in enumerate(model.families_.values()):
        assert_allclose(tokens[:, family, : len(columns)], scaled[:, columns], atol=1e-4)
        assert not tokens[:, family, len(columns) :].any()
    assert_array_equal(model.predict_proba(zeros), model.predict_proba(cells.X))
    assert_allclose(model.attention_weights(cells.X).sum(1), 1, rtol=1e-6)


@pytest.fixture
def given(monkeypatch):
    """Tokens and types of training cells, rate, epochs and parameters of each training."""
    seen = []
    train = AttentionBiLSTMClassifier._train

    def look(self, *given):
        seen.append(given)
        return train(self, *given)

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train", look)
    return seen


def test_smote_makes_training_cells_only(cells, given):
    model = fitted(cells, smote=True)
    aside = model.validation_
    [((learned, labels), _)] = given
    assert len(set(np.bincount(labels))) == 1
    assert model._weights.tolist() == [1] * 4
    watched, of_watched = model._watched
    real = model._tokens_of(cells.X)
    assert_array_equal(watched, real[aside])
    assert_array_equal(model.classes_[of_watched], cells.y[aside])
    assert_array_equal(learned[: (~aside).sum()], real[~aside])


def test_small_classes_are_weighted(cells):
    model = fitted(cells)
    _, counts = np.unique(cells.y[~model.validation_], return_counts=True)
    assert_allclose(model._weights, counts.sum() / 4 / counts, rtol=1e-5)
    assert fitted(cells, class_weight=None)._weights.tolist() == [1] * 4


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells):
    """Other values of validation cells change neither network nor scaling if no epoch is chosen."""
    model = fitted(cells)
    donors = cells.labels["donor"]
    assert 0.2 < model.validation_.mean() < 0.3
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(cells, changed)
    for value, same in zip(model.network_.parameters(), other.network_.parameters(), strict=True):
        assert torch.equal(value, same)


@pytest.mark.parametrize("score", ["macro_f1", "accuracy"])
def test_the_best_epoch_is_kept_and_patience_ends_training(cells, monkeypatch, score):
    monkeypatch.setattr(attention_bilstm, "PATIENCE", 2)
    scores = iter([(0.5, 3), (0.5, 2), (0.5, 4), *[(0.1, 1)] * 9])
    states = []

    def scored(self, *_):
        states.append(self.network_.head.weight.detach().clone())
        value, loss = next(scores)
        other = {"validation_macro_f1": 9, "validation_accuracy": 9, "validation_loss": loss}
        return other | {f"validation_{score}": value}

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
    loss = -np.log(p[np.arange(len(codes)), codes]).mean()
    assert epoch["validation_loss"] == approx(loss, rel=1e-5)


def test_arcface_scales_its_cosines_and_corrects_for_the_shares_of_the_classes(cells):
    model = fitted(cells, loss="arcface", attention=False, prior_power=-0.5)
    assert not hasattr(model, "attention_weights")
    tokens = model._tokens_of(cells.X)
    with torch.no_grad():
        cosines = model.network_(tokens)
    shares = np.unique(cells.y[~model.validation_], return_counts=True)[1]
    logits = 30 * cosines.double() - 0.5 * torch.from_numpy(np.log(shares))
    assert_allclose(model.predict_proba(cells.X), logits.softmax(1))
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
    """For each training: losses of an epoch, parameters, rate, and weights before and after."""
    seen = []
    descend = AttentionBiLSTMClassifier._descend

    def weights_of(network):
        return {name: value.clone() for name, value in network.state_dict().items()}

    def look(self, losses, parameters, rate, max_epochs):
        parameters = list(parameters)
        before = weights_of(self.network_)
        first = [loss.item() for loss in losses()]
        descend(self, losses, parameters, rate, max_epochs)
        seen.append((rate, max_epochs, parameters, first, before, weights_of(self.network_)))

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_descend", look)
    return seen


def transferred(cells, source, way):
    model = AttentionBiLSTMClassifier(hidden=8, transfer=way, max_epochs=7, random_state=0)
    with pytest.warns(UserWarning, match="x1"):
        return model.fit(cells.X, cells.y, cells.families, cells.labels["donor"], source)


def test_pretraining_gives_the_encoder_and_a_new_head_is_trained_first(cells, source, descents):
    model = transferred(cells, source, "pretrained")
    assert [its[:2] for its in descents] == [(1e-3, 7), (1e-3, 5), (5e-4, 7)]
    (*_, learned), (*_, warm, warmed), (*_, start, end) = descents
    for name in learned:
        if not name.startswith("head"):
            assert torch.equal(learned[name], warm[name])
            assert torch.equal(warm[name], warmed[name])
    assert learned["head.weight"].shape[0] == 3
    assert not torch.equal(warm["head.weight"], warmed["head.weight"])
    assert torch.equal(start["head.weight"], warmed["head.weight"])
    assert not torch.equal(start["lstm.weight_ih_l0"], end["lstm.weight_ih_l0"])
    assert not np.isnan(model.predict_proba(cells.X)).any()


def test_joint_training_adds_half_of_the_loss_of_the_source(cells, source, descents, monkeypatch):
    """The first loss, of one minibatch with all cells."""
    X, y = source
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", len(y))
    monkeypatch.setattr(attention_bilstm, "DROPOUT", 0.0)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: None)
    model = transferred(cells, source, "joint")
    (rate, _, parameters, [found], *_), (final, *_) = descents
    assert (rate, final) == (5e-4, 3e-4)
    codes = torch.from_numpy(np.unique(y, return_inverse=True)[1])
    counts = torch.bincount(codes).float()
    seen = np.nan_to_num(X[:, model._seen])
    tokens = model._tokens((seen - seen.mean(0)) / np.where(seen.std(0), seen.std(0), 1))
    state = model.network_.norm_state(model.network_.encode(tokens)[0])
    logits = torch.nn.functional.linear(state, *parameters[-2:])
    weights = counts.sum() / (3 * counts)
    of_source = torch.nn.functional.cross_entropy(logits, codes, weights)
    kept = ~model.validation_
    own_tokens = model._tokens_of(cells.X[kept])
    labels = torch.from_numpy(np.searchsorted(model.classes_, cells.y[kept]))
    own = model._loss(model.network_(own_tokens), labels)
    assert found == approx((own + 0.5 * of_source).item(), rel=1e-4)
