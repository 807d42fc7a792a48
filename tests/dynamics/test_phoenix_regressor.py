"""Training and pruning of PHOENIX: losses, seeds, and samples of any length."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from scipy.stats import linregress
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import PhoenixRegressor, Recipe, Schedule
from sbnn.dynamics.model import split
from sbnn.dynamics.phoenix import PENALTIES, GatedPhoenix, Phoenix
from sbnn.dynamics.solver import DivergenceError, follow
from sbnn.dynamics.training import Training

SHORT = Recipe(epochs=40, schedule=Schedule(every=3), learning_rate=1e-2)
FEW = replace(SHORT, epochs=6)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return PhoenixRegressor(8, sparsity=0.8, recipe=SHORT, random_state=0).fit(samples, prior)


@pytest.fixture(scope="module")
def cut(samples):
    """The same intervals in samples of other lengths: every second sample is cut in two."""
    arrays = as_trajectories(samples)
    values = []
    times = []
    for i, (v, t) in enumerate(zip(arrays.values, arrays.times, strict=True)):
        if i % 2:
            values += [v[:3], v[2:]]
            times += [t[:3], t[2:]]
        else:
            values.append(v)
            times.append(t)
    return trajectories(values, times, samples.var_names)


def test_it_learns_and_is_as_sparse_as_asked_for(fitted, samples, network, blocks):
    assert fitted.sparsity_ == approx(0.8, abs=0.02) == fitted.network_.sparsity()
    names = samples.var_names.tolist()
    assert fitted.edge_scores_.index.tolist() == names
    assert fitted.edge_scores_.columns.tolist() == names
    new, times = blocks(network.simulate(20, 0, 7))
    still = ((new[:, 1:] - new[:, :1]) ** 2).mean()
    errors = (fitted.predict(new[:, 0], times) - new)[:, 1:]
    assert (errors**2).mean() < still / 3
    assert fitted.history_["sparsity"].is_monotonic_increasing
    assert fitted.history_["epoch"].tolist() == [*range(1, 41)]
    assert len(fitted.validation_) == 2


def test_the_score_is_r2_of_later_times_of_samples_of_any_length(fitted, samples, cut, blocks):
    train = np.setdiff1d(np.arange(24), fitted.validation_)
    mean = blocks(samples)[0][train].mean(axis=(0, 1))
    arrays = as_trajectories(cut)
    errors = 0
    around = 0
    for values, times in zip(arrays.values, arrays.times, strict=True):
        predicted = fitted.predict(values[:1], times)[0]
        errors += ((predicted - values)[1:] ** 2).sum()
        around += ((values[1:] - mean) ** 2).sum()
    assert fitted.score(cut) == approx(1 - errors / around, rel=1e-6)
    with pytest.raises(ValueError, match="trajectories"):
        fitted.score(samples[:, ::-1])


def test_the_same_seed_gives_the_same_bits_and_priors_are_matched_by_name(fitted, samples, prior):
    state = torch.get_rng_state()
    again = clone(fitted).fit(samples, prior.iloc[::-1, ::-1])
    assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    other = clone(fitted).set_params(random_state=1).fit(samples, prior)
    assert not np.array_equal(other.edge_scores_, fitted.edge_scores_)
    assert torch.equal(torch.get_rng_state(), state), "the global one is neither used nor changed"


def quick(pruning, samples, prior, **options):
    recipe = replace(SHORT, epochs=12, schedule=Schedule(2, 0.5, 3, 0.2), fine_tuning=3)
    model = PhoenixRegressor(8, pruning, 0.6, recipe=replace(recipe, **options), random_state=0)
    return model.fit(samples, prior)


@pytest.mark.parametrize("pruning", ["imp", "biological", "dash"])
def test_weights_are_pruned_after_the_epochs_of_the_schedule(samples, prior, pruning):
    sparsity = quick(pruning, samples, prior).history_["sparsity"]
    assert sparsity[:2].max() < 0.25
    assert sparsity[2] == approx(0.5, abs=0.06)
    assert_allclose(sparsity[3:], 0.6, atol=0.05)


def test_weights_are_pruned_once_after_training_or_never(samples, prior):
    sparsity = quick("post_hoc", samples, prior).history_["sparsity"]
    assert (sparsity > 0.58).tolist() == [False] * 12 + [True] * 3
    assert quick("none", samples, prior).history_["sparsity"].max() < 0.2


@pytest.mark.parametrize("pruning", PENALTIES)
def test_a_penalty_closes_gates(samples, prior, pruning):
    history = {}
    for weight in (0.0, 1.0):
        model = quick(pruning, samples, prior, penalty=weight)
        history[weight] = model.history_
        assert type(model.network_) is Phoenix
    assert (history[0.0]["penalty"] == 0).all()
    network = GatedPhoenix(30, 8, (0.2, 0.5), torch.Generator().manual_seed(0))
    first = PENALTIES[pruning].size(network).item()
    assert history[1.0]["penalty"].iloc[-1] < first
    default = quick(pruning, samples, prior).history_
    assert 0 < default["penalty"].iloc[0] < 0.1 * first


def training_of(data, recipe, **options):
    """Training of a new network on all samples."""
    network = Phoenix(30, 4, torch.Generator().manual_seed(0))
    arrays = as_trajectories(data)
    parts = list(range(len(arrays.values))), []
    return Training(network, arrays, parts, recipe, torch.Generator().manual_seed(0), **options)


def test_the_loss_is_the_mean_square_of_exact_predictions(samples, blocks):
    values, times = blocks(samples)
    training = training_of(samples, replace(SHORT, n_steps=64))
    network = training.network
    loss = training.train.loss(network, 64, torch.tensor([3])).item()
    exact = Phoenix(30, 4).double()
    exact.load_state_dict(network.state_dict())
    spans = torch.from_numpy(np.stack([times[3, :-1], times[3, 1:]], axis=1))
    with torch.no_grad():
        ends = follow(exact, torch.from_numpy(values[3, :-1]), spans)[:, 1]
    expected = ((ends.numpy() - values[3, 1:]) ** 2).mean()
    assert loss == approx(expected, rel=1e-3)


def test_the_prior_enters_the_loss_as_a_linear_target(samples, prior):
    """Targets at points within a half of 0 are compared with those of the prior."""
    recipe = replace(SHORT, data_weight=0.9, n_prior_points=500)
    edges = torch.from_numpy(prior.to_numpy(dtype=float))
    training = training_of(samples, recipe, prior=edges)
    z = training.points
    assert z.shape == (500, 30)
    assert z.min() < -0.49
    assert z.max() > 0.49
    assert abs(z.mean()) < 0.01
    gap = training.network.targets(z).double() - z.double() @ edges
    assert training.prior_loss().item() == approx((gap**2).mean().item(), rel=1e-5)


def test_the_weight_of_the_prior_draws_targets_to_it(samples, prior):
    distances = []
    edges = torch.from_numpy(prior.to_numpy(dtype=float))
    for weight in (0.99, 0.1):
        recipe = replace(SHORT, data_weight=weight, n_prior_points=50)
        training = training_of(samples, recipe, prior=edges)
        training.run(3)
        distances.append(training.prior_loss().item())
    assert distances[1] < 0.9 * distances[0]


def test_the_penalty_is_part_of_the_monitored_loss_and_patience_ends_training(samples):
    """A penalty that grows with the epochs leaves the first epoch the best."""
    seen = []

    def penalty(network):
        if not torch.is_grad_enabled():  # once an epoch
            seen.append(network.sum_in.detach().clone())
        return torch.tensor(float(len(seen)))

    training = training_of(samples, replace(SHORT, patience=3), penalty=penalty)
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


def test_validation_samples_are_not_trained_on(samples):
    """Other values of them change what is monitored, but not the training."""
    recipe = replace(SHORT, epochs=5, rate_patience=100)
    model = PhoenixRegressor(4, "none", recipe=recipe, random_state=0)
    one = model.fit(samples).history_
    changed = samples.copy()
    rows = changed.obs["sample"].isin(model.validation_.astype(str)).to_numpy()
    changed.X[rows] += 0.3
    other = model.fit(changed).history_
    assert_array_equal(one["loss"], other["loss"])
    assert (one["validation_loss"] != other["validation_loss"]).all()


def test_the_same_intervals_in_samples_of_other_lengths_train_alike(samples, cut):
    recipe = Recipe(batch_size=99, learning_rate=1e-2)
    losses = []
    for data in (samples, cut):
        training = training_of(data, recipe)
        assert training.train.n.sum() == 96
        training.run(5)
        losses.append([entry["loss"] for entry in training.history])
    assert_allclose(*losses, rtol=1e-5)
    in_batches = training_of(cut, Recipe(batch_size=5, learning_rate=0))
    in_batches.run(1)
    found = in_batches.history[0]["loss"]
    assert found == approx(losses[0][0], rel=1e-5), "samples count by their intervals"


@pytest.mark.parametrize(
    ("n", "share", "n_aside"), [(150, 0.07, 11), (5, 0.07, 1), (2, 0.9, 1), (1, 0.5, 0), (9, 0, 0)]
)
def test_a_share_of_samples_is_set_aside_but_never_all(n, share, n_aside):
    train, validation = split(n, share, np.random.RandomState(0))
    assert len(validation) == n_aside
    assert sorted([*train, *validation]) == list(range(n))
    assert train.tolist() == sorted(train)
    assert validation.tolist() == sorted(validation)


def test_a_single_sample_is_validated_by_its_own_loss():
    times = np.array([0, 0.5, 2, 2.5, 4, 5])
    values = 0.5 + 0.3 * np.sin(times[:, None] + np.arange(6))
    model = PhoenixRegressor(3, "none", recipe=SHORT, random_state=0)
    model.fit(trajectories([values], times))
    assert len(model.validation_) == 0
    assert model.history_["validation_loss"].isna().all()
    assert linregress(model.history_["epoch"], model.history_["loss"]).slope < 0
    assert model.predict(values[:1], times).shape == (1, 6, 6)


def test_what_goes_wrong_is_warned_of(samples, prior):
    with pytest.warns(UserWarning, match="epoch 15"):
        model = PhoenixRegressor(8, sparsity=0.8, recipe=FEW, random_state=0).fit(samples, prior)
    assert model.sparsity_ == approx(0.8, abs=0.02)
    still = samples.copy()
    still.X[:, 2] = 0.5
    with pytest.warns(UserWarning, match="gene_02"):
        PhoenixRegressor(4, "none", recipe=FEW, random_state=0).fit(still)
    closed = PhoenixRegressor(4, "l0", recipe=replace(FEW, drop_rates=(0.99, 0.99)), random_state=0)
    with pytest.warns(UserWarning, match="no edge"):
        closed.fit(samples)
    with pytest.raises(DivergenceError, match="epoch"):
        fast = replace(FEW, learning_rate=1e4)
        PhoenixRegressor(4, "none", recipe=fast, random_state=0).fit(samples)


@pytest.mark.parametrize(
    ("name", "value"), [("sparsity", 1.0), ("influence", (0.5, 2)), ("influence", (0.5,))]
)
def test_a_wrong_parameter_is_named(samples, prior, name, value):
    with pytest.raises(ValueError, match=name):
        PhoenixRegressor(**{name: value}).fit(samples, prior)


@pytest.mark.parametrize(
    ("settings", "name", "value"),
    [
        (Recipe, "data_weight", 0),
        (Recipe, "epochs", 0),
        (Recipe, "validation_share", 1.5),
        (Recipe, "drop_rates", (2, 2)),
        (Recipe, "patience", -1),
        (Recipe, "schedule", 10),
        (Schedule, "every", 0),
        (Schedule, "share", 0),
        (Schedule, "first_share", 1.5),
        (Schedule, "first_epoch", -1),
    ],
)
def test_a_wrong_setting_is_named(settings, name, value):
    with pytest.raises((ValueError, TypeError), match=name):
        settings(**{name: value})


def test_a_wrong_prior_is_named(samples, prior):
    renamed = prior.rename(columns={"gene_03": "other"})
    for wrong in (None, prior * 0, prior.to_numpy()[1:], renamed):
        with pytest.raises(ValueError, match="prior"):
            PhoenixRegressor(4, recipe=SHORT).fit(samples, wrong)
    with pytest.raises(ValueError, match="prior"):
        PhoenixRegressor(4, "none", recipe=replace(SHORT, data_weight=0.5)).fit(samples)


@pytest.mark.parametrize("times", [[0, 0], [0, np.nan], [[0, 1]] * 2, [[0, 1], [1, 0], [0, 1]]])
def test_wrong_times_are_named(fitted, times):
    with pytest.raises(ValueError, match="times"):
        fitted.predict(np.zeros((3, 30)), times)


def test_each_start_may_have_its_own_times(fitted, samples):
    start = samples.X[:2]
    path = fitted.predict(start, [[0, 1], [2, 5]])
    for i, span in enumerate((1, 3)):
        alone = fitted.predict(start[i : i + 1], [0, span])
        assert_allclose(path[i : i + 1], alone, atol=1e-5)


def test_a_start_is_matched_by_name(samples, fitted):
    start = pd.DataFrame(samples.X[:2], columns=samples.var_names)
    expected = fitted.predict(start.to_numpy(), [0, 1])
    assert_array_equal(fitted.predict(start.iloc[:, ::-1], [0, 1]), expected)
    with pytest.raises(KeyError, match="gene_03"):
        fitted.predict(start.rename(columns={"gene_03": "other"}), [0, 1])


def test_results_of_the_published_penalties_have_another_version():
    for pruning in ("dash", "l0", "c_node", "path_reg", "none"):
        expected = 2 if pruning in ("c_node", "path_reg") else 1
        assert PhoenixRegressor(pruning=pruning).algorithm_version(9) == expected
