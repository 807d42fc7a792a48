"""Latent maps of the cells with the prediction at each position, and one family enlarged."""

from typing import NamedTuple

import numpy as np
from matplotlib.patches import Rectangle
from matplotlib.ticker import MaxNLocator

from sbnn.data.checks import UNKNOWN

from sbnn.plotting import reading
from sbnn.plotting.cells import draw_cells, draw_cloud, draw_legend
from sbnn.plotting.colors import Groups
from sbnn.plotting.common import MANY, MARGIN, WIDTH, new_figure, styled
from sbnn.plotting.labels import fit_text, shortened
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles, widened
from sbnn.results import Record

# Features in the order of the published figure; features that a data set contains are shown first.
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
TRUE = "✓"  # mark next to genes that are known to drive the outputs
NEEDED = (
    *(
        "embedding",
        "latent",
        "predictions",
        "outputs",
        "feature_names",
        "train_feature_r2",
        "labels",
        "colors",
    ),
    *("kept_genes", "expression", "predicted_expression"),
)
# Sizes in inches: a map, the gap next to it, the title above it, the space below the maps, one
# model, the colour bar.
MAP, GAP, TITLE, BASE, HALF, BAR = 0.66, 0.06, 0.14, 0.06, 2.72, 1.5
# three maps side by side, and the map of the cells
BLOCK, SIDE = 3 * MAP + 2 * GAP, 3 * MAP + 2 * TITLE


@styled
def latent_panels(top, bottom=None, colorblind=False, scores=None, true_genes=None):
    """Latent space of one or two models: cells by type, between maps of predicted genes and maps of
    predicted features.

    Parameters
    ----------
    top, bottom : Record
        Returned by `sbnn.fit_full` for the same data. Cells are drawn at the coordinates in
        ``embedding``.
    colorblind : bool
        Draw families in colours and shapes that are safe for colour-blind readers, instead of type
        colours.
    scores : sequence of Record, (Record, dict) or None, optional
        The cross-validation of each model, with parameters that select a grid point if there are
        several. The mean test R2 of each output is written next to its name.
    true_genes : sequence of str, optional
        Genes that drive the outputs of simulated data; these genes are marked.

    Returns
    -------
    matplotlib.figure.Figure
        Small maps show predictions in z-scores, linearly interpolated between neighbouring cells,
        for at most nine genes and nine outputs. Outputs of the published figure come first, then
        the outputs that are predicted best. An inset in an empty corner enlarges a crowded region.
        Outlying cells are drawn at the edge; gaps in a t-SNE are compressed.
    """
    models = models_of(top, bottom, scores, colorblind, true_genes)
    figure = new_figure(1, "none")
    figure.set_size_inches(WIDTH, len(models) * HALF + families_legend(figure, models)[1])
    draw_models(figure, models, 0, " " if bottom is None else "ab")
    return figure


class Model(NamedTuple):
    """A fit to be drawn: its record, groups of cells, gene names, and the mean test R2 of its outputs if known."""

    record: Record
    groups: Groups
    genes: list
    heading: str
    r2: np.ndarray | None


def models_of(top, bottom, scores, colorblind=False, true_genes=None):
    """Check the records of one or two fits, and return a `Model` for each."""
    fits, models = {"top": top} if bottom is None else {"top": top, "bottom": bottom}, []
    for (name, fit), score in zip(fits.items(), scores or [None] * len(fits), strict=True):
        reading.require(fit, name, NEEDED, top)
        genes, heading, r2 = list(map(str, fit.kept_genes)), "predicted expression", None
        if true_genes is not None:
            genes, heading = mark_true(genes, true_genes), f"{heading}, {TRUE} true"
        if score is not None:
            folds, point = reading.choose_model(score, len(fit.kept_genes), fit, "scores")
            r2 = folds.test_feature_r2[:, point].mean(axis=0)
        models.append(Model(fit, Groups(fit, colorblind), genes, heading, r2))
    return models


def families_legend(figure, models):
    """Draw the legend of the families next to the colour bar; return the legend and the height of both in inches."""
    groups = models[0].groups
    legend, height = draw_legend(figure, groups.table, groups.title, WIDTH - BAR - 4 * MARGIN)
    return legend, max(height + 0.1, 0.44)


def draw_models(figure, models, y, letters, inset=True):
    """Draw the models one below another, and their colour bar above height `y`; return the axes of the last map."""
    height = figure.get_figheight()
    draw_colorbar(
        figure, WIDTH - MARGIN - BAR, y + 0.3, BAR, "prediction (z-score)", ticks=[-2, -1, 0, 1, 2]
    )
    for i, (model, letter) in enumerate(zip(models, letters, strict=False), 1):
        ax = _draw_half(figure, height - i * HALF, model, letter, inset)
    return ax



def mark_true(genes, true_genes):
    """Names of genes, with a mark after those that are among `true_genes`."""
    true_genes = {true_genes} if isinstance(true_genes, str) else set(true_genes)
    return [f"{gene} {TRUE}" if gene in true_genes else str(gene) for gene in genes]


