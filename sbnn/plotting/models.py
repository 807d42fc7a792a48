"""Several models beside each other: accuracy, width of the bottleneck, stability of the genes, outputs."""

import numpy as np
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, PercentFormatter

from sbnn.evaluation.stability import gene_counts
from sbnn.plotting import reading
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import finish, grid, legend_above, name_columns, name_rows, new_figure, new_panels, styled
from sbnn.plotting.curves import PUBLISHED
from sbnn.plotting.labels import counted, shortened

ROW = 0.25  # inches
AROUND = {**PUBLISHED, "markersize": 7}  # large enough to be seen around a dot of ours


@styled
def accuracy_comparison(models, n_genes=25):
    """Test R2 of several models on one data set: every fold, and the mean with its SD.

    Parameters
    ----------
    models : dict of str to Record or (Record, dict)
        Cross-validations by name, from top to bottom, with the parameters of the grid point if there are several; of
        the points that these leave, the one with most genes, but at most `n_genes`, is drawn.
    n_genes : int

    Returns
    -------
    matplotlib.figure.Figure
    """
    chosen = reading.choose_models(models, n_genes)
    records = {name: record for name, (record, _) in chosen.items()}
    figure, ax = new_panels(0.85 + ROW * len(chosen))
    shown = [_draw_row(ax, y, *model) for y, model in enumerate(chosen.values())]
    scaling, own = reading.scaling_texts(records)
    name_rows(ax, [f"{name}, {_genes(*model)}{own[name]}" for name, model in chosen.items()])
    ax.set_xlabel("test R²")
    low, high = np.min(np.concatenate(shown)), np.max(np.concatenate(shown))
    margin = 0.06 * max(high - low, 0.01)
    ax.set_xlim(low - margin, high + margin)
    if low < 0:  # to the left of it the mean of the training cells would be the better prediction
        ax.axvline(0, lw=0.7, color="0.5", zorder=1)
    grid(ax)
    dot = {"marker": "o", "ls": "", "color": "0.3"}
    entries = [Line2D([], [], ms=2.5, alpha=0.5, label="one fold", **dot)]
    entries += [Line2D([], [], ms=3.5, label=reading.folds_text(*records.values()), **dot)]
    title = f"{shortened(next(iter(records.values())).dataset, 60)}{scaling}"
    below = reading.far_below(*(record.test_r2[:, point] for record, point in chosen.values()))
    legend_above(ax, entries, ncols=3, title=f"{title}; {below}" if below else title)
    return finish(figure)


def _genes(record, point):
    if "n_selected" in record.values:
        return counted(round(record.n_selected[:, point].mean()), "gene")
    shown = record.preselected.sum(1).mean() if "preselected" in record.values else len(record.gene_names)
    return counted(round(shown), "gene")


def _draw_row(ax, y, record, point):
    """Draw a model; returns what must be visible."""
    folds, color = record.test_r2[:, point].astype(float), model_color(record, point)
    mean, spread = reading.mean_sd(folds)
    text = reading.mean_text(mean, spread)
    folds, mean = folds.clip(min=reading.WORST), max(mean, reading.WORST)
    # Side by side in the order of the folds, so that a hard fold is seen in every row.
    ax.plot(folds, y + np.linspace(-0.28, 0.28, len(folds)), "o", color=color, ms=2.5, mew=0, alpha=0.45, zorder=2)
    ax.errorbar(mean, y, xerr=spread or None, fmt="o", color=color, ms=3.5, lw=1.2, capsize=2, zorder=6)
    ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", ha="left", color=color)
    return np.clip([*folds, mean - spread, mean + spread], reading.WORST, 1)


MOST_GENES, MOST_OUTPUTS = 36, 60
LINE = 8.5  # points, of the rows of numbers below the widths
SHAPES = "osD^vX"
STEP = 0.14  # between the models of an output, of the distance of the rows


