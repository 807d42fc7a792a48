"""Tables as other people make them: what is not read says what to do, and that is enough."""

import gzip
import struct

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData

from sbnn.ephys_types.data import typed_cells
from sbnn.mechanism_shift.data import screen
from sbnn.own_data.tables import read_tables

RNG = np.random.default_rng(0)
CELLS = [f"Cell_{i}" for i in range(12)]
COUNTS = pd.DataFrame(RNG.poisson(3, (12, 4)) + 1, CELLS, ["A1", "B2", "C3", "D4"])
OUTPUTS = pd.DataFrame(RNG.normal(-60, 5, (12, 3)), CELLS, ["Vrest", "Rin", "Tau"])
NUMBERED = OUTPUTS.reset_index(drop=True)


def refuse(message, *tables, **options):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_tables(*tables, **options)


# --- rows without names


def test_numbered_rows_are_matched_by_position_on_demand():
    refuse("rows are numbered .0, 1, .*by_position=True", COUNTS, NUMBERED)
    adata = read_tables(COUNTS, NUMBERED, by_position=True)
    np.testing.assert_allclose(adata.obsm["outputs"], OUTPUTS, rtol=1e-6)
    assert adata.obs_names.tolist() == CELLS


def test_all_tables_may_be_numbered(tmp_path):
    labels = pd.DataFrame({"type": list("ab") * 6})
    for name, table in {"counts": COUNTS, "outputs": OUTPUTS, "labels": labels}.items():
        table.set_axis(range(1, 13)).to_csv(tmp_path / f"{name}.csv")  # like write.csv of R
    paths = [tmp_path / f"{name}.csv" for name in ("counts", "outputs", "labels")]
    adata = read_tables(*paths, by_position=True)
    assert adata.obs["type"].tolist() == labels["type"].tolist()
    np.testing.assert_allclose(adata.obsm["outputs"], OUTPUTS, rtol=1e-6)


def test_cells_in_columns_are_found_by_their_number():
    adata = read_tables(COUNTS.T, NUMBERED, by_position=True)
    assert adata.obs_names.tolist() == CELLS


def test_numbered_cells_of_one_anndata_are_the_same():
    adata = AnnData(COUNTS.to_numpy(float))
    adata.obsm["outputs"] = OUTPUTS.set_axis(adata.obs_names)
    np.testing.assert_allclose(read_tables(adata).obsm["outputs"], OUTPUTS, rtol=1e-6)


def test_columns_that_could_be_names_are_listed():
    outputs = NUMBERED.assign(cell=CELLS, strain=list("ab") * 6, specimen_id=range(100, 112))
    refuse(r"set_index\(COLUMN\), of cell, specimen_id; ", COUNTS, outputs)


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        (NUMBERED[:-1], "12 of expression.*11 of outputs.*add_prefix"),
        (OUTPUTS[::-1], "outputs has names of other cells of the same place, such as Cell_11"),
    ],
)
def test_tables_of_other_cells_have_no_positions(outputs, message):
    refuse(f"by_position: .*{message}", COUNTS, outputs, by_position=True)


def test_a_first_column_of_numbers_holds_no_names(tmp_path):
    counts = tmp_path / "counts.csv"
    COUNTS.to_csv(counts, index=False)
    refuse("the first column holds numbers.*by_position", counts, OUTPUTS)
    read_tables(pd.read_csv(counts), OUTPUTS, by_position=True)


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
    np.testing.assert_allclose(read_tables(COUNTS, path).obsm["outputs"], OUTPUTS, rtol=1e-6)


def test_the_extra_for_old_workbooks_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "xlrd", None)
    path = tmp_path / "outputs.xls"
    path.write_bytes(write_old_workbook(OUTPUTS))
    with pytest.raises(ImportError, match=r"xlrd; pip install 'sbnn\[excel\]'"):
        read_tables(COUNTS, path)


@pytest.mark.parametrize("ending", ["xls", "xls.gz"])
def test_text_may_be_called_a_workbook(ending, tmp_path):
    path = tmp_path / f"outputs.{ending}"
    OUTPUTS.to_csv(path, sep="\t")
    np.testing.assert_allclose(read_tables(COUNTS, path).obsm["outputs"], OUTPUTS, rtol=1e-6)


def test_the_header_of_R_may_lack_the_first_name(tmp_path):
    path = tmp_path / "outputs.tsv"
    OUTPUTS.to_csv(path, sep="\t")
    path.write_text(path.read_text().removeprefix("\t"))
    np.testing.assert_allclose(read_tables(COUNTS, path).obsm["outputs"], OUTPUTS, rtol=1e-6)


# --- outputs of one name


def test_outputs_of_one_name_are_not_averaged():
    with pytest.raises(ValueError, match="do not average .*enumerate") as raised:
        read_tables(COUNTS, OUTPUTS.set_axis(["Vrest", "Vrest", "Tau"], axis=1))
    assert "groupby" not in str(raised.value)


def test_two_rows_of_headers_are_joined(tmp_path):
    path = tmp_path / "outputs.csv"
    protocols = pd.MultiIndex.from_arrays([["long", "short", "short"], ["Vrest", "Vrest", "Tau"]])
    OUTPUTS.set_axis(protocols, axis=1).to_csv(path)
    refuse(r"header=\[0, 1\].*columns.map\('_'.join\)", COUNTS, path)
    table = pd.read_csv(path, header=[0, 1], index_col=0)
    table.columns = table.columns.map("_".join)
    found = read_tables(COUNTS, table).obsm["outputs"]
    assert [*found] == ["long_Vrest", "short_Vrest", "short_Tau"]


# --- guides and labels

