"""Trajectories predicted from their start alone, against the true ones."""

import numpy as np

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

SHOWN_GENES = 6


@styled
def predicted_paths(of_prior, records):
    """Test trajectories of some genes with predictions, and all values predicted against true.

    Parameters
    ----------
    of_prior : Record
        Of the prior alone, which holds the test trajectories.
    records : dict of str to Record
        By method, with ``predicted``.

    Returns
    -------
    matplotlib.figure.Figure
    """
    true, times, names = of_prior.test, of_prior.times, of_prior.gene_names
    genes = _most_moving(true)
    observed = "measured" if of_prior.settings["condition"] == "real" else "true, without noise"
    figure = new_figure(4.6)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = top.subplots(2, SHOWN_GENES // 2, sharex=True)
    for ax, gene in zip(axes.flat, genes, strict=True):
        ax.plot(times[0], true[0, :, gene], "o", color="k", ms=3.5, label=observed)
        for name, record in records.items():
            ax.plot(times[0], record.predicted[0, :, gene], ".-", color=COLORS[name], lw=1, ms=3, label=label(name))
        ax.set_title(names[gene], fontsize=7, pad=2)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    handles, labels = axes.flat[0].get_legend_handles_labels()
    top.legend(handles, labels, loc="outside right upper", fontsize=6.5)
    squares = bottom.subplots(1, max(len(records), 3), sharex=True, sharey=True)
    low, high = np.quantile(true[:, 1:], [0, 1])
    for ax, (name, record) in zip(squares, records.items(), strict=False):
        t, p = true[:, 1:].ravel(), record.predicted[:, 1:].ravel()
        ax.plot(t, p, ".", color=COLORS[name], ms=1.2, alpha=0.4, rasterized=True)
        ax.plot([low, high], [low, high], color="k", lw=0.6)
        ax.set_title(f"{label(name)}: MSE {((t - p) ** 2).mean():.2g}", fontsize=7)
        ax.set(xlabel="true", aspect="equal", xlim=(low, high), ylim=(low, high))
    for ax in squares[len(records) :]:
        ax.set_visible(False)
    squares[0].set_ylabel("predicted")
    freeze_layout(figure)
    letter_panels(figure, [[axes[0, 0]], [squares[0]]])
    return figure


def _most_moving(true):
    """Genes that change most in the first sample, far from each other in what they do."""
    path = true[0] - true[0, 0]
    order = np.argsort(-np.ptp(path, axis=0), kind="stable")[:60]
    chosen = [order[0]]
    while len(chosen) < min(SHOWN_GENES, true.shape[2]):
        rest = [gene for gene in order if gene not in chosen]
        distance = [min(np.abs(path[:, gene] - path[:, other]).max() for other in chosen) for gene in rest]
        chosen.append(rest[int(np.argmax(distance))])
    return chosen
