"""Figures of classifiers of cell types, drawn from records and tables."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D
from scipy.stats import t as student

from sbnn.data.checks import GREY
from sbnn.ephys_types import report
from sbnn.ephys_types.classification import calibration, confusion_counts, repeat_means
from sbnn.ephys_types.sparse_pca_forest import discriminating_components
from sbnn.plotting.cells import MOST_SHAPES, family_centre
from sbnn.plotting.colors import BLUE, GREEN, MODELS, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import finish, grid, name_rows, new_figure, new_panels, styled
from sbnn.plotting.curves import PUBLISHED
from sbnn.plotting.labels import place_names

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.figure import Figure

    from sbnn.results import Record


# as in the Allen taxonomies
TYPES = {
    "PVALB": "#D93137",
    "SST": "#FF9900",
    "VIP": "#A45FBF",
    "LAMP5": "#DA808C",
    "SNCG": "#DF70FF",
}
KINDS = {"baseline": "0.45", "trees": BLUE, "sequence": VERMILLION, "ours": GREEN}
SERIES = (MODELS["linear"], GREEN, BLUE, VERMILLION, PURPLE, ORANGE, SKY)
SPECIES = report.TITLES | {
    "simulated_ephys": "simulated human",
    "simulated_ephys_mouse": "simulated mouse",
}
ALIGNMENTS = {
    "shift": "shift estimated with\nthe shares of the types",
    "own": "each on its own scale",
    "source": "scale of the source",
}
METHODS = {"transfer": "o", "pretrained": "^", "joint": "s", report.CONTROL: "D"}  # markers
DASHES = {report.WITHOUT: (3, 1.5), report.CONTROL: (1, 1)}
RARE = 0.005  # bins with a smaller share of the predictions are not drawn


@styled
def feature_profiles(
    scores: pd.DataFrame, families: pd.Series, types: pd.Series, typical: Mapping[str, str]
) -> Figure:
    """Features of one cell of each type, and the middle half of the cells of its type.

    Parameters
    ----------
    scores : DataFrame, shape (n, p)
        Normal scores of the features.
    families : Series, shape (p,)
        Family of each feature.
    types : Series, shape (n,)
        Type of each cell.
    typical : Mapping of str to str
        Name of the cell that is drawn, by type; there is one panel for each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    sizes = families.value_counts(sort=False)  # in the order of the families
    order = np.argsort(pd.factorize(families)[0], kind="stable")
    by_family = scores.iloc[:, order]
    n_features = len(order)
    x = np.arange(n_features)
    ends = sizes.cumsum()
    height = 0.7 + 0.8 * len(typical)
    figure, panels = new_panels(height, len(typical), 1, sharex=True, sharey=True)
    for ax, (name, cell) in zip(panels, typical.items(), strict=True):
        color = TYPES.get(name, "0.6")
        low, high = by_family[types == name].quantile([0.25, 0.75]).to_numpy()
        ax.fill_between(x, low, high, color=color, alpha=0.25, lw=0)
        ax.plot(x, by_family.loc[cell], ".-", color=color, ms=3, lw=0.8)
        ax.axhline(0, color="0.6", lw=0.5)
        ax.vlines(ends[:-1] - 0.5, -3, 3, color="0.8", lw=0.5)
        ax.set(ylabel=name, ylim=(-3, 3), xlim=(-0.5, n_features - 0.5))
        ax.tick_params(axis="x", length=0)
    panels[-1].set_xticks(ends - sizes / 2 - 0.5, sizes.index, rotation=35, ha="right")
    title = "z-scored features: a typical cell (line) and the middle half of its type (band)"
    figure.suptitle(title, fontsize=7)
    return figure


