import os
from pathlib import Path

import anndata
import h5py
import mudata
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from sbnn import DistilledBottleneckRegressor, DistilledSettings, ExpressionStream
from sbnn.data.preprocessing import log2p1, normalize_library_size, shares_of_genes

# trains for a moment only
SHORT = DistilledSettings(n_trees=5, steps_of_teachers=5, steps_of_student=5)


def short():
    return DistilledBottleneckRegressor(n_genes=8, random_state=0, distillation=SHORT)


SOURCES = ["memmap", "npy", "csr", "csc", "backed csr", "backed dense", "h5py", "zarr", "array"]


def open_as(kind, counts, folder):
    """Counts as something that a stream reads."""
    if kind == "memmap":
        np.asarray(counts, dtype="int32").tofile(folder / "counts.bin")
        return np.memmap(folder / "counts.bin", dtype="int32", mode="r", shape=counts.shape)
    if kind == "npy":
        np.save(folder / "counts.npy", counts)
        return np.load(folder / "counts.npy", mmap_mode="r")
    if kind.startswith("backed"):
        matrix = counts.astype(float) if kind.endswith("dense") else sparse.csr_matrix(counts)
        anndata.AnnData(matrix).write_h5ad(folder / "counts.h5ad")
        return anndata.read_h5ad(folder / "counts.h5ad", backed="r")
    if kind == "h5py":
        with h5py.File(folder / "counts.h5", "w") as file:
            file["counts"] = counts
        return h5py.File(folder / "counts.h5")["counts"]
    if kind == "zarr":
        zarr.save_array(folder / "counts.zarr", np.asarray(counts))
        return zarr.open_array(folder / "counts.zarr", mode="r")
    return {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "array": np.asarray}[kind](counts)


@pytest.mark.parametrize("kind", SOURCES)
def test_blocks_are_normalised_like_the_whole(kind, data, tmp_path):
    stream = ExpressionStream(open_as(kind, data.counts, tmp_path), counts=True, block_size=7)
    expected = log2p1(normalize_library_size(data.counts))
    np.testing.assert_allclose(stream.rows(slice(5, 30)), expected[5:30], rtol=1e-5)
    np.testing.assert_allclose(stream.rows(np.array([1, 4, 100])), expected[[1, 4, 100]], rtol=1e-5)
    np.testing.assert_allclose(stream.columns(np.array([3, 17])), expected[:, [3, 17]], rtol=1e-5)
    order = np.roll(np.arange(40), 3)
    twice = stream.as_fitted(order, stream.library_size).as_fitted(order, stream.library_size)
    np.testing.assert_allclose(twice.columns(np.arange(40)), expected[:, order[order]], rtol=1e-5)
    assert stream.library_size == np.median(data.counts.sum(1)) and len(stream) == 120
    np.testing.assert_allclose(stream.count_share, shares_of_genes(data.counts), rtol=1e-6)


@pytest.mark.parametrize("kind", ["memmap", "backed csr"])
def test_a_model_of_a_stream_is_one_of_the_whole(kind, data, tmp_path):
    stream = ExpressionStream(
        open_as(kind, data.counts, tmp_path), data.gene_names, counts=True, block_size=50
    )
    model = short().fit(stream, data.Y)
    X = pd.DataFrame(log2p1(normalize_library_size(data.counts)), data.cell_names, data.gene_names)
    np.testing.assert_array_equal(
        model.get_support(), short().fit(X.to_numpy(), data.Y).get_support()
    )
    assert set(model.get_feature_names_out()) <= set(data.gene_names)
    assert model.gene_norms_.shape == (40,)
    for predict in (model.predict, model.transform, lambda cells: model.score(cells, data.Y)):
        np.testing.assert_allclose(predict(stream), predict(X), rtol=1e-4, atol=1e-4)


