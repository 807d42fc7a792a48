"""Performance within groups of cells whose recording differed, such as acute and cultured slices."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from sbnn.ephys_types.figures.looks import SERIES, type_color
from sbnn.ephys_types.report import FEWEST
from sbnn.evaluation.classification import scores_within
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

ROW = 0.24  # inches


@styled
def within_conditions(models, labels, column):
    """Composition of the groups, and macro-F1 of every model within each.

    Parameters
    ----------
    models : dict of str to Record
        By label.
    labels : DataFrame
        Of the cells, with `type` and `column`.
    column : str

    Returns
    -------
    matplotlib.figure.Figure
        Groups of fewer than 50 cells are left out. Bars are the SD over the sets of folds.
    """
    if not models or column not in labels:
        raise ValueError(f"labels: expected a column {column!r} and at least one model, got {', '.join(labels)}")
    sizes = labels[column].value_counts()
    groups = list(sizes.index[sizes >= FEWEST])
    figure = new_figure(max(0.85 + ROW * len(models), 1.2 + 0.2 * len(groups)))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.5))
    types = sorted(labels["type"].unique())
    counts = pd.crosstab(labels[column], labels["type"]).loc[groups, types]
    start = np.zeros(len(groups))
    for name in types:
        share = (counts[name] / counts.sum(axis=1)).to_numpy()
        left.barh(range(len(groups)), share, left=start, color=type_color(name), label=name, height=0.6)
        start += share
    left.set_yticks(range(len(groups)), [f"{group} ({sizes[group]})" for group in groups])
    left.set(ylim=(len(groups) - 0.5, -0.5), xlim=(0, 1), xlabel="share of the cells")
    left.tick_params(axis="y", length=0)
    left.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=len(types), columnspacing=0.8, handlelength=1)
    everything = {"all": np.full(len(labels), "all"), column: labels[column]}
    for y, record in enumerate(models.values()):
        if y:
            right.axhline(y - 0.5, lw=0.4, color="0.8", zorder=0)  # whose dots are whose
        for of in everything.values():
            table = scores_within(record, of)
            for group, row in table[table["cells"] >= FEWEST].iterrows():
                place = 0 if group == "all" else 1 + groups.index(group)
                shift = (place - len(groups) / 2) * 0.6 / max(len(groups), 1)
                spread = None if np.isnan(row["macro_f1_sd"]) else row["macro_f1_sd"]
                right.errorbar(row["macro_f1"], y + shift, xerr=spread, fmt="o", ms=3, lw=0.9, color=SERIES[place % 7])
    right.set_yticks(range(len(models)), list(models))
    right.set(ylim=(len(models) - 0.5, -0.5), xlabel="macro-F1 of the classes that the group has")
    right.tick_params(axis="y", length=0)
    right.grid(axis="x", lw=0.4, color="0.9")
    right.set_axisbelow(True)
    entries = [
        Line2D([], [], marker="o", ms=3, ls="", color=SERIES[i % 7], label=group)
        for i, group in enumerate(["all cells", *groups])
    ]
    columns = min(len(entries), 4)
    right.legend(handles=entries, loc="lower left", bbox_to_anchor=(0, 1.01), ncols=columns, columnspacing=1)
    freeze_layout(figure)
    letter_panels(figure, [[left, right]])
    return figure
