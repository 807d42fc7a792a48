"""Scripts of benchmarks: they can be imported, print saved scores, and leak no test cell."""

import runpy
import sys
from pathlib import Path

import accuracy
import claims
import network_forest
import numpy as np
import pandas as pd
import pytest
import selection_leak
from pages import to_markdown

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.dynamics.simulate import prior_table, simulate_network
from sbnn.evaluation.verdict import PairedDifference

SCRIPTS = sorted(Path(accuracy.__file__).parent.glob("*.py"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_an_imported_script_does_nothing(script, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(script)])
    try:
        runpy.run_path(str(script), run_name="imported")
    except ModuleNotFoundError as error:
        if error.name.partition(".")[0] in {"sbnn", *(path.stem for path in SCRIPTS)}:
            raise
        pytest.skip(f"{error.name}, an optional package, is not installed")
    assert capsys.readouterr().out == ""
    assert list(tmp_path.iterdir()) == []


def test_saved_scores_are_printed(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["accuracy.py", "--report-only", "--data", "simulated"])
    accuracy.main()
    assert to_markdown(accuracy.accuracy_table("simulated")) in capsys.readouterr().out


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


@pytest.mark.parametrize(
    ("kind", "published", "ours", "verdict"),
    [
        ("score", 0.41, (0.40, 0.395, 0.405), "reproduced"),
        ("score", 0.45, (0.40, 0.30, 0.50), "open"),
        ("score", 0.45, (0.40, 0.39, 0.41), "not reproduced"),
        ("level", 0.00, (0.01, -0.01, 0.03), "reproduced"),
        ("difference", 0.02, (0.10, 0.05, 0.15), "reproduced"),
        ("difference", 0.02, (0.01, -0.01, 0.03), "open"),
        ("difference", 0.02, (-0.01, -0.04, 0.03), "not reproduced"),
    ],
)
def test_a_verdict_follows_from_the_numbers(kind, published, ours, verdict):
    comparison = pd.Series({"kind": kind, "published": published, "low": np.nan})
    assert claims.judge(comparison, PairedDifference(*ours)) == verdict


def test_a_forest_finds_edges_that_the_prior_lacks():
    data = simulate_network(30, 80, noise=0.01, wrong=0.3, random_state=0)
    importances, _ = network_forest.fit_forests(data, 0)
    prior = abs(prior_table(data).to_numpy())
    alone = network_forest.score_edges(prior, data)["auroc"]
    assert network_forest.score_edges(importances + 0.1 * prior, data)["auroc"] > alone + 0.03
