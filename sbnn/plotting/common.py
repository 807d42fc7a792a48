"""Style, size, panel letters, and saving."""

from __future__ import annotations

import io
import pathlib
from contextlib import AbstractContextManager
from pathlib import Path
from string import ascii_lowercase

import matplotlib.style
import numpy as np
from matplotlib import rcParams
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.ndimage import maximum_filter, minimum_filter
from scipy.spatial import cKDTree

from sbnn.plotting.labels import fit_text, shortened_apart
from sbnn.store import write_atomically

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 7.2  # inches, two columns of a journal
MARGIN = 0.06  # inches
RASTER_DPI = 200
MANY = 25  # names that figures list in full
N_AREAS = 192  # most colours of a palette
N_BLENDS = 96
CODE = np.array([65536, 256, 1])  # of red, green and blue in one number
LETTER = {"fontsize": 9, "fontweight": "bold"}  # of a panel
UNDATED = {"CreationDate": None, "Creator": None, "Producer": None}


def style() -> AbstractContextManager:
    """Context manager and decorator: matplotlib uses the style of this package alone.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sbnn import plotting
    >>> with plotting.style():
    ...     figure = Figure(figsize=(4, 2))
    ...     lines = figure.subplots().plot([1, 3, 2])
    """
    return matplotlib.style.context(STYLE, after_reset=True)


def styled(function):
    """Decorate with `style`."""
    return style()(function)


def save_figure(figure: Figure, path_stem, pdf: bool = False) -> list[pathlib.Path]:
    """Write a figure as PNG and, if requested, as PDF with editable text.

    Bytes are reproducible. The PNG has 256 colours, or all if there is a colour bar.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path_stem : str or path-like
        Path without extension; missing folders are created.
    pdf : bool
        Whether to write a PDF too.

    Returns
    -------
    list of pathlib.Path
        Paths of the PNG and, if written, of the PDF.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sbnn import plotting
    >>> [path.name for path in plotting.save_figure(Figure(), "empty", pdf=True)]
    ['empty.png', 'empty.pdf']
    """
    path_stem = Path(path_stem)
    if not isinstance(figure, Figure):
        raise TypeError(f"figure: expected a matplotlib figure, got {figure!r}")
    with style():
        # so that the PNG does not depend on `pdf`
        figure.draw_without_rendering()
        png = _rendered(figure, "png", {"Software": None})
        if any(ax.get_label() == "<colorbar>" for ax in figure.axes):
            with Image.open(io.BytesIO(png)) as image:
                png = _as_png(image.convert("RGB"))
        else:
            png = in_few_colors(png)
        contents = {"png": png}
        if pdf:
            contents["pdf"] = _rendered(figure, "pdf", UNDATED)
    paths = []
    for ending, content in contents.items():
        path = Path(f"{path_stem}.{ending}")
        write_atomically(content, path)
        paths.append(path)
    return paths


def _rendered(figure, ending, metadata):
    content = io.BytesIO()
    figure.savefig(content, format=ending, dpi=RASTER_DPI, metadata=metadata)
    return content.getvalue()


def _as_png(image):
    content = io.BytesIO()
    image.save(content, "png", optimize=True)
    return content.getvalue()


def in_few_colors(png):
    """Rewrite a PNG with a palette, in which areas keep their colours.

    Only blends at edges change. A palette of all pixels would merge the colours of rare types.
    """
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("RGB"), np.int64)
    colors, inverse = np.unique(pixels @ CODE, return_inverse=True)
    codes = inverse.reshape(pixels.shape[:2])
    is_area = maximum_filter(codes, 3) == minimum_filter(codes, 3)
    sizes = np.bincount(codes[is_area], minlength=colors.size)
    largest = np.argsort(-sizes, kind="stable")[:N_AREAS]
    areas = largest[sizes[largest] > 0]
    colors = colors[:, np.newaxis] // CODE % 256
    palette = colors[areas]
    blends = colors[codes[~np.isin(codes, areas)]]
    if blends.size:
        row = Image.fromarray(blends[np.newaxis].astype(np.uint8))
        n_blends = min(N_BLENDS, 256 - areas.size)  # more hardly show, but take space
        of_blends = row.quantize(n_blends, Image.Quantize.MEDIANCUT, 2).getpalette()
        of_blends = np.reshape(of_blends, (-1, 3))[:n_blends]  # old Pillow appends black
        palette = np.concatenate([palette, of_blends])
    nearest = cKDTree(palette).query(colors)[1]
    small = Image.fromarray(nearest[codes].astype(np.uint8), "P")
    small.putpalette(palette.ravel().tolist())
    return _as_png(small)


