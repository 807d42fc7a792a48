"""How many genes the outputs need: test R2 against the number of genes."""

import numpy as np

from sbnn.evaluation.stability import genes_table
from sbnn.plotting import reading
from sbnn.plotting.colors import model_color
from sbnn.plotting.common import freeze_layout, log_ticks, new_figure, styled
from sbnn.plotting.labels import name_line

AUTO = "auto"  # the grid point that chooses the number itself


@styled
def genes_curve(record):
    """Test R2 against the number of genes, with the smallest number that suffices, and that of ``"auto"``.

    Parameters
    ----------
    record : Record
        From `sbnn.genes_curve`. The band is the sample SD over folds, thin lines are the folds.

    Returns
    -------
    matplotlib.figure.Figure
    """
    reading.require(record, "record", "a cross-validation over n_genes", ["test_r2", "n_selected"])
    table, color = genes_table(record), model_color(record, 0)
    curve = table.drop(index=AUTO, errors="ignore")
    numbers, points = curve.index.to_numpy(int), [g for g, p in enumerate(record.params) if p["n_genes"] != AUTO]
    figure = new_figure(2.6)
    ax = figure.subplots()
    ax.plot(numbers, record.test_r2[:, points].T, color=color, lw=0.5, alpha=0.35)
    ax.fill_between(numbers, curve.test_r2 - curve.sd, curve.test_r2 + curve.sd, color=color, alpha=0.12, lw=0)
    ax.plot(numbers, curve.test_r2, color=color, marker="o", ms=3.5, label="mean ± SD over folds")
    enough = int(table.index[table.suffices][0])
    name_line(ax, enough, f"{enough} genes suffice", low=True)
    if AUTO in table.index:
        row = table.loc[AUTO]
        label = f'n_genes="auto": {row.genes:.0f} genes, R² {row.test_r2:.3f}'
        look = {"fmt": "D", "color": "black", "ms": 4, "lw": 1, "capsize": 2, "zorder": 5}
        ax.errorbar(row.genes, row.test_r2, row.sd, label=label, **look)
    log_ticks(ax, np.unique(numbers))
    low, high = numbers.min() / 1.15, numbers.max() * 1.15 * (1 if len(numbers) > 1 else 1.5)
    ax.set(xlim=(low, high), xlabel="genes", ylabel="test R²")
    ax.legend(loc="upper left")
    ax.set_title(f"{reading.network_name(record, 0)}; {reading.folds_text(record)}", loc="left")
    freeze_layout(figure)
    return figure
