"""A user's own perturbation screen: counts in a text, 10x ``.h5`` or ``.h5ad`` file, and guides or labels of cells."""

import warnings
from pathlib import Path

import anndata as ad
import h5py
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.readers.table_checks import as_numbers, texts
from sbnn.data.readers.tables import leave_out, read_table
from sbnn.data.screens import check_screen_counts, screen

# minimum share of the most frequent guide in the guide counts of a cell, as in Papalexi et al. 2021
CLEAR = 0.8


def read_screen(counts, guides, control, name="custom"):
    """Build a screen (see `sbnn.mechanism_shift.screen`) of the cells with a label or one clear
    guide.

    All other cells are left out with a warning. `guides` has either one column with the
    perturbation of each cell or a column of counts for each guide; the column ``IRF1_2`` belongs to
    a guide for IRF1.
    """
    table, dropped = read_table(guides, "guides"), {}
    if Path(counts).suffix.lower() in (".h5", ".h5ad"):
        adata = _read_hdf5(counts)
    else:  # text, with the cells in rows or in columns
        values = read_table(counts, "counts")
        adata = ad.AnnData(
            as_numbers(values if values.index.isin(table.index).any() else values.T, "counts")
        )
    there = adata.obs_names.isin(table.index)
    table = table.reindex(adata.obs_names)
    whys = {
        "without a count of a gene": check_screen_counts(adata.X).sum(axis=1) == 0,
        "not among the guides": ~there,
    }
    if table.shape[1] > 1:
        table = as_numbers(table, "guides").fillna(0)
        check_screen_counts(table, "guides")
        guide, most = table.idxmax(axis=1), table.max(axis=1)
        targets = guide.str.replace(r"_[^_]*$", "", regex=True)
        whys["without a guide"] = most == 0
        whys["with two guides of equal count"] = table.eq(most, axis=0).sum(axis=1) > 1
        whys[f"with less than {CLEAR:.0%} of the guide counts on one guide"] = (
            most < CLEAR * table.sum(axis=1)
        )
    else:
        targets = guide = pd.Series(texts(table.iloc[:, 0]), table.index)
        whys["without a label"] = targets == ""
    kept = pd.Series(True, table.index)
    for why, wrong in whys.items():
        leave_out(dropped, "guides", why, table.index[kept & wrong], len(table))
        kept &= ~wrong
    adata = adata[kept].copy()
    adata.obs = adata.obs.assign(perturbation=targets[kept], guide=guide[kept])
    guides_of, cells_of = (
        adata.obs.groupby("perturbation")["guide"].nunique(),
        adata.obs["perturbation"].value_counts(),
    )
    single = (
        guides_of.index[(guides_of == 1) & (guides_of.index != control)]
        if table.shape[1] > 1
        else []
    )
    if len(single):
        listed = some(f"{target} ({cells_of[target]})" for target in single)
        warnings.warn(
            f"guides: off-target effects are missed for targets (cells) with only one guide: {listed}",
            stacklevel=2,
        )
    return screen(adata, "perturbation", control, name=name, dropped=dropped)


def _read_hdf5(path):
    """Read an AnnData of gene counts from an ``.h5ad`` file, or from an ``.h5`` file of 10x Genomics."""
    if Path(path).suffix.lower() == ".h5ad":
        return ad.read_h5ad(path)
    with h5py.File(path) as file:
        matrix, features = file["matrix"], file["matrix/features"]
        parts = tuple(matrix[part][:] for part in ("data", "indices", "indptr"))
        names = (matrix["barcodes"], features["name"], features["feature_type"])
        cells, genes, kinds = (values.asstr()[:] for values in names)
        counts = sparse.csr_array(parts, shape=tuple(matrix["shape"][:][::-1]))
    adata = ad.AnnData(counts, pd.DataFrame(index=cells), pd.DataFrame(index=genes))
    adata.var_names_make_unique()
    return adata[:, kinds == "Gene Expression"]
