"""Tables of records whose numbers are known."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import confusion_matrix, f1_score

from sbnn.ephys_types import classification, report
from sbnn.evaluation.verdict import corrected_difference
from sbnn.results import Record, save

TRUE = np.array(list("aabbbcb"))
CLASSES = np.array(list("abc"))
TESTS = [np.array(cells) for cells in ([0, 1, 2, 6], [5, 4, 3], [4, 3, 1], [6, 0, 5, 2])]
ROWS = [[5, 3, 2], [3, 6, 1], [1, 9, 0], [0, 10, 0], [6, 3, 1], [1, 2, 7], [3, 5, 2]]
P = np.array(ROWS, dtype=np.float32) / 10


def record_of(p, macro_f1=(0.5, 0.7, 0.8, 0.6), dataset="lee_human"):
    """Two repeats, of two folds each, of seven cells with the probabilities `p`."""
    accuracy = np.array([[0.6], [0.5], [0.9], [0.7]])
    f1 = np.arange(12).reshape(4, 1, 3) / 20
    f1[0, 0, 0] = np.nan
    values = {
        "test_probabilities": [[p[test] for test in TESTS]],
        "test_predictions": [[p[test].argmax(axis=1) for test in TESTS]],
        "classes": CLASSES,
        "true": TRUE,
        "repeats": np.array([7, 7, 3, 3]),
        "macro_f1": np.array(macro_f1)[:, None],
        "accuracy": accuracy,
        "balanced_accuracy": accuracy / 2,
        "log_loss": accuracy * 2,
        "seconds": np.array([[1.0], [2.0], [3.0], [6.0]]),
        "f1": f1,
    }
    folds = [(np.setdiff1d(np.arange(7), test), test) for test in TESTS]
    return Record("classification", dataset, "s", [{}], folds=folds, values=values)


ONE = record_of(P)
OTHER = record_of(P[::-1], (0.4, 0.75, 0.5, 0.45))


@pytest.fixture
def records():
    labels = pd.DataFrame({"type": TRUE, "virus": list("uuvvvuu")})
    return {
        "types_bilstm_published": ONE,
        "types_lightgbm": OTHER,
        "types5_forest": ONE,
        report.CELLS: SimpleNamespace(labels=labels),
    }


def test_repeats_hold_every_cell_once():
    first, second = classification.repeats_of(ONE)
    assert first.cells.tolist() == [0, 1, 2, 6, 5, 4, 3]
    assert second.cells.tolist() == [4, 3, 1, 6, 0, 5, 2]
    for repeat in (first, second):
        assert_array_equal(repeat.true, TRUE[repeat.cells])
        assert_array_equal(repeat.probabilities, P[repeat.cells])
        assert_array_equal(repeat.predicted, CLASSES[P[repeat.cells].argmax(axis=1)])


def test_means_and_confusions_of_repeats():
    assert_allclose(classification.repeat_means(ONE), [0.6, 0.7])
    assert_allclose(classification.repeat_means(ONE, "accuracy"), [0.55, 0.8])
    expected = confusion_matrix(TRUE, CLASSES[P.argmax(axis=1)])
    assert_array_equal(classification.confusion_counts(ONE), expected)


def test_calibration_compares_confidence_with_accuracy():
    table, error = classification.calibration(ONE)
    hit = CLASSES[P.argmax(axis=1)] == TRUE
    confidence = P.max(axis=1)
    assert len(table) == 4  # 0.5; 0.6 and 0.7 in single precision; 0.9; 1
    assert table["share"].sum() == approx(1)
    weighted = table["share"] * (table["accuracy"] - table["confidence"]).abs()
    assert error == approx(weighted.sum())
    assert (table["share"] * table["accuracy"]).sum() == approx(hit.mean())
    assert (table["share"] * table["confidence"]).sum() == approx(confidence.mean())
    whole, gap = classification.calibration(ONE, 1)
    assert len(whole) == 1
    assert gap == approx(abs(hit.mean() - confidence.mean()), rel=1e-5)


def test_scores_within_groups_are_those_of_their_cells():
    groups = np.array(list("zzyyyzx"))
    table = classification.scores_within(ONE, groups)
    assert table.index.tolist() == ["z", "y", "x"]
    assert table["cells"].tolist() == [3, 3, 1]
    assert table["classes"].tolist() == [2, 1, 1]
    assert table["smallest"].tolist() == [1, 3, 1]
    predicted = CLASSES[P.argmax(axis=1)]
    for group, row in table.iterrows():
        inside = groups == group
        labels = np.unique(TRUE[inside])
        f1 = f1_score(TRUE[inside], predicted[inside], labels=labels, average="macro")
        assert row["macro_f1"] == approx(f1)
        assert row["accuracy"] == approx((TRUE == predicted)[inside].mean())
        assert row["macro_f1_sd"] == approx(0)


def test_accuracy_beside_published_numbers_and_the_reference(records):
    table = report.accuracy_table(records)
    assert table.index.tolist() == ["LightGBM", "BiLSTM + attention, published"]
    row = table.loc["BiLSTM + attention, published"]
    assert row["macro-F1"] == approx(0.65)
    assert row["SD"] == approx(np.std([0.6, 0.7], ddof=1))
    assert row["accuracy"] == approx(0.675)
    assert row["balanced accuracy"] == approx(0.3375)
    assert row["log loss"] == approx(1.35)
    assert row["seconds"] == approx(3)
    assert row["calibration error"] == classification.calibration(ONE)[1]
    known = report.published("lee_human", "types")["bilstm_published"]
    assert (row["published macro-F1"], row["published accuracy"]) == known
    assert row["minus LightGBM"] == approx(0.125)
    assert row["low"] < 0.125 < row["high"]
    assert table.loc["LightGBM", ["minus LightGBM", "published accuracy"]].isna().all()


def test_published_numbers_hold_for_the_same_cells():
    relative = report.published("gouwens_ephys_relative", "types5")
    assert relative == report.published("gouwens_ephys", "types5")
    assert relative["bilstm_smote"] == (0.886, 0.919)


def test_f1_of_classes_leaves_out_folds_without_the_class(records):
    table = report.class_table(records, "types5")
    assert_allclose(table.loc["balanced forest"], np.nanmean(ONE.f1[:, 0], axis=0))
    assert table.columns.tolist() == ["a", "b", "c"]


def test_small_groups_are_not_scored(records, monkeypatch):
    assert report.group_table(records, "virus").index.get_level_values(1).unique() == ["all"]
    monkeypatch.setattr(report, "FEWEST", 4)
    table = report.group_table(records, "virus")
    own = classification.scores_within(OTHER, list("uuvvvuu"))
    pd.testing.assert_series_equal(
        table.loc[("LightGBM", "u")], own.loc["u"], check_names=False, check_dtype=False
    )
    assert ("LightGBM", "v") not in table.index


def importance():
    values = {
        "family_names": ["f", "g", "h"],
        "attention": np.array([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [np.nan] * 3]),
        "shuffled_log_loss": np.array([[3.0, 1, 2], [3, 1, 1]]),
        "left_out_log_loss": np.array([[0.1, 0.2, 0.3]] * 2),
    }
    return Record("families", "d", "s", [{}], values=values)


def test_measures_of_importance_and_their_agreement():
    table, agreement = report.families_tables({f"{report.FAMILIES}_bilstm": importance()})
    measures = table["BiLSTM + attention"]
    assert_allclose(measures["attention"], [0.3, 0.55, 0.15])
    assert_allclose(measures["shuffled"], [3, 1, 1.5])
    assert_allclose(measures["left out"], [0.1, 0.2, 0.3])
    assert agreement.columns[0] == "attention and shuffled"
    assert_allclose(agreement, [[-0.5, -0.5, -0.5]])


def learning_curves():
    """Two draws of 25 cells, and all cells, of which folds have 30 or 31."""
    rows = []
    for step, method in enumerate((report.WITHOUT, "transfer", report.CONTROL), 1):
        for fold in range(4):
            for n, draw in ((25, 0), (25, 1), (30 + fold % 2, 0)):
                f1 = 0.1 * (fold + 1) * step + 0.02 * draw
                rows.append((n, "m", method, fold // 2, fold % 2, f1, 0.5))
    names = ["n_cells", "model", "method", "seed", "fold", "macro_f1", "accuracy"]
    settings = {"sizes": [25, None]}
    return SimpleNamespace(scores=pd.DataFrame(rows, columns=names), settings=settings)


def test_gains_are_paired_by_fold():
    table = report.curves_table(learning_curves())
    assert table.index.unique("cells").tolist() == ["25", "all"]
    alone = table.loc[("25", "m", report.WITHOUT)]
    assert alone["macro_f1"] == approx(0.26)
    assert alone["sd"] == approx(np.std([0.16, 0.36], ddof=1))
    helped = table.loc[("all", "m", "transfer")]
    expected = corrected_difference(np.array([0.1, 0.2, 0.3, 0.4]), 0.25)
    assert_allclose(helped[["gain", "low", "high"]].astype(float), expected[:3])
    over_two = helped[["gain over two", "low over two", "high over two"]].astype(float)
    assert_allclose(over_two, [-expected[0], -expected[2], -expected[1]])
    assert np.isnan(alone["gain"])
    sizes = report.by_size(learning_curves())["n_cells"].groupby("cells").mean()
    assert sizes.to_dict() == {"25": 25, "all": 30.5}


def test_tables_are_those_of_the_records_that_exist(records):
    assert len(report.all_tables({"types_lightgbm": OTHER})) == 2
    scores = pd.DataFrame({"way": ["t", "s", "s"], "method": ["own"] * 3})
    scores["macro_f1"] = [0.1, 0.2, 0.4]
    scores["accuracy"] = [0.5, 0.6, 0.8]
    records[report.ZERO_SHOT] = SimpleNamespace(scores=scores)
    records[report.CURVES] = learning_curves()
    records[f"{report.FAMILIES}_bilstm"] = importance()
    tables = report.all_tables(records)
    assert len(tables) == 10
    assert tables["Cells by class and virus"].to_numpy().tolist() == [[2, 0], [1, 3], [1, 0]]
    ways = tables["Types of one species predicted from the other, without labels"]
    assert ways.loc[("s", "own"), "macro_f1"] == approx(0.3)
    assert ways.loc[("s", "own"), "sd"] == approx(np.std([0.2, 0.4], ddof=1))
    within = tables["Macro-F1 within virus"]
    assert within.columns.tolist() == ["all"]


def test_all_data_sets_beside_the_best_published(tmp_path):
    save(OTHER, tmp_path / "lee_human" / "types_lightgbm.pickle")
    save(ONE, tmp_path / "lee_human" / "types_bilstm.pickle")
    save(ONE, tmp_path / "lee_human" / "types5_forest.pickle")
    save(OTHER, tmp_path / "simulated_ephys" / "types_lightgbm.pickle")
    [table] = report.overview(tmp_path).values()
    assert table.index.tolist() == ["human, 4 classes", "simulated, 4 classes"]
    assert table["cells"].tolist() == ["7", "7"]
    assert table["LightGBM"].tolist() == ["0.525 ± 0.071"] * 2
    assert table["BiLSTM + attention"].tolist() == ["0.650 ± 0.071", ""]
    best = max(report.published("lee_human", "types").values())[0]
    assert table["best published"].tolist() == [f"{best:.3f}", ""]
