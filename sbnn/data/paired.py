"""Two measurements of the same cells: an AnnData for users, validated on input, and arrays for internal use."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from sbnn.data import checks
from sbnn.data.cells import Cells
from sbnn.data.checks import UNKNOWN, some
from sbnn.data.containers import about_data, with_about
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.objects import AnnDataLike, MuDataLike, entry, parts_of
from sbnn.data.preprocessing import size_of_library
from sbnn.errors import attempt


@dataclass(frozen=True, eq=False)
class Paired:
    """Arrays of paired cells for internal use, made by `as_paired`."""

    X: np.ndarray  # log expression, float32 of shape (n_cells, n_genes)
    Y: np.ndarray  # outputs in their units, float32 of shape (n_cells, n_outputs)
    gene_names: np.ndarray
    feature_names: np.ndarray
    cell_names: np.ndarray
    labels: pd.DataFrame  # with the columns "family" and "type"
    colors: dict  # type -> "#RRGGBB"
    # raw counts from which X was computed, an array or CSR matrix of the same shape, or None
    counts: object
    name: str
    sha256: str
    about: dict  # all of `uns["sbnn"]`, with the complete truth of a simulation

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
        """Number of outputs, 0 if only genes were measured."""
        return self.Y.shape[1]

    @property
    def names(self):
        """Names of genes, outputs and cells, as stored in records."""
        return {kind: getattr(self, kind) for kind in ("gene_names", "feature_names", "cell_names")}

    @property
    def counts_behind_x(self):
        """The counts if `expression_pipeline(scale=False)` converts them to `X`, otherwise None.

        This is None, for example, if `X` holds only some of the genes over which it was normalised.
        """
        usual = None if self.counts is None else np.median(np.asarray(self.counts.sum(axis=1)))
        return (
            None if usual is None or size_of_library(self.X, self.counts) != usual else self.counts
        )

    @property
    def truth(self):
        """Truth of simulated data, for these cells and genes."""
        return self.about.get("truth", {})


def paired(
    X,
    Y=None,
    gene_names=None,
    feature_names=None,
    cell_names=None,
    labels=None,
    colors=None,
    counts=None,
    **about,
):
    """Build a validated AnnData of paired cells.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame, shape (n_cells, n_genes)
        Log expression, stored as float32.
    Y : array or DataFrame, shape (n_cells, n_outputs), optional
        The second measurement, in its original units.
    gene_names, feature_names, cell_names : sequence of str, optional
        Unique names; by default the names in the DataFrames, otherwise ``gene_0``, ``output_0``,
        ``cell_0`` and so on.
    labels : DataFrame, optional
        Indexed by cell name, in any order. ``family`` and ``type`` are set to ``"unknown"`` where
        they are missing.
    colors : dict of str to str, optional
        Type -> ``"#RRGGBB"``.
    counts : array or sparse matrix, shape (n_cells, n_genes), optional
        Raw counts from which `X` was computed.
    **about
        Entries of ``uns["sbnn"]``:

        - ``name``: short name of the data.
        - ``source``: citation and origin of the data.
        - ``sha256``: fingerprint that links stored results to the data; by default, it is computed
          from the checksums in ``files`` if these are given, otherwise from the arrays.
        - ``files``: file name -> sha256.
        - ``dropped``: reason -> names or number of the cells or genes that were left out.
        - ``notes``: sentences that describe what a reader did.
        - ``truth``: true values of simulated data, such as the ``"genes"`` that drive `Y`, the
          ``"latent"`` of shape (n_cells, d) and the noise-free ``"outputs"``.

    Returns
    -------
    AnnData
        With `X`, ``layers["counts"]``, ``obsm["outputs"]`` (a DataFrame), the labels in ``obs``,
        the colours in ``uns["type_colors"]`` as in scanpy, and everything else in ``uns["sbnn"]``.
        The true latent and outputs of simulated data are in ``obsm["true_latent"]`` and
        ``obsm["true_outputs"]``.

    Raises
    ------
    ValueError
        If values are NaN, infinite or beyond 1e15, rows or names do not match, names repeat, or
        counts are not whole numbers. With outputs, this error is also raised if genes or outputs
        are constant, or if all outputs are columns of `X`.
    TypeError
        If the values are not numbers.
    """
    import anndata  # slower to import than any other package

    data = _checked(
        X, Y, gene_names, feature_names, cell_names, labels, colors, counts, about_data(**about)
    )
    obs = data.labels.assign(type=pd.Categorical(data.labels["type"], categories=list(data.colors)))
    adata = anndata.AnnData(data.X, obs, pd.DataFrame(index=data.gene_names))
    if data.n_outputs:
        adata.obsm["outputs"] = pd.DataFrame(data.Y, obs.index, data.feature_names)
    if data.counts is not None:
        adata.layers["counts"] = data.counts
    adata.uns["type_colors"] = list(data.colors.values())
    return with_about(adata, data.about, data.about["content_sha256"])


def as_paired(data):
    """Convert an AnnData, a MuData or a pair (X, Y) to `Paired`; Y may be the name of an entry of X."""
    if isinstance(data, Paired):  # already converted by another public function
        return data
    if isinstance(data, AnnDataLike | MuDataLike):
        data = data, "outputs" if isinstance(data, MuDataLike) or "outputs" in data.obsm else None
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(
            f"data: expected an AnnData, a MuData or a pair (X, Y), got {type(data).__name__}"
        )
    parts = (
        parts_of(*data)
        if isinstance(data[0], AnnDataLike | MuDataLike | Cells)
        else dict(zip("XY", data, strict=True))
    )
    return _checked(**parts)


def _checked(
    X,
    Y=None,
    gene_names=None,
    feature_names=None,
    cell_names=None,
    labels=None,
    colors=None,
    counts=None,
    about=None,
):
    """Convert user input to `Paired`; check it unless ``about["content_sha256"]`` shows that it was already checked."""
    if isinstance(Y, pd.Series):
        Y = Y.to_frame(Y.name or "output_0")
    elif isinstance(Y, np.ndarray | list) and np.ndim(Y) == 1:
        Y = np.reshape(Y, (-1, 1))
    rows = [table.index for table in (X, Y) if isinstance(table, pd.DataFrame)]
    cell_names = rows[0] if cell_names is None and rows else cell_names
    for index in rows:
        checks.check_same_cells(pd.Index(cell_names), index, strict=len(rows) == 2)
    gene_names = getattr(X, "columns", None) if gene_names is None else gene_names
    feature_names = getattr(Y, "columns", None) if feature_names is None else feature_names
    x = checks.check_matrix(X, "X")
    y = np.zeros((len(x), 0), np.float32) if Y is None else checks.check_matrix(Y, "Y")
    counts = checks.check_counts(counts, x.shape)
    genes = checks.check_names(gene_names, "gene_names", "gene", x.shape[1])
    outputs = checks.check_names(feature_names, "feature_names", "output", y.shape[1])
    cells = checks.check_names(cell_names, "cell_names", "cell", len(x))
    labels = checks.check_labels(labels, cells, ("family", "type"))
    content = fingerprint_arrays(x, y) if counts is None else fingerprint_arrays(x, y, counts)
    about = about_data(source="the user's arrays") | (about or {})
    problems = []
    if not x.size or len(y) != len(x):
        problems.append(
            f"X has shape {x.shape} and Y {y.shape}; expected genes in X, and as many cells in X as in Y"
        )
    elif about.get("content_sha256") != content:
        for values, argument, columns in ((x, "X", genes), (y, "Y", outputs)):
            checks.check_outliers(values, argument, cells, columns)
            constant = np.ptp(values, axis=0) == 0
            # raw counts without outputs may contain genes that no cell expresses
            if y.shape[1] and constant.any():
                text = f"columns of {argument} with the same value in all {len(values)} cells ({constant.sum()})"
                problems.append(f"{text}: {some(columns[constant])}; leave them out")
        if y.shape[1]:
            checks.check_given_once(x, y)
            checks.warn_of_mistaken_columns(x, y, genes, outputs)
            checks.warn_of_raw_counts(
                x, "X", "log-transform it (raw counts belong in layers['counts'])"
            )
        if counts is not None:
            size_of_library(x, counts)  # warns if the counts seem to belong to other cells or genes
        given = "" if "content_sha256" in about else about["sha256"]
        about |= {"sha256": given or content, "content_sha256": content}
    if problems:
        raise ValueError("; ".join(problems))
    colors = checks.check_colors({} if colors is None else colors, labels["type"])
    return Paired(
        x,
        y,
        genes,
        outputs,
        cells,
        labels,
        colors,
        counts,
        str(about["name"]),
        str(about["sha256"]),
        about,
    )


def groups_of(data, groups):
    """Group of every cell, such as its donor, from a column of ``obs`` or an array; unknown groups are rejected."""
    labels = data.labels if isinstance(data, Paired) else data.obs
    column = groups if isinstance(groups, str) else "groups"
    checks.check_in_order(labels, groups, "groups")
    given = np.asarray(entry(labels, column, "obs") if column is groups else groups, dtype=object)
    values = attempt("groups: expected one group for each cell", pd.Series, given, labels.index)
    lacking = values.isna() | values.isin([UNKNOWN, ""])
    if lacking.any():
        names = some(values.index[lacking])
        raise ValueError(
            f"{column!r} is unknown for some cells ({lacking.sum()}); leave them out: {names}"
        )
    checks.check_blanks(values, column)
    return values.to_numpy(dtype=str)
