"""Conversion of the input of estimators (arrays, DataFrames, AnnData, MuData, streams) to matrices with names."""

import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils import validation

from sbnn.data import checks
from sbnn.data.checks import check_same_cells, some
from sbnn.data.objects import (
    AnnDataLike,
    MuDataLike,
    StreamLike,
    dense,
    entry,
    obsm_table,
    with_outputs,
)
from sbnn.errors import naming

COUNTS = "counts"  # layer of an AnnData
ROUNDING = 1e-3  # tolerance beyond the range of the training cells
# A cell triggers a warning if more than this share of the kept genes is beyond the range of the
# training cells. With few training cells, this range is narrow, and a tenth of the genes of a new
# cell is usually beyond it.
MANY = 0.5
# Minimum numbers of genes and cells for warnings about cells unlike the training cells; if the
# model does not store the range of a gene, the range is taken as the mean plus or minus this number
# of SDs.
FEWEST_GENES, FEWEST_CELLS, SDS_OF_RANGE = 6, 8, 5
# minimum shares of the training counts for any estimate of depth, and for a good one
LEAST_SHARE, HALF = 0.05, 0.5
# size of the largest sparse matrix that is made dense; 128 MiB in single precision
MOST_DENSE_VALUES = 2**25
validate_data = naming("X and y: expected tables, and a type or outputs for each cell")(
    validation.validate_data
)


def two_tables(X, Y=None):
    """Split a MuData into expression and outputs, and convert an AnnData that is open on disk to a stream."""
    for values, argument in ((X, "X"), (Y, "Y")):
        checks.check_unmasked(values, argument)
    if isinstance(X, MuDataLike):
        X, Y, _ = with_outputs(X, "outputs" if Y is None else Y)
    if getattr(X, "isbacked", False) and X.X is not None:
        from sbnn.data.streams import ExpressionStream  # rarely needed

        X = ExpressionStream(X)
    return X, Y


def stream_of_sparse(X):
    """Convert sparse expression that is too large for a dense array to a stream; return None for anything else."""
    matrix = X.X if isinstance(X, AnnDataLike) else X
    if not sparse.issparse(matrix) or np.prod(matrix.shape, dtype=float) <= MOST_DENSE_VALUES:
        return None
    from sbnn.data.streams import ExpressionStream

    return ExpressionStream(X)


def expression_table(X):
    """Expression as a dense array or, if it has names, a DataFrame; data stored in a file are loaded."""
    if isinstance(X, StreamLike):
        values = X.rows(slice(0, len(X)))
        return values if X.gene_names is None else pd.DataFrame(values, X.cell_names, X.gene_names)
    if isinstance(X, AnnDataLike):
        _require_values(X)
        X = pd.DataFrame(dense(X.X), X.obs_names, X.var_names)
    elif sparse.issparse(X):
        X = X.toarray(order="C")
    if isinstance(X, pd.DataFrame):
        _require_unique(X.columns)
    return X


def output_table(X, Y):
    """Outputs for `X`: the given table, or the entry of ``X.obsm`` that `Y` names ("outputs" if `Y` is None)."""
    holder = X.adata if isinstance(X, StreamLike) else X
    if isinstance(holder, AnnDataLike) and (Y is None or isinstance(Y, str)):
        return obsm_table(holder, "outputs" if Y is None else Y)
    if isinstance(Y, str | AnnDataLike | MuDataLike | StreamLike):
        raise TypeError(
            f"Y: expected a table or, if X is an AnnData, a key of its obsm, got {type(Y).__name__}"
        )
    cells = (
        X.index
        if isinstance(X, pd.DataFrame)
        else getattr(X, "cell_names", getattr(X, "obs_names", None))
    )
    if cells is not None and isinstance(Y, pd.DataFrame | pd.Series):
        check_same_cells(cells, Y.index)
    return Y


def output_names(Y, n_outputs):
    """Names of the outputs as an object array: the columns of a table, otherwise ``output0``, ``output1``, ..."""
    names = Y.columns if isinstance(Y, pd.DataFrame) else (f"output{i}" for i in range(n_outputs))
    return np.array([str(name) for name in names], dtype=object)


