"""Model files: what is saved comes back, and nothing else does."""

import pickle

import numpy as np
import pandas as pd
import pytest

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    SparseBottleneckRegressor,
)
from sbnn.models.bottleneck import saved

REFUSED = "m.safetensors is not an sbnn model"
X, NEW = np.random.default_rng(0).normal(size=(2, 30, 9))


@pytest.fixture(scope="module")
def small():
    """Fitted to 30 cells x 9 genes -> 2 outputs."""
    model = SparseBottleneckRegressor(n_genes=4, hidden_layers=(4, 3), epochs=(1, 1, 1, 1))
    model.set_params(pretraining=False, reconstruct=True, random_state=0)
    return model.fit(X, X[:, :2])


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
    again = DistilledBottleneckRegressor.load(path)
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


def test_a_file_of_another_format_is_to_be_saved_again(small, tmp_path, monkeypatch):
    monkeypatch.setattr(saved, "FORMAT", "sbnn-model-3")
    path = small.save(tmp_path / "m.safetensors")
    monkeypatch.undo()
    with pytest.raises(ValueError, match=f"{REFUSED}.*format .* save it again"):
        SparseBottleneckRegressor.load(path)


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
