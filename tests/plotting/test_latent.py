"""Maps of one fit with predictions of genes and outputs, and its overview."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from material.drawn import (
    cells_at,
    cells_of,
    figure_text,
    legend_of,
    slopes_of,
    texts_on,
    tick_names,
)
from material.figures import axes_of
from material.records import (
    CELL_COLORS,
    GENES,
    HALVES,
    NARROW,
    OTHER_WIDTHS,
    OUTPUTS,
    WIDE,
    WIDTHS,
    fit_record,
)
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.plotting import latent
from sbnn.plotting.colors import BLUE, VERMILLION
from sbnn.plotting.maps import map_coordinates

#: Fits, one below the other, with the cross-validation and its grid point.
rows = pytest.mark.parametrize(
    ("row", "fit", "folds", "point"), [(0, WIDE, OTHER_WIDTHS, 4), (1, NARROW, WIDTHS, 1)]
)


def part_of_maps(*places):
    part = axes_of("latent_subplots")[0].get_figure(root=True)
    for place in places:
        part = part.subfigs[place]
    return part


def assert_maps(subplots, fit, values):
    """Predictions, (n_cells, n_subplots), rise in the same direction."""
    slopes = LinearRegression().fit(map_coordinates(fit), values).coef_
    assert_allclose([slopes_of(ax) for ax in subplots], slopes, rtol=0.03, atol=0.03)


@rows
def test_titles_have_the_mean_r2(row, fit, folds, point):
    r2 = folds.test_r2[:, point].mean()
    assert part_of_maps(row).get_suptitle().endswith(f": test R² {r2:.2f}")


@rows
def test_maps_of_genes_are_ordered_by_norm(row, fit, folds, point):
    order = np.argsort(-fit.gene_norms)[:6]
    subplots = part_of_maps(row, 0).axes[:6]
    assert [ax.get_title() for ax in subplots] == [GENES[gene] for gene in order]
    assert_maps(subplots, fit, fit.predicted_expression[:, order])


@rows
def test_maps_of_outputs_have_their_r2(row, fit, folds, point):
    """Those of the published figure, and then those predicted best."""
    order = [1, 0, 2, 5, 4, 3]
    r2 = folds.test_feature_r2[:, point].mean(axis=0)
    subplots = part_of_maps(row, 2).axes[:6]
    assert [ax.get_title() for ax in subplots] == [f"{OUTPUTS[i]} {r2[i]:.2f}" for i in order]
    assert_maps(subplots, fit, fit.predictions[:, order])


@rows
def test_cells_have_places_and_colours_of_families(row, fit, folds, point):
    [ax] = part_of_maps(row, 1).axes
    assert_allclose(cells_of(ax), cells_at(map_coordinates(fit), CELL_COLORS))


def test_the_family_is_in_colour_among_all_cells_and_enlarged():
    whole, enlarged, *_ = axes_of("family_zoom")
    places = map_coordinates(NARROW)
    colors = NARROW.labels["type"].map({"A1": BLUE, "A2": VERMILLION})
    assert_allclose(cells_of(whole), cells_at(places, colors.fillna("#D0D0D0")))
    assert_allclose(cells_of(enlarged), cells_at(places[::3], colors[::3]))
    assert [text.get_text() for text in texts_on(enlarged)] == ["A1", "A2"]
    expected = [("A1 (15)", BLUE.lower()), ("A2 (15)", VERMILLION.lower())]
    assert legend_of(whole.get_figure()) == expected


def test_a_frame_shows_what_is_enlarged():
    whole, enlarged, *_ = axes_of("family_zoom")
    [frame] = whole.patches
    corners = np.transpose([enlarged.get_xlim(), enlarged.get_ylim()])
    assert_allclose(frame.get_bbox().get_points(), corners)


def test_types_that_differ_by_a_number_have_one_colour():
    record = fit_record()
    names = ["Vip Chat_1", "Vip Chat_2", "Vip Gpc3", *(f"Vip {x}" for x in "vwxyz")]
    record.values["labels"] = pd.DataFrame({"family": "Vip", "type": np.resize(names, 90)})
    texts = [text for text, _ in legend_of(plotting.family_zoom(record))]
    assert texts == ["Chat (24)", "Gpc3 (11)", "v (11)", "w (11)", "x (11)", "others (22)"]


def test_large_maps_show_a_marker_and_two_outputs():
    """No gene has the name of the family."""
    subplots = axes_of("family_zoom")[2:5]
    marker = NARROW.predicted_expression[::3].mean(axis=0).argmax()
    r2 = WIDTHS.test_feature_r2[:, 1].mean(axis=0)
    outputs = [f"Tau, test R² {r2[0]:.2f}", f"Rebound, test R² {r2[2]:.2f}"]
    assert [ax.get_title() for ax in subplots] == [GENES[marker], *outputs]
    maps = [NARROW.predicted_expression[:, marker], *NARROW.predictions[:, [0, 2]].T]
    assert_maps(subplots, NARROW, np.transpose(maps))


def test_colours_of_large_maps_leave_out_extremes():
    """The lowest and the highest 2 % of the predictions in the square."""
    ax = axes_of("family_zoom")[3]
    low, high = np.transpose([ax.get_xlim(), ax.get_ylim()])
    places = map_coordinates(NARROW)
    is_shown = ((places > low) & (places < high)).all(axis=1)
    levels = ax.collections[0].levels
    expected = np.quantile(NARROW.predictions[is_shown, 0], [0.02, 0.98])
    assert_allclose(levels[[0, -1]], expected)


def test_the_most_frequent_family_replaces_an_absent_one():
    assert "types of A (cells)" in figure_text(plotting.family_zoom(NARROW))


def test_names_are_drawn_literally(tmp_path):
    names = ["$$", r"$\bad$", "a$b$", "y"]
    record = fit_record(features=names)
    record.labels["family"] = np.resize(names[:3], len(record.labels))
    figure = plotting.latent_subplots(record)
    plotting.save_figure(figure, tmp_path / "names")
    shown = figure_text(figure).replace(r"\$", "$")
    assert all(name in shown for name in names)


def test_outputs_left_out_are_counted():
    figure = plotting.latent_subplots(fit_record(features=[f"o{i}" for i in range(30)]))
    assert "6 of 30 predicted outputs, training R²" in figure_text(figure)


def test_a_fit_alone_has_no_letter():
    [part] = plotting.latent_subplots(fit_record()).subfigs
    assert not part.get_suptitle().startswith("a ")


def test_each_fit_has_a_score():
    with pytest.raises(ValueError, match="scores: expected 2, one for each fit, got 1"):
        plotting.latent_subplots(NARROW, bottom=WIDE, scores=[None])


def test_genes_without_norms_are_ordered_by_prediction():
    record = fit_record(n_genes=4, norms=False)
    record.expression[:] = 1  # predicted as 0.1, 0.73, 1.37 and 2
    assert latent.order_of_genes(record).tolist() == [1, 2, 0, 3]


@pytest.fixture(scope="module")
def overview():
    """Of 30 genes with rising norms, and of three outputs, of which two have an extreme R2."""
    fit = fit_record(n_genes=30, features=("Tau", "AHP", "Rebound"))
    r2 = WIDTHS.test_feature_r2.copy()
    r2[:, 1, :3] = [0.2, -0.25, 1.4]
    folds = replace(WIDTHS, values=WIDTHS.values | {"test_feature_r2": r2})
    names = np.array(["Gene27", "Gene26", *HALVES.gene_names[2:]])
    stable = replace(HALVES, values=HALVES.values | {"gene_names": names})
    true_genes = np.array(["Gene1", "Gene29", "none"])
    return plotting.model_overview(fit, stable, folds=folds, true_genes=true_genes).axes


def test_overview_marks_true_and_trusted_genes(overview):
    """Genes stand by norm."""
    genes = overview[0].texts
    unmarked = [f"Gene{i}" for i in range(28, 4, -1)]
    assert [text.get_text() for text in genes] == ["Gene29 ✓", *unmarked, "and 5 more"]
    bold = [text.get_text() for text in genes if text.get_fontweight() == "bold"]
    assert bold == ["Gene27", "Gene26"]
    assert "✓ true: 2 of 3" in overview[0].get_title()


def test_bars_of_overview_stay_between_zero_and_one(overview):
    ax = overview[4]
    assert_allclose([bar.get_width() for bar in ax.patches], [1, 0.2, 0])
    assert [text.get_text() for text in ax.texts] == ["1.40", "0.20", "−0.25"]
    assert tick_names(ax.yaxis) == ["Rebound", "Tau", "AHP"]


def test_overview_has_the_map_of_the_fit():
    ax = axes_of("model_overview")[2]
    assert_allclose(cells_of(ax), cells_at(map_coordinates(NARROW), CELL_COLORS))
