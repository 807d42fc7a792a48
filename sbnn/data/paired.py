"""Two measurements of the same cells: AnnData outside, checked once at the border, a few named arrays inside."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sbnn.data.checks import UNKNOWN, check_paired, some
from sbnn.data.containers import about_data, with_about
from sbnn.data.objects import entry, is_anndata, is_mudata, parts_of
from sbnn.data.preprocessing import size_of_library


@dataclass(frozen=True, eq=False)
class Paired:
    """The arrays of paired cells, as all code below the border takes them; `as_paired` makes it."""

    X: np.ndarray  # log expression, float32, (n_cells, n_genes)
    Y: np.ndarray  # outputs in their units, float32, (n_cells, n_outputs)
    gene_names: np.ndarray
    feature_names: np.ndarray
    cell_names: np.ndarray
    labels: pd.DataFrame  # with the columns "family" and "type"
    colors: dict  # type -> "#RRGGBB"
    counts: object  # raw counts behind X, array or CSR of the same shape; None where there are none
    name: str
    sha256: str
    about: dict  # all of `uns["sbnn"]`; the truth of a simulation with that of the cells

    @property
    def n_cells(self):
        """Number of cells."""
        return self.X.shape[0]

    @property
    def n_genes(self):
        """Number of genes."""
        return self.X.shape[1]

    @property
    def n_outputs(self):
        """Number of outputs, 0 where only genes were measured."""
        return self.Y.shape[1]

    @property
    def names(self):
        """Names of genes, outputs and cells, as records keep them."""
        return {kind: getattr(self, kind) for kind in ("gene_names", "feature_names", "cell_names")}

    @property
    def counts_behind_x(self):
        """The counts, if `X` is what `expression_pipeline` makes of them; None for some genes of a larger set."""
        usual = None if self.counts is None else np.median(np.asarray(self.counts.sum(axis=1)))
        return None if usual is None or size_of_library(self.X, self.counts) != usual else self.counts

    @property
    def truth(self):
        """Of simulated data: what `paired` was given, of these cells and genes."""
        return self.about.get("truth", {})


def paired(
    X, Y=None, gene_names=None, feature_names=None, cell_names=None, labels=None, colors=None, counts=None, **about
):
    """Build an AnnData of paired cells, checked.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame, shape (n_cells, n_genes)
        Log expression, stored as float32.
    Y : array or DataFrame, shape (n_cells, n_outputs), optional
        The second measurement, in its units.
    gene_names, feature_names, cell_names : sequence of str, optional
        Unique; by default those of the DataFrames, else ``gene_0``, ``output_0``, ``cell_0`` and so on.
    labels : DataFrame, optional
        Indexed by cell name, in any order. ``family`` and ``type`` are ``"unknown"`` where they are not given.
    colors : dict of str to str, optional
        Type -> ``"#RRGGBB"``.
    counts : array or sparse matrix, shape (n_cells, n_genes), optional
        Raw counts behind `X`.
    **about
        Entries of ``uns["sbnn"]``: ``name``, short; ``source``, citation with the place the data came from; ``sha256``,
        fingerprint by which stored results know the data, such as that of its files, by default that of the arrays;
        ``files``, name -> sha256; ``dropped``, why -> names of the cells or genes that were left out, or their number;
        ``notes``, what a reader did, a sentence each; ``truth``, of simulated data: ``"genes"`` that drive `Y`,
        ``"latent"`` (n_cells, d), noise-free ``"outputs"``, and others.

    Returns
    -------
    AnnData
        `X`, ``layers["counts"]``, ``obsm["outputs"]`` (DataFrame), labels in ``obs``, colours in ``uns["type_colors"]``
        as scanpy has them, all else in ``uns["sbnn"]``. The true latent and outputs are in ``obsm``.

    Raises
    ------
    ValueError
        Values that are NaN, infinite or beyond 1e15; rows or names that do not match; repeated names; where there are
        outputs, genes or outputs with one constant value and outputs that are genes; counts that are no counts.
    TypeError
        No numbers.
    """
    import anndata  # takes longer to import than all the rest

    about = about_data(**about)
    data = Paired(**check_paired(X, Y, gene_names, feature_names, cell_names, labels, colors, counts, about))
    obs = data.labels.assign(type=pd.Categorical(data.labels["type"], categories=list(data.colors)))
    adata = anndata.AnnData(data.X, obs, pd.DataFrame(index=data.gene_names))
    if data.n_outputs:
        adata.obsm["outputs"] = pd.DataFrame(data.Y, obs.index, data.feature_names)
    if data.counts is not None:
        adata.layers["counts"] = data.counts
    adata.uns["type_colors"] = list(data.colors.values())
    return with_about(adata, data.about, data.about["content_sha256"])


def as_paired(data):
    """Take the `Paired` arrays of an AnnData, a MuData or a pair (X, Y), whose Y may also be a name in X."""
    if isinstance(data, Paired):  # one public function hands it to another
        return data
    if is_anndata(data) or is_mudata(data):
        data = data, "outputs" if is_mudata(data) or "outputs" in data.obsm else None
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"data: expected an AnnData, a MuData or a pair (X, Y), got {type(data).__name__}")
    X, Y = data
    parts = parts_of(X, Y) if is_anndata(X) or is_mudata(X) else {"X": X, "Y": Y}
    return Paired(**check_paired(**parts))


def groups_of(data, column):
    """Group of every cell, such as its donor, by a column of ``obs``; cells of unknown group are refused."""
    labels = data.labels if isinstance(data, Paired) else data.obs
    values = entry(labels, column, "obs").astype(object)
    lacking = values.isna() | values.isin([UNKNOWN, ""])
    if lacking.any():
        names = some(values.index[lacking])
        raise ValueError(f"{column!r} of {lacking.sum()} cells is not known; leave them out: {names}")
    return values.to_numpy(dtype=str)
