"""Two measurements of the same cells, as AnnData and as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.preprocessing import StandardScaler, scale
from sklearn.utils import check_array

from sbnn.data import checks
from sbnn.data.checks import abbreviate
from sbnn.data.counts import (
    check_counts,
    dense,
    log2p1,
    normalize_library_size,
    raw_counts,
    row_sums,
    size_of_library,
)
from sbnn.data.fingerprint import annotate_adata, annotation_arguments
from sbnn.data.inputs import load_into_memory, select_outputs
from sbnn.errors import check_among

SAME = 0.999  # correlation of an output with what it copies
LABELS = ["family", "type"]


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
    name: str
    sha256: str
    about: dict  # all of `uns["sbnn"]`
    truth: dict  # of simulated data

    @property
    def n_cells(self):
        """Number of cells."""
        return self.X.shape[0]

    @property
    def n_genes(self):
        """Number of genes."""
        return self.X.shape[1]

    def without_labels(self):
        """The same measurements, without types, their colours and the truth of a simulation."""
        no_labels = pd.DataFrame(index=self.labels.index)
        return replace(self, labels=no_labels, colors={}, truth={})

    @property
    def names(self):
        """Names as stored in records."""
        return {
            "gene_names": self.gene_names,
            "feature_names": self.feature_names,
            "cell_names": self.cell_names,
        }

    @property
    def shown(self):
        """Labels and colours as stored in records."""
        return {"labels": self.labels[["family", "type"]], "colors": self.colors}

    @property
    def counts_behind_x(self):
        """The counts if `CountNormalizer` makes `X` of them, otherwise None."""
        if self.counts is None:
            return None
        usual = np.median(row_sums(self.counts))
        return self.counts if size_of_library(self.X, self.counts) == usual else None


def paired_cells(
    X,
    Y: ArrayLike | pd.DataFrame | None = None,
    gene_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    cell_names: Sequence[str] | None = None,
    labels: pd.DataFrame | None = None,
    colors: Mapping[str, str] | None = None,
    counts=None,
    *,
    check: bool = True,
    **about: object,
) -> AnnData:
    """Build a validated AnnData of paired cells.

    Parameters
    ----------
    X : array, sparse matrix, DataFrame or None, shape (n_cells, n_genes)
        Log expression, stored as float32. None computes it from `counts`, as `read_tables` does.
    Y : array or DataFrame, shape (n_cells, n_outputs), optional
        The second measurement, in its original units.
    gene_names, feature_names, cell_names : sequence of str, optional
        Unique; by default those of DataFrames, or ``gene_0`` and so on.
    labels : DataFrame, optional
        Indexed by cell name; missing ``family`` and ``type`` are ``"unknown"``.
    colors : dict of str to str, optional
        Type -> ``"#RRGGBB"``.
    counts : array or sparse matrix, shape (n_cells, n_genes), optional
        Raw counts from which `X` was computed.
    check : bool
        Whether to reject constant columns, copies of genes and raw counts, if there are outputs.
    **about
        Entries of ``uns["sbnn"]``:

        - ``name``, and ``source``: citation and origin of the data.
        - ``files``: file name -> sha256.
        - ``dropped``: reason -> names or number of cells or genes left out.
        - ``notes``: what a reader did.
        - ``truth``: ``"genes"`` that drive `Y`, ``"latent"`` of shape (n_cells, d) and noise-free
          ``"outputs"``.

    Returns
    -------
    AnnData
        With labels in ``obs``, ``layers["counts"]``, ``obsm["outputs"]`` (a DataFrame),
        ``obsm["true_latent"]``, ``obsm["true_outputs"]`` and, as in scanpy, ``uns["type_colors"]``.

    Raises
    ------
    ValueError
        If values are not finite numbers, rows or names do not match, names repeat, or counts are
        not whole numbers; with `check`, also if X looks like raw counts (whole numbers, some above
        20) without `notes`.

    Examples
    --------
    >>> import numpy as np
    >>> from sbnn import paired_cells
    >>> rng = np.random.default_rng(0)
    >>> X = np.log2(1 + rng.poisson(3, (20, 4)))
    >>> adata = paired_cells(X, rng.normal(size=(20, 2)), feature_names=["AP width", "Rheobase"])
    >>> adata.shape, list(adata.obsm["outputs"])
    ((20, 4), ['AP width', 'Rheobase'])
    """
    if isinstance(Y, pd.Series):
        Y = Y.to_frame(Y.name or "output_0")
    if gene_names is None:
        gene_names = getattr(X, "columns", None)
    if feature_names is None:
        feature_names = getattr(Y, "columns", None)
    for table in (X, Y):
        if cell_names is None:
            cell_names = checks.get_cell_names(table)
    if X is None:
        X = log2p1(normalize_library_size(counts))
    x = _matrix(X, "X")
    y = np.zeros((len(x), 0), np.float32) if Y is None else _matrix(Y, "Y")
    if len(y) != len(x):
        raise ValueError(f"Y: expected the {len(x)} cells of X, got {len(y)}")
    genes = checks.check_names(gene_names, "gene_names", "gene", x.shape[1])
    outputs = checks.check_names(feature_names, "feature_names", "output", y.shape[1])
    cells = checks.check_names(cell_names, "cell_names", "cell", len(x))
    obs = checks.check_labels(labels, cells, LABELS)
    checks.check_in_order(obs, X, "X")
    checks.check_in_order(obs, Y, "Y")
    colors = checks.check_colors(colors or {}, obs)
    if counts is not None:
        counts = check_counts(counts, x.shape)
    if check and len(outputs):  # raw counts may have genes that no cell expresses
        _require_variation(x, "X", genes)
        _require_variation(y, "Y", outputs)
        for values in [x] if counts is None else [x, counts, log2p1(counts)]:
            _refuse_copies(values, y, genes, outputs)
        if "notes" not in about:  # a reader knows whether values are counts
            mistake = raw_counts(x)
            if mistake:
                raise ValueError(mistake)

    obs["type"] = pd.Categorical(obs["type"], categories=list(colors))
    adata = AnnData(x, obs, pd.DataFrame(index=genes))
    if len(outputs):
        adata.obsm["outputs"] = pd.DataFrame(y, obs.index, outputs)
    if counts is not None:
        adata.layers["counts"] = counts
    adata.uns["type_colors"] = list(colors.values())
    return annotate_adata(adata, **about)


def _matrix(values, argument):
    options = {"dtype": np.float32, "order": "C", "ensure_2d": False, "input_name": argument}
    values = check_array(dense(values), **options)
    return values.reshape(len(values), -1)


def _require_variation(values, argument, names):
    constant = names[np.ptp(values, axis=0) == 0]
    if len(constant):
        raise ValueError(
            f"columns of {argument} with the same value in all cells ({len(constant)}): "
            f"{abbreviate(constant)}; leave them out"
        )


def _refuse_copies(X, Y, genes, outputs):
    """Reject outputs that are genes."""
    x = sparse.csr_array(X, dtype=np.float64)
    y = scale(Y.astype(np.float64))
    size = len(y) * StandardScaler(with_mean=False).fit(x).scale_  # of a correlation of 1
    alike = np.argwhere(np.abs(y.T @ x) > SAME * size)
    if len(alike) and len(y) > 2:  # any two columns of two cells are alike
        i, j = alike[0]
        raise ValueError(f"Y: the output {outputs[i]} copies the gene {genes[j]}; leave it out")


def as_paired(data, check=True):
    """Arrays of an AnnData, or of a pair (X, Y); see `paired`.

    Beside an AnnData, Y may be a key of ``obsm`` or a list of columns of ``obs``.
    """
    if isinstance(data, Paired):  # converted before
        return data
    is_pair = isinstance(data, tuple) and len(data) == 2
    given, Y = data if is_pair else (data, None)
    if isinstance(given, AnnData):
        given = load_into_memory(given)
        adata = paired_cells(
            given.to_df(),
            select_outputs(given, Y),
            labels=given.obs.drop(columns=Y) if isinstance(Y, list) else given.obs,
            colors=_colors_of(given),
            counts=given.layers.get("counts"),
            check=check,
            **annotation_arguments(given),
        )
    elif is_pair:
        adata = paired_cells(given, Y, check=check)
    else:
        got = type(data).__name__
        raise TypeError(f"data: expected an AnnData or a pair (X, Y), got {got}")
    about = adata.uns["sbnn"]
    outputs = adata.obsm.get("outputs", pd.DataFrame(index=adata.obs_names))
    return Paired(
        X=adata.X,
        Y=np.ascontiguousarray(outputs, dtype=np.float32),
        gene_names=adata.var_names.to_numpy(str),
        feature_names=outputs.columns.to_numpy(str),
        cell_names=adata.obs_names.to_numpy(str),
        labels=adata.obs.astype(dict.fromkeys(LABELS, object)),
        colors=_colors_of(adata),
        counts=adata.layers.get("counts"),
        name=about["name"],
        sha256=about["sha256"],
        about=about,
        truth=annotation_arguments(adata)["truth"],
    )


def _colors_of(adata):
    """Colour of each type; as in scanpy, a list in the order of the types."""
    types = pd.Categorical(adata.obs.get("type", ())).categories
    colors = adata.uns.get("type_colors", ())
    # scanpy replaces a palette that is too short
    return dict(zip(types, colors, strict=False)) if len(colors) >= len(types) else {}


def get_groups(data, groups):
    """Group of every cell, from a label or an array."""
    name = "groups"
    if isinstance(groups, str):
        check_among("groups", groups, data.labels)
        name = groups
        groups = data.labels[groups]
    return checks.check_groups(groups, data.labels, name)
