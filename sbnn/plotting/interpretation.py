"""Effect of each kept gene on each output."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.plotting import reading
from sbnn.plotting.common import colorbar, new_panels, styled
from sbnn.plotting.labels import shortened

MOST_GENES = 60
ACROSS, DOWN = 60, 100  # largest numbers of outputs that are drawn as columns and as rows
# inches: a row, the space above and below all rows, the minimum height of all rows
ROW, FRAME, LEAST = 0.125, 1.2, 1.3
HIGHEST = 8.5  # inches: maximum height of all rows
# inches per letter of the names of columns, and number of letters that fit into FRAME
LETTER, LETTERS = 0.05, 12
# limit of the colour range, as a multiple of the median over outputs of the largest effect
TIMES = 3


@styled
def effect_map(record):
    """Effect of every gene on every output as a heat map, with similar rows and columns together.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.evaluation.interpretation.interpret`.

    Returns
    -------
    matplotlib.figure.Figure
        Effects are in SDs of the output per SD of the gene. Rows and columns are ordered by
        hierarchical clustering (average linkage of Euclidean distances). At most the 60 genes and
        the 100 outputs with the largest effects are drawn; more than 60 outputs are drawn as rows.
        The colour range ends at the largest effect or at three times the median (over outputs) of
        the largest effect on an output, whichever is smaller.
    """
    reading.require(record, "record", ("effects", "kept_genes", "feature_names"))
    genes = largest(record.effects, MOST_GENES)
    outputs = largest(record.effects[genes].T, DOWN)
    effects = record.effects[np.ix_(genes, outputs)]  # (n_genes, n_outputs)
    by_gene = similar_order(effects)
    by_output = similar_order(effects.T)
    genes = genes[by_gene]
    outputs = outputs[by_output]
    image = effects[np.ix_(by_gene, by_output)]
    down = [shortened(record.kept_genes[i]) for i in genes]
    across = [shortened(record.feature_names[i]) for i in outputs]
    styles = ["italic", "normal"]
    if len(across) > ACROSS:
        down, across = across, down
        image = image.T
        styles.reverse()

    row = min(ROW, HIGHEST / len(down))
    longest = max(map(len, across))
    further = LETTER * max(longest - LETTERS, 0)
    height = max(row * len(down), LEAST)
    figure, ax = new_panels(height + FRAME + further)
    strongest = np.abs(effects).max()
    limit = color_limit(effects)
    image = ax.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    size = min(6.5, 60 * row)
    ax.set_yticks(range(len(down)), down, fontstyle=styles[0], fontsize=size)
    ax.set_xticks(range(len(across)), across, rotation=90, fontstyle=styles[1])
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    label = "effect: SD of the output\nper SD of the gene"
    extend = "neither"
    if strongest > limit:
        label += f", largest {strongest:.2g}"
        extend = "both"
    shape = {"fraction": 0.02, "pad": 0.015, "aspect": min(30, 4 + len(down))}
    colorbar(figure, image, label, ax=ax, extend=extend, **shape)

    title = reading.model_title(record)
    share = record.settings.get("held out")
    if share is None:
        title += "; fit to all cells"
    else:
        title += f"; fit without {share} of the cells, effects measured on it"
    left_out = len(record.feature_names) - len(outputs)
    if left_out:
        title += f"; {left_out} outputs not shown"
    ax.set_title(title, loc="left", fontsize=7.5)
    return figure


def largest(effects, most):
    """Positions of the rows with the largest effects, at most `most`, in their order."""
    strength = np.abs(effects).max(1)
    return np.sort(np.argsort(-strength, kind="stable")[:most])


def color_limit(effects):
    """End of the colour range, which one strong output does not take alone."""
    strength = np.abs(effects)
    if strength.shape[1] > 1:
        strength = strength.max(0)  # with one output: median over genes
    limit = TIMES * np.median(strength)
    if limit > 0:
        return min(limit, strength.max())
    return strength.max() or 1.0


def similar_order(rows):
    """Order that places similar rows of a matrix side by side."""
    if len(rows) < 3:
        return np.arange(len(rows))
    return leaves_list(linkage(rows, "average", optimal_ordering=True))
