"""The figures of electrophysiology -> type: every function takes records and returns a matplotlib Figure."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator
from scipy.stats import t as student

from sbnn.data.checks import GREY
from sbnn.data.typed_cells import as_typed, family_columns
from sbnn.ephys_types import classification, report
from sbnn.ephys_types.base import FeatureScaling
from sbnn.plotting.cells import family_centre
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import colorbar, finish, grid, name_rows, new_figure, new_panels, styled
from sbnn.plotting.labels import HALO, place_names
from sbnn.plotting.models import AROUND

#: Of the subclasses, as in the Allen taxonomies and usual in the field.
TYPE_COLORS = {"PVALB": "#D93137", "SST": "#FF9900", "VIP": "#A45FBF", "LAMP5": "#DA808C", "SNCG": "#DF70FF"}
#: Of the kinds of models.
KIND_COLORS = {"baseline": "0.45", "trees": BLUE, "sequence": VERMILLION, "ours": GREEN}
#: Of methods of transfer and of conditions, in their order.
SERIES = ("0.35", GREEN, BLUE, VERMILLION, PURPLE, ORANGE, SKY)
#: Models of the figures with a panel for each.
SHOWN = ("lightgbm", "sparse_pca_forest", "bilstm_published", "bilstm", "bilstm_no_attention", "family_attention",
         "ephys_type")  # fmt: skip
CHANCE = "majority"  # far below all others: not drawn to scale
COLUMNS, SIDE = 4, 1.75  # of panels, and inches of one with its labels
RAREST = 0.005  # share of the predictions that a dot is of
MARKERS = {"transfer": "o", "pretrained": "^", "joint": "s", report.CONTROL: "D"}
REFERENCES = {CHANCE: ":", "ephys_type": "--"}  # with transfer without types
OVER = {"": "over human only", " over two": "over two experts"}  # ending of the columns -> title
DASHES = {report.WITHOUT: (3, 1.5), report.CONTROL: (1, 1)}
# What was done to the scales of the two species.
ALIGNED = {
    "shift": "shift estimated with\nthe shares of the types", "own": "each on its own scale",
    "source": "scale of the source",
}  # fmt: skip


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
def confusion_matrices(models):
    """Confusion matrices: rows are true classes and sum to one, with the mean number of cells in each entry."""
    figure, axes = _panels(models, 0.25, "predicted", "true")
    for ax, record in zip(axes, models.values(), strict=False):
        counts, classes = classification.confusion_counts(record), record.classes
        shares = counts / counts.sum(axis=1, keepdims=True)
        image = _image(ax, shares, "Blues", vmax=1)
        for row, column in np.ndindex(counts.shape):
            color = "w" if shares[row, column] > 0.55 else "0.2"
            text = f"{shares[row, column]:.2f}\n{counts[row, column]:.0f}"
            ax.text(column, row, text, ha="center", va="center", fontsize=5 if len(classes) < 5 else 4, color=color)
        ax.set_xticks(range(len(classes)), classes, rotation=90)
        ax.set_yticks(range(len(classes)), classes if ax.get_subplotspec().is_first_col() else [])
    label = "share of the true class\n(below it: cells, mean of repeats)"
    colorbar(figure, image, label, ax=axes.tolist(), fraction=0.02, pad=0.015, aspect=25)
    return figure


@styled
def calibration_curves(models):
    """Share of right answers against the probability of the most probable class, one panel per model.

    The area of a dot is the share of the predictions; bins of fewer than 0.5 % of them are not drawn. The number is the
    expected calibration error.
    """
    figure, axes = _panels(models, 0.2, "probability of the answer", "fraction correct", sharex=True, sharey=True)
    for ax, (name, record) in zip(axes, models.items(), strict=False):
        table, error = classification.calibration(record)
        table = table[table["share"] >= RAREST]
        color = KIND_COLORS[report.MODELS.kind[name]]
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.6, dashes=(3, 2))
        ax.plot(table["confidence"], table["accuracy"], color=color, lw=1)
        dots = {"s": 3 + 90 * table["share"], "color": color, "lw": 0, "zorder": 3, "clip_on": False}
        ax.scatter(table["confidence"], table["accuracy"], **dots)
        ax.text(0.97, 0.05, f"error {error:.3f}", transform=ax.transAxes, ha="right", color="0.2")
        ax.set(xlim=(0.15, 1.03), ylim=(-0.03, 1.05), aspect="equal")
        ax.tick_params(labelbottom=bool(ax.get_xlabel()))
    return figure


def _panels(models, margin, xlabel, ylabel, **options):
    """Figure and axes for a panel per model."""
    n_rows = -(-len(models) // COLUMNS)
    figure, axes = new_panels(SIDE * n_rows + margin, n_rows, COLUMNS, squeeze=False, **options)
    for ax in axes.flat[len(models) :]:
        ax.set_visible(False)
    for i, (ax, name) in enumerate(zip(axes.flat, models, strict=False)):
        shown = {"xlabel": xlabel if i + COLUMNS >= len(models) else "", "ylabel": "" if i % COLUMNS else ylabel}
        ax.set(title=report.LABELS[name], **shown)
    return figure, axes.ravel()


def _image(ax, values, colors, **options):
    """Draw a matrix without ticks and frame."""
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax.imshow(values, cmap=colors, vmin=0, **options)


def typical_cells(data):
    """Name of the cell of each type whose features are nearest to the medians of the type; Series.

    By the mean distance of normal scores, among the half of its cells in which most features were measured.
    """
    cells, names = as_typed(data), {}
    scores = pd.DataFrame(FeatureScaling().fit_transform(cells.X), cells.cell_names)
    for name, its in scores.groupby(cells.y):
        far, lacking = (its - its.median()).abs().mean(axis=1), its.isna().sum(axis=1)
        names[name] = far[lacking <= lacking.median()].idxmin()
    return pd.Series(names)


@styled
def feature_profiles(data, names):
    """Normal scores of all features for a cell of each type (`names`: type -> cell), over the quartiles of the type."""
    cells = as_typed(data)
    families = family_columns(cells.families)
    order, ends = np.concatenate(list(families.values())), np.cumsum([len(its) for its in families.values()])
    scores = pd.DataFrame(FeatureScaling().fit_transform(cells.X)[:, order], cells.cell_names)
    x = np.arange(len(order))
    figure, axes = new_panels(0.7 + 0.8 * len(names), len(names), 1, sharex=True, sharey=True, squeeze=False)
    for ax, (name, cell) in zip(axes[:, 0], names.items(), strict=True):
        color = TYPE_COLORS.get(name, GREY)
        band = scores[cells.y == name].quantile([0.25, 0.75]).to_numpy()
        ax.fill_between(x, *band, color=color, alpha=0.25, lw=0)
        ax.plot(x, scores.loc[cell], ".-", color=color, ms=3, lw=0.8)
        ax.axhline(0, color="0.6", lw=0.5)
        for end in ends[:-1]:
            ax.axvline(end - 0.5, color="0.8", lw=0.5)
        ax.set(ylim=(-3, 3), xlim=(-0.5, len(x) - 0.5), ylabel=name)
    ax.set_xticks(ends - [len(its) / 2 + 0.5 for its in families.values()], families, rotation=35, ha="right")
    ax.tick_params(axis="x", length=0)
    return figure


@styled
def missing_families(data):
    """Share of the cells of each type in which no feature of a family was measured."""
    cells = as_typed(data)
    families = family_columns(cells.families)
    lacking = {family: np.isnan(cells.X[:, its]).all(axis=1) for family, its in families.items()}
    shares = pd.DataFrame(lacking).groupby(cells.y).mean()
    figure, ax = new_panels(0.9 + 0.2 * len(shares))
    _image(ax, shares, "Oranges", vmax=1, aspect="auto")
    for row, column in np.ndindex(shares.shape):
        ax.text(column, row, f"{100 * shares.iloc[row, column]:.0f} %", ha="center", va="center")
    ax.set_xticks(range(len(families)), families, rotation=35, ha="right")
    name_rows(ax, shares.index)
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
def within_groups(records, column):
    """Composition of groups of at least 50 cells, and macro-F1 of models within each; bars are SD over repeats."""
    labels, models = records[report.CELLS].labels, [name for name in SHOWN if f"types_{name}" in records]
    sizes = labels[column].value_counts()
    groups = list(sizes.index[sizes >= report.FEWEST])
    height = max(0.85 + 0.24 * len(models), 1.2 + 0.2 * len(groups))
    figure, (left, right) = new_panels(height, 1, 2, width_ratios=(1, 1.5))
    shares = pd.crosstab(labels[column], labels["type"], normalize="index").loc[groups]
    starts = shares.cumsum(axis=1) - shares
    for name in shares:
        color = TYPE_COLORS.get(name, GREY)
        left.barh(range(len(groups)), shares[name], left=starts[name], color=color, label=name, height=0.6)
    name_rows(left, [f"{group} ({sizes[group]})" for group in groups])
    left.set(xlim=(0, 1), xlabel="share of the cells")
    left.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=len(shares.T), columnspacing=0.8, handlelength=1)
    scores = report.group_table(records, column)
    for y, name in enumerate(models):
        if y:
            right.axhline(y - 0.5, lw=0.4, color="0.8", zorder=0)  # whose dots are whose
        for i, (_, row) in enumerate(scores.loc[report.LABELS[name]].iterrows()):
            shift = (i - len(groups) / 2) * 0.6 / len(groups)
            look = {"fmt": "o", "ms": 3, "lw": 0.9, "color": SERIES[i % 7]}
            right.errorbar(row["macro_f1"], y + shift, xerr=row["macro_f1_sd"], **look)
    name_rows(right, [report.LABELS[name] for name in models])
    right.set_xlabel("macro-F1 of the classes that the group has")
    grid(right, "x")
    look, shown = {"marker": "o", "ms": 3, "ls": ""}, ["all cells", *groups]
    entries = [Line2D([], [], color=SERIES[i % 7], label=group, **look) for i, group in enumerate(shown)]
    place = {"loc": "lower left", "bbox_to_anchor": (0, 1.01), "ncols": min(len(entries), 4), "columnspacing": 1}
    right.legend(handles=entries, **place)
    return finish(figure, [[left, right]])


@styled
def family_map(record, label):
    """Attention per class, and importance per family by shuffling and leaving out; dots are folds, rho Spearman's."""
    table = classification.importance_table(record)
    rho = table.corr("spearman")
    order = np.argsort(-table["shuffled"].to_numpy(), kind="stable")
    names, attends = table.index[order], "attention" in table
    widths = [0.55] * attends + [1, 1]
    figure, panels = new_panels(1.05 + 0.2 * len(names), 1, len(widths), sharey=True, width_ratios=widths)
    *first, shuffled, left_out = panels
    for ax in first:
        image = _image(ax, record.attention[:, order].T, "Greens", aspect="auto")
        ax.set_xticks(range(len(record.classes)), record.classes, rotation=90)
        ax.set_title("attention\nby true class")
        colorbar(figure, image, "", ax=ax, fraction=0.08, pad=0.03)
    for ax, way, color in ((shuffled, "shuffled", BLUE), (left_out, "left out", VERMILLION)):
        ax.barh(range(len(names)), table[way].iloc[order], color=color, alpha=0.35, height=0.7)
        for fold in record.values[f"{way.replace(' ', '_')}_log_loss"][:, order]:
            ax.plot(fold, range(len(names)), ".", ms=3, mew=0, color=color)
        ax.axvline(0, color="0.5", lw=0.6)
        ax.xaxis.set_major_locator(MaxNLocator(4))
        others = [other for other in rho if other not in (way, "shuffled")]
        rhos = ", ".join(f"{rho.loc[way, other]:.2f} with {other}" for other in others)
        ax.set_title(f"{way}\nrho {rhos}" if rhos else f"{way}\n")
        ax.set_xlabel("rise of the log loss (nats)")
        ax.tick_params(axis="y", length=0)
    name_rows(panels[0], names)
    figure.suptitle(label, x=0.01, ha="left", fontsize=7.5)
    return figure


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


