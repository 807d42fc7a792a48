"""The figures of electrophysiology -> type: every function takes records and returns a matplotlib Figure."""

from functools import partial

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student

from sbnn.data.checks import GREY
from sbnn.ephys_types import report
from sbnn.ephys_types.models import CELLS, CURVES, FAMILIES, INTERPRETED, KINDS, MODELS, ZERO_SHOT, of_kind
from sbnn.evaluation.classification import calibration, confusion_counts, repeat_means, scores_within
from sbnn.evaluation.family_importance import agreement_table, importance_table
from sbnn.plotting.accuracy import AROUND
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

#: Of the subclasses, as in the Allen taxonomies and usual in the field.
TYPE_COLORS = {"PVALB": "#D93137", "SST": "#FF9900", "VIP": "#A45FBF", "LAMP5": "#DA808C", "SNCG": "#DF70FF"}
#: Of the kinds of models.
KIND_COLORS = {"baseline": "0.45", "trees": BLUE, "sequence": VERMILLION, "ours": GREEN}
#: Of methods of transfer and of conditions, in their order.
SERIES = ("0.35", GREEN, BLUE, VERMILLION, PURPLE, ORANGE, SKY)
#: Models of the figures with a panel for each.
SHOWN = ("lightgbm", "sparse_pca_forest", "bilstm_published", "bilstm", "bilstm_no_attention", "family_attention",
         "ephys_type")  # fmt: skip
CHANCE = "majority"  # far below all others: told, not drawn to scale
COLUMNS, SIDE = 4, 1.75  # of panels, and inches of one with its labels
RAREST = 0.005  # share of the predictions that a dot is of
MARKERS = {"transfer": "o", "pretrained": "^", "joint": "s", report.CONTROL: "D"}
OVER = {report.WITHOUT: "over human only", report.CONTROL: "over two experts"}
DASHES = {report.WITHOUT: (3, 1.5), report.CONTROL: (1, 1)}
ALIGNED = {  # what was done to the scales of the two species
    "shift": "shift estimated with\nthe shares of the types",
    "own": "each on its own scale",
    "source": "scale of the source",
}


def figures(records):
    """Name of each figure, names of the records that it needs, and the function that draws it from these."""
    for kind in KINDS:
        models = of_kind(records, kind)
        if not models:
            continue
        yield f"{kind}_accuracy", [f"{kind}_{name}" for name in models], partial(_accuracy, kind, tuple(models))
        shown = [name for name in SHOWN if name in models]
        needed = [f"{kind}_{name}" for name in shown]
        if shown:
            yield f"{kind}_confusion", needed, partial(_by_model, confusion_matrices, shown)
            yield f"{kind}_calibration", needed, partial(_by_model, calibration_curves, shown)
    yield CELLS, [CELLS], cells_by_type
    for name in (name for name in INTERPRETED if name in MODELS):
        yield f"{FAMILIES}_{name}", [f"{FAMILIES}_{name}"], partial(family_map, label=MODELS[name].label)
    shown = [name for name in SHOWN if f"types_{name}" in records]
    for column in report.GROUPS:
        if CELLS in records and shown and column in records[CELLS].labels:
            labels = records[CELLS].labels
            if (labels[column].value_counts() >= report.FEWEST).sum() > 1:
                draw = partial(within_conditions, labels=labels, column=column)
                yield f"types_within_{column}", [f"types_{name}" for name in shown], partial(_by_model, draw, shown)
    yield ZERO_SHOT, [ZERO_SHOT], zero_shot
    yield CURVES, [CURVES], learning_curves


def _by_model(draw, names, *records):
    return draw(dict(zip(names, records, strict=True)))


def _accuracy(kind, names, *records):
    dataset = records[0].dataset
    models = dict(zip(names, records, strict=True))
    return accuracy_of_models(models, report.published(dataset, kind), f"{dataset}, {report.CLASSES_OF[kind]}")


def type_color(name):
    """Colour of a type; grey for one that has none."""
    return TYPE_COLORS.get(name, GREY)


