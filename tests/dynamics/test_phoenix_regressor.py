"""Training and pruning of PHOENIX: losses, seeds, units, and samples of any length."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import PhoenixRegressor
from sbnn.dynamics.baselines import AutoRegression
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import Pruner
from sbnn.dynamics.solver import DivergenceError, follow
from sbnn.dynamics.training import PENALTIES, Intervals, Training

SHORT = {"epochs": 12, "schedule": (2, 0.5, 3, 0.2), "learning_rate": 1e-2, "fine_tuning": 3}
SHORT["random_state"] = 0
pytestmark = pytest.mark.filterwarnings("ignore:the one-step error")


def fit(samples, prior=None, pruning="dash", interactions=None, **options):
    """Fit a small network."""
    model = PhoenixRegressor(8, pruning, 0.6, **SHORT | options)
    return model.fit(samples, prior, interactions)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return fit(samples, prior)


@pytest.fixture
def training(samples, prior, generator):
    """Training of a new network with gates on all samples."""
    model = PhoenixRegressor(4, "c_node", batch_size=99, data_weight=0.25, n_prior_points=500)
    pruner = Pruner(Phoenix(30, 4, generator, gated=True), (0, 0))
    intervals = Intervals(as_trajectories(samples), 1.0)
    edges = torch.from_numpy(prior.to_numpy(dtype=float))
    return Training(model, pruner, generator, intervals, prior=edges)


def test_the_same_seed_gives_the_same_bits_and_priors_are_matched_by_name(fitted, samples, prior):
    again = fit(samples, prior.iloc[::-1, ::-1])
    assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    alone = samples[samples.obs["sample"] == "0"]
    one, other = (fit(alone, prior, random_state=seed) for seed in (0, 1))
    assert not np.array_equal(one.edge_scores_, other.edge_scores_)
    assert "no sample was held out" in one.verdict_


def test_the_unit_of_time_changes_nothing_unless_it_is_kept(fitted, samples, prior):
    """The factor is exact, so that the scaled times are."""
    other = samples.copy()
    other.obs["time"] *= 64
    again = fit(other, prior)
    assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    assert_array_equal(again.predict(samples.X[:1], [0, 64]), fitted.predict(samples.X[:1], [0, 1]))
    assert not np.array_equal(fit(other, prior, time_span=None).edge_scores_, fitted.edge_scores_)


def test_interactions_are_matched_by_name_and_replace_shared_targets(fitted, samples, prior):
    """Shared targets, given as interactions, change nothing; other genes are ignored."""
    together = prior.abs() @ prior.abs().T
    together.loc["other", "other"] = 9.0
    again = fit(samples, prior, interactions=together.iloc[::-1])
    assert_allclose(again.edge_scores_, fitted.edge_scores_)
    other = fit(samples, prior, interactions=np.eye(30))
    assert not np.allclose(other.edge_scores_, fitted.edge_scores_)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, [0, 0, 0.5] + [0.6] * 9),
        ({"as_published": ["prune_before_epoch"]}, [0, 0.5] + [0.6] * 10),
        ({"pruning": "post_hoc"}, [0] * 12 + [0.6] * 3),
        ({"pruning": "none"}, [0] * 12),
    ],
)
def test_weights_are_pruned_by_the_schedule_or_once_after_training(
    samples, prior, options, expected
):
    """Before, less than a quarter of the weights is zero."""
    model = fit(samples, prior, **options)
    sparsity = model.history_["sparsity"]
    assert_allclose(sparsity.clip(lower=0.25), np.maximum(expected, 0.25), atol=0.06)
    assert model.sparsity_ == sparsity.iloc[-1]


@pytest.mark.filterwarnings("default:the one-step error")
def test_a_network_is_compared_with_no_change_and_ar1_on_validation_samples(samples, prior, rng):
    """AR(1) is fitted to the other samples; predictions of a network that does not win warn."""
    data = trajectories(rng.random((8, 5, 30)), range(5), samples.var_names)
    model = fit(data, prior)
    arrays = as_trajectories(data)
    before, after, spans = arrays.chosen(model.validation_).intervals()
    others = arrays.chosen(np.delete(range(8), model.validation_))
    ar1 = AutoRegression().fit(others).predict(before, spans)[:, 1]
    found = model._path(before, spans)[:, 1], before, ar1
    assert_allclose(model.held_out_errors_, ((found - after) ** 2).mean(axis=(1, 2)))
    with pytest.warns(UserWarning, match="not lower"):
        model.predict(data.X[:1], [0, 1])


def test_a_step_follows_the_gradient_of_all_losses(training):
    """They are replaced by multiples of one sum; gates are drawn for each of two batches.

    Every interval is in one of them, in random order.
    """
    training.model.set_params(learning_rate=0.0, batch_size=12)
    multiplier = training.network.multiplier
    gates, seen = [], []

    def loss(network, rows):
        seen.extend(rows.tolist())
        gates.append(network.gates["sum_in"])
        return multiplier.sum()

    training.train.loss = loss
    training.prior_loss = lambda: 10 * multiplier.sum()
    training.penalty = lambda: 100 * multiplier.sum()
    training.run(1, {})
    assert multiplier.grad.unique() == 0.25 + 7.5 + 100
    assert training.history[0]["loss"] == approx(multiplier.sum().item())
    assert not torch.equal(*gates)
    assert sorted(seen) == [*range(24 * 4)] != seen


def test_losses_are_mean_squares_of_values_and_of_the_prior(training, samples, prior):
    network = training.network.requires_grad_(False)
    assert training.penalty() == PENALTIES["c_node"] * network.penalty("c_node")
    training.model.penalty = 0.0
    assert training.penalty() == 0
    network.settle()
    z = training.points
    assert z.abs().max().item() == approx(0.5, abs=0.01)
    gap = network.targets(z).numpy() - z.numpy() @ prior.to_numpy()
    assert_allclose(training.prior_loss(), (gap**2).mean(), rtol=1e-5)
    before, after, spans = as_trajectories(samples).chosen([3]).intervals()
    loss = training.train.loss(network, training.train.rows[3])
    errors = follow(network.double(), before, spans)[:, 1] - after
    assert loss.item() == approx((errors**2).mean(), rel=1e-2), "by a few steps"


def test_the_best_epoch_is_kept_and_patience_ends_training(training):
    seen = []
    epoch = training._epoch

    def growing(optimizer):
        epoch(optimizer)
        seen.append(training.network.sum_in.detach().clone())
        return float(len(seen))

    training._epoch = growing
    training.run(60, {})
    assert len(seen) == 1 + 40
    assert torch.equal(training.network.sum_in, seen[0])
    seen.clear()
    training.run(60, {2: 0.5})  # weights from before a pruning are not kept
    assert len(seen) == 2 + 1 + 40
    assert torch.equal(training.network.sum_in, seen[2])


def test_validation_samples_are_not_trained_on(samples):
    """Other values of them change what is monitored, but not the training before rates change."""
    model = fit(samples, pruning="none", epochs=4)
    changed = samples.copy()
    changed.X[changed.obs["sample"].isin(model.validation_.astype(str))] += 0.3
    other = fit(changed, pruning="none", epochs=4).history_
    assert_array_equal(other["loss"], model.history_["loss"])
    assert (other["validation_loss"] != model.history_["validation_loss"]).all()


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"as_published": ["all"]}, "as_published"),
        ({"influence": (0.5, 5.0)}, "influence: expected two numbers in"),
        ({"schedule": (1, 0.2, 1, 1e-9)}, "schedule: share must be"),  # else without end
        ({"epochs": 3}, "epochs: pruning ends after epoch 3"),
        ({"prior": None}, "prior"),
        ({"prior": None, "pruning": "none", "data_weight": 0.5}, "prior"),
        ({"interactions": np.zeros((30, 30))}, "interactions"),
    ],
)
def test_impossible_settings_are_refused(samples, prior, options, text):
    with pytest.raises(ValueError, match=text):
        fit(samples, **{"prior": prior} | options)


def test_a_training_that_diverges_is_an_error(samples):
    with pytest.raises(DivergenceError, match="epoch"):
        fit(samples, pruning="none", learning_rate=1e4)


def test_starts_are_matched_by_name_and_have_times_of_their_own(samples, fitted):
    start = samples.to_df()[:2]
    path = fitted.predict(start.iloc[:, ::-1], [[0, 1], [2, 5]])
    alone = fitted.predict(samples.X[1:2], [0, 3])
    assert_allclose(path[1], alone[0], atol=1e-5)
