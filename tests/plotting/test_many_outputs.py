"""Figures of one output and of a hundred, of one type and of a hundred: all stay readable."""

from dataclasses import replace

import numpy as np
import pytest
from crowded import own_records
from made_up import assert_tidy, drawn_texts, words
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.data.checks import GREY
from sbnn.plotting.cells import legend_entries
from sbnn.plotting.colors import MOST_GROUPS, Groups
from sbnn.plotting.interpretation import color_limit
from sbnn.plotting.labels import SMALLEST
from sbnn.plotting.maps import widened

CASES = {"one of each": (1, 1, 0), "many": (100, 40, 24)}  # outputs, types, families
FIGURES = {
    "overview": (plotting.overview, "fit_default_2d", "halves_default", "cv_default"),
    "maps": (plotting.latent_panels, "fit_default_2d", "fit_default_2d"),
    "effects": (plotting.effect_map, "interpretation"),
    "selection": (plotting.selection_frequencies, "halves_default"),
    "trust": (plotting.map_trust, "map_trust", "fit_default_2d"),
    "t-SNE": (plotting.tsne_pair, "tsne"),
    "components": (plotting.component_variance, "components"),
}


def with_values(record, **values):
    return replace(record, values=record.values | values)


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
    fit = records["fit_default_2d"]
    scores = [records["cv_default"]]
    assert_readable(plotting.latent_panels(fit, colorblind=True, scores=scores))
    assert_readable(plotting.family_zoom(fit, scores=scores))


def test_figures_count_what_they_leave_out():
    records = own_records(*CASES["many"], n_genes=80)
    fit = records["fit_default_2d"]
    assert "9 of 100 predicted features" in words(plotting.latent_panels(fit))
    assert "and 76 more" in words(plotting.overview(fit))
    kept = records["halves_default"]
    names = kept.gene_names.copy()
    names[0] = "ERCC-00009"
    shown = words(plotting.selection_frequencies(with_values(kept, gene_names=names)))
    assert "75 trusted genes, 15 of them not shown" in shown
    assert "ERCC" not in shown
    assert names[1] in shown


def test_the_outputs_with_the_largest_effects_are_drawn():
    record = own_records(16, 30, 5)["interpretation"]
    effects = np.tile(np.arange(120.0), (len(record.kept_genes), 1))
    effects[0, 0] = -200
    names = np.array([f"o{i}" for i in range(120)])
    figure = plotting.effect_map(with_values(record, effects=effects, feature_names=names))
    ax = figure.axes[0]
    outputs = [label.get_text() for label in ax.get_yticklabels()]
    assert set(outputs) == {"o0", *(f"o{i}" for i in range(21, 120))}
    assert "20 outputs not shown" in words(figure)
    genes = [label.get_text() for label in ax.get_xticklabels()]
    place = outputs.index("o0"), genes.index(str(record.kept_genes[0]))
    image = ax.images[0].get_array()
    assert image[place] == -200
    assert (np.ptp(image, axis=1) == 0).sum() == 99


def test_one_output_or_gene_does_not_take_the_colours_of_all_effects():
    record = own_records(16, 30, 5)["interpretation"]
    image, bar = plotting.effect_map(record).axes
    usual = np.median(np.abs(record.effects).max(0))
    assert image.images[0].get_clim() == pytest.approx((-3 * usual, 3 * usual))
    assert "largest 5" in bar.get_ylabel()

    effects = np.clip(record.effects, -0.2, 0.2)
    image, bar = plotting.effect_map(with_values(record, effects=effects)).axes
    assert image.images[0].get_clim()[1] == np.abs(effects).max()
    assert "largest" not in bar.get_ylabel()
    effects = np.full((len(record.effects), 1), 0.1)
    effects[0] = 9
    assert color_limit(effects) == pytest.approx(0.3)


def test_an_output_with_an_outlier_is_stretched_and_marked():
    fit = own_records(16, 30, 5)["fit_default_2d"]
    wide = widened(fit)
    assert wide[0] > 2
    assert (wide[1:] == 1).all()
    bulk = np.ptp(np.quantile(fit.outputs[:, 0] * wide[0], [0.025, 0.975]))
    assert bulk == pytest.approx(2 * 1.96), "as of a normal distribution"
    figure = plotting.latent_panels(fit)
    assert f"×{wide[0]:.0f}" in words(figure)
    tame = plotting.latent_panels(with_values(fit, outputs=fit.outputs[:, np.r_[1, 1:16]]))
    assert "×" not in words(tame)
    first = np.argsort(-fit.train_feature_r2).tolist().index(0)
    n_shades = []
    for maps in (figure, tame):
        images = [image for ax in maps.axes for image in ax.images]
        pixels = images[9 + first].get_array().reshape(-1, 3)
        n_shades.append(len(np.unique(pixels, axis=0)))
    assert n_shades[0] > 1.5 * n_shades[1]


def test_one_fold_that_goes_wrong_does_not_take_the_scale():
    records = own_records(16, 30, 5)
    bad = with_values(records["cv_ridge"], test_r2=np.array([[-1.5], [-7.5], [0.5]]))
    models = {"sBNN distilled, d = 2": records["cv_default"], "ridge": bad}
    figure = plotting.accuracy_comparison(models)
    low, high = figure.axes[0].get_xlim()
    assert -1.3 < low < -1
    assert high < 1.2
    assert "2 R² below −1 (to −7.5)" in words(figure)
    drawn = [list(line.get_xdata()) for line in figure.axes[0].lines]
    assert [-1, -1, 0.5] in drawn
    assert [-1] in drawn
    assert_tidy(figure)


def test_colours_for_any_vision_are_of_listed_groups_only():
    fit = own_records(100, 100)["fit_default_2d"]
    groups = Groups(fit, colorblind=True)
    listed = groups.table.index[: MOST_GROUPS - 1]
    own = fit.labels["type"].isin(listed).to_numpy()
    assert set(groups.colors[~own]) == {GREY}
    assert GREY not in groups.colors[own]
    looks = set(zip(groups.colors[own], groups.markers[own], strict=True))
    assert len(looks) == len(listed)
    rest = legend_entries(groups.table)[-1]
    assert rest.get_label() == f"{len(groups.table) - len(listed)} others ({(~own).sum()})"
    assert to_hex(rest.get_color()) == GREY
