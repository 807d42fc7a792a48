"""Counts of new cells get the units of the training cells."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from sbnn import CountNormalizer


@pytest.fixture
def fitted(counts):
    return CountNormalizer().fit(counts)


@pytest.fixture
def fractions(counts):
    """Of the counts of each cell."""
    return counts.div(counts.sum(axis=1), axis=0)


@pytest.fixture
def expected(fractions, fitted):
    return np.log2(1 + fractions * fitted.library_size_)


def test_the_library_size_is_the_median_total(counts, fitted):
    assert fitted.library_size_ == np.median(counts.sum(axis=1))


def test_genes_are_matched_by_name(counts, fitted, expected):
    other = counts[counts.columns[::-1]].assign(Malat1=5000)
    found = fitted.transform(other)
    assert found.columns.equals(counts.columns)
    assert found.index.equals(counts.index)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_names_of_which_none_is_known_are_refused(counts, fitted):
    with pytest.raises(ValueError, match="none of the .* genes of the fit, such as"):
        fitted.transform(counts.rename(columns=str.upper))


def test_counts_of_an_anndata_are_a_layer(counts, expected):
    layers = {"counts": sparse.csr_matrix(counts)}
    adata = anndata.AnnData(0.0 * counts, layers=layers)
    found = CountNormalizer().fit_transform(adata)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


@pytest.fixture
def some_genes(counts):
    """29 of 40 genes, in the order of the fit."""
    return counts.iloc[:, [1, *range(3, 31)]]


def test_depth_is_estimated_from_the_genes_that_are_there(some_genes, fractions, fitted):
    share = fractions.mean()[some_genes.columns].sum()
    of_these = some_genes.div(some_genes.sum(axis=1), axis=0)
    expected = np.log2(1 + of_these * fitted.library_size_ * share)
    found = fitted.transform(some_genes[some_genes.columns[::-1]])
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_depth_may_be_known(counts, some_genes, fitted, expected):
    found = fitted.transform(some_genes, totals=counts.sum(axis=1))
    np.testing.assert_allclose(found, expected[some_genes.columns], rtol=1e-5)


def test_half_of_the_counts_are_enough(counts, fitted, recwarn):
    fitted.count_share_ = np.full(40, 1 / 40)
    fitted.transform(counts.iloc[:, :20] + 1)
    assert not recwarn


def test_few_genes_are_warned_of(counts, fitted):
    fitted.count_share_ = np.full(40, 1 / 40)
    with pytest.warns(UserWarning, match="X: counts of 38 of the 40 genes.* have 5.0% of"):
        fitted.transform(counts.iloc[:, :2] + 1)
