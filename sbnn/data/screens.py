"""Perturbation screens: AnnData outside, checked once at the border, a few arrays inside."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from scipy import sparse

from sbnn.data.checks import check_labels, check_names, some
from sbnn.data.fingerprint import fingerprint_arrays, fingerprint_parameters

KEY = "perturbation"
LARGEST = np.iinfo(np.int32).max


@dataclass(frozen=True, eq=False)
class Screen:
    """The arrays of a screen, as all code below the border takes them; `as_screen` makes it."""

    counts: sparse.csr_array  # int32, (n_cells, n_genes)
    perturbation: np.ndarray  # str, (n_cells,)
    control: str | None  # perturbation of the cells in which nothing was perturbed
    gene_names: np.ndarray
    cell_names: np.ndarray
    labels: pd.DataFrame
    name: str = "custom"
    sha256: str = ""
    truth: dict = field(default_factory=dict)  # of simulations: "latents" (n_cells, d), "shifts" (DataFrame)

    @property
    def targets(self):
        """Sorted names of the perturbations, without the control."""
        names = np.unique(self.perturbation)
        return names[names != self.control] if self.control is not None else names


def screen(
    counts, perturbation, control=None, gene_names=None, cell_names=None, labels=None, *,
    name="custom", source="the user's counts", sha256="", files=None, dropped=None, truth=None,
):  # fmt: skip
    """Build an AnnData of a perturbation screen, checked.

    Parameters
    ----------
    counts : AnnData, or array, sparse matrix or DataFrame, shape (n_cells, n_genes)
        Raw counts; of an AnnData ``X``, with its names and, as labels, its ``obs``.
    perturbation : str or sequence of str, shape (n_cells,)
        Name of what was perturbed in each cell, such as a gene or a guide; a Series goes by its index if that names the
        cells. Of an AnnData the column of ``obs``.
    control : str, optional
        Name of the cells in which nothing was perturbed.
    gene_names, cell_names : sequence of str, optional
        Unique; by default those of the AnnData, DataFrame or Series, else ``gene_0``, ``cell_0`` and so on.
    labels : DataFrame, optional
        What else is known of the cells, such as the replicate, by cell name in any order.
    name, source : str
        Short name, and citation with the place the data came from.
    sha256 : str, optional
        Fingerprint by which stored results know the data, such as that of its files; by default that of the content.
    files : dict of str to str, optional
        Name -> sha256 of the files.
    dropped : dict of str to int, optional
        Why -> number of cells that were left out.
    truth : dict, optional
        Of simulations: ``"latents"``, shape (n_cells, d), and ``"shifts"``, a DataFrame of perturbations by latents.

    Returns
    -------
    AnnData
        Counts in ``X`` (CSR, int32), ``obs["perturbation"]`` and labels, true latents in ``obsm["true_latents"]``, all
        else, such as the control, in ``uns["sbnn"]``.

    Raises
    ------
    ValueError
        Counts that are negative, fractional or NaN (with their share), cells without a perturbation, a control that no
        cell has, names that repeat or do not fit.
    TypeError
        Counts that are not numbers.
    """
    from anndata import AnnData  # takes longer to import than all the rest

    if isinstance(counts, AnnData):
        gene_names, cell_names = counts.var_names, counts.obs_names
        labels, perturbation = counts.obs.drop(columns=perturbation), counts.obs[perturbation]
        counts = counts.X
    elif isinstance(counts, pd.DataFrame):
        gene_names = counts.columns if gene_names is None else gene_names
        cell_names = counts.index if cell_names is None else cell_names
    named = isinstance(perturbation, pd.Series) and not isinstance(perturbation.index, pd.RangeIndex)
    if cell_names is None and named:
        cell_names = perturbation.index
    counts = check_screen_counts(counts).astype(np.int32)
    genes = check_names(gene_names, "gene_names", "gene", counts.shape[1])
    cells = check_names(cell_names, "cell_names", "cell", counts.shape[0])
    if named:
        perturbation = perturbation.set_axis(perturbation.index.astype(str)).reindex(cells)
    perturbation = check_perturbation(perturbation, len(cells))
    control = None if control is None else str(control)
    if control is not None and control not in perturbation:
        raise ValueError(f"control: no cell is {control!r}; the perturbations are {some(np.unique(perturbation))}")
    obs = check_labels(labels, cells, ()).assign(**{KEY: pd.Categorical(perturbation)})
    content, truth = _fingerprint(counts, perturbation, control, genes, cells), dict(truth or {})
    obsm = {"true_latents": np.asarray(truth.pop("latents"))} if "latents" in truth else {}
    about = {
        "name": name, "source": source, "sha256": sha256 or content, "content_sha256": content, "files": files or {},
        "dropped": {why: n_cells for why, n_cells in (dropped or {}).items() if n_cells}, "truth": truth, "notes": [],
    }  # fmt: skip
    if control is not None:
        about["control"] = control
    return AnnData(counts, obs, pd.DataFrame(index=genes), uns={"sbnn": about}, obsm=obsm)


def as_screen(data):
    """The arrays of an AnnData in the layout of `screen`; one that lost the control's cells has no control."""
    if isinstance(data, Screen):  # one public function hands it to another
        return data
    if not hasattr(data, "obs") or KEY not in data.obs:
        raise ValueError(f"data: expected an AnnData with obs[{KEY!r}]; sbnn.data.screens.screen builds one")
    counts = check_screen_counts(data.X).astype(np.int32)
    perturbation = check_perturbation(data.obs[KEY], counts.shape[0])
    genes, cells = (np.asarray(names, dtype=str) for names in (data.var_names, data.obs_names))
    about = data.uns.get("sbnn", {})
    control = about.get("control")
    control = control if control in perturbation else None
    content = _fingerprint(counts, perturbation, control, genes, cells)
    sha256 = about["sha256"] if about.get("content_sha256") == content else content
    truth = dict(about.get("truth", {}))
    if "true_latents" in data.obsm:
        truth["latents"] = np.asarray(data.obsm["true_latents"])
    labels, name = data.obs.drop(columns=KEY), about.get("name", "custom")
    return Screen(counts, perturbation, control, genes, cells, labels, name, sha256, truth)


