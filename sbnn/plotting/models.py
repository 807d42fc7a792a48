"""Accuracy of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure

from sbnn.plotting.colors import model_color
from sbnn.plotting.common import finish, grid, name_rows, new_panels, styled
from sbnn.plotting.labels import counted, shortened
from sbnn.plotting.reading import choose_models, folds_text, mean_sd, mean_text, scaling_text
from sbnn.results import Record

ROW = 0.25  # inches
WORST = -1.0  # the axis ends here


@styled
def accuracy_comparison(
    models: Mapping[str, Record | tuple[Record, dict]], n_genes: int = 25
) -> Figure:
    """Test R2 of several models on one data set: every fold, and the mean with its SD.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        Cross-validations by name, with parameters of grid points.
    n_genes : int
        Of a path of penalties, the point with the most genes up to this number is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        Small dots are the folds, in their order from top to bottom; those below -1 lie outside.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.accuracy_comparison(models)
    """
    chosen = choose_models(models, n_genes)
    figure, ax = new_panels(0.75 + ROW * len(chosen))
    look = {"fmt": "o", "ms": 3.5, "lw": 1.2, "capsize": 2, "zorder": 6}
    names = []
    for y, (name, (record, point)) in enumerate(chosen.items()):
        size = counted(_n_genes(record, point), "gene")
        names.append(f"{shortened(name, 40)}, {size}{scaling_text(record)}")
        color = model_color(record)
        r2 = record.test_r2[:, point]
        mean, spread = mean_sd(r2)
        # in the order of the folds, to recognise difficult ones
        heights = y + np.linspace(-0.28, 0.28, len(r2))
        ax.plot(r2, heights, "o", color=color, ms=2.5, mew=0, alpha=0.45, zorder=2)
        ax.errorbar(mean, y, xerr=spread, color=color, **look)
        place = {"transform": ax.get_yaxis_transform(), "va": "center"}
        ax.text(1.02, y, mean_text(r2), color=color, **place)
    name_rows(ax, names)
    low, high = ax.get_xlim()
    low = max(low, WORST - 0.1)
    ax.set_xlim(low, max(min(high, 1.1), low + 0.1))
    grid(ax)
    records = [record for record, _ in chosen.values()]
    ax.set(
        xlabel=f"test R²: folds, and {folds_text(*records)}",
        title=shortened(records[0].dataset, 60),
    )
    return finish(figure)


def _n_genes(record, point):
    if "n_selected" in record.values:
        return round(record.n_selected[:, point].mean())
    if "preselected" in record.values:
        return round(record.preselected.sum(1).mean())
    return len(record.gene_names)
