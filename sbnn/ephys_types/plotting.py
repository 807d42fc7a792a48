"""Figures of classifiers of cell types, drawn from records."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.lines import Line2D

from sbnn.ephys_types import report
from sbnn.ephys_types.classification import repeat_means
from sbnn.plotting.colors import METHOD_COLORS
from sbnn.plotting.common import (
    PUBLISHED_MARKER,
    draw_grid,
    draw_scores,
    finish,
    name_rows,
    new_panels,
    with_style,
)
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
    """Macro-F1 and accuracy of each model on every set of folds, with published scores.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `sbnn.ephys_types.report.records_of_kind`.
    kind : {"types", "types5", "types_stratified", "transfer_donors", "transfer_stratified", ...}
        Kind of the records, see `sbnn.ephys_types.report.RECORD_KINDS`. Published scores are for
        ``stratified`` folds.
    """
    shown = {name: record for name, record in records.items() if name != "majority"}
    [dataset] = {record.dataset for record in shown.values()}
    published = report.published_scores(dataset, kind)
    figure, axes = new_panels(0.9 + 0.21 * len(shown), 1, 2, sharey=True)
    for i, metric in enumerate(("macro_f1", "accuracy")):
        ax = axes[i]
        for y, (name, record) in enumerate(shown.items()):
            scores = repeat_means(record, metric)
            color = classifier_color(name)
            draw_scores(ax, y, scores, color=color)
            text = f"{scores.mean():.3f}"
            if name in published.index:
                published_score = published.loc[name, metric]
                ax.plot(published_score, y, color=color, zorder=1, **PUBLISHED_MARKER)
                text += f" ({published_score:.3f})"
            right_edge = ax.get_yaxis_transform()
            ax.text(1.02, y, text, va="center", color=color, transform=right_edge)
        ax.set_title(metric.replace("_f", "-F"))
        name_rows(ax, [report.CLASSIFIER_LABELS[name] for name in shown])
        draw_grid(ax)
    entries = _score_entries(with_published=len(published) > 0)
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), borderpad=0.6)
    return finish(figure, [axes])


def _score_entries(with_published):
    """Entries of the legend."""
    dots = Line2D([], [], color="0.3", marker="o", ms=3.5, mew=0, alpha=0.6)
    dots.set(ls="", label="one set of folds")
    means = Line2D([], [], color="0.3", marker="|", ms=9, mew=1.4)
    means.set(ls="", label="mean")
    entries = [dots, means]
    if with_published:
        diamonds = Line2D([], [], color="0.3")
        label = "published (in brackets): other cells and features"
        diamonds.set(label=label, **PUBLISHED_MARKER)
        entries.append(diamonds)
    return entries


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
    figure, axes = new_panels(height, 1, len(widths), sharey=True, width_ratios=widths)
    if has_attention:
        engine = cast(ConstrainedLayoutEngine, figure.get_layout_engine())
        engine.set(w_pad=0.08)
        _draw_attention(axes[0], record, order)
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
