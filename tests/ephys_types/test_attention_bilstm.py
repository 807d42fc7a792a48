"""The published BiLSTM: training and where it ends, validation cells, and its losses."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.ephys_types import AttentionBiLSTMClassifier, attention_bilstm
from sbnn.ephys_types.attention_bilstm import (
    add_angular_margin,
    focal_loss,
    select_validation_cells,
    train_epochs,
)


def fit_quickly(cells, source=None, **parameters):
    """A small network after three epochs; donors are known."""
    model = AttentionBiLSTMClassifier(hidden=8, max_epochs=3, random_state=0)
    model.set_params(**parameters)
    donors = cells.labels["donor"]
    return model.fit(cells.X, cells.y, cells.families, groups=donors, source=source)


@pytest.fixture(scope="module")
def source(cells):
    """Cells of another species, with three types and without the second feature."""
    is_shared = cells.y != "VIP"
    X = cells.X[is_shared] + 5
    X[:, 1] = np.nan
    return X, cells.y[is_shared]


#: Parameters, number of epochs, validation loss at the end, and mean log probability of the types.
ENDS = [
    ({"stop_on": "accuracy", "class_weight": None, "max_epochs": 60}, 55, 0.70109, -0.62237),
    ({"smote": True, "class_weight": None, "prior_power": -0.5}, 3, 1.57992, -1.86394),
    ({"loss": "arcface", "attention": False, "prior_power": -0.5}, 3, 2.97591, -4.57454),
    ({"transfer": "joint"}, 6, 1.29237, -1.31824),
]


@pytest.mark.usefixtures("recorded_draws")
@pytest.mark.filterwarnings("ignore:.*x1")
@pytest.mark.parametrize(("parameters", "n_epochs", "loss", "log_likelihood"), ENDS)
def test_training_ends_where_it_always_did(
    cells, source, parameters, n_epochs, loss, log_likelihood
):
    model = fit_quickly(cells, source if "transfer" in parameters else None, **parameters)
    probabilities = model.predict_proba(cells.X)
    of_true_types = probabilities[cells.y[:, np.newaxis] == model.classes_]
    assert len(model.history_) == n_epochs
    assert model.history_["validation_loss"].iloc[-1] == approx(loss, abs=1e-3)
    assert np.log(of_true_types).mean() == approx(log_likelihood, abs=1e-3)


@pytest.fixture
def epochs_of_stages(monkeypatch):
    """Numbers of epochs of the stages of training; one ends two epochs after its best."""
    monkeypatch.setattr(attention_bilstm, "BILSTM_PATIENCE", 2)
    epochs = []

    def count(best, run_epoch, *limits, **options):
        epochs.append(0)

        def run_and_count(epoch):
            epochs[-1] += 1
            return run_epoch(epoch)

        train_epochs(best, run_and_count, *limits, **options)

    monkeypatch.setattr(attention_bilstm, "train_epochs", count)
    return epochs


@pytest.mark.filterwarnings("ignore:.*x1")
@pytest.mark.parametrize("stop_on", ["macro_f1", "accuracy"])
@pytest.mark.parametrize("transfer", [None, "pretrained", "joint"])
def test_the_best_epoch_of_the_last_stage_comes_back(
    cells, source, epochs_of_stages, transfer, stop_on
):
    """Of epochs with equal scores, that with the least loss."""
    how = {"transfer": transfer, "stop_on": stop_on, "class_weight": None, "max_epochs": 30}
    model = fit_quickly(cells, source if transfer else None, **how)
    last = model.history_[-epochs_of_stages[-1] :].reset_index()
    ranked = last.sort_values([f"validation_{stop_on}", "validation_loss"], ascending=[True, False])
    best = ranked.iloc[-1]
    assert len(last) == min(ranked.index[-1] + 3, 30)
    types = cells.y[model.validation_]
    probabilities = model.predict_proba(cells.X[model.validation_])
    log_likelihoods = np.log(probabilities[types[:, np.newaxis] == model.classes_])
    assert -log_likelihoods.mean() == approx(best["validation_loss"], rel=1e-5)


@pytest.mark.filterwarnings("ignore:.*x1")
def test_the_encoder_is_frozen_while_the_head_warms_up(cells, source, monkeypatch):
    """Then everything is trained, unless its rate is 0."""
    rate = attention_bilstm.TRANSFER_RATE
    n_epochs = attention_bilstm.WARM_UP_EPOCHS
    networks = []
    for warm_up, after in [(0, 0.0), (n_epochs, 0.0), (n_epochs, rate)]:
        monkeypatch.setattr(attention_bilstm, "WARM_UP_EPOCHS", warm_up)
        monkeypatch.setattr(attention_bilstm, "TRANSFER_RATE", after)
        model = fit_quickly(cells, source, transfer="pretrained")
        networks.append(model.network_.state_dict())
    [encoder] = attention_bilstm._LAST_ENCODER.values()
    untrained, warm, trained = networks
    for name, values in untrained.items():
        of_head = name.startswith(("norm_state.", "head."))
        assert of_head or torch.equal(values, encoder[name])
        assert torch.equal(warm[name], values) != of_head, name
        assert not torch.equal(trained[name], warm[name]), name


@pytest.mark.parametrize("transfer", ["pretrained", "joint"])
def test_unknown_types_of_a_source_are_refused(cells, source, transfer):
    source_X, source_y = source
    with_unknown = np.where(source_y == source_y[0], "unknown", source_y)
    with pytest.raises(ValueError, match="source: expected a type for every cell"):
        fit_quickly(cells, (source_X, with_unknown), transfer=transfer)


@pytest.mark.filterwarnings("ignore:.*x1")
def test_a_source_network_that_is_shared_changes_nothing(cells, source):
    attention_bilstm._LAST_ENCODER.clear()
    first, second = (fit_quickly(cells, source, transfer="pretrained") for _ in range(2))
    assert_array_equal(first.predict_proba(cells.X), second.predict_proba(cells.X))


@pytest.fixture(scope="module")
def model(cells):
    return fit_quickly(cells, attention=False)


def test_donors_stay_together_in_early_stopping(cells, model):
    donors = cells.labels["donor"]
    in_training = set(donors[~model.validation_])
    assert not in_training & set(donors[model.validation_])


@pytest.mark.parametrize("smote", [False, True])
def test_validation_cells_are_not_learned_from(cells, smote):
    """Other values of these change neither network nor scaling if no epoch is chosen."""
    model = fit_quickly(cells, smote=smote, max_epochs=1)
    changed = cells.X.copy()
    changed[model.validation_] = 100.0
    other = fit_quickly(replace(cells, X=changed), smote=smote, max_epochs=1)
    assert_array_equal(other.predict_proba(cells.X), model.predict_proba(cells.X))


def test_without_attention_there_are_no_weights(model):
    assert not hasattr(model, "attention_weights")


def test_a_margin_is_added_to_the_true_angle():
    angles = np.array([[0.5, 1.5, 1.8], [1.2, 1.3, 2.7], [2.0, 3.0, 1.1]])
    labels = torch.tensor([0, 2, 1])
    expected = np.cos(angles)
    expected[0, 0] = np.cos(0.5 + 0.35)
    expected[1, 2] = np.cos(2.7 + 0.35)
    expected[2, 1] = np.cos(3.0) - 0.35 * np.sin(0.35)  # goes on falling beyond pi
    logits = add_angular_margin(torch.tensor(np.cos(angles)), labels, 0.35)
    assert_allclose(logits, 30 * expected, atol=1e-9)


def test_the_focal_loss_is_a_weighted_mean(rng):
    """Certain cells count less."""
    probabilities = rng.dirichlet([1, 1, 1], size=7)
    labels, weights = np.array([0, 1, 2, 2, 1, 0, 0]), np.array([1.0, 5.0, 0.2])
    p = probabilities[range(7), labels]
    expected = np.average(-((1 - p) ** 2) * np.log(p), weights=weights[labels])
    tensors = map(torch.tensor, (np.log(probabilities), labels, weights))
    assert focal_loss(*tensors).item() == approx(expected)


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
