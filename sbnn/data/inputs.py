"""The border: turns what users hand over (numpy, pandas, AnnData, PairedData, streams) into named matrices."""

import warnings
from dataclasses import replace

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.utils.validation import check_array, validate_data

from sbnn.data.checks import some
from sbnn.data.paired import PairedData
from sbnn.data.plausible import check_given_once, check_outliers, warn_of_raw_counts
from sbnn.data.preprocessing import log2p1, normalize_library_size, shares_of_genes, size_of_library
from sbnn.data.readers.anndata import is_anndata, is_backed, is_mudata, modality, obsm_table, two_modalities
from sbnn.data.streams import ExpressionStream

COUNTS = "counts"  # layer of an AnnData
LEAST_SHARE, HALF = 0.05, 0.5  # of the counts of the training cells, by which depth can be told at all, and well
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
    if is_backed(X):
        return expression_table(ExpressionStream(X))
    if is_mudata(X) or is_anndata(X):
        X = _named(_dense(_matrix(X)), X.obs_names, X.var_names)
    elif sparse.issparse(X):
        X = _dense(X)
    if isinstance(X, pd.DataFrame):
        _require_unique(X.columns)
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
    _check_same_cells(cells_of(X), getattr(Y, "index", None) if isinstance(Y, pd.DataFrame | pd.Series) else None)
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


def two_tables(X, Y=None):
    """Hook of all that is fitted: tell expression and outputs apart where one object holds both and they may not fit.

    Parameters
    ----------
    X : object
        Of a MuData the modality ``"rna"`` is taken, with the cells that have outputs; an AnnData that is open on disk
        becomes a stream.
    Y : object
        For a MuData the name of another modality (by default the only one), what an AnnData takes, or a table.

    Returns
    -------
    X, Y
        Anything else as it is.

    Raises
    ------
    KeyError
        A modality that there is not; the message lists those there are.
    """
    if is_mudata(X) and (Y is None or isinstance(Y, str)):
        X, Y, _ = two_modalities(X, "outputs" if Y is None else Y)
    elif is_mudata(X):
        X = modality(X)
    return ExpressionStream(X) if is_backed(X) and X.X is not None else X, Y


def learn_library(model, X):
    """Remember of training cells that are counts, or made of them, what it takes to normalise new cells as they were.

    Parameters
    ----------
    model : estimator
        Gets ``library_size_``, the counts per cell to which `X` is normalised, and ``count_share_``, shape (p,), the
        mean share of every gene in the counts of a cell; None where X was not made of counts.
    X : object
        What `fit` was given.

    Raises
    ------
    ValueError
        If X has totals besides its counts, which new cells alone may have.
    """
    size, counts = None, None
    stream = X if isinstance(X, ExpressionStream) else None
    adata = stream.adata if stream is not None else X
    if stream is not None and stream.counts:
        if stream.totals is not None:
            raise ValueError("X: totals are for new cells that lack genes; fit to counts of all genes, without totals")
        model.library_size_, model.count_share_ = stream.library_size, stream.count_share
        return
    if isinstance(X, PairedData):
        size, counts = X.library_size, X.counts
    elif is_anndata(adata) and COUNTS in adata.layers and adata.X is not None:
        counts = adata.layers[COUNTS]
        size = size_of_library(adata.X, counts)
    model.library_size_, model.count_share_ = size, None if size is None else shares_of_genes(counts)


