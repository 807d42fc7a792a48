from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up import Weigher, changed
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sbnn import SparseBottleneckRegressor, cross_validate, epoch_curves, results
from sbnn.evaluation.crossval import _paths, selection_of
from sbnn.evaluation.folds import grouped_folds, later_fold, paper_folds
from sbnn.models.sparse_linear import SparseReducedRankRegression
from sbnn.plain import encode

QUICK = {
    "hidden_layers": (16, 8),
    "epochs": (1, 2, 1, 2),
    "n_genes": 5,
    "standardize": False,
}


def test_paper_folds_are_the_published_ones():
    folds = paper_folds(1213)
    _, first = folds[0]
    _, second = folds[1]
    assert first[:5].tolist() == [382, 787, 43, 155, 493]
    assert second[:3].tolist() == [1176, 415, 371]
    assert len(folds) == 10
    assert len(first) == 121


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 7), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 1000)
)
def test_folds_part_the_cells_the_groups_or_the_times(groups, n_folds, seed):
    groups = np.array(groups)
    n = len(groups)
    assume(len(set(groups)) >= n_folds)
    grouped = grouped_folds(groups, n_folds, seed)
    [later] = later_fold(groups, 0.3)
    for train, test in [*grouped, later]:
        assert sorted([*train, *test]) == list(range(n))
        assert not set(groups[train]) & set(groups[test])
    assert sorted(np.concatenate([test for _, test in grouped])) == list(range(n))
    assert groups[later[0]].max() < groups[later[1]].min()


@pytest.mark.parametrize(
    ("times", "share", "n_train"),
    [([1, 2, 3], 0.6, 2), ([1, 2], 0.99, 1), ([1, 2, 3], 0.1, 1), ([3, 1, 2, 3, 5], 0.8, 4)],
)
def test_there_are_times_on_each_side(times, share, n_train):
    [(train, test)] = later_fold(times, share)
    assert len(train) == n_train
    assert len(test) == len(times) - n_train


def test_later_dates_are_tested():
    dates = np.array(["2018-03-01", "2017-12-24", "2018-01-02", "2018-03-01", "2019-01-01"])
    [(train, test)] = later_fold(dates)  # four dates, of which three are earlier
    assert test.tolist() == [4]
    [(train, test)] = later_fold(dates, 0.5)
    assert train.tolist() == [1, 2]
    [(train, test)] = later_fold(["2018-01-02", "2017-05", "2018-03-01 12:00"], 0.6)
    assert test.tolist() == [2]
    with pytest.raises(ValueError, match="fold 0 has no training cell"):
        later_fold([3, 3, 3])


@pytest.mark.parametrize("missing", [np.nan, None])
def test_missing_groups_and_times_are_rejected(missing):
    """They would be tested as a group of their own, or as the latest time."""
    with pytest.raises(ValueError, match=r"groups: .* position 2"):
        grouped_folds(["a", "b", missing, "a"], 2)
    with pytest.raises(ValueError, match=r"times: .* position 0"):
        later_fold(np.array([missing, 2018, 2019, missing], dtype=object))


def test_later_times_may_be_digits_of_one_length_but_not_words():
    [(train, test)] = later_fold(["20180917", "20170101", "20181001"], 0.6)
    assert (train.tolist(), test.tolist()) == ([0, 1], [2])
    for wrong in (["2018", "20190101"], ["May", "June"], ["2018-01-01", "today"]):
        with pytest.raises(ValueError, match="times: "):
            later_fold(wrong)


def test_folds_and_data_come_in_their_usual_forms(data, adata):
    by_number = cross_validate(Ridge(), data, 3, verbose=False)
    of_adata = cross_validate(Ridge(), adata, 3, verbose=False)
    np.testing.assert_array_equal(of_adata.test_r2, by_number.test_r2)
    splitter = KFold(4, shuffle=True, random_state=1)
    record = cross_validate(Ridge(), (data.X, data.Y[:, :1]), splitter, verbose=False)
    assert record.test_feature_r2.shape == (4, 1, 1)
    np.testing.assert_equal(record.folds, list(splitter.split(data.X)))


def test_the_record_holds_what_was_done(data):
    model = SparseBottleneckRegressor(**QUICK)
    grid = {"n_components": [16, 17]}
    record = cross_validate(model, data, 3, grid, verbose=False)
    p = data.n_genes
    q = data.n_outputs
    assert (record.dataset, record.sha256) == (data.name, data.sha256)
    assert record.params == [{"n_components": 16}, {"n_components": 17}]
    assert record.settings["scaling"] == "fold"
    assert record.settings["estimator"]["params"]["n_genes"] == 5
    assert record.selected.shape == record.gene_norms.shape == (3, 2, p)
    assert (record.selected.sum(2) == 5).all()
    assert record.test_feature_r2.shape == record.train_feature_r2.shape == (3, 2, q)
    assert record.test_latent[0][1].shape == (40, 16)
    assert record.test_latent[1] == [None] * 3, "too wide"
    assert record.test_predictions[1][2].shape == (40, q)
    assert (record.seconds > 0).all()
    columns = ["fold", "n_components", "test_r2", "train_r2", "seconds", "n_selected"]
    assert record.to_frame()[columns].shape == (6, 6)
    curves = epoch_curves(record, n_components=17)
    last = curves[(curves.fold == 2) & (curves.stage == "fine-tuning")].iloc[-1]
    assert last.eval_r2 == pytest.approx(record.test_r2[2, 1], abs=1e-5)