@styled
def maps_of_cells(record: Record) -> Figure:
    """Cells on two sparse components that discriminate the types, and on a t-SNE of all of them.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.sparse_pca_forest.map_cells`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    column = "type5" if "type5" in record.labels else "type"
    types = record.labels[column].to_numpy(str)
    names, counts = np.unique(types, return_counts=True)
    pair = discriminating_components(record.components, types, record.component_names)
    chosen = record.components[:, pair]
    figure, (left, right) = new_panels(2.75, 1, 2)
    order = np.random.default_rng(0).permutation(len(types))
    colors = np.array([TYPES.get(name, GREY) for name in types])[order]
    look = {"s": np.clip(6000 / len(types), 1.5, 12), "c": colors, "lw": 0, "alpha": 0.8}
    for ax, xy in ((left, chosen), (right, record.tsne)):
        ax.scatter(*xy[order].T, rasterized=len(types) > MOST_SHAPES, **look)
    low, high = np.percentile(chosen, [0.3, 99.7], axis=0)  # without the outermost cells
    margin = 0.08 * (high - low)
    xlim, ylim = zip(low - margin, high + margin, strict=True)
    xlabel, ylabel = (record.component_names[component] for component in pair)
    left.set(xlim=xlim, ylim=ylim, xlabel=xlabel, ylabel=ylabel)
    left.set_title("sparse principal components (SD)")
    title = f"t-SNE of all {record.components.shape[1]} sparse components"
    right.set(xticks=[], yticks=[], title=title)
    right.spines[:].set_visible(False)
    entries = []
    for name, count in zip(names, counts, strict=True):
        look = {"color": TYPES.get(name, GREY), "marker": "o", "ms": 4, "ls": ""}
        entries.append(Line2D([], [], label=f"{name} ({count})", **look))
    place = {"loc": "outside lower center", "ncols": len(names), "handletextpad": 0.1}
    figure.legend(handles=entries, **place)
    finish(figure, [[left, right]])
    centres = np.array([family_centre(record.tsne, types == name) for name in names])
    place_names(right, centres, names, record.tsne, leader=False, fontweight="bold")
    return figure


@styled
def missing_families(shares: pd.DataFrame) -> Figure:
    """Share of the cells of each type without any feature of a family.

    Parameters
    ----------
    shares : DataFrame
        With a row for each type and a column for each family.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, ax = new_panels(0.9 + 0.2 * len(shares))
    ax.imshow(shares, cmap="Oranges", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        ax.text(column, row, f"{share:.0%}", ha="center", va="center")
    ax.set_xticks(range(shares.shape[1]), shares.columns, rotation=35, ha="right")
    ax.set_yticks(range(len(shares)), shares.index)
    _without_frame(ax)
    ax.set_title("share of the cells without any feature of a family")
    return figure


@styled
def model_scores(records: Mapping[str, Record], kind: str = "types") -> Figure:
    """Macro-F1 and accuracy of each model on every set of folds, with published scores.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `sbnn.ephys_types.report.of_kind`.
    kind : {"types", "types5"}
        Classes that the models predict.

    Returns
    -------
    matplotlib.figure.Figure
    """
    record = records[report.REFERENCE]
    dataset = record.dataset.removesuffix("_relative")
    known = report.published(dataset, kind)
    around = PUBLISHED | {"markersize": 7}  # large enough to be seen around a dot of ours
    figure, axes = new_panels(0.75 + 0.21 * len(records), 1, 2, sharey=True)
    for i, metric in enumerate(("macro_f1", "accuracy")):
        of_metric = {name: both[i] for name, both in known.items()}
        _draw_scores(axes[i], records, metric, of_metric, around)
    dot = {"ls": "", "color": "0.3"}
    small = {"marker": "o", "ms": 3, "mew": 0, "alpha": 0.5}
    mean = f"mean of {len(record.repeats)} folds"
    published = "published (in brackets): other cells and features"
    entries = [
        Line2D([], [], label="one set of folds", **small, **dot),
        Line2D([], [], marker="|", ms=8, mew=1.4, label=mean, **dot),
    ]
    if known:
        entries.append(Line2D([], [], color="0.3", label=published, **around))
    entries.append(Line2D([], [], marker="<", ms=3, label="off the scale", **dot))
    title = f"{report.TITLES[dataset]} neurons ({dataset}), {report.CLASSES_OF[kind]}"
    place = {"loc": "outside upper left", "ncols": len(entries), "alignment": "left"}
    figure.legend(handles=entries, title=title, **place)
    return figure


def _draw_scores(ax, records, metric, published, around):
    """A row for each model: its score on each set of folds, their mean, and the published score."""
    seen = []
    for y, (name, record) in enumerate(records.items()):
        values = repeat_means(record, metric)
        color = KINDS[report.MODELS.kind[name]]
        text = f"{values.mean():.3f}"
        if name in published:
            text += f" ({published[name]:.3f})"
        across = {"transform": ax.get_yaxis_transform(), "color": color}
        ax.text(1.02, y, text, va="center", **across)
        if name == "majority":  # far below all others: not drawn to scale
            ax.plot(0.012, y, "<", ms=3, clip_on=False, **across)
            continue
        height = np.full(len(values), y)
        ax.plot(values, height, "o", color=color, ms=3, mew=0, alpha=0.5, zorder=3)
        ax.plot(values.mean(), y, "|", color=color, ms=9, mew=1.4, zorder=4)
        seen += values.tolist()
        if name in published:  # below the dots, which it would cover
            ax.plot(published[name], y, color=color, zorder=2, **around)
            seen.append(published[name])
    low, high = min(seen), max(seen)
    margin = 0.06 * max(high - low, 0.02)
    ax.set(xlim=(low - margin, high + margin), xlabel=metric.replace("_f", "-F"))
    name_rows(ax, [report.LABELS[name] for name in records])
    grid(ax)


@styled
def confusion_matrices(records: Mapping[str, Record]) -> Figure:
    """Predicted classes of the cells of each true class, in a panel for each of up to eight models.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = _panels_of_models(3.75, records)
    for ax, record in zip(panels, records.values(), strict=True):
        classes = record.classes
        counts = confusion_counts(record)
        shares = counts / counts.sum(axis=1, keepdims=True)
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for (row, column), share in np.ndenumerate(shares):
            text = f"{share:.2f}\n{counts[row, column]:.0f}"
            color = "white" if share > 0.55 else "0.2"
            look = {"fontsize": 20 / len(classes), "color": color, "ha": "center", "va": "center"}
            ax.text(column, row, text, **look)
        ax.set_xticks(range(len(classes)), classes, rotation=90)
        ax.set_yticks(range(len(classes)), classes)
        _without_frame(ax)
    figure.supxlabel("predicted", fontsize=7)
    figure.supylabel("true", fontsize=7)
    label = "share of the true class\n(below it: cells, mean of repeats)"
    figure.colorbar(image, ax=panels, label=label, fraction=0.02, pad=0.015, aspect=25)
    return figure


@styled
def calibration_curves(records: Mapping[str, Record]) -> Figure:
    """Accuracy against the probability of the predicted class, a panel for each of eight models.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    figure, panels = _panels_of_models(3.7, records)
    for ax, (name, record) in zip(panels, records.items(), strict=True):
        table, error = calibration(record)
        table = table[table["share"] >= RARE]
        x, y = table["confidence"], table["accuracy"]
        color = KINDS[report.MODELS.kind[name]]
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.6, dashes=(3, 2))
        ax.plot(x, y, color=color, lw=1)
        sizes = 3 + 90 * table["share"]
        ax.scatter(x, y, s=sizes, color=color, lw=0, zorder=3, clip_on=False)
        corner = {"transform": ax.transAxes, "ha": "right", "fontsize": 6, "color": "0.2"}
        ax.text(0.97, 0.05, f"calibration error {error:.3f}", **corner)
        ax.set(xlim=(0.15, 1.03), ylim=(-0.03, 1.05), aspect="equal")
    figure.supxlabel("probability of the predicted class (larger dots: more cells)", fontsize=7)
    figure.supylabel("fraction correct", fontsize=7)
    return figure


