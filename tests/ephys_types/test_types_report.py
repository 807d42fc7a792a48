"""Tables and figures of records whose numbers are known."""

import numpy as np
from numpy.testing import assert_allclose
from pytest import approx

from sbnn.ephys_types import plotting, report
from sbnn.ephys_types.classification import calibration_error, repeat_means
from sbnn.results import Record

TRUE = np.array(list("abbca"))
CLASSES = np.array(list("abc"))
TESTS = [0, 1, 2], [4, 3], [3, 4, 1], [0, 2]
P = np.array([[3, 5, 2], [1, 9, 0], [0, 10, 0], [1, 2, 7], [6, 3, 1]], dtype=np.float32) / 10


def record_of(p, *macro_f1):
    """Two repeats, of two folds each, of five cells with the probabilities `p`."""
    scores = np.array([[0.6], [0.5], [0.9], [0.7]])
    values = {
        "macro_f1": np.array(macro_f1)[:, None],
        "accuracy": scores,
        "balanced_accuracy": scores + 1,
        "log_loss": scores + 2,
        "seconds": scores + 3,
        "test_probabilities": [[p[test] for test in TESTS]],
        "test_predictions": [[p[test].argmax(axis=1) for test in TESTS]],
        "classes": CLASSES,
        "true": TRUE,
        "repeats": [7, 7, 3, 3],
    }
    folds = [(np.setdiff1d(range(5), test), np.array(test)) for test in TESTS]
    return Record("classification", "lee_human", "s", [{}], folds=folds, values=values)


ONE = record_of(P, 0.5, 0.7, 0.8, 0.6)
OTHER = record_of(P[::-1], 0.4, 0.75, 0.5, 0.45)
RECORDS = {"types_bilstm": ONE, "types_lightgbm": OTHER}
MODELS = {"lightgbm": OTHER, "bilstm": ONE}
IMPORTANCE = np.random.default_rng(0).random((3, 2, 3))
FAMILIES = Record(
    "families",
    "d",
    "s",
    [{}],
    values={
        "family_names": ["f", "g", "h"],
        "classes": ["a", "b"],
        "attention": IMPORTANCE[0],
        "shuffled_log_loss": IMPORTANCE[1],
        "left_out_log_loss": IMPORTANCE[2],
    },
)


def test_means_of_repeats():
    assert_allclose(repeat_means(ONE), [0.6, 0.7])
    assert_allclose(repeat_means(ONE, "accuracy"), [0.55, 0.8])


def test_calibration_compares_confidence_with_accuracy():
    """Confidence, accuracy and share of the bins; 0.7 is below 0.7 in single precision."""
    bins = np.array([[0.5, 0, 0.2], [0.65, 1, 0.4], [0.9, 1, 0.2], [1, 1, 0.2]])
    confidence, accuracy, share = bins.T
    assert calibration_error(ONE) == approx((share * np.abs(accuracy - confidence)).sum())


def test_accuracy_beside_published_numbers_and_the_reference():
    reference, row = report.classifier_table(RECORDS).T.items()
    assert (reference[0], row[0]) == ("LightGBM", "BiLSTM + attention")
    expected = {
        "macro-F1": 0.65,
        "SD": np.std([0.6, 0.7], ddof=1),
        "accuracy": 0.675,
        "balanced accuracy": 1.675,
        "log loss": 2.675,
        "calibration error": calibration_error(ONE),
        "seconds": 3.675,
        "published macro-F1": 0.669,
        "published accuracy": 0.78,
        "minus LightGBM": 0.125,
    }
    assert row[1][list(expected)].to_dict() == approx(expected)
    assert row[1]["low"] < 0.125 < row[1]["high"]
    assert reference[1].isna().tolist() == [False] * 7 + [True] * 5


def test_scores_of_each_set_of_folds_their_mean_and_the_published_score():
    f1, accuracy = plotting.model_scores({"majority": ONE} | MODELS).axes
    assert_allclose(f1.lines[0].get_xdata(), [0.575, 0.475])
    texts = [text.get_text() for text in accuracy.texts]
    assert texts == ["0.675", "0.675 (0.780)", "b"]
    assert accuracy.lines[-1].get_xdata() == [0.78]


def test_families_in_the_order_of_the_cost_of_shuffling():
    ordered = report.importance_table(FAMILIES).sort_values("shuffled", ascending=False)
    axes = plotting.importance_of_families(FAMILIES).axes
    names = [label.get_text() for label in axes[0].get_yticklabels()]
    assert names == ordered.index.tolist()
    for ax, way in zip(axes[1:3], ("shuffled", "left out"), strict=True):
        assert_allclose([bar.get_width() for bar in ax.patches], ordered[way])
    attention = axes[0].images[0].get_array().mean(axis=1)
    assert_allclose(attention, ordered["attention"])
