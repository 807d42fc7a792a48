"""Parts of figures: groups of cells, places on a map, names, and numbers read from records."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import fit_record, ridge_record, words
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from sbnn import plotting
from sbnn.data.checks import GREY
from sbnn.data.datasets import load_dataset
from sbnn.plotting import colors, maps, reading

CLOUD = np.random.default_rng(0).uniform(size=(500, 2))


def test_a_family_has_the_colour_of_its_most_frequent_type():
    """Three cells are unknown, and two have a type without a colour."""
    fit = fit_record()
    fit.labels.loc[[0, 3, 6], ["family", "type"]] = ""
    fit.labels.loc[[1, 2], "type"] = "X"
    fit.colors["unknown"] = "#123456"
    groups = colors.Groups(fit)
    assert groups.table["count"].to_dict() == {"B": 30, "C": 30, "A": 27, "unknown": 3}
    known = {"B": "#00AA00", "C": "#3333CC", "A": "#BB3300", "unknown": GREY}
    assert list(groups.table["color"].items()) == list(known.items())
    assert groups.colors[[0, 1, 4]].tolist() == [GREY, GREY, "#00AA00"]
    types = groups.count("type", groups.families == "B")
    assert types["count"].to_dict() == {"B1": 15, "B2": 14, "X": 1}
    assert types["color"].tolist() == ["#00AA00", "#11BB11", GREY]
    fit.labels["family"] = "unknown"
    assert colors.Groups(fit).title == "types (cells)"


def test_the_rarest_of_many_groups_share_a_legend_entry():
    table = pd.DataFrame({"count": np.arange(26, 0, -1), "color": "red"})
    table.index = [f"g{i}" for i in range(26)]
    for n, last in ((24, "g23 (3)"), (26, "2 others (3)")):
        figure = Figure(layout="constrained")
        maps.draw_legend(figure, table[:n], "groups")
        shown = [text.get_text() for text in figure.legends[0].get_texts()]
        assert shown[0] == "g0 (26)"
        assert shown[-1] == last


def test_every_map_shows_all_cells_in_the_colours_of_their_types():
    adata = load_dataset("simulated", verbose=False)
    xy = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    figure = plotting.cell_maps({"one": xy, "two": xy[:, ::-1]}, adata)
    assert {"one", "two"} <= set(words(figure).splitlines())
    palette = dict(zip(adata.obs["type"].cat.categories, adata.uns["type_colors"], strict=True))
    wanted = adata.obs["type"].astype(str).map(palette).map(to_hex)
    for ax, own in zip(figure.axes, (0, 1), strict=True):
        [dots] = ax.collections
        from_left = np.argsort(dots.get_offsets()[:, 0])
        drawn = [to_hex(color) for color in dots.get_facecolors()[from_left]]
        assert drawn == wanted.iloc[np.argsort(xy[:, own])].tolist()


def test_names_and_numbers_are_short():
    assert reading.short_name("abcdefghijk", 11) == "abcdefghijk"
    assert reading.short_name("abcdefghijk", 10) == "abcdef…ijk"
    assert reading.number_and_noun(1, "gene") == "1 gene"
    assert reading.number_text(-0.126) == "−0.13"


@pytest.mark.parametrize("places", [[[3, 7], [1, 7], [2, 7], [0, 7]], [[3], [1], [2], [0]]])
def test_one_coordinate_is_spread_over_the_panel(places):
    xy = maps.panel_coordinates(places, proportional=False)
    assert np.argsort(xy[:, 0]).tolist() == [3, 1, 2, 0]
    assert len(set(xy[:, 1])) == 4


@pytest.mark.parametrize(("proportional", "height"), [(True, 0.4), (False, 1)])
def test_a_tsne_keeps_its_proportions(proportional, height):
    places = maps.panel_coordinates(CLOUD * [1, 0.4], proportional)
    across, up = np.ptp(places, axis=0)
    assert across == pytest.approx(0.94, abs=0.03)
    assert up / across == pytest.approx(height, abs=0.03)
    far = maps.panel_coordinates(np.vstack([CLOUD * [1, 0.4], [[9, 0.2]]]), proportional)
    assert np.abs(far[:500] - places).max() < 0.05, "one cell far away leaves the panel"
    assert far[500, 0] > 1


def test_a_map_has_the_outline_of_the_cloud():
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 800)
    radius = np.sqrt(rng.uniform(0.49, 1, 800))
    ring = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])
    xy = np.vstack([ring, [3, 0] + 0.2 * rng.normal(size=(200, 2))])
    shown = maps.map_triangles(xy).get_masked_triangles()
    of_ring = (shown < 800).sum(1)
    assert set(of_ring) == {0, 3}, "no bridge"
    assert np.linalg.norm(xy[shown].mean(1), axis=1).min() > 0.5, "the hole stays open"
    assert len(np.unique(shown)) > 970, "hardly a cell is left out"
    assert maps.map_triangles(np.tile([[0.5, 0.5]], (9, 1))) is None
    of_many = maps.map_triangles(np.repeat(ring[:180], 20, axis=0)).get_masked_triangles()
    alone = maps.map_triangles(ring[:180]).get_masked_triangles()
    assert len(of_many) == len(alone) > 50, "20 cells at each position"


def test_a_title_names_kind_protocol_width_and_genes():
    params = {"n_components": 3, "n_genes": 1}
    settings = {"estimator": {"class": "sbnn.SparseBottleneckRegressor", "params": params}}
    linear = fit_record(width=8)
    linear.settings = {"estimator": {"class": "a.SparseReducedRankRegression"}}
    linear.settings["estimator"]["params"] = {"rank": 8}
    titles = {
        "sBNN, published, d = 2, 12 genes": fit_record(),
        "sRRR, rank 8 + t-SNE, 12 genes": linear,
        "sBNN, published, d = 3, 1 gene": replace(ridge_record(), settings=settings),
    }
    for title, record in titles.items():
        assert reading.model_title(record) == title
    assert reading.network_name(fit_record(width=64), 0) == "sBNN, published, d = 64"
    assert colors.model_color(fit_record()) == colors.MODEL_COLORS["published"]
    assert colors.model_color(linear) == colors.MODEL_COLORS["linear"]
    assert colors.model_color(ridge_record()) == colors.MODEL_COLORS["all genes"]


def test_mean_and_sample_sd_over_folds():
    assert reading.mean_text([0.12345]) == "0.123"
    assert reading.mean_text([-0.1, -0.2]) == "−0.150 ± 0.071"
