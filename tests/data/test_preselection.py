"""Genes chosen without outputs and other cells: reads, molecules, log values and few cells."""

import numpy as np
import pytest
from scipy import sparse

from sbnn import simulate_patchseq
from sbnn.data.paired import as_paired, paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.preselection import VERSION, preselect_genes, settings_of, with_preselected


def make(*arrays, **named):
    return as_paired(paired(*arrays, **named))


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
    return make(np.log2(counts / counts.sum(1, keepdims=True) * 100 + 1), reads.Y, counts=counts)


def logs_only(data):
    return make(data.X, data.Y)


def test_counts_are_recognised_as_reads_or_molecules(reads, molecules):
    for data, usual, other in ((reads, 30, 0), (molecules, 0, 2)):
        expected = select_genes(data.counts, 20, usual).selected
        unusual = select_genes(data.counts, 20, other).selected
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
    with pytest.raises(ValueError, match="preselect: "):
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
    assert chosen[:10].all()
    assert not chosen[10:30].any()
    assert chosen[30] and not chosen[31]
    n_seldom = chosen[31:].sum() + 1
    fewer = preselect_genes(data, int(n_seldom) + 3)
    assert fewer[30:].sum() == n_seldom
    always = np.flatnonzero(fewer[:10])  # genes in every cell come last, by their variance
    variance = np.log2(counts / counts.sum(1, keepdims=True) * 1e5 + 1)[:, :10].var(axis=0)
    assert set(always) == set(np.argsort(-variance)[:3])
    assert preselect_genes(data, 80).all()
    assert preselect_genes(data, 1000).all()
    with pytest.raises(ValueError, match="preselect: .* 4 of 40"):
        preselect_genes(data, 5, threshold=1e9)


def test_settings_are_recorded_with_the_version():
    assert settings_of(None) == {}
    assert settings_of(5) == {"preselect": {"n_genes": 5, "threshold": None, "version": VERSION}}
    chosen = settings_of({"threshold": 3})["preselect"]
    assert chosen["n_genes"] == 1000
    assert chosen["threshold"] == 3 and type(chosen["threshold"]) is float
    for wrong in (0, 2.5, {"n": 3}, {"threshold": -1}):
        with pytest.raises((TypeError, ValueError), match="preselect: "):
            settings_of(wrong)


def test_the_data_keep_only_the_chosen_genes(reads):
    cells = np.arange(60)
    data, settings = with_preselected(reads, {"n_genes": 20, "threshold": 3}, cells)
    genes = preselect_genes(reads, 20, cells, threshold=3)
    assert settings == settings_of({"n_genes": 20, "threshold": 3})
    np.testing.assert_array_equal(data.gene_names, reads.gene_names[genes])
    np.testing.assert_array_equal(data.X, reads.X[:, genes])
    np.testing.assert_array_equal(data.counts, reads.counts[:, genes])
    other, _ = with_preselected(reads, 21)
    without_counts, _ = with_preselected(logs_only(reads), 20)
    assert without_counts.counts is None
    assert len({made.sha256 for made in (reads, data, other, without_counts)}) == 4
    assert with_preselected(reads, None) == (reads, {})
    assert with_preselected(reads, 80)[0].sha256 == reads.sha256
