"""Figures of classifiers of cell types, drawn from records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from textwrap import fill
from typing import cast

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from sbnn.ephys_types import report
from sbnn.evaluation.verdict import differences_from
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
    LABEL_LETTERS,
    PUBLISHED_MARKER,
    add_colorbar,
    draw_differences,
    draw_folds,
    draw_grid,
    finish,
    name_rows,
    new_subplots,
    with_style,
)
from sbnn.plotting.reading import dataset_title, folds_text
from sbnn.results import Record

CLASSIFIER_COLORS = METHOD_COLORS["ephys_types"]
TYPE_COLORS = {  # as in the Allen taxonomies
    "PVALB": "#D93137",
    "SST": "#FF9900",
    "VIP": "#A45FBF",
    "LAMP5": "#DA808C",
    "SNCG": "#DF70FF",
}


def classifier_color(name: str) -> str:
    """Colour of a model, which is that of its kind."""
    kind = report.CLASSIFIERS.loc[name, "kind"]
    return CLASSIFIER_COLORS[kind]


@with_style
def model_scores(records: Mapping[str, Record], kind: str = "types") -> Figure:
    """Macro-F1 and accuracy of each model in all folds, with published scores.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `sbnn.ephys_types.report.records_of_kind`.
    kind : {"types", "types5", "types_stratified", "transfer_donors", "transfer_stratified", ...}
        Kind of the records, see `sbnn.ephys_types.report.RECORD_KINDS`. Published scores are for
        ``stratified`` folds.

    Returns
    -------
    matplotlib.figure.Figure
        Beside macro-F1, its paired differences from LightGBM, or from the published network without
        mouse cells, have the 95 % interval of `sbnn.verdict`. The title of the first subplot says
        what the records are about.
    """
    shown = {name: record for name, record in records.items() if name != "majority"}
    [dataset] = {record.dataset for record in shown.values()}
    published = report.published_scores(dataset, kind)
    colors = [classifier_color(name) for name in shown]
    reference = _find_reference(shown, kind)
    n_subplots = 2 if reference is None else 3
    height = 1.05 + 0.21 * len(shown)
    figure, axes = new_subplots(height, n_rows=1, n_columns=n_subplots, sharey=True)
    for i, metric in enumerate(("macro_f1", "accuracy")):
        ax = axes[-i]  # accuracy is the last
        for y, (name, record) in enumerate(shown.items()):
            draw_folds(ax, y, record.values[metric][:, record.find()], color=colors[y])
            if name in published.index:
                score = published.loc[name, metric]
                ax.plot(score, y, color=colors[y], zorder=7, **PUBLISHED_MARKER)
        n_folds = folds_text(*shown.values(), score=metric)
        ax.set_xlabel(f"{metric.replace('_f', '-F')} (dots: folds)\n{n_folds}")
        draw_grid(ax)
    if reference is not None:
        differences = differences_from(
            reference=(shown[reference], 0),
            models=[(record, 0) for record in shown.values()],
            metric="macro_f1",
        )
        label = report.CLASSIFIER_LABELS[reference]
        draw_differences(axes[1], differences, colors=colors, reference=label)
    name_rows(axes[0], [report.CLASSIFIER_LABELS[name] for name in shown])
    axes[0].set_title(fill(report.RECORD_KINDS[kind], LABEL_LETTERS), loc="left")
    if len(published):
        diamonds = Line2D([], [], color="0.3")
        diamonds.set(label="published, other cells and features", **PUBLISHED_MARKER)
        figure.legend(handles=[diamonds], loc="outside lower center", borderpad=0.6)
    return finish(figure, [axes])


def _find_reference(records, kind):
    """Model that the others are compared with, if there is a record."""
    is_transfer = kind.startswith("transfer")
    name = report.TRANSFER_REFERENCE if is_transfer else report.REFERENCE_CLASSIFIER
    return name if name in records else None


@with_style
def importance_of_families(record: Record) -> Figure:
    """Attention to each family, and the rise of the log loss if it is shuffled or left out.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.family_importance`.
    """
    order = np.argsort(-record.shuffled_log_loss.mean(axis=0), kind="stable")
    names = [record.family_names[family] for family in order]
    has_attention = "attention" in record.values
    widths = [0.55, 1, 1] if has_attention else [1, 1]
    height = 1.1 + 0.2 * len(order)
    figure, axes = new_subplots(
        height, n_rows=1, n_columns=len(widths), sharey=True, width_ratios=widths
    )
    if has_attention:
        engine = cast(ConstrainedLayoutEngine, figure.get_layout_engine())
        engine.set(w_pad=0.08)
        _draw_attention(axes[0], record, order)
    axes[-1].sharex(axes[-2])
    _draw_rises(axes[-2], record.shuffled_log_loss[:, order], "shuffled")
    _draw_rises(axes[-1], record.left_out_log_loss[:, order], "left out")
    name_rows(axes[0], names)
    return finish(figure, [axes])


def _draw_attention(ax, record, order):
    """Draw the attention to families (rows) by type (columns)."""
    attention = record.attention[:, order].T
    image = ax.imshow(attention, cmap="Greens", vmin=0, aspect="auto")
    ax.set_xticks(range(len(record.classes)), record.classes, rotation=90)
    ax.set_title("attention by true class")
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    ax.figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03, label="share of the attention")


def _draw_rises(ax, rises, change):
    """Draw rises of the log loss, (folds, families): means as bars, folds as dots."""
    rows = range(rises.shape[1])
    ax.barh(rows, rises.mean(axis=0), color="0.8", height=0.7)
    ax.plot(rises.T, rows, ".", ms=3, mew=0, color="0.3")
    ax.axvline(0, color="0.5", lw=0.6)
    ax.set(title=f"{change} (bars: means, dots: folds)", xlabel="rise of the log loss (nats)")
    ax.locator_params(axis="x", nbins=6)


@with_style
def attention_maps(records: Sequence[Record]) -> Figure:
    """Attention to each family by true type, in a map for each data set.

    Parameters
    ----------
    records : sequence of Record
        Cross-validations of a network with attention, on different data.

    Returns
    -------
    matplotlib.figure.Figure
        Means ± SD over the folds. Rows are the families of all data sets, by their mean weight in
        the first that has them; a dash is a family that a data set does not have.
    """
    means = [report.attention_table(record).T for record in records]
    weights = [table.mean(axis=1).sort_values(ascending=False, kind="stable") for table in means]
    families = pd.concat(weights).index.unique()
    n_classes = [len(record.classes) for record in records]
    figure, axes = new_subplots(
        0.9 + 0.22 * len(families),
        n_columns=len(records),
        sharey=True,
        squeeze=False,
        width_ratios=n_classes,
    )
    strongest = max(table.max(axis=None) for table in means)
    for ax, record, table in zip(axes[0], records, means, strict=True):
        of_families = table.reindex(families)
        image = ax.imshow(of_families, cmap="Greens", vmin=0, vmax=strongest, aspect="auto")
        sds = pd.DataFrame(np.nanstd(record.attention[:, 0], axis=0, ddof=1).T, table.index)
        _write_weights(ax, of_families.to_numpy(), sds.reindex(families).to_numpy(), strongest)
        ax.set_xticks(range(len(record.classes)), record.classes)
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        ax.set_title(dataset_title(record.dataset))
        ax.set_xlabel(f"true type (mean ± SD over {len(record.folds)} folds)")
    name_rows(axes[0, 0], families)
    add_colorbar(figure, image, "share of the attention", ax=axes[0, -1], fraction=0.05, pad=0.02)
    return finish(figure, axes)


def _write_weights(ax, weights, sds, strongest):
    """Write the mean weight and its SD on each patch of a map, or a dash."""
    for (row, column), weight in np.ndenumerate(weights):
        color = "white" if weight > 0.7 * strongest else "0.1"
        text = "–" if np.isnan(weight) else f"{weight:.2f} ± {sds[row, column]:.2f}"
        ax.text(column, row, text, ha="center", va="center", fontsize=6, color=color)
