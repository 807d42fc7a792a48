"""One command takes a user's raw tables to results, a model, figures and a page; the page says what the numbers say."""

import argparse
import dataclasses
import inspect
import io
import re
import warnings

import numpy as np
import pandas as pd
import pytest
from made_up import changed

from sbnn import (
    DistilledSettings,
    PairedData,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    cli,
    fit_full,
    results,
    simulate_patchseq,
)
from sbnn.data.paired import as_paired
from sbnn.data.readers.tables import read_tables
from sbnn.study.experiments import network
from sbnn.study.new_cells import place, read_cells
from sbnn.study.own_data import experiments as own_experiments
from sbnn.study.own_data import options as own_options
from sbnn.study.own_data.experiments import folds_for
from sbnn.study.own_data.html import to_html
from sbnn.study.own_data.page import Page, Picture, Table
from sbnn.study.own_data.pdf import to_pdf

FEW = DistilledSettings(steps_of_teachers=20, steps_of_student=20)


@pytest.fixture(scope="module")
def cells():
    data = as_paired(simulate_patchseq(n_cells=90, n_genes=60, n_outputs=3, n_true_genes=5, n_families=2, n_types=3))
    labels = data.labels.assign(donor=[f"mouse {i % 6}" for i in range(90)])
    labels.loc[data.cell_names[0], "donor"] = ""
    return changed(data, labels=labels, truth={})


@pytest.fixture(scope="module")
def fitted(cells, tmp_path_factory):
    """What the one command leaves and prints, of raw tables as a spreadsheet of another country saves them."""
    folder = tmp_path_factory.mktemp("own")
    counts = pd.DataFrame(cells.counts, cells.cell_names, cells.gene_names).T
    counts.loc["ERCC-00002"] = 1000
    ephys = pd.DataFrame(cells.Y, cells.cell_names, cells.feature_names).iloc[::-1].map(lambda v: f"{v:.4f}")
    ephys = ephys.map(lambda text: text.replace(".", ","))
    ephys.iloc[3, 1] = "-"
    for name, table, separator in (
        ("counts.csv", counts, ","),
        ("ephys.csv", ephys, ";"),
        ("types.csv", cells.labels, ","),
    ):
        (folder / name).write_text(
            "\ufeff" + table.to_csv(sep=separator, lineterminator="\r\n"), encoding="utf-8", newline=""
        )
    command = ["fit", "mine", "--expression", "counts.csv", "--outputs", "ephys.csv", "--labels", "types.csv"]
    command += ["--missing", "cells", "--groups", "donor", "--n-genes", "40", "--keep", "8", "--fast"]
    printed = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        patch.chdir(folder)
        patch.setattr("sys.stdout", printed)
        assert cli.main(command) == 0
    return folder, printed.getvalue()


def tables_of(page):
    """Tables of an HTML page, of text, by their first column."""
    for table in re.findall("<table>(.*?)</table>", page, re.S):
        head, *rows = [re.findall("<t[dh][^>]*>(.*?)</t[dh]>", row) for row in re.findall("<tr>(.*?)</tr>", table)]
        yield pd.DataFrame(rows, columns=head).set_index(head[0])


@pytest.mark.slow
def test_one_command_leaves_results_figures_model_and_page(fitted):
    folder, printed = fitted
    saved = folder / "saved_models" / "mine-fast"
    for name in ("cv_default.pickle", "cv_ridge.pickle", "model.safetensors", "report.html", "explorer.html"):
        assert (saved / name).stat().st_size > 0, name
    assert (saved / "report.pdf").read_bytes().startswith(b"%PDF")
    drawn = {path.stem for path in (folder / "figures" / "mine-fast").glob("*.png")}
    assert drawn >= {"overview", "figure3_latent_default", "accuracy", "stability_selection", "effects", "map_trust"}
    page = (saved / "report.html").read_text()
    [verdict] = re.findall(r'<p class="verdict">(.*?)</p>', page)
    assert verdict.startswith("Test R2 ") and verdict in printed
    assert "A trial (--fast)" in page and "A trial (--fast)" in printed
    fit = results.load(saved / "fit_default_2d.pickle")
    effects = results.load(saved / "interpretation.pickle").table
    of_outputs, of_genes = tables_of(page)
    assert set(of_outputs.index) == set(fit.feature_names)
    assert of_outputs["test R2"].astype(float).is_monotonic_decreasing
    known = of_genes.loc[of_genes["by (SD)"] != "", "by (SD)"].astype(float)
    assert set(of_genes.index) == set(fit.kept_genes) and len(known)
    np.testing.assert_allclose(known, effects.effect[known.index], atol=6e-4)
    assert "spike-ins" in page and "cells without donor" in page and "every donor in one of them" in page


