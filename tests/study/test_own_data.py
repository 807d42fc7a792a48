"""One command takes a user's raw tables to results, a model, figures and a page."""

import argparse
import inspect
import json
import re
from html import unescape
from pathlib import Path
from types import SimpleNamespace
from unittest import mock

import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from explorable import fit_to_explore, with_all_genes
from made_up import counts_of, outputs_of

from sbnn import DistilledBottleneckRegressor, DistilledSettings, cli, fit_full, results
from sbnn.data.paired import as_paired
from sbnn.data.readers import tables as reader
from sbnn.data.simulate import simulate_patchseq
from sbnn.study.own_data import commands, options
from sbnn.study.own_data import report as page

MARKUP = '<script>alert("1")</script>'  # no name is markup on the page
READ_TABLES = reader.read_tables
FEW = DistilledSettings(steps_of_teachers=20, steps_of_student=20)


@pytest.fixture(scope="module")
def adata():
    adata = simulate_patchseq(90, 60, 3, n_true_genes=5, n_families=2, n_types=3)
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


def write_raw_tables(folder, cells):
    """Raw tables as a spreadsheet of another country saves them; the first output is markup."""
    counts = counts_of(cells).T
    counts.loc["ERCC-00002"] = 1000
    ephys = outputs_of(cells).iloc[::-1].map(lambda value: f"{value:.4f}".replace(".", ","))
    ephys.iloc[3, 1] = "-"
    ephys = ephys.rename(columns={ephys.columns[0]: MARKUP})
    tables = (("counts", counts, ","), ("ephys", ephys, ";"), ("types", cells.labels, ","))
    for name, table, separator in tables:
        text = table.to_csv(sep=separator, lineterminator="\r\n")
        (folder / f"{name}.csv").write_text("\ufeff" + text, "utf-8")


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_one_command_leaves_results_figures_model_and_page(
    adata, cells, tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    write_raw_tables(tmp_path, cells)
    monkeypatch.setattr("sbnn.study.own_data.report.trust_sentence", lambda halves: "Trust none.")
    command = (
        "fit mine --expression counts.csv --outputs ephys.csv --labels types.csv --missing cells "
        "--groups donor --n-genes 40 --keep 8 --fast"
    )
    assert cli.main(command.split()) == 0
    printed = capsys.readouterr().out
    saved = tmp_path / "saved_models" / "mine-fast"
    assert (saved / "explorer.html").stat().st_size > 0
    drawn = {path.stem for path in (tmp_path / "figures" / "mine-fast").glob("*.png")}
    expected = "overview figure3_latent_default accuracy stability_selection effects map_trust"
    assert drawn >= set(expected.split())
    assert "sbnn map saved_models/mine-fast/model.safetensors" in printed
    assert "a quick run (--fast)" in printed
    assert "\n- Trust none.\n" in printed
    check_page((saved / "report.html").read_text(), saved, printed)
    check_records(cells, saved)
    fit = results.load(saved / "fit_default_2d.pickle")
    model = DistilledBottleneckRegressor.load(saved / "model.safetensors")
    new = model.normalizer_.transform(adata[list(fit.cell_names)].copy())
    placed = model.transform(new)
    np.testing.assert_allclose(placed, fit.latent, atol=1e-4 * np.abs(fit.latent).max())
    assert cli.main(["report", "mine", "--fast", "--json"]) == 0
    assert "Test R2, mean over the folds" in json.loads(capsys.readouterr().out)
    saved.rename(saved.with_name("mine"))
    assert cli.main(["report", "all"]) == 0
    assert "| mine | 60 -> 3 |" in capsys.readouterr().out


def check_page(page, saved, printed):
    """The page of the report has the results, in an order from the verdict to the details."""
    [verdict] = re.findall(r'<p class="verdict">(.*?)</p>', page)
    assert verdict.startswith("Test R2 ")
    assert verdict in printed
    assert page.count("data:image/png;base64,") == 3
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert "<script" not in page
    left_out = "1 left out (cells without donor"
    parts = ["verdict", "The map of the cells", "a quick run (--fast)", left_out, "<dt>cells"]
    assert sorted(parts, key=page.index) == parts
    assert "spike-ins" in page
    assert "each donor in only one fold" in page
    assert "40, chosen on the training cells of every fold" in page
    fit = results.load(saved / "fit_default_2d.pickle")
    assert MARKUP in fit.feature_names
    of_outputs, of_genes = tables_of(page)
    assert set(map(unescape, of_outputs.index)) == set(fit.feature_names)
    assert of_outputs["test R2"].astype(float).is_monotonic_decreasing
    assert set(of_genes.index) == set(fit.kept_genes)
    shown = of_genes["effect (SD)"]
    shown = shown[shown != ""].astype(float)
    effects = results.load(saved / "interpretation.pickle").table["effect"]
    assert len(shown)
    np.testing.assert_allclose(shown, effects[shown.index], atol=6e-4)


def check_records(cells, saved):
    """No donor is in both parts of a fold, and only chosen genes are used."""
    record = results.load(saved / "cv_default.pickle")
    halves = results.load(saved / "halves_default.pickle")
    fit = results.load(saved / "fit_default_2d.pickle")
    interpretation = results.load(saved / "interpretation.pickle")
    assert interpretation.settings["held out"].startswith("groups, ")
    train, test = record.folds[0]
    assert len(train) + len(test) == 88, "one has no donor, one lacks a value"
    donors = cells.labels["donor"].loc[fit.cell_names].to_numpy()
    for train, test in record.folds + halves.folds:
        assert not set(donors[train]) & set(donors[test])
    assert record.preselected.sum(axis=1).tolist() == [40, 40]
    assert record.n_selected.max() == 8


@pytest.mark.parametrize("fast", [False, True])
def test_every_experiment_is_given_the_options_that_concern_it(cells, tmp_path, monkeypatch, fast):
    given = {}

    def stand_in(name):
        def call(*positional, **keywords):
            given.setdefault(name, []).append((positional, keywords))
            return SimpleNamespace(labels=cells.labels[["family", "type"]], colors=cells.colors)

        return call

    names = "cross_validate fit_full stability_selection interpret_held_out principal_components"
    for name in [*names.split(), "tsne_maps", "map_trust"]:
        monkeypatch.setattr(commands, name, stand_in(name))
    with pytest.raises(ValueError, match="--keep: expected at most 40, .*got 1000"):
        commands.compute(parsed("--n-genes", "40", "--keep", "1000"), cells, tmp_path)
    arguments = "--n-genes 40 --keep 8 --fresh --jobs 2" + " --fast" * fast
    records = commands.compute(parsed(*arguments.split()), cells, tmp_path)
    assert len(records) == 8
    assert len(given) == 7
    for name, calls in given.items():
        parallel = name in ("cross_validate", "stability_selection")
        for _, keywords in calls:
            assert keywords["preselect"] == 40, name
            assert keywords["overwrite"], name
            assert keywords.get("n_jobs") == (2 if parallel else None), name
    [((model, _, n_pairs), _)] = given["stability_selection"]
    assert n_pairs == (2 if fast else 25)
    assert (model.n_components, model.n_genes) == (2, 8)
    [(arguments, _)] = given["map_trust"]
    assert list(arguments[-1]) == ([1] if fast else [1, 2, 3, 4, 5]), "other seeds than the fit"
    (_, _, folds, grid), (ridge, _, same_folds) = (call for call, _ in given["cross_validate"])
    assert grid == {"n_components": [2]}
    assert type(ridge).__name__ == "LeaveOneOutRidge"
    assert len(folds) == len(same_folds) == (2 if fast else 10)


@pytest.mark.parametrize(
    ("fast", "groups", "sizes"),
    [
        (False, None, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2]),
        (True, None, [2, 2]),
        (False, "donor", [7, 8, 8]),
        (True, "donor", [8, 8]),
    ],
)
def test_folds_are_at_most_ten_and_hold_out_whole_groups(fast, groups, sizes):
    adata = simulate_patchseq(23, 30, 3, n_true_genes=4, n_families=2, n_types=2, random_state=0)
    adata.obs["donor"] = np.resize(list("abc"), 23)
    folds = commands.folds_for(SimpleNamespace(groups=groups, fast=fast), as_paired(adata))
    assert sorted(len(test) for _, test in folds) == sizes


