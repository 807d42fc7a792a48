"""The documentation: its examples run, and its site builds without warnings or a network."""

import contextlib
import doctest
import importlib.util
import io
import pydoc
import re
import shlex
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import joblib
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from made_up import counts_of, outputs_of

import sbnn
from sbnn import DistilledSettings, load_dataset
from sbnn.cli import build_parser
from sbnn.mechanism_shift import simulate_perturbations

ROOT = Path(__file__).resolve().parents[1]
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
    "EphysTypeClassifier(": "EphysTypeClassifier(n_steps=2, ",
    "cross_validate(model, (": "cross_validate(folds=2, estimator=model, data=(",
    "PhoenixRegressor(pruning": "PhoenixRegressor(epochs=9, pruning",
    "VAE(n_latent=10": "VAE(n_latent=3, hidden=8, epochs=2",
    "LinearShift(n_latent=10": "LinearShift(n_latent=3",
    "random(350": "random(30",
    "simulate(150": "simulate(20",
    "sparsity=0.955": "sparsity=0.7",
}


def fences(page):
    return FENCE.findall(page.read_text())


def with_blocks(language):
    pages = [page for page in PAGES if language in dict(fences(page))]
    return pytest.mark.parametrize("page", pages, ids=lambda page: page.stem)


@pytest.fixture
def files(adata, data, tmp_path, monkeypatch):
    """Files that the pages use, in the current folder, and the names that each page assumes."""
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    monkeypatch.chdir(tmp_path)
    counts, ephys = counts_of(data), outputs_of(data).rename_axis("cell")
    units = pd.DataFrame([["mV"] * ephys.shape[1]], columns=ephys.columns)
    tables = {
        "counts": counts,
        "ephys": ephys,
        "ephys_units": pd.concat([units, ephys]),
        "ephys_turned": ephys.T,
        "sweeps": pd.concat([ephys - 1, ephys + 1]),
        "types": data.labels.assign(donor=np.resize(list("abcd"), data.n_cells)),
        "guides": pd.DataFrame(1, ephys.index, ["none", "g1"]),
        "perturbations": pd.DataFrame(
            {"perturbation": np.resize(["g1", "control"], data.n_cells)}, ephys.index[::-1]
        ),
    }
    for name, table in tables.items():
        table.to_csv(f"{name}.csv")
    course = pd.DataFrame({"sample": "a", "time": range(3), "SWI4": 0.5, "CLN2": [0.1, 0.2, 0.4]})
    course.to_csv("course.csv", index=False)
    ephys.to_csv("ephys_german.csv", sep=";", decimal=",")
    ephys.to_excel("mine.xlsx", sheet_name="ephys")
    adata = adata.copy()
    adata.obsm["ephys"] = adata.obsm["outputs"]
    adata.obs[["AP width", "Rheobase"]] = data.Y[:, :2]
    adata.write_h5ad("mine.h5ad")

    def given(page):
        if page == "ephys_types":
            cells = load_dataset("simulated_ephys", verbose=False)[::3]
            cells.to_df().to_csv("features.csv")
            cells.obs[["type"]].to_csv("types.csv")
        if page != "mechanism_shift":
            return {}
        screen = simulate_perturbations(20, 10, 3, 40, n_control=30)
        perturbed = screen.obs.pop("perturbation")
        screen.obs["gene"] = perturbed.cat.rename_categories({"control": "non-targeting"})
        return {"adata": screen}

    return given


@pytest.fixture
def networks_of_a_moment(monkeypatch):
    """A network that trains as long as usual would be most of the time of these tests."""
    quick = {"n_teachers": 2, "n_trees": 2, "n_augmented": 500}
    quick |= {"steps_of_teachers": 5, "steps_of_student": 5}
    defaults = [quick.get(field.name, field.default) for field in fields(DistilledSettings)]
    monkeypatch.setattr(DistilledSettings.__init__, "__defaults__", tuple(defaults))


@with_blocks("python")
@pytest.mark.filterwarnings("ignore")  # networks of a moment predict no better than chance
def test_every_example_runs_and_prints_what_the_page_shows(page, files, networks_of_a_moment):
    names = {"sbnn": sbnn, **files(page.stem)}
    printed = ""
    for language, block in fences(page):
        if language == "python":
            for usual, quick in QUICK.items():
                block = block.replace(usual, quick)
            out = io.StringIO()
            # worker processes take longer to start than these fits
            with contextlib.redirect_stdout(out), joblib.parallel_config("sequential"):
                exec(compile(block, page.name, "exec"), names)
            printed = out.getvalue()
        # whose networks are those of a moment here
        elif language == "text" and printed and page.name != "README.md":
            assert printed == block
    plt.close("all")


@with_blocks("bash")
def test_every_command_of_a_page_is_one(page):
    blocks = [block for language, block in fences(page) if language == "bash"]
    for line in "".join(blocks).splitlines():
        command, *words = shlex.split(line, comments=True) or [""]
        if command == "make":
            [target] = [word for word in words if "=" not in word]
            assert re.search(rf"^([\w-]+ )*{target}[ :]", (ROOT / "Makefile").read_text(), re.M)
        elif command == "sbnn" and words != ["--help"]:
            build_parser().parse_args(words)  # otherwise ends with SystemExit


@pytest.mark.parametrize("name", DOCUMENTED)
@pytest.mark.filterwarnings("ignore")  # networks of a moment predict no better than chance
def test_examples_of_a_docstring_run(name, tmp_path, monkeypatch, networks_of_a_moment):
    (tmp_path / "saved_models").symlink_to(ROOT / "saved_models")
    monkeypatch.chdir(tmp_path)
    runner = doctest.DocTestRunner()
    for examples in doctest.DocTestFinder().find(pydoc.locate(f"sbnn.{name}"), name, globs={}):
        runner.run(examples)
    assert runner.failures == 0  # what failed is printed


@pytest.mark.slow
@pytest.mark.skipif(
    importlib.util.find_spec("myst_nb") is None, reason="the extra `docs` is not installed"
)
def test_the_site_builds_without_a_warning_and_loads_nothing_from_the_network(tmp_path):
    [arguments] = re.findall(r"-m sphinx (.*)", (ROOT / "Makefile").read_text())
    arguments = arguments.replace("build/docs", str(tmp_path / "site")).replace(
        "build/", f"{tmp_path}/"
    )
    command = [sys.executable, "-m", "sphinx", *arguments.split()]
    built = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    assert len(pages) > 150
    for path, page in pages.items():
        loaded = re.findall(r"<(?!a\b)\w+[^>]*?\b(?:src|href)=\"?(?:https?:)?//[^>]*", page)
        assert not loaded, path
    site = tmp_path / "site" / "docs"
    assert not re.search(r"\[R[\da-f]+-\d\]", pages[site / "api.html"]), "a key of a citation"
    assert 'href="../_images/overview.png"' in pages[site / "figures.html"]
    assert "<img" in pages[tmp_path / "site" / "notebooks" / "03_model.html"]
