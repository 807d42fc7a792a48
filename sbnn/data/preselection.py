"""Preselection of genes from the expression of the training cells."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace

import numpy as np
from scipy import sparse

from sbnn.data.checks import LARGEST_LOG, CheckedSettings
from sbnn.data.counts import log2p1, normalize_library_size, row_sums
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.objects import dense
from sbnn.data.preprocessing import positions_of_curve

# raise it when a change selects other genes
VERSION = 1
READS = 30  # near zero in full-length reads
# least median nonzero count of reads; 52 and 304 in two data sets, 1 for UMIs
USUAL_READS = 10
# cells in which a gene must be detected, at most a tenth of all
MIN_CELLS = 10
LEAST_CELLS = 2


def preselect_genes(data, n_genes=1000, cells=slice(None), *, threshold=None):
    """Mask of the genes of `Paired` data with more zeros than their expression explains.

    The criterion of `sbnn.data.preprocessing.select_genes` is applied to raw counts if there are
    any, otherwise to ``2 ** X - 1``, or to X itself if its values are too large for logarithms.
    Genes detected in (nearly) all cells rank last, by the variance of their log values.

    `cells` (positions or a mask) are the training cells. Fewer than `n_genes` are selected if too
    few are detected in enough cells. Counts up to `threshold` are near zero; by default 30 for
    full-length reads, otherwise 0.
    """
    if n_genes >= data.n_genes:
        return np.ones(data.n_genes, bool)
    if data.counts is not None:
        counts = data.counts[cells]
        if threshold is None:
            seen = counts.data if sparse.issparse(counts) else counts
            seen = seen[seen > 0]
            threshold = READS if len(seen) and np.median(seen) >= USUAL_READS else 0
        order = _best_first(counts, threshold, n_genes)
    elif data.X.min() < 0:
        # values that can be negative have no zeros to count
        if np.allclose(data.X.std(axis=0, dtype=np.float64), 1, atol=0.01):
            raise ValueError("preselect: every gene of X is z-scored; pass counts or log values")
        order = _by_variance(data.X[cells])
    else:
        counts = data.X[cells].astype(np.float64)
        if counts.max() <= LARGEST_LOG:
            counts = np.exp2(counts) - 1
        order = _best_first(counts, threshold or 0, n_genes)
    return np.isin(np.arange(data.n_genes), order[:n_genes])


@dataclass(frozen=True)
class Preselection(CheckedSettings):
    """Settings of `preselect_genes`."""

    n_genes: int = 1000
    threshold: float | None = None


def settings_of(preselect):
    """Entry of a record."""
    if preselect is None:
        return {}
    if not isinstance(preselect, Mapping):
        preselect = {"n_genes": preselect}
    return {"preselect": asdict(Preselection(**preselect)) | {"version": VERSION}}


def _by_variance(values):
    return np.argsort(-values.var(axis=0, dtype=np.float64), kind="stable")


def _best_first(counts, threshold, n_genes):
    least = max(LEAST_CELLS, min(MIN_CELLS, counts.shape[0] // 10))
    _, _, eligible, position = positions_of_curve(counts, threshold, least)
    on_curve = np.isfinite(position)
    order = np.argsort(-position, kind="stable")[: on_curve.sum()]
    if len(order) < n_genes:
        counted = row_sums(counts) > 0
        values = dense(log2p1(normalize_library_size(counts[counted])))
        always = eligible & ~on_curve & (np.ptp(values, axis=0) > 0)
        by_variance = _by_variance(values)
        order = np.concatenate([order, by_variance[always[by_variance]]])
    if not len(order):
        raise ValueError(f"preselect: no gene varies and exceeds {threshold:g} in {least} cells")
    return order


def with_preselected(data, preselect, cells=slice(None)):
    """The data with only the preselected genes, and the entry of `settings_of`."""
    settings = settings_of(preselect)
    if not settings:
        return data, settings
    chosen = settings["preselect"]
    genes = preselect_genes(data, chosen["n_genes"], cells, threshold=chosen["threshold"])
    if genes.all():
        return data, settings
    gene_names = data.gene_names[genes]
    counts = None if data.counts is None else data.counts[:, genes]
    sha256 = fingerprint_parameters(
        {"subset of": data.sha256, "cells": data.cell_names, "genes": gene_names}
    )
    about = {**data.about, "sha256": sha256}
    about.pop("content_sha256", None)
    X = data.X[:, genes]
    return replace(data, X=X, gene_names=gene_names, counts=counts, about=about), settings
