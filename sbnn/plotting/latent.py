"""The map of the cells that a model makes, with what the model predicts at each place of the map."""

import numpy as np
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle
from matplotlib.tri import Triangulation
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from sbnn.plotting import reading
from sbnn.plotting.common import (
    WIDTH,
    families_of,
    family_table,
    new_figure,
    styled,
    type_colors,
)
from sbnn.plotting.labels import place_names

# Shown first where a data set has them: the features of the published figure, in its order.
FEATURES = ("AP width", "AHP", "AI", "R_input", "Max AP num", "Tau", "Rebound", "V_rest", "Rheobase")
N_MAPS = 9
LIMIT = 2.0  # z-scores: all maps have the same colour range, so that they compare
FIT = "a record of a model fitted to all cells"
NEEDED = (
    *("embedding", "latent", "predictions", "feature_names", "train_feature_r2", "labels", "colors"),
    *("kept_genes", "selected", "expression", "predicted_expression"),
)
MOST_FAMILIES = 24
# Sizes in inches: a map, the gap beside it and the title above it, margins, half of the figure, the colour bar.
MAP, GAP, TITLE, MARGIN, BASE, HALF, BAR = 0.66, 0.06, 0.14, 0.06, 0.06, 2.72, 1.5
ABBREVIATIONS = {"SparseBottleneckRegressor": "sBNN", "SparseReducedRankRegression": "sRRR"}


@styled
def latent_panels(top, bottom=None, genes=None, features=None, titles=None):
    """Latent space of one or two models: cells by type, between maps of predicted genes and predicted features.

    Parameters
    ----------
    top, bottom : Record
        From `sbnn.fit_full`, of the same data. The panel shows ``embedding``.
    genes : sequence of str or pair of sequences, optional
        Kept genes to map, at most nine, for both models or for each. By default those with the largest weight norm
        or, where the model has none, those whose expression the latent space predicts best.
    features : sequence of str, optional
        Outputs to map, at most nine. By default those of the published figure, as far as there are any; the best
        predicted ones fill up.
    titles : sequence of str, optional
        One per model; by default its abbreviation and width.

    Returns
    -------
    matplotlib.figure.Figure
        Maps show the prediction in z-scores, linearly interpolated between neighbouring cells, blank where there are
        none. Axis limits leave out extreme cells (outside the range of the central 95 % by more than half that range).

    Raises
    ------
    TypeError, ValueError
        If a record is of another kind or of other data, or has no such gene or feature.
    """
    records = [top] if bottom is None else [top, bottom]
    for record, argument in zip(records, ("top", "bottom"), strict=False):
        reading.require(record, argument, FIT, NEEDED)
        reading.require_same_data(record, argument, top)
    titles = [_title(record) for record in records] if titles is None else list(titles)
    if len(titles) != len(records):
        raise ValueError(f"titles: expected {len(records)}, one per model, got {len(titles)}")
    one_list = genes is None or all(isinstance(gene, str) for gene in genes)
    each = [genes] * len(records) if one_list else list(genes)
    if len(each) != len(records):
        raise ValueError(f"genes: expected a list of names, or {len(records)} of them, one per model, got {len(each)}")
    chosen = [(_genes(record, own), _features(record, features)) for record, own in zip(records, each, strict=True)]

    figure = new_figure(1)
    figure.set_layout_engine("none")
    legend = _family_legend(figure, top)
    strip = max(legend.get_window_extent().height / figure.dpi + 0.1, 0.44)  # at least the colour bar with its label
    height = len(records) * HALF + strip
    figure.set_size_inches(WIDTH, height)
    centres = []
    for i, (record, (own, outputs)) in enumerate(zip(records, chosen, strict=True)):
        letter = "ab"[i] if len(records) > 1 else ""
        centres.append(_draw_half(figure, record, height - (i + 1) * HALF, own, outputs, titles[i], letter))
    _draw_colorbar(figure)
    for record, ax in zip(records, centres, strict=True):
        name_families(ax, record)
    return figure


def map_triangles(xy, stretch=0.85):
    """Delaunay triangles over the cells, without those that span places where there are no cells.

    The circle through the corners of a Delaunay triangle is empty of cells. A triangle goes if that circle is larger
    than `stretch` times the typical distance of its corners to their tenth neighbours: dense and sparse parts of the
    map are judged by their own measure. Crumbs are swept away, and cracks inside the map closed.

    Parameters
    ----------
    xy : ndarray, shape (n, 2)
    stretch : float

    Returns
    -------
    matplotlib.tri.Triangulation or None
        None if no triangle is left: too few cells, or all on one line.
    """
    try:
        triangles = Triangulation(*xy.T)
    except (RuntimeError, ValueError):
        return None
    spacing = cKDTree(xy).query(xy, k=min(11, len(xy)))[0][:, -1]
    spacing = np.minimum(spacing, np.quantile(spacing, 0.9))  # stray cells are far from everything
    hidden = _circumradius(xy[triangles.triangles]) > stretch * np.median(spacing[triangles.triangles], axis=1)
    hidden = hidden ^ _small_parts(triangles, hidden, False, 8)
    hidden = hidden ^ _small_parts(triangles, hidden, True, 8)
    if hidden.all():
        return None
    triangles.set_mask(hidden)
    return triangles


