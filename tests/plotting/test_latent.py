"""Maps of one fit with predictions of genes and outputs, and its overview."""

from dataclasses import replace

import numpy as np
import pytest
from drawn import cells_at, cells_of, legend_of, slopes_of, texts_on, tick_names
from figure_records import GENES, OUTPUTS, fit, halves, score
from made_up import COLORS, TYPES, figure_text, fit_record, ridge_record
from numpy.testing import assert_allclose
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.plotting import latent
from sbnn.plotting.maps import map_coordinates

PALETTE = dict(zip(TYPES, COLORS, strict=True))


@pytest.fixture(scope="module")
def fits():
    """Of 64 units with a t-SNE, and of two."""
    return [fit(1, width=64), fit()]


@pytest.fixture(scope="module")
def zoom(fits):
    """With R2 of other folds for each, and family A, of which no gene has the name."""
    scores = [(score(6), {"n_components": 64}), (score(), {"n_components": 2})]
    return plotting.family_zoom(*fits, family="A", scores=scores)


@pytest.fixture(scope="module")
def r2_of_networks():
    """Mean over all outputs, and of every output, of both networks."""
    wide, narrow = score(6), score()
    r2_of_outputs = [wide.test_feature_r2[:, 4], narrow.test_feature_r2[:, 1]]
    means = [wide.test_r2[:, 4].mean(), narrow.test_r2[:, 1].mean()]
    return list(zip(means, [r2.mean(axis=0) for r2 in r2_of_outputs], strict=True))


def slopes(record, values):
    """Of columns on the map of a fit."""
    return LinearRegression().fit(map_coordinates(record), values).coef_


rows = pytest.mark.parametrize("row", [0, 1])


@rows
def test_titles_have_the_mean_r2(zoom, r2_of_networks, row):
    mean, _ = r2_of_networks[row]
    assert zoom.subfigs[row].get_suptitle().endswith(f": test R² {mean:.2f}")


@rows
def test_maps_of_genes_are_ordered_by_norm(zoom, fits, row):
    order = np.argsort(-fits[row].gene_norms)[:9]
    panels = zoom.subfigs[row].subfigs[0].axes[:9]
    assert [ax.get_title() for ax in panels] == [GENES[gene] for gene in order]
    drawn = [slopes_of(ax) for ax in panels]
    expected = slopes(fits[row], fits[row].predicted_expression[:, order])
    assert_allclose(drawn, expected, rtol=0.03, atol=0.03)


@rows
def test_maps_of_outputs_have_their_r2(zoom, fits, r2_of_networks, row):
    """Those of the published figure, and then those predicted best."""
    r2_of_training = fits[row].train_feature_r2.copy()
    r2_of_training[[1, 0, 2]] = [4, 3, 2]  # AHP, Tau and Rebound
    order = np.argsort(-r2_of_training)[:9]
    _, r2 = r2_of_networks[row]
    panels = zoom.subfigs[row].subfigs[2].axes[:9]
    assert [ax.get_title() for ax in panels] == [f"{OUTPUTS[i]} {r2[i]:.2f}" for i in order]
    drawn = [slopes_of(ax) for ax in panels]
    expected = slopes(fits[row], fits[row].predictions[:, order])
    assert_allclose(drawn, expected, rtol=0.03, atol=0.03)


@rows
def test_cells_have_places_and_colours_of_types(zoom, fits, row):
    [ax] = zoom.subfigs[row].subfigs[1].axes
    colors = fits[row].labels["type"].map(PALETTE)
    assert_allclose(cells_of(ax), cells_at(map_coordinates(fits[row]), colors))


@pytest.fixture(scope="module")
def family_cells(fits):
    """Positions in the lower fit."""
    return np.flatnonzero(fits[1].labels["family"] == "A")


@pytest.fixture(scope="module")
def large_maps(zoom):
    return zoom.subfigs[2].axes[1:4]


def test_enlarged_cells_are_those_of_the_family(zoom, fits, family_cells):
    ax = zoom.subfigs[2].axes[0]
    colors = fits[1].labels["type"][family_cells].map(PALETTE)
    assert_allclose(cells_of(ax), cells_at(map_coordinates(fits[1])[family_cells], colors))
    assert [text.get_text() for text in ax.texts] == ["A1", "A2"]
    assert legend_of(zoom.subfigs[2]) == {"A1 (15)": "#aa0000", "A2 (15)": "#bb3300"}


def test_large_maps_are_of_a_marker_and_two_outputs(large_maps, fits, family_cells, r2_of_networks):
    lower = fits[1]
    marker = lower.predicted_expression[family_cells].mean(axis=0).argmax()
    _, r2 = r2_of_networks[1]
    outputs = [f"{name}, test R² {r2[OUTPUTS.index(name)]:.2f}" for name in ("Tau", "Rebound")]
    assert [ax.get_title() for ax in large_maps] == [GENES[marker], *outputs]
    maps = np.column_stack([lower.predicted_expression[:, marker], lower.predictions[:, [0, 2]]])
    drawn = [slopes_of(ax) for ax in large_maps]
    assert_allclose(drawn, slopes(lower, maps), rtol=0.03, atol=0.03)


