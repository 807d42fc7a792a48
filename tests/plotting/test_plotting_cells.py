"""Figures of the cells: the zoom on a family, t-SNE of both modalities, colours for any vision."""

import numpy as np
import pytest
from crowded import own_records
from made_up import assert_tidy, fit_record, words
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.data.checks import GREY
from sbnn.plotting.colors import Groups


def scattered(figure, n):
    return [c for ax in figure.axes for c in ax.collections if len(c.get_offsets()) == n and c.get_array() is None]


def test_family_zoom_shows_the_family_alone_over_its_part_of_the_map():
    features = ("AP width", "Rebound", "Rheobase", "Tau")
    above, below = (fit_record(width, 150, 25, features) for width in (64, 2))
    for record in (above, below):
        record.labels["family"] = record.labels["family"].replace("B", "Vip")
        record.values["predicted_expression"] = np.random.default_rng(0).normal(size=(150, 25))
    figure = plotting.family_zoom(above, below)
    assert_tidy(figure)
    for part in ("Vip, 50 cells", "types in Vip (cells)", "predicted expression (z-score)", "d = 64 + t-SNE", "d = 2"):
        assert part in words(figure)
    assert [t.get_text() for t in figure.texts][-2:] == ["Tau", "Rebound"]
    (cells,) = scattered(figure, 50)  # the cells of the family, and no others
    assert {to_hex(color) for color in cells.get_facecolors()} == {"#00aa00", "#11bb11"}
    ranges = {ax.get_xlim() for ax in figure.axes if "(z-score)" in ax.get_xlabel()}
    assert len(ranges) == 4 and (-2, 2) in ranges  # one for all small maps, and one for each of the large


def test_family_zoom_chooses_the_marker_and_the_outputs():
    record = fit_record()
    own = record.labels["family"] == "B"
    record.values["predicted_expression"] = np.zeros((90, 12))
    record.values["predicted_expression"][own, 7] = 1.0
    record.values["predicted_expression"][~own, 3] = 5.0
    record.values["predictions"][own, :2] = 0.5
    record.values["predictions"][~own, :2] *= 10
    figure = plotting.family_zoom(record, family="B")
    assert_tidy(figure)
    texts = [text.get_text() for text in figure.texts]
    assert texts[-3] == "Gene7" and set(texts[-2:]) == {"x", "y"}  # AP width and Tau do not differ among the cells


def test_a_family_of_one_type_is_not_shown_from_near():
    record = fit_record()
    own = record.labels["family"] == "A"
    record.labels.loc[own, "type"] = "A1"
    assert "B, 30 cells" in words(plotting.family_zoom(record)), "the first of several types"
    with pytest.raises(ValueError, match=r"family: expected one with several types, of \['B', 'C'\], got 'A'"):
        plotting.family_zoom(record, family="A")
    with pytest.raises(ValueError, match=r"family: expected one with several types, of \[\], got None"):
        record.labels["type"] = "unknown"
        plotting.family_zoom(record)


def test_tsne_pair_shows_both_maps_in_the_colours_of_the_types():
    record = own_records(16, 30, 5)["tsne"]
    figure = plotting.tsne_pair(record)
    assert_tidy(figure)
    text = words(figure)
    for part in ("transcriptome: t-SNE of 20 principal components", "outputs: t-SNE of 9"):
        assert part in text
    left, right = scattered(figure, 150)
    assert not np.allclose(left.get_offsets(), right.get_offsets())
    assert "proteins: t-SNE" in words(plotting.tsne_pair(record, titles=("RNA", "proteins")))


def test_unknown_types_have_the_colour_of_their_legend_entry():
    record = fit_record()
    record.values["colors"]["unknown"] = "#123456"  # as of a file that colours its missing types
    record.values["labels"].loc[:19, ["family", "type"]] = "unknown"
    groups = Groups(record)
    assert set(groups.colors[:20]) == {groups.table.loc["unknown", "color"]} == {GREY}


def test_a_family_has_the_colour_of_its_most_frequent_type():
    record = fit_record()
    record.labels.loc[record.labels["family"] == "A", "type"] = ["A1"] * 10 + ["A2"] * 20
    assert plotting.family_colors(record)["A"] == record.colors["A2"]
