"""What all figures share: the style, the size, panel letters, and saving."""

import functools
import io
from pathlib import Path

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from sbnn.plotting.png import in_few_colors
from sbnn.results import write_atomically

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 7.2  # inches: two columns of a journal page
RASTER_DPI = 200  # of the rasterised parts of a PDF
MANY = 25  # names that are all shown one below the other; where there are more, figures say how many


def style():
    """Context in which matplotlib draws in the style of this package, whatever the user's own settings."""
    return matplotlib.style.context(STYLE, after_reset=True)


def styled(function):
    """Decorate a function that draws, so that it does so in `style` and leaves the user's settings alone."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with style():
            return function(*args, **kwargs)

    return wrapper


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

    Raises
    ------
    OSError
        If a file cannot be written; whatever was there before is then unchanged.
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
