"""Reliability of a map."""

from __future__ import annotations

import numpy as np
from matplotlib import colormaps
from matplotlib.figure import Figure

from sbnn.plotting.cells import MOST_SHAPES, frame_map
from sbnn.plotting.common import colorbar, finish, new_panels, styled
from sbnn.plotting.maps import panel_coordinates
from sbnn.plotting.reading import model_title
from sbnn.results import Record

SHADES = colormaps["viridis"].resampled(32)  # few, for a small PDF
SHOWN = 0.95  # cells within the colour range


@styled
def map_trust(record: Record, fit: Record | None = None) -> Figure:
    """Maps coloured by held-out error and by variation over seeds.

    Parameters
    ----------
    record : Record
        From `sbnn.map_trust`.
    fit : Record, optional
        The fit that was assessed, to show its name.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> trust = results.load("saved_models/scala/map_trust.pickle")
    >>> figure = plotting.map_trust(trust)
    """
    figure, panels = new_panels(2.8, 1, 2)
    r2 = record.agreement  # of each seed
    panels[0].set_title(f"held-out cells: mean error {np.nanmean(record.errors):.2f}")
    panels[1].set_title(f"maps of {len(r2)} other seeds: R² {r2.min():.2f} to {r2.max():.2f}")
    labels = "mean squared error of a cell (z-scores)", "distance moved / map size"
    xy = panel_coordinates(record.latent, proportional=False)
    look = {"s": np.clip(5000 / len(xy), 1, 9), "lw": 0, "cmap": SHADES, "vmin": 0}
    for ax, values, label in zip(panels, (record.errors, record.spread), labels, strict=True):
        order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
        most = np.nanquantile(values, SHOWN)
        dots = ax.scatter(*xy[order].T, c=values[order], vmax=most, **look)
        dots.set_rasterized(len(xy) > MOST_SHAPES)
        frame_map(ax)
        colorbar(figure, dots, label, ax=ax, fraction=0.035, pad=0.02, extend="max")
    if fit is not None:
        figure.supxlabel(model_title(fit), fontsize=7)
    return finish(figure, [panels])
