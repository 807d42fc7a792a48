"""What each kept gene does to each output, at a glance."""

import numpy as np
from scipy.cluster.hierarchy import leaves_list, linkage

from sbnn.plotting import reading
from sbnn.plotting.common import new_figure, styled

INTERPRETATION = "a record of an interpretation"
MOST_GENES = 60
ROW, FRAME, LEAST = 0.125, 1.2, 1.3  # inches: a row, what stands above and below the rows, all rows at least


@styled
def effect_map(record, values="effects", genes=None):
    """Effect of every gene on every output as a heat map, similar genes and similar outputs side by side.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.interpretation.interpret`.
    values : {"effects", "steps"}
        What is drawn, in SD of the output for one SD of the gene: the slope of the integrated gradients, or the mean
        change when the gene of a cell rises by one SD.
    genes : sequence of str, optional
        By default all kept genes; of more than 60 those with the largest effects.

    Returns
    -------
    matplotlib.figure.Figure
        Rows and columns are ordered by hierarchical clustering (average linkage of Euclidean distances).

    Raises
    ------
    TypeError, ValueError
        If the record is of another kind, `values` is unknown, or it has no such gene.
    """
    reading.require(record, "record", INTERPRETATION, ("effects", "steps", "kept_genes", "feature_names"))
    if values not in ("effects", "steps"):
        raise ValueError(f"values: {values!r} is unknown, expected 'effects' or 'steps'")
    names, outputs = (np.asarray(record.values[name]) for name in ("kept_genes", "feature_names"))
    effects = record.effects if values == "effects" else record.steps / record.output_sd
    rows = _chosen(names, effects, genes)
    names, effects = names[rows], effects[rows]
    rows, columns = similar_order(effects), similar_order(effects.T)

    figure = new_figure(max(ROW * len(names), LEAST) + FRAME)
    ax = figure.subplots()
    limit = np.abs(effects).max() or 1.0
    image = ax.imshow(effects[rows][:, columns], cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set_yticks(range(len(names)), names[rows], fontstyle="italic")
    ax.set_xticks(range(len(outputs)), outputs[columns], rotation=90)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    bar = figure.colorbar(image, ax=ax, fraction=0.02, pad=0.015, aspect=min(30, 4 + len(names)))
    bar.set_label("effect: SD of the output\nper SD of the gene")
    bar.outline.set_linewidth(0.4)
    share = record.settings.get("held out")
    held = "" if share is None else f"; fitted without {share} of the cells, on which effects are measured"
    ax.set_title(reading.model_title(record) + held, loc="left", fontsize=7.5)
    return figure


def similar_order(rows):
    """Order of the rows of a matrix in which similar ones stand side by side.

    Parameters
    ----------
    rows : ndarray, shape (n, m)

    Returns
    -------
    ndarray of int, shape (n,)
    """
    if len(rows) < 3:
        return np.arange(len(rows))
    return leaves_list(linkage(rows, "average", optimal_ordering=True))


def _chosen(names, effects, genes):
    """Positions of the genes to draw."""
    if genes is None:
        return np.sort(np.argsort(-np.abs(effects).max(1), kind="stable")[:MOST_GENES])
    place = {name: i for i, name in enumerate(names)}
    unknown = [gene for gene in genes if gene not in place]
    if unknown or not len(genes):
        raise ValueError(f"genes: expected kept genes of the record, got {unknown or 'none'}")
    return np.array([place[gene] for gene in genes])
