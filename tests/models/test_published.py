"""The published protocol: its stages, clusters and pruning."""

from unittest import mock

import numpy as np
import pytest
import torch

from sbnn import SparseBottleneckRegressor
from sbnn.models import published
from sbnn.models.base import train_stage
from sbnn.models.network import cross_entropy
from sbnn.models.published import cluster_outputs


@pytest.fixture
def stages(monkeypatch):
    """Calls of `train_stage`."""
    watched = mock.Mock(wraps=train_stage)
    monkeypatch.setattr(published, "train_stage", watched)
    return watched.call_args_list


def given(stages):
    """Epochs, rate, name and, where there are some, frozen layers, penalty and loss."""
    return [(*stage.args[3:6], *stage.kwargs.values()) for stage in stages]


def test_stages_of_the_paper(data, stages):
    model = SparseBottleneckRegressor(n_genes=5, hidden_layers=(8, 4), random_state=0)
    model.set_params(group_lasso=0.3, epochs=(1, 2, 3, 0), learning_rate=1e-2)
    history = model.fit(data.X, data.Y).history_
    first = 1, 1e-2, "pretraining", 0.3, cross_entropy
    last = 0, 5e-3, "fine-tuning"
    assert given(stages) == [first, (2, 1e-2, "frozen", 2), (3, 5e-3, "unfrozen", 0.3), last]
    assert history.epoch.tolist() == list(range(1, 7))
    assert history.eval_loss.notna().tolist() == [True] + [False] * 5
    x, _, (watched, _) = stages[0].args[6:]
    assert torch.cdist(x, watched).min() > 0
    assert len(x) / (len(x) + len(watched)) == pytest.approx(0.6, abs=0.01)
    # genes are pruned by their norms after the regression
    norms = model.network_.input_norms()
    np.testing.assert_allclose(model.gene_norms_[model.get_support()], norms, rtol=1e-5)
    assert np.sort(model.gene_norms_)[-5] == pytest.approx(float(norms.min()), rel=1e-5)

    at_once = [(5, 1e-2, "unfrozen", 0.3), last]
    stages.clear()
    model.set_params(frozen_layers=0).fit(data.X, data.Y)
    assert given(stages) == [first, *at_once]
    stages.clear()
    model.set_params(pretraining=False, frozen_layers=2).fit(data.X, data.Y)
    assert given(stages) == at_once


def test_layers_that_stay_frozen(data, stages):
    """All but the last, at most."""
    model = SparseBottleneckRegressor(n_genes=5, hidden_layers=(8, 4), random_state=0)
    model.set_params(epochs=(1, 1, 0, 0), frozen_layers=5).fit(data.X, data.Y)
    assert stages[1].kwargs == {"frozen": 5}
    with pytest.raises(ValueError, match=r"frozen_layers must be .* \[0, 5\], got 6"):
        model.set_params(frozen_layers=6).fit(data.X, data.Y)


@pytest.mark.filterwarnings("error")  # scikit-learn warns of more clusters than different cells
def test_small_clusters_are_left_out():
    """At least 20 cells a cluster on average; one of 9 is too small, one of 10 is not."""
    Y = np.linspace(0, 0.1, 60)
    Y[31:50] += 5
    Y[50:] += 9
    labels = cluster_outputs(Y[:, None], 20, 0)
    assert sorted(np.bincount(labels)) == [10, 19, 31]
    Y[59] = 5
    labels = cluster_outputs(Y[:, None], 3, 0)
    assert sorted(np.bincount(labels + 1)) == [9, 20, 31]
    assert (labels[50:59] == -1).all()
    two = np.repeat([[0.0, 1.0], [2.0, 3.0]], 50, axis=0)
    assert cluster_outputs(two, 20, 0).max() == 1
