"""Tables as they come with papers: titles, units, decimal commas, spike-ins, gaps, names that differ a little."""

import re
import struct
import zipfile

import numpy as np
import pandas as pd
import pytest

from sbnn import PairedData
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.gene_names import counters, spike_ins
from sbnn.data.readers.missing_outputs import kept
from sbnn.data.readers.table_numbers import MARKS, to_numbers

CELLS = [f"c{i}" for i in range(8)]
GENES = ["Gad1", "Sst", "NA", "Vip", "Ercc1"]


@pytest.fixture
def counts(rng):
    """Counts that are plainly counts, cells x genes."""
    return pd.DataFrame(rng.poisson(60, (8, 5)), index=CELLS, columns=GENES)


@pytest.fixture
def ephys(rng):
    """Three outputs with three decimals at most."""
    return pd.DataFrame(rng.normal(0, 30, (8, 3)).round(2), index=CELLS, columns=["Tau", "AP width", "Sag"])


def written(folder, text, name="ephys.csv", encoding="utf-8"):
    (folder / name).write_bytes(text.encode(encoding))
    return folder / name


def assert_outputs(data, ephys):
    np.testing.assert_array_equal(data.Y, ephys.loc[data.cell_names].astype("f4"))
    assert data.feature_names.tolist() == list(ephys.columns)


def noted(data, text):
    found = [note for note in data.notes if text in note]
    assert len(found) == 1, data.notes
    return found[0]


# --- what expression is


def test_what_expression_is_taken_for_is_found_out_and_noted(counts, ephys):
    data = PairedData.from_tables(counts, ephys)
    np.testing.assert_array_equal(data.counts, counts)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(counts)))
    assert "taken for raw counts" in noted(data, "values from") and "counts=False" in data.notes[0]
    assert data.sha256 == PairedData.from_tables(counts, ephys, counts=True).sha256

    tpm = counts.div(counts.sum(axis=1), axis=0) * 1e6
    data = PairedData.from_tables(tpm, ephys)
    np.testing.assert_array_equal(data.X, log2p1(tpm))
    assert data.counts is None and "normalised values that are no logarithms" in noted(data, "values from")

    for logs in (np.log1p(tpm), np.log2(counts + 1), counts - counts.mean()):
        data = PairedData.from_tables(logs, ephys)
        np.testing.assert_array_equal(data.X, logs.astype("f4"))
        assert data.counts is None and "taken for log values" in noted(data, "values from")
    assert f"summary\n  note: {data.notes[0]}" == "summary" + data.summary()[-len(data.notes[0]) - 9 :]
    assert PairedData.from_tables(counts, ephys, counts=True).notes == ()


def test_shallow_counts_are_counts_and_empty_cells_are_left_out(ephys, rng):
    shallow = pd.DataFrame(rng.poisson(0.3, (8, 30)), CELLS, [f"Gene{j}" for j in range(30)])
    shallow.iloc[:, 0], shallow.iloc[:, 1] = [1, 3, 1, 1, 1, 1, 1, 1], [0, 1, 0, 1, 1, 0, 1, 1]
    np.testing.assert_array_equal(PairedData.from_tables(shallow, ephys).counts.max(), 3)
    for given in (shallow, 1e4 * shallow / 7):
        given.iloc[5] = 0
        with pytest.warns(UserWarning, match=r"1 of 8 cells are left out \(cells without counts\): c5"):
            data = PairedData.from_tables(given, ephys)
        assert_outputs(data, ephys)
        assert data.n_cells == 7


def test_one_fraction_makes_counts_something_else(ephys, rng, monkeypatch):
    monkeypatch.setattr("sbnn.data.plausible.VALUES_LOOKED_AT", 15)  # three cells at a time
    counts = pd.DataFrame(rng.poisson(60, (8, 5)), CELLS, GENES).astype(float)
    counts.iloc[7, 2] = 60.5
    with pytest.warns(UserWarning, match="normalised .* may be estimated counts.*counts=True or counts=False decides"):
        data = PairedData.from_tables(counts, ephys)
    np.testing.assert_array_equal(data.X, log2p1(counts))


