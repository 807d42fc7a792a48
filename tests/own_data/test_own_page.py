"""report.html: the verdict is seen first, nothing is asked of the network, the code runs."""

import json
import re
import shlex
from html import unescape
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from material.estimators import distilled
from nbconvert.filters import markdown2html
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from sbnn import DistilledBottleneckRegressor, fit_full, paired
from sbnn.cli import main
from sbnn.own_data.page import (
    FIRST,
    LAST,
    NOT_FOLDED,
    ONLY_IN_NOTEBOOK,
    STOP,
    accuracy_table,
    describe_new_cells,
    judge,
    name_trusted,
    recommend,
    write_page,
)

BETTER = {"mean": 0.2, "low": 0.1, "high": 0.3}
NOISE = {"mean": -1e-5, "low": -0.1, "high": 0.1}
WORSE = {"mean": -0.2, "low": -0.3, "high": -0.1}
PNG = (  # of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


def of_outputs(n_outputs=2, interval=BETTER, **predicted):
    """Scores of so many outputs, of which some are predicted."""
    scores = {"n_folds": 5, "test_r2": 0.06, "interval": interval, "n_outputs": n_outputs}
    return scores | {"predicted_outputs": predicted}


@pytest.mark.parametrize(
    ("interval", "difference", "kind", "text"),
    [
        (NOISE, WORSE, "stop", "Stop here"),
        (WORSE, WORSE, "stop", "Stop here"),
        (BETTER, None, "better", "test R² 0.06."),
        (BETTER, BETTER, "better", "better than by ridge"),
        (BETTER, NOISE, "better", "not distinguishable from ridge"),
        (
            BETTER,
            WORSE,
            "better",
            "but ridge on all genes predicts better, and the map explains less.",
        ),
    ],
)
def test_a_headline_is_a_verdict_in_words(interval, difference, kind, text):
    scores = of_outputs(interval=interval)
    if difference is not None:
        scores["minus_ridge"] = difference
    found, headline = judge({"verdict": scores})
    assert found == kind
    assert text in headline


def test_two_folds_give_no_verdict_and_no_choice():
    scores = {"n_folds": 2, "test_r2": 0.2}
    summary = {"verdict": scores, "stacked": scores}
    assert judge(summary) == ("unknown", "No verdict: 2 folds give no interval.")
    assert recommend(summary) == ""


def test_a_headline_says_how_many_outputs_are_predicted():
    def headline(scores, **stacked):
        return judge({"verdict": scores} | stacked)[1]

    few = of_outputs(49, CD4=0.81, CD8=0.79)
    text = "2 of 49 outputs are predicted, CD4 0.81, CD8 0.79; overall, test R² 0.06"
    assert headline(few) == f"{text}."
    every = "All outputs of new cells (2) are predicted: test R² 0.06."
    assert headline(of_outputs(2, CD4=0.81, CD8=0.79)) == every
    assert "though no single output is: test R² 0.06" in headline(of_outputs(2))
    one = "1 of 49 outputs is predicted, CD4 0.81"
    assert headline(of_outputs(49, NOISE, CD4=0.81)) == f"{STOP} By themselves, {one}."
    assert headline(of_outputs(49, NOISE)) == STOP
    by_both = headline(of_outputs(49, NOISE), stacked=few)
    assert f"{text}, by network and ridge together, from all genes." in by_both


@pytest.mark.parametrize(
    ("gain", "choice"),
    [
        (BETTER, "Better: use both stacked (R² +0.200 [+0.100, +0.300], from all genes)."),
        (NOISE, "No measurable gain: use the network (R² +0.000 [−0.100, +0.100])."),
        (WORSE, "Worse: use the network (R² −0.200 [−0.300, −0.100])."),
    ],
)
def test_a_page_chooses_the_model_by_the_interval(gain, choice):
    stacked = of_outputs() | {"minus_network": gain}
    assert recommend({"verdict": of_outputs(), "stacked": stacked}).endswith(f"? {choice}")
    # but not where ridge is ahead
    behind = of_outputs() | {"minus_ridge": WORSE}
    by_ridge = "Predict by ridge on all genes: neither network nor both stacked are better."
    assert recommend({"verdict": of_outputs(), "stacked": stacked | behind}) == by_ridge
    found = recommend({"verdict": behind, "stacked": stacked})
    assert found.endswith(f"? {choice}") if gain is BETTER else found == by_ridge
    # where the network predicts nothing, both do or no model does, whatever the gain
    alone = recommend({"verdict": of_outputs(interval=NOISE), "stacked": stacked})
    assert alone == "Predict by both stacked."
    none = stacked | {"interval": NOISE}
    assert recommend({"verdict": of_outputs(interval=NOISE), "stacked": none}) == ""


def test_numbers_of_the_verdict_are_a_table():
    scores = of_outputs() | {"minus_ridge": NOISE}
    stacked = scores | {"minus_network": WORSE}
    table = accuracy_table({"verdict": scores, "stacked": stacked})
    both = ["0.200 [0.100, 0.300]", "+0.000 [−0.100, +0.100]"]
    assert table.to_numpy().tolist() == [[*both, "–"], [*both, "−0.200 [−0.300, −0.100]"]]
    few = {"n_folds": 2, "test_r2": -1e-5}
    assert accuracy_table({"verdict": few, "stacked": few})["test R²"].tolist() == ["0.000"] * 2


@pytest.mark.parametrize(
    ("trusted", "text"),
    [
        (["c", "a"], "2 of 3 genes are trusted: a, c."),
        (["b", "d"], "1 of 3 genes is trusted: b; trusted, but not kept: d."),
        ([], "0 of 3 genes are trusted; kept are a, b, c."),
    ],
)
def test_trusted_genes_have_names(trusted, text):
    assert name_trusted(["a", "b", "c"], trusted) == text


def page_of(folder, interval):
    """The page of an executed notebook of four sections."""
    picture = new_output("display_data", {"image/png": PNG})

    def heading(text, *tags):
        return new_markdown_cell(f"## {text}", metadata={"tags": [*tags]})

    cells = [
        new_markdown_cell("# Set the paths.", metadata={"tags": [ONLY_IN_NOTEBOOK]}),
        heading("The tables", LAST, NOT_FOLDED),
        heading("How well?", NOT_FOLDED),
        heading("Genes to trust"),
        heading("The map", FIRST),
        new_code_cell("draw()", outputs=[picture], metadata={"tags": []}),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "run.ipynb")
    stacked = of_outputs() | {"interval": interval, "minus_network": NOISE}
    summary = {
        "data": {"n_cells": 90, "n_genes": 40, "n_outputs": 4},
        "settings": {"expression": "a/counts.csv", "outputs": "a/<ephys>.csv", "groups": "donor"},
        "model": {"params": {"n_components": 2}},
        "verdict": of_outputs() | {"interval": interval},
        "stacked": stacked,
        "kept_genes": ["<Pvalb>", "Sst"],
        "trusted_genes": ["<Pvalb>"],
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return write_page(folder, "run.ipynb").read_text(encoding="utf-8")


@pytest.fixture
def page(tmp_path):
    return page_of(tmp_path, BETTER)


def test_the_tab_is_named_after_the_data(page, tmp_path):
    assert f"<title>{tmp_path.name}: counts.csv and &lt;ephys&gt;.csv</title>" in page


def order_in(page, texts):
    """Texts in the order in which a page has them."""
    return sorted(texts, key=page.index)


@pytest.mark.parametrize("interval", [BETTER, NOISE])
def test_a_page_begins_with_the_decision_and_ends_with_the_tables(tmp_path, interval):
    page = page_of(tmp_path, interval)
    decided = ["network with 2 genes, 2 units"]
    if interval is BETTER:
        decided += ["New cells", "No measurable gain: use the network", "&lt;Pvalb&gt;"]
        sections = [">The map<", PNG, ">How well?<", ">Genes to trust<"]
    else:  # a map of noise is folded, and no gene is named
        decided += [STOP]
        sections = [">How well?<", "<details>", ">The map<", PNG, ">Genes to trust<", "</details>"]
        assert "Pvalb" not in page
        assert "use the network" not in page
    parts = [*decided, *sections, ">The tables<"]
    assert order_in(page, parts) == parts
    assert page.count("<details>") == (interval is NOISE)


def test_a_page_has_no_code_and_no_instructions(page):
    assert "draw()" not in page
    assert "Set the paths" not in page


def test_a_page_asks_no_other_host(page):
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["']?https?:|@import|<script""", page)


def description_of_new_cells(adata):
    """A small model in a folder, and what is said about it."""
    model = distilled(n_genes=6, device="cpu")
    path = Path("out", "my cells", "model.safetensors")
    fit = fit_full(model, adata, model_file=path)
    network = DistilledBottleneckRegressor.load(path)
    return describe_new_cells(fit, network, path.parent), network


@pytest.mark.parametrize("are_counts", [True, False])
def test_code_for_new_cells_is_that_of_the_model(adata, tmp_path, monkeypatch, are_counts):
    if not are_counts:
        adata = paired(adata.to_df(), adata.obsm["outputs"])
    monkeypatch.chdir(tmp_path)
    text, network = description_of_new_cells(adata)
    kind = "raw counts" if are_counts else "log values"
    assert f"**{kind}" in text
    table = adata.to_df("counts") if are_counts else adata.to_df()
    table.to_csv("new_counts.csv" if are_counts else "new_logs.csv")
    [command] = re.findall(r"```bash\nsbnn (.*?)\n```", text)
    [code] = re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL)
    variables = {}
    exec(code, variables)
    assert main(shlex.split(command)) == 0
    by_command = pd.read_csv("predictions.csv", index_col=0).filter(like="predicted_")
    for predicted in (variables["predicted"], by_command):
        np.testing.assert_allclose(predicted, network.predict(adata), rtol=1e-4)


NAMES = [
    "<iframe src=x>",
    "AP <thr>",
    "**b** _c_",
    "[o](javascript:alert(1))",
    "a\n# b `c` $d$ &lt;",
]


def test_names_are_no_markdown(adata, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for names in (NAMES[:3], NAMES[2:]):
        outputs = adata.obsm["outputs"].iloc[:, :3].set_axis(names, axis=1)
        genes = adata.to_df().add_prefix("<b>*").add_suffix("*")
        text, network = description_of_new_cells(paired(genes, outputs))
        shown = unescape(re.sub("<.*?>", "", markdown2html(text)))
        for name in names:
            assert " ".join(name.split()) in shown
        assert "<b>*" in shown


@pytest.mark.slow
@pytest.mark.parametrize("width", [1280, 390])
def test_a_page_fits_its_screen(browser, tmp_path, width):
    page_of(tmp_path, BETTER)
    size = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 1000}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get((tmp_path / "report.html").as_uri())
    verdict = browser.find_element("class name", "verdict").rect
    assert verdict["y"] + verdict["height"] < 800
    assert browser.execute_script("return document.documentElement.scrollWidth") <= width
    small = browser.find_element("tag name", "img").rect["width"]
    browser.find_element("class name", "figure").click()
    assert browser.find_element("tag name", "img").rect["width"] > max(width, small)
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
