"""Folds against a loop by hand; genes are chosen by the training cells, and nothing leaks."""

import numpy as np
import pytest
from made_up import Weigher, changed
from numpy.testing import assert_allclose as close
from numpy.testing import assert_array_equal as equal
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sbnn import (
    SparseBottleneckRegressor,
    cross_validate,
    epoch_curves,
    paper_folds,
    simulate_patchseq,
)
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import preselect_genes
from sbnn.evaluation.folds import held_out_means

QUICK = {"hidden_layers": (8, 4), "epochs": (1, 1, 1, 1)}
N = 12
FOLDS = paper_folds(90, 3)


@pytest.fixture(scope="module")
def cells():
    return as_paired(simulate_patchseq(90, 60, 4, n_true_genes=8, random_state=2))


@pytest.mark.parametrize(("scaling", "preselect"), [("fold", N), ("all", None)])
def test_folds_equal_a_loop_by_hand(cells, scaling, preselect):
    """Library sizes are those of all genes, and selected genes are given among all genes."""
    how = {"scaling": scaling, "preselect": preselect, "verbose": False}
    record = cross_validate(Weigher(), cells, FOLDS, **how)
    in_units = held_out_means(record, cells.Y, 0)
    sizes = cells.counts.sum(1, keepdims=True)
    for f, (train, test) in enumerate(FOLDS):
        X = cells.X.astype(float)
        Y = cells.Y.astype(float)
        genes = np.ones(60, bool)
        part = slice(None)
        if scaling == "fold":
            part = train
            genes = preselect_genes(cells, N, train)
            X = np.log2(cells.counts / sizes * np.median(sizes[train]) + 1)[:, genes]
            equal(record.preselected[f, 0], genes)
        X = (X - X[train].mean(0)) / X[part].std(0)
        mean = Y[train].mean(0)
        sd = Y[part].std(0)
        Y = (Y - mean) / sd
        model = Weigher().fit(X[train], Y[train])
        predicted = model.predict(X)
        close(in_units[test], predicted[test] * sd + mean, rtol=1e-3, atol=1e-3)
        errors = np.square(Y - predicted)
        for name, part in (("train", train), ("test", test)):
            r2 = 1 - errors[part].sum(0) / np.square(Y[part]).sum(0)
            close(record.values[f"{name}_feature_r2"][f, 0], r2, atol=1e-4)
            r2 = 1 - errors[part].sum() / np.square(Y[part]).sum()
            close(record.values[f"{name}_r2"][f, 0], r2, atol=1e-4)
        close(record.gene_norms[f, 0, genes], model.gene_norms_, rtol=1e-4)
        equal(record.selected[f, 0, genes], model.get_support())
        assert record.n_selected[f, 0] == record.selected[f, 0].sum() == 2


def test_nothing_of_the_test_cells_reaches_the_training(cells):
    _, test = FOLDS[0]
    counts = cells.counts.copy()
    counts[test] = 7 * counts[test, ::-1]
    computed = {"X": None, "library_size": None}
    other = changed(cells, counts=sparse.csr_array(counts), truth={}, **computed)
    how = {"folds": FOLDS[:1], "preselect": N, "verbose": False}
    one = cross_validate(Weigher(), cells, **how)
    two = cross_validate(Weigher(), other, **how)
    for name in ("train_r2", "gene_norms", "preselected"):
        equal(one.values[name], two.values[name])
    assert one.test_r2 != two.test_r2


def test_the_record_holds_what_was_done(data, adata):
    """Of an AnnData, with a splitter, in two processes, as of arrays in one."""
    model = SparseBottleneckRegressor(**QUICK, n_genes=5, standardize=False)
    grid = {"n_components": [1, 2]}
    splitter = KFold(3, shuffle=True, random_state=1)
    record = cross_validate(model, adata, splitter, grid, n_jobs=2, verbose=False)
    assert record.sha256 == data.sha256
    curves = epoch_curves(record, n_components=2)
    last = curves[(curves.fold == 2) & (curves.stage == "fine-tuning")].iloc[-1]
    assert last.eval_r2 == pytest.approx(record.test_r2[2, 1], abs=1e-5)
    alone = cross_validate(model, data, list(splitter.split(data.X)), grid, verbose=False)
    equal(alone.test_r2, record.test_r2)


def test_a_fold_that_tests_a_single_cell_is_remarked(cells):
    folds = [*FOLDS, (np.arange(89), [89])]
    with pytest.warns(UserWarning, match="folds: R2 of a single cell"):
        cross_validate(Ridge(), cells, folds, verbose=False)


def test_a_scaling_that_does_not_exist_is_refused(data):
    with pytest.raises(ValueError, match="scaling"):
        cross_validate(Ridge(), data, scaling="x")
