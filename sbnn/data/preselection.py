"""Which genes are worth a look, of all that were counted: chosen from the expression of the training cells alone."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy import sparse

from sbnn.data.checks import LARGEST_LOG, positions
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import log2p1, normalize_library_size, positions_of_curve

VERSION = 1  # of the criterion: raised whenever the same settings choose other genes
READS = 30  # a count up to this is near zero, where reads of full length are counted
USUAL_READS = 10  # median count, zeros left out: 1 in four sets of molecules (UMI), 52 and 304 in two of reads
MIN_CELLS = 10  # in which a gene has to be seen, or a tenth of the cells where that is fewer
LEAST_CELLS = 2


def preselect_genes(data, n_genes=1000, cells=None, *, threshold=None):
    """Choose the genes with more zeros than their expression explains, on some of the cells.

    The criterion of `sbnn.data.preprocessing.select_genes`, which looks at no output, for data of any kind. With raw
    counts it is asked of them. Log values are turned back to ``2 ** X - 1`` first. Genes that are seen in (nearly) all
    cells, of which it says nothing, come after the others, by the variance of their log values; they alone decide
    where nothing is zero.

    Parameters
    ----------
    data : AnnData, MuData or tuple (X, Y)
    n_genes : int
        How many to choose. All p where there are no more, and fewer where fewer are seen in enough cells: 10, or a
        tenth of the cells where that is fewer.
    cells : sequence of str, sequence of int or boolean mask, optional
        Names, positions or a mask of the cells to choose by; all by default. To say how good a model is, these must be
        its training cells, as `sbnn.cross_validate` and `sbnn.stability_selection` choose with ``preselect=n_genes``.
    threshold : float, optional
        A count of at most this is near zero. By default 30 where the median count of `cells`, without zeros, is 10 or
        more, as of full-length reads, and 0 for molecules (UMI) and log values.

    Returns
    -------
    ndarray of bool, shape (p,)
        For ``adata[:, mask]``.

    Raises
    ------
    ValueError
        If expression is z-scored already, which leaves nothing to choose by; if no gene is seen in enough cells.

    Notes
    -----
    ``benchmarks/preselection.py`` compares it with other criteria on six data sets: no other one is as good everywhere
    without a look at the outputs. Ridge gains by it where counts of all genes are given (0.291 to 0.368 with 80 cells
    of pbmc_5k_protein, 0.447 to 0.571 with 185 of scala_34c_counts); the network chooses among the genes itself.
    """
    data = as_paired(data)
    settings = settings_of({"n_genes": n_genes, "threshold": threshold})
    rows = positions(cells, data.cell_names, "cells")
    if settings["n_genes"] >= data.n_genes:
        return np.ones(data.n_genes, bool)
    order = _best_first(data, rows, settings["threshold"], settings["n_genes"])
    return np.isin(np.arange(data.n_genes), order[: settings["n_genes"]])


def settings_of(preselect):
    """Settings that identify a preselection: of a number of genes, of ``n_genes`` and ``threshold``, or of None."""
    if preselect is None:
        return None
    given = {"n_genes": 1000, "threshold": None}
    given |= preselect if isinstance(preselect, Mapping) else {"n_genes": preselect}
    n_genes, threshold = given["n_genes"], given["threshold"]
    whole = isinstance(n_genes, int | np.integer) and not isinstance(n_genes, bool)
    if len(given) > 2 or not whole or n_genes < 1 or (threshold is not None and threshold < 0):
        raise ValueError(f"preselect: expected a number of genes, or n_genes and threshold, got {preselect!r}")
    return {"n_genes": int(n_genes), "threshold": None if threshold is None else float(threshold), "version": VERSION}


def _best_first(data, cells, threshold, n_genes):
    """Positions of the genes that may be chosen, the best first; only the first `n_genes` are exact."""
    if data.counts is not None:
        counts = data.counts[cells]
        if threshold is None:
            seen = counts.data if sparse.issparse(counts) else counts
            seen = seen[seen > 0]
            threshold = READS if len(seen) and np.median(seen) >= USUAL_READS else 0
    elif data.X.min() < 0:
        # Genes of log values that may be negative, of which none is a zero
        if np.allclose(data.X.std(axis=0, dtype=np.float64), 1, atol=0.01):
            raise ValueError(
                "preselect: every gene of X has an SD of 1; give log values that are not z-scored, or counts"
            )
        return np.argsort(-data.X[cells].var(axis=0, dtype=np.float64), kind="stable")
    else:
        counts = data.X[cells].astype(np.float64)
        counts = np.exp2(counts) - 1 if counts.max() <= LARGEST_LOG else counts
    least = max(LEAST_CELLS, min(MIN_CELLS, len(cells) // 10))
    _, _, eligible, position = positions_of_curve(counts, threshold or 0, min_cells=least)
    order = np.argsort(-position, kind="stable")[: np.isfinite(position).sum()]
    if len(order) < n_genes:
        counted = np.asarray(counts.sum(axis=1)).ravel() > 0
        logs = log2p1(normalize_library_size(counts[counted]))
        spread = (logs.toarray() if sparse.issparse(logs) else logs).var(axis=0, dtype=np.float64)
        always = np.flatnonzero(eligible & ~np.isfinite(position) & (spread > 0))
        order = np.concatenate([order, always[np.argsort(-spread[always], kind="stable")]])
    if not len(order):
        limits = f"above {threshold or 0:g} in at least {least} of {len(cells)} cells"
        raise ValueError(f"preselect: none of {data.n_genes} genes varies and is {limits}")
    return order


def with_preselected(data, preselect, cells=None):
    """Give data with its preselected genes alone, and ``{"preselect": settings}`` for the record; empty for None."""
    settings = settings_of(preselect)
    if settings is None:
        return data, {}
    genes = preselect_genes(data, settings["n_genes"], cells, threshold=settings["threshold"])
    names = {"cells": data.cell_names, "genes": data.gene_names[genes]}
    chosen = replace(
        data,
        X=data.X[:, genes],
        gene_names=names["genes"],
        counts=None if data.counts is None else data.counts[:, genes],
        sha256=data.sha256 if genes.all() else fingerprint_parameters({"subset of": data.sha256, **names}),
    )
    return chosen, {"preselect": settings}
