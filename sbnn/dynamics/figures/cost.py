"""What methods cost, and how right they are, by the number of genes."""

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled


@styled
def cost_by_size(record):
    """CPU seconds and balanced accuracy against the number of genes of random networks.

    Parameters
    ----------
    record : Record
        From `run_sizes`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(2.7)
    left, right = figure.subplots(1, 2)
    for name, of in record.scores.groupby("method", sort=False):
        left.plot(of["genes"], of["seconds"], "o-", color=COLORS[name], ms=3.5, lw=1, label=label(name))
        right.plot(of["genes"], of["balanced_accuracy"], "o-", color=COLORS[name], ms=3.5, lw=1)
    left.set(xscale="log", yscale="log", xlabel="genes", ylabel="CPU seconds of a fit, one thread")
    right.set(xscale="log", xlabel="genes", ylabel="balanced accuracy of edges", ylim=(0.5, 1.02))
    sizes = sorted(record.scores["genes"].unique())
    for ax in (left, right):
        ax.set_xticks(sizes, [f"{size}" for size in sizes])
        ax.minorticks_off()
        ax.grid(lw=0.4, color="0.9")
    left.legend()
    freeze_layout(figure)
    letter_panels(figure, [[left, right]])
    return figure
