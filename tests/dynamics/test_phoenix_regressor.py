"""Training and pruning of PHOENIX: losses, seeds, and samples of any length."""

import copy
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import PUBLISHED, PhoenixRegressor, Recipe, Schedule
from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.baselines import AutoRegression
from sbnn.dynamics.model import split
from sbnn.dynamics.phoenix import PENALTIES, Phoenix
from sbnn.dynamics.solver import DivergenceError, follow
from sbnn.dynamics.training import Training

SHORT = Recipe(12, schedule=Schedule(2, 0.5, 3, 0.2), learning_rate=1e-2, fine_tuning=3)


def fit(samples, prior=None, pruning="dash", **options):
    """Fit a small network with changes of the recipe."""
    model = PhoenixRegressor(8, pruning, 0.6, recipe=replace(SHORT, **options), random_state=0)
    return model.fit(samples, prior)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return fit(samples, prior)


@pytest.fixture(scope="module")
def cut(samples):
    """The same intervals in samples of other lengths: the first twelve are cut in two."""
    arrays = as_trajectories(samples)
    first = arrays.chosen(range(12)).pieces(2)
    last = arrays.chosen(range(12, 24))
    return trajectories(first.values + last.values, first.times + last.times, samples.var_names)


def training_of(data, recipe, **options):
    """Training of a new network on all samples."""
    network = Phoenix(30, 4, torch.Generator().manual_seed(0))
    arrays = as_trajectories(data)
    parts = list(range(len(arrays.values))), []
    return Training(network, arrays, parts, recipe, torch.Generator().manual_seed(0), **options)


def test_the_score_is_r2_of_later_times_of_samples_of_any_length(fitted, samples, cut):
    train = np.setdiff1d(np.arange(24), fitted.validation_)
    assert len(train) == 22
    mean = np.concatenate(as_trajectories(samples).chosen(train).values).mean(axis=0)
    arrays = as_trajectories(cut)
    later = np.concatenate([values[1:] for values in arrays.values])
    mse = path_errors(fitted.predict, arrays)["mse_rollout"]
    assert fitted.score(cut) == approx(1 - mse / ((later - mean) ** 2).mean())
    with pytest.raises(ValueError, match="trajectories"):
        fitted.score(samples[:, ::-1])


def test_the_same_seed_gives_the_same_bits_and_priors_are_matched_by_name(fitted, samples, prior):
    state = torch.get_rng_state()
    again = clone(fitted).fit(samples, prior.iloc[::-1, ::-1])
    pd.testing.assert_frame_equal(again.edge_scores_, fitted.edge_scores_, check_exact=True)
    assert fitted.edge_scores_.index.tolist() == samples.var_names.tolist()
    other = clone(fitted).set_params(random_state=1).fit(samples, prior)
    assert not np.array_equal(other.edge_scores_, fitted.edge_scores_)
    assert torch.equal(torch.get_rng_state(), state), "the global one is neither used nor changed"


@pytest.mark.parametrize(
    ("pruning", "expected"),
    [
        ("imp", [0, 0, 0.5] + [0.6] * 9),
        ("biological", [0, 0, 0.5] + [0.6] * 9),
        ("dash", [0, 0, 0.5] + [0.6] * 9),
        ("post_hoc", [0] * 12 + [0.6] * 3),
        ("none", [0] * 12),
    ],
)
def test_weights_are_pruned_by_the_schedule_or_once_after_training(
    samples, prior, pruning, expected
):
    """Before, less than a quarter of the weights is zero."""
    model = fit(samples, prior, pruning)
    sparsity = model.history_["sparsity"]
    assert_allclose(sparsity, expected, atol=0.25)
    pruned = np.greater(expected, 0)
    assert_allclose(sparsity[pruned], np.array(expected)[pruned], atol=0.06)
    assert model.sparsity_ == sparsity.iloc[-1]
    assert model.history_["epoch"].tolist() == [*range(1, len(expected) + 1)]