def test_colours_of_large_maps_leave_out_extremes(large_maps, fits):
    """The lowest and the highest 2 % of the predictions in the square."""
    (left, right), (low, high) = large_maps[1].get_xlim(), large_maps[1].get_ylim()
    x, y = map_coordinates(fits[1]).T
    shown = fits[1].predictions[(x > left) & (x < right) & (y > low) & (y < high), 0]
    levels = large_maps[1].collections[0].levels
    assert_allclose([levels[0], levels[-1]], np.quantile(shown, [0.02, 0.98]))


def test_the_most_frequent_family_replaces_an_absent_one():
    assert "A enlarged" in figure_text(plotting.family_zoom(fit_record()))


def test_names_are_drawn_literally(tmp_path):
    names = ["$$", r"$\bad$", "a$b$", "y"]
    record = fit_record(features=names)
    record.labels["family"] = np.resize(names[:3], len(record.labels))
    figure = plotting.latent_panels(record)
    plotting.save_figure(figure, tmp_path / "names")
    shown = figure_text(figure).replace(r"\$", "$")
    assert all(name in shown for name in names)


def test_outputs_left_out_are_counted():
    figure = plotting.latent_panels(fit_record(features=[f"o{i}" for i in range(30)]))
    assert "9 of 30 predicted outputs, training R²" in figure_text(figure)


def test_each_fit_has_a_score(fits):
    with pytest.raises(ValueError, match="scores: expected 2, one for each fit, got 1"):
        plotting.latent_panels(*fits, scores=[score()])


def test_genes_without_norms_are_ordered_by_prediction():
    record = fit_record(n_genes=4, norms=False)
    record.expression[:] = 1  # predicted as 0.1, 0.73, 1.37 and 2
    assert latent.order_of_genes(record).tolist() == [1, 2, 0, 3]


@pytest.fixture(scope="module")
def overview_record():
    """Of 30 kept genes, with rising norms, and three outputs; the first four genes are not kept."""
    return fit_record(n_genes=30, features=("a", "b", "c"))


@pytest.fixture(scope="module")
def overview(overview_record):
    """Mean test R2 of 0.2, -0.25 and 1.4 of the model with two units."""
    r2 = [
        [[0.9, 0.9, 0.9], [0.1, -0.25, 1.5]],
        [[0.9, 0.9, 0.9], [0.3, -0.25, 1.3]],
    ]  # (n_folds, n_points, n_outputs)
    values = {
        "test_r2": np.mean(r2, axis=2),
        "test_feature_r2": np.array(r2),
        "feature_names": np.array(["a", "b", "c"]),
    }
    params = [{"n_components": 64}, {"n_components": 2}]
    folds = replace(ridge_record(), params=params, values=values)
    stable = halves()
    stable.gene_names[:2] = ["Gene27", "Gene26"]
    true_genes = np.array(["Gene1", "Gene29", "none"])
    return plotting.model_overview(overview_record, stable, folds=folds, true_genes=true_genes)


def test_overview_lists_genes_by_norm(overview):
    texts = [text.get_text() for text in overview.axes[0].texts]
    unmarked = [f"Gene{i}" for i in range(28, 4, -1)]
    assert texts == ["Gene29 ✓", *unmarked, "and 5 more"]


def test_overview_counts_true_genes(overview):
    assert "✓ true: 2 of 3" in overview.axes[0].get_title()


def test_trusted_genes_are_bold(overview):
    genes = overview.axes[0].texts
    bold = [text.get_text() for text in genes if text.get_fontweight() == "bold"]
    assert bold == ["Gene27", "Gene26"]


@pytest.mark.parametrize("true_genes", [("Gene1",), np.array(["Gene1"])])
def test_true_genes_may_be_any_sequence(overview_record, true_genes):
    figure = plotting.model_overview(overview_record, true_genes=true_genes)
    assert "✓ true: 1 of 1" in figure.axes[0].get_title()


def test_bars_of_overview_stay_between_zero_and_one(overview):
    ax = overview.axes[4]
    lengths = [bar.get_width() for bar in ax.patches]
    assert lengths == pytest.approx([1, 0.2, 0])
    assert [text.get_text() for text in ax.texts] == ["1.40", "0.20", "−0.25"]
    assert tick_names(ax.yaxis) == ["c", "a", "b"]


def test_overview_has_the_map_of_the_fit(overview, overview_record):
    colors = overview_record.labels["type"].map(PALETTE)
    expected = cells_at(map_coordinates(overview_record), colors)
    assert_allclose(cells_of(overview.axes[2]), expected)
