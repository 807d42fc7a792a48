"""Genes chosen without outputs and other cells: reads, molecules, and few cells."""

import numpy as np
import pytest
from scipy import sparse

from sbnn import simulate_patchseq
from sbnn.data.paired import as_paired, paired
from sbnn.data.preprocessing import preselect_genes, select_genes


def pair_counts(counts, Y):
    return as_paired(paired(None, Y, counts=counts))


@pytest.fixture(scope="module")
def reads():
    """120 cells x 80 genes; the median count is far above one."""
    return as_paired(simulate_patchseq(n_cells=120, n_genes=80, n_outputs=3, random_state=1))


@pytest.fixture(scope="module")
def molecules(reads):
    """The same cells and genes in molecules: half of the counts above zero are 1 or 2."""
    counts = np.random.default_rng(0).poisson(reads.counts / 150)
    counts[0] += counts.max(0) == 0
    counts[:, 0] += 1
    return pair_counts(sparse.csr_array(counts), reads.Y)


def test_up_to_thirty_reads_are_near_zero(reads):
    expected = select_genes(reads.counts, 20, threshold=30).selected
    assert (expected != select_genes(reads.counts, 20, threshold=0).selected).any()
    np.testing.assert_array_equal(preselect_genes(reads, 20), expected)


def test_no_molecules_are_near_zero(molecules):
    expected = select_genes(molecules.counts, 20, threshold=0).selected
    assert (expected != select_genes(molecules.counts, 20, threshold=2).selected).any()
    np.testing.assert_array_equal(preselect_genes(molecules, 20), expected)


def test_without_counts_the_variance_decides(rng):
    spread = rng.permutation(np.linspace(0.1, 1, 30))
    X = spread * rng.normal(size=(400, 30))
    data = as_paired((X, rng.normal(size=(400, 2))))
    chosen = preselect_genes(data, 5)
    assert chosen.sum() == 5
    assert spread[chosen].min() > np.quantile(spread, 0.7)


def test_few_cells_give_the_genes_there_are(reads):
    counts = reads.counts[:40].copy()
    counts[:, :10] += 1000  # in every cell
    counts[:, 10:32] = 0
    counts[:3, 10:31] = 1000  # in three cells, where four are a tenth
    counts[:4, 31] = 1000
    data = pair_counts(counts, reads.Y[:40])
    chosen = preselect_genes(data, 80 - 21)
    assert chosen[:10].all()
    assert not chosen[10:31].any()
    assert chosen[31]
    assert preselect_genes(data, 80).all()