def _circumradius(corners):
    """Radius of the circle through the corners (m, 3, 2) of every triangle."""
    a, b, c = np.linalg.norm(corners - np.roll(corners, 1, axis=1), axis=2).T
    u, v = (corners[:, 1:] - corners[:, :1]).swapaxes(0, 1)
    return a * b * c / np.maximum(2 * np.abs(u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]), 1e-30)


def _small_parts(triangles, hidden, state, size):
    """Connected parts of at most `size` triangles with this state of `hidden`, but for hidden ones at the hull."""
    first, side = np.nonzero(triangles.neighbors >= 0)
    second = triangles.neighbors[first, side]
    same = hidden[first] == hidden[second]
    n = len(hidden)
    part = connected_components(coo_array((np.ones(same.sum()), (first[same], second[same])), shape=(n, n)))[1]
    small = np.bincount(part)[part] <= size
    if state:
        small &= ~np.isin(part, part[(triangles.neighbors < 0).any(1)])
    return small & (hidden == state)


def _title(record):
    estimator = record.settings.get("estimator", {})
    name = estimator.get("class", "model").split(".")[-1]
    width = record.latent.shape[1]
    tsne = " + t-SNE" if width > 2 else ""
    return f"{ABBREVIATIONS.get(name, name)}-{width}{tsne}, {len(record.kept_genes)} genes"


def rank_genes(record):
    """Positions of the kept genes, the most important first.

    Parameters
    ----------
    record : Record

    Returns
    -------
    ndarray of int
        Ordered by weight norm or, where the model has none, by how well the latent space predicts the expression.
    """
    if "gene_norms" in record.values:
        merit = record.gene_norms[record.selected]
    else:
        merit = 1 - ((record.expression - record.predicted_expression) ** 2).mean(0)  # z-scores: R2
    return np.argsort(-merit, kind="stable")


def _genes(record, wanted):
    if wanted is not None:
        return _wanted(wanted, np.asarray(record.kept_genes), "genes", "kept genes")
    return rank_genes(record)[:N_MAPS].tolist()


def _features(record, wanted):
    names = np.asarray(record.feature_names)
    if wanted is not None:
        return _wanted(wanted, names, "features", "outputs")
    known = [int(np.flatnonzero(names == name)[0]) for name in FEATURES if name in names]
    best = np.argsort(-record.train_feature_r2, kind="stable").tolist()
    return (known + [i for i in best if i not in known])[:N_MAPS]


def _wanted(wanted, names, argument, kind):
    missing = [name for name in wanted if name not in names]
    if missing or not 1 <= len(wanted) <= N_MAPS:
        raise ValueError(
            f"{argument}: expected 1 to {N_MAPS} of the {kind} {list(map(str, names))}, got {len(wanted)}"
            + (f", unknown: {missing}" if missing else "")
        )
    return [int(np.flatnonzero(names == name)[0]) for name in wanted]


def map_coordinates(record):
    """Coordinates of the cells in units of the panel (0 to 1 on both axes but for extreme cells)."""
    xy = np.asarray(record.embedding, float)
    if np.ptp(xy[:, 1]) == 0:
        # One latent dimension: spread the cells over a strip by the van der Corput sequence, which leaves no gaps.
        order = np.argsort(np.argsort(xy[:, 0], kind="stable"))
        strip = [int(f"{i:032b}"[::-1], 2) / 2**32 for i in order]
        xy = np.column_stack([xy[:, 0], strip])
    low, high = np.quantile(xy, [0.025, 0.975], axis=0)
    reach = 0.5 * (high - low)
    low, high = np.maximum(xy.min(0), low - reach), np.minimum(xy.max(0), high + reach)
    size = np.where(high > low, high - low, 1.0)
    if record.latent.shape[1] > 2:
        # The units of a latent dimension mean nothing, the proportions of t-SNE do: a little stretch is not seen.
        size = np.maximum(size, size.max() / 1.2)
    return 0.5 + 0.93 * (xy - (low + high) / 2) / size


def _panel(figure, x, y, width, height, limits=((0, 1), (0, 1))):
    """Axes at a place in inches, without ticks and frame."""
    inches = figure.get_size_inches()
    ax = figure.add_axes((x / inches[0], y / inches[1], width / inches[0], height / inches[1]))
    ax.set(xlim=limits[0], ylim=limits[1])
    ax.set_axis_off()
    return ax


