"""Accuracy of several models side by side."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.plotting import reading
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import finish, grid, legend_above, name_rows, new_panels, styled
from sbnn.plotting.labels import counted, shortened

ROW = 0.25  # inches


@styled
def accuracy_comparison(models, n_genes=25):
    """Test R2 of several models on one data set: every fold, and the mean with its SD.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        Cross-validations by name, drawn from top to bottom, with parameters that select a grid
        point if there are several. If several grid points match, the grid point with the most
        genes, but at most `n_genes`, is drawn.
    n_genes : int
        If several grid points match, only those with at most this number of genes are considered.

    Returns
    -------
    matplotlib.figure.Figure
    """
    chosen = reading.choose_models(models, n_genes)
    records = {name: record for name, (record, _) in chosen.items()}
    figure, ax = new_panels(0.85 + ROW * len(chosen))
    shown = [_draw_row(ax, y, *model) for y, model in enumerate(chosen.values())]
    scaling, own = reading.scaling_texts(records)
    name_rows(ax, [f"{name}, {_genes(*model)}{own[name]}" for name, model in chosen.items()])
    ax.set_xlabel("test R²")
    low, high = np.min(np.concatenate(shown)), np.max(np.concatenate(shown))
    margin = 0.06 * max(high - low, 0.01)
    ax.set_xlim(low - margin, high + margin)
    if low < 0:  # left of zero, the mean of the training cells would be a better prediction
        ax.axvline(0, lw=0.7, color="0.5", zorder=1)
    grid(ax)
    dot = {"marker": "o", "ls": "", "color": "0.3"}
    entries = [Line2D([], [], ms=2.5, alpha=0.5, label="one fold", **dot)]
    entries += [Line2D([], [], ms=3.5, label=reading.folds_text(*records.values()), **dot)]
    title = f"{shortened(next(iter(records.values())).dataset, 60)}{scaling}"
    below = reading.far_below(*(record.test_r2[:, point] for record, point in chosen.values()))
    legend_above(ax, entries, ncols=3, title=f"{title}; {below}" if below else title)
    return finish(figure)


def _genes(record, point):
    if "n_selected" in record.values:
        return counted(round(record.n_selected[:, point].mean()), "gene")
    shown = (
        record.preselected.sum(1).mean()
        if "preselected" in record.values
        else len(record.gene_names)
    )
    return counted(round(shown), "gene")


def _draw_row(ax, y, record, point):
    """Draw one model, and return the values that must be visible."""
    folds, color = record.test_r2[:, point].astype(float), model_color(record, point)
    mean, spread = reading.mean_sd(folds)
    text = reading.mean_text(mean, spread)
    folds, mean = folds.clip(min=reading.WORST), max(mean, reading.WORST)
    # Dots are in the order of the folds, so that a difficult fold can be recognised in every row.
    ax.plot(
        folds,
        y + np.linspace(-0.28, 0.28, len(folds)),
        "o",
        color=color,
        ms=2.5,
        mew=0,
        alpha=0.45,
        zorder=2,
    )
    ax.errorbar(
        mean, y, xerr=spread or None, fmt="o", color=color, ms=3.5, lw=1.2, capsize=2, zorder=6
    )
    ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", ha="left", color=color)
    return np.clip([*folds, mean - spread, mean + spread], reading.WORST, 1)
