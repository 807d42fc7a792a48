"""Tables as other people make them: read as they are, or refused with what was seen."""

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sbnn.own_data.names import PAGE
from sbnn.own_data.tables import read_table, read_tables

RNG = np.random.default_rng(0)
CELLS = [f"Cell_{i}" for i in range(12)]
COUNTS = pd.DataFrame(RNG.poisson(3, (12, 4)) + 1, CELLS, ["A1", "B2", "C3", "D4"])
OUTPUTS = pd.DataFrame(RNG.normal(-60, 5, (12, 3)), CELLS, ["Vrest", "Rin", "Tau"])
LABELS = pd.DataFrame({"type": list("ab") * 6}, CELLS)


def refuse(message, *tables, **options):
    """The error of tables that are not read, which names the page."""
    with pytest.raises(ValueError, match=f"(?s){message}") as raised:
        read_tables(*tables, **options)
    assert str(raised.value).endswith(f"; see {PAGE}")
    return str(raised.value)


def assert_read(*tables):
    """The outputs of the cells are read."""
    found = read_tables(*tables).obsm["outputs"]
    np.testing.assert_allclose(found, OUTPUTS, rtol=1e-6)


# --- rows without names


@pytest.fixture
def numbered_adata():
    """An AnnData with the names that it gives to cells without names."""
    adata = AnnData(COUNTS.to_numpy(float))
    adata.obs["type"] = list("ab") * 6
    adata.obsm["outputs"] = OUTPUTS.set_axis(adata.obs_names)
    return adata


def test_numbered_cells_of_one_anndata_are_the_same(numbered_adata):
    found = read_tables(numbered_adata)
    np.testing.assert_allclose(found.obsm["outputs"], OUTPUTS, rtol=1e-6)
    assert found.obs_names[11] == "cell11"
    assert found.obs["type"].tolist() == LABELS["type"].tolist()


@pytest.mark.parametrize("labels", [LABELS, LABELS.reset_index(drop=True)])
def test_numbered_cells_of_an_anndata_do_not_match_another_table(labels, numbered_adata):
    refuse("set adata.obs_names = other.index; seen: 12 rows", numbered_adata, "outputs", labels)
    numbered_adata.obs_names = CELLS
    found = read_tables(numbered_adata, "outputs", LABELS[::-1])
    assert found.obs["type"].tolist() == LABELS["type"].tolist()


# --- files of other programs


def write_old_workbook(table):
    """Content of a workbook of Excel 2, the simplest one."""
    content = struct.pack("<4H", 9, 4, 7, 16)
    rows = [["", *table.columns], *table.reset_index().to_numpy().tolist()]
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            place = struct.pack("<2H3x", i, j)
            if isinstance(value, str):
                record = place + struct.pack("B", len(value)) + value.encode()
                content += struct.pack("<2H", 4, len(record)) + record
            else:
                content += struct.pack("<2H", 3, 15) + place + struct.pack("<d", value)
    return content + struct.pack("<2H", 10, 0)


@pytest.mark.parametrize("ending", ["xls", "xls.gz"])
def test_old_workbooks_are_read(ending, tmp_path):
    pytest.importorskip("xlrd", reason="the extra `excel` is not installed")
    content = write_old_workbook(OUTPUTS)
    path = tmp_path / f"outputs.{ending}"
    path.write_bytes(gzip.compress(content) if ending == "xls.gz" else content)
    assert_read(COUNTS, path)


def test_what_old_workbooks_need_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xlrd", None)
    path = tmp_path / "outputs.xls"
    path.write_bytes(write_old_workbook(OUTPUTS))
    with pytest.raises(ImportError, match="xlrd"):
        read_tables(COUNTS, path)


@pytest.mark.parametrize("ending", ["xls", "xls.gz"])
def test_text_may_be_called_a_workbook(ending, tmp_path):
    path = tmp_path / f"outputs.{ending}"
    OUTPUTS.to_csv(path, sep="\t")
    assert_read(COUNTS, path)


def test_the_header_of_R_may_lack_the_first_name(tmp_path):
    path = tmp_path / "outputs.tsv"
    OUTPUTS.to_csv(path, sep="\t")
    path.write_text(path.read_text().removeprefix("\t"))
    assert_read(COUNTS, path)


def test_all_labels_of_R_are_text(tmp_path):
    path = tmp_path / "labels.tsv"
    path.write_text("type\tdonor\nc1\ta\t01\nc2\tb\t1\nc3\ta\t02\n")
    assert read_table(path, "labels")["donor"].tolist() == ["01", "1", "02"]


# --- what was seen


def test_sizes_names_and_matches_are_seen():
    names = [f"s{i}" for i in range(12)]
    outputs = OUTPUTS.set_axis(names).assign(sex="f", barcode=CELLS)
    message = refuse("names of cells do not match; seen: ", COUNTS.T, outputs)
    for seen in (
        "4 rows (A1, B2, C3 and 1 more) and 12 columns (Cell_0, Cell_1, Cell_2 and 9 more) of expr",
        "12 rows (s0, s1, s2 and 9 more) and 5 columns (Vrest, Rin, Tau and 2 more) of outputs",
        "of the rows of outputs, 0 are rows and 0 are columns of expression",
        "of the columns of outputs, 0 are rows and 0 are columns of expression",
        "the first value of outputs that is no number: 'f' in row 's0', column 'sex'",
    ):
        assert seen in message


