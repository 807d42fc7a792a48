"""Scores of all methods side by side, one dot for each seed."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.dynamics.report import TITLES
from sbnn.plotting.common import new_figure, styled

ROW = 0.2  # inches
PANELS = {
    "auroc": "AUROC of edges",
    "balanced_accuracy": "balanced accuracy of edges",
    "mse_ahead": "test MSE, one interval ahead",
    "sparsity": "sparsity",
}


@styled
def scores_of_methods(records, condition):
    """Edges, where a truth is known, predictions and sparsity.

    Parameters
    ----------
    records : dict of str to Record
        By method, from top to bottom.
    condition : str

    Returns
    -------
    matplotlib.figure.Figure
    """
    panels = {column: name for column, name in PANELS.items() if any(column in r.scores for r in records.values())}
    figure = new_figure(0.9 + ROW * len(records))
    axes = np.atleast_1d(figure.subplots(1, len(panels), sharey=True))
    for ax, (column, name_of_axis) in zip(axes, panels.items(), strict=True):
        for y, (name, record) in enumerate(records.items()):
            values = record.scores[column].to_numpy()
            ax.plot(values, np.full(len(values), y), "o", color=COLORS[name], ms=3.5, mew=0, alpha=0.6)
            ax.plot(values.mean(), y, "|", color=COLORS[name], ms=9, mew=1.4)
        if column in ("auroc", "balanced_accuracy"):
            ax.axvline(0.5, color="0.6", lw=0.8, ls="--")
        ax.set(xlabel=name_of_axis, ylim=(len(records) - 0.5, -0.5))
        ax.xaxis.set_major_locator(MaxNLocator(4))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", lw=0.4, color="0.9")
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(len(records)), [label(name) for name in records])
    figure.suptitle(TITLES[condition][0].upper() + TITLES[condition][1:], fontsize=8)
    return figure
