"""The figures of electrophysiology -> type: every function takes records and returns a matplotlib Figure."""

import numpy as np
from matplotlib.lines import Line2D
from scipy.stats import t as student

from sbnn.data.checks import GREY
from sbnn.ephys_types import classification, report
from sbnn.plotting.cells import family_centre
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import finish, grid, name_rows, new_figure, new_panels, styled
from sbnn.plotting.labels import place_names
from sbnn.plotting.models import AROUND

#: Of the subclasses, as in the Allen taxonomies and usual in the field.
TYPE_COLORS = {"PVALB": "#D93137", "SST": "#FF9900", "VIP": "#A45FBF", "LAMP5": "#DA808C", "SNCG": "#DF70FF"}
#: Of the kinds of models.
KIND_COLORS = {"baseline": "0.45", "trees": BLUE, "sequence": VERMILLION, "ours": GREEN}
#: Of methods of transfer and of conditions, in their order.
SERIES = ("0.35", GREEN, BLUE, VERMILLION, PURPLE, ORANGE, SKY)
CHANCE = "majority"  # far below all others: not drawn to scale
MARKERS = {"transfer": "o", "pretrained": "^", "joint": "s", report.CONTROL: "D"}
OVER = {"": "over human only", " over two": "over two experts"}  # ending of the columns -> title
DASHES = {report.WITHOUT: (3, 1.5), report.CONTROL: (1, 1)}


@styled
def accuracy_of_models(models, kind):
    """Macro-F1 and accuracy of models (name -> cross-validation on the same folds), and published numbers."""
    first = next(iter(models.values()))
    dataset = first.dataset.removesuffix("_relative")
    title = f"{report.TITLES.get(dataset, dataset)} neurons ({dataset}), {report.CLASSES_OF[kind]}"
    known = report.published(dataset, kind)
    figure, axes = new_panels(0.75 + 0.21 * len(models), 1, 2, sharey=True)
    for i, (ax, metric) in enumerate(zip(axes, ("macro_f1", "accuracy"), strict=True)):
        seen = []
        for y, (name, record) in enumerate(models.items()):
            values, color = classification.repeat_means(record, metric), KIND_COLORS[report.MODELS.kind[name]]
            text = f"{values.mean():.3f}" + (f" ({known[name][i]:.3f})" if name in known else "")
            across = {"transform": ax.get_yaxis_transform(), "color": color}
            ax.text(1.02, y, text, va="center", **across)
            if name == CHANCE and len(models) > 1:
                ax.plot(0.012, y, "<", ms=3, clip_on=False, **across)
                continue
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=3, mew=0, alpha=0.5, zorder=3)
            ax.plot(values.mean(), y, "|", color=color, ms=9, mew=1.4, zorder=4)
            seen += values.tolist()
            if name in known:  # below the dots, which it would cover
                ax.plot(known[name][i], y, color=color, zorder=2, **AROUND)
                seen.append(known[name][i])
        margin = 0.06 * max(max(seen) - min(seen), 0.02)
        ax.set(xlim=(min(seen) - margin, max(seen) + margin), xlabel=metric.replace("_f", "-F"))
        name_rows(ax, [report.LABELS[name] for name in models])
        grid(ax, "x")
    dot = {"ls": "", "color": "0.3"}
    entries = [Line2D([], [], marker="o", ms=3, mew=0, alpha=0.5, label="one set of folds", **dot)]
    entries.append(Line2D([], [], marker="|", ms=8, mew=1.4, label=f"mean of {len(first.repeats)} folds", **dot))
    if any(name in known for name in models):
        entries.append(Line2D([], [], color="0.3", label="published (in brackets): other cells and features", **AROUND))
    if CHANCE in models and len(models) > 1:
        entries.append(Line2D([], [], marker="<", ms=3, label="off the scale", **dot))
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries), alignment="left", title=title)
    return figure


@styled
def cells_by_type(record):
    """Two sparse components, one family each, that discriminate the types best, and the t-SNE of all components."""
    types = record.labels["type5" if "type5" in record.labels else "type"].to_numpy(str)
    names, counts = np.unique(types, return_counts=True)
    places = discriminating_components(record.components, types, record.component_names)
    figure, axes = new_panels(2.75, 1, 2)
    order = np.random.default_rng(0).permutation(len(types))
    colors = np.array([TYPE_COLORS.get(name, GREY) for name in types])[order]
    size = np.clip(6000 / len(types), 1.5, 12)
    for ax, xy in zip(axes, (record.components[:, places], record.tsne), strict=True):
        ax.scatter(*xy[order].T, s=size, c=colors, lw=0, alpha=0.8, rasterized=len(xy) > 5000)
    low, high = np.percentile(record.components[:, places], [0.3, 99.7], axis=0)
    pad = 0.08 * (high - low)
    axes[0].set(xlim=(low[0] - pad[0], high[0] + pad[0]), ylim=(low[1] - pad[1], high[1] + pad[1]))
    xlabel, ylabel = (record.component_names[i] for i in places)
    axes[0].set(xlabel=xlabel, ylabel=ylabel, title="sparse principal components (SD)")
    axes[1].set(title=f"t-SNE of all {record.components.shape[1]} sparse components", xticks=[], yticks=[])
    axes[1].spines[:].set_visible(False)
    dots = {name: Line2D([], [], color=TYPE_COLORS.get(name, GREY), marker="o", ms=4, ls="") for name in names}
    labels = [f"{name} ({count})" for name, count in zip(names, counts, strict=True)]
    figure.legend(dots.values(), labels, loc="outside lower center", ncols=len(labels), handletextpad=0.1)
    finish(figure, [list(axes)])
    places = np.array([family_centre(record.tsne, types == name) for name in names])
    place_names(axes[1], places, names, record.tsne, leader=False, fontweight="bold")
    return figure


