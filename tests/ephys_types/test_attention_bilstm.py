"""The published BiLSTM: its parts by hand, validation cells, and transfer from another species."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import f1_score, log_loss
from sklearn.utils import compute_sample_weight
from torch.nn import functional
from torch.nn.utils import parameters_to_vector
from torch.testing import assert_close

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import (
    BiLSTM,
    add_angular_margin,
    focal_loss,
    select_validation_cells,
)


def fit_quickly(cells, source=None, **parameters):
    """A small network after one epoch; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=1, random_state=0)
    model.set_params(**parameters)
    donors = cells.labels["donor"]
    return model.fit(cells.X, cells.y, cells.families, groups=donors, source=source)


@pytest.fixture(scope="module")
def model(cells):
    return fit_quickly(cells)


@pytest.fixture
def network():
    torch.manual_seed(0)
    return BiLSTM(width=6, n_classes=4, hidden=5).eval()


@pytest.fixture
def tokens():
    """Four cells with three families of up to six features."""
    return torch.randn(4, 3, 6, generator=torch.Generator().manual_seed(1))


def test_attention_is_a_softmax_over_families(network, tokens):
    states, _ = network.lstm(network.norm_tokens(tokens))
    first, _, second = network.score
    attention = second(torch.tanh(first(states))).softmax(1)
    state, weights = network.encode(tokens)
    assert_close(weights, attention[..., 0])
    assert_close(state, (attention * states).sum(1))


def test_without_attention_the_last_state_is_used(network, tokens):
    states, _ = network.lstm(network.norm_tokens(tokens))
    network.score = None
    state, weights = network.encode(tokens)
    assert_close(state, states[:, -1])
    assert weights.tolist() == [[0, 0, 1]] * 4


def test_the_head_is_linear_in_normalised_states(network, tokens):
    state, _ = network.encode(tokens)
    assert_close(network(tokens), network.head(network.norm_state(state)))


def test_the_head_may_return_cosines(network, tokens):
    network.cosine = True
    state, _ = network.encode(tokens)
    cosines = torch.cosine_similarity(state[:, None], network.head.weight, dim=2)
    assert_close(network(tokens), cosines)


@pytest.fixture(scope="module")
def without_missing(cells):
    """The cells with zeros where values are missing."""
    return replace(cells, X=np.nan_to_num(cells.X))


def test_missing_values_are_zeros(cells, model, without_missing):
    """Before they are scaled."""
    again = fit_quickly(without_missing)
    assert_array_equal(again.predict_proba(without_missing.X), model.predict_proba(cells.X))


def test_features_are_scaled(cells, model, without_missing):
    """Other units of features change nothing; 4 is exact in binary numbers."""
    other = replace(cells, X=4 * without_missing.X)
    again = fit_quickly(other)
    assert_allclose(again.predict_proba(other.X), model.predict_proba(cells.X), rtol=1e-4)


@pytest.mark.parametrize(
    "parameters",
    [{}, {"smote": True}, {"smote": True, "class_weight": None}],
    ids=["weights", "both", "SMOTE"],
)
def test_types_are_treated_as_equally_frequent(rng, parameters, monkeypatch):
    """Nothing tells the types apart, one of which has a tenth of the cells."""
    monkeypatch.setattr(attention_bilstm, "BILSTM_LEARNING_RATE", 0.02)
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", 16)
    X = rng.normal(size=(400, 4))
    types = np.repeat(["common", "rare"], [360, 40])
    model = AttentionBiLSTMClassifier(hidden=4, max_epochs=1, random_state=0, **parameters)
    probabilities = model.fit(X, types).predict_proba(X)
    assert 0.3 < probabilities[:, 1].mean() < 0.7


def test_validation_cells_are_a_quarter(model):
    assert 0.2 < model.validation_.mean() < 0.3


def test_donors_stay_together_in_early_stopping(cells, model):
    donors = cells.labels["donor"]
    in_training = set(donors[~model.validation_])
    assert not in_training & set(donors[model.validation_])


@pytest.mark.parametrize("smote", [False, True])
def test_validation_cells_are_not_learned_from(cells, smote):
    """Other values of these change neither network nor scaling if no epoch is chosen."""
    model = fit_quickly(cells, smote=smote)
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fit_quickly(replace(cells, X=changed), smote=smote)
    assert_array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


