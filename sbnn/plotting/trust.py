"""Reliability of a map and of the chosen genes: held-out cells, other seeds, growing noise, the truth."""

import numpy as np
from matplotlib import colormaps

from sbnn.plotting import reading
from sbnn.plotting.cells import MOST_SHAPES
from sbnn.plotting.colors import BLUE, MODELS, ORANGE, Groups
from sbnn.plotting.common import colorbar, finish, new_panels, styled
from sbnn.plotting.maps import panel_coordinates

SHADES = colormaps["viridis"].resampled(32)  # many cells of one shade need less room in a PDF
SHOWN = 0.95  # fraction of the cells within the colour range


@styled
def map_trust(record, fit=None):
    """Map of the cells by error of held-out cells and by what other seeds move, and true against recovered places.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.maps.map_trust`.
    fit : Record, optional
        The fit that is judged, for its name and the colours of families.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", ["latent", "spread", "errors", "agreement"])
    if fit is not None:
        reading.require(fit, "fit", ["labels", "colors"], record)
    known = "true_latent" in record.values
    figure, panels = new_panels(4.9 if known else 2.8, 2 if known else 1, 2, squeeze=False)
    xy, note = panel_coordinates(record.latent, proportional=False)
    xy, agreement = np.clip(xy, 0.01, 0.99), record.agreement
    error = f"cells when held out: mean error {np.nanmean(record.errors):.2f}"
    moved = f"{len(agreement)} other seeds: R² {agreement.min():.2f} to {agreement.max():.2f}"
    held_out = record.errors, error, "mean squared error of a cell"
    by_seeds = record.spread, moved, "distance moved / map size"
    for ax, (values, title, label) in zip(panels[0], (held_out, by_seeds), strict=True):
        order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]  # what stands out lies on top
        look = {"cmap": SHADES, "vmin": 0, "vmax": np.nanquantile(values, SHOWN), "rasterized": len(xy) > MOST_SHAPES}
        dots = ax.scatter(*xy[order].T, c=values[order], s=np.clip(5000 / len(xy), 1, 9), lw=0, **look)
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal", title=title)
        ax.spines[:].set_visible(False)
        ax.set_xlabel(note, fontsize=5, color="0.45")
        colorbar(figure, dots, label, ax=ax, fraction=0.035, pad=0.02, extend="max")
    if known:
        groups = None if fit is None else Groups(fit)
        colors = BLUE if fit is None else groups.table["color"].loc[groups.families].to_numpy(str)
        panels[1, 0].set_title(f"truth: R² {record.truth_agreement:.2f} of both coordinates")
        for i, ax in enumerate(panels[1]):
            true = record.true_latent[:, i]
            ax.plot(*[np.quantile(true, [0, 1])] * 2, color="0.3", lw=0.7, ls="--", zorder=1)
            ax.scatter(true, record.latent[:, i], c=colors, s=4, lw=0, alpha=0.8)
            ax.set(xlabel=f"true coordinate {i + 1}, turned and scaled", ylabel=f"recovered coordinate {i + 1}")
    if fit is not None:
        figure.suptitle(reading.model_title(fit), fontsize=7.5, fontweight="bold")
    return finish(figure, panels)


@styled
def noise_degradation(record, trust):
    """Known genes that are found against the noise of simulated outputs, and the map that is recovered.

    Parameters
    ----------
    record : Record
        From `sbnn.study.known_genes.find_known_genes`: as many genes are kept as are true: precision is recall.
    trust : Record
        From `sbnn.evaluation.maps.map_trust` of simulated data: its true coordinates of the cells are drawn against
        those that the model recovered.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over repeats, bands their sample SD.
    """
    reading.require(trust, "trust", ("latent", "true_latent", "truth_agreement"))
    reading.require(record, "record", ["table"])
    table, lowest = record.table, 0.0
    figure, (found, places) = new_panels(2.5, 1, 2)
    for i, (name, own) in enumerate(table.groupby("model", sort=False)):
        levels = own.groupby("noise").recall.agg(["mean", "std"]).fillna(0)
        color, low, high = MODELS[name], levels["mean"] - levels["std"], levels["mean"] + levels["std"]
        found.plot(levels.index, levels["mean"], ms=3.5, zorder=3, color=color, marker="osD^vX"[i % 6], label=name)
        if levels["std"].any():
            found.fill_between(levels.index, low, high, color=color, alpha=0.15, lw=0, zorder=2)
        lowest = min(lowest, low.min())
    chance = table.groupby("noise").chance.mean()
    found.plot(chance.index, chance, zorder=2, label="genes at random", color="0.35", lw=1, ls=(0, (1, 1.5)))
    found.set(xlabel="noise (SD of the noise-free output)", ylabel="true genes found, share")
    found.set_ylim(1.05 * lowest, 1.03)
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
    return finish(figure, [[found, places]])
