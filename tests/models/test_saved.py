"""Model files: what is saved comes back, and nothing else does."""

import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import safetensors.torch
import torch
from material.estimators import distilled, network
from numpy.testing import assert_array_equal
from sklearn.base import clone

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    SparseBottleneckRegressor,
    StackedRegressor,
    fit_full,
)
from sbnn.models import saved

X = np.random.default_rng(0).normal(size=(30, 9))
NAMED = pd.DataFrame(X, columns=list("abcdefghi"))
NEW = 9 * NAMED.iloc[:, ::-1]
COUNTS = NAMED.abs().round() + 1
PUBLISHED = network(n_genes=4, pretraining=False, reconstruct=True, random_state=0)
DISTILLED = distilled(n_genes=4, reconstruct=True)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.safetensors"


# --- what comes back


@pytest.fixture(params=[(PUBLISHED, X[:, :2]), (DISTILLED, X[:, 0])], ids=["published", "vector"])
def model(request):
    estimator, Y = request.param
    return clone(estimator).fit(NAMED, Y)


@pytest.fixture
def loaded(model, path):
    return type(model).load(model.save(path))


def test_a_default_device_changes_no_file(model, path):
    expected = model.predict(NEW)
    with torch.device("meta"):
        loaded = type(model).load(model.save(path))
    assert_array_equal(loaded.predict(NEW), expected)


@pytest.mark.filterwarnings("error", "ignore:You are using .torch.load:FutureWarning")
def test_a_model_mapped_to_memory_is_saved(model, path, tmp_path):
    joblib.dump(model, tmp_path / "model.joblib")
    mapped = joblib.load(tmp_path / "model.joblib", mmap_mode="r")
    assert_array_equal(type(model).load(mapped.save(path)).x_mean_, model.x_mean_)


@pytest.mark.parametrize("method", ["predict", "transform", "reconstruct_genes"])
def test_predictions_come_back(method, model, loaded):
    expected = getattr(model, method)(NEW)
    assert_array_equal(getattr(loaded, method)(NEW), expected)


def test_parameters_come_back(model, loaded):
    assert loaded.get_params() == model.get_params()


def test_the_history_comes_back(model, loaded):
    pd.testing.assert_frame_equal(loaded.history_, model.history_)


@pytest.mark.parametrize(
    "name",
    [
        "output_names_",
        "gene_norms_",
    ],
)
def test_attributes_come_back(name, model, loaded):
    assert_array_equal(getattr(loaded, name), getattr(model, name))


def test_a_loaded_model_is_saved_with_its_normalizer(model, path):
    normalizer = CountNormalizer().fit(COUNTS)
    loaded = type(model).load(model.save(path, normalizer))
    again = type(model).load(loaded.save(path))
    assert_array_equal(again.normalizer_.transform(COUNTS), normalizer.transform(COUNTS))


@pytest.mark.parametrize("estimator", [PUBLISHED, DISTILLED, StackedRegressor(DISTILLED)])
def test_a_model_of_normalised_counts_knows_their_normalizer(estimator, adata, path):
    """It is that of a fit that writes its file."""
    cells = adata[:80]
    fit_full(estimator, cells, model_file=path)
    expected = type(estimator).load(path).normalizer_
    model = clone(estimator).fit(cells)
    for known in (model, type(model).load(model.save(path))):
        assert_array_equal(known.normalizer_.transform(cells), expected.transform(cells))
        np.testing.assert_allclose(known.normalizer_.transform(cells), cells.X, rtol=1e-5)
    halved = cells[:, :20]  # the totals have lost the other genes
    assert clone(estimator).fit(halved).normalizer_ is None
    assert clone(estimator).fit(cells.to_df(), cells.obsm["outputs"]).normalizer_ is None


def test_a_random_state_is_not_saved(path):
    model = clone(PUBLISHED).set_params(random_state=np.random.RandomState(0))
    model.fit(X, X[:, :2]).save(path)
    assert SparseBottleneckRegressor.load(path).random_state is None


def test_an_array_of_layers_becomes_a_tuple(path):
    model = clone(PUBLISHED).set_params(hidden_layers=np.array([4, 3]))
    model.fit(X, X[:, :2]).save(path)
    assert SparseBottleneckRegressor.load(path).hidden_layers == (4, 3)


# --- what is refused


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """Bytes of a model file."""
    path = tmp_path_factory.mktemp("saved") / "m.safetensors"
    clone(PUBLISHED).fit(X, X[:, :2]).save(path)
    return path.read_bytes()


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda content: content + b"\0", ""),
        (lambda content: content[:-1], ""),
        (lambda content: pickle.dumps({"a": 1}), ""),
        (lambda content: content.replace(b"sbnn-model-", b"sbnn-MODEL-"), "expected the format"),
    ],
    ids=["longer", "shorter", "a pickle", "another format"],
)
def test_another_file_is_refused(damage, message, path, content):
    path.write_bytes(damage(content))
    with pytest.raises(ValueError, match=f"m.safetensors is not an sbnn model .*{message}"):
        SparseBottleneckRegressor.load(path)


def test_a_file_with_a_wrong_bit_is_refused(path, content):
    for position in range(0, len(content), 101):
        damaged = bytearray(content)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match="m.safetensors is not an sbnn model"):
            SparseBottleneckRegressor.load(path)


def test_a_model_of_another_class_is_refused(path, content):
    path.write_bytes(content)
    with pytest.raises(ValueError, match="load it with sbnn.SparseBottleneckRegressor.load"):
        DistilledBottleneckRegressor.load(path)


def test_sizes_are_compared_before_memory_is_taken(path, content, monkeypatch):
    """No network is built, whose weights would take all memory; the checksum may be right."""
    path.write_bytes(content)
    header, tensors = saved._read_model_file(path)
    header["sizes"][1] = 10**9
    monkeypatch.setattr(saved, "BottleneckNetwork", None)
    with pytest.raises(ValueError, match="weight of layer 0 has shape"):
        saved._build_model(SparseBottleneckRegressor, header, tensors)


def test_a_device_is_no_model():
    with pytest.raises(ValueError, match="/dev/null is a device, pipe or socket"):
        SparseBottleneckRegressor.load("/dev/null")


def test_models_of_other_programs_are_not_replaced(path):
    model = clone(DISTILLED).fit(NAMED, X[:, 0])
    content = safetensors.torch.save({"weights": torch.ones(3)})
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not as this version of sbnn has written it"):
        model.save(path)
    assert path.read_bytes() == content
    path.write_bytes(b"")  # nothing is lost
    model.save(path)
