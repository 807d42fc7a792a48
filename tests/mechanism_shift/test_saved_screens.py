"""Files of models of screens: what is saved comes back, and nothing else is read."""

import json
import pickle

import numpy as np
import pandas as pd
import pytest
from safetensors.torch import save
from short_recipes import SHORT_PUBLISHED, TINY

from sbnn import SparseBottleneckRegressor
from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.mechanism_shift.saving import FORMAT
from sbnn.models import tensor_files


@pytest.fixture(scope="module")
def small(adata):
    return SparseShiftVAE([2, 3], recipe=TINY, random_state=0).fit(adata)


def assert_same(model, again, counts, perturbation):
    np.testing.assert_array_equal(again.transform(counts), model.transform(counts))
    assert again.iwelbo(counts, perturbation, 3) == model.iwelbo(counts, perturbation, 3)
    pd.testing.assert_frame_equal(again.predict_counts(), model.predict_counts(), check_exact=True)
    for name in ("shift_graph_", "history_", "gene_effects_"):
        if hasattr(model, name):
            first, second = getattr(model, name), getattr(again, name)
            pd.testing.assert_frame_equal(second, first, check_exact=True)
    assert again.get_params() == model.get_params()
    assert vars(again).keys() == vars(model).keys()


def test_a_model_comes_back_with_the_same_bits(small, adata, tmp_path):
    again = SparseShiftVAE.load(small.save(tmp_path / "m.safetensors"))
    assert_same(small, again, adata, adata.obs["perturbation"])
    unmixing, first = again.unmixing_, small.unmixing_
    assert unmixing.graph.equals(first.graph) and unmixing.mixture == first.mixture
    assert (unmixing.unseparated, unmixing.unmoved) == (first.unseparated, first.unmoved)
    latents = np.ones((2, small.n_latent_))
    np.testing.assert_array_equal(unmixing.transform(latents), first.transform(latents))
    assert again.control_ == small.control_


@pytest.mark.parametrize("method", ["svae+", "svae", "ivae", "vae"])
def test_models_of_the_literature_and_new_perturbations_come_back(method, screen, tmp_path):
    model = SparseShiftVAE(3, method, recipe=[SHORT_PUBLISHED], random_state=0)
    model.fit(screen.counts, screen.perturbation)
    path = tmp_path / "m.safetensors"
    again = SparseShiftVAE.load(model.save(path))
    assert_same(model, again, screen.counts, screen.perturbation)
    cells = screen.counts[:30]
    more = model.fit_new_perturbations(cells, ["new"] * 30)
    of_loaded = again.fit_new_perturbations(cells, ["new"] * 30)
    assert_same(more, of_loaded, cells, ["new"] * 30)
    assert_same(more, SparseShiftVAE.load(more.save(path)), cells, ["new"] * 30)


def test_damaged_and_foreign_files_are_refused(small, tmp_path):
    path = small.save(tmp_path / "m.safetensors")
    whole = path.read_bytes()
    contents = [whole[:-1], whole + b"\0", b"", b"text", pickle.dumps({"a": 1})]
    for byte in range(0, len(whole), len(whole) // 50):
        flipped = bytearray(whole)
        flipped[byte] ^= 1
        contents.append(flipped)
    for content in contents:
        path.write_bytes(content)
        with pytest.raises(ValueError, match="m.safetensors is not a model of a screen"):
            SparseShiftVAE.load(path)
    with pytest.raises(FileNotFoundError):
        SparseShiftVAE.load(tmp_path / "missing")


def test_files_of_networks_and_of_screens_are_told_apart(small, tmp_path):
    x = np.random.default_rng(0).normal(size=(30, 9))
    network = SparseBottleneckRegressor(n_genes=4, epochs=(1, 1, 1, 1), pretraining=False)
    path = network.fit(x, x[:, :2]).save(tmp_path / "network")
    with pytest.raises(ValueError, match=f"expected the format {FORMAT}, got sbnn-model"):
        SparseShiftVAE.load(path)
    with pytest.raises(ValueError, match=f"expected the format sbnn-model-., got {FORMAT}"):
        SparseBottleneckRegressor.load(small.save(tmp_path / "screen"))


@pytest.mark.parametrize(
    ("entry", "value", "message"),
    [
        ("n_latent_", 10**6, "size mismatch"),
        ("n_features_in_", 10**6, "expected 1000000"),
        ("perturbations_", ["a"], "direct_"),
        ("params", {"method": "other", "recipe": None}, "method"),
        ("recipe_", {"hidden": "many"}, "not a model"),
        ("tables", {"fit": {}}, "unknown table"),
    ],
)
def test_entries_that_do_not_fit_are_refused(small, entry, value, message, tmp_path):
    path = small.save(tmp_path / "m.safetensors")
    header, tensors = tensor_files.read_tensors(path.read_bytes(), FORMAT)
    header |= {"sha256": tensor_files.UNSET, entry: value}
    path.write_bytes(tensor_files.sealed(save(tensors, {"sbnn": json.dumps(header)})))
    with pytest.raises(ValueError, match=message):
        SparseShiftVAE.load(path)
