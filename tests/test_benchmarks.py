"""The benchmarks: tables are those of the pages, and no test cell is seen."""

from pathlib import Path

import accuracy
import numpy as np
import selection_leak
from pages import to_markdown

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.results import load

ROOT = Path(__file__).resolve().parents[1]


def test_pages_show_the_committed_numbers():
    folder = ROOT / "saved_models" / "benchmarks"
    records = {name: load(folder / f"accuracy_{name}.pickle") for name in accuracy.MODELS}
    page = (ROOT / "benchmarks" / "README.md").read_text()
    assert to_markdown(accuracy.page_table(records)) in page


def test_selection_inside_the_fold_sees_no_test_cell(data):
    def compare(counts):
        folds = [(np.arange(20, data.n_cells), np.arange(20))]
        return selection_leak.compare(LeaveOneOutRidge(), counts, data.Y, folds, n_genes=12).loc[0]

    inside = select_genes(data.counts[20:], 12).selected
    other = data.counts.copy()
    other[:20, ~inside] = 1000
    compared = compare(data.counts)
    assert compare(other)["training cells"] == compared["training cells"]
    assert compared["shared"] == (select_genes(data.counts, 12).selected & inside).sum()
