"""Genes chosen without outputs and other cells: reads, molecules, and few cells."""

import numpy as np
import pytest
from scipy import sparse

from sbnn import simulate_patchseq
from sbnn.data.paired import as_paired, paired_cells
from sbnn.data.preprocessing import preselect_genes, select_genes


def of_counts(counts, Y, convert=np.asarray):
    return as_paired(paired_cells(None, Y, counts=convert(counts)))


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
    return of_counts(counts, reads.Y, sparse.csr_array)


def test_counts_are_recognised_as_reads_or_molecules(reads, molecules):
    for data, usual, other in ((reads, 30, 0), (molecules, 0, 2)):
        expected = select_genes(data.counts, 20, usual).selected
        unusual = select_genes(data.counts, 20, other).selected
        assert (expected != unusual).any()
        np.testing.assert_array_equal(preselect_genes(data, 20), expected)


def test_the_other_cells_do_not_matter(reads):
    cells = np.arange(5, 65)
    chosen = np.isin(np.arange(120), cells)
    counts = np.where(chosen[:, None], reads.counts, reads.counts[::-1] * 100)
    other = of_counts(counts, reads.Y)
    expected = preselect_genes(reads, 20, cells)
    assert (expected != preselect_genes(reads, 20)).any()
    np.testing.assert_array_equal(preselect_genes(other, 20, chosen), expected)


def test_without_counts_the_variance_decides(rng):
    spread = rng.permutation(np.linspace(0.1, 1, 30))
    data = as_paired((spread * rng.normal(size=(400, 30)), rng.normal(size=(400, 2))))
    chosen = preselect_genes(data, 5)
    assert chosen.sum() == 5 and spread[chosen].min() > np.quantile(spread, 0.7)


def test_few_cells_give_the_genes_there_are(reads):
    counts = reads.counts[:40].copy()
    counts[:, :10] += 1000  # in every cell
    counts[:, 10:32] = 0
    counts[:3, 10:31] = 1000  # in three cells, where four are a tenth
    counts[:4, 31] = 1000
    data = of_counts(counts, reads.Y[:40])
    chosen = preselect_genes(data, 80 - 21)
    assert chosen[:10].all() and not chosen[10:31].any() and chosen[31]
    assert preselect_genes(data, 80).all()
