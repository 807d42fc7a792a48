"""A user's own screen: cells with one clear guide, or with a label."""

import gzip
import io
import shlex

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.io import mmwrite

from sbnn.cli import main
from sbnn.data.readers.reading import ReadingError
from sbnn.data.readers.screens import read_screen

GUIDES = """,I_1,I_2_b,non_1,M_1
c0,8,2,0,0
c1,0,7,0,0
c2,0,0,7,2
c3,9,0,0,0
c4,0,0,0,4
c6,0,0,6,0
c8,1,0,0,
c9,0,0,0,0
"""


@pytest.fixture
def counts(rng):
    """Counts of nine cells x three genes; c8 has none."""
    cells = ["c0", "c1", "c2", "c3", "c4", "c6", "c7", "c8", "c9"]
    table = pd.DataFrame(rng.poisson(3, (9, 3)) + 1, cells, list("ABC"))
    table.loc["c8"] = 0
    return table


def test_cells_without_one_clear_guide_are_left_out(counts, tmp_path):
    counts.T.to_csv(tmp_path / "genes.csv")
    guides = pd.read_csv(io.StringIO(GUIDES), index_col=0)
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", guides, "non", "mine")
    kept = ["c0", "c1", "c3", "c4", "c6"]
    assert screen.obs_names.tolist() == kept
    assert screen.obs["perturbation"].tolist() == ["I", "I_2_b", "I", "M", "non"]
    assert screen.obs["guide"].tolist() == ["I_1", "I_2_b", "I_1", "M_1", "non_1"]
    np.testing.assert_array_equal(screen.X.toarray(), counts.loc[kept])
    about = screen.uns["sbnn"]
    assert list(about["dropped"].values()) == [["c7"], ["c8"], ["c9"], ["c2"]]
    assert any("only one guide: I, I_2_b, M" in str(one.message) for one in warned)
    assert all(warning.filename == __file__ for warning in warned)


def test_a_column_may_name_the_perturbation(counts, tmp_path):
    counts.to_csv(tmp_path / "genes.csv")
    labels = pd.DataFrame({"of": ["a", "b", "", " a", "c", "c", "b"]}, counts.index[:7])
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(tmp_path / "genes.csv", labels, "c")
    assert screen.obs["perturbation"].tolist() == ["a", "b", "a", "c", "c", "b"]
    assert screen.uns["sbnn"]["dropped"]["without a label"] == ["c2"]
    assert len(warned) == 2, "single guides are not known"
    numbers = labels.replace({"": None, "a": 1.0, " a": 1.0, "b": 2.0, "c": 7.0}).astype(float)
    with pytest.warns(UserWarning):
        assert read_screen(tmp_path / "genes.csv", numbers, 7).obs["guide"].tolist()[-2] == "7"


def labelled(counts, labels):
    return pd.DataFrame({"label": labels}, counts.index[: len(labels)])


def test_labels_of_guides_have_targets_like_counts_of_guides(counts):
    labels = labelled(counts, ["I_1", "I_2", "I_1|M_1", "M_1 ; I_2", "M_1", "a|b", "NT_1"])
    with pytest.warns(UserWarning) as warned:
        screen = read_screen(counts, labels, "NT")
    about = screen.uns["sbnn"]
    assert about["dropped"]["with several guides"] == ["c2", "c3"]
    assert screen.obs["perturbation"].tolist() == ["I", "I", "M", "a|b", "NT"]
    assert screen.obs["guide"].tolist() == ["I_1", "I_2", "M_1", "a|b", "NT_1"]
    expected = {"I_1": "I", "I_2": "I", "M_1": "M", "NT_1": "NT", "a|b": "a|b"}
    assert dict(about["guides"].to_numpy()) == expected
    assert any("only one guide: M, a|b" in str(one.message) for one in warned)


