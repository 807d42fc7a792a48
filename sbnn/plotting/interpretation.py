"""Effect of each kept gene on each output."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.plotting.common import colorbar, finish, name_columns, new_panels, styled
from sbnn.plotting.labels import counted, shortened
from sbnn.plotting.reading import model_title
from sbnn.results import Record

MOST_GENES, MOST_OUTPUTS = 60, 100
# inches: a row, the space above and below all rows, their minimum and maximum height
ROW, FRAME, LEAST = 0.125, 1.4, 1.3
HIGHEST = 8.5
TIMES = 3  # end of the colour range, relative to the median of the largest effects


@styled
def effect_map(record: Record) -> Figure:
    """Effect of every gene on every output as a heat map, with similar rows and columns together.

    Parameters
    ----------
    record : Record
        From `sbnn.interpret`.

    Returns
    -------
    matplotlib.figure.Figure
        In SDs of the output per SD of the gene, ordered by hierarchical clustering (average
        linkage), for the 60 genes and 100 outputs with the largest effects. The colour range ends
        at three times the median (over outputs) of the largest effect, or at the largest.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> effects = results.load("saved_models/scala/interpretation.pickle")
    >>> figure = plotting.effect_map(effects)
    """
    genes = largest(record.effects, MOST_GENES)
    outputs = largest(record.effects[genes].T, MOST_OUTPUTS)
    effects = record.effects[np.ix_(genes, outputs)]
    genes = genes[similar_order(effects)]
    outputs = outputs[similar_order(effects.T)]

    row = min(ROW, HIGHEST / len(outputs))
    figure, ax = new_panels(max(row * len(outputs), LEAST) + FRAME)
    limit = color_limit(effects)
    shown = record.effects[np.ix_(genes, outputs)].T  # (n_outputs, n_genes)
    image = ax.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    names = [shortened(name) for name in record.feature_names[outputs]]
    ax.set_yticks(range(len(names)), names, fontsize=min(6.5, 60 * row))
    name_columns(ax, record.kept_genes[genes])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    label = "effect: SD of the output\nper SD of the gene"
    shape = {"fraction": 0.02, "pad": 0.015, "aspect": min(30, 4 + len(names))}
    if np.abs(effects).max() > limit:
        label += f", largest {np.abs(effects).max():.2g}"
        shape["extend"] = "both"
    colorbar(figure, image, label, ax=ax, **shape)
    n_genes, n_outputs = record.effects.shape
    drawn = f"{len(genes)} of {counted(n_genes, 'gene')}"
    drawn += f", {len(outputs)} of {counted(n_outputs, 'output')}"
    ax.set_title(f"{model_title(record)}; {drawn}")
    return finish(figure)


def largest(effects, most):
    """Positions of the rows with the largest effects, in their order."""
    strength = np.abs(effects).max(1)
    return np.sort(np.argsort(-strength, kind="stable")[:most])


def color_limit(effects):
    """End of the colour range, not set by one strong output alone."""
    strength = np.abs(effects)
    # with one output: median over genes
    largest_effects = strength.max(0) if strength.shape[1] > 1 else strength
    limit = TIMES * np.median(largest_effects) or np.inf
    return min(limit, strength.max()) or 1.0


def similar_order(rows):
    """Similar rows side by side."""
    if len(rows) < 3:
        return np.arange(len(rows))
    return leaves_list(linkage(rows, "average", optimal_ordering=True))
