"""The whole idea in one picture: few genes, through two units that are a map of the cells, to many outputs."""

import numpy as np
from matplotlib.patches import Polygon

from sbnn.evaluation.stability import selection_table
from sbnn.plotting import reading
from sbnn.plotting.cells import draw_panel, looks
from sbnn.plotting.colors import GREEN, SKY
from sbnn.plotting.common import MANY, WIDTH, new_figure, styled
from sbnn.plotting.labels import counted, fit_text
from sbnn.plotting.latent import FIT, NEEDED, TRUE, mark_true, name_families, place_panel, rank_genes
from sbnn.plotting.maps import map_coordinates

HEIGHT, FLOOR = 2.75, 0.12  # inches, of the figure and below the map
WORD = 0.56  # inches, in a wedge
BAR, BARS = 0.4, 0.62  # inches, of an R2 of 1, and from the right edge to where bars begin
NAMES, MORE = 0.94, 0.4  # inches: of a column of names, and what the wedge beside it gives to long ones


@styled
def overview(record, halves=None, folds=None, true_genes=None):
    """Kept genes, the map of the cells and the outputs, in the order in which a prediction passes through them.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`, of a network with a bottleneck.
    halves : Record, optional
        From `sbnn.stability_selection` of the same model: genes to trust are bold.
    folds : Record, optional
        From `sbnn.cross_validate` of the same model: test R2 of every output, mean over the folds, as bars; by default
        outputs are in the order of their R2 in the fit, without numbers.
    true_genes : sequence of str, optional
        Of simulated data, the genes that drive the outputs: they are marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", FIT, NEEDED)
    for other, argument in ((halves, "halves"), (folds, "folds")):
        if other is not None:
            reading.require_same_data(other, argument, record)
    figure = new_figure(HEIGHT)
    figure.set_layout_engine("none")
    canvas = place_panel(figure, 0, 0, WIDTH, HEIGHT, ((0, WIDTH), (0, HEIGHT)))

    side = 2.25  # of the map, inches
    left, right = (WIDTH - side) / 2, (WIDTH + side) / 2
    middle, top = FLOOR + side / 2, HEIGHT - 0.12
    genes = np.asarray(record.kept_genes)[rank_genes(record)]
    trusted = set() if halves is None else set(selection_table(halves).query("trusted").index)
    r2 = record.train_feature_r2 if folds is None else _test_r2(folds, record)
    best = np.argsort(-r2, kind="stable")
    outputs = np.asarray(record.feature_names)[best]
    x = 0.06 + NAMES + _more(canvas, genes, side, NAMES, fontstyle="italic")
    encoder = x + 0.12
    canvas.text(x, top, f"{len(genes)} of {len(record.selected)} genes", ha="right", va="center", fontweight="bold")
    below = {"va": "center", "fontsize": 5.5, "color": "0.4"}
    meanings = ["bold: trusted"] if trusted else []
    if true_genes is not None:
        meanings.append(f"{TRUE} true: {np.isin(genes, true_genes).sum()} of {len(true_genes)}")
        genes = np.array([mark_true(gene, true_genes) for gene in genes])
        trusted = {mark_true(gene, true_genes) for gene in trusted}
    if meanings:
        place = {"x": x, "ha": "right"} if len(meanings) == 1 else {"x": 0.06, "ha": "left"}  # two reach further
        canvas.text(y=top - 0.13, s=", ".join(meanings), **place, **below)
    _column(canvas, x, middle, side, genes, "right", x - 0.06, fontstyle="italic", bold=trusted)
    x, room = WIDTH - 0.06 - NAMES, NAMES
    if folds is not None:
        x, room = WIDTH - 1.35, 1.35 - BARS
    more = _more(canvas, outputs, side, room)
    x, room = x - more, room + more
    canvas.text(x, top, counted(len(outputs), "output"), ha="left", va="center", fontweight="bold")
    _column(canvas, x, middle, side, outputs, "left", room, bars=None if folds is None else r2[best])
    if folds is not None:
        canvas.text(WIDTH - BARS, top, "test R²", ha="left", va="center", fontweight="bold")
        canvas.text(WIDTH - BARS, top - 0.13, f"mean {r2.mean():.2f}", ha="left", **below)
    for tip, foot, name in ((left, encoder, "encoder"), (right, x - 0.12, "decoder")):
        corners = [(foot, middle - side / 2), (foot, middle + side / 2), (tip, middle + 0.25), (tip, middle - 0.25)]
        canvas.add_patch(Polygon(corners, closed=True, facecolor=SKY, alpha=0.3, lw=0))
        inwards = np.sign(tip - foot) * max(abs(tip - foot) / 3, WORD / 2)
        canvas.text(foot + inwards, middle, name, ha="center", va="center", fontsize=8)
    canvas.text(
        WIDTH / 2, top, f"{record.latent.shape[1]} linear units: the map", ha="center", va="center", weight="bold"
    )

    canvas.text(WIDTH / 2, top - 0.13, f"{len(record.latent)} cells", ha="center", **below)

    ax = place_panel(figure, left, FLOOR, side, side)
    xy, note = map_coordinates(record)
    draw_panel(ax, xy, note, *looks(record)[1:], size=np.clip(5000 / len(xy), 1, 10))
    name_families(ax, record, xy)
    return figure


def _test_r2(folds, record):
    """Test R2 of every output, mean over the folds, of the grid point with the width of the fit."""
    width = record.latent.shape[1]
    point = folds.find(n_components=width) if len(folds.params) > 1 else 0
    return np.asarray(folds.test_feature_r2[:, point].mean(axis=0))


def _rows(names, height):
    """Number of rows of a column, the names shown in them, and the size of the font."""
    n_rows = min(max(len(names), 14), MANY)
    return n_rows, list(names[: n_rows if len(names) <= n_rows else n_rows - 1]), min(7.0, 0.8 * 72 * height / n_rows)


def _more(canvas, names, height, room, **style):
    """Inches that the longest name of a column needs beside its room, as far as it can have them."""
    _, shown, size = _rows(names, height)
    text = canvas.text(0, 0, max(shown, key=len), fontsize=size, **style)
    width = text.get_window_extent().width / canvas.figure.dpi
    text.remove()
    return float(np.clip(width - room, 0, MORE))


def _column(canvas, x, middle, height, names, align, room, bold=(), bars=None, **style):
    """Names one below the other, with bars where there are numbers; what does not fit is counted."""
    n_rows, shown, size = _rows(names, height)
    ys = middle + height / 2 - (np.arange(n_rows) + 0.5) * height / n_rows
    texts = []
    for i, (name, y) in enumerate(zip(shown, ys, strict=False)):
        weight = "bold" if name in bold else "normal"
        texts.append(canvas.text(x, y, name, ha=align, va="center", fontsize=size, fontweight=weight, **style))
        fit_text(texts[-1], room)
        if bars is not None:
            start, long = WIDTH - BARS, BAR * float(np.clip(bars[i], 0, 1))
            canvas.barh(y, long, 0.55 * height / n_rows, left=start, color=GREEN, alpha=0.75)
            canvas.text(start + long + 0.03, y, f"{bars[i]:.2f}", ha="left", va="center", fontsize=min(size, 5.5))
    size = min(text.get_fontsize() for text in texts)
    for text in texts:
        text.set_fontsize(size)
    if len(names) > len(shown):
        rest = f"and {len(names) - len(shown)} more"
        canvas.text(x, ys[len(shown)], rest, ha=align, va="center", fontsize=size, color="0.4")
