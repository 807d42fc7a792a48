"""Tables and figures of records whose numbers are known."""

import numpy as np
import pandas as pd
import pytest
from material.comparisons import interval
from material.records import made_up
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.ephys_types import report
from sbnn.ephys_types.classification import calibration_error
from sbnn.evaluation.verdict import paired_difference

# Five cells with the probabilities of three classes
TRUE = np.array(list("abbca"))
PROBABILITIES = np.array(
    [
        [0.3, 0.5, 0.2],
        [0.1, 0.9, 0.0],
        [0.0, 1.0, 0.0],
        [0.1, 0.2, 0.7],
        [0.6, 0.3, 0.1],
    ],
    dtype=np.float32,
)
# Test cells of two repeats of two folds
TEST_CELLS = [[0, 1, 2], [4, 3], [3, 4, 1], [0, 2]]
REPEATS = [7, 7, 3, 3]


def make_record(probabilities, macro_f1):
    """Cross-validation with such probabilities of the cells and macro-F1 of the folds."""
    scores = np.array([[0.6], [0.5], [0.9], [0.7]])
    tested = [probabilities[test] for test in TEST_CELLS]
    predicted = [part.argmax(axis=1) for part in tested]
    values = {
        "macro_f1": np.array(macro_f1)[:, None],
        "accuracy": scores,
        "balanced_accuracy": scores + 1,
        "log_loss": scores + 2,
        "seconds": scores + 3,
        "test_probabilities": [tested],
        "test_predictions": [predicted],
        "classes": np.array(list("abc")),
        "true": TRUE,
        "repeats": REPEATS,
    }
    folds = []
    for test in TEST_CELLS:
        training = np.setdiff1d(range(5), test)
        folds.append((training, np.array(test)))
    return made_up(values, dataset="lee_human", folds=folds)


@pytest.fixture
def bilstm():
    return make_record(PROBABILITIES, macro_f1=[0.5, 0.7, 0.8, 0.6])


@pytest.fixture
def lightgbm():
    return make_record(PROBABILITIES[::-1], macro_f1=[0.4, 0.75, 0.5, 0.45])


@pytest.fixture
def families():
    """Importance of three families for two classes, in two folds."""
    attention, shuffled, left_out = np.random.default_rng(0).random((3, 2, 3))
    values = {
        "family_names": ["f", "g", "h"],
        "classes": ["a", "b"],
        "attention": attention,
        "shuffled_log_loss": shuffled,
        "left_out_log_loss": left_out,
    }
    return made_up(values)


def test_calibration_compares_confidence_with_accuracy(bilstm):
    """Bins of the ten test cells; 0.7 is below 0.7 in single precision."""
    confidence = np.array([0.5, 0.65, 0.9, 1])
    accuracy = np.array([0, 1, 1, 1])
    fraction = np.array([0.2, 0.4, 0.2, 0.2])
    gaps = np.abs(accuracy - confidence)
    expected = (fraction * gaps).sum()
    assert calibration_error(bilstm) == approx(expected)


@pytest.fixture
def table(bilstm, lightgbm):
    records = {"types_stratified_bilstm": bilstm, "types_stratified_lightgbm": lightgbm}
    return report.classifier_table(records, "types_stratified")


def test_classifiers_are_in_the_usual_order(table):
    assert table.index.tolist() == ["LightGBM", "BiLSTM + attention"]


def test_scores_are_means_beside_published_numbers(bilstm, table):
    expected = {
        "macro-F1": 0.65,
        "SD": np.std([0.5, 0.7, 0.8, 0.6], ddof=1),
        "accuracy": 0.675,
        "balanced accuracy": 1.675,
        "log loss": 2.675,
        "calibration error": calibration_error(bilstm),
        "seconds": 3.675,
        "published macro-F1": 0.669,
        "published SD": 0.014,
        "published accuracy": 0.78,
    }
    row = table.loc["BiLSTM + attention"]
    assert row[list(expected)].to_dict() == approx(expected)


