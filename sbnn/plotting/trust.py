"""How far the map can be trusted: cells that are predicted badly, places that other seeds move, and the true map."""

import numpy as np
from matplotlib import colormaps

from sbnn.plotting import reading
from sbnn.plotting.cells import MOST_SHAPES
from sbnn.plotting.colors import BLUE, families_of, family_colors
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled
from sbnn.plotting.maps import panel_coordinates

NEEDED = ("latent", "spread", "errors", "agreement")
SHADES = colormaps["viridis"].resampled(32)  # many cells of one shade need less room in a PDF
SHOWN = 0.95  # share of the cells whose values the colours tell apart


@styled
def map_trust(record, fit=None):
    """Map of the cells by error of held-out cells and by what other seeds move, and true against recovered places.

    Parameters
    ----------
    record : Record
        From `sbnn.study.maps.run_map_trust`.
    fit : Record, optional
        The fit that is judged, for its name and the colours of families.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", "a record of how far a map can be trusted", NEEDED)
    if fit is not None:
        reading.require_same_data(fit, "fit", record)
    known = "true_latent" in record.values
    figure = new_figure(4.9 if known else 2.8)
    panels = figure.subplots(2 if known else 1, 2, squeeze=False)
    xy, note = panel_coordinates(record.latent, proportional=False)
    xy = np.clip(xy, 0.01, 0.99)
    error = record.errors[np.isfinite(record.errors)]
    low, high = record.agreement.min(), record.agreement.max()
    for ax, values, title, label in (
        (
            panels[0, 0],
            record.errors,
            f"cells when held out: mean error {error.mean():.2f}",
            "squared error, mean over outputs",
        ),
        (
            panels[0, 1],
            record.spread,
            f"{len(record.agreement)} other seeds: R² {low:.2f} to {high:.2f}",
            "distance moved / size of the map",
        ),
    ):
        order = np.argsort(values, kind="stable")[: np.isfinite(values).sum()]  # what stands out lies on top
        dots = ax.scatter(
            *xy[order].T, c=values[order], cmap=SHADES, s=np.clip(5000 / len(xy), 1, 9), lw=0, vmin=0,
            vmax=np.nanquantile(values, SHOWN), rasterized=len(xy) > MOST_SHAPES,
        )  # fmt: skip
        ax.set(xlim=(0, 1), ylim=(0, 1), xticks=[], yticks=[], aspect="equal")
        ax.spines[:].set_visible(False)
        ax.set_title(title)
        ax.set_xlabel(note, fontsize=5, color="0.45")
        bar = figure.colorbar(dots, ax=ax, fraction=0.035, pad=0.02, extend="max")
        bar.set_label(label)
        bar.outline.set_linewidth(0.4)
    if known:
        colors = BLUE
        if fit is not None and "labels" in fit.values:
            families = family_colors(fit)
            colors = [families[family] for family in families_of(fit)]
        for i, ax in enumerate(panels[1]):
            ends = np.quantile(record.true_latent[:, i], [0, 1])
            ax.plot(ends, ends, color="0.3", lw=0.7, ls="--", zorder=1)
            ax.scatter(record.true_latent[:, i], record.latent[:, i], c=colors, s=4, lw=0, alpha=0.8)
            ax.set(xlabel=f"true coordinate {i + 1}, turned and scaled", ylabel=f"recovered coordinate {i + 1}")
            ax.set_title(f"truth: R² {record.truth_agreement:.2f} of both coordinates" if i == 0 else "")
    if fit is not None:
        figure.suptitle(reading.model_title(fit), fontsize=7.5, fontweight="bold")
    freeze_layout(figure)
    letter_panels(figure, panels)
    return figure