def test_every_fold_has_two_cells_at_least(cells):
    few = as_paired((cells.X[:9, :4], cells.Y[:9]))
    folds = commands.folds_for(SimpleNamespace(groups=None, fast=False), few)
    assert [len(test) for _, test in folds] == [2, 2, 2, 2]


def test_the_remaining_time_follows_the_steps_that_took_time(monkeypatch, capsys):
    times = iter([0.0, 30.0, 100.0, 100.5, 200.0])
    monkeypatch.setattr(commands.time, "monotonic", lambda: next(times))
    progress = commands.Progress({"first": 3, "second": 2, "third": 5})
    for _ in range(3):
        progress.next_step()
    first, second, third = capsys.readouterr().err.splitlines()
    assert first == "1/3 first"
    assert second == "2/3 second; about 70 s left", "10 s for a unit"
    assert third == "3/3 third; about 50 s left", "the second was loaded"


NAMES = "fit_default_2d cv_default halves_default cv_ridge tsne components map_trust interpretation"


def test_a_figure_that_cannot_be_drawn_is_a_warning(monkeypatch, tmp_path):
    plotting = mock.Mock()
    plotting.tsne_pair.side_effect = ValueError("no cell")
    monkeypatch.setattr(commands, "plotting", plotting)
    with pytest.warns(UserWarning, match="figure7_tsne could not be drawn: no cell"):
        commands.draw({name: name for name in NAMES.split()}, tmp_path)
    saved = [call.args[1].name for call in plotting.save_figure.call_args_list]
    assert len(saved) == 7
    assert "figure7_tsne" not in saved
    assert all(call.kwargs == {"pdf": True} for call in plotting.save_figure.call_args_list)
    plotting.overview.assert_called_with("fit_default_2d", "halves_default", "cv_default")
    plotting.map_trust.assert_called_with("map_trust", "fit_default_2d")
    plotting.save_figure.side_effect = OSError("full")
    with pytest.raises(OSError, match="full"):
        commands.draw({name: name for name in NAMES.split()}, tmp_path)


