"""Folds against a loop by hand; genes are chosen by the training cells, and nothing leaks."""

import numpy as np
import pandas as pd
import pytest
from made_up import Weigher, changed
from scipy import sparse
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sbnn import (
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    cross_validate,
    epoch_curves,
    paper_folds,
    simulate_patchseq,
)
from sbnn.data.paired import as_paired
from sbnn.data.preprocessing import select_genes
from sbnn.data.preselection import preselect_genes
from sbnn.evaluation.crossval import _paths
from sbnn.evaluation.folds import held_out_means
from sbnn.results import Record, save

pytestmark = pytest.mark.filterwarnings("ignore:held-out cells of")
QUICK = {"hidden_layers": (8, 4), "epochs": (1, 1, 1, 1)}
N = 12
FOLDS = paper_folds(90, 3)
equal = np.testing.assert_array_equal
close = np.testing.assert_allclose


@pytest.fixture(scope="module")
def cells():
    return as_paired(simulate_patchseq(90, 60, 4, n_true_genes=8, random_state=2))


def by_hand(data, train, scaling, preselect):
    """Mask of the genes of a fold; X, Y scaled for it; and means and SDs of the outputs."""
    X = data.X.astype(float)
    Y = data.Y.astype(float)
    genes = np.ones(60, bool)
    if preselect:
        genes = select_genes(data.counts[train], **preselect, min_cells=6).selected
    if scaling == "fold":
        sizes = data.counts.sum(1, keepdims=True)
        X = np.log2(data.counts / sizes * np.median(sizes[train]) + 1)
    X = X[:, genes]
    mean = 0
    sd = 1
    if scaling != "none":
        part = train if scaling == "fold" else slice(None)
        X = (X - X[train].mean(0)) / X[part].std(0)
        mean = Y[train].mean(0)
        sd = Y[part].std(0)
    return genes, X, (Y - mean) / sd, mean, sd


@pytest.mark.parametrize("scaling", ["fold", "all", "none"])
@pytest.mark.parametrize("preselect", [None, {"n_genes": N, "threshold": 90}])
def test_folds_equal_a_loop_by_hand(cells, scaling, preselect):
    """Library sizes are those of all genes, and selected genes are given among all genes."""
    how = {"scaling": scaling, "preselect": preselect, "verbose": False}
    record = cross_validate(Weigher(), cells, FOLDS, **how)
    in_units = held_out_means(record, cells.Y, 0)
    for f, (train, test) in enumerate(FOLDS):
        genes, X, Y, mean, sd = by_hand(cells, train, scaling, preselect)
        model = Weigher().fit(X[train], Y[train])
        close(in_units[test], model.predict(X[test]) * sd + mean, rtol=1e-3, atol=1e-3)
        for part, of_part in (("train", train), ("test", test)):
            residual = np.square(Y[of_part] - model.predict(X[of_part])).sum(0)
            total = np.square(Y[of_part] - Y[train].mean(0)).sum(0)
            r2 = record.values[f"{part}_r2"][f, 0]
            assert r2 == pytest.approx(1 - residual.sum() / total.sum(), abs=1e-4)
            close(record.values[f"{part}_feature_r2"][f, 0], 1 - residual / total, atol=1e-4)
        norms = np.zeros(60)
        norms[genes] = model.gene_norms_
        close(record.gene_norms[f, 0], norms, rtol=1e-4)
        selected = np.flatnonzero(genes)[model.get_support()]
        equal(np.flatnonzero(record.selected[f, 0]), selected)
        assert record.n_selected[f, 0] == 2
        assert ("preselected" in record.values) == (preselect is not None)
        if preselect:
            equal(record.preselected[f], genes)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array])
def test_nothing_of_the_test_cells_reaches_the_training(cells, kind):
    found = []
    for factor in (1, 7):
        counts = cells.counts.copy()
        _, test = FOLDS[0]
        counts[test] = factor * np.roll(counts[test], factor - 1, axis=1)
        totals = counts.sum(1, keepdims=True)
        X = np.log2(counts / totals * np.median(totals) + 1).astype(np.float32)
        data = changed(cells, X=X, counts=kind(counts), truth={})
        found.append(cross_validate(Weigher(), data, FOLDS[:1], preselect=N, verbose=False))
    for name in ("train_r2", "gene_norms", "preselected"):
        equal(found[0].values[name], found[1].values[name])
    assert found[0].test_r2 != found[1].test_r2