@pytest.mark.parametrize(("scale", "doubt"), [(0.1, "small whole numbers may be counts"), (0.4, "reach far for log")])
def test_what_cannot_be_told_is_warned_of(counts, ephys, scale, doubt):
    values = (scale * counts).round() if scale == 0.1 else scale * counts
    with pytest.warns(UserWarning, match=f"taken for log values.*{doubt}.*counts=True or counts=False") as caught:
        data = PairedData.from_tables(values, ephys)
    assert caught[0].filename == __file__
    np.testing.assert_array_equal(data.X, values.astype("f4"))


# --- genes


def test_spike_ins_and_counters_are_not_part_of_the_library(counts, ephys):
    added = ["ERCC-00002", "gSpikein_ERCC-00003", "Spike1", "RNA_SPIKE_4", "ERCC_00005"]
    reads = ["__no_feature", "N_unmapped"]
    raw = counts.assign(**{name: 1000 * i for i, name in enumerate([*added, *reads], 1)})
    raw.iloc[0, 5:] += 100
    with pytest.warns(UserWarning, match=r"5 of 10 genes are left out \(spike-ins\): ERCC-00002, gSpikein"):
        data = PairedData.from_tables(raw.T, ephys)
    assert data.dropped == {"spike-ins": added, "rows of a counter that are no genes": reads}
    np.testing.assert_array_equal(data.X, PairedData.from_tables(counts, ephys).X)
    with pytest.warns(UserWarning, match="2 of 12 genes are left out"):
        kept_data = PairedData.from_tables(raw, ephys, spike_ins="keep")
    assert kept_data.gene_names.tolist() == [*GENES, *added] and kept_data.library_size > 10_000
    with pytest.raises(ValueError, match="spike_ins must be 'leave out' or 'keep', got 'drop'"):
        PairedData.from_tables(raw, ephys, spike_ins="drop")


def test_genes_that_are_called_like_spike_ins_are_genes():
    names = pd.Index(["ERCC1", "Ercc6l2", "ERCC6-PGBD3", "Ercc8", "Spag1", "N_gene", "Nfix", "Spink1", "ambiguousA"])
    assert not (spike_ins(names) | counters(names)).any()


def test_versions_of_ensembl_are_taken_off_where_genes_stay_unique(counts, ephys):
    ids = [f"ENSMUSG0000000000{i}" for i in (1, 2, 3, 3)]
    raw = counts.set_axis([f"{ids[0]}.4", f"{ids[1]}.12", f"{ids[2]}.1", f"{ids[3]}.2", "Gm1.5"], axis=1)
    data = PairedData.from_tables(raw, ephys)
    assert data.gene_names.tolist() == [ids[0], ids[1], f"{ids[2]}.1", f"{ids[3]}.2", "Gm1.5"]
    assert f"2 Ensembl identifiers have lost their version, {ids[0]}.4 is {ids[0]}" in noted(data, "Ensembl")


def test_genes_of_one_name_are_added_up_or_the_first_is_taken(counts, ephys):
    raw = counts.set_axis(["Gad1", "Sst", "NA", "Sst", "NA"], axis=1).T
    with pytest.raises(ValueError, match="2 gene names appear more than once: Sst, NA; duplicates='sum' adds them up"):
        PairedData.from_tables(raw, ephys)
    data = PairedData.from_tables(raw, ephys, duplicates="sum")
    assert data.gene_names.tolist() == ["Gad1", "Sst", "NA"] and noted(data, "added up")
    np.testing.assert_array_equal(
        data.counts, np.column_stack([counts["Gad1"], counts["Sst"] + counts["Vip"], counts["NA"] + counts["Ercc1"]])
    )
    data = PairedData.from_tables(raw, ephys, duplicates="first")
    np.testing.assert_array_equal(data.counts, counts[["Gad1", "Sst", "NA"]])
    with pytest.raises(ValueError, match="log values cannot be added up"):
        PairedData.from_tables(np.log2(raw + 1), ephys, duplicates="sum")


