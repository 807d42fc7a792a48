"""A user's own perturbation screen: counts of genes, and guides or labels of cells."""

import re
from pathlib import Path

import anndata as ad
import h5py
import numpy as np
import pandas as pd
from scipy import io, sparse

from sbnn.data.checks import some
from sbnn.data.readers.guides import likely_control, targets_of
from sbnn.data.readers.reading import leave_out
from sbnn.data.readers.table import read_table
from sbnn.data.readers.table_names import texts
from sbnn.data.readers.table_numbers import as_numbers
from sbnn.data.screens import check_screen_counts, screen
from sbnn.errors import warn

# minimum share of the most frequent guide in the guide counts of a cell, as in Papalexi et al. 2021
CLEAR = 0.8
GENES = "Gene Expression"  # kind of features in the files of 10x Genomics


def read_screen(counts, guides, control, name="custom", targets=None):
    """Build a `sbnn.mechanism_shift.screen` of the cells with a label or one clear guide.

    All other cells are left out with a warning. The targets of the guides, from `targets_of`, are
    stored in ``uns["sbnn"]["guides"]``.

    Parameters
    ----------
    counts : path-like or DataFrame
        Raw counts of genes: ``.h5ad``, ``.h5`` of 10x Genomics, a folder with a MatrixMarket file
        and its names (or this file, if there are several), or a table of cells x genes or
        genes x cells.
    guides : path-like or DataFrame
        ``.h5ad`` or a table. It has either one column with the guide or perturbation of each cell
        or a column of counts for each guide.
    control : str
        Guide, or target of the guides, of the cells in which nothing was perturbed.
    name : str
    targets : path-like or DataFrame, optional
        Target of each guide: a table with the columns ``guide`` and ``target``, or with these in
        its first two columns. By default, targets follow from the names of the guides.
    """
    found = _read_guides(guides)
    adata = _read_counts(counts, found.obs_names)
    reasons = {
        "without a count of a gene": check_screen_counts(adata.X).sum(axis=1) == 0,
        "not among the guides": ~adata.obs_names.isin(found.obs_names),
    }
    # Cells that are not among the guides have those of any other cell here.
    found = found[np.maximum(found.obs_names.get_indexer(adata.obs_names), 0)]
    has_counts = found.n_vars > 0
    if has_counts:
        guide, unclear = _clear_guides(found)
        of_library = found.var_names
    else:
        guide, unclear = _labels(found)
        of_library = None
    reasons |= unclear
    dropped = {}
    reason = np.select(list(reasons.values()), list(reasons), "")  # the first that applies
    for why in reasons:
        leave_out(dropped, "guides", why, adata.obs_names[reason == why], adata.n_obs)
    kept = reason == ""
    guide = guide[kept]
    if of_library is None:
        of_library = np.unique(guide)
    given = None if targets is None else _read_targets(targets)
    table = targets_of(of_library, adata.var_names, control, given)
    target = table.set_index("guide")["target"][guide].to_numpy()
    _require_control(control, target, of_library)
    if has_counts or (table["guide"] != table["target"]).any():
        _warn_of_single_guides(guide, target, control)
    adata = adata[kept].copy()
    adata.obs = adata.obs.assign(perturbation=target, guide=guide)
    about = {"name": name, "dropped": dropped}
    if not isinstance(counts, pd.DataFrame):
        about["source"] = str(counts)
    made = screen(adata, "perturbation", control, **about)
    made.uns["sbnn"]["guides"] = table
    return made


def _clear_guides(found):
    """Most frequent guide of each cell, and masks of the cells in which it is not clear."""
    most = found.X.max(axis=1).toarray().ravel()  # (n_cells,)
    total = found.X.sum(axis=1)
    guide = found.var_names.to_numpy(str)[found.X.argmax(axis=1)]
    share = f"with less than {CLEAR:.0%} of the guide counts on one guide"
    return guide, {"without a guide": most == 0, share: most < CLEAR * total}


def _labels(found):
    """Label of each cell, and masks of the cells with none, or with the labels of several."""
    label = found.obs["guide"].to_numpy(str)
    known = set(label) - {""}
    several = []
    for one in known:
        parts = re.split("[|;,]", one)
        if len(parts) > 1 and known.issuperset(map(str.strip, parts)):
            several.append(one)
    return label, {"without a label": label == "", "with several guides": np.isin(label, several)}


def _require_control(control, target, guides):
    """Reject a control that no cell has, and suggest another."""
    if str(control) in target:
        return
    advice = likely_control(guides)
    text = f"control: no cell is {control!r}; the perturbations are {some(np.unique(target))}"
    raise ValueError(text if advice is None else f"{text}; did you mean {advice!r}?")


