"""Sentences about probable mistakes of the user."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sbnn.data import checks
from sbnn.data.checks import some
from sbnn.data.paired import as_paired

if TYPE_CHECKING:
    from sklearn.base import BaseEstimator

    from sbnn.typehints import PairedData


FAR_OUT = 1e6  # SDs of the other cells
NINES = [sign * float("9" * n) for n in range(2, 7) for sign in (1, -1)]  # marks of missing values
ALONE = 3  # a single mark is farther from the others than this multiple of their range
FEWEST_NUMBERED = 8  # to recognise IDs
ROUNDING = 1e-3
# Share of the genes beyond the range of the training cells in a reported cell; with few training
# cells, a tenth is usual.
MANY = 0.5
# for a comparison; SDs around the mean replace a range that is not stored
FEWEST_GENES, FEWEST_CELLS, SDS_OF_RANGE = 6, 8, 5


def diagnose(data: PairedData, model: BaseEstimator | None = None) -> list[str]:
    """List what is probably a mistake in paired cells.

    Parameters
    ----------
    data : AnnData or pair (X, Y)
        Cells as for `sbnn.paired` and `sbnn.cross_validate`; `Y` may be None.
    model : estimator, optional
        Fitted model, with whose training cells the data are compared.

    Returns
    -------
    list of str
        One sentence for each suspicion: counts instead of log values,
        marks of missing values such as -999, outliers, columns with a single value, dates
        instead of gene names, and outputs that number the cells. With a `model`: missing genes,
        cells beyond the range of the training cells, and expression on another scale.

    Raises
    ------
    ValueError, TypeError
        If the data cannot be read; see `sbnn.paired`.

    Examples
    --------
    >>> from sbnn import diagnose, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> [suspicion] = diagnose((data.layers["counts"], data.obsm["outputs"]))
    >>> suspicion[:28]
    'X looks like raw counts (val'
    """
    cells = as_paired(data, check=False)
    X, Y = cells.X, cells.Y
    genes, outputs = cells.gene_names, cells.feature_names
    found = []
    dates = checks.dates_among(genes)
    if dates:
        found.append(f"X: dates instead of gene names (SEPT2 became 2-Sep): {some(dates)}")
    kind, span, doubt = checks.kind_of_expression(X[: checks.FIRST_CELLS])
    if kind == "counts":
        found.append(f"X looks like raw counts ({span}); normalise and log-transform it")
    elif doubt:
        found.append(f"X: {span}; {doubt}")
    found += marks(X, "X", genes)
    found += outliers(X, "X", cells.cell_names, genes)
    found += doubtful_outputs(Y, cells.cell_names, outputs)
    for argument, values, names in (("X", X, genes), ("Y", Y, outputs)):
        constant = names[np.ptp(values, axis=0) == 0]
        if len(constant) and len(outputs):
            found.append(
                f"columns of {argument} with the same value in all cells: {some(constant)}"
            )
    if model is not None:
        found += unlike_training(model, X, genes, cells.cell_names)
    return found


def doubtful_outputs(Y, cells, outputs):
    """What is suspicious about outputs."""
    yield from marks(Y, "Y", outputs)
    yield from outliers(Y, "Y", cells, outputs)
    yield from numbered_cells(Y, outputs)


def marks(values, argument, columns):
    """Values such as -999 far from all others in their column."""
    is_mark = np.isin(values, NINES)
    found = []
    for j in np.flatnonzero(is_mark.any(axis=0) & ~is_mark.all(axis=0)):
        column = values[:, j].astype(np.float64)
        others = column[~is_mark[:, j]]
        for mark, n in zip(*np.unique(column[is_mark[:, j]], return_counts=True), strict=True):
            least = np.ptp(others)
            if n == 1:
                least *= ALONE
            if np.abs(others - mark).min() > least > 0:
                found.append(f"{mark:g} ({n} times) in column {str(columns[j])!r}")
    if found:
        text = f"{argument}: values that may mark missing values: {some(found)}"
        yield f"{text}; if they do, leave them out (missing_marks=MARK when tables are read)"


def outliers(values, argument, cells, columns):
    """Values beside which their column is constant."""
    for j in range(values.shape[1]):
        column = values[:, j].astype(np.float64)
        i = np.abs(column - column.mean()).argmax()
        others = np.delete(column, i)
        if abs(column[i] - others.mean()) > FAR_OUT * others.std() > 0:
            text = f"{argument}: the value of cell '{cells[i]}' in column '{columns[j]}'"
            text += f" is {values[i, j]:g}, more than {FAR_OUT:g} SD away from the others"
            yield f"{text}; is it a mistake?"


def numbered_cells(Y, outputs):
    """Outputs that number the cells, or are rising IDs."""
    steps = np.diff(Y, axis=0)  # large IDs may be equal in single precision
    rising = (steps >= 0).all(axis=0) & (np.count_nonzero(steps, axis=0) > len(Y) // 2)
    names = outputs[rising & (Y % 1 == 0).all(axis=0)]
    if len(names) and len(Y) >= FEWEST_NUMBERED:
        yield f"Y: outputs that may be numbers or IDs of the cells: {some(names)}; leave them out"


def unlike_training(model, X, genes, cells):
    """Cells unlike the training cells of a model, in its genes."""
    names = getattr(model, "feature_names_in_", genes)
    if len(names) != model.n_features_in_:
        raise ValueError(f"X: expected {model.n_features_in_} genes, got {len(names)}")
    used = getattr(model, "support_", np.ones(len(names), bool))
    places = pd.Index(genes).get_indexer(names)
    lacking = names[used & (places < 0)]
    if len(lacking):
        text = f"X: no values for {len(lacking)} genes of the model: {some(lacking)}"
        yield f"{text}; set genes without counts to 0"
    used = np.flatnonzero(used & (places >= 0))
    if len(used) < FEWEST_GENES or not hasattr(model, "x_min_"):
        return
    values = X[:, places[used]].astype(np.float64)
    yield from _beyond_range(model, values, used, cells)
    mean = model.x_mean_[used]
    if mean.min() >= 0 and mean.max() >= ROUNDING:  # log expression
        yield from _on_another_scale(values, mean, cells)


def _beyond_range(model, values, used, cells):
    low = model.x_min_[used]
    high = model.x_max_[used]
    if np.isinf(low).any():  # no limits were stored
        mean = model.x_mean_[used]
        reach = SDS_OF_RANGE * model.x_scale_[used]
        low = mean - reach
        high = mean + reach
    beyond = (values < low - ROUNDING) | (values > high + ROUNDING)
    names = cells[beyond.mean(axis=1) > MANY]
    if len(names):
        text = "X: most genes of the model are outside the range of the training cells"
        yield f"{text}: {some(names)}; use the same units"


def _on_another_scale(values, mean, cells):
    names = cells[~values.any(axis=1)]
    if len(names):
        yield f"X: all genes of the model are 0: {some(names)}; leave such cells out"
    new = values.mean(axis=0)
    times = new @ mean / (mean @ mean)
    unlike = np.linalg.norm(new - times * mean) / max(np.linalg.norm(new), ROUNDING)
    rescaled = unlike < 0.15 and not 0.8 < times < 1.25
    if len(cells) >= FEWEST_CELLS and (rescaled or times < 0.1):
        ratio = f"{times:.2g} times" if times > ROUNDING else "0 or less, unlike"
        text = f"X: expression is on average {ratio} that of the training cells"
        yield f"{text}; is X on another scale?"
