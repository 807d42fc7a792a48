"""Both networks: what a fit stores, what predictions are made of, and wrong parameters."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import DistilledBottleneckRegressor, DistilledSettings, SparseBottleneckRegressor
from sbnn.data import inputs
from sbnn.metrics import pooled_r2
from sbnn.models.network import apply_layers

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
PUBLISHED = SparseBottleneckRegressor(
    n_genes=5, hidden_layers=(16, 8), epochs=(2, 2, 2, 3), random_state=0
)
DISTILLED = DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS, random_state=0)
# the default, of which the checks have fewer
CHECKED = [clone(model).set_params(n_genes=25) for model in (PUBLISHED, DISTILLED)]

EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latents",
    "check_regressors_train": "it is trained for a few steps only",
}


@pytest.mark.filterwarnings("ignore:no pretraining. fewer than two clusters")
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXEMPTIONS)
def test_scikit_learn_api(estimator, check):
    check(estimator)


# without pretraining, whose clusters are seeded as well
@pytest.fixture(scope="module", params=[clone(PUBLISHED).set_params(pretraining=False), DISTILLED])
def model(request, data):
    return clone(request.param).set_params(reconstruct=True, device="cpu").fit(data.X, data.Y)


def test_prediction_goes_from_the_kept_genes_through_the_bottleneck(model, data):
    kept = model.get_support()
    assert kept.sum() == 5
    changed = np.where(kept, data.X, 100)
    latent = model.transform(changed)
    assert latent.shape == (120, 2) and latent.dtype == np.float64
    network = model._gene_network
    after = network.layers[network.bottleneck + 1 :]
    genes = apply_layers(after, network.activation, torch.as_tensor(latent).float())
    expected = genes.numpy() * model.x_scale_[kept] + model.x_mean_[kept]
    assert_allclose(model.reconstruct_genes(data.X), expected, atol=1e-4)
    predicted = model.predict(changed)
    np.testing.assert_array_equal(predicted, model.predict(data.X))
    assert_allclose(model.predict(changed[7:8]), predicted[7:8], rtol=1e-12)


def test_watched_cells_and_the_head_for_genes_change_nothing_and_the_seed_decides(data, model):
    X, Y = data.X[:20], data.Y[:20]
    watched = clone(model).set_params(reconstruct=False).fit(data.X, data.Y, eval_set=(X, Y))
    predicted = watched.predict(X)
    np.testing.assert_array_equal(predicted, model.predict(X))
    scale = StandardScaler().fit(data.Y)
    score = pooled_r2(scale.transform(Y), scale.transform(predicted), 0.0)
    found = [watched.score(X, Y), watched.history_.eval_r2.iloc[-1]]
    assert found == pytest.approx([score, score], abs=1e-5)
    with pytest.raises(ValueError, match=r"expected outputs of shape \(20, 5\), got \(20, 1\)"):
        watched.score(X, Y[:, :1])
    with pytest.raises(ValueError, match=r"expected outputs of shape \(20, 5\), got \(20, 1\)"):
        watched.fit(data.X, data.Y, eval_set=(X, Y[:, 0]))
    other = watched.set_params(random_state=1).fit(data.X, data.Y)
    assert (other.predict(X) != predicted).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_as_accurate_a_network_as_the_cpu(model, data):
    again = clone(model).set_params(device="cuda").fit(data.X, data.Y)
    # sums are rounded in another order, from which training drifts apart
    assert again.score(data.X, data.Y) == pytest.approx(model.score(data.X, data.Y), abs=0.05)


@pytest.mark.parametrize(
    ("name", "value"),
    [("n_genes", 41), ("hidden_layers", (16, 0)), ("epochs", (1, 1)), ("epochs", (0, 0, 0, 0))],
)
def test_bad_parameters(name, value, data):
    with pytest.raises(ValueError, match=name):
        clone(PUBLISHED).set_params(**{name: value}).fit(data.X, data.Y)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_teachers", 1),
        ("teacher_width", 0),
        ("steps_of_teachers", 0),
        ("rate_of_student", -1.0),
        ("swapped", 1.5),
    ],
)
def test_bad_settings(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        DistilledSettings(**{name: value})


def test_set_output_names_cells_and_units(data, adata, model):
    frame = clone(model).set_output(transform="pandas").fit(adata, data.Y).transform(adata)
    assert [*frame.columns] == ["sbnn_1", "sbnn_2"] and frame.index.equals(adata.obs_names)


@pytest.mark.parametrize("standardize", [True, False])
@pytest.mark.parametrize("estimator", CHECKED)
def test_scales_are_those_of_the_training_cells(estimator, standardize, data, monkeypatch):
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)  # 20 cells
    X = data.X.astype(np.float32)
    X[:, 3] = 4.2
    model = clone(estimator).set_params(standardize=standardize, n_genes=None).fit(X, data.Y)
    x_scale = StandardScaler(with_std=standardize).fit(X.astype(float))
    y_scale = StandardScaler(with_std=standardize).fit(data.Y.astype(float))
    x = torch.as_tensor(x_scale.transform(X), dtype=torch.float32)
    output = y_scale.inverse_transform(model.network_(x).numpy())
    assert_allclose(model.predict(X), output, rtol=1e-4, atol=1e-4)
    # new cells of the distilled network are clipped to the range of the training cells
    new = X[::-1] + X.std(axis=0)
    limited = model.predict(new.clip(X.min(axis=0), X.max(axis=0)))
    is_distilled = isinstance(model, DistilledBottleneckRegressor)
    assert np.allclose(model.predict(new), limited) == is_distilled
    # cells are centred in double precision
    far = clone(model).fit(X.astype(float) + 2.0**26, data.Y)
    assert_allclose(far.predict(X.astype(float) + 2.0**26), model.predict(X), rtol=1e-3, atol=1e-3)