def test_bad_streams(data, adata, tmp_path):
    anndata.AnnData(sparse.csc_matrix(data.counts)).write_h5ad(tmp_path / "csc.h5ad")
    csc = anndata.read_h5ad(tmp_path / "csc.h5ad", backed="r")
    for source in ("counts.bin", mudata.MuData({"rna": adata}), np.zeros((0, 5)), np.zeros(5), csc):
        with pytest.raises(ValueError, match="source: expected"):
            ExpressionStream(source)
    for options, name in (
        ({"gene_names": ["a", "b"]}, "gene_names"),
        ({"gene_names": ["a"] * 40}, "gene_names"),
        ({"cell_names": ["a", "b"]}, "cell_names"),
        ({"totals": [1.0]}, "totals"),
    ):
        with pytest.raises(ValueError, match=f"{name}: expected"):
            ExpressionStream(data.X, **options)
    X = data.X.copy()
    X[[3, 77], 2] = np.nan
    with pytest.raises(
        ValueError, match=r"NaN or infinite values in cells \[3, 77\] .positions; 2 in all"
    ):
        ExpressionStream(X).rows(np.array([2, 3, 77]))
    opened = open_as("h5py", data.X, tmp_path)
    stream = ExpressionStream(opened)
    opened.file.close()
    with pytest.raises(OSError, match="source: cannot read"):
        stream.rows(slice(0, 5))


FILES = {
    "memmap": "counts.bin",
    "backed csr": "counts.h5ad",
    "backed dense": "counts.h5ad",
    "h5py": "counts.h5",
}


def cut(path):
    os.truncate(path, path.stat().st_size // 2)


def replace(path):
    other = path.with_name("other")
    other.write_bytes(path.read_bytes())
    os.replace(other, path)


def write_into(path):
    with open(path, "r+b") as file:
        file.seek(-8, os.SEEK_END)
        file.write(b"\xff" * 4)


@pytest.mark.parametrize("harm", [os.unlink, cut, replace, write_into])
@pytest.mark.parametrize("kind", FILES)
def test_a_file_that_is_not_what_it_was_is_named(kind, harm, data, tmp_path):
    stream = ExpressionStream(open_as(kind, data.counts, tmp_path), counts=True, block_size=50)
    path = tmp_path / FILES[kind]
    os.utime(path, (0, 0))  # a test is faster than the clock of some file systems
    stream._state = stream._file_state()
    stream.columns(np.array([1]))
    harm(path)
    for read in (lambda: stream.columns(np.array([1])), lambda: stream.rows(np.array([2, 3]))):
        with pytest.raises(OSError, match="replaced or modified") as caught:
            read()
        assert str(path) in str(caught.value)


def test_a_part_of_a_mapped_file_is_guarded_like_the_whole(data, tmp_path):
    """Beyond the end of a mapped file lies a signal that kills the process, not an exception."""
    np.concatenate([[7] * 5000, data.counts.ravel()]).astype("int32").tofile(
        tmp_path / "counts.bin"
    )
    mapped = np.memmap(
        tmp_path / "counts.bin", "int32", "r", offset=20_000, shape=data.counts.shape
    )
    part = np.asarray(mapped[100:])
    with pytest.warns(UserWarning, match="looks like raw counts"):
        stream = ExpressionStream(part)
    np.testing.assert_array_equal(stream.columns(np.arange(40)), data.counts[100:])
    os.truncate(tmp_path / "counts.bin", 16_384)
    with pytest.raises(OSError, match=r"source: the file .*counts.bin was .*replaced"):
        stream.columns(np.arange(40))


def resident():
    """Bytes in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory in use is known on Linux alone"
)
def test_what_was_read_of_a_mapped_file_does_not_stay_in_memory(tmp_path):
    np.zeros((8000, 2000), "f4").tofile(tmp_path / "x.bin")  # 64 MB
    source = np.memmap(tmp_path / "x.bin", "f4", "r", shape=(8000, 2000))
    for part in (source, np.asarray(source)):
        before, stream = resident(), ExpressionStream(part, block_size=200)
        stream.columns(np.array([1]))
        assert resident() - before < 2**24
