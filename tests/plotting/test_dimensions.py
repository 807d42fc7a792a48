"""Cells on maps: t-SNE, maps side by side, how far to trust them, and bibiplot."""

import numpy as np
import pytest
from material.drawn import cells_at, cells_of, legend_of, nearest_groups
from material.figures import axes_of
from material.records import CELL_COLORS, NARROW, TRUST, TSNE, WIDE
from numpy.testing import assert_allclose
from scipy.stats import zscore
from sklearn.linear_model import LinearRegression

from sbnn import plotting
from sbnn.plotting.dimensions import longest_lines, name_places
from sbnn.plotting.maps import subplot_coordinates

FAMILIES = {"A": "A", "B": "B", "C": "C"}
FAMILY = NARROW.labels["family"]


@pytest.mark.parametrize(
    ("figure", "subplot", "name", "proportional", "title"),
    [
        ("tsne_pair", 0, "transcriptome", True, "genes\nt-SNE of 3 principal components"),
        ("tsne_pair", 1, "outputs", False, "traits\n2 outputs"),
        ("cell_maps", 0, "outputs", False, "first"),
        ("cell_maps", 1, "transcriptome", False, "second"),
    ],
)
def test_maps_have_cells_and_names_of_families(figure, subplot, name, proportional, title):
    ax = axes_of(figure)[subplot]
    places = subplot_coordinates(TSNE.values[name], proportional)
    assert_allclose(cells_of(ax), cells_at(places, CELL_COLORS))
    assert nearest_groups(ax, places, FAMILY) == FAMILIES
    assert ax.get_title() == title


def test_legend_counts_families_in_their_colours():
    """That of the most frequent type, or of the first in the alphabet."""
    expected = [("A (30)", "#aa0000"), ("B (30)", "#00aa00"), ("C (30)", "#0000aa")]
    assert legend_of(axes_of("tsne_pair")[0].figure) == expected


@pytest.mark.parametrize(("subplot", "name"), [(0, "errors"), (1, "spread")])
def test_trust_is_drawn_from_small_to_large(subplot, name):
    """Colours leave out the largest 5 %."""
    values = TRUST.values[name]
    order = np.argsort(values)[: np.isfinite(values).sum()]
    ax = axes_of("map_trust_subplots")[subplot]
    [dots] = ax.collections
    places = subplot_coordinates(NARROW.embedding, proportional=False)
    assert_allclose(dots.get_array(), values[order])
    assert_allclose(dots.get_offsets(), places[order])
    assert dots.get_clim() == pytest.approx((0, np.nanquantile(values, 0.95)))
    assert nearest_groups(ax, places, FAMILY) == FAMILIES


def test_trust_is_summed_up():
    errors, spread, *bars = axes_of("map_trust_subplots")
    mean_error = np.nanmean(TRUST.errors)
    assert errors.get_title() == f"held-out cells: mean error {mean_error:.2f}"
    assert spread.get_title() == "maps of 2 other seeds: R² 0.80 to 0.90"
    labels = ["mean squared error of a cell (z-scores)", "distance moved / map size"]
    assert [bar.get_ylabel() for bar in bars] == labels


@pytest.mark.parametrize(("subplot", "of_cells"), [(0, "expression"), (1, "outputs")])
def test_bibiplot_has_latents_and_their_correlations(subplot, of_cells):
    """On the right, a regression on the outputs; correlations below 0.3 are left out."""
    values = NARROW.values[of_cells]
    latents = NARROW.latent
    if of_cells == "outputs":
        latents = LinearRegression().fit(values, latents).predict(values)
    ax = axes_of("bibiplot")[subplot]
    assert_allclose(cells_of(ax), cells_at(zscore(latents), CELL_COLORS), atol=1e-5)
    correlations = np.corrcoef(values.T, latents.T)[:-2, -2:]
    lengths = np.hypot(*correlations.T)
    shown = [i for i in np.argsort(-lengths) if lengths[i] > 0.3]
    tips = [line.get_xydata()[1] for line in ax.lines]
    assert_allclose(tips, 2.5 * correlations[shown], atol=1e-5)
    names = NARROW.feature_names if of_cells == "outputs" else NARROW.kept_genes
    shown_names = [text.get_text() for text in ax.texts if text.arrow_patch]
    assert shown_names == names[shown].tolist()
    assert ax.get_title().startswith(f"{len(shown)} of {len(names)} ")


def test_names_around_a_circle_do_not_overlap():
    """Eight lines in nearly one direction."""
    places = name_places(np.array([[-1, 0.3 + 0.001 * i] for i in range(8)]))
    assert np.diff(places[:, 1]).min() > 0.3
    assert_allclose(np.linalg.norm(places, axis=1), 2.8, rtol=0.01)


def test_at_most_16_lines_are_drawn():
    lines = longest_lines(np.arange(20), np.linspace([0.4, 0], [0.9, 0], 20))
    assert lines.index.tolist() == list(range(19, 3, -1))


def test_a_bibiplot_has_two_latents():
    with pytest.raises(ValueError, match="expected 2 latents, got 64"):
        plotting.bibiplot(WIDE)