@styled
def accuracy_of_models(models, known, title=None):
    """Macro-F1 and accuracy of models (name -> cross-validation on the same folds), and published numbers."""
    figure = new_figure(0.75 + 0.21 * len(models))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, metric, heading in zip(axes, ("macro_f1", "accuracy"), ("macro-F1", "accuracy"), strict=True):
        seen, floor = [], []
        for y, (name, record) in enumerate(models.items()):
            values, color = repeat_means(record, metric), KIND_COLORS[MODELS[name].kind]
            number = getattr(known.get(name), metric, None)
            text = f"{values.mean():.3f}" + (f" ({number:.3f})" if number is not None else "")
            ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", color=color)
            if name == CHANCE and len(models) > 1:
                floor.append((y, values.mean()))
                continue
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=3, mew=0, alpha=0.5, zorder=3)
            ax.plot(values.mean(), y, "|", color=color, ms=9, mew=1.4, zorder=4)
            if number is not None:  # below the dots, which it would cover
                ax.plot(number, y, color=color, zorder=2, **AROUND)
            seen += [*values, *([] if number is None else [number])]
        low, high = min(seen), max(seen)
        margin = 0.06 * max(high - low, 0.02)
        ax.set_xlim(low - margin, high + margin)
        for y, _ in floor:
            left = {"transform": ax.get_yaxis_transform(), "color": KIND_COLORS["baseline"], "clip_on": False}
            ax.plot(0.012, y, "<", ms=3, **left)
        ax.set_xlabel(heading)
        _name_rows(ax, [MODELS[name].label for name in models])
        _grid(ax, "x")
    n = len(next(iter(models.values())).repeats)
    dot = {"ls": "", "color": "0.3"}
    entries = [
        Line2D([], [], marker="o", ms=3, mew=0, alpha=0.5, label="one set of folds", **dot),
        Line2D([], [], marker="|", ms=8, mew=1.4, label=f"mean of {n} folds", **dot),
    ]
    if any(name in known for name in models):
        entries.append(Line2D([], [], color="0.3", label="published (in brackets): other cells and features", **AROUND))
    if CHANCE in models and len(models) > 1:
        entries.append(Line2D([], [], marker="<", ms=3, label="off the scale", **dot))
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries), alignment="left", title=title)
    return figure


@styled
def confusion_matrices(models):
    """Confusion matrices: rows are true classes and sum to one, with the mean number of cells in each entry."""
    figure, axes = _panels(models, 0.25)
    for i, (ax, (name, record)) in enumerate(zip(axes, models.items(), strict=False)):
        counts, classes = confusion_counts(record), record.classes
        shares = counts / counts.sum(axis=1, keepdims=True)
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            dark = shares[row, column] > 0.55
            text = f"{shares[row, column]:.2f}\n{counts[row, column]:.0f}"
            size = 5 if len(classes) < 5 else 4
            ax.text(column, row, text, ha="center", va="center", fontsize=size, color="w" if dark else "0.2")
        ax.set_title(MODELS[name].label)
        ax.set_xticks(range(len(classes)), classes, rotation=90)
        ax.set_yticks(range(len(classes)), classes if i % COLUMNS == 0 else [])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        if i % COLUMNS == 0:
            ax.set_ylabel("true")
        if i + COLUMNS >= len(models):
            ax.set_xlabel("predicted")
    bar = figure.colorbar(image, ax=axes.tolist(), fraction=0.02, pad=0.015, aspect=25)
    bar.set_label("share of the true class\n(below it: cells, mean of repeats)")
    bar.outline.set_linewidth(0.4)
    return figure


@styled
def calibration_curves(models):
    """Share of right answers against the probability of the most probable class, one panel per model.

    The area of a dot is the share of the predictions; bins of fewer than 0.5 % of them are not drawn. The number is the
    expected calibration error.
    """
    figure, axes = _panels(models, 0.2, sharex=True, sharey=True)
    for i, (ax, (name, record)) in enumerate(zip(axes, models.items(), strict=False)):
        table, error = calibration(record)
        table = table[table["share"] >= RAREST]
        color = KIND_COLORS[MODELS[name].kind]
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.6, dashes=(3, 2))
        ax.plot(table["confidence"], table["accuracy"], color=color, lw=1)
        dots = {"s": 3 + 90 * table["share"], "color": color, "lw": 0, "zorder": 3, "clip_on": False}
        ax.scatter(table["confidence"], table["accuracy"], **dots)
        ax.set_title(MODELS[name].label)
        ax.text(0.97, 0.05, f"error {error:.3f}", transform=ax.transAxes, ha="right", color="0.2")
        ax.set(xlim=(0.15, 1.03), ylim=(-0.03, 1.05), aspect="equal")
        if i % COLUMNS == 0:
            ax.set_ylabel("share that is right")
        if i + COLUMNS >= len(models):
            ax.set_xlabel("probability of the answer")
            ax.tick_params(labelbottom=True)
    return figure


