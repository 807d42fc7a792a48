"""Conversion of the input of estimators to `Cells`, or to matrices, with names of genes, cells and outputs."""

import numpy as np
import pandas as pd
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from sbnn.data import checks
from sbnn.data.cells import Cells
from sbnn.data.checks import check_same_cells, some
from sbnn.data.objects import (
    AnnDataLike,
    MuDataLike,
    gene_modality,
    obsm_table,
    with_outputs,
)

ROUNDING = 1e-3  # tolerance beyond the range of the training cells
LARGEST = 1e15  # beyond this value, sums of squares overflow in single precision


def as_cells(X, min_cells=1, adata=None):
    """Convert expression in any container to `Cells`; values on disk are not loaded.

    `adata` is the AnnData with the names of X, if X is one of its layers.
    """
    if isinstance(X, Cells):
        return X
    checks.check_unmasked(X, "X")
    if isinstance(X, MuDataLike):
        X = gene_modality(X)
    if isinstance(X, AnnDataLike):
        if X.X is None:
            raise ValueError(
                "X: the AnnData has no X; set adata.X to log values "
                f"(its layers are {sorted(X.layers)})"
            )
        adata = X
        X = adata.X
    genes = cells = None
    if adata is not None:
        genes, cells = adata.var_names, adata.obs_names
    elif isinstance(X, pd.DataFrame):
        genes, cells = X.columns, X.index
    _require_unique(genes)
    if adata is not None and adata.isbacked:
        from sbnn.data.streams import ExpressionStream  # rarely needed

        return ExpressionStream(X, genes, cell_names=cells, adata=adata)
    if genes is not None and not all(isinstance(name, str) for name in genes):
        genes = None
    try:
        matrix = check_array(
            X, accept_sparse=("csr", "csc"), dtype="numeric", ensure_min_samples=min_cells
        )
    except ValueError as error:
        raise ValueError(f"X: {error}") from error
    return Cells(matrix, genes, cells, adata)


def two_tables(X, Y=None):
    """Split a MuData into expression and outputs; other input is returned as it is."""
    checks.check_unmasked(Y, "Y")
    if isinstance(X, MuDataLike):
        X, Y, _ = with_outputs(X, "outputs" if Y is None else Y)
    return X, Y


def output_table(X, Y):
    """Outputs for `X`: the given table, or the entry of ``X.obsm`` that `Y` names ("outputs" if `Y` is None)."""
    adata = X.adata if isinstance(X, Cells) else X
    if isinstance(adata, AnnDataLike) and (Y is None or isinstance(Y, str)):
        return obsm_table(adata, "outputs" if Y is None else Y)
    if isinstance(Y, str | AnnDataLike | MuDataLike | Cells):
        raise TypeError(
            f"Y: expected a table or, if X is an AnnData, a key of its obsm, got {type(Y).__name__}"
        )
    cells = cells_of(X)
    if cells is not None and isinstance(Y, pd.DataFrame | pd.Series):
        check_same_cells(cells, Y.index)
    return Y


def output_names(Y, n_outputs):
    """Names of the outputs as an object array: the columns of a table, otherwise ``output0``, ``output1``, ..."""
    names = Y.columns if isinstance(Y, pd.DataFrame) else (f"output{i}" for i in range(n_outputs))
    return np.array([str(name) for name in names], dtype=object)


def training_cells(model, X, y):
    """Check X and y for a fit and return `Cells` and an array of float64; store their names in the model."""
    X, y = two_tables(X, y)
    outputs = output_table(X, y)
    cells = as_cells(X, min_cells=2)
    targets = validate_data(model, y=outputs, multi_output=True, y_numeric=True)
    check_consistent_length(cells, targets)
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    _require_moderate(targets, "Y")
    names_in(model, cells)
    model.output_names_ = output_names(outputs, targets.reshape(len(targets), -1).shape[1])
    return cells, targets


