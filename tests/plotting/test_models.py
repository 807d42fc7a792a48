"""Test R2 of models, widths and outputs, and how often genes are kept."""

from dataclasses import replace

import numpy as np
import pytest
from material.comparisons import interval
from material.drawn import (
    colors_of,
    error_bars,
    figure_text,
    labels_of,
    lines_of,
    texts_on,
    tick_names,
)
from material.figures import axes_of
from material.records import (
    FREQUENCIES,
    HALVES,
    LINEAR,
    OTHER_HALVES,
    OTHER_WIDTHS,
    OUTPUTS,
    RIDGE,
    WIDTHS,
    folds_record,
)
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.plotting.colors import BLUE, GREEN, MODEL_COLORS, VERMILLION

COLORS = [to_hex(MODEL_COLORS["linear"]), to_hex(BLUE)]


def means_and_sds(record, points, metric="test_r2"):
    values = record.values[metric][:, points]
    return values.mean(axis=0), values.std(axis=0, ddof=1)


def test_models_have_mean_r2_with_sd():
    """The linear model is that of at most six genes."""
    ax, _ = axes_of("accuracy_comparison")
    linear, ridge = means_and_sds(LINEAR, 7), means_and_sds(RIDGE, 0)
    drawn = [error_bars(container)[0] for container in ax.containers]
    assert_allclose(drawn, [[linear[0], 0, linear[1], 0], [ridge[0], 1, ridge[1], 0]])
    texts = [text.get_text() for text in texts_on(ax)]
    assert texts == [f"{mean:.3f} ± {sd:.3f}" for mean, sd in (linear, ridge)]


def test_dots_are_folds_in_order():
    linear, ridge = lines_of(axes_of("accuracy_comparison")[0], markersize=2.5)
    assert_allclose(linear.get_xydata().T, [LINEAR.test_r2[:, 7], [-0.28, 0, 0.28]], atol=1e-9)
    assert_allclose(ridge.get_xydata().T, [RIDGE.test_r2[:, 0], [0.72, 1, 1.28]])


def test_models_have_names_and_colours_of_their_kind():
    ax, _ = axes_of("accuracy_comparison")
    names = ["linear, 6 genes", "ridge, 12 genes"]
    assert tick_names(ax.yaxis) == names
    assert colors_of(ax.containers) == colors_of(texts_on(ax)) == COLORS
    assert ax.yaxis_inverted(), "the first is at the top"


def test_differences_from_the_first_model_have_intervals():
    _, ax = axes_of("accuracy_comparison")
    differences = RIDGE.test_r2[:, 0] - LINEAR.test_r2[:, 7]
    mean, _, high = interval(differences, test_fraction=10 / 20)
    linear, ridge = map(error_bars, ax.containers)
    assert_allclose(linear, [[0, 0, 0, 0]], atol=1e-12)
    assert_allclose(ridge, [[mean, 1, high - mean, 0]], atol=1e-12)
    assert ax.get_xlabel().startswith("minus linear")


def test_each_reference_has_its_differences():
    models = {"linear": (LINEAR, LINEAR.params[7]), "ridge": RIDGE, "again": RIDGE}
    figure = plotting.accuracy_comparison(models, references=["linear", "ridge"])
    _, from_linear, from_ridge = figure.axes
    difference = (RIDGE.test_r2[:, 0] - LINEAR.test_r2[:, 7]).mean()
    expected = {from_linear: [0, difference, difference], from_ridge: [-difference, 0, 0]}
    for ax, means in expected.items():
        found = [error_bars(container)[0, 0] for container in ax.containers]
        assert_allclose(found, means, atol=1e-12)
    assert from_ridge.get_xlabel().startswith("minus ridge")


def test_an_unknown_reference_is_refused():
    with pytest.raises(ValueError, match="references: .*'lasso'"):
        plotting.accuracy_comparison({"ridge": RIDGE}, references=["lasso"])


@pytest.fixture(scope="module")
def accuracy_of_failing():
    """A model on 9, 12 and 12 genes, of which two folds lie below -1, and one of four folds."""
    values = {
        "preselected": np.arange(40) < [[9], [12], [12]],
        "test_r2": np.array([[-1.5], [-7.5], [0.5]]),
    }
    failing = replace(RIDGE, settings={"scaling": "all"}, values=values)
    r2 = {"test_r2": np.ones((4, 1))}
    other = replace(RIDGE, folds=RIDGE.folds[:1] * 4, values=RIDGE.values | r2)
    return plotting.accuracy_comparison({"failing": failing, "other": other})


