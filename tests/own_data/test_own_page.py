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
    AFTER_VERDICT,
    ONLY_IN_NOTEBOOK,
    STOP,
    describe_new_cells,
    judge,
    write_page,
)

BETTER = {"low": 0.1, "high": 0.3}
NOISE = {"low": -0.1, "high": 0.1}
WORSE = {"low": -0.3, "high": -0.1}
PNG = (  # of one pixel
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)


@pytest.mark.parametrize(
    ("interval", "difference", "kind", "text"),
    [
        (None, None, "unknown", "No verdict: 2 folds"),
        (NOISE, WORSE, "stop", "Stop here"),
        (WORSE, WORSE, "stop", "Stop here"),
        (BETTER, None, "better", "test R² 0.20."),
        (BETTER, BETTER, "better", "better than by ridge"),
        (BETTER, NOISE, "better", "about as well as by ridge"),
        (
            BETTER,
            WORSE,
            "better",
            "but ridge on all genes predicts better, and the map explains less.",
        ),
    ],
)
def test_a_headline_is_a_verdict_in_words(interval, difference, kind, text):
    scores = {"n_folds": 2, "test_r2": 0.2, "interval": interval, "minus_ridge": difference}
    known = {name: value for name, value in scores.items() if value is not None}
    found, headline = judge(known)
    assert found == kind
    assert text in headline


def test_a_headline_says_if_only_network_and_ridge_together_predict():
    network = {"n_folds": 5, "test_r2": 0.0, "interval": NOISE}
    kind, headline = judge(network, {"n_folds": 5, "test_r2": 0.2, "interval": BETTER})
    assert kind == "stop"  # the map is folded
    assert "test R² 0.20, by network and ridge together, from all genes." in headline
    for stacked in (network, {"n_folds": 2, "test_r2": 0.2}, None):
        assert judge(network, stacked)[1].startswith("Stop here")


def test_a_headline_says_to_stack_where_ridge_is_better():
    network = {"n_folds": 5, "test_r2": 0.2, "interval": BETTER, "minus_ridge": WORSE}
    stacked = {"n_folds": 5, "test_r2": 0.3, "interval": BETTER}
    assert judge(network, stacked)[1].endswith("and the map explains less. Use both stacked.")


def of_outputs(n_outputs, interval=BETTER, **predicted):
    """Scores of so many outputs, of which some are predicted."""
    scores = {"n_folds": 5, "test_r2": 0.06, "interval": interval, "n_outputs": n_outputs}
    return scores | {"predicted_outputs": predicted}


def test_a_headline_says_how_many_outputs_are_predicted():
    few = of_outputs(49, CD4=0.81, CD8=0.79)
    text = "2 of 49 outputs are predicted, CD4 0.81, CD8 0.79; all together are predicted with test"
    assert judge(few)[1].startswith(f"{text} R² 0.06")
    assert judge(of_outputs(2, CD4=0.81, CD8=0.79))[1] == "New cells are predicted: test R² 0.06."
    one = "1 of 49 outputs is predicted, CD4 0.81"
    assert judge(of_outputs(49, NOISE, CD4=0.81)) == ("stop", f"{STOP} By themselves, {one}.")
    assert judge(of_outputs(49, NOISE)) == ("stop", STOP)
    assert f"{text} R² 0.06, by network and" in judge(of_outputs(49, NOISE), few)[1]


def page_of(folder, interval):
    """The page of an executed notebook of four cells."""
    picture = new_output("display_data", {"image/png": PNG})
    cells = [
        new_markdown_cell("Set the paths.", metadata={"tags": [ONLY_IN_NOTEBOOK]}),
        new_markdown_cell("## The tables"),
        new_markdown_cell("## Genes to trust", metadata={"tags": [AFTER_VERDICT]}),
        new_code_cell("draw()", outputs=[picture], metadata={"tags": []}),
    ]
    nbformat.write(new_notebook(cells=cells), folder / "run.ipynb")
    verdict = {"sentence": "Test R2 is low.", "n_folds": 5, "test_r2": 0.2, "interval": interval}
    settings = {"expression": "a/counts.csv", "outputs": "a/<ephys>.csv", "groups": "donor"}
    data = {"n_cells": 90, "n_genes": 40, "n_outputs": 4}
    gain = {"mean": 0.01, "low": -0.02, "high": 0.04}
    both = {"sentence": "Both are at -0.1.", "interval": NOISE, "minus_network": gain}
    summary = {"data": data, "settings": settings, "verdict": verdict, "stacked": both}
    (folder / "summary.json").write_text(json.dumps(summary))
    return write_page(folder, "run.ipynb").read_text(encoding="utf-8")


@pytest.fixture
def page(tmp_path):
    return page_of(tmp_path, BETTER)


def test_the_tab_is_named_after_the_data(page, tmp_path):
    assert f"<title>{tmp_path.name}: counts.csv and &lt;ephys&gt;.csv</title>" in page


def test_a_page_begins_with_both_verdicts(page):
    network = page.index("Test R² is low.")
    both = page.index(
        "Both are at −0.1. It takes all genes. Its difference from the network is +0.010"
    )
    assert network < both < page.index("The tables")


def test_a_page_has_no_code_and_no_instructions(page):
    assert "draw()" not in page
    assert "Set the paths" not in page


def test_a_page_asks_no_other_host(page):
    assert "default-src 'none'" in page
    assert not re.findall(r"""(?:src|href)=["']?https?:|@import|<script""", page)


@pytest.mark.parametrize(("interval", "n_folded"), [(BETTER, 0), (NOISE, 1)])
def test_genes_of_noise_are_folded(tmp_path, interval, n_folded):
    page = page_of(tmp_path, interval)
    assert page.count("<details>") == n_folded
    tables, genes = page.index("The tables"), page.index("Genes to trust")
    if n_folded:
        assert tables < page.index("<details>") < genes


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
