"""Genes are chosen by the training cells of each fold, and reported among all genes."""

import numpy as np
import pandas as pd
import pytest
from made_up import Weigher
from scipy import sparse

from sbnn import (
    SparseBottleneckRegressor,
    cross_validate,
    genes_curve,
    paper_folds,
    selection_table,
    simulate_patchseq,
    stability_selection,
)
from sbnn.data.paired import as_paired, paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.preselection import preselect_genes
from sbnn.evaluation.identity import fit_key
from sbnn.evaluation.stability import expected_false, selection_threshold

N = 12


@pytest.fixture(scope="module")
def cells():
    return as_paired(
        simulate_patchseq(n_cells=90, n_genes=60, n_outputs=4, n_true_genes=8, random_state=2)
    )


FOLDS = paper_folds(90, 3)


def by_hand(data, fold, scaling, preselect):
    """Genes of a fold, and the arrays X and Y of all cells, scaled for this fold."""
    train, _ = fold
    X = data.X.astype(float)
    Y = data.Y.astype(float)
    genes = np.ones(60, bool)
    if preselect:
        genes = select_genes(data.counts[train], **preselect, min_cells=6).selected
    if scaling == "fold":
        sizes = data.counts.sum(1, keepdims=True)
        X = np.log2(data.counts / sizes * np.median(sizes[train]) + 1)
    X = X[:, genes]
    if scaling != "none":
        cells = train if scaling == "fold" else slice(None)
        X = (X - X[train].mean(0)) / X[cells].std(0)
        Y = (Y - Y[train].mean(0)) / Y[cells].std(0)
    return genes, X, Y


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
@pytest.mark.parametrize("preselect", [None, {"n_genes": N, "threshold": 90}])
def test_folds_equal_a_loop_by_hand(cells, scaling, preselect):
    """Library sizes are those of all genes, and selected genes are given among all genes."""
    record = cross_validate(
        Weigher(), cells, FOLDS, scaling=scaling, preselect=preselect, verbose=False
    )
    assert record.selected.shape == record.gene_norms.shape == (3, 1, 60)
    for f, fold in enumerate(FOLDS):
        genes, X, Y = by_hand(cells, fold, scaling, preselect)
        train, _ = fold
        model = Weigher().fit(X[train], Y[train])
        for part, of_part in zip(("train", "test"), fold, strict=True):
            residual = np.square(Y[of_part] - model.predict(X[of_part])).sum(0)
            total = np.square(Y[of_part] - Y[train].mean(0)).sum(0)
            r2 = record.values[f"{part}_r2"][f, 0]
            assert r2 == pytest.approx(1 - residual.sum() / total.sum(), abs=1e-4)
            of_outputs = record.values[f"{part}_feature_r2"][f, 0]
            np.testing.assert_allclose(of_outputs, 1 - residual / total, atol=1e-4)
        selected = np.flatnonzero(genes)[model.get_support()]
        assert np.flatnonzero(record.selected[f, 0]).tolist() == selected.tolist()
        norms = record.gene_norms[f, 0]
        np.testing.assert_allclose(norms[genes], model.gene_norms_, rtol=1e-4)
        assert not norms[~genes].any()
        assert record.n_selected[f, 0] == 2
        if preselect:
            np.testing.assert_array_equal(record.preselected[f], genes)
    if preselect:
        everywhere = select_genes(cells.counts, **preselect, min_cells=9).selected
        assert (record.preselected != everywhere).any(), "test cells would change the choice"


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_nothing_of_the_test_cells_reaches_the_training(cells, kind):
    fold = FOLDS[0]
    _, test = fold
    expected = trained(cells, cells.counts, fold)
    counts = cells.counts.copy()
    counts[test] = 7 * counts[test, ::-1]
    found = trained(cells, counts, fold, kind)
    for name in ("train_r2", "gene_norms", "preselected"):
        np.testing.assert_array_equal(found.values[name], expected.values[name])


def trained(cells, counts, fold, kind=np.asarray):
    """Cross-validation of one fold of cells with other counts."""
    total = counts.sum(1, keepdims=True)
    X = np.log2(counts / total * np.median(total) + 1).astype(np.float32)
    data = paired(X, cells.Y, counts=kind(counts))
    return cross_validate(Weigher(), data, [fold], preselect=N, verbose=False)


