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
    """Effect of every gene on every output as a heat map, with similar genes and similar outputs
    side by side.

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
    names, outputs = (np.asarray(record.values[name]) for name in ("kept_genes", "feature_names"))
    rows = np.sort(np.argsort(-np.abs(record.effects).max(1), kind="stable")[:MOST_GENES])
    names, effects = names[rows], record.effects[rows]
    columns = np.sort(np.argsort(-np.abs(effects).max(0), kind="stable")[:DOWN])
    outputs, effects, left_out = outputs[columns], effects[:, columns], len(outputs) - len(columns)
    rows, columns = similar_order(effects), similar_order(effects.T)
    sides = [(names[rows], "italic"), (outputs[columns], "normal")]
    image, of_outputs = effects[rows][:, columns], np.abs(effects).max(0)
    # with one output: median over genes
    usual = np.median(of_outputs if len(of_outputs) > 1 else np.abs(effects))
    largest = of_outputs.max()
    limit = min(largest, TIMES * usual if usual else np.inf) or 1.0
    if len(outputs) > ACROSS:
        sides, image = sides[::-1], image.T
    (down, down_style), (across, across_style) = (
        ([shortened(name) for name in side], style) for side, style in sides
    )

    row, longest = min(ROW, HIGHEST / len(down)), max(map(len, across))
    figure, ax = new_panels(
        max(row * len(down), LEAST) + FRAME + LETTER * max(longest - LETTERS, 0)
    )
    image = ax.imshow(image, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set_yticks(range(len(down)), down, fontstyle=down_style, fontsize=min(6.5, 60 * row))
    ax.set_xticks(range(len(across)), across, rotation=90, fontstyle=across_style)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ends, note = ("both", f", largest {largest:.2g}") if largest > limit else ("neither", "")
    label, aspect = f"effect: SD of the output\nper SD of the gene{note}", min(30, 4 + len(down))
    colorbar(figure, image, label, ax=ax, fraction=0.02, pad=0.015, aspect=aspect, extend=ends)
    share = record.settings.get("held out")
    held = (
        "; fit to all cells"
        if share is None
        else f"; fit without {share} of the cells, effects measured on it"
    )
    rest = f"; {left_out} outputs not shown" if left_out else ""
    ax.set_title(reading.model_title(record) + held + rest, loc="left", fontsize=7.5)
    return figure


def similar_order(rows):
    """Order that places similar rows of a matrix side by side."""
    return (
        np.arange(len(rows))
        if len(rows) < 3
        else leaves_list(linkage(rows, "average", optimal_ordering=True))
    )
