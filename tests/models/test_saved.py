"""Model files: what is saved comes back, and nothing else does."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    SparseBottleneckRegressor,
)
from sbnn.models import saved

X = np.random.default_rng(0).normal(size=(30, 9))
NAMED = pd.DataFrame(X, columns=list("abcdefghi"))
PUBLISHED = SparseBottleneckRegressor(n_genes=4, hidden_layers=(4, 3), epochs=(1, 1, 1, 1))
PUBLISHED.set_params(pretraining=False, reconstruct=True, random_state=0)
SHORT = DistilledSettings(n_trees=2, n_augmented=9, steps_of_teachers=1, steps_of_student=1)
DISTILLED = DistilledBottleneckRegressor(n_genes=4, reconstruct=True, distillation=SHORT)


@pytest.mark.parametrize(("model", "Y"), [(PUBLISHED, X[:, :2]), (DISTILLED, X[:, 0])])
def test_a_model_comes_back(model, Y, tmp_path):
    model = clone(model).fit(NAMED, Y)
    counts = NAMED.abs() + 1
    normalizer = CountNormalizer().fit(counts)
    again = type(model).load(model.save(tmp_path / "m.safetensors", normalizer))
    again = type(model).load(again.save(tmp_path / "m.safetensors"))  # with the same, by default
    new = 9 * NAMED.iloc[:, ::-1]
    for method in ("predict", "transform", "reconstruct_genes"):
        np.testing.assert_array_equal(getattr(again, method)(new), getattr(model, method)(new))
    assert again.predict(new).shape == Y.shape
    assert again.get_params() == model.get_params()
    pd.testing.assert_frame_equal(again.history_, model.history_)
    for name in ("feature_names_in_", "output_names_", "gene_norms_"):
        np.testing.assert_array_equal(getattr(again, name), getattr(model, name))
    found = again.normalizer_.transform(counts)
    np.testing.assert_array_equal(found, normalizer.transform(counts))


def test_damaged_and_foreign_files_are_refused(tmp_path, monkeypatch):
    model = clone(PUBLISHED).set_params(random_state=np.random.RandomState(0))
    model.set_params(hidden_layers=np.array([4, 3])).fit(X, X[:, :2])
    path = model.save(tmp_path / "m.safetensors")
    again = SparseBottleneckRegressor.load(path)
    assert again.random_state is None and again.hidden_layers == (4, 3)
    assert again.normalizer_ is None
    with pytest.raises(ValueError, match="load it with sbnn.SparseBottleneckRegressor.load"):
        DistilledBottleneckRegressor.load(path)
    whole = path.read_bytes()
    contents = [whole + b"\0", whole[:-1], pickle.dumps({"a": 1})]
    for byte in range(0, len(whole), 37):
        contents.append(whole[:byte] + bytes([whole[byte] ^ 1]) + whole[byte + 1 :])
    monkeypatch.setattr(saved, "FORMAT", "sbnn-model-3")
    contents.append(model.save(path).read_bytes())
    monkeypatch.undo()
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="m.safetensors is not an sbnn model"):
            SparseBottleneckRegressor.load(path)
