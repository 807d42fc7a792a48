import dataclasses
import warnings

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone

from sbnn.dynamics import DivergenceError, Phoenix, PhoenixRegressor, Recipe, Schedule, Trajectories
from sbnn.dynamics.model import split
from sbnn.dynamics.penalties import path_sizes
from sbnn.dynamics.pruning import INFLUENCE, Pruner
from sbnn.dynamics.training import Intervals, PriorLoss, Training, interval_loss

SHORT = Recipe(epochs=40, schedule=Schedule(every=3), learning_rate=1e-2)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return PhoenixRegressor(8, sparsity=0.8, recipe=SHORT, random_state=0).fit(samples, prior)


def test_it_learns_and_is_as_sparse_as_asked_for(fitted, samples, network):
    assert fitted.sparsity_ == pytest.approx(0.8, abs=0.02) == fitted.network_.sparsity()
    assert fitted.edge_scores_.index.tolist() == fitted.edge_scores_.columns.tolist() == samples.gene_names.tolist()
    np.testing.assert_array_equal(fitted.edge_scores_, fitted.network_.edges())
    new = network.simulate(20, 0, 7)
    still = ((new.values[:, 1:] - new.values[:, :1]) ** 2).mean()
    wrong = ((fitted.predict(new.values[:, 0], new.times) - new.values)[:, 1:] ** 2).mean()
    assert wrong < still / 3
    assert fitted.history_["sparsity"].is_monotonic_increasing and len(fitted.validation_) == 2
    assert set(fitted.history_) == {"epoch", "loss", "validation_loss", "sparsity"}


def test_the_score_is_r2_of_what_comes_after_the_start(fitted, samples, network):
    new = network.simulate(20, 0, 7)
    ahead = fitted.predict(new.values[:, 0], new.times)
    train = np.setdiff1d(np.arange(len(samples)), fitted.validation_)
    mean = samples.values[train].mean(axis=(0, 1))
    parts = [((new.values[:, 1:] - other) ** 2).sum() for other in (ahead[:, 1:], mean)]
    assert fitted.score(new) == pytest.approx(1 - parts[0] / parts[1])


def test_the_same_seed_gives_the_same_bits(fitted, samples, prior):
    again = PhoenixRegressor(8, sparsity=0.8, recipe=SHORT, random_state=0).fit(samples, prior)
    np.testing.assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    other = clone(fitted).set_params(random_state=1).fit(samples, prior)
    assert not np.array_equal(other.edge_scores_, fitted.edge_scores_)


def test_global_random_states_are_neither_used_nor_changed(samples, prior):
    np.random.seed(3)  # noqa: NPY002
    torch.manual_seed(3)
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    PhoenixRegressor(4, recipe=dataclasses.replace(SHORT, epochs=4), sparsity=0.3, random_state=0).fit(samples, prior)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


@pytest.mark.parametrize("pruning", ["imp", "post_hoc", "biological", "dash"])
def test_every_way_of_pruning_reaches_the_sparsity(samples, prior, pruning):
    model = PhoenixRegressor(8, pruning, 0.85, recipe=SHORT, random_state=0).fit(samples, prior)
    assert model.sparsity_ == pytest.approx(0.85, abs=0.02)
    if pruning == "post_hoc":
        assert (model.history_["sparsity"][:40] < 0.6).all()


def test_without_pruning_no_more_than_the_start_is_zero(samples):
    model = PhoenixRegressor(8, "none", recipe=SHORT, random_state=0).fit(samples)
    assert model.sparsity_ < 0.5


