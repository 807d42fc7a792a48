"""The published BiLSTM: its parts by hand, validation cells, and transfer from another species."""

from copy import deepcopy
from dataclasses import replace
from typing import NamedTuple
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


def test_tokens_are_z_scores_padded_with_zeros(cells, model):
    """Missing values are zeros, too, before they are scaled."""
    tokens = model._tokenize(cells.X).numpy()
    values = np.nan_to_num(cells.X)
    scaler = StandardScaler().fit(values[~model.validation_])
    scaled = scaler.transform(values)
    for family, columns in enumerate(model.families_.values()):
        width = len(columns)
        assert_allclose(tokens[:, family, :width], scaled[:, columns], atol=1e-4)
        assert not tokens[:, family, width:].any()


@pytest.fixture
def smote(cells, monkeypatch):
    """An untrained model with SMOTE, and the cells that it was to learn from."""
    train = Mock()
    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train_on_target", train)
    model = fit_quickly(cells, smote=True)
    return model, train.call_args.args[0]


def test_smote_makes_classes_equally_large(smote):
    model, training_cells = smote
    sizes = np.bincount(training_cells.labels)
    assert len(set(sizes)) == 1
    assert model._class_weights.tolist() == [1] * 4


def test_smote_makes_training_cells_only(cells, smote):
    model, training_cells = smote
    real = model._tokenize(cells.X)[~model.validation_]
    assert_array_equal(training_cells.tokens[: len(real)], real)


def test_validation_cells_are_a_quarter(model):
    assert 0.2 < model.validation_.mean() < 0.3


def test_donors_stay_together_in_early_stopping(cells, model):
    donors = cells.labels["donor"]
    in_training = set(donors[~model.validation_])
    assert not in_training & set(donors[model.validation_])


def test_validation_cells_are_not_learned_from(cells, model):
    """Other values of these change neither network nor scaling if no epoch is chosen."""
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fit_quickly(replace(cells, X=changed))
    assert_array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


@pytest.fixture(params=["macro_f1", "accuracy"])
def stopped(request, cells, monkeypatch):
    """A model with a patience of 2 whose scores are given, and the weights after each epoch."""
    score_name = f"validation_{request.param}"
    scores_and_losses = iter([(0.5, 3), (0.5, 2), (0.5, 4), (0.1, 1)])
    weights = []

    def score(self, validation_cells):
        weights.append(self.network_.head.weight.detach().clone())
        scores = {"validation_macro_f1": 9, "validation_accuracy": 9}
        scores[score_name], scores["validation_loss"] = next(scores_and_losses)
        return scores

    monkeypatch.setattr(attention_bilstm, "BILSTM_PATIENCE", 2)
    monkeypatch.setattr(AttentionBiLSTMClassifier, "_score", score)
    model = fit_quickly(cells, stop_on=request.param, max_epochs=12)
    return model, weights


def test_patience_ends_training(stopped):
    model, _ = stopped
    assert len(model.history_) == 2 + 2


def test_the_best_epoch_is_kept(stopped):
    """The loss decides between the first two."""
    model, weights = stopped
    assert torch.equal(model.network_.head.weight, weights[1])


def test_scores_are_of_validation_cells(cells):
    model = fit_quickly(cells, validation_share=0.3, class_weight=None)
    X = cells.X[model.validation_]
    true = cells.y[model.validation_]
    predicted = model.predict(X)
    scores = model.history_.iloc[0]
    loss = log_loss(true, model.predict_proba(X), labels=model.classes_)
    macro_f1 = f1_score(true, predicted, average="macro", labels=np.unique(true))
    assert scores["validation_loss"] == approx(loss, rel=1e-5)
    assert scores["validation_accuracy"] == approx((predicted == true).mean())
    assert scores["validation_macro_f1"] == approx(macro_f1)


@pytest.fixture(scope="module")
def arcface(cells):
    return fit_quickly(cells, loss="arcface", attention=False, prior_power=-0.5)


def test_arcface_scales_cosines_and_corrects_for_class_fractions(cells, arcface):
    cosines = arcface.network_(arcface._tokenize(cells.X)).detach().double()
    training_types = cells.y[~arcface.validation_]
    _, counts = np.unique(training_types, return_counts=True)
    expected = softmax(30 * cosines.numpy() - np.log(counts) / 2, axis=1)
    assert_allclose(arcface.predict_proba(cells.X), expected, rtol=1e-4)


def test_arcface_is_scored_without_a_margin(cells, arcface):
    cosines = arcface.network_(arcface._tokenize(cells.X)).detach()
    labels = cosines.argmin(1)
    expected = focal_loss(30 * cosines, labels, arcface._class_weights)
    assert arcface._loss(cosines, labels) == expected