def test_folds_of_donors_have_no_published_score(bilstm):
    table = report.classifier_table({"types_bilstm": bilstm})
    assert "published macro-F1" not in table


def test_differences_to_the_reference_have_an_interval(table):
    row = table.loc["BiLSTM + attention"]
    # each cell is tested twice, by 3 of 5 cells or by 2 of 5
    expected = interval([0.1, -0.05, 0.3, 0.15], test_fraction=np.mean([3 / 2, 2 / 3]))
    assert_allclose(row[["minus LightGBM", "low", "high"]].astype(float), expected)


def test_the_reference_has_no_difference(table):
    is_missing = table.loc["LightGBM"].isna()
    assert is_missing.tolist() == [False] * 7 + [True] * 6


def test_pairs_have_their_paired_difference(bilstm, lightgbm):
    records = {"bilstm": bilstm, "lightgbm": lightgbm}
    pairs = [("bilstm", "lightgbm", "macro_f1"), ("bilstm", "logistic", "macro_f1")]
    table = report.paired_table(records, pairs)
    expected = paired_difference(bilstm, lightgbm, "macro_f1")
    assert table.index.tolist() == [("BiLSTM + attention - LightGBM", "macro_f1")]
    assert tuple(table.iloc[0]) == expected
    assert report.paired_table({}, pairs).empty


def test_the_gain_is_over_the_published_network(bilstm, lightgbm):
    records = {"transfer_donors_bilstm_accuracy": lightgbm, "transfer_donors_joint": bilstm}
    table = report.transfer_table(records, "transfer_donors")
    gain = table["gain over the published baseline [95 % interval]"]
    assert gain["BiLSTM + attention, stopped on accuracy"] == "–"
    assert gain["BiLSTM + attention, joint"] == str(paired_difference(bilstm, lightgbm, "macro_f1"))
    assert (table["published macro-F1"] == "–").all()


def test_splits_as_published_are_compared_with_folds_of_donors(bilstm, lightgbm):
    records = {"types_stratified_bilstm": bilstm, "types_bilstm": lightgbm}
    row = report.published_comparison(records).loc["BiLSTM + attention"]
    assert row["published macro-F1"] == "0.669 ± 0.014"
    assert row["macro-F1"] == "0.650 ± 0.129"
    assert row["minus donors"] == approx(0.65 - 0.525)


def test_scores_within_groups_are_of_their_cells(bilstm):
    """Cell 1 is predicted right and cell 0 wrong, each once in both repeats."""
    table = report.scores_within(bilstm, ["x", "y", "z", "z", "z"])
    assert table["cells"].to_dict() == {"z": 3, "x": 1, "y": 1}
    assert table["accuracy"].to_dict() == {"z": 1, "x": 0, "y": 1}
    assert table.loc["z", "macro_f1"] == 1


def test_attention_of_two_runs_is_correlated():
    """Runs 0 and 1 of two folds have the opposite mean attention."""
    attention = np.array([[[1.0, 0.0]], [[3.0, 0.0]], [[0.0, 1.0]], [[0.0, 5.0]]])[:, None]
    values = {
        "attention": attention,
        "repeats": np.array([0, 0, 1, 1]),
        "classes": ["a"],
        "family_names": ["f", "g"],
    }
    record = made_up(values, folds=[([0], [1])] * 4)
    assert report.attention_agreement(record) == approx([-1])
    assert report.attention_table(record).loc["a"].to_dict() == {"f": 1, "g": 1.5}


def test_importance_is_the_mean_over_folds(families):
    table = report.importance_table(families)
    means = {
        "attention": families.attention.mean(axis=0),
        "shuffled": families.shuffled_log_loss.mean(axis=0),
        "left out": families.left_out_log_loss.mean(axis=0),
    }
    assert_allclose(table, pd.DataFrame(means))