@pytest.fixture(scope="module", params=["macro_f1", "accuracy"])
def stopped(request, cells):
    """A model with a patience of 2, its epochs, and the best of them: the loss decides if tied."""
    with pytest.MonkeyPatch.context() as changed:
        changed.setattr(attention_bilstm, "BILSTM_PATIENCE", 2)
        model = fit_quickly(cells, stop_on=request.param, max_epochs=60, class_weight=None)
    score = f"validation_{request.param}"
    epochs = model.history_.sort_values([score, "validation_loss"], ascending=[False, True])
    return model, epochs


def test_patience_ends_training(stopped):
    _, epochs = stopped
    assert len(epochs) == epochs.index[0] + 1 + 2


def test_the_best_epoch_is_kept(cells, stopped):
    model, epochs = stopped
    probabilities = model.predict_proba(cells.X[model.validation_])
    true = cells.y[model.validation_]
    loss = log_loss(true, probabilities, labels=model.classes_)
    assert loss == approx(epochs["validation_loss"].iloc[0], rel=1e-5)


def test_scores_are_of_validation_cells(cells):
    model = fit_quickly(cells, validation_share=0.3)
    true = cells.y[model.validation_]
    predicted = model.predict(cells.X[model.validation_])
    macro_f1 = f1_score(true, predicted, average="macro", labels=np.unique(true))
    scores = model.history_.iloc[0]
    assert scores["validation_accuracy"] == approx((predicted == true).mean())
    assert scores["validation_macro_f1"] == approx(macro_f1)


@pytest.fixture(scope="module")
def arcface(cells):
    return fit_quickly(cells, loss="arcface", attention=False, class_weight=None)


def test_arcface_is_scored_without_a_margin(cells, arcface):
    """By its own probabilities of the validation cells."""
    log_p = torch.log(torch.tensor(arcface.predict_proba(cells.X[arcface.validation_])))
    labels = np.searchsorted(arcface.classes_, cells.y[arcface.validation_])
    expected = focal_loss(log_p, torch.tensor(labels), torch.ones(4)).item()
    assert arcface.history_["validation_loss"][0] == approx(expected, rel=1e-4)


def test_probabilities_are_corrected_for_class_fractions(cells, arcface):
    corrected = fit_quickly(cells, **arcface.get_params() | {"prior_power": -0.5})
    _, counts = np.unique(cells.y[~arcface.validation_], return_counts=True)
    expected = arcface.predict_proba(cells.X) / np.sqrt(counts)
    expected /= expected.sum(axis=1, keepdims=True)
    assert_allclose(corrected.predict_proba(cells.X), expected, rtol=1e-4)


def test_without_attention_there_are_no_weights(arcface):
    assert not hasattr(arcface, "attention_weights")


@pytest.fixture(scope="module")
def source(cells):
    """Cells of another species, with three types and without the second feature."""
    is_shared = cells.y != "VIP"
    X = cells.X[is_shared] + 5
    X[:, 1] = np.nan
    return X, cells.y[is_shared]


def fit_transferred(cells, source, transfer):
    """A model after seven epochs with the source, and as many of the target."""
    with pytest.warns(UserWarning, match="x1"):
        return fit_quickly(cells, source, transfer=transfer, max_epochs=7)


@pytest.mark.parametrize(("transfer", "n_epochs"), [("pretrained", 5 + 7), ("joint", 7 + 7)])
def test_transfer_has_two_parts(cells, source, transfer, n_epochs):
    """Of five epochs for a new head, or of as many as the others for both species."""
    assert len(fit_transferred(cells, source, transfer).history_) == n_epochs


@pytest.mark.parametrize("transfer", ["pretrained", "joint"])
def test_unknown_types_of_a_source_are_refused(cells, source, transfer):
    source_X, source_y = source
    with_unknown = np.where(source_y == source_y[0], "unknown", source_y)
    with pytest.raises(ValueError, match="source: expected a type for every cell"):
        fit_quickly(cells, (source_X, with_unknown), transfer=transfer)