def _panels(models, margin, **options):
    """Figure and axes for a panel per model."""
    n_rows = -(-len(models) // COLUMNS)
    figure = new_figure(SIDE * n_rows + margin)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False, **options).ravel()
    for ax in axes[len(models) :]:
        ax.set_visible(False)
    return figure, axes


def _name_rows(ax, names):
    """Name the rows of a chart from top to bottom."""
    ax.set_yticks(range(len(names)), names)
    ax.set_ylim(len(names) - 0.5, -0.5)
    ax.tick_params(axis="y", length=0)


def _grid(ax, axis):
    ax.grid(axis=axis, lw=0.4, color="0.9")
    ax.set_axisbelow(True)


@styled
def cells_by_type(record):
    """Two sparse components, one family each, that discriminate the types best, and the t-SNE of all components."""
    types = record.labels["type"].to_numpy(str)
    if "type5" in record.labels:
        types = record.labels["type5"].to_numpy(str)
    names, counts = np.unique(types, return_counts=True)
    places = discriminating_components(record.components, types, record.component_names)
    figure = new_figure(2.75)
    axes = figure.subplots(1, 2)
    drawn = (record.components[:, places] if len(places) == 2 else record.components[:, [0, 0]], record.tsne)
    order = np.random.default_rng(0).permutation(len(types))
    colors = np.array([type_color(name) for name in types])
    for ax, xy in zip(axes, drawn, strict=True):
        size = np.clip(6000 / len(xy), 1.5, 12)
        ax.scatter(*xy[order].T, s=size, c=colors[order], lw=0, alpha=0.8, rasterized=len(xy) > 5000)
    low, high = np.percentile(drawn[0], [0.3, 99.7], axis=0)
    pad = 0.08 * (high - low)
    axes[0].set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
    labels = [record.component_names[i] for i in places] or [record.component_names[0]] * 2
    axes[0].set(xlabel=labels[0], ylabel=labels[-1], title="sparse principal components (SD)")
    axes[1].set(title=f"t-SNE of all {record.components.shape[1]} sparse components", xticks=[], yticks=[])
    axes[1].spines[:].set_visible(False)
    look = {"marker": "o", "ms": 4, "ls": ""}
    named = {name: f"{name} ({count})" for name, count in zip(names, counts, strict=True)}
    entries = [Line2D([], [], color=type_color(name), label=label, **look) for name, label in named.items()]
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), handletextpad=0.1)
    freeze_layout(figure)
    letter_panels(figure, [list(axes)])
    return figure


def discriminating_components(components, types, names):
    """Positions of the component (n, k) that discriminates the types best, and of one of another family beside it.

    The second discriminates best once what it shares with the first is taken off; names are a family and a number.
    """
    first = int(np.argmax(_between(components, types)))
    families = [name.rpartition(" ")[0] for name in names]
    others = [i for i, family in enumerate(families) if family != families[first]]
    others = others or [i for i in range(len(names)) if i != first]
    if not others:
        return [first]
    x = components[:, first] - components[:, first].mean()
    rest = components - components.mean(axis=0)
    slopes = x @ rest / (x @ x or 1)
    # Shares of the whole variance, so that a remainder of next to nothing does not win.
    total = (rest**2).sum(axis=0)
    left = rest - np.outer(x, slopes)
    share = _between(left, types) * (left**2).sum(axis=0) / np.where(total == 0, 1, total)
    return [first, others[int(np.argmax(share[others]))]]


def _between(values, types):
    """Share of the variance of each column that lies between types."""
    centred = values - values.mean(axis=0)
    total = (centred**2).sum(axis=0)
    between = sum((types == name).sum() * centred[types == name].mean(axis=0) ** 2 for name in np.unique(types))
    return between / np.where(total == 0, 1, total)


