"""Preselection of genes from the expression of the training cells."""

from dataclasses import replace

import numpy as np
from scipy import sparse

from sbnn.data.checks import LARGEST_LOG
from sbnn.data.fingerprint import fingerprint_parameters
from sbnn.data.preprocessing import positions_of_curve
from sbnn.errors import check_number

# raise it when a change selects other genes
VERSION = 2
READS = 30  # near zero in full-length reads
# least median nonzero count of reads; 52 and 304 in two data sets, 1 for UMIs
USUAL_READS = 10
# cells in which a gene must be detected, at most a tenth of all
MIN_CELLS = 10
LEAST_CELLS = 2


def preselect_genes(data, n_genes=1000, cells=slice(None)):
    """Mask of the genes of `Paired` data with more zeros than their expression explains.

    The criterion of `sbnn.data.preprocessing.select_genes` is applied to raw counts if there are
    any, otherwise to ``2 ** X - 1``, or to X itself if its values are too large for logarithms.
    Counts up to 30 are near zero in full-length reads, otherwise only 0. Genes detected in (nearly)
    all cells, and all genes of values that can be negative, are ranked by their variance.

    `cells` (positions or a mask) are the training cells.
    """
    X = data.X[cells].astype(np.float64)
    spread = X.var(axis=0)
    position = np.zeros(data.n_genes)
    if data.X.min() >= 0:
        position, eligible = _positions(X if data.counts is None else data.counts[cells])
        spread[~eligible] = 0
    order = np.lexsort((-spread, -position))
    return np.isin(np.arange(data.n_genes), order[:n_genes])


def _positions(values):
    """Curve positions of the genes, -inf for none, and which genes enough cells express."""
    counts = sparse.csr_array(values)
    threshold = 0
    if counts.dtype.kind == "f":  # log expression
        if counts.max() <= LARGEST_LOG:
            counts.data = np.exp2(counts.data) - 1
    elif np.median(counts.data[counts.data > 0]) >= USUAL_READS:
        threshold = READS
    least = max(LEAST_CELLS, min(MIN_CELLS, counts.shape[0] // 10))
    _, _, eligible, position = positions_of_curve(counts, threshold, least)
    return position, eligible


def settings_of(preselect):
    """Entry of a record."""
    if preselect is None:
        return {}
    check_number("preselect", preselect, int, 1)
    return {"preselect": {"n_genes": int(preselect), "version": VERSION}}


def with_preselected(data, preselect, cells=slice(None)):
    """The data with only the preselected genes, and the entry of `settings_of`."""
    settings = settings_of(preselect)
    if preselect is None or preselect >= data.n_genes:
        return data, settings
    genes = preselect_genes(data, preselect, cells)
    gene_names = data.gene_names[genes]
    counts = None if data.counts is None else data.counts[:, genes]
    of = {"subset of": data.sha256, "cells": data.cell_names, "genes": gene_names}
    chosen = replace(
        data,
        X=data.X[:, genes],
        gene_names=gene_names,
        counts=counts,
        sha256=fingerprint_parameters(of),
    )
    return chosen, settings
