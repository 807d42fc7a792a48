"""Input of estimators: expression as an array, genes matched by name."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils import Tags, TransformerTags, check_array
from sklearn.utils._param_validation import Interval
from sklearn.utils.validation import check_consistent_length, check_is_fitted, validate_data

from sbnn.data.checks import (
    abbreviate,
    check_in_order,
    check_numeric,
    dense,
    fill_names,
    is_anndata,
    names_as_text,
    order_by_name,
)
from sbnn.data.counts import (
    CountNormalizer,
    are_beyond_logarithms,
    check_logarithms,
    check_no_counts,
    confirm_library_size,
    look_like_counts,
    normalizer_to,
)
from sbnn.errors import check_among, warn

if TYPE_CHECKING:
    from anndata import AnnData

VALUES_AT_ONCE = 2**22  # 32 MB in double precision
COUNT = [Interval(Integral, 1, None, closed="left")]  # for `_parameter_constraints`
#: Options of `check_array` for expression.
EXPRESSION: dict[str, Any] = {
    "accept_sparse": ("csr", "csc"),
    "dtype": (np.float64, np.float32),
}


class ExpressionRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """A regressor on expression, which may be sparse."""

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        if hasattr(self, "transform"):
            tags.transformer_tags = TransformerTags()
        return tags


# --- expression that may be sparse, or in a file


def load_into_memory(adata: AnnData) -> AnnData:
    """The AnnData, read from its file; if ``X`` is empty, an error says where its values are."""
    if adata.isbacked:
        adata = adata.to_memory()
    if adata.X is None:
        raise ValueError(f"X is empty; values are in layers {[*adata.layers]}: set adata.X")
    return adata


def expression_of(X: Any) -> Any:
    """What holds the values: of an AnnData ``X``, or itself if it is in a file, for `read_cells`.

    Names of a table become text.
    """
    if isinstance(X, pd.DataFrame) and not X.columns.equals(pd.RangeIndex(X.shape[1])):
        return X.set_axis(names_as_text(X.columns), axis=1)
    if not is_anndata(X):
        return X
    if X.isbacked and not X.is_view:  # a view is not for `read_cells`
        return X
    return load_into_memory(X).X


def read_cells(X: Any, cells: Any, genes: Any = None) -> np.ndarray:
    """Dense values, (cells, genes), of some cells of a matrix, or of an AnnData in a file."""
    block = X[cells]
    if is_anndata(X):
        block = check_array(block.X, **EXPRESSION)
    if genes is not None:
        block = block[:, genes]
    return np.ascontiguousarray(dense(block))


def cell_blocks(X: Any) -> Iterator[slice]:
    """Yield slices of cells that can be read at once."""
    n, p = X.shape
    size = max(1, VALUES_AT_ONCE // p)
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))


# --- cells of a fit, and cells for a fitted model


def select_outputs(data: Any, outputs: Any = None) -> Any:
    """Outputs as a table: of an AnnData, a key of ``obsm`` or a list of columns of ``obs``."""
    if is_anndata(data):
        if outputs is None and "outputs" in data.obsm:
            outputs = "outputs"
        if isinstance(outputs, str):
            check_among("outputs", outputs, [*data.obsm.keys()])
            table = data.obsm[outputs]
            if isinstance(table, pd.DataFrame):
                return table
            return pd.DataFrame(dense(table), data.obs_names).add_prefix("output_")
        if isinstance(outputs, list) and all(isinstance(name, str) for name in outputs):
            for name in outputs:
                check_among("outputs", name, [*data.obs])
            return data.obs[outputs]
    if isinstance(outputs, pd.DataFrame | pd.Series):
        check_in_order(data, outputs, "Y")
    return dense(outputs) if sparse.issparse(outputs) else outputs


def match_outputs(model: Any, X: Any, Y: Any, argument: str = "Y") -> Any:
    """Outputs of new cells; those of a table are in the order of the fit."""
    check_is_fitted(model)
    outputs = select_outputs(X, Y)
    if outputs is not None:
        check_numeric(outputs, argument)
    if isinstance(outputs, pd.Series) and outputs.name is not None:
        order_by_name([outputs.name], model.output_names_, argument)
    if not isinstance(outputs, pd.DataFrame):
        return outputs
    return outputs.iloc[:, order_by_name(outputs.columns, model.output_names_, argument)]


def validate_training_cells(
    model: Any, X: Any, y: Any, check: bool = True
) -> tuple[Any, np.ndarray]:
    """Expression, of which `read_cells` reads, and float64 outputs, for a fit; names are stored.

    With `check`, what looks like raw counts is refused, unless notes say what it is.
    """
    outputs = select_outputs(X, y)
    # scikit-learn would take dates for numbers, and what is behind a mask for measured
    check_numeric(X, "X")
    if outputs is not None:
        check_numeric(outputs, "Y")
    cells = expression_of(X)
    if is_anndata(cells):  # in a file
        targets = validate_data(model, y=outputs, multi_output=True, y_numeric=True)
        check_consistent_length(cells, targets)
        model.n_features_in_ = cells.n_vars
    else:
        cells, targets = validate_data(
            model,
            cells,
            outputs,
            ensure_min_samples=2,
            multi_output=True,
            y_numeric=True,
            **EXPRESSION,
        )
    is_described = is_anndata(X) and X.uns.get("sbnn", {}).get("notes") is not None
    if check and not is_described:
        check_no_counts(read_cells(cells, next(cell_blocks(cells))))
    if is_anndata(X):
        model.feature_names_in_ = X.var_names.to_numpy(object)
    if hasattr(model, "feature_names_in_"):
        fill_names(model.feature_names_in_, "X", kind="gene", size=model.n_features_in_)
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    columns = [f"output{i}" for i in range(targets[0].size)]
    if isinstance(outputs, pd.DataFrame):
        columns = outputs.columns
    elif isinstance(outputs, pd.Series) and outputs.name is not None:
        columns = [outputs.name]
    model.output_names_ = np.array([str(name) for name in columns], dtype=object)
    return cells, targets


def find_normalizer(X: Any) -> CountNormalizer | None:
    """Normaliser of the counts from which the package computed ``X`` of an AnnData, or None."""
    if not is_anndata(X):
        return None
    counts = X.layers.get("counts")
    noted_size = X.uns.get("sbnn", {}).get("library_size")
    library_size = confirm_library_size(X.X, counts, noted_size)
    return normalizer_to(library_size, counts, X.var_names)


def validate_training_arrays(model: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Like `validate_training_cells`, with float64 expression, (n, p).

    Its means and maxima are stored.
    """
    cells, targets = validate_training_cells(model, X, y)
    genes = read_cells(cells, slice(None)).astype(np.float64, copy=False)
    model.x_mean_ = genes.mean(axis=0)
    model.x_max_ = genes.max(axis=0)
    return genes, targets


