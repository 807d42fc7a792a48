"""Names and numbers in figures."""

import warnings
from logging import ERROR, getLogger

from matplotlib import patheffects

HALO = [patheffects.withStroke(linewidth=2, foreground="white")]
LETTERS = 25  # of a name
DASHES = (0, (3, 2))
STEPS = 300  # to move names apart
LEADER = {"arrowstyle": "-", "color": "0.2", "lw": 0.4, "shrinkA": 0, "shrinkB": 0}


def shortened(name, most=LETTERS):
    """Shorten a name in its middle; "$" is no formula."""
    name = str(name).replace(r"\$", "$")  # if it was shortened before
    if len(name) > most:
        tail = most // 3
        name = f"{name[: most - 1 - tail].rstrip()}…{name[-tail:].lstrip()}"
    return name.replace("$", r"\$")


def counted(n, noun):
    """Such as "1 gene", "25 genes"."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def signed(value, digits=2):
    """A number with a long minus sign."""
    return f"{value:.{digits}f}".replace("-", "−")


def name_line(ax, x, name):
    """Draw a vertical line, named above the axes."""
    ax.axvline(x, color="0.45", lw=0.7, ls=DASHES, zorder=1)
    ax.text(x, 1.01, name, fontsize=6, color="0.3", transform=ax.get_xaxis_transform())


def place_names(ax, points, names, beside=True, leader=LEADER, **style):
    """Write names at points, (n_names, 2) in data units, apart from each other.

    After the layout. With `beside`, names keep off the points.
    """
    from adjustText import adjust_text  # imports pyplot

    look = {"ha": "center", "va": "center", "path_effects": HALO, "zorder": 6} | style
    texts = [ax.text(*point, name, **look) for point, name in zip(points, names, strict=True)]
    if texts:
        getLogger("adjustText").setLevel(ERROR)  # it warns of subfigures
        with warnings.catch_warnings(action="ignore"):
            adjust_text(texts, ax=ax, avoid_self=beside, iter_lim=STEPS, arrowprops=leader)