@pytest.mark.filterwarnings("ignore")
def test_labels_of_cells_without_one_guide_are_no_targets(counts):
    names = ["A_1", "Unassigned", "doublet", "NT_1", "A_2", "no guide", "multiple"]
    screen = read_screen(counts, labelled(counts, names), "NT")
    assert screen.obs["guide"].tolist() == ["A_1", "NT_1", "A_2"]
    dropped = screen.uns["sbnn"]["dropped"]
    assert dropped["without a label"] == ["c1", "c6"]
    assert dropped["with several guides"] == ["c2", "c7"]
    # unless it is the control
    screen = read_screen(counts, labelled(counts, names), "Unassigned")
    assert screen.obs["guide"].tolist() == ["A_1", "Unassigned", "NT_1", "A_2"]


@pytest.mark.filterwarnings("ignore:guides")
def test_targets_can_be_given(counts, tmp_path):
    labels = labelled(counts, ["a", "b", "a", "b", "c", "c", "a"])
    targets = pd.DataFrame({"seq": "T", "target": ["x", "y", "0"], "guide": ["a", "b", "c"]})
    targets.to_csv(tmp_path / "targets.tsv", sep="\t", index=False)
    for given in (tmp_path / "targets.tsv", targets.set_index("guide")[["target"]]):
        screen = read_screen(counts, labels, "0", targets=given)
        assert screen.obs["perturbation"].tolist() == ["x", "y", "x", "y", "0", "0", "x"]


@pytest.mark.filterwarnings("ignore:guides")
def test_guides_can_be_h5ad_or_packed(counts, tmp_path):
    guides = pd.read_csv(io.StringIO(GUIDES), index_col=0).fillna(0)
    expected = read_screen(counts, guides, "non")
    ad.AnnData(sparse.csr_matrix(guides), guides[[]], guides.T[[]]).write_h5ad(tmp_path / "g.h5ad")
    guides.to_csv(tmp_path / "g.tsv.gz", sep="\t")
    labels = expected.obs[["guide"]].astype("category")
    ad.AnnData(obs=labels).write_h5ad(tmp_path / "labels.h5ad")
    for file in ("g.h5ad", "g.tsv.gz", "labels.h5ad"):
        screen = read_screen(counts, tmp_path / file, "non")
        pd.testing.assert_frame_equal(screen.obs, expected.obs)
    ad.AnnData(obs=labels.assign(batch=1)).write_h5ad(tmp_path / "two.h5ad")
    with pytest.raises(ValueError, match="guide, batch; set guide_key='guide'"):
        read_screen(counts, tmp_path / "two.h5ad", "non_1")
    with_labels = ad.AnnData(counts, labels.assign(batch=1).reindex(counts.index))
    for guides, options in (("guide", {}), (None, {"guide_key": "guide"})):
        screen = read_screen(with_labels, guides, "non", **options)
        pd.testing.assert_frame_equal(screen.obs[["guide", "perturbation"]], expected.obs)


def write_matrix_market(folder, counts, before="", end="", features="features.tsv"):
    """Write counts as Cell Ranger does, with a guide after the genes."""
    folder.mkdir(exist_ok=True)
    both = counts.assign(guide=9).T  # features x cells
    write = gzip.compress if end else bytes
    content = io.BytesIO()
    mmwrite(content, sparse.coo_array(both))
    (folder / f"{before}matrix.mtx{end}").write_bytes(write(content.getvalue()))
    rows = [f"ENSG{name}\t{name}\tGene Expression\n" for name in counts]
    rows.append("guide\tguide\tCRISPR Guide Capture\n")
    (folder / f"{before}{features}{end}").write_bytes(write("".join(rows).encode()))
    cells = "".join(f"{cell}\n" for cell in counts.index)
    (folder / f"{before}barcodes.tsv{end}").write_bytes(write(cells.encode()))