def check_screen_counts(given):
    """Counts as a CSR matrix of the dtype given, each stored in one way, or an error with the share of what is none."""
    given = given.to_numpy() if isinstance(given, pd.DataFrame) else given
    given = given if sparse.issparse(given) else np.asarray(given)
    if given.ndim != 2 or min(given.shape) == 0:
        raise ValueError(f"counts: expected cells x genes, got shape {given.shape}")
    if given.dtype.kind not in "biuf":
        raise TypeError(f"counts: expected counts, got values of type {given.dtype}")
    counts = sparse.csr_array(given)
    if not counts.has_canonical_format or not counts.data.all():
        counts = counts.copy()  # what follows works in place, on what may be memory of the caller
        counts.sum_duplicates()
        counts.eliminate_zeros()
    values, finite = counts.data, np.isfinite(counts.data)
    with np.errstate(invalid="ignore"):  # NaN and infinity are counted first
        wrong = {
            "NaN or infinite": ~finite,
            "negative": values < 0,
            "fractional": finite & (values % 1 != 0),
            f"larger (than {LARGEST})": values > LARGEST,
        }
    for kind, where in wrong.items():
        if where.any():
            share = f"({100 * where.sum() / np.prod(counts.shape, dtype=float):.3g} % of all)"
            told = f"got {where.sum()} {kind} values {share}, the first {values[where.argmax()]}"
            raise ValueError(f"counts: expected raw counts, whole numbers >= 0, {told}")
    return counts


def check_perturbation(given, n_cells):
    """Names of perturbations as an array of str, one of each cell."""
    names = np.asarray(given, dtype=object)
    if names.shape != (n_cells,):
        raise ValueError(f"perturbation: expected {n_cells} names, one of each cell, got shape {names.shape}")
    empty = pd.isna(names) | (names == "")
    if empty.any():
        place = f"the first at position {empty.argmax()}"
        raise ValueError(f"perturbation: {empty.sum()} cells have none, {place}; leave them out, or name the control")
    return names.astype(str)


def codes_of(perturbation, n_cells, control):
    """Sorted names of the perturbations, the position of each cell's among them, and their numbers of cells."""
    names, codes, sizes = np.unique(check_perturbation(perturbation, n_cells), return_inverse=True, return_counts=True)
    if control is not None and str(control) not in names:
        raise ValueError(f"control: no cell is {control!r}; the perturbations are {some(names)}")
    if sizes.min() < 2:
        raise ValueError(f"perturbation: {some(names[sizes < 2])} has one cell alone; each needs two or more")
    if len(names) < 2 + (control is not None):
        raise ValueError(f"perturbation: expected two or more besides the control, got {some(names)}")
    return names, codes, sizes


def _fingerprint(counts, perturbation, control, genes, cells):
    """Fingerprint of the content."""
    places = (counts.indices.astype(np.int64), counts.indptr.astype(np.int64))  # scipy chooses their type by size
    names = {"perturbation": perturbation, "control": control, "genes": genes, "cells": cells}
    return fingerprint_parameters({"counts": fingerprint_arrays(counts.data, *places), **names})
