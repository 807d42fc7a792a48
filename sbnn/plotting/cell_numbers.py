"""Numbers of cells."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from sbnn.plotting.common import headline, name_rows, new_panels, styled

BARS = "0.5"


@styled
def family_sizes(cells: pd.DataFrame) -> Figure:
    """Cells and types of each family, ten at most.

    Parameters
    ----------
    cells : DataFrame, shape (n, k)
        With the columns ``family`` and ``type``.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.family_sizes(data.obs)
    """
    of_family = cells.groupby("family", observed=True)["type"].agg(["count", "nunique"])
    of_family = of_family.sort_values("count", ascending=False)
    n_cells = of_family["count"].sum()
    of_family = of_family.head(10)
    figure, ax = new_panels(2)
    bars = ax.bar(of_family.index, of_family["count"], 0.6, color=BARS)
    ax.bar_label(bars, [f"{n} types" for n in of_family["nunique"]], padding=2)
    ax.set_ylabel("cells")
    ax.tick_params(axis="x", length=0)
    share = of_family["count"].iloc[0] / n_cells
    headline(
        figure, f"The largest family, {of_family.index[0]}, has {share:.0%} of {n_cells} cells"
    )
    return figure


@styled
def cells_left_out(dropped: pd.Series, n_used: int) -> Figure:
    """Cells used, and cells left out for each reason, on a log scale.

    Parameters
    ----------
    dropped : Series
        Number of cells by reason.
    n_used : int

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn import plotting
    >>> figure = plotting.cells_left_out(pd.Series({"no RNA": 20, "no type": 103}), 1213)
    """
    names = ["used", *dropped.index]
    figure, ax = new_panels(0.5 + 0.25 * len(names))
    bars = ax.barh(range(len(names)), [n_used, *dropped], 0.5, color=BARS)
    ax.bar_label(bars, padding=2)
    ax.set(xlabel="cells (log scale)", xscale="log")
    name_rows(ax, names)
    n_dropped = dropped.sum()
    headline(figure, f"{n_dropped} of {n_used + n_dropped} cells are left out")
    return figure
