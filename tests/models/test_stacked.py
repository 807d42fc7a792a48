"""Stacking: the weight, what it is computed from, and what of the network stays."""

import numpy as np
import pandas as pd
import pytest
import torch
from material.estimators import distilled
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import zscore
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import LeaveOneOut, cross_val_predict
from sklearn.preprocessing import StandardScaler

from sbnn import (
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    StackedRegressor,
    fit_full,
    interpret,
)
from sbnn.models import stacked
from sbnn.models.distilled import choose_genes
from sbnn.models.linear import left_out_residuals
from sbnn.models.stacked import selection_optimism

NETWORK = distilled(random_state=0, device="cpu")


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
    """The best weight is 0, which 25 cells beside the 120 shrink towards 1/2."""
    weight = weigh(data.Y)
    assert weight == pytest.approx(12.5 / 145, abs=1e-3)


def test_ridge_beside_a_useless_network_weighs_most(weigh, data):
    useless = data.Y.mean(axis=0) - 3 * (data.Y - data.Y.mean(axis=0))
    weight = weigh(useless)
    assert 0.6 < weight <= 132.5 / 145


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


@pytest.mark.filterwarnings("ignore:ridge. of all penalties, the largest")
@pytest.mark.parametrize("is_noise", [True, False])
def test_the_weight_is_that_of_new_cells(is_noise):
    """Genes are chosen on all cells, but the optimism that this gives is corrected."""
    rng = np.random.default_rng(1)
    factors, loadings = rng.normal(size=(2150, 4)), rng.normal(size=(4, 300))
    X = factors @ loadings + 3 * rng.normal(size=(2150, 300))
    Y = rng.normal(size=(2150, 3))
    if not is_noise:
        Y += np.abs(X[:, :3]) / 4
    settings = DistilledSettings(steps_of_student=300)
    network = DistilledBottleneckRegressor(n_genes=10, distillation=settings, random_state=0)
    model = StackedRegressor(network).fit(X[:150], Y[:150])
    cells, outputs = X[150:], Y[150:]
    of_network, of_ridge = (
        outputs - part.predict(cells) for part in (model.network_, model.ridge_)
    )
    difference = of_network - of_ridge
    best = np.clip((of_network * difference).sum() / np.square(difference).sum(), 0, 1)
    assert model.weight_of_ridge_ == pytest.approx((150 * best + 12.5) / 175, abs=0.12)


def test_the_optimism_is_the_error_that_new_cells_add(rng):
    """Ridge on ten genes of noise that were chosen, among 300, on all cells."""
    X, Y = rng.normal(size=(200, 300)), zscore(rng.normal(size=(200, 2)))
    few = X[:, choose_genes(torch.from_numpy(X), torch.from_numpy(Y), 10)]
    left_out = cross_val_predict(Ridge(200), few, Y, cv=5)
    cells, outputs = rng.normal(size=(2000, 10)), zscore(rng.normal(size=(2000, 2)))
    error_of_new = np.square(outputs - Ridge(200).fit(few, Y).predict(cells)).mean()
    missing = error_of_new - np.square(Y - left_out).mean()
    assert missing > 0.1
    assert selection_optimism(X, Y, 10) / Y.size == pytest.approx(missing, rel=0.3)
    # cells may be sorted
    order = np.argsort(Y[:, 0])
    of_sorted = selection_optimism(X[order], Y[order], 10) / Y.size
    assert of_sorted == pytest.approx(missing, rel=0.4)


def test_without_a_choice_there_is_no_optimism(rng):
    X, Y = rng.normal(size=(50, 9)), rng.normal(size=(50, 2))
    assert selection_optimism(X, Y, 9) == 0
    assert selection_optimism(X, Y, 3, required=[1, 4, 5]) == 0


