"""Tables of genes to trust and of numbers of genes.

Meinshausen and Buehlmann, J. R. Stat. Soc. B 72, 2010; Shah and Samworth, J. R. Stat. Soc. B 75,
2013.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.optimize import brentq

from sbnn.metrics import LEAST_CELLS_BEHIND, smallest_sufficient, test_fraction
from sbnn.results import Record, check_record

MOST_FALSE = 1  # selections that are expected among the trusted genes
WIDEST = 25.0  # log a of a practically uniform distribution


def gene_counts(record: Record) -> pd.DataFrame:
    """Number and fraction of fits that kept each gene."""
    check_record("record", record)
    if len(record.params) > 1 and "random_state" not in record.params[0]:
        raise ValueError(f"record: expected one grid point, got {len(record.params)}")
    selected = record.selected.reshape(-1, record.selected.shape[-1])  # (fits, genes)
    genes = pd.Index(record.gene_names, name="gene")
    counts = {"count": selected.sum(0), "frequency": selected.mean(0)}
    return pd.DataFrame(counts, genes).sort_values("count", ascending=False, kind="stable")


def selection_table(record: Record, repeats: Record | None = None) -> pd.DataFrame:
    """How often each gene is kept by halves of the cells, and which genes to trust.

    Parameters
    ----------
    record : Record
        From `sbnn.stability_selection`.
    repeats : Record, optional
        From `sbnn.cross_validate` with a grid of ``random_state``, for the same data.

    Returns
    -------
    DataFrame
        One row per gene, sorted by decreasing ``frequency``, the fraction of halves that keep the
        gene; ``count``, the number of seeds that keep it (with `repeats`); ``expected_false``, the
        bound on the expected number of false genes of at least this frequency; and ``trusted``,
        whether it is at most 1. For genes with 10 or more cells behind them, it is the larger of
        the bounds among all genes and among such genes; the others, and all genes of a record
        without ``cells_behind``, have a bound for any shape (`expected_false_any_shape`).

    Examples
    --------
    >>> from sbnn import results, selection_table
    >>> halves = results.load("saved_models/scala/halves_distilled.pickle.xz")
    >>> int(selection_table(halves)["trusted"].sum())
    13
    """
    table = gene_counts(record)[["frequency"]]
    if repeats is not None:
        table["count"] = gene_counts(repeats)["count"]
    table["expected_false"] = _false_bounds(record, table.frequency, _are_shaped(record, table))
    table["trusted"] = table.expected_false <= MOST_FALSE
    return table


def trusted_genes(halves: Record) -> pd.Index:
    """Names of the trusted genes of `selection_table`."""
    return selection_table(halves).query("trusted").index


def selection_threshold(record: Record) -> float:
    """Smallest frequency at which a gene with enough cells behind it is trusted, or infinity."""
    n_halves = len(record.folds)
    thresholds = np.arange(1, n_halves + 1) / n_halves
    is_trusted = _false_bounds(record, thresholds, _have_enough_cells(record).any()) <= MOST_FALSE
    return np.min(thresholds, where=is_trusted, initial=np.inf)


def _have_enough_cells(record):
    """Whether the frequency of each gene has a nearly r-concave distribution, (p,)."""
    if "cells_behind" not in record.values:
        return np.zeros(len(record.gene_names), bool)
    return record.cells_behind >= LEAST_CELLS_BEHIND


def _are_shaped(record, table):
    """`_have_enough_cells` for the genes of a table."""
    return pd.Series(_have_enough_cells(record), record.gene_names)[table.index].to_numpy()


def _false_bounds(record, thresholds, are_shaped):
    """`expected_false`, or else `expected_false_any_shape`, for the halves of a record."""
    fitted = [train.tolist() for train, _ in record.folds[::2]]
    left_out = [test.tolist() for _, test in record.folds[1::2]]
    if not fitted or fitted != left_out:
        raise ValueError("record: expected complementary pairs, as from stability_selection")
    for name in ("required_genes", "candidate_genes"):
        if record.parameter(0, name) or record.parameter(0, f"network__{name}"):
            raise ValueError(f"record: halves of a model with {name} say nothing about its genes")
    # random genes would come from the preselected ones
    candidates = record.values.get("preselected", np.ones_like(record.selected))
    n_genes = round(candidates.sum(-1).mean())
    n_selected = record.selected.sum(-1).mean()
    any_shape = expected_false_any_shape(thresholds, n_genes, n_selected)
    shaped = expected_false(thresholds, n_genes, n_selected, n_pairs=len(fitted))
    # An estimator may keep hardly any genes of few cells: then a random gene is one of the others.
    has_enough = _have_enough_cells(record)
    among_others = expected_false(
        thresholds,
        n_genes=max(1, round(candidates[..., has_enough].sum(-1).mean())),
        n_selected=record.selected[..., has_enough].sum(-1).mean(),
        n_pairs=len(fitted),
    )
    shaped = np.maximum(shaped, among_others)
    return np.where(are_shaped, shaped, any_shape)


def kept_genes_table(record: Record, genes: Iterable[str]) -> pd.DataFrame:
    """Table of given genes, "trusted" or "unstable", or "unknown" with too few halves."""
    table = selection_table(record).loc[list(genes)]
    lowest_bounds = _false_bounds(record, np.ones(len(table)), _are_shaped(record, table))
    otherwise = np.where(lowest_bounds <= MOST_FALSE, "unstable", "unknown")
    table["trust"] = np.where(table.pop("trusted"), "trusted", otherwise)
    return table


def expected_false(
    threshold: ArrayLike, n_genes: int, n_selected: float, n_pairs: int
) -> np.ndarray:
    """Bound on the expected number of falsely selected genes, at each threshold.

    A gene is selected if a fraction `threshold` of the 2 B halves keeps it (B is `n_pairs`),
    falsely if a half keeps it with a probability of at most theta = q / p, for q = `n_selected` of
    p = `n_genes`. Equation (8) of Shah and Samworth, for r-concave distributions: min(D(theta^2, 2
    threshold - 1, B, -1/2), D(theta, threshold, 2 B, -1/4)) p, where D is `concave_tail`.
    """
    theta = n_selected / n_genes
    n_halves = np.ceil(2 * n_pairs * np.asarray(threshold) - 1e-9).astype(int)
    # if more than B halves keep a gene, both halves of at least this many pairs do
    n_both = np.maximum(n_halves - n_pairs, 0)
    # disjoint halves are independent: both keep such a gene with a probability of at most theta^2
    by_pairs = concave_tail(theta**2, n_pairs, r=-1 / 2)[n_both]
    by_halves = concave_tail(theta, 2 * n_pairs, r=-1 / 4)[n_halves]
    return n_genes * np.minimum(by_pairs, by_halves)


def expected_false_any_shape(threshold: ArrayLike, n_genes: int, n_selected: float) -> np.ndarray:
    """`expected_false` for distributions of any shape, ``q^2 / ((2 threshold - 1) p)``.

    Theorem 1 of Shah and Samworth, as of Meinshausen and Buehlmann; infinite up to 1/2. Frequencies
    of genes that are expressed in few cells are not r-concave: they depend on single cells.
    """
    excess = 2 * np.asarray(threshold) - 1
    bounds = np.full(excess.shape, np.inf)
    np.divide(n_selected**2 / n_genes, excess, out=bounds, where=excess > 1e-9)
    return bounds


def concave_tail(mean: float, n: int, r: float) -> np.ndarray:
    """Largest probability that an r-concave variable with a given mean is at least t / n.

    The result, for t = 0, ..., n, is reached by a distribution on 0, 1/n, ..., k/n with this mean
    in proportion to ``(a + i) ** (1 / r)``. The point after k that Shah and Samworth (2013,
    Appendix A.4) allow does not increase it.
    """
    target = mean * n
    first = int(np.ceil(2 * target)) + 1
    tails = np.zeros(n + 1)
    # 1, which always holds, is not tightened up to twice the mean
    tails[:first] = 1
    if target == 0:
        return tails
    for k in range(first, n + 1):
        steps = np.arange(k + 1)
        # the a for which the mean is the given one
        log_a = brentq(_excess_mean, -WIDEST, WIDEST, args=(steps, r, target))
        probabilities = _concave_probabilities(log_a, steps, r)
        reached = probabilities[::-1].cumsum()[::-1]
        tails[first : k + 1] = np.maximum(tails[first : k + 1], reached[first:])
    return tails


def _concave_probabilities(log_a, steps, r):
    """Probabilities of 0, ..., k, the `steps`."""
    weights = (1 + steps * np.exp(-log_a)) ** (1 / r)
    return weights / weights.sum()


def _excess_mean(log_a, steps, r, target):
    return _concave_probabilities(log_a, steps, r) @ steps - target


def panel_table(fit: Record) -> pd.DataFrame:
    """The kept genes in the order of choice.

    Parameters
    ----------
    fit : Record
        From `sbnn.fit_full` of a `DistilledBottleneckRegressor`.

    Returns
    -------
    DataFrame
        Indexed by gene, with the columns ``order``, from 1, and ``required``, whether the gene is
        kept in any case.
    """
    check_record("fit", fit)
    genes = fit.gene_order
    table = pd.DataFrame(index=pd.Index(genes, name="gene"))
    table["order"] = np.arange(1, len(genes) + 1)
    table["required"] = table.index.isin(fit.params[0]["required_genes"] or [])
    return table


def genes_table(record: Record) -> pd.DataFrame:
    """Test R2 for each number of genes, and the number that suffices.

    Parameters
    ----------
    record : Record
        From `sbnn.cross_validate` with a grid of ``n_genes``.

    Returns
    -------
    DataFrame
        Indexed by ``n_genes``, with the columns ``test_r2``; ``sd``;
        ``behind``, the best test R2 minus this one; ``genes``, the mean number kept; and
        ``suffices``, True for the smallest number within one corrected standard error of the best.

    Examples
    --------
    >>> from sbnn import genes_table, results
    >>> curve = results.load("saved_models/citeseq_cd8/genes_curve.pickle.xz")
    >>> genes_table(curve).query("suffices").index.tolist()
    [50]
    """
    check_record("record", record)
    if "n_genes" not in record.params[0]:
        raise ValueError("record: expected a grid of n_genes, as param_grid of cross_validate")
    fits = record.to_frame().groupby("n_genes")
    table = fits["test_r2"].agg(test_r2="mean", sd="std")
    table["behind"] = table.test_r2.max() - table.test_r2
    table["genes"] = fits["n_selected"].mean()
    numbers = [point["n_genes"] for point in record.params]
    sufficient = smallest_sufficient(record.test_r2, numbers, test_fraction(record.folds))
    table["suffices"] = table.index == sufficient
    return table