def _draw_half(figure, record, bottom, genes, features, title, letter):
    """One model, from a height in inches upwards; returns the axes of the cells."""

    def write(x, y, text, **options):
        place = np.array([x, bottom + y]) / figure.get_size_inches()
        return figure.text(*place, text, **{"ha": "center", "va": "baseline", **options})

    xy = map_coordinates(record)
    triangles = map_triangles(xy)
    block, side = 3 * MAP + 2 * GAP, 3 * MAP + 2 * TITLE
    # All maps in one pair of axes in inches, which becomes one image in the PDF.
    maps = _panel(figure, 0, bottom, WIDTH, HALF, ((0, WIDTH), (0, HALF)))
    maps.set_rasterized(True)
    for left, values, chosen, names, slant, heading in (
        (MARGIN, record.predicted_expression, genes, record.kept_genes, "italic", "predicted expression"),
        (WIDTH - MARGIN - block, record.predictions, features, record.feature_names, "normal", "predicted features"),
    ):
        write(left + block / 2, side + 0.3, heading)
        for i, column in enumerate(chosen):
            x, y = left + i % 3 * (MAP + GAP), (2 - i // 3) * (MAP + TITLE) + BASE
            _draw_map(maps, np.array([x, y]), xy, triangles, values[:, column])
            name = write(x + MAP / 2, y + MAP + 0.03, names[column], fontstyle=slant, fontsize=6.5)
            _fit(name, MAP + GAP - 0.03)
    ax = _panel(figure, (WIDTH - side) / 2, bottom + BASE, side, side)
    # In random order, so that no type lies on top of all others.
    order = np.random.default_rng(0).permutation(len(xy))
    size = np.clip(6000 / len(xy), 1, 12)
    ax.scatter(*xy[order].T, s=size, c=type_colors(record)[order], lw=0, rasterized=True)
    write(WIDTH / 2, side + 0.3, title, fontweight="bold", fontsize=7.5)
    write(0.03, side + 0.3, letter, fontweight="bold", fontsize=9, ha="left")
    return ax


def _draw_map(ax, corner, xy, triangles, values):
    """Prediction over the map, in a square of `MAP` inches at a place of axes in inches."""
    frame = Rectangle(corner, MAP, MAP, transform=ax.transData)
    x, y = (corner + xy * MAP).T
    if triangles is None:
        ax.scatter(x, y, c=values, s=3, lw=0, vmin=-LIMIT, vmax=LIMIT).set_clip_path(frame)
        return
    placed = Triangulation(x, y, triangles.triangles, triangles.mask)
    steps = np.linspace(-LIMIT, LIMIT, 41)
    contours = ax.tricontourf(placed, values, levels=steps, extend="both", vmin=-LIMIT, vmax=LIMIT, antialiased=True)
    contours.set(edgecolor="face", linewidth=0.5, clip_path=frame)  # the edges close the seams of smooth drawing


def _fit(text, width):
    """Make a text fit a width in inches: smaller down to 5 points, then cut."""

    def measure():
        return text.get_window_extent().width / text.get_figure().dpi

    while measure() > width and text.get_fontsize() > 5:
        text.set_fontsize(text.get_fontsize() - 0.25)
    while measure() > width and len(text.get_text()) > 2:
        text.set_text(text.get_text().rstrip("…")[:-1] + "…")


def _family_legend(figure, record):
    """Families with their counts and colours, in as many columns as fit beside the colour bar."""
    table = family_table(record)
    if len(table) > MOST_FAMILIES:
        rest = table.iloc[MOST_FAMILIES - 1 :]
        table = table.iloc[: MOST_FAMILIES - 1]
        table.loc[f"{len(rest)} others"] = [rest["count"].sum(), "none"]
    entries = [
        Line2D([], [], marker="o", ms=4, ls="", color=color, label=f"{family} ({count})")
        for family, count, color in zip(table.index, table["count"], table["color"], strict=True)
    ]
    options = {"loc": "lower left", "bbox_to_anchor": (MARGIN / WIDTH, 0), "handletextpad": 0.1, "handlelength": 1.2}
    narrow = figure.legend(handles=entries, **options)
    columns = int((WIDTH - BAR - 4 * MARGIN) / (narrow.get_window_extent().width / figure.dpi + 0.12))
    narrow.remove()
    rows = -(-len(entries) // max(columns, 1))
    options |= {"title": "families (cells), in the colour of their most frequent type", "alignment": "left"}
    return figure.legend(handles=entries, ncols=-(-len(entries) // rows), **options)


def name_families(ax, record):
    """Write each family at the densest place of its cells."""
    xy, families = map_coordinates(record), families_of(record)
    table = family_table(record).drop(index="unknown", errors="ignore")
    if len(table) < 2 or len(table) > MOST_FAMILIES:
        return
    peaks = []
    for family in table.index:
        own = xy[families == family]
        distance = cKDTree(own).query(own, k=np.arange(1, int(len(own) ** 0.5) + 2).clip(max=len(own)))[0]
        peaks.append(own[np.argmin(distance.mean(1))])
    place_names(ax, np.array(peaks), table.index, ax.figure.canvas.get_renderer(), background=xy, fontsize=6.5)


def _draw_colorbar(figure):
    height = figure.get_size_inches()[1]
    ax = figure.add_axes(((WIDTH - MARGIN - BAR) / WIDTH, 0.3 / height, BAR / WIDTH, 0.07 / height))
    bar = figure.colorbar(
        ScalarMappable(Normalize(-LIMIT, LIMIT)),
        cax=ax,
        orientation="horizontal",
        extend="both",
        ticks=[-2, -1, 0, 1, 2],
    )
    bar.set_label("prediction (z-score)", labelpad=1)
    bar.outline.set_linewidth(0.4)
