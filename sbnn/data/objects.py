"""Access to the parts of AnnData and MuData objects by their conventional names."""

import warnings
from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some


@runtime_checkable
class AnnDataLike(Protocol):
    """An AnnData, recognised without importing anndata, which is slow to import."""

    var_names: Any
    layers: Any


@runtime_checkable
class MuDataLike(Protocol):
    """A MuData, recognised without importing mudata; its `mod` maps names of modalities to AnnData objects."""

    mod: Any
    obsm: Any


def entry(mapping, key, where):
    """Get an entry by its key, or raise an error that lists the keys."""
    if key not in mapping:
        raise KeyError(f"no {key!r} in {where}; it holds {sorted(map(str, mapping.keys()))}")
    return mapping[key]


def gene_modality(data):
    """The AnnData with the genes: the modality "rna" of a MuData, otherwise the given AnnData."""
    return entry(data.mod, "rna", "mod") if isinstance(data, MuDataLike) else data


def obsm_table(adata, key, where="adata.obsm"):
    """An entry of ``obsm`` as a DataFrame.

    The columns of an array are named by ``uns["<key>_names"]`` or, as in scvi-tools, ``uns["<first
    word>_names"]``.
    """
    table = entry(adata.obsm, key, where)
    if isinstance(table, pd.DataFrame):
        return table
    table = dense(table).reshape(adata.n_obs, -1)
    found = next(
        (name for name in (f"{key}_names", f"{key.split('_')[0]}_names") if name in adata.uns), None
    )
    columns = (
        [f"output_{i}" for i in range(table.shape[1])]
        if found is None
        else list(np.ravel(adata.uns[found]))
    )
    return pd.DataFrame(table, index=adata.obs_names, columns=columns)


def with_outputs(data, outputs="outputs"):
    """Split an AnnData or MuData into expression (an AnnData), outputs, and the names of the cells
    that are left out.

    `outputs` is a key of ``obsm``, a list of columns of ``obs``, the name of another modality (its
    cells are matched by name), or a table (used unchanged). If a MuData has no entry "outputs", its
    only modality besides "rna" is the default.
    """
    modalities = data.mod if isinstance(data, MuDataLike) else {}
    adata = entry(modalities, "rna", "mod") if isinstance(data, MuDataLike) else data
    if isinstance(outputs, list):
        return (
            adata,
            pd.concat([entry(adata.obs, name, "adata.obs") for name in outputs], axis=1),
            {},
        )
    if not isinstance(outputs, str):
        return adata, outputs, {}
    others = [name for name in modalities if name != "rna"]
    if outputs == "outputs" and outputs not in {*others, *adata.obsm} and len(others) == 1:
        outputs = others[0]
    if outputs not in modalities:
        where = f"adata.obsm (the modalities are {sorted(modalities)})" if others else "adata.obsm"
        return adata, obsm_table(adata, outputs, where), {}
    second = modalities[outputs]
    names = adata.obs_names[adata.obs_names.isin(second.obs_names)]
    dropped = {}
    for name, cells in (("rna", adata.obs_names), (outputs, second.obs_names)):
        alone = cells.difference(names, sort=False)
        if len(alone):
            dropped[f"cells only in {name}"] = list(alone)
            text = f"cells only in modality {name!r} are left out ({len(alone)} of {len(cells)}): {some(alone)}"
            warnings.warn(text, stacklevel=4)
    # a view, which does not load data from disk
    adata = adata if len(names) == adata.n_obs else adata[names]
    second = second[names].to_memory() if second.isbacked else second[names]
    return adata, pd.DataFrame(dense(second.X), index=names, columns=second.var_names), dropped


def dense(matrix):
    """A matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def parts_of(data, outputs):
    """Convert an AnnData or MuData and the name of its outputs to the arguments of `paired`."""
    adata, Y, dropped = with_outputs(data, outputs)
    if adata.X is None or adata.isbacked:
        raise ValueError(
            f"X: set adata.X (layers: {sorted(adata.layers)}) or, if it is on disk, use adata.to_memory()"
        )
    # a palette belongs to the types of all cells, including cells that are left out
    whole = gene_modality(data)
    labels, palette = adata.obs.copy(), whole.uns.get("type_colors", data.uns.get("type_colors"))
    if isinstance(data, MuDataLike):  # fills in label columns that this modality lacks
        shared = data.obs.reindex(labels.index)
        labels = labels.join(shared[shared.columns.difference(labels.columns, sort=False)])
    colors = palette if isinstance(palette, Mapping) and "type" in labels else {}
    if "type" in labels and palette is not None and not colors:
        categories = (
            (whole if "type" in whole.obs else data).obs["type"].astype("category").cat.categories
        )
        if len(palette) >= len(categories):  # scanpy replaces a palette that is too short
            colors = dict(zip(categories, palette, strict=False))
    labels = labels.assign(
        **{name: labels[name].astype(object) for name in labels.select_dtypes("category")}
    )
    if isinstance(outputs, list):
        labels = labels.drop(columns=outputs)
    about = {"source": "an AnnData object", **adata.uns.get("sbnn", {})}
    truth = dict(about.get("truth", {}))
    if "genes" in truth:
        truth["genes"] = [gene for gene in truth["genes"] if gene in adata.var_names]
    truth |= {
        key: adata.obsm[f"true_{key}"]
        for key in ("latent", "outputs")
        if f"true_{key}" in adata.obsm
    }
    return {
        "X": adata.X,
        "Y": Y,
        "gene_names": adata.var_names,
        "cell_names": adata.obs_names,
        "labels": labels,
        "colors": colors,
        "counts": adata.layers.get("counts"),
        "about": about | {"truth": truth, "dropped": dict(about.get("dropped", {})) | dropped},
    }
