"""Figures of classifiers of cell types, drawn from records and tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from scipy.stats import t as student
from sklearn.neighbors import NearestNeighbors

from sbnn.data.checks import GREY
from sbnn.ephys_types import report
from sbnn.ephys_types.classification import calibration, confusion_counts, repeat_means
from sbnn.evaluation.verdict import paired_difference
from sbnn.plotting.cells import MOST_SHAPES
from sbnn.plotting.colors import METHODS as METHOD_COLORS
from sbnn.plotting.colors import SHAPES
from sbnn.plotting.common import (
    draw_scores,
    finish,
    grid,
    headline,
    name_rows,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.curves import PUBLISHED
from sbnn.plotting.labels import counted, place_names, signed
from sbnn.results import Record

# as in the Allen taxonomies
TYPES = {
    "PVALB": "#D93137",
    "SST": "#FF9900",
    "VIP": "#A45FBF",
    "LAMP5": "#DA808C",
    "SNCG": "#DF70FF",
}
KINDS = METHOD_COLORS["ephys_types"]
LEARNERS = {  # of learning curves
    "kernel": KINDS["kernel"],
    "trees": KINDS["trees"],
    "attention, shared features": KINDS["ours"],
}
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
    typical : Mapping of str to str
        Name of the cell to draw, by type.
    """
    sizes = families.value_counts(sort=False)  # in the order of the families
    order = np.argsort(pd.factorize(families)[0], kind="stable")
    by_family = scores.iloc[:, order]
    n_features = len(order)
    x = np.arange(n_features)
    ends = sizes.cumsum()
    by_type = by_family.groupby(types)
    low = by_type.quantile(0.25)
    high = by_type.quantile(0.75)
    figure, panels = new_panels(0.8 + 0.8 * len(typical), len(typical), 1, sharex=True, sharey=True)
    for ax, (name, cell) in zip(panels, typical.items(), strict=True):
        color = TYPES.get(name, GREY)
        ax.fill_between(x, low.loc[name], high.loc[name], color=color, alpha=0.25, lw=0)
        ax.plot(x, by_family.loc[cell], ".-", color=color, ms=3, lw=0.8)
        ax.axhline(0, color="0.6", lw=0.5)
        ax.vlines(ends[:-1] - 0.5, -3, 3, color="0.8", lw=0.5)
        ax.set(ylabel=f"{name}\n(SD)", ylim=(-3, 3), xlim=(-0.5, n_features - 0.5))
        ax.tick_params(axis="x", length=0)
    panels[-1].set_xticks(ends - sizes / 2 - 0.5, sizes.index, rotation=90)
    n_alike = (low.max() <= high.min()).sum()
    headline(
        figure,
        f"The middle halves of all types (bands) overlap in {n_alike} of {n_features} features; "
        "line: a typical cell",
    )
    return finish(figure, [[ax] for ax in panels])


@styled
def maps_of_cells(record: Record) -> Figure:
    """Cells on the t-SNE of `sbnn.ephys_types.sparse_pca_forest.map_cells`, coloured by type."""
    types = record.labels.get("type5", record.labels["type"]).to_numpy(str)
    names, counts = np.unique(types, return_counts=True)
    figure, ax = new_panels(3)
    order = np.random.default_rng(0).permutation(len(types))
    colors = np.array([TYPES.get(name, GREY) for name in types])[order]
    size = np.clip(6000 / len(types), 1.5, 12)
    ax.scatter(
        *record.tsne[order].T,
        rasterized=len(types) > MOST_SHAPES,
        s=size,
        c=colors,
        lw=0,
        alpha=0.8,
    )
    ax.set_axis_off()
    neighbours = NearestNeighbors(n_neighbors=1).fit(record.tsne).kneighbors()[1][:, 0]
    same = (types[neighbours] == types).mean()
    by_chance = np.square(counts / len(types)).sum()
    headline(
        figure,
        f"The nearest neighbour is of the same type for {same:.0%} of the cells ({by_chance:.0%} "
        f"by chance); t-SNE of {record.components.shape[1]} sparse components",
    )
    entries = []
    for name, count in zip(names, counts, strict=True):
        entries.append(
            Line2D(
                [],
                [],
                label=f"{name} ({count})",
                color=TYPES.get(name, GREY),
                marker="o",
                ms=4,
                ls="",
            )
        )
    figure.legend(handles=entries, loc="outside lower center", ncols=len(names))
    finish(figure)
    centres = [np.median(record.tsne[types == name], axis=0) for name in names]
    place_names(ax, centres, names, beside=False, fontweight="bold")
    return figure


