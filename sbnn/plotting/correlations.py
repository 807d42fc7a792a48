"""Cells placed by genes and by outputs, with what each latent variable stands for."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sbnn.plotting.cells import draw_cells, draw_legend
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import WIDTH, finish, new_panels, styled
from sbnn.plotting.labels import counted, place_names, shortened, signed
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
    _, height = draw_legend(figure, groups.table, groups.title, loc="outside lower left")
    figure.set_figheight(WIDTH / 2 + 0.3 + height)
    lines_of_sides = []
    for ax, (kind, names, values, xy) in zip(panels, sides, strict=True):
        _draw_cells_of_side(ax, kind, xy, groups)
        r = values.T @ xy / len(xy)  # (n_names, 2)
        best, latent = np.unravel_index(np.abs(r).argmax(), r.shape)
        finding = f"{shortened(names[best])} and latent {latent + 1}: r = {signed(r[best, latent])}"
        lines = _longest(names, r)
        ax.set_title(f"{finding}; {len(lines)} of {len(names)} {kind} drawn")
        lines_of_sides.append(RADIUS * lines)
    finish(figure, [panels])
    styles = ("italic", "normal")
    for ax, lines, side, style in zip(panels, lines_of_sides, sides, styles, strict=True):
        tips = lines.to_numpy()
        for tip in tips:
            ax.plot(*np.transpose([(0, 0), tip]), **LINE)
        place_names(ax, tips, lines.index, side[-1], fontstyle=style, **NAME)
    return figure


def _draw_cells_of_side(ax, kind, xy, groups):
    """Draw cells, outlying ones at the edge, and the circle of perfect correlations."""
    most = 1.05 * max(np.abs(np.quantile(xy, [0.005, 0.995], axis=0)).max(), RADIUS)
    xlabel = f"latent 1 of the cells, from {kind} (SD)"
    n_outside = (np.abs(xy) > most).any(axis=1).sum()
    if n_outside:
        xlabel += f"\n{counted(n_outside, 'outlying cell')} drawn at the edge"
    ax.set(xlim=(-most, most), ylim=(-most, most), aspect="equal")
    ax.set(xlabel=xlabel, ylabel="latent 2 (SD)")
    size = np.clip(5000 / len(xy), 1, 10)
    draw_cells(ax, np.clip(xy, -most, most), groups.colors, size)
    ax.collections[0].set_clip_on(False)  # dots at the edge are whole
    ax.add_patch(Circle((0, 0), RADIUS, fill=False, lw=0.5, color="0.5"))
    corner = 0.72 * RADIUS
    ax.text(-corner, -corner, "r = 1", va="top", ha="right", fontsize=6, color="0.4")


def _longest(names, correlations):
    """Names and correlations of the longest lines."""
    length = np.linalg.norm(correlations, axis=1)
    drawn = np.argsort(-length.round(6), kind="stable")[:MOST]
    drawn = drawn[length[drawn] >= LEAST]
    return pd.DataFrame(correlations[drawn], np.asarray(names)[drawn])
