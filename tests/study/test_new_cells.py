"""New cells on the map of a saved model, from a terminal."""

import anndata
import numpy as np
import pandas as pd
import pytest

from sbnn import CountNormalizer, DistilledBottleneckRegressor, DistilledSettings, read_tables
from sbnn.cli import main
from sbnn.study.new_cells import place, read_cells

COLUMNS = ["sbnn_1", "sbnn_2"]


@pytest.fixture(scope="module")
def training(data, counts):
    """One half of the cells."""
    outputs = pd.DataFrame(data.Y, data.cell_names, data.feature_names)[:60]
    return read_tables(counts[:60], outputs, counts=True)


@pytest.fixture(scope="module")
def normalizer(training):
    return CountNormalizer().fit(training)


@pytest.fixture(scope="module")
def saved(training, normalizer, tmp_path_factory):
    short = DistilledSettings(steps_of_teachers=5, steps_of_student=5)
    model = DistilledBottleneckRegressor(n_genes=6, distillation=short, random_state=0)
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    return str(model.fit(training).save(path, normalizer))


@pytest.fixture
def model(saved):
    return DistilledBottleneckRegressor.load(saved)


@pytest.fixture
def new(counts):
    """The other half, with its genes in another order and genes that the model does not know."""
    return counts[60:].assign(Malat1=500, Xist=1).sample(frac=1, axis=1, random_state=0)


@pytest.mark.parametrize("form", ["genes in rows", "h5ad", "h5ad with counts"])
def test_the_other_half_of_the_cells_finds_its_places(
    form, model, saved, normalizer, counts, new, tmp_path, capsys
):
    path, out = tmp_path / ("new.h5ad" if "h5ad" in form else "new.csv"), tmp_path / "map.csv"
    if form == "h5ad":
        anndata.AnnData(new.astype("f4")).write_h5ad(path)
    elif form == "h5ad with counts":
        anndata.AnnData(np.log(1 + new), layers={"counts": new.to_numpy()}).write_h5ad(path)
    else:
        (new.T if form == "genes in rows" else new).to_csv(path)
    assert main(["map", saved, str(path), "--out", str(out)]) == 0
    assert f"positions of 60 cells: {out}" in capsys.readouterr().out
    table = pd.read_csv(out, index_col="cell")
    assert table.columns.tolist() == [*COLUMNS, *model.output_names_, "clipped"]
    assert table.index.tolist() == new.index.tolist()
    stream = normalizer.transform(counts[60:])
    np.testing.assert_allclose(table[COLUMNS], model.transform(stream), atol=1e-5)
    np.testing.assert_allclose(table[model.output_names_], model.predict(stream), rtol=1e-5)
    assert 0 < table["clipped"].mean() < 0.2


def test_expression_as_it_is_needs_the_kept_genes_only(model, saved, data, tmp_path):
    kept = model.get_feature_names_out()
    log = pd.DataFrame(data.X, data.cell_names, data.gene_names)[60:]
    log[kept[::-1]].to_csv(tmp_path / "new.csv")
    paths = [str(tmp_path / name) for name in ("new.csv", "map.csv", "p.csv")]
    assert (
        main(["map", saved, paths[0], "--log", "--out", paths[1], "--predictions", paths[2]]) == 0
    )
    for other in (["--out", paths[2]], ["--out", paths[2], "--predictions", paths[1]]):
        assert main(["map", saved, paths[0], "--log", *other]) == 1, "no result of this kind"
    assert pd.read_csv(paths[1], index_col=0).columns.tolist() == [*COLUMNS, "clipped"]
    np.testing.assert_allclose(pd.read_csv(paths[2], index_col=0), model.predict(log), rtol=1e-5)
    anndata.AnnData(log, layers={"counts": np.ones(log.shape)}).write_h5ad(tmp_path / "new.h5ad")
    as_it_is = read_cells(tmp_path / "new.h5ad", model, counts=False)
    np.testing.assert_allclose(model.predict(as_it_is), model.predict(log), rtol=1e-5)
    (log - 9).round().to_csv(tmp_path / "new.csv")
    rounded = read_cells(paths[0], model).rows(slice(0, 60))
    assert (rounded < 0).any(), "whole numbers below 0 are no counts"
    (normalised := 1000 * np.expm1(log)).to_csv(tmp_path / "new.csv")
    with pytest.warns(UserWarning, match=r"log2\(x \+ 1\)"):
        placed = model.transform(read_cells(paths[0], model))
    np.testing.assert_allclose(placed, model.transform(np.log2(normalised + 1)), rtol=1e-5)


