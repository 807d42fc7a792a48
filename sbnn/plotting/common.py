"""Style and size of figures, parts that several figures share, and saving."""

from __future__ import annotations

import functools
import io
import os
import pathlib
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import AbstractContextManager
from itertools import cycle
from pathlib import Path
from string import ascii_lowercase
from textwrap import fill
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import matplotlib.style
import numpy as np
from matplotlib import patheffects
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure, FigureBase
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.ticker import LogLocator, MaxNLocator
from matplotlib.transforms import Bbox
from PIL import Image
from scipy.optimize import isotonic_regression

from sbnn.errors import check_path
from sbnn.files import write_atomically
from sbnn.plotting.reading import dataset_title, mean_and_sd, mean_text, short_name

if TYPE_CHECKING:
    from sbnn.evaluation.verdict import PairedDifference

PNG = rb"\x89PNG"  # beginning of a figure
STYLE = Path(__file__).with_name("style.mplstyle")
FIGURE_WIDTH = 7.2  # inches, two columns of a journal
MARGIN = 0.06  # inches
HEADLINE_HEIGHT = 0.2  # inches
RASTER_DPI = 200
LABEL_LETTERS = 30  # of a line below a narrow subplot
NAMES_IN_FULL = 25  # longer lists are cut
DASHES = (0, (3, 2))
PUBLISHED_MARKER: dict[str, Any] = {  # a hollow diamond
    "marker": "D",
    "markersize": 4.5,
    "markerfacecolor": "white",
    "markeredgewidth": 0.9,
    "ls": "",
}
HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
LAYOUT_DIGITS = 6  # of a place, relative to the figure
#: Of a name at a point.
NAME_STYLE: dict[str, Any] = {"va": "center", "fontsize": 6.5, "path_effects": HALO, "zorder": 6}
NAME_LINE, NAME_GAP = 0.11, 0.05  # inches, the height of a name, and from it to its point
#: Of a name of a line to the right of the axes.
EDGE_NAME_PLACE = (1.02, 0.5)  # of the axes
EDGE_NAME: dict[str, Any] = {"va": "center", "fontsize": 6.5, "gid": "at the edge"}
LEADER = {"arrowstyle": "-", "color": "0.2", "lw": 0.4, "shrinkA": 0, "shrinkB": 0}

FigureArguments = ParamSpec("FigureArguments")
R = TypeVar("R")


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


def with_style(function: Callable[FigureArguments, R]) -> Callable[FigureArguments, R]:
    """Decorate with `style`."""

    @functools.wraps(function)
    def draw_with_style(*args: FigureArguments.args, **kwargs: FigureArguments.kwargs) -> R:
        with style():
            return function(*args, **kwargs)

    return draw_with_style


def save_figure(figure: Figure, path_stem: str | os.PathLike[str]) -> pathlib.Path:
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
    check_path("path_stem", path_stem)
    content = io.BytesIO()
    with style():
        if not _has_fixed_layout(figure):
            # so that the layout does not depend on whether the figure has been shown
            figure.draw_without_rendering()
        # without the version of matplotlib, so that the bytes are the same for all
        figure.savefig(content, format="png", dpi=RASTER_DPI, metadata={"Software": None})
    path = Path(f"{path_stem}.png")
    write_atomically(in_few_colors(content.getvalue()), path, beginning=PNG)
    return path


def show_and_save(figure: Figure, path_stem: str | os.PathLike[str]) -> Figure:
    """Save a figure with `save_figure` and return it, so that a cell of a notebook shows it.

    Parameters
    ----------
    figure, path_stem
        As in `save_figure`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sbnn import plotting
    >>> plotting.show_and_save(Figure(), "empty")
    <Figure size 640x480 with 0 Axes>
    """
    save_figure(figure, path_stem)
    return figure


