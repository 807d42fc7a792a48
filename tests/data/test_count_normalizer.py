"""Counts of new cells get the units of the training cells, in every container and without some genes."""

import anndata
import mudata
import numpy as np
import pytest
from made_up import outputs_of
from scipy import sparse
from sklearn.base import clone
from sklearn.pipeline import make_pipeline

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    ExpressionStream,
    LeaveOneOutRidge,
)

SHORT = DistilledSettings(n_trees=5, steps_of_teachers=5, steps_of_student=5)
NETWORK = DistilledBottleneckRegressor(n_genes=6, distillation=SHORT, random_state=0)


@pytest.fixture
def fitted(counts):
    return CountNormalizer().fit(counts)


def by_hand(counts, library_size):
    return np.log2(1 + counts.div(counts.sum(axis=1), axis=0) * library_size)


def with_layer(counts):
    return anndata.AnnData(np.log1p(counts.astype(float)), layers={"counts": counts.to_numpy()})


def test_library_size_and_shares_are_those_of_the_training_cells(counts, fitted):
    assert fitted.library_size_ == np.median(counts.sum(axis=1))
    shares = counts.div(counts.sum(axis=1), axis=0).mean()
    np.testing.assert_allclose(fitted.count_share_, shares, rtol=1e-6)
    assert fitted.feature_names_in_.tolist() == counts.columns.tolist()
    blocks = CountNormalizer().fit(ExpressionStream(counts, block_size=7))
    assert blocks.library_size_ == fitted.library_size_
    np.testing.assert_allclose(blocks.count_share_, shares, rtol=1e-6)
    given = CountNormalizer(library_size=500).fit(counts)
    assert given.library_size_ == 500
    np.testing.assert_allclose(given.transform(counts), by_hand(counts, 500), rtol=1e-5)


def test_new_cells_are_matched_by_name_and_normalised(counts, fitted):
    few = counts.iloc[90:]
    expected = by_hand(few, fitted.library_size_)
    # Neither sequencing depth, nor the order of the genes, nor another gene changes the result.
    deeper = 3 * few[few.columns[::-1]].assign(Malat1=5000)
    found = fitted.transform(deeper)
    assert found.columns.tolist() == counts.columns.tolist()
    assert found.index.tolist() == few.index.tolist()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    np.testing.assert_allclose(fitted.transform(few.to_numpy()), expected, rtol=1e-5)


@pytest.mark.filterwarnings("ignore")
def test_every_container_gives_the_same_cells(counts, fitted, tmp_path):
    expected = fitted.transform(counts).to_numpy()
    with_layer(counts).write_h5ad(tmp_path / "a.h5ad")
    for X in (
        ExpressionStream(counts, block_size=11),
        with_layer(counts),
        mudata.MuData({"rna": with_layer(counts)}),
        anndata.read_h5ad(tmp_path / "a.h5ad", backed="r"),
    ):
        cells = fitted.transform(X)
        assert cells.gene_names.tolist() == counts.columns.tolist()
        np.testing.assert_array_equal(cells.columns(np.arange(40)), expected)
        np.testing.assert_array_equal(cells.rows([2, 5], [7, 1]), expected[[2, 5]][:, [7, 1]])
    values = fitted.transform(sparse.csr_array(counts.to_numpy()))
    np.testing.assert_array_equal(values, expected)


@pytest.mark.parametrize("model", [NETWORK, LeaveOneOutRidge()])
def test_a_pipeline_of_counts_is_the_model_of_normalised_counts(model, counts, data):
    Y = outputs_of(data)
    X = CountNormalizer().fit_transform(counts)
    plain = clone(model).fit(X, Y)
    cells = with_layer(counts)
    cells.obsm["outputs"] = Y
    for given in ((counts, Y), (ExpressionStream(counts), Y), (cells,)):
        pipeline = make_pipeline(CountNormalizer(), clone(model)).fit(*given)
        np.testing.assert_array_equal(pipeline.predict(given[0]), plain.predict(X))
    assert pipeline.score(cells) == pytest.approx(plain.score(X, Y))


def test_depth_is_estimated_from_the_genes_that_are_there(counts, fitted):
    genes = counts.columns[[*range(3, 31), 1]]
    share = fitted.count_share_[counts.columns.isin(genes)].sum()
    assert 0.5 < share < 0.95
    table = counts[genes]
    found = fitted.transform(table)
    assert found.columns.tolist() == [name for name in counts if name in genes]
    expected = by_hand(table, fitted.library_size_ * share)[found.columns]
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    stream = ExpressionStream(table, totals=counts.sum(axis=1))
    known = fitted.transform(stream).columns(np.arange(29))
    np.testing.assert_allclose(known, fitted.transform(counts)[found.columns], rtol=1e-5)


def test_few_genes_are_warned_of_or_refused(counts, fitted):
    fitted.count_share_ = np.full(40, 1 / 40)
    with pytest.warns(UserWarning, match="counts of 21 of the 40 genes.* have 47.5% of"):
        fitted.transform(counts.iloc[:, :19])
    fitted.count_share_[:3] = [0.02, 0.02, 0.0099]
    with pytest.raises(ValueError, match="have 5.0% of the counts .* too small"):
        fitted.transform(counts.iloc[:, :3])


def test_wrong_counts_are_named(counts, fitted):
    empty = counts.copy()
    empty.iloc[7] = 0
    with pytest.raises(ValueError, match=f"no counts.* in 1 cells: {counts.index[7]}"):
        fitted.transform(empty)
    low = ExpressionStream(counts, totals=np.ones(len(counts)))
    with pytest.raises(ValueError, match="totals below the counts"):
        fitted.transform(low).rows(slice(0, 5))
    with pytest.raises(ValueError, match="totals are only for new cells"):
        CountNormalizer().fit(low)
    with pytest.raises(KeyError, match="no 'counts' in adata.layers"):
        CountNormalizer().fit(anndata.AnnData(counts))
    with pytest.raises(ValueError, match="40 genes, got 39"):
        CountNormalizer().fit(counts.to_numpy()).transform(counts.to_numpy()[:, 1:])
    with pytest.raises(ValueError, match="library_size"):
        CountNormalizer(library_size=-1).fit(counts)
