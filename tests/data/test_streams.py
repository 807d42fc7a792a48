"""Cells that are read block by block from files, and files that change meanwhile."""

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

from sbnn import ExpressionStream

SOURCES = ["memmap", "npy", "csr", "csc", "backed csr", "backed dense", "h5py", "zarr", "array"]


def open_as(kind, values, folder):
    """Values as something that a stream reads."""
    if kind == "memmap":
        np.asarray(values, dtype="int32").tofile(folder / "values.bin")
        return np.memmap(folder / "values.bin", dtype="int32", mode="r", shape=values.shape)
    if kind == "npy":
        np.save(folder / "values.npy", values)
        return np.load(folder / "values.npy", mmap_mode="r")
    if kind.startswith("backed"):
        matrix = values.astype(float) if kind.endswith("dense") else sparse.csr_matrix(values)
        anndata.AnnData(matrix).write_h5ad(folder / "values.h5ad")
        return anndata.read_h5ad(folder / "values.h5ad", backed="r")
    if kind == "h5py":
        with h5py.File(folder / "values.h5", "w") as file:
            file["values"] = values
        return h5py.File(folder / "values.h5")["values"]
    if kind == "zarr":
        zarr.save_array(folder / "values.zarr", np.asarray(values))
        return zarr.open_array(folder / "values.zarr", mode="r")
    return {"csr": sparse.csr_matrix, "csc": sparse.csc_matrix, "array": np.asarray}[kind](values)


@pytest.mark.parametrize("kind", SOURCES)
def test_every_source_gives_the_same_values(kind, data, tmp_path):
    stream = ExpressionStream(open_as(kind, data.counts, tmp_path), block_size=7)
    expected = data.counts.astype(float)
    assert len(stream) == 120
    assert stream.shape == (120, 40)
    np.testing.assert_array_equal(stream.rows(slice(5, 30)), expected[5:30])
    np.testing.assert_array_equal(stream.rows(np.array([1, 4, 100])), expected[[1, 4, 100]])
    np.testing.assert_array_equal(stream.rows(slice(0, 3), [7, 2]), expected[:3, [7, 2]])
    np.testing.assert_array_equal(stream.columns(np.array([3, 17])), expected[:, [3, 17]])
    order = np.roll(np.arange(40), 3)
    twice = stream.with_genes(order).with_genes(order[:9])
    assert twice.shape == (120, 9)
    np.testing.assert_array_equal(twice.columns(np.arange(9)), expected[:, order[order[:9]]])
    np.testing.assert_array_equal(twice.rows(slice(2, 4), [8]), expected[2:4, order[order[[8]]]])


def test_names_come_from_the_source_or_the_arguments():
    table = pd.DataFrame(np.eye(2, 3), ["x", "y"], ["a", "b", "c"])
    stream = ExpressionStream(table)
    assert stream.gene_names.tolist() == ["a", "b", "c"]
    assert stream.cell_names.tolist() == ["x", "y"]
    assert stream.with_genes(np.array([2, 0])).gene_names.tolist() == ["c", "a"]
    stream = ExpressionStream(table, ["d", "e", "f"], cell_names=["v", "w"])
    assert stream.gene_names.tolist() == ["d", "e", "f"]
    assert stream.cell_names.tolist() == ["v", "w"]
    assert ExpressionStream(np.eye(2)).gene_names is None


def test_blocks_have_the_given_size_or_a_bounded_number_of_values():
    stream = ExpressionStream(np.ones((5, 3)), block_size=2)
    assert list(stream.blocks()) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    wide = np.broadcast_to(np.float32(0), (3, 2**21))
    assert list(ExpressionStream(wide).blocks()) == [slice(0, 2), slice(2, 3)]
    wider = np.broadcast_to(np.float32(0), (2, 2**23))
    assert list(ExpressionStream(wider).blocks()) == [slice(0, 1), slice(1, 2)]


def test_bad_streams(data, adata, tmp_path):
    anndata.AnnData(sparse.csc_matrix(data.counts)).write_h5ad(tmp_path / "csc.h5ad")
    csc = anndata.read_h5ad(tmp_path / "csc.h5ad", backed="r")
    for source in ("x.bin", mudata.MuData({"rna": adata}), np.zeros((0, 5)), np.zeros(5), csc):
        with pytest.raises(ValueError, match="source: expected"):
            ExpressionStream(source)
    for name, value in (
        ("gene_names", ["a", "b"]),
        ("gene_names", ["a"] * 40),
        ("cell_names", ["a", "b"]),
        ("totals", [1.0]),
    ):
        with pytest.raises(ValueError, match=f"{name}: "):
            ExpressionStream(data.X, **{name: value})
    with pytest.raises(ValueError, match="block_size"):
        ExpressionStream(data.X, block_size=0)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_values_that_are_not_finite_name_their_cells(convert, data):
    X = data.X.copy()
    X[3, 2] = np.nan
    X[77, 5] = np.inf
    stream = ExpressionStream(convert(X), cell_names=data.cell_names)
    with pytest.raises(ValueError, match="in 2 cells: cell004, cell078$"):
        stream.rows(np.array([2, 3, 77]))
    stream.rows(np.array([2, 4]))


def test_a_closed_file_is_named(data, tmp_path):
    opened = open_as("h5py", data.X, tmp_path)
    stream = ExpressionStream(opened)
    opened.file.close()
    with pytest.raises(OSError, match="source: cannot read"):
        stream.rows(slice(0, 5))


FILES = {
    "memmap": "values.bin",
    "backed csr": "values.h5ad",
    "backed dense": "values.h5ad",
    "h5py": "values.h5",
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
    stream = ExpressionStream(open_as(kind, data.counts, tmp_path), block_size=50)
    path = tmp_path / FILES[kind]
    os.utime(path, (0, 0))  # a test is faster than the clock of some file systems
    stream._state = stream._file_state()
    stream.columns(np.array([1]))
    harm(path)
    with pytest.raises(OSError, match=f"{path}.*replaced or modified"):
        stream.columns(np.array([1]))
    with pytest.raises(OSError, match=f"{path}.*replaced or modified"):
        stream.rows(np.array([2, 3]))


def test_a_part_of_a_mapped_file_is_guarded_like_the_whole(data, tmp_path):
    """Beyond the end of a mapped file lies a signal that kills the process, not an exception."""
    path = tmp_path / "values.bin"
    np.concatenate([[7] * 5000, data.counts.ravel()]).astype("int32").tofile(path)
    mapped = np.memmap(path, "int32", "r", offset=20_000, shape=data.counts.shape)
    stream = ExpressionStream(np.asarray(mapped[100:]))
    np.testing.assert_array_equal(stream.columns(np.arange(40)), data.counts[100:])
    os.truncate(path, 16_384)
    with pytest.raises(OSError, match=r"source: the file .*values.bin was .*replaced"):
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
        before = resident()
        stream = ExpressionStream(part, block_size=200)
        stream.columns(np.array([1]))
        assert resident() - before < 2**24
