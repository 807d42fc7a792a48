"""The map of the cells that a model makes, with what the model predicts at each place of the map."""

import numpy as np

from sbnn.plotting import reading
from sbnn.plotting.cells import MARGIN, draw_cloud, draw_legend, legend_title, looks
from sbnn.plotting.common import MANY, WIDTH, new_figure, styled
from sbnn.plotting.labels import fit_text
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles, widened

# Shown first where a data set has them: the features of the published figure, in its order.
FEATURES = ("AP width", "AHP", "AI", "R_input", "Max AP num", "Tau", "Rebound", "V_rest", "Rheobase")
N_MAPS = 9
TRUE = "✓"  # beside genes that are known to drive the outputs
FIT = "a record of a model fitted to all cells"
NEEDED = (
    *("embedding", "latent", "predictions", "outputs", "feature_names", "train_feature_r2", "labels", "colors"),
    *("kept_genes", "selected", "expression", "predicted_expression"),
)
# Sizes in inches: a map, the gap beside it and the title above it, below the maps, half of the figure, the colour bar.
MAP, GAP, TITLE, BASE, HALF, BAR = 0.66, 0.06, 0.14, 0.06, 2.72, 1.5
BLOCK, SIDE = 3 * MAP + 2 * GAP, 3 * MAP + 2 * TITLE  # three maps side by side, and the map of the cells


@styled
def latent_panels(top, bottom=None, colorblind=False, scores=None, true_genes=None):
    """Latent space of one or two models: cells by type, between maps of predicted genes and predicted features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full`, of the same data. The panel shows ``embedding``.
    colorblind : bool
        Families in colours and shapes that any colour vision tells apart, not cells in the colours of their types.
    scores : sequence of Record, (Record, dict) or None, optional
        For each model its cross-validation, with the parameters of the grid point if there are several: the mean test
        R2 of an output is written beside its name.
    true_genes : sequence of str, optional
        Of simulated data, the genes that drive the outputs: they are marked.

    Returns
    -------
    matplotlib.figure.Figure
        Maps show the prediction in z-scores, linearly interpolated between neighbouring cells; at most nine outputs,
        those of the published figure, then the best predicted ones. A crowded place is drawn once more, larger, in an
        empty corner; stray cells are drawn at the border, and gaps of a t-SNE compressed.
    """
    models = models_of(top, bottom, scores)
    figure = new_figure(1, "none")
    strip = families_legend(figure, top, colorblind)[1]
    figure.set_size_inches(WIDTH, len(models) * HALF + strip)
    draw_models(figure, models, 0, " " if bottom is None else "ab", colorblind, true_genes)
    return figure


def models_of(top, bottom, scores):
    """The fits, checked, each with the mean test R2 of its outputs or None."""
    fits = [top] if bottom is None else [top, bottom]
    for fit, argument in zip(fits, ("top", "bottom"), strict=False):
        reading.require(fit, argument, FIT, NEEDED, top)
    return [(fit, _test_r2(fit, score)) for fit, score in zip(fits, scores or [None] * len(fits), strict=True)]


def _test_r2(fit, score):
    if score is None:
        return None
    folds, point = reading.model(score, "scores", len(fit.kept_genes), fit)
    return folds.test_feature_r2[:, point].mean(axis=0)


def families_legend(figure, record, colorblind=False):
    """Draw the legend of the families beside the place of the colour bar; gives it and the inches that both need."""
    table, title = looks(record, colorblind)[0], legend_title(record, colorblind)
    legend, height = draw_legend(figure, table, title, WIDTH - BAR - 4 * MARGIN)
    return legend, max(height + 0.1, 0.44)


def draw_models(figure, models, y, letters, colorblind=False, true_genes=None):
    """Draw the models one below the other, and their colour bar at a height; gives the axes of the last map."""
    height = figure.get_figheight()
    draw_colorbar(figure, WIDTH - MARGIN - BAR, y + 0.3, BAR, "prediction (z-score)", ticks=[-2, -1, 0, 1, 2])
    for i, (model, letter) in enumerate(zip(models, letters, strict=False), 1):
        ax = _draw_half(figure, height - i * HALF, *model, letter, colorblind, true_genes)
    return ax


def mark_true(gene, true_genes):
    """Name of a gene, with a mark if it is one of the true ones."""
    return f"{gene} {TRUE}" if gene in set(true_genes) else str(gene)


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
    """Axes at a place in inches, without ticks and frame."""
    inches = figure.get_size_inches()
    ax = figure.add_axes((x / inches[0], y / inches[1], width / inches[0], height / inches[1]))
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_axis_off()
    return ax


def _draw_half(figure, bottom, record, r2, letter, colorblind, true_genes):
    """Draw one model, from a height in inches upwards."""

    def write(x, y, text, **options):
        place = np.array([x, bottom + y]) / figure.get_size_inches()
        return figure.text(*place, text, **{"ha": "center", "va": "baseline", **options})

    def draw_maps(left, heading, places, names, ends, values, slant):
        write(left + BLOCK / 2, SIDE + 0.3, heading)
        for i, column in enumerate(places):
            x, y = left + i % 3 * (MAP + GAP), (2 - i // 3) * (MAP + TITLE) + BASE
            draw_map(maps, (x, y), MAP, triangles, values[:, column])
            name = write(x + MAP / 2, y + MAP + 0.03, names[column] + ends[column], fontstyle=slant, fontsize=6.5)
            fit_text(name, MAP + GAP - 0.03, keep=ends[column])

    xy, note = map_coordinates(record)
    triangles = map_triangles(xy)
    # All maps in one pair of axes in inches.
    maps = place_panel(figure, 0, bottom, WIDTH, HALF, ((0, WIDTH), (0, HALF)))
    genes, heading = list(map(str, record.kept_genes)), "predicted expression"
    if true_genes is not None:
        genes, heading = [mark_true(gene, true_genes) for gene in genes], f"{heading}, {TRUE} true"
    draw_maps(
        MARGIN, heading, rank_genes(record)[:N_MAPS], genes, [""] * len(genes), record.predicted_expression, "italic"
    )

    outputs, features, wide = list(map(str, record.feature_names)), _features(record), widened(record)
    heading = "predicted features" + ("" if r2 is None else ", test R²")
    if len(outputs) > MANY:
        heading = f"{len(features)} of {len(outputs)} {heading}"
    ends = [""] * len(outputs) if r2 is None else [f" {value:.2f}".replace("-", "−") for value in r2]
    ends = [end + (f" ×{by:.0f}" if by > 1 else "") for end, by in zip(ends, wide, strict=True)]
    left = WIDTH - MARGIN - BLOCK
    draw_maps(left, heading, features, outputs, ends, record.predictions * wide, "normal")
    if (wide[features] > 1).any():
        write(left + BLOCK / 2, 0, "×: stretched, as outliers widen its SD", fontsize=5, color="0.45")

    ax = place_panel(figure, (WIDTH - SIDE) / 2, bottom + BASE, SIDE, SIDE)
    draw_cloud(ax, record, xy, note, np.clip(6000 / len(xy), 1, 12), colorblind, inset=True)
    write(WIDTH / 2, SIDE + 0.3, reading.model_title(record), fontweight="bold", fontsize=7.5)
    write(0.03, SIDE + 0.3, letter, fontweight="bold", fontsize=9, ha="left")
    return ax
