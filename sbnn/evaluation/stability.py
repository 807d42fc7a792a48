"""Tables of genes to trust and of numbers of genes.

Meinshausen and Buehlmann, J. R. Stat. Soc. B 72, 2010; Shah and Samworth, J. R. Stat. Soc. B 75,
2013. Groups of alike genes: Faletto and Bien, arXiv 2201.00494.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.optimize import brentq
from scipy.spatial.distance import squareform

from sbnn.data.checks import gene_positions
from sbnn.errors import check_number
from sbnn.metrics import LEAST_CELLS_BEHIND, smallest_sufficient, test_fraction
from sbnn.results import Record, check_record

MOST_FALSE = 1  # selections that are expected among the trusted genes
LEAST_CORRELATION = 0.3  # of a gene and one that stands in for it
LEAST_ERRORS = 2  # standard errors, by which it is kept more often without the gene than beside it
MOST_STAND_INS = 2
MOST_NAMED = 5  # genes of a group
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


def selection_table(
    record: Record,
    repeats: Record | None = None,
    data: Any = None,
    groups: float | None = None,
) -> pd.DataFrame:
    """How often each gene is kept by halves of the cells, and which genes to trust.

    Parameters
    ----------
    record : Record
        From `sbnn.stability_selection`.
    repeats : Record, optional
        From `sbnn.cross_validate` with a grid of ``random_state``, for the same data.
    data : AnnData or tuple (X, Y), optional
        The cells of the record, for ``stand_ins``.
    groups : float, optional
        With `data`, the rows are groups of alike genes instead of genes: those whose correlation is
        at least this, from 0 to 1, on average (average linkage). A group is kept if a gene of it
        is.

    Returns
    -------
    DataFrame
        One row per gene, sorted by decreasing ``frequency``, the fraction of halves that keep the
        gene; ``count``, the number of seeds that keep it (with `repeats`); ``expected_false``, the
        bound on the expected number of false genes of at least this frequency; and ``trusted``,
        whether it is at most 1. For genes with 10 or more cells behind them, it is the larger of
        the bounds among all genes and among such genes; the others, and all genes of a record
        without ``cells_behind``, have a bound for any shape (`expected_false_any_shape`).

        With `data`, ``stand_ins`` has up to two genes that may stand in for a gene that is not
        trusted: those correlated with it (r above 0.3) that halves without the gene keep more
        often, by two standard errors, than halves with it. Both fractions and r are in brackets.
        With `groups`, a row is named after those of its genes that halves keep, the most frequent
        five of them, and groups without one are left out.

    Examples
    --------
    >>> from sbnn import results, selection_table
    >>> halves = results.load("saved_models/scala/halves_distilled.pickle.xz")
    >>> int(selection_table(halves)["trusted"].sum())
    13
    """
    check_record("record", record)
    if groups is not None:
        check_number("groups", groups, float, 0, 1)
        alike = alike_genes(record, data, groups)
        record = in_groups(record, alike)
        repeats = None if repeats is None else in_groups(repeats, alike)
    table = gene_counts(record)[["frequency"]]
    if repeats is not None:
        table["count"] = gene_counts(repeats)["count"]
    table["expected_false"] = _false_bounds(record, table.frequency, _are_shaped(record, table))
    table["trusted"] = table.expected_false <= MOST_FALSE
    if groups is not None:
        return table.query("frequency > 0")
    if data is not None:
        found = stand_ins(record, data).reindex(table.index, fill_value="")
        table["stand_ins"] = found.mask(table["trusted"], "")
    return table


def stand_ins(record: Record, data: Any) -> pd.Series:
    """Genes that may stand in for each gene that some halves keep; see `selection_table`."""
    is_kept = record.selected.any(axis=(0, 1))
    kept = record.selected.reshape(-1, len(is_kept))[:, is_kept]
    share = kept.mean(axis=0)
    genes = np.asarray(record.gene_names)[is_kept]
    correlations = _correlate_genes(record, data, is_kept)
    texts = []
    for j, r in enumerate(correlations):
        n_beside = kept[:, j].sum()
        n_without = len(kept) - n_beside
        beside = kept[kept[:, j]].sum(axis=0) / n_beside
        without = kept[~kept[:, j]].sum(axis=0) / max(n_without, 1)
        # of the difference of two shares that are equal; there is none if all halves keep the gene
        error = np.sqrt(share * (1 - share) * (1 / n_beside + 1 / max(n_without, 1)))
        stands_in = (without - beside > LEAST_ERRORS * error) & (r > LEAST_CORRELATION)
        others = np.argsort(-(without - beside) * r, kind="stable")
        others = others[stands_in[others]][:MOST_STAND_INS]
        shares = [f"{genes[k]} ({without[k]:.0%}, {beside[k]:.0%}; r {r[k]:.2f})" for k in others]
        texts.append(", ".join(shares))
    return pd.Series(texts, pd.Index(genes, name="gene"), dtype=object)


def alike_genes(record: Record, data: Any, least_correlation: float) -> dict[str, np.ndarray]:
    """Positions of the genes of each group of alike genes, by its name; see `selection_table`.

    The groups are those of expression alone: which genes halves keep must not decide on them.
    """
    candidates = np.ones(len(record.gene_names), bool)
    if "preselected" in record.values:
        candidates = record.preselected.any(axis=(0, 1))
    positions = np.flatnonzero(candidates)
    # genes that are opposite are not alike
    distances = 1 - _correlate_genes(record, data, candidates).clip(0, 1)
    tree = linkage(squareform(distances, checks=False), "average")
    groups = fcluster(tree, 1 - least_correlation, "distance")
    frequency = record.selected.mean(axis=(0, 1))
    genes = np.asarray(record.gene_names)
    alike = {}
    for group in np.unique(groups):
        members = positions[groups == group]
        members = members[np.argsort(-frequency[members], kind="stable")]
        kept = members[frequency[members] > 0]
        name = "/".join(genes[kept[:MOST_NAMED]]) if len(kept) else genes[members[0]]
        if len(kept) > MOST_NAMED:
            name += f" and {len(kept) - MOST_NAMED} more"
        alike[name] = members
    return alike


def in_groups(record: Record, alike: dict[str, np.ndarray]) -> Record:
    """The record of halves, with groups of genes, by `alike_genes`, in place of genes."""
    values = record.values | {"gene_names": np.array([*alike])}
    for name in ("selected", "preselected"):
        if name in record.values:
            masks = record.values[name]
            of_groups = [masks[..., genes].any(axis=-1) for genes in alike.values()]
            values[name] = np.stack(of_groups, axis=-1)
    if "cells_behind" in record.values:
        # a gene of few cells may be the one that is kept
        values["cells_behind"] = np.array([record.cells_behind[g].min() for g in alike.values()])
    return replace(record, values=values)


def _correlate_genes(record, data, genes):
    """Correlations of some genes, a mask, in the cells of a record."""
    # figures, which need no cells, are drawn without scikit-learn
    from sbnn.data.paired import as_paired

    cells = as_paired(data)
    if [*cells.cell_names] != [*record.cell_names]:
        raise ValueError(
            "data: expected the cells of the record in the same order, as in "
            "adata[record.cell_names], got others"
        )
    names = np.asarray(record.gene_names)[genes]
    positions = gene_positions(names, cells.gene_names, argument="record")
    # of one gene, NumPy has a number instead of a matrix
    return np.corrcoef(cells.X[:, positions].T).reshape(len(names), len(names))


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


def kept_genes_table(record: Record, genes: Iterable[str], data: Any = None) -> pd.DataFrame:
    """`selection_table` of given genes, "trusted", "unstable", or "unknown" with too few halves."""
    table = selection_table(record, data=data).loc[list(genes)]
    lowest_bounds = _false_bounds(record, np.ones(len(table)), _are_shaped(record, table))
    otherwise = np.where(lowest_bounds <= MOST_FALSE, "unstable", "unknown")
    table["trusted"] = np.where(table["trusted"], "trusted", otherwise)
    return table.rename(columns={"trusted": "trust"})


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
