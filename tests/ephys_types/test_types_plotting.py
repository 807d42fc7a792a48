"""Figures show the numbers of their records."""

from dataclasses import replace

import pytest
from numpy.testing import assert_allclose
from test_types_report import FAMILIES, ONE, OTHER

from sbnn.ephys_types import plotting
from sbnn.ephys_types.classification import calibration, confusion_counts

MODELS = {"lightgbm": OTHER, "bilstm": ONE}


def texts_of(ax):
    return [text.get_text() for text in ax.texts]


def test_scores_of_each_set_of_folds_their_mean_and_the_published_score():
    figure = plotting.model_scores({"majority": ONE} | MODELS)
    f1, accuracy = figure.axes
    dots, mean = f1.lines[:2]
    assert_allclose(dots.get_xdata(), [0.575, 0.475])
    assert_allclose(mean.get_xdata(), [0.525])
    assert texts_of(f1)[:2] == ["0.525", "0.650 (0.669)"]
    assert texts_of(accuracy)[:2] == ["0.675", "0.675 (0.780)"]
    names = [label.get_text() for label in f1.get_yticklabels()]
    assert names == ["LightGBM", "BiLSTM + attention"]
    assert f1.lines[-1].get_xdata() == [0.669]


def test_a_confusion_shows_shares_of_the_true_type_and_cells():
    _, ax, *_ = plotting.confusion_matrices(MODELS).axes
    assert ax.get_title() == "BiLSTM + attention"
    counts = confusion_counts(ONE)
    shares = counts / counts.sum(axis=1, keepdims=True)
    assert_allclose(ax.images[0].get_array(), shares)
    assert texts_of(ax)[1] == f"{shares[0, 1]:.2f}\n{counts[0, 1]:.0f}"


def test_calibration_is_drawn_by_bin():
    ax = plotting.calibration_curves(MODELS).axes[1]
    table, error = calibration(ONE)
    assert_allclose(ax.lines[1].get_xydata(), table[["confidence", "accuracy"]])
    assert texts_of(ax)[0] == f"error {error:.3f}"


@pytest.mark.parametrize("attention", [False, True])
def test_families_in_the_order_of_the_cost_of_shuffling(attention):
    values = {
        name: its for name, its in FAMILIES.values.items() if attention or name != "attention"
    }
    axes = plotting.importance_of_families(replace(FAMILIES, values=values)).axes
    assert [label.get_text() for label in axes[0].get_yticklabels()] == ["g", "h", "f"]
    shuffled, left_out = axes[attention : attention + 2]
    assert_allclose([bar.get_width() for bar in shuffled.patches], [0.4, 0.2, 0.1])
    assert_allclose([bar.get_width() for bar in left_out.patches], [0.2, 0.3, 0.1])
    if attention:
        assert_allclose(axes[0].images[0].get_array(), [[0.3, 0.6], [0.5, 0.3], [0.2, 0.1]])
