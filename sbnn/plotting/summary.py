"""Overview: a few genes predict many outputs through two units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib.patches import Polygon

from sbnn.evaluation.stability import selection_table
from sbnn.plotting.cells import draw_cloud
from sbnn.plotting.colors import GREEN, SKY, Groups
from sbnn.plotting.common import MANY, MARGIN, WIDTH, new_figure, place_panel, styled
from sbnn.plotting.labels import counted, fit_text, signed
from sbnn.plotting.latent import NEEDED, TRUE, mark_true, rank_genes
from sbnn.plotting.maps import map_coordinates
from sbnn.results import require

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.figure import Figure

    from sbnn.results import Record


# in inches: height of the figure, space below the map, side of the map
HEIGHT, FLOOR, SIDE = 2.75, 0.12, 2.25
MIDDLE, TOP = FLOOR + SIDE / 2, HEIGHT - 0.12  # of the map and of the headings
WORD = 0.56  # width of a word in a wedge
BAR, BARS = 0.4, 0.62  # for an R2 of 1, and from the start of the bars to the right edge
NAMES, NAMES_AT_BARS = 0.94, 0.73  # widths of columns
GENES_END = MARGIN + NAMES
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
        From `sbnn.stability_selection` for the same model, to write trusted genes in bold.
    folds : Record, optional
        From `sbnn.cross_validate` for the same model, to draw the test R2 of every output.
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
    require(record, "record", NEEDED)
    figure = new_figure(HEIGHT, "none")
    canvas = place_panel(figure, 0, 0, WIDTH, HEIGHT, ((0, WIDTH), (0, HEIGHT)))
    _draw_genes(canvas, record, halves, true_genes)
    if folds is None:
        outputs_start = WIDTH - MARGIN - NAMES
        _draw_outputs(canvas, record, record.train_feature_r2, outputs_start, NAMES)
    else:
        require(folds, "folds", ["test_r2", "test_feature_r2"], record)
        outputs_start = WIDTH - BARS - NAMES_AT_BARS
        r2 = _draw_test_r2(canvas, folds, record.latent.shape[1])
        _draw_outputs(canvas, record, r2, outputs_start, NAMES_AT_BARS)

    left = (WIDTH - SIDE) / 2
    width = record.latent.shape[1]
    params = record.settings.get("estimator", {}).get("params", {})
    kind = "linear" if "rank" in params else "neural network"
    n_outputs = counted(len(record.feature_names), "output")
    encoding = f"{kind}\n{len(record.kept_genes)} genes → {width}"
    _draw_wedge(canvas, GENES_END + 0.12, left, "encoder", encoding)
    decoding = f"{kind}\n{width} → {n_outputs}"
    _draw_wedge(canvas, outputs_start - 0.12, left + SIDE, "decoder", decoding)
    canvas.text(WIDTH / 2, TOP, f"{width} linear units: the map", ha="center", **HEAD)
    n_cells = f"{len(record.latent)} cells"
    canvas.text(WIDTH / 2, TOP - 0.13, n_cells, ha="center", va="center", **BELOW)
    ax = place_panel(figure, left, FLOOR, SIDE, SIDE)
    xy, note = map_coordinates(record)
    draw_cloud(ax, Groups(record), xy, note, np.clip(5000 / len(xy), 1, 10))
    return figure


def _draw_genes(canvas, record, halves, true_genes):
    genes = np.asarray(record.kept_genes)[rank_genes(record)]
    weights = np.full(len(genes), "normal")
    meanings = []
    if halves is not None:
        require(halves, "halves", ["selected", "gene_names"], record)
        trusted = selection_table(halves).query("trusted").index
        weights = np.where(np.isin(genes, trusted), "bold", "normal")
        meanings.append("bold: trusted")
    if true_genes is not None:
        n_true = np.isin(genes, true_genes).sum()
        meanings.append(f"{TRUE} true: {n_true} of {len(true_genes)}")
    title = f"{len(genes)} of {len(record.selected)} genes"
    canvas.text(GENES_END, TOP, title, ha="right", **HEAD)
    # two texts need more space
    x, ha = (MARGIN, "left") if len(meanings) > 1 else (GENES_END, "right")
    canvas.text(x, TOP - 0.13, ", ".join(meanings), ha=ha, va="center", **BELOW)
    names = mark_true(genes, true_genes or [])
    _column(canvas, GENES_END, names, NAMES, weights, ha="right", fontstyle="italic")


def _draw_test_r2(canvas, folds, width):
    """Draw the test R2 of outputs, and return it."""
    point = 0
    if len(folds.params) > 1:
        point = folds.find(n_components=width)
    r2 = folds.test_feature_r2[:, point].mean(axis=0)
    _draw_bars(canvas, -np.sort(-r2))
    start = WIDTH - BARS
    canvas.text(start, TOP, "test R²", **HEAD)
    pooled = f"pooled {folds.test_r2[:, point].mean():.2f}"
    canvas.text(start, TOP - 0.13, pooled, va="center", **BELOW)
    return r2


def _draw_outputs(canvas, record, r2, start, room):
    outputs = np.asarray(record.feature_names)[np.argsort(-r2, kind="stable")]
    canvas.text(start, TOP, counted(len(outputs), "output"), **HEAD)
    _column(canvas, start, outputs, room, np.full(len(outputs), "normal"))


def _draw_wedge(canvas, foot, tip, name, text):
    high, low = MIDDLE + SIDE / 2, MIDDLE - SIDE / 2
    corners = [(foot, low), (foot, high), (tip, MIDDLE + 0.25), (tip, MIDDLE - 0.25)]
    canvas.add_patch(Polygon(corners, closed=True, facecolor=SKY, alpha=0.3, lw=0))
    x = foot + max((tip - foot) / 3, WORD / 2, key=abs)
    canvas.text(x, MIDDLE, name, ha="center", va="bottom", fontsize=8)
    canvas.text(x, MIDDLE - 0.04, text, ha="center", va="top", **BELOW)


def _rows(names):
    """Names that fit into a column, heights of its rows, and the font size."""
    n_rows = min(max(len(names), FEWEST), MANY)
    shown = names if len(names) <= n_rows else names[: n_rows - 1]
    heights = MIDDLE + SIDE * (0.5 - (np.arange(n_rows) + 0.5) / n_rows)
    return shown, heights, min(7.0, 0.8 * 72 * SIDE / n_rows)


def _column(canvas, x, names, room, weights, **style):
    shown, heights, size = _rows(names)
    texts = []
    for name, y, weight in zip(shown, heights, weights, strict=False):
        text = canvas.text(x, y, name, va="center", fontsize=size, fontweight=weight, **style)
        fit_text(text, room)
        texts.append(text)
    if len(shown) < len(names):
        rest = f"and {len(names) - len(shown)} more"
        style["fontstyle"] = "normal"
        texts.append(canvas.text(x, heights[-1], rest, va="center", color="0.4", **style))
    smallest = min(text.get_fontsize() for text in texts)
    for text in texts:
        text.set_fontsize(smallest)


def _draw_bars(canvas, r2):
    shown, heights, size = _rows(r2)
    start = WIDTH - BARS
    lengths = BAR * np.clip(shown, 0, 1)
    thickness = 0.55 * (heights[0] - heights[1])
    canvas.barh(heights[: len(shown)], lengths, thickness, left=start, color=GREEN, alpha=0.75)
    for y, length, value in zip(heights, lengths, shown, strict=False):
        x = start + length + 0.03
        canvas.text(x, y, signed(value), va="center", fontsize=min(size, 5.5))
