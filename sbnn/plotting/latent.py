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
from sbnn.plotting.common import (
    MANY,
    MARGIN,
    WIDTH,
    finish,
    new_figure,
    place_axes,
    place_panel,
    styled,
    write,
)
from sbnn.plotting.labels import fit_text, shortened, signed
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles
from sbnn.plotting.reading import choose_model, model_title, standardised
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
# inches: a map, the gap beside it, its title, the space below, a model, the colour bar
MAP, GAP, TITLE, BASE, HALF, BAR = 0.66, 0.06, 0.14, 0.12, 2.78, 1.5
# three small maps, and the map of the cells
BLOCK = 3 * MAP + 2 * GAP
SIDE = 3 * MAP + 2 * TITLE


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
        those of the published figure, then those predicted best.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> figure = plotting.latent_panels(fit)
    """
    models = models_of(top, bottom, scores)
    figure = new_figure(1, "none")
    _, height = families_legend(figure, models)
    figure.set_size_inches(WIDTH, len(models) * HALF + height)
    rows, _ = draw_models(figure, models, 0, true_genes)
    return finish(figure, rows if len(models) > 1 else ())


class Model(NamedTuple):
    """A fit, its finding, and the test R2 of its outputs if known."""

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
        found = f"training R² {signed(np.nanmean(fit.train_feature_r2))}"
        if score is not None:
            folds, point = choose_model(score, len(fit.kept_genes), "scores")
            r2 = folds.test_feature_r2[:, point].mean(axis=0)
            found = f"test R² {signed(folds.test_r2[:, point].mean())}"
        title = f"{model_title(fit)}: {found}"
        models.append(Model(fit, Groups(fit), title, r2))
    return models


def families_legend(figure, models):
    """Draw the legend of the families; return it and its height."""
    groups = models[0].groups
    width = WIDTH - BAR - 4 * MARGIN
    legend, height = draw_legend(figure, groups.table, groups.title, width)
    return legend, max(height + 0.1, 0.44)


def draw_models(figure, models, low, true_genes=None):
    """Draw models below each other; return rows of axes and the last map."""
    ticks = [-2, -1, 0, 1, 2]
    draw_colorbar(figure, WIDTH - MARGIN - BAR, low + 0.3, BAR, "prediction (z-score)", ticks=ticks)
    rows = []
    bottom = figure.get_figheight()
    for record, groups, title, r2 in models:
        bottom -= HALF
        # all small maps are drawn in these axes, in inches
        canvas = place_panel(figure, 0, bottom, WIDTH, HALF, ((0, WIDTH), (0, HALF)))
        xy, note = map_coordinates(record)
        triangles = map_triangles(xy)
        _draw_block(canvas, MARGIN, bottom, triangles, *gene_maps(record, true_genes), "italic")
        left = WIDTH - MARGIN - BLOCK
        _draw_block(canvas, left, bottom, triangles, *feature_maps(record, r2), "normal")
        ax = place_axes(figure, (WIDTH - SIDE) / 2, bottom + BASE, SIDE, SIDE)
        frame_map(ax, note)
        draw_cloud(ax, groups, xy, np.clip(6000 / len(xy), 1, 12))
        write_title(figure, bottom + HALF, title)
        rows.append([canvas])
    return rows, ax


def write_title(figure, top, title):
    """Write a title beside the letter of a row."""
    look = {"va": "top", "fontweight": "bold", "fontsize": 7.5}
    fit_text(write(figure, 0.2, top - 0.01, title, **look), WIDTH - 0.3)


def gene_maps(record, true_genes=None):
    """Heading and maps (name, end of name, values) of genes."""
    names = mark_true(record.kept_genes, true_genes or [])
    shown = rank_genes(record)[:N_MAPS]
    heading = "predicted expression"
    if true_genes is not None:
        heading += f", {TRUE} true"
    return heading, [(names[i], "", record.predicted_expression[:, i]) for i in shown]


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
        maps.append((str(record.feature_names[i]), end, record.predictions[:, i]))
    return heading, maps


def _draw_block(canvas, left, bottom, triangles, heading, maps, slant):
    write(canvas.figure, left + BLOCK / 2, bottom + SIDE + 0.3, heading, ha="center")
    look = {"ha": "center", "fontstyle": slant, "fontsize": 6.5}
    for i, (name, end, values) in enumerate(maps):
        x = left + i % 3 * (MAP + GAP)
        y = BASE + (2 - i // 3) * (MAP + TITLE)
        draw_map(canvas, (x, y), MAP, triangles, values)
        text = write(canvas.figure, x + MAP / 2, bottom + y + MAP + 0.03, name + end, **look)
        fit_text(text, MAP + GAP - 0.03, keep=end)


def mark_true(genes, true_genes):
    """Mark true genes."""
    if isinstance(true_genes, str):
        raise TypeError(f"true_genes: expected names of genes, got {true_genes!r}")
    return [f"{gene} {TRUE}" if gene in true_genes else str(gene) for gene in genes]


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
# inches: between panels, above them, and for their colour bars
ZOOM_GAP, HEADING, BAR_ROOM = 0.16, 0.5, 0.5
PANEL = (WIDTH - 2 * MARGIN - 3 * ZOOM_GAP) / 4
SPARE = 0.12  # margin relative to the family
DASHED = {"fill": False, "lw": 0.7, "ls": (0, (3, 2)), "ec": "0.3", "zorder": 1.1}


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
    xy, _ = map_coordinates(record)
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = max((high - low).max() * (1 + 2 * SPARE), 0.05)
    corner = (low + high) / 2 - side / 2

    figure = new_figure(1, "none")
    families, strip = families_legend(figure, models)
    title = f"types in {shortened(family)} (cells)"
    _, height = draw_legend(figure, groups.count("type", own), title)
    y = height + 0.1 + BAR_ROOM
    top_of_zoom = y + PANEL + HEADING
    height = top_of_zoom + strip + len(models) * HALF
    figure.set_size_inches(WIDTH, height)
    families.set_bbox_to_anchor((MARGIN / WIDTH, top_of_zoom / height))
    rows, centre = draw_models(figure, models, top_of_zoom)
    centre.add_patch(Rectangle(corner, side, side, clip_on=False, **DASHED))
    top = y + PANEL + HEADING - 0.1
    rows.append([place_panel(figure, 0, y, WIDTH, top - y)])

    xy = (xy - corner) / side  # from 0 to 1 around the family
    inside = ((xy > 0) & (xy < 1)).all(1)
    shown = own & inside
    heading = f"{shortened(family)}, {shown.sum()} of {own.sum()} cells"
    ax = _zoom_panel(figure, 1, y, heading)
    size = np.clip(3000 / own.sum(), 4, 20)
    draw_cells(ax, xy[shown], groups.colors[shown], size)
    ax.collections[0].set_clip_on(False)  # dots at the border are whole

    gene = marker_gene(record, family, own)
    outputs = zoomed_outputs(record, own)
    findings = [_agreement(record, output, own) for output in outputs]
    title = f"Within {shortened(family)}, prediction and measurement: {'; '.join(findings)}"
    write_title(figure, top, title)
    maps = [(str(record.kept_genes[gene]), record.predicted_expression[:, gene])]
    for output in outputs:
        name = str(record.feature_names[output])
        if r2 is not None:
            name += f", test R² {signed(r2[output])}"
        maps.append((name, record.predictions[:, output]))
    triangles = map_triangles(xy)
    for i, (name, values) in zip((0, 2, 3), maps, strict=False):
        limits = np.quantile(values[inside], [0.02, 0.98])
        ax = _zoom_panel(figure, i, y, name, "normal" if i else "italic", PANEL)
        draw_map(ax, (0, 0), PANEL, triangles, values, limits)
        x = MARGIN + i * (PANEL + ZOOM_GAP) + 0.1 * PANEL
        meaning = "prediction (z-score)"
        draw_colorbar(figure, x, y - 0.14, 0.8 * PANEL, meaning, limits, MaxNLocator(4))
    return finish(figure, rows)


def _agreement(record, output, own):
    """Correlation of an output with its prediction over the cells of a family, as text."""
    predicted = standardised(record.predictions[own, output])
    measured = standardised(record.outputs[own, output])
    return f"{record.feature_names[output]}, r = {signed((predicted * measured).mean())}"


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


def _zoom_panel(figure, i, y, heading, style="normal", size=1):
    x = MARGIN + i * (PANEL + ZOOM_GAP)
    ax = place_panel(figure, x, y, PANEL, PANEL, ((0, size), (0, size)))
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, **DASHED))
    look = {"ha": "center", "fontsize": 7.5, "fontstyle": style}
    fit_text(write(figure, x + PANEL / 2, y + PANEL + 0.06, heading, **look), PANEL)
    return ax


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