def headline(figure: Figure, finding: str, dataset: str = "") -> Figure:
    """Write what a figure shows above it, after the name of its data set; return the figure.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
        From a function of `sbnn.plotting`, or any with a title of its own.
    finding : str
        One line.
    dataset : str, optional
        Such as ``record.dataset``; written as its title, such as "M1" for "scala".

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> curve = results.load("saved_models/citeseq_cd8/genes_curve.pickle.xz")
    >>> figure = plotting.genes_curve(curve)
    >>> figure = plotting.headline(figure, "50 genes suffice", curve.dataset)
    """
    finding = finding.replace(r"\$", "$").replace("$", r"\$")  # no formula
    draw_title(figure, f"{dataset_title(dataset)}: {finding}" if dataset else finding)
    return figure


def _has_fixed_layout(figure):
    return isinstance(figure.get_layout_engine(), PlaceHolderLayoutEngine)


def in_few_colors(png: bytes) -> bytes:
    """Rewrite a PNG with 256 colours, which takes fewer bytes."""
    image = Image.open(io.BytesIO(png)).convert("RGB")
    # median cut, the default, mixes the colours of few pixels, such as those of a legend
    method = Image.Quantize.MAXCOVERAGE
    content = io.BytesIO()
    small = image.quantize(256, method, kmeans=1, dither=Image.Dither.NONE)
    small.save(content, "png", optimize=True)
    return content.getvalue()


def new_figure(height: float) -> Figure:
    """Make a figure of full width and a height in inches, with room for a `headline`."""
    figure = Figure(figsize=(FIGURE_WIDTH, height + HEADLINE_HEIGHT), layout="constrained")
    FigureCanvasAgg(figure)  # needed to measure text
    draw_title(figure, " ")
    return figure


def new_subplots(
    height: float,
    *,
    n_rows: int = 1,
    n_columns: int = 1,
    **options: Any,
) -> tuple[Figure, Any]:
    """As `new_figure`, with subplots."""
    figure = new_figure(height)
    return figure, figure.subplots(n_rows, n_columns, **options)


def legend_above(ax: Axes, anchor: tuple[float, float] = (0, 1.01), **options: Any) -> None:
    """Draw a legend above the axes, whose lower left corner stands at an anchor."""
    ax.legend(loc="lower left", bbox_to_anchor=anchor, alignment="left", **options)


def draw_band(
    ax: Axes, x: Any, values: Any, color: Any, alpha: float = 0.12, **line_options: Any
) -> None:
    """Draw the mean of values (folds x places), with a band of one SD."""
    mean, sd = mean_and_sd(values)
    ax.fill_between(x, mean - sd, mean + sd, color=color, alpha=alpha, lw=0)
    ax.plot(x, mean, color=color, **line_options)


def draw_folds(ax: Axes, y: float, scores: np.ndarray, color: Any) -> None:
    """Draw the score of each fold in a row, and the mean with its SD, also as text on the right."""
    # in the order of the folds, to recognise difficult ones
    places = y + np.linspace(-0.28, 0.28, len(scores))
    ax.plot(scores, places, marker="o", ls="", color=color, ms=2.5, mew=0, alpha=0.45, zorder=2)
    mean, sd = mean_and_sd(scores)
    ax.errorbar(mean, y, xerr=sd, color=color, fmt="o", ms=3.5, lw=1.2, capsize=2, zorder=6)
    right_of_axes = ax.get_yaxis_transform()
    ax.text(1.02, y, mean_text(scores), color=color, transform=right_of_axes, va="center")


def draw_scores(ax: Axes, y: float, scores: Any, color: Any) -> None:
    """Draw scores as dots in a row, with a stroke at their mean."""
    row = np.full(len(scores), y)
    ax.plot(scores, row, marker="o", ls="", color=color, ms=3.5, mew=0, alpha=0.6)
    if len(scores):
        ax.plot(np.mean(scores), y, marker="|", ls="", color=color, ms=9, mew=1.4)


