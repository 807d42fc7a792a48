"""Own tables: matched by exact names, or refused; what was understood is shown."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sbnn.data.counts import BEYOND_LOG
from sbnn.data.paired import as_paired
from sbnn.own_data.tables import read_tables
from sbnn.own_data.values import values_table

RNG = np.random.default_rng(0)
CELLS = [f"c{i}" for i in range(12)]
COUNTS = pd.DataFrame(RNG.poisson(3, (12, 6)) + [[1]], CELLS, ["A1", "B2", "NA", "D", "E", "F"])
OUTPUTS = pd.DataFrame(RNG.normal(-60, 5, (12, 2)), CELLS, ["Vrest", "Rin"])
LABELS = pd.DataFrame({"type": list("aabb") * 3, "donor": list("xyz") * 4}, CELLS)


# --- what is read


def test_counts_become_logarithms():
    data = as_paired(read_tables(COUNTS, OUTPUTS))
    totals = COUNTS.sum(axis=1)
    logs = np.log2(COUNTS.div(totals, axis=0) * totals.median() + 1)
    np.testing.assert_allclose(data.X, logs, rtol=1e-5)
    assert data.library_size == totals.median()


@pytest.mark.filterwarnings("ignore:3 of 12 cells have no family")
def test_labels_are_matched_by_name():
    with pytest.warns(UserWarning, match="3 of 12 cells have no type"):
        adata = read_tables(COUNTS, OUTPUTS, LABELS[:2:-1])
    assert adata.obs["type"].tolist() == ["unknown"] * 3 + LABELS["type"].tolist()[3:]
    assert adata.obs["donor"].iloc[3:].tolist() == LABELS["donor"].tolist()[3:]


def write(table, path):
    if path.suffix.lower() == ".xlsx":
        table.to_excel(path, engine="openpyxl")
    else:
        table.to_csv(path, sep="\t" if path.suffix == ".tsv" else ",")


@pytest.mark.parametrize("ending", ["csv", "tsv", "xlsx"])
def test_names_and_labels_of_files_are_text(ending, tmp_path):
    cells = [f"{i:03}" for i in range(11)] + ["1"]
    donors = ["01", "1", "1.1", "1.10", "1E1", "10", "123456789012345678", "123456789012345679"]
    labels = pd.DataFrame({"donor": [*donors, None, "True", "1", "01"]}, cells)
    labels["batch"] = ["01", "1"] * 6  # nothing but numbers
    write(labels, tmp_path / f"labels.{ending}")
    write(COUNTS.set_axis(cells), tmp_path / f"counts.{ending}")
    found = read_tables(
        tmp_path / f"counts.{ending}", OUTPUTS.set_axis(cells), tmp_path / f"labels.{ending}"
    )
    assert found.obs_names.tolist() == cells
    for column in labels:
        expected = labels[column].fillna("missing").tolist()
        assert found.obs[column].fillna("missing").tolist() == expected


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "XLSX"])
@pytest.mark.parametrize("counts", [COUNTS, COUNTS.T], ids=["cells in rows", "genes in rows"])
@pytest.mark.parametrize("outputs", [OUTPUTS, OUTPUTS.T], ids=["", "outputs in rows"])
def test_files_of_any_kind_and_orientation_are_the_same_cells(tmp_path, ending, counts, outputs):
    counts_path = tmp_path / f"counts.{ending}"
    outputs_path = tmp_path / f"outputs.{ending}"
    write(counts, counts_path)
    write(outputs, outputs_path)
    found = read_tables(counts_path, outputs_path)
    expected = read_tables(COUNTS, OUTPUTS)
    assert found.obs_names.equals(expected.obs_names)
    assert found.var_names.equals(expected.var_names)
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_allclose(found.obsm["outputs"], expected.obsm["outputs"], rtol=1e-6)


@pytest.mark.parametrize("from_file", [False, True])
def test_an_anndata_is_read_from_memory_and_from_its_file(from_file, adata, tmp_path):
    path = tmp_path / "cells.H5AD"
    adata.write_h5ad(path)
    found = read_tables(path if from_file else adata)
    np.testing.assert_array_equal(found.layers["counts"], adata.layers["counts"])
    assert found.obs["type"].tolist() == adata.obs["type"].tolist()


@pytest.fixture
def columns(adata):
    """Outputs with names of their own."""
    return adata.obsm["outputs"].add_prefix("of ")


def test_outputs_of_an_anndata_may_be_columns_of_obs(adata, columns):
    adata = adata.copy()
    adata.obs = adata.obs.join(columns)
    found = read_tables(adata, [*columns]).obsm["outputs"]
    np.testing.assert_allclose(found, columns, rtol=1e-6)


def test_outputs_of_an_anndata_may_be_in_a_file(adata, columns, tmp_path):
    path = tmp_path / "ephys.csv"
    columns.to_csv(path)
    found = read_tables(adata, str(path)).obsm["outputs"]
    np.testing.assert_allclose(found, columns, rtol=1e-6)


@pytest.fixture(scope="module")
def many():
    """Counts of 3000 cells x 600 genes as an AnnData, and outputs of all but the first cell."""
    cells = [f"cell{i}" for i in range(3000)]
    counts = RNG.poisson(0.04, (3000, 600)).astype(np.float32)
    outputs = pd.DataFrame(RNG.normal(size=(3000, 2)), cells, ["a", "b"])
    return AnnData(counts, pd.DataFrame(index=cells)), outputs[1:]


@pytest.fixture
def many_sparse(many):
    adata, outputs = many
    adata = adata.copy()
    adata.X = sparse.csr_matrix(adata.X)
    return adata, outputs


@pytest.mark.filterwarnings("ignore:.* left out")
def test_sparse_counts_give_the_same(many, many_sparse):
    expected = as_paired(read_tables(*many))
    found = as_paired(read_tables(*many_sparse))
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.sha256 == expected.sha256
    table = values_table(expected)
    assert table.loc["counts", "most_frequent"] == "0"
    pd.testing.assert_frame_equal(values_table(read_tables(*many_sparse)), table)


@pytest.mark.filterwarnings("ignore:.* left out")
def test_sparse_counts_are_dense_twice_at_most(many_sparse):
    tracemalloc.start()
    found = read_tables(*many_sparse)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * found.X.nbytes  # sparse copies are small, but not nothing
    assert sparse.issparse(found.layers["counts"])


def test_data_are_the_same_on_a_processor_with_other_logarithms():
    adata = read_tables(COUNTS, OUTPUTS)
    usual = as_paired(adata)
    adata.X = np.nextafter(adata.X, np.float32(9))
    other = as_paired(adata)
    assert (other.X != usual.X).any()
    assert other.sha256 == usual.sha256


def test_names_of_bytes_and_of_two_levels_become_text():
    columns = pd.MultiIndex.from_product([OUTPUTS.columns, ["mean"]])
    counts = COUNTS.set_axis([name.encode() for name in CELLS])
    data = read_tables(counts, OUTPUTS.set_axis(columns, axis=1))
    assert data.obs_names.tolist() == CELLS
    assert data.obsm["outputs"].columns.tolist() == [str(name) for name in columns]


def test_spaces_after_separators_are_no_part_of_names(tmp_path):
    path = tmp_path / "outputs.csv"
    OUTPUTS.to_csv(path)
    path.write_text(path.read_text().replace(",", ", "))
    assert [*read_tables(COUNTS, path).obsm["outputs"]] == [*OUTPUTS]


# --- what is left out, with a warning


@pytest.fixture
def told():
    """Warnings of tables with many mistakes, and the cells that are left."""
    counts = COUNTS.assign(**{"ERCC-00002": 7, "ERCC1": range(12), "G": 0})
    counts.loc["c4"] = 0
    outputs = OUTPUTS.assign(same=1.0)
    outputs.iloc[3, 0] = np.nan
    another = outputs[1:2].set_axis(["d1"])
    with pytest.warns(UserWarning) as warned:
        adata = read_tables(counts, pd.concat([outputs[1:], another]), LABELS)
    return "; ".join(str(one.message) for one in warned), adata


@pytest.mark.parametrize(
    "text", ["outputs left out: c0", "d1", "c3", "ERCC-00002", "c4", "cells left out: G", "same"]
)
def test_what_is_left_out_is_told(text, told):
    warnings, _ = told
    assert text in warnings


def test_a_gene_named_like_spike_ins_is_kept(told):
    """ERCC1 repairs DNA."""
    _, adata = told
    assert "ERCC1" in adata.var_names


def test_labels_of_the_cells_that_are_left_are_theirs(told):
    _, adata = told
    assert adata.obs_names.tolist() == ["c1", "c2", *CELLS[5:]]
    assert adata.obs["donor"].tolist() == LABELS["donor"][adata.obs_names].tolist()


@pytest.fixture
def with_part_of_counts(adata):
    """An AnnData whose layer of counts lacks those of ten genes of ``X``."""
    adata = adata.copy()
    adata.layers["counts"][:, :10] = 0
    return adata


@pytest.mark.filterwarnings("ignore:10 genes with one value")
def test_counts_of_fewer_genes_than_x_are_told(with_part_of_counts):
    with pytest.warns(UserWarning, match=r'layers\["counts"\] is taken, .*counts=False'):
        adata = read_tables(with_part_of_counts)
    assert 'layers["counts"]' in adata.uns["sbnn"]["notes"][0]


def test_x_of_an_anndata_is_taken_on_request(with_part_of_counts):
    found = read_tables(with_part_of_counts, counts=False)
    np.testing.assert_array_equal(found.X, with_part_of_counts.X)


# --- what is refused


@pytest.mark.parametrize("ending", ["csv.gz", "csv.bz2", "csv.xz", "csv.zip", "xlsx"])
def test_a_changed_byte_in_a_packed_file_is_told(ending, tmp_path):
    path = tmp_path / f"outputs.{ending}"
    write(OUTPUTS, path)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"(?s)outputs: {path} is not a plain table, or damaged"):
        read_tables(COUNTS, path)


# --- what was understood


def test_values_are_those_of_the_tables():
    outputs = OUTPUTS.round().assign(Rin=[-999.0] * 3 + [*range(9)])
    table = values_table(read_tables(COUNTS, outputs, LABELS.assign(cell=CELLS)))
    kinds = ["raw counts", f"log2(1 + counts / total * {COUNTS.sum(axis=1).median():g})"]
    label = "label, can colour maps"
    kinds += ["output", "output", label, label, "label", label]
    assert table["taken_as"].tolist() == kinds
    assert [*table.index] == ["counts", "X", "Vrest", "Rin", "type", "donor", "cell", "family"]
    numbers = COUNTS.to_numpy().ravel()
    most_frequent = np.bincount(numbers).argmax()
    expected = [numbers.min(), np.median(numbers), numbers.max(), most_frequent]
    columns = ["minimum", "median", "maximum", "most_frequent"]
    assert table.loc["counts", columns].tolist() == [f"{value:g}" for value in expected]
    assert table.loc["counts", "times"] == (numbers == most_frequent).sum()
    assert table.loc["Rin", columns].tolist() == ["-999", "2.5", "8", "-999"]
    assert table.loc["Rin", "times"] == 3
    assert table.loc["type", ["most_frequent", "times"]].tolist() == ["a", 6]


@pytest.mark.parametrize("container", [pd.DataFrame, AnnData])
def test_scaled_expression_is_noted(container):
    # z-scores of a rare gene may be larger than any logarithm
    adata = read_tables(container((COUNTS - COUNTS.mean()) * 30), OUTPUTS)
    assert adata.X.max() > BEYOND_LOG
    [note] = [note for note in adata.uns["sbnn"]["notes"] if "negative values: scaled" in note]
    assert "adata.raw.to_adata()" in note
    table = values_table(adata)
    assert table.loc["X", "taken_as"] == "log values"
    assert float(table.loc["X", "minimum"]) < 0
    assert "negative" not in str(read_tables(COUNTS, OUTPUTS).uns["sbnn"]["notes"])


@pytest.mark.filterwarnings("ignore:.* left out")
def test_few_cells_are_noted(many):
    adata, outputs = many
    enough = read_tables(adata[:40], outputs[:39].reindex(adata.obs_names[:40], fill_value=0))
    few = read_tables(adata[:40], outputs[:39])
    note = "39 cells are few: sbnn was not tested with fewer than 40"
    assert note in few.uns["sbnn"]["notes"]
    assert "few" not in str(enough.uns["sbnn"]["notes"])
