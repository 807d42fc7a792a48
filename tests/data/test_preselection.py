"""Genes chosen without a look at outputs or other cells: counts of reads and molecules, log values, few cells."""

import numpy as np
import pytest
from scipy import sparse

from sbnn import simulate_patchseq
from sbnn.data.paired import as_paired, paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.preselection import preselect_genes


def make(*arrays, **named):
    return as_paired(paired(*arrays, **named))


@pytest.fixture(scope="module")
def reads():
    """120 cells x 80 genes; the median count is far above one."""
    return as_paired(simulate_patchseq(n_cells=120, n_genes=80, n_outputs=3, random_state=1))


@pytest.fixture(scope="module")
def molecules(reads):
    """The same cells and genes, counted in molecules: half of the counts that are not zero are 1 or 2."""
    counts = np.random.default_rng(0).poisson(reads.counts / 150)
    counts[0] += counts.max(0) == 0
    counts[:, 0] += 1
    return make(np.log2(counts / counts.sum(1, keepdims=True) * 100 + 1), reads.Y, counts=counts)


def logs_only(data):
    return make(data.X, data.Y)


def test_counts_are_recognised_as_reads_or_molecules(reads, molecules):
    for data, usual, other in ((reads, 30, 0), (molecules, 0, 2)):
        expected, unusual = (
            select_genes(data.counts, 20, threshold).selected for threshold in (usual, other)
        )
        assert (expected != unusual).any()
        np.testing.assert_array_equal(preselect_genes(data, 20), expected)
        np.testing.assert_array_equal(preselect_genes(data, 20, threshold=other), unusual)


def test_the_other_cells_do_not_matter(reads):
    cells = np.arange(5, 65)
    counts = reads.counts.copy()
    counts[:5], counts[65:] = counts[:5] * 100, 1
    X = np.log2(counts / counts.sum(1, keepdims=True) * 1e5 + 1)
    other = make(X, reads.Y, counts=sparse.csr_array(counts), cell_names=reads.cell_names)
    expected = preselect_genes(reads, 20, cells)
    assert (expected != preselect_genes(reads, 20)).any()
    for chosen in (cells, np.isin(np.arange(120), cells)):
        np.testing.assert_array_equal(preselect_genes(other, 20, chosen), expected)
    X[cells] = reads.X[cells]
    expected = preselect_genes(logs_only(reads), 20, cells)
    np.testing.assert_array_equal(preselect_genes(make(X, reads.Y), 20, cells), expected)


def test_log_values_are_turned_back(molecules):
    turned_back = np.exp2(molecules.X.astype(float)) - 1
    expected = select_genes(turned_back, 20).selected
    np.testing.assert_array_equal(preselect_genes(logs_only(molecules), 20), expected)
    # beyond what logarithms reach
    shares = make((turned_back * 10).astype(np.float32), molecules.Y)
    np.testing.assert_array_equal(preselect_genes(shares, 20), select_genes(shares.X, 20).selected)


def test_where_nothing_is_zero_the_variance_decides(rng):
    spread = rng.permutation(np.linspace(0.1, 1, 30))
    X = 8 + spread * rng.normal(size=(400, 30))
    Y = rng.normal(size=(400, 2))
    for shift in (0, -8):
        chosen = preselect_genes(as_paired((X + shift, Y)), 5)
        assert chosen.sum() == 5 and spread[chosen].min() > np.quantile(spread, 0.7)
    wild = X - 8
    wild[200:, :5] *= 100  # in the other cells
    alone = preselect_genes(as_paired((wild[:200], Y[:200])), 5)
    np.testing.assert_array_equal(
        preselect_genes(as_paired((wild, Y)), 5, cells=np.arange(200)), alone
    )
    with pytest.raises(ValueError, match="preselect: every gene of X has an SD of 1"):
        preselect_genes(as_paired(((X - X.mean(0)) / X.std(0), Y)), 5, cells=np.arange(50))


def test_few_cells_give_the_genes_there_are(reads):
    counts = reads.counts[:40].copy()
    counts[:, :10] += 1000  # in every cell
    counts[:, 10:30] = 0
    counts[:3, 10:30] = 1000  # in three, where four are a tenth
    counts[:, 30] = counts[:, 31] = 0
    counts[:4, 30] = 1000
    counts[:3, 31] = 1000
    X = np.log2(counts / counts.sum(1, keepdims=True) * 1e5 + 1)
    X[0, :] += 1e-3  # no gene is constant
    data = make(X, reads.Y[:40], counts=counts)
    chosen = preselect_genes(data, 79)
    assert chosen[:10].all() and not chosen[10:30].any() and chosen[30] and not chosen[31]
    n_seldom = chosen[31:].sum() + 1
    fewer = preselect_genes(data, int(n_seldom) + 3)
    assert fewer[30:].sum() == n_seldom and fewer[:10].sum() == 3, (
        "what is in every cell comes last"
    )
    assert preselect_genes(data, 80).all() and preselect_genes(data, 1000).all(), (
        "there are no more"
    )
    with pytest.raises(
        ValueError, match="preselect: no gene varies and exceeds 1e\\+09 in 4 of 40"
    ):
        preselect_genes(data, 5, threshold=1e9)
