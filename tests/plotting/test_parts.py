"""Parts of figures: groups of cells, places on a map, names, and numbers read from records."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from made_up import fit_record, ridge_record
from matplotlib.figure import Figure

from sbnn.data.checks import GREY
from sbnn.plotting import colors, maps, reading


@pytest.fixture
def fit():
    """90 cells: three are unknown, and two have a type without a colour."""
    record = fit_record()
    record.labels.loc[[0, 3, 6], ["family", "type"]] = ""
    record.labels.loc[[1, 2], "type"] = "X"
    record.colors["unknown"] = "#123456"
    return record


def test_families_are_sorted_by_count(fit):
    counts = colors.Groups(fit).table["count"]
    assert list(counts.items()) == [("B", 30), ("C", 30), ("A", 27), ("unknown", 3)]


def test_unknown_cells_come_last(fit):
    fit.labels.loc[:60, "family"] = "unknown"
    assert colors.Groups(fit).table.index[-1] == "unknown"


def test_families_have_colours_of_most_frequent_types(fit):
    table = colors.Groups(fit).table
    expected = {"B": "#00AA00", "C": "#3333CC", "A": "#BB3300", "unknown": GREY}
    assert table["color"].to_dict() == expected


def test_cells_without_a_colour_are_grey(fit):
    unknown, uncoloured, cell = colors.Groups(fit).colors[[0, 1, 4]]
    assert (unknown, uncoloured, cell) == (GREY, GREY, "#00AA00")


def test_types_of_a_family_are_counted(fit):
    groups = colors.Groups(fit)
    types = groups.count("type", groups.families == "B")
    assert types["count"].to_dict() == {"B1": 15, "B2": 14, "X": 1}
    assert types["color"].tolist() == ["#00AA00", "#11BB11", GREY]


def test_types_stand_for_unknown_families(fit):
    fit.labels["family"] = "unknown"
    assert colors.Groups(fit).title == "types (cells)"


@pytest.mark.parametrize(("n_groups", "last"), [(24, "g23 (3)"), (26, "2 others (3)")])
def test_rarest_groups_share_a_legend_entry(n_groups, last):
    table = pd.DataFrame({"count": np.arange(26, 0, -1), "color": "red"})
    table.index = [f"g{i}" for i in range(26)]
    figure = Figure(layout="constrained")
    maps.draw_legend(figure, table[:n_groups], "groups")
    entries = [text.get_text() for text in figure.legends[0].get_texts()]
    assert entries[0] == "g0 (26)"
    assert entries[-1] == last


@pytest.mark.parametrize(("most", "text"), [(11, "abcdefghijk"), (10, "abcdef…ijk")])
def test_long_names_are_cut_in_the_middle(most, text):
    assert reading.short_name("abcdefghijk", most) == text


def test_one_gene_is_singular():
    assert reading.number_and_noun(1, "gene") == "1 gene"


def test_numbers_have_a_long_minus():
    assert reading.number_text(-0.126) == "−0.13"


@pytest.mark.parametrize("places", [[[3, 7], [1, 7], [2, 7], [0, 7]], [[3], [1], [2], [0]]])
def test_one_coordinate_is_spread_over_the_panel(places):
    x, y = maps.panel_coordinates(places, proportional=False).T
    assert np.argsort(x).tolist() == [3, 1, 2, 0]
    assert len(set(y)) == 4


@pytest.fixture
def flat_cloud():
    """500 cells, 0.4 times as high as wide."""
    square = np.random.default_rng(0).uniform(size=(500, 2))
    return square * [1, 0.4]


@pytest.mark.parametrize(("proportional", "height"), [(True, 0.4), (False, 1)])
def test_a_tsne_keeps_its_proportions(flat_cloud, proportional, height):
    across, up = np.ptp(maps.panel_coordinates(flat_cloud, proportional), axis=0)
    assert across == pytest.approx(0.94, abs=0.03)
    assert up / across == pytest.approx(height, abs=0.03)


@pytest.mark.parametrize("proportional", [True, False])
@pytest.mark.parametrize(("x", "text"), [(1.8, ""), (9, " (1 at the edge)")])
def test_a_panel_holds_every_cell(flat_cloud, proportional, x, text):
    xy = maps.panel_coordinates([*flat_cloud, [x, 0.2]], proportional)
    assert 0 < xy.min() < xy.max() == xy[-1, 0] < 1
    assert maps.edge_text(xy) == text


def test_a_far_cell_leaves_a_third_to_others(flat_cloud):
    xy = maps.panel_coordinates([*flat_cloud, [9, 0.2]], proportional=False)
    assert np.ptp(xy[:-1, 0]) > 0.94 / 3


@pytest.fixture(scope="module")
def ring():
    """800 cells around a hole with a radius of 0.7."""
    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 800)
    radius = np.sqrt(rng.uniform(0.49, 1, 800))
    return np.column_stack([radius * np.cos(angle), radius * np.sin(angle)])


@pytest.fixture(scope="module")
def ring_and_cloud(ring):
    cloud = np.random.default_rng(1).normal([3, 0], 0.2, size=(200, 2))
    return np.vstack([ring, cloud])


@pytest.fixture(scope="module")
def triangles(ring_and_cloud):
    """Positions of the corners, (n_triangles, 3)."""
    return maps.map_triangles(ring_and_cloud).get_masked_triangles()


def test_no_triangle_bridges_two_clouds(triangles):
    n_corners_of_ring = (triangles < 800).sum(axis=1)
    assert set(n_corners_of_ring) == {0, 3}


def test_a_hole_in_a_cloud_stays_open(triangles, ring_and_cloud):
    centres = ring_and_cloud[triangles].mean(axis=1)
    assert np.linalg.norm(centres, axis=1).min() > 0.5


def test_hardly_a_cell_is_left_out(triangles):
    assert len(np.unique(triangles)) > 970


def test_cells_at_one_place_have_no_triangles():
    places = np.full((9, 2), 0.5)
    assert maps.map_triangles(places) is None


def test_triangles_do_not_depend_on_cells_per_place(ring):
    places = ring[:180]
    crowd = np.repeat(places, 20, axis=0)
    n_alone, n_crowded = [
        len(maps.map_triangles(xy).get_masked_triangles()) for xy in (places, crowd)
    ]
    assert n_crowded == n_alone > 50


@pytest.fixture
def published_fit():
    return fit_record()


@pytest.fixture
def linear_fit():
    """Of rank 8, with a t-SNE of its latents."""
    record = fit_record(width=8)
    estimator = {"class": "a.SparseReducedRankRegression", "params": {"rank": 8}}
    record.settings = {"estimator": estimator}
    return record


@pytest.fixture
def one_gene():
    """A cross-validation, which has no list of genes."""
    params = {"n_components": 3, "n_genes": 1}
    estimator = {"class": "sbnn.SparseBottleneckRegressor", "params": params}
    return replace(ridge_record(), settings={"estimator": estimator})


@pytest.mark.parametrize(
    ("name", "title"),
    [
        ("published_fit", "sBNN, published, d = 2, 12 genes"),
        ("linear_fit", "sRRR, rank 8 + t-SNE, 12 genes"),
        ("one_gene", "sBNN, published, d = 3, 1 gene"),
    ],
)
def test_titles_name_model_width_and_genes(request, name, title):
    record = request.getfixturevalue(name)
    assert reading.model_title(record) == title


def test_networks_are_named_with_their_width():
    assert reading.network_name(fit_record(width=64), 0) == "sBNN, published, d = 64"


def test_models_have_colours_of_their_kind(published_fit, linear_fit):
    records = [published_fit, linear_fit, ridge_record()]
    expected = [colors.MODEL_COLORS[kind] for kind in ("published", "linear", "all genes")]
    assert [colors.model_color(record) for record in records] == expected


@pytest.mark.parametrize(
    ("values", "text"), [([0.12345], "0.123"), ([-0.1, -0.2], "−0.150 ± 0.071")]
)
def test_means_have_the_sample_sd(values, text):
    assert reading.mean_text(values) == text


@pytest.fixture
def regions(fit):
    """A label of the 90 cells, in another order of the cells, unknown for the last."""
    labels = pd.Series(np.resize(["V1", "M1", "M1"], 90), fit.cell_names, name="region")
    labels.iloc[-1] = None
    return labels[::-1]


def test_cells_have_the_colours_of_a_label(fit, regions):
    groups = colors.Groups(colors.color_by(fit, regions))
    assert groups.title == "region (cells)"
    assert groups.table["count"].to_dict() == {"M1": 59, "V1": 30, "unknown": 1}
    assert groups.colors[0] == groups.table["color"]["V1"] != groups.colors[1]


def test_a_table_of_labels_colours_unknown_types(fit, regions):
    table = pd.DataFrame({"cell": fit.cell_names, "region": regions[::-1]}, fit.cell_names)
    assert colors.color_by(fit, table) is fit
    fit.labels[["family", "type"]] = "unknown"
    assert colors.color_by(fit, table).label == "region"


@pytest.mark.parametrize("values", ["one", None], ids=["one value", "names of cells"])
def test_a_label_of_no_groups_is_refused(fit, values):
    label = pd.Series(values or fit.cell_names, fit.cell_names, name="barcode")
    with pytest.raises(ValueError, match="'barcode' has .* different values"):
        colors.color_by(fit, label)
