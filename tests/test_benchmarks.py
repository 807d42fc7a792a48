"""The benchmarks: records resume, tables are those of the pages, and no test cell is seen."""

import importlib
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.results import load

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "benchmarks"))
MODULES = ("accuracy", "neighbours", "peers", "selection_leak")
accuracy, neighbours, peers, selection_leak = map(importlib.import_module, MODULES)
to_markdown = importlib.import_module("pages").to_markdown


def test_measuring_resumes_and_extends(data, tmp_path, monkeypatch):
    peer = peers.SelectThenRegress(peers.GroupLasso(), LeaveOneOutRidge())
    model = accuracy.Model("lasso", peer, genes=(6,), folds=2)
    record = accuracy.measure("lasso", model, data, tmp_path)
    more = accuracy.measure("lasso", replace(model, genes=(3, 6)), data, tmp_path, n_folds=3)
    assert more.test_r2.shape == (3, 2)
    np.testing.assert_array_equal(more.test_r2[:2, more.find(n_genes=6)], record.test_r2[:, 0])
    for method in ("fit", "fit_path"):
        monkeypatch.setattr(peers.SelectThenRegress, method, lambda *_: pytest.fail("fitted again"))
    again = accuracy.measure("lasso", model, data, tmp_path, n_folds=1)
    np.testing.assert_array_equal(again.test_r2, more.test_r2)


def test_pages_show_the_committed_numbers():
    folder = ROOT / "saved_models" / "benchmarks"
    records = {name: load(folder / f"accuracy_{name}.pickle") for name in accuracy.MODELS}
    maps = load(neighbours.PATH)
    assert maps.settings["scaling"] == {name: neighbours.MAPS[name].scaling for name in maps.values}
    page = (ROOT / "benchmarks" / "README.md").read_text()
    for table in (accuracy.page_table(records), neighbours.table(maps)):
        assert to_markdown(table) in page


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