GUIDES = pd.DataFrame(np.eye(12, 4, dtype=int) * 5, CELLS, ["IRF1g1", "IRF1g2", "MYCg1", "NTg1"])


@pytest.mark.parametrize("guides", [GUIDES, GUIDES.to_numpy(), AnnData(GUIDES.astype(float))])
@pytest.mark.parametrize("counts", [COUNTS, AnnData(COUNTS.astype(float))])
def test_counts_of_guides_are_recognised(counts, guides):
    with pytest.raises(TypeError, match="counts of guides.*idxmax"):
        screen(counts, guides)


def test_the_advice_keeps_cells_with_one_guide():
    guides = GUIDES.copy()
    guides.iloc[0] = [5, 5, 0, 0]
    guides.iloc[5:, 2] = 4
    perturbation = guides.idxmax(axis=1)[guides.max(axis=1) > 0.8 * guides.sum(axis=1)]
    adata = screen(COUNTS.loc[perturbation.index], perturbation, "NTg1")
    assert adata.obs["perturbation"].tolist() == ["IRF1g2", "MYCg1", "NTg1"] + ["MYCg1"] * 7


def test_columns_like_types_are_named_first():
    measured = {f"depth {i}": RNG.random(12) for i in range(20)}
    labels = pd.DataFrame(measured, CELLS).assign(spec_id=CELLS, ttype_label=list("ab") * 6)
    with pytest.raises(ValueError, match="no column 'type' among ttype_label, .*and 14 more"):
        typed_cells(OUTPUTS, labels)


# --- names of cells


@pytest.mark.parametrize(
    ("names", "line"),
    [
        ([name.upper() for name in CELLS], "str.lower() and"),
        ([name.replace("_", ".") for name in CELLS], "replace('[\\\\W_]+', '_', regex=True)"),
        ([name.replace("_", " - ") for name in CELLS], "replace('[\\\\W_]+', '_', regex=True)"),
        ([name.replace("_", "") for name in CELLS], "replace('[\\\\W_]+', '', regex=True)"),
        ([f"X{name}" for name in CELLS], "outputs.index.str.removeprefix('X')"),
        ([f"{name}-1" for name in CELLS], "outputs.index.str.removesuffix('-1')"),
    ],
)
def test_the_line_that_makes_names_equal_is_given(names, line):
    with pytest.raises(ValueError, match="0 are among the rows.*12 would match after") as raised:
        read_tables(COUNTS, OUTPUTS.set_axis(names))
    assert line in str(raised.value)


def test_a_change_that_confuses_cells_is_not_advised():
    twins = [f"A-{i}" for i in range(6)] + [f"A{i}" for i in range(6)]
    others = [f"a {i}" for i in range(12)]
    with pytest.raises(ValueError, match="do not match") as raised:
        read_tables(COUNTS.set_axis(twins), OUTPUTS.set_axis(others))
    assert "6 would match" in str(raised.value)
    assert "'[\\\\W_]+', ''" not in str(raised.value)


def test_names_in_another_column_are_found():
    outputs = OUTPUTS.set_axis([f"s{i}" for i in range(12)]).assign(barcode=CELLS)
    refuse(r"12 are in a column of outputs: table.set_index\('barcode'\)", COUNTS, outputs)


# --- missing values


def test_columns_with_many_missing_values_are_left_out():
    outputs = pd.DataFrame(RNG.random((12, 30)), CELLS).add_prefix("f")
    outputs.iloc[2:, 5:] = np.nan
    outputs.iloc[:2, 0] = np.nan
    refuse(r"isna\(\).mean\(\) <= 0.5\] keeps 5 of 30 columns, .* 10 of 12 cells", COUNTS, outputs)
    with pytest.warns(UserWarning, match="2 cells with missing outputs"):
        adata = read_tables(COUNTS, outputs.loc[:, outputs.isna().mean() <= 0.5])
    assert adata.obsm["outputs"].shape == (10, 5)


def test_columns_of_text_are_named_together():
    outputs = OUTPUTS.assign(strain="x", sex="f")
    refuse(r"text out with table.drop\(columns=\['strain', 'sex'\]\)", COUNTS, outputs)


def test_numbers_beside_text_are_not_left_out():
    outputs = OUTPUTS.assign(sex="f").astype(object)
    outputs.iloc[3, 1] = "x"
    refuse(r"columns=\['sex'\]\); for the numbers in Rin, .* na_values=\['x'\]", COUNTS, outputs)


# --- several tables of one data set


def test_a_row_for_each_measurement_becomes_a_column(tmp_path):
    path = tmp_path / "outputs.csv"
    OUTPUTS.rename_axis("cell").melt(ignore_index=False, var_name="drug").to_csv(path)
    refuse(r"table.pivot\(columns='drug', values='value'\)", COUNTS, path)
    outputs = pd.read_csv(path, index_col=0).pivot(columns="drug", values="value")
    assert read_tables(COUNTS, outputs).obsm["outputs"].shape == (12, 3)


def test_labels_may_have_both_names():
    labels = pd.DataFrame({"sample": CELLS}, [f"spec {i}" for i in range(12)])
    outputs = OUTPUTS.set_axis(labels.index)
    refuse(r"outputs.rename\(index=labels\['sample'\]\)", COUNTS, outputs, labels)
    adata = read_tables(COUNTS, outputs.rename(index=labels["sample"]), labels.set_index("sample"))
    np.testing.assert_allclose(adata.obsm["outputs"], OUTPUTS, rtol=1e-6)


def test_outputs_in_rows_are_turned():
    refuse("12 are columns of outputs: turn it with table.T", COUNTS, OUTPUTS.T)
