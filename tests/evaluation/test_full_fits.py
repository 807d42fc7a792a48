"""Records of fits to all cells, of selected genes, and of how many genes are needed."""

import numpy as np
import pandas as pd
import pytest
from material.cells import expression_frame
from material.estimators import network
from numpy.testing import assert_allclose as close
from numpy.testing import assert_equal
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sbnn import (
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    fit_full,
    interpret,
    stability_selection,
)
from sbnn.data.paired import paired
from sbnn.data.preprocessing import preselect_genes, select_genes
from sbnn.evaluation.fits import gene_selection
from sbnn.evaluation.maps import embed

NETWORK = network(standardize=False)


@pytest.mark.parametrize("function", [fit_full, stability_selection])
def test_a_pipeline_is_refused_before_the_fits(function, data):
    pipeline = make_pipeline(StandardScaler(), NETWORK)
    with pytest.raises(TypeError, match="Pipeline has no get_support"):
        function(pipeline, data)


@pytest.fixture(scope="module", params=[True, False], ids=["reconstructs", "does not"])
def fitted(request, data, z_scores):
    """A record, and the same model as fitted by hand."""
    model = clone(NETWORK).set_params(reconstruct=request.param)
    record = fit_full(model, data, seed=3)
    return record, model.set_params(random_state=3).fit(*z_scores)


def test_a_record_holds_the_latent_space(fitted, z_scores):
    record, model = fitted
    close(record.latent, model.transform(z_scores[0]), atol=1e-4)


def test_a_record_holds_outputs_and_predictions(fitted, z_scores):
    record, model = fitted
    X, Y = z_scores
    close(record.outputs, Y, atol=1e-4)
    close(record.predictions, model.predict(X), atol=1e-4)


def test_a_record_holds_the_training_scores(fitted, z_scores):
    record, model = fitted
    X, Y = z_scores
    errors = np.square(Y - model.predict(X))
    close(record.train_r2, model.score(X, Y), atol=1e-4)
    close(record.train_feature_r2, 1 - errors.mean(0), atol=1e-4)


def test_a_record_names_the_kept_genes(fitted, data):
    record, model = fitted
    assert record.kept_genes.tolist() == data.gene_names[model.get_support()].tolist()


def test_expression_is_predicted_from_the_latent_space(fitted, z_scores):
    """By the network if it reconstructs genes, otherwise by linear regression."""
    record, model = fitted
    X, _ = z_scores
    kept = X[:, model.get_support()]
    latent = model.transform(X)
    if model.reconstruct:
        predicted = model.reconstruct_genes(X)
    else:
        predicted = LinearRegression().fit(latent, kept).predict(latent)
    close(record.expression, kept, atol=1e-4)
    close(record.predicted_expression, predicted, atol=1e-4)


def test_a_record_holds_effects_of_genes(fitted, z_scores):
    record, model = fitted
    close(record.effects, interpret(model, *z_scores).effects, atol=1e-3)


def test_a_record_holds_norms_and_history(fitted):
    record, model = fitted
    close(record.gene_norms, model.gene_norms_, atol=1e-4)
    pd.testing.assert_frame_equal(record.history, model.history_, rtol=1e-3)


@pytest.fixture(scope="module")
def wide_fit(data):
    """Of three latent variables and preselected genes."""
    return fit_full(SparseReducedRankRegression(rank=3, alpha=0.2), data, preselect=30, seed=4)


def test_a_wide_latent_space_is_embedded(wide_fit):
    close(wide_fit.embedding, embed(wide_fit.latent, 4), atol=0.3)


def test_a_fit_names_its_preselected_genes(wide_fit, data):
    preselected = preselect_genes(data, 30)
    assert wide_fit.gene_names.tolist() == data.gene_names[preselected].tolist()


@pytest.fixture(params=[None, 30])
def saved_fit(request, data, tmp_path):
    """A call that saves its record and model, and the first result."""
    network = clone(NETWORK).set_params(random_state=1)

    def fit():
        return fit_full(
            network,
            data,
            preselect=request.param,
            results=tmp_path / "fit.pickle.xz",
            model_file=tmp_path / "model.safetensors",
        )

    return fit, fit()


def test_a_fit_with_its_model_is_not_repeated(saved_fit, monkeypatch):
    fit, _ = saved_fit
    monkeypatch.setattr(SparseBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted again"))
    fit()


def test_a_saved_model_takes_cells_in_their_units(saved_fit, data, tmp_path):
    _, first = saved_fit
    model = SparseBottleneckRegressor.load(tmp_path / "model.safetensors")
    in_units = first.predictions * data.Y.std(axis=0) + data.Y.mean(axis=0)
    expression = expression_frame(data)
    close(model.transform(expression), first.latent, atol=1e-4)
    close(model.predict(expression), in_units, rtol=1e-4, atol=1e-3)


def test_a_saved_model_takes_counts(saved_fit, data, counts, tmp_path):
    model = SparseBottleneckRegressor.load(tmp_path / "model.safetensors")
    close(model.normalizer_.transform(counts), data.X, atol=1e-4)


@pytest.mark.parametrize(
    ("name", "message"),
    [(".", " is a folder"), ("file/model.safetensors", "Not a directory")],
)
def test_impossible_model_files_are_known_before(name, message, data, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setattr(type(NETWORK), "fit", lambda *_: pytest.fail("fitted"))
    with pytest.raises(OSError, match=message):
        fit_full(NETWORK, data, model_file=tmp_path / name)


@pytest.mark.parametrize("damage", ["missing", "of another fit", "one bit"])
def test_a_model_file_of_no_record_is_rewritten(data, damage, tmp_path):
    file = tmp_path / "model.safetensors"
    network = clone(NETWORK).set_params(random_state=1)
    fit_full(network, data, results=tmp_path / "fit.pickle.xz", model_file=file)
    usual = file.read_bytes()
    if damage == "missing":
        file.unlink()
    elif damage == "of another fit":
        fit_full(clone(network).set_params(random_state=2), data, model_file=file)
    else:
        file.write_bytes(usual[:-1] + bytes([usual[-1] ^ 1]))
    fit_full(network, data, results=tmp_path / "fit.pickle.xz", model_file=file)
    assert file.read_bytes() == usual


def test_a_record_holds_the_selection_of_genes(adata):
    record = gene_selection(adata, 10, 2)
    expected = vars(select_genes(adata.layers["counts"], 10, 2))
    assert_equal(record.values, expected | {"gene_names": adata.var_names.to_numpy()})


def test_a_model_file_normalizes_cells_as_its_data(data, tmp_path):
    cells = paired(None, data.Y, counts=data.counts, library_size=1e6)
    model = network(epochs=(0, 1, 0, 0))
    fit_full(model, cells, model_file=tmp_path / "model.safetensors")
    loaded = SparseBottleneckRegressor.load(tmp_path / "model.safetensors")
    assert loaded.normalizer_.library_size_ == 1e6