def test_the_verdict_and_where_results_are_is_printed(monkeypatch, capsys):
    parts = {name: mock.Mock() for name in ("compute", "draw", "explore", "report")}
    parts["compute"].return_value = {name: name for name in NAMES.split()}
    parts["report"].return_value = "The verdict.", ["one caution", "another"]
    for name, part in parts.items():
        monkeypatch.setattr(commands, name, part)
    given = SimpleNamespace(figures="drawn", fast=True)
    commands.fit(given, SimpleNamespace(name="mine"), Path("saved"))
    printed = capsys.readouterr().out
    assert "The verdict.\n- one caution\n- another\n" in printed
    assert "report: saved/report.html" in printed
    assert "sbnn map saved/model.safetensors" in printed
    [(_, figures), _] = parts["draw"].call_args
    assert figures == Path("drawn/mine-fast")
    keywords = parts["explore"].call_args.kwargs
    assert (keywords["ridge"], keywords["tsne"]) == ("cv_ridge", "tsne")


def test_outputs_on_the_page_are_sorted_by_r2(monkeypatch):
    columns = {"test_r2": [0.1, 0.3], "permuted_r2": 0.0, "p": 0.01, "adjusted_p": 0.02}
    table = pd.DataFrame(
        columns | {"ridge_r2": 0.2, "better_than_chance": [False, True]}, ["x", "y"]
    )
    monkeypatch.setattr(page, "outputs_table", lambda *_: table)
    _, shown = page._outputs(None, None, None)
    assert shown["test R2"].to_dict() == {"y": 0.3, "x": 0.1}
    assert shown["p, adjusted"].tolist() == [0.02, 0.02]
    assert shown["better than chance"].tolist() == ["yes", "no"]


def test_genes_on_the_page_have_their_trust_and_effect():
    fit = fit_to_explore(n=14)
    _, more = with_all_genes(fit)
    effects = {"output": "o", "effect": [0.5, -0.25], "r2_drop": 0.1}
    records = {
        "halves_default": more["halves"],
        "fit_default_2d": fit,
        "interpretation": SimpleNamespace(table=pd.DataFrame(effects, ["Gene2", "Gene0"])),
    }
    _, table, note = page._genes(records)
    assert table["share of halves"].is_monotonic_decreasing
    assert table["trust"].to_dict()["Gene0"] == "trusted"
    assert table.loc["Gene0", "effect (SD)"] == -0.25
    assert np.isnan(table.loc["Gene1", "effect (SD)"])
    assert note.startswith("1 of 4 are trusted")


