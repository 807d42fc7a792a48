"""README and the pages it links: links hold, tables are those of the committed results."""

import re
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
SAVED = ROOT / "saved_models"
README = (ROOT / "README.md").read_text()
MODELS = ["distilled, d=2", "paper, d=2", "sRRR, rank 2", "ridge, all genes"]
PAGES = [
    ROOT / "README.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]


def test_numbers_beside_the_table_are_those_of_the_committed_results():
    scala, proteins = (
        report.all_tables(report.read(SAVED / name)) for name in ("scala", "citeseq_cd8")
    )
    _, mice, dates = scala["Test R2 on held-out groups"].to_numpy().tolist()
    [numbers] = [
        table for title, table in proteins.items() if title.startswith("Test R2 by number of genes")
    ]
    text = " ".join(README.split())
    assert f"{mice[0]} in held-out mice (ridge {mice[2].split()[0]})" in text
    assert f"{dates[0]} on the last fifth of dates (ridge {dates[2]})" in text
    enough = numbers.index[numbers.suffices == "yes"][0]
    assert f"needs {enough} genes ({numbers.test_r2[enough]:.3f})" in text
    limits = pd.read_csv(
        ROOT / "benchmarks" / "limits.csv", index_col=["model", "dataset", "genes"]
    ).R2["network, d=2"]
    assert all(
        f"{limits[name, n]:.3f}" in text for name in ("scala", "citeseq_cd8") for n in ("50", "100")
    )


def test_the_tables_are_those_of_the_committed_results():
    [networks] = report.overview(SAVED).values()
    assert to_markdown(networks[MODELS]).strip() in README
    rooms = {
        "results": report,
        "ephys_types": types,
        "mechanism_shift": screens,
        "dynamics": dynamics,
    }
    for page, room in rooms.items():
        text = (ROOT / "docs" / f"{page}.md").read_text()
        assert all(to_markdown(table).strip() in text for table in room.overview(SAVED).values())


@pytest.mark.parametrize("page", ["README.md", "docs/companions.md"])
def test_numbers_of_the_companions_are_those_of_the_committed_results(page):
    text = " ".join((ROOT / page).read_text().split())
    [classes] = types.overview(SAVED).values()
    [yeast] = [dynamics.methods_table(dynamics.read(SAVED / "yeast_pramila"), "real")]
    assert f"macro-F1 of {classes.loc['human, 4 classes', 'EphysTypeClassifier']}" in text
    ahead = yeast["one-step MSE"].str.split().str[0]
    assert all(ahead[name] in text for name in ("DASH", "PHOENIX", "SparseRegulation"))


def test_badges_hold():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["requires-python"] == ">=3.11,<3.14"
    assert project["license"] == "BSD-3-Clause"
    assert "python: 3.11 - 3.13" in README
    assert "licence: BSD 3-Clause" in README


def test_tables_of_the_page_of_dynamics_are_those_of_the_committed_results():
    page = (ROOT / "docs" / "dynamics.md").read_text()
    folders = ("grn_350", "simulated_grn", "yeast_pramila", "breast_desmedt", "hematopoiesis")
    records = {name: dynamics.read(SAVED / name) for name in folders}
    tables = [
        dynamics.methods_table(records["grn_350"], condition)
        for condition in ("noise_5", "noise_10")
    ]
    tables += [dynamics.methods_table(records[name], "real") for name in folders[2:]]
    tables += [
        dynamics.sparsities_table(records["grn_350"]),
        dynamics.sizes_table(records["simulated_grn"]),
    ]
    assert all(to_markdown(table).strip() in page for table in tables)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_and_pictures_are_there(page):
    targets = re.findall(r"\]\((?!https?:)([^)#]*)#?([^)]*)\)", page.read_text())
    assert len(targets) >= (4 if page.name == "README.md" else 1)
    for target, heading in targets:
        file = page.parent / target if target else page
        assert file.exists(), target
        if heading:
            headings = re.findall(r"^#+ (.*)", file.read_text(), re.M)
            assert heading in {
                re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings
            }, heading
