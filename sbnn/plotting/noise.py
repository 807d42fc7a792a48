"""Simulated data of known genes: how many are found, and the map."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbnn.plotting.colors import MODELS, PALETTE
from sbnn.plotting.common import finish, legend_above, new_panels, styled
from sbnn.results import Record


@styled
def noise_recovery(table: pd.DataFrame, trust: Record) -> Figure:
    """True genes found against the noise, and the recovered map against the true one.

    Parameters
    ----------
    table : DataFrame
        A row per simulation and model: ``model`` ("distilled" or "paper"), ``noise``, ``seed``,
        ``recall`` and ``chance``.
    trust : Record
        From `sbnn.map_trust` for simulated cells.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> noise = results.load("saved_models/simulated/noise.pickle")
    >>> trust = results.load("saved_models/simulated/map_trust.pickle")
    >>> figure = plotting.noise_recovery(noise.table, trust)
    """
    figure, (genes, places) = new_panels(2.5, 1, 2)
    for (name, own), marker in zip(table.groupby("model", sort=False), "os", strict=False):
        levels = own.groupby("noise").recall.agg(["mean", "std"]).fillna(0)
        mean, spread = levels["mean"], levels["std"]
        color = MODELS[name]
        genes.plot(levels.index, mean, ms=3.5, zorder=3, color=color, marker=marker, label=name)
        low, high = mean - spread, mean + spread
        genes.fill_between(levels.index, low, high, color=color, alpha=0.15, lw=0, zorder=2)
    chance = table.groupby("noise").chance.mean()
    dots = {"color": "0.35", "lw": 1, "ls": (0, (1, 1.5))}
    genes.plot(chance.index, chance, zorder=2, label="genes at random", **dots)
    share = f"true genes found, mean ± SD\nof {table.seed.nunique()} simulations"
    genes.set(xlabel="noise (SD of the noise-free output)", ylabel=share)
    genes.set_ylim(0, 1.03)
    legend_above(genes, ncols=3)
    ends = np.quantile(trust.true_latent, [0, 1])
    places.plot(ends, ends, color="0.35", lw=0.7, ls="--", zorder=1)
    for axis, color in enumerate((PALETTE[2], PALETTE[4])):
        look = {"color": color, "s": 4, "lw": 0, "label": f"coordinate {axis + 1}"}
        places.scatter(trust.true_latent[:, axis], trust.latent[:, axis], **look)
    places.set(xlabel="true coordinate, turned and scaled", ylabel="recovered coordinate")
    title = f"true map recovered with R² {trust.truth_agreement:.2f}, {len(trust.latent)} cells"
    places.set_title(title, loc="left")
    places.legend(loc="lower right", handletextpad=0)
    return finish(figure, [[genes, places]])
