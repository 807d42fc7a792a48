"""Effect of each kept gene on every output and on the map, and the loss of R2 without the gene."""

import copy

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone
from sklearn.utils.validation import (
    _check_n_features,
    check_array,
    check_consistent_length,
    check_is_fitted,
)

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.inputs import cells_of, new_cells, output_names, output_table, two_tables
from sbnn.data.paired import as_paired, groups_of
from sbnn.data.preselection import settings_of, with_preselected
from sbnn.determinism import reproducible
from sbnn.errors import attempt, documented, naming
from sbnn.evaluation.folds import grouped_folds, paper_folds, split_and_scale
from sbnn.evaluation.identity import described
from sbnn.evaluation.runs import load_or_compute
from sbnn.evaluation.stability import selection_table
from sbnn.models.linear import kept_genes
from sbnn.results import Record, require

ROWS_AT_ONCE = 16_384  # number of points on integration paths to evaluate at once


@documented
def interpret(
    model,
    X,
    Y=None,
    *,
    gene_names=None,
    feature_names=None,
    stability=None,
    baseline=None,
    name="custom",
    random_state=0,
):
    """Interpret the kept genes of a fitted model, for tables and figures.

    Parameters
    ----------
    model : fitted network or linear model with ``coef_``
    X : array-like, DataFrame, AnnData, MuData or ExpressionStream, shape (n, p)
    Y : array-like, shape (n, q) or (n,); or the name of a table in ``X.obsm`` or of a modality
        Measured outputs; required unless `X` contains them. Effects are averaged and R2 is computed
        over the given cells. Use held-out cells, scaled like the training cells, since ``r2_drop``
        is overestimated on training cells.
    gene_names, feature_names : sequence of str, optional
        Names of the genes and outputs; by default, the names stored in the model or the tables.
    stability : Series or DataFrame with the column ``frequency``, optional
        Frequency with which each gene is kept, as returned by `sbnn.selection_table`.
    baseline : array-like, shape (p,), optional
        Reference value of each gene, in units of `X`; by default the training means, if the model
        stores them.
    name : str
        Name of the data.
    random_state : int
        Seed to store in the record; it does not affect the values.

    Returns
    -------
    Record
        For k kept genes, q outputs and d latent variables, ``values`` contains

        - ``share_mean`` and ``share_absolute`` of shape (k, q): the integrated gradients and their
          absolute values, averaged over the cells, in the units of the outputs;
        - ``steps`` of shape (k, q): the mean change of the output, in its own units, when the gene
          increases by one SD;
        - ``effects`` of shape (k, q): the slope of the integrated gradients on the expression, in
          SDs of the measured output per SD of the gene;
        - ``latent_steps`` of shape (k, d): the mean shift of the cells on the map when the gene
          increases by one SD;
        - ``latent_lengths`` of shape (k,): the mean length of these shifts;
        - ``kept_genes``, ``gene_sd``, ``gene_norms`` and ``r2_drops`` of shape (k,), where
          ``r2_drops`` is the loss of R2 when the gene is set to its baseline;
        - ``feature_names`` and ``output_sd`` of shape (q,);
        - ``gap``: the largest error in the sum of the shares of a cell, in SDs of the output;
        - ``r2``: R2 with the measured expression of all genes;
        - ``table``: one row per gene, sorted by decreasing loss of R2, with the columns ``norm``,
          ``stability`` (if given; 0 for genes missing from `stability`), ``output`` (the output
          with the largest effect), ``effect``, ``shift`` (mean length of the shift) and
          ``r2_drop``.

    Notes
    -----
    For a linear model, ``effects`` and ``steps`` (in SDs of the output) both equal the coefficient.
    The two differ if a network saturates: a single gene may not move any cell out of its type
    (small ``steps``) and still contribute to the separation of types (large ``effects``).
    ``share_mean`` does not measure the effect of a gene: if the baseline is the training mean, the
    shares of cells above and below the mean cancel.
    """
    X, Y = two_tables(X, Y)
    table = output_table(X, Y)
    values, outputs = (
        expression_of(model, X),
        check_array(table, dtype=np.float64, ensure_2d=False, input_name="Y"),
    )
    check_consistent_length(values, outputs)
    outputs = outputs.reshape(len(outputs), -1)
    kept = kept_genes(model)
    if gene_names is None:
        gene_names = getattr(model, "feature_names_in_", [f"x{j}" for j in range(values.shape[1])])
    if feature_names is None:
        known = None if isinstance(table, pd.DataFrame) else getattr(model, "output_names_", None)
        feature_names = output_names(table, outputs.shape[1]) if known is None else known
    if (np.shape(gene_names), np.shape(feature_names)) != (values.shape[1:], outputs.shape[1:]):
        raise ValueError(
            f"gene_names, feature_names: expected {values.shape[1]} and {outputs.shape[1]} names"
        )

    baseline = baseline_of(model, values, baseline)
    shares = integrated_gradients(model, values, baseline)
    latent, steps = finite_differences(model, values)
    output_sd = np.where(np.ptp(outputs, axis=0) == 0, 1, outputs.std(0))
    norms = (
        model.gene_norms_
        if hasattr(model, "gene_norms_")
        else np.linalg.norm(np.atleast_2d(model.coef_), axis=0)
    )
    gap = np.abs(completeness_gap(model, values, shares, baseline)) / output_sd
    found = {"kept_genes": np.asarray(gene_names)[kept], "feature_names": np.asarray(feature_names)}
    found |= {
        "share_mean": shares.mean(0),
        "share_absolute": np.abs(shares).mean(0),
        "steps": steps.mean(0),
    }
    way = values[:, kept] - baseline[kept]
    squares = np.square(way).sum(0)[:, np.newaxis]
    slopes = np.einsum("nk,nkq->kq", way, shares) / np.where(squares == 0, 1, squares)
    # in SDs of the outputs per SD of the genes
    found["effects"] = slopes * way.std(0)[:, np.newaxis] / output_sd
    found |= {"gene_sd": values[:, kept].std(0), "output_sd": output_sd, "gap": float(gap.max())}
    found |= {"gene_norms": norms[kept], "r2_drops": r2_drops(model, values, table, baseline)}
    found["r2"] = float(_asked(model, "score", values, table))
    if (cells := cells_of(X)) is not None:
        found["cell_names"] = np.asarray(cells).astype(str)
    if latent is not None:
        found |= {
            "latent_steps": latent.mean(0),
            "latent_lengths": np.linalg.norm(latent, axis=2).mean(0),
        }
    with naming(
        "stability: expected a Series indexed by gene, or a DataFrame with the column frequency"
    ):
        found["table"] = _gene_table(found, stability)
    settings = {"estimator": described(model), "n_cells": len(values)}
    about = name, fingerprint_arrays(values, outputs), [{}], random_state, settings, [], found
    return attempt(
        "name, random_state: expected text and a whole number", Record, "interpretation", *about
    )


