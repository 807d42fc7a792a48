"""The documentation: its examples run, and its site builds without warnings or a network."""

import contextlib
import doctest
import fcntl
import io
import pydoc
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from unittest.mock import create_autospec

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from material.cells import counts_frame, outputs_frame
from material.figures import figure_functions
from material.paths import ROOT, SAVED_MODELS
from PIL import Image

import sbnn
from sbnn import DistilledSettings, load_dataset, plotting
from sbnn.cli import build_parser
from sbnn.mechanism_shift import simulate_perturbations

DOCS = ROOT / "docs"
DOCUMENTED = re.findall(r"^   (\w[\w.]*)$", (DOCS / "api.md").read_text(), re.M)
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
FENCE = re.compile(r"^```(\S*)\n(.*?)^```$", re.M | re.S)
# What is smaller, or shorter, when an example runs as a test.
QUICK = {
    'load_dataset("simulated")': "sbnn.simulate_patchseq(120, 40)",
    "n_cells=300": "n_cells=300, n_genes=60",
    "numbers=(5, 25, 100)": "numbers=(5, 25)",
    "n_pairs=5": "n_pairs=2",
    "n_pairs=25": "n_pairs=2",
    "folds=5": "folds=2",
    "n_workers=4": "n_workers=1, processes=False, dashboard_address=None",
    "n_folds=6": "n_folds=2",
    "scores, [1, 2, 3]": "scores, [1]",
    "EphysTypeClassifier(": "EphysTypeClassifier(n_steps=2, ",
    "cross_validate(model, (": "cross_validate(folds=2, estimator=model, data=(",
    "repeated_donor_folds(data, n_folds=5": "repeated_donor_folds(data, n_folds=2, seeds=[0]",
    "PhoenixRegressor(": "PhoenixRegressor(epochs=9, ",
    "VAE(n_latent=10": "VAE(n_latent=3, hidden=8, epochs=2",
    "LinearShift(n_latent=10": "LinearShift(n_latent=3",
    "random(350": "random(30",
    "simulate(150": "simulate(20",
    "sparsity=0.955": "sparsity=0.7",
}

# In a page of the site: the beginnings of what is wider than its column.
CUT = """
    const [tablesScroll] = arguments;
    const frame = (table) => {
        let box = table;
        while (tablesScroll && box.tagName !== "ARTICLE") {
            if (getComputedStyle(box).overflowX === "auto") return box;
            box = box.parentElement;
        }
        return table;
    };
    const cut = (part) => {
        if (part.tagName !== "TABLE") return part.scrollWidth - part.clientWidth > 1;
        const box = frame(part);
        return box.getBoundingClientRect().width - box.parentElement.clientWidth > 1;
    };
    const parts = document.querySelectorAll("article :is(table, pre, h1, h2, h3, h4)");
    const texts = [...parts].filter(cut).map((part) => part.innerText.slice(0, 80));
    const room = document.documentElement;
    return room.scrollWidth > room.clientWidth ? ["the page", ...texts] : texts;
"""

# Numbers with their standard deviations, and intervals, that have more than one line in a table.
BROKEN = r"""
    const number = /± [\d.]+|\[[-+]?[\d.]+, [-+]?[\d.]+\]/g;
    const broken = [];
    for (const table of document.querySelectorAll("article table")) {
        const texts = document.createTreeWalker(table, NodeFilter.SHOW_TEXT);
        while (texts.nextNode()) {
            for (const match of texts.currentNode.data.matchAll(number)) {
                const range = document.createRange();
                range.setStart(texts.currentNode, match.index);
                range.setEnd(texts.currentNode, match.index + match[0].length);
                if (range.getClientRects().length > 1) broken.push(match[0]);
            }
        }
    }
    return broken;
"""


def fences(page):
    return FENCE.findall(page.read_text())


def with_blocks(language):
    pages = [page for page in PAGES if language in dict(fences(page))]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


