"""Taking paired data out of AnnData and MuData objects, whose parts every laboratory names a little differently."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.labels import UNKNOWN


def paired_parts(
    adata: Any,
    outputs: str | Iterable[str] | None,
    *,
    expression: str,
    layer: str | None,
    counts: str | None,
    family_key: str,
    type_key: str,
) -> dict[str, Any]:
    """Take what `PairedData` is made of out of an AnnData or MuData object; parameters as `PairedData.from_anndata`.

    Returns
    -------
    dict
        `X`, `Y`, `gene_names`, `cell_names`, `labels`, `colors`, `counts` and `dropped` of `PairedData`.

    Raises
    ------
    KeyError
        An entry that the object does not hold; the message lists those it does.
    ValueError
        No expression, no cell in common, names that do not fit the outputs, or colours that are none.
    """
    dropped: dict[str, list[str]] = {}
    everything = adata
    if is_mudata(adata):
        adata, Y, dropped = two_modalities(everything, outputs, expression)
    else:
        Y = _outputs(adata, outputs, "adata.")
    if is_backed(adata):
        raise ValueError(
            "adata: it is open on disk, and PairedData holds all cells in memory; read them with adata.to_memory(), "
            "some of them with adata[cells].to_memory(), or fit a model to it as it is, block by block"
        )

    X = adata.X if layer is None else entry(adata.layers, layer, "adata.layers")
    if X is None:
        raise ValueError(f"adata.X is empty; pass layer=, one of {sorted(adata.layers)}")
    labels = _labels(everything, adata)
    colors = _colors(labels.get(type_key), (adata.uns, everything.uns), type_key)
    for column in labels.select_dtypes("category"):
        labels[column] = labels[column].astype(object)
    for column, key in (("family", family_key), ("type", type_key)):
        if key in labels:
            labels[column] = labels[key]
    if outputs is not None and not isinstance(outputs, str):
        labels = labels.drop(columns=Y.columns)
    return {
        "X": X,
        "Y": Y,
        "gene_names": adata.var_names,
        "cell_names": adata.obs_names,
        "labels": labels,
        "colors": colors,
        "counts": adata.layers[counts] if counts is not None and counts in adata.layers else None,
        "dropped": dropped,
    }


def is_mudata(data: Any) -> bool:
    """Whether an object is a MuData or looks like one: several AnnData by name."""
    return isinstance(getattr(data, "mod", None), Mapping)


def is_anndata(data: Any) -> bool:
    """Whether an object is an AnnData or looks like one."""
    return hasattr(data, "var_names") and hasattr(data, "obsm") and not is_mudata(data)


def is_backed(data: Any) -> bool:
    """Whether an object is an AnnData whose expression stays in its file."""
    return is_anndata(data) and bool(getattr(data, "isbacked", False))


def modality(mdata: Any, expression: str = "rna") -> Any:
    """Take the modality with the genes out of a MuData, or say which ones there are."""
    return entry(mdata.mod, expression, "mod")


def two_modalities(
    mdata: Any, outputs: str | Iterable[str] | None = "outputs", expression: str = "rna"
) -> tuple[Any, pd.DataFrame | None, dict[str, list[str]]]:
    """Take expression and outputs of the same cells out of a MuData.

    Parameters
    ----------
    mdata : MuData
    outputs : str, list of str or None
        Another modality; a key of ``obsm`` or columns of ``obs`` of the expression. Where ``"outputs"``, the default,
        is neither, it stands for the only other modality.
    expression : str
        The modality with the genes.

    Returns
    -------
    adata : AnnData
        The expression of the cells that both have.
    Y : DataFrame of shape (n_cells, n_outputs) or None
    dropped : dict
        See `PairedData`.

    Raises
    ------
    KeyError, ValueError
        As for `paired_parts`.
    """
    adata = modality(mdata, expression)
    others = [name for name in mdata.mod if name != expression]
    if isinstance(outputs, str) and outputs == "outputs" and outputs not in {*others, *adata.obsm} and len(others) == 1:
        outputs = others[0]
    if isinstance(outputs, str) and outputs in mdata.mod:
        return _common_cells(adata, mdata.mod[outputs], expression, outputs)
    return adata, _outputs(adata, outputs, f"mod[{expression!r}].", others=mdata.mod), {}


def obsm_table(adata: Any, key: str, where: str = "adata.") -> pd.DataFrame:
    """Take a table of ``obsm`` with the names of its columns.

    Parameters
    ----------
    adata : AnnData
    key : str
        The table may be a DataFrame, an array or a sparse matrix. The columns of the latter two are named by
        ``uns["<key>_names"]`` or, as scvi-tools has it (``protein_names`` for ``protein_expression``), by
        ``uns["<first word of key>_names"]``; else they are ``output_0`` and so on.
    where : str
        How a message calls the object.

    Returns
    -------
    DataFrame of shape (n_cells, n_outputs)

    Raises
    ------
    KeyError
        No such table.
    ValueError
        As many names as there are not columns.
    """
    table = entry(adata.obsm, key, f"{where}obsm")
    if isinstance(table, pd.DataFrame):
        return table
    table = table.toarray() if sparse.issparse(table) else np.asarray(table)
    if table.ndim == 1:
        table = table[:, np.newaxis]
    columns = [f"output_{i}" for i in range(table.shape[1])]
    for found in (f"{key}_names", f"{key.split('_')[0]}_names"):
        if found in adata.uns:
            columns = list(np.ravel(adata.uns[found]))
            if len(columns) != table.shape[1]:
                raise ValueError(
                    f"{where}uns[{found!r}] holds {len(columns)} names, expected {table.shape[1]}: one for each column "
                    f"of obsm[{key!r}]"
                )
            break
    return pd.DataFrame(table, index=adata.obs_names, columns=columns)


def entry(mapping: Any, key: str, where: str, others: Iterable[str] = ()) -> Any:
    """Take an entry, or say which ones there are."""
    if key not in mapping:
        elsewhere = f", and the modalities are {sorted(others)}" if others else ""
        raise KeyError(f"no {key!r} in {where}; it holds {sorted(mapping.keys())}{elsewhere}")
    return mapping[key]


def _outputs(adata, outputs, where, others=()) -> pd.DataFrame | None:
    if outputs is None:
        return None
    if isinstance(outputs, str):
        if outputs not in adata.obsm:
            entry(adata.obsm, outputs, f"{where}obsm", others)
        return obsm_table(adata, outputs, where)
    return pd.DataFrame({column: entry(adata.obs, column, f"{where}obs") for column in outputs})


def _common_cells(rna, second, rna_name, second_name):
    """Keep the cells that both modalities hold, in the order of the first; MuData allows either to lack some."""
    names = rna.obs_names[rna.obs_names.isin(second.obs_names)]
    if not len(names):
        raise ValueError(
            f"modalities {rna_name!r} and {second_name!r} share no cell name: {some(rna.obs_names)} in the first, "
            f"{some(second.obs_names)} in the second"
        )
    dropped = {}
    for name, cells in ((rna_name, rna.obs_names), (second_name, second.obs_names)):
        alone = cells.difference(names, sort=False)
        if len(alone):
            dropped[f"cells only in {name}"] = list(alone)
            warnings.warn(
                f"{len(alone)} of {len(cells)} cells are only in modality {name!r} and are left out: {some(alone)}",
                stacklevel=5,
            )
    rna = rna if len(names) == rna.n_obs else rna[names]  # one in a file stays there
    second = second[names].to_memory() if is_backed(second) else second[names]
    table = second.X.toarray() if sparse.issparse(second.X) else np.asarray(second.X)
    return rna, pd.DataFrame(table, index=names, columns=second.var_names), dropped


def _labels(everything, adata) -> pd.DataFrame:
    labels = adata.obs.copy()
    if everything is not adata and hasattr(everything, "obs"):
        # What is said of all modalities fills in what this one does not say.
        shared = everything.obs.reindex(labels.index)
        labels = labels.join(shared[shared.columns.difference(labels.columns, sort=False)])
    return labels


def _colors(types: pd.Series | None, places: Iterable[Mapping], type_key: str) -> dict[str, str]:
    """Colours in scanpy's convention, in the order of the categories, or given as type -> colour."""
    palette = next((uns[f"{type_key}_colors"] for uns in places if f"{type_key}_colors" in uns), None)
    if types is None or palette is None:
        return {}
    if not isinstance(palette, Mapping):
        categories = types.astype("category").cat.categories
        if len(palette) < len(categories):  # scanpy takes such a palette for one of other types, and makes a new one
            return {}
        palette = dict(zip(categories, palette, strict=False))
    from matplotlib.colors import to_hex  # slow to import, and needed here alone

    try:
        return {str(name): to_hex(color).upper() for name, color in palette.items() if name != UNKNOWN}
    except ValueError as error:
        raise ValueError(f"uns['{type_key}_colors'] holds what is no colour: {error}") from None
