"""Two measurements of the same cells, as AnnData and as arrays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import joblib
import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.utils import check_array

from sbnn.data import checks
from sbnn.data.checks import abbreviate, dense
from sbnn.data.colors import fill_colors
from sbnn.data.counts import (
    LEAST_LIBRARY,
    check_logarithms,
    confirm_library_size,
    convert_counts,
    log2p1,
    normalize_library_size,
    row_sums,
)
from sbnn.data.fingerprint import (
    TRUTH_OF_CELLS,
    Description,
    annotation_arguments,
    describe,
    fingerprint_of_measurements,
)
from sbnn.data.inputs import load_into_memory, select_outputs
from sbnn.errors import check_among, check_number, warn

TYPE_COLUMNS = ["family", "type"]


#: Key of ``uns`` with the hash of what `paired` has validated.
STAMP = "sbnn_stamp"


@dataclass(frozen=True, eq=False)
class Measurements:
    """Validated arrays of two measurements of the same cells."""

    X: np.ndarray  # log expression, float32 of shape (n_cells, n_genes)
    Y: np.ndarray  # outputs in their units, float32 of shape (n_cells, n_outputs)
    gene_names: np.ndarray
    feature_names: np.ndarray
    cell_names: np.ndarray
    counts: Any  # raw counts, (n_cells, n_genes), dense or sparse, or None
    library_size: float | None  # to which they were normalised, if X was computed from them
    sha256: str


@dataclass(frozen=True, eq=False)
class Paired(Measurements):
    """Arrays made by `as_paired`."""

    labels: pd.DataFrame  # with the columns "family" and "type"
    colors: dict[str, str]  # type -> "#RRGGBB"
    name: str
    about: dict[str, Any]  # all of `uns["sbnn"]`
    truth: dict[str, Any]  # of simulated data

    @property
    def n_cells(self) -> int:
        """Number of cells."""
        return self.X.shape[0]

    @property
    def n_genes(self) -> int:
        """Number of genes."""
        return self.X.shape[1]

    @property
    def has_median_library_size(self) -> bool:
        """Whether ``X`` was computed from `counts` with the median total of these cells."""
        if self.library_size is None:
            return False
        return bool(self.library_size == np.median(row_sums(self.counts)))

    def without_labels(self) -> Paired:
        """The same measurements, without types, their colours and the truth of a simulation."""
        no_labels = pd.DataFrame(index=self.labels.index)
        return replace(self, labels=no_labels, colors={}, truth={})

    @property
    def names(self) -> dict[str, np.ndarray]:
        """Names as stored in records."""
        return {
            "gene_names": self.gene_names,
            "feature_names": self.feature_names,
            "cell_names": self.cell_names,
        }

    @property
    def type_labels(self) -> dict[str, Any]:
        """Labels and colours as stored in records."""
        return {"labels": self.labels[["family", "type"]], "colors": self.colors}


class Parts(NamedTuple):
    """Two measurements as they are given; `paired` explains them."""

    X: Any
    Y: Any = None
    gene_names: Any = None
    feature_names: Any = None
    cell_names: Any = None
    counts: Any = None
    library_size: Any = None


def paired(
    X: Any,
    Y: ArrayLike | pd.DataFrame | None = None,
    gene_names: Sequence[str] | np.ndarray | pd.Index | None = None,
    feature_names: Sequence[str] | np.ndarray | pd.Index | None = None,
    cell_names: Sequence[str] | np.ndarray | pd.Index | None = None,
    labels: pd.DataFrame | None = None,
    colors: Mapping[str, str] | None = None,
    counts: Any = None,
    *,
    check: bool = True,
    **about: Any,
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
    counts : array, sparse matrix or DataFrame, shape (n_cells, n_genes), optional
        Raw counts; of a DataFrame, cells and genes are matched by name. An `X` that is given
        is taken as it is, unless ``library_size`` says that it was computed from them.
    check : bool
        Whether to reject constant columns and raw counts, if there are outputs.
    **about
        Entries of ``uns["sbnn"]``:

        - ``name``, and ``source``: citation and origin of the data.
        - ``files``: file name -> sha256.
        - ``dropped``: reason -> names or number of cells or genes left out.
        - ``notes``: what a reader did.
        - ``library_size``: the number, if `X` is log2(1 + counts / total * library_size); by
          default, if `X` is None, the median total. It is left out if `X` is something else. With
          it, models are saved with a `CountNormalizer` for new cells, and cross-validation replaces
          a median total by that of the training cells.
        - ``truth``: ``"genes"`` that drive `Y`, ``"latent"`` of shape (n_cells, d) and noise-free
          ``"outputs"``.

    Returns
    -------
    AnnData
        With labels in ``obs``, ``layers["counts"]``, ``obsm["outputs"]`` (a DataFrame),
        ``obsm["true_latent"]``, ``obsm["true_outputs"]``, ``uns["sbnn"]`` and, as in scanpy,
        ``uns["type_colors"]``; ``uns["sbnn_stamp"]`` says that the measurements were validated.

    Raises
    ------
    ValueError
        If values are not finite numbers, rows or names do not match, names repeat, or counts are
        not whole numbers; with `check`, also if a column is constant, or X looks like raw counts
        (whole numbers, some above 20) or has values beyond logarithms, without `notes`.

    Warns
    -----
    UserWarning
        With `check`, if cells have the same genes and outputs as an earlier one.

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
    description = describe("paired", about)
    parts = Parts(
        X=X,
        Y=Y,
        gene_names=gene_names,
        feature_names=feature_names,
        cell_names=cell_names,
        counts=counts,
        library_size=description.library_size,
    )
    # a reader knows whether values are counts
    measurements = validate_parts(parts, check, is_described=description.notes is not None)
    cell_labels = checks.order_labels(labels, measurements.cell_names)
    adata = as_adata(build_paired(measurements, cell_labels, colors or {}, description))
    if check:
        adata.uns[STAMP] = hash_measurements(adata)
    return adata


def as_adata(data: Any) -> AnnData:
    """The AnnData of `paired` for cells in any container that `as_paired` takes, without a stamp.

    Besides the measurements, it has labels, truth and description only.
    """
    cells = as_paired(data)
    obs = cells.labels.copy()
    obs["type"] = pd.Categorical(obs["type"], categories=list(cells.colors))
    adata = AnnData(cells.X, obs, pd.DataFrame(index=cells.gene_names))
    if len(cells.feature_names):
        adata.obsm["outputs"] = pd.DataFrame(cells.Y, obs.index, cells.feature_names)
    if cells.counts is not None:
        adata.layers["counts"] = cells.counts
    for key in TRUTH_OF_CELLS:
        if key in cells.truth:
            adata.obsm[f"true_{key}"] = cells.truth[key]
    adata.uns["type_colors"] = list(cells.colors.values())
    adata.uns["sbnn"] = cells.about
    return adata


def as_paired(data: Any, check: bool = True) -> Paired:
    """Arrays of an AnnData, or of a pair (X, Y); see `paired`.

    Beside an AnnData, Y may be a key of ``obsm`` or a list of columns of ``obs``.

    The stamp in ``uns``, which files keep, spares the validation of unchanged measurements. Labels
    and the description are not in it. Cells that were changed, or that come with a Y, are validated
    at every call. `check` is as in `paired`.
    """
    if isinstance(data, Paired):  # converted before
        return data
    is_pair = isinstance(data, tuple) and len(data) == 2
    X, Y = data if is_pair else (data, None)
    if isinstance(X, AnnData):
        adata = load_into_memory(X)
        description = Description(**annotation_arguments(adata))
        if Y is None and adata.uns.get(STAMP) == hash_measurements(adata):
            measurements = unpack_measurements(adata)
        else:
            parts = Parts(
                X=adata.X,
                Y=select_outputs(adata, Y),
                gene_names=adata.var_names,
                cell_names=adata.obs_names,
                counts=adata.layers.get("counts"),
                library_size=description.library_size,
            )
            measurements = validate_parts(parts, check, is_described=description.notes is not None)
        labels = adata.obs.drop(columns=Y) if isinstance(Y, list) else adata.obs
        return build_paired(measurements, labels, read_type_colors(adata), description)
    if is_pair:
        measurements = validate_parts(Parts(X=X, Y=Y), check)
        no_labels = pd.DataFrame(index=measurements.cell_names)
        return build_paired(measurements, no_labels, {}, Description())
    got = type(data).__name__
    raise TypeError(f"data: expected an AnnData or a pair (X, Y), got {got}")


def hash_measurements(adata: AnnData) -> str:
    """Hash of what `paired` has validated, and of what it found: the stamp of an AnnData.

    If it differs, as after a change or with other libraries, cells are validated again.
    """
    counts = adata.layers.get("counts")
    if sparse.issparse(counts):  # whose class depends on the file that they were read from
        rows = sparse.csr_array(counts)
        counts = rows.data, rows.indices, rows.indptr
    table = adata.obsm.get("outputs", pd.DataFrame())
    # not the table, as a copy may have another order in memory
    outputs = np.ascontiguousarray(table), [*getattr(table, "columns", ())]
    about = adata.uns.get("sbnn", {})
    found = about.get("sha256"), about.get("library_size"), about.get("notes") is not None
    names = [*adata.obs_names], [*adata.var_names]
    return joblib.hash([names, adata.X, counts, outputs, found])


def unpack_measurements(adata: AnnData) -> Measurements:
    """Measurements of cells that have the stamp."""
    outputs = adata.obsm.get("outputs", pd.DataFrame(index=adata.obs_names))
    counts = adata.layers.get("counts")
    about = adata.uns["sbnn"]
    return Measurements(
        X=adata.X,
        Y=outputs.to_numpy(np.float32),
        gene_names=adata.var_names.to_numpy().astype(str),
        feature_names=outputs.columns.to_numpy().astype(str),
        cell_names=adata.obs_names.to_numpy().astype(str),
        counts=sparse.csr_array(counts) if sparse.issparse(counts) else counts,
        library_size=about.get("library_size"),
        sha256=about["sha256"],
    )


def build_paired(
    measurements: Measurements,
    labels: pd.DataFrame,
    colors: Mapping[str, Any],
    description: Description,
) -> Paired:
    """Measurements with labels of their cells, colours of the types, and the description."""
    cell_labels = checks.fill_labels(labels, TYPE_COLUMNS)
    about = description.entries(measurements.sha256, measurements.library_size)
    return Paired(
        **vars(measurements),
        labels=cell_labels,
        colors=fill_colors(colors, cell_labels),
        name=description.name,
        about=about,
        truth=about["truth"] | description.truth_of_cells(),
    )


def read_type_colors(adata: AnnData) -> dict[str, str]:
    """Colour of each type; as in scanpy, a list in the order of the types."""
    types = pd.Categorical(adata.obs.get("type", ())).categories
    colors = adata.uns.get("type_colors", ())
    if isinstance(colors, str):  # R makes a single text of one colour
        colors = [colors]
    # scanpy replaces a palette that is too short
    if len(colors) < len(types):
        return {}
    return dict(zip(types, colors, strict=False))


def validate_parts(parts: Parts, check: bool, is_described: bool = False) -> Measurements:
    """Convert parts to clean arrays, or name the mistake."""
    library_size = parts.library_size
    if library_size is not None:
        check_number("library_size", library_size, float, low=LEAST_LIBRARY)
    X = parts.X
    if X is None and parts.counts is None:
        raise ValueError("X: expected log expression, or None beside raw counts as counts=")
    if X is None:
        X = log2p1(normalize_library_size(parts.counts, library_size))
    named = parts.counts if parts.X is None else X
    Y = parts.Y
    if isinstance(Y, pd.Series):
        Y = Y.to_frame(Y.name or "output_0")
    x = _float_matrix(X, "X")
    y = np.zeros((len(x), 0), np.float32) if Y is None else _float_matrix(Y, "Y")
    if len(y) != len(x):
        raise ValueError(f"Y: expected the {len(x)} cells of X, got {len(y)}")

    name_of_named = "counts" if parts.X is None else "X"
    gene_names, argument = choose_names(parts.gene_names, named, "gene_names", name_of_named)
    genes = checks.fill_names(gene_names, argument, kind="gene", size=x.shape[1])
    output_names, argument = choose_names(parts.feature_names, Y, "feature_names", "Y")
    outputs = checks.fill_names(output_names, argument, kind="output", size=y.shape[1])
    cell_names = parts.cell_names
    for table in (named, Y):
        if cell_names is None:
            cell_names = checks.get_cell_names(table)
    cells = checks.fill_names(cell_names, "cell_names", kind="cell", size=len(x))
    checks.check_finite(x, "X", cells=cells, columns=genes)
    checks.check_finite(y, "Y", cells=cells, columns=outputs)
    rows = pd.DataFrame(index=cells)
    checks.check_in_order(rows, named, name_of_named)
    checks.check_in_order(rows, Y, "Y")

    counts = parts.counts
    if isinstance(counts, pd.DataFrame):
        order = checks.order_by_name(counts.index, cells, "counts")
        columns = checks.order_by_name(counts.columns, genes, "counts")
        counts = counts.iloc[order, columns]
    if counts is not None:
        counts = convert_counts(counts, x.shape)
    if check and len(outputs):  # raw counts may have genes that no cell expresses
        _require_variation(x, "X", genes)
        _require_variation(y, "Y", outputs)
        if not is_described:
            check_logarithms(x)
        _warn_of_copies(x, y, cells)

    if parts.X is not None:
        library_size = confirm_library_size(x, counts, library_size)
    elif library_size is None:
        library_size = float(np.median(row_sums(counts)))

    sha256 = fingerprint_of_measurements(
        cells=cells.tolist(),
        genes=genes.tolist(),
        X=x,
        counts=counts,
        library_size=library_size,
        outputs=pd.DataFrame(y, columns=outputs) if len(outputs) else None,
    )
    return Measurements(
        X=x,
        Y=y,
        gene_names=genes,
        feature_names=outputs,
        cell_names=cells,
        counts=counts,
        library_size=library_size,
        sha256=sha256,
    )


def choose_names(given: Any, table: Any, argument: str, of_table: str) -> tuple[Any, str]:
    """Names that were given, or those of the columns of a table, but not both, and the argument."""
    columns = getattr(table, "columns", None)
    if given is not None and columns is not None:
        raise ValueError(f"{argument}: the table has names of its own; rename its columns instead")
    return (given, argument) if columns is None else (columns, of_table)


def _float_matrix(values, argument):
    checks.check_numeric(values, argument)
    if isinstance(values, pd.DataFrame):
        values = checks.read_numbers(values, argument)
    floats = check_array(
        dense(values),
        dtype=np.float32,
        order="C",
        ensure_all_finite=False,  # `check_finite` names the cell
        ensure_2d=False,
        input_name=argument,
    )
    return floats.reshape(len(floats), -1)


def _require_variation(values, argument, names):
    constant = names[np.ptp(values, axis=0) == 0]
    if len(constant):
        raise ValueError(
            f"columns of {argument} with the same value in all cells ({len(constant)}): "
            f"{abbreviate(constant)}; leave them out"
        )


def _warn_of_copies(x, y, names):
    """Name cells that are in the table twice, as copies of a test cell train the model."""
    rows = [hash((genes.tobytes(), outputs.tobytes())) for genes, outputs in zip(x, y, strict=True)]
    copies = names[pd.Index(rows).duplicated()]
    if len(copies):
        warn(
            f"cells with the same genes and outputs as an earlier one ({len(copies)}): "
            f"{abbreviate(copies)}; leave them out: test R2, and the weight of ridge in a stacked "
            "prediction, are wrong if copies of the cells left out are among the others"
        )


def get_groups(data: Paired, groups: str | ArrayLike) -> np.ndarray:
    """Group of every cell, from a label or an array."""
    if isinstance(groups, str):
        check_among("groups", groups, data.labels)
        return checks.match_groups(data.labels[groups], data.labels, groups)
    return checks.match_groups(groups, data.labels, "groups")