def test_facts_on_the_page_say_how_cells_were_split_and_genes_chosen():
    data, _ = with_all_genes(fit_to_explore(n=14))
    data.about["notes"] = ["First.", "Second."]
    record = SimpleNamespace(folds=[0, 1])
    facts = page._facts(SimpleNamespace(groups=None, n_genes=30), data, record)
    assert facts["cells"] == "14"
    assert facts["folds"] == "2, at random"
    assert facts["genes given to the models"].startswith("30, chosen on the training cells")
    assert facts["as read"] == "First. Second."
    facts = page._facts(SimpleNamespace(groups="donor", n_genes=None), data, record)
    assert facts["folds"] == "2, each donor in only one fold"
    assert facts["genes given to the models"] == "all 34"


def test_a_saved_model_is_in_the_units_of_the_data(adata, cells, tmp_path):
    model = DistilledBottleneckRegressor(
        n_genes=8, distillation=FEW, standardize=False, device="cpu", random_state=42
    )
    file = tmp_path / "model.safetensors"
    record = fit_full(model, cells, preselect=30, results=tmp_path / "fit.pickle", model_file=file)
    loaded = DistilledBottleneckRegressor.load(file)
    assert list(loaded.get_feature_names_out()) == list(record.kept_genes)
    assert loaded.n_features_in_ == cells.n_genes
    assert loaded.standardize
    assert loaded.normalizer_.library_size_ > 0
    kept = loaded.get_support()
    X = cells.X[:, kept]
    middle = X.mean(axis=0)
    reach = FEW.few_cells_limit * X.std(axis=0)
    low = np.maximum(X.min(axis=0), middle - reach)
    high = np.minimum(X.max(axis=0), middle + reach)
    np.testing.assert_allclose(loaded.x_min_[kept], low, atol=1e-4)
    np.testing.assert_allclose(loaded.x_max_[kept], high, atol=1e-4)
    np.testing.assert_allclose(loaded.transform(adata), record.latent, atol=1e-4)
    scaled = (loaded.predict(adata) - cells.Y.mean(axis=0)) / cells.Y.std(axis=0)
    np.testing.assert_allclose(scaled, record.predictions, atol=1e-4)
    content = file.read_bytes()
    file.unlink()
    again = fit_full(model, cells, preselect=30, results=tmp_path / "fit.pickle", model_file=file)
    assert np.array_equal(again.latent, record.latent), "without its model it is fitted anew"
    assert file.read_bytes() == content


@pytest.mark.parametrize("kind", ["the same", "one"])
def test_labels_and_colours_of_a_record_follow_the_data(adata, cells, tmp_path, kind):
    fit = SimpleNamespace(labels=cells.labels[["family", "type"]], colors=cells.colors, values={})
    saved = []
    relabelled = adata.copy()
    if kind == "one":
        relabelled.obs["type"] = pd.Categorical(["one"] * adata.n_obs)
    n_types = relabelled.obs["type"].nunique()
    relabelled.uns["type_colors"] = ["#102030"] * n_types
    with mock.patch.object(commands, "save", lambda record, path: saved.append(path)):
        commands._with_labels_of(cells, fit, "fit.pickle")
        assert not saved, "nothing has changed"
        commands._with_labels_of(as_paired(relabelled), fit, "fit.pickle")
    assert saved == ["fit.pickle"]
    assert fit.values["labels"]["type"].tolist() == relabelled.obs["type"].tolist()
    assert set(fit.values["colors"].values()) == {"#102030"}


# -- options ---------------------------------------------------------------------------------------


OPTIONS = (
    "--expression a.csv --outputs b.xls --labels c.tsv --log --genes-in-rows --sheet S "
    "--missing fewest --missing-marks lost --missing-marks=-999 --decimal outputs=, --header 2 "
    "--header labels=3 --cell-key cell --match loose --duplicates sum --spike-ins keep "
    "--type-key t --family-key f --drop-columns note --drop-columns id --rename a=b=c "
    "--cell-names n.csv"
)
TAKEN = {
    "expression": "a.csv",
    "outputs": ("b.xls", "S"),
    "labels": "c.tsv",
    "counts": False,
    "genes_in_rows": True,
    "missing": "fewest",
    "missing_marks": ["lost", "-999"],
    "decimal": {"outputs": ",", "expression": None, "labels": None},
    "header": {"expression": 2, "outputs": 2, "labels": 3},
    "cell_key": "cell",
    "match": "loose",
    "duplicates": "sum",
    "spike_ins": "keep",
    "type_key": "t",
    "family_key": "f",
    "drop_columns": ["note", "id"],
    "rename": {"a": "b=c"},
    "cell_names": "n.csv",
    "name": "mine",
    "source": "the user's tables: a.csv, b.xls, c.tsv",
}


