"""Stacking: the weight, what it is computed from, and what of the network stays."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    StackedRegressor,
    fit_full,
    interpret,
)
from sbnn.models.linear import left_out_residuals
from sbnn.models.stacked import selection_optimism

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
NETWORK = DistilledBottleneckRegressor(
    n_genes=5, distillation=FEW_STEPS, random_state=0, device="cpu"
)
EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latents",
}


@pytest.mark.filterwarnings("ignore:X. values up to .* are no log values")
@parametrize_with_checks(
    [StackedRegressor(DistilledBottleneckRegressor(distillation=FEW_STEPS, random_state=0))],
    expected_failed_checks=lambda _: EXEMPTIONS,
)
def test_scikit_learn_conventions(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def model(adata):
    return StackedRegressor(NETWORK).fit(adata)


# --- the weight


@pytest.mark.parametrize("n_genes", [12, 60])
def test_left_out_residuals_are_those_of_refits(rng, n_genes):
    X = rng.normal(3, 2, (30, n_genes))
    Y = X[:, :2] + rng.normal(1, 1, (30, 2))
    expected = Y - cross_val_predict(Ridge(7.0), X, Y, cv=LeaveOneOut())
    assert_allclose(left_out_residuals(X, Y, 7.0), expected, rtol=1e-6, atol=1e-8)


@pytest.fixture
def weigh(monkeypatch, data):
    """Weight of ridge if left-out predictions of a teacher of all genes are those given."""
    network = clone(NETWORK).set_params(n_genes=None)

    def fit_and_weigh(left_out):
        def fit(model, X, y):
            fit_network(model, X, y)
            model.left_out_predictions_ = left_out
            return model

        fit_network = DistilledBottleneckRegressor.fit
        monkeypatch.setattr(DistilledBottleneckRegressor, "fit", fit)
        return StackedRegressor(network).fit(data.X, data.Y).weight_of_ridge_

    return fit_and_weigh


def test_ridge_beside_an_exact_network_keeps_its_prior(weigh, data):
    """The best weight is 0, which 100 cells beside the 120 shrink towards 1/2."""
    weight = weigh(data.Y)
    assert weight == pytest.approx(50 / 220, abs=1e-3)


def test_ridge_beside_a_useless_network_weighs_most(weigh, data):
    useless = data.Y.mean(axis=0) - 3 * (data.Y - data.Y.mean(axis=0))
    weight = weigh(useless)
    assert 0.6 < weight <= 170 / 220


def test_units_of_an_output_change_no_weight(model, adata):
    """Residuals are in SD, or the output in the smallest units would decide."""
    outputs = adata.obsm["outputs"] * [1000, 1, 1, 1, 1]
    again = StackedRegressor(NETWORK).fit(adata.X, outputs)
    assert again.weight_of_ridge_ == pytest.approx(model.weight_of_ridge_, abs=0.02)


def test_a_network_of_noise_is_not_trusted(rng):
    """Its left-out predictions of outputs that no gene predicts are worse than the mean."""
    X = rng.normal(size=(60, 30))
    Y = rng.normal(size=(60, 2))
    network = DistilledBottleneckRegressor(
        n_genes=None, distillation=DistilledSettings(steps_of_student=5), random_state=0
    )
    network.fit(X, Y)
    errors = np.square(Y - network.left_out_predictions_).sum()
    assert errors > 0.95 * np.square(Y - Y.mean(axis=0)).sum()


def test_genes_that_fit_noise_by_chance_give_the_network_no_weight(rng):
    """Chosen among many on all cells, they predict even cells that the teacher did not see."""
    X, Y = rng.normal(size=(150, 1000)), rng.normal(size=(150, 2))
    settings = DistilledSettings(n_trees=10, steps_of_student=5)
    model = StackedRegressor(DistilledBottleneckRegressor(distillation=settings, random_state=0))
    model.fit(X, Y)
    errors = np.square(Y - model.network_.left_out_predictions_).sum()
    assert errors < 0.95 * np.square(Y - Y.mean(axis=0)).sum()
    assert model.weight_of_ridge_ > 0.6


def test_the_missing_error_is_that_of_new_cells(rng):
    """Ridge on ten genes of noise that were chosen, among 300, on all cells."""
    X, Y = rng.normal(size=(200, 300)), zscore(rng.normal(size=(200, 2)))

    def choose(x, y):
        return np.argsort(-np.abs(x.T @ y).sum(axis=1))[:10]

    kept = choose(X, Y)
    few = X[:, kept]
    left_out = cross_val_predict(Ridge(200), few, Y, cv=5)
    cells, outputs = rng.normal(size=(2000, 10)), zscore(rng.normal(size=(2000, 2)))
    error_of_new = np.square(outputs - Ridge(200).fit(few, Y).predict(cells)).mean()
    missing = error_of_new - np.square(Y - left_out).mean()
    assert missing > 0.1
    assert selection_optimism(X, Y, kept, choose) / Y.size == pytest.approx(missing, rel=0.3)


def test_no_error_is_missing_if_all_cells_choose_the_same(rng):
    X, Y = rng.normal(size=(50, 9)), rng.normal(size=(50, 2))
    kept = np.array([1, 4, 5])
    assert selection_optimism(X, Y, kept, lambda x, y: kept) == 0


# --- predictions


def test_the_prediction_is_the_weighted_mean(model, adata, data):
    weight = model.weight_of_ridge_
    network = clone(NETWORK).fit(data.X, data.Y).predict(data.X)
    scaler = StandardScaler().fit(data.Y.astype(float))
    z_scores = StandardScaler().fit_transform(data.X.astype(float))
    ridge = LeaveOneOutRidge().fit(z_scores, scaler.transform(data.Y))
    in_units = scaler.inverse_transform(ridge.predict(z_scores))
    expected = (1 - weight) * network + weight * in_units
    assert_allclose(model.predict(adata), expected, rtol=1e-4, atol=1e-4)


def test_the_map_and_genes_are_those_of_the_network(model, adata):
    network = clone(NETWORK).fit(adata)
    assert_array_equal(model.transform(adata), network.transform(adata))
    assert_array_equal(model.get_feature_names_out(), network.get_feature_names_out())


def test_predictions_take_genes_that_the_map_does_not(model, adata):
    kept = adata[:, model.get_support()]
    model.network_.predict(kept)
    with pytest.raises(ValueError, match="no values for 35 of the 40 genes"):
        model.predict(kept)


def test_a_seed_is_that_of_a_network_without_one(adata):
    network = DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, device="cpu")
    first = StackedRegressor(network, random_state=3).fit(adata)
    second = StackedRegressor(network.set_params(random_state=3)).fit(adata)
    assert_array_equal(first.predict(adata), second.predict(adata))


# --- files


@pytest.mark.parametrize("outputs", ["outputs", ["age"]])
def test_a_stacked_model_comes_back_from_its_file(adata, tmp_path, outputs):
    cells = adata.copy()
    cells.obs["age"] = cells.obsm["outputs"].iloc[:, 0]
    model = StackedRegressor(NETWORK).fit(cells, outputs)
    loaded = StackedRegressor.load(model.save(tmp_path / "m.safetensors"))
    assert_array_equal(loaded.predict(adata), model.predict(adata))
    assert_array_equal(loaded.transform(adata), model.transform(adata))
    assert loaded.ridge_.alpha_ == model.ridge_.alpha_


def test_a_full_fit_is_saved_in_units(adata, tmp_path):
    path = tmp_path / "m.safetensors"
    z_scored = clone(NETWORK).set_params(standardize=False)
    record = fit_full(StackedRegressor(z_scored), adata, preselect=30, model_file=path)
    outputs = adata.obsm["outputs"]
    expected = record.predictions * outputs.std(ddof=0).to_numpy() + outputs.mean().to_numpy()
    cells = pd.DataFrame(adata.X, columns=adata.var_names)
    loaded = StackedRegressor.load(path)
    assert_allclose(loaded.predict(cells), expected, rtol=1e-3, atol=1e-3)
    # its other genes are not set to 0, as they are for a model that takes the kept ones only
    assert interpret(loaded, cells, outputs).r2 == loaded.score(cells, outputs)
