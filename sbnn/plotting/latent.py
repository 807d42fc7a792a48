"""The map of the cells that a model makes, with what the model predicts at each place of the map."""

import numpy as np
from scipy.spatial import cKDTree

from sbnn.data.checks import UNKNOWN
from sbnn.plotting import reading
from sbnn.plotting.cells import MOST_GROUPS, draw_crowd, draw_legend, draw_panel, legend_title, looks
from sbnn.plotting.colors import families_of, family_table
from sbnn.plotting.common import MANY, WIDTH, new_figure, styled
from sbnn.plotting.labels import HALO, fit_text, place_names, shortened
from sbnn.plotting.maps import draw_colorbar, draw_map, map_coordinates, map_triangles, widened

# Shown first where a data set has them: the features of the published figure, in its order.
FEATURES = ("AP width", "AHP", "AI", "R_input", "Max AP num", "Tau", "Rebound", "V_rest", "Rheobase")
N_MAPS = 9
TRUE = "✓"  # beside genes that are known to drive the outputs
AROUND = 9  # cells that are nearest to a name
LETTERS = 18  # of a name on the map
FIT = "a record of a model fitted to all cells"
NEEDED = (
    *("embedding", "latent", "predictions", "feature_names", "train_feature_r2", "labels", "colors"),
    *("kept_genes", "selected", "expression", "predicted_expression"),
)
# Sizes in inches: a map, the gap beside it and the title above it, margins, half of the figure, the colour bar.
MAP, GAP, TITLE, MARGIN, BASE, HALF, BAR = 0.66, 0.06, 0.14, 0.06, 0.06, 2.72, 1.5


@styled
def latent_panels(top, bottom=None, features=None, palette="published", scores=None, true_genes=None):
    """Latent space of one or two models: cells by type, between maps of predicted genes and predicted features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full`, of the same data. The panel shows ``embedding``.
    features : sequence of str, optional
        Outputs to map, at most nine; by default those of the published figure, then the best predicted ones.
    palette : {"published", "colorblind"}
        Cells in the colours of their types, or families in colours and shapes that any colour vision tells apart.
    scores : sequence of Record, (Record, dict) or None, optional
        For each model its cross-validation, with the parameters of the grid point if there are several: the mean test
        R2 of an output is written beside its name.
    true_genes : sequence of str, optional
        Of simulated data, the genes that drive the outputs: they are marked.

    Returns
    -------
    matplotlib.figure.Figure
        Maps show the prediction in z-scores, linearly interpolated between neighbouring cells. A crowded place is drawn
        once more, larger, in an empty corner; stray cells are drawn at the border, and gaps of a t-SNE compressed.
    """
    records = [top] if bottom is None else [top, bottom]
    halves = choose_maps(records, features, scores)

    figure = new_figure(1)
    figure.set_layout_engine("none")
    strip = families_legend(figure, top, palette)[1]
    figure.set_size_inches(WIDTH, len(halves) * HALF + strip)
    draw_prediction_bar(figure, 0)
    draw_halves(figure, halves, len(halves) * HALF + strip, palette, "ab" if bottom is not None else " ", true_genes)
    return figure


def choose_maps(records, features=None, scores=None):
    """Check the records of `latent_panels` and choose what their maps show."""
    for record, argument in zip(records, ("top", "bottom"), strict=False):
        reading.require(record, argument, FIT, NEEDED)
        reading.require_same_data(record, argument, records[0])
    scores = [None] * len(records) if scores is None else scores
    return [
        (record, rank_genes(record)[:N_MAPS], _features(record, features), _test_r2(record, score))
        for record, score in zip(records, scores, strict=True)
    ]


def families_legend(figure, record, palette="published"):
    """Draw the legend of the families at the lower left of the figure, beside the place of the colour bar."""
    table, title = looks(record, palette)[0], legend_title(record, palette)
    legend = draw_legend(figure, table, title, WIDTH - BAR - 4 * MARGIN, MARGIN)
    return legend, max(legend.get_window_extent().height / figure.dpi + 0.1, 0.44)


def draw_prediction_bar(figure, y):
    """Draw the colour bar of the maps above a height in inches; the figure has its final size."""
    draw_colorbar(figure, WIDTH - MARGIN - BAR, y + 0.3, BAR, "prediction (z-score)", ticks=[-2, -1, 0, 1, 2])


def mark_true(gene, true_genes):
    """Name of a gene, with a mark if it is one of the true ones."""
    return f"{gene} {TRUE}" if gene in set(true_genes) else str(gene)


def draw_halves(figure, halves, top, palette, letters, true_genes=None):
    """Draw the models of `choose_maps` one below the other, from a height in inches downwards."""
    centres = []
    for i, (half, letter) in enumerate(zip(halves, letters, strict=False)):
        centres.append(_draw_half(figure, top - (i + 1) * HALF, *half, letter, palette, true_genes))
    for (record, *_), (ax, xy) in zip(halves, centres, strict=True):
        name_families(ax, record, xy)
    return [ax for ax, _ in centres]


def rank_genes(record):
    """Positions of the kept genes, the most important first."""
    if "gene_norms" in record.values:
        merit = record.gene_norms[record.selected]
    else:
        merit = 1 - ((record.expression - record.predicted_expression) ** 2).mean(0)  # z-scores: R2
    return np.argsort(-merit, kind="stable")


def _features(record, wanted):
    names = np.asarray(record.feature_names)
    if wanted is not None:
        if len(wanted) > N_MAPS or not set(wanted) <= set(names):
            raise ValueError(f"features: expected at most {N_MAPS} of the outputs {', '.join(names)}, got {wanted}")
        return [int(np.flatnonzero(names == name)[0]) for name in wanted]
    known = [int(np.flatnonzero(names == name)[0]) for name in FEATURES if name in names]
    best = np.argsort(-record.train_feature_r2, kind="stable").tolist()
    return (known + [i for i in best if i not in known])[:N_MAPS]


