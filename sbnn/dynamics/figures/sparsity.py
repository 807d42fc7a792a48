"""How right networks are against how sparse: the main figure of the publication, with the prior beside the methods."""

import numpy as np

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.dynamics.report import PUBLISHED, TITLES
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled


@styled
def accuracy_by_sparsity(records, condition, sweep=None, published=False):
    """Balanced accuracy against sparsity of all methods, and error of predictions against balanced accuracy.

    Parameters
    ----------
    records : dict of str to Record
        Of one condition, by method.
    condition : str
    sweep : DataFrame, optional
        From `sbnn.dynamics.report.by_sparsity`: lines of the methods that can be pruned to any sparsity.
    published : bool
        Show the published results, as hollow squares.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(3.3)
    left, right = figure.subplots(1, 2)
    for name, record in records.items():
        scores, color = record.scores, COLORS[name]
        if name == "prior":
            level = scores["balanced_accuracy"].mean()
            for line in (left.axhline, right.axvline):
                line(level, color=color, lw=0.8, ls="--")
            left.annotate(
                "the prior itself", (0.0, level), xytext=(2, 2), textcoords="offset points", fontsize=6, color=color
            )
            right.axhline(scores["mse_ahead"].mean(), color=color, lw=0.8, ls=":")
            right.annotate(
                "no change", (0.5, scores["mse_ahead"].mean()), xytext=(2, 2), textcoords="offset points", fontsize=6
            )
            continue
        left.errorbar(
            *_points(scores, "sparsity", "balanced_accuracy"), fmt="o", color=color, ms=4, lw=0.8, label=label(name),
            zorder=3,
        )  # fmt: skip
        right.errorbar(*_points(scores, "balanced_accuracy", "mse_ahead"), fmt="o", color=color, ms=4, lw=0.8, zorder=3)
        if published and name in PUBLISHED:
            left.plot(*PUBLISHED[name], "s", color=color, mfc="none", ms=4.5, mew=0.9)
    if published:
        left.plot([], [], "s", color="k", mfc="none", ms=4.5, mew=0.9, label="published")
    if sweep is not None:
        for name, of in sweep.groupby("method", sort=False):
            means = of.groupby("asked")[["sparsity", "balanced_accuracy"]].mean()
            left.plot(means["sparsity"], means["balanced_accuracy"], color=COLORS[name], lw=1, alpha=0.7)
    left.set(
        xlabel="sparsity of the weights", ylabel="balanced accuracy of edges", xlim=(-0.03, 1.03), ylim=(0.48, 1.02)
    )
    right.set(
        xlabel="balanced accuracy of edges", ylabel="test MSE, one interval ahead", yscale="log", xlim=(0.48, 1.02)
    )
    figure.legend(loc="outside right upper", fontsize=6.5)
    figure.suptitle(TITLES[condition][0].upper() + TITLES[condition][1:], fontsize=8)
    freeze_layout(figure)
    letter_panels(figure, [[left, right]])
    return figure


def _points(scores, x, y):
    """Means and standard deviations of two columns, as `errorbar` takes them: x, y, yerr, xerr."""
    sd = [np.nan_to_num(scores[column].std()) for column in (y, x)]
    return scores[x].mean(), scores[y].mean(), *sd
