"""What a prior list of genes changes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import folds_kept, priors_table
from sbnn.plotting.colors import BLUE, ORANGE
from sbnn.plotting.common import (
    finish,
    headline,
    letter_panels,
    new_figure,
    new_panels,
    styled,
)
from sbnn.plotting.labels import signed

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from matplotlib.figure import Figure

    from sbnn.results import Record


SHARES = {
    "listed": "that are listed",
    "true": "that are true",
    "stability": "that two folds share",
}
MODERATE = 0.25  # influence at which genes that come and go are shown
LOOKS = (("-", "o"), ((0, (3, 1.2)), "s"), ((0, (1, 1)), "D"))  # of models
CHANGED = 5  # genes named that come, and that go


def _colors(lists):
    return dict(zip(lists, [BLUE, ORANGE][: len(lists) - 1] + ["0.45"], strict=True))


@styled
def listed_expression(adata: AnnData, lists: Mapping[str, Sequence[str]]) -> Figure:
    """Mean expression of the genes of each list, as box plots over the cells.

    Parameters
    ----------
    adata : AnnData
    lists : dict of str to list of str
        Genes of `adata` in each list.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> lists = {"true": data.uns["sbnn"]["truth"]["genes"], "others": data.var_names[:25]}
    >>> figure = plotting.listed_expression(data, lists)
    """
    means = [adata[:, genes].X.mean(axis=1) for genes in lists.values()]
    names = [f"{title} ({len(genes)})" for title, genes in lists.items()]
    figure, ax = new_panels(2)
    ax.boxplot(means, orientation="horizontal", tick_labels=names, flierprops={"ms": 2})
    ax.set(xlabel="mean log₂ expression of the listed genes, by cell")
    medians = pd.Series(map(np.median, means), list(lists))
    most, least = medians.idxmax(), medians.idxmin()
    found = f"{most} ({signed(medians[most])}), lowest: {least} ({signed(medians[least])})"
    headline(figure, f"Highest median expression: {found}")
    return figure


@styled
def prior_effects(record: Record) -> Figure:
    """Accuracy and kept genes as the influence of each list grows, and which genes change.

    Parameters
    ----------
    record : Record
        From `sbnn.study.gene_priors.compare_priors`. Kept genes are those of the first model; an
        influence of 0.25 is compared with none.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> priors = results.load("saved_models/scala/gene_prior.pickle")
    >>> figure = plotting.prior_effects(priors)
    """
    lists = record.lists
    effects = priors_table(record)
    colors = _colors(lists)
    models = record.table["model"].unique()
    looks = dict(zip(models, LOOKS, strict=False))
    shown = ["test_r2", "listed", "true" if "true" in effects else "stability"]
    figure = new_figure(4.1)
    above, below = figure.add_gridspec(2, 1, height_ratios=(1.15, 1))
    panels = above.subgridspec(1, 3).subplots()
    changes = below.subgridspec(1, len(lists)).subplots()
    for (name, title), rows in effects.groupby(["model", "list"], sort=False):
        rows = rows.droplevel(["model", "list"])
        dashes, marker = looks[name]
        look = {"color": colors[title], "ls": dashes, "marker": marker, "ms": 3, "zorder": 3}
        panels[0].errorbar(rows.index, rows["test_r2"], rows["SE"], elinewidth=0.7, **look)
        if name == models[0]:
            for ax, column in zip(panels[1:], shown[1:], strict=True):
                ax.plot(rows.index, rows[column], **look)
    panels[0].set_ylabel("test R² (± SE)")
    for ax, column in zip(panels[1:], shown[1:], strict=True):
        ax.set_ylabel(f"share of the kept genes\n{SHARES[column]}")
        ax.set(ylim=(-0.03, 1.03), title=f"{models[0]} model")
    for ax in panels:
        ax.set(xlabel="influence of the prior", xlim=(-0.04, 1.04))
    for ax, title in zip(changes, lists, strict=True):
        _draw_changes(ax, record, title, colors[title])
    entries = []
    for title, genes in lists.items():
        entries.append(Line2D([], [], color=colors[title], label=f"{title} ({len(genes)})"))
    for name, (dashes, marker) in looks.items():
        entries.append(Line2D([], [], color="0.2", ls=dashes, marker=marker, ms=3, label=name))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries))
    headline(figure, _largest_gain(effects))
    finish(figure, [panels])
    letter_panels(figure, [changes], "def")
    return figure


def _largest_gain(effects):
    with_list = effects[effects.index.get_level_values("influence") > 0]
    (model, title, influence), best = next(iter(with_list.nlargest(1, "change").iterrows()))
    change = f"{signed(best['change'], 3)} ± {best['SE']:.3f}"
    found = "Largest gain in R²" if best["change"] > 0 else "No gain in R², largest change"
    return f"{found}: {change} ({title}, {model}, influence {influence:g})"


def _draw_changes(ax, record, title, color):
    model = record.table["model"].iloc[0]
    n_folds = record.table["fold"].nunique()
    with_list = folds_kept(record, model, title, MODERATE)
    change = with_list - folds_kept(record, model, title, 0)
    change = change.sort_values(ascending=False, kind="stable")
    more, fewer = change[change > 0], change[change < 0]
    come, go = more.head(CHANGED), fewer.tail(CHANGED)
    shown = pd.concat([come, go])
    for y, (gene, value) in enumerate(shown.items()):
        listed = gene in record.lists[title]
        ax.barh(y, value, height=0.7, color=color if listed else "0.75")
        side = "right" if value > 0 else "left"
        ax.text(-0.12 * np.sign(value), y, gene, ha=side, va="center", size=6, style="italic")
    ax.axvline(0, color="0.2", lw=0.6)
    ax.set(ylim=(max(len(shown), 1) - 0.4, -0.6), yticks=[])
    ax.set(xlim=(-n_folds - 0.3, n_folds + 0.3), xticks=range(-n_folds, n_folds + 1))
    ax.set_xlabel(f"change of the folds (of {n_folds}) that keep it\nwith influence {MODERATE}")
    ax.set_title(f"{title}: {len(more)} genes more often, {len(fewer)} less", fontsize=6.5)
    ax.spines["left"].set_visible(False)


@styled
def prior_changes(record: Record) -> Figure:
    """Change of the test R² of each model with the influence of each list, ± standard error.

    Parameters
    ----------
    record : Record
        From `sbnn.study.gene_priors.compare_priors`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> priors = results.load("saved_models/scala/gene_prior.pickle")
    >>> figure = plotting.prior_changes(priors)
    """
    effects = priors_table(record)
    models = record.table["model"].unique()
    figure, axes = new_panels(2.3, 1, len(models), sharey=True, squeeze=False)
    for ax, name in zip(axes[0], models, strict=True):
        for title, color in _colors(record.lists).items():
            line = effects.loc[name, title]
            look = {"color": color, "marker": "o", "ms": 3, "capsize": 2, "label": title}
            ax.errorbar(line.index, line["change"], line["SE"], **look)
        ax.axhline(0, color="0.5", lw=0.7)
        ax.set(title=name, xlabel="influence of the prior", xlim=(-0.05, 1.05))
    axes[0, 0].set_ylabel("change of test R²")
    axes[0, -1].legend()
    headline(figure, _largest_gain(effects))
    return finish(figure, axes)