def test_the_genes_are_chosen_again_among_the_candidates(adata, monkeypatch):
    orders = []

    def note_choice(X, Y, n_genes, required):
        orders.append(choose_genes(*map(torch.from_numpy, (X, Y)), n_genes, required=required))
        return 0.0

    monkeypatch.setattr(stacked, "selection_optimism", note_choice)
    names = adata.var_names
    network = clone(NETWORK).set_params(required_genes=names[[7]], candidate_genes=names[10:25])
    model = StackedRegressor(network).fit(adata)
    assert_array_equal(np.array([7, *range(10, 25)])[orders[0]], model.network_.gene_order_)


def test_optimism_is_never_negative(rng, monkeypatch):
    """Here the genes of all cells are worse than those of some."""
    X = rng.normal(size=(50, 9))
    monkeypatch.setattr(stacked, "choose_genes", lambda x, *_, **__: [8] if len(x) == 50 else [0])
    assert selection_optimism(X, X[:, :1], 1) == 0


def test_only_as_many_cells_as_choose_genes_are_optimistic(rng, monkeypatch):
    X, Y = rng.normal(size=(400, 300)), zscore(rng.normal(size=(400, 2)))
    of_all = selection_optimism(X, Y, 10)
    monkeypatch.setattr(stacked, "MOST_SELECTION_CELLS", 100)
    of_some = selection_optimism(X, Y, 10)
    assert 0.1 * 200 < of_some < of_all


# --- slopes


def test_slopes_are_those_of_left_out_predictions(model, adata):
    z_scores = StandardScaler().fit_transform(adata.X.astype(float))
    Y = adata.obsm["outputs"].to_numpy(float)
    weight = model.weight_of_ridge_
    of_ridge = left_out_residuals(z_scores, zscore(Y), model.ridge_.alpha_)
    of_network = zscore(Y) - (model.network_.left_out_predictions_ - Y.mean(0)) / Y.std(0)
    mean = zscore(Y) - (1 - weight) * of_network - weight * of_ridge
    products = (mean * zscore(Y)).sum(axis=0)
    optimism = selection_optimism(z_scores, zscore(Y), n_genes=5)
    products -= (1 - weight) * optimism / 2 / Y.shape[1]
    slopes = products / np.square(mean).sum(axis=0)
    expected = (len(Y) * slopes + 100) / (len(Y) + 100)
    assert_allclose(model.slopes_, expected.clip(min=0), rtol=1e-4)
    assert np.abs(model.slopes_ - 1).max() > 0.02


# --- predictions


def test_the_prediction_is_the_weighted_mean_times_slopes(model, adata, data):
    weight = model.weight_of_ridge_
    network = clone(NETWORK).fit(data.X, data.Y).predict(data.X)
    scaler = StandardScaler().fit(data.Y.astype(float))
    z_scores = StandardScaler().fit_transform(data.X.astype(float))
    ridge = LeaveOneOutRidge().fit(z_scores, scaler.transform(data.Y))
    in_units = scaler.inverse_transform(ridge.predict(z_scores))
    mean = (1 - weight) * network + weight * in_units
    expected = scaler.mean_ + model.slopes_ * (mean - scaler.mean_)
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


def test_a_cell_far_from_all_others_is_not_extrapolated(model, adata):
    cells = adata[:2].to_df()
    cells = pd.concat([cells.iloc[:1], cells.iloc[1:] + 8])
    within = cells.clip(adata.X.min(axis=0), adata.X.max(axis=0), axis=1)
    assert_allclose(model.predict(cells), model.predict(within), rtol=1e-5)


# --- files


def test_a_file_without_slopes_predicts_the_weighted_mean(model, adata):
    header, tensors = model._header_and_tensors(None)
    del header["slopes"]
    loaded = StackedRegressor._from_header_and_tensors(header, tensors)
    weight = model.weight_of_ridge_
    mean = (1 - weight) * model.network_.predict(adata) + weight * model.ridge_.predict(adata)
    assert_array_equal(loaded.slopes_, np.ones(5))
    assert_allclose(loaded.predict(adata), mean, rtol=1e-6)


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
    fitted = cells.iloc[:, loaded.ridge_.coef_.any(axis=0)]
    assert fitted.shape[1] == 30
    for table in (cells, fitted):
        assert interpret(loaded, table, outputs).r2 == loaded.score(cells, outputs)