@pytest.fixture
def work(tmp_path, monkeypatch):
    """The current folder: an empty one with the saved results."""
    (tmp_path / "saved_models").symlink_to(SAVED_MODELS)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def files(adata, data, work):
    """Tables and files that the pages read, in the current folder."""
    outputs = outputs_frame(data).rename_axis("cell")
    counts_frame(data).to_csv("counts.csv")
    outputs.to_csv("ephys.csv")
    donors = np.resize(list("abcd"), data.n_cells)
    data.labels.assign(donor=donors).to_csv("types.csv")
    guides = np.resize([[9, 1], [0, 7], [4, 3]], (data.n_cells, 2))
    pd.DataFrame(guides, outputs.index, ["none", "g1"]).to_csv("guides.csv")
    perturbations = {"perturbation": np.resize(["g1", "control"], data.n_cells)}
    pd.DataFrame(perturbations, outputs.index[::-1]).to_csv("perturbations.csv")
    course = pd.DataFrame({"sample": "a", "time": range(3), "SWI4": 0.5, "CLN2": [0.1, 0.2, 0.4]})
    course.to_csv("course.csv", index=False)
    edges = {"regulator": ["SWI4", "MBP1"], "target": "CLN2", "sign": [1, -1]}
    pd.DataFrame(edges).to_csv("edges.csv", index=False)

    mine = adata.copy()
    mine.obsm["ephys"] = mine.obsm["outputs"]
    mine.layers["log"] = mine.X
    mine.obs[["AP width", "Rheobase"]] = data.Y[:, :2]
    mine.write_h5ad("mine.h5ad")
    return work


@pytest.fixture
def typed_files(files):
    """Tables of electrophysiological features and of types."""
    cells = load_dataset("simulated_ephys", verbose=False)[::3]
    cells.to_df().to_csv("features.csv")
    cells.obs[["type", "donor"]].to_csv("types.csv")


def small_screen():
    """A screen with the label and the name of the control that the page shows."""
    adata = simulate_perturbations(20, 10, 3, 40, n_control=30)
    perturbations = adata.obs.pop("perturbation")
    adata.obs["gene"] = perturbations.cat.rename_categories({"control": "non-targeting"})
    return adata


@pytest.fixture
def networks_of_a_moment(monkeypatch):
    """A network that trains as long as usual would be most of the time of these tests."""
    quick = {
        "n_teachers": 2,
        "n_trees": 2,
        "n_augmented": 500,
        "steps_of_teachers": 5,
        "steps_of_student": 5,
    }
    defaults = [quick.get(field.name, field.default) for field in fields(DistilledSettings)]
    monkeypatch.setattr(DistilledSettings.__init__, "__defaults__", tuple(defaults))


def shorten(code):
    for usual, quick in QUICK.items():
        code = code.replace(usual, quick)
    return code


