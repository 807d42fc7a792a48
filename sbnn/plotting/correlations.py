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
from sbnn.plotting.reading import standardised
from sbnn.results import Record

RADIUS = 2.5  # SDs of a latent at which a correlation of 1 is drawn
LEAST = 0.3  # length of the shortest line, in correlations
MOST = 16  # lines in a panel
LINE = {"color": "0.1", "lw": 0.7, "zorder": 3}
NAME = {"fontsize": 6, "color": "0.1"}


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
    groups = Groups(record)
    outputs = standardised(record.outputs)
    latents = standardised(record.latent)
    placed = standardised(outputs @ np.linalg.lstsq(outputs, latents, rcond=None)[0])
    sides = [
        ("genes", record.kept_genes, standardised(record.expression), latents),
        ("outputs", record.feature_names, outputs, placed),
    ]
    figure, panels = new_panels(1, 1, 2)
    height = draw_legend(figure, groups.table, groups.title)
    figure.set_figheight(WIDTH / 2 + 0.2 + height)
    lines_of_sides = []
    for ax, (kind, names, values, xy) in zip(panels, sides, strict=True):
        limits = 1.05 * max(np.quantile(np.abs(xy), 0.99), RADIUS) * np.array([-1, 1])
        ax.set(xlim=limits, ylim=limits, aspect="equal")
        ax.set(xlabel=f"latent 1 of the cells, from {kind} (SD)", ylabel="latent 2 (SD)")
        draw_cells(ax, xy, groups.colors, np.clip(5000 / len(xy), 1, 10))
        ax.add_patch(Circle((0, 0), RADIUS, fill=False, lw=0.5, color="0.5"))
        corner = 0.72 * RADIUS
        ax.text(-corner, -corner, "r = 1", va="top", ha="right", fontsize=6, color="0.4")
        lines = _longest(names, values.T @ xy / len(xy))
        ax.set_title(f"{len(lines)} of {len(names)} {kind} drawn")
        lines_of_sides.append(RADIUS * lines)
    finish(figure, [panels])
    for ax, lines, style in zip(panels, lines_of_sides, ("italic", "normal"), strict=True):
        for tip in lines.to_numpy():
            ax.plot(*np.transpose([(0, 0), tip]), **LINE)
        names = [shortened(name) for name in lines.index]
        place_names(ax, lines.to_numpy(), names, fontstyle=style, **NAME)
    return figure


def _longest(names, correlations):
    """Names and correlations of the longest lines."""
    length = np.linalg.norm(correlations, axis=1)
    drawn = np.argsort(-length.round(6), kind="stable")[:MOST]
    drawn = drawn[length[drawn] >= LEAST]
    return pd.DataFrame(correlations[drawn], np.asarray(names)[drawn])
