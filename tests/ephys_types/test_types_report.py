"""Tables of records whose numbers are known."""

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx
from sklearn.metrics import confusion_matrix

from sbnn.ephys_types import classification, report
from sbnn.results import Record

TRUE = np.array(list("aabbbcb"))
CLASSES = np.array(list("abc"))
TESTS = [np.array(cells) for cells in ([0, 1, 2, 6], [5, 4, 3], [4, 3, 1], [6, 0, 5, 2])]
ROWS = [[3, 5, 2], [3, 6, 1], [1, 9, 0], [0, 10, 0], [6, 3, 1], [1, 2, 7], [3, 5, 2]]
P = np.array(ROWS, dtype=np.float32) / 10
PREDICTED = CLASSES[P.argmax(axis=1)]


def record_of(p, macro_f1):
    """Two repeats, of two folds each, of seven cells with the probabilities `p`."""
    scores = np.array([[0.6], [0.5], [0.9], [0.7]])
    names = ("accuracy", "balanced_accuracy", "log_loss", "seconds")
    values = {name: scores + k for k, name in enumerate(names)} | {
        "test_probabilities": [[p[test] for test in TESTS]],
        "test_predictions": [[p[test].argmax(axis=1) for test in TESTS]],
        "classes": CLASSES,
        "true": TRUE,
        "repeats": np.array([7, 7, 3, 3]),
        "macro_f1": np.array(macro_f1)[:, None],
    }
    folds = [(np.setdiff1d(np.arange(7), test), test) for test in TESTS]
    return Record("classification", "lee_human", "s", [{}], folds=folds, values=values)


ONE = record_of(P, (0.5, 0.7, 0.8, 0.6))
OTHER = record_of(P[::-1], (0.4, 0.75, 0.5, 0.45))
RECORDS = {"types_bilstm": ONE, "types_lightgbm": OTHER, "types5_forest": ONE}


def test_means_and_confusions_of_repeats():
    assert_allclose(classification.repeat_means(ONE), [0.6, 0.7])
    assert_allclose(classification.repeat_means(ONE, "accuracy"), [0.55, 0.8])
    expected = confusion_matrix(TRUE, PREDICTED)
    assert_array_equal(classification.confusion_counts(ONE), expected)


def test_calibration_compares_confidence_with_accuracy():
    table, error = classification.calibration(ONE)
    confidence = P.max(axis=1).astype(float)
    bins = np.digitize(confidence, np.arange(1, 10) / 10)
    gaps = 0
    for row, k in enumerate(np.unique(bins)):
        inside = bins == k
        hit = (PREDICTED == TRUE)[inside].mean()
        expected = [confidence[inside].mean(), hit, inside.mean()]
        assert_allclose(table.iloc[row], expected)
        gaps += inside.mean() * abs(hit - expected[0])
    assert error == approx(gaps)


def test_accuracy_beside_published_numbers_and_the_reference():
    reference, row = report.accuracy_table(RECORDS).T.items()
    assert (reference[0], row[0]) == ("LightGBM", "BiLSTM + attention")
    expected = {
        "macro-F1": 0.65,
        "SD": np.std([0.6, 0.7], ddof=1),
        "accuracy": 0.675,
        "balanced accuracy": 1.675,
        "log loss": 2.675,
        "calibration error": classification.calibration(ONE)[1],
        "seconds": 3.675,
        "published macro-F1": 0.669,
        "published accuracy": 0.78,
        "minus LightGBM": 0.125,
    }
    assert row[1][list(expected)].to_dict() == approx(expected)
    assert row[1]["low"] < 0.125 < row[1]["high"]
    assert reference[1].isna().tolist() == [False] * 7 + [True] * 5


IMPORTANCE = {
    "family_names": ["f", "g", "h"],
    "classes": np.array(["a", "b"]),
    "attention": np.array([[0.2, 0.3, 0.5], [0.1, 0.6, 0.3]]),
    "shuffled_log_loss": np.array([[0.1, 0.5, 0.2], [0.1, 0.3, 0.2]]),
    "left_out_log_loss": np.array([[0.1, 0.2, 0.3]] * 2),
}
FAMILIES = Record("families", "d", "s", [{}], values=IMPORTANCE)


def test_tables_are_those_of_the_records_that_exist():
    records = RECORDS | {"types_families_bilstm": FAMILIES}
    accuracy, five, families = report.all_tables(records).values()
    pd.testing.assert_frame_equal(accuracy, report.accuracy_table(RECORDS))
    assert five.index.tolist() == ["balanced forest"]
    expected = {
        "attention": [0.15, 0.45, 0.4],
        "shuffled": [0.1, 0.4, 0.2],
        "left out": [0.1, 0.2, 0.3],
    }
    pd.testing.assert_frame_equal(families, pd.DataFrame(expected, families.index))
