"""The published protocol: its stages, clusters and pruning."""

from unittest import mock

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone

from sbnn import SparseBottleneckRegressor
from sbnn.models import published
from sbnn.models.base import Stage, train_stage
from sbnn.models.network import cross_entropy
from sbnn.models.published import cluster_outputs

MODEL = SparseBottleneckRegressor(
    n_genes=5,
    group_lasso=0.3,
    hidden_layers=(8, 4),
    epochs=(1, 2, 3, 0),
    learning_rate=1e-2,
    random_state=0,
)

PRETRAINING = Stage(
    name="pretraining",
    n_epochs=1,
    learning_rate=1e-2,
    batch_size=32,
    group_lasso=0.3,
    loss=cross_entropy,
)
FROZEN = Stage(name="frozen", n_epochs=2, learning_rate=1e-2, batch_size=32, n_frozen=2)
UNFROZEN = Stage(name="unfrozen", n_epochs=3, learning_rate=5e-3, batch_size=32, group_lasso=0.3)
AT_ONCE = Stage(name="unfrozen", n_epochs=5, learning_rate=1e-2, batch_size=32, group_lasso=0.3)
FINE_TUNING = Stage(name="fine-tuning", n_epochs=0, learning_rate=5e-3, batch_size=32)


@pytest.fixture
def stage_calls(monkeypatch):
    """Calls of `train_stage`."""
    spy = mock.Mock(wraps=train_stage)
    monkeypatch.setattr(published, "train_stage", spy)
    return spy.call_args_list


def fit_stages(stage_calls, data, **params):
    """Stages of a fit."""
    clone(MODEL).set_params(**params).fit(data.X, data.Y)
    return [call.args[1] for call in stage_calls]


# --- stages


def test_stages_are_those_of_the_paper(data, stage_calls):
    stages = fit_stages(stage_calls, data)
    assert stages == [PRETRAINING, FROZEN, UNFROZEN, FINE_TUNING]


def test_without_frozen_layers_all_are_trained_at_once(data, stage_calls):
    stages = fit_stages(stage_calls, data, frozen_layers=0)
    assert stages == [PRETRAINING, AT_ONCE, FINE_TUNING]


def test_without_pretraining_no_layers_are_frozen(data, stage_calls):
    stages = fit_stages(stage_calls, data, pretraining=False)
    assert stages == [AT_ONCE, FINE_TUNING]


def test_all_layers_but_the_last_can_be_frozen(data, stage_calls):
    stages = fit_stages(stage_calls, data, frozen_layers=5)
    assert stages[1].n_frozen == 5


def test_the_last_layer_is_never_frozen(data):
    model = clone(MODEL).set_params(frozen_layers=6)
    with pytest.raises(ValueError, match=r"frozen_layers must be .* \[0, 5\], got 6"):
        model.fit(data.X, data.Y)


def test_history_numbers_the_epochs_of_all_stages(data):
    history = clone(MODEL).fit(data.X, data.Y).history_
    assert history.epoch.tolist() == list(range(1, 7))


def test_only_the_pretraining_watches_cells_by_default(data):
    history = clone(MODEL).fit(data.X, data.Y).history_
    assert history.eval_loss.notna().tolist() == [True] + [False] * 5


def test_the_pretraining_uses_three_fifths_of_the_cells(data, stage_calls):
    clone(MODEL).fit(data.X, data.Y)
    training = stage_calls[0].args[2]
    validation = stage_calls[0].kwargs["eval_cells"]
    n_cells = len(training.x) + len(validation.x)
    assert torch.cdist(training.x, validation.x).min() > 0
    assert len(training.x) / n_cells == pytest.approx(0.6, abs=0.01)


# --- pruning: there are no epochs of fine-tuning


def test_the_genes_with_the_largest_norms_stay(data):
    model = clone(MODEL).fit(data.X, data.Y)
    fifth_largest = np.sort(model.gene_norms_)[-5]
    assert fifth_largest == model.gene_norms_[model.get_support()].min()


def test_weights_of_kept_genes_stay_as_they_are(data):
    model = clone(MODEL).fit(data.X, data.Y)
    kept_norms = model.gene_norms_[model.get_support()]
    assert_allclose(kept_norms, model.network_.input_norms(), rtol=1e-5)


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
