"""How near each method comes to the truth of simulated screens: latents, shift graph, likelihood and time."""

import numpy as np

from sbnn.mechanism_shift.figures.looks import method_color
from sbnn.mechanism_shift.methods import METHODS
from sbnn.plotting.common import new_figure, styled

ROW = 0.2  # inches
PANELS = (
    ("mcc", "correlation with true latents (MCC)", "linear"),
    ("f1", "shift graph, F1", "linear"),
    ("elbo", "held-out ELBO per cell (nats)", "linear"),
    ("seconds", "CPU seconds", "log"),
)


@styled
def accuracy_of_methods(records, title=None):
    """Scores of methods, one dot for each seed.

    Parameters
    ----------
    records : dict of str to Record
        Name of the method -> record of `run_method`, from top to bottom.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(0.8 + ROW * len(records))
    axes = figure.subplots(1, len(PANELS), sharey=True)
    for ax, (column, label, scale) in zip(axes, PANELS, strict=True):
        for y, (name, record) in enumerate(records.items()):
            if column not in record.scores:
                continue
            values, color = record.scores[column].to_numpy(), method_color(name)
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=3.5, mew=0, alpha=0.6)
            ax.plot(values.mean(), y, "|", color=color, ms=9, mew=1.4)
        ax.set(xscale=scale, xlabel=label, ylim=(len(records) - 0.5, -0.5))
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", lw=0.4, color="0.9")
        ax.set_axisbelow(True)
    for ax in axes[:2]:
        ax.set_xlim(0, 1.02)
    axes[0].set_yticks(range(len(records)), [METHODS[name].label for name in records])
    if title:
        figure.suptitle(title)
    return figure
