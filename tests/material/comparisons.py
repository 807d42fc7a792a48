"""What is the same: numbers but for rounding, tables in another order, and whole results."""

from dataclasses import fields, is_dataclass

import anndata as ad
import joblib
import numpy as np
import pandas as pd
from scipy import stats

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


def assert_among_starts(again, starts):
    """Refuse scores outside the range of those of other starts, widened by its width.

    Training for hundreds of epochs passes on the last bits: on another processor, a fit differs as
    one of another start does.
    """
    low = starts.min()
    high = starts.max()
    least = 0.01 * starts.abs().max()
    margin = (high - low).clip(lower=least)
    is_among = again.between(low - margin, high + margin)
    assert is_among.all(), pd.DataFrame([again, low, high])


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    again = np.asarray(again, float)
    stored = np.asarray(stored, float)
    np.testing.assert_allclose(again, stored, rtol=rtol, atol=atol)


#: What a result says besides what was computed: which seed was asked for, and how long it took.
NOT_COMPUTED = (
    "params",
    "seed",
    "seeds",
    "seconds",
    "settings",
    "versions",
    "arguments",
    "repeats",
)


def content(value):
    """Plain data of all that was computed."""
    if isinstance(value, dict):
        # numbers are seeds
        return [
            [name if isinstance(name, str) else "", content(value[name])]
            for name in value
            if name not in NOT_COMPUTED
        ]
    if isinstance(value, list | tuple):
        return [content(item) for item in value]
    if isinstance(value, pd.DataFrame | pd.Series):
        return content([value.index, value.to_numpy(object), getattr(value, "columns", None)])
    if hasattr(value, "obsm"):  # an AnnData
        parts = {"X": value.to_df(), "obs": value.obs, **value.layers, **value.obsm, **value.varp}
        return content(parts)
    if hasattr(value, "toarray"):
        return content(value.toarray())
    if is_dataclass(value):
        return content({field.name: getattr(value, field.name) for field in fields(value)})
    if hasattr(value, "tolist"):
        return content(value.tolist())
    return repr(value)


def digest(result):
    """One text for all that was computed."""
    return joblib.hash(repr(content(result)))


def interval(differences, test_fraction=0.0, n=None):
    """Mean of folds or draws, and both ends of its 95 % interval (Nadeau and Bengio 2003)."""
    n = n or len(differences)
    error = np.std(differences, ddof=1) * np.sqrt(1 / n + test_fraction)
    half = stats.t.ppf(0.975, n - 1) * error
    mean = np.mean(differences)
    return [mean, mean - half, mean + half]


def interval_text(differences, test_fraction=0.0):
    return "{:+.3f} [{:+.3f}, {:+.3f}]".format(*interval(differences, test_fraction))
