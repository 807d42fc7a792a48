"""Preselection of genes from the expression of the training cells alone."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from sbnn.data.checks import LARGEST_LOG
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.objects import dense
from sbnn.data.preprocessing import log2p1, normalize_library_size, positions_of_curve
from sbnn.errors import check_number

# version of the criterion, incremented whenever a change makes given settings select other genes
VERSION = 1
READS = 30  # counts up to this value are considered to be near zero in full-length reads
# least median nonzero count of reads; the median is 52 and 304 in data sets of reads, and 1 for
# UMIs
USUAL_READS = 10
# number of cells in which a gene must be detected, or a tenth of the cells if that is fewer
MIN_CELLS = 10
LEAST_CELLS = 2


def preselect_genes(data, n_genes=1000, cells=None, *, threshold=None):
    """Select genes of `Paired` data that have more zeros than their expression level explains;
    return a mask.

    The criterion of `sbnn.data.preprocessing.select_genes`, which does not use the outputs, is
    applied to raw counts if there are any, otherwise to ``2 ** X - 1``, or to X itself if its
    values are too large for logarithms. The criterion is undefined for genes that are detected in
    (nearly) all cells; these genes rank last, by the variance of their log values. If X has
    negative values and there are no counts, all genes are ranked by their variance.

    `cells` (positions or a mask) are the cells to use; if a test R2 will be reported, use only the
    training cells. All genes are selected if there are at most `n_genes`; fewer than `n_genes` are
    selected if too few genes are detected in enough cells. Counts up to `threshold` are considered
    to be near zero; the default is 30 if the median nonzero count is 10 or more, as in full-length
    reads, otherwise 0. ``benchmarks/preselection.py`` compares criteria on six data sets; no other
    criterion that ignores the outputs is as good on all six.
    """
    if n_genes >= data.n_genes:
        return np.ones(data.n_genes, bool)
    rows = np.arange(data.n_cells) if cells is None else cells
    if data.counts is not None:
        counts = data.counts[rows]
        if threshold is None:
            seen = counts.data if sparse.issparse(counts) else counts
            seen = seen[seen > 0]
            threshold = READS if len(seen) and np.median(seen) >= USUAL_READS else 0
        order = _best_first(counts, threshold, n_genes)
    elif data.X.min() < 0:
        # Log values that can be negative have no zeros that could be counted.
        if np.allclose(data.X.std(axis=0, dtype=np.float64), 1, atol=0.01):
            raise ValueError(
                "preselect: every gene of X has an SD of 1; pass counts, or values that are not z-scored"
            )
        order = np.argsort(-data.X[rows].var(axis=0, dtype=np.float64), kind="stable")
    else:
        counts = data.X[rows].astype(np.float64)
        order = _best_first(
            np.exp2(counts) - 1 if counts.max() <= LARGEST_LOG else counts, threshold or 0, n_genes
        )
    return np.isin(np.arange(data.n_genes), order[:n_genes])


def settings_of(preselect):
    """Entry of a record for `preselect`: a number of genes, a dict of ``n_genes`` and ``threshold``, or None."""
    if preselect is None:
        return {}
    settings = {"n_genes": 1000, "threshold": None}
    settings |= preselect if isinstance(preselect, Mapping) else {"n_genes": preselect}
    if len(settings) > 2:
        raise ValueError(f"preselect: expected only n_genes and threshold, got {list(preselect)}")
    n_genes, threshold = settings.values()
    check_number("preselect: n_genes", n_genes, int, 1)
    if threshold is not None:
        check_number("preselect: threshold", threshold, float, 0)
    threshold = None if threshold is None else float(threshold)
    return {"preselect": {"n_genes": int(n_genes), "threshold": threshold, "version": VERSION}}


def _best_first(counts, threshold, n_genes):
    """Positions of the eligible genes, best first; genes after the first `n_genes` may be missing."""
    least = max(LEAST_CELLS, min(MIN_CELLS, counts.shape[0] // 10))
    _, _, eligible, position = positions_of_curve(counts, threshold, least)
    order = np.argsort(-position, kind="stable")[: np.isfinite(position).sum()]
    if len(order) < n_genes:
        counted = np.asarray(counts.sum(axis=1)).ravel() > 0
        spread = dense(log2p1(normalize_library_size(counts[counted]))).var(
            axis=0, dtype=np.float64
        )
        always = np.flatnonzero(eligible & ~np.isfinite(position) & (spread > 0))
        order = np.concatenate([order, always[np.argsort(-spread[always], kind="stable")]])
    if not len(order):
        raise ValueError(
            f"preselect: no gene varies and exceeds {threshold:g} in {least} of {counts.shape[0]} cells"
        )
    return order


def with_preselected(data, preselect, cells=None):
    """The data with only the preselected genes, and ``{"preselect": settings}`` for the record (empty for None)."""
    settings = settings_of(preselect)
    if not settings:
        return data, settings
    n_genes, threshold, _ = settings["preselect"].values()
    genes = preselect_genes(data, n_genes, cells, threshold=threshold)
    names = {"cells": data.cell_names, "genes": data.gene_names[genes]}
    counts = None if data.counts is None else data.counts[:, genes]
    sha256 = (
        data.sha256 if genes.all() else fingerprint_parameters({"subset of": data.sha256, **names})
    )
    chosen = replace(
        data, X=data.X[:, genes], gene_names=names["genes"], counts=counts, sha256=sha256
    )
    return chosen, settings