def to_be_fitted(model, X, y, dtype):
    """Check X and y for a fit and return them as arrays, y as float64; store names and library size in the model."""
    learn_library(model, X)
    table, outputs = expression_table(X), output_table(X, y)
    how = {"multi_output": True, "y_numeric": True, "ensure_min_samples": 2}
    genes, targets = validate_data(model, table, outputs, dtype=dtype, **how)
    columns = targets.reshape(len(targets), -1)
    model.output_names_ = output_names(outputs, columns.shape[1])
    model.x_min_, model.x_max_, model.x_mean_ = genes.min(0), genes.max(0), genes.mean(0)
    for values, argument, given in ((genes, "X", table), (columns, "Y", outputs)):
        checks.check_finite(
            values, argument, getattr(table, "index", None), getattr(given, "columns", None)
        )
    return genes, targets.astype(np.float64, copy=False)


def learn_library(model, X):
    """Store the library size to which counts were normalised and each gene's share of the counts, if there are any."""
    adata = X.adata if isinstance(X, StreamLike) else X
    if isinstance(X, StreamLike) and X.counts:
        if X.totals is not None:
            raise ValueError(
                "X: totals are only for predictions; to fit a model, pass counts of all genes, no totals"
            )
        model.library_size_, model.count_share_ = X.library_size, X.count_share
        return
    counted = isinstance(adata, AnnDataLike) and COUNTS in adata.layers and adata.X is not None
    model.library_size_, model.count_share_ = (
        library_of(adata.X, adata.layers[COUNTS]) if counted else (None, None)
    )


def library_of(X, counts):
    """Library size of `X` and each gene's share of the counts; both are None unless `X` was computed from `counts`."""
    from sbnn.data.preprocessing import shares_of_genes, size_of_library  # rarely needed

    size = None if counts is None else size_of_library(X, counts)
    return size, None if size is None else shares_of_genes(counts)


def new_cells(model, X, genes=None, needed=None):
    """Expression for a fitted model, float64 of shape (n, p); counts are normalised like the
    training counts.

    Genes are matched by name, so their order and additional genes do not matter; input without
    names must hold the genes of the fit in the same order. `genes` are the positions of the
    requested genes (default: all genes of the fit). `needed` are the positions of the genes that
    must not be missing (default: `genes`); any other missing gene is set to 0. Counts are taken
    from a stream of counts or, if the model was fitted to counts, from ``layers["counts"]``. Cells
    that are unlike the training cells give a warning.
    """
    checks.check_unmasked(X, "X")
    cells = entry(X.mod, "rna", "mod") if isinstance(X, MuDataLike) else X
    counted = getattr(model, "library_size_", None) is not None and isinstance(cells, AnnDataLike)
    counted = counted and COUNTS in cells.layers
    if isinstance(cells, AnnDataLike) and not counted:
        _require_values(cells)
    if getattr(cells, "isbacked", False) and not counted:
        from sbnn.data.streams import ExpressionStream

        cells = ExpressionStream(cells.X, cells.var_names)
    values = _values_of(
        model, cells, cells.counts if isinstance(cells, StreamLike) else counted, genes, needed
    )
    columns = genes if needed is None else needed
    columns = np.arange(model.n_features_in_) if columns is None else columns
    if hasattr(model, "x_min_") and len(columns) >= FEWEST_GENES and len(values):
        _warn_of_unlike(
            model, columns, values if genes is not None else values[:, columns], cells_of(cells)
        )
    return values


def _warn_of_unlike(model, columns, values, cells):
    """Warn about cells that exceed the range of the training cells, have no counts, or seem to be in another unit."""
    low, high, mean = (getattr(model, name)[columns] for name in ("x_min_", "x_max_", "x_mean_"))
    if np.isinf(low).any():  # no limits were stored
        low, high = (mean + side * SDS_OF_RANGE * model.x_scale_[columns] for side in (-1, 1))
    names = np.arange(len(values)) if cells is None else cells
    found, logs, of_cells = [], (mean >= 0).all() and mean.any(), f"of {len(values)} cells"
    beyond = ((values < low - ROUNDING) | (values > high + ROUNDING)).mean(axis=1) > MANY
    if beyond.any():
        what = f"more than {MANY:.0%} of the genes of the model are outside the range of the training cells"
        found.append(
            f"in {beyond.sum()} {of_cells}, {what}: {some(names[beyond])}; is X in other units?"
        )
    if logs and (empty := ~values.any(axis=1)).any():
        what = "all genes of the model are 0, so predictions mean little; leave such cells out"
        found.append(f"in {empty.sum()} {of_cells}, {what}: {some(names[empty])}")
    new = values.mean(axis=0)
    times = new @ mean / (mean @ mean) if logs else 1
    unlike = np.linalg.norm(new - times * mean) / max(np.linalg.norm(new), ROUNDING)
    if len(values) >= FEWEST_CELLS and (times < 0.1 or (unlike < 0.15 and not 0.8 < times < 1.25)):
        found.append(
            f"expression is on average {times:.2g} times that of the training cells; is X on another scale?"
        )
    for text in found:
        warnings.warn(f"X: {text}", stacklevel=4)


