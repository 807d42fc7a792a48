"""Genes that are chosen inside the folds: by the training cells alone, and in their places in what comes back."""

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
    """The genes of a fold, and what a ridge regression on them scores on its test and training cells."""
    train, test = fold
    counts, X, Y = data.counts.astype(float), data.X.astype(float), data.Y.astype(float)
    genes = np.ones(60, bool)
    if preselect:
        genes = select_genes(data.counts[train], **preselect, min_cells=6).selected
    if scaling == "fold":
        X = np.log2(counts / counts.sum(1, keepdims=True) * np.median(counts[train].sum(1)) + 1)
    X = X[:, genes]
    if scaling != "none":
        cells = train if scaling == "fold" else slice(None)
        X, Y = ((a - a[cells].mean(0)) / a[cells].std(0) for a in (X, Y))
        X, Y = X - X[train].mean(0), Y - Y[train].mean(0)
    model, scores = Weigher().fit(X[train], Y[train]), {}
    for part, cells in (("test", test), ("train", train)):
        residual = np.square(Y[cells] - model.predict(X[cells])).sum(0)
        total = np.square(Y[cells] - Y[train].mean(0)).sum(0)
        scores |= {
            f"{part}_r2": 1 - residual.sum() / total.sum(),
            f"{part}_feature_r2": 1 - residual / total,
        }
    return genes, model, scores


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
@pytest.mark.parametrize("preselect", [None, {"n_genes": N, "threshold": 90}])
def test_folds_equal_a_loop_by_hand(cells, scaling, preselect):
    """The library size is that of all genes; what is selected is told among all of them."""
    record = cross_validate(
        Weigher(), cells, FOLDS, scaling=scaling, preselect=preselect, verbose=False
    )
    assert record.selected.shape == record.gene_norms.shape == (3, 1, 60)
    for f, fold in enumerate(FOLDS):
        genes, model, scores = by_hand(cells, fold, scaling, preselect)
        for name, expected in scores.items():
            np.testing.assert_allclose(record.values[name][f, 0], expected, atol=1e-4, err_msg=name)
        assert (
            np.flatnonzero(record.selected[f, 0]).tolist()
            == np.flatnonzero(genes)[model.get_support()].tolist()
        )
        np.testing.assert_allclose(record.gene_norms[f, 0][genes], model.gene_norms_, rtol=1e-4)
        assert not record.gene_norms[f, 0][~genes].any() and record.n_selected[f, 0] == 2
        if preselect:
            np.testing.assert_array_equal(record.preselected[f], genes)
            np.testing.assert_array_equal(preselect_genes(cells, cells=fold[0], **preselect), genes)
    if preselect:
        everywhere = select_genes(cells.counts, **preselect, min_cells=9).selected
        assert (record.preselected != everywhere).any(), (
            "else nobody could tell by which cells they were chosen"
        )


def test_nothing_of_the_test_cells_reaches_the_training(cells):
    """Neither their counts nor what else is made of them; sparse counts are no other ones."""
    fold, trained = FOLDS[0], []
    for factor, kind in ((1, np.asarray), (1, sparse.csr_array), (7, np.asarray)):
        counts = cells.counts.copy()
        counts[fold[1]] = counts[fold[1], ::-1] * factor if factor > 1 else counts[fold[1]]
        total = counts.sum(1, keepdims=True)
        X = np.log2(counts / total * np.median(total) + 1).astype(np.float32)
        record = cross_validate(
            Weigher(), paired(X, cells.Y, counts=kind(counts)), [fold], preselect=N, verbose=False
        )
        trained.append((record.train_r2, record.gene_norms, record.preselected))
    np.testing.assert_equal(trained[1:], trained[:1] * 2)


