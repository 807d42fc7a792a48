"""Cells in the colours and shapes of their groups, and the names of groups where they belong."""

from dataclasses import replace
from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest
from made_up import fit_record, words
from matplotlib.colors import to_hex
from scipy.cluster.vq import kmeans2
from sklearn.metrics import calinski_harabasz_score

from sbnn import plotting
from sbnn.data.checks import GREY, OKABE_ITO
from sbnn.plotting import cells, colors


def panel():
    return mpl.figure.Figure(figsize=(4, 4)).subplots()


def partly_known():
    """A fit of three unknown cells, and of two cells whose type has no colour."""
    fit = fit_record()
    fit.labels.loc[[0, 3, 6], ["family", "type"]] = ""
    fit.labels.loc[[1, 2], "type"] = "X"
    fit.colors["unknown"] = "#123456"
    return fit


def test_a_family_has_the_colour_of_its_most_frequent_type():
    fit = partly_known()
    groups = colors.Groups(fit)
    assert groups.table["count"].to_dict() == {"B": 30, "C": 30, "A": 27, "unknown": 3}
    known = {"B": "#00AA00", "C": "#3333CC", "A": "#BB3300", "unknown": GREY}
    assert groups.table["color"].to_dict() == known
    assert list(known) == groups.table.index.tolist()
    assert plotting.family_colors(fit) == known
    assert groups.colors[[0, 1, 4]].tolist() == [GREY, GREY, "#00AA00"]
    assert groups.title == "families (cells), in the colour of their most frequent type"
    types = groups.count("type", groups.families == "B")
    assert types["count"].to_dict() == {"B1": 15, "B2": 14, "X": 1}
    assert types["color"].tolist() == ["#00AA00", "#11BB11", GREY]


def test_safe_colours_and_shapes_of_families():
    groups = colors.Groups(partly_known(), colorblind=True)
    assert groups.table["color"].tolist() == [*OKABE_ITO[:3], GREY]
    assert groups.table["marker"].tolist() == ["o", "s", "^", "o"]
    assert groups.colors[:3].tolist() == [GREY, *OKABE_ITO[:2]]
    assert groups.markers[:3].tolist() == ["o", "o", "s"]
    assert groups.title == "families (cells)"


def test_types_replace_unknown_families():
    fit = fit_record()
    fit.labels["family"] = "unknown"
    groups = colors.Groups(fit)
    assert groups.title == "types (cells)"
    assert len(groups.table) == 6
    assert not groups.clustered


def clustered_fit():
    """A fit without types, and the true cluster of each cell."""
    fit = fit_record()
    rng = np.random.default_rng(0)
    own = rng.permutation(np.repeat([0, 1, 2], [45, 30, 15]))
    fit.values["outputs"] = np.eye(4)[own] * 5 + 0.3 * rng.normal(size=(90, 4))
    fit.labels["family"] = ""
    fit.labels["type"] = "unknown"
    return fit, own


def test_cells_without_types_are_coloured_by_clusters_of_their_outputs():
    fit, own = clustered_fit()
    groups = colors.Groups(fit)
    assert groups.clustered
    expected = [f"cluster {i + 1}" for i in own]
    assert groups.families.tolist() == expected, "the largest first, as many as are separate"
    assert set(groups.colors[own == 1]) == {OKABE_ITO[1]}
    text = words(plotting.latent_panels(fit))
    assert "no types are known: clusters of the outputs (cells)" in text
    assert "cluster 3 (15)" in text
    fit.labels.loc[0, "type"] = "A1"
    assert set(colors.Groups(fit).types) == {"A1", "unknown"}, "one known type is enough"


@pytest.mark.parametrize("n_clusters", [2, 4, 6])
def test_the_number_of_clusters_is_found(n_clusters):
    rng = np.random.default_rng(1)
    own = np.arange(20 * n_clusters) % n_clusters
    angle = 2 * np.pi * own / n_clusters
    Y = 10 * np.column_stack([np.cos(angle), np.sin(angle)]) + rng.normal(size=(len(own), 2))
    found = colors.clusters(Y)
    for cluster in range(n_clusters):
        assert len(set(found[own == cluster])) == 1
    assert len(set(found)) == n_clusters


def test_the_number_of_clusters_of_few_cells_follows_the_criterion_of_calinski_and_harabasz():
    for seed in range(6):
        Y = np.random.default_rng(seed).normal(size=(9, 2))
        scores = {}
        for k in range(2, 8):
            _, labels = kmeans2(Y, k, minit="++", seed=0, iter=50)
            scores[k] = calinski_harabasz_score(Y, labels)
        assert len(set(colors.clusters(Y))) == max(scores, key=scores.get)


def test_a_pair_of_t_snes_shows_clusters_of_a_fit():
    fit, _ = clustered_fit()
    maps = {"transcriptome": fit.embedding, "outputs": fit.embedding, "labels": fit.labels}
    maps |= {"n_transcriptome": 2, "n_outputs": 2, "colors": fit.colors}
    tsne = replace(fit, values=maps)
    assert "cluster 3 (15)" in words(plotting.tsne_pair(tsne, fit=fit))
    assert "unknown (90)" in words(plotting.tsne_pair(tsne))


def test_shades_run_from_dark_to_pale():
    assert colors.shades("#009e73", 3) == ["#00573f", "#019e73", "#99d8c7"]
    assert colors.shades("#009e73", 1) == ["#019e73"]
    assert colors.paler("#000000") == "#8c8c8c"


