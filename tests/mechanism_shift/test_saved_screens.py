"""Files of models of screens: what is saved comes back, and nothing else is read."""

import numpy as np
import pandas as pd
import pytest

from sbnn.mechanism_shift import SparseShiftVAE
from sbnn.store import read, write


@pytest.fixture(scope="module")
def small(adata):
    return SparseShiftVAE(3, hidden=8, epochs=2, random_state=0).fit(adata)


def assert_same(model, again, counts, perturbation):
    np.testing.assert_array_equal(again.transform(counts), model.transform(counts))
    assert again.iwelbo(counts, perturbation, 3) == model.iwelbo(counts, perturbation, 3)
    for name in ("shift_graph_", "history_", "gene_effects_"):
        if hasattr(model, name):
            first, second = getattr(model, name), getattr(again, name)
            pd.testing.assert_frame_equal(second, first, check_exact=True)
    assert again.get_params() == model.get_params()
    assert vars(again).keys() == vars(model).keys()


def test_a_model_comes_back_with_the_same_bits(small, adata, tmp_path):
    again = SparseShiftVAE.load(small.save(tmp_path / "model"))
    assert_same(small, again, adata, adata.obs["perturbation"])
    unmixing, first = again.unmixing_, small.unmixing_
    assert unmixing.graph.equals(first.graph)
    np.testing.assert_array_equal(unmixing.edges, first.edges)
    assert again.control_ == small.control_


@pytest.mark.parametrize(("method", "training"), [("svae", "published"), ("ivae", "one-cycle")])
def test_models_with_new_perturbations_come_back(method, training, screen, tmp_path):
    model = SparseShiftVAE(3, method, training, hidden=8, epochs=1, random_state=0)
    model.fit(screen.counts, screen.perturbation)
    path = tmp_path / "model"
    again = SparseShiftVAE.load(model.save(path))
    assert_same(model, again, screen.counts, screen.perturbation)
    cells = screen.counts[:30]
    more = model.fit_new_perturbations(cells, ["new"] * 30)
    assert_same(more, again.fit_new_perturbations(cells, ["new"] * 30), cells, ["new"] * 30)
    assert_same(more, SparseShiftVAE.load(more.save(path)), cells, ["new"] * 30)


def test_damaged_and_other_files_are_refused(small, tmp_path):
    path = small.save(tmp_path / "model")
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 1
    for content in (whole[:-1], b"text", flipped):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="model is not a record that"):
            SparseShiftVAE.load(path)
    values = read(small.save(path), dict)
    for name, value in (("format", "other"), ("method", "other"), ("n_features_in_", 9)):
        write(values | {name: value}, path)
        with pytest.raises(ValueError, match="not a model|method|size mismatch"):
            SparseShiftVAE.load(path)