def run_code(code, names):
    """What the code prints; worker processes would take longer to start than these fits."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed), joblib.parallel_config("sequential"):
        exec(code, names)
    plt.close("all")
    return printed.getvalue()


@with_blocks("python")
@pytest.mark.filterwarnings("ignore:1 cells with missing outputs", "ignore:1 ERCC spike-ins")
@pytest.mark.filterwarnings("ignore:the one-step error of the network")  # of a moment
def test_every_example_runs_and_prints_what_the_page_shows(
    page, files, networks_of_a_moment, request
):
    names = {"sbnn": sbnn}
    if page.stem == "ephys_types":
        request.getfixturevalue("typed_files")
    if page.stem == "mechanism_shift":
        names["adata"] = small_screen()
    printed = ""
    # its recipes run on files of their own, in own_data/test_recipes.py
    text = re.sub(r"^## Prepare your files\n.*?(?=^## )", "", page.read_text(), flags=re.M | re.S)
    for language, block in FENCE.findall(text):
        if language == "python":
            printed = run_code(compile(shorten(block), page.name, "exec"), names)
        # the networks of README are those of a moment here
        elif language == "text" and printed and page.name != "README.md":
            assert printed == block


@pytest.mark.filterwarnings("ignore:1 cells with missing outputs", "ignore:1 ERCC spike-ins")
def test_the_histograms_of_the_tutorial_are_what_its_code_draws(work):
    code = dict(reversed(fences(DOCS / "tutorial.md")))["python"]  # the first one
    names = {}
    drawn = io.BytesIO()
    with plt.style.context("default"):
        run_code(code, names)
        names["figure"].savefig(drawn, dpi=200)
    pictures = [Image.open(file).convert("L") for file in (drawn, DOCS / "images" / "outputs.png")]
    here, committed = (np.asarray(picture, float) for picture in pictures)
    # other versions of Matplotlib space subplots otherwise; another picture differs in a sixth
    assert (np.abs(here - committed) > 100).mean() < 0.05


@with_blocks("bash")
def test_every_command_of_a_page_is_one(page):
    blocks = [block for language, block in fences(page) if language == "bash"]
    for line in "".join(blocks).replace("\\\n", " ").splitlines():
        command, *words = shlex.split(line, comments=True) or [""]
        if command == "make":
            [target] = [word for word in words if "=" not in word]
            assert re.search(rf"^([\w-]+ )*{target}[ :]", (ROOT / "Makefile").read_text(), re.M)
        elif command == "sbnn" and words != ["--help"]:
            build_parser().parse_args(words)  # otherwise ends with SystemExit


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_lines_of_python_fit_in_their_column(page):
    """Of the site, where longer lines are cut; code of CONTRIBUTING is formatted as the package."""
    for language, code in FENCE.findall(page.read_text()):
        if language == "python" and page.name != "CONTRIBUTING.md":
            assert max(map(len, code.splitlines())) <= 88


@pytest.fixture(scope="module")
def undrawn_figures():
    """In place of functions whose figures plotting/test_every_figure.py draws: arguments fit."""
    names = set(figure_functions()) & set(plotting.__all__)
    return {name: create_autospec(getattr(plotting, name)) for name in names}


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.filterwarnings("ignore:.* of the shifts may or may not be edges")
def test_examples_of_a_docstring_run(
    name, work, networks_of_a_moment, undrawn_figures, monkeypatch
):
    runner = doctest.DocTestRunner()
    found = doctest.DocTestFinder().find(pydoc.locate(f"sbnn.{name}"), name, globs={})
    for function, undrawn in undrawn_figures.items():
        monkeypatch.setattr(plotting, function, undrawn)
    for examples in found:
        runner.run(examples)
    assert runner.failures == 0  # what failed is printed


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """Folder of the site, built as `make docs` builds it; a warning is an error."""
    pytest.importorskip("myst_nb", reason="the extra `docs` is not installed")
    folder = tmp_path_factory.mktemp("build")
    [arguments] = re.findall(r"-m sphinx (.*)", (ROOT / "Makefile").read_text())
    arguments = arguments.replace("build/docs", str(folder / "site"))
    arguments = arguments.replace("build/", f"{folder}/")
    command = [sys.executable, "-m", "sphinx", *arguments.split()]
    with open(DOCS / "conf.py") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # builds of other processes write docs/api, too
        built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    return folder / "site"


@pytest.mark.slow
def test_no_page_loads_anything_from_the_network(site):
    pages = list(site.rglob("*.html"))
    assert len(pages) > 150
    for page in pages:
        loaded = r"<(?!a\b)\w+[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^>]*"
        assert not re.findall(loaded, page.read_text()), page


@pytest.mark.slow
@pytest.mark.parametrize(("width", "tables_scroll"), [(1280, False), (390, True)])
def test_no_table_code_or_heading_is_cut(browser, site, width, tables_scroll):
    window = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    for page in sorted(site.glob("*/**/*.html")):  # without the index of names
        if "_modules" not in page.parts:
            browser.get(page.as_uri())
            assert browser.execute_script(CUT, tables_scroll) == [], page


@pytest.mark.slow
@pytest.mark.parametrize("page", ["docs/results.html", "notebooks/07_dynamics.html"])
def test_numbers_of_tables_stay_on_one_line(browser, site, page):
    window = {"width": 390, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", window)
    browser.get((site / page).as_uri())
    assert browser.execute_script(BROKEN) == []


@pytest.mark.slow
def test_citations_are_shown_without_their_keys(site):
    reference = (site / "docs" / "api.html").read_text()
    assert not re.search(r"\[R[\da-f]+-\d\]", reference)


@pytest.mark.slow
def test_the_site_shows_figures_and_outputs_of_notebooks(site):
    assert 'href="../_images/overview.png"' in (site / "docs" / "figures.html").read_text()
    assert "<img" in (site / "notebooks" / "04_model.html").read_text()
