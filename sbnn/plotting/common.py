"""Style, size, panel letters, and saving."""

from __future__ import annotations

import io
import pathlib
from contextlib import AbstractContextManager
from pathlib import Path
from string import ascii_lowercase

import matplotlib.style
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from sbnn.plotting.labels import shortened
from sbnn.plotting.reading import mean_sd
from sbnn.store import write_atomically

STYLE = Path(__file__).with_name("style.mplstyle")
WIDTH = 7.2  # inches, two columns of a journal
MARGIN = 0.06  # inches
RASTER_DPI = 200
MANY = 25  # names that figures list in full
LETTER = {"fontsize": 9, "fontweight": "bold"}  # of a panel


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


def with_style(function):
    """Decorate with `style`."""
    return style()(function)


def save_figure(figure: Figure, path_stem) -> pathlib.Path:
    """Write a figure as PNG with 256 colours. The bytes are reproducible.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    path_stem : str or path-like
        Path without extension; missing folders are created.

    Returns
    -------
    pathlib.Path
        Path of the PNG.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sbnn import plotting
    >>> plotting.save_figure(Figure(), "empty").name
    'empty.png'
    """
    content = io.BytesIO()
    with style():
        # so that the layout does not depend on whether the figure has been shown
        figure.draw_without_rendering()
        # without the version of matplotlib, so that the bytes are the same for all
        figure.savefig(content, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    path = Path(f"{path_stem}.png")
    write_atomically(in_few_colors(content.getvalue()), path)
    return path


def in_few_colors(png):
    """Rewrite a PNG with 256 colours, in a third of the bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    content = io.BytesIO()
    small = image.quantize(256, dither=0)
    small.save(content, "png", optimize=True)
    return content.getvalue()


def new_figure(height):
    """Make a figure of full width."""
    figure = Figure(figsize=(WIDTH, height), layout="constrained")
    FigureCanvasAgg(figure)  # needed to measure text
    return figure


def new_panels(height, *shape, **options):
    """As `new_figure`, with panels."""
    figure = new_figure(height)
    return figure, figure.subplots(*shape, **options)


def legend_above(ax, **options):
    """Draw a legend above the axes."""
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "alignment": "left"}
    ax.legend(**place | options)


def draw_band(ax, x, values, color, alpha=0.12, **look):
    """Draw the mean of values (folds x places), with a band of one SD."""
    mean, spread = mean_sd(values)
    ax.fill_between(x, mean - spread, mean + spread, color=color, alpha=alpha, lw=0)
    ax.plot(x, mean, color=color, **look)


def draw_scores(ax, y, values, color):
    """Draw scores as dots in a row, with their mean."""
    ax.plot(values, np.full(len(values), y), "o", color=color, ms=3.5, mew=0, alpha=0.6)
    ax.plot(np.mean(values), y, "|", color=color, ms=9, mew=1.4)


def name_rows(ax, names):
    """Name rows from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)


def grid(ax):
    """Draw pale vertical grid lines."""
    ax.grid(axis="x", lw=0.4, color="0.9")
    ax.set_axisbelow(True)


def name_columns(ax, names, **look):
    """Name columns with vertical text."""
    texts = [shortened(name) for name in names]
    ax.set_xticks(range(len(texts)), texts, rotation=90, fontstyle="italic", **look)
    ax.tick_params(axis="x", length=0)


def colorbar(figure, image, label, **options):
    """Draw a colour bar."""
    bar = figure.colorbar(image, label=label, **options)
    bar.outline.set_linewidth(0.4)


def log_ticks(ax, ticks):
    """Logarithmic x axis with these ticks."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, ticks)
    ax.set_xticks([], minor=True)


def headline(figure, text):
    """Write a title above a figure."""
    look = {"ha": "left", "fontsize": 8, "fontweight": "bold", "wrap": True}
    figure.suptitle(text, x=MARGIN / WIDTH, **look)


def finish(figure, rows=()):
    """Fix the layout, with letters at the panels if there are several."""
    panels = [ax for row in rows for ax in row]
    for ax, letter in zip(panels if len(panels) > 1 else (), ascii_lowercase, strict=False):
        ax.annotate(letter, (0, 1), (-20, 4), "axes fraction", "offset points", **LETTER)
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    return figure
