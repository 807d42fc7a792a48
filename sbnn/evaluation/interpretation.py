"""What a fitted model does with each gene it kept: effect on every output and on the map, and what it is worth."""

import copy

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data.fingerprint import fingerprint_arrays
from sbnn.data.inputs import cells_of, new_cells, output_names, output_table, two_tables
from sbnn.determinism import reproducible
from sbnn.evaluation.identity import described
from sbnn.models.base import kept_genes
from sbnn.results import Record

ROWS_AT_ONCE = 16_384  # points of the paths that go through the network together
METHODS = ("mean", "permute")


def integrated_gradients(model, X, baseline=None, n_steps=32):
    """Share of every kept gene in the prediction of every cell.

    The gradient of the prediction is integrated along the straight line from the baseline to the cell and multiplied
    by the distance (Sundararajan, Taly and Yan, ICML 2017). The shares of a cell sum to its prediction minus that of
    the baseline; what is missing from this is the error of the quadrature (Gauss-Legendre). For linear models the
    shares are ``coef * (x - baseline)``, without any error.

    Parameters
    ----------
    model : fitted SparseBottleneckRegressor, or linear model with ``coef_``
    X : array-like, DataFrame, AnnData, MuData, PairedData or ExpressionStream, shape (n, p)
        As the model was fitted to them: z-scored, if it was fitted to z-scores.
    baseline : array-like, shape (p,), optional
        In units of `X`; by default the training means, where the model has them as ``x_mean_``.
    n_steps : int
        Points on the line; 32 leave about a thousandth of an SD.

    Returns
    -------
    ndarray of float64, shape (n, k, q)
        In the units of the outputs that the model was fitted to; genes as in ``get_support(indices=True)``, all
        genes if the model has no ``get_support``.

    Raises
    ------
    TypeError
        If the model is neither a network nor linear.
    ValueError
        If the baseline is not one finite number per gene, or missing; if `n_steps` is less than 1.
    """
    X = _expression(model, X)
    kept = kept_genes(model)
    baseline = _baseline(model, X, baseline)[kept]
    if n_steps < 1:
        raise ValueError(f"n_steps: expected at least 1, got {n_steps}")
    if hasattr(model, "network_"):
        mean, scale, limits = model.x_mean_[kept], model.x_scale_[kept], (model.x_min_[kept], model.x_max_[kept])
        # What the network is given: nothing beyond what it was trained on.
        start, end = ((np.clip(values, *limits) - mean) / scale for values in (baseline, X[:, kept]))
        with reproducible(model.n_threads):
            shares = _along_lines(model.network_, start, end - start, n_steps)
        return shares * model.y_scale_
    if hasattr(model, "coef_"):
        return (X[:, kept] - baseline)[:, :, np.newaxis] * np.atleast_2d(model.coef_).T[kept]
    raise TypeError(f"model: expected a sparse bottleneck network or a linear model, got {type(model).__name__}")


def _along_lines(network, start, way, n_steps):
    """Integrated gradients in units of scaled genes and outputs, shape (n, k, q), of lines start ... start + way."""
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


def completeness_gap(model, X, shares, baseline=None):
    """How far the shares of a cell are from summing to what they should.

    Parameters
    ----------
    model, X, baseline
        As for `integrated_gradients`.
    shares : ndarray, shape (n, k, q)
        From `integrated_gradients`.

    Returns
    -------
    ndarray, shape (n, q)
        Sum of the shares minus (prediction minus prediction of the baseline), in the units of the outputs. For a
        model with other genes than the kept ones at work it would not be near zero.
    """
    X = _expression(model, X)
    predicted, origin = _predict(model, X), _predict(model, _baseline(model, X, baseline)[np.newaxis])
    return shares.sum(1) - (predicted - origin)


