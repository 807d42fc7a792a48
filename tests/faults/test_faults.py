"""Nothing is lost by a fault, a few tries of each; and the page counts what many tries have shown."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from tried import FAULTS, outcome

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:held-out cells of")


@pytest.mark.parametrize(
    ("name", "seed"), [(name, seed) for name, fault in FAULTS.items() for seed in range(fault.in_tests)]
)
def test_nothing_is_lost_by(name, seed):
    if not outcome(FAULTS[name], seed):
        pytest.skip("this cannot be tried here")


def test_the_page_counts_every_fault_that_is_tried_and_none_has_lost_anything():
    sys.path.insert(0, str(ROOT / "benchmarks"))
    header = importlib.import_module("faults").HEADER
    page = (ROOT / "docs/faults.md").read_text()
    table = re.search(rf"{re.escape(header)}\n((?:\|.*\n)+)", page)[1]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()]
    assert [name for name, *_ in rows] == list(FAULTS)
    for name, tried, survived, lost in rows:
        assert int(tried) > 0 and tried == survived and lost == "0", name


def test_a_fault_that_loses_something_is_counted_as_lost():
    faults = importlib.import_module("faults")

    def harmless(folder, seed):
        return 3

    def harmful(folder, seed):
        assert seed != 1
        return 2

    assert faults.row("a", harmless, 2) == "| a | 6 | 6 | 0 |"
    assert faults.row("b", harmful, 3) == "| b | 5 | 4 | 1 |"
