"""Which types are taken for which."""

import numpy as np

from sbnn.evaluation.classification import confusion_counts
from sbnn.plotting.common import new_figure, styled

COLUMNS = 4
SIDE = 1.75  # inches of a panel, with its labels


@styled
def confusion_matrices(models):
    """Confusion matrices, rows to one, with the mean number of cells in each entry.

    Parameters
    ----------
    models : dict of str to Record
        Cross-validations by label.

    Returns
    -------
    matplotlib.figure.Figure
        Rows are true classes, columns predicted ones; the colour is the share of the row.
    """
    if not models:
        raise ValueError("models: there is none")
    n_rows = -(-len(models) // COLUMNS)
    figure = new_figure(SIDE * n_rows + 0.25)
    axes = figure.subplots(n_rows, COLUMNS, squeeze=False).ravel()
    image = None
    for i, (ax, (label, record)) in enumerate(zip(axes, models.items(), strict=False)):
        counts, classes = confusion_counts(record), record.classes
        shares = counts / counts.sum(axis=1, keepdims=True)
        image = ax.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for row, column in np.ndindex(counts.shape):
            dark = shares[row, column] > 0.55
            text = f"{shares[row, column]:.2f}\n{counts[row, column]:.0f}"
            size = 5 if len(classes) < 5 else 4
            ax.text(column, row, text, ha="center", va="center", fontsize=size, color="w" if dark else "0.2")
        ax.set_title(label)
        ax.set_xticks(range(len(classes)), classes, rotation=90)
        ax.set_yticks(range(len(classes)), classes if i % COLUMNS == 0 else [])
        ax.tick_params(length=0)
        ax.spines[:].set_visible(False)
        if i % COLUMNS == 0:
            ax.set_ylabel("true")
        if i + COLUMNS >= len(models):
            ax.set_xlabel("predicted")
    for ax in axes[len(models) :]:
        ax.set_visible(False)
    bar = figure.colorbar(image, ax=axes.tolist(), fraction=0.02, pad=0.015, aspect=25)
    bar.set_label("share of the true class\n(below it: cells, mean of repeats)")
    bar.outline.set_linewidth(0.4)
    return figure
