import anndata
import numpy as np
import pytest
from scipy import sparse

from sbnn import ExpressionStream, SparseBottleneckRegressor
from sbnn.preprocessing import log2p1, normalize_library_size
from sbnn.protocols import distilled


@pytest.fixture(autouse=True)
def short(monkeypatch):
    """Train for a moment only."""
    monkeypatch.setattr(distilled, "N_TREES", 10)
    for name in ("STEPS_TO_CHOOSE_NOISE", "STEPS_OF_TEACHERS", "STEPS_OF_STUDENT"):
        monkeypatch.setattr(distilled, name, 20)


@pytest.fixture(params=["memmap", "csr", "backed", "array"])
def source(request, data, tmp_path):
    counts = data.counts
    if request.param == "memmap":
        file = np.memmap(tmp_path / "counts.bin", dtype="int32", mode="w+", shape=counts.shape)
        file[:] = counts
        file.flush()
        return np.memmap(tmp_path / "counts.bin", dtype="int32", mode="r", shape=counts.shape)
    if request.param == "csr":
        return sparse.csr_matrix(counts)
    if request.param == "backed":
        anndata.AnnData(sparse.csr_matrix(counts)).write_h5ad(tmp_path / "counts.h5ad")
        return anndata.read_h5ad(tmp_path / "counts.h5ad", backed="r").X
    return counts


def test_blocks_are_normalised_like_the_whole(source, data):
    stream = ExpressionStream(source, counts=True, block_size=7)
    expected = log2p1(normalize_library_size(data.counts))
    np.testing.assert_allclose(stream.rows(slice(5, 30)), expected[5:30], rtol=1e-5)
    np.testing.assert_allclose(stream.rows(np.array([1, 4, 100])), expected[[1, 4, 100]], rtol=1e-5)
    np.testing.assert_allclose(stream.columns(np.array([3, 17])), expected[:, [3, 17]], rtol=1e-5)
    assert stream.library_size == np.median(data.counts.sum(1)) and len(stream) == 120


def test_a_model_of_a_stream_is_one_of_the_whole(source, data):
    stream = ExpressionStream(source, data.gene_names, counts=True, block_size=50)
    model = SparseBottleneckRegressor(protocol="distilled", n_genes=8, random_state=0).fit(stream, data.Y)
    X = log2p1(normalize_library_size(data.counts))
    whole = SparseBottleneckRegressor(protocol="distilled", n_genes=8, random_state=0).fit(X, data.Y)
    np.testing.assert_array_equal(model.get_support(), whole.get_support())
    assert set(model.get_feature_names_out()) <= set(data.gene_names)
    assert model.gene_norms_.shape == (40,)
    np.testing.assert_allclose(model.predict(stream), model.predict(_named(X, data)), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(model.transform(stream), model.transform(_named(X, data)), rtol=1e-4, atol=1e-4)
    assert model.score(stream, data.Y) == pytest.approx(model.score(_named(X, data), data.Y), abs=1e-4)


def _named(X, data):
    import pandas as pd

    return pd.DataFrame(X, data.cell_names, data.gene_names)


def test_a_model_of_a_stream_can_be_saved(data, tmp_path):
    stream = ExpressionStream(data.X, data.gene_names)
    model = SparseBottleneckRegressor(protocol="distilled", n_genes=8, random_state=0).fit(stream, data.Y)
    again = SparseBottleneckRegressor.load(model.save(tmp_path / "m.safetensors"))
    np.testing.assert_array_equal(again.predict(stream), model.predict(stream))


def test_only_the_chosen_genes_of_all_cells_are_held(data, monkeypatch):
    """What a pass hands on is what was asked for: some cells with all genes, or all cells with some genes."""
    largest = []
    rows = ExpressionStream.rows

    def watched(self, cells):
        block = rows(self, cells)
        largest.append(len(block))
        return block

    monkeypatch.setattr(ExpressionStream, "rows", watched)
    monkeypatch.setattr(distilled, "MOST_CELLS", 30)
    stream = ExpressionStream(data.X, block_size=10)
    model = SparseBottleneckRegressor(protocol="distilled", n_genes=4, random_state=0).fit(stream, data.Y)
    assert max(largest) == 30 and model.predict(stream).shape == data.Y.shape


def test_bad_streams(data):
    with pytest.raises(ValueError, match="source: expected at least one cell"):
        ExpressionStream(np.zeros((0, 5)))
    with pytest.raises(ValueError, match="gene_names: expected 40 names, got 2"):
        ExpressionStream(data.X, ["a", "b"])
    X = data.X.copy()
    X[[3, 77], 2] = np.nan
    with pytest.raises(ValueError, match=r"2 cell.s. hold NaN or infinite values, first at the positions \[3, 77\]"):
        ExpressionStream(X).columns(np.array([1]))
    counts = data.counts.copy()
    counts[5] = 0
    with pytest.raises(ValueError, match="cells have no counts"):
        ExpressionStream(counts, counts=True).columns(np.array([1]))
    model = SparseBottleneckRegressor(protocol="distilled", n_genes=4, random_state=0)
    with pytest.raises(ValueError, match="y: expected 120 rows"):
        model.fit(ExpressionStream(data.X), data.Y[:-1])
    with pytest.raises(ValueError, match='a stream needs "distilled"'):
        SparseBottleneckRegressor(n_genes=4).fit(ExpressionStream(data.X), data.Y)
    model.fit(ExpressionStream(data.X), data.Y)
    with pytest.raises(ValueError, match="X: expected 40 genes, got 39"):
        model.predict(ExpressionStream(data.X[:, 1:]))
