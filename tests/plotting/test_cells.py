"""Cells in the colours and shapes of their groups, and the names of groups where they belong."""

from types import SimpleNamespace

import matplotlib as mpl
import numpy as np
import pandas as pd
from made_up import fit_record, words
from matplotlib.colors import to_hex

from sbnn import plotting
from sbnn.data.checks import GREY
from sbnn.data.datasets import load_dataset
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
    assert list(plotting.family_colors(fit).items()) == list(known.items())
    assert groups.colors[[0, 1, 4]].tolist() == [GREY, GREY, "#00AA00"]
    types = groups.count("type", groups.families == "B")
    assert types["count"].to_dict() == {"B1": 15, "B2": 14, "X": 1}
    assert types["color"].tolist() == ["#00AA00", "#11BB11", GREY]
    fit.labels["family"] = "unknown"
    assert colors.Groups(fit).title == "types (cells)"


def test_cells_without_types_are_grey():
    fit = fit_record()
    fit.labels[["family", "type"]] = "unknown"
    groups = colors.Groups(fit)
    assert groups.table["count"].to_dict() == {"unknown": 90}
    assert set(groups.colors) == {GREY}
    fit.labels.loc[0, "type"] = "A1"
    assert set(colors.Groups(fit).types) == {"A1", "unknown"}, "one known type is enough"


def test_shades_run_from_dark_to_pale():
    assert colors.shades("#009e73", 3) == ["#00573f", "#019e73", "#99d8c7"]
    assert colors.shades("#009e73", 1) == ["#019e73"]
    assert colors.paler("#000000") == "#8c8c8c"


def test_the_rarest_of_many_groups_share_a_legend_entry():
    table = pd.DataFrame({"count": np.arange(26, 0, -1), "color": "red"})
    table.index = [f"g{i}" for i in range(26)]
    for n, last in ((24, "g23 (3)"), (25, "2 others (5)"), (26, "3 others (6)")):
        entries = cells.legend_entries(table[:n])
        assert len(entries) == 24
        assert entries[-1].get_label() == last
    looks = [(entry.get_label(), entry.get_color()) for entry in entries]
    assert looks[0] == ("g0 (26)", "red")
    assert looks[-1][1] == "none", "they may have several colours"


def test_cells_are_drawn_in_their_own_colour():
    shades = np.array(["#ff0000", "#00ff00", "#0000ff"])
    groups = SimpleNamespace(table=pd.DataFrame(index=["a"]), colors=shades, families=shades)
    xy = np.array([[0.2, 0.3], [0.6, 0.5], [0.5, 0.2]])
    ax = panel()
    cells.draw_cloud(ax, groups, xy, 4)
    [dots] = ax.collections
    drawn = {}
    for place, color in zip(dots.get_offsets(), dots.get_facecolors(), strict=True):
        drawn[to_hex(color)] = tuple(place)
    assert drawn == dict(zip(shades, map(tuple, xy), strict=True))


def test_every_map_shows_all_cells():
    adata = load_dataset("simulated", verbose=False)
    xy = np.random.default_rng(0).normal(size=(adata.n_obs, 2))
    figure = plotting.cell_maps({"one": xy, "two": xy[:, ::-1]}, adata)
    assert {"one", "two"} <= set(words(figure).splitlines())
    for ax in figure.axes[:2]:
        drawn = sum(len(dots.get_offsets()) for dots in ax.collections)
        assert drawn >= adata.n_obs
