"""How far the accuracy holds as screens get smaller, denser or weaker, and with other numbers of latents."""

from sbnn.mechanism_shift.figures.looks import method_color
from sbnn.mechanism_shift.methods import METHODS
from sbnn.plotting.common import new_figure, styled

LABELS = {
    "shift": "size of the shifts (SD)",
    "density": "share of latents moved",
    "n_cells_per": "cells of a perturbation",
    "latents_fitted": "latents of the model",
}


@styled
def accuracy_as_varied(records, usual):
    """MCC and F1 against each quantity; a thin line for each seed, a thick one for the mean.

    Parameters
    ----------
    records : dict of str to Record
        Quantity -> record of `run_varied`.
    usual : dict of str to float or None
        Its value in the small configuration, drawn as a vertical line.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(3.6)
    axes = figure.subplots(2, len(records), sharey="row", sharex="col", squeeze=False)
    for (quantity, record), column in zip(records.items(), axes.T, strict=True):
        for metric, ax in zip(("mcc", "f1"), column, strict=True):
            for method, scores in record.scores.groupby("method", sort=False):
                table = scores.pivot(index="value", columns="seed", values=metric)
                ax.plot(table.index, table, color=method_color(method), lw=0.5, alpha=0.5)
                ax.plot(table.index, table.mean(axis=1), "o-", ms=3, color=method_color(method),
                        label=METHODS[method].label)  # fmt: skip
            if usual.get(quantity) is not None:
                ax.axvline(usual[quantity], color="0.8", lw=0.8, zorder=0)
            ax.set_ylim(0, 1.03)
        column[1].set_xlabel(LABELS[quantity])
    axes[0, 0].set_ylabel("MCC")
    axes[1, 0].set_ylabel("shift graph, F1")
    axes[1, 0].legend(loc="lower right")
    return figure
