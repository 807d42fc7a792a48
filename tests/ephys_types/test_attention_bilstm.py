"""The BiLSTM over families: its parts by hand, what is missing is not read, validation cells teach nothing."""

import math

import numpy as np
import pytest
import torch
from sklearn.metrics import f1_score
from torch import nn

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import BiLSTM
from sbnn.ephys_types.training import effective_number_weights, oversample, validation_part

QUICK = {"hidden": 8, "max_epochs": 3, "random_state": 0}
COLUMNS = np.array([[0, 2, 4], [1, -1, -1], [3, 5, -1]])  # of three families


def fitted(cells, groups=None, X=None, **changes):
    """A quick model, with changes of its parameters or of its treatment."""
    model = AttentionBiLSTMClassifier(**QUICK)
    named = {name: value for name, value in changes.items() if name in model.get_params()}
    with pytest.MonkeyPatch.context() as changed:
        for name in changes.keys() - named.keys():
            changed.setitem(attention_bilstm.OURS, name, changes[name])
        return model.set_params(**named).fit(
            cells.X if X is None else X, cells.y, cells.families, groups
        )


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
    np.testing.assert_array_equal(present, measured)
    expected = [[X[7, 0], np.nan, X[7, 4]], [X[7, 1], np.nan, np.nan], [X[7, 3], X[7, 5], np.nan]]
    np.testing.assert_allclose(values[7], expected, rtol=1e-6)
    assert tokens_of(X, "zeros_as_data")[1].all()
    # A family has weights of its own, which are given its values and whether they are missing.
    tokens = network().tokens
    entries = torch.tensor([X[7, 0], 0, X[7, 4], 0, 1, 0], dtype=torch.float32)
    torch.testing.assert_close(tokens(values)[7, 0], entries @ tokens.weight[0] + tokens.bias[0, 0])
    entries = torch.tensor([X[7, 1], 0, 0, 0, 0, 0], dtype=torch.float32)
    torch.testing.assert_close(tokens(values)[7, 1], entries @ tokens.weight[1] + tokens.bias[1, 0])
    np.testing.assert_array_equal(network(own_weights=False).tokens(values), values.nan_to_num())


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
    last = network(attention=False).encode(values, present)[1]
    assert (
        last[:2].tolist() == [[0, 0, 1]] * 2
        and last[2].tolist() == [1, 0, 0]
        and last[11].tolist() == [0, 0, 0]
    )


def test_classes_are_filled_up_with_cells_between_two_of_their_own(rng):
    labels = np.repeat([0, 1], [20, 4])
    values = rng.normal(size=(24, 3)) + 10 * labels[:, None]
    made, new = oversample(values, labels, 0)
    assert new.tolist() == labels.tolist() + [1] * 16
    for cell in made[24:]:
        # Distances to the two parents add up to the distance between them.
        way = np.linalg.norm(cell - values[20:], axis=1)
        gaps = way[:, None] + way - np.linalg.norm(values[20:, None] - values[20:], axis=2)
        assert gaps[~np.eye(4, dtype=bool)].min() < 1e-9
    assert not np.array_equal(made, oversample(values, labels, 4)[0])


def test_validation_part_of_each_class():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    random = np.random.RandomState(0)  # noqa: NPY002
    # A donor that has all cells of a class stays for training, however large the share.
    donors = np.r_[np.arange(100) % 10, np.full(40, 11), 3]
    part = validation_part(labels, 0.9, donors, 1, random)
    assert set(donors[part]) and set(labels[~part]) == {0, 1, 2}
    assert not set(donors[part]) & set(donors[~part])
    with pytest.raises(ValueError, match="^validation_share="):
        validation_part(labels, 1e-6, None, 1, random)


def test_a_cell_without_any_value_has_probabilities_and_no_attention(cells):
    nothing, model = np.full((2, cells.X.shape[1]), np.nan), fitted(cells, max_epochs=1)
    np.testing.assert_allclose(model.predict_proba(nothing).sum(1), 1)
    assert not model.attention_weights(nothing).any()


