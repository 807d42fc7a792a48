"""Records of fits to all cells, of selected genes, and of how many genes are needed."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal, assert_equal
from scipy import stats
from sklearn.base import clone
from sklearn.linear_model import LinearRegression

from sbnn import SparseBottleneckRegressor, SparseReducedRankRegression, fit_full
from sbnn.data.preprocessing import preselect_genes, select_genes
from sbnn.evaluation.fits import gene_selection
from sbnn.evaluation.maps import embed

QUICK = {"hidden_layers": (16, 8), "epochs": (1, 2, 1, 2), "n_genes": 5, "standardize": False}


@pytest.mark.parametrize("reconstruct", [True, False])
def test_the_record_of_a_network(data, reconstruct):
    model = SparseBottleneckRegressor(**QUICK, reconstruct=reconstruct)
    record = fit_full(model, data, seed=3)
    X = stats.zscore(data.X.astype(float))
    Y = stats.zscore(data.Y.astype(float))
    model.set_params(random_state=3).fit(X, Y)
    kept = X[:, model.get_support()]
    latent = model.transform(X)
    if reconstruct:
        reconstructed = model.reconstruct_genes(X)
    else:
        reconstructed = LinearRegression().fit(latent, kept).predict(latent)
    for name, expected in {
        "latent": latent,
        "predictions": model.predict(X),
        "outputs": Y,
        "predicted_expression": reconstructed,
        "expression": kept,
        "train_r2": model.score(X, Y),
        "train_feature_r2": 1 - np.square(Y - model.predict(X)).mean(0),
        "gene_norms": model.gene_norms_,
    }.items():
        close(record.values[name], expected, atol=1e-4, err_msg=name)
    assert record.kept_genes.tolist() == data.gene_names[model.get_support()].tolist()
    pd.testing.assert_frame_equal(record.history, model.history_, rtol=1e-3)


def test_a_wide_latent_space_of_preselected_genes_is_drawn_with_the_seed(data):
    record = fit_full(SparseReducedRankRegression(rank=3, alpha=0.2), data, preselect=30, seed=4)
    close(record.embedding, embed(record.latent, 4), atol=0.3)
    assert record.gene_names.tolist() == data.gene_names[preselect_genes(data, 30)].tolist()


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.parametrize("preselect", [None, 30])
def test_a_saved_fit_is_repeated_if_its_model_is_missing(data, preselect, tmp_path, monkeypatch):
    """The saved model takes cells in their own units, and counts."""
    file = tmp_path / "model.safetensors"
    how = {"results": tmp_path / "fit.pickle.xz", "model_file": file, "preselect": preselect}
    network = SparseBottleneckRegressor(**QUICK, random_state=1)
    first = fit_full(network, data, **how)
    file.unlink()
    again = fit_full(network, data, **how)
    assert_array_equal(again.latent, first.latent)
    saved = SparseBottleneckRegressor.load(file)
    close(saved.transform(data.X), first.latent, atol=1e-4)
    expected = first.predictions * data.Y.std(axis=0) + data.Y.mean(axis=0)
    close(saved.predict(data.X), expected, rtol=1e-4, atol=1e-3)
    close(saved.normalizer_.transform(data.counts), data.X, atol=1e-4)
    monkeypatch.setattr(SparseBottleneckRegressor, "fit", lambda *_: pytest.fail("fitted again"))
    fit_full(network, data, **how)
    with pytest.raises(IsADirectoryError, match="model_file: .* is a folder"):
        fit_full(network, data, model_file=tmp_path)


@pytest.mark.parametrize("other", [b"garbage", "of another fit", "one bit"])
def test_a_model_file_that_is_not_of_the_record_is_written_anew(data, other, tmp_path):
    file = tmp_path / "model.safetensors"
    network = SparseBottleneckRegressor(**QUICK, random_state=1)
    fit_full(network, data, results=tmp_path / "fit.pickle.xz", model_file=file)
    usual = file.read_bytes()
    if other == "of another fit":
        fit_full(clone(network).set_params(random_state=2), data, model_file=file)
    elif other == "one bit":
        file.write_bytes(usual[:-1] + bytes([usual[-1] ^ 1]))
    else:
        file.write_bytes(other)
    fit_full(network, data, results=tmp_path / "fit.pickle.xz", model_file=file)
    assert file.read_bytes() == usual


def test_genes_are_selected_from_counts(adata, tmp_path):
    path = tmp_path / "genes.pickle.xz"
    record = gene_selection(adata, 10, 2, results=path)
    expected = vars(select_genes(adata.layers["counts"], 10, 2))
    assert_equal(record.values, expected | {"gene_names": adata.var_names.to_numpy()})
    with pytest.raises(ValueError, match="differs in n_genes;"):
        gene_selection(adata, 11, 2, results=path)