def draw_differences(
    ax: Axes,
    differences: Iterable[PairedDifference | None],
    colors: Iterable[Any],
    reference: str,
    markers: str = "o",
) -> None:
    """Draw paired differences from a reference in rows, with their 95 % intervals and a line at 0.

    A model without a difference has no mark; that of the reference is 0.
    """
    ax.axvline(0, color="0.2", lw=0.8, zorder=1)
    for y, (difference, color, marker) in enumerate(
        zip(differences, colors, cycle(markers), strict=False)
    ):
        if difference is None:
            continue
        half = difference.high - difference.mean
        ax.errorbar(
            difference.mean, y, xerr=half, color=color, fmt=marker, ms=3.5, lw=1.2, capsize=2
        )
    draw_grid(ax)
    ax.locator_params(axis="x", nbins=4)
    name = fill(f"minus {reference}", LABEL_LETTERS)
    ax.set_xlabel(f"{name}\n(bars: 95 % interval)")


def name_rows(ax: Axes, names: Sequence[str]) -> None:
    """Name rows from the top."""
    ax.set_yticks(range(len(names)), names)
    ax.tick_params(axis="y", length=0)
    ax.set_ylim(len(names) - 0.5, -0.5)


def draw_grid(ax: Axes) -> None:
    """Draw pale vertical grid lines."""
    ax.grid(axis="x", lw=0.4, color="0.9")
    ax.set_axisbelow(True)


def name_columns(
    ax: Axes, names: Iterable[str], bold: Collection[str] = (), **text_options: Any
) -> None:
    """Name columns with vertical text, some in bold."""
    full_names = list(names)
    texts = [short_name(name) for name in full_names]
    ax.set_xticks(range(len(texts)), texts, rotation=90, fontstyle="italic", **text_options)
    ax.tick_params(axis="x", length=0)
    for label, name in zip(ax.get_xticklabels(), full_names, strict=True):
        if name in bold:
            label.set_fontweight("bold")


def name_line(ax: Axes, x: float, name: str, ha: str = "left") -> None:
    """Draw a vertical line, named above the axes."""
    ax.axvline(x, color="0.45", lw=0.7, ls=DASHES, zorder=1)
    ax.text(x, 1.01, name, ha=ha, fontsize=6, color="0.3", transform=ax.get_xaxis_transform())


def name_at_edge(ax: Axes, height: float, name: str, color: Any) -> None:
    """Write the name of a line at this height to the right of the axes, before `spread_names`.

    Until then it stands in the middle, since no layout has room for names far below the axes.
    """
    ax.annotate(
        name,
        xy=(1, height),
        xycoords=ax.get_yaxis_transform(),
        xytext=EDGE_NAME_PLACE,
        textcoords="axes fraction",
        color=color,
        **EDGE_NAME,
    )


def spread_names(ax: Axes) -> None:
    """Move the names at the edge of the axes to the heights of their lines, or apart."""
    names: list[Any] = [text for text in ax.texts if text.get_gid() == EDGE_NAME["gid"]]
    box = ax.get_window_extent()
    line = NAME_LINE * ax.figure.dpi
    _, heights = ax.transData.transform([text.xy for text in names]).T
    heights = spread_apart(heights, line, low=box.y0, high=box.y1)
    for text, height in zip(names, heights, strict=True):
        x, _ = EDGE_NAME_PLACE
        text.set_position((x, (height - box.y0) / box.height))


def place_names(
    ax: Axes,
    points: np.ndarray,
    names: Iterable[str],
    *,
    beside: bool = False,
    fontstyle: str = "normal",
) -> None:
    """Write names over points, (n_names, 2) in data units, or beside them and with leaders.

    After the layout. Each name is inside the axes, and has a height of its own.
    """
    ax.apply_aspect()  # as when it is drawn
    box = ax.get_window_extent()
    line, gap = NAME_LINE * ax.figure.dpi, NAME_GAP * ax.figure.dpi
    across, up = ax.transData.transform(points).T
    heights = spread_apart(up, line, low=box.y0 + line / 2, high=box.y1 - line / 2)
    for name, point, middle, height in zip(names, points, across, heights, strict=True):
        text = ax.annotate(
            name,
            xy=point,
            xytext=point,
            ha="center",
            fontstyle=fontstyle,
            arrowprops=LEADER if beside else None,
            **NAME_STYLE,
        )
        half = text.get_window_extent().width / 2
        if beside:
            step = gap + half
            has_room = middle + step + half < box.x1
            middle += step if has_room else -step
        middle = np.clip(middle, box.x0 + half, box.x1 - half)
        x, y = ax.transData.inverted().transform((middle, height))
        text.set_position((x, y))


