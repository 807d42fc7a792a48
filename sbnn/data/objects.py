"""Access to the parts of AnnData and MuData objects by their conventional names."""

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
    columns = [f"output_{i}" for i in range(table.shape[1])]
    for name in (f"{key.split('_')[0]}_names", f"{key}_names"):
        if name in adata.uns:
            columns = list(np.ravel(adata.uns[name]))
    return pd.DataFrame(table, index=adata.obs_names, columns=columns)


def with_outputs(data, outputs="outputs"):
    """Split an AnnData or MuData into expression (an AnnData), outputs, and the names of the cells
    that are left out.

    `outputs` is a key of ``obsm``, a list of columns of ``obs``, the name of another modality (its
    cells are matched by name), or a table (used unchanged). If a MuData has no entry "outputs", its
    only modality besides "rna" is the default.
    """
    adata = gene_modality(data)
    modalities = data.mod if isinstance(data, MuDataLike) else {}
    if isinstance(outputs, list):
        columns = [entry(adata.obs, name, "adata.obs") for name in outputs]
        return adata, pd.concat(columns, axis=1), {}
    if not isinstance(outputs, str):
        return adata, outputs, {}
    others = [name for name in modalities if name != "rna"]
    if outputs == "outputs" and outputs not in {*others, *adata.obsm} and len(others) == 1:
        outputs = others[0]
    if outputs in modalities:
        return _with_modality(adata, modalities[outputs], outputs)
    where = "adata.obsm"
    if others:
        where = f"adata.obsm (the modalities are {sorted(modalities)})"
    return adata, obsm_table(adata, outputs, where), {}


def _with_modality(adata, second, name):
    """Cells of both modalities: expression, outputs, and the names of the cells that are in only one of them."""
    names = adata.obs_names[adata.obs_names.isin(second.obs_names)]
    dropped = {}
    for modality, cells in (("rna", adata.obs_names), (name, second.obs_names)):
        alone = cells.difference(names, sort=False)
        if len(alone):
            dropped[f"cells only in {modality}"] = list(alone)
            warn(
                f"cells only in modality {modality!r} are left out "
                f"({len(alone)} of {len(cells)}): {some(alone)}"
            )
    if len(names) < adata.n_obs:
        adata = adata[names]  # a view, which does not load data from disk
    second = second[names].to_memory() if second.isbacked else second[names]
    return adata, pd.DataFrame(dense(second.X), names, second.var_names), dropped


def dense(matrix):
    """A matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def parts_of(data, outputs):
    """Convert an AnnData, MuData or `Cells`, and their outputs, to the arguments of `paired`; all values are loaded."""
    if isinstance(data, Cells):
        expression = data.rows(slice(0, len(data)))
        named = {"gene_names": data.gene_names, "cell_names": data.cell_names}
        if data.adata is not None:
            outputs = with_outputs(data.adata, outputs)[1]
        return {"X": expression, "Y": outputs, **named}
    adata, outputs_table, dropped = with_outputs(data, outputs)
    if adata.X is None:
        raise ValueError(f"X: set adata.X (layers: {sorted(adata.layers)})")
    if adata.isbacked:
        adata = adata.to_memory()
    labels = _labels_of(data, adata)
    if isinstance(outputs, list):
        labels = labels.drop(columns=outputs)
    about = {"source": "an AnnData object", **adata.uns.get("sbnn", {})}
    return {
        "X": adata.X,
        "Y": outputs_table,
        "gene_names": adata.var_names,
        "cell_names": adata.obs_names,
        "labels": labels,
        "colors": _colors_of(data) if "type" in labels else {},
        "counts": adata.layers.get("counts"),
        "about": about
        | {
            "truth": _truth_of(adata, about.get("truth", {})),
            "dropped": dict(about.get("dropped", {})) | dropped,
        },
    }


def _labels_of(data, adata):
    """Labels of the cells, with columns of a MuData that its modality `adata` lacks."""
    labels = adata.obs.copy()
    if isinstance(data, MuDataLike):
        shared = data.obs.reindex(labels.index)
        lacking = shared.columns.difference(labels.columns, sort=False)
        labels = labels.join(shared[lacking])
    for name in labels.select_dtypes("category"):
        labels[name] = labels[name].astype(object)
    return labels


def _colors_of(data):
    """Colour of each type; a list of colours, as in scanpy, follows the order of the types of all cells."""
    # a palette belongs to the types of all cells, including cells that are left out
    whole = gene_modality(data)
    palette = whole.uns.get("type_colors", data.uns.get("type_colors"))
    if palette is None or isinstance(palette, Mapping):
        return palette or {}
    holder = whole if "type" in whole.obs else data
    types = holder.obs["type"].astype("category").cat.categories
    if len(palette) < len(types):  # scanpy replaces a palette that is too short
        return {}
    return dict(zip(types, palette, strict=False))


def _truth_of(adata, given):
    """Truth of simulated data, for the genes and cells that are left."""
    truth = dict(given)
    if "genes" in truth:
        truth["genes"] = [gene for gene in truth["genes"] if gene in adata.var_names]
    for key in ("latent", "outputs"):
        if f"true_{key}" in adata.obsm:
            truth[key] = adata.obsm[f"true_{key}"]
    return truth