def test_smote_makes_training_cells_only(cells, monkeypatch):
    given, losses = {}, AttentionBiLSTMClassifier._losses

    def look(self, learned, watched, weights, generator):
        given.update(learned=learned, weights=weights, watched=watched)
        return losses(self, learned, watched, weights, generator)

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_losses", look)
    model = fitted(cells, loss="arcface", smote=True, validation_share=0.25, max_epochs=1)
    aside = model.validation_
    counts = np.unique(cells.y[~aside], return_counts=True)[1]  # before SMOTE
    assert given["weights"].tolist() == [1] * len(counts), "SMOTE takes the place of weights"
    *learned, labels = given["learned"]
    assert (np.bincount(labels) == counts.max()).all() and len(labels) > (~aside).sum()
    # The validation part is real cells, as they are.
    *watched, of_watched = given["watched"]
    np.testing.assert_array_equal(of_watched, np.searchsorted(model.classes_, cells.y)[aside])
    for part, seen, real in zip(
        learned, watched, model._tokens(model._scaled(cells.X)), strict=True
    ):
        np.testing.assert_array_equal(seen, real[torch.from_numpy(aside)])
        np.testing.assert_array_equal(part[: (~aside).sum()], real[torch.from_numpy(~aside)])
    trained = cells.y[
        ~fitted(cells, loss="arcface", validation_share=0.25, max_epochs=1).validation_
    ]
    counts = torch.from_numpy(np.unique(trained, return_counts=True)[1])
    np.testing.assert_allclose(given["weights"], effective_number_weights(counts), rtol=1e-6)


def test_validation_cells_are_not_learned_from_and_donors_stay_together(cells):
    """Neither by the network nor by the scaling: other values there change nothing, as long as no epoch is chosen."""
    settings, donors = {"validation_share": 0.25, "max_epochs": 1}, cells.labels["donor"].to_numpy()
    model = fitted(cells, donors, **settings)
    assert not set(donors[model.validation_]) & set(donors[~model.validation_])
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fitted(cells, donors, changed, **settings)
    np.testing.assert_array_equal(other.validation_, model.validation_)
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
    assert expected == pytest.approx(score[best])
    p = model.predict_proba(X)[np.arange(len(y)), np.searchsorted(model.classes_, y)]
    trained = cells.y[~model.validation_]
    weights = np.array([1 / (trained == name).sum() for name in y])
    assert -(weights * np.log(p)).sum() / weights.sum() == pytest.approx(loss[best], rel=1e-5)
    scores = iter([(0.5, 3), (0.5, 2), (0.5, 4), *[(0.1, 1)] * 9])

    def scored(*_):
        f1, loss = next(scores)
        return {"validation_macro_f1": f1, "validation_loss": loss}

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_score", scored)
    history = fitted(cells, validation_share=0.3, max_epochs=12).history_
    assert len(history) == 2 + 2, (
        "of epochs of the same macro-F1 that with the least loss is the best"
    )


def test_published_treatment_by_its_name(cells):
    few = AttentionBiLSTMClassifier(**QUICK | {"max_epochs": 1}).fit(
        np.tile(cells.X, (4, 1)), np.tile(cells.y, 4)
    )
    assert (
        few._how["noise"] == pytest.approx(10 / math.sqrt(800))
        and fitted(cells)._how["noise"] == 0.5
    )
    model = fitted(cells, published=True, smote=True)
    assert 0 < model.validation_.mean() < 0.3 and len(model.history_) == 3
    zeros = np.nan_to_num(cells.X)
    np.testing.assert_array_equal(model.predict_proba(zeros), model.predict_proba(cells.X))
    mouse = fitted(cells, published="mouse", max_epochs=1)
    p, [epoch] = (
        mouse.predict_proba(cells.X)[aside := mouse.validation_],
        mouse.history_.to_dict("records"),
    )
    true = np.searchsorted(mouse.classes_, cells.y[aside])
    assert epoch["validation_accuracy"] == (p.argmax(1) == true).mean()
    assert epoch["validation_loss"] == pytest.approx(
        -np.log(p[np.arange(len(p)), true]).mean(), rel=1e-5
    )
    masked = fitted(cells)
    assert not np.allclose(masked.predict_proba(zeros), masked.predict_proba(cells.X))