def interpret_held_out(
    estimator, data, halves, *, groups=None, preselect=None, results=None, overwrite=False
):
    """Fit an estimator to three quarters of the cells, and `interpret` the fitted model on the
    other cells.

    Parameters
    ----------
    estimator : SparseBottleneckRegressor or DistilledBottleneckRegressor
        Estimator for z-scored data; all cells are scaled by the means and SDs of the fitted cells.
    data : AnnData, MuData or tuple (X, Y)
    halves : Record
        Record returned by `sbnn.stability_selection` for the same data, with the frequency of each
        gene.
    groups : str or array-like of shape (n,), optional
        Donor, batch or date of each cell, or the name of a column of ``obs``. Groups are not split
        between fitted and held-out cells.
    preselect : int, optional
        Number of genes to use in the fit, chosen on the fitted cells by the published criterion.
    results : str or path-like, optional
        File in which the record is saved. An interpretation that the file already holds is loaded,
        not repeated.
    overwrite : bool
        Compute the interpretation again, even if `results` contains it.

    Returns
    -------
    Record
        Record as returned by `interpret`; `sbnn.plotting.effect_map` plots it.
    """
    data, stability = as_paired(data), selection_table(halves)
    require(halves, "halves", [], data)
    if groups is None:
        fold, split = paper_folds(data.n_cells, 4)[0], "a quarter"
    else:
        of_cells = groups_of(data, groups)
        fold = grouped_folds(of_cells, min(4, len(np.unique(of_cells))))[0]
        split = f"groups, {len(fold[1])} cells: {fingerprint_arrays(fold[1])}"
    frequencies = fingerprint_arrays(
        stability.index.to_numpy(str), stability["frequency"].to_numpy()
    )
    settings = {"scaling": "fold", "held out": split, "stability": frequencies} | settings_of(
        preselect
    )

    def compute():
        chosen = with_preselected(data, preselect, fold[0])[0]
        X_train, Y_train, X_test, Y_test = split_and_scale(chosen, fold)
        names = {
            "gene_names": chosen.gene_names,
            "feature_names": data.feature_names,
            "name": data.name,
        }
        model = clone(estimator).fit(X_train, Y_train)
        return interpret(model, X_test, Y_test, stability=stability, **names).values

    wanted = Record(
        "interpretation", data.name, data.sha256, [{}], estimator.random_state, settings
    )
    return load_or_compute(
        wanted, compute, results, overwrite, estimator=estimator, n_cells=len(fold[0])
    )