def _test_r2(record, score):
    """Mean test R2 of every output in the cross-validation of the model of a fit."""
    if score is None:
        return None
    folds, point = reading.model(score, "scores", len(record.kept_genes))
    reading.require_same_data(folds, "scores", record)
    return np.asarray(folds.test_feature_r2[:, point].mean(axis=0))


def place_panel(figure, x, y, width, height, limits=((0, 1), (0, 1))):
    """Axes at a place in inches, without ticks and frame."""
    inches = figure.get_size_inches()
    ax = figure.add_axes((x / inches[0], y / inches[1], width / inches[0], height / inches[1]))
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_axis_off()
    return ax


def _draw_half(figure, bottom, record, genes, features, r2, letter, palette, true_genes):
    """One model, from a height in inches upwards; returns the axes of the cells, and where these are."""

    def write(x, y, text, **options):
        place = np.array([x, bottom + y]) / figure.get_size_inches()
        return figure.text(*place, text, **{"ha": "center", "va": "baseline", **options})

    xy, note = map_coordinates(record)
    triangles = map_triangles(xy)
    block, side = 3 * MAP + 2 * GAP, 3 * MAP + 2 * TITLE
    # All maps in one pair of axes in inches.
    maps = place_panel(figure, 0, bottom, WIDTH, HALF, ((0, WIDTH), (0, HALF)))
    outputs, of_outputs = list(map(str, record.feature_names)), "predicted features"
    ends = [""] * len(outputs) if r2 is None else [f" {value:.2f}".replace("-", "−") for value in r2]
    of_outputs += "" if r2 is None else ", test R²"
    if len(outputs) > MANY:
        of_outputs = f"{len(features)} of {len(outputs)} {of_outputs}"
    wide = widened(record)
    ends = [end + (f" ×{by:.0f}" if by > 1 else "") for end, by in zip(ends, wide, strict=True)]
    if (wide[features] > 1).any():
        write(WIDTH - MARGIN - block / 2, 0, "×: stretched, as outliers widen its SD", fontsize=5, color="0.45")
    kept, of_genes = list(map(str, record.kept_genes)), "predicted expression"
    if true_genes is not None:
        kept = [mark_true(gene, true_genes) for gene in kept]
        of_genes += f", {TRUE} true"
    for left, values, chosen, names, kept_ends, slant, heading in (
        (MARGIN, record.predicted_expression, genes, kept, [""] * len(kept), "italic", of_genes),
        (WIDTH - MARGIN - block, record.predictions * wide, features, outputs, ends, "normal", of_outputs),
    ):
        write(left + block / 2, side + 0.3, heading)
        for i, column in enumerate(chosen):
            x, y = left + i % 3 * (MAP + GAP), (2 - i // 3) * (MAP + TITLE) + BASE
            draw_map(maps, np.array([x, y]), MAP, xy, triangles, values[:, column])
            end = kept_ends[column]
            name = write(x + MAP / 2, y + MAP + 0.03, names[column] + end, fontstyle=slant, fontsize=6.5)
            fit_text(name, MAP + GAP - 0.03, keep=end)
    ax = place_panel(figure, (WIDTH - side) / 2, bottom + BASE, side, side)
    draw_panel(ax, xy, note, *looks(record, palette)[1:], size=np.clip(6000 / len(xy), 1, 12))
    draw_crowd(ax, xy, families_of(record), *looks(record, palette)[1:])
    write(WIDTH / 2, side + 0.3, reading.model_title(record), fontweight="bold", fontsize=7.5)
    write(0.03, side + 0.3, letter, fontweight="bold", fontsize=9, ha="left")
    return ax, xy


def name_families(ax, record, xy):
    """Write each family where its cells are dense and among themselves."""
    families = families_of(record)
    table = family_table(record).drop(index=UNKNOWN, errors="ignore")
    if len(table) < 2 or len(table) > MOST_GROUPS:
        return
    peaks = np.array([family_centre(xy, families == family) for family in table.index])
    renderer = ax.figure.canvas.get_renderer()
    names = [shortened(family, LETTERS) for family in table.index]
    insets = [inset.get_window_extent(renderer) for inset in ax.child_axes]
    notes = place_names(ax, peaks, names, renderer, insets, background=xy, leader=False, fontsize=6.5)
    tree, to_data = cKDTree(xy), ax.transData.inverted()
    for note, family, peak in zip(notes, table.index, peaks, strict=True):
        box = note.get_window_extent(renderer)
        middle = to_data.transform([(box.x0 + box.x1) / 2, (box.y0 + box.y1) / 2])
        near = tree.query(middle, k=min(AROUND, len(xy)))[1]
        if (families[near] == family).mean() < 0.5:  # the name would be taken for that of its neighbours
            corners = np.clip(ax.transData.transform(peak), box.min, box.max)
            line = np.array([peak, to_data.transform(corners)])
            ax.plot(*line.T, color="0.15", lw=0.6, zorder=4, path_effects=HALO)


def family_centre(xy, own):
    """Cell of a family where its density (its root, as cells fill a plane) times its purity (squared) is largest."""
    cells = xy[own]
    k = min(int(len(cells) ** 0.5) + 1, len(cells))
    distance = cKDTree(cells).query(cells, k=np.arange(1, k + 1))[0].mean(axis=1)
    near = cKDTree(xy).query(cells, k=np.arange(1, min(2 * k + 1, len(xy) + 1)))[1]
    purity = own[near].mean(axis=1)
    return cells[np.argmax(purity**2 / np.maximum(distance, 1e-12))]
