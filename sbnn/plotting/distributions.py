"""Distributions of raw data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from numpy.typing import ArrayLike

from sbnn.plotting.common import finish, headline, new_panels, styled
from sbnn.plotting.labels import signed

N_BINS = 40
BARS = "0.5"
MOST_OUTPUTS = 16
MOST_PROTEINS = 5


@styled
def library_sizes(counts: ArrayLike, expression: ArrayLike) -> Figure:
    """Total counts of the cells, genes with a count, and the values after normalisation.

    Parameters
    ----------
    counts : array-like, shape (n, p)
    expression : array-like, shape (n, p)
        The same genes, normalised, on a log₂ scale.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.library_sizes(data.layers["counts"], data.X)
    """
    counts = np.asarray(counts)
    of_cells = counts.sum(axis=1)
    totals = np.log10(of_cells)
    detected = (counts > 0).sum(axis=1)
    figure, (left, middle, right) = new_panels(2.2, 1, 3)
    left.hist(totals, N_BINS, color=BARS)
    left.set(xlabel="log₁₀ of the counts of a cell", ylabel="cells")
    middle.plot(totals, detected, ".", ms=3, mew=0, alpha=0.6, color="0.3")
    middle.set(xlabel="log₁₀ of the counts of a cell", ylabel="genes with a count")
    right.hist(np.ravel(expression), 60, color=BARS, log=True)
    right.set(xlabel="log₂ expression, normalised", ylabel="cells × genes")
    low, high = np.quantile(of_cells, [0.25, 0.75])
    headline(figure, f"The middle half of the cells have {low:,.0f} to {high:,.0f} counts")
    return finish(figure, [[left, middle, right]])


@styled
def output_distributions(outputs: pd.DataFrame) -> Figure:
    """Histograms of the outputs in their own units, of the first sixteen if there are more.

    Parameters
    ----------
    outputs : DataFrame, shape (n, q)

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.output_distributions(data.obsm["outputs"])
    """
    names = outputs.columns[:MOST_OUTPUTS]
    n_rows = -(-len(names) // 4)
    figure, axes = new_panels(0.2 + n_rows, n_rows, 4, squeeze=False)
    panels = axes.ravel()
    for ax, name in zip(panels, names, strict=False):
        _draw_histogram(ax, outputs[name], name)
    for ax in panels[len(names) :]:
        ax.remove()
    figure.supylabel("cells", fontsize=7)
    skewness = outputs[names].astype(float).skew().fillna(0)
    most = np.abs(skewness).argmax()
    headline(figure, f"Most skewed output: {names[most]} (skewness {signed(skewness.iloc[most])})")
    return finish(figure, np.split(panels[: len(names)], range(4, len(names), 4)))


@styled
def protein_scales(proteins: pd.DataFrame) -> Figure:
    """Histograms of the first five proteins: counts above, log₂(1 + counts) below.

    Parameters
    ----------
    proteins : DataFrame, shape (n, q)
        Counts.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> import numpy as np
    >>> import pandas as pd
    >>> from sbnn import plotting
    >>> counts = np.random.default_rng(0).negative_binomial(1, [0.1, 0.01], (500, 2))
    >>> figure = plotting.protein_scales(pd.DataFrame(counts, columns=["CD4", "CD8"]))
    """
    names = proteins.columns[:MOST_PROTEINS]
    figure, (above, below) = new_panels(2.6, 2, len(names), squeeze=False)
    for name, top, bottom in zip(names, above, below, strict=True):
        _draw_histogram(top, proteins[name], f"{name}, counts")
        _draw_histogram(bottom, np.log2(1 + proteins[name]), f"{name}, log₂(1 + counts)")
    figure.supylabel("cells", fontsize=7)
    shown = proteins[names].astype(float)
    before, after = (values.skew().mean() for values in (shown, np.log2(1 + shown)))
    headline(
        figure, f"Mean skewness: {signed(before)} of counts, {signed(after)} of log₂(1 + counts)"
    )
    return finish(figure, [above, below])


def _draw_histogram(ax, values, title):
    ax.hist(values, N_BINS, color=BARS)
    ax.set(title=title, yticks=[])
