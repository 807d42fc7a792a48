"""Gene selection and normalisation of counts, against slow second implementations."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.data.counts import correlation_with_counts, size_of_library
from sbnn.data.objects import dense
from sbnn.data.preprocessing import (
    Standardizer,
    expression_pipeline,
    log2p1,
    normalize_library_size,
    select_genes,
)
from sbnn.data.readers.counts import read_count_table

FORMATS = [np.asarray, sparse.csr_array, sparse.csc_matrix, pd.DataFrame]


def kept_at(counts, b, threshold, min_cells):
    """Say for each gene, in plain Python, whether the rule of the dropout curve keeps it."""
    kept = []
    for gene in counts.T:
        seen = [math.log2(count) for count in gene if count > threshold]
        frequency = 1 - len(seen) / len(gene)
        mean = sum(seen) / max(1, len(seen))
        on_curve = frequency > math.exp(-1.5 * (mean - b)) + 0.02
        kept.append(len(seen) >= min_cells and on_curve)
    return kept


def test_exactly_tied_genes_are_taken_in_order(rng):
    gene = rng.permutation(np.r_[np.zeros(12), np.arange(1, 19)])
    # equal sums, added in different orders
    counts = np.column_stack([rng.permutation(gene) for _ in range(9)])
    for convert in FORMATS:
        assert select_genes(convert(counts), 4).selected.nonzero()[0].tolist() == [0, 1, 2, 3]


def test_selection_reports_the_curve_that_selects(rng):
    counts = rng.negative_binomial(0.5, 0.01, size=(200, 60)) * rng.integers(1, 20, 60)
    counts[:, 4] = 0
    counts[:, 7] = np.where(np.arange(200) < 9, 8, 3)  # seen in one cell too few
    result = select_genes(counts, 20, threshold=3)
    assert np.flatnonzero(~result.eligible).tolist() == [4, 7]
    assert (result.slope, result.offset, result.threshold) == (1.5, 0.02, 3)
    frequency = (counts <= 3).mean(axis=0)
    np.testing.assert_allclose(result.near_zero_frequency, frequency)
    mean = np.ma.masked_less_equal(counts, 3)
    mean = np.ma.log2(mean).mean(axis=0).filled(np.nan)
    np.testing.assert_allclose(result.mean_log2, mean)
    kept = kept_at(counts, result.b, threshold=3, min_cells=10)
    assert sum(kept) == 20 and result.selected.tolist() == kept
    # the curve lies halfway between the last gene that is kept and the next
    candidates = result.eligible & (frequency > 0.02)
    b = np.sort(mean[candidates] + np.log(frequency[candidates] - 0.02) / 1.5)[::-1]
    assert result.b == pytest.approx(b[19:21].mean(), abs=1e-6)
    everything = select_genes(counts, len(b), threshold=3)
    assert everything.selected.sum() == len(b) and 0 < b[-1] - everything.b < 1e-8
    with pytest.raises(ValueError, match="n_genes"):
        select_genes(counts, len(b) + 1, threshold=3)
    with pytest.raises(ValueError, match="threshold"):
        select_genes(counts, threshold=-1)
    with pytest.raises(ValueError, match="counts"):
        select_genes(-counts)


def test_selection_of_the_physiological_counts_is_the_known_one(real_file, real_scala):
    counts, _, genes = read_count_table(real_file("m1_patchseq_phys_temp_exon_counts.csv.gz"))
    result = select_genes(counts, 1000, threshold=30)
    assert result.selected.sum() == 1000
    assert result.b == pytest.approx(7.194, abs=5e-4)
    assert len(set(genes[result.selected]) & set(real_scala.gene_names)) == 573


@pytest.mark.parametrize("convert", FORMATS)
def test_library_size_brings_every_cell_to_the_median_total(convert, rng):
    counts = rng.poisson(5, size=(11, 30))
    normalized = normalize_library_size(convert(counts))
    assert normalized.dtype == np.float32
    assert sparse.issparse(normalized) == sparse.issparse(convert(counts))
    totals = counts.sum(axis=1)
    expected = counts / totals[:, None] * np.median(totals)
    np.testing.assert_allclose(dense(normalized), expected, rtol=1e-6)
    known = normalize_library_size(convert(counts), 100, 2 * totals)
    np.testing.assert_allclose(dense(known).sum(axis=1), 50, rtol=1e-5)


def test_cells_without_counts_or_with_too_small_a_total_are_named():
    counts = pd.DataFrame([[1, 2], [0, 0]], index=["good", "empty"])
    with pytest.raises(ValueError, match="counts: .* 1 of 2 cells: empty;"):
        normalize_library_size(counts)
    with pytest.raises(ValueError, match="totals, .* 1 of 2 cells: 0;"):
        normalize_library_size(counts.to_numpy(), totals=[2, 1])


def test_a_total_is_found_again_only_in_expression_that_was_made_with_it(data):
    counts = data.counts
    totals = counts.sum(axis=1, keepdims=True)
    X = np.log2(counts / totals * 5000 + 1)
    assert size_of_library(X, counts) == pytest.approx(5000)
    assert size_of_library(data.X, sparse.csr_array(counts)) == np.median(totals)
    empty = np.vstack([0 * counts[:1], counts[1:]])
    for other, of in ((X[:, 1:], counts[:, 1:]), (X + 1e-3, counts), (0 * X, counts), (X, empty)):
        assert size_of_library(other, of) is None


def test_counts_of_other_cells_do_not_correlate_with_expression(data):
    X, counts = data.X, data.counts.copy()
    counts[0] = 0
    assert correlation_with_counts(2 * X + 3, sparse.csr_array(counts)) == pytest.approx(1, 1e-4)
    assert correlation_with_counts(X, counts[::-1]) < 0.5
    assert np.isnan(correlation_with_counts(X[1:9], counts[1:9]))
    many = [table[1:].repeat(9, axis=0) for table in (X, counts)]
    assert correlation_with_counts(*many) > 0.99


def test_logarithms_keep_zeros():
    np.testing.assert_allclose(log2p1([0, 1, 7, -0.5]), [0, 1, 3, -1])
    logged = log2p1(sparse.csr_array([[0, 3.0]]))
    assert logged.dtype == np.float32 and logged.toarray().tolist() == [[0, 2]]
    for wrong in (-1.0, np.nan):
        with pytest.raises(ValueError, match="x must"):
            log2p1([wrong])


@pytest.mark.parametrize("convert", FORMATS)
def test_pipeline_learns_from_training_cells_alone(convert, data):
    train, test = data.counts[:80].copy(), data.counts[80:]
    train[:, 3] = 0  # what is constant in training is 0 even where it varies later
    pipeline = expression_pipeline().fit(convert(train))
    target = np.median(train.sum(axis=1))
    known = np.log2(train / train.sum(axis=1, keepdims=True) * target + 1)
    expected = np.log2(test / test.sum(axis=1, keepdims=True) * target + 1)
    plain = expression_pipeline(scale=False).fit(convert(train)).transform(convert(test))
    np.testing.assert_allclose(plain, expected, rtol=1e-5)
    sd = known.std(axis=0)
    sd[3] = np.inf
    Z = pipeline.transform(convert(test))
    assert Z.dtype == np.float32
    np.testing.assert_allclose(Z, (expected - known.mean(axis=0)) / sd, atol=2e-5)


@pytest.mark.parametrize("name", ["data", "real_scala"])
def test_pipeline_reproduces_the_expression_of_the_data(name, request):
    paired = request.getfixturevalue(name)
    again = expression_pipeline(scale=False).fit_transform(paired.counts)
    np.testing.assert_array_equal(again, paired.X)


@parametrize_with_checks([Standardizer()])
def test_transformers_keep_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)
