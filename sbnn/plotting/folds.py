"""Cells, predictions and differences in the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from sbnn.plotting.colors import groups_of, model_color
from sbnn.plotting.common import headline, legend_above, new_figure, new_panels, styled
from sbnn.plotting.labels import signed
from sbnn.results import Record

SQUARE = 2.9  # inches, the size of a single square panel
MOST_FAMILIES = 10


@styled
def fold_families(adata, folds: Sequence[tuple]) -> Figure:
    """Families of the test cells of each fold, in the colours of their most frequent types.

    Parameters
    ----------
    adata : AnnData
        The cells, with ``obs["family"]``, ``obs["type"]`` and ``uns["type_colors"]`` if known.
    folds : list of (train, test)
        Positions of cells.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import paper_folds, plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> figure = plotting.fold_families(data, paper_folds(data.n_obs))
    """
    groups = groups_of(adata)
    families = groups.table.index[:MOST_FAMILIES]
    tested = [pd.Series(groups.families[test]).value_counts() for _, test in folds]
    counts = pd.DataFrame(tested).reindex(columns=families).fillna(0)
    counts.index = range(1, len(folds) + 1)
    figure, ax = new_panels(2.4)
    colors = groups.table["color"][families].tolist()
    counts.plot.bar(stacked=True, width=0.8, color=colors, rot=0, ax=ax)
    ax.set(xlabel="fold", ylabel="test cells")
    ax.legend(loc="center left", bbox_to_anchor=(1, 0.5))
    rarest = counts.sum().idxmin()
    n_folds = (counts[rarest] > 0).sum()
    headline(
        figure,
        f"{rarest}, with the fewest cells here, is tested in {n_folds} of {len(folds)} folds",
    )
    return figure


@styled
def held_out_predictions(record: Record, outputs: pd.DataFrame, name: str) -> Figure:
    """One output of held-out cells, measured against predicted.

    Parameters
    ----------
    record : Record
        Cross-validation with predictions and one grid point.
    outputs : DataFrame, shape (n, q)
    name : str
        Column of `outputs`.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import LeaveOneOutRidge, cross_validate, plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=200)
    >>> record = cross_validate(LeaveOneOutRidge(), data, folds=5, verbose=False)
    >>> outputs = data.obsm["outputs"]
    >>> figure = plotting.held_out_predictions(record, outputs, outputs.columns[0])
    """
    from sbnn.evaluation.folds import held_out_means  # loads scikit-learn

    place = outputs.columns.get_loc(name)
    predicted = held_out_means(record, outputs, 0)[:, place]
    figure = new_figure(SQUARE)
    figure.set_figwidth(SQUARE)
    ax = figure.subplots()
    ax.plot(predicted, outputs[name], ".", ms=3, mew=0, alpha=0.6, color=model_color(record, 0))
    middle = outputs[name].mean()
    ax.axline((middle, middle), slope=1, color="0.3", lw=0.7, label="measured = predicted")
    ax.set(xlabel=f"{name}, predicted for held-out cells", ylabel=f"{name}, measured")
    legend_above(ax)
    r2 = record.test_feature_r2[:, 0, place].mean()
    headline(figure, f"Test R² of {name}: {signed(r2)}")
    return figure


@styled
def fold_differences(
    differences: Mapping[str, Sequence[float]], label: str = "difference of test R²"
) -> Figure:
    """Differences in every fold as dots, with their mean and its 95 % interval.

    Parameters
    ----------
    differences : dict of str to array-like, shape (n_folds,)
    label : str
        Name of the axis.

    Returns
    -------
    matplotlib.figure.Figure

    Examples
    --------
    >>> from sbnn import plotting
    >>> differences = {"ridge": [0.01, 0.03, 0.02], "sRRR": [0.0, -0.01, 0.02]}
    >>> figure = plotting.fold_differences(differences)
    """
    from sbnn.evaluation.verdict import corrected_difference

    figure, ax = new_panels(2.6)
    found = []
    for place, (name, values) in enumerate(differences.items()):
        n = len(values)
        difference = corrected_difference(values, 1 / max(n - 1, 1))
        mean, low, *_ = difference
        signs = str(difference).replace("-", "−")
        found.append((abs(mean), f"{name} {signs}"))
        ax.plot(np.full(n, place), values, "o", color="0.6", ms=3, zorder=2)
        look = {"fmt": "o", "color": "black", "ms": 4, "capsize": 3, "zorder": 3}
        ax.errorbar(place, mean, mean - low if n > 1 else None, **look)
    ax.axhline(0, color="0.5", lw=0.7, zorder=1)
    ax.set(xticks=range(len(differences)), xticklabels=differences, ylabel=label)
    ax.set_xlim(-0.6, len(differences) - 0.4)
    _, largest = max(found)
    headline(figure, f"Largest: {largest}".replace("\n", " "))
    return figure