# --- files


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "cp1252", "latin-1"])
@pytest.mark.parametrize("ends", ["\n", "\r\n", "\r"], ids=["unix", "windows", "old mac"])
def test_every_encoding_and_every_end_of_a_line_is_read(tmp_path, counts, ephys, encoding, ends):
    odd = "zelle µ\x81" if encoding == "latin-1" else "zelle µ"  # a byte that cp1252 has no letter for
    names = {"c2": odd, "c3": "a, b"}
    ephys, counts = ephys.rename(index=names), counts.rename(index=names)
    data = PairedData.from_tables(counts, written(tmp_path, ephys.to_csv().replace("\n", ends), encoding=encoding))
    assert_outputs(data, ephys)
    assert data.n_cells == 8 and any("is read as" in note for note in data.notes) == (encoding != "utf-8-sig")


def biff(rows):
    """A workbook as Excel 2 wrote it: records of a kind, a length, a place and a value."""
    records = [struct.pack("<4H", 9, 4, 7, 16)]
    for i, row in enumerate(rows):
        for j, value in enumerate(row):
            if isinstance(value, str):
                content = value.encode("cp1252")
                records.append(struct.pack("<4H3xB", 4, 8 + len(content), i, j, len(content)) + content)
            else:
                records.append(struct.pack("<4H3xd", 3, 15, i, j, value))
    return b"".join([*records, struct.pack("<2H", 10, 0)])


def test_old_workbooks_are_read(tmp_path, counts, ephys):
    pytest.importorskip("xlrd")
    rows = [
        ["Table S2"],
        ["cell", *ephys.columns],
        *([cell, *row] for cell, row in zip(CELLS, ephys.to_numpy().tolist(), strict=True)),
    ]
    (tmp_path / "ephys.xls").write_bytes(biff(rows))
    data = PairedData.from_tables(counts, tmp_path / "ephys.xls")
    assert_outputs(data, ephys)
    assert "names are in row 2; left out above them: 'Table S2'" in noted(data, "row 2")
    written(tmp_path, ephys.to_csv(sep="\t"), "text.xls")  # as many a repository has it
    data = PairedData.from_tables(counts, tmp_path / "text.xls")
    assert_outputs(data, ephys)
    assert noted(data, "is text and no workbook")


def test_errors_of_a_spreadsheet_are_gaps_and_a_gene_called_na_is_none(tmp_path, counts, ephys):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for sheet, table in ((book.active, counts.T), (book.create_sheet("ephys"), ephys)):
        for row in [
            ["", *table.columns],
            *([name, *row] for name, row in zip(table.index, table.to_numpy().tolist(), strict=True)),
        ]:
            sheet.append(row)
    sheet["B3"] = "#DIV/0!"
    sheet["B3"].data_type = "e"
    sheet["C5"] = "NA"
    book.save(tmp_path / "plain.xlsx")
    with zipfile.ZipFile(tmp_path / "plain.xlsx") as plain, zipfile.ZipFile(tmp_path / "book.xlsx", "w") as archive:
        for member in plain.namelist():  # the error is that of a formula, as openpyxl cannot write it
            formula = rb"<f>1/0</f><v>#DIV/0!</v>"
            archive.writestr(member, re.sub(rb"(<f ?/>)?<v>#DIV/0!</v>", formula, plain.read(member)))
    with pytest.warns(UserWarning, match="cells with missing outputs.: c1, c3"):
        data = PairedData.from_tables(
            (tmp_path / "book.xlsx", "Sheet"), (tmp_path / "book.xlsx", "ephys"), missing="cells"
        )
    assert data.gene_names.tolist() == GENES
    assert_outputs(data, ephys)


# --- where the names are


def lines(ephys, *above, units=None, sep=","):
    names, *rows = ephys.to_csv(sep=sep).splitlines()
    return "\n".join([*above, names, *([] if units is None else [units]), *rows]) + "\n"


