"""Decimals in the text of notebooks are printed by a cell above them, those of the tutorial too."""

import json
import re

import pytest
from notebook import NOTEBOOKS

DECIMAL = re.compile(r"(?<![\w.])\d+\.\d{2,}(?![\d.])")
CHECKED = (
    "01_preprocess",
    "02_cross_validate",
    "03_model",
    "04_ephys_types",
    "05_mechanism_shift",
    "06_dynamics",
    "08_own_data",
)


def printed_by(cell):
    """Code of a cell, and what it prints, without pictures."""
    texts = ["".join(cell["source"])]
    for output in cell["outputs"]:
        texts.append("".join(output.get("text", "")))
        data = output.get("data", {})
        texts.append("".join(data.get("text/plain", "")))
        texts.append(re.sub("<[^>]+>", " ", "".join(data.get("text/html", ""))))
    return "\n".join(texts)


@pytest.mark.parametrize("name", CHECKED)
def test_every_decimal_in_the_text_is_printed_above_it(name):
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]
    above = ""
    missing = []
    for cell in cells:
        if cell["cell_type"] == "code":
            above += printed_by(cell)
            continue
        quoted = DECIMAL.findall("".join(cell["source"]))
        missing += [number for number in quoted if number not in above]
    assert not missing


def test_every_decimal_of_the_tutorial_is_printed_by_the_notebook_of_the_same_tables():
    cells = json.loads((NOTEBOOKS / "08_own_data.ipynb").read_text(encoding="utf-8"))["cells"]
    printed = "".join(printed_by(cell) for cell in cells if cell["cell_type"] == "code")
    tutorial = (NOTEBOOKS.parent / "docs" / "tutorial.md").read_text(encoding="utf-8")
    quoted = DECIMAL.findall(tutorial)
    assert len(quoted) > 5
    assert [number for number in quoted if number not in printed] == []
