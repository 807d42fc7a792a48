"""What becomes of the chosen genes and of the predictions as the outputs get noisier, where the truth is known."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, MODELS, ORANGE, PALETTE
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled


@styled
def noise_degradation(record, trust):
    """Known genes that are found against the noise of simulated outputs, and the map that is recovered.

    Parameters
    ----------
    record : Record
        From `sbnn.study.experiments.run_noise`: as many genes are kept as there are true ones, so that precision is
        recall.
    trust : Record
        From `sbnn.study.maps.run_map_trust` of simulated data: its true coordinates of the cells are drawn against
        those that the model recovered.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over repeats, bands their sample SD.
    """
    reading.require(trust, "trust", "a record with a true map", ("latent", "true_latent", "truth_agreement"))
    reading.require(record, "record", "a record of simulations by noise", ["table"])
    table, entries = record.table, []
    figure = new_figure(2.5)
    panels = figure.subplots(1, 2)
    ax, lowest = panels[0], 0.0
    for i, (name, own) in enumerate(table.groupby("model", sort=False)):
        levels = own.groupby("noise").recall.agg(["mean", "std"])
        mean, spread = levels["mean"], levels["std"].fillna(0)
        look = {"color": MODELS.get(name, PALETTE[i % len(PALETTE)]), "marker": "osD^vX"[i % 6]}
        ax.plot(levels.index, mean, ms=3.5, zorder=3, **look)
        if np.any(spread):
            ax.fill_between(levels.index, mean - spread, mean + spread, color=look["color"], alpha=0.15, lw=0, zorder=2)
        entries.append(Line2D([], [], label=name, **look))
        lowest = min(lowest, (mean - spread).min())
    chance, look = table.groupby("noise").chance.mean(), {"color": "0.35", "lw": 1, "ls": (0, (1, 1.5))}
    ax.plot(chance.index, chance, zorder=2, **look)
    entries.append(Line2D([], [], label="genes at random", **look))
    ax.set(xlabel="noise (SD of the noise-free output)", ylabel="true genes found, share", ylim=(1.05 * lowest, 1.03))
    repeats = int(table.groupby(["model", "noise"]).size().max())
    title = f"mean ± SD over {repeats} simulations" if repeats > 1 else "one simulation"
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), title=title)
    _draw_recovered(panels[1], trust)
    freeze_layout(figure)
    letter_panels(figure, [panels])
    return figure


def _draw_recovered(ax, trust):
    ends = np.quantile(trust.true_latent, [0, 1])
    ax.plot(ends, ends, color="0.35", lw=0.7, ls="--", zorder=1)
    for i, color in enumerate((BLUE, ORANGE)[: trust.latent.shape[1]]):
        ax.scatter(trust.true_latent[:, i], trust.latent[:, i], color=color, s=4, lw=0, label=f"coordinate {i + 1}")
    ax.set(xlabel="true coordinate, turned and scaled", ylabel="recovered coordinate")
    ax.legend(loc="lower right", handletextpad=0, title=f"{len(trust.latent)} cells, R² {trust.truth_agreement:.2f}")
