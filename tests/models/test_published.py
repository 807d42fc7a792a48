"""The published protocol: its stages, clusters and pruning."""

from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from sbnn import SparseBottleneckRegressor
from sbnn.models import published
from sbnn.models.base import train_stage
from sbnn.models.published import cluster_outputs

MODEL = SparseBottleneckRegressor(
    n_genes=5,
    group_lasso=0.3,
    hidden_layers=(8, 4),
    epochs=(1, 2, 3, 0),
    learning_rate=1e-2,
    random_state=0,
)


@pytest.fixture(scope="module")
def fitted(data):
    return clone(MODEL).fit(data.X, data.Y)


# --- stages


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, [("frozen", 0.0)] * 2 + [("unfrozen", 0.3)] * 3),
        ({"frozen_layers": 0}, [("unfrozen", 0.3)] * 5),
    ],
)
def test_stages_are_those_of_the_paper(params, expected, data):
    """Their epochs, and the strength of the penalty, which is that of the sum of the norms."""
    model = clone(MODEL).set_params(learning_rate=0, epochs=(1, 2, 3, 1), n_genes=None, **params)
    history = model.fit(data.X, data.Y).history_
    strength = history.penalty / model.gene_norms_.sum()
    stages = list(zip(history.stage, strength.round(4), strict=True))
    assert stages == [("pretraining", 0.3), *expected, ("fine-tuning", 0.0)]


def test_only_the_pretraining_has_classes(fitted):
    assert fitted.history_.r2.isna().tolist() == [True] + [False] * 5


def layers_after(data, epochs, **params):
    """Weights of every layer after stages of these epochs, each of one batch, of all genes."""
    model = clone(MODEL).set_params(epochs=epochs, n_genes=None, batch_size=120, **params)
    return [layer.weight for layer in model.fit(data.X, data.Y).network_.layers]


@pytest.mark.parametrize(
    ("before", "params", "rates"),
    [
        ((1, 0, 0, 0), {}, [0, 0, 0.01, 0.01, 0.01, 0.01]),
        ((1, 0, 0, 0), {"frozen_layers": 5}, [0, 0, 0, 0, 0, 0.01]),
        ((1, 0, 0, 0), {"frozen_layers": 0}, [0.01] * 6),
        ((1, 0, 0, 0), {"pretraining": False}, [0.01] * 6),
        ((1, 1, 0, 0), {}, [0.005] * 6),
        ((1, 1, 1, 0), {}, [0.005] * 6),
        ((1, 1, 1, 0), {"frozen_layers": 0}, [0.005] * 6),
    ],
)
def test_rates_and_frozen_layers_are_those_published(before, params, rates, data):
    """The first step of Adam is as long as its rate, in the direction of each weight."""
    after = list(before)
    after[before.index(0)] = 1
    layers = layers_after(data, before, **params)
    changes = []
    for weight, changed in zip(layers, layers_after(data, after, **params), strict=True):
        changes.append(float((changed - weight).abs().max()))
    assert changes == pytest.approx(rates, abs=1e-5)


def test_the_pretraining_has_the_full_rate(data):
    still = layers_after(data, (1, 0, 0, 0), learning_rate=0)
    for weight, changed in zip(still[:-1], layers_after(data, (1, 0, 0, 0))[:-1], strict=True):
        assert float((changed - weight).abs().max()) == pytest.approx(0.01, abs=1e-5)


def test_history_numbers_the_epochs_of_all_stages(fitted):
    assert fitted.history_.epoch.tolist() == list(range(1, 7))


def test_only_the_pretraining_watches_cells_by_default(fitted):
    assert fitted.history_.eval_loss.notna().tolist() == [True] + [False] * 5


def test_the_pretraining_uses_three_fifths_of_the_cells(data, monkeypatch):
    """The others are watched: of the stage, as the history alone would not show a leak."""
    spy = mock.Mock(wraps=train_stage)
    monkeypatch.setattr(published, "train_stage", spy)
    clone(MODEL).fit(data.X, data.Y)
    first = spy.call_args_list[0]
    training = first.args[2]
    validation = first.kwargs["eval_cells"]
    n_cells = len(training.x) + len(validation.x)
    assert torch.cdist(training.x, validation.x).min() > 0
    assert len(training.x) / n_cells == pytest.approx(0.6, abs=0.01)


# --- pruning: there are no epochs of fine-tuning


def test_the_genes_with_the_largest_norms_stay(fitted):
    fifth_largest = np.sort(fitted.gene_norms_)[-5]
    assert fifth_largest == fitted.gene_norms_[fitted.get_support()].min()


def test_weights_of_kept_genes_stay_as_they_are(fitted):
    kept_norms = fitted.gene_norms_[fitted.get_support()]
    assert_allclose(kept_norms, fitted.network_.input_norms(), rtol=1e-5)


def test_the_penalty_ends_with_the_pruning(data):
    """Kept genes stay kept, and are not shrunk, however large it was."""
    without, strong = [
        clone(MODEL).set_params(epochs=(0, 0, 0, 9), group_lasso=lasso).fit(data.X, data.Y)
        for lasso in (0.0, 1e3)
    ]
    assert_array_equal(strong.get_support(), without.get_support())
    assert_array_equal(strong.network_.input_norms(), without.network_.input_norms())
    assert_array_equal(strong.predict(data.X), without.predict(data.X))


# --- clusters


def test_a_cluster_of_ten_cells_is_large_enough():
    """At least 20 cells a cluster on average, which makes three clusters of these 60."""
    Y = np.linspace(0, 0.1, 60)
    Y[31:50] += 5
    Y[50:] += 9
    labels = cluster_outputs(Y[:, np.newaxis], n_clusters=20, random_state=0)
    assert sorted(np.bincount(labels)) == [10, 19, 31]


def test_a_cluster_of_nine_cells_is_left_out():
    Y = np.linspace(0, 0.1, 60)
    Y[31:51] += 5
    Y[51:] += 9
    labels = cluster_outputs(Y[:, np.newaxis], n_clusters=3, random_state=0)
    assert sorted(np.bincount(labels + 1)) == [9, 20, 31]
    assert (labels[51:] == -1).all()


@pytest.mark.filterwarnings("error")  # scikit-learn warns of more clusters than different cells
def test_there_are_no_more_clusters_than_different_cells():
    two_kinds = np.repeat([[0.0, 1.0], [2.0, 3.0]], 50, axis=0)
    assert cluster_outputs(two_kinds, n_clusters=20, random_state=0).max() == 1
