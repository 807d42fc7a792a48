"""Cells on maps: t-SNE, maps side by side, and how far to trust them."""

import numpy as np
import pytest
from material.drawn import cells_at, cells_of, legend_of, nearest_groups
from material.figures import axes_of
from material.records import CELL_COLORS, FAMILY_HUES, NARROW, TRUST, TSNE
from numpy.testing import assert_allclose

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
    expected = [(f"{family} (30)", color.lower()) for family, color in FAMILY_HUES.items()]
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
