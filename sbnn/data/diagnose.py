"""Sentences about probable mistakes in paired cells."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from anndata import AnnData

from sbnn.data.checks import UNKNOWN, some
from sbnn.data.counts import raw_counts
from sbnn.data.paired import as_paired

SAME = 0.999  # correlation of two outputs that are one
FEWEST_NUMBERED = 8  # cells, to recognise IDs
#: Names of labels of cells that were measured together.
MEASURED_TOGETHER = re.compile("animal|batch|chip|donor|lane|mouse|patient|plate|slice|subject")


def diagnose(data: AnnData | tuple, folds=None) -> list[str]:
    """List what is probably a mistake in paired cells.

    Parameters
    ----------
    data : AnnData or pair (X, Y)
        Cells as for `sbnn.paired` and `sbnn.cross_validate`; `Y` may be None.
    folds : list of (ndarray, ndarray), optional
        Training and test positions, to see whether they split the cells of a donor.

    Returns
    -------
    list of str
        One sentence for each suspicion: counts instead of log values; cells that appear twice;
        outputs with a single value, that are copies of each other, or that number the cells; folds
        that split a donor or another label such as "batch" or "plate".

    Raises
    ------
    ValueError, TypeError
        If the data cannot be read; see `sbnn.paired`.

    Examples
    --------
    >>> from sbnn import diagnose, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> [suspicion] = diagnose((data.layers["counts"], data.obsm["outputs"]))
    >>> suspicion[:29]
    'X: looks like raw counts (who'
    """
    cells = as_paired(data, check=False)
    mistake = raw_counts(cells.X)
    found = [mistake] if mistake else []
    twice = cells.cell_names[pd.DataFrame(cells.X).duplicated()]
    if len(twice):
        found.append(f"X: cells with the expression of an earlier cell: {some(twice)}")
    found += _outputs(cells)
    if folds is not None:
        found += _split(cells, folds)
    return found


def _outputs(cells):
    Y = pd.DataFrame(cells.Y.astype(float), columns=cells.feature_names)
    suspects = {"with a single value": Y.columns[Y.nunique() == 1]}
    alike = np.triu(Y.corr().abs(), 1) > SAME
    suspects["that are copies of each other"] = [
        f"{Y.columns[i]} and {Y.columns[j]}" for i, j in np.argwhere(alike)
    ]
    steps = Y.diff()[1:]
    rising = (steps >= 0).all() & (steps > 0).mean().gt(0.5) & (Y % 1 == 0).all()
    if len(Y) >= FEWEST_NUMBERED:
        suspects["that may be numbers or IDs of the cells"] = Y.columns[rising]
    for what, names in suspects.items():
        if len(names):
            yield f"Y: outputs {what}: {some(names)}; leave them out"


def _split(cells, folds):
    for name in cells.labels:
        labels = cells.labels[name].to_numpy()
        if MEASURED_TOGETHER.search(str(name).lower()) and any(
            {*labels[train]} & {*labels[test]} - {UNKNOWN} for train, test in folds
        ):
            yield (
                f"folds split the cells of {name!r}, which may be alike; hold out whole groups "
                "with grouped_folds"
            )
