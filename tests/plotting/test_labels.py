"""Names are short, and stand where they hide nothing."""

import matplotlib as mpl
import numpy as np
import pytest

from sbnn.plotting import common, labels, style

LONG = "Action potential half-width at rheobase + 50 pA (ms), mean of 5 sweeps"


def test_names_and_numbers_are_short():
    shorts = {11: "abcdefghijk", 10: "abcdef…ijk", 2: "…k"}
    for most, short in shorts.items():
        assert labels.shortened("abcdefghijk", most) == short
    assert labels.shortened("one two  three four", 10) == "one tw…our"
    assert labels.counted(1, "gene") == "1 gene"
    assert labels.counted(0, "gene") == "0 genes"
    assert labels.signed(-0.126) == "−0.13"


def test_different_names_stay_different():
    names = ["spike 1 of five: time", "spike 2 of five: time", "another long name"]
    short = ["spike 1…ime", "spike 2…ime", "anothe…ame"]
    assert labels.shortened_apart([*names, names[0]], 10) == [*short, short[0]]


def test_a_text_is_made_smaller_and_then_shorter():
    figure = mpl.figure.Figure()
    text = figure.text(0, 0, f"{LONG}, 7 0.43", fontsize=7)
    labels.fit_text(text, 0.7, keep=" 0.43")
    assert text.get_text().startswith("Act")
    assert text.get_text().endswith("7 0.43")
    assert 0.5 < labels.text_width(text) <= 0.7
    assert text.get_fontsize() == labels.SMALLEST
    labels.fit_text(text, 0.01, keep=" 0.43")
    assert text.get_text() == "A…7 0.43", "at least three letters are left"
    short = figure.text(0, 0, "short", fontsize=7)
    width = labels.text_width(short)
    labels.fit_text(short, 0.9 * width)
    assert short.get_text() == "short"
    assert 5 < short.get_fontsize() < 7
    labels.fit_text(short, width)
    assert short.get_fontsize() < 7, "it is not enlarged"


@pytest.fixture
def panel():
    """A panel with three named lines."""
    with style():  # whatever the settings of matplotlib are
        figure, ax = common.new_panels(2)
        ax.set(xlim=(0, 10), ylim=(0, 1))
        for x in (3, 9.9):
            labels.name_line(ax, x, "line")
        labels.name_line(ax, 5, "below", low=True)
        common.finish(figure)
    return ax


def test_names_of_lines_stand_at_their_ends(panel):
    first, at_edge, low = [text.get_window_extent() for text in panel.texts]
    x, y = panel.transData.transform((3, 1))
    assert 0 < first.x0 - x < 10
    assert 0 <= y - first.y1 < 10
    assert at_edge.x1 < panel.transData.transform((9.9, 1))[0]
    assert 0 <= low.y0 - panel.get_window_extent().y0 < 10
    assert [line.get_xdata()[0] for line in panel.lines] == [3, 9.9, 5]


@pytest.fixture
def placed():
    """Function that places names at points, in points of a wide panel; returns boxes in points."""
    figure, ax = common.new_panels(4)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    common.finish(figure)
    unit = figure.dpi / 72

    def place(points, names):
        inside = ax.transData.inverted().transform(np.multiply(points, unit))
        notes = labels.place_names(ax, inside, names, inside)
        return np.array([note.get_window_extent().extents / unit for note in notes])

    return place


@pytest.mark.parametrize("side", range(4))
def test_a_name_keeps_three_points_from_other_points(placed, side):
    """The other point lies next to one side of the best position; "" takes no space."""
    point = np.array([140.0, 140.0])
    [box] = placed([point], ["name"])
    assert box[0] > point[0]
    beside = np.array([box[[0, 2]].mean(), box[[1, 3]].mean()])
    for gap, stays in ((3.2, True), (2.8, False)):
        beside[side % 2] = box[side] + gap * (1 if side > 1 else -1)
        first, _ = placed([point, beside], ["name", ""])
        assert np.allclose(first, box) == stays


def test_names_keep_half_a_point_from_each_other(placed):
    point = np.array([140.0, 140.0])
    [box] = placed([point], ["name"])
    for gap, stays in ((0.6, True), (0.4, False)):
        shift = np.array([-5, box[3] - box[1] + gap])  # the point is not close to the first name
        first, second = placed([point, point + shift], ["name", "name"])
        assert np.allclose(first, box)
        assert np.allclose(second, box + np.tile(shift, 2)) == stays


def test_names_at_points_hide_neither_each_other_nor_points():
    points = np.random.default_rng(0).uniform(0.47, 0.53, size=(15, 2))  # crowded
    points[0] = 1, 0.5  # at the right edge
    points[1] = 0.1, 0.1
    figure, ax = common.new_panels(4)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    common.finish(figure)
    names = [f"name {i}" for i in range(15)]
    notes = labels.place_names(ax, points, names, points)
    boxes = [note.get_window_extent() for note in notes]
    pixels = ax.transData.transform(points)
    gaps = []
    for note, name, pixel, box in zip(notes, names, pixels, boxes, strict=True):
        assert note.get_text() == name
        assert ax.transData.transform(note.xy) == pytest.approx(pixel)
        assert box.count_overlaps(boxes) == 1, "with itself"
        assert not box.count_contains(pixels)
        nearest = np.clip(pixel, box.min, box.max)
        gaps.append(np.hypot(*(nearest - pixel)) * 72 / figure.dpi)
    assert boxes[0].x1 <= ax.get_window_extent().x1
    assert 0 < gaps[1] <= 1.01 * labels.GAP, "close to a point that is alone"
    far = np.array(gaps) > labels.GAP + 4
    assert len(ax.lines) == far.sum() > 0, "a line leads to a name that is far away"


def test_names_do_not_depend_on_the_last_bits_of_points():
    """Rows of points at equal distances, where many positions are as good as each other."""
    across, up = np.meshgrid(np.linspace(0.3, 0.7, 5), np.linspace(0.3, 0.7, 5))
    points = np.column_stack([across.ravel(), up.ravel()])
    names = [f"name {i}" for i in range(len(points))]
    places = []
    for seed in range(4):
        figure, ax = common.new_panels(4)
        ax.set(xlim=(0, 1), ylim=(0, 1))
        common.finish(figure)
        rounding = 1e-15 * np.random.default_rng(seed).normal(size=points.shape)
        notes = labels.place_names(ax, points + rounding, names, points + rounding)
        places.append([note.get_position() for note in notes])
    np.testing.assert_array_equal(places[1:], [places[0]] * 3)
