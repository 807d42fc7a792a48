"""Effect of each kept gene on each output."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.plotting.common import colorbar, new_panels, styled
from sbnn.plotting.labels import shortened_apart
from sbnn.plotting.reading import model_title
from sbnn.results import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sbnn.results import Record


MOST_GENES = 60
ACROSS, DOWN = 60, 100  # most outputs that are drawn as columns and as rows
# inches: a row, the space above and below all rows, their minimum and maximum height
ROW, FRAME, LEAST = 0.125, 1.2, 1.3
HIGHEST = 8.5
# inches per letter, and letters that fit into FRAME
LETTER, LETTERS = 0.05, 12
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
        Effects are in SDs of the output per SD of the gene. Rows and columns are ordered by
        hierarchical clustering (average linkage). The 60 genes and 100 outputs with the largest
        effects are drawn. The colour range ends at three times the median (over outputs) of the
        largest effect, or at the largest.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> effects = results.load("saved_models/scala/interpretation.pickle")
    >>> figure = plotting.effect_map(effects)
    """
    require(record, "record", ("effects", "kept_genes", "feature_names"))
    genes = largest(record.effects, MOST_GENES)
    outputs = largest(record.effects[genes].T, DOWN)
    n_hidden = len(record.feature_names) - len(outputs)
    effects = record.effects[np.ix_(genes, outputs)]  # (n_genes, n_outputs)
    by_gene, by_output = similar_order(effects), similar_order(effects.T)
    image = effects[np.ix_(by_gene, by_output)]
    down = shortened_apart(record.kept_genes[genes[by_gene]])
    across = shortened_apart(record.feature_names[outputs[by_output]])
    styles = ["italic", "normal"]
    if len(across) > ACROSS:
        down, across, image = across, down, image.T
        styles.reverse()

    row = min(ROW, HIGHEST / len(down))
    further = LETTER * max(len(max(across, key=len)) - LETTERS, 0)
    figure, ax = new_panels(max(row * len(down), LEAST) + FRAME + further)
    strongest = np.abs(effects).max()
    limit = color_limit(effects)
    image = ax.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    size = min(6.5, 60 * row)
    ax.set_yticks(range(len(down)), down, fontstyle=styles[0], fontsize=size)
    ax.set_xticks(range(len(across)), across, rotation=90, fontstyle=styles[1])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    label = "effect: SD of the output\nper SD of the gene"
    shape = {"fraction": 0.02, "pad": 0.015, "aspect": min(30, 4 + len(down))}
    if strongest > limit:
        label += f", largest {strongest:.2g}"
        shape["extend"] = "both"
    colorbar(figure, image, label, ax=ax, **shape)

    title = model_title(record)
    share = record.settings.get("held out")
    if share is None:
        title += "; fit to all cells"
    else:
        cells = share if "cells" in share else f"{share} of the cells"
        title += f"; fit without {cells}, effects measured on it"
    if len(genes) < len(record.kept_genes):
        title += f"; {len(genes)} of {len(record.kept_genes)} genes"
    if n_hidden:
        title += f"; {len(outputs)} of {len(record.feature_names)} outputs"
    ax.set_title(title, loc="left", fontsize=7.5)
    return figure


def largest(effects, most):
    """Positions of the rows with the largest effects, in their order."""
    strength = np.abs(effects).max(1)
    return np.sort(np.argsort(-strength, kind="stable")[:most])


def color_limit(effects):
    """End of the colour range, which one strong output does not set alone."""
    strength = np.abs(effects)
    # with one output: median over genes
    largest_effects = strength.max(0) if strength.shape[1] > 1 else strength
    limit = TIMES * np.median(largest_effects) or np.inf
    return min(limit, strength.max()) or 1.0


def similar_order(rows):
    """Order with similar rows side by side."""
    if len(rows) < 3:
        return np.arange(len(rows))
    return leaves_list(linkage(rows, "average", optimal_ordering=True))
