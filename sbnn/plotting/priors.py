"""Effect of a prior of the genes: accuracy and kept genes against its influence."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.evaluation.stability import folds_kept, priors_table
from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, ORANGE, PALETTE
from sbnn.plotting.common import finish, letter_panels, new_figure, styled
from sbnn.plotting.labels import shortened

COLORS = (BLUE, ORANGE, *PALETTE[3:])  # of the lists, but for the last, the control
CONTROL = "0.45"
INFLUENCE = 0.25  # at which genes are compared with those that are kept without a prior
SHOWN = 5  # genes that come in, and that go, at most
LETTERS = 60  # of the names of genes in one half of all panels
DASHES, MARKERS = ("-", (0, (3, 1.2)), (0, (1, 1))), "osD"
MEASURES = {"listed": "that are listed", "true": "that are true", "stability": "that two folds share"}


@styled
def prior_effects(record):
    """Test R2 and kept genes against the influence of each prior, and which genes one influence adds and removes.

    Parameters
    ----------
    record : Record
        ``experiment="gene prior"``, of `sbnn.study.gene_priors.compare_priors`. The last list is the control.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over folds, bars of R2 the standard errors of its change by the prior in the same fold. The
        kept genes are those of the first model.
    """
    reading.require(record, "record", ["lists", "table"])
    table = priors_table(record)
    models, titles = (list(table.index.unique(level)) for level in ("model", "list"))
    colors = dict(zip(titles, (*COLORS[: len(titles) - 1], CONTROL), strict=True))
    measures = ["test_r2", "listed", "true" if "true" in table else "stability"]
    figure = new_figure(3.9)
    above, below = figure.add_gridspec(2, 1, height_ratios=(1.15, 1))
    panels = above.subgridspec(1, len(measures)).subplots()
    for (model, title), rows in table.groupby(["model", "list"], sort=False):
        i = models.index(model)
        rows = rows.droplevel(["model", "list"])
        look = {"color": colors[title], "ls": DASHES[i % 3], "marker": MARKERS[i % 3], "ms": 3, "zorder": 3}
        for ax, measure in zip(panels, measures[: 1 if i else None], strict=False):
            error = rows.SE if measure == "test_r2" and len(record.table.fold.unique()) > 1 else None
            ax.errorbar(rows.index, rows[measure], error, elinewidth=0.7, **look)
    for ax, measure in zip(panels, measures, strict=True):
        ax.set(xlabel="influence of the prior", xlim=(-0.04, 1.04), ylabel="test R²")
        if measure in MEASURES:
            ax.set(ylabel=f"share of the kept genes\n{MEASURES[measure]}", ylim=(-0.03, 1.03), title=models[0])
    entries = [Line2D([], [], color=colors[name], label=f"{name} ({len(record.lists[name])})") for name in titles]
    for i, model in enumerate(models):
        entries.append(Line2D([], [], color="0.2", ls=DASHES[i % 3], marker=MARKERS[i % 3], ms=3, label=model))
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries))
    changes = np.atleast_1d(below.subgridspec(1, len(titles)).subplots())
    for ax, title in zip(changes, titles, strict=True):
        _draw_changes(ax, record, models[0], title, colors[title], LETTERS // len(titles))
    finish(figure, [panels])
    letter_panels(figure, [changes], "defghi")
    return figure


def _draw_changes(ax, record, model, title, color, letters):
    """Bars: in how many folds more, or fewer, a gene is kept with the prior."""
    change = folds_kept(record, model, title, INFLUENCE) - folds_kept(record, model, title, 0)
    change = change.sort_values(ascending=False, kind="stable")
    come, go = change[change > 0].head(SHOWN), change[change < 0].tail(SHOWN)
    rows = len(come) + len(go)
    listed = set(record.lists[title])
    for y, (gene, value) in enumerate([*come.items(), *go.items()]):
        ax.barh(y, value, height=0.7, color=color if gene in listed else "0.75")
        name = shortened(gene, letters)
        ax.text(-0.12 * np.sign(value), y, name, ha="right" if value > 0 else "left", va="center", size=6)
    n_folds = record.table.fold.nunique()
    ax.axvline(0, color="0.2", lw=0.6)
    ax.set(ylim=(max(rows, 1) - 0.4, -0.6), xlim=(-n_folds - 0.3, n_folds + 0.3), yticks=[])
    ax.spines["left"].set_visible(False)
    ax.set_xticks(range(-n_folds, n_folds + 1))
    ax.set_xlabel(f"folds that keep it, of {n_folds}: change")
    ax.set_title(f"{title}: influence {INFLUENCE:g} against none")