@pytest.mark.parametrize("pruning", ["l0", "c_node", "path_reg"])
def test_the_penalty_decides_how_sparse_a_network_is(samples, prior, pruning):
    models = []
    for weight in (0, 10 if pruning == "l0" else 1):
        model = PhoenixRegressor(8, pruning, recipe=dataclasses.replace(SHORT, penalty=weight), random_state=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # that nothing is left
            models.append(model.fit(samples, prior))
    weak, strong = models
    assert type(strong.network_) is Phoenix and (weak.history_["penalty"] == 0).all()
    np.testing.assert_array_equal(strong.edge_scores_, strong.network_.edges())
    assert strong.sparsity_ == strong.network_.sparsity() == pytest.approx(strong.history_["sparsity"].max(), abs=0.1)
    if pruning == "c_node":
        assert path_sizes(strong.network_) < path_sizes(weak.network_) / 3
    else:
        assert strong.sparsity_ > weak.sparsity_ + 0.2
        columns = torch.stack([(layer != 0).any(dim=0).float().mean() for layer in strong.network_.layers()])
        assert (columns < 1).any(), "whole inputs are cut"
    again = clone(weak).fit(samples)
    np.testing.assert_array_equal(again.edge_scores_, weak.edge_scores_, "the same bits, without a prior too")
    other = clone(weak).set_params(random_state=1).fit(samples)
    assert not np.array_equal(other.edge_scores_, weak.edge_scores_)


def test_the_penalty_is_part_of_the_loss_that_is_watched(samples):
    """A penalty that grows with the epochs, whatever the weights, leaves those of the first epoch."""
    recipe = dataclasses.replace(SHORT, epochs=4)
    network = Phoenix(30, 4, torch.Generator().manual_seed(0))
    parts = [Intervals(samples, np.arange(20)), Intervals(samples, np.arange(20, 24))]
    states = []

    def penalty(network):
        if not torch.is_grad_enabled():  # once an epoch
            states.append({name: value.clone() for name, value in network.state_dict().items()})
        return torch.tensor(float(len(states)))

    training = Training(network, *parts, recipe, torch.Generator().manual_seed(0), penalty=penalty)
    training.run(4)
    assert [entry["penalty"] for entry in training.history] == [1, 2, 3, 4]
    for name, value in network.state_dict().items():
        assert torch.equal(value, states[0][name])
    losses = [entry["validation_loss"] for entry in training.history]
    assert min(losses) < losses[0] < 1, "the loss itself is recorded without it"


def test_a_penalty_that_leaves_no_edge_is_warned_of(samples):
    recipe = dataclasses.replace(SHORT, penalty=100.0)
    with pytest.warns(UserWarning, match=r"no edge is left at this weight of the penalty \(100, Recipe.penalty\)"):
        model = PhoenixRegressor(8, "l0", recipe=recipe, random_state=0).fit(samples)
    assert model.sparsity_ >= 0.5, "all weights of a layer, or of the one before it"
    with pytest.raises(ValueError, match="penalty: expected a number of 0 or more or None, got -1"):
        Recipe(penalty=-1)
    for rates in (0.5, (0.5,), (0, 0.5), (0.5, 1.0)):
        with pytest.raises(ValueError, match="drop_rates: expected two numbers in"):
            Recipe(drop_rates=rates)


def test_a_prior_helps(network, samples):
    """More right edges at the same sparsity, with the true network as the prior; no effect on what ignores it."""
    truth = network.graph.to_numpy() != 0
    scores = {}
    for pruning in ("dash", "imp"):
        found = PhoenixRegressor(8, pruning, 0.85, recipe=SHORT, random_state=0).fit(samples, network.graph)
        edges = found.edge_scores_.to_numpy() != 0
        scores[pruning] = (edges[truth].mean() + (~edges[~truth]).mean()) / 2
    assert scores["dash"] > scores["imp"] + 0.05
    without = PhoenixRegressor(8, "imp", 0.85, recipe=SHORT, random_state=0).fit(samples)
    np.testing.assert_array_equal(found.edge_scores_, without.edge_scores_)


def test_validation_samples_are_not_trained_on(samples, prior):
    """Other values of them change what is watched, and so the best epoch, but not the training itself."""
    recipe = dataclasses.replace(SHORT, epochs=5, rate_patience=100)
    models = []
    for change in (0, 0.3):
        model = PhoenixRegressor(4, "none", recipe=recipe, random_state=0)
        aside = model.fit(samples).validation_
        values = samples.values.copy()
        values[aside] += change
        models.append(model.fit(Trajectories(values, samples.times, samples.gene_names, signed=True)))
    one, other = (model.history_ for model in models)
    np.testing.assert_array_equal(one["loss"], other["loss"])
    assert (one["validation_loss"] != other["validation_loss"]).all()


def test_intervals_are_from_each_time_to_the_next(samples):
    intervals = Intervals(samples, np.array([3, 5]))
    np.testing.assert_allclose(intervals.before[1, 2], samples.values[5, 2], rtol=1e-6)
    np.testing.assert_allclose(intervals.after[1, 2], samples.values[5, 3], rtol=1e-6)
    assert intervals.length.squeeze(-1).tolist() == [[2, 1, 4, 2]] * 2


def test_the_loss_is_that_of_the_solution(fitted, samples):
    intervals = Intervals(samples, np.arange(4))
    parts = []
    for i in range(4):
        ahead = fitted.predict(samples.values[:4, i], samples.times[:4, i : i + 2])[:, 1]
        parts.append(((ahead - samples.values[:4, i + 1]) ** 2).mean())
    loss = interval_loss(fitted.network_, intervals.before, intervals.after, intervals.length, 50).item()
    assert loss == pytest.approx(np.mean(parts), rel=1e-3)


def test_the_prior_may_enter_the_loss(samples, network, fitted):
    prior = torch.from_numpy(network.graph.to_numpy().astype(float))
    loss = PriorLoss(prior, 100, torch.Generator().manual_seed(0))
    assert loss.points.min() >= -0.5 and loss.points.max() <= 0.5 and loss.points.std() > 0.25
    by_hand = (fitted.network_.targets(loss.points) - loss.points @ prior.float()).square().mean()
    torch.testing.assert_close(loss(fitted.network_), by_hand)
    recipe = dataclasses.replace(SHORT, data_weight=0.5, n_prior_points=500)
    model = PhoenixRegressor(8, "none", recipe=recipe, random_state=0).fit(samples, network.graph)
    with torch.no_grad():
        assert loss(model.network_) < 0.7 * loss(fitted.network_)


def test_multipliers_learn_faster(samples):
    """The first step of Adam is as long as the learning rate."""
    recipe = Recipe(epochs=1, batch_size=24, learning_rate=1e-3, multiplier_speed=3, validation_share=0)
    network = Phoenix(30, 4, torch.Generator().manual_seed(0))
    before = {name: value.detach().clone() for name, value in network.named_parameters()}
    nothing = Intervals(samples, np.array([], dtype=int))
    training = Training(network, Intervals(samples, np.arange(24)), nothing, recipe, torch.Generator().manual_seed(0))
    training.run(1)
    for name, value in network.named_parameters():
        longest = (value - before[name]).abs().max().item()
        assert longest == pytest.approx(3e-3 if name == "multiplier" else 1e-3, rel=1e-2)


def test_a_divergence_is_told(samples):
    recipe = dataclasses.replace(SHORT, learning_rate=1e4)
    with pytest.raises(DivergenceError, match="training diverged in epoch [0-9]+: the loss is"):
        PhoenixRegressor(4, "none", recipe=recipe, random_state=0).fit(samples)


def training_of(samples, recipe, pruning=None):
    """Training of a new network on all but the last two samples."""
    network = Phoenix(30, 4, torch.Generator().manual_seed(0))
    parts = [Intervals(samples, np.arange(len(samples) - 2)), Intervals(samples, np.arange(2) + len(samples) - 2)]
    pruner = None if pruning is None else Pruner(network, INFLUENCE[pruning])
    return Training(network, *parts, recipe, torch.Generator().manual_seed(0), pruner=pruner)


def test_the_recorded_loss_is_the_mean_over_all_samples(samples):
    training = training_of(samples, Recipe(batch_size=16, learning_rate=0))
    training.run(1)
    train = training.train
    with torch.no_grad():
        loss = interval_loss(training.network, train.before, train.after, train.length, 3).item()
    assert training.history[0]["loss"] == pytest.approx(loss, rel=1e-5)


def test_patience_begins_after_the_last_pruning(samples):
    schedule = Schedule(first_epoch=2, every=4)
    training = training_of(samples, Recipe(learning_rate=0, patience=2, schedule=schedule), "imp")
    training.run(60, schedule, 0.8)
    # One epoch that is better than none, and two that are not.
    assert len(training.history) == schedule.last_epoch(0.8) + 3 < 60


def test_the_learning_rate_falls_after_its_own_patience_and_starts_anew_at_each_pruning(samples):
    schedule = Schedule(first_epoch=12, every=4)
    recipe = Recipe(learning_rate=1e-2, rate_factor=0.1, rate_patience=2, lowest_rate=5e-4, schedule=schedule)
    training, made, rates = training_of(samples, recipe, "imp"), [], []
    of_class, epoch = training._optimizer, training._epoch

    def optimizer():
        made.append(len(training.history))
        return of_class()

    def same_loss_each_time(optimizer):
        rates.append(optimizer.param_groups[0]["lr"])
        epoch(optimizer)
        return 1.0

    training._optimizer, training._epoch = optimizer, same_loss_each_time
    training.run(13, schedule, 0.7)
    # The first epoch is better than none; of the others every third is one too many.
    assert rates == pytest.approx([1e-2] * 4 + [1e-3] * 3 + [5e-4] * 5 + [1e-2]) and made == [0, 12]


def test_what_is_pruned_at_once_is_trained_again(samples):
    recipe = dataclasses.replace(SHORT, epochs=3, fine_tuning=2)
    history = PhoenixRegressor(4, "post_hoc", 0.7, recipe=recipe, random_state=0).fit(samples).history_
    assert (history["sparsity"] > 0.68).tolist() == [False] * 3 + [True] * 2


def test_the_data_weight_is_that_of_the_data(samples, network):
    """A step along the gradient of the weighted sum of both losses."""
    training = training_of(samples, Recipe(batch_size=24, data_weight=0.9))
    prior = torch.from_numpy(network.graph.to_numpy().astype(float))
    training.prior_loss, model = PriorLoss(prior, 300, torch.Generator().manual_seed(0)), training.network
    train, weights, before = training.train, model.sum_out, model.sum_out.detach().clone()
    losses = interval_loss(model, train.before, train.after, train.length, 3), training.prior_loss(model)
    of_data, of_prior = (torch.autograd.grad(loss, weights)[0] for loss in losses)
    training._epoch(torch.optim.SGD([weights], lr=1.0))
    torch.testing.assert_close(before - weights.detach(), 0.9 * of_data + 0.1 * of_prior, rtol=1e-3, atol=1e-7)


@pytest.mark.parametrize(("n", "share", "aside"), [(150, 0.07, 11), (5, 0.07, 1), (2, 0.9, 1), (1, 0.5, 0), (9, 0, 0)])
def test_one_sample_of_two_or_more_is_set_aside(n, share, aside):
    train, validation = split(n, share, np.random.RandomState(0))
    assert len(validation) == aside and sorted([*train, *validation]) == list(range(n))


def test_one_sample_and_times_of_their_own(rng):
    times = np.array([0, 0.5, 2, 2.5, 4, 5])
    values = 0.5 + 0.3 * np.sin(times[:, None] + np.arange(6))
    one = Trajectories(values[None], times)
    model = PhoenixRegressor(3, "none", recipe=SHORT, random_state=0).fit(one)
    assert len(model.validation_) == 0 and model.history_["validation_loss"].isna().all()
    assert model.predict(values[:1], times).shape == (1, 6, 6)
    two = Trajectories(np.stack([values, values[::-1]]), np.stack([times, times + rng.random(6) * 0.1]))
    PhoenixRegressor(3, "none", recipe=SHORT, random_state=0).fit(two)


def test_too_few_epochs_are_warned_of(samples, prior):
    recipe = dataclasses.replace(SHORT, epochs=6)
    with pytest.warns(UserWarning, match="sparsity 0.8 is reached in epoch 15 of the schedule, but there are 6 epochs"):
        model = PhoenixRegressor(8, sparsity=0.8, recipe=recipe, random_state=0).fit(samples, prior)
    assert model.sparsity_ == pytest.approx(0.8, abs=0.02)


def test_pruning_to_nothing_is_warned_of(samples):
    recipe = dataclasses.replace(SHORT, epochs=5, schedule=Schedule(2, 0.999, 1))
    with pytest.warns(UserWarning, match="no edge is left at sparsity 0.999: no weights lead from one gene to another"):
        model = PhoenixRegressor(30, "imp", sparsity=0.999, recipe=recipe, random_state=3).fit(samples)
    assert model.sparsity_ < 1, "one weight of each layer"


def test_genes_that_never_change_are_warned_of(samples, prior):
    values = samples.values.copy()
    values[:, :, 2] = 0.5
    still = Trajectories(values, samples.times, samples.gene_names, signed=True)
    with pytest.warns(UserWarning, match=r"1 gene\(s\) have one value in all samples and times: gene_02"):
        PhoenixRegressor(4, "none", recipe=dataclasses.replace(SHORT, epochs=1), random_state=0).fit(still)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_hidden": 0}, ValueError, "n_hidden: expected 1 or more, got 0"),
        ({"n_hidden": 2.0}, TypeError, "n_hidden: expected an integer, got 2.0"),
        (
            {"pruning": "most"},
            ValueError,
            "pruning: expected one of none, imp, post_hoc, biological, dash, l0, c_node, path_reg,",
        ),
        ({"sparsity": 1.0}, ValueError, r"sparsity: expected a number in \(0, 1\), got 1.0"),
        ({"influence": (0.5,)}, ValueError, r"influence: expected two numbers in \[0, 1\], got \(0.5,\)"),
        ({"influence": (0.5, 2)}, ValueError, "influence: expected two numbers"),
        ({"recipe": {}}, TypeError, "recipe: expected a Recipe or None, got dict"),
    ],
)
def test_wrong_parameters_are_named(samples, prior, options, error, message):
    with pytest.raises(error, match=message):
        PhoenixRegressor(**options).fit(samples, prior)


