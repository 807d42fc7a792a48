"""Fits to all cells and to halves of them."""

from __future__ import annotations

from itertools import chain
from math import comb
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.linear_model import LinearRegression

from sbnn.data.fingerprint import fingerprint
from sbnn.data.paired import Paired, as_adata, as_paired, get_groups
from sbnn.data.preprocessing import select_genes
from sbnn.determinism import reproducible
from sbnn.errors import check_number, check_path
from sbnn.evaluation.crossval import cross_validate, predict_like
from sbnn.evaluation.folds import group_codes, panel_mask, scale_fold
from sbnn.evaluation.interpretation import effects_on_outputs
from sbnn.evaluation.maps import embed
from sbnn.evaluation.runs import (
    configure,
    describe_estimator,
    require_methods,
    store_result,
)
from sbnn.files import require_writable
from sbnn.metrics import cells_behind, feature_r2, pooled_r2
from sbnn.models.base import model_in_units
from sbnn.models.saved import MODEL, model_checksum
from sbnn.models.stacked import StackedRegressor, stacked_in_units
from sbnn.results import Fold, Record, save


def _has_model_file(record, arguments):
    """Whether the model file of a call of `fit_full`, if it wants one, belongs to the record."""
    path = arguments["model_file"]
    if path is None:
        return True
    try:
        return model_checksum(path) == record.values.get("model_sha256")
    except (FileNotFoundError, ValueError):
        return False


@store_result(is_complete=_has_model_file, convert=as_adata)
def fit_full(
    estimator: BaseEstimator,
    data: AnnData | tuple | Paired,
    *,
    preselect: int | None = None,
    results: str | PathLike[str] | None = None,
    model_file: str | PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 0,
) -> Record:
    """Fit an estimator to the z-scored data of all cells.

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``transform`` and ``get_support``.
    data : AnnData or tuple (X, Y)
    preselect : int, optional
        As in `cross_validate`, but on all cells.
    results : str or path-like, optional
        File of the record, loaded if it holds this fit.
    model_file : str or path-like, optional
        File of the fitted network, for cells in the units of `data`. If it is missing, damaged
        or that of another fit, the model is fitted again and replaces it; a file that is no model
        is an error.
    overwrite : bool
        Fit again.
    seed : int
        Of t-SNE and, if ``random_state`` of the estimator is None, of the fit.

    Returns
    -------
    Record
        For n cells, p genes, k kept genes, q outputs and d latent variables, ``values`` contains

        - ``latent``, (n, d), and ``embedding``, (n, 2), its t-SNE if d > 2;
        - ``predictions`` and ``outputs``, (n, q), z-scored;
        - ``kept_genes``, their names, and ``selected``, (p,), a mask;
        - ``expression`` and ``predicted_expression`` (from the latent space), (n, k), z-scored;
        - ``effects``, (k, q), of `interpret`, for `sbnn.plotting.effect_map`; records that were
          saved by earlier versions lack them;
        - ``train_r2``, and ``train_feature_r2``, (q,);
        - ``gene_order``, (k,), names of the kept genes in the order of choice, if the estimator
          has ``gene_order_``;
        - the names, labels and colours of the data;
        - ``gene_norms``, (p,), and the table ``history``, if the estimator has them;
        - ``model_sha256``, the checksum of the model file, if there is one.
    """
    require_methods(estimator, "transform", "get_support")
    if model_file is not None:  # known before the fit
        check_path("model_file", model_file)
        require_writable(model_file, MODEL)
    cells = as_paired(data)
    model = configure(estimator, {}, seed)
    everywhere = np.arange(cells.n_cells), np.arange(0)
    panel = panel_mask(model, cells.gene_names)
    X, Y, _, _, genes = scale_fold(
        cells, everywhere, scaling="all", preselect=preselect, panel=panel
    )
    names = cells.gene_names[genes]
    values = cells.names | cells.type_labels | _fit_values(model, X, Y, names=names, seed=seed)
    if model_file is not None:
        rescale = stacked_in_units if isinstance(model, StackedRegressor) else model_in_units
        fitted = rescale(model, cells, names)
        fitted.save(model_file, record=fingerprint(values))
        values["model_sha256"] = model_checksum(Path(model_file))
    described_model = describe_estimator(model)
    return Record(
        experiment="fit",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[described_model["params"]],
        seed=seed,
        settings={"estimator": described_model, "scaling": "all", "preselect": preselect},
        values=values,
    )


def _fit_values(model, X, Y, names, seed):
    """Values of a fit to z-scored data, (n, p), an array or a table, and (n, q)."""
    measured = np.asarray(X)
    with reproducible():
        model.fit(X, Y)
        latent = np.asarray(model.transform(X))
        kept = model.get_support()
        predictions = predict_like(model, X, Y)
        if getattr(model, "reconstruct", False):
            expression = model.reconstruct_genes(X)
        else:
            expression = LinearRegression().fit(latent, measured[:, kept]).predict(latent)
        values = {
            "latent": latent.astype(np.float32),
            "embedding": embed(latent, seed).astype(np.float32),
            "predictions": predictions.astype(np.float32),
            "outputs": Y,
            "gene_names": names,
            "selected": kept,
            "kept_genes": names[kept],
            "expression": measured[:, kept],
            "predicted_expression": expression.astype(np.float32),
            "effects": effects_on_outputs(model, X, Y, kept).astype(np.float32),
            "train_r2": pooled_r2(Y, predictions, 0.0),
            "train_feature_r2": feature_r2(Y, predictions, 0.0),
        }
    if hasattr(model, "gene_norms_"):
        values["gene_norms"] = model.gene_norms_
    if hasattr(model, "gene_order_"):
        values["gene_order"] = names[model.gene_order_]
    if hasattr(model, "history_"):
        values["history"] = model.history_
    return values


