"""Families have one colour each, which differ for all eyes and are the same in maps and keys."""

from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from material.drawn import cells_at, cells_of, legend_of, shades_of
from material.figures import axes_of, figure_functions, reorder
from material.records import COLORS, NARROW, TSNE, TYPES, WIDE
from matplotlib.colors import to_rgb
from numpy.testing import assert_allclose

from sbnn import plotting
from sbnn.data.colors import GREY
from sbnn.plotting.colors import FAMILY_COLORS, Groups, color_by, family_colors
from sbnn.plotting.maps import map_coordinates, subplot_coordinates

#: What eyes make of linear red, green and blue (Machado et al. 2009, severity 1).
EYES = {
    "usual": np.eye(3),
    "protanope": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "deuteranope": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
}
#: Of sRGB to XYZ of which white is 1.
TO_XYZ = np.array(
    [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
) / [[0.9505], [1], [1.089]]


def cielab(color, eyes):
    """Lightness, and places from green to red and from blue to yellow."""
    rgb = np.array(to_rgb(color))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ (eyes @ linear).clip(0, 1)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def test_lightness_and_hue_of_known_colours():
    assert_allclose(cielab("white", EYES["usual"]), [100, 0, 0], atol=0.02)
    assert_allclose(cielab("red", EYES["usual"]), [53.2, 80.1, 67.2], atol=0.1)


@pytest.mark.parametrize("eyes", EYES)
def test_colours_of_families_differ(eyes):
    """By 15 in CIELAB at least; the smallest distances are printed."""
    places = {family: cielab(color, EYES[eyes]) for family, color in FAMILY_COLORS.items()}
    assert len(places) == 9
    distances = sorted(
        (np.linalg.norm(places[one] - places[other]), one, other)
        for one, other in combinations(places, 2)
    )
    smallest = [f"{distance:.1f} {one}-{other}" for distance, one, other in distances[:3]]
    print(f"{eyes}: {', '.join(smallest)}")
    assert distances[0][0] > 15


def table_of(*pairs):
    return pd.DataFrame(pairs, columns=["family", "type"])


def test_families_of_one_type_have_its_colour():
    labels = table_of(("B cell", "B cell"), ("Sst", "Sst 1"), ("unknown", "unknown"))
    of_types = {"B cell": "#123456", "unknown": "#ABCDEF"}
    expected = {"B cell": "#123456", "Sst": GREY, "unknown": GREY}
    assert family_colors(labels, of_types) == expected


def test_families_of_several_types_have_hues_of_their_own():
    """Known names theirs, whatever the colours of their types and the order of the cells."""
    others = [f"family {letter}" for letter in "abcdefghijklmnop"]
    labels = table_of(
        *((family, f"{family} {i}") for family in (*FAMILY_COLORS, *others) for i in "12")
    )
    labels.loc[7, "family"] = "unknown"
    found = family_colors(labels, dict.fromkeys(labels["type"], "#123456"))
    assert FAMILY_COLORS.items() <= found.items()
    assert found["unknown"] == GREY
    assert len(found) == len({*found.values()}) == 9 + 16 + 1
    assert family_colors(labels[::-1], {}) == found


def expected_cells(figure, families, xy):
    """Cells at places, in the colours that the key of a figure gives to their families."""
    key = {text.split(" (")[0]: color for text, color in legend_of(figure)}
    return cells_at(xy, [key[family] for family in families])


#: Places of the cells in each subplot that has them, by figure with a key of families.
MAPS = {
    "latent_subplots": [map_coordinates(WIDE), map_coordinates(NARROW)],
    "tsne_pair": [
        subplot_coordinates(TSNE.transcriptome, proportional=True),
        subplot_coordinates(TSNE.outputs, proportional=False),
    ],
    "cell_maps": [
        subplot_coordinates(TSNE.values[name], proportional=False)
        for name in ("outputs", "transcriptome")
    ],
}


def subplots_of_cells(figure):
    """Subplots in which each cell is a dot."""
    return [
        ax for ax in figure.axes if [len(part.get_offsets()) for part in ax.collections] == [90]
    ]


def has_key_of_families(name):
    legends = axes_of(name)[0].get_figure(root=True).legends
    return any(legend.get_title().get_text().startswith("families") for legend in legends)


def test_every_figure_with_a_key_of_families_is_compared_with_it():
    assert {name for name in figure_functions() if has_key_of_families(name)} == MAPS.keys()


@pytest.mark.parametrize("name", MAPS)
def test_dots_have_the_colour_of_their_family_in_the_key(name):
    figure = axes_of(name)[0].get_figure(root=True)
    for ax, xy in zip(subplots_of_cells(figure), MAPS[name], strict=True):
        assert_allclose(cells_of(ax), expected_cells(figure, NARROW.labels["family"], xy))


def with_labels(record, families, types, **values):
    labels = pd.DataFrame({"family": families, "type": types}, record.labels.index)
    return replace(record, values=record.values | {"labels": labels} | values)


OWN = NARROW.labels
#: Labels of the 90 cells of another kind: families, types and what else the record has.
LABELS = {
    "families of one type": (OWN["family"], OWN["family"], dict(zip("ABC", COLORS, strict=False))),
    "families known in part": (OWN["family"].where(np.arange(90) > 9, ""), OWN["type"], {}),
    "no families": ("unknown", OWN["type"], NARROW.colors),
}


@pytest.mark.parametrize("kind", LABELS)
def test_dots_have_the_colour_in_the_key_whatever_is_known(kind):
    families, types, of_types = LABELS[kind]
    record = with_labels(TSNE, families, types, colors=of_types)
    figure = plotting.tsne_pair(record)
    groups = types if kind == "no families" else families.replace("", "unknown")
    for ax, xy in zip(subplots_of_cells(figure), MAPS["tsne_pair"], strict=True):
        assert_allclose(cells_of(ax), expected_cells(figure, groups, xy))


def test_dots_have_the_colour_of_their_label_in_the_key():
    donors = pd.Series(np.resize(["old", "young", "old", "none"], 90), TSNE.cell_names)
    figure = plotting.tsne_pair(color_by(TSNE, donors))
    for ax, xy in zip(subplots_of_cells(figure), MAPS["tsne_pair"], strict=True):
        assert_allclose(cells_of(ax), expected_cells(figure, donors, xy))


def test_dots_have_the_colour_of_their_fifth_in_the_key():
    """Of the output that correlates most with the others, where no type is known."""
    figure = plotting.model_overview(with_labels(NARROW, "unknown", "unknown"))
    typical = np.square(np.corrcoef(NARROW.outputs.T)).sum(axis=0).argmax()
    fifths = np.argsort(np.argsort(NARROW.outputs[:, typical])) // 18
    key = [color for _, color in legend_of(figure)]
    colors = [key[fifth] for fifth in fifths]
    assert_allclose(cells_of(figure.axes[2]), cells_at(MAPS["latent_subplots"][1], colors))


@pytest.fixture(scope="module")
def by_type():
    return plotting.latent_subplots(NARROW, by_type=True)


def test_dots_of_types_have_a_colour_of_their_family_in_the_key(by_type):
    key = {text[0]: {*shades} for text, shades in shades_of(by_type).items()}
    [ax] = subplots_of_cells(by_type)
    of_types = {name: color.lower() for name, color in zip(TYPES, COLORS, strict=True)}
    colors = OWN["type"].map(of_types)
    assert_allclose(cells_of(ax), cells_at(MAPS["latent_subplots"][1], colors))
    assert all(color in key[family] for family, color in zip(OWN["family"], colors, strict=True))
    assert key == {name: {of_types[f"{name}1"], of_types[f"{name}2"]} for name in "ABC"}


def test_shades_are_those_of_the_most_frequent_types():
    """Eight of nine."""
    counts = np.arange(9, 0, -1)
    types = np.repeat([f"type {i}" for i in range(9)], counts)
    colors = {f"type {i}": f"#00000{i}" for i in range(9)}
    record = with_labels(NARROW, "A", np.resize(types, 90), colors=colors)
    [shades] = shades_of(plotting.latent_subplots(record, by_type=True)).values()
    assert shades == [f"#00000{i}" for i in range(8)]


def test_the_order_of_equally_frequent_types_is_not_that_of_the_cells():
    usual, other = (Groups(record, by_type=True).shades for record in (NARROW, reorder(NARROW)))
    assert other == usual
