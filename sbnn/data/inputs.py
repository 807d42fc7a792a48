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
from sbnn.errors import warn

COUNTS = "counts"  # layer of an AnnData
ROUNDING = 1e-3  # tolerance beyond the range of the training cells
LARGEST = 1e15  # beyond this value, sums of squares overflow in single precision
# minimum shares of the training counts for any estimate of depth, and for a good one
LEAST_SHARE, HALF = 0.05, 0.5


def as_cells(X, min_cells=1):
    """Convert expression in any container to `Cells`; values on disk are not loaded."""
    if isinstance(X, Cells):
        return X
    checks.check_unmasked(X, "X")
    if isinstance(X, MuDataLike):
        X = gene_modality(X)
    adata = genes = cells = None
    if isinstance(X, AnnDataLike):
        if X.X is None:
            raise ValueError(
                "X: the AnnData has no X; set adata.X to log values "
                f"(its layers are {sorted(X.layers)})"
            )
        if X.isbacked:
            from sbnn.data.streams import ExpressionStream  # rarely needed

            return ExpressionStream(X)
        adata, genes, cells = X, X.var_names, X.obs_names
        X = X.X
    elif isinstance(X, pd.DataFrame):
        genes, cells = X.columns, X.index
    _require_unique(genes)
    if genes is not None and not all(isinstance(name, str) for name in genes):
        genes = None
    matrix = check_array(
        X,
        accept_sparse=("csr", "csc"),
        dtype="numeric",
        ensure_min_samples=min_cells,
        input_name="X",
    )
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
    model.n_features_in_ = cells.shape[1]
    if cells.gene_names is not None:
        model.feature_names_in_ = cells.gene_names
    model.output_names_ = output_names(outputs, targets.reshape(len(targets), -1).shape[1])
    learn_library(model, X)
    return cells, targets


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


def learn_library(model, X):
    """Store the library size to which counts were normalised and each gene's share of the counts, if there are any."""
    model.library_size_ = model.count_share_ = None
    if isinstance(X, Cells) and getattr(X, "counts", False):
        if X.totals is not None:
            raise ValueError(
                "X: totals are only for predictions; to fit a model, pass counts of all genes, no totals"
            )
        model.library_size_ = X.library_size
        model.count_share_ = X.count_share
        return
    adata = X.adata if isinstance(X, Cells) else X
    if isinstance(adata, AnnDataLike) and COUNTS in adata.layers:
        model.library_size_, model.count_share_ = library_of(adata.X, adata.layers[COUNTS])


def library_of(X, counts):
    """Library size of `X` and each gene's share of the counts; both are None unless `X` was computed from `counts`."""
    from sbnn.data.preprocessing import shares_of_genes, size_of_library  # rarely needed

    size = None if counts is None else size_of_library(X, counts)
    return size, None if size is None else shares_of_genes(counts)


def cells_to_predict(model, X, needed=None):
    """`Cells` of X with the genes of the fit that X has, in the order of the fit, and the positions of these genes.

    Genes are matched by name, so their order and additional genes do not matter; input without
    names must hold the genes of the fit in the same order. `needed` are the positions of the genes
    that must not be missing (default: all genes of the fit).
    """
    size = getattr(model, "library_size_", None)
    n_fitted = model.n_features_in_
    if isinstance(X, MuDataLike):
        X = gene_modality(X)
    if size is not None and isinstance(X, AnnDataLike) and COUNTS in X.layers:
        from sbnn.data.streams import ExpressionStream  # rarely needed

        X = ExpressionStream(X.layers[COUNTS], X.var_names, True, cell_names=X.obs_names)
    cells = as_cells(X)
    places = _found(cells.gene_names, getattr(model, "feature_names_in_", None), needed)
    if places is None:
        _require_n_features(model, X, cells)
        here = np.arange(n_fitted)
    else:
        here = np.flatnonzero(places >= 0)
        cells = cells.with_genes(places[here])
    if getattr(cells, "counts", False):
        if size is not None and len(here) < n_fitted and cells.totals is None:
            size *= _enough_counts(
                model.count_share_[here].sum(), f"{n_fitted - len(here)} of the {n_fitted}"
            )
        cells = cells.as_fitted(None, size)
    return cells, here


def new_cells(model, X, genes=None, needed=None):
    """Expression for a fitted model as float64 of shape (n, p), or (n, k) for k `genes`, given by position.

    Genes of the fit that are missing from X and not `needed` are 0 (see `cells_to_predict`).
    """
    check_is_fitted(model)
    if genes is not None:
        needed = genes
    cells, here = cells_to_predict(model, X, needed)
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


def _enough_counts(share, lacking):
    """Return the share of the training counts that belongs to genes of the new data; warn or raise if too small."""
    # The total of a cell is estimated by dividing its counts in the genes of the new data by the
    # share of these genes. If shares are learned from half of the cells, the log2 errors of the
    # totals of all other cells have an SD of 0.08 to 0.15 with a random half of the genes, 0.1 to
    # 0.4 with a tenth of the genes, and 1.1 with 25 of 30,000 genes; benchmarks/new_cells.py
    # measures the effect of these errors.
    text = (
        f"X: counts of {lacking} genes of the fit are missing; sequencing depth is estimated from the others, which "
        f"have {share:.1%} of the counts of the training cells; provide the counts of all genes, or the "
        "total of each cell over all genes (ExpressionStream(..., totals=...) or --totals COLUMN)"
    )
    if share < LEAST_SHARE:
        raise ValueError(f"{text}; this share is too small for an estimate")
    if share < HALF:
        warn(text)
    return float(share)