@styled
def width_and_stability(widths, selection, models, n_genes=25, group_lasso=0.1):
    """Test R2 against the width of the bottleneck, how often each gene is chosen, and test R2 of every output.

    Parameters
    ----------
    widths : dict of str to Record
        Cross-validations over ``n_components``, by the name of the protocol; the strength of the group lasso nearest to
        `group_lasso`, most genes up to `n_genes`, and the pretrained network if there is one, are drawn.
    selection : dict of str to Record
        Fits with other seeds or of halves of the cells, by name; the genes are sorted by the first, drawn as bars.
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
    for name, record in selection.items():
        reading.require(record, f"selection[{name!r}]", ["selected", "gene_names"], first)
    chosen = reading.choose_models(models, n_genes, first)

    n_outputs = min(len(next(iter(chosen.values()))[0].feature_names), MOST_OUTPUTS)
    figure = new_figure(max(4.7, 0.13 * n_outputs + 0.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    panels, outputs = left.subplots(2, 1), right.subplots()
    _draw_widths(panels[0], lines)
    _draw_stability(panels[1], selection)
    _draw_outputs(outputs, chosen)
    return finish(figure, [[panels[0], outputs], [panels[1]]], "acb")


def _points_by_width(name, record, n_genes, group_lasso, first):
    """The record, and the grid point of every width."""
    needed = ["test_r2", "n_selected", "n_components"]
    reading.require(record, f"widths[{name!r}]", needed, first)
    found = {}
    for width in reading.levels(record, "n_components"):
        params = {"n_components": width}
        if record.points(**params, pretraining=True):
            params["pretraining"] = True
        if strengths := reading.levels(record, "group_lasso", record.points(**params)):
            params["group_lasso"] = reading.nearest(strengths, group_lasso)
        found[width] = record.best_with_at_most(n_genes, **params)
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
    ax.yaxis.set_major_locator(MaxNLocator(5))  # as many at any height, so that the layout is found
    ax.set(xlim=(-0.5, len(every) - 0.5), ylabel="test R²")
    ax.set_xlabel("units of the bottleneck", labelpad=2.5 + LINE * len(lines))
    title = f"{' or '.join(map(str, sorted(sizes)))} genes, {reading.folds_text(*records.values())}{scaling}"
    legend_above(ax, ncols=len(lines), title=title)


def _draw_stability(ax, selection):
    """Share of the fits that keep each gene: of the first record as bars, of the others as marks."""
    tables, fits = {name: gene_counts(record) for name, record in selection.items()}, []
    shown = next(iter(tables.values())).query("count > 0").index[:MOST_GENES]
    for i, (name, table) in enumerate(tables.items()):
        record, shares = selection[name], table.frequency.reindex(shown)
        fits.append(f"{name}: {(table.frequency == 1).sum()} genes in all {record.selected[..., 0].size} fits")
        fits[-1] += f", {table['count'].astype(bool).sum()} in any"
        if i:
            look = {"color": model_color(record, 0), "mec": "white", "mew": 0.4, "ms": 3.8}
            places = np.arange(len(shown)) + 0.2 * (2 * i - len(tables))  # beside each other
            ax.plot(places, shares, SHAPES[i % 6], label=fits[-1], **look)
        else:
            ax.bar(range(len(shown)), shares, width=0.72, color="0.75", lw=0, label=fits[-1])
    name_columns(ax, shown, fontsize=5.5)
    ax.set(xlim=(-0.8, len(shown) - 0.2), ylim=(0, 1.04), ylabel="fits that keep the gene")
    ax.yaxis.set_major_formatter(PercentFormatter(1))
    legend_above(ax)


def _draw_outputs(ax, chosen):
    names = next(iter(chosen.values()))[0].feature_names
    means = np.array([record.test_feature_r2[:, point].mean(0) for record, point in chosen.values()])
    order = np.argsort(-means[0], kind="stable")[:MOST_OUTPUTS]
    together, y = means[:, order].clip(min=reading.WORST), np.arange(len(order))
    used, scaling = [], reading.scaling_texts({name: record for name, (record, _) in chosen.items()})[1]
    for i, (name, (record, point)) in enumerate(chosen.items()):
        color = model_color(record, point)
        filled = "white" if color in used else color  # a second model of the kind is hollow
        look = {"color": color, "mfc": filled, "mew": 0.8, "ms": 3.2, "zorder": 5 - 0.1 * i}
        below = y + STEP * min(len(y) / 16, 1) * (i - (len(chosen) - 1) / 2)
        ax.plot(together[i], below, SHAPES[i % 6], label=name + scaling[name], **look)
        if record.parameter(point, "n_components") is not None:
            spread = reading.mean_sd(record.test_feature_r2[:, point][:, order])[1]
            ax.errorbar(together[i], below, xerr=spread, fmt="none", ecolor=color, elinewidth=0.6, alpha=0.7)
        used.append(color)
    if together.min() < 0:
        ax.axvline(0, color="0.6", lw=0.5, zorder=0)
    name_rows(ax, [shortened(names[i]) for i in order])
    ax.set(ylim=(len(y) - 0.4, -0.6), xlabel="test R² of the output")
    rest = len(names) - len(order)
    notes = ["bars: SD over folds", f"{rest} outputs not shown" if rest else ""]
    notes.append(reading.far_below(means[:, order]))
    legend_above(ax, title="\n".join(filter(None, notes)) or None)
