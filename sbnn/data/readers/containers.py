"""Read AnnData, MuData, 10x Genomics and MatrixMarket."""

import os
from pathlib import Path

import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

from sbnn.data.checks import some
from sbnn.errors import require

_SUFFIXES = (".h5ad", ".h5mu", ".h5", ".mtx")
# kinds of features in the files of 10x Genomics
GENES = "Gene Expression"
GUIDES = "CRISPR Guide Capture"


def is_container(path) -> bool:
    """Whether a path is a folder or one of these files."""
    return Path(path).is_dir() or str(path).lower().removesuffix(".gz").endswith(_SUFFIXES)


def read_container(path):
    """Read an AnnData of genes, or a MuData, from a file or folder."""
    return features_of(read_features(path), GENES)


def read_features(path):
    """Like `read_container`, with features of all kinds."""
    import anndata  # slow to import

    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir() or ".mtx" in path.suffixes:
        return _read_matrix_market(path)
    if suffix == ".h5mu":
        require("mudata")
        import mudata

        return mudata.read_h5mu(path)
    if suffix == ".h5":
        return _read_10x(path)
    return anndata.read_h5ad(path)


def opened_container(reading, given, what="expression", read=read_container):
    """What comes with other tables of the same cells; None for a plain table."""
    if isinstance(given, str | os.PathLike):
        if os.path.exists(given) and is_container(given):
            found = reading.attempt(what, read, given)
            reading.require_no_problem()
            reading.describe(what, file=Path(given).name)
            return found
        return None
    return given if hasattr(given, "obs") else None


def features_of(data, kind):
    """The features of one kind, or all if there are none."""
    if hasattr(data, "mod"):  # MuData
        return data
    kinds = data.var.get("feature_types")
    if kinds is None or kind not in set(kinds):
        return data
    return data[:, (kinds == kind).to_numpy()]


def _with_names(counts, cells, genes, kinds):
    import anndata

    names = pd.DataFrame(index=pd.Index(cells, dtype=object))
    features = pd.DataFrame(index=pd.Index(genes, dtype=object))
    if kinds is not None:
        features["feature_types"] = np.asarray(kinds)
    adata = anndata.AnnData(counts, names, features)
    adata.var_names_make_unique()
    return adata


def _read_10x(path):
    with h5py.File(path) as file:
        matrix = file["matrix"]
        parts = [matrix[part][:] for part in ("data", "indices", "indptr")]
        counts = sparse.csr_array(tuple(parts), shape=matrix["shape"][:][::-1])
        cells = matrix["barcodes"].asstr()[:]
        genes = matrix["features/name"].asstr()[:]
        kinds = matrix["features/feature_type"].asstr()[:]
    return _with_names(counts, cells, genes, kinds)


def _read_matrix_market(path):
    if path.is_dir():
        found = [*path.glob("*matrix.mtx"), *path.glob("*matrix.mtx.gz")]
        if len(found) != 1:
            got = some(sorted(file.name for file in found)) or "none"
            raise ValueError(f"expected one matrix.mtx in {path}, got {got}; choose a file")
        [path] = found
    before, _, _ = path.name.rpartition("matrix.mtx")
    cells = _names_beside(path, before, "barcodes.tsv")
    features = _names_beside(path, before, "features.tsv", "genes.tsv")
    try:
        counts = sparse.csr_array(io.mmread(path)).T.tocsr()
    except Exception as error:  # damaged files raise many kinds
        raise ValueError(f"{path.name}: {error}") from error
    if counts.shape != (len(cells), len(features)):
        expected = f"{len(features)} genes x {len(cells)} cells"
        raise ValueError(f"expected {expected} in {path.name}, got {counts.shape[::-1]}")
    # identifier, symbol and kind; other programs write fewer columns
    symbols = features.iloc[:, :2].iloc[:, -1]
    return _with_names(counts, cells[0].to_numpy(), symbols.to_numpy(), features.get(2))


def _names_beside(path, before, *names):
    for name in names:
        for end in ("", ".gz"):
            file = path.with_name(f"{before}{name}{end}")
            if file.exists():
                return pd.read_csv(file, sep="\t", header=None, dtype=str, na_filter=False)
    raise ValueError(f"{' or '.join(names)} is missing beside {path}")
