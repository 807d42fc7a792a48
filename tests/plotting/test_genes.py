"""Genes that are selected, how many suffice, and their effects."""

from dataclasses import replace

import numpy as np
import pytest
from material.drawn import (
    bands_of,
    colors_of,
    edges,
    figure_text,
    heights,
    image_of,
    lines_of,
    tick_names,
)
from material.figures import axes_of
from material.records import (
    EFFECTS,
    FREQUENCIES,
    GENES,
    GENES_CURVE,
    HALVES,
    OUTPUTS,
    SELECTION,
    halves_record,
)
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.plotting.colors import GREEN


@pytest.mark.parametrize(("line", "is_selected"), [(0, False), (1, True)])
def test_genes_are_drawn_unless_they_have_no_counts(line, is_selected):
    drawn = axes_of("gene_selection_curve")[0].lines[line].get_xydata()
    genes = [gene for gene in range(40) if gene != 3 and (gene % 3 == 0) == is_selected]
    expected = [SELECTION.mean_log2[genes], SELECTION.near_zero_frequency[genes]]
    assert_allclose(drawn.T, expected)


def test_selected_genes_are_darker_and_counted():
    lines = axes_of("gene_selection_curve")[0].lines[:2]
    colors = {line.get_label(): line.get_color() for line in lines}
    assert colors == {"others": "0.6", "13 selected genes": "0.15"}


def test_rule_is_drawn_with_its_formula():
    rule = axes_of("gene_selection_curve")[0].lines[2]
    expected = np.exp(-1.5 * (rule.get_xdata() - 0.5)) + 0.02
    assert_allclose(rule.get_ydata(), expected)
    assert rule.get_label() == "exp(−1.5 (x − 0.50)) + 0.02"


def test_markers_are_named_at_their_places():
    """Those without counts, and those of other data, are left out."""
    names = np.array([f"Gene{i}" for i in range(40)])
    record = replace(SELECTION, values=SELECTION.values | {"gene_names": names})
    [ax] = plotting.gene_selection_curve(record, ["Gene7", "Gene3", "absent"]).axes
    [marker] = lines_of(ax, label="named genes")
    expected = [[record.mean_log2[7], record.near_zero_frequency[7]]]
    assert_allclose(marker.get_xydata(), expected)
    assert [text.get_text() for text in ax.texts] == ["Gene7"]


def test_few_genes_far_away_leave_the_subplot():
    assert 3 < axes_of("gene_selection_curve")[0].get_xlim()[1] < 40


def test_curve_has_folds_mean_and_sd():
    [ax] = axes_of("genes_curve")
    r2 = GENES_CURVE.test_r2
    mean, sd = r2.mean(axis=0), r2.std(axis=0, ddof=1)
    assert_allclose(heights(ax.lines[:4]), [*r2, mean])
    [band] = bands_of(ax)
    assert_allclose(edges(band), [mean - sd, mean + sd])
    assert set(colors_of([*ax.lines[:4], band])) == {to_hex(GREEN)}


def test_numbers_of_genes_have_a_logarithmic_axis():
    [ax] = axes_of("genes_curve")
    assert ax.lines[3].get_xdata().tolist() == [5, 10, 20, 40]
    assert ax.get_xscale() == "log"
    assert tick_names(ax.xaxis) == ["5", "10", "20", "40"]


@pytest.mark.parametrize(
    ("best", "n_genes", "text"), [(0.5, 20, "20 genes suffice"), (9, 40, "40 or more genes needed")]
)
def test_smallest_sufficient_number_is_marked(best, n_genes, text):
    r2 = GENES_CURVE.test_r2 + [0, 0, 0, best - 0.5]
    record = replace(GENES_CURVE, values=GENES_CURVE.values | {"test_r2": r2})
    [ax] = plotting.genes_curve(record).axes
    assert ax.lines[4].get_xdata() == [n_genes, n_genes]
    assert ax.texts[0].get_text() == text


def test_bars_are_frequencies_of_genes():
    [ax] = axes_of("selection_frequencies")
    assert_allclose([bar.get_height() for bar in ax.patches], FREQUENCIES)
    assert tick_names(ax.xaxis) == HALVES.gene_names[:10].tolist()
    colors = [to_hex(bar.get_facecolor()) for bar in ax.patches]
    assert colors == [to_hex(GREEN)] * 2 + [to_hex("0.65")] * 8, "trusted ones are green"


@pytest.fixture(scope="module")
def many_halves():
    """The first 60 genes, one of which is added RNA, are always kept; the others less and less."""
    selected = np.arange(8000) < np.linspace(60, 80, 20)[:, np.newaxis]
    names = ["ERCC-00009", *(f"Gene{i}" for i in range(1, 8000))]
    record = halves_record(selected, np.array(names))
    record.values["cells_behind"] = np.full(8000, 100.0)
    return plotting.selection_frequencies(record)


def test_the_threshold_is_drawn(many_halves):
    assert many_halves.axes[0].lines[0].get_ydata() == [0.65, 0.65]


@pytest.mark.parametrize(
    "text", ["67 trusted genes, frequency ≥ 0.65", "60 of 79 genes kept at least once"]
)
def test_genes_are_counted_without_added_rna(many_halves, text):
    shown = figure_text(many_halves)
    assert text in shown
    assert "ERCC" not in shown


def test_similar_genes_and_outputs_are_neighbours():
    """They are sorted as in the record, or backwards."""
    effects = image_of(axes_of("effect_map")[0])
    assert [*effects.index] in (OUTPUTS, OUTPUTS[::-1])
    assert [*effects.columns] in (GENES, GENES[::-1])
    assert_allclose(effects.loc[OUTPUTS, GENES], EFFECTS.effects.T)


def test_trusted_genes_are_bold_beside_the_cells_left_out():
    settings = EFFECTS.settings | {"held out": "a quarter"}
    figure = plotting.effect_map(replace(EFFECTS, settings=settings), HALVES)
    labels = figure.axes[0].get_xticklabels()
    bold = {label.get_text() for label in labels if label.get_fontweight() == "bold"}
    assert bold == {*HALVES.gene_names[:2]}
    assert "fitted without a quarter of the cells" in figure_text(figure)


@pytest.fixture(scope="module")
def large_effect_map():
    """Effects on 120 outputs are 0 to 119 in some order, but for one of -1000 on the first."""
    effects = np.tile(7.0 * np.arange(120) % 120, (25, 1))
    effects[3, 0] = -1000
    names = np.array([f"o{i}" for i in range(120)])
    values = {"effects": effects, "kept_genes": names[:25], "feature_names": names}
    return plotting.effect_map(replace(EFFECTS, values=values))


def test_outputs_with_largest_effects_are_drawn(large_effect_map):
    effects = image_of(large_effect_map.axes[0])["o7"]
    expected = {f"o{i}": 7 * i % 120 for i in range(120) if 7 * i % 120 > 60}
    assert effects.to_dict() == {"o0": 0, **expected}
    assert "60 of 120 outputs" in figure_text(large_effect_map)


def test_one_output_does_not_take_all_colours(large_effect_map):
    """The median of the largest effects is 90.5; the largest is named."""
    ax, bar = large_effect_map.axes
    assert ax.images[0].get_clim() == pytest.approx((-271.5, 271.5))
    assert "largest 1e+03" in bar.get_ylabel()
