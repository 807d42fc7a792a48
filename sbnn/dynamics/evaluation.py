"""Scores of models of dynamics: accuracy of the inferred networks and of predictions for test samples."""

import time
from itertools import product

import numpy as np
import pandas as pd
from sklearn.base import clone

from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.gene_dynamics import prior_of, truth_of
from sbnn.data.trajectories import as_trajectories
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import edge_accuracy, path_errors
from sbnn.errors import documented
from sbnn.evaluation.identity import configured
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record

STRONGEST = 500  # largest number of edges that are stored


@documented
def evaluate(model, data, *, method, condition, details=False, results=None, overwrite=False):
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

    def compute():
        rows, kept = [], {}
        for seed, of_seed in data.items():
            fitted = configured(model, {}, seed)
            rows.append({"seed": seed} | fit_and_score(fitted, of_seed))
            kept = kept or _kept(fitted, of_seed, details)
        return {"scores": pd.DataFrame(rows)} | kept

    wanted = _wanted("methods", data, {"method": method}, condition=condition)
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
    fits = [
        {"method": m, "asked": asked, "seed": s}
        for m, asked, s in product(prunings, sparsities, data)
    ]

    def compute():
        points = [
            ({"pruning": fit["method"], "sparsity": fit["asked"]}, fit["seed"]) for fit in fits
        ]
        scores = (
            fit_and_score(configured(model, point, seed), data[seed]) for point, seed in points
        )
        return {"scores": pd.DataFrame([fit | row for fit, row in zip(fits, scores, strict=True)])}

    wanted = _wanted("sparsities", data, {}, methods=list(prunings), sparsities=list(sparsities))
    return load_or_compute(wanted, compute, results, overwrite, estimator=model)


def held_out(data):
    """Test data as `Samples`."""
    return as_trajectories(data[data.obs["split"] == "test"])


def fit_and_score(model, data):
    """Fit a model and score it: `edge_accuracy` if the truth is known, `path_errors`, sparsity and CPU seconds."""
    train, prior, truth = data[data.obs["split"] == "train"], prior_of(data), truth_of(data)
    started = time.process_time()
    model.fit(train, prior)
    row = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if truth is not None:
            row |= edge_accuracy(
                model.edge_scores_, truth, prior, getattr(model, "edge_probabilities_", None)
            )
        return row | path_errors(model, held_out(data))


def _wanted(kind, data, params, **settings):
    """Record that describes an experiment, without values."""
    seeds = data.values() if isinstance(data, dict) else ()
    if not seeds or not all("split" in getattr(of_seed, "obs", ()) for of_seed in seeds):
        raise TypeError(
            f"data: expected a dict of seeds and AnnData objects with obs['split'], got {data!r}"
        )
    about = [of_seed.uns["sbnn"] for of_seed in seeds]
    sha256 = fingerprint_parameters({"data": [of_seed["sha256"] for of_seed in about]})
    settings |= {"seeds": list(data), "version": 1}
    return Record(f"dynamics {kind}", about[0]["name"], sha256, [params], settings=settings)


def _kept(model, data, details):
    """Data from one fit that are needed for figures."""
    samples, truth = held_out(data), truth_of(data)
    kept = {"out_degree": np.count_nonzero(model.edge_scores_, axis=1).astype(np.int32)}
    values, times = (
        (np.stack(of) for of in (samples.values, samples.times)) if details else (None, None)
    )
    if details and hasattr(model, "gene_names_"):
        predicted = model.predict(values[:, 0], times).astype(np.float32)
        return kept | {"edges": strongest(model.edge_scores_, data), "predicted": predicted}
    if details:
        kept |= {
            "test": values.astype(np.float32),
            "times": times,
            "gene_names": data.var_names.to_numpy(str),
        }
        if truth is not None and len(truth) == data.n_vars:
            kept["true_out_degree"] = np.count_nonzero(truth, axis=1).astype(np.int32)
    return kept


def strongest(edge_scores, data):
    """DataFrame of the edges with the largest absolute scores, and whether each is in the prior and in the truth."""
    table = (
        edge_scores.rename_axis(index="regulator", columns="target")
        .stack()
        .rename("score")
        .reset_index()
    )
    table["in_prior"] = data.varp["prior"].ravel() != 0
    if "truth" in data.varp:
        truth = data.varp["truth"].ravel()  # NaN for genes without a known truth
        table["true"] = np.where(np.isnan(truth), np.nan, truth != 0)
    found = table[table["score"] != 0]
    return found.sort_values("score", key=lambda score: -score.abs(), kind="stable")[
        :STRONGEST
    ].reset_index(drop=True)