@pytest.mark.slow
def test_no_donor_is_trained_on_and_tested(fitted, cells):
    record = results.load(fitted[0] / "saved_models" / "mine-fast" / "cv_default.pickle")
    assert sum(len(part) for part in record.folds[0]) == 88, "one has no donor, one lacks a value"
    fit = results.load(fitted[0] / "saved_models" / "mine-fast" / "fit_default_2d.pickle")
    donors = cells.labels.donor.loc[fit.cell_names].to_numpy()
    for train, test in record.folds:
        assert not set(donors[train]) & set(donors[test])
    assert record.preselected.sum(1).tolist() == [40, 40] and record.n_selected.max() == 8


@pytest.mark.slow
def test_the_saved_model_places_cells_where_the_map_has_them(fitted, cells):
    saved = fitted[0] / "saved_models" / "mine-fast"
    model, fit = (
        SparseBottleneckRegressor.load(saved / "model.safetensors"),
        results.load(saved / "fit_default_2d.pickle"),
    )
    placed = model.transform(cells.subset(cells=fit.cell_names))
    assert np.abs(placed - fit.latent).max() < 1e-4 * np.abs(fit.latent).max()


def test_a_saved_model_is_in_the_units_of_the_data(cells, tmp_path):
    model = network(cells, n_genes=8, protocol="distilled", distillation=FEW, n_components=2)
    record = fit_full(model, cells, preselect=30, model_file=tmp_path / "model.safetensors")
    loaded = SparseBottleneckRegressor.load(tmp_path / "model.safetensors")
    assert list(loaded.get_feature_names_out()) == list(record.kept_genes)
    assert loaded.n_features_in_ == cells.n_genes and loaded.library_size_ == cells.library_size
    np.testing.assert_allclose(loaded.transform(cells), record.latent, atol=1e-4)
    mean, sd = cells.Y.mean(0, dtype=float), cells.Y.std(0, dtype=float)
    np.testing.assert_allclose((loaded.predict(cells) - mean) / sd, record.predictions, atol=1e-4)
    assert loaded.score(cells) == pytest.approx(record.train_r2, abs=1e-4)


def test_a_saved_fit_without_its_model_is_fitted_anew(cells, tmp_path):
    model = network(cells, n_genes=8, protocol="distilled", distillation=FEW, n_components=2)
    paths = {"results": tmp_path / "fit.pickle", "model_file": tmp_path / "model.safetensors"}
    first = fit_full(model, cells, **paths)
    content = paths["model_file"].read_bytes()
    paths["model_file"].unlink()
    assert np.array_equal(fit_full(model, cells, **paths).latent, first.latent)
    assert paths["model_file"].read_bytes() == content


def test_only_a_network_has_a_model_file(cells, tmp_path):
    with pytest.raises(TypeError, match="model_file: a SparseReducedRankRegression cannot be saved"):
        fit_full(SparseReducedRankRegression(), cells, model_file=tmp_path / "model.safetensors")


def test_folds_are_ten_or_as_many_as_there_are_groups(cells):
    known = cells.subset(cells=cells.labels.donor.to_numpy() != "")
    assert len(folds_for(known)) == 10 and len(folds_for(known, "donor")) == 6
    assert len(folds_for(known.subset(cells=range(8), drop_constant=True))) == 4
    with pytest.raises(KeyError, match="no labels 'mouse'"):
        folds_for(known, "mouse")


def parsed(*arguments):
    parser = argparse.ArgumentParser()
    own_options.add_options(parser)
    return parser.parse_args(arguments)


def test_many_genes_are_preselected_and_few_are_not(cells):
    assert own_options.preselected(parsed(), cells) is None
    assert own_options.preselected(parsed("--n-genes", "40"), cells) == 40
    assert own_options.preselected(parsed("--n-genes", "100"), cells) is None
    many = dataclasses.replace(cells, X=np.tile(cells.X, 40), counts=None, gene_names=None)
    assert own_options.preselected(parsed(), many) == 1000
    assert own_options.preselected(parsed("--n-genes", "all"), many) is None