def test_wrong_data_and_priors_are_named(samples, prior, fitted):
    model = PhoenixRegressor(4, recipe=SHORT)
    with pytest.raises(TypeError, match="trajectories: expected Trajectories, got ndarray"):
        model.fit(samples.values, prior)
    with pytest.raises(ValueError, match="prior: pruning='dash' with this influence and recipe needs one"):
        model.fit(samples)
    with pytest.raises(ValueError, match="prior: it has no edge"):
        model.fit(samples, prior * 0)
    with pytest.raises(ValueError, match=r"prior: expected shape \(30, 30\), .* got \(29, 30\)"):
        model.fit(samples, prior.to_numpy()[1:])
    with pytest.raises(ValueError, match="the trajectories lack the genes other"):
        model.fit(samples, prior.rename(columns={"gene_03": "other"}))
    with pytest.raises(ValueError, match=r"x0: expected shape \(samples, 30\), got \(2, 29\)"):
        fitted.predict(np.zeros((2, 29)), [0, 1])
    with pytest.raises(ValueError, match="x0: 30 values are NaN or infinite"):
        fitted.predict(np.full((1, 30), np.nan), [0, 1])
    with pytest.raises(ValueError, match="times: must increase"):
        fitted.predict(np.zeros((1, 30)), [0, 0])
    with pytest.raises(ValueError, match=r"x0: expected shape \(samples, 30\), got \(0, 30\)"):
        fitted.predict(np.zeros((0, 30)), [0, 1])
    with pytest.raises(TypeError, match="x0: expected an array of numbers"):
        fitted.predict([["a"] * 30], [0, 1])
    for times in (1.0, []):
        with pytest.raises(ValueError, match=r"times: expected shape \(times,\) or"):
            fitted.predict(np.zeros((1, 30)), times)
    with pytest.raises(ValueError, match=r"together: expected shape \(30, 30\)"):
        model.fit(samples, prior, together=np.ones((3, 3)))


