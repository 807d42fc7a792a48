"""Latent maps of the cells with the prediction at each position."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.plotting.cells import draw_cells, draw_cloud, draw_legend, frame_map, name_groups
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import finish, headline, new_figure, with_style
from sbnn.plotting.labels import DASHES, shortened, signed
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles
from sbnn.plotting.reading import choose_model, model_title
from sbnn.results import Record

# in the order of the published figure; shown first
FEATURES = (
    "AP width",
    "AHP",
    "AI",
    "R_input",
    "Max AP num",
    "Tau",
    "Rebound",
    "V_rest",
    "Rheobase",
)
N_MAPS = 9
MODEL, ZOOM, LEGEND = 2.75, 2.8, 0.5  # inches: heights of a model, large maps, the families
LETTERS = 17  # of a name above a small map


@with_style
def latent_panels(
    top: Record,
    bottom: Record | None = None,
    scores: Sequence | None = None,
) -> Figure:
    """Latent space of one or two models: cells by type, between predicted genes and features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full` for the same data.
    scores : sequence of Record, (Record, dict) or None, optional
        Cross-validations with parameters of a grid point, for the test R2.

    Returns
    -------
    matplotlib.figure.Figure
        Small maps show predictions of at most nine genes and outputs: those of the published
        figure, then those predicted best. Panels leave out 0.5 % of the cells on each side.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> figure = plotting.latent_panels(fit)
    """
    figure, _, centres = _draw_fits(top, bottom, scores)
    return _finish(figure, centres)


def _draw_fits(top, bottom, scores, *below):
    """Figure, parts and maps of fits one below another, over room for more."""
    fits = [top] if bottom is None else [top, bottom]
    heights = [*[MODEL] * len(fits), *below]
    figure = new_figure(sum(heights) + LEGEND)
    groups = Groups(top)
    draw_legend(figure, groups.table, groups.title)
    parts = figure.subfigures(len(heights), 1, height_ratios=heights, squeeze=False)[:, 0]
    centres = []
    for part, fit, score, letter in zip(parts, fits, scores or [None, None], "ab", strict=False):
        measure, mean, r2 = r2_of(fit, score)
        headline(part, f"{letter}  {model_title(fit)}: {measure} {signed(mean)}")
        centres.append((draw_fit(part, fit, measure, r2), fit))
    return figure, parts, centres


def _finish(figure, centres):
    """Draw the cells with names of families, after the layout."""
    finish(figure)
    for ax, fit in centres:
        draw_cloud(ax, Groups(fit), map_coordinates(fit))
    return figure


def draw_fit(part, fit, measure, r2):
    """Draw small maps beside an empty map of the cells; return it."""
    left, middle, right = part.subfigures(1, 3)
    triangles = map_triangles(map_coordinates(fit))
    genes = rank_genes(fit)[:N_MAPS]
    names = fit.kept_genes[genes]
    heading = f"{len(genes)} of {len(fit.kept_genes)} predicted genes"
    _draw_maps(left, heading, triangles, names, fit.predicted_expression[:, genes], "italic")
    outputs = ranked(fit.feature_names, FEATURES, fit.train_feature_r2)[:N_MAPS]
    names = [f"{shortened(fit.feature_names[i], 12)} {signed(r2[i])}" for i in outputs]
    heading = f"{len(outputs)} of {len(r2)} predicted outputs, {measure}"
    _draw_maps(right, heading, triangles, names, fit.predictions[:, outputs])
    ax = middle.subplots()
    frame_map(ax)
    return ax


def r2_of(fit, score):
    """Kind and value of the R2 of a fit, and the R2 of every output."""
    if score is None:
        r2 = fit.train_feature_r2
        return "training R²", np.nanmean(r2), r2
    folds, point = choose_model(score, len(fit.kept_genes))
    return "test R²", folds.test_r2[:, point].mean(), folds.test_feature_r2[:, point].mean(0)


def _draw_maps(part, heading, triangles, names, values, fontstyle="normal"):
    part.suptitle(heading, fontsize=7)
    panels = part.subplots(3, 3)
    for ax in panels.flat:
        frame_map(ax)
    for ax, name, predicted in zip(panels.flat, names, values.T, strict=False):
        draw_map(ax, triangles, predicted)
        ax.set_title(shortened(name, LETTERS), fontsize=6, pad=2, fontstyle=fontstyle)
    draw_colorbar(part, ax=panels)


def rank_genes(record):
    """Positions of the kept genes, by importance."""
    if "gene_norms" in record.values:
        return np.argsort(-record.gene_norms[record.selected], kind="stable")
    errors = (record.expression - record.predicted_expression) ** 2
    return np.argsort(errors.mean(0), kind="stable")


def ranked(names, first, merit):
    """Positions of names: the given ones first, then by merit."""
    places = pd.Index(first).get_indexer(names)
    return np.lexsort([-merit, np.where(places < 0, len(first), places)])


OUTPUTS = ("Tau", "Rebound")  # of the published figure
NAMED = 8  # most frequent types of the family, which are named
SPARE = 1.24  # side of the square, relative to the family
DASHED = {"lw": 0.7, "ls": DASHES, "ec": "0.3"}


@with_style
def family_zoom(
    top: Record,
    bottom: Record | None = None,
    family: str = "Vip",
    scores: Sequence | None = None,
) -> Figure:
    """Latent space of one or two models, and one family of cells of the lower model enlarged.

    Large panels show the cells by type, a marker gene (with the name of the family or the highest
    mean prediction), and two outputs ("Tau" and "Rebound", or those that vary most).

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full` for the same data.
    family : str
        The most frequent family is enlarged if no cell has this one.
    scores : sequence of Record, (Record, dict) or None, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure
        Colour ranges of large maps leave out 2 % at either end.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_published_2d.pickle.xz")
    >>> figure = plotting.family_zoom(fit)
    """
    figure, parts, centres = _draw_fits(top, bottom, scores, ZOOM)
    centre, record = centres[-1]
    groups = Groups(record)
    if family not in groups.table.index:
        family = groups.table.index[0]
    own = groups.families == family
    xy = map_coordinates(record)
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = min(SPARE * (high - low).max(), 1)
    corner = ((low + high - side) / 2).clip(-0.03, 1.03 - side)  # beside the small maps

    below = parts[-1]
    headline(below, f"{'abc'[len(centres)]}  {shortened(family)} enlarged")
    types = groups.count("type", own)
    draw_legend(below, types, f"types in {shortened(family)} (cells)")
    measure, _, r2 = r2_of(record, scores[-1] if scores else None)
    gene = ranked(record.kept_genes, [family], record.predicted_expression[own].mean(0))[0]
    outputs = ranked(record.feature_names, OUTPUTS, record.predictions[own].std(0))[:2]
    maps = {shortened(record.kept_genes[gene]): record.predicted_expression[:, gene]}
    for output in outputs:
        title = f"{shortened(record.feature_names[output])}, {measure} {signed(r2[output])}"
        maps[title] = record.predictions[:, output]

    cells, *panels = below.subplots(1, 1 + len(maps))
    for ax in (cells, *panels):
        frame_map(ax)
        ax.set(xlim=corner[0] + [0, side], ylim=corner[1] + [0, side], anchor="S")
        ax.spines[:].set(visible=True, **DASHED)
    draw_cells(cells, xy[own], groups.colors[own])
    inside = ((xy > corner) & (xy < corner + side)).all(1)
    cells.set_title(f"{(own & inside).sum()} of {own.sum()} cells")
    triangles = map_triangles(xy)
    for ax, (title, predicted) in zip(panels, maps.items(), strict=True):
        limits = np.quantile(predicted[inside], [0.02, 0.98])
        draw_map(ax, triangles, predicted, limits)
        ax.set_title(title)
        draw_colorbar(below, limits, ax=ax, ticks=MaxNLocator(4))
    panels[0].title.set_fontstyle("italic")
    _finish(figure, centres)
    name_groups(cells, xy[own], groups.types[own], types.index[:NAMED])
    centre.add_patch(Rectangle(corner, side, side, fill=False, clip_on=False, **DASHED))
    return figure
