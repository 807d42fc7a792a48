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
    check_finite,
    check_in_order,
    check_names,
    check_numeric,
    describe_similar,
    get_cell_names,
    is_anndata,
    names_as_text,
    numbers,
    order_by_name,
)
from sbnn.data.counts import BEYOND_LOG, dense, describe_no_logs, describe_raw_counts
from sbnn.errors import check_among, warn

if TYPE_CHECKING:
    from anndata import AnnData

VALUES_AT_ONCE = 2**22  # 32 MB in double precision
COUNT = [Interval(Integral, 1, None, closed="left")]  # for `_parameter_constraints`
ACCEPTED: dict[str, Any] = {
    "accept_sparse": ("csr", "csc"),
    "dtype": (np.float64, np.float32),
    "ensure_all_finite": False,  # `check_finite` names the cell
    "input_name": "X",
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


def validate_expression(X: Any, min_cells: int = 1) -> tuple[Any, pd.Index | None]:
    """Dense or sparse values, (n, p), and names of genes or None.

    A backed AnnData is returned as it is, for `read_cells`.
    """
    names = None
    check_numeric(X, "X")
    if isinstance(X, pd.DataFrame):
        X = numbers(X, "X")
    cells = get_cell_names(X)
    if is_anndata(X):
        names = X.var_names
        if X.isbacked and not X.is_view:  # not for `read_cells`
            return X, names
        X = load_into_memory(X).X
    elif isinstance(X, pd.DataFrame) and not X.columns.equals(pd.RangeIndex(X.shape[1])):
        names = names_as_text(X.columns)
    X = check_array(X, ensure_min_samples=min_cells, **ACCEPTED)
    check_finite(X, "X", cells=cells, columns=names)
    return X, names


def load_into_memory(adata: AnnData) -> AnnData:
    """The AnnData, read from its file; if ``X`` is empty, an error says where its values are."""
    if adata.isbacked:
        adata = adata.to_memory()
    if adata.X is None:
        raise ValueError(f"X is empty; values are in layers {[*adata.layers]}: set adata.X")
    return adata


def read_cells(X: Any, cells: Any, genes: Any = None) -> np.ndarray:
    """Dense values, (cells, genes), of some cells of what `validate_expression` returns."""
    block = X[cells]
    if is_anndata(X):
        values = check_array(block.X, **ACCEPTED)
        check_finite(values, "X", cells=block.obs_names, columns=block.var_names)
        block = values
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
    if sparse.issparse(outputs):
        return dense(outputs)
    if outputs is None or isinstance(outputs, pd.DataFrame):
        return outputs
    array = np.asarray(outputs)
    if array.ndim == 0 or pd.api.types.infer_dtype(array.ravel()) == "string":
        raise TypeError(
            "Y: expected numbers or, beside an AnnData, a key of obsm or a list of columns of obs, "
            f"got {outputs!r:.80}"
        )
    return outputs


def expression_and_outputs(X: Any, Y: Any) -> tuple[Any, Any]:
    """Expression and outputs of the same cells."""
    outputs = select_outputs(X, Y)
    if outputs is None:  # scikit-learn's error says that it is missing
        return X, outputs
    check_numeric(outputs, "Y")
    if isinstance(outputs, pd.DataFrame | pd.Series):
        check_in_order(X, outputs, "Y")
    if isinstance(outputs, pd.DataFrame):
        outputs = numbers(outputs, "Y")
    check_finite(outputs, "Y")
    return X, outputs


def match_outputs(model: Any, X: Any, Y: Any, argument: str = "Y") -> tuple[Any, Any]:
    """Expression and outputs of new cells; those with names are in the order of the fit."""
    check_is_fitted(model)
    X, outputs = expression_and_outputs(X, Y)
    if isinstance(outputs, pd.DataFrame):
        order = order_by_name(outputs.columns, model.output_names_, argument)
        outputs = outputs.iloc[:, order]
    elif isinstance(outputs, pd.Series) and outputs.name is not None:
        order_by_name([outputs.name], model.output_names_, argument)
    return X, outputs


def is_described(X: Any) -> bool:
    """Whether a builder has noted in ``uns`` what expression it is, so that nothing is guessed."""
    return is_anndata(X) and X.uns.get("sbnn", {}).get("notes") is not None


def validate_training_cells(
    model: Any, X: Any, y: Any, check: bool = True
) -> tuple[Any, np.ndarray]:
    """What `validate_expression` returns and float64 outputs, for a fit; names are stored.

    With `check`, expression that looks like raw counts is refused, as `paired` does.
    """
    X, outputs = expression_and_outputs(X, y)
    cells, names = validate_expression(X, min_cells=2)
    if check and not is_described(X):
        first_block = next(cell_blocks(cells))
        values = read_cells(cells, first_block)
        counts = describe_raw_counts(values)
        if counts:
            raise ValueError(counts)
        mistake = describe_no_logs(values)
        if mistake:  # no error, as numbers around 100 are among the checks of scikit-learn
            warn(mistake)
    targets = validate_data(model, y=outputs, multi_output=True, y_numeric=True)
    check_consistent_length(cells, targets)
    if is_anndata(X) or isinstance(X, pd.DataFrame):
        check_names(get_cell_names(X), "X", kind="cell", size=len(targets))
    targets = np.ascontiguousarray(targets, dtype=np.float64)
    model.n_features_in_ = cells.shape[1]
    if names is not None:
        gene_names = check_names(names, "X", kind="gene", size=len(names))
        model.feature_names_in_ = gene_names.astype(object)
    elif hasattr(model, "feature_names_in_"):
        del model.feature_names_in_  # left by an earlier fit
    columns = [f"output{i}" for i in range(targets[0].size)]
    if isinstance(outputs, pd.DataFrame):
        columns = outputs.columns
    elif isinstance(outputs, pd.Series) and outputs.name is not None:
        columns = [outputs.name]
    model.output_names_ = np.array([str(name) for name in columns], dtype=object)
    return cells, targets


def validate_training_arrays(model: Any, X: Any, y: Any) -> tuple[np.ndarray, np.ndarray]:
    """Like `validate_training_cells`, with float64 expression, (n, p), whose means are stored."""
    cells, targets = validate_training_cells(model, X, y)
    genes = read_cells(cells, slice(None)).astype(np.float64, copy=False)
    model.x_mean_ = genes.mean(axis=0)
    return genes, targets


def validate_genes(model: Any, X: Any, genes: np.ndarray) -> np.ndarray:
    """Expression of genes, given by their position in the fit, of shape (n, genes)."""
    cells, names = validate_expression(X)
    seen = getattr(model, "feature_names_in_", None)
    columns = genes
    if names is None or seen is None:
        # scikit-learn compares the names of a DataFrame only
        table = cells if names is None else pd.DataFrame(columns=names)
        validate_data(model, table, reset=False, skip_check_array=True)
    else:
        columns = names.get_indexer(seen[genes])
        missing = seen[genes][columns < 0]
        if len(missing):
            raise ValueError(
                f"X: no values for {len(missing)} of the {len(genes)} genes of the model: "
                f"{abbreviate(missing, 10)}; it has {abbreviate(names)}"
                f"{describe_similar(names, missing)}; if genes have other names, rename them; if a "
                "gene was measured but has no counts, set it to 0"
            )
    blocks = [read_cells(cells, rows, columns) for rows in cell_blocks(cells)]
    values = np.concatenate(blocks)
    # counts or TPM, for a model of logarithms
    if values.min(initial=0) >= 0 and values.max(initial=0) > BEYOND_LOG >= model.x_mean_.max():
        warn(
            f"X: values up to {values.max():g} are no logarithms, which the model was fitted to; "
            "CountNormalizer makes them of counts"
        )
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