@pytest.mark.parametrize(
    ("above", "units", "note"),
    [
        (["Table S2. Recordings, all cells"], None, "in row 2; left out above them: 'Table S2. Recordings all cells'"),
        (["Table S2,all cells,of mice"], None, "in row 2; left out above them: 'Table S2 all cells of mice'"),
        (["Table S2,,,", "", "of 8 cells,,,"], None, "in row 4; left out above them: 'Table S2', 'of 8 cells'"),
        (["# made by hand", "#, really"], None, "in row 3; left out above them: '# made by hand'"),
        ([",passive,spike,"], None, "in row 2; left out above them: 'passive spike'"),
        ([",passive,,"], None, "in row 2; left out above them: 'passive'"),
        ([], ",(ms),ms,[mV/pA]", "row 2 below the names holds units or text and is left out: '(ms)', 'ms', '[mV/pA]'"),
        ([], "unit,ms,-,", "row 2 below the names holds units or text and is left out: 'unit', 'ms', '-'"),
        ([], "what,time constant,width of spikes,sag", "row 2 below the names holds units or text"),
        (["Table S2"], "Units,ms,ms,%", "row 3 below the names"),
    ],
)
def test_titles_and_units_are_left_out_and_noted(tmp_path, counts, ephys, above, units, note):
    data = PairedData.from_tables(counts, written(tmp_path, lines(ephys, *above, units=units)))
    assert_outputs(data, ephys)
    assert note in noted(data, note)
    assert data.n_cells == 8


def test_empty_columns_behind_the_units_are_no_names(tmp_path, counts, ephys):
    text = "".join(f"{line},,\n" for line in lines(ephys, units=",ms,ms,mV").splitlines())
    data = PairedData.from_tables(counts, written(tmp_path, text))
    assert_outputs(data, ephys)
    assert noted(data, "row 2 below the names holds units")


def test_names_that_repeat_below_groups_are_joined(tmp_path, counts, ephys):
    groups = ",AP,,Sag"
    data = PairedData.from_tables(
        counts, written(tmp_path, lines(ephys, groups).replace("Tau,AP width,Sag", "mean,SD,mean", 1))
    )
    assert_outputs(data, ephys.set_axis(["AP mean", "AP SD", "Sag mean"], axis=1))
    cells = ",".join(["", *CELLS])
    text = counts.T.to_csv(header=False)
    data = PairedData.from_tables(
        written(tmp_path, f",{'Sst,Vip,' * 4}\n{cells},\n".replace(",\n", "\n") + text), ephys
    )
    np.testing.assert_array_equal(data.counts, counts)  # types above the names of cells


def test_a_cell_is_not_taken_for_names_or_units(tmp_path, counts, ephys):
    with pytest.raises(ValueError, match="2 of 3 columns of values have no name"):
        PairedData.from_tables(counts, written(tmp_path, lines(ephys.set_axis(["Tau", "", ""], axis=1))))
    gaps = ephys.astype(object)
    gaps.loc["c0"] = ["n.d.", "-", ""]
    with pytest.warns(UserWarning, match="cells with missing outputs.: c0"):
        data = PairedData.from_tables(counts, written(tmp_path, lines(gaps)), missing="cells")
    assert data.n_cells == 7 and len(data.notes) == 1
    gaps.loc["c0"] = ["lost", 1.5, 2.5]
    for table in (gaps, gaps[["Tau"]]):
        with pytest.raises(ValueError, match="column 'Tau' holds 1 value.* 'lost' for cell 'c0'"):
            PairedData.from_tables(counts, written(tmp_path, lines(table)))


def test_names_that_repeat_are_not_looked_for_among_the_cells(tmp_path, counts, ephys):
    table = ephys[["Tau"]].assign(user="Eve", rig="A", day="Monday", week="first")
    text = table.set_axis(["Tau", "user", "rig", "user", "week"], axis=1).to_csv()
    with pytest.raises(ValueError, match="column names appear more than once: user"):
        PairedData.from_tables(counts, written(tmp_path, text))


def test_very_long_rows_are_cut_at_their_separators(tmp_path, counts, ephys):
    wide = counts.rename(columns=lambda gene: 40_000 * gene[0] + gene)
    data = PairedData.from_tables(written(tmp_path, wide.to_csv(sep=";"), "counts.csv"), ephys)
    np.testing.assert_array_equal(data.counts, counts)


def test_labels_are_all_text_and_have_their_names_in_the_first_row(tmp_path, counts, ephys):
    text = "cell,family,type\n" + "".join(f"{cell},Sst,Sst {i % 2}\n" for i, cell in enumerate(CELLS))
    for above in ("", "Table S1\n"):
        data = PairedData.from_tables(counts, ephys, written(tmp_path, above + text, "labels.csv"))
        assert data.labels["type"].tolist() == ["Sst 0", "Sst 1"] * 4


