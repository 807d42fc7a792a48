"""Counts of new cells get the units of the training cells."""

import anndata
import numpy as np
import pytest
from scipy import sparse

from sbnn import CountNormalizer


@pytest.fixture
def fitted(counts):
    return CountNormalizer().fit(counts)


def by_hand(counts, library_size):
    return np.log2(1 + counts.div(counts.sum(axis=1), axis=0) * library_size)


def test_library_size_and_shares_are_those_of_the_training_cells(counts, fitted):
    shares = counts.div(counts.sum(axis=1), axis=0).mean()
    assert fitted.library_size_ == np.median(counts.sum(axis=1))
    np.testing.assert_allclose(fitted.count_share_, shares, rtol=1e-6)


def test_genes_are_matched_by_name(counts, fitted):
    expected = by_hand(counts, fitted.library_size_)
    # Neither sequencing depth, nor the order of the genes, nor another gene changes the result.
    found = fitted.transform(3 * counts[counts.columns[::-1]].assign(Malat1=5000))
    assert found.columns.equals(counts.columns) and found.index.equals(counts.index)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    adata = anndata.AnnData(0.0 * counts, layers={"counts": sparse.csr_matrix(counts)})
    np.testing.assert_allclose(CountNormalizer().fit_transform(adata), expected, rtol=1e-5)


def test_depth_is_known_or_estimated_from_the_genes_that_are_there(counts, fitted):
    table = counts.iloc[:, [*range(3, 31), 1]]
    there = table[counts.columns[counts.columns.isin(table)]]
    share = counts.div(counts.sum(axis=1), axis=0).mean()[there.columns].sum()
    found = fitted.transform(table)
    np.testing.assert_allclose(found, by_hand(there, fitted.library_size_ * share), rtol=1e-5)
    totals = counts.sum(axis=1)
    known = fitted.transform(table, totals)
    np.testing.assert_allclose(known, fitted.transform(counts)[there.columns], rtol=1e-5)


def test_few_genes_are_warned_of(counts, fitted, recwarn):
    fitted.count_share_ = np.full(40, 1 / 40)
    counts = counts + 1
    fitted.transform(counts.iloc[:, :20])
    assert not recwarn
    with pytest.warns(UserWarning, match="X: counts of 38 of the 40 genes.* have 5.0% of"):
        fitted.transform(counts.iloc[:, :2])
