"""Cells placed by genes and by outputs, with what each latent variable stands for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Circle

from sbnn.plotting.cells import draw_cells, draw_legend
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import LETTER, WIDTH, new_figure, place_axes, styled, write
from sbnn.plotting.labels import place_names
from sbnn.plotting.latent import NEEDED
from sbnn.results import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sbnn.results import Record

SIDE, LEFT, GAP, HEAD = 3.0, 0.42, 0.6, 0.3  # inches: a panel, what is left of, between, above it
FOOT = 0.4  # inches below a panel, for its axis
RADIUS = 2.5  # SDs of a latent at which a correlation of 1 is drawn
LEAST = 0.3  # length of the shortest line, in correlations
MOST = 16  # lines in a panel
LINE = {"color": "0.1", "lw": 0.7, "zorder": 3}
NAME = {"fontsize": 6, "color": "0.1"}


@styled
def bibiplot(record: Record) -> Figure:
    """Cells in the latent space with correlations of genes (left) and of outputs (right).

    On the right, cells are where a linear regression of the latents on the outputs, fitted to the
    same cells, places them. A line shows the correlations of a gene or an output with both latents;
    it would end on the circle if the latents explained it fully. Kobak et al. (2021) plot sparse
    reduced-rank regression like this, with loadings on the right.

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
    require(record, "record", NEEDED)
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
    figure = new_figure(1, "none")
    _, legend = draw_legend(figure, groups.table, groups.title)
    height = legend + FOOT + SIDE + HEAD
    figure.set_size_inches(WIDTH, height)
    for i, (kind, names, values, xy) in enumerate(sides):
        x = LEFT + i * (SIDE + GAP)
        ax = place_axes(figure, x, legend + FOOT, SIDE, SIDE)
        most = 1.05 * max(np.abs(np.quantile(xy, [0.005, 0.995], axis=0)).max(), RADIUS)
        ax.set(xlim=(-most, most), ylim=(-most, most), xlabel="latent 1 (SD)")
        ax.set_ylabel("latent 2 (SD)", labelpad=1)
        size = np.clip(5000 / len(xy), 1, 10)
        draw_cells(ax, np.clip(xy, -most, most), groups.colors, groups.markers, size)
        ax.add_patch(Circle((0, 0), RADIUS, fill=False, lw=0.5, color="0.5"))
        correlations = values.T @ xy / len(xy)
        n_drawn = _draw_lines(ax, names, correlations, xy)
        write(figure, x - LEFT + 0.04, height - 0.16, "ab"[i], **LETTER)
        title = f"cells placed by {kind}; lines: {n_drawn} of {len(names)} {kind}"
        write(figure, x, height - 0.16, title, fontsize=7.5)
    return figure


def standardised(values):
    """Columns with mean 0 and variance 1, or 0 if constant."""
    centred = np.asarray(values, float) - np.mean(values, axis=0, dtype=float)
    sd = centred.std(axis=0)
    return centred / np.where(sd > 0, sd, 1)


def _draw_lines(ax, names, correlations, xy):
    """Draw and name the longest lines, if they are long enough; returns their number."""
    length = np.linalg.norm(correlations, axis=1)
    drawn = np.argsort(-length, kind="stable")[:MOST]
    drawn = drawn[length[drawn] >= LEAST]
    tips = RADIUS * correlations[drawn]
    for tip in tips:
        ax.plot(*np.transpose([(0, 0), tip]), **LINE)
    style = "italic" if ax.figure.axes.index(ax) == 0 else "normal"
    place_names(ax, tips, np.asarray(names)[drawn], xy, fontstyle=style, **NAME)
    return len(drawn)
