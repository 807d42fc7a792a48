"""Own tables: matched by exact names, or refused with what was found and what to do."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

from sbnn.data import paired
from sbnn.data.paired import as_paired
from sbnn.data.tables import read_tables

RNG = np.random.default_rng(0)
CELLS = [f"c{i}" for i in range(12)]
COUNTS = pd.DataFrame(RNG.poisson(3, (12, 6)) + [[1]], CELLS, ["A1", "B2", "NA", "D", "E", "F"])
OUTPUTS = pd.DataFrame(RNG.normal(-60, 5, (12, 2)), CELLS, ["Vrest", "Rin"])
LABELS = pd.DataFrame({"type": list("aabb") * 3, "donor": list("xyz") * 4}, CELLS)


def test_counts_outputs_and_labels_are_matched_by_name():
    with pytest.warns(UserWarning, match="3 of 12 cells have no type"):
        adata = read_tables(COUNTS, OUTPUTS[::-1], LABELS[3:])
    data = as_paired(adata)
    np.testing.assert_allclose(data.Y, OUTPUTS, rtol=1e-5)
    totals = COUNTS.sum(axis=1)
    logs = np.log2(COUNTS.div(totals, axis=0) * totals.median() + 1)
    np.testing.assert_allclose(data.X, logs, rtol=1e-5)
    assert data.labels["type"].tolist() == ["unknown"] * 3 + LABELS["type"].tolist()[3:]
    assert adata.obs["donor"].iloc[3:].tolist() == LABELS["donor"].tolist()[3:]


@pytest.mark.parametrize("ending", ["csv", "csv.gz", "tsv", "xlsx"])
@pytest.mark.parametrize("turned", [False, True])
def test_files_of_any_kind_and_orientation_are_the_same_cells(tmp_path, ending, turned):
    table = COUNTS.T if turned else COUNTS
    paths = []
    for name, one in {"counts": table, "outputs": OUTPUTS}.items():
        paths.append(tmp_path / f"{name}.{ending}")
        if ending == "xlsx":
            one.to_excel(paths[-1])
        else:
            one.to_csv(paths[-1], sep="\t" if ending == "tsv" else ",")
    found = read_tables(*paths)
    expected = read_tables(COUNTS, OUTPUTS)
    assert found.obs_names.equals(expected.obs_names) and found.var_names.equals(expected.var_names)
    np.testing.assert_array_equal(found.X, expected.X)
    np.testing.assert_allclose(found.obsm["outputs"], expected.obsm["outputs"], rtol=1e-6)


def test_an_anndata_is_read_from_memory_and_from_its_file(adata, tmp_path):
    adata.write_h5ad(tmp_path / "cells.h5ad")
    for given in (adata, tmp_path / "cells.h5ad"):
        found = read_tables(given)
        np.testing.assert_array_equal(found.layers["counts"], adata.layers["counts"])
        assert found.obs["type"].tolist() == adata.obs["type"].tolist()
    columns = adata.obsm["outputs"].add_prefix("of ")
    columns.to_csv(tmp_path / "ephys.csv")
    adata.obs = adata.obs.join(columns)
    for outputs in ([*columns], str(tmp_path / "ephys.csv")):
        found = read_tables(adata, outputs).obsm["outputs"]
        np.testing.assert_allclose(found, columns, rtol=1e-6)


def test_sparse_counts_give_the_same_and_are_dense_twice_at_most():
    cells = [f"cell{i}" for i in range(6000)]
    counts = RNG.poisson(0.04, (6000, 600))
    adata = AnnData(counts.astype(np.float32), pd.DataFrame(index=cells))
    outputs = pd.DataFrame(RNG.normal(size=(6000, 2)), cells, ["a", "b"])[:0:-1]
    with pytest.warns(UserWarning, match="not in outputs left out: cell0"):
        expected = as_paired(read_tables(adata, outputs))
    adata.X = sparse.csr_matrix(adata.X)
    tracemalloc.start()
    found = read_tables(adata, outputs[::-1])
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 3 * found.X.nbytes  # sparse copies are small, but not nothing
    assert sparse.issparse(found.layers["counts"])
    found = as_paired(found)
    np.testing.assert_array_equal(found.X, expected.X)
    assert found.sha256 == expected.sha256


def test_data_are_the_same_on_a_processor_with_other_logarithms(monkeypatch):
    usual = read_tables(COUNTS, OUTPUTS)
    monkeypatch.setattr(paired, "log2p1", lambda X: np.nextafter(np.log2(X + 1), 9))
    other = read_tables(COUNTS, OUTPUTS)
    assert (other.X != usual.X).any()
    known = as_paired(usual).sha256
    assert as_paired(other).sha256 == known
    for changed in ((COUNTS + 1, OUTPUTS), (COUNTS, OUTPUTS + 1)):
        assert as_paired(read_tables(*changed)).sha256 != known


def test_genes_of_one_name_are_named(adata):
    with pytest.raises(ValueError, match="repeated gene names: gene02"):
        read_tables(adata[:, [0, 1, 1]].copy())


def test_without_expression_the_layers_are_named(adata):
    adata = adata.copy()
    adata.layers["raw"] = adata.layers.pop("counts")
    adata.X = None
    with pytest.raises(ValueError, match=r"layers \['raw'\]"):
        read_tables(adata)


def test_what_is_left_out_is_told():
    spiked = COUNTS.assign(**{"ERCC-00002": 7, "G": 0})
    spiked.loc["c4"] = 0
    gaps = OUTPUTS.assign(same=1.0)
    gaps.iloc[3, 0] = np.nan
    others = pd.concat([gaps[1:], gaps[1:2].set_axis(["d1"])])
    with pytest.warns(UserWarning) as warned:
        adata = read_tables(spiked, others, LABELS)
    assert adata.obs_names.tolist() == ["c1", "c2", *CELLS[5:]]
    assert adata.obs["donor"].tolist() == LABELS["donor"][adata.obs_names].tolist()
    told = "; ".join(str(one.message) for one in warned)
    for text in (
        "outputs left out: c0",
        "d1",
        "c3",
        "ERCC-00002",
        "c4",
        "cells left out: G",
        "same",
    ):
        assert text in told


TEXT = COUNTS.astype(object)
TEXT.iloc[2, 3] = "7,5"
META = COUNTS.assign(nFeature=np.linspace(0, 1, 12))
REFUSED = {
    "expression and outputs: .*names of cells do not match.* c0.* A1.* s0.*set_index": (
        COUNTS,
        OUTPUTS.rename(index=lambda name: name.replace("c", "s")),
    ),
    "expression: expected numbers, got '7,5' in row 'c2', column 'D'.*decimal": (TEXT, OUTPUTS),
    "outputs: names that appear more than once: c3.*groupby": (
        COUNTS,
        pd.concat([OUTPUTS, OUTPUTS[3:4]]),
    ),
    "outputs: rows are numbered.*set_index": (COUNTS, OUTPUTS.reset_index()),
    "expression: not whole numbers .*: nFeature; .*drop": (
        META,
        OUTPUTS,
    ),
    "outputs: expected numbers, got Timestamp.* in row 'c0', column 'day'": (
        COUNTS,
        OUTPUTS.assign(day=pd.Timestamp("2020-01-01")),
    ),
    "outputs: none has two different values": (COUNTS, OUTPUTS * 0),
    "expression: flags, or the name of an output or label: donor": (
        COUNTS.assign(donor=range(12)),
        OUTPUTS,
        LABELS,
    ),
    "expression: flags, .*: doublet": (COUNTS.assign(doublet=COUNTS["D"] > 3), OUTPUTS),
    "labels: no row has the name of a cell": (COUNTS, OUTPUTS, LABELS.add_prefix("x", axis=0)),
    "expression: missing values of D": (
        COUNTS.replace({"D": {COUNTS["D"].iloc[0]: np.nan}}),
        OUTPUTS,
    ),
    "expression: values up to .* are no log values": (COUNTS + 99.5, OUTPUTS),
}


@pytest.mark.filterwarnings("ignore:.* outputs with one value")
@pytest.mark.parametrize("message", REFUSED)
def test_the_first_mistake_is_told_with_what_to_do(message):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        read_tables(*REFUSED[message])


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"a,b\n1,2,3\n1,2,3,4\n"])
def test_what_is_no_plain_table_is_refused_with_its_path(tmp_path, content):
    path = tmp_path / "counts.csv"
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match=f"(?s)expression: {path} is not a plain table.*pd.read_csv"
    ):
        read_tables(path, OUTPUTS)


@pytest.mark.parametrize(
    "name",
    ["Unnamed: 0", "n_genes_by_counts", "total_counts", "cluster"]
    + ["1-Mar", "Sep-07", "2001-03-01 00:00:00"],  # what spreadsheets make of MARCH1 and SEPT7
)
def test_names_that_tools_make_are_named(name):
    with pytest.warns(UserWarning, match=f"names that tools make: {name};"):
        read_tables(COUNTS, OUTPUTS.assign(**{name: RNG.random(12)}))


def test_names_of_two_levels_become_text():
    donors = pd.MultiIndex.from_product([["mouse 1"], COUNTS.index])
    outputs = OUTPUTS.set_axis(pd.MultiIndex.from_product([OUTPUTS.columns, ["mean"]]), axis=1)
    data = read_tables(COUNTS.set_axis(donors), outputs.set_axis(donors))
    assert data.obs_names[0] == str(donors[0])
    assert data.obsm["outputs"].columns.tolist() == [str(name) for name in outputs]


@pytest.mark.parametrize("kept", [slice(None, 60), None], ids=["incomplete", "not compressed"])
def test_a_damaged_compressed_file_is_named(kept, tmp_path):
    path = tmp_path / "outputs.csv.gz"
    OUTPUTS.to_csv(path)
    path.write_bytes(b"name,Rin" if kept is None else path.read_bytes()[kept])
    with pytest.raises(ValueError, match=r"outputs: .*outputs.csv.gz"):
        read_tables(COUNTS, path)


def test_cells_and_outputs_that_appear_twice_are_named():
    counts = COUNTS.T.assign(c7=COUNTS.T["c3"]).T
    with pytest.warns(UserWarning) as warned:
        read_tables(counts, OUTPUTS.assign(MOhm=-OUTPUTS["Rin"] / 1000))
    said = [str(one.message) for one in warned]
    assert said == [
        "cells with the expression of an earlier cell: c7; leave them out",
        "outputs that copy an earlier one: MOhm; leave them out",
    ]