def encoder_of(model):
    """All weights but those of the head."""
    return parameters_to_vector(
        value for name, value in model.network_.named_parameters() if "head" not in name
    )


@pytest.fixture
def without_fine_tuning(monkeypatch):
    monkeypatch.setattr(attention_bilstm, "TRANSFER_RATE", 0.0)


@pytest.mark.usefixtures("without_fine_tuning")
def test_pretraining_gives_the_encoder(cells, source):
    """The target changes it in fine tuning alone."""
    usual = encoder_of(fit_transferred(cells, source, "pretrained"))
    other_target = replace(cells, X=cells.X[::-1])
    assert torch.equal(encoder_of(fit_transferred(other_target, source, "pretrained")), usual)
    source_X, source_y = source
    other_source = (source_X[::-1], source_y)
    assert not torch.equal(encoder_of(fit_transferred(cells, other_source, "pretrained")), usual)


@pytest.mark.usefixtures("without_fine_tuning")
def test_joint_training_adds_half_the_source_loss(cells, source, monkeypatch):
    """Of a network that stays as at the start, for which all three source types are alike."""
    monkeypatch.setattr(attention_bilstm, "FINAL_RATE", 0.0)
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", 400)
    monkeypatch.setattr(attention_bilstm, "DROPOUT", 0.0)
    model = fit_transferred(cells, source, "joint")
    true = cells.y[~model.validation_]
    weights = compute_sample_weight("balanced", true)
    probabilities = model.predict_proba(cells.X[~model.validation_])
    target_loss = log_loss(true, probabilities, sample_weight=weights)
    assert model.history_["loss"][0] == approx(target_loss + 0.5 * np.log(3), abs=0.2)


def test_focal_loss_is_cross_entropy_with_a_factor(rng):
    logits = torch.tensor(rng.normal(size=(3, 3)))
    labels = torch.tensor([0, 2, 1])
    class_weights = torch.tensor([1.0, 2.0, 5.0])
    losses = functional.cross_entropy(logits, labels, reduction="none")
    losses *= (1 - torch.exp(-losses)) ** 2
    weights = class_weights[labels]
    expected = (weights * losses).sum() / weights.sum()
    assert_close(focal_loss(logits, labels, class_weights), expected)


def test_a_margin_is_added_to_the_true_angle():
    angles = np.array([[0.5, 1.5, 1.8], [1.2, 1.3, 2.7], [2.0, 3.0, 1.1]])
    labels = torch.tensor([0, 2, 1])
    expected = np.cos(angles)
    expected[0, 0] = np.cos(0.5 + 0.35)
    expected[1, 2] = np.cos(2.7 + 0.35)
    expected[2, 1] = np.cos(3.0) - 0.35 * np.sin(0.35)  # goes on falling beyond pi
    logits = add_angular_margin(torch.tensor(np.cos(angles)), labels, 0.35)
    assert_allclose(logits, 30 * expected, atol=1e-9)


def count_validation_cells(labels, fraction, n_kept):
    """Validation cells of each class, if each cell is a group of its own."""
    selected = select_validation_cells(
        labels,
        fraction,
        groups=np.arange(len(labels)),
        n_kept=n_kept,
        random_state=np.random.RandomState(0),  # noqa: NPY002
    )
    return np.bincount(labels[selected]).tolist()


def test_a_fraction_of_each_class_is_for_validation():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    assert count_validation_cells(labels, 0.25, n_kept=1) == [25, 10]


def test_a_class_keeps_some_training_cells():
    labels = np.repeat([0, 1], [100, 40])
    assert count_validation_cells(labels, 0.9, n_kept=8) == [90, 32]


@pytest.mark.parametrize(
    ("sizes", "fraction", "n_kept", "message"),
    [
        ([100, 40], 1e-6, 1, "^validation_share="),
        ([100, 40, 1], 0.25, 2, "each type needs 2 to train on"),
    ],
)
def test_too_few_validation_cells_are_refused(sizes, fraction, n_kept, message):
    labels = np.repeat(range(len(sizes)), sizes)
    with pytest.raises(ValueError, match=message):
        count_validation_cells(labels, fraction, n_kept=n_kept)
