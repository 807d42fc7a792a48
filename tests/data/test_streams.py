"""Cells that are read block by block from files, and files that change meanwhile."""

import os
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import zarr
from scipy import sparse

from sbnn import ExpressionStream

FILES = ["values.npy", "csr.h5ad", "dense.h5ad", "values.h5", "values.zarr", "csc"]


def opened(name, values, folder):
    """Values in a file of this name, as something that a stream reads."""
    path = folder / name
    if name == "csc":
        return sparse.csc_matrix(values)
    if path.suffix == ".npy":
        np.save(path, values)
        return np.load(path, mmap_mode="r")
    if path.suffix == ".h5ad":
        values = values.astype(float)
        anndata.AnnData(sparse.csr_matrix(values) if name[0] == "c" else values).write_h5ad(path)
        return anndata.read_h5ad(path, backed="r")
    if path.suffix == ".h5":
        with h5py.File(path, "w") as file:
            file["values"] = values
        return h5py.File(path)["values"]
    zarr.save_array(path, np.asarray(values))
    return zarr.open_array(path, mode="r")


@pytest.mark.parametrize("name", FILES)
def test_every_source_gives_the_same_values(name, data, tmp_path):
    counts = np.vstack([data.counts] * 3)  # more cells than are read at once from a mapped file
    stream = ExpressionStream(opened(name, counts, tmp_path), block_size=7)
    assert (len(stream), stream.shape) == (360, (360, 40))
    assert [*stream.blocks()][-1] == slice(357, 360)
    assert stream.rows().dtype == np.float64
    np.testing.assert_array_equal(stream, counts)
    cells = np.delete(np.arange(360), 3)
    np.testing.assert_array_equal(stream.rows(cells), counts[cells])
    np.testing.assert_array_equal(stream.columns(np.array([3, 17])), counts[:, [3, 17]])
    order = np.roll(np.arange(40), 3)
    twice = stream.with_genes(order).with_genes(order[:9])
    assert twice.shape == (360, 9)
    genes = order[order[:9]]  # of the two choices together
    np.testing.assert_array_equal(twice.columns(np.arange(9)), counts[:, genes])
    np.testing.assert_array_equal(twice.rows(slice(2, 4), [8]), counts[2:4, genes[[8]]])


def test_names_come_from_the_source_or_the_arguments():
    table = pd.DataFrame(np.eye(2, 3), list("xy"), list("abc"))
    stream = ExpressionStream(table)
    assert stream.cell_names.tolist() == ["x", "y"]
    assert stream.with_genes(np.array([2, 0])).gene_names.tolist() == ["c", "a"]
    stream = ExpressionStream(table, list("def"), cell_names=list("vw"))
    assert [*stream.gene_names, *stream.cell_names] == [*"defvw"]


def test_blocks_have_a_bounded_number_of_values():
    for n_genes, size in ((2**21, 2), (2**23, 1)):
        wide = np.broadcast_to(np.float32(0), (3, n_genes))
        assert next(ExpressionStream(wide).blocks()) == slice(0, size)


def test_what_is_no_stream_of_cells_is_refused(data, tmp_path):
    anndata.AnnData(sparse.csc_matrix(data.counts)).write_h5ad(tmp_path / "csc.h5ad")
    csc = anndata.read_h5ad(tmp_path / "csc.h5ad", backed="r")
    for source in ("x.bin", np.zeros((0, 5)), np.zeros(5), csc):
        with pytest.raises(ValueError, match="source: expected"):
            ExpressionStream(source)
    for name in ("gene_names", "cell_names", "totals"):
        with pytest.raises(ValueError, match=name):
            ExpressionStream(data.X, **{name: [1, 2]})


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_values_that_are_not_finite_name_their_cells(convert, data):
    X = data.X.copy()
    X[[3, 77], [2, 5]] = np.nan, np.inf
    stream = ExpressionStream(convert(X), cell_names=data.cell_names)
    with pytest.raises(ValueError, match="in 2 cells: cell004, cell078$"):
        stream.rows(np.array([2, 3, 77]))
    stream.rows(np.array([2, 4]))


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


@pytest.mark.parametrize(
    ("name", "harm"),
    list(zip(FILES[:4], [os.unlink, cut, replace, write_into], strict=True)),
)
def test_a_file_that_is_not_what_it_was_is_named(name, harm, data, tmp_path):
    path = tmp_path / name
    matrix = opened(name, data.counts, tmp_path)
    os.utime(path, (0, 0))  # a test is faster than the clock of some file systems
    stream = ExpressionStream(matrix, block_size=50)
    stream.columns(np.array([1]))
    blocks = stream.blocks()
    for _ in range(3):
        next(blocks)
    harm(path)
    for read in (lambda: next(blocks), stream.rows):
        with pytest.raises(OSError, match=f"{path}.*replaced or modified"):
            read()


def test_a_closed_file_is_named(data, tmp_path):
    matrix = opened("values.h5", data.X, tmp_path)
    stream = ExpressionStream(matrix)
    matrix.file.close()
    with pytest.raises(OSError, match="source: cannot read"):
        stream.rows(slice(0, 5))


def resident():
    """Bytes in memory now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(
    not Path("/proc/self/statm").exists(), reason="memory in use is known on Linux alone"
)
def test_what_was_read_of_a_mapped_file_does_not_stay_in_memory(tmp_path):
    np.zeros((8000, 2000), "f4").tofile(tmp_path / "x.bin")  # 64 MB
    part = np.asarray(np.memmap(tmp_path / "x.bin", "f4", "r", shape=(8000, 2000)))
    stream = ExpressionStream(part, block_size=200)
    before = resident()
    stream.columns(np.array([1]))
    for start in range(0, 8000, 400):
        stream.rows(np.arange(start, start + 400), [1])
    assert resident() - before < 2**24
    os.truncate(tmp_path / "x.bin", 2**20)  # reading beyond the end would kill the process
    with pytest.raises(OSError, match="source: the file .*x.bin was .*replaced"):
        stream.rows()