def test_results_are_of_one_preselection(cells, tmp_path):
    path, grid = tmp_path / "cv.pickle", {"n_genes": [1, 2]}
    plain = cross_validate(Weigher(), cells, FOLDS, grid, verbose=False)
    about = [cells.name, cells.sha256, [90, 60]]
    assert plain.settings["keys"][1][0] == fit_key(about, Weigher(2), FOLDS[0], "fold"), (
        "older results keep their keys"
    )
    assert "preselected" not in plain.values and "preselect" not in plain.settings
    first = cross_validate(Weigher(), cells, FOLDS, grid, preselect=N, results=path, verbose=False)
    assert (
        len({key for record in (plain, first) for row in record.settings["keys"] for key in row})
        == 12
    )
    for other in (None, N + 1, {"n_genes": N, "threshold": 0}):
        with pytest.raises(ValueError, match="preselection or parameters, which would be lost"):
            cross_validate(
                Weigher(), cells, FOLDS, grid, preselect=other, results=path, verbose=False
            )
    # Other points of the grid, here of the curve over the genes, are added to those that are there.
    options = {"nested": False, "verbose": False}
    added = genes_curve(cells, Weigher(), (2, 1, N, 20, 3), 3, preselect=N, results=path, **options)
    anew = genes_curve(cells, Weigher(), (1, 2, 3, N), 3, preselect={"n_genes": N}, **options)
    assert [point["n_genes"] for point in added.params] == [1, 2, 3]
    assert list(added.values) == list(anew.values) and added.settings == anew.settings
    for name in ("test_r2", "selected", "gene_norms", "preselected"):
        np.testing.assert_array_equal(added.values[name], anew.values[name])


def test_a_prior_follows_its_genes(cells):
    shown = [preselect_genes(cells, N, train) for train, _ in FOLDS]
    wanted, hidden = (
        np.flatnonzero(np.all(shown, axis=0))[-1],
        np.flatnonzero(~np.any(shown, axis=0))[0],
    )
    weights = np.isin(np.arange(60), [wanted, hidden]).astype(float)
    quick = {
        "hidden_layers": (8, 4),
        "epochs": (1, 1, 1, 1),
        "n_genes": 1,
        "random_state": 0,
    }
    for prior in (list(cells.gene_names[[wanted, hidden]]), weights.tolist()):
        model = SparseBottleneckRegressor(**quick, gene_prior=prior, prior_influence=1.0)
        record = cross_validate(model, cells, FOLDS, preselect=N, verbose=False)
        assert np.argwhere(record.selected[:, 0])[:, 1].tolist() == [wanted] * 3
    nothing = SparseBottleneckRegressor(gene_prior=[cells.gene_names[hidden]]).for_genes(
        cells.gene_names, shown[0]
    )
    assert nothing.gene_prior is None, "it says nothing of the genes there are"


def test_a_grid_of_priors_is_saved_and_recognised(cells, tmp_path):
    quick = {
        "hidden_layers": (8, 4),
        "epochs": (1, 1, 1, 1),
        "n_genes": 1,
        "random_state": 0,
    }
    names, how = cells.gene_names, {"results": tmp_path / "cv.pickle", "verbose": False}
    grid = {
        "gene_prior": [
            None,
            list(names[:2]),
            {names[2]: 1.0, names[4]: 0.5},
            pd.Series({names[3]: 2.0}),
        ]
    }
    first = cross_validate(SparseBottleneckRegressor(**quick), cells, FOLDS[:1], grid, **how)
    saved = how["results"].stat().st_mtime_ns
    again = cross_validate(SparseBottleneckRegressor(**quick), cells, FOLDS[:1], grid, **how)
    assert how["results"].stat().st_mtime_ns == saved and np.array_equal(
        first.test_r2, again.test_r2
    )
    assert [again.find(gene_prior=prior) for prior in grid["gene_prior"]] == [0, 1, 2, 3]


def test_every_half_chooses_its_own_genes(cells, tmp_path):
    path = tmp_path / "halves.pickle"
    stability_selection(Weigher(), cells, 2, preselect=N, results=path, verbose=False)
    record = stability_selection(Weigher(), cells, 4, preselect=N, results=path, verbose=False)
    for half, shown in zip(record.folds, record.preselected, strict=True):
        np.testing.assert_array_equal(shown, preselect_genes(cells, N, half[0]))
    assert (
        record.selected.shape == (8, 1, 60) and not record.selected[:, 0][~record.preselected].any()
    )
    table = selection_table(record)
    assert len(table) == 60
    np.testing.assert_allclose(
        table["expected_false"], expected_false(table["frequency"].to_numpy(), N, 2, 4)
    )
    threshold = selection_threshold(record, max_false=2.0)
    assert expected_false(threshold, N, 2, 4) <= 2 < expected_false(threshold - 1 / 8, N, 2, 4)
