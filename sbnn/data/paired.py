"""Two measurements of the same cells: AnnData outside, checked once at the border, a few named arrays inside."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from sbnn.data.checks import (
    UNKNOWN,
    check_colors,
    check_counts,
    check_finite,
    check_given_once,
    check_labels,
    check_matrix,
    check_names,
    check_outliers,
    check_varies,
    some,
    warn_of_raw_counts,
)
from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.inputs import output_table
from sbnn.data.objects import entry, in_memory, is_anndata, is_mudata, obsm_table, two_modalities


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
    counts: object = None  # raw counts behind X, array or CSR of the same shape
    name: str = "custom"
    sha256: str = ""
    about: dict = field(default_factory=dict)  # what `uns["sbnn"]` holds besides, such as "source" and "truth"

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
    def truth(self):
        """Of simulated data: what `paired` was given, of these cells and genes."""
        return self.about.get("truth", {})


def paired(
    X, Y=None, gene_names=None, feature_names=None, cell_names=None, labels=None, colors=None, counts=None, *,
    name="custom", source="the user's arrays", sha256="", files=None, dropped=None, truth=None, notes=(),
):  # fmt: skip
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
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint by which stored results know the data, such as that of its files; by default that of the arrays.
    files : dict of str to str, optional
        Name -> sha256 of the files.
    dropped : dict of str to list of str, optional
        Why -> names of the cells or genes that were left out.
    truth : dict, optional
        Of simulated data: ``"genes"`` that drive `Y`, ``"latent"`` (n_cells, d), noise-free ``"outputs"``, and others.
    notes : sequence of str, optional
        What a reader did, a sentence each.

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
    frames = [table for table in (X, Y) if isinstance(table, pd.DataFrame)]
    if len(frames) == 2 and not frames[0].index.equals(frames[1].index):
        raise ValueError("X and Y: the DataFrames must have the same index, the same cells in the same order")
    gene_names = getattr(X, "columns", None) if gene_names is None else gene_names
    feature_names = getattr(Y, "columns", None) if feature_names is None else feature_names
    cell_names = frames[0].index if cell_names is None and frames else cell_names
    X = check_matrix(X, "X")
    Y = np.zeros((len(X), 0), np.float32) if Y is None else check_matrix(Y, "Y")
    counts = check_counts(counts, X.shape)
    _check_values(X, Y, gene_names, feature_names, cell_names)
    cells = check_names(cell_names, "cell_names", "cell", len(X))
    genes = check_names(gene_names, "gene_names", "gene", X.shape[1])
    labels = check_labels(labels, cells, ("family", "type"))
    colors = check_colors(colors, labels["type"])
    truth = dict(truth or {})
    content = _fingerprint(X, Y, counts)

    import anndata  # takes longer to import than all the rest

    obs = labels.assign(type=pd.Categorical(labels["type"], categories=list(colors)))
    adata = anndata.AnnData(X, obs, pd.DataFrame(index=genes))
    if Y.shape[1]:
        outputs = check_names(feature_names, "feature_names", "output", Y.shape[1])
        adata.obsm["outputs"] = pd.DataFrame(Y, obs.index, outputs)
    if counts is not None:
        adata.layers["counts"] = counts
    adata.uns["type_colors"] = list(colors.values())
    adata.uns["sbnn"] = {
        "name": name,
        "source": source,
        "sha256": sha256 or content,
        "content_sha256": content,
        "files": dict(files or {}),
        "dropped": {why: [str(n) for n in names] for why, names in (dropped or {}).items() if len(names)},
        "truth": {key: value for key, value in truth.items() if key not in ("latent", "outputs")},
        "notes": [str(note) for note in notes],
    }
    for key in truth.keys() & {"latent", "outputs"}:  # they follow a subset of the cells
        adata.obsm[f"true_{key}"] = np.asarray(truth[key])
    return adata


def as_paired(data):
    """Take the `Paired` arrays of an AnnData, a MuData or a pair (X, Y), whose Y may also be a name in X."""
    if isinstance(data, Paired):  # one public function hands it to another
        return data
    if is_anndata(data) or is_mudata(data):
        return _arrays(data if is_anndata(data) else from_anndata(data))
    if not (isinstance(data, tuple | list) and len(data) == 2):
        raise TypeError(f"data: expected an AnnData, a MuData or a pair (X, Y), got {type(data).__name__}")
    X, Y = data
    if is_anndata(X) or is_mudata(X):
        named = isinstance(Y, str) or (isinstance(Y, list) and all(isinstance(name, str) for name in Y))
        return _arrays(from_anndata(X, Y if named else _as_table(output_table(X, Y))))
    return _arrays(paired(X, _as_table(Y)))


def from_anndata(
    adata, outputs="outputs", *, expression="rna", layer=None, counts="counts", family_key="family", type_key="type",
    name=None, source=None,
):  # fmt: skip
    """Bring an AnnData or MuData of another layout into the layout of `paired`.

    Parameters
    ----------
    adata : AnnData or MuData
    outputs : str, list of str, DataFrame or None
        A modality of a MuData, by default the only one beside `expression`; a key of ``obsm``; columns of ``obs``; the
        outputs themselves; or None for none.
    expression : str
        Modality with the genes.
    layer : str, optional
        Where the log expression is; ``X`` by default.
    counts : str or None
        Layer with the raw counts, taken if it is there.
    family_key, type_key : str
        Columns of ``obs`` with the coarse and the fine label; colours are those of ``uns["<type_key>_colors"]``.
    name, source : str, optional

    Returns
    -------
    AnnData
        Cells that only one modality holds are left out, with a warning, and named in ``uns["sbnn"]["dropped"]``.

    Raises
    ------
    KeyError, ValueError
        Parts that the object does not hold (the message lists those it does); an AnnData that is open on disk; as for
        `paired`.
    """
    everything, dropped, Y = adata, {}, outputs
    if is_mudata(adata):
        adata, Y, dropped = two_modalities(adata, outputs, expression)
    elif isinstance(outputs, str):
        Y = obsm_table(adata, outputs)
    elif isinstance(outputs, list):
        Y = pd.DataFrame({column: entry(adata.obs, column, "adata.obs") for column in outputs})
    X = in_memory(adata) if layer is None else entry(adata.layers, layer, "adata.layers")
    labels = adata.obs.copy()
    if everything is not adata:  # what is said of all modalities fills in what this one does not say
        shared = everything.obs.reindex(labels.index)
        labels = labels.join(shared[shared.columns.difference(labels.columns, sort=False)])
    colors = _palette(labels.get(type_key), (adata.uns, everything.uns), type_key)
    labels = _plain(labels)
    for column, key in (("family", family_key), ("type", type_key)):
        if key in labels:
            labels[column] = labels[key]
    if isinstance(outputs, list):
        labels = labels.drop(columns=outputs)
    about = adata.uns.get("sbnn", {})
    return paired(
        X, Y, adata.var_names, None, adata.obs_names, labels, colors,
        adata.layers.get(counts),
        name=name or about.get("name", "custom"), source=source or about.get("source", "an AnnData object"),
        dropped=dropped,
    )  # fmt: skip


def groups_of(data, column):
    """Group of every cell, such as its donor, by a column of ``obs``; cells of unknown group are refused."""
    labels = data.labels if isinstance(data, Paired) else data.obs
    values = entry(labels, column, "obs").astype(object)
    lacking = values.isna() | values.isin([UNKNOWN, ""])
    if lacking.any():
        names = some(values.index[lacking])
        raise ValueError(f"{column!r} of {lacking.sum()} cells is not known; leave them out: {names}")
    return values.to_numpy(dtype=str)


def _arrays(adata):
    """The arrays of an AnnData in the layout of `paired`, checked unless `paired` has checked these very values."""
    X = check_matrix(in_memory(adata), "X")
    table = obsm_table(adata, "outputs") if "outputs" in adata.obsm else pd.DataFrame(index=adata.obs_names)
    Y = check_matrix(table, "Y") if table.shape[1] else np.zeros((len(X), 0), np.float32)
    counts = check_counts(adata.layers.get("counts"), X.shape)
    about = dict(adata.uns.get("sbnn", {}))
    content = _fingerprint(X, Y, counts)
    trusted = about.pop("content_sha256", "") == content
    if not trusted:
        _check_values(X, Y, adata.var_names, table.columns, adata.obs_names)
    cells = check_names(adata.obs_names, "obs_names", "cell", len(X))
    types = adata.obs.get("type")
    colors = _palette(types, (adata.uns,), "type")
    labels = check_labels(_plain(adata.obs), cells, ("family", "type"))
    truth = dict(about.get("truth", {}))
    if "genes" in truth:
        truth["genes"] = [gene for gene in truth["genes"] if gene in adata.var_names]
    truth |= {key: adata.obsm[f"true_{key}"] for key in ("latent", "outputs") if f"true_{key}" in adata.obsm}
    sha256 = about.pop("sha256", "")
    genes = check_names(adata.var_names, "var_names", "gene", X.shape[1])
    features = check_names(table.columns, "feature_names", "output", Y.shape[1])
    name, colors = str(about.pop("name", "custom")), check_colors(colors, labels["type"])
    sha256, about = str(sha256) if trusted else content, about | {"truth": truth}
    return Paired(X, Y, genes, features, cells, labels, colors, counts, name, sha256, about)


def _check_values(X, Y, genes, outputs, cells):
    """Refuse what cannot be meant, and warn of what is unlikely, naming cells and columns."""
    if not X.size:
        raise ValueError(f"X has shape {X.shape}, expected at least one cell and one gene")
    if len(Y) != len(X):
        raise ValueError(f"X has {len(X)} rows and Y has {len(Y)}, expected the same cells in both")
    cells = check_names(cells, "cell_names", "cell", len(X))
    for values, argument, kind, given in ((X, "X", "gene", genes), (Y, "Y", "output", outputs)):
        columns = check_names(given, f"{kind}_names" if kind == "gene" else "feature_names", kind, values.shape[1])
        check_finite(values, argument, cells, columns)
        if Y.shape[1]:  # raw counts without outputs may hold genes that no cell expresses
            check_varies(values, argument, kind, columns)
            check_outliers(values, argument, cells, columns)
    if Y.shape[1]:
        check_given_once(X, Y)
        warn_of_raw_counts(X, "X", "log-transform it, or keep counts in layers['counts']")


def _fingerprint(X, Y, counts):
    return fingerprint_arrays(X, Y) if counts is None else fingerprint_arrays(X, Y, counts)


def _as_table(Y):
    """One output as a table of one column."""
    if isinstance(Y, pd.Series):
        return Y.to_frame(Y.name or "output_0")
    return np.reshape(Y, (-1, 1)) if isinstance(Y, np.ndarray | list) and np.ndim(Y) == 1 else Y


def _plain(labels):
    """Labels without categories."""
    return labels.assign(**{name: labels[name].astype(object) for name in labels.select_dtypes("category")})


def _palette(types, places, key):
    """Colours in scanpy's convention, in the order of the categories, or given as type -> colour."""
    palette = next((uns[f"{key}_colors"] for uns in places if f"{key}_colors" in uns), None)
    if types is None or palette is None:
        return {}
    if not isinstance(palette, Mapping):
        categories = types.astype("category").cat.categories
        if len(palette) < len(categories):  # scanpy takes such a palette for one of other types, and makes a new one
            return {}
        palette = dict(zip(categories, palette, strict=False))
    from matplotlib.colors import to_hex  # slow to import, and needed here alone

    return {str(n): c if isinstance(c, str) and len(c) == 7 else to_hex(c).upper() for n, c in palette.items()}
