"""Figures 1 and 2 of the paper for all of its data sets, drawn from the published arrays."""

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from sbnn.plotting.colors import BOTTLENECK_COLORS, MODEL_COLORS, color_gradient
from sbnn.plotting.common import finish, log_ticks, new_subplots, with_style
from sbnn.plotting.reading import dataset_title
from sbnn.study.published import STRATEGIES

FROZEN_FIRST = "pretrained, then frozen"
MOST_GENES = 27  # of a linear model beside networks of 25
TICKS_OF_GENES = (5, 10, 25, 50, 100)
FOLDS = 10
LINES = {2: "-", 64: ":"}  # by units of a network
LINEAR_LINES = {2: ":"}  # by rank; full rank is solid


@with_style
def published_training(
    curves: Mapping[str, pd.DataFrame], paths: Mapping[str, pd.DataFrame]
) -> Figure:
    """Test R2 over the epochs of published networks with two units, for each group lasso.

    Parameters
    ----------
    curves, paths : dict of str to DataFrame
        By data set, from `published_curves` and `published_paths`.

    Returns
    -------
    matplotlib.figure.Figure
        Networks are pretrained and frozen first. Grey lines are sparse reduced-rank regressions
        with at most 27 genes.
    """
    figure, subplots = new_subplots(4.4, n_rows=2, n_columns=(len(curves) + 1) // 2)
    for ax, (name, table) in zip(subplots.flat, curves.items(), strict=True):
        is_shown = (table["n_components"] == 2) & (table["strategy"] == FROZEN_FIRST)
        means = table[is_shown].pivot_table("test_r2", "epoch", "group_lasso")
        shades = color_gradient(MODEL_COLORS["published"], means.shape[1])
        for color, (lasso, r2) in zip(shades, means.items(), strict=True):
            ax.plot(r2, lw=1, color=color, label=f"{lasso:g}")
        path = _mean_path(paths[name])
        of_few_genes = path[path["n_genes"] <= MOST_GENES]
        for rank, r2 in of_few_genes.groupby("rank")["test_r2"].max().items():
            ax.axhline(r2, color="0.5", lw=0.9, ls=LINEAR_LINES.get(rank, "-"))
        ax.set(
            title=dataset_title(name),
            xlabel="epoch of the regression",
            ylabel="test R²",
            ylim=(0.05, None),
        )
    handles = subplots.flat[0].get_legend_handles_labels()
    figure.legend(*handles, title="group lasso", loc="outside right upper")
    return finish(figure)


@with_style
def published_bottleneck_comparison(
    curves: Mapping[str, pd.DataFrame],
    cross_entropy: Mapping[str, pd.DataFrame],
    paths: Mapping[str, pd.DataFrame],
    group_lasso: float = 0.1,
) -> Figure:
    """Test R2 by the number of genes, cross-entropy in pretraining, and R2 over the epochs.

    Parameters
    ----------
    curves, cross_entropy, paths : dict of str to DataFrame
        By data set, from `published_curves`, `published_pretraining` and `published_paths`.
    group_lasso : float
        Strength that is drawn.

    Returns
    -------
    matplotlib.figure.Figure
        A column for each data set.
    """
    n_columns = len(curves)
    figure, subplots = new_subplots(5.8, n_rows=3, n_columns=n_columns, squeeze=False)
    for (by_genes, pretraining, regression), name in zip(subplots.T, curves, strict=True):
        network = curves[name][curves[name]["group_lasso"] == group_lasso]
        _draw_by_genes(by_genes, network, paths[name])
        by_genes.set_title(dataset_title(name))
        entropy = cross_entropy[name]
        _draw_cross_entropy(pretraining, entropy[entropy["group_lasso"] == group_lasso])
        _draw_strategies(regression, network)
    for ax, label in zip(
        subplots[:, 0], ("test R²", "cross-entropy (nats)", "test R²"), strict=True
    ):
        ax.set_ylabel(label)
    subplots[1, 0].legend()
    figure.legend(*subplots[2, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return finish(figure)


def _mean_path(table):
    """Mean number of genes and R2 for each penalty that all folds have."""
    by_penalty = table.groupby(["rank", "penalty"])[["n_genes", "test_r2"]]
    return by_penalty.mean()[by_penalty.size() == FOLDS]


def _draw_by_genes(ax: Axes, network: pd.DataFrame, path: pd.DataFrame) -> None:
    """Draw sparse linear models along their path, and the networks, which have 25 genes."""
    for rank, of_rank in _mean_path(path).groupby("rank"):
        line = LINEAR_LINES.get(rank, "-")
        ax.plot(of_rank["n_genes"], of_rank["test_r2"], color="0.5", lw=1, ls=line)
    ends = network[network["epoch"] == network["epoch"].max()]
    for (strategy, width), r2 in ends.groupby(["strategy", "n_components"])["test_r2"]:
        color = _color_of(strategy)
        face = color if width == 2 else "white"
        # beside each other
        place = 25 * 1.09 ** ([*STRATEGIES].index(strategy) - 1) * (1 if width == 2 else 1.03)
        ax.errorbar(place, r2.mean(), r2.std(), fmt="o", ms=4, color=color, mfc=face, lw=0.8)
    log_ticks(ax, TICKS_OF_GENES)
    ax.set_xlabel("genes")


def _draw_cross_entropy(ax: Axes, entropy: pd.DataFrame) -> None:
    """Draw the cross-entropy of training cells (dashed) and held-out cells."""
    means = entropy.groupby(["n_components", "epoch"])[["training", "held_out"]].mean()
    by_width = means.groupby("n_components")
    for color, (width, of_width) in zip(BOTTLENECK_COLORS, by_width, strict=False):
        ax.plot(of_width["training"].to_numpy(), color=color, lw=1, ls="--")
        ax.plot(of_width["held_out"].to_numpy(), color=color, lw=1, label=f"d = {width}")
    ax.set_xlabel("epoch of the pretraining")


def _draw_strategies(ax: Axes, network: pd.DataFrame) -> None:
    """Draw the test R2 over the epochs of each strategy."""
    for (strategy, width), of_fit in network.groupby(["strategy", "n_components"]):
        r2 = of_fit.groupby("epoch")["test_r2"].mean()
        label = f"{strategy}, d = {width}"
        ax.plot(r2, color=_color_of(strategy), lw=1, ls=LINES[width], label=label)
    ax.set(xlabel="epoch of the regression", ylim=(0.1, None))


def _color_of(strategy):
    return f"C{[*STRATEGIES].index(strategy)}"
