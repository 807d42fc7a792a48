"""Read files that hold cells with their names: AnnData, MuData, 10x Genomics and MatrixMarket."""

from pathlib import Path

import h5py
import pandas as pd
from scipy import sparse
from scipy.io import mmread

from sbnn.data.readers.counts import open_file
from sbnn.errors import require

_SUFFIXES = (".h5ad", ".h5mu", ".h5")


def is_container(path) -> bool:
    """Whether a path is a folder or has the suffix of one of these files."""
    return Path(path).is_dir() or Path(path).suffix.lower() in _SUFFIXES


def read_container(path):
    """Read an AnnData or a MuData from a file, or from a folder with a matrix in MatrixMarket."""
    import anndata  # slower to import than all other packages

    path = Path(path)
    suffix = path.suffix.lower()
    if path.is_dir():
        return _read_folder(path)
    if suffix == ".h5mu":
        require("mudata")
        import mudata

        return mudata.read_h5mu(path)
    return _read_10x(path) if suffix == ".h5" else anndata.read_h5ad(path)


def _with_names(counts, cells, genes, kinds):
    """An AnnData of the counts of genes, whose other features (such as proteins) are left out."""
    import anndata

    adata = anndata.AnnData(counts, pd.DataFrame(index=cells), pd.DataFrame(index=genes))
    return adata[:, kinds == "Gene Expression"]


def _read_10x(path):
    """Read counts from an ``.h5`` file of 10x Genomics."""
    with h5py.File(path) as file:
        matrix = file["matrix"]
        parts = [matrix[part][:] for part in ("data", "indices", "indptr")]
        counts = sparse.csr_array(tuple(parts), shape=matrix["shape"][:][::-1])
        cells = matrix["barcodes"].asstr()[:]
        genes = matrix["features/name"].asstr()[:]
        kinds = matrix["features/feature_type"].asstr()[:]
    return _with_names(counts, cells, genes, kinds)


def _read_folder(path):
    """Read counts from a folder with a matrix (genes x cells), and the names of cells and genes."""

    def the(*endings):
        names = [f"{ending}{packed}" for ending in endings for packed in ("", ".gz")]
        found = [file for file in sorted(path.iterdir()) if file.name.endswith(tuple(names))]
        if len(found) != 1:
            text = f"expected one file {' or '.join(endings)}, got {[one.name for one in found]}"
            raise ValueError(text)
        return found[0]

    with open_file(the("matrix.mtx")) as file:
        counts = sparse.csr_array(mmread(file).T)
    cells = pd.read_csv(the("barcodes.tsv"), sep="\t", header=None, dtype=str)[0]
    features = pd.read_csv(the("features.tsv", "genes.tsv"), sep="\t", header=None, dtype=str)
    if counts.shape != (len(cells), len(features)):
        size = f"{len(cells)} barcodes and {len(features)} features"
        raise ValueError(f"the matrix has {counts.shape[::-1]} values for {size}")
    # identifier, symbol and kind of each feature; the oldest files have only the first two
    genes = features[min(1, features.shape[1] - 1)]
    kinds = features.get(2, pd.Series("Gene Expression", features.index))
    return _with_names(counts, cells.to_numpy(), genes.to_numpy(), kinds.to_numpy())
