"""The border: turns what users hand over (numpy, pandas, AnnData, PairedData, streams) into named matrices."""

import warnings

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from sbnn.data.checks import some
from sbnn.data.paired import PairedData
from sbnn.data.plausible import check_given_once, check_outliers, warn_of_raw_counts
from sbnn.data.preprocessing import log2p1, normalize_library_size, size_of_library
from sbnn.data.readers.anndata import is_anndata, is_mudata, obsm_table
from sbnn.data.streams import ExpressionStream

COUNTS = "counts"  # layer of an AnnData
MOST_DENSE_VALUES = 2**25  # that a sparse matrix is made dense for, 128 MiB in single precision
WRAP_COUNTS = "log-transform it, or hand it over as ExpressionStream(X, counts=True)"


def expression_table(X):
    """Expression as scikit-learn accepts it, dense; what has names becomes a DataFrame.

    Parameters
    ----------
    X : array-like, DataFrame, sparse matrix, AnnData, PairedData or ExpressionStream, shape (n, p)
        A stream is read whole.

    Returns
    -------
    array-like or DataFrame, shape (n, p)

    Raises
    ------
    ValueError
        If gene names repeat, or an AnnData has no expression in memory.
    TypeError
        If X is a MuData.

    Warns
    -----
    UserWarning
        If log values are expected and these look like raw counts.
    """
    if isinstance(X, PairedData):
        return pd.DataFrame(X.X, index=X.cell_names, columns=X.gene_names)
    if isinstance(X, ExpressionStream):
        return _named(X.rows(slice(0, len(X))), X.cell_names, X.gene_names)
    if is_mudata(X) or is_anndata(X):
        X = _named(_dense(_matrix(X)), X.obs_names, X.var_names)
    elif sparse.issparse(X):
        X = _dense(X)
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        repeated = list(X.columns[X.columns.duplicated()].unique()[:5])
        raise ValueError(f"X: gene names must be unique, these repeat: {repeated}")
    _warn_of_raw_counts(X)
    return X


def output_table(X, Y):
    """Outputs that go with `X`: given as they are, or by the name of a table in ``X.obsm``.

    Parameters
    ----------
    X : array-like, DataFrame, AnnData, PairedData or ExpressionStream
    Y : array-like, DataFrame, Series, str or None
        A str is a key of ``X.obsm``, of an AnnData or a stream made of one; None means ``"outputs"`` there, and
        the outputs of a PairedData.

    Returns
    -------
    array-like or DataFrame, shape (n, q) or (n,)

    Raises
    ------
    ValueError
        If there is no such table, or the rows of two tables have different names or another order.
    TypeError
        If Y is an object that holds several tables.
    """
    if isinstance(X, PairedData) and Y is None:
        if not X.n_outputs:
            raise ValueError(f"Y: the PairedData {X.name!r} has no outputs; give them as Y")
        return pd.DataFrame(X.Y, index=X.cell_names, columns=X.feature_names)
    holder = X.adata if isinstance(X, ExpressionStream) else X
    if is_anndata(holder) and (Y is None or isinstance(Y, str)):
        key = "outputs" if Y is None else Y
        if key not in holder.obsm:
            hint = "; a column of obs is given as Y=adata.obs[...]" if key in holder.obs else ""
            raise ValueError(f"Y: the AnnData has no obsm[{key!r}]; it has {list(holder.obsm)}{hint}")
        return obsm_table(holder, key)
    if isinstance(Y, str):
        raise ValueError(f"Y: a name ({Y!r}) needs an AnnData as X, got {type(X).__name__}")
    if is_anndata(Y) or is_mudata(Y) or isinstance(Y, PairedData | ExpressionStream):
        raise TypeError(f"Y: expected a table of outputs, got {type(Y).__name__}; give the table that it holds")
    _check_same_cells(_cells_of(X), getattr(Y, "index", None) if isinstance(Y, pd.DataFrame | pd.Series) else None)
    return Y


def output_names(Y, n_outputs):
    """Names of the outputs: the columns of a table, else ``output0``, ``output1``, ... as an object array."""
    if isinstance(Y, pd.DataFrame):
        return np.array([str(name) for name in Y.columns], dtype=object)
    return np.array([f"output{i}" for i in range(n_outputs)], dtype=object)


