"""What becomes of the chosen genes and of the predictions as the outputs get noisier, where the truth is known."""

import numpy as np
from matplotlib.lines import Line2D

from sbnn.plotting import reading
from sbnn.plotting.colors import BLUE, MODELS, ORANGE, PALETTE
from sbnn.plotting.common import freeze_layout, letter_panels, new_figure, styled

MEASURES = {"precision": "precision of the kept genes", "recall": "recall of the true genes", "test_r2": "test R²"}
CHANCE, CEILING = "chance", "best_r2"


@styled
def noise_degradation(record, trust=None):
    """Precision and recall of the kept genes against the noise of simulated outputs, and the map that is recovered.

    Parameters
    ----------
    record : Record
        Of the study of noise: ``values["table"]`` has a row for every fit with ``model``, ``noise``, ``precision``,
        ``recall``, ``test_r2``, ``best_r2`` (R2 of the noise-free outputs, drawn as the ceiling) and ``chance``
        (precision of genes drawn at random); rows of one model with the same noise are repeats.
    trust : Record, optional
        From `sbnn.study.maps.run_map_trust` of simulated data: its true coordinates of the cells are drawn against
        those that the model recovered. Without it test R2 is drawn against the noise.

    Returns
    -------
    matplotlib.figure.Figure
        Lines are means over repeats, bands their sample SD. Where as many genes are kept as there are true ones,
        precision and recall are one panel.
    """
    if trust is not None:
        reading.require(trust, "trust", "a record with a true map", ("latent", "true_latent", "truth_agreement"))
    reading.require(record, "record", "a record of simulations by noise", ["table"])
    table = record.table
    models = list(dict.fromkeys(table["model"]))
    figure = new_figure(2.5)
    measures = MEASURES
    if np.allclose(table["precision"], table["recall"]):  # as many genes are kept as there are true ones
        measures = {"recall": "true genes found, share", "test_r2": MEASURES["test_r2"]}
    if trust is not None:
        measures = {name: label for name, label in measures.items() if name != "test_r2"}
    places = figure.subplots(1, len(measures) + (trust is not None))
    panels = places[: len(measures)]
    lows = dict.fromkeys(measures, 0.0)
    for i, name in enumerate(models):
        own = table[table["model"] == name]
        color = MODELS.get(name, PALETTE[i % len(PALETTE)])
        for ax, measure in zip(panels, measures, strict=True):
            lows[measure] = min(lows[measure], _draw_line(ax, own, measure, color, marker="osD^vX"[i % 6]))
    entries = [
        Line2D([], [], color=MODELS.get(name, PALETTE[i % len(PALETTE)]), marker="osD^vX"[i % 6], label=name)
        for i, name in enumerate(models)
    ]
    for ax, column, label in ((panels[-1], CEILING, "noise-free outputs"), (panels[0], CHANCE, "genes at random")):
        if column == CHANCE or "test_r2" in measures:
            level = table.groupby("noise")[column].mean()
            dashes = (0, (3, 2)) if column == CEILING else (0, (1, 1.5))
            ax.plot(level.index, level, color="0.35", lw=1, ls=dashes, zorder=2)
            entries.append(Line2D([], [], color="0.35", lw=1, ls=dashes, label=label))
    for ax, (measure, label) in zip(panels, measures.items(), strict=True):
        ax.set(xlabel="noise (SD of the noise-free output)", ylabel=label, ylim=(1.05 * lows[measure], 1.03))
    repeats = int(table.groupby(["model", "noise"]).size().max())
    title = f"mean ± SD over {repeats} simulations" if repeats > 1 else "one simulation"
    figure.legend(handles=entries, loc="outside upper center", ncols=len(entries), title=title)
    if trust is not None:
        _draw_recovered(places[-1], trust)
    freeze_layout(figure)
    letter_panels(figure, [places])
    return figure


def _draw_recovered(ax, trust):
    ends = np.quantile(trust.true_latent, [0, 1])
    ax.plot(ends, ends, color="0.35", lw=0.7, ls="--", zorder=1)
    for i, color in enumerate((BLUE, ORANGE)[: trust.latent.shape[1]]):
        ax.scatter(trust.true_latent[:, i], trust.latent[:, i], color=color, s=4, lw=0, label=f"coordinate {i + 1}")
    ax.set(xlabel="true coordinate, turned and scaled", ylabel="recovered coordinate")
    ax.legend(loc="lower right", handletextpad=0, title=f"{len(trust.latent)} cells, R² {trust.truth_agreement:.2f}")


def _draw_line(ax, table, measure, color, marker):
    """Draw a model; returns the lowest value that must be visible."""
    levels = table.groupby("noise")[measure].agg(["mean", "std"])
    mean, spread = levels["mean"], levels["std"].fillna(0)
    ax.plot(levels.index, mean, color=color, marker=marker, ms=3.5, zorder=3)
    if np.any(spread):
        ax.fill_between(levels.index, mean - spread, mean + spread, color=color, alpha=0.15, lw=0, zorder=2)
    return (mean - spread).min()
