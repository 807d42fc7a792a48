"""What becomes of the chosen genes and of the predictions as the outputs get noisier, where the truth is known."""

import numpy as np
import pandas as pd
from matplotlib.lines import Line2D

from sbnn.plotting.colors import MODELS, PALETTE
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled
from sbnn.results import Record

MEASURES = {"precision": "precision of the kept genes", "recall": "recall of the true genes", "test_r2": "test R²"}
CHANCE, CEILING = "chance", "best_r2"


@styled
def noise_degradation(results):
    """Precision and recall of the kept genes, and test R2, against the noise of simulated outputs.

    Parameters
    ----------
    results : DataFrame or Record
        One row per fit with the columns ``noise``, ``precision``, ``recall`` and ``test_r2``; rows with the same noise
        are repeats. Optional columns: ``model`` (name, one line each), ``best_r2`` (R2 of the noise-free outputs, drawn
        as the ceiling) and ``chance`` (precision of genes drawn at random). A Record holds the table as
        ``values["table"]``, or gives it by `Record.to_frame`.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over repeats, bands their sample SD.

    Raises
    ------
    TypeError
        If it is neither a DataFrame nor a Record.
    ValueError
        If a column is missing or there is no row.
    """
    table = _table(results)
    models = list(dict.fromkeys(table["model"])) if "model" in table else [None]
    figure = new_figure(2.5)
    measures = MEASURES
    if np.allclose(table["precision"], table["recall"]):  # as many genes are kept as there are true ones
        measures = {"recall": "true genes found, share", "test_r2": MEASURES["test_r2"]}
    panels = figure.subplots(1, len(measures))
    lows = dict.fromkeys(measures, 0.0)
    for i, name in enumerate(models):
        own = table if name is None else table[table["model"] == name]
        color = MODELS.get(name, PALETTE[i % len(PALETTE)])
        for ax, measure in zip(panels, measures, strict=True):
            lows[measure] = min(lows[measure], _draw_line(ax, own, measure, color, marker="osD^vX"[i % 6]))
    entries = [
        Line2D([], [], color=MODELS.get(name, PALETTE[i % len(PALETTE)]), marker="osD^vX"[i % 6], label=name)
        for i, name in enumerate(models)
        if name is not None
    ]
    for ax, column, label in ((panels[-1], CEILING, "noise-free outputs"), (panels[0], CHANCE, "genes at random")):
        if column in table:
            level = table.groupby("noise")[column].mean()
            dashes = (0, (3, 2)) if column == CEILING else (0, (1, 1.5))
            ax.plot(level.index, level, color="0.35", lw=1, ls=dashes, zorder=2)
            entries.append(Line2D([], [], color="0.35", lw=1, ls=dashes, label=label))
    for ax, (measure, label) in zip(panels, measures.items(), strict=True):
        ax.set(xlabel="noise (SD of the noise-free output)", ylabel=label, ylim=(1.05 * lows[measure], 1.03))
    repeats = int(table.groupby([c for c in ("model", "noise") if c in table]).size().max())
    if entries:
        title = f"mean ± SD over {repeats} simulations" if repeats > 1 else "one simulation"
        figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), title=title)
    freeze_layout(figure)
    letter_panels(figure, [panels])
    return figure


def _table(results):
    if isinstance(results, Record):
        results = results.table if "table" in results.values else results.to_frame()
    if not isinstance(results, pd.DataFrame):
        raise TypeError(f"results: expected a DataFrame or a Record of simulations, got {type(results).__name__}")
    missing = [name for name in ("noise", *MEASURES) if name not in results]
    if missing or results.empty:
        raise ValueError(f"results: expected rows with the columns noise, {', '.join(MEASURES)}; missing: {missing}")
    return results


def _draw_line(ax, table, measure, color, marker):
    """Draw a model; returns the lowest value that must be visible."""
    levels = table.groupby("noise")[measure].agg(["mean", "std"])
    mean, spread = levels["mean"], levels["std"].fillna(0)
    ax.plot(levels.index, mean, color=color, marker=marker, ms=3.5, zorder=3)
    if np.any(spread):
        ax.fill_between(levels.index, mean - spread, mean + spread, color=color, alpha=0.15, lw=0, zorder=2)
    return (mean - spread).min()
