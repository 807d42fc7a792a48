"""How wide the bottleneck has to be, how stable the choice of the genes is, and which outputs are predicted."""

import numpy as np

from sbnn.evaluation.stability import gene_counts, selections
from sbnn.plotting import reading
from sbnn.plotting.accuracy import choose_models
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import freeze_layout, legend_above, letter_panels, name_columns, name_rows, new_figure, styled
from sbnn.plotting.labels import shortened

MOST_GENES, MOST_OUTPUTS = 36, 60
LINE = 8.5  # points, of the rows of numbers below the widths
SHAPES = "osD^vX"


@styled
def width_and_stability(widths, selection, models, n_genes=25, group_lasso=0.1):
    """Test R2 against the width of the bottleneck, how often each gene is chosen, and test R2 of every output.

    Parameters
    ----------
    widths : dict of str to Record
        Cross-validations over ``n_components``, by the name of the protocol; the strength of the group lasso nearest to
        `group_lasso`, most genes up to `n_genes`, and the pretrained network if there is one, are drawn.
    selection : Record
        Repeated fits, of other cells or seeds; or any with ``selected`` (fits, p) and ``gene_names`` (p).
    models : dict of str to Record or (Record, dict)
        Whose ``test_feature_r2`` to compare, as for `accuracy_comparison`; the outputs are sorted by the first.
    n_genes : int
    group_lasso : float

    Returns
    -------
    matplotlib.figure.Figure
        Bars are the sample SD over folds. At most 36 genes and 60 outputs are drawn; the rest is counted.
    """
    first = next(iter(widths.values()))
    lines = {name: _points_by_width(name, record, n_genes, group_lasso, first) for name, record in widths.items()}
    reading.require(selection, "selection", "a record of repeated fits", ["selected", "gene_names"], first)
    chosen = choose_models(models, n_genes, first)

    n_outputs = min(len(next(iter(chosen.values()))[0].feature_names), MOST_OUTPUTS)
    figure = new_figure(max(4.7, 0.13 * n_outputs + 0.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    panels, outputs = left.subplots(2, 1), right.subplots()
    _draw_widths(panels[0], lines)
    _draw_stability(panels[1], selection)
    _draw_outputs(outputs, chosen)
    freeze_layout(figure)
    letter_panels(figure, [[panels[0], outputs], [panels[1]]], "acb")
    return figure


def _points_by_width(name, record, n_genes, group_lasso, first):
    """The record, and the grid point of every width."""
    needed = ["test_r2", "n_selected", "n_components"]
    reading.require(record, f"widths[{name!r}]", "a cross-validation of networks", needed, first)
    found = {}
    for width in reading.levels(record, "n_components"):
        params = {"n_components": width}
        if record.points(**params, pretraining=True):
            params["pretraining"] = True
        if strengths := reading.levels(record, "group_lasso", record.points(**params)):
            params["group_lasso"] = reading.nearest(strengths, group_lasso)
        found[width] = record.within_genes(n_genes, **params)
    return record, found


def _draw_widths(ax, lines):
    every = sorted({width for _, points in lines.values() for width in points})
    records = {name: record for name, (record, _) in lines.items()}
    scaling, own = reading.scaling_texts(records)
    below = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top", "ha": "center"}
    sizes = set()
    for i, (name, (record, points)) in enumerate(lines.items()):
        grid, places = list(points.values()), np.array([every.index(width) for width in points])
        mean, spread = reading.mean_sd(record.test_r2[:, grid])
        sizes |= set(record.n_selected[:, grid].mean(0).round().astype(int).tolist())
        look = {"color": model_color(record, grid[0]), "marker": SHAPES[i % 6]}
        error = {"yerr": spread if spread.any() else None, "capsize": 1.5, "elinewidth": 0.8}
        ax.errorbar(places + 0.09 * (i - (len(lines) - 1) / 2), mean, fmt="-", ms=3.5, zorder=6, **error, **look)
        ax.plot([], [], label=name + own[name], **look)
        for place, value in zip(places, mean, strict=True):
            ax.annotate(f"{value:.3f}", (place, 0), (0, -12 - LINE * i), color=look["color"], fontsize=6.5, **below)
    ax.set_xticks(range(len(every)), every)
    ax.set(xlim=(-0.5, len(every) - 0.5), ylabel="test R²")
    ax.set_xlabel("units of the bottleneck", labelpad=2.5 + LINE * len(lines))
    title = f"{' or '.join(map(str, sorted(sizes)))} genes, {reading.folds_text(*records.values())}{scaling}"
    legend_above(ax, ncols=len(lines), title=title)


def _draw_stability(ax, record):
    n_fits, per_fit = len(selections(record)), selections(record).sum(1).mean()
    counts = gene_counts(record)["count"]
    counts = counts[counts > 0]
    shown = counts.iloc[:MOST_GENES]
    ax.bar(range(len(shown)), shown, width=0.72, color="0.45", lw=0)
    name_columns(ax, shown.index, fontsize=5.5)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, n_fits * 1.02), ylabel="fits that keep the gene")
    ax.yaxis.get_major_locator().set_params(integer=True)
    mark, rarer, rest = "", "", len(counts) - len(shown)
    if per_fit <= len(shown):
        ax.axvline(per_fit - 0.5, color="0.3", lw=0.7, ls=(0, (3, 2)))
        mark, rarer = "dashed: ", "rarer ones "
    text = f"{(counts == n_fits).sum()} genes in all {n_fits} fits, {len(counts)} in any; {mark}{per_fit:.0f} per fit"
    text += f"; {rest} {rarer}not shown" if rest else ""
    ax.set_title(f"{reading.model_title(record)}, other seeds\n{text}", loc="left")


def _draw_outputs(ax, chosen):
    names = next(iter(chosen.values()))[0].feature_names
    means = np.array([record.test_feature_r2[:, point].mean(0) for record, point in chosen.values()])
    order = np.argsort(-means[0], kind="stable")[:MOST_OUTPUTS]
    together, y = means[:, order].clip(min=reading.WORST), np.arange(len(order))
    ax.hlines(y, together.min(0), together.max(0), color="0.8", lw=0.8, zorder=1)
    used, scaling = [], reading.scaling_texts({name: record for name, (record, _) in chosen.items()})[1]
    for i, (name, model) in enumerate(chosen.items()):
        color = model_color(*model)
        filled = "white" if color in used else color  # a second model of the kind is hollow
        look = {"color": color, "mfc": filled, "mew": 0.8, "ms": 3.2, "zorder": 5 - 0.1 * i}
        ax.plot(together[i], y, SHAPES[i % 6], label=name + scaling[name], **look)
        used.append(color)
    if together.min() < 0:
        ax.axvline(0, color="0.6", lw=0.5, zorder=0)
    name_rows(ax, [shortened(names[i]) for i in order])
    ax.set(ylim=(len(y) - 0.4, -0.6), xlabel="test R² of the output")
    rest = len(names) - len(order)
    notes = [f"{rest} outputs not shown" if rest else "", reading.far_below(means[:, order])]
    legend_above(ax, title="\n".join(filter(None, notes)) or None)