def _panels_of_models(height, records):
    """Figure with a panel for each model, which it names."""
    figure, panels = new_panels(height, 2, 4, sharey=True)
    panels = panels.ravel().tolist()
    for ax in panels[len(records) :]:
        ax.remove()
    panels = panels[: len(records)]
    for ax, name in zip(panels, records, strict=True):
        ax.set_title(report.LABELS[name])
    return figure, panels


def _without_frame(ax):
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)


@styled
def scores_in_groups(records: Mapping[str, Record], column: str, models: Sequence[str]) -> Figure:
    """Types in groups of cells, such as acute and cultured slices, and macro-F1 within the groups.

    Parameters
    ----------
    records : dict of str to Record
        With the cross-validations, ``types_*``, and the map of the cells, ``types_cells``.
    column : str
        Column of the labels of the cells. Groups of fewer than 50 cells are left out.
    models : sequence of str
        Models to draw.

    Returns
    -------
    matplotlib.figure.Figure
    """
    labels = records[report.CELLS].labels
    sizes = labels[column].value_counts()
    sizes = sizes[sizes >= report.FEWEST]
    counts = pd.crosstab(labels[column], labels["type"], normalize="index")
    names = [report.LABELS[name] for name in models]
    figure, (left, right) = new_panels(2.5, 1, 2, width_ratios=(1, 1.5))
    _draw_shares(left, counts.loc[sizes.index], sizes)
    scores = report.group_table(records, column)
    for i, group in enumerate(["all", *sizes.index]):
        rows = scores.xs(group, level=1).loc[names]
        y = np.arange(len(names)) + 0.25 * (i - len(sizes) / 2)
        name = group if i else "all cells"
        sd = rows["macro_f1_sd"]
        look = {"fmt": "o", "ms": 3, "lw": 0.9, "color": SERIES[i]}
        right.errorbar(rows["macro_f1"], y, xerr=sd, label=name, **look)
    between = np.arange(1, len(names)) - 0.5
    right.hlines(between, 0, 1, transform=right.get_yaxis_transform(), color="0.8", lw=0.4)
    right.set(xlabel="macro-F1 of the classes in the group, mean ± SD")
    name_rows(right, names)
    right.grid(axis="x", lw=0.4, color="0.9")
    for ax in (left, right):
        ax.tick_params(axis="y", length=0)
        ax.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=4, columnspacing=0.9)
    return figure


