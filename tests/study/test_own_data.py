"""One command takes a user's raw tables to results, a model, figures and a page."""

import argparse
import inspect
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from explorable import fit_to_explore, with_all_genes
from made_up import counts_of, outputs_of

from sbnn import DistilledBottleneckRegressor, cli, results
from sbnn.data.paired import as_paired
from sbnn.data.readers import tables as reader
from sbnn.data.readers.reading import TableOptions
from sbnn.data.simulate import simulate_patchseq
from sbnn.study.own_data import commands, options
from sbnn.tables import TRIAL

NAMES = """cv_default cv_ridge fit_default_2d halves_default interpretation components tsne
map_trust"""
RECORDS = NAMES.split()


@pytest.fixture(scope="module")
def adata():
    adata = simulate_patchseq(90, 60, 3, n_true_genes=5, n_families=2, n_types=3)
    adata.obs["donor"] = ["", *[f"mouse {i % 6}" for i in range(89)]]
    return adata


@pytest.fixture(scope="module")
def cells(adata):
    return as_paired(adata)


def parsed(*arguments):
    return cli._parser().parse_args(["fit", "mine", "--expression", "a.csv", *arguments])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_command_leaves_results_figures_model_and_page(cells, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    counts_of(cells).T.to_csv("counts.csv")
    outputs_of(cells).rename(columns=lambda name: f"<{name}>").to_csv("ephys.csv", sep=";")
    cells.labels.to_csv("types.csv")
    command = (
        "fit mine --expression counts.csv --outputs ephys.csv --labels types.csv --groups donor "
        "--n-genes 40 --keep 8 --fast"
    )
    assert cli.main(command.split()) == 0
    printed = capsys.readouterr().out
    saved = tmp_path / "saved_models" / "mine-fast"
    assert (saved / "explorer.html").stat().st_size > 0
    assert len(list((tmp_path / "figures" / "mine-fast").glob("*.png"))) == 9
    report = (saved / "report.html").read_text()
    parts = [
        "Test R² ",
        "The nearest cells on the map",
        "a quick run (--fast)",
        "cells without donor",
    ]
    parts += ["each donor in only one fold", "40, chosen on the training cells", "&lt;output"]
    assert all(part in report for part in parts)
    assert "a quick run (--fast)" in printed
    record = results.load(saved / "cv_default.pickle")
    fit = results.load(saved / "fit_default_2d.pickle")
    donors = cells.labels["donor"].loc[fit.cell_names].to_numpy()
    for train, test in record.folds + results.load(saved / "halves_default.pickle").folds:
        assert not set(donors[train]) & set(donors[test])
    assert record.preselected.sum(axis=1).tolist() == [40, 40]
    assert record.n_selected.max() == 8
    assert DistilledBottleneckRegressor.load(saved / "model.safetensors").standardize
    assert cli.main(["report", "mine", "--fast"]) == 0


@pytest.mark.parametrize("fast", [False, True])
def test_every_experiment_is_given_the_options_that_concern_it(cells, tmp_path, monkeypatch, fast):
    experiments = mock.Mock()
    names = "cross_validate fit_full stability_selection interpret_held_out principal_components"
    for name in [*names.split(), "tsne_maps", "map_trust", "_with_labels_of"]:
        monkeypatch.setattr(commands, name, getattr(experiments, name))
    given = "--n-genes 40 --keep 8 --fresh --jobs 2" + " --fast" * fast
    records = commands.compute(parsed(*given.split()), cells, tmp_path)
    assert list(records) == RECORDS
    calls = {}
    for name, positional, keywords in experiments.mock_calls:
        if name != "_with_labels_of":
            parallel = name in ("cross_validate", "stability_selection")
            assert (keywords["preselect"], keywords["overwrite"]) == (40, True)
            assert keywords.get("n_jobs") == (2 if parallel else None), name
            calls[Path(keywords["results"]).stem] = positional
    assert set(calls) == set(RECORDS)
    model, _, n_pairs = calls["halves_default"]
    assert (model.n_components, model.n_genes, n_pairs) == (2, 8, 2 if fast else 25)
    assert list(calls["map_trust"][-1]) == ([1] if fast else [1, 2, 3, 4, 5]), "not that of the fit"
    _, _, folds, grid = calls["cv_default"]
    assert grid == {"n_components": [2]}
    assert len(folds) == len(calls["cv_ridge"][2]) == (2 if fast else 10)
    assert commands._model(parsed(), 7).n_genes == 7
    assert commands._model(parsed(), 70).n_genes == 25


@pytest.mark.parametrize(
    ("n", "fast", "groups", "sizes"),
    [(23, False, None, [2] * 10), (23, True, None, [2, 2]), (9, False, None, [2] * 4)]
    + [(23, False, "donor", [7, 8, 8]), (23, True, "donor", [8, 8])],
)
def test_folds_are_at_most_ten_and_hold_out_whole_groups(monkeypatch, n, fast, groups, sizes):
    monkeypatch.setattr(commands, "groups_of", lambda data, name: np.resize(list("abc"), n))
    given = SimpleNamespace(groups=groups, fast=fast)
    folds = commands.folds_for(given, SimpleNamespace(n_cells=n))
    assert sorted(len(test) for _, test in folds) == sizes


def test_progress_shows_each_step(capsys):
    steps = commands.progress({"first": 3, "second": 2})
    for _ in range(2):
        next(steps)
    shown = capsys.readouterr().err
    assert shown.index("first; about") < shown.index("second; about")
    assert next(steps, None) is None


def test_a_figure_that_cannot_be_drawn_is_a_warning(monkeypatch, tmp_path):
    fails = mock.Mock(side_effect=ValueError("no cell"))
    of_records = mock.Mock(side_effect=dict)
    figures = {"tsne": fails, "map": of_records, "none": lambda records: None}
    monkeypatch.setattr(commands, "drawable", lambda records: figures)
    save_figure = mock.Mock()
    monkeypatch.setattr(commands, "save_figure", save_figure)
    with pytest.warns(UserWarning, match="tsne could not be drawn: no cell"):
        commands.draw({"fit": 1}, tmp_path)
    save_figure.assert_called_once_with({"fit": 1}, tmp_path / "map", pdf=True)
    save_figure.side_effect = OSError("full")
    with pytest.raises(OSError, match="full"), pytest.warns(UserWarning):
        commands.draw({}, tmp_path)


def test_the_verdict_and_where_results_are_is_printed(cells, monkeypatch, capsys):
    parts = {name: mock.Mock() for name in ("compute", "draw", "explore", "write_page")}
    parts["compute"].return_value = {name: name for name in RECORDS}
    parts["compute"].return_value["cv_default"] = SimpleNamespace(folds=[0, 1])
    parts["write_page"].return_value = "The verdict."
    for name, part in parts.items():
        monkeypatch.setattr(commands, name, part)
    monkeypatch.setattr(commands, "cautions", lambda *_: ["one caution"])
    monkeypatch.setattr(commands, "trust_sentence", lambda _: "No gene.")
    monkeypatch.setattr(commands, "diagnose", lambda _: ["set counts=True"])
    commands.fit(parsed("--fast", "--figures", "drawn"), cells, Path("saved"))
    printed = capsys.readouterr().out
    warned = [TRIAL, "one caution", "No gene."]
    assert "\n- ".join(["The verdict.", *warned]) in printed
    assert "report: saved/report.html" in printed
    assert parts["draw"].call_args.args[1] == Path("drawn", f"{cells.name}-fast")
    assert parts["write_page"].call_args.kwargs["cautions"] == ["set --counts", *warned]


def test_facts_on_the_page_say_how_cells_were_split_and_genes_chosen():
    data, _ = with_all_genes(fit_to_explore(n=14))
    data.about["notes"] = ["First.", "set counts=True"]
    record = SimpleNamespace(folds=[0, 1])
    facts = commands._facts(SimpleNamespace(groups=None, n_genes=30), data, record)
    assert facts["folds"] == "2, at random"
    assert facts["genes given to the models"].startswith("30, chosen on the training cells")
    assert facts["as read"] == "First. set --counts"
    facts = commands._facts(SimpleNamespace(groups="donor", n_genes=None), data, record)
    assert facts["folds"] == "2, each donor in only one fold"
    assert facts["genes given to the models"] == "all 34"


@pytest.mark.parametrize("relabel", ["types", "colors"])
def test_labels_and_colours_of_a_record_follow_the_data(adata, cells, monkeypatch, relabel):
    fit = SimpleNamespace(labels=cells.labels[["family", "type"]], colors=cells.colors, values={})
    save = mock.Mock()
    monkeypatch.setattr(commands, "save", save)
    commands._with_labels_of(cells, fit, "fit.pickle")
    save.assert_not_called()
    adata = adata.copy()
    if relabel == "types":
        adata.obs["type"] = pd.Categorical(["one"] * adata.n_obs)
    adata.uns["type_colors"] = ["#102030"] * adata.obs["type"].nunique()
    commands._with_labels_of(as_paired(adata), fit, "fit.pickle")
    save.assert_called_once_with(fit, "fit.pickle")
    assert fit.values["labels"]["type"].tolist() == adata.obs["type"].tolist()
    assert set(fit.values["colors"].values()) == {"#102030"}


# -- options ---------------------------------------------------------------------------------------


OPTIONS = (
    "--outputs b.xls --labels c.tsv --log --genes-in-rows --sheet S --missing fewest --by-row "
    "--average "
    "--missing-marks lost --missing-marks=-999 --decimal outputs=, --header 2 --header labels=3 "
    "--cell-key cell --match loose --duplicates sum --type-key t --family-key f "
    "--drop-columns note --drop-columns id --rename a=b=c --cell-names n.csv"
)
TAKEN = {
    "expression": "a.csv",
    "outputs": "b.xls",
    "labels": "c.tsv",
    "counts": False,
    "genes_in_rows": True,
    "by_row": True,
    "average": True,
    "missing": "fewest",
    "missing_marks": ["lost", "-999"],
    "decimal": {"outputs": ",", "expression": None, "labels": None},
    "header": {"expression": 2, "outputs": 2, "labels": 3},
    "cell_key": "cell",
    "sheet": "S",
    "match": "loose",
    "duplicates": "sum",
    "type_key": "t",
    "family_key": "f",
    "drop_columns": ["note", "id"],
    "rename": {"a": "b=c"},
    "cell_names": "n.csv",
}


def test_every_option_of_the_reader_is_one_of_the_command_line():
    """An error that advises an option must not send the user of the command line to Python."""
    given = parsed(*OPTIONS.split())
    assert options.keywords_of("paired", given) == TAKEN
    known = inspect.signature(reader.read_tables).parameters.keys() - {"name", "source", "how"}
    of_all = {field.name for field in fields(TableOptions)}
    assert known | of_all == TAKEN.keys() | {"colors"}
    words = options.as_arguments(TAKEN).split()
    again = cli._parser().parse_args(["fit", "mine", *words])
    assert options.keywords_of("paired", again) == TAKEN, "what is printed says the same"
    given = options.keywords_of("paired", parsed("--counts", "--cells-in-rows"))
    assert given == {"expression": "a.csv", "counts": True, "genes_in_rows": False}


def test_what_was_read_is_shown_and_can_be_read_again(cells, tmp_path, monkeypatch, capsys):
    """Every choice is printed as one command, which gives the same data as the file."""
    monkeypatch.chdir(tmp_path)
    counts_of(cells).T.to_csv("counts.csv")
    outputs = outputs_of(cells).rename(lambda name: name.upper())
    outputs.iloc[3, 1] = np.nan
    outputs.iloc[5, 0] = -9999
    numbered = outputs.reset_index(names="cell").rename_axis("number")
    numbered.to_csv("ephys.csv", sep=";", decimal=",")
    labels = cells.labels.drop(columns="type").assign(cluster=1)
    labels["cluster"] = labels["cluster"].where(labels["donor"] != "mouse 1")
    labels.to_csv("types.csv")
    command = "read paired --expression counts.csv --outputs ephys.csv --labels types.csv"
    assert cli.main([*command.split(), "--out", "mine.h5ad"]) == 1
    shown = capsys.readouterr()
    assert "| expression | counts.csv | columns |" in shown.out
    advice = shown.err[shown.err.index("sbnn read paired ") :].splitlines()[0]
    parts = (
        "-o mine.h5ad",
        "--cell-key outputs=cell",
        "--match loose",
        "--missing fewest",
        "--counts",
    )
    assert all(part in advice for part in parts)
    assert not Path("mine.h5ad").exists()
    with pytest.warns(UserWarning, match="cells with missing outputs") as warned:
        assert cli.main(advice.split()[1:]) == 0
    doubts = [str(one.message) for one in warned if "-9999 (1 times)" in str(one.message)]
    assert ["missing_marks=MARK" in doubt for doubt in doubts] == [True], "said once"
    said = capsys.readouterr().out
    again = said[said.index("sbnn read paired ") :].splitlines()[0]
    assert set(again.split()) == set(advice.split())
    asked = cli._parser().parse_args(["fit", "mine.h5ad"])
    first = as_paired(options.read("paired", asked, "mine", expression="mine.h5ad"))
    with pytest.warns(UserWarning):
        asked = cli._parser().parse_args(["fit", "mine", *advice.split()[5:]])
        direct = as_paired(options.read("paired", asked, "mine"))
    assert first.sha256 == direct.sha256
    assert first.name == "mine"
    assert first.about["dropped"] == direct.about["dropped"]
    assert set(first.labels["cluster"]) == {"1", ""}, "not 1.0"
    assert first.labels["donor"].tolist() == direct.labels["donor"].fillna("").tolist()
    assert cli.main(["ephys-types", "fit", "mine.h5ad", "--model", "m"]) == 1
    assert "written by `sbnn read paired`" in capsys.readouterr().err


def test_too_few_cells_or_genes_are_not_fitted(adata):
    for few in (adata[:19], adata[:, :1]):
        with pytest.raises(ValueError, match="too few"):
            options.require_enough(few)
    options.require_enough(adata[:20])


def test_values_of_options():
    assert options.number_or_all("all") == "all"
    assert options.number_or_all("1") == 1
    assert options.of_table("a=3") == (None, "a=3")
    for parse, wrong in (
        (options.at_least_one, "0"),
        (options.at_least_one, "-1"),
        (options.row_of_table, "outputs=0"),
        (options.old_and_new, "=b"),
        (options.old_and_new, "b="),
    ):
        with pytest.raises(argparse.ArgumentTypeError):
            parse(wrong)


def test_messages_of_the_reader_name_options_of_the_command_line():
    text = "x: missing='cells', counts=False, overwrite=True, type_key='a'"
    assert options.as_options(text) == "x: --missing 'cells', --log, --fresh, --type-key 'a'"
    choices = {"missing_marks": ["-9"], "counts": "normalised", "by_row": True, "header": {"a": 2}}
    expected = "--missing-marks=-9 --normalised --by-row --header a=2"
    assert options.as_arguments(choices) == expected


@pytest.mark.parametrize(
    ("asked", "n_genes", "expected"),
    [(None, 2000, None), (None, 2001, 1000), (30, 30, None), (30, 31, 30), ("all", 9999, None)],
)
def test_genes_are_preselected_if_there_are_many(asked, n_genes, expected):
    assert options.preselected(SimpleNamespace(n_genes=asked), n_genes) == expected


@pytest.mark.parametrize("unknown", ["", "unknown", np.nan])
def test_cells_of_unknown_group_are_left_out_and_named(adata, unknown):
    adata = adata.copy()
    adata.obs["donor"] = adata.obs["donor"].astype(object).replace("", unknown)
    adata.X[:, 3] = np.arange(90) == 0
    with pytest.warns(UserWarning, match="1 of 90 cells left out, because their 'donor'"):
        kept = options.with_groups(adata, "donor")
    assert kept.uns["sbnn"]["dropped"]["cells without donor"] == [adata.obs_names[0]]
    assert list(kept.var_names) == list(adata.var_names.delete(3)), "only that cell has its gene"
    assert options.with_groups(kept, "donor") is kept
    with pytest.raises(ValueError, match="'donor' is unknown or empty for all cells"):
        options.with_groups(adata[[0]], "donor")


@pytest.mark.parametrize("suffix", [".h5ad", ".h5mu"])
@pytest.mark.filterwarnings("ignore")
def test_files_of_anndata_and_mudata_are_taken(adata, cells, suffix, tmp_path):
    given = adata.copy()
    path = str(tmp_path / f"cells{suffix}")
    if suffix == ".h5ad":
        del given.obs["type"]  # whose place the family takes
        given.write_h5ad(path)
    else:
        mudata = pytest.importorskip("mudata")
        del given.obs["type"], given.obs["family"]
        ephys = AnnData(given.obsm.pop("outputs"))
        mudata.MuData({"rna": given, "ephys": ephys}).write(path)
    data = as_paired(reader.read_tables(path))
    np.testing.assert_allclose(data.Y, cells.Y)
    np.testing.assert_array_equal(data.counts, cells.counts)
    types = cells.labels["family"] if suffix == ".h5ad" else ["unknown"] * 90
    assert data.labels["type"].tolist() == list(types)
    (-outputs_of(cells)).to_csv(tmp_path / "others.csv")
    others = as_paired(reader.read_tables(path, str(tmp_path / "others.csv")))
    np.testing.assert_allclose(others.Y, -cells.Y, rtol=1e-5)