# --- names of genes and proteins


def called_as_genes():
    """Proteins of the cells, most of which have the names of genes."""
    return OUTPUTS.set_axis(["B2", "D4", "CD45"], axis=1)


TURNS = [(False, False), (False, True), (True, False), (True, True)]  # of expression and outputs


def turn(tables, turns):
    return [table.T if is_turned else table for table, is_turned in zip(tables, turns, strict=True)]


@pytest.mark.parametrize("turns", TURNS)
@pytest.mark.parametrize("endings", [("", ""), ("-1", ""), ("-01A-{}R", "-01A-{}K")])
def test_genes_are_not_taken_for_cells(endings, turns):
    """Cells have the same names, one table adds an ending, or every cell has another one."""
    names = [
        [f"{name}{ending.format(i % 5)}" for i, name in enumerate(CELLS)] for ending in endings
    ]
    tables = [
        table.set_axis(cells)
        for table, cells in zip((COUNTS, called_as_genes()), names, strict=True)
    ]
    message = refuse("which names are the cells", *turn(tables, turns))
    axes = ["rows", "columns"]
    assert f"2 {axes[not turns[0]]} of expression are {axes[not turns[1]]} of outputs" in message
    assert f"12 {axes[turns[0]]} of expression are {axes[turns[1]]} of outputs" in message
    assert "genes_in_rows and outputs_in_rows" in message
    options = dict(zip(("genes_in_rows", "outputs_in_rows"), turns, strict=True))
    if endings == ("", ""):
        found = read_tables(*turn(tables, turns), **options)
        np.testing.assert_allclose(found.obsm["outputs"], OUTPUTS, rtol=1e-6)
    else:  # also if all axes are given
        refuse("names of cells do not match; 12 would match after", *turn(tables, turns), **options)


def test_outputs_that_nearly_have_the_names_of_genes_are_read():
    assert_read(COUNTS, called_as_genes().add_suffix("_protein", axis=1))


def test_outputs_beside_an_anndata_may_be_in_rows():
    adata = AnnData(COUNTS.astype(float))
    assert_read(adata, OUTPUTS.T)
    assert_read(adata, called_as_genes().T)  # cells of an AnnData are in rows


# --- names that nearly match


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([name.upper() for name in CELLS], "str.lower() and"),
        ([name.replace("_", ".") for name in CELLS], "replace('[\\\\W_]+', '_', regex=True)"),
        ([name.replace("_", " - ") for name in CELLS], "replace('[\\\\W_]+', '_', regex=True)"),
        ([name.replace("_", "") for name in CELLS], "replace('[\\\\W_]+', '', regex=True)"),
    ],
)
def test_the_line_that_makes_names_equal_is_given(names, line):
    message = refuse("12 would match after .*; seen: ", COUNTS, OUTPUTS.set_axis(names))
    assert line in message


@pytest.mark.parametrize(
    ("of_counts", "of_outputs"),
    [
        ("{}", "X{}"),  # what R adds
        ("{}-1", "{}"),  # what CellRanger adds
        ("rna_{}", "adt_{}"),  # what Seurat adds
        ("{}-1", "{}.1"),  # what R makes of names
        ("TCGA-{}-A29S-07", "TCGA-{}-A29W-13"),  # aliquots of TCGA
    ],
)
def test_the_line_that_makes_names_equal_runs(of_counts, of_outputs):
    cells = [f"OR{i}" for i in range(12)]
    expression = COUNTS.set_axis([of_counts.format(name) for name in cells])
    outputs = OUTPUTS.set_axis([of_outputs.format(name) for name in cells])
    message = refuse("12 would match after ", expression, outputs)
    tables = {"expression": expression, "outputs": outputs}
    for line in message.split("would match after ")[1].split("; seen")[0].split(" and "):
        exec(line, tables)
    assert_read(tables["expression"], tables["outputs"])


def test_names_of_an_anndata_that_nearly_match_are_changed():
    adata = AnnData(COUNTS.set_axis([f"{name}-1" for name in CELLS]).astype(float))
    line = r"adata.obs_names = adata.obs_names.str.removesuffix\('-1'\); seen"
    refuse(f"11 would match after {line}", adata, OUTPUTS[1:])


def test_labels_that_nearly_match_are_changed():
    line = r"labels.index = labels.index.str.removesuffix\('-1'\); seen"
    refuse(f"12 would match after {line}", COUNTS, OUTPUTS, LABELS.add_suffix("-1", axis=0))


def test_a_change_that_confuses_cells_is_not_advised():
    twins = [f"A-{i}" for i in range(6)] + [f"A{i}" for i in range(6)]
    others = [f"a {i}" for i in range(12)]
    message = refuse("do not match", COUNTS.set_axis(twins), OUTPUTS.set_axis(others))
    assert "6 would match" in message
    assert "'[\\\\W_]+', ''" not in message