def test_counts_of_the_kept_genes_need_totals(model, saved, new, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sbnn.data.count_normalizer.LEAST_SHARE", 0.9)
    known = new[model.feature_names_in_]
    few = known[model.get_feature_names_out()].assign(total=known.sum(axis=1))
    few.to_csv(tmp_path / "new.csv")
    asked = ["map", saved, str(tmp_path / "new.csv"), "--out", str(tmp_path / "map.csv")]
    assert main(asked) == 1
    assert "totals" in capsys.readouterr().err
    assert main([*asked, "--totals", "total"]) == 0
    expected = model.transform(model.normalizer_.transform(known))
    np.testing.assert_allclose(pd.read_csv(tmp_path / "map.csv")[COLUMNS], expected, atol=1e-5)
    assert main([*asked, "--totals", "depth"]) == 1
    assert "no 'depth' in the table" in capsys.readouterr().err
    kept, path = few.drop(columns="total"), tmp_path / "new.h5ad"
    anndata.AnnData(
        np.log(1 + kept), few[["total"]], layers={"counts": kept.to_numpy()}
    ).write_h5ad(path)
    placed = model.transform(read_cells(path, model, totals="total"))
    np.testing.assert_allclose(placed, expected, atol=1e-5)


def test_unlike_cells_are_named_and_missing_genes_stop_the_command(
    model, saved, new, tmp_path, capsys
):
    new.loc["cell100", model.get_feature_names_out()] = 10**6
    new.to_csv(tmp_path / "new.csv")
    with pytest.warns(UserWarning, match="training cells: cell100"):
        main(["map", saved, str(tmp_path / "new.csv"), "--out", str(tmp_path / "map.csv")])
    clipped = pd.read_csv(tmp_path / "map.csv", index_col="cell").clipped
    assert clipped.idxmax() == "cell100"

    kept = model.get_feature_names_out()
    limits = {"below": model.x_min_ - 1, "above": model.x_max_ + 1, "within": model.x_mean_}
    with pytest.warns(UserWarning, match="training cells: below, above"):
        places, _ = place(model, pd.DataFrame(limits, model.feature_names_in_).T)
    assert places.clipped.tolist() == [1, 1, 0]
    new.loc["cell70"] = 0
    new.to_csv(tmp_path / "new.csv")
    with pytest.warns(UserWarning, match="1 of 61 left out .cells without counts.*: cell70"):
        main(
            [
                "map",
                saved,
                str(tmp_path / "new.csv"),
                "--out",
                str(tmp_path / "map.csv"),
                "--counts",
            ]
        )
    assert len(pd.read_csv(tmp_path / "map.csv")) == 60
    new = new.drop(index="cell70")
    new.drop(columns=kept[:2]).to_csv(tmp_path / "new.csv")
    assert main(["map", saved, str(tmp_path / "new.csv"), "--out", str(tmp_path / "none.csv")]) == 1
    assert (
        f"no values for 2 of the 6 genes of the model: {kept[0]}, {kept[1]}"
        in capsys.readouterr().err
    )
    assert not (tmp_path / "none.csv").exists()
    inputs, before = (saved, str(tmp_path / "new.csv")), (tmp_path / "new.csv").read_bytes()
    for out in (*inputs, "same.csv"):
        assert main(["map", *inputs, "--out", out, "--predictions", "same.csv"]) == 1
        assert "--out: " in capsys.readouterr().err
    assert main(["map", *inputs, "--predictions", inputs[1]]) == 1
    assert (tmp_path / "new.csv").read_bytes() == before