def new_figure(height, layout="constrained"):
    """Make a figure of full width, which need not be closed."""
    figure = Figure(figsize=(WIDTH, height), layout=layout)
    FigureCanvasAgg(figure)  # needed to measure text
    return figure


def new_panels(height, *shape, **options):
    """As `new_figure`, with panels."""
    figure = new_figure(height)
    return figure, figure.subplots(*shape, **options)


def place_axes(figure, x, y, width, height):
    """Add axes at a position in inches."""
    across, up = figure.get_size_inches()
    return figure.add_axes((x / across, y / up, width / across, height / up))


def place_panel(figure, x, y, width, height, limits=((0, 1), (0, 1))):
    """As `place_axes`, without ticks or a frame."""
    ax = place_axes(figure, x, y, width, height)
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_axis_off()
    return ax


def write(figure, x, y, text, **look):
    """Write at inches."""
    across, up = figure.get_size_inches()
    return figure.text(x / across, y / up, text, **look)


def legend_above(ax, handles=None, **options):
    """Draw a legend above the axes."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "alignment": "left"}
    return ax.legend(handles=handles, **place | options)


def draw_scores(ax, y, values, color):
    """Draw scores as dots in a row, with their mean."""
    ax.plot(values, np.full(len(values), y), "o", color=color, ms=3.5, mew=0, alpha=0.6)
    ax.plot(np.mean(values), y, "|", color=color, ms=9, mew=1.4)


def name_rows(ax, names):
    """Name rows from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)


def grid(ax, axis="x"):
    """Draw pale grid lines behind a chart."""
    ax.grid(axis=axis, lw=0.4, color="0.9")
    ax.set_axisbelow(True)


def name_columns(ax, names, fontstyle="italic", **look):
    """Name columns with vertical text."""
    texts = shortened_apart(names)
    ax.set_xticks(range(len(texts)), texts, rotation=90, fontstyle=fontstyle, **look)
    ax.tick_params(axis="x", length=0)


def colorbar(figure, image, label, labelpad=None, **options):
    """Draw a colour bar."""
    bar = figure.colorbar(image, **options)
    bar.set_label(label, labelpad=labelpad)
    bar.ax.tick_params(labelsize=rcParams["ytick.labelsize"])
    bar.outline.set_linewidth(0.4)


def log_ticks(ax, ticks):
    """Make the x axis logarithmic, with only these ticks."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, ticks)
    ax.set_xticks([], minor=True)


def headline(figure, finding):
    """Write a finding above a figure, shortened if it is too long."""
    width = figure.get_figwidth()
    look = {"ha": "left", "fontsize": 8, "fontweight": "bold"}
    title = figure.suptitle(finding, x=MARGIN / width, **look)
    fit_text(title, width - 2 * MARGIN)


def finish(figure, rows=(), letters=ascii_lowercase):
    """Fix the layout, and add the letters of the panels."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    letter_panels(figure, rows, letters)
    return figure


def letter_panels(figure, rows, letters=ascii_lowercase):
    """Put letters at the panels, in rows of axes."""
    to_figure = figure.transFigure.inverted()
    rows = [axes for axes in rows if len(axes)]
    boxes = [[ax.get_tightbbox().transformed(to_figure) for ax in axes] for axes in rows]
    letters = iter(letters)
    for row in boxes:
        top = max(box.y1 for box in row)
        for column in range(len(row)):
            left = min(other[column].x0 for other in boxes if column < len(other))
            figure.text(left, top, next(letters), va="top", **LETTER)