def finite_differences(model, X, step=1.0):
    """Exact change of map and prediction of every cell when one gene is raised, all others held.

    Parameters
    ----------
    model : fitted regressor
        With ``predict``; ``transform``, where it has it, gives the map.
    X : array-like, DataFrame, AnnData, MuData, PairedData or ExpressionStream, shape (n, p)
        As the model was fitted to them.
    step : float
        In SD of each gene over the cells of `X`.

    Returns
    -------
    latent : ndarray, shape (n, k, d), or None
        How far the point of each cell moves, in latent units; None if the model has no map.
    outputs : ndarray, shape (n, k, q)
        In the units of the outputs that the model was fitted to.
    """
    X = _expression(model, X)
    kept = kept_genes(model)
    mapped = hasattr(model, "transform")
    before = _predict(model, X), _latent(model, X) if mapped else None
    outputs, latent = [], []
    for gene, sd in zip(kept, X[:, kept].std(0), strict=True):
        raised = X.copy()
        raised[:, gene] += step * sd
        outputs.append(_predict(model, raised) - before[0])
        if mapped:
            latent.append(_latent(model, raised) - before[1])
    return np.stack(latent, 1) if mapped else None, np.stack(outputs, 1)


def r2_drops(model, X, Y=None, method="mean", n_repeats=10, random_state=0, baseline=None):
    """How much R2 falls when the model is not told a gene; it is not fitted again.

    Parameters
    ----------
    model : fitted regressor
        With ``score`` (pooled R2).
    X : array-like, DataFrame, AnnData, MuData, PairedData or ExpressionStream, shape (n, p)
    Y : array-like, shape (n, q) or (n,), or str
        Genes and outputs of cells that the model was *not* fitted to: on its own training cells a gene seems worth
        more than it is. Scaled as the training cells were.
    method : {"mean", "permute"}
        Give every cell the baseline of the gene, or the value of another cell.
    n_repeats : int
        Permutations that are averaged.
    random_state : int
        Of the permutations.
    baseline : array-like, shape (p,), optional
        As for `integrated_gradients`.

    Returns
    -------
    ndarray, shape (k,)
        R2 with the gene minus R2 without it, for the kept genes. Negative if these cells are predicted better without.

    Raises
    ------
    ValueError
        If `method` is unknown or `n_repeats` is less than 1.

    References
    ----------
    Permutation importance: Breiman, Machine Learning 45, 2001.
    """
    if method not in METHODS:
        raise ValueError(f"method: {method!r} is unknown, expected one of {METHODS}")
    if n_repeats < 1:
        raise ValueError(f"n_repeats: expected at least 1, got {n_repeats}")
    X, Y = two_tables(X, Y)
    X, Y = _expression(model, X), output_table(X, Y)
    _check_rows(X, Y)
    random = check_random_state(random_state)
    baseline = _baseline(model, X, baseline) if method == "mean" else None
    full = model.score(_as_fitted(model, X), Y)
    drops = []
    for gene in kept_genes(model):
        scores = []
        for _ in range(n_repeats if method == "permute" else 1):
            told = X.copy()
            told[:, gene] = baseline[gene] if method == "mean" else random.permutation(X[:, gene])
            scores.append(model.score(_as_fitted(model, told), Y))
        drops.append(full - np.mean(scores))
    return np.array(drops)