def test_what_is_said_of_a_table_holds_for_it_alone():
    by_table = own_options._by_table
    assert by_table("--sheet", ["S1"], ["outputs", "labels"]) == {"outputs": "S1", "labels": "S1"}
    assert by_table("--sheet", ["labels=S=2", "S1"], ["outputs", "labels"]) == {"outputs": "S1", "labels": "S=2"}
    with pytest.raises(ValueError, match="--sheet: expected a table, one of expression"):
        by_table("--sheet", ["types=S1"])


def test_every_option_of_the_reader_is_one_of_the_command_line(cells, tmp_path, monkeypatch):
    """An error that advises an option must not send the user of the command line to Python."""
    monkeypatch.chdir(tmp_path)
    taken = {}
    monkeypatch.setattr(PairedData, "from_tables", lambda *tables, **given: taken.update(given, tables=tables) or cells)
    options = parsed(
        *("--expression", "a.csv", "--outputs", "b.xls", "--labels", "c.tsv", "--log", "--genes-in-rows"),
        *("--sheet", "Sheet 1", "--missing", "fewest", "--missing-mark", "lost", "--missing-mark", "-999"),
        *("--decimal", "outputs=,", "--header", "2", "--cell-key", "cell", "--match", "loose"),
        *("--duplicates", "sum", "--spike-ins", "keep", "--type-key", "t", "--family-key", "f"),
    )
    options.dataset = "mine"
    own_options.load(options)
    rows = {"expression": 2, "outputs": 2, "labels": 2}
    assert taken.pop("source") == "the user's tables: a.csv, b.xls, c.tsv"
    assert taken.pop("tables") == ("a.csv", ("b.xls", "Sheet 1"), "c.tsv")
    assert taken == {
        **{"counts": False, "genes_in_rows": True, "missing": "fewest", "missing_marks": ["lost", "-999"]},
        **{"decimal": {"outputs": ","}, "header": rows, "cell_key": "cell", "match": "loose", "duplicates": "sum"},
        **{"spike_ins": "keep", "type_key": "t", "family_key": "f", "name": "mine"},
    }
    known = set(inspect.signature(read_tables).parameters) - {"expression", "outputs", "labels", "colors", "source"}
    assert known == taken.keys()


