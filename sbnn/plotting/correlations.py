"""Cells placed by genes and by outputs, with what each latent variable stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sbnn.plotting.cells import draw_cells, draw_legend
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import WIDTH, finish, new_panels, styled
from sbnn.plotting.labels import place_names, shortened
from sbnn.results import Record

RADIUS = 2.5  # SDs of a latent at which a correlation of 1 is drawn
LEAST = 0.3  # length of the shortest line, in correlations
MOST = 16  # lines in a panel


@styled
def bibiplot(record: Record) -> Figure:
    """Cells in the latent space with correlations of genes (left) and of outputs (right).

    On the right, cells are where a linear regression of the latents on the outputs places them.
    A line shows the correlations of a gene or an output with both latents, and would end on the
    circle if they explained it fully. Kobak et al. (2021) plot sparse reduced-rank regression like
    this, with loadings on the right.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full` for a model with two latents.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> figure = plotting.bibiplot(fit)
    """
    if record.latent.shape[1] != 2:
        raise ValueError(f"record: expected 2 latents, got {record.latent.shape[1]}")
    from sklearn.preprocessing import scale  # slow to load

    groups = Groups(record)
    outputs = scale(record.outputs.astype(float))
    latents = scale(record.latent.astype(float))
    placed = scale(outputs @ np.linalg.lstsq(outputs, latents)[0])
    sides = {
        "genes": (record.kept_genes, scale(record.expression.astype(float)), latents),
        "outputs": (record.feature_names, outputs, placed),
    }
    figure, panels = new_panels(WIDTH / 2 + 0.6, 1, 2)
    draw_legend(figure, groups.table, groups.title)
    lines = {}
    for ax, (kind, (names, values, xy)) in zip(panels, sides.items(), strict=True):
        limits = 1.05 * max(np.quantile(np.abs(xy), 0.99), RADIUS) * np.array([-1, 1])
        label = f"latent 1 of the cells, from {kind} (SD)"
        ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel=label, ylabel="latent 2 (SD)")
        draw_cells(ax, xy, groups.colors)
        ax.add_patch(Circle((0, 0), RADIUS, fill=False, lw=0.5, color="0.5"))
        lines[ax] = longest(names, values.T @ xy / len(xy))
        ax.set_title(f"{len(lines[ax])} of {len(names)} {kind} drawn, circle: r = 1")
    finish(figure, [panels])
    for (ax, drawn), style in zip(lines.items(), ("italic", "normal"), strict=True):
        tips = RADIUS * drawn.to_numpy()
        for x, y in tips:
            ax.plot([0, x], [0, y], color="0.1", lw=0.7, zorder=3)
        place_names(ax, tips, map(shortened, drawn.index), fontstyle=style, fontsize=6)
    return figure


def longest(names, correlations):
    """Names and correlations of the longest lines."""
    length = np.linalg.norm(correlations, axis=1)
    lines = pd.DataFrame(correlations, names)[length >= LEAST]
    return lines.iloc[np.argsort(-length[length >= LEAST].round(6), kind="stable")[:MOST]]
