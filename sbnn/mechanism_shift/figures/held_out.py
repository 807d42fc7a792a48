"""What perturbations that a model never saw say of it: likelihood of their cells, once their shifts are learned."""

import numpy as np

from sbnn.mechanism_shift.figures.looks import method_color
from sbnn.mechanism_shift.methods import METHODS
from sbnn.plotting.common import new_figure, styled


@styled
def held_out_likelihood(records, title=None):
    """Importance-weighted bound on held-out perturbations before and after their shifts are learned, by seed.

    Parameters
    ----------
    records : dict of str to Record
        Method -> record of `run_method`; only networks have these bounds.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    records = {name: record for name, record in records.items() if "new_iwelbo" in record.scores}
    figure = new_figure(0.9 + 0.22 * len(records))
    ax = figure.subplots()
    for y, (name, record) in enumerate(records.items()):
        before, after = record.scores["new_iwelbo_before"], record.scores["new_iwelbo"]
        color, rows = method_color(name), np.full(len(after), y)
        ax.plot([before, after], [rows, rows], "-", color=color, lw=0.6, alpha=0.6)
        ax.plot(before, rows, "o", mfc="none", color=color, ms=4)
        ax.plot(after, rows, "o", color=color, ms=4, mew=0)
    ax.plot([], [], "o", mfc="none", color="0.3", ms=4, label="shifts at zero")
    ax.plot([], [], "o", color="0.3", ms=4, mew=0, label="shifts learned from other cells")
    ax.set_yticks(range(len(records)), [METHODS[name].label for name in records])
    ax.set(ylim=(len(records) - 0.5, -0.5), xlabel="IWELBO per cell of held-out perturbations (nats)", title=title)
    ax.grid(axis="x", lw=0.4, color="0.9")
    ax.set_axisbelow(True)
    figure.legend(loc="outside lower center", ncols=2)
    return figure
