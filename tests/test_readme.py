"""README and the pages it leads to: links lead somewhere, tables are those of the committed results."""

import re
from pathlib import Path

import pytest

from sbnn.dynamics import report as dynamics
from sbnn.ephys_types import report as types
from sbnn.mechanism_shift import report as screens
from sbnn.study import report
from sbnn.tables import to_markdown

ROOT = Path(__file__).resolve().parents[1]
SAVED = ROOT / "saved_models"
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "benchmarks" / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_numbers_beside_the_table_are_those_of_the_committed_results():
    scala, proteins = (report.all_tables(report.read(SAVED / name)) for name in ("scala", "citeseq_cd8"))
    _, mice, dates = scala["Test R2 on cells held apart"].to_numpy().tolist()
    [numbers] = [table for title, table in proteins.items() if title.startswith("Test R2 by the number of genes")]
    text = " ".join(README.split())
    assert f"it is {mice[0]} (ridge {mice[2].split()[0]})" in text
    assert f"dates {dates[0]} (ridge {dates[2]})" in text
    enough = numbers.index[numbers.suffices == "yes"][0]
    assert f"needs {enough} genes: {numbers.test_r2[enough]:.3f}" in text


def test_the_tables_are_those_of_the_committed_results():
    tables = [
        *report.overview(SAVED).values(),
        *types.overview(SAVED).values(),
        *screens.overview(SAVED).values(),
        *dynamics.overview(SAVED).values(),
    ]
    assert all(to_markdown(table).strip() in README for table in tables)


def test_tables_of_the_page_of_dynamics_are_those_of_the_committed_results():
    page = (ROOT / "docs" / "dynamics.md").read_text()
    folders = ("grn_350", "simulated_grn", "yeast_pramila", "breast_desmedt")
    records = {name: dynamics.read(SAVED / name) for name in folders}
    tables = [dynamics.methods_table(records["grn_350"], condition) for condition in ("noise_5", "noise_10")]
    tables += [dynamics.methods_table(records[name], "real") for name in ("yeast_pramila", "breast_desmedt")]
    tables += [dynamics.sparsities_table(records["grn_350"]), dynamics.sizes_table(records["simulated_grn"])]
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
            assert heading in {re.sub(r"[^\w -]", "", name.lower()).replace(" ", "-") for name in headings}, heading
