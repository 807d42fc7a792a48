"""Figures of classifiers show the scores of their records, beside the published ones."""

import numpy as np
import pytest
from drawn import colors_of, heights, image_of, lines_of, tick_names
from figure_records import classifiers, families
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn.ephys_types.plotting import classifier_color, importance_of_families, model_scores

#: Folds of each set of folds.
SETS = [[0, 1, 4], [2, 3, 5]]


@pytest.fixture(scope="module")
def scores():
    return classifiers()


@pytest.fixture(scope="module")
def panels(scores):
    """Macro-F1 and accuracy."""
    return model_scores(scores).axes


def test_the_majority_class_is_not_drawn(panels):
    assert tick_names(panels[0].yaxis) == ["LightGBM", "BiLSTM + attention"]
    assert [ax.get_title() for ax in panels] == ["macro-F1", "accuracy"]


@pytest.mark.parametrize(("panel", "metric"), [(0, "macro_f1"), (1, "accuracy")])
def test_scores_are_of_sets_of_folds(panels, scores, panel, metric):
    dots, means = lines_of(panels[panel], marker="o"), lines_of(panels[panel], marker="|")
    for y, name in enumerate(["lightgbm", "bilstm"]):
        of_sets = [scores[name].values[metric][folds].mean() for folds in SETS]
        assert_allclose(dots[y].get_xydata().T, [of_sets, [y, y]])
        assert_allclose(means[y].get_xydata(), [[np.mean(of_sets), y]])
        text = panels[panel].texts[y].get_text()
        assert text.startswith(f"{np.mean(of_sets):.3f}")
    colors = [to_hex(classifier_color(name)) for name in ("lightgbm", "bilstm")]
    assert colors_of(dots) == colors_of(means) == colors_of(panels[panel].texts[:2]) == colors


@pytest.mark.parametrize(("panel", "score"), [(0, 0.669), (1, 0.78)])
def test_published_scores_are_diamonds(panels, panel, score):
    [diamond] = lines_of(panels[panel], marker="D")
    assert diamond.get_xydata().tolist() == [[score, 1]]
    assert panels[panel].texts[1].get_text().endswith(f" ({score:.3f})")
    assert to_hex(diamond.get_color()) == to_hex(classifier_color("bilstm"))


@pytest.fixture(scope="module")
def importance():
    """Attention, shuffled and left out; shuffled, "i" matters most, and "h" least."""
    return importance_of_families(families()).axes


def test_families_are_sorted_by_rise_if_shuffled(importance):
    assert tick_names(importance[0].yaxis) == list("ifjgh")


def test_attention_is_drawn_by_class(importance):
    attention = image_of(importance[0])
    assert attention.columns.tolist() == list("bacdfe")
    assert_allclose(attention.loc[list("fghij")], families().attention.T)


@pytest.mark.parametrize(("panel", "change"), [(1, "shuffled"), (2, "left out")])
def test_bars_are_means_and_dots_are_folds(importance, panel, change):
    ax = importance[panel]
    rises = families().values[f"{change.replace(' ', '_')}_log_loss"][:, [3, 0, 4, 1, 2]]
    assert ax.get_title() == f"{change} (bars: means, dots: folds)"
    assert_allclose([bar.get_width() for bar in ax.patches], rises.mean(axis=0))
    dots = lines_of(ax, marker=".")
    assert_allclose([line.get_xdata() for line in dots], rises)
    assert_allclose(heights(dots), [range(5)] * 4)