def test_the_one_name_that_r_writes_is_no_title(tmp_path, counts, ephys):
    text = "type\n" + "".join(f"{cell} {kind}\n" for cell, kind in zip(CELLS, ["Sst", "Vip"] * 4, strict=True))
    data = PairedData.from_tables(counts, ephys, written(tmp_path, text, "labels.txt"))
    assert data.labels["type"].tolist() == ["Sst", "Vip"] * 4


def test_the_row_of_the_names_can_be_told(tmp_path, counts, ephys):
    numbered = ephys.set_axis(["11", "12", "13"], axis=1)  # nothing tells these names from values
    path = written(tmp_path, lines(numbered, "Table S2", "", "1,2,3,4"))
    data = PairedData.from_tables(counts, path, header={"outputs": 4})
    assert_outputs(data, numbered)
    assert "the names are in row 4" in noted(data, "row 4")
    with pytest.raises(
        ValueError, match=r"outputs \(ephys.csv\): header must be the number of the row .*, from 1 to 12, got 99"
    ):
        PairedData.from_tables(counts, path, header=99)
    with pytest.raises(
        ValueError, match=r"header is given for \['ephys'\], expected some of \['expression', 'outputs'"
    ):
        PairedData.from_tables(counts, path, header={"ephys": 4})


def test_the_column_of_the_cells_can_be_told(tmp_path, counts, ephys):
    table = ephys.reset_index(names="cell").set_axis([3, 3, 3, 1, 2, 3, 4, 5], axis=0).rename_axis("row")
    path = written(tmp_path, table.to_csv())
    with pytest.raises(
        ValueError, match="row names appear more than once: 3; cell_key says which column has the names"
    ):
        PairedData.from_tables(counts, path)
    with pytest.raises(ValueError, match="The column 'cell' of outputs holds 8 names of expression: cell_key='cell'"):
        PairedData.from_tables(counts, table.set_axis(range(8)))
    labels = pd.DataFrame({"type": ["Sst", "Vip"] * 4}, index=CELLS)
    for given in (path, table):
        data = PairedData.from_tables(counts, given, labels, cell_key="cell")
        assert_outputs(data, ephys.assign(row=[3, 3, 3, 1, 2, 3, 4, 5])[["row", *ephys]] if given is path else ephys)
    numbered = PairedData.from_tables(counts, written(tmp_path, table.rename_axis(None).to_csv()), cell_key="cell")
    assert_outputs(numbered, ephys)  # the first column has no name and numbers the rows
    with pytest.raises(ValueError, match="cell_key: no table has a column 'id'; these have: .*'outputs': 'cell, Tau"):
        PairedData.from_tables(counts, table.set_axis(range(8)), cell_key="id")
    ids = counts.T.rename_axis("symbol").reset_index().set_axis([f"ENSG{j}" for j in range(5)], axis=0)
    for given in (ids, written(tmp_path, ids.to_csv(), "ids.csv")):
        assert PairedData.from_tables(given, ephys, cell_key={"expression": "symbol"}).gene_names.tolist() == GENES
    with pytest.raises(ValueError, match="labels: cell_key: no column 'cell'; it has type"):
        PairedData.from_tables(counts, table, labels, cell_key={"outputs": "cell", "labels": "cell"})


# --- numbers


@pytest.mark.parametrize("mark", sorted(MARKS - {""}) + ["NA", "N/A", "NaN", "Not measured"])
def test_marks_of_missing_values_are_gaps(mark):
    numbers, text = to_numbers(pd.DataFrame({"Tau": ["1.5", f" {mark} ", 2, None]}), "outputs")
    assert numbers["Tau"].isna().tolist() == [False, True, False, True] and not text.any()


def test_more_marks_can_be_named_and_may_be_numbers():
    table = pd.DataFrame({"a": ["1", "Failed", "-999"], "b": [1, -999, 3]})
    numbers, text = to_numbers(table, "outputs", marks=["failed", "-999"])
    np.testing.assert_array_equal(numbers, [[1, 1], [np.nan, np.nan], [np.nan, 3]])
    assert not text.any()


