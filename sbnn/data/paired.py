"""Two measurements of the same cells, as AnnData and as arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sbnn.data import checks
from sbnn.data.checks import some
from sbnn.data.containers import about_data, name_and_sha256, with_about
from sbnn.data.counts import row_sums, size_of_library
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.objects import AnnDataLike, MuDataLike, dense, entry, parts_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from anndata import AnnData
    from numpy.typing import ArrayLike

    from sbnn.typehints import Sparse


@dataclass(frozen=True, eq=False)
class Paired:
    """Arrays made by `as_paired`."""

    X: np.ndarray  # log expression, float32 of shape (n_cells, n_genes)
    Y: np.ndarray  # outputs in their units, float32 of shape (n_cells, n_outputs)
    gene_names: np.ndarray
    feature_names: np.ndarray
    cell_names: np.ndarray
    labels: pd.DataFrame  # with the columns "family" and "type"
    colors: dict  # type -> "#RRGGBB"
    counts: object  # raw counts behind X, or None
    about: dict  # all of `uns["sbnn"]`

    @property
    def name(self):
        """Short name."""
        return self.about["name"]

    @cached_property
    def content_sha256(self):
        """Fingerprint of the arrays."""
        arrays = [self.X, self.Y]
        if self.counts is not None:
            arrays.append(self.counts)
        return fingerprint_arrays(*arrays)

    @property
    def sha256(self):
        """The stored fingerprint, unless the arrays have changed."""
        return name_and_sha256(self.about, self.content_sha256)[1]

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
        """Number of outputs, maybe 0."""
        return self.Y.shape[1]

    @property
    def names(self):
        """Names as stored in records."""
        return {
            "gene_names": self.gene_names,
            "feature_names": self.feature_names,
            "cell_names": self.cell_names,
        }

    @property
    def counts_behind_x(self):
        """The counts if `expression_pipeline(scale=False)` gives `X`, otherwise None."""
        if self.counts is None:
            return None
        usual = np.median(row_sums(self.counts))
        return self.counts if size_of_library(self.X, self.counts) == usual else None

    @property
    def truth(self):
        """Truth of simulated data."""
        return self.about["truth"]


def paired(
    X: np.ndarray | pd.DataFrame | Sparse,
    Y: ArrayLike | pd.DataFrame | None = None,
    gene_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    cell_names: Sequence[str] | None = None,
    labels: pd.DataFrame | None = None,
    colors: Mapping[str, str] | None = None,
    counts: np.ndarray | Sparse | None = None,
    **about: object,
) -> AnnData:
    """Build a validated AnnData of paired cells.

    Parameters
    ----------
    X : array, sparse matrix or DataFrame, shape (n_cells, n_genes)
        Log expression, stored as float32.
    Y : array or DataFrame, shape (n_cells, n_outputs), optional
        The second measurement, in its original units.
    gene_names, feature_names, cell_names : sequence of str, optional
        Unique; by default those of the DataFrames, or ``gene_0`` and so on.
    labels : DataFrame, optional
        Indexed by cell name; missing ``family`` and ``type`` are ``"unknown"``.
    colors : dict of str to str, optional
        Type -> ``"#RRGGBB"``.
    counts : array or sparse matrix, shape (n_cells, n_genes), optional
        Raw counts from which `X` was computed.
    **about
        Entries of ``uns["sbnn"]``:

        - ``name``, and ``source``: citation and origin of the data.
        - ``sha256``: fingerprint; by default of ``files``, otherwise of the arrays.
        - ``files``: file name -> sha256.
        - ``dropped``: reason -> names or number of cells or genes left out.
        - ``notes``: what a reader did.
        - ``truth`` of simulated data: ``"genes"`` that drive `Y`, ``"latent"`` of shape
          (n_cells, d) and noise-free ``"outputs"``.

    Returns
    -------
    AnnData
        With `X`, ``layers["counts"]``, ``obsm["outputs"]`` (a DataFrame), labels in ``obs``,
        ``uns["type_colors"]`` as in scanpy, ``obsm["true_latent"]``, ``obsm["true_outputs"]`` and
        ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        If values are not finite numbers within ±1e15, rows or names do not match, names repeat, or
        counts are not whole numbers. With outputs, also if a column is constant, or X looks like
        raw counts (whole numbers, some above 20) without `notes`.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import paired
    >>> rng = np.random.default_rng(0)
    >>> X = np.log2(1 + rng.poisson(3, (20, 4)))
    >>> adata = paired(X, rng.normal(size=(20, 2)), feature_names=["AP width", "Rheobase"])
    >>> adata.shape, list(adata.obsm["outputs"])
    ((20, 4), ['AP width', 'Rheobase'])
    """
    import anndata  # slow to import

    given = {
        "gene_names": gene_names,
        "feature_names": feature_names,
        "cell_names": cell_names,
        "labels": labels,
        "colors": colors,
        "counts": counts,
    }
    read = "notes" in about  # by a reader, which knows whether values are counts
    about = about_data(**{"source": "the user's arrays"} | about)
    parts = parts_of(X, Y) | {"about": about}
    parts |= {name: value for name, value in given.items() if value is not None}
    data = _arrays(**parts)
    problems = [*constants(data)]
    if not read:
        problems += counted(data)
    _require_none(problems)
    obs = data.labels.assign(type=pd.Categorical(data.labels["type"], categories=list(data.colors)))
    adata = anndata.AnnData(data.X, obs, pd.DataFrame(index=data.gene_names))
    if data.n_outputs:
        adata.obsm["outputs"] = pd.DataFrame(data.Y, obs.index, data.feature_names)
    if data.counts is not None:
        adata.layers["counts"] = data.counts
    adata.uns["type_colors"] = list(data.colors.values())
    return with_about(adata, data.about, data.content_sha256)


def as_paired(data):
    """Convert an AnnData, a MuData or a pair (X, Y)."""
    data = read_paired(data)
    _require_none([*constants(data), *counted(data)])
    return data


def _require_none(problems):
    if problems:
        raise ValueError("; ".join(problems))


def read_paired(data):
    """Like `as_paired`, with raw counts and constant columns."""
    if isinstance(data, Paired):  # converted before
        return data
    if isinstance(data, AnnDataLike | MuDataLike):
        data = data, None
    if not isinstance(data, tuple | list) or len(data) != 2:
        got = type(data).__name__
        raise TypeError(f"data: expected an AnnData, a MuData or a pair (X, Y), got {got}")
    return _arrays(**parts_of(*data))


def constants(data):
    """Sentences about constant columns, if there are outputs."""
    if not data.n_outputs:  # raw counts may have genes that no cell expresses
        return
    tables = (("X", data.X, data.gene_names), ("Y", data.Y, data.feature_names))
    for argument, values, names in tables:
        constant = names[np.ptp(values, axis=0) == 0]
        if len(constant):
            columns = f"columns of {argument} with the same value in all cells"
            yield f"{columns} ({len(constant)}): {some(constant)}; leave them out"


def counted(data):
    """Sentence about raw counts, if there are outputs."""
    built = "content_sha256" in data.about  # by `paired`
    if data.n_outputs and not built:
        yield from checks.raw_counts(data.X)


def _arrays(
    X,
    Y,
    gene_names,
    cell_names,
    feature_names=None,
    labels=None,
    colors=None,
    counts=None,
    about=None,
):
    x = _matrix(X, "X")
    y = np.zeros((len(x), 0), np.float32) if Y is None else _matrix(Y, "Y")
    if len(y) != len(x):
        raise ValueError(f"Y: expected the {len(x)} cells of X, got {len(y)}")
    genes = checks.check_names(gene_names, "gene_names", "gene", x.shape[1])
    outputs = checks.check_names(feature_names, "feature_names", "output", y.shape[1])
    cells = checks.check_names(cell_names, "cell_names", "cell", len(x))
    checks.check_finite(x, "X", cells, genes)
    checks.check_finite(y, "Y", cells, outputs)
    labels = checks.check_labels(labels, cells, ("family", "type"))
    checks.check_in_order(labels, X, "X")
    checks.check_in_order(labels, Y, "Y")
    colors = checks.check_colors({} if colors is None else colors, labels)
    if counts is not None:
        counts = checks.check_counts(counts, x.shape)
    return Paired(
        x,
        y,
        genes,
        outputs,
        cells,
        labels,
        colors,
        counts,
        about_data() | (about or {"source": "the user's arrays"}),
    )


def _matrix(values, argument):
    return dense(
        checks.check_matrix(
            values,
            argument,
            accept_sparse=True,
            dtype=np.float32,
            order="C",
            ensure_all_finite=False,
        )
    )


def groups_of(data, groups):
    """Group of every cell, from a label or an array."""
    if isinstance(groups, str):
        return checks.check_groups(entry(data.labels, groups, "obs"), data.labels, groups)
    return checks.check_groups(groups, data.labels, "groups")
