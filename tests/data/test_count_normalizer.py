"""Counts of new cells get the units of the training cells, whatever holds them."""

import anndata
import mudata
import numpy as np
import pytest
from made_up import outputs_of
from scipy import sparse

from sbnn import CountNormalizer, ExpressionStream


@pytest.fixture
def fitted(counts):
    return CountNormalizer().fit(counts)


def by_hand(counts, library_size):
    return np.log2(1 + counts.div(counts.sum(axis=1), axis=0) * library_size)


def test_library_size_and_shares_are_those_of_the_training_cells(counts):
    shares = counts.div(counts.sum(axis=1), axis=0).mean()
    for X in (counts, ExpressionStream(counts, block_size=7)):
        fitted = CountNormalizer().fit(X)
        assert fitted.library_size_ == np.median(counts.sum(axis=1))
        np.testing.assert_allclose(fitted.count_share_, shares, rtol=1e-6)
        assert fitted.get_feature_names_out().tolist() == counts.columns.tolist()
    given = CountNormalizer(library_size=500).fit_transform(counts)
    np.testing.assert_allclose(given, by_hand(counts, 500), rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_every_container_gives_the_same_cells(counts, fitted, data, tmp_path):
    expected = by_hand(counts, fitted.library_size_)
    # Neither sequencing depth, nor the order of the genes, nor another gene changes the result.
    found = fitted.transform(3 * counts[counts.columns[::-1]].assign(Malat1=5000))
    assert found.columns.equals(counts.columns) and found.index.equals(counts.index)
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    values = fitted.transform(sparse.csr_array(counts.to_numpy()))
    np.testing.assert_allclose(values, expected, rtol=1e-5)
    layers = {"counts": counts.to_numpy()}
    adata = anndata.AnnData(0.0 * counts, obsm={"outputs": outputs_of(data)}, layers=layers)
    adata.write_h5ad(tmp_path / "a.h5ad")
    backed = anndata.read_h5ad(tmp_path / "a.h5ad", backed="r")
    stream = ExpressionStream(counts, block_size=11)
    for X in (stream, adata, mudata.MuData({"rna": adata}), backed):
        cells = fitted.transform(X)
        assert cells.gene_names.tolist() == counts.columns.tolist()
        np.testing.assert_array_equal(cells.columns(np.arange(40)), values)
        np.testing.assert_array_equal(cells.rows([2, 5], [7, 1]), values[[2, 5]][:, [7, 1]])
    assert len([*fitted.transform(stream).blocks()]) == 11
    frame = fitted.set_output(transform="pandas").transform(stream)
    assert frame.columns.equals(found.columns) and frame.index.equals(found.index)
    few = frame.columns[3:]
    assert fitted.transform(counts[few]).columns.equals(few)


def test_depth_is_estimated_from_the_genes_that_are_there(counts, fitted):
    table = counts.iloc[:, [*range(3, 31), 1]]
    there = table[counts.columns[counts.columns.isin(table)]]
    share = counts.div(counts.sum(axis=1), axis=0).mean()[there.columns].sum()
    found = fitted.transform(table)
    np.testing.assert_allclose(found, by_hand(there, fitted.library_size_ * share), rtol=1e-5)
    stream = ExpressionStream(table, totals=counts.sum(axis=1))
    known = fitted.transform(stream).columns(np.arange(29))
    np.testing.assert_allclose(known, fitted.transform(counts)[there.columns], rtol=1e-5)


def test_few_genes_are_warned_of_or_refused(counts, fitted, recwarn):
    fitted.count_share_ = np.full(40, 1 / 40)
    counts = counts + 1
    fitted.transform(counts.iloc[:, :20])
    assert not recwarn
    with pytest.warns(UserWarning, match="X: counts of 38 of the 40 genes.* have 5.0% of"):
        fitted.transform(counts.iloc[:, :2])
    with pytest.raises(ValueError, match="X: .*2.5%"):
        fitted.transform(counts.iloc[:, :1])


def test_wrong_counts_are_named(counts, fitted):
    totals = counts.sum(axis=1)
    totals.iloc[7] -= 1
    low = ExpressionStream(counts, totals=totals)
    with pytest.raises(ValueError, match=f"counts: .* 1 of 120 cells: {counts.index[7]}"):
        fitted.transform(low).rows()
    with pytest.raises(ValueError, match="totals are only for new cells"):
        CountNormalizer().fit(low)
    with pytest.raises(KeyError, match="no 'counts' in adata.layers"):
        CountNormalizer().fit(anndata.AnnData(counts))
    with pytest.raises(ValueError, match="library_size"):
        CountNormalizer(library_size=-1).fit(counts)
