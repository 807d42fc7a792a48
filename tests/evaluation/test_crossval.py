from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from made_up import changed
from sklearn.linear_model import Ridge
from sklearn.model_selection import KFold

from sbnn import ExpressionStream, SparseBottleneckRegressor, cross_validate, epoch_curves, results
from sbnn.evaluation.folds import grouped_folds, later_fold, paper_folds, split_and_scale
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
    assert folds[0][1][:5].tolist() == [382, 787, 43, 155, 493] and folds[1][1][:3].tolist() == [
        1176,
        415,
        371,
    ]
    assert [(len(train), len(test)) for train, test in folds] == [(1092, 121)] * 10


@settings(max_examples=40)
@given(
    st.lists(st.integers(0, 7), min_size=5, max_size=60), st.integers(2, 5), st.integers(0, 1000)
)
def test_folds_part_the_cells_the_groups_or_the_times(groups, n_folds, seed):
    assume(len(set(groups)) >= n_folds)
    groups, cells = np.array(groups), list(range(len(groups)))
    [later], grouped = later_fold(groups, 0.3), grouped_folds(groups, n_folds, seed)
    paper = paper_folds(len(cells), n_folds, seed)
    for train, test in [*paper, *grouped, later]:
        assert sorted([*train, *test]) == cells, "each cell on one side"
    assert all(len(test) == len(cells) // n_folds for _, test in paper)
    assert len({cell for _, test in paper for cell in test}) == n_folds * (len(cells) // n_folds)
    assert all(not set(groups[train]) & set(groups[test]) for train, test in grouped)
    assert sorted(np.concatenate([test for _, test in grouped])) == cells
    assert groups[later[0]].max() < groups[later[1]].min()


def test_what_came_later_is_tested():
    dates = np.array(
        [
            "2018-03-01",
            "2017-12-24",
            "2018-01-02",
            "2018-03-01",
            "2017-12-24",
            "2018-02-01",
            "2019-01-01",
        ]
    )
    [(train, test)] = later_fold(dates)
    assert test.tolist() == [6] and train.tolist() == [0, 1, 2, 3, 4, 5]
    [(train, test)] = later_fold(dates, 0.6)  # three of five dates, the first three
    assert (
        sorted(set(dates[train])) == ["2017-12-24", "2018-01-02", "2018-02-01"]
        and min(dates[test]) == "2018-03-01"
    )
    for times, share, sizes in (
        ([1, 2, 3], 0.6, (2, 1)),
        ([1, 2], 0.99, (1, 1)),
        ([1, 2, 3], 0.1, (1, 2)),
    ):
        assert tuple(len(cells) for cells in later_fold(times, share)[0]) == sizes, (
            "at least one on each side"
        )
    with pytest.raises(ValueError, match="fold 0 has no training cell"):
        later_fold([3, 3, 3])
    # as a group of its own or as the latest time it would be tested without a word
    for missing in (np.nan, None):
        with pytest.raises(ValueError, match=r"groups: .* the first at position 2"):
            grouped_folds(["a", "b", missing, "a"], 2)
        with pytest.raises(ValueError, match=r"times: .* the first at position 0"):
            later_fold(np.array([missing, 2018, 2019, missing], dtype=object))


def test_folds_and_data_come_in_their_usual_forms(data, adata):
    by_number = cross_validate(Ridge(), data, 3, verbose=False)
    np.testing.assert_equal(by_number.folds, paper_folds(data.n_cells, 3))
    np.testing.assert_array_equal(
        cross_validate(Ridge(), adata, 3, verbose=False).test_r2, by_number.test_r2
    )
    splitter = KFold(4, shuffle=True, random_state=1)
    record = cross_validate(Ridge(), (data.X, data.Y[:, :1]), splitter, verbose=False)
    assert record.test_feature_r2.shape == (4, 1, 1)
    np.testing.assert_equal(record.folds, list(splitter.split(data.X)))
    with pytest.raises(TypeError, match=r"data: expected an AnnData, .* got ExpressionStream"):
        cross_validate(Ridge(), ExpressionStream(data.X), 3, verbose=False)


def test_the_record_holds_what_was_done(data):
    record = cross_validate(
        SparseBottleneckRegressor(**QUICK), data, 3, {"n_components": [16, 17]}, verbose=False
    )
    p, q = data.X.shape[1], data.Y.shape[1]
    assert (record.dataset, record.sha256) == (data.name, data.sha256)
    assert record.params == [{"n_components": 16}, {"n_components": 17}]
    assert (
        record.settings["scaling"] == "fold"
        and record.settings["estimator"]["params"]["n_genes"] == 5
    )
    assert (
        record.selected.shape == record.gene_norms.shape == (3, 2, p)
        and (record.selected.sum(2) == 5).all()
    )
    assert record.test_feature_r2.shape == record.train_feature_r2.shape == (3, 2, q)
    assert record.test_latent[0][1].shape == (40, 16) and record.test_latent[1] == [None] * 3, (
        "too wide"
    )
    assert record.test_predictions[1][2].shape == (40, q)
    frame = record.to_frame()
    assert len(frame) == 6 and (record.seconds > 0).all()
    assert {"fold", "n_components", "test_r2", "train_r2", "seconds", "n_selected"} <= set(
        frame.columns
    )
    curves = epoch_curves(record, n_components=17)
    last = curves[(curves.fold == 2) & (curves.stage == "fine-tuning")].iloc[-1]
    assert last.eval_r2 == pytest.approx(record.test_r2[2, 1], abs=1e-5)


def assert_equal_records(a, b):
    one, other = (
        encode({k: v for k, v in r.values.items() if k != "seconds"}, "values") for r in (a, b)
    )
    assert one == other


def test_the_seed_decides_and_the_number_of_workers_does_not(data):
    model, grid = SparseBottleneckRegressor(**QUICK), {"group_lasso": [0.01, 0.1]}
    how = [
        {"n_jobs": n_jobs, "seed": seed, "verbose": False}
        for n_jobs, seed in ((1, 0), (2, 0), (1, 1))
    ]
    one, two, other = (cross_validate(model, data, 2, grid, **options) for options in how)
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
    path, fits, fit = tmp_path / "cv.pickle", [], Ridge.fit

    def interrupted(self, X, y):
        if len(fits) == 3:
            raise RuntimeError("interrupted")
        fits.append(len(X))
        return fit(self, X, y)

    monkeypatch.setattr(Ridge, "fit", interrupted)
    with pytest.raises(RuntimeError, match="interrupted"):
        cross_validate(Ridge(), data, 5, results=path, verbose=False)
    assert not path.exists() and len(list(Path(f"{path}.parts").iterdir())) == 3
    monkeypatch.setattr(Ridge, "fit", lambda self, X, y: fits.append(len(X)) or fit(self, X, y))
    record = cross_validate(Ridge(), data, 5, results=path, verbose=False)
    assert len(fits) == 5, "only the two missing folds were fitted"
    assert not Path(f"{path}.parts").exists()
    assert_equal_records(record, results.load(path))
    assert_equal_records(cross_validate(Ridge(), data, 5, results=path, verbose=False), record)
    assert len(fits) == 5, "a complete file is only loaded"
    assert_equal_records(cross_validate(Ridge(), data, 5, verbose=False), record)


def test_bad_folds_and_input(data, tmp_path):
    for folds, message in (
        ([([0, 1, 2], [])], "fold 0 has no test cell"),
        ([([0, 1], [2]), ([], [2])], "fold 1 has no training cell"),
        ([([0, 1, 2], [2, 3])], "fold 0 has cells in both training and test .1 in all, such as 2"),
        ([([0, 1], [999])], "cells of fold 0 must be positions from 0 to 119"),
        ([], "there are none"),
    ):
        with pytest.raises(ValueError, match=message):
            cross_validate(Ridge(), data, folds, verbose=False)
    with pytest.raises(ValueError, match="scaling: 'test' is unknown"):
        cross_validate(Ridge(), data, scaling="test", verbose=False)
    with pytest.raises(ValueError, match="has no outputs"):
        cross_validate(Ridge(), (data.X, None), verbose=False)
    other = tmp_path / "fit.pickle"
    results.save(results.Record("fit", "toy", "", [{}]), other)
    with pytest.raises(ValueError, match="holds results with different"):
        cross_validate(Ridge(), data, 2, results=other, verbose=False)


@pytest.mark.parametrize("scaling", ["all", "fold", "none"])
def test_training_and_test_cells_are_scaled_alike_and_about_the_training_mean(data, scaling):
    fold = paper_folds(data.n_cells, 3)[0]
    some = changed(data, counts=None)
    X_train, Y_train, X_test, Y_test = split_and_scale(some, fold, scaling)
    for values, train, test in ((some.X, X_train, X_test), (some.Y, Y_train, Y_test)):
        before, after = np.vstack([values[cells] for cells in fold]), np.vstack([train, test])
        known = train.std(0) > 0
        alike = [
            np.corrcoef(*columns)[0, 1]
            for columns in zip(before.T[known], after.T[known], strict=True)
        ]
        np.testing.assert_allclose(alike, 1, atol=1e-6)
        assert scaling == "none" or np.abs(train.mean(0)).max() < 1e-5
