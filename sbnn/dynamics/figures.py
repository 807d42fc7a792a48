"""Figures of the study of gene-regulatory dynamics, drawn from saved records only."""

import numpy as np
import pandas as pd
from matplotlib.ticker import MaxNLocator
from scipy.spatial.distance import cdist

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
CHANCE = {"auroc", "balanced_accuracy"}  # scores of which guessing achieves 0.5
SHOWN_GENES = 6


@styled
def scores_of_methods(records):
    """Scores of predictions, sparsity and, if known, edges, with a row for each method.

    Dots are seeds.
    """
    scores = pd.concat({name: record.scores for name, record in records.items()})
    scores = scores.reindex(columns=PANELS).dropna(axis=1, how="all")
    figure, [axes] = new_panels(
        1 + ROW * len(records), 1, scores.shape[1], sharey=True, squeeze=False
    )
    for ax, column in zip(axes, scores, strict=True):
        for y, name in enumerate(records):
            draw_scores(ax, y, scores.loc[name, column].dropna(), COLORS[name])
        if column in CHANCE:
            ax.axvline(0.5, color="0.6", lw=0.8, ls="--")
        ax.set_title(PANELS[column].replace(" of ", "\nof "), fontsize=7)
        ax.xaxis.set_major_locator(MaxNLocator(3))
        ax.ticklabel_format(axis="x", scilimits=(-2, 3), useMathText=True)
        name_rows(ax, [METHODS[name] for name in records])
        grid(ax)
    axes[-1].set(xlim=(-0.05, 1.05), xticks=(0, 0.5, 1))
    dataset = next(iter(records.values())).dataset
    title = f"{dataset}; dots: seeds, strokes: means"
    if CHANCE & set(scores):
        title += ", dashed: chance"
    figure.suptitle(title, fontsize=8)
    return figure


@styled
def predicted_paths(of_prior, records):
    """Test trajectories of some genes with their predictions, and all predicted and true values."""
    observed = "true, without noise"
    if of_prior.settings["condition"] == "real":
        observed = "measured"
    figure = new_figure(4.6)
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.15, 1))
    axes = top.subplots(2, SHOWN_GENES // 2, sharex=True)
    for ax, gene in zip(axes.flat, _most_moving(of_prior.test), strict=True):
        _draw_gene(ax, gene, of_prior, observed, records)
    for ax in axes[-1]:
        ax.set_xlabel("time")
    for ax in axes[:, 0]:
        ax.set_ylabel("expression")
    top.legend(*axes[0, 0].get_legend_handles_labels(), **LEGEND)
    [squares] = bottom.subplots(1, len(records), sharex=True, sharey=True, squeeze=False)
    true = of_prior.test[:, 1:].ravel()
    for ax, (name, record) in zip(squares, records.items(), strict=True):
        _draw_agreement(ax, true, record.predicted[:, 1:].ravel(), name)
        ax.set_xlabel(observed)
    squares[0].set_ylabel("predicted")
    return finish(figure, [[axes[0, 0]], [squares[0]]])


def _draw_gene(ax, gene, of_prior, observed, records):
    """Draw the path of a gene in the first test sample, and its predictions."""
    times = of_prior.times[0]
    ax.plot(times, of_prior.test[0, :, gene], "o", color="k", ms=3.5, label=observed)
    for name, record in records.items():
        path = record.predicted[0, :, gene]
        ax.plot(times, path, ".-", color=COLORS[name], lw=1, ms=3, label=METHODS[name])
    ax.set_title(of_prior.gene_names[gene], fontsize=7, pad=2)


def _draw_agreement(ax, true, predicted, method):
    """Draw predicted against true values, with triangles at the edges for values beyond them."""
    color = COLORS[method]
    range_ = true.min(), true.max()
    shown = predicted.clip(*range_)
    ax.plot(true, predicted, ".", color=color, ms=1.2, alpha=0.4, rasterized=True)
    for marker, beyond in (("^", predicted > shown), ("v", predicted < shown)):
        if beyond.any():
            ax.plot(true[beyond], shown[beyond], marker, color=color, ms=3, mew=0, clip_on=False)
    ax.plot(range_, range_, color="k", lw=0.6)
    mse = ((true - predicted) ** 2).mean()
    title = f"{METHODS[method]}: MSE {mse:.2g}"
    n_beyond = (predicted != shown).sum()
    if n_beyond:
        title += f"\n{n_beyond} of {len(true)} outside the panel"
    ax.set_title(title, fontsize=7)
    ax.set(aspect="equal", xlim=range_, ylim=range_)


def _most_moving(true):
    """Genes that change strongly, and as differently as possible, in the first sample.

    `true` has the shape (samples, times, genes).
    """
    path = true[0] - true[0, 0]
    order = np.argsort(-np.ptp(path, axis=0), kind="stable")[:60]
    strong = path[:, order].T
    distance = cdist(strong, strong, "chebyshev")
    chosen = [0]
    while len(chosen) < SHOWN_GENES:
        chosen.append(distance[chosen].min(axis=0).argmax())
    return order[chosen]
