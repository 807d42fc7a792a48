"""One command takes a user's raw tables to results, a model, figures and a page."""

import inspect
import json
import re
from html import unescape
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from made_up import counts_of, outputs_of

from sbnn import DistilledBottleneckRegressor, DistilledSettings, cli, fit_full, results
from sbnn.data.paired import as_paired
from sbnn.data.readers import tables as reader
from sbnn.data.simulate import simulate_patchseq
from sbnn.study.own_data import commands, options

MARKUP = '<script>alert("1")</script>'  # no name is markup on the page
FEW = DistilledSettings(steps_of_teachers=20, steps_of_student=20)


@pytest.fixture(scope="module")
def adata():
    adata = simulate_patchseq(
        n_cells=90, n_genes=60, n_outputs=3, n_true_genes=5, n_families=2, n_types=3
    )
    adata.obs["donor"] = [f"mouse {i % 6}" for i in range(90)]
    adata.obs.iloc[0, adata.obs.columns.get_loc("donor")] = ""
    return adata


@pytest.fixture(scope="module")
def cells(adata):
    return as_paired(adata)


def parsed(*arguments):
    return cli._parser().parse_args(["fit", "mine", *arguments])


def tables_of(page):
    """Tables of an HTML page, of text, by their first column."""
    for table in re.findall("<table[^>]*>(.*?)</table>", page, re.S):
        rows = re.findall("<tr[^>]*>(.*?)</tr>", table, re.S)
        rows = [re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row, re.S) for row in rows]
        yield pd.DataFrame(rows[1:], columns=rows[0]).set_index(rows[0][0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_command_leaves_results_figures_model_and_page(
    adata, cells, tmp_path, monkeypatch, capsys
):
    """Of raw tables as a spreadsheet of another country saves them."""
    monkeypatch.chdir(tmp_path)
    counts = counts_of(cells).T
    counts.loc["ERCC-00002"] = 1000
    ephys = outputs_of(cells).iloc[::-1].map(lambda value: f"{value:.4f}".replace(".", ","))
    ephys.iloc[3, 1] = "-"
    ephys = ephys.rename(columns={ephys.columns[0]: MARKUP})
    for name, table, separator in (
        ("counts", counts, ","),
        ("ephys", ephys, ";"),
        ("types", cells.labels, ","),
    ):
        (tmp_path / f"{name}.csv").write_text(
            "\ufeff" + table.to_csv(sep=separator, lineterminator="\r\n"), "utf-8"
        )
    monkeypatch.setattr("sbnn.study.own_data.report.trust_sentence", lambda halves: "Trust none.")
    command = "fit mine --expression counts.csv --outputs ephys.csv --labels types.csv --missing cells --groups donor"
    assert cli.main(f"{command} --n-genes 40 --keep 8 --fast".split()) == 0
    printed, saved = capsys.readouterr().out, tmp_path / "saved_models" / "mine-fast"
    assert (saved / "explorer.html").stat().st_size > 0
    drawn = {path.stem for path in (tmp_path / "figures" / "mine-fast").glob("*.png")}
    assert drawn >= {
        "overview",
        "figure3_latent_default",
        "accuracy",
        "stability_selection",
        "effects",
        "map_trust",
    }
    page = (saved / "report.html").read_text()
    [verdict] = re.findall(r'<p class="verdict">(.*?)</p>', page)
    assert verdict.startswith("Test R2 ") and verdict in printed
    assert "sbnn map saved_models/mine-fast/model.safetensors" in printed
    assert (
        "a quick run (--fast)" in page
        and "a quick run (--fast)" in printed
        and "\n- Trust none.\n" in printed
    )
    assert page.count("data:image/png;base64,") == 3 and not re.search(
        r'(src|href)="(?!data:)', page
    )
    fit = results.load(saved / "fit_default_2d.pickle")
    effects = results.load(saved / "interpretation.pickle").table
    of_outputs, of_genes = tables_of(page)
    assert "<script" not in page and MARKUP in fit.feature_names
    assert set(map(unescape, of_outputs.index)) == set(fit.feature_names)
    assert of_outputs["test R2"].astype(float).is_monotonic_decreasing
    known = of_genes.loc[of_genes["effect (SD)"] != "", "effect (SD)"].astype(float)
    assert set(of_genes.index) == set(fit.kept_genes) and len(known)
    np.testing.assert_allclose(known, effects.effect[known.index], atol=6e-4)
    order = [
        "verdict",
        "The map of the cells",
        "a quick run (--fast)",
        "1 left out (cells without donor",
        "<dt>cells",
    ]
    assert sorted(order, key=page.index) == order, (
        "the verdict, the map, cautions, what is left out"
    )
    assert "spike-ins" in page and "each donor in only one fold" in page
    assert "40, chosen on the training cells of every fold" in page

    record, halves = (
        results.load(saved / f"{name}.pickle") for name in ("cv_default", "halves_default")
    )
    assert results.load(saved / "interpretation.pickle").settings["held out"].startswith("groups, ")
    assert sum(len(part) for part in record.folds[0]) == 88, "one has no donor, one lacks a value"
    donors = cells.labels.donor.loc[fit.cell_names].to_numpy()
    for train, test in record.folds + halves.folds:
        assert not set(donors[train]) & set(donors[test])
    assert record.preselected.sum(1).tolist() == [40, 40] and record.n_selected.max() == 8

    model = DistilledBottleneckRegressor.load(saved / "model.safetensors")
    placed = model.transform(adata[list(fit.cell_names)].copy())
    assert np.abs(placed - fit.latent).max() < 1e-4 * np.abs(fit.latent).max()

    assert cli.main(["report", "mine", "--fast", "--json"]) == 0
    assert "Test R2, mean over the folds" in json.loads(capsys.readouterr().out)
    saved.rename(saved.with_name("mine"))
    assert cli.main(["report", "all"]) == 0 and "| mine | 60 -> 3 |" in capsys.readouterr().out


@pytest.mark.parametrize("fast", [False, True])
def test_every_experiment_is_given_the_options_that_concern_it(cells, tmp_path, monkeypatch, fast):
    given = {}
    names = [
        "cross_validate",
        "fit_full",
        "stability_selection",
        "interpret_held_out",
        "principal_components",
    ]
    for name in [*names, "tsne_maps", "map_trust"]:

        def record(*positional, of=name, **keywords):
            given.setdefault(of, []).append((positional, keywords))
            return SimpleNamespace(labels=cells.labels[["family", "type"]], colors=cells.colors)

        monkeypatch.setattr(commands, name, record)
    with pytest.raises(ValueError, match="--keep: expected at most 40, .*got 1000"):
        commands.compute(parsed("--n-genes", "40", "--keep", "1000"), cells, tmp_path)
    chosen = parsed("--n-genes", "40", "--keep", "8", "--fresh", "--jobs", "2", *["--fast"] * fast)
    assert len(commands.compute(chosen, cells, tmp_path)) == 8 and len(given) == 7
    for name, calls in given.items():
        for _, keywords in calls:
            assert keywords["preselect"] == 40 and keywords["overwrite"], name
            assert keywords.get("n_jobs") == (
                2 if name in ("cross_validate", "stability_selection") else None
            )
    [((model, _, n_pairs), _)] = given["stability_selection"]
    [(judged, _)] = given["map_trust"]
    assert [*judged[-1]] == [1, 2, 3, 4, 5][: 1 if fast else 5], "other seeds than the fit"
    assert n_pairs == (2 if fast else 25) and (model.n_components, model.n_genes) == (2, 8)
    default, ridge = (positional for positional, _ in given["cross_validate"])
    assert type(ridge[0]).__name__ == "LeaveOneOutRidge" and default[3] == {"n_components": [2]}
    assert len(ridge[2]) == len(default[2]) == (2 if fast else 10)


def test_a_saved_model_is_in_the_units_of_the_data(adata, cells, tmp_path):
    model = DistilledBottleneckRegressor(
        n_genes=8, distillation=FEW, standardize=False, device="cpu", random_state=42
    )
    how = {
        "preselect": 30,
        "results": tmp_path / "fit.pickle",
        "model_file": tmp_path / "model.safetensors",
    }
    record = fit_full(model, cells, **how)
    loaded = DistilledBottleneckRegressor.load(how["model_file"])
    assert list(loaded.get_feature_names_out()) == list(record.kept_genes)
    assert (
        loaded.n_features_in_ == cells.n_genes
        and loaded.normalizer_.library_size_ > 0
        and loaded.standardize
    )
    kept, X = loaded.get_support(), cells.X[:, loaded.get_support()]
    middle, reach = X.mean(0), FEW.few_cells_limit * X.std(0)
    np.testing.assert_allclose(loaded.x_min_[kept], np.maximum(X.min(0), middle - reach), atol=1e-4)
    np.testing.assert_allclose(loaded.x_max_[kept], np.minimum(X.max(0), middle + reach), atol=1e-4)
    np.testing.assert_allclose(loaded.transform(adata), record.latent, atol=1e-4)
    mean, sd = cells.Y.mean(0, dtype=float), cells.Y.std(0, dtype=float)
    np.testing.assert_allclose((loaded.predict(adata) - mean) / sd, record.predictions, atol=1e-4)
    content = how["model_file"].read_bytes()
    how["model_file"].unlink()
    assert np.array_equal(fit_full(model, cells, **how).latent, record.latent), (
        "without its model it is fitted anew"
    )
    assert how["model_file"].read_bytes() == content
    for types, color in (
        (cells.labels["type"], "#102030"),
        ("one", "#102030"),
        ("other", "#102030"),
    ):
        relabelled = adata.copy()
        relabelled.obs["type"] = pd.Categorical(pd.Series(types, adata.obs_names))
        relabelled.uns["type_colors"] = [color] * relabelled.obs["type"].nunique()
        commands._with_labels_of(as_paired(relabelled), record, how["results"])
        again = results.load(how["results"])
        assert again.labels["type"].tolist() == relabelled.obs["type"].tolist(), "other labels"
        assert set(again.colors.values()) == {color} and again.colors.keys() == set(
            relabelled.obs["type"]
        )


# -- options ---------------------------------------------------------------------------------------


def test_every_option_of_the_reader_is_one_of_the_command_line(adata, monkeypatch):
    """An error that advises an option must not send the user of the command line to Python."""
    taken, known = {}, inspect.signature(reader.read_tables).parameters
    monkeypatch.setattr(reader, "read_tables", lambda **given: taken.update(given) or adata)
    given = """--expression a.csv --outputs b.xls --labels c.tsv --log --genes-in-rows --sheet S --missing fewest
        --missing-marks lost --missing-marks -999 --decimal outputs=, --header 2 --header labels=3 --cell-key cell
        --match loose --duplicates sum --spike-ins keep --type-key t --family-key f
        --drop-columns note --drop-columns id --rename a=b=c --cell-names n.csv"""
    options.load(parsed(*given.replace("--missing-marks -999", "--missing-marks=-999").split()))
    assert taken == {
        **{"expression": "a.csv", "outputs": ("b.xls", "S"), "labels": "c.tsv"},
        **{
            "counts": False,
            "genes_in_rows": True,
            "missing": "fewest",
            "missing_marks": ["lost", "-999"],
        },
        **{
            "decimal": {"outputs": ",", "expression": None, "labels": None},
            "cell_key": "cell",
            "match": "loose",
        },
        **{
            "header": {"expression": 2, "outputs": 2, "labels": 3},
            "duplicates": "sum",
            "spike_ins": "keep",
        },
        **{
            "type_key": "t",
            "family_key": "f",
            "name": "mine",
            "source": "the user's tables: a.csv, b.xls, c.tsv",
        },
        **{"drop_columns": ["note", "id"], "rename": {"a": "b=c"}, "cell_names": "n.csv"},
    }
    assert set(known) - {"colors"} == taken.keys()
    options.load(
        parsed("--expression", "a.xlsx", "--outputs", "b.xls", "--counts", "--cells-in-rows")
    )
    own = {
        *options.TABLES,
        "counts",
        "genes_in_rows",
        "missing_marks",
        "name",
        "source",
        "drop_columns",
        "rename",
    }
    assert all(value == known[name].default for name, value in taken.items() if name not in own)
    assert (taken["counts"], taken["genes_in_rows"]) == (True, False)
    for option, value in (("--header", "outputs=0"), ("--n-genes", "-3"), ("--rename", "a")):
        with pytest.raises(SystemExit):
            parsed(option, value)


@pytest.mark.parametrize("unknown", ["", "unknown", np.nan])
def test_cells_of_unknown_group_are_left_out_and_named(adata, unknown):
    adata = adata.copy()
    adata.obs["donor"] = adata.obs["donor"].astype(object).replace("", unknown)
    adata.X[:, 3] = np.arange(90) == 0
    with pytest.warns(UserWarning, match="1 of 90 cells left out, because their 'donor'"):
        kept = options.with_groups(adata, "donor")
    assert kept.n_obs == 89 and kept.uns["sbnn"]["dropped"]["cells without donor"] == [
        adata.obs_names[0]
    ]
    assert list(kept.var_names) == list(adata.var_names.delete(3)), (
        "without the gene of that cell alone"
    )
    assert options.with_groups(kept, "donor") is kept
    with pytest.raises(KeyError, match="no 'mouse' in the labels; it holds .*donor"):
        options.with_groups(adata, "mouse")
    with pytest.raises(ValueError, match="'donor' is unknown or empty for all cells"):
        options.with_groups(adata[[0]], "donor")


@pytest.mark.parametrize("suffix", [".h5ad", ".h5mu"])
@pytest.mark.filterwarnings("ignore")
def test_files_of_anndata_and_mudata_are_taken(adata, cells, suffix, tmp_path):
    given, path, kind = adata.copy(), tmp_path / f"cells{suffix}", "type"
    if suffix == ".h5ad":
        del given.obs[kind]  # whose place the family takes
        kind = "family"
        given.write_h5ad(path)
    else:
        mudata, anndata = pytest.importorskip("mudata"), pytest.importorskip("anndata")
        ephys = anndata.AnnData(given.obsm.pop("outputs"))
        mudata.MuData({"rna": given, "ephys": ephys}).write(path)
    asked = parsed(
        "--expression", str(path), *(["--outputs", "ephys"] if suffix == ".h5mu" else [])
    )
    data = as_paired(options.load(asked))
    assert (
        data.name == "mine"
        and np.allclose(data.Y, cells.Y)
        and np.array_equal(data.counts, cells.counts)
    )
    assert (
        data.labels[["donor", "type"]].to_numpy().tolist()
        == cells.labels[["donor", kind]].to_numpy().tolist()
    )
    (-outputs_of(cells)).to_csv(tmp_path / "others.csv")
    asked.outputs = str(tmp_path / "others.csv")
    np.testing.assert_allclose(as_paired(options.load(asked)).Y, -cells.Y, rtol=1e-5)
    asked.outputs = "nothing"
    with pytest.raises(KeyError, match="no 'nothing' in adata.obsm"):
        options.load(asked)