def _draw_shares(ax, shares, sizes):
    """Stacked bars with the share of each type (columns) in each group (rows)."""
    start = np.zeros(len(shares))
    for name in shares:
        ax.barh(range(len(shares)), shares[name], 0.6, start, color=TYPES.get(name), label=name)
        start += shares[name].to_numpy()
    names = [f"{group} ({size})" for group, size in sizes.items()]
    ax.set(xlim=(0, 1), xlabel="share of the cells", yticks=range(len(names)), yticklabels=names)
    ax.set_ylim(len(names) - 0.45, -0.55)


@styled
def importance_of_families(record: Record, agreement: pd.Series) -> Figure:
    """Attention to each family, and the rise of the log loss if it is shuffled or left out.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.family_importance`.
    agreement : Series
        Rank correlations between the measures, by pair; its name is the label of the model.

    Returns
    -------
    matplotlib.figure.Figure
    """
    order = np.argsort(-record.shuffled_log_loss.mean(axis=0), kind="stable")
    widths = [0.55, 1, 1] if "attention" in record.values else [1, 1]
    height = 1.05 + 0.2 * len(order)
    figure, axes = new_panels(height, 1, len(widths), sharey=True, width_ratios=widths)
    if "attention" in record.values:
        _draw_attention(axes[0], record.attention[:, order].T, record.classes)
    _draw_rises(axes[-2], record.shuffled_log_loss[:, order], "shuffled", BLUE)
    _draw_rises(axes[-1], record.left_out_log_loss[:, order], "left out", VERMILLION)
    axes[0].set_yticks(range(len(order)), np.array(record.family_names)[order])
    axes[0].set_ylim(len(order) - 0.5, -0.5)
    texts = [f"{pair} {rho:.2f}" for pair, rho in agreement.dropna().items()]
    title = f"{agreement.name}; rank correlations: " + ", ".join(texts).replace("-", "−")
    figure.suptitle(title, x=0.01, ha="left", fontsize=7.5)
    return figure


def _draw_attention(ax, attention, classes):
    """Attention of shape (families, classes)."""
    image = ax.imshow(attention, cmap="Greens", vmin=0, aspect="auto")
    ax.set_xticks(range(len(classes)), classes, rotation=90)
    ax.set_title("attention by true class")
    _without_frame(ax)
    ax.figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03)


def _draw_rises(ax, rises, way, color):
    """Rises of the log loss, of shape (folds, families)."""
    y = range(rises.shape[1])
    ax.barh(y, rises.mean(axis=0), color=color, alpha=0.35, height=0.7)
    ax.plot(rises.T, y, ".", ms=3, mew=0, color=color)
    ax.axvline(0, color="0.5", lw=0.6)
    ax.set(title=f"family {way} (dots: folds)", xlabel="rise of the log loss (nats)")
    ax.locator_params(axis="x", nbins=6)
    ax.tick_params(axis="y", length=0)


@styled
def zero_shot_scores(record: Record, with_types: Mapping[str, float]) -> Figure:
    """Macro-F1 on a species whose types are not used, in both directions.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.transfer_evaluation.zero_shot`.
    with_types : Mapping of str to float
        Macro-F1 of ``"majority"`` and ``"EphysTypeClassifier"``, fitted to cells of the target with
        known types.

    Returns
    -------
    matplotlib.figure.Figure
    """
    target = SPECIES[record.dataset]
    figure, panels = new_panels(1.55, 1, 2, sharey=True)
    ways = record.scores.groupby("way", sort=False)
    for ax, (way, scores) in zip(panels, ways, strict=True):
        for y, method in enumerate(ALIGNMENTS):
            f1 = scores.loc[scores["method"] == method, "macro_f1"]
            mean = f1.mean()
            ax.barh(y, mean, height=0.65, color=SERIES[y + 1], alpha=0.5)
            ax.plot(f1, [y] * len(f1), ".", ms=3, color="0.2")
            behind = {"color": "white", "pad": 0.5}
            ax.text(mean + 0.03, y, f"{mean:.3f}", va="center", bbox=behind)
        start, end = (SPECIES[name] for name in way.split(" -> "))
        if end == target:
            _draw_level(ax, f"majority class of {target} cells", with_types["majority"], ":")
            name = "EphysTypeClassifier"
            _draw_level(ax, f"{name} trained on {target} cells", with_types[name], "--")
        ax.set(title=f"{start} → {end}", xlim=(0, 1), xlabel="macro-F1 (dots: seeds)")
        name_rows(ax, list(ALIGNMENTS.values()))
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def _draw_level(ax, label, level, ls):
    ax.axvline(level, color="0.2", lw=0.9, ls=ls, label=f"{label}: {level:.3f}")