def _warn_of_single_guides(guide, target, control):
    # off-target effects of a guide show only in comparison with another guide
    n_guides = pd.Series(guide).groupby(target).nunique().drop(str(control), errors="ignore")
    single = n_guides.index[n_guides == 1]
    if len(single):
        warn(f"guides: targets with only one guide: {some(single)}")


def _read_targets(targets):
    """Table of guides and targets, from their columns or from the first two."""
    table = read_table(targets, "targets", key="guide")
    target = table["target"] if "target" in table else table.iloc[:, 0]
    return pd.DataFrame({"guide": table.index, "target": texts(target)})


def _read_guides(guides):
    """AnnData of cells with counts of guides, or with a label in ``obs["guide"]``."""
    if _suffix(guides) == ".h5ad":
        found = ad.read_h5ad(guides)
        twice = found.obs_names[found.obs_names.duplicated()]
        if len(twice):
            raise ValueError(f"guides: cells appear more than once: {some(twice)}")
        if found.n_vars:
            return ad.AnnData(check_screen_counts(found.X, "guides"), found.obs[[]], found.var[[]])
        table = found.obs
        if table.shape[1] != 1:
            text = "expected counts of guides in X, or one column in obs"
            raise ValueError(f"guides: {text}, got {some(table) or 'none'}")
    else:
        table = read_table(guides, "guides")
    if table.shape[1] == 1:
        labels = pd.DataFrame({"guide": texts(table.iloc[:, 0])}, table.index)
        return ad.AnnData(obs=labels)
    table = as_numbers(table, "guides").fillna(0)
    names = pd.DataFrame(index=table.columns)
    return ad.AnnData(check_screen_counts(table, "guides"), table[[]], names)


def _read_counts(path, cells):
    """Read counts of genes; `cells` show whether they are in the rows or columns of text."""
    suffix = _suffix(path)
    if suffix == ".h5ad":
        adata = ad.read_h5ad(path)
        return _genes(adata, adata.var.get("feature_types"))
    if suffix == ".h5":
        return _read_10x(path)
    if suffix == ".mtx" or (suffix is not None and Path(path).is_dir()):
        return _read_matrix_market(Path(path))
    values = read_table(path, "counts")
    if not values.index.isin(cells).any():
        values = values.T
    return ad.AnnData(as_numbers(values, "counts"))


def _suffix(path):
    """Ending of the name of a file without ``.gz``; None for a table."""
    if isinstance(path, pd.DataFrame):
        return None
    return Path(str(path).lower().removesuffix(".gz")).suffix


def _genes(adata, kinds):
    """The features that are genes, by the kind of each feature if it is known."""
    if kinds is None or GENES not in set(kinds):
        return adata
    return adata[:, np.asarray(kinds) == GENES]


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
    return _genes(adata, kinds)


def _read_matrix_market(path):
    """Read an AnnData of gene counts from ``matrix.mtx`` and the names of genes and cells."""
    if path.is_dir():
        found = [*path.glob("*matrix.mtx"), *path.glob("*matrix.mtx.gz")]
        if len(found) != 1:
            got = some(sorted(file.name for file in found)) or "none"
            raise ValueError(f"counts: expected one matrix.mtx in {path}, got {got}; choose a file")
        [path] = found
    before, _, _ = path.name.rpartition("matrix.mtx")
    cells = _names_beside(path, before, "barcodes.tsv")
    features = _names_beside(path, before, "features.tsv", "genes.tsv")
    try:
        counts = sparse.csr_array(io.mmread(path)).T.tocsr()
    except Exception as error:  # damaged files raise many kinds
        raise ValueError(f"counts ({path.name}): {error}") from error
    if counts.shape != (len(cells), len(features)):
        expected = f"{len(features)} genes x {len(cells)} cells"
        raise ValueError(f"counts: expected {expected} in {path.name}, got {counts.shape[::-1]}")
    # the columns are identifier, symbol and kind; other programs write fewer
    symbols = features.iloc[:, :2].iloc[:, -1]
    adata = ad.AnnData(counts)
    adata.obs_names = cells[0].to_list()
    adata.var_names = symbols.to_list()
    adata.var_names_make_unique()
    return _genes(adata, features.get(2))


def _names_beside(path, before, *names):
    """Table of names from a text file that may be gzipped, in the folder of the counts."""
    for name in names:
        for end in ("", ".gz"):
            file = path.with_name(f"{before}{name}{end}")
            if file.exists():
                return pd.read_csv(file, sep="\t", header=None, dtype=str, na_filter=False)
    raise ValueError(f"counts: {' or '.join(names)} is missing beside {path}")
