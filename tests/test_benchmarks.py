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
from scipy import stats

from sbnn import LeaveOneOutRidge
from sbnn.data.preprocessing import select_genes
from sbnn.dynamics.simulate import prior_table, simulate_network
from sbnn.ephys_types import report as types
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


def judge(kind, published, *ours, low=np.nan):
    comparison = pd.Series({"kind": kind, "published": published, "low": low})
    return claims.judge(comparison, PairedDifference(*ours))


YES, OPEN, NO = "reproduced", "open", "not reproduced"


@pytest.mark.parametrize(
    ("kind", "published", "reference", "verdicts"),
    [
        ("score", 0.5, 0.5, [NO, OPEN, YES, YES]),
        ("error", 0.5, 0.5, [YES, YES, OPEN, NO]),
        ("level", 0.0, 0.0, [NO, YES, YES, NO]),
        ("difference", 0.05, 0.0, [NO, NO, OPEN, YES]),
        ("difference", np.nan, 0.0, [NO, NO, OPEN, YES]),
        ("difference", 0.5, 0.0, [NO, NO, NO, YES]),
        ("correlation", np.nan, claims.AGREEMENT, [NO, NO, NO, YES]),
    ],
)
def test_a_verdict_follows_from_the_interval(kind, published, reference, verdicts):
    """Intervals are below the reference, around it with the mean on either side, and above."""
    means = reference + np.array([-0.2, -0.03, 0.03, 0.2])
    assert [judge(kind, published, mean, mean - 0.1, mean + 0.1) for mean in means] == verdicts


def test_a_score_may_be_lower_by_the_tolerance():
    assert judge("score", 0.5, 0.481, 0.480, 0.482) == YES
    assert judge("score", 0.5, 0.479, 0.478, 0.480) == NO


@pytest.mark.parametrize(("ours", "verdict"), [(1, NO), (2, YES), (6, YES)])
def test_a_count_may_be_larger(ours, verdict):
    assert judge("count", 2, ours, np.nan, np.nan) == verdict


@pytest.mark.parametrize(
    ("low", "ours", "verdict"),
    [
        (-0.01, (0.01, -0.01, 0.03), "shown in neither"),
        (0.01, (0.01, -0.01, 0.03), "open"),
        (-0.01, (0.03, 0.01, 0.05), "reproduced"),
    ],
)
def test_a_published_interval_is_part_of_the_verdict(low, ours, verdict):
    assert judge("difference", 0.02, *ours, low=low) == verdict


@pytest.mark.parametrize(
    ("verdicts", "summary"),
    [
        ({"a": "open", "b": "open"}, "open"),
        ({"a": "open", "b": "reproduced"}, "1 of 2 reproduced: b; open: a"),
        ({"a": "open", "b": "not reproduced"}, "0 of 2 reproduced; open: a; not reproduced: b"),
        (
            {"a": "reproduced", "b": "not testable here"},
            "1 of 1 reproduced: a; not testable here: b",
        ),
    ],
)
def test_verdicts_of_parts_are_counted(verdicts, summary):
    assert claims.summarise(verdicts) == summary
    table = pd.DataFrame({"verdict": [summary, "reproduced"]})
    assert claims.count_verdicts(table) == (2, 1, summary.startswith("1 of"))


@pytest.mark.parametrize(
    ("measure", "model", "without"),
    [
        ("mouse bilstm minus no attention", "bilstm", "bilstm_no_attention"),
        ("mouse bilstm_smote minus no attention", "bilstm_smote", "bilstm_no_attention"),
        ("mouse bilstm_arcface minus no attention", "bilstm_arcface", "bilstm_no_attention"),
        ("joint", "joint", "bilstm_accuracy"),
    ],
)
def test_published_intervals_of_types_follow_from_sds_over_ten_runs(measure, model, without):
    scores = types.SCHWIDER_SCORES.set_index(["dataset", "model"])[["macro_f1", "macro_f1_sd"]]
    dataset = "lee_human_shared" if measure == "joint" else "gouwens_ephys"
    (mean, sd), (other, other_sd) = (scores.loc[dataset, name] for name in (model, without))
    squares = np.array([sd, other_sd]) ** 2 / 10
    n_counted = squares.sum() ** 2 / (squares**2 / 9).sum()  # Welch's degrees of freedom
    half = stats.t.ppf(0.975, n_counted) * np.sqrt(squares.sum())
    claim = pd.read_csv(claims.HERE / "claims.csv", index_col="measure").loc[measure]
    interval = claim[["published", "low", "high"]].astype(float)
    # the scores of the package have three digits
    assert interval.to_list() == pytest.approx(
        [mean - other, mean - other - half, mean - other + half], abs=2e-3
    )


def test_a_forest_finds_edges_that_the_prior_lacks():
    data = simulate_network(30, 80, noise=0.01, wrong=0.3, random_state=0)
    importances, _ = network_forest.fit_forests(data, 0)
    prior = abs(prior_table(data).to_numpy())
    alone = network_forest.score_edges(prior, data)["auroc"]
    assert network_forest.score_edges(importances + 0.1 * prior, data)["auroc"] > alone + 0.03