@pytest.mark.filterwarnings("ignore:guides")
@pytest.mark.parametrize(
    ("before", "end", "features"),
    [("GSM1_[a]_", ".gz", "features.tsv"), ("", "", "genes.tsv")],
)
def test_counts_can_be_a_matrix_market_folder(counts, tmp_path, before, end, features):
    labels = labelled(counts, ["a", "b", "a", "b", "c", "c", "a"])
    folder = tmp_path / "counts"
    write_matrix_market(folder, counts, before, end, features)
    expected = read_screen(counts, labels, "c")
    matrix = folder / f"{before}matrix.mtx{end}"
    for given in (folder, str(matrix)):
        screen = read_screen(given, labels, "c")
        np.testing.assert_array_equal(screen.X.toarray(), expected.X.toarray())
        assert screen.var_names.equals(expected.var_names)
        pd.testing.assert_frame_equal(screen.obs, expected.obs)


def test_incomplete_matrix_market_folders_are_refused(counts, tmp_path):
    labels = labelled(counts, ["a", "b", "a"])
    write_matrix_market(tmp_path, counts)
    (tmp_path / "barcodes.tsv").write_text("c0\nc1\n")
    with pytest.raises(ValueError, match=r"expected 4 genes x 2 cells in matrix.mtx, got \(4, 9\)"):
        read_screen(tmp_path, labels, "a")
    (tmp_path / "barcodes.tsv").unlink()
    with pytest.raises(ValueError, match="expression: barcodes.tsv is missing beside"):
        read_screen(tmp_path, labels, "a")
    write_matrix_market(tmp_path, counts, "b_", ".gz")
    with pytest.raises(ValueError, match=r"got b_matrix.mtx.gz, matrix.mtx; choose a file"):
        read_screen(tmp_path, labels, "a")
    packed = tmp_path / "b_matrix.mtx.gz"
    packed.write_bytes(packed.read_bytes()[:-20])
    with pytest.raises(ValueError, match="expression: b_matrix.mtx.gz"):
        read_screen(packed, labels, "a")


def with_guides(counts, rng):
    """Counts of genes and, after them, of the guides of cells, as in files of 10x Genomics."""
    one_each = np.resize(np.eye(3, dtype=int), (9, 3))
    numbers = one_each * rng.integers(5, 9, (9, 1))
    guides = pd.DataFrame(numbers, counts.index, ["A_1", "A_2", "NT_1"])
    kinds = ["Gene Expression"] * 3 + ["CRISPR Guide Capture"] * 3
    features = pd.DataFrame({"feature_types": kinds}, [*counts, *guides])
    both = sparse.csr_matrix(counts.join(guides))
    return guides, ad.AnnData(both, counts[[]], features)


@pytest.mark.filterwarnings("ignore:guides")
def test_guides_may_be_counted_beside_genes(counts, rng, tmp_path):
    guides, both = with_guides(counts, rng)
    both.write_h5ad(tmp_path / "both.h5ad")
    expected = read_screen(counts, guides, "NT")
    # cells of the file without `guides`, and the file as `guides`
    files = (tmp_path / "both.h5ad",), (counts, tmp_path / "both.h5ad")
    for given in (*files, (counts, guides > 0)):
        screen = read_screen(*given, control="NT")
        pd.testing.assert_frame_equal(screen.obs, expected.obs)
        np.testing.assert_array_equal(screen.X.toarray(), expected.X.toarray())
        assert screen.var_names.tolist() == list("ABC")


@pytest.mark.filterwarnings("ignore:guides")
def test_counts_may_be_in_a_layer_or_in_raw(counts):
    counts.loc["c8"] = 1
    obs = pd.DataFrame({"label": list("ababababa")}, counts.index)
    logs = ad.AnnData(np.log1p(counts), obs)
    with pytest.raises(ReadingError, match="2 problems:\n.*got fractions.*\n.*control: missing"):
        read_screen(logs)
    in_raw = logs.copy()
    in_raw.raw = ad.AnnData(counts)
    in_layer = logs.copy()
    in_layer.layers["raw_counts"] = counts
    for given, place in ((in_raw, "raw"), (in_layer, "layers['raw_counts']")):
        screen = read_screen(given, control="a")
        np.testing.assert_array_equal(screen.X.toarray(), counts)
        table = screen.uns["sbnn"]["read"]["table"]
        assert table["values"].tolist() == [f"counts of {place}", "labels"]


