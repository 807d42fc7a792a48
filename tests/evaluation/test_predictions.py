"""Confusions, calibration and scores within groups, of a record whose predictions are known."""

import numpy as np
import pytest

from sbnn.evaluation.classification import calibration, confusion_counts, repeat_means, repeats_of, scores_within
from sbnn.results import Record

TRUE = np.array(["a", "a", "b", "b", "b", "a"])
CLASSES = np.array(["a", "b"])


def record():
    """Two repeats of two folds of six cells: all right but cell 2 in both repeats and cell 0 in the second one."""
    folds = [([3, 4, 5], [0, 1, 2]), ([0, 1, 2], [5, 4, 3]), ([1, 3, 5], [0, 2, 4]), ([0, 2, 4], [1, 3, 5])]
    predicted = [[0, 0, 0], [0, 1, 1], [1, 0, 1], [0, 1, 0]]
    sure = [[0.95, 0.85, 0.6], [0.95, 0.85, 0.85], [0.6, 0.6, 0.85], [0.95, 0.95, 0.95]]
    probabilities = [
        np.array([[s, 1 - s] if p == 0 else [1 - s, s] for p, s in zip(*row, strict=True)], dtype=np.float32)
        for row in zip(predicted, sure, strict=True)
    ]
    values = {
        "test_predictions": [[np.array(p, dtype=np.int16) for p in predicted]],
        "test_probabilities": [probabilities],
        "true": TRUE,
        "classes": CLASSES,
        "repeats": np.array([7, 7, 3, 3]),
        "macro_f1": np.array([[0.5], [0.7], [0.8], [0.8]]),
    }
    folds = [(np.array(train), np.array(test)) for train, test in folds]
    return Record("classification", "tiny", "s", [{}], folds=folds, values=values)


def test_repeats_are_told_apart_and_cells_keep_their_places():
    first, second = repeats_of(record())
    assert list(first.cells) == [0, 1, 2, 5, 4, 3] and list(second.cells) == [0, 2, 4, 1, 3, 5]
    assert list(first.true) == ["a", "a", "b", "a", "b", "b"]
    assert list(first.predicted) == ["a", "a", "a", "a", "b", "b"]
    np.testing.assert_allclose(repeat_means(record()), [0.6, 0.8])


def test_confusions_are_true_by_predicted():
    np.testing.assert_allclose(confusion_counts(record()), [[2.5, 0.5], [1, 2]])


def test_calibration_compares_confidence_with_hits():
    table, error = calibration(record())
    np.testing.assert_allclose(table["confidence"], [0.6, 0.85, 0.95], rtol=1e-6)
    np.testing.assert_allclose(table["accuracy"], [0, 1, 1])
    np.testing.assert_allclose(table["share"], [3 / 12, 4 / 12, 5 / 12])
    assert error == pytest.approx((3 * 0.6 + 4 * 0.15 + 5 * 0.05) / 12)
    certain = record()
    certain.values["test_probabilities"] = [[(p > 0.5).astype(float) for p in certain.test_probabilities[0]]]
    assert calibration(certain)[1] == pytest.approx(3 / 12), "a probability of 1 is in the last bin"


def test_scores_within_groups_are_of_their_cells_alone():
    groups = np.array(["x", "x", "x", "y", "y", "z"])
    table = scores_within(record(), groups)
    assert list(table.index[:2]) == ["x", "y"] and list(table["cells"]) == [3, 2, 1]
    # x: a a b -> a a a, then b a a; F1 of a is 0.8 and 0.5, that of b is 0
    assert table.loc["x", "macro_f1"] == pytest.approx((0.4 + 0.25) / 2)
    assert table.loc["x", "accuracy"] == pytest.approx((2 / 3 + 1 / 3) / 2)
    assert table.loc["x", "accuracy_sd"] == pytest.approx(1 / 3 / np.sqrt(2))
    assert table.loc["y", ["macro_f1", "accuracy", "classes", "smallest"]].tolist() == [1, 1, 1, 2]
    assert table.loc["x", "smallest"] == 1
    with pytest.raises(ValueError, match="groups: expected one for each of 6 cells"):
        scores_within(record(), groups[:5])
