"""The BiLSTM over families: its parts by hand, missing values, and validation cells."""

import math

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import f1_score
from torch import nn

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import BiLSTM
from sbnn.ephys_types.training import balanced_weights, effective_number_weights, focal

QUICK = {"hidden": 8, "max_epochs": 3, "random_state": 0}
COLUMNS = np.array([[0, 2, 4], [1, -1, -1], [3, 5, -1]])  # of three families


def fitted(cells, groups=None, X=None, **changes):
    """A quick model, with changes of its parameters or of its treatment."""
    model = AttentionBiLSTMClassifier(**QUICK)
    if X is None:
        X = cells.X
    with pytest.MonkeyPatch.context() as changed:
        for name, value in changes.items():
            if name in model.get_params():
                model.set_params(**{name: value})
            else:
                changed.setitem(attention_bilstm.OURS, name, value)
        return model.fit(X, cells.y, cells.families, groups)


def weights_of(model):
    return torch.cat([value.flatten() for value in model.network_.state_dict().values()])


@pytest.fixture
def X(rng):
    """12 cells; families and single features missing in some of them."""
    X = rng.normal(size=(12, 6))
    X[:4, 1] = np.nan
    X[2:6, [3, 5]] = np.nan
    X[6, [0, 2, 4]] = np.nan
    X[7:10, 2] = np.nan
    X[10, [1, 3, 5]] = np.nan
    X[11] = np.nan
    return X


def network(**changes):
    torch.manual_seed(0)
    return BiLSTM(torch.from_numpy(COLUMNS >= 0), 4, hidden=5, **changes).eval()


def tokens_of(X, missing="masked"):
    model = AttentionBiLSTMClassifier()
    model._columns, model._how = COLUMNS, {"missing": missing}
    return model._tokens(X)


def test_tokens(X):
    values, present = tokens_of(X)
    there = np.isfinite(X)
    measured = np.column_stack([there[:, [0, 2, 4]].any(1), there[:, 1], there[:, [3, 5]].any(1)])
    assert_array_equal(present, measured)
    expected = [[X[7, 0], np.nan, X[7, 4]], [X[7, 1], np.nan, np.nan], [X[7, 3], X[7, 5], np.nan]]
    assert_allclose(values[7], expected, rtol=1e-6)
    assert tokens_of(X, "zeros_as_data")[1].all()
    # A family has weights of its own, which are given its values and whether they are missing.
    tokens = network().tokens
    entries = torch.tensor([X[7, 0], 0, X[7, 4], 0, 1, 0], dtype=torch.float32)
    torch.testing.assert_close(tokens(values)[7, 0], entries @ tokens.weight[0] + tokens.bias[0, 0])
    entries = torch.tensor([X[7, 1], 0, 0, 0, 0, 0], dtype=torch.float32)
    torch.testing.assert_close(tokens(values)[7, 1], entries @ tokens.weight[1] + tokens.bias[1, 0])
    assert_array_equal(network(own_weights=False).tokens(values), values.nan_to_num())


def test_a_cell_is_what_a_network_of_its_families_alone_makes_of_it(X):
    """Against torch's own bidirectional LSTM, on the present families, cell by cell."""
    net, (values, present) = network(), tokens_of(X)
    both = nn.LSTM(64, 5, batch_first=True, bidirectional=True)
    for name, value in net.ahead.state_dict().items():
        getattr(both, name).data = value
        getattr(both, f"{name}_reverse").data = net.back.state_dict()[name]
    x, (found, attention) = net.norm_tokens(net.tokens(values)), net.encode(values, present)
    for cell in range(11):
        states, _ = both(x[cell, present[cell]][None])
        weights = net.score(states)[0, :, 0].softmax(0)
        torch.testing.assert_close(attention[cell, present[cell]], weights, rtol=1e-4, atol=1e-5)
        state = net.norm_state(weights @ states[0])
        torch.testing.assert_close(found[cell], state, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(
            net(values, present)[cell], net.head(state), rtol=1e-4, atol=1e-5
        )
    assert not attention[~present].any()
    _, last = network(attention=False).encode(values, present)
    assert last[[0, 2, 11]].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_a_cell_without_any_value_has_probabilities_and_no_attention(cells):
    nothing, model = np.full((2, cells.X.shape[1]), np.nan), fitted(cells, max_epochs=1)
    assert_allclose(model.predict_proba(nothing).sum(1), 1)
    assert not model.attention_weights(nothing).any()


@pytest.fixture
def given(monkeypatch):
    """What the training of a network is given: tokens and types, and weights of the classes."""
    seen = {}
    losses = AttentionBiLSTMClassifier._losses

    def look(self, learned, watched, weights, generator):
        seen.update(learned=learned, watched=watched, weights=weights)
        return losses(self, learned, watched, weights, generator)

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_losses", look)
    return seen


def test_smote_makes_training_cells_only(cells, given):
    model = fitted(cells, smote=True, validation_share=0.25, max_epochs=1)
    aside = model.validation_
    n_given = (~aside).sum()
    *learned, labels = given["learned"]
    *watched, of_watched = given["watched"]
    _, counts = np.unique(cells.y[~aside], return_counts=True)
    assert np.bincount(labels).tolist() == [counts.max()] * len(counts)
    assert len(labels) > n_given
    # The validation part is real cells, as they are.
    codes = np.searchsorted(model.classes_, cells.y)
    assert_array_equal(of_watched, codes[aside])
    real = model._tokens(model._scaled(cells.X))
    for made, seen, part in zip(learned, watched, real, strict=True):
        assert_array_equal(seen, part[aside])
        assert_array_equal(made[:n_given], part[~aside])


def test_small_classes_are_weighted_unless_they_are_filled_up(cells, given):
    fitted(cells, max_epochs=1)
    _, counts = np.unique(cells.y, return_counts=True)
    assert_allclose(given["weights"], balanced_weights(counts), rtol=1e-6)
    fitted(cells, loss="arcface", max_epochs=1)
    expected = effective_number_weights(torch.tensor(counts))
    assert_allclose(given["weights"], expected, rtol=1e-6)
    for changes in ({"smote": True}, {"published": "mouse"}):
        fitted(cells, max_epochs=1, **changes)
        assert given["weights"].tolist() == [1] * len(counts)


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells):
    """Other values of validation cells change neither network nor scaling if no epoch is chosen."""
    settings, donors = {"validation_share": 0.25, "max_epochs": 1}, cells.labels["donor"].to_numpy()
    model = fitted(cells, donors, **settings)
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(cells, donors, changed, **settings)
    assert_array_equal(other.validation_, model.validation_)
    assert torch.equal(weights_of(other), weights_of(model))


