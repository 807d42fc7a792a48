"""Figures of one output and of a hundred, of one type and of a hundred: all stay readable."""

from dataclasses import replace

import matplotlib as mpl
import numpy as np
import pytest
from crowded import LONG, own_records
from made_up import assert_tidy, drawn_texts, words
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.data.checks import GREY
from sbnn.plotting.cells import legend_entries
from sbnn.plotting.colors import MOST_GROUPS, Groups
from sbnn.plotting.labels import SMALLEST, fit_text, shortened
from sbnn.plotting.maps import widened

CASES = {"one of each": (1, 1, 0), "many": (100, 40, 24)}  # outputs, types, families
FIGURES = {
    "overview": lambda r: plotting.overview(
        r["fit_default_2d"], r["halves_default"], r["cv_default"]
    ),
    "maps": lambda r: plotting.latent_panels(r["fit_default_2d"], scores=[r["cv_default"]]),
    "maps, two": lambda r: plotting.latent_panels(
        r["fit_default_2d"], r["fit_default_2d"], colorblind=True
    ),
    "zoom": lambda r: plotting.family_zoom(r["fit_default_2d"], scores=[r["cv_default"]]),
    "accuracy": lambda r: plotting.accuracy_comparison(models(r)),
    "effects": lambda r: plotting.effect_map(r["interpretation"]),
    "selection": lambda r: plotting.selection_frequencies(r["halves_default"]),
    "trust": lambda r: plotting.map_trust(r["map_trust"], r["fit_default_2d"]),
    "t-SNE": lambda r: plotting.tsne_pair(r["tsne"]),
    "components": lambda r: plotting.component_variance(r["components"]),
}


def models(records):
    return {"sBNN distilled, d = 2": records["cv_default"], "ridge": records["cv_ridge"]}


def with_values(record, **values):
    return replace(record, values=record.values | values)


@pytest.mark.parametrize("name", FIGURES)
@pytest.mark.parametrize("case", CASES)
def test_every_figure_of_any_number_of_outputs_and_types_is_readable(case, name):
    if name == "zoom" and not CASES[case][2]:
        pytest.skip("without families there is none to zoom at")
    figure = FIGURES[name](own_records(*CASES[case]))
    assert_tidy(figure)
    assert min(text.get_fontsize() for text in drawn_texts(figure)) >= SMALLEST - 1e-9
    assert figure.get_size_inches().max() <= 11, "a page holds it"
    for ax in figure.axes:
        width, height = ax.get_window_extent().size / figure.dpi
        if ax.axison and not hasattr(ax, "_colorbar"):
            assert min(width, height) >= 0.5, f"a panel of {width:.2f} x {height:.2f} inches"


def test_long_names_give_way_in_the_middle():
    assert shortened("Sag") == "Sag" and shortened("x" * 28) == "x" * 28
    names = {shortened(f"{LONG}, {i}") for i in range(100)}
    assert len(names) == 100 and max(map(len, names)) <= 28 and all("…" in name for name in names)
    figure = mpl.figure.Figure()
    text = figure.text(0, 0, f"{LONG}, 7 0.43", fontsize=7)
    fit_text(text, 0.7, keep=" 0.43")
    assert text.get_text().startswith("Act") and text.get_text().endswith("7 0.43")
    assert text.get_window_extent().width <= 0.7 * figure.dpi and text.get_fontsize() == 5


def test_figures_name_what_they_leave_out():
    records = own_records(80, 30, 24)
    assert "9 of 80 predicted features" in words(FIGURES["maps"](records))
    assert "of 16" not in words(FIGURES["maps"](own_records(16, 30, 5)))
    assert "80 outputs" in words(
        overview := FIGURES["overview"](records)
    ) and "and 56 more" in words(overview)
    many = records["interpretation"]
    names = np.array([f"o{i}" for i in range(120)])
    effects = np.tile(np.arange(120.0), (len(many.kept_genes), 1))
    effects[0, 0] = -200
    figure = plotting.effect_map(with_values(many, effects=effects, feature_names=names))
    text = words(figure)
    assert (
        "20 outputs not shown" in text
        and "o20\n" not in text
        and "o21\n" in text
        and "o0\n" in text
    )
    kept = own_records(16, 30, 5, n_genes=80)["halves_default"]
    assert "75 trusted genes, 15 of them not shown" in words(plotting.selection_frequencies(kept))
    spiked = with_values(kept, gene_names=np.r_[["ERCC-00009"], kept.gene_names[1:]])
    assert "ERCC" not in words(plotting.selection_frequencies(spiked)), (
        "spike-ins are no genes of the cells"
    )


