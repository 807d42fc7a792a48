"""Accuracy of inferred networks and of predicted test samples."""

from __future__ import annotations

import time
from collections.abc import Mapping

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.base import BaseEstimator
from sklearn.utils.validation import has_fit_parameter

from sbnn.data.fingerprint import fingerprint, fingerprint_of_data
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.evaluation.runs import configure, describe_estimator, store_result
from sbnn.results import Record

STRONGEST = 500  # number of edges that are stored


@store_result
def evaluate(
    model: BaseEstimator,
    data: Mapping[int, AnnData],
    *,
    method: str,
    condition: str,
    details: bool | str = False,
    results=None,
    overwrite: bool = False,
) -> Record:
    """Fit a model to several data sets, one per seed, and score its networks and predictions.

    Parameters
    ----------
    model : estimator
        Each fit uses a clone with the seed as its ``random_state``.
    data : dict of int to AnnData
        Data by seed, each with ``obs["split"]`` ("train" or "test"), ``varp["prior"]`` and, if
        known, ``varp["truth"]`` and ``varp["interactions"]``, as returned by
        ``sbnn.load_dataset("grn_350", random_state=seed)``.
    method, condition : str
        Names for tables and figures.
    details : bool or "effects"
        Whether to store the strongest edges of the first fit, the test samples and their
        predictions; or its effects, [regulator, target], in whole percents of the largest.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``scores`` has a row for each seed: accuracy of edges (if the truth is known), prediction
        errors, sparsity and CPU seconds of the fit. ``out_degree`` is the number of targets of each
        gene in the first network.

    Raises
    ------
    ValueError
        The file contains another experiment.
    """
    rows = []
    kept = {}
    for seed, of_seed in data.items():
        fitted = configure(model, {}, seed)
        rows.append({"seed": seed} | fit_and_score(fitted, of_seed))
        if len(rows) == 1:
            effects = fitted.edge_scores_.to_numpy()
            kept["out_degree"] = (effects != 0).sum(axis=1, dtype=np.int32)
            if details == "effects":
                kept["effects"] = np.rint(100 * effects / abs(effects).max()).astype(np.int8)
            elif details:
                kept |= _details(fitted, of_seed)
    names = [of_seed.uns["sbnn"]["name"] for of_seed in data.values()]
    return Record(
        experiment="dynamics methods",
        dataset=names[0],
        sha256=fingerprint([fingerprint_of_data(of_seed) for of_seed in data.values()]),
        params=[{"method": method}],
        settings={
            "estimator": describe_estimator(model),
            "condition": condition,
            "seeds": list(data),
        },
        values={"scores": pd.DataFrame(rows)} | kept,
    )


def held_out(data):
    """Test data as `Samples`."""
    return as_trajectories(data[data.obs["split"] == "test"])


def fit_and_score(model, data):
    """Fit a model; returns its scores, see `evaluate`."""
    train = data[data.obs["split"] == "train"]
    prior = prior_of(data)
    truth = truth_of(data)
    knowledge = {}
    if "interactions" in data.varp and has_fit_parameter(model, "interactions"):
        knowledge["interactions"] = data.varp["interactions"]
    started = time.process_time()
    model.fit(train, prior, **knowledge)
    row = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if truth is not None:
            row |= edge_accuracy(model.edge_scores_, truth, prior)
        return row | path_errors(model.predict, held_out(data))


def _details(model, data):
    """Strongest edges, test samples and their predictions."""
    values, times = held_out(data).padded()
    edges = model.edge_scores_.stack().rename_axis(["regulator", "target"])
    edges = edges[edges != 0].sort_values(ascending=False, kind="stable", key=np.abs)
    return {
        "edges": edges[:STRONGEST].reset_index(name="score"),
        "predicted": model.predict(values[:, 0], times).astype(np.float32),
        "test": values.astype(np.float32),
        "times": times,
        "gene_names": data.var_names.to_numpy(str),
    }