@pytest.mark.parametrize(
    ("texts", "expected", "note"),
    [
        (["0,5", "-1,25", "3", "1,234"], [0.5, -1.25, 3, 1.234], "decimal commas"),
        (["1.234,5", "1.234", "12,5e-3"], [1234.5, 1234, 0.0125], "separators of thousands"),
        (["1.234.567", "2"], [1234567, 2], "separators of thousands"),
        (["1,234.5", "1,234", "7"], [1234.5, 1234, 7], "separators of thousands"),
        (["1,234,567", "2,345"], [1234567, 2345], "separators of thousands"),
        (["12.5", "1,234"], [12.5, 1234], "separators of thousands"),
        (["1 234.5", "12'345", "−7"], [1234.5, 12345, -7], "separators of thousands"),
        (["1.234", "0.5"], [1.234, 0.5], ""),
    ],
)
def test_decimal_commas_and_thousands_are_found_out(texts, expected, note):
    notes = []
    numbers, text = to_numbers(pd.DataFrame({"a": texts}), "outputs", notes=notes)
    assert numbers["a"].tolist() == expected and not text.any()
    assert note in " ".join(notes) and bool(note) == bool(notes)


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["1,234", "7"], r"'1,234' may be 1234 or 1.234; say which .* decimal=',' or decimal='.'"),
        (["0,5", "12.5"], "'0,5' has a decimal comma and '12.5' a decimal point"),
    ],
)
def test_numbers_that_can_be_read_in_two_ways_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        to_numbers(pd.DataFrame({"a": texts}), "outputs")
    assert to_numbers(pd.DataFrame({"a": ["0,5", "12.5"]}), "outputs", ",")[1].ravel().tolist() == [False, True]
    assert to_numbers(pd.DataFrame({"a": ["1,234"]}), "outputs", ",")[0].iat[0, 0] == 1.234
    assert to_numbers(pd.DataFrame({"a": ["1,234"]}), "outputs", ".")[0].iat[0, 0] == 1234


@pytest.mark.parametrize("separator", [";", "\t"])
def test_a_point_is_no_decimal_mark_in_a_file_with_commas(tmp_path, counts, ephys, separator):
    ephys["Tau"] *= 1000
    ephys["Sag"] = [1234.0, 2345, 3456, 4567, 5678, 6789, 7890, 1111]  # a column of numbers if read alone
    spelled = ephys.map(lambda value: f"{value:,.2f}".translate(str.maketrans(",.", ".,")))
    spelled["Sag"] = [f"{value:,.0f}".replace(",", ".") for value in ephys["Sag"]]
    path = written(tmp_path, spelled.to_csv(sep=separator))
    data = PairedData.from_tables(counts, path)
    assert_outputs(data, ephys.round(2))
    assert noted(data, "outputs: decimal commas") and noted(data, "separators of thousands")
    with pytest.warns(UserWarning, match="2 of 3 outputs are left out .outputs without a number.: Tau, AP width"):
        data = PairedData.from_tables(counts, path, decimal={"outputs": "."})
    assert_outputs(data, ephys[["Sag"]] / 1000)
    with pytest.raises(ValueError, match="decimal must be '.' or ',', got ';'"):
        PairedData.from_tables(counts, path, decimal=";")


def test_large_tables_are_converted_at_once(monkeypatch, rng):
    wide = pd.DataFrame(rng.poisson(5, (10, 3000)))
    calls = []
    real = pd.to_numeric
    monkeypatch.setattr(pd, "to_numeric", lambda *given, **options: calls.append(1) or real(*given, **options))
    np.testing.assert_array_equal(to_numbers(wide, "expression")[0], wide)
    assert not calls
    np.testing.assert_array_equal(to_numbers(wide.astype(str), "expression")[0], wide)
    assert len(calls) == 1


# --- missing outputs


@pytest.fixture
def gappy(ephys):
    """Tau lacks in half of the cells, c1 lacks Sag."""
    ephys.loc[CELLS[4:], "Tau"] = np.nan
    ephys.loc["c1", "Sag"] = np.nan
    return ephys


