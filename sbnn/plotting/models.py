"""Accuracy of several models side by side."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from sbnn.plotting.colors import model_color
from sbnn.plotting.common import finish, grid, headline, legend_above, name_rows, new_panels, styled
from sbnn.plotting.labels import counted, shortened, signed
from sbnn.plotting.reading import (
    WORST,
    choose_models,
    far_below,
    folds_text,
    mean_sd,
    mean_text,
    scaling_text,
)
from sbnn.results import Record

ROW = 0.25  # inches


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
        The matching grid point with the most genes up to this number is drawn.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> default = results.load("saved_models/scala/cv_default.pickle")
    >>> ridge = results.load("saved_models/scala/cv_ridge.pickle")
    >>> models = {"sBNN, d = 2": (default, {"n_components": 2}), "ridge": ridge}
    >>> figure = plotting.accuracy_comparison(models)
    """
    chosen = choose_models(models, n_genes)
    records = [record for record, _ in chosen.values()]
    scalings = [scaling_text(record) for record in records]
    differ = len(set(scalings)) > 1
    figure, ax = new_panels(1.05 + ROW * len(chosen))
    names = []
    r2 = []
    for (name, (record, point)), scaling in zip(chosen.items(), scalings, strict=True):
        size = counted(_n_genes(record, point), "gene")
        names.append(f"{name}, {size}{scaling}" if differ else f"{name}, {size}")
        _draw_row(ax, len(r2), record.test_r2[:, point], model_color(record, point))
        r2.append(record.test_r2[:, point])
    name_rows(ax, names)
    ax.set_xlabel("test R²")
    low, high = ax.get_xlim()
    ax.set_xlim(max(low, WORST - 0.1), min(high, 1.1))
    grid(ax)

    dot = {"marker": "o", "ls": "", "color": "0.3"}
    fold = Line2D([], [], ms=2.5, alpha=0.5, label="one fold", **dot)
    mean = Line2D([], [], ms=3.5, label=folds_text(*records), **dot)
    title = shortened(records[0].dataset, 60)
    if not differ:
        title += scalings[0]
    below = far_below(np.concatenate(r2))
    legend_above(ax, [fold, mean], ncols=3, title=f"{title}; {below}" if below else title)
    headline(figure, _finding(names, list(chosen.values())))
    return finish(figure)


def _finding(names, chosen):
    """The first model beside the best of the others."""
    # loads scikit-learn
    from sbnn.evaluation.verdict import have_same_folds, paired_difference

    means = [record.test_r2[:, point].mean() for record, point in chosen]
    found = f"{names[0]}: test R² {signed(means[0], 3)}"
    if len(names) == 1:
        return found
    best = 1 + np.argmax(np.nan_to_num(means[1:], nan=-np.inf))
    records, points = zip(chosen[0], chosen[best], strict=True)
    if len(records[0].folds) > 1 and have_same_folds(*records):
        difference = str(paired_difference(*records, "test_r2", points)).replace("-", "−")
        return f"{found}; difference to {names[best]}: {difference}"
    return f"{found}; {names[best]}: {signed(means[best], 3)}"


def _n_genes(record, point):
    if "n_selected" in record.values:
        return round(record.n_selected[:, point].mean())
    if "preselected" in record.values:
        return round(record.preselected.sum(1).mean())
    return len(record.gene_names)


def _draw_row(ax, y, r2, color):
    text = mean_text(r2)
    ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", color=color)
    mean, spread = mean_sd(r2)
    r2 = r2.clip(min=WORST)
    mean = max(mean, WORST)
    # in the order of the folds, to recognise difficult ones
    heights = y + np.linspace(-0.28, 0.28, len(r2))
    ax.plot(r2, heights, "o", color=color, ms=2.5, mew=0, alpha=0.45, zorder=2)
    look = {"fmt": "o", "color": color, "ms": 3.5, "lw": 1.2, "capsize": 2, "zorder": 6}
    ax.errorbar(mean, y, xerr=spread or None, **look)
