"""What becomes of the chosen genes and of the predictions as the outputs get noisier, where the truth is known."""

import numpy as np

from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, MODELS, ORANGE
from sbnn.plotting.common import finish, new_figure, styled


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
    table, lowest = record.table, 0.0
    figure = new_figure(2.5)
    found, places = figure.subplots(1, 2)
    for i, (name, own) in enumerate(table.groupby("model", sort=False)):
        levels = own.groupby("noise").recall.agg(["mean", "std"]).fillna(0)
        color, low, high = MODELS[name], levels["mean"] - levels["std"], levels["mean"] + levels["std"]
        found.plot(levels.index, levels["mean"], ms=3.5, zorder=3, color=color, marker="osD^vX"[i % 6], label=name)
        if levels["std"].any():
            found.fill_between(levels.index, low, high, color=color, alpha=0.15, lw=0, zorder=2)
        lowest = min(lowest, low.min())
    chance = table.groupby("noise").chance.mean()
    found.plot(chance.index, chance, zorder=2, label="genes at random", color="0.35", lw=1, ls=(0, (1, 1.5)))
    found.set(
        xlabel="noise (SD of the noise-free output)", ylabel="true genes found, share", ylim=(1.05 * lowest, 1.03)
    )
    repeats = int(table.groupby(["model", "noise"]).size().max())
    title = f"mean ± SD over {repeats} simulations" if repeats > 1 else "one simulation"
    entries = found.get_legend_handles_labels()[0]
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), title=title, markerscale=8 / 7)

    ends = np.quantile(trust.true_latent, [0, 1])
    places.plot(ends, ends, color="0.35", lw=0.7, ls="--", zorder=1)
    for i, color in enumerate((BLUE, ORANGE)[: trust.latent.shape[1]]):
        places.scatter(trust.true_latent[:, i], trust.latent[:, i], color=color, s=4, lw=0, label=f"coordinate {i + 1}")
    places.set(xlabel="true coordinate, turned and scaled", ylabel="recovered coordinate")
    title = f"{len(trust.latent)} cells, R² {trust.truth_agreement:.2f}"
    places.legend(loc="lower right", handletextpad=0, title=title)
    finish(figure, [[found, places]])
    return figure
