"""One family of cells from near: its types, its marker gene and two outputs over its part of the map."""

from dataclasses import replace

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.cells import draw_cells, draw_legend, looks
from sbnn.plotting.colors import families_of, family_table, types_of
from sbnn.plotting.common import WIDTH, new_figure, styled
from sbnn.plotting.labels import fit_text, shortened
from sbnn.plotting.latent import (
    HALF,
    MARGIN,
    choose_maps,
    draw_halves,
    draw_prediction_bar,
    families_legend,
    place_panel,
)
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles

OUTPUTS = ("Tau", "Rebound")  # those of the published figure
GAP, HEADING, BAR_ROOM = 0.16, 0.34, 0.5  # inches: between panels, above them, and for their colour bars
PANEL = (WIDTH - 2 * MARGIN - 3 * GAP) / 4
SPARE = 0.12  # around the family, of its size


@styled
def family_zoom(top, bottom=None, family=None, scores=None):
    """Latent space of one or two models, and below it one family of cells enlarged, in the lower of them.

    The large panels show the marker gene of the family (that of its name, else the kept gene that sets it apart most),
    its cells by type, and two outputs (those of the published figure, else those that differ most among its cells).

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full`, of the same data; published are 64 units above 2.
    family : str, optional
        By default "Vip" if there is one, else the most frequent of those that have several types.
    scores : sequence of Record, (Record, dict) or None, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure
        The colour range of each large map is that of the cells it shows, without the extreme 2 % on either side.
    """
    records = [top] if bottom is None else [top, bottom]
    halves = choose_maps(records, scores=scores)
    record = records[-1]
    own = families_of(record) == (family := _family(record, family))
    xy, corner, side = _window(map_coordinates(record)[0], own)
    panels = [_marker(record, family, own), None, *_outputs(record, own, halves[-1][-1])]

    figure = new_figure(1)
    figure.set_layout_engine("none")
    families, strip = families_legend(figure, top)
    members = replace(record, values={"labels": record.labels[own], "colors": record.colors})
    kinds, *cell_looks = looks(members, by="type")
    types = draw_legend(figure, kinds, f"types in {shortened(family)} (cells)", WIDTH - 2 * MARGIN, MARGIN)
    room = types.get_window_extent().height / figure.dpi + 0.1
    row = HEADING + PANEL + BAR_ROOM
    figure.set_size_inches(WIDTH, height := len(halves) * HALF + strip + row + room)
    families.set_bbox_to_anchor((MARGIN / WIDTH, (room + row) / height))
    draw_prediction_bar(figure, room + row)
    centre = draw_halves(figure, halves, height, "published", letters="ab")[-1]
    centre.add_patch(Rectangle(corner, side, side, fill=False, lw=0.7, ls=(0, (3, 2)), ec="0.3", clip_on=False))

    letter = "abc"[len(halves)]
    figure.text(0.03 / WIDTH, (room + BAR_ROOM + PANEL + 0.06) / height, letter, fontsize=9, fontweight="bold")
    for i, panel in enumerate(panels):
        place = np.array([MARGIN + i * (PANEL + GAP), room + BAR_ROOM])
        if panel is None:
            _draw_members(figure, place, xy[own], cell_looks, f"{shortened(family)}, {own.sum()} cells")
        else:
            _draw_values(figure, place, xy, *panel)
    return figure


def zoomable(record):
    """Families of the cells of a fit that have several types, the most frequent first: what `family_zoom` can show."""
    families, types = families_of(record), types_of(record)
    several = [family for family in family_table(record).index if len(set(types[families == family]) - {UNKNOWN}) > 1]
    return [family for family in several if family != UNKNOWN]


def _family(record, wanted):
    known = zoomable(record)
    wanted = wanted or ("Vip" if "Vip" in known else next(iter(known), None))
    if wanted not in known:
        raise ValueError(f"family: expected one with several types, of {known}, got {wanted!r}")
    return wanted


def _window(xy, own):
    """Coordinates in which the square around the family goes from 0 to 1, its lower left corner and its side."""
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = max((high - low).max() * (1 + 2 * SPARE), 0.05)
    corner = (low + high) / 2 - side / 2
    return (xy - corner) / side, corner, side


def _marker(record, family, own):
    """Name, style and predictions of the marker gene."""
    kept = np.asarray(record.kept_genes).tolist()
    # Mean over the family; z-scores of all cells have mean zero.
    place = kept.index(family) if family in kept else int(np.argmax(record.predicted_expression[own].mean(0)))
    return kept[place], "italic", record.predicted_expression[:, place], "predicted expression (z-score)"


def _outputs(record, own, r2):
    """Name, style and predictions of two outputs."""
    names = np.asarray(record.feature_names).tolist()
    varied = np.argsort(-record.predictions[own].std(0), kind="stable")[:2]
    places = [names.index(name) for name in OUTPUTS] if set(OUTPUTS) <= set(names) else varied
    titles = [names[i] if r2 is None else f"{names[i]}, test R² {r2[i]:.2f}" for i in places]
    return [
        (title, "normal", record.predictions[:, i], "prediction (z-score)")
        for title, i in zip(titles, places, strict=True)
    ]


def _heading(figure, place, text, style="normal"):
    x, y = (place + [PANEL / 2, PANEL + 0.06]) / figure.get_size_inches()
    fit_text(figure.text(x, y, text, ha="center", fontsize=7.5, fontstyle=style), PANEL)


def _frame(ax):
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, fill=False, lw=0.7, ls=(0, (3, 2)), ec="0.3"))


def _draw_members(figure, place, xy, cell_looks, heading):
    ax = place_panel(figure, *place, PANEL, PANEL)
    draw_cells(ax, xy, *cell_looks, size=np.clip(3000 / len(xy), 4, 20))
    _frame(ax)
    _heading(figure, place, heading)


def _draw_values(figure, place, xy, name, style, values, meaning):
    ax = place_panel(figure, *place, PANEL, PANEL, ((0, PANEL), (0, PANEL)))
    inside = ((xy > 0) & (xy < 1)).all(1)
    limits = np.quantile(values[inside], [0.02, 0.98])
    limits = limits if np.ptp(limits) else limits + [-0.5, 0.5]
    draw_map(ax, np.zeros(2), PANEL, xy, map_triangles(xy), values, limits)
    for artist in ax.collections:
        artist.set_rasterized(True)
    _frame(ax)
    _heading(figure, place, name, style)
    x, y = place + [0.1 * PANEL, -0.14]
    draw_colorbar(figure, x, y, 0.8 * PANEL, meaning, limits, MaxNLocator(4))