def discriminating_components(components, types, names):
    """Positions of the component (n, k) that discriminates the types best, and of one of another family beside it.

    The second discriminates best once what it shares with the first is taken off; names are a family and a number.
    """
    first = int(np.argmax(_between(components, types)))
    families = [name.rpartition(" ")[0] for name in names]
    others = [i for i, family in enumerate(families) if family != families[first]]
    x = components[:, first] - components[:, first].mean()
    rest = components - components.mean(axis=0)
    left = rest - np.outer(x, x @ rest / (x @ x))
    # Shares of the whole variance, so that a remainder of next to nothing does not win.
    share = _between(left, types) * (left**2).sum(axis=0) / (rest**2).sum(axis=0)
    return [first, others[int(np.argmax(share[others]))]]


def _between(values, types):
    """Share of the variance of each column that lies between types."""
    centred = values - values.mean(axis=0)
    total = (centred**2).sum(axis=0)
    between = sum((types == name).sum() * centred[types == name].mean(axis=0) ** 2 for name in np.unique(types))
    return between / np.where(total == 0, 1, total)


@styled
def learning_curves(record):
    """Macro-F1 with transfer and without by number of labelled cells, and the paired gains.

    Bands are 95 % intervals of the mean over the sets of folds where there are several, which share cells, so that they
    are too narrow; the bars of the gains are corrected for that.
    """
    scores, table = report.by_size(record), report.curves_table(record)
    sizes, n = list(table.index.unique("cells")), len(scores.index.unique("seed"))
    curves = {pair: table.xs(pair, level=(1, 2)) for pair in table.index.droplevel("cells").unique()}
    x = np.arange(len(sizes))
    helped = dict.fromkeys(model for (model, _), rows in curves.items() if rows["gain"].notna().any())
    colors = dict(zip(helped, SERIES[1:], strict=False))
    figure = new_figure(4.8)
    above, below = figure.add_gridspec(2, 1)
    panels = dict(zip(helped, above.subgridspec(1, len(helped)).subplots(sharey=True), strict=True))
    alone, two = below.subgridspec(1, 2, width_ratios=(1.3, 1)).subplots(sharey=True)
    for (model, method), rows in curves.items():
        look = {"color": colors.get(model, SERIES[0]), "marker": MARKERS.get(method, "o"), "ms": 3}
        look |= {"dashes": DASHES.get(method, (None, None)), "mfc": "w" if method == report.WITHOUT else None}
        half = student.ppf(0.975, n - 1) * rows["sd"] / np.sqrt(n)
        for own, ax in panels.items():
            if model in helped and model != own:
                ax.plot(x, rows["macro_f1"], color="0.85", lw=0.8, zorder=1)
                continue
            ax.plot(x, rows["macro_f1"], label=method if model == own else f"{model} alone", **look)
            band = {"color": look["color"], "alpha": 0.12, "lw": 0}
            ax.fill_between(x, rows["macro_f1"] - half, rows["macro_f1"] + half, **band)
    for own, ax in panels.items():
        ax.set_title(f"{own}; grey: the others")
        ax.legend(loc="lower right", handlelength=2.2)
    first = next(iter(panels.values()))
    first.set_ylabel("macro-F1")
    for ax, (ending, title) in zip((alone, two), OVER.items(), strict=True):
        shown = {pair: rows for pair, rows in curves.items() if rows[f"gain{ending}"].notna().any()}
        for i, ((model, method), rows) in enumerate(shown.items()):
            mean, low, high = (rows[f"{name}{ending}"] for name in ("gain", "low", "high"))
            look = {"fmt": MARKERS.get(method, "o"), "color": colors[model], "ms": 3, "lw": 1, "capsize": 2}
            ax.errorbar(x + 0.14 * (i - (len(shown) - 1) / 2), mean, yerr=[mean - low, high - mean], **look)
        ax.axhline(0, color="0.5", lw=0.6)
        ax.set(title=title, xlim=(-0.5, len(sizes) - 0.5))
    alone.set(ylabel="gain in macro-F1 (95 %)")
    cells = scores["n_cells"].groupby("cells").mean()
    names = [f"all\n(≈{cells['all']:.0f})" if size == "all" else size for size in sizes]
    for ax in (*panels.values(), alone, two):
        ax.set_xticks(x, names)
        ax.set_xlabel("labelled human cells")
        grid(ax, "y")
    return finish(figure, [[first], [alone, two]])
