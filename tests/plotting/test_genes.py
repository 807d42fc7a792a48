"""Genes that are selected, how many suffice, and their effects."""

import numpy as np
import pytest
from drawn import bands_of, colors_of, edges, heights, image_of, texts_on, tick_names
from figure_records import GENES, OUTPUTS, gene_selection, genes_curve, halves, interpretation
from made_up import figure_text, halves_record, ridge_record
from matplotlib.colors import to_hex
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.plotting.colors import GREEN


@pytest.fixture(scope="module")
def selection():
    return gene_selection()


@pytest.fixture(scope="module")
def curve(selection):
    """Axes on which the last of 39 genes with counts is far away."""
    selection.mean_log2[39] = 40
    [ax] = plotting.gene_selection_curve(selection).axes
    return ax


def test_genes_are_drawn_unless_they_have_no_counts(curve, selection):
    others, selected, _ = curve.lines
    for line, is_drawn in [(others, ~selection.selected), (selected, selection.selected)]:
        genes = np.flatnonzero(is_drawn & np.isfinite(selection.mean_log2))
        expected = [selection.mean_log2[genes], selection.near_zero_frequency[genes]]
        assert_allclose(line.get_xydata().T, expected)


def test_selected_genes_are_darker_and_counted(curve, selection):
    n_selected = selection.selected[np.isfinite(selection.mean_log2)].sum()
    colors = {line.get_label(): line.get_color() for line in curve.lines[:2]}
    assert colors == {"others": "0.6", f"{n_selected} selected genes": "0.15"}


def test_rule_is_drawn_with_its_formula(curve):
    rule = curve.lines[2]
    expected = np.exp(-1.5 * (rule.get_xdata() - 0.5)) + 0.02
    assert_allclose(rule.get_ydata(), expected)
    assert rule.get_label() == "exp(−1.5 (x − 0.50)) + 0.02"


def test_few_genes_far_away_leave_the_panel(curve):
    assert 1 < curve.get_xlim()[1] < 40


@pytest.fixture(scope="module")
def by_number():
    [ax] = plotting.genes_curve(genes_curve()).axes
    return ax


def test_curve_has_folds_mean_and_sd(by_number):
    r2 = genes_curve().test_r2
    mean, sd = r2.mean(axis=0), r2.std(axis=0, ddof=1)
    assert_allclose(heights(by_number.lines[:4]), [*r2, mean])
    [band] = bands_of(by_number)
    assert_allclose(edges(band), [mean - sd, mean + sd])
    numbers = [line.get_xdata() for line in by_number.lines[:4]]
    assert_allclose(numbers, [[10, 20, 40]] * 4)


def test_curve_has_the_colour_of_its_model(by_number):
    drawn = [*by_number.lines[:4], *bands_of(by_number)]
    assert set(colors_of(drawn)) == {to_hex(GREEN)}


def test_numbers_of_genes_have_a_logarithmic_axis(by_number):
    assert by_number.get_xscale() == "log"
    assert tick_names(by_number.xaxis) == ["10", "20", "40"]


@pytest.mark.parametrize(("gain", "n_genes", "text"), [(0, 20, "20 suffice"), (1, 40, "40 or more")])
def test_smallest_sufficient_number_is_marked(gain, n_genes, text):
    record = genes_curve()
    record.test_r2[:, 2] += gain
    [ax] = plotting.genes_curve(record).axes
    assert ax.lines[4].get_xdata() == [n_genes, n_genes]
    assert [text.get_text() for text in ax.texts] == [text]


@pytest.fixture(scope="module")
def frequencies():
    [ax] = plotting.selection_frequencies(halves()).axes
    return ax


def test_bars_are_frequencies_of_genes(frequencies):
    bars = [bar.get_height() for bar in frequencies.patches]
    assert_allclose(bars, [1, 1, *np.arange(8, 0, -1) / 20])
    assert tick_names(frequencies.xaxis) == halves().gene_names[:10].tolist()


def test_trusted_genes_are_green(frequencies):
    colors = [to_hex(bar.get_facecolor()) for bar in frequencies.patches]
    assert colors == [to_hex(GREEN)] * 2 + [to_hex("0.65")] * 8


@pytest.fixture(scope="module")
def many_halves():
    """Genes of which the first 60 are always kept, 80 at least once, one of them added RNA."""
    selected = np.arange(8000) < np.linspace(60, 80, 20)[:, np.newaxis]
    names = ["ERCC-00009", *(f"Gene{i}" for i in range(1, 8000))]
    record = halves_record(selected, np.array(names))
    record.values["cells_behind"] = np.full(8000, 100.0)
    return plotting.selection_frequencies(record)


def test_threshold_is_drawn_and_trusted_genes_counted(many_halves):
    """Gene number 60 + k is kept by those 20 - k halves that keep at least so many."""
    [ax] = many_halves.axes
    assert ax.lines[0].get_ydata() == [0.65, 0.65]
    n_kept = np.linspace(60, 80, 20)
    frequency = [(n_kept > gene).mean() for gene in range(1, 80)]
    n_trusted = np.sum(np.array(frequency) > 0.64)
    assert f"{n_trusted} trusted genes, frequency ≥ 0.65" in figure_text(many_halves)


def test_genes_left_out_are_counted(many_halves):
    assert "60 of 79 genes kept at least once" in figure_text(many_halves)


def test_added_rna_is_no_gene(many_halves):
    assert "ERCC" not in figure_text(many_halves)


def test_similar_genes_and_outputs_are_neighbours():
    """They are sorted as in the record, or backwards."""
    effects = image_of(plotting.effect_map(interpretation()).axes[0])
    assert [*effects.index] in (OUTPUTS, OUTPUTS[::-1])
    assert [*effects.columns] in (GENES, GENES[::-1])
    assert_allclose(effects.loc[OUTPUTS, GENES], interpretation().effects.T)


def test_colours_of_effects_are_symmetric():
    [image] = plotting.effect_map(interpretation()).axes[0].images
    assert image.get_clim() == (-66, 66)


@pytest.fixture(scope="module")
def strength():
    """Effect on each of 120 outputs: a permutation of 0 to 119."""
    return 7.0 * np.arange(120) % 120


@pytest.fixture(scope="module")
def effect_map(strength):
    """Of 25 genes, the largest effect on the first output."""
    effects = np.tile(strength, (25, 1))
    effects[3, 0] = -1000
    names = np.array([f"o{i}" for i in range(120)])
    record = ridge_record()
    record.values = {"effects": effects, "kept_genes": names[:25], "feature_names": names}
    return plotting.effect_map(record)


def test_outputs_with_largest_effects_are_drawn(effect_map, strength):
    effects = image_of(effect_map.axes[0])["o7"]
    expected = {f"o{i}": strength[i] for i in np.flatnonzero(strength > 60)}
    assert effects.to_dict() == {"o0": 0, **expected}
    assert "60 of 120 outputs" in figure_text(effect_map)


def test_one_output_does_not_take_all_colours(effect_map):
    [image] = effect_map.axes[0].images
    largest = [*range(61, 120), 1000]  # of each output
    assert image.get_clim()[1] == pytest.approx(3 * np.median(largest))


def test_colour_bar_names_the_largest_effect(effect_map):
    assert "largest 1e+03" in effect_map.axes[1].get_ylabel()