def new_cells(model, X, genes=None, needed=None):
    """Expression of cells as a fitted model takes it: counts are normalised as its training cells were.

    Genes are found by name, in any order and among others, and only those that the model needs have to be there.

    Counts are those of a stream of counts and, if the model was fitted to counts, of a PairedData and of an AnnData
    (``layers["counts"]``). They are normalised to ``library_size_`` over the genes of the fit. Where some of these are
    missing, the total of a cell is taken for its counts over the genes that are there, divided by the share that
    these genes have in the training cells (``count_share_``, a mean over cells). Learned on half of the cells and
    measured on the others, the SD of the log2 of such totals is 0.08 to 0.15 with a random half of the genes, 0.06 to
    0.3 with a fifth, 0.1 to 0.4 with a tenth, and 1.1 with 25 of 30,000 (``scala_34c_counts``, ``citeseq_cd8``). On the
    map of ``citeseq_cd8`` it moves cells by 0.05 SD with half of the genes that were not kept (0.35 if nothing were
    corrected), by 0.10 with a fifth (0.73), and by 0.26 with the kept 25 alone, 8 % of the counts (0.96); R2 falls from
    0.339 to 0.339, 0.339 and 0.333 (uncorrected 0.318, 0.265 and 0.193). With ``totals`` of the stream nothing moves.
    ``benchmarks/new_cells.py`` measures it.

    Parameters
    ----------
    model : fitted estimator
        With ``n_features_in_`` and, where it was fitted to named genes, ``feature_names_in_``; with ``library_size_``
        and ``count_share_`` where it was fitted to counts.
    X : array-like, DataFrame, sparse matrix, AnnData, MuData, PairedData or ExpressionStream, shape (n, p)
        What has no names holds the genes of the fit in their order. Of a MuData the modality ``"rna"``.
    genes : ndarray of int, optional
        Positions of the genes wanted, so that no others are made dense; all by default.
    needed : ndarray of int, optional
        Positions of the genes that have to be there; by default those wanted. Others that are missing are 0.

    Returns
    -------
    ndarray of float64, shape (n, p) or (n, len(genes))

    Raises
    ------
    ValueError
        If needed genes are missing (the message names them), gene names repeat, values are not finite, or the model
        does not know how to normalise counts: it was not fitted to any, or the genes that are there have less than a
        `LEAST_SHARE` of its counts, and the stream has no ``totals``.

    Warns
    -----
    UserWarning
        If the genes that are there have less than half of the counts, or the expression looks like raw counts.
    """
    size = getattr(model, "library_size_", None)
    X = modality(X) if is_mudata(X) else X
    counted = size is not None and (
        X.counts is not None if isinstance(X, PairedData) else is_anndata(X) and COUNTS in X.layers
    )
    if is_backed(X) and not counted:
        X = ExpressionStream(X)
    if isinstance(X, ExpressionStream):
        counted = X.counts
    names = _names_of(X)
    found = None if names is None else _found(names, model, genes if needed is None else needed)
    if found is None and not isinstance(X, PairedData | ExpressionStream) and not is_anndata(X):
        if size is not None:
            _warn_of_raw_counts(X)
        X = validate_data(model, X, accept_sparse=("csr", "csc"), dtype=np.float64, reset=False)
        return np.ascontiguousarray(_dense(X)) if genes is None else _dense(X[:, genes])
    n_genes = X.n_genes if isinstance(X, PairedData) else X.shape[1]
    if found is None and n_genes != model.n_features_in_:
        raise ValueError(f"X: expected {model.n_features_in_} genes, got {n_genes}")

    here = np.arange(model.n_features_in_) if found is None else np.flatnonzero(found >= 0)
    places = None if found is None else found[here]
    wanted = slice(None) if genes is None else np.searchsorted(here, genes)
    if size is not None and counted and len(here) < model.n_features_in_ and getattr(X, "totals", None) is None:
        size = size * _share_of_counts(model, here)
    if isinstance(X, ExpressionStream):
        stream = X.as_fitted(places, size)
        values = stream.columns(np.arange(stream.shape[1])[wanted])
    else:
        matrix = _columns(_counts_of(X) if counted else _expression_of(X, model), places)
        if not isinstance(X, PairedData):
            matrix = check_array(matrix, accept_sparse=("csr", "csc"), dtype=np.float64, input_name="X")
        if counted:
            matrix = log2p1(normalize_library_size(matrix, size))
        elif size is not None and not isinstance(X, PairedData):
            _warn_of_raw_counts(matrix)
        values = _dense(matrix[:, wanted])
    values = values.astype(np.float64, copy=False)
    if genes is not None:
        return values
    if len(here) == model.n_features_in_:
        return np.ascontiguousarray(values)  # the last bits of a product depend on the layout
    filled = np.zeros((len(values), model.n_features_in_))
    filled[:, here] = values
    return filled


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
        raise TypeError("X: a MuData holds several measurements, give one modality as X")
    if X.X is None:
        raise ValueError(f"X: the AnnData has no X; set it to one of the layers, {sorted(X.layers)}")
    if getattr(X, "isbacked", False):
        raise ValueError(
            "X: the AnnData is open on disk, and this needs all cells in memory: adata.to_memory(), or, for what reads "
            "block by block, ExpressionStream(adata)"
        )
    return X.X


def _counts_of(X):
    return X.counts if isinstance(X, PairedData) else X.layers[COUNTS]


def _expression_of(X, model):
    """Expression of new cells that is taken as it is."""
    if is_anndata(X):
        return _matrix(X)
    if not isinstance(X, PairedData):
        return X
    if getattr(model, "library_size_", None) is None and X.counts is not None and X.library_size is None:
        warnings.warn(
            "X: its counts were normalised before genes were left out, and the model does not know to which "
            "library size those of its training cells were; fit to all genes, or normalise all cells together",
            stacklevel=4,
        )
    return X.X


def _names_of(X):
    """Names of the genes of X; None where it has none."""
    if isinstance(X, PairedData | ExpressionStream):
        return X.gene_names
    if is_anndata(X):
        return X.var_names
    if not isinstance(X, pd.DataFrame):
        return None
    _require_unique(X.columns)
    return X.columns if all(isinstance(name, str) for name in X.columns) else None


