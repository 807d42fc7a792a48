"""How many dimensions the two measurements have: variance of their principal components."""

import numpy as np

from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE
from sbnn.plotting.common import finish, new_figure, styled
from sbnn.plotting.labels import counted

LEVELS = (0.5, 0.75, 0.9, 0.99)


@styled
def component_variance(record, titles=("transcriptome", "outputs")):
    """Share of the variance in every principal component, and in all up to it, of the genes and of the outputs.

    Parameters
    ----------
    record : Record
        From `sbnn.study.maps.principal_components`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", "a record of principal components", ("transcriptome", "outputs"))
    figure = new_figure(2.3)
    panels = figure.subplots(1, 2)
    for ax, name, title in zip(panels, ("transcriptome", "outputs"), titles, strict=True):
        shares = np.asarray(record.values[name])
        total, places = shares.cumsum(), np.arange(1, len(shares) + 1)
        few = len(shares) <= 50
        ax.plot(places, total, color="black", marker="." if few else None, label="up to it")
        ax.plot(places, shares, color=BLUE, marker="." if few else None, label="in the component")
        for level in LEVELS:
            n = int(np.searchsorted(total, level - 1e-9)) + 1
            if n <= len(shares):
                ax.plot([1, n, n], [level, level, 0], color="0.5", lw=0.6, ls="--", zorder=1)
                look = {"fontsize": 6, "color": "0.3", "bbox": {"facecolor": "white", "lw": 0, "pad": 0.5}}
                ax.annotate(f"{level:.0%}: {n}", (n, level), (3, -7), textcoords="offset points", **look)
        ax.set(xlabel="principal component", ylabel="share of the variance", ylim=(0, 1.03))
        ax.set_xscale("linear" if few else "log")
        if len(shares) < 5:
            ax.set(xlim=(0.5, len(shares) + 0.5), xticks=places)
        ax.set_title(f"{title}: {counted(len(shares), 'component')}", loc="left")
    # The right is free of curves and numbers where few components hold most of the variance.
    free = 5 <= len(shares) <= 50 and total[int(0.4 * len(shares)) - 1] >= 0.5
    panels[1].legend(loc="center right" if free else "best", frameon=not free, framealpha=1, edgecolor="white")
    finish(figure, [panels])
    return figure
