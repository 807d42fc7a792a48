"""The published protocol: its stages, clusters and pruning."""

import numpy as np
import pytest
import torch

from sbnn import SparseBottleneckRegressor
from sbnn.models.bottleneck import published
from sbnn.models.bottleneck.base import train_stage
from sbnn.models.bottleneck.network import cross_entropy, squared_error
from sbnn.models.bottleneck.published import cluster_outputs


@pytest.fixture
def stages(monkeypatch):
    """Arguments of every stage."""
    seen = []

    def watched(network, generator, batch_size, *given, frozen=0, lasso=0, loss=squared_error):
        n_epochs, rate, name, *cells = given
        seen.append([(name, n_epochs, rate, frozen, lasso, loss), cells, network.input_norms()])
        how = {"frozen": frozen, "lasso": lasso, "loss": loss}
        return train_stage(network, generator, batch_size, *given, **how)

    monkeypatch.setattr(published, "train_stage", watched)
    return seen


def test_stages_of_the_paper(data, stages):
    model = SparseBottleneckRegressor(n_genes=5, hidden_layers=(8, 4), random_state=0)
    model.set_params(group_lasso=0.3, epochs=(1, 2, 3, 4), learning_rate=1e-2)
    history = model.fit(data.X, data.Y).history_
    assert [stage[0] for stage in stages] == [
        ("pretraining", 1, 1e-2, 0, 0.3, cross_entropy),
        ("frozen", 2, 1e-2, 2, 0, squared_error),
        ("unfrozen", 3, 5e-3, 0, 0.3, squared_error),
        ("fine-tuning", 4, 5e-3, 0, 0, squared_error),
    ]
    assert history.epoch.tolist() == list(range(1, 11))
    assert history.eval_loss.notna().tolist() == [True] + [False] * 9
    x, classes, (watched, _) = stages[0][1]
    assert classes.max() >= 1
    assert torch.cdist(x, watched).min() > 0
    assert len(x) / (len(x) + len(watched)) == pytest.approx(0.6, abs=0.01)
    # genes are pruned by their norms after the regression
    norms = stages[-1][2]
    np.testing.assert_allclose(model.gene_norms_[model.get_support()], norms, rtol=1e-5)
    assert np.sort(model.gene_norms_)[-5] == pytest.approx(float(norms.min()), rel=1e-5)

    at_once = [("unfrozen", 5, 1e-2, 0, 0.3), ("fine-tuning", 4, 5e-3, 0, 0)]
    stages.clear()
    model.set_params(frozen_layers=0).fit(data.X, data.Y)
    assert [stage[0][:5] for stage in stages] == [("pretraining", 1, 1e-2, 0, 0.3), *at_once]
    stages.clear()
    model.set_params(pretraining=False, frozen_layers=2).fit(data.X, data.Y)
    assert [stage[0][:5] for stage in stages] == at_once


def test_layers_that_stay_frozen(data, stages):
    """All but the last, at most; the published two identify a result as before they had a name."""
    model = SparseBottleneckRegressor(n_genes=5, hidden_layers=(8, 4), random_state=0)
    assert "frozen_layers" not in model.decisive_params()
    model.set_params(epochs=(1, 1, 0, 0), frozen_layers=5).fit(data.X, data.Y)
    assert model.decisive_params()["frozen_layers"] == 5
    assert stages[1][0][3] == 5
    with pytest.raises(ValueError, match=r"frozen_layers .* \[0, 5\], got 6"):
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