@store_result(convert=as_adata)
def gene_selection(
    data: AnnData | Paired,
    n_genes: int = 1000,
    threshold: float = 0,
    *,
    results: str | PathLike[str] | None = None,
    overwrite: bool = False,
) -> Record:
    """Select genes from raw counts, and store the curve.

    Parameters
    ----------
    data : AnnData
        With raw counts in ``layers["counts"]``.
    n_genes, threshold, results, overwrite
        See `sbnn.preprocessing.select_genes` and `fit_full`.

    Returns
    -------
    Record
        ``values`` contains ``gene_names`` and the fields of `GeneSelection`, for
        `sbnn.plotting.gene_selection_curve`.
    """
    cells = as_paired(data)
    selection = select_genes(cells.counts, n_genes, threshold)
    return Record(
        experiment="gene-selection",
        dataset=cells.name,
        sha256=cells.sha256,
        params=[{"n_genes": n_genes, "threshold": threshold}],
        values=vars(selection) | {"gene_names": cells.gene_names},
    )


def complementary_pairs(
    n: int, n_pairs: int = 50, seed: int = 0, groups: ArrayLike | None = None
) -> list[Fold]:
    """Folds that train on a half of the cells and test the other one, then the reverse.

    For pairs of disjoint halves, the bounds of Shah and Samworth (J. R. Stat. Soc. B 75, 2013) need
    no exchangeable genes, unlike that of Meinshausen and Buehlmann (2010) for random halves.
    """
    check_number("n_pairs", n_pairs, int, low=1)
    codes = np.arange(n) if groups is None else group_codes(groups, "groups")
    n_groups = codes.max() + 1
    size = n_groups // 2
    if not size:
        raise ValueError("groups: expected at least two groups, got one")
    # ways to leave out one of an odd number of groups, times ways to halve the others
    n_possible = comb(n_groups, 2 * size) * comb(2 * size, size) // 2
    rng = np.random.default_rng(seed)
    pairs: dict[frozenset[bytes], list[Fold]] = {}
    while len(pairs) < min(n_pairs, n_possible):
        half, other_half = rng.permutation(n_groups)[: 2 * size].reshape(2, size)
        cells = np.flatnonzero(np.isin(codes, half))
        other_cells = np.flatnonzero(np.isin(codes, other_half))
        # the same two halves count once, whichever is drawn first
        halves = frozenset([cells.tobytes(), other_cells.tobytes()])
        pairs[halves] = [(cells, other_cells), (other_cells, cells)]
    return list(chain(*pairs.values()))


def stability_selection(
    estimator: BaseEstimator,
    data: AnnData | tuple | Paired,
    n_pairs: int = 50,
    *,
    groups: str | ArrayLike | None = None,
    seed: int = 0,
    **options: Any,
) -> Record:
    """Fit an estimator to halves of the cells (stability selection).

    Parameters
    ----------
    estimator : scikit-learn-style regressor
        With ``get_support``, and without required or candidate genes.
    data : AnnData or tuple (X, Y)
    n_pairs : int
        Number of pairs of halves.
    groups : str or array-like of shape (n,), optional
        Donor, batch or date of each cell, or a column of ``obs``; not split between halves, which
        limits the number of pairs.
    seed : int
        Of the halves. If ``random_state`` of the estimator is None, as it must be for
        `SparseBottleneckRegressor`, the fit to each half has a seed of its own.
    **options
        ``n_jobs``, ``scaling``, ``results``, ``overwrite``, ``preselect`` and ``verbose`` of
        `cross_validate`.

    Returns
    -------
    Record
        As from `cross_validate`, for `selection_table`; ``values`` also contains ``cells_behind``,
        (p,), the number of cells behind each gene (see `sbnn.metrics.cells_behind`).

    Raises
    ------
    ValueError
        If `estimator` has required or candidate genes, all halves would start from the same
        weights, by which genes are kept, or as from `cross_validate`.
    """
    require_methods(estimator, "get_support")
    if getattr(estimator, "_genes_depend_on_seed", False) and estimator.random_state is not None:
        raise ValueError(
            f"estimator: with random_state={estimator.random_state}, all halves start from the "
            "same weights and keep the same genes, even of noise; leave random_state=None, and "
            "give stability_selection a seed"
        )
    check_number("seed", seed, int, low=0)
    cells = as_paired(data)
    if panel_mask(estimator, cells.gene_names) is not None:
        raise ValueError(
            "estimator: how often a gene is kept says nothing if it must be kept; set "
            "required_genes and candidate_genes to None, and give data of the candidates only"
        )
    cell_groups = None if groups is None else get_groups(cells, groups)
    halves = complementary_pairs(cells.n_cells, n_pairs, seed=seed, groups=cell_groups)
    # halves with the same seed would not be independent
    seeds = range(seed, seed + len(halves))
    record = cross_validate(estimator, cells, halves, seed=seeds, keep=(), **options)
    if "cells_behind" not in record.values:  # as in results of an earlier version
        record.values["cells_behind"] = cells_behind(cells.X - cells.X.mean(axis=0, dtype=float))
        if options.get("results") is not None:
            save(record, options["results"])
    return record