def spread_apart(heights: np.ndarray, spacing: float, low: float, high: float) -> np.ndarray:
    """The nearest heights in the same order between two ends, at least a spacing apart.

    They are closer only if there is no room for all.
    """
    n_heights = len(heights)
    if not n_heights:
        return heights
    order = np.argsort(heights, kind="stable")
    room = (high - low) / max(n_heights - 1, 1)
    steps = min(spacing, room) * np.arange(n_heights)
    steps -= steps.mean()
    # the smallest change for which all differences are large enough
    shifted = isotonic_regression(heights[order] - steps).x
    shifted = shifted.clip(low - steps[0], high - steps[-1])
    spread = np.empty_like(heights)
    spread[order] = shifted + steps
    return spread


def add_colorbar(figure: FigureBase, image: ScalarMappable, label: str, **options: Any) -> None:
    """Draw a colour bar."""
    bar = figure.colorbar(image, label=label, **options)
    bar.outline.set_linewidth(0.4)


def log_ticks(ax: Axes, ticks: Sequence[int] | np.ndarray) -> None:
    """Logarithmic x axis with these ticks."""
    ax.set_xscale("log")
    ax.set_xticks(ticks, [str(tick) for tick in ticks])
    ax.set_xticks([], minor=True)


def write_plain_numbers(axis: Axis) -> None:
    """Write numbers at a logarithmic axis without exponents, which would be too small to read."""
    low, high = sorted(axis.get_view_interval())
    if high < 5 * low:
        axis.set_major_locator(MaxNLocator(4))
    elif high < 100 * low:
        # powers of ten alone might be too few
        axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter("")


def draw_title(figure: Any, text: str) -> None:
    """Write a bold title above a figure or a part of it."""
    left = MARGIN / FIGURE_WIDTH
    if figure._suptitle is None:
        figure.suptitle(text, x=left, ha="left", fontsize=8, fontweight="bold", wrap=True)
    else:  # at its height, which the layout may have fixed
        figure._suptitle.set(text=text, x=left, ha="left", fontsize=8, fontweight="bold")


def finish(figure: Figure, rows: Iterable[Iterable[Axes]] = ()) -> Figure:
    """Fix the layout, with letters at the subplots if there are several."""
    subplots = [ax for row in rows for ax in row]
    if len(subplots) > 1:
        for ax, letter in zip(subplots, ascii_lowercase, strict=False):
            ax.annotate(
                letter,
                xy=(0, 1),
                xytext=(-20, 4),
                xycoords="axes fraction",
                textcoords="offset points",
                fontsize=9,
                fontweight="bold",
            )
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    round_layout(figure)
    return figure


def round_layout(figure: Figure) -> None:
    """Round the places of parts and axes, so that the bytes of a figure are reproducible.

    The last bits of a layout depend on addresses in memory, and with them which pixel a text at
    the border of two is drawn in.
    """
    parts: list[Any] = [figure]
    for part in parts:
        parts += part.subfigs
        title = part._suptitle
        if title is not None:
            title.set_position(np.round(title.get_position(), LAYOUT_DIGITS))
        if part is not figure:
            corners = part.bbox_relative.get_points()
            part.bbox_relative.set_points(corners.round(LAYOUT_DIGITS))
    for ax in figure.axes:
        corners = ax.get_position(original=True).get_points()
        ax.set_position(Bbox(corners.round(LAYOUT_DIGITS)))
        ax.set_in_layout(True)  # which `set_position` ends
