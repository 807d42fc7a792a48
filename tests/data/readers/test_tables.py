"""Paired data from a user's own tables: what is read, what is left out and what is refused."""

import warnings

import anndata
import numpy as np
import pandas as pd
import pytest

from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size
from sbnn.data.readers.matching import kept
from sbnn.data.readers.reading import ReadingError
from sbnn.data.readers.table_names import no_genes
from sbnn.data.readers.tables import read_tables

CELLS = [f"c{i}" for i in range(8)]


@pytest.fixture
def counts(rng):
    return pd.DataFrame(rng.poisson(60, (8, 5)) + 1, CELLS, ["Gad1", "Sst", "NA", "Vip", "Ercc1"])


@pytest.fixture
def ephys(rng):
    return pd.DataFrame(rng.normal(0, 30, (8, 3)), CELLS, ["Tau", "AP width", "Sag"])


@pytest.fixture
def labels():
    families = ["Sst", "Vip"] * 4
    types = ["Sst 1", "Vip 1", "Sst 2", "Vip 2"] * 2
    return pd.DataFrame({"family": families, "type": types}, CELLS)


def read(*tables, **options):
    """Paired arrays, what was left out, and the warnings as one text."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        data = as_paired(read_tables(*tables, **options))
    assert all(warning.filename == __file__ for warning in caught)
    return data, data.about["dropped"], " ".join(str(one.message) for one in caught)


def assert_read(data, counts, ephys):
    """Counts of the genes, their logarithms, and outputs, under their names."""
    assert data.cell_names.tolist() == counts.index.tolist()
    assert data.gene_names.tolist() == counts.columns.tolist()
    assert data.feature_names.tolist() == ephys.columns.tolist()
    np.testing.assert_array_equal(data.counts, counts)
    np.testing.assert_array_equal(data.X, log2p1(normalize_library_size(counts)))
    np.testing.assert_array_equal(data.Y, ephys.astype("f4"))


def refused(message, *tables, **options):
    with pytest.raises(ValueError, match=message):
        read(*tables, **options)


def test_tables_in_any_order_and_orientation(tmp_path, counts, ephys, labels):
    counts.T.to_csv(tmp_path / "counts.csv")
    ephys[::-1].to_csv(tmp_path / "ephys.tsv", sep="\t")
    labels.sample(frac=1).to_csv(tmp_path / "labels.csv")
    names = ("counts.csv", "ephys.tsv", "labels.csv")
    data, dropped, warned = read(*(tmp_path / name for name in names), name="mine")
    assert_read(data, counts, ephys)
    assert data.labels[["family", "type"]].equals(labels)
    assert (data.name, dropped, warned) == ("mine", {}, "")
    assert all(name in data.about["source"] for name in names)
    colors = {"Sst 1": "#102030"}
    data, _, _ = read(counts, ephys, labels, colors=colors, source="our rig", counts=True)
    assert data.colors["Sst 1"] == "#102030"
    assert data.about["source"] == "our rig"
    assert data.about["notes"] == []
    assert data.about["read"]["table"]["cells in"].tolist() == ["rows"] * 3


def test_columns_and_cells_are_renamed_and_left_out(counts, ephys, labels):
    """Two outputs have one name, one is text, and cells have other names than in the expression."""
    other = {name: f"mouse 1, {name}" for name in CELLS}
    table = ephys.set_axis(["Tau", "Tau", "Sag"], axis=1).assign(note="fine").rename(other)
    names = pd.DataFrame({"counts": list(other)}, other.values())
    options = {"drop_columns": "note", "rename": {"Tau (2)": "AP width"}, "cell_names": names}
    data, _, _ = read(counts, table, labels.rename(other), **options)
    assert_read(data, counts, ephys)
    assert data.labels["type"].tolist() == labels["type"].tolist()
    refused("drop_columns: .*Rin", counts, ephys, drop_columns=["Rin", "Tau"])
    refused("rename: .*Rin", counts, ephys, rename={"Rin": "R"})


def test_the_column_of_the_cells_can_be_named(counts, ephys, labels):
    keyed = ephys.reset_index(names="cell")
    data, _, _ = read(counts, keyed, labels, cell_key="cell")
    assert_read(data, counts, ephys)
    refused("cell_key: .*id", counts, keyed, cell_key={"outputs": "id"})


def test_names_that_differ_a_little_match_if_asked_for(counts, ephys, labels):
    labels.index = [f" {name.upper()}." for name in CELLS]
    data, _, _ = read(counts, ephys, labels[::-1], match="loose")
    assert data.labels["type"].tolist() == labels["type"].tolist()
    twice = pd.concat([labels, labels[:1].rename(str.lower)])
    refused("labels: .*more than once", counts, ephys, twice, match="loose")


def test_cells_of_one_table_alone_are_listed(counts, ephys, labels):
    labels = labels.drop("c7").rename({"c4": "c99"})
    data, dropped, warned = read(counts.drop("c1"), ephys.drop(["c5", "c0"]), labels)
    kept = ["c2", "c3", "c4", "c6", "c7"]
    assert_read(data, counts.loc[kept], ephys.loc[kept])
    assert dropped == {
        "cells only in expression": ["c0", "c5"],
        "cells only in outputs": ["c1"],
        "labels of other cells": ["c0", "c1", "c99", "c5"],
    }
    assert data.labels["type"].tolist() == ["Sst 2", "Vip 2", "unknown", "Sst 2", "unknown"]
    assert "expression: 2 of 7 left out (cells only in expression): c0, c5" in warned
    assert "no labels for 2 of 5 cells: c4, c7" in warned


@pytest.mark.parametrize("missing", ["cells", "outputs", "fewest"])
def test_gaps_are_left_out_as_asked_for(counts, ephys, missing):
    ephys.iloc[4:, 0] = np.nan
    ephys.iloc[1, 2] = np.nan
    message = r"outputs: missing values in columns Tau, Sag \(5 in all\).*missing="
    refused(message, counts, ephys)
    data, dropped, _ = read(counts, ephys, missing=missing)
    cells, outputs = kept(ephys.isna().to_numpy(), missing)
    assert_read(data, counts[cells], ephys.loc[cells, outputs])
    assert dropped.get("cells with missing outputs", []) == ephys.index[~cells].tolist()
    assert dropped.get("outputs with missing values", []) == ephys.columns[~outputs].tolist()
    gap = counts.astype(float)
    gap.loc["c0", "Sst"] = np.nan
    refused("expression: missing values of Sst.*drop_columns", gap, ephys, missing=missing)


def test_an_unknown_option_is_named_beside_the_known_ones(counts, ephys):
    with pytest.raises(TypeError, match="^unknown options sheets; expected some of sheet, "):
        read_tables(counts, ephys, sheets="cells")


def test_options_may_differ_between_tables(counts, ephys):
    spelled = ephys.round(1).astype(str).map(lambda text: text.replace(".", ","))
    decimal = {"outputs": ",", "expression": "."}
    data, _, _ = read(counts.map("{:,.2f}".format), spelled, decimal=decimal)
    assert_read(data, counts, ephys.round(1))
    ephys["Sag"] = -9
    _, dropped, _ = read(counts, ephys, missing_marks="-9")
    assert dropped == {"outputs without a number": ["Sag"]}
    ephys.loc["c2", "Sag"] = counts["note"] = "broken"
    refused("outputs: .*Sag.*cell c2.*missing_marks=..broken", counts, ephys)
    counts.loc["c3", "note"] = 1
    refused("expression: .*note.*cell c0.*drop_columns=..note", counts, ephys[["Tau"]])


def test_counts_normalised_values_and_logarithms_are_told_apart(counts, ephys):
    assert "raw counts" in read(counts, ephys)[0].about["notes"][0]
    tpm = counts.div(counts.sum(axis=1), axis=0) * 1e6
    data, _, _ = read(tpm, ephys)
    np.testing.assert_array_equal(data.X, log2p1(tpm))
    assert data.counts is None
    empty = tpm.mul(tpm.index != "c3", axis=0)
    assert read(empty, ephys)[1]["cells without counts"] == ["c3"]
    logs = np.log2(empty + 1)
    data, dropped, _ = read(logs, ephys)
    np.testing.assert_array_equal(data.X, logs.astype("f4"))
    assert dropped == {}
    changes = counts - 60
    refused("negative whole numbers.*counts=False", changes, ephys)
    np.testing.assert_array_equal(read(changes, ephys, counts=False)[0].X, changes)
    data, _, _ = read(np.log2(tpm + 1), ephys, counts="normalised")
    np.testing.assert_array_equal(data.X, log2p1(np.log2(tpm + 1)))
    refused("expected counts.*counts=False", counts - 99, ephys, counts=True)
    rounded = counts.astype(float)
    rounded.iloc[0] += 0.25  # as from programs that share reads between transcripts
    refused("need rounding; if so, set counts=True", rounded, ephys)
    data, _, warned = read(rounded, ephys, counts=True)
    assert "fractions of counts are rounded" in warned
    assert_read(data, counts, ephys)


def test_what_does_not_vary_or_holds_no_number_is_left_out(counts, ephys):
    expected = counts.drop(index="c3", columns="Vip")
    counts.loc["c3"] = 0
    counts["Vip"] = 0
    data, dropped, _ = read(counts.assign(Length="n.d."), ephys.assign(Rin=1, Cre="SST+"))
    assert_read(data, expected, ephys.drop("c3"))
    assert dropped == {
        "outputs without a number": ["Cre"],
        "genes without a number": ["Length"],
        "cells without counts": ["c3"],
        "genes with one value in all cells": ["Vip"],
        "outputs with one value in all cells": ["Rin"],
    }
    refused("expression: all 1 are left out", counts[["Vip"]] + 1, ephys)


def test_spike_ins_and_counters_are_not_part_of_the_library(counts, ephys):
    names = ["ERCC-00002", "ercc00130", "gSpikein_x", "spike-in 3", "RNA_spike_a", "__alignment"]
    names += ["N_unmapped", "ambiguous", "Blank-12", "NegControlProbe_00042"]
    added = pd.DataFrame(np.arange(80).reshape(8, 10), CELLS, names)
    raw = pd.concat([counts, added], axis=1)
    data, dropped, _ = read(raw.T, ephys)
    assert_read(data, counts, ephys)
    assert dropped == {"spike-ins and counters": names}
    _, dropped, _ = read(counts, ephys.assign(unmapped=range(8), spike1=range(8)))
    assert dropped == {"counters": ["unmapped"]}
    genes = ["ERCC1", "Ercc6l2", "ERCC6-PGBD3", "ERCC-ab", "N_gene", "Spike", "ambiguousA"]
    assert not no_genes(pd.Index(genes)).any()


def test_genes_of_one_name_are_added_up_or_the_first_is_taken(counts, ephys):
    raw = counts.set_axis(["Sst", "Gad1", "NA", "Sst", "NA"], axis=1)
    first = counts.iloc[:, :3].set_axis(["Sst", "Gad1", "NA"], axis=1)
    added = first + counts.iloc[:, [3, 0, 4]].to_numpy() * [1, 0, 1]
    for duplicates, expected in (("first", first), ("sum", added)):
        data, _, _ = read(raw.T, ephys, duplicates=duplicates)
        assert_read(data, expected, ephys)
    refused("expression: .*Sst, NA; to add up.*duplicates=.sum", raw, ephys)
    refused(
        "expression: .*Sst, NA; to take.*duplicates=.first",
        np.log2(raw + 1),
        ephys,
        duplicates="sum",
    )


def test_rows_of_one_cell_are_averaged_if_asked_for(counts, ephys, labels):
    """A value that is missing in one sweep is that of the other; its text is asked about."""
    sweeps = pd.concat([ephys + 1, ephys - 1]).astype(object)
    sweeps.iloc[8, 0] = "lost"
    expected = ephys.copy()
    expected.iloc[0, 0] += 1
    sweeps["protocol"] = ["long"] * 8 + ["short"] * 8
    sweeps["fast"] = [True, False] * 8
    refused("(?s)several rows: c0.*average=True.*'lost' for cell c0", counts, sweeps)
    options = {"average": True, "missing_marks": ["lost"]}
    data, dropped, _ = read(counts, sweeps[::-1], labels, **options)
    np.testing.assert_allclose(data.Y, expected, rtol=1e-5)
    assert dropped == {"outputs without a number": ["protocol", "fast"]}


def test_a_row_per_cell_and_output_is_not_averaged_unasked(counts, ephys):
    long = ephys.stack().rename_axis(["cell", "feature"]).reset_index("feature", name="value")
    refused("a row per cell and 'feature'.*with a column for each 'feature'", counts, long)
    sweeps = pd.concat([ephys.assign(protocol="a"), ephys.assign(protocol="b")])
    refused("^outputs: cells have several rows.*set average=True$", counts, sweeps)


def test_the_sheet_of_each_table_is_asked_for(tmp_path, counts, ephys, labels):
    """The largest other one is suggested, and other problems are found as well."""
    path = tmp_path / "all.xlsx"
    with pd.ExcelWriter(path) as book:
        for name, table in {"meta": labels, "counts": counts, "ephys": ephys}.items():
            table.to_excel(book, sheet_name=name)
    with pytest.raises(ReadingError, match="all.xlsx.: several sheets .*meta, counts") as caught:
        read(path, path, path, drop_columns=["Rin"])
    assert len(caught.value.reading.problems) == 4
    sheets = {"expression": "counts", "outputs": "ephys", "labels": "meta"}
    assert caught.value.reading.choices["sheet"] == sheets
    with pytest.raises(ReadingError, match="several sheets") as caught:
        read(counts, path)
    assert caught.value.reading.choices["sheet"] == {"outputs": "ephys"}, "not the genes"
    data, _, _ = read(path, path, path, sheet=sheets)
    assert_read(data, counts, ephys)
    assert data.labels["type"].tolist() == labels["type"].tolist()


def test_names_that_are_missing_or_became_dates_are_asked_for(counts, ephys):
    damaged = counts.rename(columns={"Vip": "1-Mar"})
    refused("dates instead of names: 1-Mar.*drop_columns=.*1-Mar", damaged, ephys)
    data, _, _ = read(damaged, ephys, rename={"1-Mar": "Vip"})
    assert_read(data, counts, ephys)
    noted = ephys.assign(note=["lost", *[None] * 7]).rename(columns={"note": ""})
    refused("without a name: unnamed column 5;", counts, noted)
    data, _, _ = read(counts, noted, drop_columns=["unnamed column 5"])
    assert_read(data, counts, ephys)


def test_rows_without_names_are_left_out_if_they_are_few(counts, ephys):
    more = pd.concat([counts.add_suffix(f" {i}", axis=0) for i in range(2)])
    outputs = pd.concat([ephys.add_suffix(f" {i}", axis=0) for i in range(2)])
    means = outputs.mean().to_frame("").T
    data, _, warned = read(more, pd.concat([outputs, means]))
    assert_read(data, more, outputs)
    assert "rows without a name are left out: 1 of 17" in warned


def test_an_anndata_without_names_may_be_in_the_order_of_a_table(counts, ephys):
    adata = anndata.AnnData(counts.reset_index(drop=True).astype(float).rename(str))
    refused("no names, only row numbers.*by_row=True", adata, ephys.reset_index(drop=True))
    data, _, _ = read(adata, ephys.reset_index(drop=True), by_row=True)
    assert_read(data, counts.set_axis([str(i) for i in range(8)]), ephys)


def test_other_values_than_expression_are_asked_about(counts, ephys):
    refused("too large for log values; .* add counts=False", 9 * ephys, counts)


def test_labels_may_have_other_names_or_be_of_one_kind(counts, ephys, labels):
    renamed = labels.rename(columns={"family": "subclass", "type": "t-type"}).assign(layer=5)
    data, _, _ = read(counts, ephys, renamed, family_key="subclass", type_key="t-type")
    assert data.labels[["family", "type"]].equals(labels)
    assert data.labels["layer"].tolist() == [5] * 8
    for one, key in ((renamed[["subclass"]], "subclass"), (labels[["family"]], None)):
        data, _, _ = read(counts, ephys, one, type_key=key)
        assert data.labels["type"].tolist() == labels["family"].tolist()
        assert data.labels["family"].tolist() == labels["family"].tolist()
    refused(
        "type_key: no column 'cluster'.*family, type", counts, ephys, labels, type_key="cluster"
    )
    data, _, _ = read(counts, ephys, renamed)
    assert set(data.labels["type"]) == {"unknown"}
    assert data.labels["subclass"].tolist() == labels["family"].tolist()
    assert "no column type or family among subclass, t-type, layer" in data.about["notes"][0]


def test_types_may_be_numbers_and_missing(counts, ephys):
    blanks = read(counts, ephys, pd.DataFrame({"type": ["Sst", "Sst "] * 4}, CELLS))[0]
    assert set(blanks.labels["type"]) == {"Sst"}
    labels = pd.DataFrame({"type": [1.0, 2, np.nan, 1] * 2}, CELLS)
    data, _, _ = read(counts, ephys, labels)
    assert data.labels["type"].tolist() == ["1", "2", "unknown", "1"] * 2
    assert "labels: 2 of 8 cells have no type: c2, c6" in data.about["notes"]


def test_labels_of_sweeps_are_those_that_all_rows_of_a_cell_share(counts, ephys, labels):
    sweeps = pd.concat([labels.assign(sweep=1), labels.assign(sweep=2)])
    data, dropped, _ = read(counts, ephys, sweeps)
    assert data.labels["type"].tolist() == labels["type"].tolist()
    assert dropped == {"columns that differ between rows of one cell": ["sweep"]}
    assert "labels: 16 rows are of 8 cells" in data.about["notes"]
    refused("expression.*more than once.*cell_key=COLUMN", pd.concat([counts, counts]), ephys)


def test_columns_that_describe_genes_or_cells_are_no_genes_or_cells(counts, ephys):
    described = counts.assign(nCount_RNA=counts.sum(axis=1), batch=[1, 2] * 4)
    data, dropped, _ = read(described, ephys)
    assert_read(data, counts, ephys)
    assert [*dropped.values()] == [["nCount_RNA", "batch"]]
    ids = [f"ENSG{i:011}" for i in range(5)]
    described = counts.T.assign(gene_id=ids, Length=900).rename_axis("symbol")
    data, dropped, _ = read(described, ephys)
    assert_read(data, counts, ephys)
    named = (
        "genes are named by the first column; gene_id has other names: cell_key=expression=gene_id"
    )
    assert named in data.about["notes"]
    again = read(described.reset_index(), ephys, cell_key={"expression": "gene_id"})[0]
    assert again.gene_names.tolist() == ids


def test_columns_of_labels_need_labels(counts, ephys):
    refused("labels: needed for type_key='kind'", counts, ephys, type_key="kind")
