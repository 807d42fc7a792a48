"""Effect of each kept gene on every output and on the map."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, clone
from sklearn.utils.validation import (
    _check_feature_names_in,
    _check_n_features,
    check_array,
    check_consistent_length,
    check_is_fitted,
)

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.inputs import new_cells, output_names, two_tables
from sbnn.data.paired import as_paired, groups_of
from sbnn.data.preselection import settings_of, with_preselected
from sbnn.determinism import reproducible
from sbnn.evaluation.folds import grouped_folds, paper_folds, split_and_scale
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.evaluation.stability import selection_table
from sbnn.models.linear import kept_genes
from sbnn.results import Record

ROWS_AT_ONCE = 16_384  # points on integration paths


def interpret(
    model: BaseEstimator,
    X,
    Y=None,
    *,
    gene_names: Sequence[str] | None = None,
    feature_names: Sequence[str] | None = None,
    stability: pd.Series | pd.DataFrame | None = None,
    baseline: ArrayLike | None = None,
    name: str = "custom",
) -> Record:
    """Interpret the kept genes of a fitted model.

    Parameters
    ----------
    model : fitted network or linear model with ``coef_``
    X : array-like, DataFrame or AnnData, shape (n, p)
    Y : array-like, shape (n, q) or (n,); or the name of a table in ``X.obsm``
        Outputs, unless `X` contains them. Use held-out cells, scaled like the training cells; in
        training cells, ``r2_drop`` is too large.
    gene_names, feature_names : sequence of str, optional
        By default, those of the model or the tables.
    stability : Series or DataFrame with the column ``frequency``, optional
        As from `sbnn.selection_table`.
    baseline : array-like, shape (p,), optional
        In units of `X`; by default the training means.
    name : str
        Name of the data.

    Returns
    -------
    Record
        For k kept genes, q outputs and d latent variables, ``values`` contains

        - ``share_mean`` and ``share_absolute``, (k, q): means over the cells of the integrated
          gradients and their absolute values, in units of the outputs;
        - ``steps``, (k, q): mean change of the output, in its units, per SD of the gene;
        - ``effects``, (k, q): slope of the integrated gradients on the expression, in SDs of the
          output per SD of the gene;
        - ``latent_steps``, (k, d), and ``latent_lengths``, (k,): mean shift on the map per SD of
          the gene, and its mean length;
        - ``kept_genes``, ``gene_sd``, ``gene_norms`` and ``r2_drops``, (k,), the loss of R2 with
          the gene at its baseline;
        - ``feature_names`` and ``output_sd``, (q,);
        - ``gap``: the largest error in the sum of shares of a cell, in SDs of the output;
        - ``r2``: R2 with all genes;
        - ``table``: one row per gene, sorted by loss of R2, with the columns ``norm``,
          ``stability``, ``output`` (that with the largest effect), ``effect``, ``shift`` and
          ``r2_drop``.

    Notes
    -----
    For a linear model, ``effects`` and ``steps`` (in SDs) equal the coefficient. If a network
    saturates, a gene may move no cell out of its type (small ``steps``) and still help to separate
    types (large ``effects``). In ``share_mean``, cells above and below the baseline cancel.

    Examples
    --------
    >>> from sbnn import SparseReducedRankRegression, interpret, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> model = SparseReducedRankRegression(alpha=20.0).fit(data[:70])
    >>> interpret(model, data[70:]).effects.shape  # kept genes, outputs
    (41, 16)
    """
    X, table = two_tables(X, Y)
    values = expression_of(model, X)
    outputs = check_array(table, dtype=np.float64, ensure_2d=False, input_name="Y")
    check_consistent_length(values, outputs)
    outputs = outputs.reshape(len(outputs), -1)
    if gene_names is None:
        gene_names = _check_feature_names_in(model)
    if feature_names is None:
        feature_names = output_names(table, outputs.shape[1])
        if not isinstance(table, pd.DataFrame):
            feature_names = getattr(model, "output_names_", feature_names)
    gene_names = np.asarray(gene_names)
    feature_names = np.asarray(feature_names)
    if (len(gene_names), len(feature_names)) != (values.shape[1], outputs.shape[1]):
        raise ValueError(
            f"gene_names, feature_names: expected {values.shape[1]} and {outputs.shape[1]} names"
        )

    kept = kept_genes(model)
    baseline = baseline_of(model, values, baseline)
    shares = integrated_gradients(model, values, baseline)  # (n, k, q)
    change = _asked(model, "predict", values) - _asked(model, "predict", baseline[np.newaxis])
    output_sd = np.where(np.ptp(outputs, axis=0) == 0, 1, outputs.std(0))
    way = values[:, kept] - baseline[kept]  # (n, k)
    squares = np.square(way).sum(0)[:, np.newaxis]
    slopes = np.einsum("nk,nkq->kq", way, shares) / np.where(squares == 0, 1, squares)
    norms = np.linalg.norm(np.atleast_2d(getattr(model, "coef_", 0)), axis=0)
    norms = getattr(model, "gene_norms_", norms)
    r2 = model.score(_named(model, values), table)
    found = {
        "kept_genes": gene_names[kept],
        "feature_names": feature_names,
        "share_mean": shares.mean(0),
        "share_absolute": np.abs(shares).mean(0),
        "steps": finite_differences(model, "predict", values).mean(0),
        # in SDs of the outputs per SD of the genes
        "effects": slopes * way.std(0)[:, np.newaxis] / output_sd,
        "gene_sd": values[:, kept].std(0),
        "output_sd": output_sd,
        "gap": float((np.abs(shares.sum(1) - change) / output_sd).max()),
        "gene_norms": norms[kept],
        "r2_drops": r2 - r2_without(model, values, table, baseline),
        "r2": r2,
    }
    if hasattr(model, "transform"):
        latent = finite_differences(model, "transform", values)  # (n, k, d)
        found["latent_steps"] = latent.mean(0)
        found["latent_lengths"] = np.linalg.norm(latent, axis=2).mean(0)
    found["table"] = _gene_table(found, stability)
    return Record(
        "interpretation",
        name,
        fingerprint_arrays(values, outputs),
        params=[{}],
        settings={"estimator": described(model), "n_cells": len(values)},
        values=found,
    )


def interpret_held_out(
    estimator, data, halves, *, groups=None, preselect=None, results=None, overwrite=False
):
    """Fit an estimator to three quarters of the cells, and `interpret` it on the others.

    Parameters
    ----------
    estimator : SparseBottleneckRegressor or DistilledBottleneckRegressor
        Gets z-scored data.
    data : AnnData or tuple (X, Y)
    halves : Record
        From `sbnn.stability_selection` for the same data.
    groups, preselect, results, overwrite
        As in `sbnn.stability_selection`.

    Returns
    -------
    Record
        As from `interpret`, for `sbnn.plotting.effect_map`.
    """
    data = as_paired(data)
    stability = selection_table(halves)["frequency"]
    settings = {
        "scaling": "fold",
        "held out": "a quarter",
        "stability": fingerprint_arrays(stability.index.to_numpy(str), stability.to_numpy()),
    }
    if groups is None:
        fold = paper_folds(data.n_cells, 4)[0]
    else:
        of_cells = groups_of(data, groups)
        fold = grouped_folds(of_cells, min(4, len(np.unique(of_cells))))[0]
        settings["held out"] = f"the {len(fold[1])} cells of some groups"
        settings["cells"] = fingerprint_arrays(fold[1])
    wanted = Record(
        "interpretation",
        data.name,
        data.sha256,
        params=[{}],
        seed=estimator.random_state,
        settings=settings | settings_of(preselect),
    )
    return load_or_compute(
        wanted,
        partial(_interpret_fold, estimator, data, fold, preselect, stability),
        results,
        overwrite,
        estimator=estimator,
        n_cells=len(fold[0]),
    )


def _interpret_fold(estimator, data, fold, preselect, stability):
    chosen, _ = with_preselected(data, preselect, fold[0])
    X_train, Y_train, X_test, Y_test = split_and_scale(chosen, fold)
    return interpret(
        clone(estimator).fit(X_train, Y_train),
        X_test,
        Y_test,
        gene_names=chosen.gene_names,
        feature_names=data.feature_names,
        stability=stability,
    ).values


def _gene_table(found, stability):
    genes = pd.Index(found["kept_genes"].astype(str), name="gene")
    table = pd.DataFrame({"norm": found["gene_norms"]}, genes)
    if isinstance(stability, pd.DataFrame):
        stability = stability["frequency"]
    if stability is not None:
        table["stability"] = stability.reindex(genes, fill_value=0.0)
    strongest = np.abs(found["effects"]).argmax(1)
    table["output"] = found["feature_names"][strongest]
    table["effect"] = found["effects"][np.arange(len(genes)), strongest]
    if "latent_lengths" in found:
        table["shift"] = found["latent_lengths"]
    table["r2_drop"] = found["r2_drops"]
    return table.sort_values("r2_drop", ascending=False, kind="stable")


def expression_of(model, X):
    """Expression of the genes of `fit`, as float64."""
    check_is_fitted(model)
    if isinstance(X, pd.DataFrame):
        match_by_name = hasattr(model, "feature_names_in_")
    else:
        match_by_name = not isinstance(X, np.ndarray | list)  # AnnData and other containers
    if match_by_name:
        return new_cells(model, X, needed=kept_genes(model))
    # scikit-learn's check would warn of missing names
    X = check_array(X, dtype=np.float64, input_name="X")
    _check_n_features(model, X, reset=False)
    return X


def baseline_of(model, X, baseline=None):
    """The given baseline, or the training means, (p,)."""
    if baseline is None:
        baseline = getattr(model, "x_mean_", None)
    baseline = np.asarray(baseline, dtype=np.float64)
    if baseline.shape != X.shape[1:]:
        raise ValueError(f"baseline: expected {X.shape[1]} numbers, got shape {baseline.shape}")
    return baseline


def integrated_gradients(model, X, baseline, n_steps=32):
    """Share of each kept gene in the prediction for each cell, (n, k, q), in units of the outputs.

    The mean gradient along the line from the baseline to the cell, times their difference
    (Sundararajan, Taly and Yan, ICML 2017). The shares of a cell add up to its prediction minus
    that for the baseline, to within about 0.001 SD for a network.
    """
    kept = kept_genes(model)
    if not hasattr(model, "network_"):
        return np.einsum("nk,qk->nkq", (X - baseline)[:, kept], np.atleast_2d(model.coef_)[:, kept])
    start = _network_inputs(model, baseline, kept)
    end = _network_inputs(model, X, kept)
    with reproducible(model.n_threads):
        return _along_lines(model.network_, start, end - start, n_steps) * model.y_scale_


def _network_inputs(model, X, kept):
    clipped = np.clip(X[..., kept], model.x_min_[kept], model.x_max_[kept])
    return (clipped - model.x_mean_[kept]) / model.x_scale_[kept]


def _along_lines(network, start, way, n_steps):
    network = copy.deepcopy(network).double().requires_grad_(False)
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    # from -1 ... 1 to 0 ... 1
    arrays = ((nodes + 1) / 2, weights / 2, start, way)
    nodes, weights, start, way = (torch.as_tensor(a, device=network.flat.device) for a in arrays)
    shares = []
    for block in way.split(max(1, ROWS_AT_ONCE // n_steps)):
        points = start + nodes[:, None, None] * block  # (n_steps, cells, k)
        inputs = points.reshape(-1, len(start)).requires_grad_()
        of_outputs = []
        for output in network(inputs).T:
            [slopes] = torch.autograd.grad(output.sum(), inputs, retain_graph=True)
            mean = torch.einsum("s,snk->nk", weights, slopes.view(points.shape))
            of_outputs.append(mean * block)
        shares.append(torch.stack(of_outputs, 2))
    return torch.cat(shares).cpu().numpy()


def finite_differences(model, method, X):
    """Changes of ``transform`` or ``predict``, (n, k, d), by one SD of a gene."""
    before = _asked(model, method, X)
    changes = []
    for gene in kept_genes(model):
        raised = X.copy()
        raised[:, gene] += X[:, gene].std()
        changes.append(_asked(model, method, raised) - before)
    return np.stack(changes, 1)


def r2_without(model, X, Y, baseline):
    """R2, (k,), with a kept gene at its baseline."""
    r2 = []
    for gene in kept_genes(model):
        blind = X.copy()
        blind[:, gene] = baseline[gene]
        r2.append(model.score(_named(model, blind), Y))
    return np.array(r2)


def _asked(model, method, X):
    return np.asarray(getattr(model, method)(_named(model, X))).reshape(len(X), -1)


def _named(model, X):
    """Cells with gene names, without which scikit-learn warns."""
    if hasattr(model, "feature_names_in_"):
        return pd.DataFrame(X, columns=model.feature_names_in_)
    return X
