"""The cells by their genes alone and by their outputs alone, side by side."""

import numpy as np

from sbnn.plotting import reading
from sbnn.plotting.cells import MARGIN, draw_cloud, draw_legend, legend_title, looks
from sbnn.plotting.common import WIDTH, new_figure, styled
from sbnn.plotting.latent import place_panel
from sbnn.plotting.maps import panel_coordinates

NEEDED = ("transcriptome", "outputs", "n_transcriptome", "n_outputs", "labels", "colors")
METHODS = {1: "first principal component", 2: "two principal components"}
GAP, HEADING = 0.3, 0.3  # inches
SIDE = (WIDTH - 2 * MARGIN - GAP) / 2


@styled
def tsne_pair(record, titles=("transcriptome", "outputs")):
    """t-SNE of the genes and t-SNE of the outputs, cells in the colours of their types.

    Parameters
    ----------
    record : Record
        From `sbnn.study.maps.tsne_maps`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", "a record of t-SNE maps", NEEDED)
    figure = new_figure(1, "none")
    room = draw_legend(figure, looks(record)[0], legend_title(record))[1] + 0.2
    figure.set_size_inches(WIDTH, height := room + SIDE + HEADING)
    for i, (name, heading) in enumerate(zip(("transcriptome", "outputs"), titles, strict=True)):
        left, n_components = MARGIN + i * (SIDE + GAP), record.values[f"n_{name}"]
        ax = place_panel(figure, left, room, SIDE, SIDE)
        xy, note = panel_coordinates(record.values[name], proportional=n_components > 2)
        draw_cloud(ax, record, xy, note, np.clip(9000 / len(xy), 1, 14))
        method = METHODS.get(n_components, f"t-SNE of {n_components} principal components")
        top = (room + SIDE + 0.1) / height
        figure.text(left / WIDTH, top, "ab"[i], fontsize=9, fontweight="bold")
        figure.text((left + SIDE / 2) / WIDTH, top, f"{heading}: {method}", fontsize=7.5, ha="center")
    return figure