def test_a_network_is_compared_with_no_change_and_ar1_on_validation_samples(samples, prior, rng):
    """AR(1) is fitted to the other samples; predictions of a network that does not win warn."""
    for data in (samples, trajectories(rng.random((8, 5, 30)), range(5), samples.var_names)):
        model = fit(data, prior)
        arrays = as_trajectories(data)
        train = np.setdiff1d(range(len(arrays.values)), model.validation_)
        held = arrays.chosen(model.validation_)
        before, after, spans = held.intervals()
        ar1 = AutoRegression().fit(arrays.chosen(train)).predict(before, spans)[:, 1]
        with torch.no_grad():
            network = follow(copy.deepcopy(model.network_).double(), before, spans)[:, 1]
        expected = [((found - after) ** 2).mean() for found in (network, before, ar1)]
        assert_allclose(model.held_out_errors_[["network", "no change", "ar1"]], expected)
        assert model.explains_ == (np.argmin(expected) == 0)
    assert not model.explains_, "there is nothing to explain in noise"
    with pytest.warns(UserWarning, match="not lower"):
        model.predict(data.X[:1], [0, 1])
    alone = fit(samples[samples.obs["sample"] == "0"], prior)
    with pytest.warns(UserWarning, match="no sample was held out"):
        alone.predict(samples.X[:1], [0, 1])


@pytest.mark.parametrize("pruning", PENALTIES)
def test_a_penalty_has_the_published_weight_or_that_of_the_recipe(samples, pruning):
    first = {}
    for weight in (None, 1.0):
        model = fit(samples, None, pruning, penalty=weight, learning_rate=0)
        assert type(model.network_) is Phoenix
        first[weight] = model.history_["penalty"][0]
    assert first[None] == approx(PENALTIES[pruning][1] * first[1.0])
    assert fit(samples, None, pruning, penalty=1.0).history_["penalty"].iloc[-1] < first[1.0]


def test_losses_are_mean_squares_of_values_and_of_the_prior(samples, prior):
    """Exact predictions of the next value, and targets at points within a half of 0."""
    recipe = replace(SHORT, data_weight=0.9, n_prior_points=500)
    edges = torch.from_numpy(prior.to_numpy(dtype=float))
    training = training_of(samples, recipe, prior=edges)
    network = training.network.double()
    before, after, spans = as_trajectories(samples).chosen([3]).intervals()
    with torch.no_grad():
        errors = follow(network, before, spans)[:, 1] - after
    loss = training_of(samples, recipe, prior=edges).train.loss(network.float(), 64, [3])
    assert loss.item() == approx((errors**2).mean(), rel=1e-3)
    z = training.points
    assert z.shape == (500, 30)
    assert [z.min(), z.max()] == approx([-0.5, 0.5], abs=0.01)
    gap = network.targets(z).double() - z.double() @ edges
    assert training.prior_loss().item() == approx((gap**2).mean().item(), rel=1e-5)


def test_data_prior_and_penalty_have_their_weights_in_each_step(samples, prior):
    """Gradients add up; the best epoch is the one with the least monitored loss."""
    edges = torch.from_numpy(prior.to_numpy(dtype=float))
    recipe = Recipe(batch_size=99, data_weight=0.25, n_prior_points=9, learning_rate=0)
    penalty = (lambda network: network.sum_bias.sum() + network.product_in.square().sum(), 0.7)
    training = training_of(samples, recipe, prior=edges, penalty=penalty)
    training.run(1)
    network = training.network
    found = {name: value.grad.clone() for name, value in network.named_parameters()}
    network.zero_grad()
    size = penalty[0](network)
    data = training.train.loss(network, 3)
    (0.25 * data + 0.75 * training.prior_loss() + 0.7 * size).backward()
    for name, value in network.named_parameters():
        assert_allclose(found[name], value.grad, rtol=1e-4, atol=1e-7)
    entry = training.history[0]
    assert entry["loss"] == approx(data.item(), rel=1e-5)
    assert entry["penalty"] == approx(0.7 * size.item(), rel=1e-5)


