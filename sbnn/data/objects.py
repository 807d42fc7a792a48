"""What AnnData and MuData objects hold, whose parts every laboratory names a little differently."""

import warnings
from collections.abc import Mapping

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some


def is_mudata(data):
    """Whether an object is a MuData or looks like one: several AnnData by name."""
    return isinstance(getattr(data, "mod", None), Mapping)


def is_anndata(data):
    """Whether an object is an AnnData or looks like one."""
    return hasattr(data, "var_names") and hasattr(data, "obsm") and not is_mudata(data)


def is_backed(data):
    """Whether an object is an AnnData whose expression stays in its file."""
    return is_anndata(data) and bool(getattr(data, "isbacked", False))


def is_stream(data):
    """Whether an object is an `ExpressionStream`, without importing it."""
    return hasattr(data, "as_fitted")


def entry(mapping, key, where, others=()):
    """Take an entry, or name those there are."""
    if key not in mapping:
        elsewhere = f", and the modalities are {sorted(others)}" if others else ""
        raise KeyError(f"no {key!r} in {where}; it holds {sorted(map(str, mapping.keys()))}{elsewhere}")
    return mapping[key]


def modality(mdata):
    """The modality of a MuData with the genes."""
    return entry(mdata.mod, "rna", "mod")


def obsm_table(adata, key, others=()):
    """A table of ``obsm`` as a DataFrame.

    Columns of an array are named by ``uns["<key>_names"]`` or, as scvi-tools has it, ``uns["<first word>_names"]``.
    """
    table = entry(adata.obsm, key, "adata.obsm", others)
    if isinstance(table, pd.DataFrame):
        return table
    table = dense(table).reshape(adata.n_obs, -1)
    found = next((name for name in (f"{key}_names", f"{key.split('_')[0]}_names") if name in adata.uns), None)
    columns = [f"output_{i}" for i in range(table.shape[1])] if found is None else list(np.ravel(adata.uns[found]))
    return pd.DataFrame(table, index=adata.obs_names, columns=columns)


def _outputs_of(adata, outputs, others=()):
    """Outputs by their key in ``obsm``, as columns of ``obs``, or as they are."""
    if isinstance(outputs, str):
        return obsm_table(adata, outputs, others)
    return adata.obs[outputs] if isinstance(outputs, list) else outputs


def two_modalities(mdata, outputs="outputs"):
    """Expression (AnnData) and outputs (DataFrame) of the cells that two modalities share, and who was left out.

    Outputs may also be a key of ``obsm`` or columns of ``obs`` of the expression; where the default is none of these,
    it stands for the only other modality.
    """
    adata = modality(mdata)
    others = [name for name in mdata.mod if name != "rna"]
    if isinstance(outputs, str) and outputs == "outputs" and outputs not in {*others, *adata.obsm} and len(others) == 1:
        outputs = others[0]
    if not isinstance(outputs, str) or outputs not in mdata.mod:
        return adata, _outputs_of(adata, outputs, mdata.mod), {}
    second = mdata.mod[outputs]
    names = adata.obs_names[adata.obs_names.isin(second.obs_names)]
    dropped = {}
    for name, cells in (("rna", adata.obs_names), (outputs, second.obs_names)):
        alone = cells.difference(names, sort=False)
        if len(alone):
            dropped[f"cells only in {name}"] = list(alone)
            warnings.warn(
                f"{len(alone)} of {len(cells)} cells are only in modality {name!r} and are left out: {some(alone)}",
                stacklevel=4,
            )
    adata = adata if len(names) == adata.n_obs else adata[names]  # one in a file stays there
    second = second[names].to_memory() if is_backed(second) else second[names]
    return adata, pd.DataFrame(dense(second.X), index=names, columns=second.var_names), dropped


def in_memory(adata):
    """Expression of an AnnData that is all in memory."""
    if adata.X is None or is_backed(adata):
        problem = "has no X; set it to one of the layers," if adata.X is None else "is open on disk: adata.to_memory();"
        raise ValueError(f"X: the AnnData {problem} {sorted(adata.layers)}")
    return adata.X


def dense(matrix):
    """A matrix as a dense array."""
    return matrix.toarray(order="C") if sparse.issparse(matrix) else np.asarray(matrix)


def parts_of(adata, outputs):
    """What `check_paired` takes, out of an AnnData or MuData and the name of its outputs, or the outputs."""
    everything, dropped = adata, {}
    if is_mudata(adata):
        adata, Y, dropped = two_modalities(adata, outputs)
    else:
        Y = _outputs_of(adata, outputs)
    labels = adata.obs.copy()
    if everything is not adata:  # what is said of all modalities fills in what this one does not say
        shared = everything.obs.reindex(labels.index)
        labels = labels.join(shared[shared.columns.difference(labels.columns, sort=False)])
    colors = palette_of(labels.get("type"), (adata.uns, everything.uns))
    labels = labels.assign(**{name: labels[name].astype(object) for name in labels.select_dtypes("category")})
    if isinstance(outputs, list):
        labels = labels.drop(columns=outputs)
    about = {"source": "an AnnData object", **adata.uns.get("sbnn", {})}
    truth = dict(about.get("truth", {}))
    if "genes" in truth:
        truth["genes"] = [gene for gene in truth["genes"] if gene in adata.var_names]
    truth |= {key: adata.obsm[f"true_{key}"] for key in ("latent", "outputs") if f"true_{key}" in adata.obsm}
    return {
        "X": in_memory(adata), "Y": Y, "gene_names": adata.var_names, "cell_names": adata.obs_names, "labels": labels,
        "colors": colors, "counts": adata.layers.get("counts"),
        "about": about | {"truth": truth, "dropped": dict(about.get("dropped", {})) | dropped},
    }  # fmt: skip


def palette_of(types, places):
    """Colours in scanpy's convention, in the order of the categories, or given as type -> colour."""
    palette = next((uns["type_colors"] for uns in places if "type_colors" in uns), None)
    if types is None or palette is None:
        return {}
    if not isinstance(palette, Mapping):
        categories = types.astype("category").cat.categories
        if len(palette) < len(categories):  # scanpy takes such a palette for one of other types, and makes a new one
            return {}
        palette = dict(zip(categories, palette, strict=False))
    return palette