def _require_unique(names):
    names = pd.Index(names)
    if not names.is_unique:
        raise ValueError(f"X: gene names must be unique, these repeat: {list(names[names.duplicated()].unique()[:5])}")


def _found(names, model, needed):
    """Positions of the genes of the fit among others, -1 where one is missing; None where they are these."""
    seen = getattr(model, "feature_names_in_", None)
    if seen is None or np.array_equal(names, seen):
        return None
    _require_unique(names)
    found = pd.Index(names).get_indexer(seen)
    needed = np.arange(len(seen)) if needed is None else needed
    missing = seen[needed[found[needed] < 0]]
    if len(missing):
        which = "the fit" if len(needed) == len(seen) else "the model"
        raise ValueError(
            f"X: {len(missing)} of the {len(needed)} genes of {which} are missing: {some(missing, 10)}; "
            f"{_written_otherwise(missing, names) or 'a gene that was not seen has the value 0'}"
        )
    return found


def _written_otherwise(missing, names):
    """What to do where names differ in upper and lower case or the version of an Ensembl name only; else nothing."""

    def plain(name):
        name = str(name).lower()
        return name.split(".")[0] if name.startswith("ens") else name

    alike = {plain(name): name for name in names}
    alike = {name: alike[plain(name)] for name in missing if plain(name) in alike}
    if not alike:
        return ""
    name, other = next(iter(alike.items()))
    return (
        f"{len(alike)} of them are there under a name that is written otherwise, as {other!r} for {name!r}; rename them"
    )


def _share_of_counts(model, here):
    """Share that some genes of the fit have in the counts of the training cells, if it is enough to go by."""
    n_missing = model.n_features_in_ - len(here)
    about = f"X: counts of {n_missing} of the {model.n_features_in_} genes of the fit are missing"
    advice = "give the counts of all, or the total of each cell (ExpressionStream(..., totals=...), --totals COLUMN)"
    shares = getattr(model, "count_share_", None)
    if shares is None:
        raise ValueError(f"{about}, and the model, of an older version, does not know what share they have; {advice}")
    share = float(shares[here].sum())
    if share < LEAST_SHARE:
        raise ValueError(
            f"{about}; those that are there have {share:.1%} of the counts of the training cells, too few to tell how "
            f"deeply a cell was sequenced; {advice}"
        )
    if share < HALF:
        warnings.warn(
            f"{about}; how deeply a cell was sequenced is told from the others, which have {share:.0%} of the counts "
            f"of the training cells; {advice}",
            stacklevel=4,
        )
    return share


def _columns(matrix, positions):
    if positions is None:
        return matrix
    if isinstance(matrix, pd.DataFrame):
        return matrix.iloc[:, positions]
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


def cells_of(X):
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

    All functions that take `data` take it in these forms. Where an AnnData or MuData does not say by itself what the
    outputs are, a pair with their name does: ``cross_validate(model, (adata, "ephys"))``, as in ``model.fit(adata,
    "ephys")``.

    Parameters
    ----------
    data : PairedData, AnnData, MuData or tuple (X, Y)
        Outputs of an AnnData are in ``obsm["outputs"]``, those of a MuData in its only modality beside ``"rna"``. Of a
        pair, X is an array, DataFrame, AnnData or MuData; Y an array, DataFrame or Series or, for the latter two, what
        `PairedData.from_anndata` takes as `outputs`: the name of a modality or of a table in ``obsm``, or a list of
        columns of ``obs``.

    Returns
    -------
    PairedData

    Raises
    ------
    TypeError
        Something else; a stream too, which is read block by block and cannot be cut into folds.
    KeyError, ValueError
        As for `PairedData` and `PairedData.from_anndata`, among them an AnnData that is open on disk.
    """
    if isinstance(data, PairedData):
        return data
    if is_anndata(data) or is_mudata(data):
        return PairedData.from_anndata(data)
    if isinstance(data, tuple | list) and len(data) == 2:
        X, Y = data
        several = is_anndata(X) or is_mudata(X)
        if several and (isinstance(Y, str) or (isinstance(Y, list) and all(isinstance(name, str) for name in Y))):
            return PairedData.from_anndata(X, Y)
        if isinstance(Y, pd.Series):  # one output
            Y = Y.to_frame(Y.name or "output_0")
        elif isinstance(Y, np.ndarray | list) and np.ndim(Y) == 1:
            Y = np.reshape(Y, (-1, 1))
        if several:
            X = PairedData.from_anndata(X, None)
            return replace(X, Y=output_table(X, Y), feature_names=None)
        return PairedData(X, Y)
    raise TypeError(
        f"data: expected PairedData, a pair (X, Y), an AnnData or a MuData, all in memory, got {type(data).__name__}"
    )