@styled
def zero_shot(record, models=None):
    """Macro-F1 without any label of the target species, by method, in both directions; dots are seeds.

    Lines are `models` (name -> cross-validation) of the target that know its types: the majority, and ours.
    """
    by = record.scores.groupby(["way", "method"], sort=False)["macro_f1"]
    ways, methods = (record.scores[column].unique() for column in ("way", "method"))
    figure, axes = new_panels(0.75 + 0.26 * len(methods), 1, len(ways), sharey=True)
    for ax, way in zip(axes, ways, strict=True):
        for y, method in enumerate(methods):
            f1 = by.get_group((way, method))
            ax.barh(y, f1.mean(), height=0.65, color=SERIES[1 + y % 6], alpha=0.5)
            ax.plot(f1, [y] * len(f1), ".", ms=3, color="0.2")
            ax.text(f1.mean() + 0.025, y, f"{f1.mean():.3f}", va="center", path_effects=HALO)
        target = way.split(" -> ")[1]
        for name, line in REFERENCES.items() if target == record.dataset else ():
            if name in (models or {}):
                level = classification.repeat_means(models[name], "macro_f1").mean()
                label = f"{report.LABELS[name]} of {report.TITLES.get(target, target)} cells with types: {level:.3f}"
                ax.axvline(level, color="0.2", lw=0.9, ls=line, label=label)
        titles = (
            report.TITLES.get(name.removesuffix("_relative"), name.replace("_", " ")) for name in way.split(" -> ")
        )
        ax.set(xlim=(0, 1), xlabel="macro-F1", title=" → ".join(titles))
        name_rows(ax, [ALIGNED.get(method, method) for method in methods])
    figure.legend(loc="outside lower center", ncols=len(REFERENCES))
    return figure