def interpret(
    model,
    X,
    Y=None,
    *,
    gene_names=None,
    feature_names=None,
    stability=None,
    baseline=None,
    n_steps=32,
    method="mean",
    per_cell=False,
    name="custom",
    random_state=0,
):
    """Everything about the kept genes of a fitted model, for tables and figures.

    Parameters
    ----------
    model : fitted SparseBottleneckRegressor or linear model
    X : array-like, DataFrame, AnnData, MuData, PairedData or ExpressionStream, shape (n, p)
    Y : array-like, shape (n, q) or (n,); or the name of a table in ``X.obsm`` or of a modality
        Outputs, where X does not have them by itself. Effects are averaged and R2 is computed over these cells. They
        should be held out: on training cells ``r2_drop`` flatters. Scaled as the training cells were.
    gene_names, feature_names : sequence of str, optional
        By default those that the model or the tables know.
    stability : Series or DataFrame with the column ``frequency``, optional
        By gene, how often it is kept, as from `sbnn.evaluation.stability.gene_counts` or `selection_table`.
    baseline, n_steps
        As for `integrated_gradients`.
    method : {"mean", "permute"}
        As for `r2_drops`.
    per_cell : bool
        Keep the shares of every cell.
    name : str
        Of the data.
    random_state : int

    Returns
    -------
    Record
        ``experiment="interpretation"``; ``values`` has ``kept_genes`` (k) and ``feature_names`` (q); over (genes,
        outputs), in the units of the outputs: ``share_mean`` and ``share_absolute``, mean and mean absolute
        integrated gradient over the cells, and ``steps``, the mean change of the output when the gene of a cell rises
        by one SD; ``effects`` (k, q), the slope of the integrated gradients on the expression, in SD of the measured
        output per SD of the gene; ``latent_steps`` (k, d), mean move of the points on the map when the gene rises by
        one SD, and ``latent_lengths`` (k), mean length of the moves; ``gene_sd`` (k) and ``output_sd`` (q) over these
        cells; ``gap``, the largest error of the sum of the shares, in SD of the output; ``gene_norms`` and
        ``r2_drops`` (k); ``r2``, the score with all genes; ``table``, see `gene_table`; and, if `per_cell`,
        ``shares`` (n, k, q).

    Notes
    -----
    For a linear model ``effects`` and ``steps`` (in SD of the output) are the same number, the coefficient. They part
    where a network saturates: a single gene may move no cell out of its type (small ``steps``) and still be part of
    what tells the types apart (large ``effects``). The mean share has no such meaning: with the training mean as
    the baseline, cells above and below it cancel.
    """
    X, Y = two_tables(X, Y)
    table = output_table(X, Y)
    values, outputs = _expression(model, X), check_array(table, dtype=np.float64, ensure_2d=False, input_name="Y")
    _check_rows(values, outputs)
    outputs = outputs.reshape(len(outputs), -1)
    kept = kept_genes(model)
    genes = getattr(model, "feature_names_in_", _numbered(values.shape[1])) if gene_names is None else gene_names
    if len(genes) != values.shape[1]:
        raise ValueError(f"gene_names: expected {values.shape[1]}, one per gene, got {len(genes)}")
    names = output_names(table, outputs.shape[1]) if isinstance(table, pd.DataFrame) else feature_names
    names = getattr(model, "output_names_", output_names(table, outputs.shape[1])) if names is None else names
    if len(names) != outputs.shape[1]:
        raise ValueError(f"feature_names: expected {outputs.shape[1]}, one per output, got {len(names)}")

    shares = integrated_gradients(model, values, baseline, n_steps)
    latent, steps = finite_differences(model, values)
    output_sd = np.where(np.ptp(outputs, axis=0) == 0, 1, outputs.std(0))
    found = {
        "kept_genes": np.asarray(genes)[kept],
        "feature_names": np.asarray(names),
        "share_mean": shares.mean(0),
        "share_absolute": np.abs(shares).mean(0),
        "steps": steps.mean(0),
        "effects": _slopes(values[:, kept] - _baseline(model, values, baseline)[kept], shares, output_sd),
        "gene_sd": values[:, kept].std(0),
        "output_sd": output_sd,
        "gap": float((np.abs(completeness_gap(model, values, shares, baseline)) / output_sd).max()),
        "gene_norms": _norms(model)[kept],
        "r2_drops": r2_drops(model, values, table, method, random_state=random_state, baseline=baseline),
        "r2": float(model.score(_as_fitted(model, values), table)),
    }
    if (cells := cells_of(X)) is not None:
        found["cell_names"] = np.asarray(cells).astype(str)
    if latent is not None:
        found["latent_steps"] = latent.mean(0)
        found["latent_lengths"] = np.linalg.norm(latent, axis=2).mean(0)
    if per_cell:
        found["shares"] = shares
    settings = {"estimator": described(model), "method": method, "n_steps": n_steps, "n_cells": len(values)}
    sha256 = fingerprint_arrays(values, outputs)
    record = Record("interpretation", name, sha256, [{}], random_state, settings, [], found)
    record.values["table"] = gene_table(record, stability)
    return record


