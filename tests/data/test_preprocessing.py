"""Gene selection and normalisation of counts, against slow second implementations."""

import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from sbnn.data.counts import read_count_table, verify_library_size
from sbnn.data.preprocessing import (
    log2p1,
    normalize_library_size,
    select_genes,
)

FORMATS = [np.asarray, sparse.csr_array, pd.DataFrame]


def test_exactly_tied_genes_are_taken_in_order(rng):
    gene = rng.permutation(np.r_[np.zeros(12), np.arange(1, 19)])
    # equal sums, added in different orders
    counts = np.column_stack([rng.permutation(gene) for _ in range(9)])
    for convert in FORMATS:
        result = select_genes(convert(counts), 4)
        assert result.selected.nonzero()[0].tolist() == [0, 1, 2, 3] and result.threshold == 0


def test_selection_keeps_the_genes_above_the_curve(rng):
    counts = rng.negative_binomial(0.5, 0.01, size=(200, 60)) * rng.integers(1, 20, 60)
    counts[:, 4] = 0
    counts[:, 7] = np.where(np.arange(200) < 9, 8, 3)  # seen in one cell too few
    logs = pd.DataFrame(np.log2(np.where(counts > 3, counts, np.nan)))
    frequency = logs.isna().mean()
    # a gene is kept if its frequency exceeds exp(-1.5 (m - b)) + 0.02
    b = logs.mean() + np.log(np.maximum(frequency - 0.02, 1e-99)) / 1.5
    b[logs.count() < 10] = np.nan
    ranked = b[frequency > 0.02].sort_values(ascending=False).dropna().to_numpy()
    result = select_genes(counts, 20, threshold=3)
    np.testing.assert_allclose(result.mean_log2, logs.mean())
    np.testing.assert_allclose(result.near_zero_frequency, frequency)
    np.testing.assert_array_equal(result.eligible, b.notna())
    np.testing.assert_array_equal(result.selected, b >= ranked[19])
    assert result.b == pytest.approx(ranked[19:21].mean())
    everything = select_genes(counts, len(ranked), threshold=3)
    assert everything.selected.sum() == len(ranked)
    assert 0 < ranked[-1] - everything.b < 1e-8
    for wrong in ({"n_genes": len(ranked) + 1}, {"threshold": -1}):
        with pytest.raises(ValueError, match=[*wrong][0]):
            select_genes(counts, **{"threshold": 3} | wrong)


def test_selection_of_the_physiological_counts_is_the_known_one(real_file, real_scala):
    counts, _, genes = read_count_table(real_file("m1_patchseq_phys_temp_exon_counts.csv.gz"))
    result = select_genes(counts, 1000, threshold=30)
    assert result.selected.sum() == 1000
    assert result.b == pytest.approx(7.194, abs=5e-4)
    assert len(set(genes[result.selected]) & set(real_scala.gene_names)) == 573


def test_totals_are_given_or_summed_and_wrong_ones_are_named():
    counts = pd.DataFrame([[1, 2], [0, 0]], index=["good", "empty"])
    found = normalize_library_size(sparse.csc_array(counts[:1]), 100, [5])
    assert found.format == "csr" and found.toarray().tolist() == [[20, 40]]
    with pytest.raises(ValueError, match="counts: .* 1 of 2 cells: empty;"):
        normalize_library_size(counts)
    with pytest.raises(ValueError, match="totals, .* 1 of 2 cells: 0;"):
        normalize_library_size(counts.to_numpy(), totals=[2, 1])


@pytest.fixture
def normalized(data):
    """Expression that was computed from counts with a library size of 5000."""
    fractions = data.counts / data.counts.sum(axis=1, keepdims=True)
    return np.log2(fractions * 5000 + 1)


@pytest.mark.parametrize("convert", [np.asarray, sparse.csr_array])
def test_a_library_size_holds_for_expression_made_with_it(convert, data, normalized):
    counts = convert(data.counts)
    assert verify_library_size(normalized, counts, 5000) == 5000
    assert verify_library_size(normalized[::2], counts[::2], 5000) == 5000


@pytest.mark.parametrize("library_size", [4990, None])
def test_another_library_size_does_not_hold(library_size, data, normalized):
    assert verify_library_size(normalized, data.counts, library_size) is None


def test_a_library_size_does_not_hold_without_some_genes(data, normalized):
    assert verify_library_size(normalized[:, 1:], data.counts[:, 1:], 5000) is None


def test_a_library_size_does_not_hold_for_changed_expression(data, normalized):
    assert verify_library_size(normalized + 1e-3, data.counts, 5000) is None
    one_cell = normalized.copy()
    one_cell[-1] = 0
    assert verify_library_size(one_cell, data.counts, 5000) is None


def test_a_library_size_does_not_hold_with_an_empty_cell(data, normalized):
    counts = data.counts.copy()
    counts[0] = 0
    assert verify_library_size(normalized, counts, 5000) is None


@pytest.mark.parametrize("function", [lambda x: select_genes(x, 9).mean_log2, log2p1])
def test_counts_stored_in_parts_or_in_few_bits_are_the_same_counts(function, rng):
    counts = rng.poisson(20, (40, 12)) * rng.integers(0, 2, (40, 12))
    whole = sparse.csr_array(counts)
    halves = np.column_stack([whole.data // 2, whole.data - whole.data // 2]).ravel()
    places = np.repeat(whole.indices, 2), 2 * whole.indptr
    parts = [
        sparse.csr_array((halves.astype(dtype), *places), shape=whole.shape)
        for dtype in (np.int64, np.float32)
    ]
    expected = function(whole.astype(float))
    for stored in (*parts, whole.astype(np.uint8)):
        if function is log2p1:
            np.testing.assert_allclose(function(stored).toarray(), expected.toarray())
        else:
            np.testing.assert_allclose(function(stored), expected)
    assert parts[0].nnz == len(halves)  # as they were


def test_logarithms_keep_zeros():
    np.testing.assert_allclose(log2p1([0, 1, 7, -0.5]), [0, 1, 3, -1])
    logged = log2p1(sparse.csr_array([[0, 3.0]]))
    assert logged.dtype == np.float32 and logged.toarray().tolist() == [[0, 2]]
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match="x must"):
            log2p1([wrong])
