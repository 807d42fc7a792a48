"""Gene selection against a slow second implementation; transformers fold by fold."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from sklearn.utils.estimator_checks import parametrize_with_checks

from sbnn.data.objects import dense
from sbnn.data.preprocessing import (
    LibrarySizeNormalizer,
    Standardizer,
    correlation_with_counts,
    expression_pipeline,
    log2p1,
    normalize_library_size,
    select_genes,
    shares_of_genes,
    size_of_library,
)
from sbnn.data.readers.counts import read_count_table

EMPTY_CELLS = {
    "check_estimators_dtypes": "the check holds cells without counts, which cannot be normalised"
}
EXEMPT = {LibrarySizeNormalizer: EMPTY_CELLS, Standardizer: {}}
FORMATS = [np.asarray, sparse.csr_array, sparse.csc_matrix, pd.DataFrame]


def kept_at(counts, b, threshold, min_cells):
    """Say for each gene, in plain Python, whether the rule of the dropout curve keeps it."""
    kept = []
    for gene in counts.T:
        seen = [math.log2(count) for count in gene if count > threshold]
        if len(seen) < min_cells:
            kept.append(False)
            continue
        frequency = 1 - len(seen) / len(gene)
        kept.append(frequency > math.exp(-1.5 * (sum(seen) / len(seen) - b)) + 0.02)
    return np.array(kept)


def test_exactly_tied_genes_are_taken_in_order(rng):
    gene = rng.permutation(np.r_[np.zeros(12), np.arange(1, 19)])
    # equal sums, added in different orders
    counts = np.column_stack([rng.permutation(gene) for _ in range(9)])
    for convert in FORMATS:
        assert select_genes(convert(counts), 4).selected.tolist() == [True] * 4 + [False] * 5


def test_selection_reports_the_curve_that_selects(rng):
    counts = rng.negative_binomial(0.5, 0.01, size=(200, 60)) * rng.integers(1, 20, 60)
    counts[:, 4] = 0
    counts[counts[:, 7] > 3, 7] = 0
    counts[:9, 7] = 8  # in one cell too few
    result = select_genes(counts, 20, threshold=3)
    assert np.flatnonzero(~result.eligible).tolist() == [4, 7]
    np.testing.assert_allclose(result.near_zero_frequency, (counts <= 3).mean(axis=0))
    first = counts[:, 0]
    assert result.mean_log2[0] == pytest.approx(np.log2(first[first > 3]).mean())
    assert np.isnan(result.mean_log2[4])
    assert (result.slope, result.offset, result.threshold) == (1.5, 0.02, 3)
    kept = kept_at(counts, result.b, threshold=3, min_cells=10)
    np.testing.assert_array_equal(result.selected, kept)
    assert kept.sum() == 20
    # the curve lies halfway between the last gene that is kept and the next
    seen = result.near_zero_frequency
    b = np.where(seen > 0.02, result.mean_log2 + np.log(np.maximum(seen - 0.02, 1e-9)) / 1.5, -9)
    b = np.sort(b[result.eligible])[::-1]
    assert result.b == pytest.approx(b[19:21].mean(), abs=1e-6)
    n_most = int((b > -9).sum())
    everything = select_genes(counts, n_most, threshold=3)
    assert everything.selected.sum() == n_most and everything.b < b[n_most - 1]
    for name, value in {"n_genes": n_most + 1, "threshold": -1, "min_cells": -1}.items():
        with pytest.raises(ValueError, match=name):
            select_genes(counts, **{"n_genes": 2, "threshold": 3, name: value})


def test_log_values_instead_of_counts_give_a_warning(rng, recwarn):
    counts = rng.poisson(3, (60, 8)) * 10
    select_genes(counts, 2)
    select_genes(counts + 0.5 * (counts > 20), 2)  # estimated counts
    assert not recwarn
    with pytest.warns(UserWarning, match="counts: "):
        select_genes(np.log2(counts + 1), 2)


def test_selection_of_the_physiological_counts_is_the_known_one(real_file, real_scala):
    counts, _, genes = read_count_table(real_file("m1_patchseq_phys_temp_exon_counts.csv.gz"))
    assert counts.shape == (185, 30749)
    result = select_genes(counts, 1000, threshold=30)
    assert result.selected.sum() == 1000
    assert result.b == pytest.approx(7.194, abs=5e-4)
    assert len(set(genes[result.selected]) & set(real_scala.gene_names)) == 573
    np.testing.assert_array_equal(
        result.selected, select_genes(counts.toarray(), 1000, threshold=30).selected
    )


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
    with pytest.raises(ValueError, match="counts: no counts in 1 of 2 cells: empty; leave"):
        normalize_library_size(counts)
    with pytest.raises(ValueError, match="cells: 1; leave"):
        LibrarySizeNormalizer().fit_transform(sparse.csr_array(counts))
    with pytest.raises(ValueError, match="totals: .* 2 of 2 cells: good, empty"):
        normalize_library_size(counts, None, [2, 0])


def test_a_total_is_found_again_only_in_expression_that_was_made_with_it(data):
    X = np.log2(data.counts / data.counts.sum(axis=1, keepdims=True) * 5000 + 1)
    assert size_of_library(X, data.counts) == pytest.approx(5000)
    assert size_of_library(data.X, sparse.csr_array(data.counts)) == np.median(
        data.counts.sum(axis=1)
    )
    for other, counts in (
        (X[:, 1:], data.counts[:, 1:]),
        (X + 1e-3, data.counts),
        (X, 0 * data.counts),
    ):
        assert size_of_library(other, counts) is None
    assert size_of_library(X, np.vstack([0 * data.counts[:1], data.counts[1:]])) is None
    shares = (data.counts / data.counts.sum(1, keepdims=True)).mean(0)
    np.testing.assert_allclose(shares_of_genes(data.counts), shares, rtol=1e-6)


def test_counts_of_other_cells_do_not_correlate_with_expression(data):
    assert correlation_with_counts(data.X, data.counts) == pytest.approx(1)
    assert correlation_with_counts(2 * data.X + 3, sparse.csr_array(data.counts)) > 0.99
    assert correlation_with_counts(data.X, data.counts[::-1]) < 0.5
    assert np.isnan(correlation_with_counts(data.X[:8], data.counts[:8]))
    empty = np.vstack([0 * data.counts[:1], data.counts[1:]])
    assert correlation_with_counts(data.X, empty) > 0.9


def test_logarithms_keep_zeros():
    np.testing.assert_allclose(log2p1([0, 1, 7, -0.5]), [0, 1, 3, -1])
    logged = log2p1(sparse.csr_array([[0, 3.0]]))
    assert logged.dtype == np.float32 and logged.toarray().tolist() == [[0, 2]]
    for wrong in ([-1.0], [-3.0], [np.nan]):
        with pytest.raises(ValueError, match="x must"):
            log2p1(wrong)


@pytest.mark.parametrize("convert", FORMATS)
def test_standardizer_is_the_population_z_score_of_the_training_cells(convert, rng):
    train, test = rng.normal(1000, 3, (50, 4)), rng.normal(1000, 3, (20, 4))
    train[:, 2] = 0.1
    Z = Standardizer().fit(convert(train)).transform(convert(test))
    assert Z.dtype == np.float32
    sd = train.std(axis=0, ddof=0)
    sd[2] = np.inf  # what is constant in training is 0 even where it varies later
    expected = (test - train.mean(axis=0)) / sd
    np.testing.assert_allclose(Z, expected, atol=1e-6)


@pytest.mark.parametrize("convert", FORMATS)
@pytest.mark.parametrize("scale", [True, False])
def test_pipeline_learns_from_training_cells_alone(convert, scale, data):
    train, test = data.counts[:80], data.counts[80:]
    got = dense(expression_pipeline(scale=scale).fit(convert(train)).transform(convert(test)))
    target = np.median(train.sum(axis=1))
    known = np.log2(train / train.sum(axis=1, keepdims=True) * target + 1)
    expected = np.log2(test / test.sum(axis=1, keepdims=True) * target + 1)
    if scale:
        expected = (expected - known.mean(axis=0)) / known.std(axis=0)
    assert got.dtype == np.float32
    np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["data", "real_scala"])
def test_pipeline_reproduces_the_expression_of_the_data(name, request):
    paired = request.getfixturevalue(name)
    np.testing.assert_array_equal(
        expression_pipeline(scale=False).fit_transform(paired.counts), paired.X
    )


@parametrize_with_checks(
    [LibrarySizeNormalizer(), Standardizer()], expected_failed_checks=lambda e: EXEMPT[type(e)]
)
def test_transformers_keep_the_conventions_of_scikit_learn(estimator, check):
    check(estimator)
