"""Scores of models of dynamics: accuracy of inferred networks and of predicted test samples."""

from __future__ import annotations

import time
from functools import partial
from itertools import product
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.dynamics.model import DynamicsRegressor
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from sklearn.base import BaseEstimator

    from sbnn.typehints import PathLike


STRONGEST = 500  # largest number of edges that are stored


def evaluate(
    model: BaseEstimator,
    data: Mapping[int, AnnData],
    *,
    method: str,
    condition: str,
    details: bool = False,
    results: PathLike | None = None,
    overwrite: bool = False,
) -> Record:
    """Fit a model to several data sets, one per seed, and score its networks and predictions.

    Parameters
    ----------
    model : estimator
        For example `PhoenixRegressor`. Each fit uses a clone with the seed as its ``random_state``.
    data : dict of int to AnnData
        Data sets by seed, each with ``obs["split"]`` ("train" or "test"), ``varp["prior"]`` and, if
        the truth is known, ``varp["truth"]``, as returned by ``sbnn.load_dataset("grn_350",
        random_state=seed)``. Several seeds may share the same data.
    method, condition : str
        Names under which tables and figures find the scores. The names are part of the identity of
        the record.
    details : bool
        Whether to store the data that figures need: the strongest edges and the predicted test
        samples of the first fit or, for `PriorAlone`, the test samples themselves.
    results : path-like, optional
        File to save the record to. If the file exists, the record is loaded from it instead.
    overwrite : bool
        Whether to compute the scores again if the file exists.

    Returns
    -------
    Record
        ``scores`` has a row for each seed, with `edge_accuracy` (if the truth is known),
        `path_errors`, the sparsity and the CPU time of the fit in seconds. ``out_degree`` is the
        number of targets of each gene in the network of the first seed.

    Raises
    ------
    ValueError
        The file contains an experiment with different data, seeds, parameters, method or condition.
    """
    wanted = _wanted("methods", data, {"method": method}, condition=condition)
    compute = partial(_scores_and_details, model, data, details)
    return load_or_compute(wanted, compute, results, overwrite, estimator=clone(model))


def sparsity_curve(model, data, prunings, sparsities, *, results=None, overwrite=False):
    """Score a `PhoenixRegressor` with every pruning method at every sparsity.

    Parameters and the returned record are otherwise as for `evaluate`.

    Parameters
    ----------
    model : PhoenixRegressor
    data : dict of int to AnnData
    prunings : sequence of str
    sparsities : sequence of float
    results : path-like, optional
    overwrite : bool

    Returns
    -------
    Record
        ``scores`` has a row for each pruning method (``method``), requested sparsity (``asked``)
        and ``seed``.
    """
    grid = {"methods": list(prunings), "sparsities": list(sparsities)}
    wanted = _wanted("sparsities", data, {}, **grid)
    compute = partial(_scores_by_sparsity, model, data, prunings, sparsities)
    return load_or_compute(wanted, compute, results, overwrite, estimator=model)


def _wanted(kind, data, params, **settings):
    """Record that describes an experiment, without values."""
    if not isinstance(data, dict) or not data:
        raise TypeError(f"data: expected a dict of seeds and AnnData objects, got {data!r}")
    about = [of_seed.uns["sbnn"] for of_seed in data.values()]
    sha256 = fingerprint_parameters({"data": [of_seed["sha256"] for of_seed in about]})
    settings |= {"seeds": list(data), "version": 1}
    return Record(f"dynamics {kind}", about[0]["name"], sha256, [params], settings=settings)


def _scores_and_details(model, data, details):
    """Scores of a model for each seed, and details of the first fit."""
    rows = []
    for seed, of_seed in data.items():
        fitted = configured(model, {}, seed)
        rows.append({"seed": seed} | fit_and_score(fitted, of_seed))
        if len(rows) == 1:
            kept = {"out_degree": _n_targets(fitted.edge_scores_)}
            if details:
                kept |= _details(fitted, of_seed)
    return {"scores": pd.DataFrame(rows)} | kept


def _scores_by_sparsity(model, data, prunings, sparsities):
    """Scores of every pruning method at every sparsity, for each seed."""
    rows = []
    for pruning, sparsity, seed in product(prunings, sparsities, data):
        fitted = configured(model, {"pruning": pruning, "sparsity": sparsity}, seed)
        row = fit_and_score(fitted, data[seed])
        rows.append({"method": pruning, "asked": sparsity, "seed": seed} | row)
    return {"scores": pd.DataFrame(rows)}


def held_out(data):
    """Test data as `Samples`."""
    return as_trajectories(data[data.obs["split"] == "test"])


def _n_targets(edges):
    return np.count_nonzero(edges, axis=1).astype(np.int32)


def fit_and_score(model, data):
    """Fit a model and score it.

    The scores are `edge_accuracy`, if the truth is known, `path_errors`, sparsity and CPU seconds.
    """
    train = data[data.obs["split"] == "train"]
    prior = prior_of(data)
    truth = truth_of(data)
    started = time.process_time()
    model.fit(train, prior)
    row = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if truth is not None:
            confidence = getattr(model, "edge_probabilities_", None)
            row |= edge_accuracy(model.edge_scores_, truth, prior, confidence)
        return row | path_errors(model, held_out(data))


def _details(model, data):
    """Data that figures need: edges and predictions or, for baselines, the test samples."""
    samples = held_out(data)
    values = np.stack(samples.values)
    times = np.stack(samples.times)
    if isinstance(model, DynamicsRegressor):
        predicted = model.predict(values[:, 0], times).astype(np.float32)
        return {"edges": strongest(model.edge_scores_, data), "predicted": predicted}
    details = {
        "test": values.astype(np.float32),
        "times": times,
        "gene_names": data.var_names.to_numpy(str),
    }
    truth = truth_of(data)
    if truth is not None and len(truth) == data.n_vars:
        details["true_out_degree"] = _n_targets(truth)
    return details


def strongest(edge_scores, data):
    """DataFrame of the edges with the largest absolute scores.

    It also contains whether each edge is in the prior and in the truth.
    """
    table = edge_scores.stack().rename_axis(["regulator", "target"]).reset_index(name="score")
    table["in_prior"] = data.varp["prior"].ravel() != 0
    if "truth" in data.varp:
        truth = data.varp["truth"].ravel()  # NaN for genes without a known truth
        table["true"] = np.where(np.isnan(truth), np.nan, truth != 0)
    table = table[table["score"] != 0]
    order = {"key": np.abs, "ascending": False, "kind": "stable"}
    return table.sort_values("score", ignore_index=True, **order)[:STRONGEST]
