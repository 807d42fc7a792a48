"""Both networks: what a fit stores, what predictions are made of, and wrong parameters."""

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import DistilledBottleneckRegressor, DistilledSettings, SparseBottleneckRegressor
from sbnn.metrics import pooled_r2

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
PUBLISHED = SparseBottleneckRegressor(
    n_genes=5, hidden_layers=(16, 8), epochs=(2, 2, 2, 3), random_state=0
)
DISTILLED = DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, random_state=0)
CHECKED = [clone(model).set_params(n_genes=None) for model in (PUBLISHED, DISTILLED)]

EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latents",
    "check_regressors_train": "it is trained for a few steps only",
}


@pytest.mark.filterwarnings("ignore:no pretraining. fewer than two clusters")
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXEMPTIONS)
def test_scikit_learn_api(estimator, check):
    check(estimator)


@pytest.fixture(scope="module", params=[PUBLISHED, DISTILLED])
def model(request, data):
    return clone(request.param).set_params(reconstruct=True).fit(data.X, data.Y)


def test_prediction_goes_from_the_kept_genes_through_the_bottleneck(model, data):
    kept = model.get_support()
    assert kept.sum() == 5
    np.testing.assert_array_equal(model.get_support(indices=True), np.flatnonzero(kept))
    changed = data.X.copy()
    changed[:, ~kept] += 100
    latent = model.transform(changed)
    assert latent.shape == (120, 2) and latent.dtype == np.float64
    after = model.network_.bottleneck + 1
    with torch.no_grad():
        inputs = torch.as_tensor(latent, dtype=torch.float32)
        decoded = model.network_(inputs, first=after).numpy()
        genes = model._gene_network(inputs, first=after).numpy()
    predicted = model.predict(data.X)
    expected = decoded * model.y_scale_ + model.y_mean_
    np.testing.assert_allclose(predicted, expected, rtol=1e-4, atol=1e-4)
    expected = genes * model.x_scale_[kept] + model.x_mean_[kept]
    np.testing.assert_allclose(model.reconstruct_genes(data.X), expected, atol=1e-4)
    np.testing.assert_allclose(model.predict(data.X[7:8]), predicted[7:8], rtol=1e-12)


def test_score_is_r2_in_units_of_the_training_sds(model, data):
    X, Y = data.X[:50], data.Y[:50]
    true = (Y - data.Y.mean(axis=0)) / data.Y.std(axis=0)
    predicted = (model.predict(X) - data.Y.mean(axis=0)) / data.Y.std(axis=0)
    assert model.score(X, Y) == pytest.approx(pooled_r2(true, predicted, 0.0), abs=1e-5)
    for wrong in (Y[:-1], Y[:, 1:]):
        with pytest.raises(ValueError, match="y: expected outputs of shape"):
            model.score(X, wrong)


def test_the_seed_decides_and_watched_cells_and_the_head_for_genes_change_nothing(data, model):
    watched = clone(model).fit(data.X, data.Y, eval_set=(data.X[:20], data.Y[:20]))
    plain = clone(model).set_params(reconstruct=False).fit(data.X, data.Y)
    for same in (watched, plain):
        assert torch.equal(same.network_.flat, model.network_.flat)
    plain.set_params(random_state=1).fit(data.X, data.Y)
    assert not torch.equal(plain.network_.flat, model.network_.flat)
    with pytest.raises(AttributeError, match="reconstruct=True"):
        plain.reconstruct_genes(data.X)
    trained = watched.history_[watched.history_.stage != "reconstruction"]
    score = watched.score(data.X[:20], data.Y[:20])
    # the distilled network is scaled after its training
    is_scaled = isinstance(model, DistilledBottleneckRegressor)
    assert trained.eval_r2.iloc[-1] == pytest.approx(score, abs=0.3 if is_scaled else 1e-5)
    assert plain.history_.eval_r2.dropna().empty


@pytest.mark.parametrize("estimator", [PUBLISHED, DISTILLED])
def test_a_vector_of_outputs_gives_vectors(estimator, data):
    vector = clone(estimator).fit(data.X, data.Y[:, 1])
    table = clone(estimator).fit(data.X, data.Y[:, 1:2])
    np.testing.assert_array_equal(vector.predict(data.X), table.predict(data.X)[:, 0])
    assert vector.score(data.X, data.Y[:, 1]) == table.score(data.X, data.Y[:, 1:2])


def test_history_has_every_stage(data):
    model = clone(PUBLISHED).set_params(reconstruct=True).fit(data.X, data.Y)
    names = ["pretraining", "frozen", "unfrozen", "fine-tuning", "reconstruction"]
    assert model.history_.stage.tolist() == np.repeat(names, [2, 2, 2, 3, 3]).tolist()
    assert model.history_.epoch.tolist() == list(range(1, 13))
    assert model.history_.eval_loss.notna().tolist() == [True] * 2 + [False] * 10


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_genes", 41),
        ("hidden_layers", (16,)),
        ("epochs", (1, 1)),
        ("epochs", (1, 2, 3, -1)),
        ("device", "abacus"),
    ],
)
def test_bad_parameters(name, value, data):
    with pytest.raises((ValueError, RuntimeError), match=name):
        clone(PUBLISHED).set_params(**{name: value}).fit(data.X, data.Y)


def test_set_output_names_cells_and_units(data, adata):
    model = clone(PUBLISHED).set_output(transform="pandas").fit(adata)
    for X in (adata, adata.to_df()):
        frame = model.transform(X)
        assert [*frame.columns] == ["sbnn_1", "sbnn_2"] and frame.index.equals(adata.obs_names)
    np.testing.assert_array_equal(frame, clone(PUBLISHED).fit(data.X, data.Y).transform(data.X))


def test_wrong_cells_to_watch(data):
    for wrong in ((data.X, data.Y, 3), (data.X, data.Y[:, 1:]), (data.X[1:], data.Y)):
        with pytest.raises(ValueError, match="eval_set"):
            clone(PUBLISHED).fit(data.X, data.Y, wrong)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("estimator", [PUBLISHED, DISTILLED])
def test_scales_are_those_of_the_training_cells(estimator, standardize, data):
    X = data.X.astype(np.float32)
    X[:, 3] = 4.2
    model = clone(estimator).set_params(standardize=standardize, n_genes=None).fit(X, data.Y)
    np.testing.assert_allclose(model.x_mean_, X.mean(axis=0, dtype=float), rtol=1e-12)
    np.testing.assert_allclose(model.y_mean_, data.Y.mean(axis=0, dtype=float), rtol=1e-12)
    sd = X.std(axis=0, dtype=float) if standardize else np.ones(X.shape[1])
    sd[3] = 1
    np.testing.assert_allclose(model.x_scale_, sd, rtol=1e-12)
    y_sd = data.Y.std(axis=0, dtype=float) if standardize else 1
    np.testing.assert_allclose(model.y_scale_, y_sd * np.ones(5), rtol=1e-12)
    with torch.no_grad():
        inputs = torch.as_tensor((X - model.x_mean_) / sd, dtype=torch.float32)
        output = model.network_(inputs).numpy() * model.y_scale_ + model.y_mean_
    np.testing.assert_allclose(model.predict(X), output, rtol=1e-4, atol=1e-4)
    # new cells of the distilled network are clipped to the range of the training cells
    new = X[::-1] + X.std(axis=0)
    limited = model.predict(new.clip(X.min(axis=0), X.max(axis=0)))
    assert np.allclose(model.predict(new), limited) == (estimator is DISTILLED)