@pytest.mark.filterwarnings("ignore:guides")
def test_a_table_may_have_a_row_per_cell_and_guide(counts, rng):
    guides, _ = with_guides(counts, rng)
    guides.loc["c0", "A_2"] = 9  # no clear guide
    rows = guides.stack().rename_axis(["cell", "guide"]).reset_index(name="umis")
    rows = rows[rows["umis"] > 0].assign(reads=100).set_index("cell")
    with pytest.warns(UserWarning, match="less than 80%"):
        screen = read_screen(counts, rows, "NT")
    with pytest.warns(UserWarning, match="less than 80%"):
        expected = read_screen(counts, guides, "NT")
    pd.testing.assert_frame_equal(screen.obs, expected.obs)


@pytest.mark.filterwarnings("ignore")
def test_calls_of_cell_ranger_are_clear_if_one_guide_has_most_counts(counts, tmp_path):
    calls = ["A_1", "A_1|NT_1", "A_2|A_1", "NT_1|A_2|A_1", "NT_1", "A_2"]
    umis = ["7", "10|90", "30|25", "1|98|1", "3", "4"]
    table = pd.DataFrame({"num_features": 1, "feature_call": calls, "num_umis": umis})
    table.insert(0, "cell_barcode", counts.index[:6])
    table.to_csv(tmp_path / "protospacer_calls_per_cell.csv", index=False)
    screen = read_screen(counts, tmp_path / "protospacer_calls_per_cell.csv", "NT")
    guides = {"c0": "A_1", "c1": "NT_1", "c3": "A_2", "c4": "NT_1", "c6": "A_2"}
    assert screen.obs["guide"].to_dict() == guides
    assert [*screen.uns["sbnn"]["dropped"].values()][1:] == [["c2"]]
    single = table[~table["feature_call"].str.contains("|", regex=False)].set_index("cell_barcode")
    assert read_screen(counts, single, "NT").obs["guide"].tolist() == ["A_1", "NT_1", "A_2"]
    uncalled = single.assign(num_umis=float("nan"), feature_call=None).add_prefix("not ", axis=0)
    gaps = pd.concat([single, uncalled.rename({"not c0": "c7"})])
    assert read_screen(counts, gaps, "NT").obs["guide"].tolist() == ["A_1", "NT_1", "A_2"]
    assert read_screen(counts, gaps.astype("category"), "NT").n_obs == 3, "as in AnnData"
    labels = read_screen(counts, table.set_index("cell_barcode"), "NT", guide_key="feature_call")
    assert labels.uns["sbnn"]["dropped"]["with several guides"] == ["c1", "c2", "c3"]


@pytest.mark.filterwarnings("ignore")
def test_cells_with_a_row_for_each_of_several_guides_are_left_out(counts):
    guides = pd.DataFrame({"guide": ["A_1", "NT_1", "A_2", "A_1", "A_1"]})
    guides.index = ["c0", "c1", "c2", "c2", "c0"]  # c0 has the same guide twice
    screen = read_screen(counts, guides, "NT")
    assert screen.obs["guide"].to_dict() == {"c0": "A_1", "c1": "NT_1"}