@pytest.fixture
def taken(adata, monkeypatch):
    """What `read_tables` was given."""
    taken = {}

    def read_tables(**given):
        taken.update(given)
        return adata

    monkeypatch.setattr(reader, "read_tables", read_tables)
    return taken


def test_every_option_of_the_reader_is_one_of_the_command_line(taken):
    """An error that advises an option must not send the user of the command line to Python."""
    known = set(inspect.signature(READ_TABLES).parameters)
    options.load(parsed(*OPTIONS.split()))
    assert taken == TAKEN
    assert known - {"colors"} == taken.keys()


def test_options_that_are_not_given_have_the_defaults_of_the_reader(taken):
    options.load(
        parsed(*["--expression", "a.xlsx", "--outputs", "b.xls", "--counts", "--cells-in-rows"])
    )
    assert taken["counts"] is True
    assert taken["genes_in_rows"] is False
    for name in ("missing", "match", "duplicates", "spike_ins", "type_key", "family_key"):
        assert taken[name] == inspect.signature(READ_TABLES).parameters[name].default


@pytest.mark.parametrize("wrong", ["--header outputs=0", "--n-genes -3", "--rename a"])
def test_wrong_values_of_options_are_refused(wrong):
    with pytest.raises(SystemExit):
        parsed(*wrong.split())


def test_values_of_options():
    assert options.at_least_one("12") == 12
    for text in ("0", "-1", "1.5", ""):
        with pytest.raises(argparse.ArgumentTypeError):
            options.at_least_one(text)
    assert options._number_or_all("all") == "all"
    assert options._of_table("outputs=3") == ("outputs", "3")
    assert options._of_table("a=3") == (None, "a=3")
    assert options._row_of_table("labels=2") == ("labels", 2)
    assert options._old_and_new("a=b=c") == ("a", "b=c")
    with pytest.raises(argparse.ArgumentTypeError):
        options._old_and_new("=b")


def test_messages_of_the_reader_name_options_of_the_command_line():
    text = "x: type_key names it, or missing='cells', counts=False, header=3, genes_in_rows=True"
    options_named = "--type-key names it, or --missing 'cells', --log, --header 3, --genes-in-rows"
    assert options.as_options(text) == f"x: {options_named}"
    assert options.as_options("scaling='fold', overwrite=True") == "scaling='fold', --fresh"


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
    assert kept.n_obs == 89
    assert kept.uns["sbnn"]["dropped"]["cells without donor"] == [adata.obs_names[0]]
    expected = adata.var_names.delete(3)
    assert list(kept.var_names) == list(expected), "without the gene of that cell alone"
    assert options.with_groups(kept, "donor") is kept
    with pytest.raises(KeyError, match="no 'mouse' in the labels; it holds .*donor"):
        options.with_groups(adata, "mouse")
    with pytest.raises(ValueError, match="'donor' is unknown or empty for all cells"):
        options.with_groups(adata[[0]], "donor")


@pytest.mark.parametrize("suffix", [".h5ad", ".h5mu"])
@pytest.mark.filterwarnings("ignore")
def test_files_of_anndata_and_mudata_are_taken(adata, cells, suffix, tmp_path):
    given = adata.copy()
    path = tmp_path / f"cells{suffix}"
    arguments = ["--expression", str(path)]
    if suffix == ".h5ad":
        kind = "family"
        del given.obs["type"]  # whose place the family takes
        given.write_h5ad(path)
    else:
        kind = "type"
        mudata = pytest.importorskip("mudata")
        ephys = AnnData(given.obsm.pop("outputs"))
        mudata.MuData({"rna": given, "ephys": ephys}).write(path)
        arguments += ["--outputs", "ephys"]
    asked = parsed(*arguments)
    data = as_paired(options.load(asked))
    assert data.name == "mine"
    np.testing.assert_allclose(data.Y, cells.Y)
    np.testing.assert_array_equal(data.counts, cells.counts)
    assert data.labels["donor"].tolist() == cells.labels["donor"].tolist()
    assert data.labels["type"].tolist() == cells.labels[kind].tolist()
    (-outputs_of(cells)).to_csv(tmp_path / "others.csv")
    asked.outputs = str(tmp_path / "others.csv")
    np.testing.assert_allclose(as_paired(options.load(asked)).Y, -cells.Y, rtol=1e-5)
    asked.outputs = "nothing"
    with pytest.raises(KeyError, match="no 'nothing' in adata.obsm"):
        options.load(asked)
