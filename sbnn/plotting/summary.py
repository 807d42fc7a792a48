"""Overview figure: a few genes predict many outputs through two units, which give a map of the cells."""

import numpy as np
from matplotlib.patches import Polygon

from sbnn.evaluation.stability import selection_table
from sbnn.plotting import reading
from sbnn.plotting.cells import draw_cloud
from sbnn.plotting.colors import GREEN, SKY, Groups
from sbnn.plotting.common import MANY, WIDTH, new_figure, styled
from sbnn.plotting.labels import counted, fit_text
from sbnn.plotting.latent import NEEDED, TRUE, mark_true, place_panel, rank_genes
from sbnn.plotting.maps import map_coordinates

# inches: height of the figure, space below the map, side of the map
HEIGHT, FLOOR, SIDE = 2.75, 0.12, 2.25
# inches: heights of the middle of the map and of the headings
MIDDLE, TOP = FLOOR + SIDE / 2, HEIGHT - 0.12
WORD = 0.56  # inches: width of a word in a wedge
# inches: bar length for an R2 of 1, and distance from the start of the bars to the right edge
BAR, BARS = 0.4, 0.62
# inches: width of a column of names, and the width that long names may take from the wedge
NAMES, MORE = 0.94, 0.4


@styled
def overview(record, halves=None, folds=None, true_genes=None):
    """Kept genes, the map of the cells and the outputs, in the order in which a prediction passes
    through them.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.fit_full` for a network with a bottleneck.
    halves : Record, optional
        Returned by `sbnn.stability_selection` for the same model, to write trusted genes in bold.
    folds : Record, optional
        Returned by `sbnn.cross_validate` for the same model, to draw the test R2 of every output
        (mean over the folds) as bars. By default, outputs are listed in the order of their R2 in
        the fit, without numbers.
    true_genes : sequence of str, optional
        Genes that drive the outputs of simulated data; these genes are marked.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", NEEDED)
    trusted, r2, best = set(), None, np.argsort(-record.train_feature_r2, kind="stable")
    if halves is not None:
        reading.require(halves, "halves", ["selected", "gene_names"], record)
        trusted = set(selection_table(halves).query("trusted").index)
    if folds is not None:
        reading.require(folds, "folds", ["test_r2", "test_feature_r2"], record)
        point = folds.find(n_components=record.latent.shape[1]) if len(folds.params) > 1 else 0
        r2, pooled = folds.test_feature_r2[:, point].mean(axis=0), folds.test_r2[:, point].mean()
        best = np.argsort(-r2, kind="stable")
    genes, outputs = (
        np.asarray(record.kept_genes)[rank_genes(record)],
        np.asarray(record.feature_names)[best],
    )

    figure = new_figure(HEIGHT, "none")
    canvas = place_panel(figure, 0, 0, WIDTH, HEIGHT, ((0, WIDTH), (0, HEIGHT)))
    heading, below = (
        {"va": "center", "fontweight": "bold"},
        {"va": "center", "fontsize": 5.5, "color": "0.4"},
    )
    x = 0.06 + NAMES + _more(canvas, genes, NAMES, fontstyle="italic")
    encoder = x + 0.12
    canvas.text(x, TOP, f"{len(genes)} of {len(record.selected)} genes", ha="right", **heading)
    meanings = ["bold: trusted"] if trusted else []
    if true_genes is not None:
        meanings.append(f"{TRUE} true: {np.isin(genes, true_genes).sum()} of {np.size(true_genes)}")
        genes, trusted = mark_true(genes, true_genes), mark_true(trusted, true_genes)
    # two texts need more space
    place = {"x": 0.06, "ha": "left"} if len(meanings) > 1 else {"x": x, "ha": "right"}
    canvas.text(y=TOP - 0.13, s=", ".join(meanings), **place, **below)
    _column(canvas, x, genes, "right", x - 0.06, fontstyle="italic", bold=trusted)
    x, room = (WIDTH - 0.06 - NAMES, NAMES) if r2 is None else (WIDTH - 1.35, 1.35 - BARS)
    more = _more(canvas, outputs, room)
    x, room = x - more, room + more
    canvas.text(x, TOP, counted(len(outputs), "output"), ha="left", **heading)
    _column(canvas, x, outputs, "left", room, bars=None if r2 is None else r2[best])
    if r2 is not None:
        canvas.text(WIDTH - BARS, TOP, "test R²", ha="left", **heading)
        canvas.text(WIDTH - BARS, TOP - 0.13, f"pooled {pooled:.2f}", ha="left", **below)
    left, right = (WIDTH - SIDE) / 2, (WIDTH + SIDE) / 2
    width = record.latent.shape[1]
    kind = (
        "linear"
        if "rank" in record.settings.get("estimator", {}).get("params", {})
        else "neural network"
    )
    encoding = left, encoder, "encoder", f"{len(genes)} genes → {width}"
    decoding = right, x - 0.12, "decoder", f"{width} → {counted(len(outputs), 'output')}"
    for tip, foot, name, sizes in (encoding, decoding):
        corners = [
            (foot, MIDDLE - SIDE / 2),
            (foot, MIDDLE + SIDE / 2),
            (tip, MIDDLE + 0.25),
            (tip, MIDDLE - 0.25),
        ]
        canvas.add_patch(Polygon(corners, closed=True, facecolor=SKY, alpha=0.3, lw=0))
        inwards = np.sign(tip - foot) * max(abs(tip - foot) / 3, WORD / 2)
        canvas.text(foot + inwards, MIDDLE, name, ha="center", va="bottom", fontsize=8)
        canvas.text(
            foot + inwards, MIDDLE - 0.04, f"{kind}\n{sizes}", ha="center", **below | {"va": "top"}
        )
    canvas.text(WIDTH / 2, TOP, f"{width} linear units: the map", ha="center", **heading)
    canvas.text(WIDTH / 2, TOP - 0.13, f"{len(record.latent)} cells", ha="center", **below)
    ax = place_panel(figure, left, FLOOR, SIDE, SIDE)
    xy, note = map_coordinates(record)
    draw_cloud(ax, Groups(record), xy, note, np.clip(5000 / len(xy), 1, 10))
    return figure


def _rows(names):
    """Number of rows in a column of names, the names to show, and their font size."""
    n_rows = min(max(len(names), 14), MANY)
    return (
        n_rows,
        list(names[: n_rows if len(names) <= n_rows else n_rows - 1]),
        min(7.0, 0.8 * 72 * SIDE / n_rows),
    )


def _more(canvas, names, room, **style):
    """Inches by which the longest name of a column exceeds `room`, at most `MORE`."""
    _, shown, size = _rows(names)
    text = canvas.text(0, 0, max(shown, key=len), fontsize=size, **style)
    width = text.get_window_extent().width / canvas.figure.dpi
    text.remove()
    return float(np.clip(width - room, 0, MORE))


def _column(canvas, x, names, align, room, bold=(), bars=None, **style):
    """Write names one below another, with optional bars; the number of names that do not fit is written at the end."""
    n_rows, shown, size = _rows(names)
    ys = MIDDLE + SIDE / 2 - (np.arange(n_rows) + 0.5) * SIDE / n_rows
    texts = []
    for i, (name, y) in enumerate(zip(shown, ys, strict=False)):
        weight = "bold" if name in bold else "normal"
        texts.append(
            canvas.text(
                x, y, name, ha=align, va="center", fontsize=size, fontweight=weight, **style
            )
        )
        fit_text(texts[-1], room)
        if bars is not None:
            start, end = WIDTH - BARS, WIDTH - BARS + BAR * float(np.clip(bars[i], 0, 1))
            canvas.barh(y, end - start, 0.55 * SIDE / n_rows, left=start, color=GREEN, alpha=0.75)
            canvas.text(
                end + 0.03,
                y,
                f"{bars[i]:.2f}".replace("-", "−"),
                va="center",
                fontsize=min(size, 5.5),
            )
    size = min(text.get_fontsize() for text in texts)
    for text in texts:
        text.set_fontsize(size)
    if rest := len(names) - len(shown):
        canvas.text(
            x, ys[-1], f"and {rest} more", ha=align, va="center", fontsize=size, color="0.4"
        )