def test_the_rarest_of_many_groups_share_a_legend_entry():
    table = pd.DataFrame({"count": np.arange(26, 0, -1), "color": "red", "marker": "o"})
    table.index = [f"g{i}" for i in range(26)]
    table.loc[["g24", "g25"], "color"] = "blue"
    for n, last in ((24, "g23 (3)"), (25, "2 others (5)"), (26, "3 others (6)")):
        entries = cells.legend_entries(table[:n])
        assert len(entries) == 24
        assert entries[-1].get_label() == last
    assert entries[-1].get_color() == "none", "they have several colours"
    assert entries[0].get_label() == "g0 (26)"


def test_outlying_cells_are_drawn_at_the_edge_in_their_own_colour_and_shape():
    groups = SimpleNamespace(families=np.array(["a", "a", "b"]), markers=np.array(["o", "s", "o"]))
    groups.colors = np.array(["#ff0000", "#00ff00", "#0000ff"])
    groups.table = pd.DataFrame(index=["a"])
    xy = np.array([[0.2, 0.3], [1.6, 0.5], [0.5, -2]])
    ax = panel()
    cells.draw_cloud(ax, groups, xy, "a note", 4)
    [dots] = ax.collections
    places = map(tuple, dots.get_offsets().tolist())
    drawn = dict(zip(places, map(to_hex, dots.get_facecolors()), strict=True))
    assert drawn == {(0.2, 0.3): "#ff0000", (0.99, 0.5): "#00ff00", (0.5, 0.01): "#0000ff"}
    corners = {len(path.vertices) for path in dots.get_paths()}
    assert len(corners) == 2, "circles and a square"
    square = [len(path.vertices) == 5 for path in dots.get_paths()]
    assert dots.get_offsets()[square].tolist() == [[0.99, 0.5]]
    assert ax.texts[0].get_text() == "a note"


def crowd():
    """Cells along a diagonal, and as many in the middle; two corners are empty."""
    rng = np.random.default_rng(0)
    spread = np.column_stack([np.linspace(0.1, 0.9, 60), np.linspace(0.9, 0.1, 60)])
    return np.vstack([spread, 0.5 + 0.02 * rng.normal(size=(60, 2))])


def of_families(families):
    fit = fit_record(n=120)
    fit.labels["family"] = np.resize(list(families), 120)
    return colors.Groups(fit)


def test_a_crowded_place_of_a_map_is_drawn_once_more_in_an_empty_corner():
    ax = panel()
    xy = crowd()
    cells.draw_crowd(ax, xy, of_families("ab"))
    [inset] = ax.child_axes
    (x0, x1), (y0, y1) = inset.get_xlim(), inset.get_ylim()
    assert (x1 - x0, y1 - y0) == pytest.approx((0.12, 0.12)), "2.5 times larger in an inset of 0.3"
    inside = ((xy > (x0, y0)) & (xy < (x1, y1))).all(1)
    assert inside[60:].all()
    assert len(inset.collections[0].get_offsets()) == inside.sum()
    place = inset.get_window_extent().transformed(ax.transAxes.inverted())
    assert place.bounds == pytest.approx((-0.1, 0, 0.3, 0.3)), "at the lower left"


def no_room():
    mirrored = crowd() * [-1, 1] + [1, 0]
    return np.where(np.arange(120)[:, np.newaxis] % 4, crowd(), mirrored)


def no_crowd():
    x = np.linspace(0.1, 0.9, 120)
    return np.column_stack([x, 1 - x + np.resize([-0.1, 0.1], 120)])


@pytest.mark.parametrize(
    ("families", "xy"),
    [("a", crowd()), ("aaaaaaaaab", crowd()), ("ab", no_room()), ("ab", no_crowd())],
)
def test_nothing_is_drawn_twice_without_need_or_room(families, xy):
    ax = panel()
    cells.draw_crowd(ax, xy, of_families(families))
    assert not ax.child_axes


def test_a_name_among_others_has_a_line_to_its_family():
    large = np.random.default_rng(0).uniform(size=(400, 2)) * [1, 0.9]
    small = [[0.5, 0.5], [0.502, 0.5]]
    groups = SimpleNamespace(families=np.repeat(["large", "small"], [400, 2]))
    groups.table = pd.DataFrame(index=["large", "small"])
    ax = panel()
    cells.name_families(ax, groups, np.vstack([large, small]))
    [line] = ax.lines
    [box] = [text.get_window_extent() for text in ax.texts if text.get_text() == "small"]
    start, end = ax.transData.transform(line.get_xydata())
    assert line.get_xydata()[0].tolist() in small
    np.testing.assert_allclose(end, np.clip(start, box.min, box.max), atol=1e-6)


def test_a_family_is_named_where_it_is_dense_and_pure():
    corner = [[0, 0], [0.1, 0], [0, 0.1]]
    middle = [[5, 5], [5.2, 5], [5, 5.2], [5.1, 5.1]]
    xy = np.array([*corner, *middle, [0.05, 0.05]])
    own = np.arange(8) < 7
    assert cells.family_centre(xy, own).tolist() in corner
    assert cells.family_centre(xy, ~own).tolist() == [0.05, 0.05]
    mixed = np.array([*corner, *middle, *np.array(corner) + 0.02])
    own = np.arange(10) < 7
    assert cells.family_centre(mixed, own).tolist() in middle, "purer, though less dense"