@pytest.mark.parametrize(
    ("missing", "cells", "outputs"),
    [
        ("cells", ["c0", "c2", "c3"], ["Tau", "AP width", "Sag"]),
        ("drop", ["c0", "c2", "c3"], ["Tau", "AP width", "Sag"]),
        ("outputs", CELLS, ["AP width"]),
        ("fewest", ["c0", *CELLS[2:]], ["AP width", "Sag"]),
    ],
)
@pytest.mark.filterwarnings("ignore:.*are left out")
def test_gaps_are_left_out_as_is_said(counts, gappy, missing, cells, outputs):
    data = PairedData.from_tables(counts, gappy, missing=missing)
    assert data.cell_names.tolist() == cells
    assert_outputs(data, gappy[outputs])
    assert data.dropped.get("cells with missing outputs", []) == [cell for cell in CELLS if cell not in cells]
    assert data.dropped.get("outputs with missing values", []) == [name for name in gappy if name not in outputs]


def test_the_error_of_gaps_tells_what_each_way_leaves(counts, gappy):
    message = (
        "Tau .4., Sag .1.; complete .*: missing='cells' leaves 3 of 8 cells, 3 of 3 outputs; missing='outputs' leaves "
        "8 of 8 cells, 1 of 3 outputs; missing='fewest' leaves 7 of 8 cells, 2 of 3 outputs"
    )
    with pytest.raises(ValueError, match=message):
        PairedData.from_tables(counts, gappy)


def test_a_cell_without_any_output_costs_no_output():
    gaps = np.zeros((5, 3), bool)
    gaps[2], gaps[0, 1] = True, True
    cells, outputs = kept(gaps, "outputs")
    assert cells.tolist() == [True, True, False, True, True] and outputs.tolist() == [True, False, True]


def test_fewest_never_keeps_less_than_the_other_ways(rng):
    for share in (0.05, 0.3, 0.7):
        gaps = rng.uniform(size=(12, 9)) < share * rng.uniform(size=9)
        size = {way: np.prod([mask.sum() for mask in kept(gaps, way)]) for way in ("cells", "outputs", "fewest")}
        assert size["fewest"] >= max(size.values())
        cells, outputs = kept(gaps, "fewest")
        assert not gaps[np.ix_(cells, outputs)].any()


# --- labels


def test_the_one_column_of_text_is_the_type(counts, ephys):
    labels = pd.DataFrame({"depth": range(8), "t-type": ["Sst", "Vip"] * 4, "score": ["1.5", "n.d."] * 4}, index=CELLS)
    data = PairedData.from_tables(counts, ephys, labels)
    assert data.labels["type"].tolist() == data.labels["family"].tolist() == ["Sst", "Vip"] * 4
    assert noted(data, "labels: the types and families of cells are taken from the column 't-type'")
    assert PairedData.from_tables(counts, ephys, labels[["depth"]]).labels["type"].tolist() == list("01234567")
    labels["donor"] = ["m1", "m2"] * 4
    with pytest.raises(
        ValueError, match=r"no column 'family' or 'type'; it has \['depth', 't-type', 'score', 'donor'\]"
    ):
        PairedData.from_tables(counts, ephys, labels)
    data = PairedData.from_tables(counts, ephys, labels, type_key="t-type", family_key="t-type")
    assert data.groups("donor").tolist() == ["m1", "m2"] * 4
    with pytest.raises(
        ValueError, match="labels: of no cell; the cells are c0, c1, c2 and 5 more, and labels has the r"
    ):
        PairedData.from_tables(counts, ephys, labels.add_prefix("x", axis=0), type_key="donor", family_key="donor")


# --- names of cells


@pytest.mark.parametrize(
    "change",
    [
        str.upper,
        lambda name: f" {name}",
        lambda name: name.replace("-", "."),
        lambda name: f"X{name}".replace("-", "_"),
    ],
    ids=["case", "blanks", "punctuation", "R"],
)
def test_names_that_differ_a_little_match_if_it_is_said(counts, ephys, change):
    names = [f"2020-{cell}" for cell in CELLS]
    counts, ephys = counts.set_axis(names, axis=0), ephys.set_axis([change(name) for name in names], axis=0)
    labels = pd.DataFrame({"type": ["Sst", "Vip"] * 4}, index=ephys.index)
    data = PairedData.from_tables(counts, ephys.iloc[::-1], labels, match="loose")
    np.testing.assert_array_equal(data.Y, ephys.astype("f4"))
    assert data.cell_names.tolist() == names and data.labels["type"].tolist() == ["Sst", "Vip"] * 4


