"""Attention beside what the families are worth: shuffled, and left out."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.evaluation.family_importance import agreement_table, importance_table
from sbnn.plotting.colors import BLUE, VERMILLION
from sbnn.plotting.common import new_figure, styled

ROW = 0.2  # inches of a family


@styled
def family_map(record, label):
    """Attention per class, and importance per family by shuffling and by leaving out.

    Parameters
    ----------
    record : Record
        From `family_importance`.
    label : str
        What the model is called.

    Returns
    -------
    matplotlib.figure.Figure
        Families are ordered by what shuffling them costs. Dots are single folds, bars their mean; rho is Spearman's,
        over the families.
    """
    table = importance_table(record)
    order = np.argsort(-table["shuffled"].to_numpy(), kind="stable")
    names = table.index[order]
    attention = record.values.get("attention")
    figure = new_figure(1.05 + ROW * len(names))
    widths = ([0.55] if attention is not None else []) + [1, 1]
    axes = list(np.atleast_1d(figure.subplots(1, len(widths), sharey=True, width_ratios=widths)))
    axes[0].set_yticks(range(len(names)), names)
    if attention is not None:
        ax = axes.pop(0)
        image = ax.imshow(attention[:, order].T, cmap="Greens", aspect="auto", vmin=0)
        ax.set_xticks(range(len(record.classes)), record.classes, rotation=90)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title("attention\nby true class")
        bar = figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03)
        bar.outline.set_linewidth(0.4)
    rho = agreement_table(record)
    panels = (("shuffled", "shuffled_log_loss", BLUE), ("left out", "left_out_log_loss", VERMILLION))
    for ax, (way, values, color) in zip(axes, panels, strict=True):
        ax.barh(range(len(names)), table[way].iloc[order], color=color, alpha=0.35, height=0.7)
        for fold in record.values[values][:, order]:
            ax.plot(fold, range(len(names)), ".", ms=3, mew=0, color=color)
        ax.axvline(0, color="0.5", lw=0.6)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        pairs = [other for other in rho if other != way and not (way == "left out" and other == "shuffled")]
        told = ", ".join(f"{rho.loc[way, other]:.2f} with {other}" for other in pairs)
        ax.set_title(f"{way}\nrho {told}" if told else f"{way}\n")
        ax.set_xlabel("rise of the log loss (nats)")
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(label, x=0.01, ha="left", fontsize=7.5)
    return figure
