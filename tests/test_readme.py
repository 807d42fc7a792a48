"""README and the pages it links: links hold, tables are those of the committed results."""

import importlib
import re
import sys
import tomllib
from pathlib import Path

import pandas as pd
import pytest

from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.mechanism_shift import report as screens
from sbnn.study import report
from sbnn.tables import to_markdown

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
SAVED = ROOT / "saved_models"
README = ROOT / "README.md"
MODELS = ["distilled, d=2", "paper, d=2", "sRRR, rank 2", "ridge, all genes"]
PAGES = [README, ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def words_of(page):
    return " ".join(page.read_text().split())


def assert_shown(tables, page):
    text = page.read_text()
    for table in tables:
        assert to_markdown(table) in text


def test_numbers_beside_the_table_are_those_of_the_committed_results():
    text = words_of(README)
    tables = report.all_tables(report.read(SAVED / "scala"))
    _, mice, dates = tables["Test R2 on held-out groups"].to_numpy().tolist()
    assert f"{mice[0]} in held-out mice (ridge {mice[2].split()[0]})" in text
    assert f"{dates[0]} on the last fifth of dates (ridge {dates[2]})" in text
    numbers = report.all_tables(report.read(SAVED / "citeseq_cd8"))[report.NUMBERS]
    enough = numbers.index[numbers["suffices"] == "yes"][0]
    assert f"needs {enough} genes ({numbers['test_r2'][enough]:.3f})" in text
    limits = pd.read_csv(ROOT / "benchmarks" / "limits.csv")
    limits = limits[limits["model"] == "network, d=2"].set_index(["dataset", "genes"])["R2"]
    for name in ("scala", "citeseq_cd8"):
        for n_genes in ("50", "100"):
            assert f"{limits[name, n_genes]:.3f}" in text


def test_the_tables_are_those_of_the_committed_results():
    [networks] = report.overview(SAVED).values()
    assert_shown([networks[MODELS]], README)
    rooms = {
        "results": report,
        "ephys_types": types,
        "mechanism_shift": screens,
        "dynamics": dynamics,
    }
    for page, room in rooms.items():
        assert_shown(room.overview(SAVED).values(), ROOT / "docs" / f"{page}.md")


@pytest.mark.parametrize("page", ["README.md", "docs/companions.md"])
def test_numbers_of_the_companions_are_those_of_the_committed_results(page):
    text = words_of(ROOT / page)
    [classes] = types.overview(SAVED).values()
    assert f"macro-F1 of {classes.loc['human, 4 classes', 'EphysTypeClassifier']}" in text
    yeast = dynamics.methods_table(dynamics.read(SAVED / "yeast_pramila"), "real")["one-step MSE"]
    for name in ("DASH", "PHOENIX", "SparseRegulation"):
        assert yeast[name].split()[0] in text


def test_badges_hold():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert (project["requires-python"], project["license"]) == (">=3.11", "BSD-3-Clause")
    assert "python: 3.11 or later" in README.read_text()
    assert "licence: BSD 3-Clause" in README.read_text()


def test_tables_of_the_page_of_dynamics_are_those_of_the_committed_results():
    new_edges = importlib.import_module("dynamics_new_edges")
    beeline = importlib.import_module("dynamics_beeline")
    combined = importlib.import_module("dynamics_combined")
    rows = new_edges.new_edges()
    tables = [
        new_edges.new_edges_table(rows),
        new_edges.calibration_table(rows),
        beeline.beeline_table(pd.read_csv(beeline.BEELINE)),
        combined.combined_table(pd.read_csv(combined.COMBINED)),
    ]
    assert_shown(tables, ROOT / "docs" / "dynamics.md")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())
    assert targets
    for target, heading in targets:
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(), re.M)
            links = [re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings]
            assert heading in links
