"""New cells on the map of a saved model, from a terminal."""

import anndata
import numpy as np
import pandas as pd
import pytest
from made_up import outputs_of, table_of
from scipy import sparse
from scipy.io import mmwrite

from sbnn import CountNormalizer, DistilledBottleneckRegressor, DistilledSettings, read_tables
from sbnn.cli import main
from sbnn.study.new_cells import place, read_cells

COLUMNS = ["sbnn_1", "sbnn_2"]


@pytest.fixture(scope="module")
def saved(data, counts, tmp_path_factory):
    """File of a model of one half of the cells."""
    training = read_tables(counts[:60], outputs_of(data)[:60], counts=True)
    short = DistilledSettings(steps_of_teachers=5, steps_of_student=5)
    model = DistilledBottleneckRegressor(n_genes=6, distillation=short, random_state=0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return str(model.fit(training).save(path, CountNormalizer().fit(training)))


@pytest.fixture
def model(saved):
    return DistilledBottleneckRegressor.load(saved)


@pytest.fixture
def new(counts):
    """The other half, with its genes in another order and genes that the model does not know."""
    return counts[60:].assign(Malat1=500, Xist=1).sample(frac=1, axis=1, random_state=0)


@pytest.fixture
def run(saved, tmp_path, monkeypatch):
    """Writes cells to a file and maps them by the command."""
    monkeypatch.chdir(tmp_path)

    def run(table, options="", path="new.csv"):
        if path.endswith("csv"):
            table.to_csv(path)
        else:
            table.write_h5ad(path)
        return main(["map", saved, path, *options.split()])

    run.saved = saved
    return run


def as_anndata(counts, **columns):
    obs = pd.DataFrame(columns, counts.index)
    return anndata.AnnData(np.log(1 + counts), obs, layers={"counts": counts.to_numpy()})


@pytest.mark.parametrize("form", ["cells in rows", "genes in rows", "h5ad", "h5ad with counts"])
@pytest.mark.filterwarnings("ignore:X:UserWarning")
def test_the_other_half_of_the_cells_finds_its_places(form, model, counts, new, run, capsys):
    given = {"cells in rows": new, "genes in rows": new.T, "h5ad with counts": as_anndata(new)}
    given["h5ad"] = anndata.AnnData(new.astype("f4"))
    assert run(given[form], "--out map.csv", "new.h5ad" if "h5ad" in form else "new.csv") == 0
    assert "positions of 60 cells: map.csv" in capsys.readouterr().out
    table = pd.read_csv("map.csv", index_col="cell")
    assert table.columns.tolist() == [*COLUMNS, *model.output_names_, "clipped"]
    assert table.index.tolist() == new.index.tolist()
    stream = model.normalizer_.transform(counts[60:])
    np.testing.assert_allclose(table[COLUMNS], model.transform(stream), atol=1e-5)
    np.testing.assert_allclose(table[model.output_names_], model.predict(stream), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:X:UserWarning")
def test_columns_beside_the_genes_are_told_apart(model, new, run):
    assert run(new) == 0
    expected = pd.read_csv("map.csv", index_col=0)
    described = new.T.assign(Chr="chr1", Length=900, symbol=new.columns)
    described = described.set_axis([f"ENSG{i:011}" for i in range(new.shape[1])])
    for table in (described, new.reset_index(names="cell")):
        with pytest.warns(UserWarning, match="named by column '(symbol|cell)'"):
            assert run(table) == 0
        pd.testing.assert_frame_equal(pd.read_csv("map.csv", index_col=0), expected)
    typed = new.add_prefix("ENSG").assign(type=[*new.columns[:2]] * (len(new) // 2))
    with pytest.raises(ValueError, match="is a gene of the model"):
        typed.to_csv("typed.csv")
        read_cells("typed.csv", model)


@pytest.mark.filterwarnings("ignore:X:UserWarning")
def test_cells_may_be_in_a_folder_of_10x(model, new, run, tmp_path):
    assert run(new) == 0
    expected = pd.read_csv("map.csv", index_col=0)
    mmwrite("matrix.mtx", sparse.coo_array(new.T.to_numpy()))
    new.T[[]].to_csv("genes.tsv", sep="\t", header=False)
    new[[]].to_csv("barcodes.tsv", sep="\t", header=False)
    assert main(["map", run.saved, ".", "--out", "again.csv"]) == 0
    pd.testing.assert_frame_equal(pd.read_csv("again.csv", index_col=0), expected)


@pytest.mark.filterwarnings("ignore:X:UserWarning")
def test_expression_as_it_is_needs_the_kept_genes_only(model, data, run):
    kept = model.get_feature_names_out()
    log = table_of(data)[60:]
    assert run(log[kept[::-1]], "--log --predictions p.csv") == 0
    assert pd.read_csv("map.csv", index_col=0).columns.tolist() == [*COLUMNS, "clipped"]
    np.testing.assert_allclose(pd.read_csv("p.csv", index_col=0), model.predict(log), rtol=1e-5)
    for wrong in ("--out p.csv", "--predictions map.csv", "--out new.csv", "--predictions new.csv"):
        assert run(log, f"--log {wrong}") == 1, "no result of this kind"
    as_anndata(log).write_h5ad("new.h5ad")
    as_it_is = read_cells("new.h5ad", model, counts=False).rows(slice(0, 2))
    np.testing.assert_allclose(as_it_is, np.log(1 + log[:2]), rtol=1e-6)
    (log - 9).round().to_csv("new.csv")
    assert (read_cells("new.csv", model).rows(slice(0, 60)) < 0).any(), "these are no counts"
    normalised = 1000 * np.expm1(log)
    normalised.to_csv("new.csv")
    with pytest.warns(UserWarning, match=r"log2\(x \+ 1\)"):
        placed = model.transform(read_cells("new.csv", model))
    np.testing.assert_allclose(placed, model.transform(np.log2(normalised + 1)), rtol=1e-5)


@pytest.mark.filterwarnings("ignore:(X|cells):UserWarning")
def test_counts_of_the_kept_genes_need_totals(model, new, run, monkeypatch):
    monkeypatch.setattr("sbnn.data.count_normalizer.LEAST_SHARE", 0.9)
    known = new[model.feature_names_in_]
    few = known[model.get_feature_names_out()]
    totals = known.sum(axis=1)
    expected = model.transform(model.normalizer_.transform(known))
    assert run(few) == 1
    assert run(few.assign(total=totals), "--totals depth") == 1
    assert run(few.assign(total=totals), "--totals total") == 0
    np.testing.assert_allclose(pd.read_csv("map.csv")[COLUMNS], expected, atol=1e-5)
    assert run(as_anndata(few, total=totals), "--totals total", "new.h5ad") == 0
    np.testing.assert_allclose(pd.read_csv("map.csv")[COLUMNS], expected, atol=1e-5)


def test_unlike_cells_are_named(model, new, run):
    new.loc["cell100", model.get_feature_names_out()] = 10**6
    new.loc["cell70"] = 0
    with pytest.warns(UserWarning, match="1 of 61 left out .cells without counts.*: cell70"):
        assert run(new, "--counts") == 0
    assert pd.read_csv("map.csv", index_col="cell")["clipped"].idxmax() == "cell100"
    limits = {"below": model.x_min_ - 1, "above": model.x_max_ + 1, "within": model.x_mean_}
    with pytest.warns(UserWarning, match="training cells: below, above"):
        places, _ = place(model, pd.DataFrame(limits, model.feature_names_in_).T)
    assert places["clipped"].tolist() == [1, 1, 0]


def test_cells_that_cannot_be_placed_are_refused(model, new, run, capsys):
    kept = model.get_feature_names_out()
    gaps = new.astype(float)
    gaps.loc["cell100", kept[0]] = np.nan
    for table, message in (
        (new.drop(columns=kept[:2]), f"2 of the 6 genes of the model: {kept[0]}, {kept[1]}"),
        (new[["Malat1", "Xist"]], "is a gene of the model"),
        (gaps, f"values of {kept[0]} are missing"),
    ):
        assert run(table) == 1
        assert message in capsys.readouterr().err
    new.to_csv("new.csv")
    model.normalizer_ = None
    with pytest.raises(ValueError, match="cells: got counts"):
        read_cells("new.csv", model, counts=True)
    del model.feature_names_in_
    with pytest.raises(ValueError, match="model: it has no gene names"):
        read_cells("new.csv", model)