def _gene_table(found, stability):
    """Table of the weight norm, stability, effects and loss of R2 of each kept gene."""
    effects = found["effects"]
    strongest = np.abs(effects).argmax(1)
    columns, index = (
        {"norm": found["gene_norms"]},
        pd.Index(found["kept_genes"].astype(str), name="gene"),
    )
    if stability is not None:
        frequency = stability["frequency"] if isinstance(stability, pd.DataFrame) else stability
        columns["stability"] = frequency.reindex(index).fillna(0.0).to_numpy()
    columns |= {
        "output": found["feature_names"][strongest],
        "effect": effects[np.arange(len(effects)), strongest],
    }
    columns |= {"shift": found["latent_lengths"]} if "latent_lengths" in found else {}
    table = pd.DataFrame(columns | {"r2_drop": found["r2_drops"]}, index)
    return table.sort_values("r2_drop", ascending=False, kind="stable")


def expression_of(model, X):
    """Expression of the genes that the model was fitted to, as float64."""
    check_is_fitted(model)
    named = not isinstance(X, np.ndarray | list | pd.DataFrame)
    if named or (isinstance(X, pd.DataFrame) and hasattr(model, "feature_names_in_")):
        return new_cells(model, X, needed=kept_genes(model))
    # avoids a warning that the model or X has no names
    X = check_array(X, dtype=np.float64, input_name="X")
    _check_n_features(model, X, reset=False)
    return X


def baseline_of(model, X, baseline=None):
    """The given baseline, or the training means of the model."""
    baseline = getattr(model, "x_mean_", None) if baseline is None else baseline
    baseline = attempt("baseline: expected numbers", np.asarray, baseline, dtype=np.float64)
    if baseline.shape != X.shape[1:]:
        raise ValueError(
            f"baseline: expected a number for each of {X.shape[1]} genes, got shape {baseline.shape}"
        )
    return baseline


