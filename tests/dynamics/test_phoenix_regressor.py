"""Training and pruning of PHOENIX: losses, seeds, and samples of any length."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch
from same import assert_same
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, trajectories
from sbnn.dynamics import PhoenixRegressor, Recipe, Schedule
from sbnn.dynamics.model import split
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.solver import DivergenceError
from sbnn.dynamics.training import Training

SHORT = Recipe(epochs=40, schedule=Schedule(every=3), learning_rate=1e-2)


def short(**options):
    return dataclasses.replace(SHORT, **options)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return PhoenixRegressor(8, sparsity=0.8, recipe=SHORT, random_state=0).fit(samples, prior)


def test_it_learns_and_is_as_sparse_as_asked_for(fitted, samples, network, blocks):
    assert fitted.sparsity_ == pytest.approx(0.8, abs=0.02) == fitted.network_.sparsity()
    assert (
        fitted.edge_scores_.index.tolist()
        == fitted.edge_scores_.columns.tolist()
        == samples.var_names.tolist()
    )
    new, times = blocks(network.simulate(20, 0, 7))
    still = ((new[:, 1:] - new[:, :1]) ** 2).mean()
    assert ((fitted.predict(new[:, 0], times) - new)[:, 1:] ** 2).mean() < still / 3
    assert fitted.history_["sparsity"].is_monotonic_increasing and len(fitted.validation_) == 2


def test_the_score_is_r2_of_what_comes_after_the_start_of_samples_of_any_length(
    fitted, samples, blocks
):
    train = np.setdiff1d(np.arange(24), fitted.validation_)
    mean, arrays = blocks(samples)[0][train].mean(axis=(0, 1)), as_trajectories(cut(samples))
    errors = [
        fitted.predict(v[:1], t)[0, 1:] - v[1:]
        for v, t in zip(arrays.values, arrays.times, strict=True)
    ]
    around = [v[1:] - mean for v in arrays.values]
    parts = [np.square(np.concatenate(part)).sum() for part in (errors, around)]
    assert fitted.score(cut(samples)) == pytest.approx(1 - parts[0] / parts[1], rel=1e-6)
    with pytest.raises(ValueError, match="trajectories"):
        fitted.score(samples[:, ::-1])


def test_the_same_seed_gives_the_same_bits_and_priors_are_matched_by_name(fitted, samples, prior):
    state = torch.get_rng_state()
    again = clone(fitted).fit(samples, prior.iloc[::-1, ::-1])
    np.testing.assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    other = clone(fitted).set_params(random_state=1).fit(samples, prior)
    assert not np.array_equal(other.edge_scores_, fitted.edge_scores_)
    assert torch.equal(torch.get_rng_state(), state), "the global one is neither used nor changed"


@pytest.mark.parametrize(
    ("pruning", "weight", "expected"),
    [
        ("none", 0.9, [35.3722, 0.491885, 0.15, -0.708672]),
        ("imp", 1.0, [21.5528, 0.491135, 0.60625, -0.851448]),
        ("dash", 1.0, [13.5528, 0.490931, 0.63125, -1.30065]),
        ("biological", 1.0, [9.6796, 0.486826, 0.638542, -1.3239]),
        ("post_hoc", 1.0, [21.8071, 0.480669, 0.6, -0.640869]),
        ("l0", 1.0, [3.32966, 0.487196, 0.283333, -4.13262]),
        ("path_reg", 1.0, [3.31369, 0.487534, 0.283333, -4.12563]),
        ("c_node", 1.0, [3.45807, 0.487716, 0.283333, -4.12703]),
    ],
)
def test_numbers_stay_as_they_are(samples, prior, pruning, weight, expected):
    """Sizes of edges, predictions, sparsity and score of short fits."""
    options = {
        "schedule": Schedule(2, 0.5, 3, 0.2),
        "fine_tuning": 3,
        "data_weight": weight,
        "n_prior_points": 100,
    }
    model = PhoenixRegressor(
        8, pruning, 0.6, recipe=short(epochs=12, **options), random_state=0
    ).fit(samples, prior)
    predicted = model.predict(samples.X[:5], [0, 1, 4]).mean()
    found = [
        model.edge_scores_.abs().to_numpy().sum(),
        predicted,
        model.sparsity_,
        model.score(samples),
    ]
    assert_same(found, expected)
    if pruning == "post_hoc":
        assert (model.history_["sparsity"] > 0.58).tolist() == [False] * 12 + [True] * 3


def training_of(data, recipe, **options):
    """Training of a new network on all samples."""
    network, arrays = Phoenix(30, 4, torch.Generator().manual_seed(0)), as_trajectories(data)
    parts = list(range(len(arrays.values))), []
    return Training(network, arrays, parts, recipe, torch.Generator().manual_seed(0), **options)


def test_the_penalty_is_part_of_the_loss_that_is_watched_and_patience_ends_training(samples):
    """A penalty that grows with the epochs, whatever the weights, leaves the first epoch the best."""
    seen = []

    def penalty(network):
        if not torch.is_grad_enabled():  # once an epoch
            seen.append(network.sum_in.detach().clone())
        return torch.tensor(float(len(seen)))

    training = training_of(samples, short(patience=3), penalty=penalty)
    training.run(40)
    assert len(seen) == 1 + 3 and torch.equal(training.network.sum_in, seen[0])


def test_validation_samples_are_not_trained_on(samples):
    """Other values of them change what is watched, and so the best epoch, but not the training itself."""
    model = PhoenixRegressor(4, "none", recipe=short(epochs=5, rate_patience=100), random_state=0)
    one = model.fit(samples).history_
    changed = samples.copy()
    changed.X[changed.obs["sample"].isin(model.validation_.astype(str)).to_numpy()] += 0.3
    other = model.fit(changed).history_
    np.testing.assert_array_equal(one["loss"], other["loss"])
    assert (one["validation_loss"] != other["validation_loss"]).all()


def cut(data, at=2):
    """The same intervals as samples of different lengths: every second sample is cut in two at a time."""
    arrays = as_trajectories(data)
    values, times = [], []
    for i, (v, t) in enumerate(zip(arrays.values, arrays.times, strict=True)):
        ends = (0, at, len(t) - 1) if i % 2 else (0, len(t) - 1)
        for a, b in zip(ends[:-1], ends[1:], strict=True):
            values.append(v[a : b + 1])
            times.append(t[a : b + 1])
    return trajectories(values, times, data.var_names)


def test_the_same_intervals_in_samples_of_other_lengths_train_alike(samples):
    recipe = Recipe(batch_size=99, learning_rate=1e-2)
    trainings = [training_of(data, recipe) for data in (samples, cut(samples))]
    for training in trainings:
        assert training.train.n.sum() == 96
        training.run(5)
    histories = [[entry["loss"] for entry in training.history] for training in trainings]
    np.testing.assert_allclose(*histories, rtol=1e-5)
    in_batches = training_of(cut(samples), Recipe(batch_size=5, learning_rate=0))
    in_batches.run(1)
    assert in_batches.history[0]["loss"] == pytest.approx(histories[0][0], rel=1e-5), (
        "which count by their intervals"
    )


def test_one_sample_of_two_or_more_is_set_aside_and_a_single_one_validated_by_its_own_loss():
    for n, share, aside in [(150, 0.07, 11), (5, 0.07, 1), (2, 0.9, 1), (1, 0.5, 0), (9, 0, 0)]:
        train, validation = split(n, share, np.random.RandomState(0))
        assert len(validation) == aside and sorted([*train, *validation]) == list(range(n))
    times = np.array([0, 0.5, 2, 2.5, 4, 5])
    values = 0.5 + 0.3 * np.sin(times[:, None] + np.arange(6))
    model = PhoenixRegressor(3, "none", recipe=SHORT, random_state=0).fit(
        trajectories([values], times)
    )
    assert len(model.validation_) == 0 and model.history_["validation_loss"].isna().all()
    assert model.predict(values[:1], times).shape == (1, 6, 6)


def test_what_goes_wrong_is_warned_of(samples, prior):
    few = short(epochs=6)
    with pytest.warns(UserWarning, match="scheduled for epoch 15, but training ends in epoch 6"):
        model = PhoenixRegressor(8, sparsity=0.8, recipe=few, random_state=0).fit(samples, prior)
    assert model.sparsity_ == pytest.approx(0.8, abs=0.02)
    still = samples.copy()
    still.X[:, 2] = 0.5
    with pytest.warns(UserWarning, match=r"some genes, such as gene_02, have the same value"):
        PhoenixRegressor(4, "none", recipe=few, random_state=0).fit(still)
    with pytest.raises(DivergenceError, match="epoch"):
        PhoenixRegressor(4, "none", recipe=short(learning_rate=1e4), random_state=0).fit(samples)


def test_wrong_input_is_named(samples, prior, fitted):
    for options in ({"sparsity": 1.0}, {"influence": (0.5, 2)}):
        with pytest.raises(ValueError, match=next(iter(options))):
            PhoenixRegressor(**options).fit(samples, prior)
    of_recipe = {
        "data_weight": 0,
        "epochs": 0,
        "validation_share": 1.5,
        "drop_rates": (2, 2),
        "patience": -1,
    }
    of_schedule = {"every": 0, "share": 0, "first_share": 1.5, "first_epoch": -1}
    for made, wrong in ((Recipe, of_recipe), (Schedule, of_schedule)):
        for name, value in wrong.items():
            with pytest.raises(ValueError, match=name):
                made(**{name: value})
    with pytest.raises(TypeError, match="schedule"):
        Recipe(schedule=10)
    for wrong in (
        None,
        prior * 0,
        prior.to_numpy()[1:],
        prior.rename(columns={"gene_03": "other"}),
    ):
        with pytest.raises(ValueError, match="prior"):
            PhoenixRegressor(4, recipe=SHORT).fit(samples, wrong)
    with pytest.raises(ValueError, match="times"):
        fitted.predict(np.zeros((1, 30)), [0, 0])


def test_a_start_is_matched_by_name(samples, fitted, blocks):
    start = pd.DataFrame(blocks(samples)[0][:2, 0], columns=samples.var_names)
    expected = fitted.predict(start.to_numpy(), [0, 1])
    np.testing.assert_array_equal(fitted.predict(start.iloc[:, ::-1], [0, 1]), expected)
    with pytest.raises(ValueError, match="x0: .*gene_03"):
        fitted.predict(start.rename(columns={"gene_03": "other"}), [0, 1])
