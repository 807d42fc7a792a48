"""Which of the kept genes to trust: kept again with another seed, and from other cells.

Tables of what `sbnn.evaluation.repeats` computes: counts over the seeds, and frequencies over halves of the cells,
which bound how many genes are kept by chance (Meinshausen and Buehlmann, J. R. Stat. Soc. B 72, 2010; Shah and
Samworth, J. R. Stat. Soc. B 75, 2013).
"""

import functools

import numpy as np
import pandas as pd
from scipy.optimize import brentq

BOUNDS = ("r-concave", "worst case")
_SHAPES = 200  # shapes tried between two that are known to be extreme


def gene_counts(record):
    """In how many fits each gene was kept.

    Parameters
    ----------
    record : Record
        From `repeat_fits`, `stability_selection`, or `cross_validate` with a single grid point.

    Returns
    -------
    DataFrame
        Indexed by gene, all p of them, the most frequent first (equal ones in the order of the data): ``count`` and
        ``frequency``.

    Raises
    ------
    ValueError
        If the record has no selected genes, or is of a grid over more than the seed.
    """
    selected = selections(record)
    counts = selected.sum(0)
    index = pd.Index(np.asarray(record.gene_names), name="gene")
    table = pd.DataFrame({"count": counts, "frequency": counts / len(selected)}, index=index)
    return table.sort_values("count", ascending=False, kind="stable")


def selections(record):
    """Genes kept by each fit of a record.

    Parameters
    ----------
    record : Record
        As for `gene_counts`.

    Returns
    -------
    ndarray of bool, shape (fits, p)
    """
    if "selected" not in record.values:
        raise ValueError(f"record: this {record.experiment!r} record of {record.dataset!r} has no selected genes")
    if len(record.params) > 1 and any(point.keys() != {"random_state"} for point in record.params):
        raise ValueError(f"record: expected one grid point, got {len(record.params)}: {record.params[:3]} ...")
    return record.selected.reshape(-1, record.selected.shape[-1])


def selection_table(record, repeats=None, max_false=1.0, bound="r-concave"):
    """Which genes to trust.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.repeats.stability_selection`.
    repeats : Record, optional
        From `sbnn.evaluation.repeats.repeat_fits`, of the same data.
    max_false : float
        Expected number of falsely selected genes that is put up with.
    bound : {"r-concave", "worst case"}
        See `expected_false`.

    Returns
    -------
    DataFrame
        Indexed by gene, all p of them, the most frequent first: ``frequency`` over the halves, ``count`` over the
        seeds (if `repeats` is given), ``expected_false``, the bound on the number of falsely selected genes if this
        gene and all of at least its frequency are selected, and ``trusted``, whether that is at most `max_false`.

    Raises
    ------
    ValueError
        If `record` is not over complementary pairs, the data differ, or `bound` is unknown.
    """
    n_pairs = _pairs_of(record)
    table = gene_counts(record)
    table["expected_false"] = expected_false(
        table["frequency"].to_numpy(), _n_candidates(record), float(np.mean(record.n_selected)), n_pairs, bound
    )
    table["trusted"] = table["expected_false"] <= max_false
    del table["count"]
    if repeats is not None:
        if repeats.sha256 != record.sha256:
            raise ValueError(f"repeats: expected fits of the same data, {record.dataset!r}, got {repeats.dataset!r}")
        table.insert(1, "count", gene_counts(repeats)["count"].reindex(table.index))
    return table


def selection_threshold(record, max_false=1.0, bound="r-concave"):
    """Least frequency at which a gene is trusted.

    Parameters
    ----------
    record, max_false, bound
        As for `selection_table`.

    Returns
    -------
    float
        A multiple of 1 / (2 B); infinite if even genes that every half selects are too many to trust.
    """
    n_pairs = _pairs_of(record)
    thresholds = np.arange(1, 2 * n_pairs + 1) / (2 * n_pairs)
    n_genes, n_selected = _n_candidates(record), float(np.mean(record.n_selected))
    enough = expected_false(thresholds, n_genes, n_selected, n_pairs, bound) <= max_false
    return float(thresholds[enough][0]) if enough.any() else np.inf


