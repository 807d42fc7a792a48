"""Model files: what is saved comes back, and nothing else does."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    SparseBottleneckRegressor,
)
from sbnn.models import tensor_files
from sbnn.models.bottleneck.persistence import FORMAT
from sbnn.models.saved import load_network

REFUSED = "m.safetensors is not an sbnn model"
X, NEW = np.random.default_rng(0).normal(size=(2, 30, 9))


@pytest.fixture(scope="module")
def small():
    """Fitted to 30 cells x 9 genes -> 2 outputs."""
    model = SparseBottleneckRegressor(n_genes=4, hidden_layers=(4, 3), epochs=(1, 1, 1, 1))
    model.set_params(pretraining=False, reconstruct=True, random_state=0)
    return model.fit(X, X[:, :2])


@pytest.fixture(scope="module")
def parts(small, tmp_path_factory):
    """Header and tensors of its file."""
    path = small.save(tmp_path_factory.mktemp("model") / "m.safetensors")
    return tensor_files.read_tensors(path.read_bytes(), FORMAT)


def sealed(header, tensors):
    """A file with any content and the right checksum, as somebody who means harm would write it."""
    header = header | {"sha256": tensor_files.UNSET}
    return tensor_files.sealed(save(tensors, {"sbnn": json.dumps(header)}))


def read(path, content):
    path.write_bytes(content)
    return SparseBottleneckRegressor.load(path)


def test_a_model_comes_back(small, tmp_path):
    again = SparseBottleneckRegressor.load(small.save(tmp_path / "m.safetensors"))
    for method in ("predict", "transform", "reconstruct_genes"):
        np.testing.assert_array_equal(getattr(again, method)(NEW), getattr(small, method)(NEW))
    assert again.get_params() == small.get_params()
    assert again.get_feature_names_out().tolist() == small.get_feature_names_out().tolist()
    assert again.output_names_.tolist() == small.output_names_.tolist()
    pd.testing.assert_frame_equal(again.history_, small.history_)
    np.testing.assert_array_equal(again.gene_norms_, small.gene_norms_)


def test_names_vectors_and_settings_come_back(tmp_path):
    short = DistilledSettings(n_trees=2, n_augmented=9, steps_of_teachers=1, steps_of_student=1)
    model = DistilledBottleneckRegressor(n_genes=4, distillation=short)
    model.set_params(random_state=np.random.RandomState(0))
    frame = pd.DataFrame(X, columns=list("abcdefghi"))
    model.fit(frame, X[:, 0])
    path = model.save(tmp_path / "m.safetensors")
    again = load_network(path)
    assert isinstance(again, DistilledBottleneckRegressor)
    assert again.distillation == short
    assert again.random_state is None
    turned = frame.iloc[:, ::-1] * 9
    np.testing.assert_array_equal(again.predict(turned), model.predict(turned))
    assert again.predict(turned).shape == (30,)
    with pytest.raises(ValueError, match="load it with sbnn.DistilledBottleneckRegressor.load"):
        SparseBottleneckRegressor.load(path)


def test_a_normalizer_comes_back(small, tmp_path):
    counts = pd.DataFrame(np.arange(1, 28).reshape(3, 9), columns=list("abcdefghi"))
    normalizer = CountNormalizer().fit(counts)
    named = pd.DataFrame(X, columns=counts.columns)
    model = SparseBottleneckRegressor(**small.get_params()).fit(named, X[:, :2])
    for saved_with in (normalizer, None):  # by default, that of the file
        model = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors", saved_with))
        found = model.normalizer_.transform(counts)
        np.testing.assert_array_equal(found, normalizer.transform(counts))
    assert SparseBottleneckRegressor.load(small.save(tmp_path / "n")).normalizer_ is None


def test_damaged_and_foreign_files_are_refused(small, tmp_path):
    path = small.save(tmp_path / "m.safetensors")
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    contents = [whole + b"\0", whole[:-1], whole[1:], b"", b"not a model", pickle.dumps({"a": 1})]
    for byte in [*range(0, header, 19), *range(header, len(whole), 61)]:
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << byte % 8
        contents.append(flipped)
    for content in contents:
        with pytest.raises(ValueError, match=REFUSED):
            read(path, content)
    with pytest.raises(FileNotFoundError):
        SparseBottleneckRegressor.load(tmp_path / "missing")


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("format", "sbnn-model-3", "format .* save it again"),
        ("shapes", [[4, 40_000], *[[40_000, 40_000]] * 4, [40_000, 2]], "weights"),
        ("shapes", [[4, 4], [4, 3], [3, 2], [2, 4], [4, 3], [3, 2]], "mirrors"),
        ("activation", "relu", "activation"),
        ("flat_output", True, "flat_output"),
        ("output_names", ["a"], "output_names"),
        ("feature_names_in", ["a"], "feature_names_in"),
        ("params", {"n_threads": 10**9}, "n_threads"),
        ("network", lambda t: t[:1], "weights"),  # broadcasts over all weights
        ("gene_network", lambda t: t[:1], "weights"),
        ("support_", lambda t: ~t, "support_"),
        ("y_mean_", lambda t: t[:1], "y_mean_"),
        ("x_mean_", lambda t: t[:1], "x_mean_"),
    ],
)
def test_entries_that_do_not_fit_are_refused(parts, entry, value, message, tmp_path):
    header, tensors = parts
    if callable(value):
        tensors = tensors | {entry: value(tensors[entry])}
    else:
        header = header | {entry: value}
    with pytest.raises(ValueError, match=f"{REFUSED}.*{message}"):
        read(tmp_path / "m.safetensors", sealed(header, tensors))


def test_files_of_version_1_with_gene_priors_can_be_read(small, tmp_path, monkeypatch):
    former = small.get_params() | {"gene_prior": None, "prior_influence": 0.5}
    monkeypatch.setattr("sbnn.models.bottleneck.persistence.params_of", lambda model: former)
    again = SparseBottleneckRegressor.load(small.save(tmp_path / "m.safetensors"))
    assert again.get_params() == small.get_params()