@pytest.mark.parametrize(
    "text",
    ["failing, 11 genes", "−2.833", "3 or 4 folds, scaled over all cells or scaled per fold"],
)
def test_accuracy_names_genes_scaling_and_folds(accuracy_of_failing, text):
    assert text in figure_text(accuracy_of_failing)


def test_failed_folds_lie_outside_the_subplot(accuracy_of_failing):
    [ax] = accuracy_of_failing.axes  # without differences, as folds are others
    low, high = ax.get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2


def test_networks_have_r2_by_width():
    """The second network is 3 % to the right."""
    [ax] = axes_of("bottleneck_widths")
    first, second = map(error_bars, ax.containers)
    means, sds = means_and_sds(WIDTHS, slice(None))
    assert_allclose(first.T, [[1, 2, 4, 8, 64], means, [0] * 5, sds])
    means, sds = means_and_sds(OTHER_WIDTHS, [0, 2, 4])
    assert_allclose(second.T, [[2.06, 16.48, 65.92], means, [0] * 3, sds])
    assert labels_of(ax.containers) == ["distilled", "published"]
    assert colors_of(ax.containers) == [to_hex(GREEN), to_hex(VERMILLION)]


def test_widths_have_a_logarithmic_axis():
    [ax] = axes_of("bottleneck_widths")
    assert ax.get_xscale() == "log"
    assert tick_names(ax.xaxis) == ["1", "2", "4", "8", "16", "64"]
    settings = "8 or 10 genes, mean ± SD over 3 folds, scaled per fold"
    assert ax.get_xlabel() == f"units of the bottleneck, d ({settings})"


def test_bars_are_frequencies_of_the_first_halves():
    ax = axes_of("width_and_stability")[1]
    assert_allclose([bar.get_height() for bar in ax.patches], FREQUENCIES)
    assert tick_names(ax.xaxis) == HALVES.gene_names[:10].tolist()
    bold = [name.get_text() for name in ax.get_xticklabels() if name.get_fontweight() == "bold"]
    assert bold == HALVES.gene_names[:2].tolist(), "trusted ones"
    assert ax.get_xlim()[1] > 9.36, "the last bar has room"
    assert "100%" in tick_names(ax.yaxis)


def test_markers_are_frequencies_of_other_halves():
    frequencies = dict(zip(OTHER_HALVES.gene_names, FREQUENCIES, strict=False))
    expected = [frequencies.get(gene, 0) for gene in HALVES.gene_names[:10]]
    [drawn] = axes_of("width_and_stability")[1].lines
    assert drawn.get_linestyle() == "None"
    assert_allclose(np.nan_to_num(drawn.get_ydata()), expected)
    assert_allclose(drawn.get_xdata(), np.arange(10))


def test_halves_have_colours_of_their_model_and_count_their_genes():
    ax = axes_of("width_and_stability")[1]
    assert colors_of(ax.lines) == [to_hex(VERMILLION)]
    assert {to_hex(bar.get_facecolor()) for bar in ax.patches} == {to_hex(GREEN)}
    texts = [text.get_text() for text in ax.get_legend().get_texts()]
    genes = "20 halves: 2 genes on 90% or more"
    assert texts == [f"published, {genes}", f"distilled, {genes}"]


def test_outputs_are_of_some_of_the_compared_models():
    """Those of the models that are there."""
    *_, compared, outputs = axes_of("width_and_stability")
    assert tick_names(compared.yaxis) == ["linear", "ridge"]
    assert labels_of(outputs.containers) == ["ridge"]


def test_outputs_are_sorted_by_the_first_model():
    """Of linear models, that with the most genes up to 25."""
    [ax] = axes_of("output_accuracy")
    linear, sd_of_linear = means_and_sds(LINEAR, 5, "test_feature_r2")
    ridge, sd_of_ridge = means_and_sds(RIDGE, 0, "test_feature_r2")
    order = np.argsort(-linear)
    assert tick_names(ax.yaxis) == [OUTPUTS[place] for place in order]
    rows, none = np.arange(6), np.zeros(6)
    first, second = map(error_bars, ax.containers)
    assert_allclose(first.T, [linear[order], rows - 0.07, sd_of_linear[order], none])
    assert_allclose(second.T, [ridge[order], rows + 0.07, sd_of_ridge[order], none])
    assert labels_of(ax.containers) == ["linear", "ridge"]
    assert colors_of(ax.containers) == COLORS


def test_models_of_other_outputs_are_refused():
    names = np.array([f"other {name}" for name in OUTPUTS])
    other = folds_record("LeaveOneOutRidge", [{}], feature_names=names)
    with pytest.raises(ValueError, match="'made up' has no test R² of output '"):
        plotting.output_accuracy({"ridge": RIDGE, "other": other})
