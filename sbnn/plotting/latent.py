"""One fitted model: its latent map with the prediction at each position, and an overview."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.data.colors import GREY, OKABE_ITO
from sbnn.evaluation.stability import trusted_genes
from sbnn.plotting.colors import GREEN, SKY, Groups, color_untyped
from sbnn.plotting.common import (
    DASHES,
    NAMES_IN_FULL,
    draw_title,
    finish,
    name_rows,
    new_figure,
    new_subplots,
    with_style,
)
from sbnn.plotting.maps import (
    draw_cells,
    draw_cloud,
    draw_colorbar,
    draw_legend,
    draw_map,
    edge_text,
    frame_map,
    map_coordinates,
    map_triangles,
    name_groups,
)
from sbnn.plotting.reading import (
    choose_model,
    model_title,
    number_and_noun,
    number_text,
    output_r2,
    short_name,
)
from sbnn.results import Record

# in the order of the published figure; shown first
PUBLISHED_FEATURES = (
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
MAP_ROWS, MAP_COLUMNS = 2, 3
N_MAPS = MAP_ROWS * MAP_COLUMNS  # small ones, on either side of the cells
MODEL_HEIGHT, ZOOM_HEIGHT, LEGEND_HEIGHT = 2.6, 2.4, 0.5  # inches
SUBPLOT_TITLE_LETTERS = 17
ZOOMED_OUTPUTS = ("Tau", "Rebound")  # of the published figure
ZOOMED_TYPES = 5  # most frequent types of the family, which have a colour of their own
OTHERS = "others"
NUMBER_OF_TYPE = r"[ _]\d+$"  # such as that of Chat_2
SPARE = 1.24  # side of the square, relative to the family
OVERVIEW_HEIGHT = 3.4  # inches
OVERVIEW_WIDTHS = (0.7, 0.18, 2.2, 0.18, 1)  # genes, encoder, map, decoder, outputs
OVERVIEW_LETTERS = 16  # of a name

Score = Record | tuple[Record, dict[str, Any]] | None


@with_style
def latent_subplots(
    top: Record,
    bottom: Record | None = None,
    scores: Sequence[Score] | None = None,
    by_type: bool = False,
) -> Figure:
    """Latent space of one or two models: cells by family, between predicted genes and features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full` for the same data.
    scores : sequence of Record, (Record, dict) or None, optional
        Cross-validations with parameters of a grid point, for the test R2.
    by_type : bool
        Whether cells have the colours of their types, as in the paper, instead of one for each
        family.

    Returns
    -------
    matplotlib.figure.Figure
        Small maps show predictions of at most six genes and outputs: those of the published
        figure, then those predicted best. A title counts the cells that lie far beyond the others
        and are drawn at the edge.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> figure = plotting.latent_subplots(fit)
    """
    fits = [top] if bottom is None else [top, bottom]
    fits = [color_untyped(fit, like=top) for fit in fits]
    scores = scores or [None] * len(fits)
    if len(scores) != len(fits):
        raise ValueError(f"scores: expected {len(fits)}, one for each fit, got {len(scores)}")
    figure = new_figure(MODEL_HEIGHT * len(fits) + LEGEND_HEIGHT)
    groups = Groups(fits[0], by_type)
    draw_legend(figure, groups.table, groups.title, groups.shades)
    parts = figure.subfigures(len(fits), 1, squeeze=False)[:, 0]
    letters = "ab" if len(parts) > 1 else [""]
    cell_maps = []
    for part, letter, fit, score in zip(parts, letters, fits, scores, strict=False):
        cell_maps.append(_draw_fit(part, letter, fit, score=score))
    finish(figure)
    for ax, fit in zip(cell_maps, fits, strict=True):
        draw_cloud(ax, Groups(fit, by_type), map_coordinates(fit))
    return figure


def _draw_fit(part, letter, fit, score):
    """Draw small maps beside an empty map of the cells; return it."""
    measure, mean, r2 = fit_accuracy(fit, score)
    title = f"{model_title(fit)}: {measure} {number_text(mean)}"
    draw_title(part, f"{letter}  {title}" if letter else title)
    left, middle, right = part.subfigures(1, 3, squeeze=False)[0]
    triangles = map_triangles(map_coordinates(fit))
    genes = order_of_genes(fit)[:N_MAPS]
    n_genes = len(fit.kept_genes)
    left.suptitle(f"{len(genes)} of {n_genes} predicted genes", fontsize=7)
    expression = fit.predicted_expression[:, genes]
    gene_names = [short_name(name, SUBPLOT_TITLE_LETTERS) for name in fit.kept_genes[genes]]
    _draw_small_maps(left, triangles, expression, titles=gene_names, fontstyle="italic")
    outputs = preferred_order(fit.feature_names, PUBLISHED_FEATURES, fit.train_feature_r2)
    outputs = outputs[:N_MAPS]
    right.suptitle(f"{len(outputs)} of {len(r2)} predicted outputs, {measure}", fontsize=7)
    output_names = []
    for output in outputs:
        name = short_name(fit.feature_names[output], 12)
        title = f"{name} {number_text(r2[output])}"
        output_names.append(short_name(title, SUBPLOT_TITLE_LETTERS))
    predictions = fit.predictions[:, outputs]
    _draw_small_maps(right, triangles, predictions, titles=output_names)
    ax = middle.subplots()
    frame_map(ax)
    at_edge = edge_text(map_coordinates(fit))
    if at_edge:
        ax.set_title(f"{len(fit.latent)} cells{at_edge}")
    return ax


def _draw_small_maps(part, triangles, predictions, titles, fontstyle="normal"):
    """Draw predictions, (n_cells, at most 6), with a title each."""
    subplots = part.subplots(MAP_ROWS, MAP_COLUMNS)
    for ax in subplots.flat:
        frame_map(ax)
    for ax, title, predicted in zip(subplots.flat, titles, predictions.T, strict=False):
        draw_map(ax, triangles, predicted)
        ax.set_title(title, fontsize=6, pad=2, fontstyle=fontstyle)
    draw_colorbar(part, ax=subplots)


def fit_accuracy(fit: Record, score: Score) -> tuple[str, float, np.ndarray]:
    """Kind and value of the R2 of a fit, and the R2 of every output."""
    if score is None:
        r2 = fit.train_feature_r2
        return "training R²", float(np.nanmean(r2)), r2
    folds, point = choose_model(score, len(fit.kept_genes))
    feature_r2 = output_r2(folds, point, fit.feature_names).mean(0)
    return "test R²", folds.test_r2[:, point].mean(), feature_r2


def order_of_genes(record: Record) -> np.ndarray:
    """Positions of the kept genes, by importance."""
    if "gene_norms" in record.values:
        return np.argsort(-record.gene_norms[record.selected], kind="stable")
    errors = (record.expression - record.predicted_expression) ** 2
    return np.argsort(errors.mean(0), kind="stable")


def preferred_order(names: np.ndarray, first: Sequence[str], merit: np.ndarray) -> np.ndarray:
    """Positions of names: the given ones first, then by merit."""
    places = pd.Index(first).get_indexer(names)
    places = np.where(places < 0, len(first), places)
    return np.lexsort([-merit, places])


@with_style
def family_zoom(record: Record, family: str = "Vip", score: Score = None) -> Figure:
    """One family of cells on the map of a model, and enlarged.

    Large subplots show the cells by type, a marker gene (with the name of the family or the highest
    mean prediction), and two outputs ("Tau" and "Rebound", or those that vary most).

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`.
    family : str
        The most frequent family is enlarged if no cell has this one.
    score : Record or (Record, dict), optional
        As one of `latent_subplots`.

    Returns
    -------
    matplotlib.figure.Figure
        Colour ranges of large maps leave out 2 % at either end. The five most frequent types of the
        family have colours; those whose names differ by a number alone are one.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_published_2d.pickle.xz")
    >>> figure = plotting.family_zoom(fit)
    """
    groups = Groups(record)
    if family not in groups.table.index:
        family = groups.table.index[0]
    in_family = groups.families == family
    xy = map_coordinates(record)
    corner, side = _square_around(xy[in_family])
    in_square = ((xy > corner) & (xy < corner + side)).all(axis=1)

    full_names = _types_of_family(groups.types[in_family], family)
    types = full_names.str.replace(NUMBER_OF_TYPE, "", regex=True).to_numpy()
    table = _count_types(types)
    predictions = _zoomed_predictions(record, score, family=family, in_family=in_family)
    figure, subplots = new_subplots(ZOOM_HEIGHT, n_rows=1, n_columns=2 + len(predictions))
    family_name = short_name(family)
    numbers = " without their numbers" if (types != full_names).any() else ""
    draw_legend(figure, table, f"{model_title(record)}; types of {family_name}{numbers} (cells)")
    whole, cells, *maps = subplots
    frame_map(whole)
    whole.set(anchor="S", title=f"{len(xy)} cells, {family_name} in colour")
    for ax in (cells, *maps):
        frame_map(ax)
        x, y = corner
        ax.set(xlim=(x, x + side), ylim=(y, y + side), anchor="S")
        ax.spines[:].set(visible=True, lw=0.7, ls=DASHES, ec="0.3")
    n_shown = (in_family & in_square).sum()
    cells.set_title(f"{n_shown} of {in_family.sum()} {family_name} cells")
    triangles = map_triangles(xy)
    for ax, (title, predicted) in zip(maps, predictions.items(), strict=True):
        limits = np.quantile(predicted[in_square], [0.02, 0.98])
        draw_map(ax, triangles, predicted, limits=limits)
        ax.set_title(title)
        draw_colorbar(figure, limits, ax=ax, ticks=MaxNLocator(4))
    maps[0].title.set_fontstyle("italic")
    finish(figure)
    own_colors = table["color"].reindex(types).fillna(GREY).to_numpy()
    colors = np.full(len(xy), "#D0D0D0", object)
    colors[in_family] = own_colors
    draw_cells(whole, xy, colors)
    draw_cells(cells, xy[in_family], own_colors)
    name_groups(cells, xy[in_family], types, names=table.index.drop(OTHERS, errors="ignore"))
    frame = Rectangle(corner, side, side, fill=False, clip_on=False, lw=0.7, ls=DASHES, ec="0.3")
    whole.add_patch(frame)
    return figure


def _types_of_family(types, family):
    """Types of cells without the name of their family."""
    return pd.Series(types).str.removeprefix(f"{family} ")


def _count_types(types):
    """Count and colour of the most frequent types, and of the others together."""
    counts = pd.Series(types).value_counts(sort=False).sort_index()
    counts = counts.sort_values(ascending=False, kind="stable")
    table = counts[:ZOOMED_TYPES].to_frame("count")
    table["color"] = OKABE_ITO[: len(table)]
    rest = counts[ZOOMED_TYPES:]
    if len(rest):
        table.loc[OTHERS] = rest.sum(), GREY
    return table


def _square_around(xy):
    """Lower left corner and side of a square with nearly all cells, beside the small maps."""
    low, high = np.quantile(xy, [0.025, 0.975], axis=0)
    side = min(SPARE * (high - low).max(), 1)
    corner = (low + high - side) / 2
    return corner.clip(-0.03, 1.03 - side), side


def _zoomed_predictions(record, score, family, in_family):
    """Predictions of a gene and two outputs in all cells, by title."""
    measure, _, r2 = fit_accuracy(record, score)
    expression = record.predicted_expression
    mean_expression = expression[in_family].mean(0)
    gene, *_ = preferred_order(record.kept_genes, [family], mean_expression)
    gene_name = short_name(record.kept_genes[gene])
    maps = {gene_name: expression[:, gene]}
    variation = record.predictions[in_family].std(0)
    outputs = preferred_order(record.feature_names, ZOOMED_OUTPUTS, variation)
    for output in outputs[:2]:
        name = short_name(record.feature_names[output])
        title = f"{name}, {measure} {number_text(r2[output])}"
        maps[title] = record.predictions[:, output]
    return maps


@with_style
def model_overview(
    record: Record,
    halves: Record | None = None,
    folds: Record | None = None,
    true_genes: Sequence[str] | np.ndarray | None = None,
) -> Figure:
    """Kept genes, the map of the cells and the outputs, as a prediction passes through them.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full`.
    halves : Record, optional
        From `sbnn.stability_selection`, to write trusted genes in bold.
    folds : Record, optional
        From `sbnn.cross_validate`, to draw the test R2 of every output.
    true_genes : sequence of str, optional
        Genes of simulated data to be marked.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_distilled_2d.pickle.xz")
    >>> folds = results.load("saved_models/scala/cv_distilled.pickle.xz")
    >>> figure = plotting.model_overview(fit, folds=folds)
    """
    figure, subplots = new_subplots(
        OVERVIEW_HEIGHT, n_rows=1, n_columns=5, width_ratios=OVERVIEW_WIDTHS
    )
    genes, encoder, ax, decoder, outputs = subplots
    n_units = record.latent.shape[1]
    score = None if folds is None else (folds, {"n_components": n_units})
    measure, _, r2 = fit_accuracy(record, score)
    _draw_kept_genes(genes, record, halves=halves, true_genes=true_genes)
    _draw_wedge(encoder, "encoder", wide_end=0)
    _draw_wedge(decoder, "decoder", wide_end=1)
    _draw_output_bars(outputs, record.feature_names, r2)
    n_outputs = len(r2)
    title = f"{measure} of each output"
    if n_outputs > NAMES_IN_FULL:
        title = f"{measure} of {NAMES_IN_FULL} of {n_outputs} outputs"
    outputs.set_title(title)
    xy = map_coordinates(record)
    ax.set_title(f"map of {len(xy)} cells{edge_text(xy)}")
    frame_map(ax)
    groups = Groups(color_untyped(record))
    if not groups.has_names:
        draw_legend(figure, groups.table, groups.title)
    finish(figure)
    draw_cloud(ax, groups, xy)
    return figure


def _draw_kept_genes(ax, record, halves, true_genes):
    genes = record.kept_genes[order_of_genes(record)]
    title = f"{len(genes)} of {number_and_noun(len(record.selected), 'gene')}"
    trusted = ()
    if halves is not None:
        trusted = trusted_genes(halves)
        title += "\nbold: trusted"
    is_true = np.zeros(len(genes), bool)
    if true_genes is not None:
        is_true = np.isin(genes, true_genes)
        title += f"\n✓ true: {is_true.sum()} of {len(true_genes)}"
    ax.set_title(title)
    for y, gene in enumerate(genes[:NAMES_IN_FULL]):
        weight = "bold" if gene in trusted else "normal"
        mark = " ✓" if is_true[y] else ""
        name = short_name(gene, OVERVIEW_LETTERS)
        _write_gene(ax, y, name + mark, weight=weight)
    n_more = len(genes) - NAMES_IN_FULL
    if n_more > 0:
        _write_gene(ax, NAMES_IN_FULL, f"and {n_more} more")
    ax.set(xlim=(-1, 1), ylim=(NAMES_IN_FULL + 0.5, -0.5))
    ax.set_axis_off()


def _write_gene(ax, y, text, weight="normal"):
    ax.text(0, y, text, ha="center", va="center", fontstyle="italic", fontsize=7, fontweight=weight)


def _draw_wedge(ax, name, wide_end):
    """Draw a wedge that is wide on the left, at 0, or on the right, at 1."""
    ends = (wide_end, 1 - wide_end)
    ax.fill_between(ends, (0, 0.4), (1, 0.6), color=SKY, alpha=0.3, lw=0)
    ax.text(0.5, 0.5, name, ha="center", va="center", rotation=90)
    ax.set(xlim=(0, 1), ylim=(0, 1))
    ax.set_axis_off()


def _draw_output_bars(ax, names, r2):
    order = np.argsort(-r2, kind="stable")[:NAMES_IN_FULL]
    lengths = r2[order].clip(0, 1)
    bars = ax.barh(range(len(order)), lengths, height=0.55, color=GREEN, alpha=0.75)
    texts = [number_text(value) for value in r2[order]]
    ax.bar_label(bars, texts, padding=2, fontsize=6.5)
    name_rows(ax, [short_name(name, OVERVIEW_LETTERS) for name in names[order]])
    ax.set(xlim=(0, 1.25), xticks=[])
    ax.spines[:].set_visible(False)
