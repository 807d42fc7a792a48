"""Latent maps of the cells with the prediction at each position."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.data.checks import UNKNOWN
from sbnn.plotting.cells import draw_cells, draw_cloud, draw_legend, frame_map
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import LETTER, MANY, new_figure, styled
from sbnn.plotting.labels import shortened, signed
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
TRUE = "✓"  # mark of genes that drive the outputs
MODEL, ZOOM, SCALE = 2.75, 2.4, 2.0  # inches: heights of a model and of large maps, the colour bar
LETTERS = 17  # of a name above a small map
MAPS = {"left": 0.015, "right": 0.985, "bottom": 0.03, "top": 0.83, "wspace": 0.06, "hspace": 0.24}


@styled
def latent_panels(
    top: Record,
    bottom: Record | None = None,
    scores: Sequence | None = None,
    true_genes: Sequence[str] | None = None,
) -> Figure:
    """Latent space of one or two models: cells by type, between predicted genes and features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full` for the same data.
    scores : sequence of Record, (Record, dict) or None, optional
        Cross-validation of each model, with parameters of a grid point, for the test R2.
    true_genes : sequence of str, optional
        Genes of simulated data to be marked.

    Returns
    -------
    matplotlib.figure.Figure
        Small maps show predictions of at most nine genes and outputs, interpolated between cells:
        those of the published figure, then those predicted best. Panels leave out 0.5 % of the
        cells on each side.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> figure = plotting.latent_panels(fit)
    """
    models = models_of(top, bottom, scores)
    parts = _parts_of(models, [MODEL] * len(models))
    for part, model, letter in zip(parts, models, "ab", strict=False):
        draw_model(part, model, letter if len(models) > 1 else "", true_genes)
    return parts[0].get_figure(root=True)


class Model(NamedTuple):
    """A fit, its title, and the test R2 of its outputs if known."""

    record: Record
    groups: Groups
    title: str
    r2: np.ndarray | None  # (n_outputs,)


def models_of(top, bottom, scores):
    """A `Model` for each fit."""
    fits = [top] if bottom is None else [top, bottom]
    models = []
    for fit, score in zip(fits, scores or [None] * len(fits), strict=True):
        r2 = None
        accuracy = f"training R² {signed(np.nanmean(fit.train_feature_r2))}"
        if score is not None:
            folds, point = choose_model(score, len(fit.kept_genes), "scores")
            r2 = folds.test_feature_r2[:, point].mean(axis=0)
            accuracy = f"test R² {signed(folds.test_r2[:, point].mean())}"
        models.append(Model(fit, Groups(fit), f"{model_title(fit)}: {accuracy}", r2))
    return models


def _parts_of(models, heights):
    """Parts of a new figure, one below another, above the legend of the families."""
    figure = new_figure(1, None)
    groups = models[0].groups
    room = figure.get_figwidth() - SCALE
    legend = max(draw_legend(figure, groups.table, groups.title, room, "lower left"), 0.5)
    figure.set_figheight(sum(heights) + legend)
    *parts, last = figure.subfigures(len(heights) + 1, 1, height_ratios=[*heights, legend])
    bar = last.add_axes((0.76, 0.6, 0.22, 0.07 / legend))
    draw_colorbar(last, cax=bar, ticks=[-2, -1, 0, 1, 2])
    return parts


def draw_model(part, model, letter, true_genes=None):
    """Draw small maps of genes and of outputs beside the map of the cells; return its axes."""
    record, groups, title, r2 = model
    part.text(0.01, 0.985, letter, va="top", **LETTER)
    part.text(0.03, 0.98, title, va="top", fontweight="bold", fontsize=7.5)
    left, middle, right = part.subfigures(1, 3)
    xy = map_coordinates(record)
    triangles = map_triangles(xy)
    _draw_maps(left, triangles, *gene_maps(record, true_genes), fontstyle="italic")
    _draw_maps(right, triangles, *feature_maps(record, r2))
    ax = middle.subplots(gridspec_kw=MAPS | {"top": 0.89})
    frame_map(ax)
    draw_cloud(ax, groups, xy, np.clip(6000 / len(xy), 1, 12))
    return ax


def _draw_maps(part, triangles, heading, maps, **style):
    part.text(0.5, 0.92, heading, ha="center", va="top")
    panels = part.subplots(3, 3, gridspec_kw=MAPS)
    for ax in panels.flat:
        frame_map(ax)
    for ax, (name, values) in zip(panels.flat, maps, strict=False):
        draw_map(ax, triangles, values)
        ax.set_title(name, fontsize=6, pad=2, **style)


def gene_maps(record, true_genes=None):
    """Heading and maps (name, values) of genes."""
    names = mark_true(record.kept_genes, true_genes or [])
    heading = "predicted expression"
    if true_genes is not None:
        heading += f", {TRUE} true"
    shown = rank_genes(record)[:N_MAPS]
    return heading, [
        (shortened(names[i], LETTERS), record.predicted_expression[:, i]) for i in shown
    ]


def feature_maps(record, r2):
    """As `gene_maps`, of outputs."""
    shown = shown_features(record)
    n_outputs = len(record.feature_names)
    heading = "predicted outputs"
    if n_outputs > MANY:
        heading = f"{len(shown)} of {n_outputs} {heading}"
    if r2 is not None:
        heading += ", test R²"
    maps = []
    for i in shown:
        end = "" if r2 is None else f" {signed(r2[i])}"
        name = shortened(record.feature_names[i], LETTERS - len(end))
        maps.append((name + end, record.predictions[:, i]))
    return heading, maps


def mark_true(genes, true_genes):
    """Mark true genes."""
    known = set(np.atleast_1d(true_genes))
    return [f"{gene} {TRUE}" if gene in known else str(gene) for gene in genes]


def rank_genes(record):
    """Positions of the kept genes, by importance."""
    if "gene_norms" in record.values:
        merit = record.gene_norms[record.selected]
    else:
        merit = -((record.expression - record.predicted_expression) ** 2).mean(0)
    return np.argsort(-merit, kind="stable")


def shown_features(record):
    """Positions of outputs."""
    names = list(record.feature_names)
    known = [names.index(name) for name in FEATURES if name in names]
    best = np.argsort(-record.train_feature_r2, kind="stable").tolist()
    return list(dict.fromkeys(known + best))[:N_MAPS]


OUTPUTS = ("Tau", "Rebound")  # of the published figure
SPARE = 0.12  # margin relative to the family
DASHED = {"fill": False, "lw": 0.7, "ls": (0, (3, 2)), "ec": "0.3"}


@styled
def family_zoom(
    top: Record,
    bottom: Record | None = None,
    family: str | None = None,
    scores: Sequence | None = None,
) -> Figure:
    """Latent space of one or two models, and one family of cells of the lower model enlarged.

    The large panels show a marker gene (with the name of the family or the highest mean
    prediction), the cells by type, and two outputs ("Tau" and "Rebound", as published, or those
    whose predictions vary most).

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full` for the same data.
    family : str, optional
        By default, "Vip" if it has several types, or the most frequent family with several types.
    scores : sequence of Record, (Record, dict) or None, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure
        Colour ranges of large maps leave out 2 % at either end.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_network_2d.pickle")
    >>> figure = plotting.family_zoom(fit)
    """
    models = models_of(top, bottom, scores)
    record, groups, _, r2 = models[-1]
    family = _family_of_types(groups, family)
    own = groups.families == family
    xy = map_coordinates(record)
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = max((high - low).max() * (1 + 2 * SPARE), 0.05)
    corner = (low + high) / 2 - side / 2

    name = shortened(family)
    legend = groups.count("type", own), f"types in {name} (cells)"
    heights = [*[MODEL] * len(models), ZOOM, draw_legend(new_figure(1, None), *legend)]
    *parts, below, last = _parts_of(models, heights)
    draw_legend(last, *legend, loc="upper left")
    for part, model, letter in zip(parts, models, "abc", strict=False):
        centre = draw_model(part, model, letter)
    centre.add_patch(Rectangle(corner, side, side, clip_on=False, zorder=1.1, **DASHED))
    below.text(0.01, 0.98, "abc"[len(models)], va="top", **LETTER)
    below.text(0.03, 0.975, f"{name} enlarged", va="top", fontweight="bold", fontsize=7.5)

    xy = (xy - corner) / side  # from 0 to 1 around the family
    inside = ((xy > 0) & (xy < 1)).all(1)
    shown = own & inside
    place = {"left": 0.01, "right": 0.99, "bottom": 0.21, "top": 0.87, "wspace": 0.06}
    outputs = zoomed_outputs(record, own)
    maps, cells, *others = below.subplots(1, 2 + len(outputs), gridspec_kw=place)
    for ax in (maps, cells, *others):
        frame_map(ax)
        ax.add_patch(Rectangle((0, 0), 1, 1, clip_on=False, **DASHED))
    draw_cells(cells, xy[shown], groups.colors[shown], np.clip(3000 / own.sum(), 4, 20))
    cells.set_title(f"{shown.sum()} of {own.sum()} cells")
    gene = marker_gene(record, family, own)
    values = [record.predicted_expression[:, gene]]
    maps.set_title(shortened(record.kept_genes[gene]), fontstyle="italic")
    for ax, output in zip(others, outputs, strict=True):
        title = shortened(record.feature_names[output])
        ax.set_title(title if r2 is None else f"{title}, test R² {signed(r2[output])}")
        values.append(record.predictions[:, output])
    triangles = map_triangles(xy)
    for ax, predicted in zip((maps, *others), values, strict=False):
        limits = np.quantile(predicted[inside], [0.02, 0.98])
        draw_map(ax, triangles, predicted, limits)
        bar = ax.inset_axes((0.1, -0.1, 0.8, 0.05))
        draw_colorbar(below, limits, cax=bar, ticks=MaxNLocator(4))
    return below.get_figure(root=True)


def _family_of_types(groups, family):
    types = pd.Series(groups.types)
    known_types = types.mask(types == UNKNOWN)
    n_types = known_types.groupby(groups.families).nunique().drop(UNKNOWN, errors="ignore")
    known = [name for name in groups.table.index if n_types.get(name, 0) > 1]
    if family is None and known:
        family = "Vip" if "Vip" in known else known[0]
    if family not in known:
        wanted = f"a family with several types, one of {known}"
        raise ValueError(f"family: expected {wanted}, got {family!r}")
    return family


def marker_gene(record, family, own):
    """Position of the gene that marks a family."""
    genes = list(record.kept_genes)
    if family in genes:
        return genes.index(family)
    # the mean of every gene over all cells is zero
    return int(np.argmax(record.predicted_expression[own].mean(0)))


def zoomed_outputs(record, own):
    """Positions of two outputs."""
    names = list(record.feature_names)
    if set(OUTPUTS) <= set(names):
        return [names.index(name) for name in OUTPUTS]
    return np.argsort(-record.predictions[own].std(0), kind="stable")[:2].tolist()