@pytest.mark.filterwarnings("ignore")
def test_targets_may_be_beside_the_guides(counts):
    table = pd.DataFrame({"guide": ["s1", "s2", "s3", "s4"] * 2, "gene": ["X", "X", "-", "Y"] * 2})
    table.index = counts.index[:8]
    screen = read_screen(counts, table, "-", guide_key="guide")
    assert screen.obs["perturbation"].tolist()[:4] == ["X", "X", "-", "Y"]
    assert "targets are in column 'gene'" in screen.uns["sbnn"]["notes"][0]
    with pytest.raises(ReadingError, match="set guide_key='guide'$"):
        read_screen(counts, table, "-")
    screen = read_screen(counts, table, "-", guide_key="gene")
    assert "to tell guides apart, set guide_key='guide'" in screen.uns["sbnn"]["notes"][0]
    table["gene"] = ["X", None, "-", "X"] * 2
    with pytest.raises(ReadingError, match="control: no cell is '-'"):
        read_screen(counts, table, "-", guide_key="guide")
    table["gene"] = ["Y", "X", "-", "Y", "X", "X", "-", "Y"]  # two targets of one guide
    with pytest.raises(ReadingError, match="control: no cell is '-'"):
        read_screen(counts, table, "-", guide_key="guide")
    screen = read_screen(counts, table, "s4", guide_key="guide")
    assert screen.obs["perturbation"].tolist()[:4] == ["s1", "s2", "s3", "s4"]


@pytest.mark.filterwarnings("ignore:guides")
def test_the_column_with_the_most_labels_that_have_the_control_is_advised(counts):
    guide = np.resize(["A_1", "A_2", "NT_1", "NT_2"], 9)
    gene = [name[:-2] for name in guide]
    table = pd.DataFrame({"gene": gene, "batch": "x", "guide": guide, "n": 5}, counts.index)
    table["cell"] = table["guide"] + "_" + table.index  # with a label for each cell
    with pytest.raises(ReadingError, match="set guide_key='guide'$"):
        read_screen(counts, table, "NT")
    with pytest.raises(ReadingError, match="no column 'sgRNA' among.*; set guide_key='guide'$"):
        read_screen(counts, table, "NT", guide_key="sgRNA")
    # a column that only tells the controls from other cells does not name the perturbations
    table["kind"] = ["control" if name == "NT" else "other" for name in gene]
    with pytest.raises(ReadingError, match="set guide_key='guide'\n.*set control='NT'$"):
        read_screen(counts, table, "control")
    # a column of Cell Ranger needs no advice
    screen = read_screen(counts, table.rename(columns={"guide": "feature_call"}), "NT")
    assert screen.obs["guide"].nunique() == 4


@pytest.mark.filterwarnings("ignore:guides")
def test_targets_may_be_the_feature_reference_of_cell_ranger(counts):
    labels = labelled(counts, ["s1", "s2", "s1", "s2", "s3", "s3", "s1"])
    columns = ["id", "name", "sequence", "target_gene_name"]
    rows = [["s1", "n1", "T", "x"], ["s2", "n2", "T", "y"], ["s3", "n3", "T", "Non-Targeting"]]
    reference = pd.DataFrame(rows, columns=columns).set_index("id", drop=False)
    screen = read_screen(counts, labels, "Non-Targeting", targets=reference)
    assert screen.obs["perturbation"].tolist()[:2] == ["x", "y"]
    with pytest.raises(ReadingError, match="set control='Non-Targeting'"):
        read_screen(counts, labels, "NT", targets=reference)
    with pytest.raises(ReadingError, match="no column 'target' in targets"):
        read_screen(counts, labels, targets=reference.drop(columns="target_gene_name"))
    with pytest.raises(ReadingError, match="give `targets`, a table"):
        read_screen(counts, labels, "NT")


@pytest.mark.filterwarnings("ignore")
def test_the_printed_command_solves_all_problems(counts, rng, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    counts.rename(index=str.upper).T.to_csv("counts.csv")
    guides, _ = with_guides(counts, rng)
    guides.to_csv("guides.csv")
    given = "--expression counts.csv --guides guides.csv --out here.h5ad"
    assert main(f"read screen {given}".split()) == 1
    _, _, command = capsys.readouterr().err.partition("the whole command: sbnn ")
    assert main(shlex.split(command)) == 0
    expected = read_screen(counts, guides, "NT")
    screen = ad.read_h5ad("here.h5ad")
    assert screen.obs["perturbation"].tolist() == expected.obs["perturbation"].tolist()
    np.testing.assert_array_equal(screen.X.toarray(), expected.X.toarray())
