"""Tables of saved results: numbers of the records, beside the published ones of the same fits."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from made_up import linear_record, network_record, ridge_record

from sbnn.results import load, save
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[2]
SAVED = ROOT / "saved_models"
SCALA = SAVED / "scala"


@pytest.fixture(scope="module")
def scala():
    return report.read(SCALA)


@pytest.fixture(scope="module")
def accuracy(scala):
    return report.accuracy_table(scala)


def rows_of(table, **levels):
    """Rows with these parameters."""
    settings = table.index.to_frame()
    return table[(settings[list(levels)] == pd.Series(levels)).all(axis=1).to_numpy()]


def test_rows_are_means_over_the_folds_of_each_model():
    network = network_record(lassos=(0.1,), epochs=(2, 2, 3, 4))
    records = {"cv_network": network, "cv_srrr": linear_record(), "cv_ridge": ridge_record()}
    for record in records.values():
        record.settings["scaling"] = "fold"
        record.folds = [(np.arange(3), np.arange(3, 5))] * 3
        record.values["gene_names"] = np.arange(40)
    table = report.accuracy_table(records)
    assert table.columns.tolist() == ["R2", "SD", "SE"], "nothing was published for these data"
    [straight] = network.points(n_components=64, pretraining=False)
    r2 = network.test_r2[:, straight]
    [row] = rows_of(table, n_components="64", pretraining="False", stage=report.LAST).to_numpy()
    np.testing.assert_allclose(row, [r2.mean(), r2.std(ddof=1), r2.std(ddof=1) / 3**0.5])
    curves = network.history[straight]
    before = [curve[curve["stage"] == "unfrozen"]["eval_r2"].to_list()[-1] for curve in curves]
    before_pruning = {"stage": report.BEFORE_PRUNING, "pretraining": "False", "n_components": "64"}
    assert rows_of(table, **before_pruning)["R2"].item() == pytest.approx(np.mean(before))
    srrr = records["cv_srrr"]
    r2 = srrr.test_r2[:, srrr.best_with_at_most(25, rank=16)]
    row = rows_of(table, model="sRRR", rank="16", n_genes="25")
    np.testing.assert_allclose(row[["R2", "SD"]].to_numpy(), [[r2.mean(), r2.std(ddof=1)]])
    assert rows_of(table, model="ridge", n_genes="40")["R2"].item() == pytest.approx(0.45)


def test_differences_from_published_results_are_those_of_the_means(accuracy):
    assert len(accuracy["published"].dropna()) == len(report.published("scala", 1000)) == 18
    pretrained = rows_of(accuracy, n_components="64", folds="10", pretraining="True")
    assert pretrained["published"].isna().all()
    assert rows_of(accuracy, scaling="fold")["published"].isna().all()
    [row] = rows_of(accuracy, group_lasso="0.1", folds="3", stage=report.LAST).itertuples()
    record = load(SCALA / f"cv_network_three_folds_{report.LEAK}.pickle")
    scores = record.test_r2[:, record.find(n_components=64, pretraining=True, group_lasso=0.1)]
    assert row.published == 0.409
    assert row._5 == pytest.approx(scores.mean() - 0.409)


def test_models_agree_with_the_published_ones_where_the_lasso_chooses(accuracy):
    """At 0.1 and 1, and before the pruning; with less lasso, chance chooses the genes."""
    known = accuracy.dropna(subset="published")
    settings = known.index.to_frame()
    weak = settings["group_lasso"].isin(["0.0001", "0.01"]) & (settings["stage"] == report.LAST)
    straight = (settings["pretraining"] == "False") & (settings["n_components"] == "2")
    linear = settings["model"] == "sRRR"
    differences = known["minus published"].abs()
    assert (linear.sum(), straight.sum(), weak.sum()) == (4, 1, 4)
    assert differences[linear].max() < 0.001
    assert differences[straight].between(0.01, 0.015).all()
    assert differences[~weak & ~straight].max() < 0.01


def test_the_page_of_the_paper_shows_the_numbers_of_the_table(accuracy):
    lines = (ROOT / "benchmarks" / "paper.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.split("|")[2:-1]] for line in lines if "|" in line]
    known = accuracy.dropna(subset="published").round(3) + 0.0
    shown = known[known.index.get_level_values("stage") == report.LAST]
    assert len(shown) == 14
    for row in shown.itertuples(index=False):
        expected = [f"{row.R2:.3f}", f"{row.published:.3f}", f"{row._4:.3f}", f"{row.SE:.3f}"]
        found = [[row[0], *row[2].split(" ±")[:1], *row[3:5]] for row in cells if len(row) == 6]
        assert expected in found


def test_the_overview_has_one_row_per_data_set(tmp_path):
    ridge = ridge_record()
    ridge.values |= {"feature_names": np.array(["x", "y"])}
    for name in ("mine", "mine-fast"):
        save(replace(ridge, params=[{"n_components": 2}]), tmp_path / name / "cv_default.pickle")
    save(ridge, tmp_path / "mine" / "cv_ridge.pickle")
    [overview] = report.overview(tmp_path).values()
    [row] = overview.to_dict("records")
    assert row["genes -> outputs"] == "40 -> 2"
    assert row["distilled, d=2"] == row["ridge, all genes"] == "0.450 ± 0.000"
    assert row["sRRR, rank 2"] == ""