@styled
def within_conditions(models, labels, column):
    """Composition of groups of at least 50 cells, and macro-F1 of every model within each; bars are SD over repeats."""
    sizes = labels[column].value_counts()
    groups = list(sizes.index[sizes >= report.FEWEST])
    figure = new_figure(max(0.85 + 0.24 * len(models), 1.2 + 0.2 * len(groups)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    types = sorted(labels["type"].unique())
    counts = pd.crosstab(labels[column], labels["type"]).loc[groups, types]
    start = np.zeros(len(groups))
    for name in types:
        share = (counts[name] / counts.sum(axis=1)).to_numpy()
        left.barh(range(len(groups)), share, left=start, color=type_color(name), label=name, height=0.6)
        start += share
    _name_rows(left, [f"{group} ({sizes[group]})" for group in groups])
    left.set(xlim=(0, 1), xlabel="share of the cells")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=len(types), columnspacing=0.8, handlelength=1)
    everything = {"all": np.full(len(labels), "all"), column: labels[column]}
    for y, record in enumerate(models.values()):
        if y:
            right.axhline(y - 0.5, lw=0.4, color="0.8", zorder=0)  # whose dots are whose
        for of in everything.values():
            table = scores_within(record, of)
            for group, row in table[table["cells"] >= report.FEWEST].iterrows():
                place = 0 if group == "all" else 1 + groups.index(group)
                shift = (place - len(groups) / 2) * 0.6 / max(len(groups), 1)
                spread = None if np.isnan(row["macro_f1_sd"]) else row["macro_f1_sd"]
                right.errorbar(row["macro_f1"], y + shift, xerr=spread, fmt="o", ms=3, lw=0.9, color=SERIES[place % 7])
    _name_rows(right, [MODELS[name].label for name in models])
    right.set_xlabel("macro-F1 of the classes that the group has")
    _grid(right, "x")
    look, shown = {"marker": "o", "ms": 3, "ls": ""}, ["all cells", *groups]
    entries = [Line2D([], [], color=SERIES[i % 7], label=group, **look) for i, group in enumerate(shown)]
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": min(len(entries), 4), "columnspacing": 1}
    right.legend(handles=entries, **place)
    freeze_layout(figure)
    letter_panels(figure, [[left, right]])
    return figure


@styled
def family_map(record, label):
    """Attention per class, and importance per family by shuffling and leaving out; dots are folds, rho Spearman's."""
    table = importance_table(record)
    order = np.argsort(-table["shuffled"].to_numpy(), kind="stable")
    names = table.index[order]
    attention = record.values.get("attention")
    figure = new_figure(1.05 + 0.2 * len(names))
    widths = ([0.55] if attention is not None else []) + [1, 1]
    axes = list(np.atleast_1d(figure.subplots(1, len(widths), sharey=True, width_ratios=widths)))
    axes[0].set_yticks(range(len(names)), names)
    if attention is not None:
        ax = axes.pop(0)
        image = ax.imshow(attention[:, order].T, cmap="Greens", aspect="auto", vmin=0)
        ax.set_xticks(range(len(record.classes)), record.classes, rotation=90)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title("attention\nby true class")
        bar = figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03)
        bar.outline.set_linewidth(0.4)
    rho = agreement_table(record)
    panels = (("shuffled", "shuffled_log_loss", BLUE), ("left out", "left_out_log_loss", VERMILLION))
    for ax, (way, values, color) in zip(axes, panels, strict=True):
        ax.barh(range(len(names)), table[way].iloc[order], color=color, alpha=0.35, height=0.7)
        for fold in record.values[values][:, order]:
            ax.plot(fold, range(len(names)), ".", ms=3, mew=0, color=color)
        ax.axvline(0, color="0.5", lw=0.6)
        ax.tick_params(axis="y", length=0)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        pairs = [other for other in rho if other != way and not (way == "left out" and other == "shuffled")]
        told = ", ".join(f"{rho.loc[way, other]:.2f} with {other}" for other in pairs)
        ax.set_title(f"{way}\nrho {told}" if told else f"{way}\n")
        ax.set_xlabel("rise of the log loss (nats)")
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    figure.suptitle(label, x=0.01, ha="left", fontsize=7.5)
    return figure


