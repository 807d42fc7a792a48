"""Where data come from: sha256 fingerprints, and the description in ``uns["sbnn"]``."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from scipy import sparse

OF_CELLS = ("latent", "latents", "outputs")  # entries of the truth with a row for each cell


def fingerprint_files(files: Mapping[str, str]) -> str:
    """Fingerprint of files (name -> sha256)."""
    text = "".join(f"{name} {of_file}\n" for name, of_file in sorted(files.items()))
    return hashlib.sha256(text.encode()).hexdigest()


def fingerprint_parameters(parameters: Mapping[str, Any]) -> str:
    """Fingerprint by the canonical JSON text of parameters."""
    text = json.dumps(parameters, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()


def _plain(value):
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else str(value)


def fingerprint_arrays(*arrays: np.ndarray) -> str:
    """Fingerprint by the bytes, dtypes and shapes of arrays."""
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array))
    return digest.hexdigest()


def _of_table(table):
    """Fingerprint of a table, the same if it is dense or sparse."""
    if isinstance(table, pd.DataFrame):
        table = table.to_numpy()
    table = sparse.csr_array(table)
    # of which scipy chooses the dtype
    places = table.indices.astype(np.int64), table.indptr.astype(np.int64)
    return fingerprint_arrays(table.data, *places)


def described(
    adata,
    columns=(),
    *,
    name="custom",
    source="the user's data",
    sha256="",
    content_sha256="",
    files=None,
    taken=None,
    dropped=None,
    truth=None,
    notes=(),
    control=None,
):
    """Describe an AnnData in its ``uns["sbnn"]``, see `sbnn.paired`.

    `columns` of ``obs`` belong to the content. If this is no longer that of `content_sha256`,
    `sha256` is made anew. What is `taken` from files belongs to their fingerprint.
    """
    dropped = {why: np.asarray(what).tolist() for why, what in (dropped or {}).items()}
    truth = dict(truth or {})
    for key in OF_CELLS:
        if key in truth:
            adata.obsm[f"true_{key}"] = np.asarray(truth.pop(key))
    about = {
        "name": name,
        "source": source,
        "files": files or {},
        "dropped": {why: what for why, what in dropped.items() if what},
        "truth": truth,
        "notes": list(notes),
    }
    if control is not None:
        about["control"] = control
    adata.uns["sbnn"] = about
    content = {"cells": list(adata.obs_names), "genes": list(adata.var_names), "control": control}
    for column in columns:
        content[column] = list(adata.obs.get(column, ()))
    tables = {
        "X": adata.X,
        "counts": adata.layers.get("counts"),
        "outputs": adata.obsm.get("outputs"),
    }
    for part, table in tables.items():
        if table is not None:
            content[part] = _of_table(table)
    content = fingerprint_parameters(content)
    if content_sha256 not in ("", content):
        sha256 = content
    elif files and not sha256:
        sha256 = fingerprint_files(files)
        if taken:
            sha256 = fingerprint_parameters(taken | {"files": sha256})
    adata.uns["sbnn"] |= {"content_sha256": content, "sha256": sha256 or content}
    return adata


def about_of(adata):
    """What `described` has written, to build the data anew."""
    about = dict(adata.uns.get("sbnn", {}))
    of_cells = {key: adata.obsm.get(f"true_{key}") for key in OF_CELLS}
    known = {key: values for key, values in of_cells.items() if values is not None}
    return about | {"truth": about.get("truth", {}) | known}
