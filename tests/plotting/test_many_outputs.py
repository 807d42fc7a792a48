"""Figures of one output and of a hundred, of one type and of a hundred: all stay readable."""

from dataclasses import replace

import numpy as np
import pytest
from crowded import own_records
from made_up import assert_tidy, drawn_texts, ridge_record, words

from sbnn import plotting
from sbnn.plotting.interpretation import color_limit
from sbnn.plotting.labels import SMALLEST

CASES = {"one of each": (1, 1, 0), "many": (100, 40, 24)}  # outputs, types, families
FIGURES = {
    "overview": (plotting.overview, "fit", "halves", "folds"),
    "maps": (plotting.latent_panels, "fit", "fit"),
    "effects": (plotting.effect_map, "effects"),
    "selection": (plotting.selection_frequencies, "halves"),
}


def assert_readable(figure):
    assert_tidy(figure)
    assert min(text.get_fontsize() for text in drawn_texts(figure)) >= SMALLEST - 1e-9
    assert figure.get_size_inches().max() <= 11, "a page holds it"
    for ax in figure.axes:
        if ax.axison and not hasattr(ax, "_colorbar"):
            assert min(ax.get_window_extent().size) >= 0.5 * figure.dpi


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_figure_of_any_number_of_outputs_and_types_is_readable(case, name):
    records = own_records(*CASES[case])
    draw, *needed = FIGURES[name]
    assert_readable(draw(*(records[record] for record in needed)))


def test_scores_and_an_enlarged_family_of_many_are_readable():
    records = own_records(*CASES["many"])
    fit = records["fit"]
    scores = [(records["folds"], {"n_components": 2})]
    assert_readable(plotting.latent_panels(fit, scores=scores))
    assert_readable(plotting.family_zoom(fit, scores=scores))


def test_figures_count_what_they_leave_out():
    records = own_records(*CASES["many"], n_genes=80)
    fit = records["fit"]
    assert "9 of 100 predicted outputs" in words(plotting.latent_panels(fit))
    assert "and 76 more" in words(plotting.overview(fit))
    kept = records["halves"]
    names = kept.gene_names.copy()
    names[0] = "ERCC-00009"
    kept = replace(kept, values=kept.values | {"gene_names": names})
    shown = words(plotting.selection_frequencies(kept))
    assert "75 trusted genes from 20 halves" in shown
    assert "60 of 112 genes kept at least once" in shown
    assert "ERCC" not in shown
    assert names[1] in shown


def effect_record(effects):
    genes, outputs = [np.array([f"o{i}" for i in range(n)]) for n in effects.shape]
    values = {"effects": effects, "kept_genes": genes, "feature_names": outputs}
    return replace(ridge_record(), values=values)


def test_the_outputs_with_the_largest_effects_are_drawn():
    effects = np.tile(np.arange(120.0), (25, 1))
    effects[3, 0] = -200
    figure = plotting.effect_map(effect_record(effects))
    ax = figure.axes[0]
    outputs = [label.get_text() for label in ax.get_yticklabels()]
    genes = [label.get_text() for label in ax.get_xticklabels()]
    assert set(outputs) == {"o0", *(f"o{i}" for i in range(21, 120))}
    assert "100 of 120 outputs" in words(figure)
    image = ax.images[0].get_array()
    rows = [int(name[1:]) for name in outputs]
    columns = [int(name[1:]) for name in genes]
    np.testing.assert_array_equal(image, effects.T[np.ix_(rows, columns)])


def test_one_output_or_gene_does_not_take_the_colours_of_all_effects():
    effects = np.clip(np.random.default_rng(0).normal(size=(9, 6)), -2, 2)
    _, bar = plotting.effect_map(effect_record(effects)).axes
    assert "largest" not in bar.get_ylabel()
    assert color_limit(effects) == 2
    effects[2, 3] = -50
    image, bar = plotting.effect_map(effect_record(effects)).axes
    usual = np.median(np.abs(effects).max(0))
    assert image.images[0].get_clim() == pytest.approx((-3 * usual, 3 * usual))
    assert "largest 50" in bar.get_ylabel()
    assert color_limit(effects[:, [3]]) == pytest.approx(3 * np.median(np.abs(effects[:, 3])))
