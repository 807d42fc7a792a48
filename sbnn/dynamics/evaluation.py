"""Accuracy of inferred networks and of predicted test samples, and a test of gene sets."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from anndata import AnnData
from sklearn.base import BaseEstimator
from sklearn.metrics import balanced_accuracy_score, roc_auc_score
from sklearn.utils import check_random_state
from sklearn.utils.validation import has_fit_parameter

from sbnn.data.checks import abbreviate, check_finite
from sbnn.data.fingerprint import fingerprint, fingerprint_of_data
from sbnn.determinism import reproducible
from sbnn.dynamics.data import Samples, as_trajectories
from sbnn.dynamics.simulate import prior_table, truth_table
from sbnn.dynamics.solver import DivergenceError
from sbnn.errors import check_number
from sbnn.evaluation.runs import configure, describe_estimator, store_result
from sbnn.results import Record

N_STORED_EDGES = 500  # the strongest


@store_result
def evaluate(
    model: BaseEstimator,
    data: Mapping[int, AnnData],
    *,
    method: str,
    condition: str,
    details: bool | str = False,
    results: str | Path | None = None,
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
    _check_data_by_seed(data)
    rows = []
    first_network: dict[str, object] = {}
    for seed, samples in data.items():
        fitted = configure(model, {}, seed)
        scores = fit_and_score_network(fitted, samples)
        rows.append({"seed": seed} | scores)
        if len(rows) == 1:
            first_network = network_details(fitted, samples, details)
    first_seed, *_ = data
    return Record(
        experiment="dynamics methods",
        dataset=data[first_seed].uns["sbnn"]["name"],
        sha256=_fingerprint_samples(data),
        params=[{"method": method}],
        settings={
            "estimator": describe_estimator(model),
            "condition": condition,
            "seeds": list(data),
        },
        values={"scores": pd.DataFrame(rows)} | first_network,
    )


def _check_data_by_seed(data):
    """Raise an error if these are no data by seed, or not what a network is fitted to."""
    if not isinstance(data, Mapping):
        raise TypeError(
            f"data: expected a dict of seed to AnnData, such as {{0: adata}}, got "
            f"{type(data).__name__}"
        )
    for samples in data.values():
        splits = {*samples.obs.get("split", ())}
        if not splits >= {"train", "test"} or "prior" not in samples.varp:
            raise ValueError(
                f"data: expected samples to train and to test in obs['split'], got "
                f"{abbreviate(splits) or 'none'}, and a network in varp['prior']"
            )


def _fingerprint_samples(data):
    return fingerprint([fingerprint_of_data(samples) for samples in data.values()])


def fit_and_score_network(model: Any, data: AnnData) -> dict[str, float]:
    """Fit a model to the training samples; returns its scores, see `evaluate`."""
    prior = prior_table(data)
    truth = truth_table(data)
    started = time.process_time()
    _fit_network(model, data)
    scores = {"seconds": time.process_time() - started, "sparsity": model.sparsity_}
    with reproducible():
        if truth is not None:
            scores |= edge_accuracy(model.edge_scores_, truth, prior)
        return scores | path_errors(model.predict, select_test_samples(data))


def _fit_network(model, data):
    """Fit to the training samples, the prior and, if the model takes them, the interactions."""
    train = data[data.obs["split"] == "train"]
    prior = prior_table(data)
    if has_fit_parameter(model, "interactions") and "interactions" in data.varp:
        model.fit(train, prior, interactions=data.varp["interactions"])
    else:
        model.fit(train, prior)


def select_test_samples(data: AnnData) -> Samples:
    """Test samples of a data set."""
    return as_trajectories(data[data.obs["split"] == "test"])


def network_details(model: Any, data: AnnData, details: bool | str) -> dict[str, object]:
    """What is stored of a network, see `evaluate`: how many targets genes have, and details."""
    effects = model.edge_scores_.to_numpy()
    n_targets = (effects != 0).sum(axis=1, dtype=np.int32)
    values: dict[str, object] = {"out_degree": n_targets}
    if details == "effects":
        percents = 100 * effects / abs(effects).max()
        values["effects"] = np.rint(percents).astype(np.int8)
    elif details:
        samples, times = select_test_samples(data).pad()
        edges = model.edge_scores_.stack().rename_axis(["regulator", "target"])
        edges = edges[edges != 0].sort_values(ascending=False, kind="stable", key=np.abs)
        predicted = model.predict(samples[:, 0], times)
        values["edges"] = edges[:N_STORED_EDGES].reset_index(name="score")
        values["predicted"] = predicted.astype(np.float32)
        values["test"] = samples.astype(np.float32)
        values["times"] = times
        values["gene_names"] = data.var_names.to_numpy(str)
    return values


def edge_accuracy(
    scores: pd.DataFrame, truth: pd.DataFrame, prior: pd.DataFrame
) -> dict[str, float]:
    """Compare edges, [regulator, target], with the true ones of the regulators in `truth`.

    Edges are the scores that are not 0. They are ranked by size ("auroc"), and by their fraction of
    the sum over all regulators of a target ("auroc_share").
    """
    sizes = scores.abs()
    fractions = (sizes / sizes.sum()).fillna(0)  # as published: of the sum over all regulators
    is_edge = pair_values(scores, truth.index) != 0
    is_true = pair_values(truth, truth.index) != 0
    in_prior = pair_values(prior, truth.index) != 0
    # Repeating the prior gives a high accuracy, so corrections of the prior are scored as well.
    is_missing = is_true & ~in_prior
    is_wrong = in_prior & ~is_true
    is_new = is_edge & ~in_prior
    return {
        "balanced_accuracy": balanced_accuracy_score(is_true, is_edge),
        "auroc": roc_auc_score(is_true, pair_values(sizes, truth.index)),
        "auroc_share": roc_auc_score(is_true, pair_values(fractions, truth.index)),
        "recall_missing": is_edge[is_missing].mean(),
        "kept_wrong": is_edge[is_wrong].mean(),
        "precision": is_true[is_edge].mean(),
        "new_right": is_true[is_new].mean(),
        "n_edges": int(is_edge.sum()),
    }


def pair_values(table: pd.DataFrame, regulators: pd.Index) -> pd.Series:
    """Values of all pairs of the regulators and the targets."""
    return pd.Series(table.loc[regulators].to_numpy().ravel())


def path_errors(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], samples: Samples
) -> dict[str, float]:
    """Rollout MSE (from the first time on) and one-step MSE (over one interval).

    `predict` gives paths from starts and times. An error is NaN if predictions diverge.
    """
    before, after, spans = samples.intervals()
    next_values = predict_or_nan(predict, before, spans)[:, 1]
    one_step_errors = (next_values - after) ** 2
    n_times = np.array([len(times) for times in samples.times])
    rollout_errors = []
    for n in np.unique(n_times):  # samples of equal length are predicted together
        positions = np.flatnonzero(n_times == n)
        values, times = samples.select(positions).pad()
        predicted = predict_or_nan(predict, values[:, 0], times)
        differences = predicted[:, 1:] - values[:, 1:]
        rollout_errors.append(differences.ravel() ** 2)
    return {
        "mse_rollout": np.concatenate(rollout_errors).mean(),
        "mse_ahead": one_step_errors.mean(),
    }


def predict_or_nan(
    predict: Callable[[np.ndarray, np.ndarray], np.ndarray], start: np.ndarray, times: np.ndarray
) -> np.ndarray:
    """Predicted paths, NaN if they diverge."""
    try:
        return predict(start, times)
    except DivergenceError:
        return np.full((*times.shape, 1), np.nan)


def gene_set_test(
    values: pd.Series,
    gene_sets: Mapping[str, Sequence[str]],
    n_permutations: int = 999,
    random_state: int | np.random.RandomState | None = None,
) -> pd.DataFrame:
    """Test whether values are larger for the genes in a set than for as many random genes.

    Parameters
    ----------
    values : Series
        A value for each gene, by name, such as ``model.edge_scores_.abs().sum(axis=1)``.
    gene_sets : dict of str to list of str
        Sets by name, such as pathways; genes without a value are ignored.
    n_permutations : int
        Number of random sets.
    random_state : int, RandomState or None

    Returns
    -------
    DataFrame
        A row for each set: ``n_genes`` with a value; ``z``, the sum of their values minus the mean
        over random sets, divided by its SD; ``p``, one-sided, not corrected for the number of sets.
        If a set contains no gene or all genes, z is NaN and p is 1.

    Raises
    ------
    ValueError
        A value is not finite.

    Notes
    -----
    Genes of a pathway often have similar expression; random genes do not.

    Examples
    --------
    >>> import pandas as pd
    >>> from sbnn.dynamics import gene_set_test
    >>> values = pd.Series(range(10), list("abcdefghij"))
    >>> gene_set_test(values, {"last": ["h", "i", "j"]}, random_state=0).round(2)
          n_genes     z     p
    last        3  2.33  0.01
    """
    check_number("n_permutations", n_permutations, int, low=1)
    if not isinstance(values, pd.Series):
        raise TypeError(f"values: expected a Series of genes, got {type(values).__name__}")
    check_finite(values, "values")
    rng = check_random_state(random_state)
    is_member = {name: values.index.isin(genes) for name, genes in gene_sets.items()}
    members = pd.DataFrame(is_member)  # (genes, sets)
    # Permuted values of a set are those of as many random genes. The first row is not permuted, so
    # that the set itself counts as one of the possible ones, and p is never 0 (Phipson and Smyth,
    # Stat. Appl. Genet. Mol. Biol. 2010).
    rows = [values.to_numpy()]  # an array is permuted much faster than a Series
    for _ in range(n_permutations):
        rows.append(rng.permutation(rows[0]))
    sums = np.array(rows) @ members
    beyond = sums - sums.loc[0]
    rounding = 1e-9 * abs(values).sum()  # sums of the same numbers in another order differ
    beyond_at_random = beyond[1:]
    sd = beyond_at_random.std()
    z = -beyond_at_random.mean() / sd.where(sd > rounding)
    p = (beyond >= -rounding).mean()
    return pd.DataFrame({"n_genes": members.sum(), "z": z, "p": p})


@store_result
def known_targets_test(
    model: BaseEstimator,
    data: Mapping[int, AnnData],
    *,
    method: str,
    results: str | Path | None = None,
    overwrite: bool = False,
) -> Record:
    """Test whether a network has larger effects on the known targets of each regulator.

    Parameters
    ----------
    model : estimator
        Each fit uses a clone with the seed as its ``random_state``.
    data : dict of int to AnnData
        As in `evaluate`, with ``varp["truth"]``.
    method : str
        Name for tables.
    results, overwrite
        See `sbnn.cross_validate`.

    Returns
    -------
    Record
        ``tests`` has the columns of `gene_set_test` and a row for each seed, regulator and choice
        of ``genes``: "all", or those "not in the prior" network as targets of the regulator, where
        the prior alone has no effects. ``outgoing`` holds the sum of the sizes of the effects of
        each gene, (seeds, genes), for tests of other sets, such as pathways.

    Raises
    ------
    ValueError
        The true network of some data is not known.

    See Also
    --------
    gene_set_test
    """
    _check_data_by_seed(data)
    tables = []
    outgoing = []
    for seed, samples in data.items():
        truth = truth_table(samples)
        if truth is None:
            raise ValueError("data: expected a true network in varp['truth']")
        in_prior = prior_table(samples) != 0
        fitted = configure(model, {}, seed)
        _fit_network(fitted, samples)
        effects = fitted.edge_scores_.abs()
        outgoing.append(effects.sum(axis=1).to_numpy())
        for regulator, is_target in (truth != 0).iterrows():
            targets = {regulator: is_target.index[is_target]}
            sizes = effects.loc[regulator]
            choices = {"all": sizes, "not in the prior": sizes[~in_prior.loc[regulator]]}
            for genes, values in choices.items():
                test = gene_set_test(values, targets, random_state=seed)
                test.insert(0, "genes", genes)
                test.insert(0, "seed", seed)
                tables.append(test)
    first_seed, *_ = data
    return Record(
        experiment="known targets",
        dataset=data[first_seed].uns["sbnn"]["name"],
        sha256=_fingerprint_samples(data),
        params=[{"method": method}],
        settings={"estimator": describe_estimator(model), "seeds": list(data)},
        values={
            "tests": pd.concat(tables).rename_axis("regulator").reset_index(),
            "outgoing": np.array(outgoing, dtype=np.float32),
            "gene_names": data[first_seed].var_names.to_numpy(str),
        },
    )
