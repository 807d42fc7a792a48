"""How wide the bottleneck has to be, how stable the choice of the genes is, and which outputs are predicted."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import gene_counts, selections
from sbnn.plotting import reading
from sbnn.plotting.accuracy import choose_models
from sbnn.plotting.colors import MODELS, model_color
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled
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
    lines = {name: _points_by_width(name, record, n_genes, group_lasso) for name, record in widths.items()}
    first = next(iter(widths.values()))
    reading.require(selection, "selection", "a record of repeated fits", ["selected", "gene_names"])
    chosen = choose_models(models, n_genes)
    for name, (record, _) in chosen.items():
        reading.require(record, f"models[{name!r}]", reading.CROSS_VALIDATION, ["test_feature_r2", "feature_names"])
    others = {f"widths[{name!r}]": record for name, record in widths.items()} | {"selection": selection}
    for argument, record in (others | {f"models[{name!r}]": record for name, (record, _) in chosen.items()}).items():
        reading.require_same_data(record, argument, first)

    n_outputs = min(len(next(iter(chosen.values()))[0].feature_names), MOST_OUTPUTS)
    figure = new_figure(max(4.7, 0.13 * n_outputs + 0.9))
    left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1))
    panels = left.subplots(2, 1)
    _draw_widths(panels[0], lines)
    _draw_stability(panels[1], selection)
    outputs = right.subplots()
    _draw_outputs(outputs, chosen)
    freeze_layout(figure)
    letter_panels(figure, [[panels[0], outputs], [panels[1]]], "acb")
    return figure


def _points_by_width(name, record, n_genes, group_lasso):
    """Width -> grid point."""
    argument = f"widths[{name!r}]"
    reading.require(record, argument, "a cross-validation of networks", ["test_r2", "n_selected"])
    if not reading.levels(record, "n_components"):
        raise ValueError(f"{argument}: expected a cross-validation of networks, got one without 'n_components'")
    found = {}
    for width in reading.levels(record, "n_components"):
        params = {"n_components": width}
        if record.points(**params, pretraining=True):
            params["pretraining"] = True
        if strengths := reading.levels(record, "group_lasso", record.points(**params)):
            params["group_lasso"] = reading.nearest(strengths, group_lasso)
        found[width] = record, record.within_genes(n_genes, **params)
    return found


def _draw_widths(ax, lines):
    every = sorted({width for points in lines.values() for width in points})
    colors = {name: model_color(*next(iter(points.values()))) for name, points in lines.items()}
    if len(set(colors.values())) < len(colors):
        colors = dict(zip(lines, [*MODELS.values(), "0.6", "black"], strict=False))
    scaling, own = reading.scaling_texts({name: next(iter(points.values()))[0] for name, points in lines.items()})
    entries, rows = [], []
    for i, (name, points) in enumerate(lines.items()):
        x = np.array([every.index(width) for width in points]) + 0.09 * (i - (len(lines) - 1) / 2)
        mean, spread = np.array([reading.mean_sd(record.test_r2[:, g]) for record, g in points.values()]).T
        ax.errorbar(
            x, mean, spread if spread.any() else None, color=colors[name], fmt="-", marker=SHAPES[i % 6], capsize=1.5,
            elinewidth=0.8, ms=3.5, zorder=6,
        )  # fmt: skip
        entries.append(Line2D([], [], color=colors[name], marker=SHAPES[i % 6], label=name + own[name]))
        rows.append((colors[name], {width: f"{value:.3f}" for width, value in zip(points, mean, strict=True)}))
    below = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top", "ha": "center"}
    for i, (color, texts) in enumerate(rows):
        for width, text in texts.items():
            ax.annotate(text, (every.index(width), 0), (0, -12 - LINE * i), color=color, fontsize=6.5, **below)
    ax.set_xticks(range(len(every)), [str(width) for width in every])
    ax.set(xlim=(-0.5, len(every) - 0.5), ylabel="test R²")
    ax.set_xlabel("units of the bottleneck", labelpad=2.5 + LINE * len(rows))
    sizes = sorted(
        {round(record.n_selected[:, g].mean()) for points in lines.values() for record, g in points.values()}
    )
    records = [record for points in lines.values() for record, _ in points.values()]
    title = f"{' or '.join(map(str, sizes))} genes, {reading.folds_text(*records)}{scaling}"
    ax.legend(
        handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=len(entries), title=title, alignment="left"
    )


def _draw_stability(ax, record):
    n_fits, per_fit = len(selections(record)), selections(record).sum(1).mean()
    counts = gene_counts(record)["count"]
    counts = counts[counts > 0]
    shown = counts.iloc[:MOST_GENES]
    ax.bar(range(len(shown)), shown, width=0.72, color="0.45", lw=0)
    if inside := per_fit <= max(len(shown), 1):
        ax.axvline(per_fit - 0.5, color="0.3", lw=0.7, ls=(0, (3, 2)))
    ax.set_xticks(range(len(shown)), map(shortened, shown.index), rotation=90, fontstyle="italic", fontsize=5.5)
    ax.tick_params(axis="x", length=0)
    ax.set(xlim=(-0.8, max(len(shown), 1) - 0.2), ylim=(0, n_fits * 1.02), ylabel="fits that keep the gene")
    ax.yaxis.get_major_locator().set_params(integer=True)
    text = f"{(counts == n_fits).sum()} genes in all {n_fits} fits, {len(counts)} in any"
    mark, rarer = ("dashed: ", "rarer ones ") if inside else ("", "")
    rest = len(counts) - len(shown)
    text += f"; {mark}{per_fit:.0f} per fit" + (f"; {rest} {rarer}not shown" if rest else "")
    ax.set_title(f"{reading.model_title(record)}, other seeds\n{text}", loc="left")


def _draw_outputs(ax, chosen):
    first = next(iter(chosen.values()))[0]
    means = {name: record.test_feature_r2[:, point].mean(0) for name, (record, point) in chosen.items()}
    order = np.argsort(-next(iter(means.values())), kind="stable")[:MOST_OUTPUTS]
    y = np.arange(len(order))
    together = np.array([values[order] for values in means.values()]).clip(min=reading.WORST)
    ax.hlines(y, together.min(0), together.max(0), color="0.8", lw=0.8, zorder=1)
    used, scaling = {}, reading.scaling_texts({name: record for name, (record, _) in chosen.items()})[1]
    for i, name in enumerate(means):
        color = model_color(*chosen[name])
        used[color] = used.get(color, 0) + 1
        filled = color if used[color] == 1 else "white"  # a second model of the kind is hollow
        look = {"color": color, "mfc": filled, "mew": 0.8, "ms": 3.2, "zorder": 5 - 0.1 * i}
        ax.plot(together[i], y, SHAPES[i % 6], label=name + scaling[name], **look)
    if together.min() < 0:
        ax.axvline(0, color="0.6", lw=0.5, zorder=0)
    ax.set_yticks(y, [shortened(first.feature_names[i]) for i in order])
    ax.tick_params(axis="y", length=0)
    ax.set(ylim=(len(y) - 0.4, -0.6), xlabel="test R² of the output")
    rest = len(first.feature_names) - len(order)
    notes = [f"{rest} outputs not shown"] if rest else []
    notes += filter(None, [reading.far_below(*(values[order] for values in means.values()))])
    ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), alignment="left", title="\n".join(notes) if notes else None)
