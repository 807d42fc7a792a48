"""Cells placed by measurements or latents: t-SNE, maps side by side, their trust, and bibiplot."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from sbnn.plotting.cells import (
    MOST_SHAPES,
    draw_cells,
    draw_cloud,
    draw_legend,
    frame_map,
    name_families,
)
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import WIDTH, colorbar, finish, new_panels, with_style
from sbnn.plotting.labels import counted, place_names, shortened
from sbnn.plotting.maps import panel_coordinates
from sbnn.plotting.reading import model_title
from sbnn.results import Record

PARTS = ("transcriptome", "outputs")
KINDS = ("principal component", "output")


@with_style
def tsne_pair(record: Record, titles: tuple[str, str] = PARTS) -> Figure:
    """t-SNE of the genes and of the outputs, in the colours of the types.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.maps.tsne_maps`.
    titles : pair of str

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> maps = results.load("saved_models/scala/tsne.pickle.xz")
    >>> figure = plotting.tsne_pair(maps)
    """
    maps = {}
    for name, title, kind in zip(PARTS, titles, KINDS, strict=True):
        number = record.values[f"n_{name}"]
        method = counted(number, kind)
        if number > 2:
            method = f"t-SNE of {method}"
        xy = panel_coordinates(record.values[name], proportional=number > 2)
        maps[f"{title}, {method}"] = xy
    return _draw_maps(maps, Groups(record))


@with_style
def cell_maps(maps: Mapping[str, np.ndarray], adata) -> Figure:
    """Maps of the same cells side by side, in the colours of their types.

    Parameters
    ----------
    maps : dict of str to array, shape (n, 2)
        By title.
    adata : AnnData
        With ``obs["family"]``, ``obs["type"]`` and ``uns["type_colors"]`` if known.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.cell_maps({"true latent space": data.obsm["true_latent"]}, data)
    """
    from sbnn.data.paired import as_paired  # loads scikit-learn

    placed = {title: panel_coordinates(xy, proportional=False) for title, xy in maps.items()}
    return _draw_maps(placed, Groups(as_paired(adata, check=False)))


def _draw_maps(maps, groups):
    """A single map has the size of one of two."""
    n_columns = max(len(maps), 2)
    figure, panels = new_panels(WIDTH / n_columns + 0.6, 1, n_columns)
    draw_legend(figure, groups.table, groups.title)
    for ax in panels:
        frame_map(ax)
    for ax, title in zip(panels, maps, strict=False):
        ax.set_title(title)
    finish(figure, [panels[: len(maps)]])
    for ax, xy in zip(panels, maps.values(), strict=False):
        draw_cloud(ax, groups, xy)
    return figure


# few, for a small PDF, and none as pale as the paper
SHADES = ListedColormap(colormaps["plasma"](np.linspace(0, 0.85, 32)))
SHOWN = 0.95  # cells within the colour range


@with_style
def map_trust(record: Record, fit: Record | None = None) -> Figure:
    """Maps coloured by held-out error and by variation over seeds.

    Parameters
    ----------
    record : Record
        From `sbnn.map_trust`.
    fit : Record, optional
        The fit that was assessed, to name it and its families.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> trust = results.load("saved_models/scala/map_trust.pickle.xz")
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
    finish(figure, [panels])
    if fit is not None:
        for ax in panels:
            name_families(ax, Groups(fit), xy)
    return figure


RADIUS = 2.5  # SDs of a latent at which a correlation of 1 is drawn
LEAST = 0.3  # length of the shortest line, in correlations
MOST = 16  # lines in a panel


@with_style
def bibiplot(record: Record) -> Figure:
    """Cells in the latent space with correlations of genes (left) and of outputs (right).

    On the right, a linear regression of the latents on the outputs places the cells. A line shows
    the correlations of a gene or an output with both latents; it ends on the circle if they explain
    it fully. After Kobak et al. (2021), who draw loadings on the right.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full` for a model with two latents.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> figure = plotting.bibiplot(fit)
    """
    if record.latent.shape[1] != 2:
        raise ValueError(f"record: expected 2 latents, got {record.latent.shape[1]}")
    from sklearn.preprocessing import scale  # slow to load

    groups = Groups(record)
    outputs = scale(record.outputs.astype(float))
    latents = scale(record.latent.astype(float))
    placed = scale(outputs @ np.linalg.lstsq(outputs, latents)[0])
    sides = {
        "genes": (record.kept_genes, scale(record.expression.astype(float)), latents),
        "outputs": (record.feature_names, outputs, placed),
    }
    figure, panels = new_panels(WIDTH / 2 + 0.6, 1, 2)
    draw_legend(figure, groups.table, groups.title)
    lines = {}
    for ax, (kind, (names, values, xy)) in zip(panels, sides.items(), strict=True):
        limits = 1.05 * max(np.quantile(np.abs(xy), 0.99), RADIUS) * np.array([-1, 1])
        label = f"unit 1 of the cells, from {kind} (SD)"
        ax.set(xlim=limits, ylim=limits, aspect="equal", xlabel=label, ylabel="unit 2 (SD)")
        draw_cells(ax, xy, groups.colors)
        ax.add_patch(Circle((0, 0), RADIUS, fill=False, lw=0.5, color="0.5"))
        lines[ax] = longest(names, values.T @ xy / len(xy))
        ax.set_title(f"{len(lines[ax])} of {len(names)} {kind} drawn, circle: r = 1")
    finish(figure, [panels])
    for (ax, drawn), style in zip(lines.items(), ("italic", "normal"), strict=True):
        tips = RADIUS * drawn.to_numpy()
        for x, y in tips:
            ax.plot([0, x], [0, y], color="0.1", lw=0.7, zorder=3)
        place_names(ax, tips, map(shortened, drawn.index), fontstyle=style, fontsize=6)
    return figure


def longest(names, correlations):
    """Names and correlations of the longest lines."""
    lines = pd.DataFrame(correlations, names)
    length = np.hypot(lines[0], lines[1]).round(6).sort_values(ascending=False, kind="stable")
    return lines.loc[length[length >= LEAST].index[:MOST]]