@styled
def learning_curves(record):
    """Macro-F1 with transfer and without by number of labelled cells, and the paired gains.

    Bands are 95 % intervals of the mean over the sets of folds where there are several, which share cells, so that they
    are too narrow; the bars of the gains are corrected for that.
    """
    scores = report.by_size(record)
    sizes = report.sizes_of(scores)
    figure = new_figure(3.3)
    left, alone, two = figure.subplots(1, 3, width_ratios=(1.25, 1, 0.75))
    two.sharey(alone)
    pairs = report.methods_of(scores)
    helped = [pair for pair in pairs if pair[1] != report.WITHOUT and (pair[0], report.WITHOUT) in pairs]
    models = list(dict.fromkeys(model for model, _ in helped))
    colors = {model: SERIES[1 + i % 6] for i, model in enumerate(models)}
    for model, method in pairs:
        rows = scores[(scores["model"] == model) & (scores["method"] == method)]
        seeds = rows.pivot_table(index="seed", columns="size", values="macro_f1").reindex(columns=sizes)
        mean, n = seeds.mean().to_numpy(), len(seeds)
        look = {"color": colors.get(model, SERIES[0]), "marker": MARKERS.get(method, "o"), "ms": 3}
        dashes = DASHES.get(method, (None, None))
        label = f"{model}, {method}" if model in models else f"{model} alone"
        x = np.arange(len(sizes))
        left.plot(x, mean, dashes=dashes, label=label, mfc="w" if method == report.WITHOUT else None, **look)
        if n > 1:
            half = student.ppf(0.975, n - 1) * seeds.std(ddof=1).to_numpy() / np.sqrt(n)
            left.fill_between(x, mean - half, mean + half, color=look["color"], alpha=0.12, lw=0)
    left.set(ylabel="macro-F1")
    for ax, (over, title) in zip((alone, two), OVER.items(), strict=True):
        found = {(pair, size): report.gain(scores, *pair, size, over=over) for pair in helped for size in sizes}
        shown = [pair for pair in helped if any(found[pair, size] for size in sizes)]
        for (pair, size), its in found.items():
            if its is None:
                continue
            x = sizes.index(size) + 0.14 * (shown.index(pair) - (len(shown) - 1) / 2)
            look = {"fmt": MARKERS.get(pair[1], "o"), "color": colors[pair[0]], "ms": 3, "lw": 1, "capsize": 2}
            ax.errorbar(x, its.mean, yerr=[[its.mean - its.low], [its.high - its.mean]], **look)
        ax.axhline(0, color="0.5", lw=0.6)
        ax.set(title=title, xlim=(-0.5, len(sizes) - 0.5))
    alone.set(ylabel="gain in macro-F1 (95 %)")
    two.tick_params(labelleft=False)
    total = int(round(scores.loc[scores["size"] == report.ALL, "n_cells"].mean())) if report.ALL in sizes else 0
    names = [f"all\n(≈{total})" if size == report.ALL else str(size) for size in sizes]
    for ax in (left, alone, two):
        ax.set_xticks(range(len(sizes)), names)
        ax.set_xlabel("labelled human cells")
        _grid(ax, "y")
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=2.2)
    freeze_layout(figure)
    letter_panels(figure, [[left, alone, two]])
    return figure


@styled
def zero_shot(record):
    """Macro-F1 without any label of the target species, by method, in both directions; dots are seeds."""
    table = report.zero_shot_table(record)
    ways = list(dict.fromkeys(table.index.get_level_values("way")))
    methods = list(dict.fromkeys(table.index.get_level_values("method")))
    figure = new_figure(0.75 + 0.26 * len(methods))
    axes = np.atleast_1d(figure.subplots(1, len(ways), sharey=True))
    for ax, way in zip(axes, ways, strict=True):
        for y, method in enumerate(methods):
            chosen = record.scores[(record.scores["way"] == way) & (record.scores["method"] == method)]
            mean = chosen["macro_f1"].mean()
            ax.barh(y, mean, height=0.65, color=SERIES[1 + y % 6], alpha=0.5)
            ax.plot(chosen["macro_f1"], [y] * len(chosen), ".", ms=3, color="0.2")
            ax.text(mean + 0.025, y, f"{mean:.3f}", va="center")
        ax.set(xlim=(0, 1), xlabel="macro-F1", title=way.replace("->", "→"))
        _name_rows(ax, [ALIGNED.get(method, method) for method in methods])
    return figure