def test_the_record_holds_what_was_done(data, adata):
    """Of an AnnData, with a splitter, in two processes, as of arrays in one."""
    model = SparseBottleneckRegressor(**QUICK, n_genes=5, standardize=False)
    grid = {"n_components": [16, 17]}
    splitter = KFold(3, shuffle=True, random_state=1)
    record = cross_validate(model, adata, splitter, grid, n_jobs=2, verbose=False)
    np.testing.assert_equal(record.folds, list(splitter.split(data.X)))
    assert (record.dataset, record.sha256, record.seed) == (data.name, data.sha256, 0)
    assert record.params == [{"n_components": 16}, {"n_components": 17}]
    assert record.settings["scaling"] == "fold"
    assert record.settings["estimator"]["params"]["n_genes"] == 5
    assert (record.selected.sum(2) == 5).all()
    assert record.gene_norms.shape == (3, 2, data.n_genes)
    assert record.train_feature_r2.shape == (3, 2, data.n_outputs)
    assert record.test_latent[0][1].shape == (40, 16)
    assert record.test_latent[1] == [None] * 3  # too wide
    assert record.test_predictions[1][2].dtype == np.float32
    assert (record.seconds > 0).all()
    curves = epoch_curves(record, n_components=17)
    last = curves[(curves.fold == 2) & (curves.stage == "fine-tuning")].iloc[-1]
    assert last.eval_r2 == pytest.approx(record.test_r2[2, 1], abs=1e-5)

    some = cross_validate(model, data, record.folds, grid, keep=["history"], verbose=False)
    equal(some.test_r2, record.test_r2)
    assert record.values.keys() - some.values.keys() == {"test_latent", "test_predictions"}
    other = cross_validate(model, data, record.folds, grid, seed=1, verbose=False)
    assert (other.test_r2 != record.test_r2).all()


def test_counts_that_do_not_make_x_are_not_used(data):
    """Some of the genes have another sum than the library size of the cell; X knows better."""
    genes = slice(10)
    fields = {"X": data.X[:, genes], "counts": data.counts[:, genes], "truth": {}}
    some = changed(data, **fields, gene_names=data.gene_names[genes])
    found = cross_validate(Ridge(), some, 3, verbose=False)
    expected = cross_validate(Ridge(), (some.X, some.Y), 3, verbose=False)
    close(found.test_r2, expected.test_r2, atol=1e-6)


def test_a_path_is_fitted_with_warm_starts_and_equals_single_fits(data):
    grid = {"alpha": [0.1, 0.6], "rank": [1, 2]}
    path = cross_validate(SparseReducedRankRegression(), data, 2, grid, verbose=False)
    for g, point in enumerate(path.params):
        alone = cross_validate(SparseReducedRankRegression(**point), data, 2, verbose=False)
        close(alone.test_r2[:, 0], path.test_r2[:, g], atol=1e-3)
        equal(alone.n_selected[:, 0], path.n_selected[:, g])
    points = [{"alpha": 1, "rank": 1}, {"alpha": 1, "rank": 2}, {"rank": 1, "alpha": 2}]
    assert _paths(SparseReducedRankRegression(), points) == [[0, 2], [1]]
    assert _paths(Ridge(), points) == [[0], [1], [2]]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"folds": [([0], [])]}, "folds"),
        ({"keep": ["latent"]}, "keep"),
        ({"scaling": "test"}, "scaling"),
        ({"seed": -1}, "seed"),
        ({"n_jobs": 1.5}, "n_jobs"),
        ({"verbose": "no"}, "verbose"),
        ({"overwrite": "no"}, "overwrite"),
    ],
)
def test_bad_arguments_are_named(data, wrong, named):
    with pytest.raises((ValueError, TypeError), match=named):
        cross_validate(Ridge(), data, **wrong)


def test_data_without_outputs_and_other_files_are_refused(data, tmp_path):
    with pytest.raises(ValueError, match="data: .*no outputs"):
        cross_validate(Ridge(), (data.X, None))
    other = save(Record("fit", "toy", "", [{}]), tmp_path / "fit.pickle")
    with pytest.raises(ValueError, match="results: .*would be lost"):
        cross_validate(Ridge(), data, 2, results=other)


def test_a_grid_of_priors_follows_its_genes_and_is_recognised(cells, tmp_path):
    shown = np.array([preselect_genes(cells, N, train) for train, _ in FOLDS])
    wanted = np.flatnonzero(shown.all(0))[-1]
    hidden = np.flatnonzero(~shown.any(0))[0]
    names = cells.gene_names[[wanted, hidden]]
    weights = np.isin(cells.gene_names, names).tolist()
    priors = [None, [*names], {names[0]: 1.0}, pd.Series({names[0]: 2.0}), weights]
    model = SparseBottleneckRegressor(**QUICK, n_genes=1, prior_influence=1.0, random_state=0)
    path = tmp_path / "cv.pickle"
    how = {"param_grid": {"gene_prior": priors}, "preselect": N, "results": path, "verbose": False}
    first = cross_validate(model, cells, FOLDS, **how)
    assert first.selected[:, 1:, wanted].all()
    assert (first.n_selected == 1).all()
    saved = path.stat().st_mtime_ns
    again = cross_validate(model, cells, FOLDS, **how)
    assert path.stat().st_mtime_ns == saved
    assert [again.find(gene_prior=prior) for prior in priors] == [0, 1, 2, 3, 4]
