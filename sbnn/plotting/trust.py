"""Reliability of a map, judged by held-out cells, other seeds and, if they are known, the true positions."""

import numpy as np
from matplotlib import colormaps

from sbnn.plotting import reading
from sbnn.plotting.cells import MOST_SHAPES
from sbnn.plotting.colors import BLUE, Groups
from sbnn.plotting.common import colorbar, finish, new_panels, styled
from sbnn.plotting.maps import panel_coordinates

# few shades, because cells of equal shade take less space in a PDF
SHADES = colormaps["viridis"].resampled(32)
SHOWN = 0.95  # fraction of the cells within the colour range


@styled
def map_trust(record, fit=None):
    """Maps coloured by the held-out error and by the variation over seeds, and recovered against
    true positions.

    Parameters
    ----------
    record : Record
        Returned by `sbnn.evaluation.maps.map_trust`.
    fit : Record, optional
        The fit that was assessed, to show its name and the colours of families.

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
    moved = (
        f"maps of {len(agreement)} other seeds: R² {agreement.min():.2f} to {agreement.max():.2f}"
    )
    held_out = record.errors, error, "mean squared error of a cell (z-scores)"
    by_seeds = record.spread, moved, "distance moved / map size"
    for ax, (values, title, label) in zip(panels[0], (held_out, by_seeds), strict=True):
        # the largest values lie on top
        order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
        look = {
            "cmap": SHADES,
            "vmin": 0,
            "vmax": np.nanquantile(values, SHOWN),
            "rasterized": len(xy) > MOST_SHAPES,
        }
        dots = ax.scatter(
            *xy[order].T, c=values[order], s=np.clip(5000 / len(xy), 1, 9), lw=0, **look
        )
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal", title=title)
        ax.spines[:].set_visible(False)
        ax.set_xlabel(note, fontsize=5, color="0.45")
        colorbar(figure, dots, label, ax=ax, fraction=0.035, pad=0.02, extend="max")
    if known:
        groups = None if fit is None else Groups(fit)
        colors = BLUE if fit is None else groups.table["color"].loc[groups.families].to_numpy(str)
        panels[1, 0].set_title(f"true map: R² {record.truth_agreement:.2f} of both coordinates")
        for i, ax in enumerate(panels[1]):
            true = record.true_latent[:, i]
            ax.plot(*[np.quantile(true, [0, 1])] * 2, color="0.3", lw=0.7, ls="--", zorder=1)
            ax.scatter(true, record.latent[:, i], c=colors, s=4, lw=0, alpha=0.8)
            ax.set(
                xlabel=f"true coordinate {i + 1}, turned and scaled",
                ylabel=f"recovered coordinate {i + 1}",
            )
    if fit is not None:
        figure.suptitle(reading.model_title(fit), fontsize=7.5, fontweight="bold")
    return finish(figure, panels)
