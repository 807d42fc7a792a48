"""What containers of cells hold."""

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.cells import Cells
from sbnn.data.checks import some
from sbnn.errors import warn


@runtime_checkable
class AnnDataLike(Protocol):
    """An AnnData, recognised without the slow import of anndata."""

    var_names: Any
    layers: Any


@runtime_checkable
class MuDataLike(Protocol):
    """A MuData; its `mod` maps names to AnnData objects."""

    mod: Any
    obsm: Any


def entry(mapping, key, where):
    """Entry of a mapping, or an error that lists the keys."""
    if key not in mapping:
        raise KeyError(f"no {key!r} in {where}; it holds {sorted(map(str, mapping.keys()))}")
    return mapping[key]


def is_pair(data):
    """Whether data are a pair (X, Y), in which X has two dimensions."""
    if not isinstance(data, tuple) or len(data) != 2:
        return False
    return len(getattr(data[0], "shape", ())) == 2


def gene_modality(data):
    """The modality "rna" of a MuData, otherwise the given AnnData."""
    return entry(data.mod, "rna", "mod") if isinstance(data, MuDataLike) else data


def opened(X, layer=None):
    """Expression, names of genes and cells, and the AnnData, or None for each."""
    X = gene_modality(X[0] if is_pair(X) else X)
    if isinstance(X, Cells):
        return X, X.gene_names, X.cell_names, X.adata
    if isinstance(X, pd.DataFrame):
        return X, X.columns, X.index, None
    if not isinstance(X, AnnDataLike):
        return X, None, None, None
    if layer is None and X.X is None:
        raise ValueError(f"X: the AnnData has no X; set adata.X (layers: {sorted(X.layers)})")
    matrix = X.X if layer is None else entry(X.layers, layer, "adata.layers")
    return matrix, X.var_names, X.obs_names, X


def obsm_table(adata, key):
    """Entry of ``obsm`` as a DataFrame.

    ``uns["<key>_names"]`` or, as in scvi-tools, ``uns["<first word>_names"]`` names the columns.
    """
    table = entry(adata.obsm, key, "adata.obsm")
    if isinstance(table, pd.DataFrame):
        return table
    table = dense(table).reshape(adata.n_obs, -1)
    names = adata.uns.get(f"{key}_names", adata.uns.get(f"{key.split('_')[0]}_names"))
    if names is None:
        names = [f"output_{i}" for i in range(table.shape[1])]
    return pd.DataFrame(table, adata.obs_names, np.ravel(names))


def with_outputs(data, outputs=None):
    """Expression and outputs of the same cells, and names of the cells of a MuData that are lost.

    `outputs` is a table, a key of ``obsm``, a list of columns of ``obs``, or another modality,
    whose cells are matched by name; by default "outputs" or the only modality besides "rna". `data`
    may be a pair.
    """
    if outputs is None and is_pair(data):
        data, outputs = data
    X = gene_modality(data)
    adata = X.adata if isinstance(X, Cells) else X
    if isinstance(adata, AnnDataLike):
        if outputs is None or isinstance(outputs, str):
            others = dict(data.mod) if isinstance(data, MuDataLike) else {}
            return _with_named(X, adata, others, outputs)
        if isinstance(outputs, list) and all(isinstance(name, str) for name in outputs):
            columns = [entry(adata.obs, name, "adata.obs") for name in outputs]
            return X, pd.concat(columns, axis=1), {}
    if sparse.issparse(outputs):
        outputs = dense(outputs)
    if isinstance(outputs, str | AnnDataLike | MuDataLike):
        got = type(outputs).__name__
        raise TypeError(f"Y: expected a table or, if X is an AnnData, a key of its obsm, got {got}")
    return X, outputs, {}


def _with_named(X, adata, modalities, name):
    others = {other: modalities[other] for other in modalities if other != "rna"}
    wanted = name or "outputs"
    known = wanted in adata.obsm or wanted in others
    if not known and wanted == "outputs" and len(others) == 1:
        [wanted] = others
    if wanted in others:
        return _with_modality(X, others[wanted], wanted)
    if name is None and not known:
        return X, None, {}
    return X, obsm_table(adata, wanted), {}


def _with_modality(adata, second, name):
    names = adata.obs_names.intersection(second.obs_names, sort=False)
    dropped = {}
    for modality, cells in (("rna", adata.obs_names), (name, second.obs_names)):
        alone = cells.difference(names, sort=False)
        if len(alone):
            dropped[f"cells only in {modality}"] = list(alone)
            warn(f"{len(alone)} cells only in modality {modality!r} are left out: {some(alone)}")
    if len(names) < adata.n_obs:
        adata = adata[names]  # without loading a file
    return adata, second[names].to_memory().to_df(), dropped


def dense(matrix):
    """Matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def parts_of(data, outputs):
    """Arguments of `paired` that a container holds; all values are loaded."""
    X, Y, dropped = with_outputs(data, outputs)
    if isinstance(X, AnnDataLike) and X.isbacked:
        X = X.to_memory()
    matrix, genes, cells, _ = opened(X)
    if isinstance(Y, pd.Series):
        Y = Y.to_frame(Y.name or "output_0")
    elif np.ndim(Y) == 1:
        Y = np.reshape(Y, (-1, 1))
    parts = {"X": matrix, "Y": Y, "gene_names": genes, "cell_names": cells}
    if isinstance(Y, pd.DataFrame):
        parts["feature_names"] = Y.columns
        if cells is None:
            parts["cell_names"] = Y.index
    if not isinstance(X, AnnDataLike):
        return parts
    labels = _labels_of(data, X)
    parts["labels"] = labels.drop(columns=outputs) if isinstance(outputs, list) else labels
    parts["colors"] = _colors_of(data) if "type" in labels else None
    parts["counts"] = X.layers.get("counts")
    about = {"source": "an AnnData object", "truth": {}, "dropped": {}, **X.uns.get("sbnn", {})}
    about["truth"] = _truth_of(X, about["truth"])
    about["dropped"] = {**about["dropped"], **dropped}
    parts["about"] = about
    return parts


def _labels_of(data, adata):
    labels = adata.obs
    if isinstance(data, MuDataLike):
        lacking = data.obs.columns.difference(labels.columns, sort=False)
        labels = labels.join(data.obs[lacking])
    categories = labels.select_dtypes("category").columns
    return labels.astype(dict.fromkeys(categories, object))


def _colors_of(data):
    """Colour of each type; a list, as in scanpy, follows the order of the types."""
    # a palette belongs to the types of all cells
    whole = gene_modality(data)
    palette = whole.uns.get("type_colors", data.uns.get("type_colors", {}))
    if isinstance(palette, Mapping):
        return palette
    holder = whole if "type" in whole.obs else data
    types = holder.obs["type"].astype("category").cat.categories
    if len(palette) < len(types):  # scanpy replaces a palette that is too short
        return {}
    return dict(zip(types, palette, strict=False))


def _truth_of(adata, given):
    truth = dict(given)
    if "genes" in truth:
        truth["genes"] = [gene for gene in truth["genes"] if gene in adata.var_names]
    for key in ("latent", "outputs"):
        if f"true_{key}" in adata.obsm:
            truth[key] = adata.obsm[f"true_{key}"]
    return truth
