"""Cells of a screen in the latents that perturbations move, coloured by what was perturbed."""

import numpy as np

from sbnn.mechanism_shift.graph import first_fit
from sbnn.plotting.colors import PALETTE
from sbnn.plotting.common import new_figure, styled


@styled
def cells_by_perturbation(record):
    """Cells in the two latents that are moved most, and the means of all perturbations.

    Parameters
    ----------
    record : Record
        From `run_fits`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    effects, edges = first_fit(record)
    strength = np.abs(effects.to_numpy()) * edges.to_numpy()
    axes_of = np.sort(np.argsort(-strength.sum(axis=0), kind="stable")[:2])
    named = effects.index[np.argsort(-strength.max(axis=1), kind="stable")[: len(PALETTE)]]
    figure = new_figure(3.2)
    cells, means = figure.subplots(1, 2)
    x, y = record.latents[:, axes_of].T
    cells.plot(x, y, ".", color="0.8", ms=2, mew=0, rasterized=True)
    means.plot(*effects.to_numpy()[:, axes_of].T, "o", color="0.7", ms=3)
    means.plot(0, 0, "+", color="k", ms=8)
    for name, color in zip(named, PALETTE, strict=False):
        if strength[effects.index.get_loc(name)].max() == 0:
            continue
        of = record.perturbation == name
        cells.plot(x[of], y[of], ".", color=color, ms=3, mew=0, rasterized=True, label=name)
        means.plot(*effects.loc[name].to_numpy()[axes_of], "o", color=color, ms=4)
    rest = effects[strength.max(axis=1) > 0].drop(index=named, errors="ignore").iloc[:, axes_of]  # have no colour
    for name, place in zip(rest.index, rest.to_numpy(), strict=True):
        means.annotate(name, place, xytext=(3, 3), textcoords="offset points", fontsize="small")
    cells.set_title("cells; grey: all other perturbations and the control")
    means.set_title("shifts of all perturbations; +: control")
    for ax in (cells, means):
        ax.set(xlabel=effects.columns[axes_of[0]], ylabel=effects.columns[axes_of[1]])
    cells.legend(markerscale=3)
    return figure