def test_best_epoch_is_restored_and_patience_ends_training(cells, monkeypatch):
    monkeypatch.setattr(attention_bilstm, "PATIENCE", 2)
    model = fitted(
        cells, validation_share=0.3, max_epochs=30, learning_rate=0.02, schedule="constant"
    )
    score, loss = model.history_["validation_macro_f1"], model.history_["validation_loss"]
    best = max(range(len(score)), key=lambda i: (score[i], -loss[i]))
    assert len(score) == best + 1 + 2 < 30
    X, y = cells.X[model.validation_], cells.y[model.validation_]
    expected = f1_score(y, model.predict(X), average="macro", labels=np.unique(y))
    assert expected == approx(score[best])
    p = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    trained = cells.y[~model.validation_]
    weights = np.array([1 / (trained == name).sum() for name in y])
    assert -(weights * np.log(p)).sum() / weights.sum() == approx(loss[best], rel=1e-5)
    scores = iter([(0.5, 3), (0.5, 2), (0.5, 4), *[(0.1, 1)] * 9])

    def scored(*_):
        f1, loss = next(scores)
        return {"validation_macro_f1": f1, "validation_loss": loss}

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_score", scored)
    history = fitted(cells, validation_share=0.3, max_epochs=12).history_
    assert len(history) == 2 + 2, (
        "of epochs of the same macro-F1 that with the least loss is the best"
    )


def test_noise_falls_with_the_number_of_cells(cells):
    model = AttentionBiLSTMClassifier(hidden=4, max_epochs=1)
    model.fit(np.tile(cells.X, (4, 1)), np.tile(cells.y, 4))
    assert model._how["noise"] == approx(10 / math.sqrt(800))
    assert fitted(cells, max_epochs=1)._how["noise"] == 0.5


def test_noise_is_added_and_features_are_hidden():
    model = AttentionBiLSTMClassifier()
    model._how = {"noise": 0.5, "hide": 0.2}
    noisy = model._disturbed(torch.ones(200, 50), torch.Generator().manual_seed(0))
    hidden = noisy.isnan()
    assert hidden.float().mean() == approx(0.2, abs=0.02)
    assert noisy[~hidden].mean() == approx(1, abs=0.02)
    assert noisy[~hidden].std() == approx(0.5, abs=0.02)


def test_published_networks_read_zeros_for_missing_values(cells):
    zeros = np.nan_to_num(cells.X)
    model = fitted(cells, published=True)
    assert_array_equal(model.predict_proba(zeros), model.predict_proba(cells.X))
    masked = fitted(cells)
    assert not np.allclose(masked.predict_proba(zeros), masked.predict_proba(cells.X))
    assert 0 < model.validation_.mean() < 0.3
    assert not masked.validation_.any()
    assert len(model.history_) == 3


def test_networks_of_mouse_cells_stop_by_accuracy(cells):
    model = fitted(cells, published="mouse", max_epochs=1)
    X = cells.X[model.validation_]
    true = np.searchsorted(model.classes_, cells.y[model.validation_])
    p = model.predict_proba(X)
    [epoch] = model.history_.to_dict("records")
    assert epoch["validation_accuracy"] == (p.argmax(1) == true).mean()
    loss = -np.log(p[np.arange(len(p)), true]).mean()
    assert epoch["validation_loss"] == approx(loss, rel=1e-5)


def test_an_arcface_network_scales_its_cosines(cells):
    model = fitted(cells, loss="arcface", validation_share=0.25)
    tokens = model._tokens(model._scaled(cells.X))
    with torch.no_grad():
        cosines = model.network_(*tokens).double()
    assert cosines.abs().max() <= 1 + 1e-6
    state, _ = model.network_.encode(*tokens)
    lengths = state.norm(dim=1)[:, None] * model.network_.head.weight.norm(dim=1)
    torch.testing.assert_close(cosines.float(), state @ model.network_.head.weight.T / lengths)
    assert_allclose(model.predict_proba(cells.X), (30 * cosines).softmax(1))
    true = torch.from_numpy(np.searchsorted(model.classes_, cells.y))[model.validation_]
    counts = torch.from_numpy(np.unique(cells.y[~model.validation_], return_counts=True)[1])
    weights = effective_number_weights(counts)
    found = model._loss(cosines[model.validation_].float(), true, weights, margin=0.0)
    assert found == focal(30 * cosines[model.validation_].float(), true, weights)


def test_without_attention_there_are_no_weights(cells):
    model = fitted(cells, attention=False, max_epochs=1)
    assert not hasattr(model, "attention_weights")
    assert model.network_.score is None