def integrated_gradients(model, X, baseline, n_steps=32):
    """Share of each kept gene in the prediction for each cell, shape (n, k, q), in the units of the
    fitted outputs.

    The gradient of the prediction is averaged along the straight line from the baseline to the cell
    by Gauss-Legendre quadrature, and multiplied by the difference between the cell and the baseline
    (Sundararajan, Taly and Yan, ICML 2017). The sum of the shares of a cell equals the prediction
    for the cell minus the prediction for the baseline, to within about 0.001 SD for a network and
    exactly for a linear model.
    """
    kept = kept_genes(model)
    if hasattr(model, "network_"):
        mean, scale, limits = (
            model.x_mean_[kept],
            model.x_scale_[kept],
            (model.x_min_[kept], model.x_max_[kept]),
        )
        # Inputs of the network, clipped to the range of the training cells.
        start, end = (
            (np.clip(values, *limits) - mean) / scale for values in (baseline[kept], X[:, kept])
        )
        with reproducible(model.n_threads):
            return _along_lines(model.network_, start, end - start, n_steps) * model.y_scale_
    return (X[:, kept] - baseline[kept])[:, :, np.newaxis] * np.atleast_2d(model.coef_).T[kept]


def _along_lines(network, start, way, n_steps):
    """Integrated gradients along the lines from `start` to `start + way`, shape (n, k, q), in scaled units."""
    network = copy.deepcopy(network).double().requires_grad_(False)
    device = network.flat.device
    nodes, weights = np.polynomial.legendre.leggauss(n_steps)
    nodes, weights = (torch.as_tensor(a / 2, device=device) for a in (nodes + 1, weights))
    start = torch.as_tensor(start, device=device)
    shares = np.empty((*way.shape, network.shapes[-1][1]))
    at_once = max(1, ROWS_AT_ONCE // n_steps)
    for first in range(0, len(way), at_once):
        block = torch.as_tensor(way[first : first + at_once], device=device)
        points = (start + nodes[:, None, None] * block).reshape(-1, len(start)).requires_grad_()
        outputs = network(points)
        for j in range(outputs.shape[1]):
            [slopes] = torch.autograd.grad(outputs[:, j].sum(), points, retain_graph=True)
            mean = torch.einsum("s,snk->nk", weights, slopes.view(n_steps, *block.shape))
            shares[first : first + at_once, :, j] = (mean * block).cpu().numpy()
    return shares


def completeness_gap(model, X, shares, baseline):
    """Error of the integrated gradients for each cell and output, shape (n, q).

    The error is the sum of the shares minus the difference between the predictions for the cell and
    for the baseline.
    """
    return shares.sum(1) - (
        _asked(model, "predict", X) - _asked(model, "predict", baseline[np.newaxis])
    )


def finite_differences(model, X):
    """Changes of the map, shape (n, k, d), and of predictions, shape (n, k, q), when a gene increases by one SD."""
    changes, kept = {"transform": None}, kept_genes(model)
    for method in (method for method in ("transform", "predict") if hasattr(model, method)):
        raised = (X + np.where(np.arange(X.shape[1]) == gene, X[:, gene].std(), 0) for gene in kept)
        after = [_asked(model, method, cells) for cells in raised]
        changes[method] = np.stack(after, 1) - _asked(model, method, X)[:, np.newaxis]
    return list(changes.values())


def r2_drops(model, X, Y, baseline):
    """Loss of R2 for each kept gene when the gene is set to its baseline in every cell; the model is not refitted."""
    blind = (np.where(np.arange(X.shape[1]) == gene, baseline, X) for gene in kept_genes(model))
    return _asked(model, "score", X, Y) - np.array(
        [_asked(model, "score", cells, Y) for cells in blind]
    )


def _asked(model, method, X, *Y):
    """Predictions or latent space of cells as a matrix, or the score of the model."""
    # Pass the gene names that the model was fitted with, to avoid a warning about missing names.
    named = (
        pd.DataFrame(X, columns=model.feature_names_in_)
        if hasattr(model, "feature_names_in_")
        else X
    )
    found = getattr(model, method)(named, *Y)
    return found if Y else np.asarray(found).reshape(len(X), -1)