@styled
def learning_curves(record: Record) -> Figure:
    """Macro-F1 by number of labelled cells, with and without another species, and the gains.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.transfer_evaluation.learning_curves`.

    Returns
    -------
    matplotlib.figure.Figure
    """
    species = SPECIES[record.dataset]
    target = "human" if species == "human" else "target"  # short, for legends
    table = report.curves_table(record)
    pairs = table.index.droplevel("cells").unique()
    curves = {pair: table.xs(pair, level=(1, 2)) for pair in pairs}
    helped = [model for (model, _), rows in curves.items() if rows["gain"].notna().any()]
    colors = dict(zip(dict.fromkeys(helped), SERIES[1:], strict=False))
    figure = new_figure(4.8)
    above, below = figure.add_gridspec(2, 1)
    axes = above.subgridspec(1, len(colors)).subplots(sharey=True)
    panels = dict(zip(colors, axes, strict=True))
    _draw_curves(panels, curves, colors, record.scores["seed"].nunique(), target)
    left, right = below.subgridspec(1, 2, width_ratios=(1.3, 1)).subplots(sharey=True)
    _draw_gains(left, curves, colors, "")
    _draw_gains(right, curves, colors, " over two")
    left.set_title(f"gain over {target} only, colours as in a")
    right.set_title("gain over two experts")
    sizes = report.by_size(record)["n_cells"].groupby("cells", sort=False).mean()
    names = [f"all\n(≈{n:.0f})" if size == "all" else size for size, n in sizes.items()]
    for ax in (*axes, left, right):
        ax.set_xticks(range(len(names)), names)
        ax.set_xlabel(f"labelled {species} cells")
        grid(ax, "y")
    axes[0].set_ylabel("macro-F1 (bands: 95%)")
    left.set_ylabel("gain in macro-F1 (95% interval)")
    return finish(figure, [[axes[0]], [left, right]])


def _draw_curves(panels, curves, colors, n_seeds, target):
    """Macro-F1 in a panel for each model that has a colour; the others are grey there."""
    # 95 % for the mean over the sets of folds: too narrow, since they share cells
    width = student.ppf(0.975, n_seeds - 1) / np.sqrt(n_seeds)
    for (model, method), rows in curves.items():
        color = colors.get(model, SERIES[0])
        look = {"color": color, "marker": METHODS.get(method, "o"), "ms": 3}
        look["dashes"] = DASHES.get(method, (None, None))
        look["mfc"] = "w" if method == report.WITHOUT else None
        mean = rows["macro_f1"]
        low = mean - width * rows["sd"]
        high = mean + width * rows["sd"]
        x = np.arange(len(rows))
        for own, ax in panels.items():
            if model in panels and model != own:
                ax.plot(x, mean, color="0.85", lw=0.8, zorder=1)
                continue
            label = method.replace("human", target) if model == own else f"{model} alone"
            ax.plot(x, mean, label=label, **look)
            ax.fill_between(x, low, high, color=color, alpha=0.12, lw=0)
    for own, ax in panels.items():
        ax.set_title(f"{own}; grey: the others")
        ax.legend(loc="lower right", handlelength=2.2)


def _draw_gains(ax, curves, colors, over):
    """Gain of each model in macro-F1, with its interval; `over` is the ending of the columns."""
    shown = {pair: rows for pair, rows in curves.items() if rows[f"gain{over}"].notna().any()}
    middle = (len(shown) - 1) / 2
    for i, ((model, method), rows) in enumerate(shown.items()):
        gain = rows[f"gain{over}"]
        below = gain - rows[f"low{over}"]
        above = rows[f"high{over}"] - gain
        x = np.arange(len(rows)) + 0.14 * (i - middle)  # beside each other
        look = {"fmt": METHODS.get(method, "o"), "color": colors[model], "ms": 3, "lw": 1}
        ax.errorbar(x, gain, yerr=[below, above], capsize=2, **look)
    ax.axhline(0, color="0.5", lw=0.6)
    ax.set_xlim(-0.5, len(rows) - 0.5)