def test_results_are_of_one_preselection(cells, tmp_path):
    path = tmp_path / "cv.pickle"
    grid = {"n_genes": [1, 2]}
    plain = cross_validate(Weigher(), cells, FOLDS, grid, verbose=False)
    about = [cells.name, cells.sha256, [90, 60]]
    key = fit_key(about, Weigher(2), FOLDS[0], "fold")
    assert plain.settings["keys"][1][0] == key, "older results keep their keys"
    assert "preselected" not in plain.values
    assert "preselect" not in plain.settings
    how = {"results": path, "verbose": False}
    first = cross_validate(Weigher(), cells, FOLDS, grid, preselect=N, **how)
    keys = np.ravel([plain.settings["keys"], first.settings["keys"]])
    assert len(np.unique(keys)) == 12
    for other in (None, N + 1, {"n_genes": N, "threshold": 0}):
        with pytest.raises(ValueError, match="which would be lost"):
            cross_validate(Weigher(), cells, FOLDS, grid, preselect=other, **how)


def test_other_numbers_of_genes_are_added_to_saved_ones(cells, tmp_path):
    path = tmp_path / "curve.pickle"
    options = {"nested": False, "verbose": False}
    genes_curve(cells, Weigher(), (1, 2), 3, preselect=N, results=path, **options)
    # as many genes as there are after preselection, or more, are left out
    added = genes_curve(cells, Weigher(), (2, 1, N, 20, 3), 3, preselect=N, results=path, **options)
    anew = genes_curve(cells, Weigher(), (1, 2, 3, N), 3, preselect={"n_genes": N}, **options)
    assert [point["n_genes"] for point in added.params] == [1, 2, 3]
    assert added.values.keys() == anew.values.keys()
    assert added.settings == anew.settings
    for name in ("test_r2", "selected", "gene_norms", "preselected"):
        np.testing.assert_array_equal(added.values[name], anew.values[name])


QUICK = {
    "hidden_layers": (8, 4),
    "epochs": (1, 1, 1, 1),
    "n_genes": 1,
    "random_state": 0,
}


def test_a_prior_follows_its_genes(cells):
    shown = np.array([preselect_genes(cells, N, train) for train, _ in FOLDS])
    wanted = np.flatnonzero(shown.all(0))[-1]
    hidden = np.flatnonzero(~shown.any(0))[0]
    names = cells.gene_names[[wanted, hidden]].tolist()
    weights = np.zeros(60)
    weights[[wanted, hidden]] = 1
    for prior in (names, weights.tolist()):
        model = SparseBottleneckRegressor(**QUICK, gene_prior=prior, prior_influence=1.0)
        record = cross_validate(model, cells, FOLDS, preselect=N, verbose=False)
        assert record.selected[:, 0, wanted].all()
        assert (record.n_selected == 1).all()


def test_a_grid_of_priors_is_saved_and_recognised(cells, tmp_path):
    path = tmp_path / "cv.pickle"
    names = cells.gene_names
    weights = {names[2]: 1.0, names[4]: 0.5}
    priors = [None, list(names[:2]), weights, pd.Series({names[3]: 2.0})]
    model = SparseBottleneckRegressor(**QUICK)
    how = {"param_grid": {"gene_prior": priors}, "results": path, "verbose": False}
    first = cross_validate(model, cells, FOLDS[:1], **how)
    saved = path.stat().st_mtime_ns
    again = cross_validate(model, cells, FOLDS[:1], **how)
    assert path.stat().st_mtime_ns == saved
    np.testing.assert_array_equal(first.test_r2, again.test_r2)
    assert [again.find(gene_prior=prior) for prior in priors] == [0, 1, 2, 3]


def test_every_half_chooses_its_own_genes(cells, tmp_path):
    path = tmp_path / "halves.pickle"
    stability_selection(Weigher(), cells, 2, preselect=N, results=path, verbose=False)
    record = stability_selection(Weigher(), cells, 4, preselect=N, results=path, verbose=False)
    for half, shown in zip(record.folds, record.preselected, strict=True):
        np.testing.assert_array_equal(shown, preselect_genes(cells, N, half[0]))
    assert record.selected.shape == (8, 1, 60)
    assert not record.selected[:, 0][~record.preselected].any()
    table = selection_table(record)
    assert len(table) == 60
    np.testing.assert_allclose(
        table["expected_false"], expected_false(table["frequency"].to_numpy(), N, 2, 4)
    )
    threshold = selection_threshold(record, max_false=2.0)
    assert expected_false(threshold, N, 2, 4) <= 2 < expected_false(threshold - 1 / 8, N, 2, 4)
