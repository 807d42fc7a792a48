"""What all figures share: the style, the size, panel letters, and saving."""

import io
from pathlib import Path

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from scipy.spatial import cKDTree

from sbnn.results import write_atomically

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 7.2  # inches: two columns of a journal page
RASTER_DPI = 200  # of the rasterised parts of a PDF
MANY = 25  # names that are all shown one below the other; where there are more, figures say how many
SIZES = (16, 32, 64, 128, 256)  # of palettes, of which a PNG holds 256 colours at most
OFF = 40  # of 255, how far a pixel of a soft edge may be off


def style():
    """Context in which matplotlib draws in the style of this package, whatever the user's own settings."""
    return matplotlib.style.context(STYLE, after_reset=True)


#: Decorates a function that draws, so that it does so in `style` and leaves the user's settings alone.
styled = style()


def save_figure(figure, path_stem):
    """Write a figure as PDF (text as text) and PNG (256 colours); the same figure gives the same bytes.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path_stem : str or path-like
        Path without ending; ``.pdf`` and ``.png`` are added, folders are made.

    Returns
    -------
    list of pathlib.Path
        The PDF and the PNG.
    """
    contents = {}
    with style():
        for ending, options in (
            ("pdf", {"dpi": RASTER_DPI, "metadata": {"CreationDate": None, "Creator": None, "Producer": None}}),
            ("png", {"dpi": matplotlib.rcParams["savefig.dpi"], "metadata": {"Software": None}}),
        ):
            buffer = io.BytesIO()
            figure.savefig(buffer, format=ending, **options)
            content = buffer.getvalue()
            contents[Path(f"{path_stem}.{ending}")] = in_few_colors(content) if ending == "png" else content
    for path, content in contents.items():
        write_atomically(content, path)
    return list(contents)


def new_figure(height):
    """Make a figure of the full width, height in inches, outside pyplot: nothing to close or shown twice."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)  # measures the text
    return figure


def freeze_layout(figure):
    """Lay the figure out once and for all, so that what is placed afterwards stays where it is put."""
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure.canvas.get_renderer()


def letter_panels(figure, rows, letters="abcdefghijklmnopqrstuvwxyz"):
    """Put bold letters at the top left of the panels; those of a row, and of a column, are aligned."""
    to_figure = figure.transFigure.inverted()
    boxes = [[ax.get_tightbbox().transformed(to_figure) for ax in axes] for axes in rows]
    letters = iter(letters)
    for row in boxes:
        top = max(box.y1 for box in row)
        for column in range(len(row)):
            left = min(other[column].x0 for other in boxes if column < len(other))
            figure.text(left, top, next(letters), fontsize=9, fontweight="bold", ha="left", va="top")


def in_few_colors(png):
    """Rewrite an image with the smallest palette in which no difference is seen."""
    with Image.open(io.BytesIO(png)) as image:
        red, green, blue = np.asarray(image.convert("RGB"), dtype=np.uint32).transpose(2, 0, 1)
    found, places, counts = np.unique(red << 16 | green << 8 | blue, return_inverse=True, return_counts=True)
    colors = (np.column_stack([found >> 16, found >> 8, found]) & 255).astype(np.uint8)
    places = places.reshape(red.shape)
    even = np.zeros(len(found), bool)
    even[places[1:-1, 1:-1][_between(places[:, 1:-1]) & _between(places.T[:, 1:-1]).T]] = True
    colors_by_count = colors[np.argsort(-counts, kind="stable")]
    for size in SIZES:
        palette = _palette(colors_by_count, size)
        nearest = cKDTree(palette.astype(float)).query(colors.astype(float))[1]
        off = np.abs(palette[nearest].astype(int) - colors).max(1)
        if off.max() <= OFF and np.average(off, weights=counts) <= 1 and not off[even].any():
            break
    few = Image.fromarray(nearest.astype(np.uint8)[places], "P")
    few.putpalette(palette.tobytes())
    few.save(content := io.BytesIO(), "png", optimize=True)
    return content.getvalue()


def _between(places):
    """Whether the pixels above and below have the same colour, for all rows but the first and the last."""
    return (places[1:-1] == places[:-2]) & (places[1:-1] == places[2:])


def _palette(colors_by_count, size):
    if len(colors_by_count) <= size:
        return colors_by_count
    others = Image.fromarray(colors_by_count[np.newaxis, size // 2 :])
    others = others.quantize(size - size // 2, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    return np.vstack([colors_by_count[: size // 2], np.reshape(others.getpalette(), (-1, 3)).astype(np.uint8)])