def test_without_attention_there_are_no_weights(arcface):
    assert not hasattr(arcface, "attention_weights")


@pytest.fixture(scope="module")
def source(cells):
    """Cells of another species, with three types and without the second feature."""
    is_shared = cells.y != "VIP"
    X = cells.X[is_shared] + 5
    X[:, 1] = np.nan
    return X, cells.y[is_shared]


class Training(NamedTuple):
    """Arguments of a training, and the weights after it."""

    learning_rate: float
    max_epochs: int
    parameters: list
    weights: dict


@pytest.fixture
def trainings(monkeypatch):
    """Every training of a fit, in order."""
    observed = []
    train = AttentionBiLSTMClassifier._train_by_adamw

    def train_observed(self, compute_losses, parameters, learning_rate, max_epochs):
        parameters = list(parameters)
        train(self, compute_losses, parameters, learning_rate, max_epochs=max_epochs)
        weights = deepcopy(self.network_.state_dict())
        observed.append(Training(learning_rate, max_epochs, parameters, weights=weights))

    monkeypatch.setattr(AttentionBiLSTMClassifier, "_train_by_adamw", train_observed)
    return observed


@pytest.fixture
def pretrained(cells, source, trainings):
    """Trainings on the source, of the new head, and of everything."""
    with pytest.warns(UserWarning, match="x1"):
        fit_quickly(cells, source, transfer="pretrained", max_epochs=7)
    return trainings


def test_fine_tuning_has_half_the_learning_rate(pretrained):
    assert [training.learning_rate for training in pretrained] == [1e-3, 1e-3, 5e-4]


def test_a_new_head_is_trained_for_five_epochs(pretrained):
    assert [training.max_epochs for training in pretrained] == [7, 5, 7]
    assert len(pretrained[1].parameters) == 2  # weights and bias


def test_pretraining_gives_the_encoder(pretrained):
    source_weights, warm_weights, final_weights = (training.weights for training in pretrained)
    for name in source_weights:
        if not name.startswith("head"):
            assert torch.equal(source_weights[name], warm_weights[name])
            assert not torch.equal(warm_weights[name], final_weights[name])


@pytest.fixture
def joint(cells, source, monkeypatch):
    """A jointly trained model that stays as at the start, with a single minibatch."""
    monkeypatch.setattr(attention_bilstm, "BATCH_SIZE", 400)
    monkeypatch.setattr(attention_bilstm, "DROPOUT", 0.0)
    monkeypatch.setattr(torch.optim.AdamW, "step", lambda *_: None)
    with pytest.warns(UserWarning, match="x1"):
        return fit_quickly(cells, source, transfer="joint", max_epochs=7)


def test_joint_training_is_followed_by_the_target(trainings, joint):
    assert [training.learning_rate for training in trainings] == [5e-4, 3e-4]


def loss_by_hand(model, X, y, head):
    """Balanced cross-entropy of all cells of a species."""
    scaled = StandardScaler().fit_transform(model._fill_missing(X))
    state, _ = model.network_.encode(model._arrange_tokens(scaled))
    weight, bias = head
    logits = functional.linear(model.network_.norm_state(state), weight, bias)
    _, codes = np.unique(y, return_inverse=True)
    counts = np.bincount(codes)
    balanced = counts.sum() / len(counts) / counts
    class_weights = torch.tensor(balanced, dtype=torch.float32)
    loss = functional.cross_entropy(logits, torch.from_numpy(codes), class_weights)
    return loss.item()


def test_joint_training_adds_half_the_source_loss(cells, source, trainings, joint):
    in_training = ~joint.validation_
    target_head = joint.network_.head.parameters()
    target_loss = loss_by_hand(joint, cells.X[in_training], cells.y[in_training], head=target_head)
    source_X, source_y = source
    source_head = trainings[0].parameters[-2:]
    source_loss = loss_by_hand(joint, source_X, source_y, head=source_head)
    assert joint.history_["loss"][0] == approx(target_loss + 0.5 * source_loss, rel=1e-4)


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


def test_a_fraction_without_cells_is_refused():
    labels = np.repeat([0, 1], [100, 40])
    with pytest.raises(ValueError, match="^validation_share="):
        count_validation_cells(labels, 1e-6, n_kept=1)


def test_a_class_without_enough_cells_is_refused():
    labels = np.repeat([0, 1, 2], [100, 40, 1])
    with pytest.raises(ValueError, match="each type needs 2 to train on"):
        count_validation_cells(labels, 0.25, n_kept=2)
