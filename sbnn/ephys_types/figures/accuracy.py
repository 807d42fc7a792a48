"""How well each model tells the types apart: every repeat, the mean, and the published value."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.ephys_types.figures.looks import KIND_COLORS
from sbnn.evaluation.classification import repeat_means
from sbnn.plotting.accuracy import AROUND
from sbnn.plotting.common import new_figure, styled

ROW = 0.21  # inches
CHANCE = "majority"  # far below all others: told, not drawn to scale


@styled
def accuracy_of_models(models, published=None, title=None):
    """Macro-F1 and accuracy of models, side by side.

    Parameters
    ----------
    models : dict of str to (str, str, Record)
        Name of the model -> label, kind and cross-validation, from top to bottom, all on the same folds.
    published : dict of str to Published, optional
        By name of the model.
    title : str, optional

    Returns
    -------
    matplotlib.figure.Figure
    """
    if not models:
        raise ValueError("models: there is none")
    published = published or {}
    figure = new_figure(0.75 + ROW * len(models))
    axes = figure.subplots(1, 2, sharey=True)
    for ax, metric, heading in zip(axes, ("macro_f1", "accuracy"), ("macro-F1", "accuracy"), strict=True):
        seen, floor = [], []
        for y, (name, (_, kind, record)) in enumerate(models.items()):
            values, color = repeat_means(record, metric), KIND_COLORS[kind]
            known = getattr(published.get(name), metric, None)
            text = f"{values.mean():.3f}" + (f" ({known:.3f})" if known is not None else "")
            ax.text(1.02, y, text, transform=ax.get_yaxis_transform(), va="center", color=color)
            if name == CHANCE and len(models) > 1:
                floor.append((y, values.mean()))
                continue
            ax.plot(values, np.full(len(values), y), "o", color=color, ms=3, mew=0, alpha=0.5, zorder=3)
            ax.plot(values.mean(), y, "|", color=color, ms=9, mew=1.4, zorder=4)
            if known is not None:  # below the dots, which it would cover
                ax.plot(known, y, color=color, zorder=2, **AROUND)
            seen += [*values, *([] if known is None else [known])]
        low, high = min(seen), max(seen)
        margin = 0.06 * max(high - low, 0.02)
        ax.set_xlim(low - margin, high + margin)
        for y, _ in floor:
            ax.plot(
                0.012, y, "<", transform=ax.get_yaxis_transform(), color=KIND_COLORS["baseline"], ms=3, clip_on=False
            )
        ax.set(ylim=(len(models) - 0.5, -0.5), xlabel=heading)
        ax.tick_params(axis="y", length=0)
        ax.grid(axis="x", lw=0.4, color="0.9")
        ax.set_axisbelow(True)
    axes[0].set_yticks(range(len(models)), [label for label, *_ in models.values()])
    n = len(next(iter(models.values()))[2].repeats)
    dot = {"ls": "", "color": "0.3"}
    entries = [
        Line2D([], [], marker="o", ms=3, mew=0, alpha=0.5, label="one set of folds", **dot),
        Line2D([], [], marker="|", ms=8, mew=1.4, label=f"mean of {n} folds", **dot),
    ]
    if any(name in published for name in models):
        entries.append(Line2D([], [], color="0.3", label="published (in brackets): other cells and features", **AROUND))
    if CHANCE in models and len(models) > 1:
        entries.append(Line2D([], [], marker="<", ms=3, label="off the scale", **dot))
    figure.legend(handles=entries, loc="outside upper left", ncols=len(entries), alignment="left", title=title)
    return figure
