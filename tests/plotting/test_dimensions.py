"""Cells on maps: t-SNE, maps side by side, how far to trust them, and bibiplot."""

import numpy as np
import pytest
from drawn import cells_at, cells_of, legend_of, nearest_groups, texts_on
from figure_records import GENES, fit, map_trust, tsne
from made_up import COLORS, TYPES, figure_text, fit_record
from numpy.testing import assert_allclose
from scipy.stats import zscore
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.plotting.dimensions import longest_lines
from sbnn.plotting.maps import panel_coordinates

FAMILIES = {"A": "A", "B": "B", "C": "C"}


@pytest.fixture(scope="module")
def record():
    return fit()


@pytest.fixture(scope="module")
def colors(record):
    """Of the cells, by type."""
    palette = dict(zip(TYPES, COLORS, strict=True))
    return [palette[name] for name in record.labels["type"]]


@pytest.fixture(scope="module")
def tsne_figure():
    return plotting.tsne_pair(tsne(), titles=("genes", "traits"))


def test_tsne_shows_genes_and_then_outputs(tsne_figure, colors):
    genes, outputs = tsne_figure.axes
    places = panel_coordinates(tsne().transcriptome, proportional=True)
    assert_allclose(cells_of(genes), cells_at(places, colors))
    places = panel_coordinates(tsne().outputs, proportional=False)
    assert_allclose(cells_of(outputs), cells_at(places, colors))
    titles = [genes.get_title(), outputs.get_title()]
    assert titles == ["genes, t-SNE of 3 principal components", "traits, 2 outputs"]


def test_families_are_named_where_they_are(tsne_figure):
    families = tsne().labels["family"]
    for ax, name in zip(tsne_figure.axes, ("transcriptome", "outputs"), strict=True):
        places = panel_coordinates(tsne().values[name], proportional=name == "transcriptome")
        assert nearest_groups(ax, places, families) == FAMILIES


def test_legend_counts_families_in_their_colours(tsne_figure):
    """That of the most frequent type, or of the first in the alphabet."""
    expected = {"A (30)": "#aa0000", "B (30)": "#00aa00", "C (30)": "#0000aa"}
    assert legend_of(tsne_figure) == expected


@pytest.fixture(scope="module")
def trust(record):
    return plotting.map_trust_panels(map_trust(), record).axes


@pytest.mark.parametrize(("panel", "name"), [(0, "errors"), (1, "spread")])
def test_trust_is_drawn_from_small_to_large(trust, panel, name, record):
    values = map_trust().values[name]
    order = np.argsort(values)[: np.isfinite(values).sum()]
    [dots] = trust[panel].collections
    places = panel_coordinates(record.embedding, proportional=False)
    assert_allclose(dots.get_array(), values[order])
    assert_allclose(dots.get_offsets(), places[order])
    largest = np.nanquantile(values, 0.95)
    assert dots.get_clim() == pytest.approx((0, largest))
    assert nearest_groups(trust[panel], places, record.labels["family"]) == FAMILIES


def test_trust_is_summed_up(trust):
    mean_error = np.nanmean(map_trust().errors)
    assert trust[0].get_title() == f"held-out cells: mean error {mean_error:.2f}"
    assert trust[1].get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"
    assert [ax.get_ylabel() for ax in trust[2:]] == [
        "mean squared error of a cell (z-scores)",
        "distance moved / map size",
    ]


@pytest.fixture(scope="module")
def bibiplot(record):
    return plotting.bibiplot(record)


@pytest.fixture(scope="module")
def latents(record):
    """Those of the fit, and a regression on the outputs, in SDs."""
    regression = LinearRegression().fit(record.outputs, record.latent)
    return [zscore(record.latent), zscore(regression.predict(record.outputs))]


def test_bibiplot_has_latents_and_regressed_latents(bibiplot, latents, colors):
    for ax, xy in zip(bibiplot.axes, latents, strict=True):
        assert_allclose(cells_of(ax), cells_at(xy, colors), rtol=0, atol=1e-5)


def test_lines_end_at_correlations_with_latents(bibiplot, record, latents):
    """Those of less than 0.3 are left out."""
    variables = [(record.expression, record.kept_genes), (record.outputs, record.feature_names)]
    for ax, xy, (values, names) in zip(bibiplot.axes, latents, variables, strict=True):
        tips = 2.5 * np.corrcoef(values.T, xy.T)[:-2, -2:]
        lengths = np.hypot(*tips.T)
        shown = [i for i in np.argsort(-lengths) if lengths[i] > 0.75]
        ends = [line.get_xydata() for line in ax.lines]
        assert_allclose(ends, [([0, 0], tips[i]) for i in shown], rtol=1e-5, atol=1e-6)
        assert [text.get_text() for text in texts_on(ax)] == [names[i] for i in shown]
        assert f"{len(shown)} of {len(names)} " in ax.get_title()


def test_at_most_16_lines_are_drawn():
    lines = longest_lines(np.arange(20), np.linspace([0.4, 0], [0.9, 0], 20))
    assert lines.index.tolist() == list(range(19, 3, -1))


def test_a_bibiplot_has_two_latents():
    with pytest.raises(ValueError, match="expected 2 latents, got 3"):
        plotting.bibiplot(fit(width=3))
