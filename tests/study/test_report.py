"""Tables of saved results: numbers of the records, beside the published ones of the same fits."""

import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import ridge_record

from sbnn.results import save
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def accuracy():
    return report.study_accuracy_table(report.read_study_records(ROOT / "saved_models" / "scala"))


def rows_of(table, **levels):
    """Rows with these parameters."""
    settings = table.index.to_frame()
    return table[(settings[list(levels)] == pd.Series(levels)).all(axis=1).to_numpy()]


def test_rows_are_means_over_the_folds_of_each_model():
    records = report.read_study_records(ROOT / "saved_models" / "simulated")
    table = report.study_accuracy_table(records)
    assert table.columns.tolist() == ["R2", "SD", "SE"], "nothing was published for these data"
    network, srrr = records["cv_published"], records["cv_srrr"]
    straight = network.find(n_components=64, pretraining=False)
    r2 = network.test_r2[:, straight]
    before, row = rows_of(table, n_components="64", pretraining="False").to_numpy()
    np.testing.assert_allclose(row, [r2.mean(), r2.std(ddof=1), r2.std(ddof=1) / 10**0.5])
    r2 = [curve["eval_r2"].iloc[-101] for curve in network.history[straight]]
    assert before[0] == pytest.approx(np.mean(r2))
    r2 = srrr.test_r2[:, srrr.best_with_at_most(25, rank=16)]
    row = rows_of(table, model="sRRR", rank="16", n_genes="25")
    assert row["R2"].item() == pytest.approx(r2.mean())


def test_published_results_are_those_of_the_same_folds_and_scaling(accuracy):
    assert len(accuracy["published"].dropna()) == len(report.published_r2("scala", 1000)) == 20
    pretrained = rows_of(accuracy, n_components="64", folds="10", pretraining="True")
    assert pretrained["published"].isna().all()
    assert rows_of(accuracy, scaling="fold")["published"].isna().all()


def test_the_page_of_the_paper_shows_the_numbers_of_the_table(accuracy):
    page = (ROOT / "benchmarks" / "paper.md").read_text()
    known = accuracy.dropna(subset="published").round(3) + 0.0
    shown = rows_of(known, stage=report.LAST)[["R2", "SD", "published", "minus published", "SE"]]
    assert len(shown) == 16
    for numbers in shown.to_numpy():
        row = r" \| {:.3f} \| {:.3f} \| {:.3f}[^|]* \| {:.3f} \| {:.3f} \| ".format(*numbers)
        assert re.search(row, page), row


def test_the_overview_has_one_row_per_data_set(tmp_path):
    ridge = ridge_record()
    ridge.values |= {"feature_names": np.array(["x", "y"])}
    for name in ("mine", "mine-fast"):
        save(
            replace(ridge, params=[{"n_components": 2}]), tmp_path / name / "cv_distilled.pickle.xz"
        )
    save(ridge, tmp_path / "mine" / "cv_ridge.pickle.xz")
    [overview] = report.study_overview(tmp_path).values()
    row = overview.squeeze()
    assert row["genes -> outputs"] == "40 -> 2"
    assert row["distilled, d=2"] == row["ridge, all genes"] == "0.450 ± 0.000"
    assert row["sRRR, rank 2"] == ""


def test_an_output_that_is_not_predicted_is_no_genes_output():
    """The interval of its test R2 includes 0, at the grid point of the model."""
    ridge = ridge_record()
    ridge.folds = [(np.arange(20), np.arange(20, 22))] * 3
    r2 = np.full((3, 2, 3), 0.5)
    r2[:, 1, 1] = 0.3, -0.1, 0.0
    ridge.values |= {"test_feature_r2": r2, "feature_names": np.array(["x", "y", "z"])}
    table = pd.DataFrame({"output": ["y", "x"], "effect": [0.3, 0.2], "r2_drop": 0.1}, ["a", "b"])
    found = report.effects_table(table, ridge, 1)
    assert found.isna().loc["a"].tolist() == [True, True, False]
    assert found.loc["b"].tolist() == ["x", 0.2, 0.1]
    pd.testing.assert_frame_equal(report.effects_table(table, ridge, 0), table)


def test_the_genes_of_ridge_are_those_of_the_record():
    ridge = ridge_record()
    ridge.folds = [(np.arange(2), np.arange(2))] * 3
    ridge.settings["scaling"] = "fold"
    ridge.values["preselected"] = np.arange(40) < np.full((3, 1, 1), 12)
    assert list(report.main_models({"cv_ridge": ridge})) == ["ridge, preselected genes"]
    assert report.study_accuracy_table({"cv_ridge": ridge}).index.to_frame()["n_genes"].item() == "12"
