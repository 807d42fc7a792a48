"""Conversion of the input of estimators to `Cells` or arrays."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.utils._set_output import _get_output_config
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sbnn.data.cells import Cells
from sbnn.data.checks import (
    check_finite,
    check_in_order,
    check_matrix,
    check_unmasked,
    raw_counts,
    some,
)
from sbnn.data.objects import opened, with_outputs
from sbnn.errors import check_among, warn

if TYPE_CHECKING:
    from typing import Self


class SetOutputMixin:
    """Lets ``transform`` return an array or a DataFrame, as in scikit-learn."""

    # scikit-learn's own mixin names the columns by `get_feature_names_out`

    def set_output(self, *, transform: str | None = None) -> Self:
        """Choose what ``transform`` returns.

        Parameters
        ----------
        transform : {"default", "pandas"}, optional
            With ``"pandas"``, a DataFrame with the names of the cells of X, if they have names.
        """
        if transform is not None:
            check_among("transform", transform, ("default", "pandas"))
            self._sklearn_output_config = {"transform": transform}
        return self

    def _gives_frames(self):
        return _get_output_config("transform", self)["dense"] == "pandas"


def as_cells(X, min_cells=1, layer=None):
    """Convert expression to `Cells`, without loading files."""
    matrix, genes, cells, adata = opened(X, layer)
    if isinstance(matrix, Cells):
        return matrix
    if adata is not None and adata.isbacked:
        from sbnn.data.streams import FileCells  # rarely needed

        return FileCells(matrix, genes, cells, adata)
    if genes is not None and not all(isinstance(name, str) for name in genes):
        genes = None
    matrix = check_matrix(
        matrix, "X", accept_sparse=("csr", "csc"), dtype="numeric", ensure_min_samples=min_cells
    )
    return Cells(matrix, genes, cells, adata)


def two_tables(X, Y):
    """Expression and outputs; X may be a pair."""
    X, Y, _ = with_outputs(X, Y)
    check_unmasked(Y, "Y")
    check_in_order(X, Y, "Y")
    return X, Y


def output_names(Y, n_outputs):
    """Columns of a table, otherwise ``output0``, ``output1``, ..."""
    names = Y.columns if isinstance(Y, pd.DataFrame) else (f"output{i}" for i in range(n_outputs))
    return np.array([str(name) for name in names], dtype=object)


def training_cells(model, X, y):
    """`Cells` and float64 outputs for a fit; names are stored."""
    X, outputs = two_tables(X, y)
    cells = as_cells(X, min_cells=2)
    for mistake in raw_counts(cells.rows(next(cells.blocks()))):
        warn(mistake)
    targets = validate_data(model, y=outputs, multi_output=True, y_numeric=True)
    check_consistent_length(cells, targets)
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    columns = targets.reshape(len(targets), -1)
    names = output_names(outputs, columns.shape[1])
    check_finite(columns, "Y", cells.cell_names, names)
    names_in(model, cells)
    model.output_names_ = names
    return cells, targets


def names_in(model, cells):
    """Store the number and names of the genes in the model."""
    model.n_features_in_ = cells.shape[1]
    if cells.gene_names is not None:
        model.feature_names_in_ = cells.gene_names
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_  # left by an earlier fit


def to_be_fitted(model, X, y):
    """Like `training_cells`, with float64 expression, (n, p), whose range is stored."""
    cells, targets = training_cells(model, X, y)
    genes = np.asarray(cells, dtype=np.float64)
    check_finite(genes, "X", cells.cell_names, cells.gene_names)
    model.x_min_ = genes.min(axis=0)
    model.x_max_ = genes.max(axis=0)
    model.x_mean_ = genes.mean(axis=0)
    return genes, targets


def matched_cells(model, X, needed=None):
    """`Cells` of X with the genes of the fit that X has, and their positions in the fit.

    Without names, X must have the genes of the fit in order. `needed` are positions of genes that
    must not be missing (default: all).
    """
    cells = as_cells(X)
    seen = getattr(model, "feature_names_in_", None)
    if cells.gene_names is None or seen is None:
        given = X if isinstance(X, pd.DataFrame) else cells
        validate_data(model, given, reset=False, skip_check_array=True)
        return cells, np.arange(model.n_features_in_)
    places = pd.Index(cells.gene_names).get_indexer(seen)
    known = places >= 0
    needed = np.arange(len(seen)) if needed is None else needed
    missing = seen[needed[~known[needed]]]
    if len(missing):
        raise ValueError(
            f"X: no values for {len(missing)} of the {len(needed)} genes of the model: "
            f"{some(missing, 10)}; if a gene was measured but has no counts, set it to 0"
        )
    return cells.with_genes(places[known]), np.flatnonzero(known)


def new_cells(model, X, genes=None, needed=None):
    """Expression for a fitted model as float64, (n, p), or (n, k) for k `genes` given by position.

    Missing genes that are not `needed` are 0.
    """
    check_is_fitted(model)
    if genes is not None:
        cells, here = matched_cells(model, X, genes)
        return cells.columns(np.searchsorted(here, genes)).astype(np.float64, copy=False)
    cells, here = matched_cells(model, X, needed)
    values = np.zeros((len(cells), model.n_features_in_))
    values[:, here] = cells.columns(np.arange(len(here)))
    return values