def gene_table(record, stability=None):
    """One row per kept gene: how strong, how stable, what it does and what it is worth.

    Parameters
    ----------
    record : Record
        From `interpret`.
    stability : Series or DataFrame with the column ``frequency``, optional
        By gene.

    Returns
    -------
    DataFrame
        Indexed by gene, the largest drop of R2 first: ``norm`` (of the weights that leave the gene), ``stability`` (if
        given; 0 for a gene it does not name), ``output`` on which the effect is largest, ``effect`` (signed: SD of
        that output per SD of the gene), ``shift`` (mean length of the move on the map when the gene rises by one SD,
        if there is a map) and ``r2_drop``.
    """
    effects = record.effects
    strongest = np.abs(effects).argmax(1)
    columns = {"norm": record.gene_norms}
    index = pd.Index(record.kept_genes.astype(str), name="gene")
    if stability is not None:
        frequency = stability["frequency"] if isinstance(stability, pd.DataFrame) else stability
        columns["stability"] = frequency.reindex(index).fillna(0.0).to_numpy()
    columns["output"] = record.feature_names[strongest]
    columns["effect"] = effects[np.arange(len(effects)), strongest]
    if "latent_lengths" in record.values:
        columns["shift"] = record.latent_lengths
    columns["r2_drop"] = record.r2_drops
    return pd.DataFrame(columns, index=index).sort_values("r2_drop", ascending=False, kind="stable")


def _expression(model, X):
    """Expression as float64, with the genes that the model was fitted to."""
    check_is_fitted(model)
    named = not isinstance(X, np.ndarray | list | pd.DataFrame)
    if named or (isinstance(X, pd.DataFrame) and hasattr(model, "feature_names_in_")):
        return new_cells(model, X, needed=kept_genes(model))
    X = check_array(X, dtype=np.float64, input_name="X")  # without a warning that model or X has no names
    if X.shape[1] != model.n_features_in_:
        raise ValueError(f"X: expected {model.n_features_in_} genes, as in the fit, got {X.shape[1]}")
    return X


def _check_rows(X, Y):
    if len(Y) != len(X):
        raise ValueError(f"Y: expected {len(X)} rows, one for each cell of X, got {len(Y)}")


def _as_fitted(model, X):
    """With the names that the model saw, so that it does not warn of missing ones."""
    return pd.DataFrame(X, columns=model.feature_names_in_) if hasattr(model, "feature_names_in_") else X


def _predict(model, X):
    return np.asarray(model.predict(_as_fitted(model, X))).reshape(len(X), -1)


def _latent(model, X):
    return np.asarray(model.transform(_as_fitted(model, X)))


def _baseline(model, X, baseline):
    if baseline is None and not hasattr(model, "x_mean_"):
        raise ValueError(f"baseline: {type(model).__name__} does not keep the training means, give them")
    baseline = np.asarray(model.x_mean_ if baseline is None else baseline, dtype=np.float64)
    if baseline.shape != X.shape[1:] or not np.isfinite(baseline).all():
        raise ValueError(f"baseline: expected {X.shape[1]} finite numbers, one per gene, got shape {baseline.shape}")
    return baseline


def _slopes(way, shares, output_sd):
    """Slopes (k, q) of the shares on the expression, in SD of the outputs per SD of the genes."""
    squares = np.square(way).sum(0)
    slopes = np.einsum("nk,nkq->kq", way, shares) / np.where(squares == 0, 1, squares)[:, np.newaxis]
    return slopes * way.std(0)[:, np.newaxis] / output_sd


def _norms(model):
    """Weight norm of every gene: the model's own, else of its coefficients over the outputs."""
    return model.gene_norms_ if hasattr(model, "gene_norms_") else np.linalg.norm(np.atleast_2d(model.coef_), axis=0)


def _numbered(p):
    return np.array([f"x{j}" for j in range(p)])
