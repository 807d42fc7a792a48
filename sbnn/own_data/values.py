"""What was understood of a user's data: their values, to be read before any result."""

from __future__ import annotations

import numpy as np
import pandas as pd
from anndata import AnnData
from scipy import sparse

from sbnn.data.checks import group_columns, known_labels
from sbnn.data.paired import Paired, as_paired


def values_table(data: AnnData | tuple | Paired) -> pd.DataFrame:
    """Tabulate what was understood of the data, to be read before any result.

    What to look for is in docs/own_data.md, "What was understood".

    Parameters
    ----------
    data : AnnData or tuple (X, Y)
        As returned by `sbnn.read_tables`.

    Returns
    -------
    DataFrame
        A row for the raw counts, if there are any, for ``X``, for each output and for each label
        that is known for some cells. ``taken_as`` says what they are taken for, and whether a label
        can colour maps. ``minimum``, ``median``, ``maximum`` and ``most_frequent`` are texts, of
        six digits, and ``times`` is how often the most frequent value occurs.

    Examples
    --------
    >>> from sbnn import simulate_patchseq
    >>> from sbnn.own_data.values import values_table
    >>> table = values_table(simulate_patchseq(n_cells=50, n_genes=30, n_outputs=2))
    >>> table.index.tolist()
    ['counts', 'X', 'output1', 'output2', 'family', 'type']
    >>> table["taken_as"]["type"]
    'label, can colour maps'
    """
    cells = as_paired(data)
    rows = []
    if cells.counts is not None:
        rows.append(["counts", "raw counts", *_summarise_numbers(cells.counts)])
    taken_as = "log values"
    if cells.library_size is not None:
        taken_as = f"log2(1 + counts / total * {cells.library_size:g})"
    rows.append(["X", taken_as, *_summarise_numbers(cells.X)])
    for name, values in zip(cells.feature_names, cells.Y.T, strict=True):
        rows.append([str(name), "output", *_summarise_numbers(values)])
    can_color = group_columns(cells.labels)
    for name, values in cells.labels.items():
        known = known_labels(values).dropna().astype(str)
        if len(known):
            kind = "label, can colour maps" if name in can_color else "label"
            times = known.value_counts().sort_index()
            rows.append([name, kind, "", "", "", times.idxmax(), times.max()])
    columns = ["name", "taken_as", "minimum", "median", "maximum", "most_frequent", "times"]
    return pd.DataFrame(rows, columns=columns).set_index("name")


def _summarise_numbers(values):
    """Minimum, median, maximum and most frequent value as text, and how often the last occurs."""
    stored = values.data if sparse.issparse(values) else values
    different, times = np.unique(stored, return_counts=True)
    frequencies = pd.Series(times, different)
    n_zeros = np.prod(values.shape) - stored.size  # that a sparse matrix does not store
    if n_zeros:
        frequencies[0] = frequencies.get(0, 0) + n_zeros
        frequencies = frequencies.sort_index()
    n_up_to = frequencies.cumsum()
    n = n_up_to.iloc[-1]
    middle = n_up_to.searchsorted([(n - 1) // 2, n // 2], side="right")
    median = frequencies.index[middle].to_numpy().mean()
    most_frequent = frequencies.idxmax()
    shown = frequencies.index[0], median, frequencies.index[-1], most_frequent
    return [*(f"{value:.6g}" for value in shown), frequencies.max()]