def rank_genes(record):
    """Positions of the kept genes, the most important first."""
    if "gene_norms" in record.values:
        merit = record.gene_norms[record.selected]
    else:
        merit = 1 - ((record.expression - record.predicted_expression) ** 2).mean(0)  # z-scores: R2
    return np.argsort(-merit, kind="stable")


def _features(record):
    """Positions of the outputs that are shown."""
    names = np.asarray(record.feature_names).tolist()
    known = [names.index(name) for name in FEATURES if name in names]
    best = np.argsort(-record.train_feature_r2, kind="stable").tolist()
    return [*known, *(i for i in best if i not in known)][:N_MAPS]


def place_panel(figure, x, y, width, height, limits=((0, 1), (0, 1))):
    """Add axes at a position in inches, without ticks or a frame."""
    inches = figure.get_size_inches()
    ax = figure.add_axes((x / inches[0], y / inches[1], width / inches[0], height / inches[1]))
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_axis_off()
    return ax


def _draw_half(figure, bottom, model, letter, inset):
    """Draw one model above a height in inches (`bottom`); return the axes of its map of cells."""

    def write(x, y, text, **options):
        place = np.array([x, bottom + y]) / figure.get_size_inches()
        return figure.text(*place, text, **{"ha": "center", "va": "baseline", **options})

    def draw_maps(left, heading, places, names, ends, values, slant):
        write(left + BLOCK / 2, SIDE + 0.3, heading)
        for i, column in enumerate(places):
            x, y = left + i % 3 * (MAP + GAP), (2 - i // 3) * (MAP + TITLE) + BASE
            draw_map(maps, (x, y), MAP, triangles, values[:, column])
            name = write(
                x + MAP / 2,
                y + MAP + 0.03,
                names[column] + ends[column],
                fontstyle=slant,
                fontsize=6.5,
            )
            fit_text(name, MAP + GAP - 0.03, keep=ends[column])

    record, r2 = model.record, model.r2
    xy, note = map_coordinates(record)
    triangles = map_triangles(xy)
    # All small maps are drawn in the same axes, which have inches as units.
    maps = place_panel(figure, 0, bottom, WIDTH, HALF, ((0, WIDTH), (0, HALF)))
    best, ends = rank_genes(record)[:N_MAPS], [""] * len(model.genes)
    draw_maps(MARGIN, model.heading, best, model.genes, ends, record.predicted_expression, "italic")

    outputs, features, wide = (
        list(map(str, record.feature_names)),
        _features(record),
        widened(record),
    )
    heading = "predicted features" + ("" if r2 is None else ", test R²")
    if len(outputs) > MANY:
        heading = f"{len(features)} of {len(outputs)} {heading}"
    ends = (
        [""] * len(outputs) if r2 is None else [f" {value:.2f}".replace("-", "−") for value in r2]
    )
    ends = [end + (f" ×{by:.0f}" if by > 1 else "") for end, by in zip(ends, wide, strict=True)]
    left = WIDTH - MARGIN - BLOCK
    draw_maps(left, heading, features, outputs, ends, record.predictions * wide, "normal")
    if (wide[features] > 1).any():
        write(
            left + BLOCK / 2, 0, "×: stretched, as outliers widen its SD", fontsize=5, color="0.45"
        )

    ax = place_panel(figure, (WIDTH - SIDE) / 2, bottom + BASE, SIDE, SIDE)
    draw_cloud(ax, model.groups, xy, note, np.clip(6000 / len(xy), 1, 12), inset)
    write(WIDTH / 2, SIDE + 0.3, reading.model_title(record), fontweight="bold", fontsize=7.5)
    write(0.03, SIDE + 0.3, letter, fontweight="bold", fontsize=9, ha="left")
    return ax


OUTPUTS = ("Tau", "Rebound")  # outputs in the published figure
# inches: space between panels, above them, and for their colour bars
ZOOM_GAP, HEADING, BAR_ROOM = 0.16, 0.34, 0.5
PANEL = (WIDTH - 2 * MARGIN - 3 * ZOOM_GAP) / 4
SPARE = 0.12  # margin around the family, relative to its size
DASHED = {"fill": False, "lw": 0.7, "ls": (0, (3, 2)), "ec": "0.3", "zorder": 1.1}


@styled
def family_zoom(top, bottom=None, family=None, scores=None):
    """Latent space of one or two models, and below it an enlarged view of one family of cells in
    the lower model.

    The large panels show a marker gene of the family, the cells of the family by type, and two
    outputs. The marker gene is the kept gene with the name of the family or, if there is none, the
    kept gene with the highest mean prediction in the family. The outputs are "Tau" and "Rebound",
    as in the published figure, or otherwise the two outputs whose predictions vary most within the
    family.

    Parameters
    ----------
    top, bottom : Record
        Returned by `sbnn.fit_full` for the same data; in the published figure, `top` has 64 units
        and `bottom` has 2.
    family : str, optional
        Family to enlarge. The default is "Vip" if it has several types, otherwise the most frequent
        family with several types.
    scores : sequence of Record, (Record, dict) or None, optional
        As in `latent_panels`.

    Returns
    -------
    matplotlib.figure.Figure
        The colour range of each large map covers the predictions for the cells shown, except the
        most extreme 2 % at either end.
    """
    models = models_of(top, bottom, scores)
    record, groups, *_, r2 = models[-1]
    of_types = {
        family: set(groups.types[groups.families == family]) - {UNKNOWN}
        for family in groups.table.index
    }
    known = [family for family, types in of_types.items() if family != UNKNOWN and len(types) > 1]
    family = family or ("Vip" if "Vip" in known else next(iter(known), None))
    if family not in known:
        raise ValueError(
            f"family: expected a family with several types, one of {known}, got {family!r}"
        )
    own = groups.families == family
    xy = map_coordinates(record)[0]
    low, high = np.quantile(xy[own], [0.025, 0.975], axis=0)
    side = max((high - low).max() * (1 + 2 * SPARE), 0.05)
    corner = (low + high) / 2 - side / 2

    figure = new_figure(1, "none")
    families, strip = families_legend(figure, models)
    room = (
        draw_legend(figure, groups.count("type", own), f"types in {shortened(family)} (cells)")[1]
        + 0.1
    )
    row = HEADING + PANEL + BAR_ROOM
    figure.set_size_inches(WIDTH, height := len(models) * HALF + strip + row + room)
    families.set_bbox_to_anchor((MARGIN / WIDTH, (room + row) / height))
    letters = "abc"
    # no inset: the panels below enlarge a part
    centre = draw_models(figure, models, room + row, letters, inset=False)
    centre.add_patch(Rectangle(corner, side, side, clip_on=False, **DASHED))
    y = room + BAR_ROOM
    figure.text(
        0.03 / WIDTH,
        (y + PANEL + 0.06) / height,
        letters[len(models)],
        fontsize=9,
        fontweight="bold",
    )

    xy = (xy - corner) / side  # in the square around the family, coordinates go from 0 to 1
    triangles, inside = map_triangles(xy), ((xy > 0) & (xy < 1)).all(1)
    ax = _panel(figure, 1, y, f"{shortened(family)}, {(own & inside).sum()} of {own.sum()} cells")
    draw_cells(
        ax, xy[own], groups.colors[own], groups.markers[own], size=np.clip(3000 / own.sum(), 4, 20)
    )
    for i, name, style, values, meaning in (
        _marker(record, family, own),
        *_outputs(record, own, r2),
    ):
        limits = np.quantile(values[inside], [0.02, 0.98])
        limits = limits if np.ptp(limits) else limits + [-0.5, 0.5]
        draw_map(_panel(figure, i, y, name, style, PANEL), (0, 0), PANEL, triangles, values, limits)
        x = MARGIN + i * (PANEL + ZOOM_GAP) + 0.1 * PANEL
        draw_colorbar(figure, x, y - 0.14, 0.8 * PANEL, meaning, limits, MaxNLocator(4))
    return figure


def _panel(figure, i, y, heading, style="normal", size=1):
    """Axes of the panel at position `i` from the left, with a heading and a frame."""
    x = MARGIN + i * (PANEL + ZOOM_GAP)
    ax = place_panel(figure, x, y, PANEL, PANEL, ((0, size), (0, size)))
    ax.add_patch(Rectangle((0, 0), 1, 1, transform=ax.transAxes, **DASHED))
    place = np.array([x + PANEL / 2, y + PANEL + 0.06]) / figure.get_size_inches()
    fit_text(figure.text(*place, heading, ha="center", fontsize=7.5, fontstyle=style), PANEL)
    return ax


def _marker(record, family, own):
    """Panel position, name, font style and predictions of the marker gene, and the label of its colour bar."""
    kept = np.asarray(record.kept_genes).tolist()
    # Means over the family are compared, since the mean of every gene over all cells is zero.
    best = (
        kept.index(family)
        if family in kept
        else int(np.argmax(record.predicted_expression[own].mean(0)))
    )
    return (
        0,
        kept[best],
        "italic",
        record.predicted_expression[:, best],
        "predicted expression (z-score)",
    )


def _outputs(record, own, r2):
    """For each of two outputs, a tuple with the same five entries as returned by `_marker`."""
    names = np.asarray(record.feature_names).tolist()
    varied = np.argsort(-record.predictions[own].std(0), kind="stable")[:2]
    places = [names.index(name) for name in OUTPUTS] if set(OUTPUTS) <= set(names) else varied
    titles = [
        names[i] if r2 is None else f"{names[i]}, test R² {r2[i]:.2f}".replace("-", "−")
        for i in places
    ]
    shown = zip((2, 3), titles, places, strict=False)
    return [
        (i, title, "normal", record.predictions[:, j], "prediction (z-score)")
        for i, title, j in shown
    ]