def assert_equal_records(a, b):
    assert a.values.keys() == b.values.keys()
    for name in a.values.keys() - {"seconds"}:
        assert encode(a.values[name], name) == encode(b.values[name], name)


def test_the_seed_decides_and_the_number_of_workers_does_not(data):
    model = SparseBottleneckRegressor(**QUICK)
    grid = {"group_lasso": [0.01, 0.1]}
    one = cross_validate(model, data, 2, grid, n_jobs=1, verbose=False)
    two = cross_validate(model, data, 2, grid, n_jobs=2, verbose=False)
    other = cross_validate(model, data, 2, grid, seed=1, verbose=False)
    assert_equal_records(one, two)
    assert (one.test_r2 != other.test_r2).all()


def test_counts_that_do_not_make_x_are_not_used(data):
    """Some of the genes have another sum than the library size of the cell; X knows better."""
    folds = paper_folds(len(data.X), 3)
    some = changed(
        data,
        X=data.X[:, :10],
        counts=data.counts[:, :10],
        gene_names=data.gene_names[:10],
        truth={},
    )
    expected = cross_validate(Ridge(), (some.X, some.Y), folds, verbose=False)
    np.testing.assert_allclose(
        cross_validate(Ridge(), some, folds, verbose=False).test_r2, expected.test_r2, atol=1e-6
    )


def test_a_path_is_fitted_with_warm_starts_and_equals_single_fits(data):
    grid = {"alpha": [0.1, 0.3, 0.6], "rank": [1, 2]}
    path = cross_validate(SparseReducedRankRegression(), data, 2, grid, verbose=False)
    many, few = (path.n_selected[:, path.find(alpha=alpha, rank=2)] for alpha in (0.1, 0.6))
    assert many.min() > few.max()
    for g, point in enumerate(path.params):
        alone = cross_validate(SparseReducedRankRegression(**point), data, 2, verbose=False)
        np.testing.assert_allclose(alone.test_r2[:, 0], path.test_r2[:, g], atol=1e-3)


def test_finished_folds_are_not_computed_again(data, tmp_path, monkeypatch):
    path = tmp_path / "cv.pickle"
    fits = []
    fit = Ridge.fit

    def interrupted(self, X, y):
        if len(fits) == 3:
            raise RuntimeError("interrupted")
        fits.append(len(X))
        return fit(self, X, y)

    monkeypatch.setattr(Ridge, "fit", interrupted)
    with pytest.raises(RuntimeError, match="interrupted"):
        cross_validate(Ridge(), data, 5, results=path, verbose=False)
    assert not path.exists()
    assert len(list(Path(f"{path}.parts").iterdir())) == 3
    monkeypatch.setattr(Ridge, "fit", lambda self, X, y: fits.append(len(X)) or fit(self, X, y))
    record = cross_validate(Ridge(), data, 5, results=path, verbose=False)
    assert len(fits) == 5, "only the two missing folds were fitted"
    assert not Path(f"{path}.parts").exists()
    assert_equal_records(record, results.load(path))
    assert_equal_records(cross_validate(Ridge(), data, 5, results=path, verbose=False), record)
    assert len(fits) == 5, "a complete file is only loaded"
    assert_equal_records(cross_validate(Ridge(), data, 5, verbose=False), record)


def test_bad_folds_and_input(data, tmp_path):
    with pytest.raises(ValueError, match="fold 0 has no test cell"):
        cross_validate(Ridge(), data, [([0, 1, 2], [])])
    with pytest.raises(ValueError, match="fold 0 has no training cell"):
        cross_validate(Ridge(), data, [([], [2])])
    with pytest.raises(ValueError, match="keep: 'latent'"):
        cross_validate(Ridge(), data, 2, keep=["latent"])
    with pytest.raises(ValueError, match="scaling: 'test' is unknown"):
        cross_validate(Ridge(), data, scaling="test", verbose=False)
    with pytest.raises(ValueError, match="has no outputs"):
        cross_validate(Ridge(), (data.X, None), verbose=False)
    other = tmp_path / "fit.pickle"
    results.save(results.Record("fit", "toy", "", [{}]), other)
    with pytest.raises(ValueError, match="holds results with different"):
        cross_validate(Ridge(), data, 2, results=other, verbose=False)


def test_details_are_kept_if_they_are_asked_for(data):
    model = SparseReducedRankRegression(rank=2, alpha=0.3)
    whole = cross_validate(model, data, 3, verbose=False)
    some = cross_validate(model, data, 3, keep=["test_latent"], verbose=False)
    assert whole.values.keys() - some.values.keys() == {"test_predictions"}
    assert some.test_latent[0][2].shape == (40, 2)
    assert some.test_latent[0][2].dtype == whole.test_predictions[0][0].dtype == np.float32


def test_points_that_differ_only_along_the_path_are_fitted_together():
    points = [
        {"alpha": 1, "rank": 1},
        {"alpha": 1, "rank": 2},
        {"rank": 1, "alpha": 2},
    ]
    assert _paths(SparseReducedRankRegression(), points) == [[0, 2], [1]]
    assert _paths(Ridge(), points) == [[0], [1], [2]]


def test_the_selection_is_placed_among_all_genes():
    model = Weigher()
    model.kept_ = np.array([False, True])
    model.gene_norms_ = np.array([3.0, 4.0])
    found = selection_of(model, np.array([True, False, True]))
    assert found["selected"].tolist() == [False, False, True]
    assert found["gene_norms"].tolist() == [3, 0, 4]
    assert found["n_selected"] == 1
    assert selection_of(model)["gene_norms"].tolist() == [3, 4]
    assert selection_of(Ridge()) == {}