def _values_of(model, X, counted, genes, needed):
    """Values for `new_cells`, from the counts of a stream or layer if `counted`, otherwise from X."""
    size, n_fitted = getattr(model, "library_size_", None), model.n_features_in_
    names = (
        X.columns
        if isinstance(X, pd.DataFrame)
        else getattr(X, "gene_names", getattr(X, "var_names", None))
    )
    found = None
    if names is not None and all(isinstance(name, str) for name in names):
        found = _found(
            names, getattr(model, "feature_names_in_", None), genes if needed is None else needed
        )
    if found is None and not isinstance(X, AnnDataLike | StreamLike):
        values = validate_data(
            model, X, accept_sparse=("csr", "csc"), dtype=np.float64, reset=False
        )
        return np.ascontiguousarray(dense(values)) if genes is None else dense(values[:, genes])
    if found is None and X.shape[1] != n_fitted:
        raise ValueError(f"X: expected {n_fitted} genes, got {X.shape[1]}")

    here = np.arange(n_fitted) if found is None else np.flatnonzero(found >= 0)
    places = None if found is None else found[here]
    wanted = slice(None) if genes is None else np.searchsorted(here, genes)
    if size is not None and counted and len(here) < n_fitted and getattr(X, "totals", None) is None:
        size *= _enough_counts(
            model.count_share_[here].sum(), f"{n_fitted - len(here)} of the {n_fitted}"
        )
    if isinstance(X, StreamLike):
        stream = X.as_fitted(places, size)
        values = stream.columns(np.arange(stream.shape[1])[wanted])
    else:
        matrix = X.layers[COUNTS] if counted else X.X if isinstance(X, AnnDataLike) else X
        if isinstance(matrix, pd.DataFrame):
            matrix = matrix.iloc[:, places]
        elif places is not None:
            matrix = (
                matrix[:, places]
                if sparse.issparse(matrix)
                else np.ascontiguousarray(matrix[:, places])
            )
        matrix = validation.check_array(
            matrix, accept_sparse=("csr", "csc"), dtype=np.float64, input_name="X"
        )
        if counted:
            from sbnn.data.preprocessing import log2p1, normalize_library_size

            matrix = log2p1(normalize_library_size(matrix, size, cells=X.obs_names))
        values = dense(matrix[:, wanted])
    values = values.astype(np.float64, copy=False)
    if genes is not None:
        return values
    if len(here) == n_fitted:
        # since the last bits of a matrix product depend on the memory layout
        return np.ascontiguousarray(values)
    filled = np.zeros((len(values), n_fitted))
    filled[:, here] = values
    return filled


def cells_of(X):
    """Names of the cells of X, or None if the cells have no names."""
    names = (
        X.index
        if isinstance(X, pd.DataFrame)
        else getattr(X, "cell_names", getattr(X, "obs_names", None))
    )
    return None if names is None else pd.Index(names)


def _require_values(adata):
    if adata.X is None:
        raise ValueError(
            f"X: the AnnData has no X; set adata.X to log values (its layers are {sorted(adata.layers)})"
        )


def _require_unique(names):
    repeated = pd.Index(names)[pd.Index(names).duplicated()].unique()
    if len(repeated):
        raise ValueError(f"X: gene names must be unique, but some repeat: {list(repeated[:5])}")


def _found(names, seen, needed):
    """Position in `names` of each gene of the fit, -1 if it is missing; None if `names` need no matching."""
    if seen is None or np.array_equal(names, seen):
        return None
    _require_unique(names)
    found = pd.Index(names).get_indexer(seen)
    needed = np.arange(len(seen)) if needed is None else needed
    missing = seen[needed[found[needed] < 0]]
    if len(missing):
        which = "the fit" if len(needed) == len(seen) else "the model"
        text = f"X: no values for {len(missing)} of the {len(needed)} genes of {which}: {some(missing, 10)}"
        raise ValueError(
            f"{text} (X has {some(names, 3)}); if a gene was measured but has no counts, set it to 0"
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
        warnings.warn(text, stacklevel=4)
    return float(share)