def _n_candidates(record):
    """How many genes a half selects from: where it preselected some, a gene at random is one of those."""
    shown = record.values.get("preselected")
    return record.selected.shape[-1] if shown is None else round(shown.sum(1).mean())


def kept_genes_table(record, genes, max_false=1.0, bound="r-concave"):
    """Say of every gene that a model kept how often halves of the cells keep it too, and whether to trust it.

    Parameters
    ----------
    record : Record
        From `sbnn.evaluation.repeats.stability_selection`.
    genes : sequence of str
        That are kept, such as those of a fit of all cells.
    max_false, bound
        As for `selection_table`.

    Returns
    -------
    DataFrame
        Indexed by gene, in the order given: ``frequency``, ``expected_false`` and ``trust``, "trusted" or "unstable".

    Raises
    ------
    ValueError
        As for `selection_table`; a gene that the record does not know.
    """
    table = selection_table(record, max_false=max_false, bound=bound)
    if unknown := [gene for gene in genes if gene not in table.index]:
        raise ValueError(f"genes: {unknown[0]!r} is not among the {len(table)} genes of the record")
    table = table.loc[list(genes)]
    return table.assign(trust=np.where(table.trusted, "trusted", "unstable")).drop(columns="trusted")


def trust_sentence(record, max_false=1.0, bound="r-concave"):
    """Say what it means that no gene can be trusted.

    Parameters
    ----------
    record, max_false, bound
        As for `selection_table`.

    Returns
    -------
    str
        Empty where some can be.
    """
    table = selection_table(record, max_false=max_false, bound=bound)
    if table.trusted.any():
        return ""
    halves, kept = len(record.folds), round(float(np.mean(record.n_selected)))
    if np.isinf(selection_threshold(record, max_false, bound)):
        return (
            f"No gene can be trusted yet: {halves} halves of the cells are too few to tell, even of genes that all of "
            "them keep; fit more of them (stability_selection, n_pairs=25)."
        )
    return (
        f"No gene can be trusted: of {kept} kept genes the most often chosen is {table.index[0]}, in "
        f"{table.frequency.iloc[0]:.0%} of {halves} halves of the cells; other cells would give other genes. The map "
        "may hold nevertheless, see map_trust."
    )


def _pairs_of(record):
    folds = record.folds
    paired = len(folds) > 1 and len(folds) % 2 == 0 and "selected" in record.values and len(record.params) == 1
    for (first, other), (again, back) in zip(folds[::2], folds[1::2], strict=False):
        paired = paired and np.array_equal(first, back) and np.array_equal(other, again) and len(first) == len(other)
    if not paired:
        raise ValueError(
            f"record: expected complementary pairs, as from stability_selection, got {record.experiment!r} of "
            f"{record.dataset!r} with {len(folds)} fold(s)"
        )
    return len(folds) // 2