def test_the_best_epoch_is_kept_and_patience_ends_training(samples):
    seen = []

    def growing(network):
        if not torch.is_grad_enabled():  # once an epoch
            seen.append(network.sum_in.detach().clone())
        return torch.tensor(float(len(seen)))

    training = training_of(samples, replace(SHORT, patience=3), penalty=(growing, 1.0))
    training.run(40)
    assert len(seen) == 1 + 3
    assert torch.equal(training.network.sum_in, seen[0])


def test_rates_of_learning_are_those_of_the_recipe(samples):
    """The first step of Adam has the size of the rate; multipliers take larger ones."""
    recipe = Recipe(batch_size=99, learning_rate=1e-3, multiplier_speed=7.0)
    training = training_of(samples, recipe)
    before = {name: value.detach().clone() for name, value in training.network.named_parameters()}
    training.run(1)
    for name, value in training.network.named_parameters():
        step = (value.detach() - before[name]).abs().max().item()
        assert step == approx(7e-3 if name == "multiplier" else 1e-3, rel=0.01)


class Watching:
    """A pruner that removes nothing and keeps the input weights that it is given."""

    def __init__(self, network):
        self.network = network
        self.given = {}

    def prune(self, left):
        self.given[left] = self.network.sum_in.detach().clone()

    def apply(self):
        pass


@pytest.mark.parametrize(("as_published", "done"), [(False, 3), (True, 2)])
def test_as_published_weights_are_pruned_before_an_epoch(samples, as_published, done):
    recipe = Recipe(as_published=as_published)  # the first pruning is in epoch 3
    training = training_of(samples, recipe)
    training.pruner = Watching(training.network)
    training.run(4, recipe.prunings(0.7))
    start = training_of(samples, recipe)
    optimizer = start._optimizer()
    for _ in range(done):
        start._epoch(optimizer)
    (given,) = training.pruner.given.values()
    assert torch.equal(given, start.network.sum_in)


@pytest.mark.parametrize(
    ("fall", "rates"),
    [(0.5e-6, [1, 1, 0.5, 1]), (2e-6, [1, 1, 1, 1])],
    ids=["too little", "enough"],
)
def test_as_published_pruning_resets_the_rate_but_keeps_the_moments_of_adam(samples, fall, rates):
    """The formula of Adam; the rate is halved unless the monitored loss falls by 1e-6."""
    recipe = Recipe(batch_size=99, rate_factor=0.5, rate_patience=0, as_published=True)
    training = training_of(samples, recipe)
    training.pruner = Watching(training.network)
    losses = (1 - fall * epoch for epoch in range(4))
    step = training._epoch
    training._epoch = lambda optimizer: (step(optimizer), next(losses))[1]
    weights = training.network.sum_out
    expected = weights.detach().double()
    gradients = []
    weights.register_hook(lambda gradient: gradients.append(gradient.double()))
    training.run(4, {3: 1.0})
    mean = 0
    square = 0
    for i, (gradient, rate) in enumerate(zip(gradients, rates, strict=True), 1):
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        size = (square / (1 - 0.999**i)).sqrt() + 1e-8
        expected = expected - 1e-3 * rate * mean / (1 - 0.9**i) / size
    assert_allclose(weights.detach(), expected, atol=2e-6)


@pytest.mark.parametrize("pruning", ["dash", "path_reg"])
def test_published_networks_start_as_published(samples, prior, pruning):
    """With fewer than 20 units, all input weights start at 0 and stay there without training."""
    recipe = replace(PUBLISHED, epochs=3, learning_rate=0)
    with pytest.warns(UserWarning, match="no edge is left"):
        model = PhoenixRegressor(8, pruning, 0.6, recipe=recipe, random_state=0).fit(samples, prior)
    assert not model.network_.sum_in.any()
    assert model.network_.sum_bias.all()