def test_a_prior_is_matched_by_name(samples, prior, fitted):
    shuffled = prior.iloc[::-1, ::-1]
    assert isinstance(shuffled, pd.DataFrame)
    again = clone(fitted).fit(samples, shuffled)
    np.testing.assert_array_equal(again.edge_scores_, fitted.edge_scores_)


def test_a_start_is_matched_by_name(samples, fitted):
    start = pd.DataFrame(samples.values[:2, 0], columns=samples.gene_names)
    expected = fitted.predict(start.to_numpy(), [0, 1])
    np.testing.assert_array_equal(fitted.predict(start.iloc[:, ::-1], [0, 1]), expected)
    with pytest.raises(ValueError, match="x0: expected the genes of the training.* gene_03, other"):
        fitted.predict(start.rename(columns={"gene_03": "other"}), [0, 1])


def test_other_genes_are_not_scored(samples, fitted):
    with pytest.raises(ValueError, match="trajectories: expected the genes of the training, in the same order"):
        fitted.score(samples.subset(genes=samples.gene_names[::-1]))


def test_genes_that_stay_in_a_single_test_sample_are_not_warned_of(network, fitted):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isfinite(fitted.score(network.simulate(1, 0, 7)))


def test_a_prior_of_few_regulators_and_many_units_can_be_pruned_by(samples):
    genes = samples.gene_names
    for pruning in ("biological", "dash"):
        model = PhoenixRegressor(8, pruning, 0.7, recipe=dataclasses.replace(SHORT, epochs=12), random_state=0)
        model.fit(samples, pd.DataFrame(1, genes[:2], genes))
        assert model.sparsity_ > 0.69, "weights behind a unit that is cut stay at zero too"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be"), ({"batch_size": 0}, "batch_size must be"),
        ({"n_steps": 0}, "n_steps must be"),
        ({"n_prior_points": 0}, "n_prior_points must be"), ({"patience": 0}, "patience must be"),
        ({"fine_tuning": -1}, "fine_tuning must be"), ({"learning_rate": -1}, "learning_rate must be"),
        ({"rate_factor": 1.5}, "rate_factor must be"), ({"validation_share": 1}, "validation_share must be"),
        ({"data_weight": 2}, "data_weight must be"), ({"data_weight": 0}, "data_weight: expected a number above 0"),
    ],
)  # fmt: skip
def test_wrong_recipes_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Recipe(**options)


def test_recipes_of_wrong_types_are_refused():
    with pytest.raises(TypeError, match="epochs must be a whole number, got 2.5"):
        Recipe(epochs=2.5)
    with pytest.raises(TypeError, match="schedule: expected a Schedule, got NoneType"):
        Recipe(schedule=None)


def test_no_warning_where_nothing_is_wrong(samples, prior):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = PhoenixRegressor(4, sparsity=0.5, recipe=SHORT, random_state=0).fit(samples, prior)
    assert np.isfinite(model.edge_scores_.to_numpy()).all()
