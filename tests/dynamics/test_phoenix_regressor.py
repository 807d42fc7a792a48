"""Fits of PHOENIX: units, samples of any length, interactions, and what is held out."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from sbnn.dynamics import PhoenixRegressor
from sbnn.dynamics.baselines import AutoRegression
from sbnn.dynamics.data import as_trajectories, trajectories
from sbnn.dynamics.solver import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore:the one-step error")


def small_model(pruning="dash", **options):
    """A small network that is trained for a few epochs."""
    short_training = {
        "epochs": 12,
        "schedule": (2, 0.5, 3, 0.2),
        "learning_rate": 1e-2,
        "fine_tuning": 3,
        "random_state": 0,
    }
    return PhoenixRegressor(8, pruning, sparsity=0.6, **short_training | options)


@pytest.fixture(scope="module")
def fitted(samples, prior):
    return small_model().fit(samples, prior)


@pytest.fixture(scope="module")
def one_sample(samples):
    return samples[samples.obs["sample"] == "0"]


def test_of_one_sample_none_is_held_out(one_sample, prior):
    model = small_model().fit(one_sample, prior)
    assert model.held_out_errors_ is None
    assert "no sample was held out" in model.verdict_


@pytest.fixture(scope="module")
def in_other_units(samples):
    """The factor is exact, so that the scaled times are."""
    other = samples.copy()
    other.obs["time"] *= 64
    return other


def test_the_unit_of_time_changes_nothing(fitted, in_other_units, samples, prior):
    again = small_model().fit(in_other_units, prior)
    assert_array_equal(again.edge_scores_, fitted.edge_scores_)
    start = samples.X[:1]
    assert_array_equal(again.predict(start, [0, 64]), fitted.predict(start, [0, 1]))


def test_the_unit_of_time_can_be_kept(fitted, in_other_units, prior):
    kept = small_model(time_span=None).fit(in_other_units, prior)
    assert not np.array_equal(kept.edge_scores_, fitted.edge_scores_)


def test_shared_targets_are_the_default_interactions(fitted, samples, prior):
    """They are matched by name, and those of other genes are ignored."""
    shared_targets = prior.abs() @ prior.abs().T
    shared_targets.loc["other", "other"] = 9.0
    again = small_model().fit(samples, prior, interactions=shared_targets.iloc[::-1])
    assert_allclose(again.edge_scores_, fitted.edge_scores_)


@pytest.fixture(scope="module")
def unpruned(samples):
    return small_model("none").fit(samples)


@pytest.fixture(scope="module")
def noise(samples):
    """Samples of noise."""
    values = np.random.default_rng(0).random((8, 5, 30))
    return trajectories(values, range(5), samples.var_names)


@pytest.fixture(scope="module")
def fitted_to_noise(noise, prior):
    return small_model().fit(noise, prior)


def test_held_out_errors_include_simple_models(noise, fitted_to_noise):
    """AR(1) is fitted to the other samples."""
    validation = fitted_to_noise.validation_
    samples = as_trajectories(noise)
    before, after, spans = samples.select(validation).intervals()
    train = samples.select(np.delete(range(8), validation))
    network = fitted_to_noise.predict(before, spans)[:, 1]
    ar1 = AutoRegression().fit(train).predict(before, spans)[:, 1]
    errors = [((values - after) ** 2).mean() for values in (network, before, ar1)]
    assert_allclose(fitted_to_noise.held_out_errors_, errors)


@pytest.mark.filterwarnings("default:the one-step error")
def test_predictions_of_useless_networks_warn(noise, fitted_to_noise):
    with pytest.warns(UserWarning, match="not lower"):
        fitted_to_noise.predict(noise.X[:1], [0, 1])


@pytest.fixture(scope="module")
def history_of_other_validation(samples, unpruned):
    """Four epochs, with other values of the validation samples."""
    changed = samples.copy()
    changed.X[changed.obs["sample"].isin(unpruned.validation_.astype(str))] += 0.3
    return small_model("none", epochs=4).fit(changed).history_


def test_validation_samples_are_not_trained_on(unpruned, history_of_other_validation):
    """In epochs before the learning rate changes."""
    assert_array_equal(history_of_other_validation["loss"], unpruned.history_["loss"][:4])


def test_validation_samples_are_monitored(unpruned, history_of_other_validation):
    other = history_of_other_validation["validation_loss"]
    assert (other != unpruned.history_["validation_loss"][:4]).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"as_published": ["all"]}, "as_published"),
        ({"influence": (0.5, 5.0)}, "influence: expected two numbers in"),
        ({"schedule": (1, 0.2, 1, 1e-9)}, "schedule: fraction must be"),  # else without end
        ({"epochs": 3}, "epochs: pruning ends after epoch 3"),
        ({"learning_rate": 1e4}, "training diverged in epoch"),
        ({"prior": None}, "prior"),
        ({"prior": None, "pruning": "none", "data_weight": 0.5}, "prior"),
        ({"interactions": np.zeros((30, 30))}, "interactions: expected some"),
    ],
)
def test_impossible_fits_are_refused(samples, prior, options, message):
    options = {"prior": prior, "interactions": None} | options
    interactions = options.pop("interactions")
    network_prior = options.pop("prior")
    with pytest.raises((ValueError, DivergenceError), match=message):
        small_model(**options).fit(samples, network_prior, interactions=interactions)


@pytest.mark.parametrize(
    ("n_left_out", "times", "message"),
    [
        (1, [0, 1], "x0: no values for the genes gene_0"),
        (0, pd.to_timedelta([0, 1], unit="h"), "times: "),
        (0, [0, np.inf], "times: "),
    ],
    ids=["gene", "unit", "infinite"],
)
def test_impossible_predictions_are_refused(samples, fitted, n_left_out, times, message):
    start = samples.to_df().iloc[:2, n_left_out:]
    with pytest.raises(ValueError, match=message):
        fitted.predict(start, times)


def test_starts_have_times_of_their_own(samples, fitted):
    paths = fitted.predict(samples.X[:2], [[0, 1], [2, 5]])
    alone = fitted.predict(samples.X[1:2], [0, 3])
    assert_allclose(paths[1], alone[0], atol=1e-5)
