"""Figures of classifiers show the scores of their records, beside the published ones."""

import numpy as np
import pandas as pd
import pytest
from material.comparisons import interval
from material.drawn import colors_of, error_bars, image_of, lines_of, texts_on, tick_names
from material.figures import axes_of
from material.records import ATTENTION, CLASSIFIERS, FAMILIES
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn.ephys_types.plotting import classifier_color

COLORS = [to_hex(classifier_color(name)) for name in ("lightgbm", "bilstm")]


def test_the_majority_class_is_not_drawn():
    axes = axes_of("model_scores")
    assert tick_names(axes[0].yaxis) == ["LightGBM", "BiLSTM + attention"]
    assert [ax.get_xlabel().split(" (")[0] for ax in axes[::2]] == ["macro-F1", "accuracy"]


def test_the_kind_of_folds_is_the_first_title():
    assert axes_of("model_scores")[0].get_title(loc="left") == "4 classes, folds as published"


@pytest.mark.parametrize(("subplot", "metric"), [(0, "macro_f1"), (2, "accuracy")])
@pytest.mark.parametrize(("row", "name"), [(0, "lightgbm"), (1, "bilstm")])
def test_scores_are_means_with_sd_over_folds(subplot, metric, row, name):
    ax = axes_of("model_scores")[subplot]
    scores = CLASSIFIERS[name].values[metric][:, 0]
    [bars] = error_bars(ax.containers[row])
    assert_allclose(bars, [scores.mean(), row, scores.std(ddof=1), 0], atol=1e-12)
    assert_allclose(lines_of(ax, markersize=2.5)[row].get_xdata(), scores)
    assert colors_of([ax.containers[row], ax.texts[row]]) == [COLORS[row]] * 2


def test_differences_from_lightgbm_have_intervals():
    _, bilstm = axes_of("model_scores")[1].containers
    scores = {name: record.macro_f1[:, 0] for name, record in CLASSIFIERS.items()}
    mean, _, high = interval(scores["bilstm"] - scores["lightgbm"], test_fraction=10 / 30)
    assert_allclose(error_bars(bilstm), [[mean, 1, high - mean, 0]], atol=1e-12)


@pytest.mark.parametrize(("subplot", "score"), [(0, 0.669), (2, 0.78)])
def test_published_scores_are_diamonds(subplot, score):
    ax = axes_of("model_scores")[subplot]
    [diamond] = lines_of(ax, marker="D")
    assert diamond.get_xydata().tolist() == [[score, 1]]
    assert colors_of([diamond]) == COLORS[1:]


def test_attention_is_sorted_by_rise_if_shuffled():
    attention = image_of(axes_of("importance_of_families")[0])
    assert attention.index.tolist() == list("ifjgh")
    assert attention.columns.tolist() == list("bacdfe")
    assert_allclose(attention.loc[list("fghij")], FAMILIES.attention.T)


@pytest.mark.parametrize(("subplot", "change"), [(1, "shuffled"), (2, "left out")])
def test_bars_are_means_and_dots_are_folds(subplot, change):
    ax = axes_of("importance_of_families")[subplot]
    rises = FAMILIES.values[f"{change.replace(' ', '_')}_log_loss"][:, [3, 0, 4, 1, 2]]
    assert ax.get_title() == f"{change} (bars: means, dots: folds)"
    assert_allclose([bar.get_width() for bar in ax.patches], rises.mean(axis=0))
    folds = [line.get_xdata() for line in lines_of(ax, marker=".")]
    assert_allclose(folds, rises)


@pytest.mark.parametrize("place", [0, 1])
def test_attention_of_all_data_has_the_same_rows(place):
    axes, record = axes_of("attention_maps"), ATTENTION[place]
    assert axes[place].get_title() == ["human cortex", "mouse cortex"][place]
    rows = tick_names(axes[0].yaxis)
    by_weight = np.argsort(-ATTENTION[0].attention[:, 0].mean(axis=(0, 1)))
    assert rows == ATTENTION[0].family_names[by_weight].tolist()
    columns = tick_names(axes[place].xaxis)
    drawn = pd.DataFrame(axes[place].images[0].get_array(), rows, columns)
    weights = record.attention[:, 0].mean(axis=0).T
    assert_allclose(drawn.loc[record.family_names, record.classes], weights)
    assert drawn.drop(record.family_names).isna().all(axis=None)


def test_attention_is_written_with_its_sd_over_folds():
    first, second, _ = axes_of("attention_maps")
    rows = tick_names(first.yaxis)
    written = {text.get_position(): text.get_text() for text in texts_on(second)}
    weights = ATTENTION[1].attention[:, 0, 2, 1]  # of family "j"
    assert written[2, rows.index("j")] == f"{weights.mean():.2f} ± {weights.std(ddof=1):.2f}"
    assert written[2, rows.index("l")] == "–"
