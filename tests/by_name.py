"""Tables in another order, and results that are compared by name."""

import anndata as ad
import numpy as np
import pandas as pd
from entries import digest

from sbnn.results import Record


def backwards(table, axis):
    """The table, or AnnData, with its rows or columns from the last to the first."""
    by_position = getattr(table, "iloc", table)
    turned = by_position[::-1] if axis == 0 else by_position[:, ::-1]
    return turned.copy()


def named(result, like=None):
    """Tables of a result; an array has the names of the rows of `like`, and of as many columns."""
    if isinstance(result, ad.AnnData):
        return tables_of_anndata(result)
    if isinstance(result, Record):
        result = digest(result)
    if isinstance(result, np.ndarray) and len(result) == len(like):
        columns = like.columns if result.shape == like.shape else None
        result = pd.DataFrame(result.reshape(len(like), -1), like.index, columns)
    if not isinstance(result, pd.DataFrame | pd.Series):
        result = pd.DataFrame([result])
    return {"": pd.DataFrame(result).drop(columns="seconds", errors="ignore")}


def tables_of_anndata(adata):
    cells, genes = adata.obs_names, adata.var_names
    # categories of types have an order
    tables = {"obs": adata.obs.astype(object), "var": adata.var.astype(object)}
    for layer in (None, *adata.layers):
        tables[f"layer {layer}"] = adata.to_df(layer)
    for key, values in adata.obsm.items():
        tables[key] = pd.DataFrame(values, cells)
    for key, values in adata.varp.items():
        tables[key] = pd.DataFrame(values, genes, genes)
    if "type_colors" in adata.uns:
        types = adata.obs["type"].cat.categories
        tables["colors"] = pd.DataFrame({"color": adata.uns["type_colors"]}, types)
    return tables


def assert_alike(result, usual, which=""):
    """Refuse other values of the same names, but for rounding; `which` is in another order."""
    assert [*result] == [*usual]
    for part, table in result.items():
        pd.testing.assert_frame_equal(
            table,
            usual[part],
            check_like=True,  # in any order
            check_dtype=False,
            check_names=False,
            check_column_type=False,
            check_index_type=False,
            rtol=1e-4,
            atol=1e-6,
            obj=f"{which} in another order: {part}",
        )