def expected_false(threshold, n_genes, n_selected, n_pairs=50, bound="r-concave"):
    """Bound on the expected number of falsely selected genes.

    A gene is selected if at least a share `threshold` of the 2 B halves keep it, and falsely so if a single half keeps
    it with a probability of at most theta = q / p, no more than if q of p genes were drawn at random. That is not the
    same as a gene without a causal effect: a gene that merely follows the true ones is kept often and is no such error.

    Parameters
    ----------
    threshold : float or ndarray
        Between 0 and 1.
    n_genes : int
        p.
    n_selected : float
        q, the mean number of genes that a half keeps.
    n_pairs : int
        B.
    bound : {"r-concave", "worst case"}
        ``"worst case"``: q^2 / ((2 threshold - 1) p), Theorem 1 of Shah and Samworth with at most q genes kept; the
        same as the bound of Meinshausen and Buehlmann, without their assumption of exchangeable genes. Infinite up to
        a threshold of 1/2. ``"r-concave"``: min(D(theta^2, 2 threshold - 1, B, -1/2), D(theta, threshold, 2 B, -1/4))
        p, their equation (8), where D is `concave_tail`; much smaller, and valid if the frequencies of such a gene
        have r-concave distributions, which the authors observe in practice.

    Returns
    -------
    float or ndarray
        At most p for ``"r-concave"``.

    Raises
    ------
    ValueError
        If `bound` is unknown, or a number out of range.
    """
    if bound not in BOUNDS:
        raise ValueError(f"bound: {bound!r} is unknown, expected one of {BOUNDS}")
    if not 0 <= n_selected <= n_genes or n_genes < 1 or n_pairs < 1:
        raise ValueError(
            "n_selected, n_genes, n_pairs: expected 0 <= n_selected <= n_genes and at least one gene and pair, "
            f"got {n_selected}, {n_genes}, {n_pairs}"
        )
    thresholds = np.asarray(threshold, dtype=float)
    if not ((thresholds >= 0) & (thresholds <= 1)).all():
        raise ValueError(f"threshold: expected numbers from 0 to 1, got {threshold}")
    theta = n_selected / n_genes
    if bound == "worst case":
        excess = 2 * thresholds - 1
        errors = np.divide(n_selected * theta, excess, out=np.full(excess.shape, np.inf), where=excess > 1e-9)
    else:
        hits = np.ceil(thresholds * 2 * n_pairs - 1e-9).astype(int)  # halves, as a whole number
        together = np.maximum(hits - n_pairs, 0)  # pairs in which, then, both halves must keep the gene
        errors = n_genes * np.minimum(
            concave_tail(theta**2, n_pairs, -1 / 2)[together], concave_tail(theta, 2 * n_pairs, -1 / 4)[hits]
        )
    return errors if errors.ndim else float(errors)


@functools.lru_cache(maxsize=64)
def concave_tail(mean, n, r):
    """Largest probability with which an r-concave variable of a given mean reaches each of its values.

    Over all r-concave distributions on 0, 1/n, ..., 1 with this mean or a smaller one. For r < 0 these are the ones
    whose probabilities, raised to r, are convex; the smaller r, the more are allowed, down to the unimodal ones.

    Parameters
    ----------
    mean : float
    n : int
    r : float
        Negative.

    Returns
    -------
    ndarray, shape (n + 1,)
        Bound on P(X >= t / n) for t = 0 ... n. It is 1 up to twice the mean (rounded up), as in the authors' program.

    Notes
    -----
    The extreme distributions have probabilities proportional to ``(a + i) ** (1 / r)`` for i = 0 ... k, and at k + 1
    any that is at most what the same formula gives there; the mean fixes it. So, for every k, what is left to search
    is a between the two shapes that end exactly at k and at k + 1 (Shah and Samworth 2013, Appendix A.4).
    """
    target, power = mean * n, 1 / r
    first = int(np.ceil(2 * target)) + 1
    tails = np.zeros(n + 1)
    tails[:first] = 1
    if target == 0:
        return tails

    def shapes(logs, k):
        """Probabilities (not normed) of 0 ... k for each shape, relative to that of 0 to stay in range."""
        return (1 + np.arange(k + 1) * np.exp(-np.atleast_1d(logs))[:, np.newaxis]) ** power

    def excess(log, k):
        weights = shapes(log, k)[0]
        return weights @ np.arange(k + 1) / weights.sum() - target

    widest = 25.0  # as good as uniform
    ends = {k: brentq(excess, -25.0, widest, (k,)) if excess(widest, k) > 0 else widest for k in range(first, n + 1)}
    for k in range(first, n):
        weights = shapes(np.linspace(ends[k + 1], ends[k], _SHAPES), k)
        last = weights @ (target - np.arange(k + 1)) / (k + 1 - target)
        weights = np.column_stack([weights, np.maximum(last, 0)])
        reached = np.cumsum(weights[:, ::-1], axis=1)[:, ::-1] / weights.sum(1, keepdims=True)
        tails[first : k + 2] = np.maximum(tails[first : k + 2], reached.max(0)[first:])
    return tails
