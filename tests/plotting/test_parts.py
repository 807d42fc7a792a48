"""Parts of figures: groups of cells, places on a map, names, and numbers read from records."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from material.records import FAMILY_HUES, fit_record, made_up
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.text import Text
from scipy.spatial.distance import pdist

from sbnn.data.colors import GREY
from sbnn.plotting import colors, common, maps, reading


@pytest.fixture
def fit():
    """90 cells: three are unknown, and two have a type without a colour."""
    record = fit_record()
    record.labels.loc[[0, 3, 6], ["family", "type"]] = ""
    record.labels.loc[[1, 2], "type"] = "X"
    record.colors["unknown"] = "#123456"
    return record


def test_families_are_counted_most_frequent_first(fit):
    table = colors.Groups(fit).table.reset_index()
    assert table.to_numpy().tolist() == [
        ["B", 30, FAMILY_HUES["B"]],
        ["C", 30, FAMILY_HUES["C"]],
        ["A", 27, FAMILY_HUES["A"]],
        ["unknown", 3, GREY],
    ]


def test_unknown_cells_come_last(fit):
    fit.labels.loc[:60, "family"] = "unknown"
    assert colors.Groups(fit).table.index[-1] == "unknown"


def test_cells_without_a_colour_are_grey(fit):
    unknown, uncoloured, cell = colors.Groups(fit, by_type=True).colors[[0, 1, 4]]
    assert (unknown, uncoloured, cell) == (GREY, GREY, "#00AA00")


@pytest.mark.parametrize("room", colors.METHOD_COLORS)
def test_colours_differ_without_red_and_green(room):
    """For readers who see red as green."""
    seen = []
    for color in colors.METHOD_COLORS[room].values():
        red, green, blue = to_rgb(color)
        seen.append((red + 2 * green, blue))
    assert pdist(seen).min() > 0.09


@pytest.mark.parametrize(
    ("by_type", "title"),
    [(False, "families (cells)"), (True, "families (cells), with the colours of their types")],
)
def test_a_key_says_whether_colours_are_of_types(fit, by_type, title):
    assert colors.Groups(fit, by_type).title == title


@pytest.mark.parametrize(("low", "high"), [(0.68, 0.79), (0.2, 0.9), (0.02, 0.4)])
def test_narrow_logarithmic_axes_have_plain_numbers(low, high):
    ax = Figure().subplots()
    ax.set(yscale="log", ylim=(low, high))
    common.write_plain_numbers(ax.yaxis)
    ax.figure.draw_without_rendering()
    labels = ax.get_yticklabels()
    shown = [text.get_text() for text in labels if low <= text.get_position()[1] <= high]
    assert len(shown) >= 2
    assert all(float(number) for number in shown)


def boxes_of_names(points, beside):
    """Axes and frames of names at points in a square of length 1, in pixels."""
    ax = Figure(figsize=(3, 2)).subplots()
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    common.place_names(ax, points, [f"name {i}" for i in range(len(points))], beside=beside)
    return ax, [Text.get_window_extent(text) for text in ax.texts]


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("x", [0.01, 0.5, 0.99])
@pytest.mark.parametrize(("n_names", "are_apart"), [(9, True), (40, False)])
def test_names_stay_inside_and_apart_if_there_is_room(n_names, are_apart, x, beside):
    """Of points from bottom to top in a corner."""
    points = np.column_stack([np.full(n_names, x), np.linspace(0.9, 1, n_names)])
    ax, boxes = boxes_of_names(points, beside)
    frame = ax.get_window_extent().padded(1)
    assert all(frame.contains(*corner) for box in boxes for corner in (box.min, box.max))
    assert all(below.y1 < above.y0 for below, above in pairwise(boxes)) == are_apart


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("x", [0.01, 0.5, 0.99])
def test_names_far_from_each_other_are_not_moved(x, beside):
    points = np.array([[x, 0.8], [x, 0.3]])
    ax, boxes = boxes_of_names(points, beside)
    for point, box in zip(ax.transData.transform(points), boxes, strict=True):
        assert (box.y0 + box.y1) / 2 == pytest.approx(point[1], abs=2)
        assert box.contains(*point) != beside


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


@pytest.mark.parametrize("places", [[[3, 7], [1, 7], [2, 7], [0, 7]], [[3], [1], [2], [0]]])
def test_one_coordinate_is_spread_over_the_subplot(places):
    x, y = maps.subplot_coordinates(places, proportional=False).T
    assert np.argsort(x).tolist() == [3, 1, 2, 0]
    assert len(set(y)) == 4


@pytest.fixture
def flat_cloud():
    """500 cells, 0.4 times as high as wide."""
    square = np.random.default_rng(0).uniform(size=(500, 2))
    return square * [1, 0.4]


@pytest.mark.parametrize(("proportional", "height"), [(True, 0.4), (False, 1)])
def test_a_tsne_keeps_its_proportions(flat_cloud, proportional, height):
    across, up = np.ptp(maps.subplot_coordinates(flat_cloud, proportional), axis=0)
    assert across == pytest.approx(0.94, abs=0.03)
    assert up / across == pytest.approx(height, abs=0.03)


@pytest.mark.parametrize("proportional", [True, False])
@pytest.mark.parametrize(("x", "text"), [(1.8, ""), (9, " (1 at the edge)")])
def test_a_subplot_holds_every_cell(flat_cloud, proportional, x, text):
    xy = maps.subplot_coordinates([*flat_cloud, [x, 0.2]], proportional)
    assert 0 < xy.min() < xy.max() == xy[-1, 0] < 1
    assert maps.edge_text(xy) == text


def test_a_far_cell_leaves_a_third_to_others(flat_cloud):
    xy = maps.subplot_coordinates([*flat_cloud, [9, 0.2]], proportional=False)
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


def record_of(model, params, **values):
    """A fit or, without values, a cross-validation of one model."""
    estimator = {"class": f"sbnn.{model}", "params": params}
    return made_up(values, settings={"estimator": estimator})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (reading.short_name("abcdefghijk", 11), "abcdefghijk"),
        (reading.short_name("abcdefghijk", 10), "abcdef…ijk"),
        (reading.number_and_noun(1, "gene"), "1 gene"),
        (reading.dataset_title("own table"), "own table"),
        (reading.dataset_title("scala"), "M1"),
        (reading.number_text(-0.126), "−0.13"),
        (reading.number_text(-0.001), "0.00"),
        (reading.mean_text([0.12345]), "0.123"),
        (reading.mean_text([-0.1, -0.2]), "−0.150 ± 0.071"),
        (reading.network_name(fit_record(width=64), 0), "sBNN published, d = 64"),
        (reading.model_title(fit_record()), "sBNN published, d = 2, 12 genes"),
        (
            reading.model_title(
                record_of("SparseReducedRankRegression", {"rank": 8}, embedding=[], kept_genes="AB")
            ),
            "sRRR, rank 8 + t-SNE, 2 genes",
        ),
        (
            reading.model_title(record_of("Other", {"n_components": 3, "n_genes": 1})),
            "Other, d = 3, 1 gene",
        ),
        (reading.dataset_title("lee_human_shared"), "human cortex, shared features"),
    ],
)
def test_names_and_numbers_are_written_short(text, expected):
    assert text == expected


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


@pytest.fixture
def of_150_cells(fit):
    fit = replace(fit, values=fit.values | {"cell_names": np.arange(150).astype(str)})
    fit.values["labels"] = pd.DataFrame({"family": "A", "type": "A"}, fit.cell_names)
    return fit


@pytest.mark.parametrize(
    ("numbers", "counts", "last"),
    [
        (np.arange(150.0), [30] * 5, "120 to 149"),
        (np.arange(150.0).clip(40) - 40, [41, 28, 27, 27, 27], "83 to 109"),  # many zeros
        (1.6e9 + np.arange(150), [30] * 5, "1.60000012e+09 to 1.60000015e+09"),
    ],
    ids=["numbers", "many of the lowest", "many digits"],
)
def test_numbers_colour_cells_in_five_classes(of_150_cells, numbers, counts, last):
    depth = pd.Series(numbers, of_150_cells.cell_names, name="depth")
    groups = colors.Groups(colors.color_by(of_150_cells, depth))
    assert groups.title == "depth (cells)"
    assert groups.table["count"].tolist() == counts
    assert groups.table.index[-1] == last
    assert not groups.has_names


def test_an_infinite_number_colours_no_cell(of_150_cells):
    depth = pd.Series([*range(149), np.inf], of_150_cells.cell_names, name="depth")
    with pytest.raises(ValueError, match="'depth' is infinite in cell '149'"):
        colors.color_by(of_150_cells, depth)


def test_cells_without_types_show_the_output_most_like_the_others(fit):
    """The highest fifth of the cells has another colour than the lowest."""
    assert colors.color_untyped(fit) is fit
    fit.labels[["family", "type"]] = "unknown"
    fit.outputs[:, 1] = fit.outputs.sum(axis=1)
    groups = colors.Groups(colors.color_untyped(fit))
    assert groups.title == f"{fit.feature_names[1]}, z-score (cells)"
    order = np.argsort(fit.outputs[:, 1])
    assert len({*groups.colors[order[:18]]}) == len({*groups.colors[order[-18:]]}) == 1
    assert groups.colors[order[0]] != groups.colors[order[-1]]
