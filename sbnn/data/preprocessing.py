"""Preprocessing of raw counts, and selection of genes from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from sklearn.utils import check_array

from sbnn.data.checks import check_numeric
from sbnn.data.counts import NOT_NEGATIVE, convert_counts, log2p1, normalize_library_size
from sbnn.errors import check_number

__all__ = ["log2p1", "normalize_library_size", "select_genes"]

# of the selection curve: per log2 unit, and in near-zero frequency
SLOPE, OFFSET = 1.5, 0.02

# of positions on the curve that are ties
_DECIMALS = 9

# of `preselect_genes`
READS = 30  # near zero in full-length reads
# least median nonzero count of reads; 52 and 304 in two data sets, 1 for UMIs
USUAL_READS = 10
MIN_CELLS = 10  # in which a gene must be detected, at most a tenth of all


@dataclass(frozen=True, eq=False)
class GeneSelection:
    """Arrays with one entry per gene, and the parameters of the curve."""

    selected: np.ndarray
    mean_log2: np.ndarray  # over counts above the threshold; NaN if there are none
    near_zero_frequency: np.ndarray  # fraction of cells up to the threshold
    eligible: np.ndarray  # above the threshold in at least `min_cells` cells
    b: float  # position of the curve, in log2 counts
    slope: float
    offset: float
    threshold: float


def select_genes(
    counts: Any,
    n_genes: int = 1000,
    threshold: float = 0,
    min_cells: int = 10,
) -> GeneSelection:
    """Choose genes with more near-zero counts than expected for their expression level.

    A gene with mean log2 expression m (over the cells above the threshold) is kept if its near-zero
    frequency exceeds ``exp(-1.5 (m - b)) + 0.02``, with b such that `n_genes` are kept.

    Parameters
    ----------
    counts : array, DataFrame or CSR/CSC matrix of shape (n_cells, n_genes_in)
        Non-negative raw counts.
    n_genes : int
        Number of genes to keep; of tied genes, the first.
    threshold : float
        Counts up to this are near zero: 0 for molecules (UMIs), about 30 for full-length reads.
    min_cells : int
        Genes above the threshold in fewer cells are never kept.

    Returns
    -------
    GeneSelection
        ``selected`` is a mask of the genes.

    Raises
    ------
    ValueError
        If counts are negative, not whole or not finite, or fewer than `n_genes` genes can be kept.

    References
    ----------
    Andrews & Hemberg, Bioinformatics 35, 2865 (2019); Kobak & Berens, Nature Communications 10,
    5416 (2019), Methods.
    """
    check_number("n_genes", n_genes, int, low=1)
    check_number("threshold", threshold, float, low=0)
    check_number("min_cells", min_cells, int, low=0)
    check_numeric(counts, "counts")
    values = check_array(counts, **NOT_NEGATIVE)
    convert_counts(values, values.shape)
    mean_log2, frequency, eligible, position = curve_positions(counts, threshold, min_cells)
    n_candidates = np.isfinite(position).sum()
    if n_genes > n_candidates:
        raise ValueError(f"n_genes: the curve can keep {n_candidates} genes, got {n_genes}")
    order = np.argsort(-position, kind="stable")
    selected = np.zeros(len(position), bool)
    selected[order[:n_genes]] = True
    # between the last gene that is kept and the next one
    last_kept = position[order[n_genes - 1]]
    next_one = last_kept - 2 * 10.0**-_DECIMALS
    if n_genes < n_candidates:
        next_one = position[order[n_genes]]
    position_of_curve = float((last_kept + next_one) / 2)
    return GeneSelection(
        selected=selected,
        mean_log2=mean_log2,
        near_zero_frequency=frequency,
        eligible=eligible,
        b=position_of_curve,
        slope=SLOPE,
        offset=OFFSET,
        threshold=threshold,
    )


def curve_positions(
    counts: Any, threshold: float, min_cells: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Three entries of `GeneSelection`, and curve positions (-inf: none)."""
    entries = sparse.csr_array(check_array(counts, **NOT_NEGATIVE), copy=True)
    entries.sum_duplicates()  # an entry may be stored in parts
    n_cells, n_genes = entries.shape
    is_above = entries.data > threshold
    genes = entries.indices[is_above]
    logs = np.log2(entries.data[is_above], dtype=np.float64)
    n_above = np.bincount(genes, minlength=n_genes)
    log_sum = np.bincount(genes, weights=logs, minlength=n_genes)
    mean_log2 = np.full(n_genes, np.nan)
    np.divide(log_sum, n_above, out=mean_log2, where=n_above > 0)
    frequency = 1 - n_above / n_cells
    eligible = n_above >= min_cells
    on_curve = eligible & (frequency > OFFSET)
    position = np.full(n_genes, -np.inf)
    position[on_curve] = mean_log2[on_curve] + np.log(frequency[on_curve] - OFFSET) / SLOPE
    return mean_log2, frequency, eligible, np.round(position, _DECIMALS)


def preselect_genes(
    data: Any, n_genes: int = 1000, cells: slice | np.ndarray = slice(None)
) -> np.ndarray:
    """Mask of the genes of `Paired` data with more zeros than their expression explains.

    The criterion of `sbnn.preprocessing.select_genes` is applied to raw counts; counts up to 30 are
    near zero in full-length reads, otherwise only 0. Genes detected in (nearly) all cells, and
    those of data without counts, are ranked by their variance. `cells` are the training cells.
    """
    spread = data.X[cells].var(axis=0, dtype=np.float64)
    position = np.zeros(data.n_genes)
    if data.counts is not None:
        counts = sparse.csr_array(data.counts[cells])
        counts.eliminate_zeros()
        are_reads = np.median(counts.data) >= USUAL_READS
        least = max(2, min(MIN_CELLS, counts.shape[0] // 10))
        threshold = READS if are_reads else 0
        _, _, eligible, position = curve_positions(counts, threshold, least)
        spread[~eligible] = 0
    order = np.lexsort((-spread, -position))
    return np.isin(np.arange(data.n_genes), order[:n_genes])