def names_in(model, cells):
    """Store the number and the names of the genes of a fit in the model."""
    model.n_features_in_ = cells.shape[1]
    if cells.gene_names is not None:
        model.feature_names_in_ = cells.gene_names
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_  # left by an earlier fit


def to_be_fitted(model, X, y, dtype):
    """Like `training_cells`, but return the expression as an array of shape (n, p), and store its range and mean."""
    cells, targets = training_cells(model, X, y)
    genes = cells.rows(slice(0, len(cells))).astype(dtype, copy=False)
    _require_moderate(genes, "X")
    model.x_min_ = genes.min(axis=0)
    model.x_max_ = genes.max(axis=0)
    model.x_mean_ = genes.mean(axis=0)
    return genes, targets


def _require_moderate(values, argument):
    """Reject values whose squares would overflow in single precision."""
    largest = max(values.max(), -values.min())
    if largest > LARGEST:
        raise ValueError(f"{argument}: expected numbers within ±{LARGEST:g}, got {largest:g}")


def matched_cells(model, X, needed=None):
    """`Cells` of X with the genes of the fit that X has, in the order of the fit, and the positions of these genes.

    Genes are matched by name, so their order and additional genes do not matter; input without
    names must hold the genes of the fit in the same order. `needed` are the positions of the genes
    that must not be missing (default: all genes of the fit).
    """
    cells = as_cells(X)
    places = _found(cells.gene_names, getattr(model, "feature_names_in_", None), needed)
    if places is None:
        _require_n_features(model, X, cells)
        return cells, np.arange(model.n_features_in_)
    here = np.flatnonzero(places >= 0)
    return cells.with_genes(places[here]), here


def new_cells(model, X, genes=None, needed=None):
    """Expression for a fitted model as float64 of shape (n, p), or (n, k) for k `genes`, given by position.

    Genes of the fit that are missing from X and not `needed` are 0 (see `matched_cells`).
    """
    check_is_fitted(model)
    if genes is not None:
        needed = genes
    cells, here = matched_cells(model, X, needed)
    if genes is not None:
        return cells.columns(np.searchsorted(here, genes)).astype(np.float64, copy=False)
    values = np.zeros((len(cells), model.n_features_in_))
    values[:, here] = cells.columns(np.arange(len(here)))
    return values


def cells_of(X):
    """Names of the cells of X, or None if the cells have no names."""
    if isinstance(X, pd.DataFrame):
        return X.index
    names = getattr(X, "cell_names", getattr(X, "obs_names", None))
    return None if names is None else pd.Index(names)


def _require_unique(names):
    names = pd.Index([] if names is None else names)
    if names.has_duplicates:
        repeated = some(names[names.duplicated()].unique())
        raise ValueError(f"X: gene names must be unique, but some repeat: {repeated}")


def _require_n_features(model, X, cells):
    """Reject input without names, or with other names, that does not have as many genes as the fit."""
    if not isinstance(X, Cells | AnnDataLike):
        validate_data(model, X, reset=False, skip_check_array=True)
    elif cells.shape[1] != model.n_features_in_:
        raise ValueError(f"X: expected {model.n_features_in_} genes, got {cells.shape[1]}")


def _found(names, seen, needed):
    """Position in `names` of each gene of the fit, -1 if it is missing; None if `names` need no matching."""
    if names is None or seen is None or np.array_equal(names, seen):
        return None
    found = pd.Index(names).get_indexer(seen)
    needed = np.arange(len(seen)) if needed is None else needed
    missing = seen[needed[found[needed] < 0]]
    if len(missing):
        which = "the fit" if len(needed) == len(seen) else "the model"
        raise ValueError(
            f"X: no values for {len(missing)} of the {len(needed)} genes of {which}: "
            f"{some(missing, 10)} (X has {some(names, 3)}); "
            "if a gene was measured but has no counts, set it to 0"
        )
    return found
