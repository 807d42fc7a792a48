"""Figures of classifiers of cell types, drawn from records."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
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

KINDS = METHOD_COLORS["ephys_types"]
TYPES = {  # as in the Allen taxonomies
    "PVALB": "#D93137",
    "SST": "#FF9900",
    "VIP": "#A45FBF",
    "LAMP5": "#DA808C",
    "SNCG": "#DF70FF",
}


def color_of(model):
    """Colour of a model."""
    return KINDS[report.MODELS.kind[model]]


@with_style
def model_scores(records: Mapping[str, Record], kind: str = "types") -> Figure:
    """Macro-F1 and accuracy of each model on every set of folds, with published scores.

    Parameters
    ----------
    records : dict of str to Record
        Cross-validations by model, as from `sbnn.ephys_types.report.of_kind`.
    kind : {"types", "types5", "transfer_donors", "transfer_stratified"}
        Kind of the records.
    """
    shown = {name: record for name, record in records.items() if name != "majority"}
    [dataset] = {record.dataset for record in shown.values()}
    known = report.published(dataset, kind)
    figure, axes = new_panels(0.9 + 0.21 * len(shown), 1, 2, sharey=True)
    for i, metric in enumerate(("macro_f1", "accuracy")):
        ax = axes[i]
        for y, (name, record) in enumerate(shown.items()):
            values = repeat_means(record, metric)
            color = color_of(name)
            draw_scores(ax, y, values, color)
            text = f"{values.mean():.3f}"
            if name in known:
                ax.plot(known[name][i], y, color=color, zorder=1, **PUBLISHED_MARKER)
                text += f" ({known[name][i]:.3f})"
            ax.text(1.02, y, text, va="center", color=color, transform=ax.get_yaxis_transform())
        ax.set_title(metric.replace("_f", "-F"))
        name_rows(ax, [report.LABELS[name] for name in shown])
        draw_grid(ax)
    dot = {"ls": "", "color": "0.3"}
    entries = [
        Line2D([], [], marker="o", ms=3.5, mew=0, alpha=0.6, label="one set of folds", **dot),
        Line2D([], [], marker="|", ms=9, mew=1.4, label="mean", **dot),
    ]
    if known:
        label = "published (in brackets): other cells and features"
        entries.append(Line2D([], [], color="0.3", label=label, **PUBLISHED_MARKER))
    figure.legend(handles=entries, loc="outside lower center", ncols=len(entries), borderpad=0.6)
    return finish(figure, [axes])


@with_style
def importance_of_families(record: Record) -> Figure:
    """Attention to each family, and the rise of the log loss if it is shuffled or left out.

    Parameters
    ----------
    record : Record
        Result of `sbnn.ephys_types.family_importance`.
    """
    order = np.argsort(-record.shuffled_log_loss.mean(axis=0), kind="stable")
    names = np.array(record.family_names)[order]
    widths = [0.55, 1, 1] if "attention" in record.values else [1, 1]
    height = 1.1 + 0.2 * len(order)
    figure, axes = new_panels(height, 1, len(widths), sharey=True, width_ratios=widths)
    if "attention" in record.values:
        figure.get_layout_engine().set(w_pad=0.08)
        ax = axes[0]
        attention = record.attention[:, order].T
        image = ax.imshow(attention, cmap="Greens", vmin=0, aspect="auto")
        ax.set_xticks(range(len(record.classes)), record.classes, rotation=90)
        ax.set_title("attention by true class")
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        figure.colorbar(image, ax=ax, fraction=0.08, pad=0.03, label="share of the attention")
    for ax, way in zip(axes[-2:], ("shuffled", "left out"), strict=True):
        rises = record.values[f"{way.replace(' ', '_')}_log_loss"][:, order]
        ax.barh(range(len(order)), rises.mean(axis=0), color="0.8", height=0.7)
        ax.plot(rises.T, range(len(order)), ".", ms=3, mew=0, color="0.3")
        ax.axvline(0, color="0.5", lw=0.6)
        ax.set(title=f"{way} (bars: means, dots: folds)", xlabel="rise of the log loss (nats)")
        ax.locator_params(axis="x", nbins=6)
    name_rows(axes[0], names)
    return finish(figure, [axes])
