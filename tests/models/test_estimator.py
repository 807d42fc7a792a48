"""Both networks: what a fit stores, what predictions are made of, and wrong parameters."""

import numpy as np
import pandas as pd
import pytest
import torch
from material.estimators import distilled, network
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn import DistilledBottleneckRegressor, DistilledSettings
from sbnn.data import inputs
from sbnn.metrics import pooled_r2
from sbnn.models.base import model_in_units

PUBLISHED, DISTILLED = network(random_state=0), distilled(random_state=0)
# the default, of which the checks have fewer
CHECKED = [clone(model).set_params(n_genes=25) for model in (PUBLISHED, DISTILLED)]

EXEMPTIONS = {
    "check_transformer_get_feature_names_out": "it names the kept genes, not the latents",
    "check_regressors_train": "it is trained for a few steps only",
}


@pytest.mark.filterwarnings("ignore:no pretraining. fewer than two clusters")
@pytest.mark.filterwarnings("ignore:X. values up to .* are no log values")
@parametrize_with_checks(CHECKED, expected_failed_checks=lambda _: EXEMPTIONS)
def test_scikit_learn_api(estimator, check):
    check(estimator)


# without pretraining, whose clusters are seeded as well
@pytest.fixture(scope="module", params=[clone(PUBLISHED).set_params(pretraining=False), DISTILLED])
def model(request, data):
    estimator = clone(request.param).set_params(reconstruct=True, device="cpu")
    return estimator.fit(data.X, data.Y)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_gpu_that_is_not_there_is_named(data):
    with pytest.raises(ValueError, match="device: 'cuda' cannot be used here .*'auto'"):
        clone(DISTILLED).set_params(device="cuda").fit(data.X, data.Y)


# --- predictions


def test_as_many_genes_as_asked_for_are_kept(model):
    assert model.get_support().sum() == 5


def test_predictions_use_only_the_kept_genes(model, data):
    changed = np.where(model.get_support(), data.X, 100)
    assert_array_equal(model.predict(changed), model.predict(data.X))


def test_the_latent_space_has_double_precision(model, data):
    latent = model.transform(data.X)
    assert latent.shape == (120, 2)
    assert latent.dtype == np.float64


def test_genes_are_reconstructed_from_the_latent_space(model, data):
    """A small step that changes no latent variable changes no reconstructed gene."""
    kept = model.get_support(indices=True)
    cell = data.X.mean(axis=0, dtype=float)
    steps = np.zeros((5, 40))
    steps[range(5), kept] = 1e-3
    slopes = model.transform(cell + steps) - model.transform([cell])  # shape (5, 2)
    _, _, directions = np.linalg.svd(slopes.T)
    moved = cell + directions[[0, 4]] @ steps
    changes = np.abs(model.reconstruct_genes(moved) - model.reconstruct_genes([cell])).max(axis=1)
    assert changes[1] < 0.02 * changes[0]


def test_reconstructed_genes_have_the_units_of_the_data(model, data):
    expected = 3 * model.reconstruct_genes(data.X) - 2
    X = 3 * data.X.astype(float) - 2
    again = clone(model).fit(X, data.Y)
    assert_allclose(again.reconstruct_genes(X), expected, rtol=1e-3, atol=1e-3)


def test_a_data_frame_names_cells_and_units(data, adata, model):
    named = clone(model).set_output(transform="pandas").fit(adata, data.Y)
    frame = named.transform(adata)
    assert frame.columns.tolist() == ["sbnn_1", "sbnn_2"]
    assert frame.index.equals(adata.obs_names)


# --- watched cells, the seed and the device


@pytest.fixture(scope="module")
def watched_model(model, data):
    """The same fit without the head for genes, which watches 20 cells."""
    without_head = clone(model).set_params(reconstruct=False)
    eval_set = data.X[:20], data.Y[:20]
    return without_head.fit(data.X, data.Y, eval_set=eval_set)


def test_watched_cells_and_other_head_change_nothing(model, watched_model, data):
    assert_array_equal(watched_model.predict(data.X), model.predict(data.X))


def test_the_score_is_of_outputs_in_training_sds(watched_model, data):
    scaler = StandardScaler().fit(data.Y)
    predictions = scaler.transform(watched_model.predict(data.X[:20]))
    expected = pooled_r2(scaler.transform(data.Y[:20]), predictions, Y_mean=0.0)
    assert watched_model.score(data.X[:20], data.Y[:20]) == pytest.approx(expected, abs=1e-5)


def test_history_has_the_score_of_watched_cells(watched_model, data):
    score = watched_model.score(data.X[:20], data.Y[:20])
    assert watched_model.history_.eval_r2.iloc[-1] == pytest.approx(score, abs=1e-5)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_gpu_gives_as_accurate_a_network(model, data):
    again = clone(model).set_params(device="cuda").fit(data.X, data.Y)
    # sums are rounded in another order, from which training drifts apart
    expected = model.score(data.X, data.Y)
    assert again.score(data.X, data.Y) == pytest.approx(expected, abs=0.05)