@styled
def missing_families(shares: pd.DataFrame) -> Figure:
    """Share of the cells of each type without any feature of a family.

    Parameters
    ----------
    shares : DataFrame
        With a row for each type and a column for each family.
    """
    figure, ax = new_panels(0.9 + 0.2 * len(shares))
    _draw_matrix(ax, shares, shares.map("{:.0%}".format), "Oranges")
    ax.set_xticks(range(shares.shape[1]), shares.columns.str.replace(" ", "\n"))
    ax.set_yticks(range(len(shares)), shares.index)
    most = shares[shares.mean().idxmax()]
    headline(
        figure,
        f"{most.name} is missing most often, in {most.min():.0%} to {most.max():.0%} "
        "of the cells of a type",
    )
    return figure


def _draw_matrix(ax, shares, texts, cmap, fontsize=None):
    """Shares, from 0 to 1, as colours, with a text in each cell."""
    shares = np.asarray(shares)
    image = ax.imshow(shares, cmap=cmap, vmin=0, vmax=1, aspect="auto")
    for (row, column), text in np.ndenumerate(texts):
        color = "white" if shares[row, column] > 0.55 else "0.2"
        ax.text(column, row, text, ha="center", va="center", color=color, fontsize=fontsize)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return image


def draw_confusion(ax, counts, classes, fontsize=5.5):
    """Share of each true class (row) by predicted class, above the number of cells."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    texts = np.char.add(np.char.mod("%.2f\n", shares), np.char.mod("%.0f", counts))
    image = _draw_matrix(ax, shares, texts, "Blues", fontsize)
    ax.set_xticks(range(len(classes)), classes, rotation=90)
    ax.set_yticks(range(len(classes)), classes)
    return image


@styled
def model_scores(records: Mapping[str, Record], kind: str = "types") -> Figure:
    """Macro-F1 and accuracy of each model on every set of folds, with published scores.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `sbnn.ephys_types.report.of_kind`; the majority class,
        far below all others, is not drawn.
    kind : {"types", "types5"}
        Classes that the models predict.
    """
    record = records[report.REFERENCE]
    dataset = record.dataset.removesuffix("_relative")
    known = report.published(dataset, kind)
    shown = {name: its for name, its in records.items() if name != "majority"}
    figure, axes = new_panels(0.9 + 0.21 * len(shown), 1, 2, sharey=True)
    for i, metric in enumerate(("macro_f1", "accuracy")):
        ax = axes[i]
        for y, (name, its) in enumerate(shown.items()):
            values = repeat_means(its, metric)
            color = KINDS[report.MODELS.kind[name]]
            draw_scores(ax, y, values, color)
            text = f"{values.mean():.3f}"
            if name in known:
                ax.plot(known[name][i], y, color=color, zorder=1, **PUBLISHED | {"markersize": 7})
                text += f" ({known[name][i]:.3f})"
            ax.text(1.02, y, text, va="center", color=color, transform=ax.get_yaxis_transform())
        ax.set_title(metric.replace("_f", "-F"))
        name_rows(ax, [report.LABELS[name] for name in shown])
        grid(ax)
    dot = {"ls": "", "color": "0.3"}
    mean = f"mean of {len(record.repeats)} folds"
    entries = [
        Line2D([], [], marker="o", ms=3.5, mew=0, alpha=0.6, label="one set of folds", **dot),
        Line2D([], [], marker="|", ms=9, mew=1.4, label=mean, **dot),
    ]
    if known:
        label = "published (in brackets): other cells and features"
        entries.append(Line2D([], [], color="0.3", label=label, **PUBLISHED | {"markersize": 7}))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    cells = f"{len(record.true)} {report.TITLES[dataset]} cells, {report.CLASSES_OF[kind]}"
    if "ephys_type" in records:
        gain = str(paired_difference(records["ephys_type"], record)).replace("-", "−")
        cells += f": EphysTypeClassifier minus LightGBM is {gain} in macro-F1"
    headline(figure, cells)
    return finish(figure, [axes])


@styled
def confusion_matrices(records: Mapping[str, Record]) -> Figure:
    """Predicted classes of the cells of each true class, in a panel for each of up to eight models.

    The title is about the last one.
    """
    figure, panels = _panels_of_models(4, records)
    for ax, record in zip(panels, records.values(), strict=True):
        counts = confusion_counts(record)
        image = draw_confusion(ax, counts, record.classes, 20 / len(counts))
    figure.supxlabel("predicted", fontsize=7)
    figure.supylabel("true", fontsize=7)
    label = "share of the true class\n(below it: cells, mean of repeats)"
    figure.colorbar(image, ax=panels, label=label, fraction=0.02, pad=0.015, aspect=25)
    recall = pd.Series(np.diag(counts) / counts.sum(axis=1), record.classes)
    headline(
        figure,
        f"{report.LABELS[list(records)[-1]]} recognises {recall.max():.0%} of the "
        f"{recall.idxmax()} cells and {recall.min():.0%} of the {recall.idxmin()} cells",
    )
    return finish(figure, [panels[:4], panels[4:]])


@styled
def calibration_curves(records: Mapping[str, Record]) -> Figure:
    """Accuracy against the probability of the predicted class, a panel for each of eight models."""
    figure, panels = _panels_of_models(4, records)
    errors = pd.Series(dtype=float)
    for ax, (name, record) in zip(panels, records.items(), strict=True):
        table, error = calibration(record)
        errors[report.LABELS[name]] = error
        table = table[table["share"] >= RARE]
        x, y = table["confidence"], table["accuracy"]
        color = KINDS[report.MODELS.kind[name]]
        ax.plot([0, 1], [0, 1], color="0.7", lw=0.6, dashes=(3, 2))
        ax.plot(x, y, color=color, lw=1)
        sizes = 3 + 90 * table["share"]
        ax.scatter(x, y, s=sizes, color=color, lw=0, zorder=3, clip_on=False)
        ax.text(
            0.97,
            0.05,
            f"error {error:.3f}",
            transform=ax.transAxes,
            ha="right",
            fontsize=6,
            color="0.2",
        )
        ax.set(xlim=(0.15, 1.03), ylim=(-0.03, 1.05), aspect="equal")
    figure.supxlabel("probability of the predicted class (larger dots: more cells)", fontsize=7)
    figure.supylabel("fraction correct", fontsize=7)
    headline(
        figure,
        f"The calibration error is lowest for {errors.idxmin()} ({errors.min():.3f}) "
        f"and highest for {errors.idxmax()} ({errors.max():.3f})",
    )
    return finish(figure, [panels[:4], panels[4:]])


def _panels_of_models(height, records):
    figure, panels = new_panels(height, 2, 4, sharey=True)
    panels = panels.ravel().tolist()
    for ax in panels[len(records) :]:
        ax.remove()
    panels = panels[: len(records)]
    for ax, name in zip(panels, records, strict=True):
        ax.set_title(report.LABELS[name].replace(", ", ",\n"))
    return figure, panels


@styled
def scores_in_groups(records: Mapping[str, Record], column: str, models: Sequence[str]) -> Figure:
    """Macro-F1 within groups of cells, such as acute and cultured slices.

    Parameters
    ----------
    records : dict of str to Record
        With the cross-validations, ``types_*``, and the labels of the cells, ``types_cells``.
    column : str
        Column of the labels of the cells. Groups of fewer than 50 cells are left out.
    models : sequence of str
        Models to draw; the title is about the last one.
    """
    names = [report.LABELS[name] for name in models]
    colors = [KINDS[report.MODELS.kind[name]] for name in models]
    scores = report.group_table(records, column)
    groups = scores.index.unique(1)
    figure, ax = new_panels(2.7)
    found = []
    entries = []
    for i, (group, marker) in enumerate(zip(groups, SHAPES, strict=False)):
        rows = scores.xs(group, level=1).loc[names]
        f1 = rows["macro_f1"]
        y = np.arange(len(names)) + 0.25 * (i - (len(groups) - 1) / 2)
        ax.errorbar(f1, y, xerr=rows["macro_f1_sd"], fmt="none", ecolor=colors)
        ax.scatter(f1, y, s=12, c=colors, marker=marker, zorder=3)
        label = f"{group} ({rows['cells'].iloc[0]} cells)"
        entries.append(Line2D([], [], color="0.3", marker=marker, ms=3, ls="", label=label))
        found.append(f"{f1.iloc[-1]:.3f} ({group})")
    between = np.arange(1, len(names)) - 0.5
    ax.hlines(between, 0, 1, transform=ax.get_yaxis_transform(), color="0.8", lw=0.4)
    xlabel = "macro-F1 of the classes in the group, mean ± SD"
    n_cells = scores["cells"].groupby(level=1).first()
    n_left_out = 2 * n_cells["all"] - n_cells.sum()
    if n_left_out:
        xlabel += f"; {counted(n_left_out, 'cell')} of smaller groups left out"
    ax.set_xlabel(xlabel)
    name_rows(ax, names)
    grid(ax)
    figure.legend(handles=entries, loc="outside lower center", ncols=len(groups))
    headline(figure, f"Macro-F1 of {names[-1]} by {column}: {', '.join(found)}")
    return finish(figure)


@styled
def importance_of_families(record: Record, agreement: pd.Series) -> Figure:
    """Attention to each family, and the rise of the log loss if it is shuffled or left out.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.family_importance`.
    agreement : Series
        Rank correlations between the measures, by pair; its name is the label of the model.
    """
    order = np.argsort(-record.shuffled_log_loss.mean(axis=0), kind="stable")
    names = np.array(record.family_names)[order]
    widths = [0.55, 1, 1] if "attention" in record.values else [1, 1]
    height = 1.3 + 0.2 * len(order)
    figure, axes = new_panels(height, 1, len(widths), sharey=True, width_ratios=widths)
    if "attention" in record.values:
        figure.get_layout_engine().set(w_pad=0.08)
        _draw_attention(axes[0], record.attention[:, order].T, record.classes)
    costs = []
    for ax, way in zip(axes[-2:], ("shuffled", "left out"), strict=True):
        rises = record.values[f"{way.replace(' ', '_')}_log_loss"][:, order]
        means = rises.mean(axis=0)
        ax.barh(range(len(order)), means, color="0.8", height=0.7)
        ax.plot(rises.T, range(len(order)), ".", ms=3, mew=0, color="0.3")
        ax.axvline(0, color="0.5", lw=0.6)
        ax.set(title=f"{way} (dots: folds)", xlabel="rise of the log loss (nats)")
        ax.locator_params(axis="x", nbins=6)
        costs.append(f"if {way}, {names[means.argmax()]} ({means.max():.3f} nats)")
    name_rows(axes[0], names)
    pairs = [f"{pair} {rho:.2f}".replace("-", "−") for pair, rho in agreement.dropna().items()]
    headline(
        figure,
        f"The most important family of {agreement.name}: {'; '.join(costs)}\n"
        f"Rank correlations: {', '.join(pairs)}",
    )
    return finish(figure, [axes])


def _draw_attention(ax, attention, classes):
    image = ax.imshow(attention, cmap="Greens", vmin=0, aspect="auto")
    ax.set_xticks(range(len(classes)), classes, rotation=90)
    ax.set_title("attention by true class")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03, label="share of the attention")


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
    """
    target = SPECIES[record.dataset]
    figure, panels = new_panels(1.8, 1, 2, sharey=True)
    for ax, (way, scores) in zip(panels, record.scores.groupby("way", sort=False), strict=True):
        of_methods = scores.groupby("method")["macro_f1"]
        start, end = (SPECIES[name] for name in way.split(" -> "))
        if end == target:
            means = of_methods.mean()
            majority = with_types["majority"]
            default = with_types["EphysTypeClassifier"]
            ax.axvline(majority, color="0.2", lw=0.9, ls=":", label=f"majority: {majority:.3f}")
            label = f"EphysTypeClassifier trained on {target} cells: {default:.3f}"
            ax.axvline(default, color="0.2", lw=0.9, ls="--", label=label)
        for y, method in enumerate(ALIGNMENTS):
            draw_scores(ax, y, of_methods.get_group(method), KINDS["trees"])
            mean = of_methods.get_group(method).mean()
            behind = {"color": "white", "pad": 0.5}
            ax.text(mean + 0.03, y, f"{mean:.3f}", va="center", bbox=behind)
        ax.set(title=f"{start} → {end}", xlim=(0, 1), xlabel="macro-F1 (dots: seeds)")
        name_rows(ax, list(ALIGNMENTS.values()))
    figure.legend(loc="outside lower center", ncols=2)
    headline(
        figure,
        f"Types of {target} cells without labels: macro-F1 {means['shift']:.3f} with an estimated "
        f"shift, {means['own']:.3f} without",
    )
    return finish(figure, [panels])


@styled
def learning_curves(record: Record) -> Figure:
    """Macro-F1 by number of labelled cells, with and without another species, and the gains.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.transfer_evaluation.learning_curves`.
    """
    species = SPECIES[record.dataset]
    target = "human" if species == "human" else "target"  # short, for legends
    table = report.curves_table(record)
    pairs = table.index.droplevel("cells").unique()
    curves = {pair: table.xs(pair, level=(1, 2)) for pair in pairs}
    models = [model for model in LEARNERS if model in pairs.get_level_values("model")]
    figure = new_figure(4.8)
    above, below = figure.add_gridspec(2, 1)
    axes = above.subgridspec(1, len(models)).subplots(sharey=True)
    for ax, model in zip(axes, models, strict=True):
        for (name, method), rows in curves.items():
            if name == model:
                label = method.replace("human", target)
                _draw_curve(ax, rows, method, record, color=LEARNERS[model], label=label)
            elif name == "source":
                _draw_curve(ax, rows, method, record, color=KINDS["baseline"], label="source alone")
        ax.set_title(model)
        ax.legend(loc="lower right", handlelength=2.2)
    gains = below.subgridspec(1, 1).subplots()
    _draw_gains(gains, curves)
    gains.set_title(f"gain over {target} only; colours and markers as above")
    sizes = report.by_size(record)["n_cells"].groupby("cells", sort=False).mean()
    names = [f"all\n(≈{n:.0f})" if size == "all" else size for size, n in sizes.items()]
    for ax in (*axes, gains):
        ax.set_xticks(range(len(names)), names)
        ax.set_xlabel(f"labelled {species} cells")
        grid(ax, "y")
    bands = " (bands: 95%)" if record.scores["seed"].nunique() > 1 else ""
    axes[0].set_ylabel(f"macro-F1{bands}")
    gains.set_ylabel("gain in macro-F1 (95% interval)")
    helped = table.drop(index=report.CONTROL, level="method")
    best = helped["gain"].idxmax()
    interval = helped.loc[best, ["gain", "low", "high"]]
    gain, low, high = (signed(value, 3, plus=True) for value in interval)
    headline(
        figure,
        f"The largest gain by cells of the other species is {gain} [{low}, {high}] "
        f"({best[1]}, {best[0]} labelled cells)",
    )
    return finish(figure, [axes, [gains]])


def _draw_curve(ax, rows, method, record, **look):
    # 95 % for the mean over the sets of folds: too narrow, since they share cells
    n_seeds = record.scores["seed"].nunique()
    half = rows["sd"] * student.ppf(0.975, n_seeds - 1) / np.sqrt(n_seeds)
    mean = rows["macro_f1"]
    x = np.arange(len(rows))
    look["dashes"] = DASHES.get(method, (None, None))
    look["mfc"] = "w" if method == report.WITHOUT else None
    ax.plot(x, mean, marker=METHODS.get(method, "o"), ms=3, **look)
    ax.fill_between(x, mean - half, mean + half, color=look["color"], alpha=0.12, lw=0)


def _draw_gains(ax, curves):
    shown = {pair: rows for pair, rows in curves.items() if rows["gain"].notna().any()}
    for i, ((model, method), rows) in enumerate(shown.items()):
        gain = rows["gain"]
        x = np.arange(len(rows)) + 0.14 * (i - (len(shown) - 1) / 2)  # beside each other
        ax.errorbar(
            x,
            gain,
            yerr=[gain - rows["low"], rows["high"] - gain],
            capsize=2,
            fmt=METHODS[method],
            color=LEARNERS[model],
            ms=3,
            lw=1,
        )
    ax.axhline(0, color="0.5", lw=0.6)
    ax.set_xlim(-0.5, len(rows) - 0.5)