def check_values(X, Y, table, outputs):
    """Check what is possible and still wrong in the values to be fitted, naming cells and genes.

    Parameters
    ----------
    X : ndarray, shape (n, p)
    Y : ndarray, shape (n, q) or (n,)
        Checked arrays.
    table, outputs : array-like or DataFrame
        What they were made of.

    Raises
    ------
    ValueError
        If a value is too large to compute with, or the outputs are genes of X.

    Warns
    -----
    UserWarning
        If a cell is out of all proportion to the others.
    """
    Y = Y.reshape(len(Y), -1)
    cells = getattr(table, "index", None)
    for values, argument, given in ((X, "X", table), (Y, "Y", outputs)):
        check_outliers(values, argument, cells, getattr(given, "columns", None))
    check_given_once(X, Y)


def library_size_of(X):
    """Library size to which expression is normalised, for a model to keep: None where X was not made of counts."""
    if is_anndata(X) and COUNTS in X.layers and X.X is not None:
        return size_of_library(X.X, X.layers[COUNTS])
    return X.library_size if isinstance(X, PairedData | ExpressionStream) else None


def new_cells(model, X, genes=None):
    """Expression of cells as a fitted model takes it: counts are normalised as its training cells were.

    Parameters
    ----------
    model : fitted estimator
        With ``n_features_in_`` and, where it was fitted to named genes, ``feature_names_in_``; with ``library_size_``
        where it was fitted to counts.
    X : array-like, DataFrame, sparse matrix, AnnData, PairedData or ExpressionStream, shape (n, p)
        In an AnnData, a PairedData and a stream, genes are found by name, in any order and among others. Counts of a
        stream and, if the model was fitted to counts, of a PairedData and of an AnnData (``layers["counts"]``) are
        normalised to ``library_size_`` over the genes of the model.
    genes : ndarray of int, optional
        Positions of the genes wanted, so that no others are made dense; all by default.

    Returns
    -------
    ndarray of float64, shape (n, p) or (n, len(genes))

    Raises
    ------
    ValueError
        If genes are missing, values are not finite, or the model does not know how to normalise counts.
    TypeError
        If X is a MuData.
    """
    size = getattr(model, "library_size_", None)
    wanted = slice(None) if genes is None else genes
    if isinstance(X, ExpressionStream):
        stream = X.as_fitted(_positions(X.gene_names, X.shape[1], model), size)
        return stream.columns(np.arange(stream.shape[1])[wanted]).astype(np.float64)
    if isinstance(X, PairedData):
        counted = size is not None and X.counts is not None
        if size is None and X.counts is not None and X.library_size is None:
            warnings.warn(
                "X: its counts were normalised before genes were left out, and the model does not know to which "
                "library size those of its training cells were; fit to all genes, or normalise all cells together",
                stacklevel=3,
            )
        matrix = _columns(X.counts if counted else X.X, _positions(X.gene_names, X.n_genes, model))
        if counted:
            matrix = log2p1(normalize_library_size(matrix, size))
        return _dense(matrix[:, wanted]).astype(np.float64)
    if is_mudata(X) or is_anndata(X):
        matrix = check_array(_matrix(X), accept_sparse=("csr", "csc"), dtype=np.float64, input_name="X")
        positions = _positions(X.var_names, X.shape[1], model)
        if size is not None and COUNTS in X.layers:
            counts = check_array(X.layers[COUNTS], accept_sparse=("csr", "csc"), dtype=np.float64, input_name="counts")
            matrix = log2p1(normalize_library_size(_columns(counts, positions), size))
            return _dense(matrix[:, wanted]).astype(np.float64)
        if size is not None:
            _warn_of_raw_counts(matrix)
        return _dense(_columns(matrix, positions)[:, wanted])
    if size is not None:
        _warn_of_raw_counts(X)
    if isinstance(X, pd.DataFrame) and not X.columns.is_unique:
        raise ValueError(f"X: gene names must be unique, these repeat: {list(X.columns[X.columns.duplicated()][:5])}")
    X = validate_data(model, X, accept_sparse=("csr", "csc"), dtype=np.float64, reset=False)
    return _dense(X[:, wanted])


def stream_of_sparse(X):
    """A stream of expression that is sparse and too large to be made dense; None for anything else.

    Parameters
    ----------
    X : object
        A sparse matrix, or an AnnData with one, is large if it has more than `MOST_DENSE_VALUES` cells times genes.

    Returns
    -------
    ExpressionStream or None
    """
    matrix = X.X if is_anndata(X) else X
    large = sparse.issparse(matrix) and np.prod(matrix.shape, dtype=float) > MOST_DENSE_VALUES
    return ExpressionStream(X) if large else None


