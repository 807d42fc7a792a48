"""What methods make of the mistakes of a prior: true edges that it lacks, and wrong ones that it has."""

import numpy as np

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.plotting.common import new_figure, styled

LEFT_OUT = ("prior",)  # finds nothing and keeps everything, by definition


@styled
def corrected_edges(by_condition, titles):
    """Share of missing edges found against share of wrong edges kept; one panel per condition, one dot per seed.

    Parameters
    ----------
    by_condition : dict of str to dict of str to Record
        Condition -> method -> record.
    titles : dict of str to str
        Of the conditions.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(3.2)
    axes = np.atleast_1d(figure.subplots(1, len(by_condition), sharey=True))
    for ax, (condition, records) in zip(axes, by_condition.items(), strict=True):
        for name, record in records.items():
            if name in LEFT_OUT:
                continue
            wrong, missing = record.scores["kept_wrong"], record.scores["recall_missing"]
            first = ax is axes[0]
            ax.plot(wrong, missing, "o", color=COLORS[name], ms=3, mew=0, alpha=0.5)
            ax.plot(wrong.mean(), missing.mean(), "D", color=COLORS[name], ms=5, label=label(name) if first else None)
        ax.plot([0, 1], [0, 1], color="0.6", lw=0.8, ls="--")
        ax.annotate("edges at random", (0.5, 0.47), fontsize=6, color="0.4", rotation=45, ha="center", va="center")
        ax.plot(1, 0, "kx", ms=5)
        ax.annotate("prior", (1, 0), xytext=(-4, 4), textcoords="offset points", fontsize=6, ha="right")
        ax.set(
            xlim=(-0.03, 1.03), ylim=(-0.03, 1.03), aspect="equal", title=titles[condition],
            xlabel="wrong edges of the prior that are kept",
        )  # fmt: skip
    axes[0].set_ylabel("true edges missing in the prior that are found")
    figure.legend(loc="outside right upper", fontsize=6.5)
    return figure