def test_validation_samples_are_not_trained_on(samples):
    """Other values of them change what is monitored, but not the training."""
    model = fit(samples, pruning="none", rate_patience=100)
    changed = samples.copy()
    changed.X[changed.obs["sample"].isin(model.validation_.astype(str))] += 0.3
    other = fit(changed, pruning="none", rate_patience=100).history_
    assert_array_equal(other["loss"], model.history_["loss"])
    assert (other["validation_loss"] != model.history_["validation_loss"]).all()


def test_the_same_intervals_in_samples_of_other_lengths_train_alike(samples, cut):
    recipe = Recipe(batch_size=99, learning_rate=1e-2)
    losses = []
    for data in (samples, cut):
        training = training_of(data, recipe)
        training.run(3)
        losses.append([entry["loss"] for entry in training.history])
    assert_allclose(*losses, rtol=1e-5)
    in_batches = training_of(cut, Recipe(batch_size=5, learning_rate=0))
    in_batches.run(1)
    assert in_batches.history[0]["loss"] == approx(losses[0][0], rel=1e-5)


@pytest.mark.parametrize(
    ("n", "share", "n_aside"), [(150, 0.07, 11), (5, 0.07, 1), (2, 0.9, 1), (1, 0.5, 0), (9, 0, 0)]
)
def test_a_share_of_samples_is_set_aside_but_never_all(n, share, n_aside):
    train, validation = split(n, share, np.random.RandomState(0))
    assert len(validation) == n_aside
    assert sorted([*train, *validation]) == list(range(n))
    assert all(np.diff(train) > 0)
    assert all(np.diff(validation) > 0)


def test_what_goes_wrong_is_warned_of(samples, prior):
    with pytest.warns(UserWarning, match="epoch 3"):
        model = fit(samples, prior, epochs=3)
    assert model.sparsity_ == approx(0.6, abs=0.05)
    still = samples[samples.obs["sample"] == "0"].copy()
    still.X[:, 2] = 0.5
    with pytest.warns(UserWarning, match="gene_02"):
        alone = fit(still, pruning="none")
    assert alone.history_["validation_loss"].isna().all()
    with pytest.warns(UserWarning, match="no edge"):
        fit(samples, pruning="l0", drop_rates=(0.99, 0.99))
    with pytest.raises(DivergenceError, match="epoch"):
        fit(samples, pruning="none", learning_rate=1e4)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sparsity", 1.0),
        ("influence", (0.5, 2)),
        ("influence", (0.5,)),
        ("influence", (0.5, 0.5, 0.5)),
    ],
)
def test_a_wrong_parameter_is_named(samples, prior, name, value):
    with pytest.raises(ValueError, match=name):
        PhoenixRegressor(**{name: value}).fit(samples, prior)


def test_a_wrong_prior_is_named(samples, prior):
    for wrong in (None, prior * 0, prior.to_numpy()[1:]):
        with pytest.raises(ValueError, match="prior"):
            fit(samples, wrong)
    with pytest.raises(ValueError, match="prior"):
        fit(samples, pruning="none", data_weight=0.5)


def test_starts_are_matched_by_name_and_have_times_of_their_own(samples, fitted):
    start = pd.DataFrame(samples.X[:2], columns=samples.var_names)
    path = fitted.predict(start.iloc[:, ::-1], [[0, 1], [2, 5]])
    for i, span in enumerate((1, 3)):
        alone = fitted.predict(start.to_numpy()[i : i + 1], [0, span])
        assert_allclose(path[i], alone[0], atol=1e-5)
    for times in ([0, 0], [0, np.nan], [[0, 1]] * 3):
        with pytest.raises(ValueError, match="times"):
            fitted.predict(start, times)


def test_results_of_the_published_penalties_have_another_version():
    for pruning in ("dash", "l0", "c_node", "path_reg"):
        expected = 2 if pruning in ("c_node", "path_reg") else 1
        assert PhoenixRegressor(pruning=pruning).algorithm_version(9) == expected