def test_barcodes_match_without_their_suffix(counts, ephys):
    barcodes = [f"ACGTACGTACGTACG{letter}" for letter in "ACGT"]
    counts, ephys = (
        counts.iloc[:4].set_axis(barcodes, axis=0),
        ephys.iloc[:4].set_axis([f"{b}-1" for b in barcodes], axis=0),
    )
    with pytest.raises(ValueError, match=r"share no cell name: .*ACGTA.*\. 4 would match if case, .*: match='loose'"):
        PairedData.from_tables(counts, ephys)
    assert PairedData.from_tables(counts, ephys, match="loose").n_cells == 4


def test_names_that_hardly_match_are_told(counts, ephys):
    mixed = ephys.rename(index=dict(zip(CELLS[2:], [cell.upper() for cell in CELLS[2:]], strict=True)))
    with pytest.raises(
        ValueError, match="share only 2 cell names: .*8 would match .* or match='exact' to go on with 2"
    ):
        PairedData.from_tables(counts, mixed)
    with pytest.warns(UserWarning, match="cells only in"):
        assert PairedData.from_tables(counts, mixed, match="exact").n_cells == 2
    with pytest.warns(UserWarning, match="7 cells match by name, and 8 would match if case.*match='loose'"):
        assert PairedData.from_tables(counts, ephys.rename(index={"c3": "C3"})).n_cells == 7
    with pytest.raises(ValueError, match="outputs: with match='loose' these cells have the same name: C3, c3"):
        PairedData.from_tables(counts, ephys.rename(index={"c2": "C3"}), match="loose")
    strangers = pd.concat([ephys.iloc[:2].set_axis(["z-1", "Z.1"], axis=0), ephys])  # nobody asks for these
    with pytest.warns(UserWarning, match="cells only in outputs.: z-1, Z.1"):
        assert_outputs(PairedData.from_tables(counts, strangers, match="loose"), ephys)
    with pytest.raises(ValueError, match="match must be 'exact' or 'loose', got 'fuzzy'"):
        PairedData.from_tables(counts, ephys, match="fuzzy")


# --- all of it


@pytest.mark.filterwarnings("ignore:.*are left out")
def test_tables_as_they_come_with_a_paper_are_read_with_one_call(tmp_path, rng):
    """80 cells x 3000 genes with all that is wrong with such tables."""
    cells, genes = [f"mouse-{i}" for i in range(80)], [f"Gene{j}" for j in range(3000)]
    counts = pd.DataFrame(rng.poisson(rng.gamma(1, 20, 3000), (80, 3000)), index=cells, columns=genes)
    ephys = pd.DataFrame(rng.normal(0, 9, (80, 4)).round(2), index=cells, columns=["Tau", "Sag", "Rin", "Vm"])
    raw = counts.assign(**{"ERCC-00002": 900, "__no_feature": range(80)}).T
    raw.insert(0, "Length", "1 kb")
    text = "Table S1\n\nof 80 cells\n" + raw.to_csv(sep="\t", lineterminator="\r\n")
    expression = written(tmp_path, text, "counts.txt", "utf-16")
    spelled = ephys.map(lambda value: str(value).replace(".", ","))
    spelled.iloc[3, 1], spelled.iloc[5, 2] = "-", "n.d."
    spelled.insert(0, "Date", "12.03.2019")
    outputs = written(
        tmp_path, lines(spelled.iloc[::-1], "Table S2", units=";;ms;mV;MΩ;mV", sep=";"), encoding="utf-8-sig"
    )
    data = PairedData.from_tables(expression, outputs, missing="cells")
    complete = [cell for cell in cells if cell not in ("mouse-3", "mouse-5")]
    assert data.cell_names.tolist() == complete
    varying = counts.loc[complete, np.ptp(counts.loc[complete], axis=0) > 0]
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(varying)))
    assert_outputs(data, ephys)
