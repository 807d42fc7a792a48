"""A user's own perturbation screen: counts (text, ``.h5`` or ``.h5ad``), and guides of cells."""

from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import some
from sbnn.data.readers.reading import leave_out
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_names import texts
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.screens import check_screen_counts, screen
from sbnn.errors import warn

# minimum share of the most frequent guide in the guide counts of a cell, as in Papalexi et al. 2021
CLEAR = 0.8


def read_screen(counts, guides, control, name="custom"):
    """Build a `sbnn.mechanism_shift.screen` of the cells with a label or one clear guide.

    All other cells are left out with a warning. `guides` has either one column with the
    perturbation of each cell or a column of counts for each guide; the column ``IRF1_2`` belongs to
    a guide for IRF1.
    """
    table = read_table(guides, "guides")
    adata = _read_counts(counts, table.index)
    reasons = {
        "without a count of a gene": check_screen_counts(adata.X).sum(axis=1) == 0,
        "not among the guides": ~adata.obs_names.isin(table.index),
    }
    table = table.reindex(adata.obs_names)  # (n_cells, n_guides) or (n_cells, 1)
    has_counts = table.shape[1] > 1
    if has_counts:
        table = as_numbers(table, "guides").fillna(0)
        check_screen_counts(table, "guides")
        guide = table.idxmax(axis=1)
        most = table.max(axis=1)
        share = f"with less than {CLEAR:.0%} of the guide counts on one guide"
        reasons["without a guide"] = most == 0
        reasons[share] = most < CLEAR * table.sum(axis=1)
        target = guide.str.replace(r"_[^_]*$", "", regex=True)
    else:
        guide = target = pd.Series(texts(table.iloc[:, 0]), table.index)
        reasons["without a label"] = target == ""
    dropped = {}
    reason = np.select(list(reasons.values()), list(reasons), "")  # the first that applies
    for why in reasons:
        leave_out(dropped, "guides", why, table.index[reason == why], len(table))
    kept = reason == ""
    adata = adata[kept].copy()
    adata.obs = adata.obs.assign(perturbation=target[kept], guide=guide[kept])
    if has_counts:
        # off-target effects of a guide show only in comparison with another guide
        n_guides = guide[kept].groupby(target[kept]).nunique().drop(control, errors="ignore")
        single = n_guides.index[n_guides == 1]
        if len(single):
            warn(f"guides: targets with only one guide: {some(single)}")
    return screen(adata, "perturbation", control, name=name, dropped=dropped)


def _read_counts(path, cells):
    """Read counts from a file; `cells` show whether they are in the rows or columns of text."""
    suffix = Path(path).suffix.lower()
    if suffix == ".h5ad":
        return ad.read_h5ad(path)
    if suffix == ".h5":
        return _read_10x(path)
    values = read_table(path, "counts")
    if not values.index.isin(cells).any():
        values = values.T
    return ad.AnnData(as_numbers(values, "counts"))


def _read_10x(path):
    """Read an AnnData of gene counts from an ``.h5`` file of 10x Genomics."""
    with h5py.File(path) as file:
        matrix = file["matrix"]
        parts = [matrix[part][:] for part in ("data", "indices", "indptr")]
        counts = sparse.csr_array(tuple(parts), shape=matrix["shape"][:][::-1])
        cells = matrix["barcodes"].asstr()[:]
        genes = matrix["features/name"].asstr()[:]
        kinds = matrix["features/feature_type"].asstr()[:]
    adata = ad.AnnData(counts, pd.DataFrame(index=cells), pd.DataFrame(index=genes))
    adata.var_names_make_unique()
    return adata[:, kinds == "Gene Expression"]
