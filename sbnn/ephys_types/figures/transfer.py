"""What cells of the mouse are worth to a classifier of human cells: without labels, and with few."""

import numpy as np
from scipy.stats import t as student

from sbnn.ephys_types.figures.looks import SERIES
from sbnn.ephys_types.transfer_tables import ALL, CONTROL, WITHOUT, by_size, gain, methods_of, sizes_of, zero_shot_table
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

HEIGHT = 3.3  # inches
ROW = 0.26
MARKERS = {"transfer": "o", "pretrained": "^", "joint": "s", CONTROL: "D"}
OVER = {WITHOUT: "over human only", CONTROL: "over two experts"}
DASHES = {WITHOUT: (3, 1.5), CONTROL: (1, 1)}
ALIGNMENTS = {  # what was done to the scales of the two species
    "shift": "shift estimated with\nthe shares of the types",
    "own": "each on its own scale",
    "source": "scale of the source",
}


@styled
def learning_curves(record):
    """Macro-F1 with transfer and without by number of labelled cells, and the paired gains.

    Parameters
    ----------
    record : Record
        From `sbnn.ephys_types.transfer_study.run_learning_curves`.

    Returns
    -------
    matplotlib.figure.Figure
        Bands are 95 % intervals of the mean over the sets of folds where there are several, which share cells, so that
        they are too narrow; the bars of the gains, over the same model alone and over two experts of human cells, are
        corrected for shared cells.
    """
    scores = by_size(record)
    sizes = sizes_of(scores)
    figure = new_figure(HEIGHT)
    left, alone, two = figure.subplots(1, 3, width_ratios=(1.25, 1, 0.75))
    two.sharey(alone)
    pairs = methods_of(scores)
    helped = [pair for pair in pairs if pair[1] != WITHOUT and (pair[0], WITHOUT) in pairs]
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
        left.plot(x, mean, dashes=dashes, label=label, mfc="w" if method == WITHOUT else None, **look)
        if n > 1:
            half = student.ppf(0.975, n - 1) * seeds.std(ddof=1).to_numpy() / np.sqrt(n)
            left.fill_between(x, mean - half, mean + half, color=look["color"], alpha=0.12, lw=0)
    left.set(ylabel="macro-F1")
    for ax, (over, title) in zip((alone, two), OVER.items(), strict=True):
        found = {(pair, size): gain(scores, *pair, size, over=over) for pair in helped for size in sizes}
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
    total = int(round(scores.loc[scores["size"] == ALL, "n_cells"].mean())) if ALL in sizes else 0
    names = [f"all\n(≈{total})" if size == ALL else str(size) for size in sizes]
    for ax in (left, alone, two):
        ax.set_xticks(range(len(sizes)), names)
        ax.set_xlabel("labelled human cells")
        ax.grid(axis="y", lw=0.4, color="0.9")
        ax.set_axisbelow(True)
    figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, handlelength=2.2)
    freeze_layout(figure)
    letter_panels(figure, [[left, alone, two]])
    return figure


@styled
def zero_shot(record):
    """Macro-F1 without any label of the target species, by method, in both directions.

    Parameters
    ----------
    record : Record
        From `sbnn.ephys_types.transfer_study.run_zero_shot`.

    Returns
    -------
    matplotlib.figure.Figure
        Dots are seeds.
    """
    table = zero_shot_table(record)
    ways = list(dict.fromkeys(table.index.get_level_values("way")))
    methods = list(dict.fromkeys(table.index.get_level_values("method")))
    figure = new_figure(0.75 + ROW * len(methods))
    axes = np.atleast_1d(figure.subplots(1, len(ways), sharey=True))
    for ax, way in zip(axes, ways, strict=True):
        for y, method in enumerate(methods):
            chosen = record.scores[(record.scores["way"] == way) & (record.scores["method"] == method)]
            mean = chosen["macro_f1"].mean()
            ax.barh(y, mean, height=0.65, color=SERIES[1 + y % 6], alpha=0.5)
            ax.plot(chosen["macro_f1"], [y] * len(chosen), ".", ms=3, color="0.2")
            ax.text(mean + 0.025, y, f"{mean:.3f}", va="center")
        ax.set(xlim=(0, 1), ylim=(len(methods) - 0.5, -0.5), xlabel="macro-F1", title=way.replace("->", "→"))
        ax.tick_params(axis="y", length=0)
    axes[0].set_yticks(range(len(methods)), [ALIGNMENTS.get(method, method) for method in methods])
    return figure
