"""The BiLSTM over families: its parts by hand, missing values, and validation cells."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import f1_score
from torch import nn
from torch.testing import assert_close

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import BiLSTM
from sbnn.ephys_types.training import effective_number_weights, focal

COLUMNS = np.array([[0, 2, 4], [1, -1, -1], [3, 5, -1]])  # of three families


def fitted(cells, X=None, **changes):
    """A quick model, with changes of its parameters or of its treatment; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=1, random_state=0)
    params = {name: value for name, value in changes.items() if name in model.get_params()}
    treatment = attention_bilstm.OURS | changes
    with pytest.MonkeyPatch.context() as changed:
        changed.setitem(attention_bilstm.TREATMENTS, False, treatment)
        donors = cells.labels["donor"]
        X = cells.X if X is None else X
        return model.set_params(**params).fit(X, cells.y, cells.families, donors)


@pytest.fixture
def X(rng):
    """12 cells; families and single features missing in some of them."""
    X = rng.normal(size=(12, 6))
    X[:4, 1] = np.nan
    X[2:6, [3, 5]] = np.nan
    X[6, [0, 2, 4]] = np.nan
    X[7:10, 2] = np.nan
    X[11] = np.nan
    return X


def network(**changes):
    torch.manual_seed(0)
    return BiLSTM(torch.from_numpy(COLUMNS >= 0), 4, hidden=5, **changes).eval()


def tokens_of(X, missing="masked"):
    model = AttentionBiLSTMClassifier()
    model._columns = COLUMNS
    model._how = {"missing": missing}
    return model._tokens(X)


def test_tokens(X):
    values, present = tokens_of(X)
    there = np.isfinite(X)
    measured = np.column_stack([there[:, [0, 2, 4]].any(1), there[:, 1], there[:, [3, 5]].any(1)])
    assert_array_equal(present, measured)
    assert tokens_of(X, "zeros_as_data")[1].all()
    # A family has weights of its own, which are given its values and whether they are missing.
    tokens = network().tokens
    for family, entries in enumerate(([X[7, 0], 0, X[7, 4], 0, 1, 0], [X[7, 1], *[0] * 5])):
        expected = torch.tensor(entries).float() @ tokens.weight[family] + tokens.bias[family, 0]
        assert_close(tokens(values)[7, family], expected)
    assert_array_equal(network(own_weights=False).tokens(values), values.nan_to_num())
    bounds = tokens.weight.detach().abs().amax(dim=(1, 2))
    assert_allclose(bounds, 1 / np.sqrt([3, 1, 2]), rtol=0.05)


def test_a_cell_is_what_a_network_of_its_families_alone_makes_of_it(X):
    """Against torch's own bidirectional LSTM, on the present families, cell by cell."""
    net, (values, present) = network(), tokens_of(X)
    both = nn.LSTM(64, 5, batch_first=True, bidirectional=True)
    for name, value in net.ahead.state_dict().items():
        getattr(both, name).data = value
        getattr(both, f"{name}_reverse").data = net.back.state_dict()[name]
    x = net.norm_tokens(net.tokens(values))
    found, attention = net.encode(values, present)
    for cell in range(11):
        states, _ = both(x[cell, present[cell]][None])
        weights = net.score(states)[0, :, 0].softmax(0)
        assert_close(attention[cell, present[cell]], weights, rtol=1e-4, atol=1e-5)
        state = net.norm_state(weights @ states[0])
        assert_close(found[cell], state, rtol=1e-4, atol=1e-5)
    assert_close(net(values, present), net.head(found))
    assert not attention[~present].any()
    assert found.isfinite().all()
    _, last = network(attention=False).encode(values, present)
    assert last[[0, 2, 11]].tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


@pytest.fixture
def given(monkeypatch):
    """Tokens and types of training and validation cells, as training is given them."""
    seen = []
    losses = AttentionBiLSTMClassifier._losses

    def look(self, learned, watched, generator):
        seen[:] = [learned, watched]
        return losses(self, learned, watched, generator)

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_losses", look)
    return seen


