"""Both networks: what a fit stores, what predictions are made of, and parameters that are refused."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import DistilledBottleneckRegressor, DistilledSettings, SparseBottleneckRegressor
from sbnn.data.cells import Cells
from sbnn.metrics import pooled_r2
from sbnn.models.bottleneck.protocols import distilled
from sbnn.models.bottleneck.scales import ScaledCells, learn_scales, scaled_outputs

QUICK = {
    "hidden_layers": (16, 8),
    "epochs": (2, 2, 2, 3),
    "n_genes": 5,
    "random_state": 0,
}
FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
SHORT = DistilledSettings(
    n_trees=5, n_augmented=100, n_teachers=2, steps_of_teachers=40, steps_of_student=100
)
PUBLISHED = SparseBottleneckRegressor(**QUICK)
DISTILLED = DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, random_state=0)
CHECKED = [
    SparseBottleneckRegressor(
        2, None, hidden_layers=(32, 16), epochs=(2, 2, 60, 60), learning_rate=1e-2
    ),
    DistilledBottleneckRegressor(
        2,
        None,
        hidden_layers=(16, 16),
        distillation=SHORT,
    ),
]

# `get_feature_names_out` names the kept genes, as in a feature selector; `transform` gives latent
# coordinates.
EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latent coordinates"
}


@pytest.mark.filterwarnings("ignore:fewer than two clusters")
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXEMPTIONS)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module", params=[PUBLISHED, DISTILLED])
def model(request, data):
    return clone(request.param).set_params(reconstruct=True).fit(data.X, data.Y)


def test_prediction_goes_through_the_bottleneck(model, data):
    latent = torch.as_tensor(model.transform(data.X), dtype=torch.float32)
    after = model.network_.bottleneck + 1
    with torch.no_grad():
        decoded = model.network_(latent, first=after).numpy()
        genes = model._gene_network(latent, first=after).numpy()
    expected = decoded * model.y_scale_ + model.y_mean_
    np.testing.assert_allclose(model.predict(data.X), expected, rtol=1e-4, atol=1e-4)
    kept = model.get_support()
    expected = genes * model.x_scale_[kept] + model.x_mean_[kept]
    np.testing.assert_allclose(model.reconstruct_genes(data.X), expected, atol=1e-4)


def test_predictions_are_double_precision_and_those_of_single_cells(model, data):
    predicted = model.predict(data.X)
    latent = model.transform(data.X)
    assert predicted.dtype == latent.dtype == np.float64
    assert predicted.shape == data.Y.shape
    assert latent.shape == (120, 2)
    np.testing.assert_allclose(model.predict(data.X[7:8]), predicted[7:8], rtol=1e-12)


def test_only_kept_genes_matter(model, data):
    kept = model.get_support()
    assert kept.sum() == 5
    changed = data.X.copy()
    changed[:, ~kept] += 100
    np.testing.assert_array_equal(model.predict(changed), model.predict(data.X))
    np.testing.assert_array_equal(model.get_support(indices=True), np.flatnonzero(kept))


def test_score_is_r2_in_units_of_the_training_sds(model, data):
    X, Y = data.X[:50], data.Y[:50]
    true = (Y - data.Y.mean(axis=0)) / data.Y.std(axis=0)
    predicted = (model.predict(X) - data.Y.mean(axis=0)) / data.Y.std(axis=0)
    assert model.score(X, Y) == pytest.approx(pooled_r2(true, predicted, 0.0), abs=1e-5)
    times = np.arange(50) % 4
    repeated = model.score(X.repeat(times, 0), Y.repeat(times, 0))
    assert model.score(X, Y, times) == pytest.approx(repeated)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        model.score(X, Y[:-1])
    with pytest.raises(ValueError, match="y: expected outputs of shape"):
        model.score(X, Y[:, 1:])


def test_neither_watched_cells_nor_the_head_for_genes_change_a_fit(data, model):
    watched = clone(model).fit(data.X, data.Y, eval_set=(data.X[:20], data.Y[:20]))
    plain = clone(model).set_params(reconstruct=False).fit(data.X, data.Y)
    for same in (watched, plain):
        assert torch.equal(same.network_.flat, model.network_.flat)
    with pytest.raises(AttributeError, match="reconstruct=True"):
        plain.reconstruct_genes(data.X)
    trained = watched.history_[watched.history_.stage != "reconstruction"]
    score = watched.score(data.X[:20], data.Y[:20])
    if isinstance(model, SparseBottleneckRegressor):  # the other network is scaled afterwards
        assert trained.eval_r2.iloc[-1] == pytest.approx(score, abs=1e-5)
    assert trained.eval_r2.iloc[-1] == pytest.approx(score, abs=0.3)
    assert plain.history_.eval_r2.dropna().empty


def test_the_seed_decides(data, model):
    other = clone(model).set_params(random_state=1).fit(data.X, data.Y)
    assert not torch.equal(other.network_.flat, model.network_.flat)


def test_a_vector_of_outputs_gives_vectors(data):
    for estimator in (PUBLISHED, DISTILLED):
        vector = clone(estimator).fit(data.X, data.Y[:, 1])
        table = clone(estimator).fit(data.X, data.Y[:, 1:2])
        assert vector.predict(data.X).shape == (120,)
        np.testing.assert_array_equal(vector.predict(data.X), table.predict(data.X)[:, 0])


def test_history_has_every_stage(data):
    model = clone(PUBLISHED).set_params(reconstruct=True).fit(data.X, data.Y)
    counts = model.history_.groupby("stage", sort=False).epoch.count().to_dict()
    assert counts == {
        "pretraining": 2,
        "frozen": 2,
        "unfrozen": 2,
        "fine-tuning": 3,
        "reconstruction": 3,
    }
    assert model.history_.epoch.tolist() == list(range(1, 13))
    assert list(model.history_.columns[:2]) == ["stage", "epoch"]
    pretraining = model.history_[model.history_.stage == "pretraining"]
    assert pretraining.r2.isna().all()
    assert pretraining.eval_loss.notna().all()


class OnAllCells(DistilledBottleneckRegressor):
    """Trained with all genes of all cells in memory."""

    def _train(self, x, target, random, generator, eval_set, progress):
        eval_set = eval_set[0].whole(), eval_set[1]
        return distilled.train(self, x.whole(), target, random, generator, eval_set, progress)


def test_with_many_cells_only_the_kept_genes_are_read_for_the_same_network(data, monkeypatch):
    settings = replace(FEW_STEPS, few_cells=10, most_cells=40)
    options = {"n_genes": 5, "distillation": settings, "random_state": 0}
    watched = data.X[:9], data.Y[:9]
    expected = OnAllCells(**options).fit(data.X, data.Y, watched)
    monkeypatch.setattr(ScaledCells, "whole", lambda self: pytest.fail("all genes were read"))
    model = DistilledBottleneckRegressor(**options).fit(data.X, data.Y, watched)
    np.testing.assert_array_equal(model.gene_norms_, expected.gene_norms_)
    assert torch.equal(model.network_.flat, expected.network_.flat)
    pd.testing.assert_frame_equal(model.history_, expected.history_)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_genes", 0),
        ("n_genes", 41),
        ("n_genes", "auto"),
        ("n_components", 0),
        ("n_components", 10_001),
        ("hidden_layers", (16,)),
        ("hidden_layers", (16, 10**9)),
        ("group_lasso", -1),
        ("group_lasso", np.inf),
        ("learning_rate", 1e30),
        ("standardize", "False"),
        ("n_threads", 10**6),
        ("epochs", (1, 1)),
        ("epochs", (0, 0, 0, 0)),
        ("epochs", (1, 2, 3, -1)),
        ("device", "abacus"),
        ("device", 3.5),
        ("prior_influence", 1.1),
    ],
)
def test_bad_parameters(name, value, data):
    with pytest.raises((ValueError, TypeError), match=name):
        clone(PUBLISHED).set_params(**{name: value}).fit(data.X, data.Y)


def test_bad_settings_and_cells_to_watch(data):
    with pytest.raises((ValueError, TypeError), match="distillation"):
        clone(DISTILLED).set_params(distillation={"n_trees": 5}).fit(data.X, data.Y)
    for wrong in (3, (data.X, data.Y, 3), (data.X, data.Y[:, 1:]), (data.X[1:], data.Y)):
        with pytest.raises(ValueError, match="eval_set"):
            clone(PUBLISHED).fit(data.X, data.Y, wrong)


def test_constant_genes_are_warned_of(data):
    X = data.X.copy()
    X[:, 7] = 3.3
    model = clone(PUBLISHED).set_params(epochs=(20, 5, 20, 3), learning_rate=1e-3)
    with pytest.warns(UserWarning, match=r"genes that are constant.*: x7"):
        model.fit(X, data.Y)
    assert not model.get_support()[7]
    assert np.isfinite(model.predict(X)).all()


def test_without_clusters_there_is_no_pretraining(data):
    with pytest.warns(UserWarning, match="no pretraining"):
        model = clone(PUBLISHED).fit(data.X[:15], data.Y[:15])
    assert model.history_.stage.unique().tolist() == ["unfrozen", "fine-tuning"]


class Clipped(DistilledBottleneckRegressor):
    """Genes are clipped to 1 and 3."""

    def _input_limits(self, cells, moments):
        return np.full(2, 1.0), np.full(2, 3.0)


@pytest.mark.parametrize("standardize", [True, False])
def test_scales_are_those_of_clipped_genes(standardize):
    X = np.array([[0.0, 1.5], [2.0, 2.0], [7.0, 2.5]], dtype=np.float32)
    Y = np.array([[1.0, 4], [2, 4], [6, 4]])
    model = Clipped(standardize=standardize)
    model.n_features_in_ = 2
    learn_scales(model, Cells(X), Y)
    clipped = X.clip(1, 3).astype(float)
    np.testing.assert_allclose(model.x_mean_, clipped.mean(axis=0))
    sd = clipped.std(axis=0)
    # genes that are not scaled keep the ratio of the SDs before and after clipping
    expected = sd if standardize else sd / X.std(axis=0, dtype=float)
    np.testing.assert_allclose(model.x_scale_, expected)
    np.testing.assert_allclose(model.y_scale_, [np.std([1, 2, 6]), 1] if standardize else [1, 1])
    cells = ScaledCells(model, Cells(np.array([[9.0, 2.0], [0.5, 1.5]])), "cpu")
    expected = (np.array([[3, 2], [1, 1.5]]) - model.x_mean_) / model.x_scale_
    np.testing.assert_allclose(cells.whole(), expected, rtol=1e-6)
    np.testing.assert_allclose(cells[np.array([1])], expected[1:], rtol=1e-6)
    np.testing.assert_allclose(cells.of_genes(np.array([1])), expected[:, 1:], rtol=1e-6)
    scaled = scaled_outputs(model, np.array([[3.0, 5.0]]), "cpu")
    np.testing.assert_allclose(scaled, (np.array([[0.0, 1.0]])) / model.y_scale_, atol=1e-6)


def test_a_fit_that_is_not_standardised_is_centred_only(data):
    model = clone(PUBLISHED).set_params(standardize=False, n_genes=None).fit(data.X, data.Y)
    assert model.get_support().all()
    np.testing.assert_array_equal(model.x_scale_, 1)
    np.testing.assert_array_equal(model.y_scale_, 1)
    np.testing.assert_allclose(model.x_mean_, data.X.mean(axis=0), rtol=1e-5)
    assert np.isinf(model.x_min_).all()
