"""How many targets genes have: true network, prior, and networks that were found."""

import numpy as np

from sbnn.dynamics.figures.looks import COLORS, label
from sbnn.plotting.common import new_figure, styled


@styled
def out_degrees(records, true=None, prior=None):
    """Share of genes with at least so many targets, on logarithmic scales.

    Parameters
    ----------
    records : dict of str to Record
        By method, with ``out_degree``.
    true : ndarray of int, shape (genes,), optional
        Targets of each gene in the true network.
    prior : ndarray of int, shape (genes,), optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure = new_figure(2.9)
    ax = figure.subplots()
    if true is not None:
        ax.plot(*_at_least(true), color="k", lw=2.2, alpha=0.35, label="true network", zorder=4)
    if prior is not None:
        ax.plot(*_at_least(prior), color="k", lw=0.9, ls="--", label="prior", zorder=4)
    for name, record in records.items():
        if name != "prior":
            ax.plot(*_at_least(record.out_degree), color=COLORS[name], lw=1.1, label=label(name))
    ax.set(
        xscale="log", yscale="log", xlabel="targets of a gene (out-degree), k", ylabel="share of genes with k or more"
    )
    figure.legend(loc="outside right upper", fontsize=6.5)
    return figure


def _at_least(degree):
    """Out-degrees from 1 on, and the share of genes that have as many or more."""
    k = np.unique(degree[degree > 0])
    return k, [(degree >= value).mean() for value in k]
