"""Preselection of genes from the expression of the training cells."""

import numpy as np
from scipy import sparse

from sbnn.data.preprocessing import positions_of_curve

READS = 30  # near zero in full-length reads
# least median nonzero count of reads; 52 and 304 in two data sets, 1 for UMIs
USUAL_READS = 10
MIN_CELLS = 10  # in which a gene must be detected, at most a tenth of all


def preselect_genes(data, n_genes=1000, cells=slice(None)):
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
        _, _, eligible, position = positions_of_curve(counts, READS if are_reads else 0, least)
        spread[~eligible] = 0
    order = np.lexsort((-spread, -position))
    return np.isin(np.arange(data.n_genes), order[:n_genes])