def _matrix(X):
    """Expression of an AnnData, or what it should have been given as."""
    if is_mudata(X):
        raise TypeError(
            "X: a MuData holds several measurements; PairedData.from_anndata(mdata, outputs) takes two of them out, or "
            "give one modality as X"
        )
    if X.X is None:
        raise ValueError(f"X: the AnnData has no X; set it to one of the layers, {sorted(X.layers)}")
    if getattr(X, "isbacked", False):
        raise ValueError("X: the AnnData is read from a file; hand it over as ExpressionStream(adata)")
    return X.X


def _positions(names, n_genes, model):
    """Positions of the genes of a model among others; None where they are these."""
    seen = getattr(model, "feature_names_in_", None)
    if names is None or seen is None or np.array_equal(names, seen):
        if n_genes != model.n_features_in_:
            raise ValueError(f"X: expected {model.n_features_in_} genes, got {n_genes}")
        return None
    names = pd.Index(names)
    if not names.is_unique:
        raise ValueError(f"X: gene names must be unique, these repeat: {list(names[names.duplicated()].unique()[:5])}")
    found = names.get_indexer(seen)
    if (found < 0).any():
        raise ValueError(
            f"X: {(found < 0).sum()} of the {len(seen)} genes of the fit are missing: {some(seen[found < 0])}; "
            f"a gene that was not seen has the value 0"
        )
    return found


def _columns(matrix, positions):
    if positions is None:
        return matrix
    matrix = matrix[:, positions]
    return matrix if sparse.issparse(matrix) else np.ascontiguousarray(matrix)


def _warn_of_raw_counts(X):
    if sparse.issparse(X):
        X = X.tocsr()
    elif not hasattr(X, "shape"):
        return  # a list, of which nobody knows what it holds
    values = X.to_numpy() if isinstance(X, pd.DataFrame) else X
    if len(values.shape) == 2 and min(values.shape) > 0 and values.dtype.kind in "iuf":
        warn_of_raw_counts(values, "X", WRAP_COUNTS)


def _cells_of(X):
    """Names of the cells of X; None where it has none."""
    if isinstance(X, pd.DataFrame):
        return X.index
    if isinstance(X, PairedData | ExpressionStream):
        return None if X.cell_names is None else pd.Index(X.cell_names)
    return X.obs_names if is_anndata(X) else None


def _check_same_cells(cells, rows):
    """Refuse outputs whose row names say that they are other cells, or the same in another order."""
    if cells is None or rows is None or len(cells) != len(rows) or cells.equals(rows):
        return
    if set(cells) == set(rows):
        raise ValueError("Y: the rows are the same cells as those of X in another order; use Y = Y.loc[X.index]")
    if not _numbered(cells) and not _numbered(rows):
        raise ValueError(f"Y: row names differ from those of X, first {rows[0]!r} against {cells[0]!r}")


def _numbered(names):
    """Whether names are nothing but the numbers that pandas and anndata give."""
    return isinstance(names, pd.RangeIndex) or list(names) == [str(i) for i in range(len(names))]


def _named(matrix, cells, genes):
    return matrix if genes is None else pd.DataFrame(matrix, index=cells, columns=genes)


def _dense(matrix):
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def as_paired(data):
    """Take what holds two measurements of the same cells, in any of the usual forms.

    Parameters
    ----------
    data : PairedData, tuple (X, Y), AnnData or MuData
        Arrays or DataFrames; outputs of an AnnData in ``obsm["outputs"]`` (see `PairedData.from_anndata` for others).

    Returns
    -------
    PairedData

    Raises
    ------
    TypeError
        Something else; a stream too, which is read block by block and cannot be cut into folds.
    """
    if isinstance(data, PairedData):
        return data
    if is_anndata(data) or is_mudata(data):
        return PairedData.from_anndata(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        X, Y = data
        if isinstance(Y, pd.Series):  # one output
            Y = Y.to_frame(Y.name or "output_0")
        elif isinstance(Y, np.ndarray | list) and np.ndim(Y) == 1:
            Y = np.reshape(Y, (-1, 1))
        return PairedData(X, Y)
    raise TypeError(
        f"data: expected PairedData, a pair (X, Y), an AnnData or a MuData, all in memory, got {type(data).__name__}"
    )
