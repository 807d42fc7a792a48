"""Reliability of a map."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps

from sbnn.plotting.cells import MOST_SHAPES, NOTE
from sbnn.plotting.colors import BLUE, Groups
from sbnn.plotting.common import colorbar, finish, new_panels, styled
from sbnn.plotting.maps import panel_coordinates
from sbnn.plotting.reading import model_title
from sbnn.results import require

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from sbnn.results import Record


SHADES = colormaps["viridis"].resampled(32)  # few, for a small PDF
SHOWN = 0.95  # cells within the colour range


@styled
def map_trust(record: Record, fit: Record | None = None) -> Figure:
    """Maps coloured by held-out error and by variation over seeds, and recovered true positions.

    Parameters
    ----------
    record : Record
        From `sbnn.map_trust`.
    fit : Record, optional
        The fit that was assessed, to show its name and the colours of families.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> trust = results.load("saved_models/scala/map_trust.pickle")
    >>> figure = plotting.map_trust(trust)
    """
    require(record, "record", ["latent", "spread", "errors", "agreement"])
    color = BLUE
    if fit is not None:
        require(fit, "fit", ["labels", "colors"], record)
        groups = Groups(fit)
        color = groups.table.loc[groups.families, "color"].to_numpy(str)
    known = "true_latent" in record.values
    figure, panels = new_panels(4.9 if known else 2.8, 1 + known, 2, squeeze=False)
    xy, note = panel_coordinates(record.latent, proportional=False)
    label = "mean squared error of a cell (z-scores)"
    left, right = panels[0]
    left.set_title(f"cells when held out: mean error {np.nanmean(record.errors):.2f}")
    _draw_values(left, xy, record.errors, note, label)
    r2 = record.agreement  # of each seed
    right.set_title(f"maps of {len(r2)} other seeds: R² {r2.min():.2f} to {r2.max():.2f}")
    _draw_values(right, xy, record.spread, note, "distance moved / map size")
    if known:
        title = f"true map: R² {record.truth_agreement:.2f} of both coordinates"
        panels[1, 0].set_title(title)
        for i, ax in enumerate(panels[1]):
            true = record.true_latent[:, i]
            ends = [true.min(), true.max()]
            ax.plot(ends, ends, color="0.3", lw=0.7, ls="--", zorder=1)
            ax.scatter(true, record.latent[:, i], c=color, s=4, lw=0, alpha=0.8)
            ax.set_xlabel(f"true coordinate {i + 1}, turned and scaled")
            ax.set_ylabel(f"recovered coordinate {i + 1}")
    if fit is not None:
        figure.suptitle(model_title(fit), fontsize=7.5, fontweight="bold")
    return finish(figure, panels)


def _draw_values(ax, xy, values, note, label):
    order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]
    x, y = np.clip(xy[order], 0.01, 0.99).T
    size = np.clip(5000 / len(xy), 1, 9)
    limits = {"vmin": 0, "vmax": np.nanquantile(values, SHOWN)}
    dots = ax.scatter(x, y, c=values[order], s=size, lw=0, cmap=SHADES, **limits)
    dots.set_rasterized(len(xy) > MOST_SHAPES)
    ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
    ax.spines[:].set_visible(False)
    ax.set_xlabel(note, **NOTE)
    colorbar(ax.figure, dots, label, ax=ax, fraction=0.035, pad=0.02, extend="max")