def test_advice_of_the_reader_is_given_as_options(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told = own_options.as_options(
        "x: type_key names it, or missing='cells', spike_ins='leave out', counts=False, header=3"
    )
    assert told == "x: --type-key names it, or --missing cells, --spike-ins 'leave out', --log, --header 3"
    pd.DataFrame(np.eye(4) * 30, list("abcd"), list("wxyz")).to_csv("counts.csv")
    pd.DataFrame({"u": [1, None, 2, 3], "v": range(4)}, list("abcd")).to_csv("ephys.csv")
    options = parsed("--expression", "counts.csv", "--outputs", "ephys.csv")
    options.dataset = "mine"
    with pytest.raises(ValueError, match="outputs: missing values") as error:
        own_options.load(options)
    assert "=" not in str(error.value).replace("==", "")
    assert own_options.as_options("genes_in_rows=True, scaling='fold'") == "--genes-in-rows, scaling='fold'"
    assert own_options.as_options("give another path, or overwrite=True to compute anew").endswith(
        "--fresh to compute anew"
    )


def test_numbers_names_and_options_that_cannot_be_meant_are_refused(cells, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for option in ("--n-genes", "--keep"):
        for text in ("0", "-3", "abc"):
            with pytest.raises(SystemExit):
                parsed(option, text)
    with pytest.raises(ValueError, match="--groups: it goes with tables of your own"):
        own_options.is_asked_for(parsed("--groups", "donor"))
    tables = ["--expression", "a.csv", "--outputs", "b.csv"]
    for name in ("../x", ".", ""):
        assert cli.main(["cv", name, *tables]) == 1
        assert "expected a name for a folder" in capsys.readouterr().err


def test_labels_of_today_reach_a_fit_that_was_saved_with_others(cells, tmp_path):
    model = network(cells, n_genes=8, protocol="distilled", distillation=FEW, n_components=2)
    saved = fit_full(model, cells, results=tmp_path / "fit.pickle")
    relabelled = dataclasses.replace(cells, labels=cells.labels.assign(type="one"), colors=None)
    own_experiments._with_labels_of(relabelled, saved, tmp_path / "fit.pickle")
    again = fit_full(model, relabelled, results=tmp_path / "fit.pickle")
    assert set(again.labels["type"]) == {"one"} and set(again.colors) == {"one"}
    assert np.array_equal(again.latent, saved.latent)


def test_cells_of_unknown_group_are_left_out_and_named(cells):
    with pytest.warns(UserWarning, match="1 of 90 cells have no 'donor'"):
        kept = own_options.with_groups(cells, "donor")
    assert kept.n_cells == 89 and kept.dropped["cells without donor"] == [cells.cell_names[0]]
    with pytest.raises(KeyError, match="no column 'mouse'; they have .*donor"):
        own_options.with_groups(cells, "mouse")


@pytest.mark.parametrize("suffix", [".h5ad", ".h5mu"])
def test_files_of_anndata_and_mudata_are_taken(cells, suffix, tmp_path):
    adata = cells.to_anndata()
    if suffix == ".h5ad":
        adata.write_h5ad(path := tmp_path / "cells.h5ad")
    else:
        mudata = pytest.importorskip("mudata")
        anndata = pytest.importorskip("anndata")
        ephys = anndata.AnnData(adata.obsm.pop("outputs"))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            mudata.MuData({"rna": adata, "ephys": ephys}).write(path := tmp_path / "cells.h5mu")
    options = parsed("--expression", str(path), *(["--outputs", "ephys"] if suffix == ".h5mu" else []))
    options.dataset = "mine"
    data = own_options.load(options)
    assert data.name == "mine" and data.n_outputs == 3
    np.testing.assert_allclose(data.Y, cells.Y)
    assert data.library_size == cells.library_size and list(data.labels.donor) == list(cells.labels.donor)
    assert list(data.labels["type"]) == list(cells.labels["type"])
    pd.DataFrame(-cells.Y, cells.cell_names, cells.feature_names).to_csv(tmp_path / "others.csv")
    options.outputs = str(tmp_path / "others.csv")
    np.testing.assert_allclose(own_options.load(options).Y, -cells.Y, rtol=1e-5)
    options.outputs = "nothing"
    with pytest.raises(KeyError, match="no 'nothing' in adata.obsm"):
        own_options.load(options)


def page_of(n_rows=3, n_cautions=2, name="a <b> & c", path=None):
    frame = pd.DataFrame({"R2": np.linspace(0, 1, n_rows), "who": name}, pd.Index([name] * n_rows, name="output"))
    pictures = [] if path is None else [Picture("A picture", path, name)]
    return Page(name, name, {name: name}, [name] * n_cautions, [Table(name, frame, name)] * 2, pictures, name)


def test_html_holds_everything_and_no_name_is_taken_for_markup(tmp_path):
    from PIL import Image

    Image.new("RGB", (40, 30), "red").save(tmp_path / "a.png")
    html = to_html(page_of(5, name='<script>alert("1")</script>', path=tmp_path / "a.png"))
    assert "<script" not in html and html.count("&lt;script&gt;") > 20
    assert "data:image/png;base64," in html and not re.search(r'(src|href)="(?!data:)', html)
    assert html.count("<tr>") == 2 * 6 and "0.250" in html


@pytest.mark.parametrize("n_rows", [0, 3, 100])
def test_the_pdf_is_one_sheet_however_much_there_is_to_say(n_rows, tmp_path):
    from PIL import Image

    Image.new("RGB", (400, 300), "red").save(tmp_path / "a.png")
    for page in (page_of(n_rows, 30, "Ωμέγα " * 12, tmp_path / "a.png"), page_of(n_rows)):
        content = to_pdf(page)
        assert content.count(b"/Type /Page\n") == 1, "one page"


def test_a_table_that_was_fitted_is_mapped_to_where_it_was(cells, tmp_path):
    """TPM without logarithms, under identifiers with versions: both tables are read in the same way."""
    tpm = pd.DataFrame(cells.counts / cells.counts.sum(1, keepdims=True) * 1e6, cells.cell_names)
    tpm.columns = [f"ENSMUSG{i:011d}.{i % 9 + 1}" for i in range(cells.n_genes)]
    tpm.to_csv(path := tmp_path / "tpm.csv")
    data = PairedData.from_tables(path, pd.DataFrame(cells.Y, cells.cell_names, cells.feature_names))
    model = network(data, n_genes=8, protocol="distilled", distillation=FEW, n_components=2, standardize=True).fit(data)
    with pytest.warns(UserWarning, match="taken for normalised"):
        places, _ = place(model, read_cells(path, model))
    np.testing.assert_allclose(places[["sbnn_1", "sbnn_2"]], model.transform(data), atol=1e-4)