# --- what is refused


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"n_genes": 41}, "n_genes must be"),
        ({"hidden_layers": (16, 0)}, "hidden_layers: expected positive numbers"),
        ({"epochs": (1, 1)}, "epochs: expected four numbers"),
        ({"epochs": (0, 0, 0, 0)}, "epochs: expected four numbers, at least one above 0"),
        ({"frozen_layers": 6}, r"frozen_layers must be .* \[0, 5\], got 6"),
    ],
)
def test_bad_parameters_are_refused(params, message, data):
    with pytest.raises(ValueError, match=message):
        clone(PUBLISHED).set_params(**params).fit(data.X, data.Y)


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
def test_bad_settings_are_refused(name, value):
    with pytest.raises(ValueError, match=f"{name} must be"):
        DistilledSettings(**{name: value})


def watch(data, Y):
    """A fit that watches 20 cells with other outputs."""
    outputs = pd.DataFrame(data.Y, columns=data.feature_names)
    clone(PUBLISHED).fit(data.X, outputs, eval_set=(data.X[:20], Y))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda model, data: watch(data, data.Y[:20, 0]), r"of shape \(20, 5\), got \(20, 1\)"),
        (
            lambda model, data: watch(data, pd.DataFrame(data.Y[:20]).add_prefix("x")),
            "eval_set: .*not expected: x",
        ),
        (
            lambda model, data: model.score(data.X[:20], data.Y[:20, :1]),
            r"of shape \(20, 5\), got \(20, 1\)",
        ),
        (lambda model, data: model.reconstruct_genes(data.X), "fitted with reconstruct=True"),
    ],
    ids=["number of watched outputs", "names of watched outputs", "score", "no head"],
)
def test_what_a_fit_lacks_is_refused(call, message, watched_model, data):
    with pytest.raises((ValueError, AttributeError), match=message):
        call(watched_model, data)


# --- scales of genes and outputs


@pytest.fixture
def X(data):
    """Genes of which one is constant."""
    genes = data.X.astype(np.float32)
    genes[:, 3] = 4.2
    return genes


@pytest.fixture(params=[True, False], ids=["standardize", "centre"])
def standardize(request):
    return request.param


@pytest.fixture(params=CHECKED, ids=["published", "distilled"])
def scaled_model(request, standardize, X, data, monkeypatch):
    """A model with all genes, whose scales are learned from 20 cells at a time."""
    monkeypatch.setattr(inputs, "VALUES_AT_ONCE", 800)
    model = clone(request.param).set_params(standardize=standardize, n_genes=None)
    return model.fit(X, data.Y)


def test_scales_are_those_of_the_training_cells(scaled_model, standardize, X, data):
    genes = StandardScaler(with_std=standardize).fit(X.astype(float))
    outputs = StandardScaler(with_std=standardize).fit(data.Y.astype(float))
    x = torch.as_tensor(genes.transform(X), dtype=torch.float32)
    expected = outputs.inverse_transform(scaled_model.network_(x).numpy())
    assert_allclose(scaled_model.predict(X), expected, rtol=1e-4, atol=1e-4)


def test_only_the_distilled_network_clips_new_cells(scaled_model, X):
    new = X[::-1] + X.std(axis=0)
    clipped = new.clip(X.min(axis=0), X.max(axis=0))
    is_same = np.allclose(scaled_model.predict(new), scaled_model.predict(clipped))
    assert is_same == isinstance(scaled_model, DistilledBottleneckRegressor)


@pytest.mark.filterwarnings("ignore:X. values up to .* are no log values")
def test_cells_are_centred_in_double_precision(scaled_model, X, data):
    far_X = X.astype(float) + 2.0**26
    far_model = clone(scaled_model).fit(far_X, data.Y)
    expected = scaled_model.predict(X)
    assert_allclose(far_model.predict(far_X), expected, rtol=1e-3, atol=1e-3)


@pytest.fixture(params=[PUBLISHED, DISTILLED], ids=["published", "distilled"])
def z_scored(request, data):
    """A model of z-scores of all but the first ten genes, and the z-scores."""
    X = StandardScaler().fit_transform(data.X[:, 10:].astype(float))
    Y = StandardScaler().fit_transform(data.Y.astype(float))
    estimator = clone(request.param).set_params(standardize=False, reconstruct=True)
    return estimator.fit(X, Y), X


def test_a_model_in_units_has_all_genes(z_scored, data):
    model, _ = z_scored
    in_units = model_in_units(model, data, data.gene_names[10:])
    assert in_units.feature_names_in_.tolist() == data.gene_names.tolist()
    kept = model.get_support(indices=True) + 10
    assert_array_equal(in_units.get_support(indices=True), kept)


def test_a_model_of_z_scores_stays_as_it_is(z_scored, data):
    model, X = z_scored
    before = model.predict(X)
    model_in_units(model, data, data.gene_names[10:])
    assert_array_equal(model.predict(X), before)