def validate_genes(model: Any, X: Any, genes: np.ndarray) -> np.ndarray:
    """Expression of genes, given by their position in the fit, of shape (n, genes)."""
    check_numeric(X, "X")
    cells = expression_of(X)
    names = X.var_names if is_anndata(X) else None
    if isinstance(cells, pd.DataFrame):  # scikit-learn compares the names of other tables
        names = cells.columns
    seen = getattr(model, "feature_names_in_", None)
    is_in_file = is_anndata(cells)
    columns = genes
    if names is None or seen is None:
        if is_anndata(X):  # scikit-learn warns of tables only
            name = type(model).__name__
            warn(f"X has feature names, but {name} was fitted without feature names")
        cells = validate_data(model, cells, reset=False, skip_check_array=is_in_file, **EXPRESSION)
    else:
        columns = names.get_indexer(seen[genes])
        missing = seen[genes][columns < 0]
        if len(missing):
            raise ValueError(
                f"X: no values for {len(missing)} of the {len(genes)} genes of the model: "
                f"{abbreviate(missing, 10)}; it has {abbreviate(names)}"
            )
        if not is_in_file:
            cells = check_array(cells, input_name="X", **EXPRESSION)
    blocks = [read_cells(cells, rows, columns) for rows in cell_blocks(cells)]
    values = np.concatenate(blocks)
    # unless the model was fitted to other values than logarithms
    if not (look_like_counts(model.x_max_) or are_beyond_logarithms(model.x_max_)):
        check_logarithms(values)
    return values


def validate_new_cells(model: Any, X: Any, needed: np.ndarray | None = None) -> np.ndarray:
    """Expression for a fitted model as float64, (n, p); genes that are not `needed` are 0."""
    check_is_fitted(model)
    if needed is None:
        needed = np.arange(model.n_features_in_)
    needed_values = validate_genes(model, X, needed)
    values = np.zeros((len(needed_values), model.n_features_in_))
    values[:, needed] = needed_values
    return values
