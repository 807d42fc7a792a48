"""Overview: a few genes predict many outputs through two units."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Polygon

from sbnn.evaluation.stability import selection_table, selection_threshold
from sbnn.plotting.cells import draw_cloud, frame_map
from sbnn.plotting.colors import GREEN, SKY, Groups
from sbnn.plotting.common import (
    MANY,
    MARGIN,
    WIDTH,
    headline,
    new_figure,
    place_axes,
    place_panel,
    styled,
)
from sbnn.plotting.labels import counted, fit_text, signed
from sbnn.plotting.latent import TRUE, mark_true, rank_genes
from sbnn.plotting.maps import map_coordinates
from sbnn.results import Record

# in inches: height of the figure, space below the map, side of the map
HEIGHT, FLOOR, SIDE = 2.95, 0.12, 2.25
MIDDLE, TOP = FLOOR + SIDE / 2, HEIGHT - 0.34  # of the map and of the headings
WORD = 0.56  # width of a word in a wedge
BAR, BARS = 0.4, 0.62  # for an R2 of 1, and from the start of the bars to the right edge
NAMES, NAMES_AT_BARS = 0.94, 0.73  # widths of columns
GENES_END = MARGIN + NAMES
OUTPUTS_START = WIDTH - BARS - NAMES_AT_BARS
FEWEST = 14  # rows in a column
HEAD = {"va": "center", "fontweight": "bold"}
BELOW = {"fontsize": 5.5, "color": "0.4"}


@styled
def overview(
    record: Record,
    halves: Record | None = None,
    folds: Record | None = None,
    true_genes: Sequence[str] | None = None,
) -> Figure:
    """Kept genes, the map of the cells and the outputs, as a prediction passes through them.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`.
    halves : Record, optional
        From `sbnn.stability_selection`, to write trusted genes in bold.
    folds : Record, optional
        From `sbnn.cross_validate`, to draw the test R2 of every output.
    true_genes : sequence of str, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> folds = results.load("saved_models/scala/cv_default.pickle")
    >>> figure = plotting.overview(fit, folds=folds)
    """
    figure = new_figure(HEIGHT, "none")
    canvas = place_panel(figure, 0, 0, WIDTH, HEIGHT, ((0, WIDTH), (0, HEIGHT)))
    width = record.latent.shape[1]
    r2 = record.train_feature_r2
    measure, pooled = "training R²", np.nanmean(r2)
    if folds is not None:
        points = folds.points(n_components=width)
        if len(points) != 1:
            text = f"expected one model with n_components={width}, got {len(points)}"
            raise ValueError(f"folds: {text} among {folds.params}")
        [point] = points
        r2 = folds.test_feature_r2[:, point].mean(axis=0)
        measure, pooled = "test R²", folds.test_r2[:, point].mean()
    _draw_genes(canvas, record, halves, true_genes)
    _draw_outputs(canvas, record.feature_names, r2)
    canvas.text(WIDTH - BARS, TOP, measure, **HEAD)

    left = (WIDTH - SIDE) / 2
    _draw_wedge(canvas, GENES_END + 0.12, left, "encoder")
    _draw_wedge(canvas, OUTPUTS_START - 0.12, left + SIDE, "decoder")
    title = f"{counted(width, 'linear unit')}: {len(record.latent)} cells"
    canvas.text(WIDTH / 2, TOP, title, ha="center", **HEAD)
    ax = place_axes(figure, left, FLOOR, SIDE, SIDE)
    xy, note = map_coordinates(record)
    frame_map(ax, note)
    draw_cloud(ax, Groups(record), xy, np.clip(5000 / len(xy), 1, 10))
    genes = f"{len(record.kept_genes)} of {len(record.selected)} genes"
    headline(figure, f"{genes} predict {counted(len(r2), 'output')}: {measure} {signed(pooled)}")
    return figure


def _draw_genes(canvas, record, halves, true_genes):
    genes = np.asarray(record.kept_genes)[rank_genes(record)]
    trusted = ()
    meanings = []
    if halves is not None:
        trusted = selection_table(halves).query("trusted").index
        unknown = np.isinf(selection_threshold(halves))
        meanings.append("trusted: unknown" if unknown else "bold: trusted")
    if true_genes is not None:
        n_true = np.isin(genes, true_genes).sum()
        meanings.append(f"{TRUE} true: {n_true} of {len(true_genes)}")
    canvas.text(GENES_END, TOP, "genes", ha="right", **HEAD)
    canvas.text(MARGIN, TOP - 0.13, ", ".join(meanings), va="center", **BELOW)
    names = mark_true(genes, true_genes or [])
    texts, _ = _column(canvas, GENES_END, names, NAMES, ha="right", fontstyle="italic")
    for text, gene in zip(texts, genes, strict=False):
        if gene in trusted:
            text.set_fontweight("bold")
            fit_text(text, NAMES)


def _draw_wedge(canvas, foot, tip, name):
    high, low = MIDDLE + SIDE / 2, MIDDLE - SIDE / 2
    corners = [(foot, low), (foot, high), (tip, MIDDLE + 0.25), (tip, MIDDLE - 0.25)]
    canvas.add_patch(Polygon(corners, closed=True, facecolor=SKY, alpha=0.3, lw=0))
    x = foot + max((tip - foot) / 3, WORD / 2, key=abs)
    canvas.text(x, MIDDLE, name, ha="center", va="center", fontsize=8)


def _column(canvas, x, names, room, **style):
    """Write names in one size; return the texts and their heights."""
    n_rows = min(max(len(names), FEWEST), MANY)
    shown = list(names)
    if len(names) > n_rows:
        shown = [*names[: n_rows - 1], f"and {len(names) - n_rows + 1} more"]
    heights = MIDDLE + SIDE * (0.5 - (np.arange(n_rows) + 0.5) / n_rows)
    size = min(7.0, 0.8 * 72 * SIDE / n_rows)
    texts = []
    for name, y in zip(shown, heights, strict=False):
        text = canvas.text(x, y, name, va="center", fontsize=size, **style)
        fit_text(text, room)
        texts.append(text)
    smallest = min(text.get_fontsize() for text in texts)
    for text in texts:
        text.set_fontsize(smallest)
    return texts, heights


def _draw_outputs(canvas, names, r2):
    order = np.argsort(-r2, kind="stable")
    canvas.text(OUTPUTS_START, TOP, "outputs", **HEAD)
    _, heights = _column(canvas, OUTPUTS_START, names[order], NAMES_AT_BARS)
    n_bars = len(r2) if len(r2) <= MANY else MANY - 1
    heights = heights[:n_bars]
    shown = r2[order][:n_bars]
    lengths = BAR * np.clip(shown, 0, 1)
    thickness = 0.55 * SIDE / max(n_bars, FEWEST)
    start = WIDTH - BARS
    canvas.barh(heights, lengths, thickness, left=start, color=GREEN, alpha=0.75)
    for y, length, value in zip(heights, lengths, shown, strict=True):
        canvas.text(start + length + 0.03, y, signed(value), va="center", fontsize=5.5)
