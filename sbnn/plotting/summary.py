"""The whole idea in one picture: few genes, through two units that are a map of the cells, to many outputs."""

import numpy as np
from matplotlib.patches import Polygon

from sbnn.plotting import reading
from sbnn.plotting.cells import draw_cells, looks
from sbnn.plotting.colors import SKY
from sbnn.plotting.common import WIDTH, new_figure, styled
from sbnn.plotting.latent import FIT, NEEDED, name_families, rank_genes
from sbnn.plotting.maps import map_coordinates

HEIGHT = 2.7
SHOWN = 14  # names in a column; the rest is counted


@styled
def overview(record, palette="published"):
    """Kept genes, the map of the cells and the outputs, in the order in which a prediction passes through them.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`, of a network with a bottleneck.
    palette : {"published", "colorblind"}
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    TypeError, ValueError
        If the record is of another kind.
    """
    reading.require(record, "record", FIT, NEEDED)
    figure = new_figure(HEIGHT)
    figure.set_layout_engine("none")
    canvas = figure.add_axes((0, 0, 1, 1))
    canvas.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    canvas.set_axis_off()

    side = 2.25  # of the map, inches
    left, right = (WIDTH - side) / 2, (WIDTH + side) / 2
    middle, top = 0.05 + side / 2, HEIGHT - 0.12
    genes = np.asarray(record.kept_genes)[rank_genes(record)]
    outputs = np.asarray(record.feature_names)[np.argsort(-record.train_feature_r2, kind="stable")]
    for x, names, slant, align, heading in (
        (1.0, genes, "italic", "right", f"{len(genes)} of {len(record.selected)} genes"),
        (WIDTH - 1.0, outputs, "normal", "left", f"{len(outputs)} outputs"),
    ):
        canvas.text(x, top, heading, ha=align, va="center", fontweight="bold")
        _column(canvas, x, middle, side, names, slant, align)
    for tip, foot, name in ((left, 1.12, "encoder"), (right, WIDTH - 1.12, "decoder")):
        corners = [(foot, middle - side / 2), (foot, middle + side / 2), (tip, middle + 0.25), (tip, middle - 0.25)]
        canvas.add_patch(Polygon(corners, closed=True, facecolor=SKY, alpha=0.3, lw=0))
        canvas.text((tip + 2 * foot) / 3, middle, name, ha="center", va="center", fontsize=8)
    canvas.text(
        WIDTH / 2, top, f"{record.latent.shape[1]} linear units: the map", ha="center", va="center", weight="bold"
    )

    ax = figure.add_axes((left / WIDTH, 0.05 / HEIGHT, side / WIDTH, side / HEIGHT))
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()
    xy = map_coordinates(record)
    draw_cells(ax, xy, *looks(record, palette)[1:], size=np.clip(5000 / len(xy), 1, 10))
    name_families(ax, record, xy)
    return figure


def _column(canvas, x, middle, height, names, slant, align):
    """Names one below the other; what does not fit is counted."""
    shown = list(names[: SHOWN if len(names) <= SHOWN else SHOWN - 1])
    for i, y in enumerate(middle + height / 2 - (np.arange(SHOWN) + 0.5) * height / SHOWN):
        if i < len(shown):
            canvas.text(x, y, shown[i], ha=align, va="center", fontstyle=slant)
        elif i == len(shown) and len(names) > len(shown):
            canvas.text(x, y, f"and {len(names) - len(shown)} more", ha=align, va="center", color="0.4")
