"""Figures of the study of gene-regulatory dynamics, drawn from saved records only."""

import numpy as np
from matplotlib.ticker import MaxNLocator

from sbnn.dynamics.report import COLUMNS, METHODS
from sbnn.plotting.colors import BLUE, GREEN, ORANGE, PURPLE, SKY, VERMILLION
from sbnn.plotting.common import (
    draw_scores,
    finish,
    grid,
    name_rows,
    new_figure,
    new_panels,
    styled,
)

COLORS = {
    "prior": "k",
    "mean": "#a6a6a6",
    "ar1_mean": "#b39ac9",
    "ar1": "#7a5c9e",
    "ridge": "#4b2e83",
    "ar1_ridge": "#2a1a4a",
    "path": "#8a9a00",
    "replicate": "#d0b000",
    "none": "0.45",
    "phoenix": "0.7",
    "c_node": SKY,
    "l0": BLUE,
    "path_reg": PURPLE,
    "post_hoc": "#8c6d31",
    "imp": ORANGE,
    "biological": "#882255",
    "dash": VERMILLION,
    "sparse": GREEN,
}
ROW = 0.2  # inches
LEGEND = {"loc": "outside right upper", "fontsize": 6.5}
PANELS = {
    "auroc": "AUROC of edges",
    "balanced_accuracy": "balanced accuracy of edges",
    "mse_rollout": COLUMNS["mse_rollout"],
    "mse_ahead": COLUMNS["mse_ahead"],
    "sparsity": "sparsity",
}
SHOWN_GENES = 6


@styled
def scores_of_methods(records):
    """Scores of predictions, sparsity and, if known, edges, with a row for each method and a dot for each seed."""
    scored = {name: record.scores.dropna(axis=1, how="all") for name, record in records.items()}
    panels = {
        column: name
        for column, name in PANELS.items()
        if any(column in of for of in scored.values())
    }
    figure, (axes,) = new_panels(1 + ROW * len(records), 1, len(panels), sharey=True, squeeze=False)
    for ax, (column, title) in zip(axes, panels.items(), strict=True):
        for y, (name, of) in enumerate(scored.items()):
            if column in of:
                draw_scores(ax, y, of[column], COLORS[name])
        if column in ("auroc", "balanced_accuracy"):
            ax.axvline(0.5, color="0.6", lw=0.8, ls="--")
        ax.set_title(title.replace(" of ", "\nof "), fontsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.ticklabel_format(axis="x", scilimits=(-2, 3), useMathText=True)
        name_rows(ax, [METHODS[name] for name in records])
        grid(ax)
    axes[-1].set(xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
    note = "dots: seeds, strokes: means" + ", dashed: chance" * ("auroc" in panels)
    figure.suptitle(f"{next(iter(records.values())).dataset}; {note}", fontsize=8)
    return figure


@styled
def predicted_paths(of_prior, records):
    """Test trajectories of some genes with their predictions, and predicted against true values of all genes."""
    true, times, names = of_prior.test, of_prior.times, of_prior.gene_names
    observed = "measured" if of_prior.settings["condition"] == "real" else "true, without noise"
    figure = new_figure(4.6)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = top.subplots(2, SHOWN_GENES // 2, sharex=True)
    for ax, gene in zip(axes.flat, _most_moving(true), strict=True):
        ax.plot(times[0], true[0, :, gene], "o", color="k", ms=3.5, label=observed)
        for name, record in records.items():
            ax.plot(
                times[0],
                record.predicted[0, :, gene],
                ".-",
                color=COLORS[name],
                lw=1,
                ms=3,
                label=METHODS[name],
            )
        ax.set_title(names[gene], fontsize=7, pad=2)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    top.legend(*axes.flat[0].get_legend_handles_labels(), **LEGEND)
    squares = np.atleast_1d(bottom.subplots(1, len(records), sharex=True, sharey=True))
    low, high = np.quantile(true[:, 1:], [0, 1])
    for ax, (name, record) in zip(squares, records.items(), strict=True):
        t, p = true[:, 1:].ravel(), record.predicted[:, 1:].ravel()
        ax.plot(t, p, ".", color=COLORS[name], ms=1.2, alpha=0.4, rasterized=True)
        for marker, beyond, edge in (("^", p > high, high), ("v", p < low, low)):
            if beyond.any():
                ax.plot(
                    t[beyond],
                    0 * t[beyond] + edge,
                    marker,
                    color=COLORS[name],
                    ms=3,
                    mew=0,
                    clip_on=False,
                )
        ax.plot([low, high], [low, high], color="k", lw=0.6)
        outside = (
            f"\n{n} of {len(p)} outside the panel" if (n := ((p < low) | (p > high)).sum()) else ""
        )
        ax.set_title(f"{METHODS[name]}: MSE {((t - p) ** 2).mean():.2g}{outside}", fontsize=7)
        ax.set(xlabel=observed, aspect="equal", xlim=(low, high), ylim=(low, high))
    squares[0].set_ylabel("predicted")
    return finish(figure, [[axes[0, 0]], [squares[0]]])


def _most_moving(true):
    """Choose genes that change strongly, and as differently as possible, in the first sample."""
    path = true[0] - true[0, 0]
    order = np.argsort(-np.ptp(path, axis=0), kind="stable")[:60]
    apart = np.abs(path[:, order, None] - path[:, None, order]).max(axis=0)
    chosen = [0]
    while len(chosen) < SHOWN_GENES:
        chosen.append(int(apart[:, chosen].min(axis=1).argmax()))
    return order[chosen]