def test_smote_makes_training_cells_only(cells, given):
    model = fitted(cells, smote=True, validation_share=0.25)
    aside = model.validation_
    (*learned, labels), (*watched, of_watched) = given
    _, counts = np.unique(cells.y[~aside], return_counts=True)
    assert np.bincount(labels).tolist() == [counts.max()] * len(counts)
    assert_array_equal(model.classes_[of_watched], cells.y[aside])
    real = model._tokens(model._scaled(cells.X))
    for made, seen, part in zip(learned, watched, real, strict=True):
        assert_array_equal(seen, part[aside])
        assert_array_equal(made[: (~aside).sum()], part[~aside])


def test_small_classes_are_weighted_unless_they_are_filled_up(cells):
    _, counts = np.unique(cells.y, return_counts=True)
    assert_allclose(fitted(cells)._weights, 50 / counts, rtol=1e-5)
    expected = effective_number_weights(torch.tensor(counts))
    assert_allclose(fitted(cells, loss="arcface")._weights, expected, rtol=1e-5)
    for changes in ({"smote": True}, {"published": "mouse"}):
        assert fitted(cells, **changes)._weights.tolist() == [1] * 4


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells):
    """Other values of validation cells change neither network nor scaling if no epoch is chosen."""
    model = fitted(cells, validation_share=0.25)
    donors = cells.labels["donor"]
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(cells, changed, validation_share=0.25)
    for value, same in zip(model.network_.parameters(), other.network_.parameters(), strict=True):
        assert torch.equal(value, same)


@pytest.mark.parametrize(("score", "published"), [("macro_f1", True), ("accuracy", "mouse")])
def test_the_best_epoch_is_kept_and_patience_ends_training(cells, monkeypatch, score, published):
    monkeypatch.setattr(attention_bilstm, "PATIENCE", 2)
    scores = iter([(0.5, 3), (0.5, 2), (0.5, 4), *[(0.1, 1)] * 9])
    states = []

    def scored(self, *_):
        states.append(self.network_.head.weight.detach().clone())
        value, loss = next(scores)
        other = {"validation_macro_f1": 9, "validation_accuracy": 9, "validation_loss": loss}
        return other | {f"validation_{score}": value}

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_score", scored)
    model = fitted(cells, published=published, max_epochs=12)
    assert len(model.history_) == 2 + 2
    assert torch.equal(model.network_.head.weight, states[1])
    assert 0.2 < model.validation_.mean() < 0.3


def test_scores_are_of_validation_cells(cells):
    model = fitted(cells, validation_share=0.3)
    y = cells.y[model.validation_]
    codes = np.searchsorted(model.classes_, y)
    p = model.predict_proba(cells.X[model.validation_])
    [epoch] = model.history_.to_dict("records")
    assert epoch["validation_accuracy"] == (p.argmax(1) == codes).mean()
    f1 = f1_score(codes, p.argmax(1), average="macro", labels=np.unique(codes))
    assert epoch["validation_macro_f1"] == approx(f1)
    weights = model._weights.numpy()[codes]
    loss = -(weights * np.log(p[np.arange(len(y)), codes])).sum() / weights.sum()
    assert epoch["validation_loss"] == approx(loss, rel=1e-5)
    assert fitted(cells).history_.columns.tolist() == ["loss"]


def test_noise_is_added_and_features_are_hidden(cells):
    model = AttentionBiLSTMClassifier(hidden=4, max_epochs=1)
    model.fit(np.tile(cells.X, (4, 1)), np.tile(cells.y, 4))
    assert model._how["noise"] == approx(10 / np.sqrt(800))
    assert fitted(cells)._how["noise"] == 0.5
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


def test_an_arcface_network_scales_its_cosines(cells):
    model = fitted(cells, loss="arcface", attention=False)
    assert not hasattr(model, "attention_weights")
    tokens = model._tokens(model._scaled(cells.X))
    with torch.no_grad():
        cosines = model.network_(*tokens)
        state, _ = model.network_.encode(*tokens)
    weight = model.network_.head.weight.detach()
    assert_close(cosines, torch.cosine_similarity(state[:, None], weight, dim=2))
    assert_allclose(model.predict_proba(cells.X), (30 * cosines.double()).softmax(1))
    true = torch.from_numpy(np.searchsorted(model.classes_, cells.y))
    assert model._loss(cosines, true) == focal(30 * cosines, true, model._weights)
