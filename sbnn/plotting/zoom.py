"""One family of cells from near: its types, its marker gene and two outputs over its part of the map."""

from dataclasses import replace

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.cells import MARGIN, draw_cells, draw_legend, looks
from sbnn.plotting.colors import families_of, group_table, types_of
from sbnn.plotting.common import WIDTH, new_figure, styled
from sbnn.plotting.labels import fit_text, shortened
from sbnn.plotting.latent import HALF, draw_models, families_legend, models_of, place_panel
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles

OUTPUTS = ("Tau", "Rebound")  # those of the published figure
GAP, HEADING, BAR_ROOM = 0.16, 0.34, 0.5  # inches: between panels, above them, and for their colour bars
PANEL = (WIDTH - 2 * MARGIN - 3 * GAP) / 4
SPARE = 0.12  # around the family, of its size
DASHED = {"fill": False, "lw": 0.7, "ls": (0, (3, 2)), "ec": "0.3", "zorder": 1.1}


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
    models = models_of(top, bottom, scores)
    record, r2 = models[-1]
    known = zoomable(record)
    family = family or ("Vip" if "Vip" in known else next(iter(known), None))
    if family not in known:
        raise ValueError(f"family: expected one with several types, of {known}, got {family!r}")
    own = families_of(record) == family
    xy = map_coordinates(record)[0]
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = max((high - low).max() * (1 + 2 * SPARE), 0.05)
    corner = (low + high) / 2 - side / 2

    figure = new_figure(1, "none")
    families, strip = families_legend(figure, top)
    members = replace(record, values={"labels": record.labels[own], "colors": record.colors})
    kinds, *look = looks(members, by="type")
    room = draw_legend(figure, kinds, f"types in {shortened(family)} (cells)")[1] + 0.1
    row = HEADING + PANEL + BAR_ROOM
    figure.set_size_inches(WIDTH, height := len(models) * HALF + strip + row + room)
    families.set_bbox_to_anchor((MARGIN / WIDTH, (room + row) / height))
    letters = "abc"
    centre = draw_models(figure, models, room + row, letters)
    centre.add_patch(Rectangle(corner, side, side, clip_on=False, **DASHED))
    y = room + BAR_ROOM
    figure.text(0.03 / WIDTH, (y + PANEL + 0.06) / height, letters[len(models)], fontsize=9, fontweight="bold")

    xy = (xy - corner) / side  # the square around the family goes from 0 to 1
    ax = _panel(figure, 1, y, f"{shortened(family)}, {own.sum()} cells")
    draw_cells(ax, xy[own], *look, size=np.clip(3000 / own.sum(), 4, 20))
    triangles, inside = map_triangles(xy), ((xy > 0) & (xy < 1)).all(1)
    for i, name, style, values, meaning in (_marker(record, family, own), *_outputs(record, own, r2)):
        limits = np.quantile(values[inside], [0.02, 0.98])
        limits = limits if np.ptp(limits) else limits + [-0.5, 0.5]
        draw_map(_panel(figure, i, y, name, style, PANEL), (0, 0), PANEL, triangles, values, limits)
        x = MARGIN + i * (PANEL + GAP) + 0.1 * PANEL
        draw_colorbar(figure, x, y - 0.14, 0.8 * PANEL, meaning, limits, MaxNLocator(4))
    return figure


def zoomable(record):
    """Families of the cells of a fit that have several types, the most frequent first: what `family_zoom` can show."""
    families, types = families_of(record), types_of(record)
    known = group_table(record).index.drop(UNKNOWN, errors="ignore")
    return [family for family in known if len(set(types[families == family]) - {UNKNOWN}) > 1]


def _panel(figure, i, y, heading, style="normal", size=1):
    """Axes of a panel, from the left, with its heading and frame."""
    x = MARGIN + i * (PANEL + GAP)
    ax = place_panel(figure, x, y, PANEL, PANEL, ((0, size), (0, size)))
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, **DASHED))
    place = np.array([x + PANEL / 2, y + PANEL + 0.06]) / figure.get_size_inches()
    fit_text(figure.text(*place, heading, ha="center", fontsize=7.5, fontstyle=style), PANEL)
    return ax


def _marker(record, family, own):
    """Place, name, style, predictions of the marker gene, and what these are."""
    kept = np.asarray(record.kept_genes).tolist()
    # Mean over the family; z-scores of all cells have mean zero.
    best = kept.index(family) if family in kept else int(np.argmax(record.predicted_expression[own].mean(0)))
    return 0, kept[best], "italic", record.predicted_expression[:, best], "predicted expression (z-score)"


def _outputs(record, own, r2):
    """The same of two outputs."""
    names = np.asarray(record.feature_names).tolist()
    varied = np.argsort(-record.predictions[own].std(0), kind="stable")[:2]
    places = [names.index(name) for name in OUTPUTS] if set(OUTPUTS) <= set(names) else varied
    titles = [names[i] if r2 is None else f"{names[i]}, test R² {r2[i]:.2f}" for i in places]
    shown = zip((2, 3), titles, places, strict=False)
    return [(i, title, "normal", record.predictions[:, j], "prediction (z-score)") for i, title, j in shown]
