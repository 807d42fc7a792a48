"""Decimals in the text of notebooks are printed by a cell above them, those of the tutorial too."""

import re

import pytest
from material.notebooks import read_cells
from material.paths import NOTEBOOKS

DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{2,}(?![\d.])")


def printed_by(cell):
    """Code of a cell, and what it prints, without pictures."""
    texts = ["".join(cell["source"])]
    for output in cell["outputs"]:
        texts.append("".join(output.get("text", "")))
        data = output.get("data", {})
        texts.append("".join(data.get("text/plain", "")))
        texts.append(re.sub("<[^>]+>", " ", "".join(data.get("text/html", ""))))
    return "\n".join(texts)


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_every_decimal_in_the_text_is_printed_above_it(path):
    above = ""
    for cell in read_cells(path):
        if cell["cell_type"] == "code":
            above += printed_by(cell)
            continue
        quoted = DECIMAL.findall("".join(cell["source"]))
        assert [number for number in quoted if number not in above] == []


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.stem)
def test_links_within_a_notebook_lead_to_its_sections(path):
    """Jupyter names a section by the words of its heading."""
    text = "\n".join(
        "".join(cell["source"]) for cell in read_cells(path) if cell["cell_type"] == "markdown"
    )
    sections = {heading.replace(" ", "-") for heading in re.findall(r"^#+ (.*)", text, re.M)}
    assert set(re.findall(r"\]\(#(.*?)\)", text)) <= sections


def test_every_decimal_of_the_tutorial_is_printed_by_the_notebook_of_the_same_tables():
    cells = read_cells(NOTEBOOKS / "08_own_data.ipynb")
    printed = "".join(printed_by(cell) for cell in cells if cell["cell_type"] == "code")
    quoted = DECIMAL.findall((NOTEBOOKS.parent / "docs" / "tutorial.md").read_text())
    assert quoted
    assert [number for number in quoted if number not in printed] == []