def test_an_output_with_an_outlier_is_stretched_and_marked():
    fit = own_records(16, 30, 5)["fit_default_2d"]
    wide = widened(fit)
    assert wide[0] > 2 and (wide[1:] == 1).all()
    bulk = np.ptp(np.quantile(fit.outputs[:, 0] * wide[0], [0.025, 0.975]))
    assert bulk == pytest.approx(2 * 1.96), "as of a normal distribution"
    figure = plotting.latent_panels(fit)
    assert (
        words(figure).count("×") == 2
        and f"×{wide[0]:.0f}" in words(figure)
        and "outliers" in words(figure)
    )
    tame = plotting.latent_panels(with_values(fit, outputs=fit.outputs[:, np.r_[1, 1:16]]))
    assert "×" not in words(tame)
    first = (
        fit.feature_names[np.argsort(-fit.train_feature_r2)].tolist().index(fit.feature_names[0])
    )
    maps = [
        [image for ax in of.axes for image in ax.images][9 + first].get_array()
        for of in (figure, tame)
    ]
    shades = [len(np.unique(image.reshape(-1, 3), axis=0)) for image in maps]
    assert shades[0] > 1.5 * shades[1]


def test_one_output_does_not_take_the_colours_of_all_effects():
    record = own_records(16, 30, 5)["interpretation"]
    image, bar = plotting.effect_map(record).axes
    limit = image.images[0].get_clim()[1]
    assert (
        limit == pytest.approx(3 * np.median(np.abs(record.effects).max(0)))
        and "largest 5" in bar.get_ylabel()
    )
    alone = own_records(1, 30, 5)["interpretation"]
    alone = with_values(alone, effects=np.r_[[[9.0]], np.full((len(alone.effects) - 1, 1), 0.1)])
    assert plotting.effect_map(alone).axes[0].images[0].get_clim()[1] == pytest.approx(0.3), (
        "one gene either"
    )
    even = with_values(record, effects=np.clip(record.effects, -0.2, 0.2))
    image, bar = plotting.effect_map(even).axes
    assert (
        image.images[0].get_clim()[1] == np.abs(even.effects).max()
        and "largest" not in bar.get_ylabel()
    )


def test_one_fold_that_goes_wrong_does_not_take_the_scale():
    records = own_records(16, 30, 5)
    bad = with_values(records["cv_ridge"], test_r2=np.array([[-1.5], [-7.5], [0.5]]))
    both = {"sBNN distilled, d = 2": records["cv_default"], "ridge": bad}
    figure = plotting.accuracy_comparison(both)
    assert -1.3 < figure.axes[0].get_xlim()[0] < -1 and figure.axes[0].get_xlim()[1] < 1.2
    assert "2 R² below −1 (to −7.5)" in words(figure)
    drawn = [line.get_xdata() for line in figure.axes[0].lines]
    assert any(np.array_equal(x, [-1, -1, 0.5]) for x in drawn) and any(
        np.array_equal(x, [-1]) for x in drawn
    )
    assert_tidy(figure)


def test_colours_for_any_vision_are_of_listed_groups_only():
    fit = own_records(100, 100)["fit_default_2d"]
    groups = Groups(fit, colorblind=True)
    table, colors, markers = groups.table, groups.colors, groups.markers
    listed = table.index[: MOST_GROUPS - 1]
    own = fit.labels["type"].isin(listed).to_numpy()
    assert set(colors[~own]) == {GREY} and GREY not in colors[own]
    assert len(set(zip(colors[own], markers[own], strict=True))) == len(listed)
    rest = legend_entries(table)[-1]
    assert rest.get_label() == f"{len(table) - len(listed)} others ({(~own).sum()})"
    assert to_hex(rest.get_color()) == GREY
