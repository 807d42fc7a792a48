"""Figures show the numbers of the records: dots, bars and texts are read back."""

import numpy as np
import pytest
from sbnn.ephys_types.figures.accuracy import accuracy_of_models
from sbnn.ephys_types.figures.calibration import calibration_curves
from sbnn.ephys_types.figures.cells import cells_by_type, parting_components
from sbnn.ephys_types.figures.conditions import within_conditions
from sbnn.ephys_types.figures.confusion import confusion_matrices
from sbnn.ephys_types.figures.families import family_map
from sbnn.ephys_types.figures.gallery import draw_all, figure_names
from sbnn.ephys_types.figures.looks import TYPE_COLORS, type_color
from sbnn.ephys_types.figures.transfer import learning_curves
from sbnn.ephys_types.published import Published
from test_transfer_tables import curves

from sbnn.ephys_types import study
from sbnn.evaluation.classification import calibration, confusion_counts, repeat_means

pytestmark = pytest.mark.filterwarnings("ignore:.*lacks.*in training or in test")


def texts(figure):
    return [text.get_text() for ax in figure.axes for text in ax.texts]


def overlapping(figure):
    """Pairs of texts that lie on each other."""
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    beyond = set()  # labels of ticks outside of the limits, which are not drawn
    for axis in (axis for ax in figure.axes for axis in (ax.xaxis, ax.yaxis)):
        low, high = sorted(axis.get_view_interval())
        ticks = axis.get_major_ticks() + axis.get_minor_ticks()
        beyond |= {tick.label1 for tick in ticks if not low <= tick.get_loc() <= high}
    found = figure.findobj(lambda a: hasattr(a, "get_text") and a.get_visible() and a.get_text().strip())
    found = [text for text in found if text not in beyond]
    boxes = [(t.get_text(), t.get_window_extent(renderer).padded(-1.5)) for t in found]
    boxes = [(text, box) for text, box in boxes if box.width > 0 and box.height > 0]
    return [(a, b) for i, (a, one) in enumerate(boxes) for b, other in boxes[i + 1 :] if one.overlaps(other) and a != b]


@pytest.fixture(scope="module")
def records(folder):
    return study.load_records(folder)


def test_all_figures_are_drawn_and_no_text_lies_on_another(records, tmp_path):
    records = records | {"transfer_curves": curves()}
    names = figure_names(records)
    assert names == [
        *("types_accuracy", "types_confusion", "types_calibration", "types_cells"),
        *("types_families_family_attention", "types_families_lightgbm", "types_within_condition", "transfer_curves"),
    ]
    assert [path.stem for path in draw_all(records, tmp_path)] == names
    assert all((tmp_path / f"{name}.pdf").exists() for name in names)


def test_accuracy_shows_repeats_means_and_published_numbers(records):
    record = records["types_family_attention"]
    models = {"majority": ("majority", "baseline", records["types_majority"]), "ours": ("ours", "ours", record)}
    figure = accuracy_of_models(models, {"ours": Published(0.5, 0.6)}, "cells")
    left = figure.axes[0]
    drawn = [line.get_xdata() for line in left.lines]
    assert any(np.array_equal(x, repeat_means(record)) for x in drawn)
    assert f"{repeat_means(record).mean():.3f} (0.500)" in texts(figure)
    [published] = [line for line in left.lines if np.array_equal(line.get_xdata(), [0.5])]
    [dots] = [line for line in left.lines if np.array_equal(line.get_xdata(), repeat_means(record))]
    assert published.get_zorder() < dots.get_zorder(), "a filled mark would hide them"
    assert left.get_xlim()[0] > repeat_means(records["types_majority"]).mean(), "the majority is off the scale"
    assert not overlapping(figure)
    with pytest.raises(ValueError, match="models"):
        accuracy_of_models({})


def test_confusion_has_shares_and_cells(records):
    record = records["types_lightgbm"]
    figure = confusion_matrices({"trees": record})
    counts = confusion_counts(record)
    assert counts.sum() == pytest.approx(200)
    share = counts[0, 1] / counts[0].sum()
    assert texts(figure)[1] == f"{share:.2f}\n{counts[0, 1]:.0f}"
    np.testing.assert_allclose(figure.axes[0].images[0].get_array(), counts / counts.sum(1, keepdims=True))


def test_calibration_tells_its_error(records):
    record = records["types_lightgbm"]
    figure = calibration_curves({"trees": ("trees", record)})
    table, error = calibration(record)
    assert f"error {error:.3f}" in texts(figure)
    np.testing.assert_allclose(figure.axes[0].lines[1].get_ydata(), table["accuracy"][table["share"] >= 0.005])


def test_families_are_ordered_by_what_shuffling_costs(records):
    record = records["types_families_family_attention"]
    figure = family_map(record, "ours")
    heat, bars, left_out = figure.axes[:3]
    widths = [bar.get_width() for bar in bars.patches]
    assert widths == sorted(widths, reverse=True)
    order = np.argsort(-record.shuffled_log_loss.mean(0), kind="stable")
    np.testing.assert_allclose(heat.images[0].get_array(), record.attention[:, order].T)
    assert [bar.get_width() for bar in left_out.patches] == pytest.approx(record.left_out_log_loss.mean(0)[order])
    assert not overlapping(figure)


def test_cells_have_the_colours_of_the_field(records):
    figure = cells_by_type(records["types_cells"])
    colors = {tuple(np.round(c[:3] * 255).astype(int)) for c in figure.axes[1].collections[0].get_facecolors()}
    assert (0xD9, 0x31, 0x37) in colors and len(colors) == 4
    assert TYPE_COLORS["SST"] == "#FF9900" and type_color("Glia") == "#808080"


def test_components_are_shown_that_part_the_types_in_two_ways():
    rng = np.random.default_rng(0)
    types = np.repeat(["a", "b", "c"], 40)
    noise = rng.normal(size=(120, 4))
    components = noise.copy()
    components[:, 1] += 6 * (types == "a")
    components[:, 2] = components[:, 1] + 0.3 * noise[:, 2]  # says the same again
    components[:, 3] += 3 * (types == "b")
    names = ["f sPC1", "f sPC2", "g sPC1", "h sPC1"]
    assert parting_components(components, types, names) == [1, 3]
    assert parting_components(components[:, :2], types, names[:2]) == [1, 0]
    assert parting_components(components[:, 1:2], types, names[1:2]) == [0]


def test_conditions_show_who_is_where(records):
    labels = records["types_cells"].labels
    figure = within_conditions({"trees": records["types_lightgbm"]}, labels, "condition")
    counts = labels["condition"].value_counts()
    named = [label.get_text() for label in figure.axes[0].get_yticklabels()]
    assert named == [f"{name} ({size})" for name, size in counts.items()]
    assert not overlapping(figure)
    with pytest.raises(ValueError, match="a column 'virus'"):
        within_conditions({"trees": records["types_lightgbm"]}, labels, "virus")


def test_learning_curves_show_the_gain_with_its_interval():
    figure = learning_curves(curves())
    over_one, over_two = (
        {
            mark: [round(float(line.get_ydata()[0]), 3) for line in ax.lines if line.get_marker() == mark]
            for mark in "oD"
        }
        for ax in figure.axes[1:]
    )
    assert over_one == {"o": [0.1, 0.1], "D": [0.06, 0.06]} and over_two == {"o": [0.04, 0.04], "D": []}
    for ax in figure.axes:
        assert [label.get_text() for label in ax.get_xticklabels()] == ["25", "all\n(≈80)"]
    assert not overlapping(figure)
