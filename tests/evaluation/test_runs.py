"""Results are loaded if they match what is asked, computed otherwise, and never lost or mixed."""

import errno
import os
from dataclasses import replace

import joblib
import pytest
from made_up import change_data
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from sbnn import SparseReducedRankRegression, cross_validate, fit_full, paper_folds
from sbnn.evaluation.runs import store_result
from sbnn.results import Record, load


@store_result
def counted(data, n=1, *, results=None, overwrite=False, n_jobs=1):
    CALLS.append(n)
    return Record(experiment="count", dataset="made up", sha256="", params=[{}], values={"n": n})


@store_result
def summed(data, n=1, *, results=None, overwrite=False):
    raise AssertionError("computed")


CALLS = []


def test_a_result_is_computed_once_and_one_of_another_call_is_kept(data, tmp_path):
    path = tmp_path / "folder" / "count.pickle.xz"
    CALLS.clear()
    assert counted(data, results=path).n == counted(data, 1, results=path, n_jobs=2).n == 1
    assert counted(data, results=path, overwrite=True).n == counted(data=data, results=path).n
    assert CALLS == [1, 1]
    for named, call in {
        "n": lambda: counted(data, 2, results=path),
        "data": lambda: counted(change_data(data, Y=data.Y + 1), results=path),
        "data, n": lambda: counted(data.X, 2, results=path),
        "function": lambda: summed(data, results=path),
    }.items():
        with pytest.raises(ValueError, match=rf"count\.pickle\.xz .* differs in {named};"):
            call()
    assert list(path.parent.iterdir()) == [path]
    with pytest.raises(IsADirectoryError):
        counted(data, results=path.parent, overwrite=True)


def logged_fits(monkeypatch, model):
    """List to which every fit of a class adds its penalty."""
    fits = []
    fit = model.fit
    monkeypatch.setattr(model, "fit", lambda self, *a: fits.append(self.alpha) or fit(self, *a))
    return fits


def test_a_full_disk_loses_no_finished_fit(data, tmp_path, monkeypatch):
    """Nor the fits of other runs."""
    fits = logged_fits(monkeypatch, SparseReducedRankRegression)
    path = tmp_path / "cv.pickle.xz"
    parts = tmp_path / "cv.pickle.xz.parts"
    replace_file = os.replace

    def replace_on_full_disk(source, target):
        if len(list(parts.glob("*.pickle.xz"))) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(source, target)

    def run(**how):
        model = SparseReducedRankRegression(rank=1)
        return cross_validate(model, data, 3, {"alpha": [0.8, 0.4]}, verbose=False, **how)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_on_full_disk)
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            run(results=path)
    assert not path.exists()
    (parts / "of_another_run.pickle.xz").touch()
    resumed = run(results=path)
    assert fits == [0.8] * 3 + [0.4] * 2 + [0.4] * 2
    assert [left.name for left in parts.iterdir()] == ["of_another_run.pickle.xz"]
    assert run(results=path).test_r2.tolist() == resumed.test_r2.tolist() == run().test_r2.tolist()
    assert len(fits) == 7 + 6


def test_fits_join_only_if_they_belong(data, tmp_path, monkeypatch):
    path = tmp_path / "cv.pickle.xz"
    fits = logged_fits(monkeypatch, Ridge)

    def run(*alphas, data=data, folds=3, **how):
        grid = {"alpha": alphas}
        return cross_validate(Ridge(), data, folds, grid, results=path, verbose=False, **how)

    first = run(1.0, 4.0, keep=())
    more = run(1.0, 4.0, 9.0)
    assert (more.test_r2[:, :2] == first.test_r2).all()
    # what was not kept stays away
    assert load(path).test_predictions[0] == [None] * 3
    assert fits == [1.0] * 3 + [4.0] * 3 + [9.0] * 3
    for wrong in ({"data": change_data(data, Y=data.Y + 1)}, {"folds": 4}, {"scaling": "all"}):
        with pytest.raises(ValueError, match="would be lost"):
            run(1.0, 4.0, 9.0, **wrong)
    assert run(9.0, overwrite=True).test_r2.shape == (3, 1)


@pytest.mark.parametrize("name", ["feature_names", "labels", "colors"])
def test_a_record_is_not_older_than_its_names(data, tmp_path, name):
    other = {
        "feature_names": data.feature_names[::-1],
        "labels": data.labels.assign(type=data.labels["type"].to_numpy()[::-1]),
        "colors": dict.fromkeys(data.colors, "#000000"),
    }
    model = SparseReducedRankRegression(alpha=0.2)
    other = replace(data, **{name: other[name]})
    fit = tmp_path / "fit.pickle.xz"
    again = [fit_full(model, data, results=fit) for _ in range(2)]
    assert again[1].feature_names.tolist() == data.feature_names.tolist()
    with pytest.raises(ValueError, match="differs in data;"):
        fit_full(model, other, results=fit)
    folds = tmp_path / "cv.pickle.xz"
    cross_validate(model, data, 3, results=folds, verbose=False)
    if name == "feature_names":
        with pytest.raises(ValueError, match="differ in data, and would be lost"):
            cross_validate(model, other, 3, results=folds, verbose=False)
    else:  # which it does not show
        cross_validate(model, other, 3, results=folds, verbose=False)


def test_fits_are_in_the_order_of_the_call(data, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    folds = paper_folds(data.n_cells, 3)
    first = cross_validate(Ridge(), data, folds, results=path, verbose=False)
    again = cross_validate(Ridge(), data, folds[::-1], results=path, verbose=False)
    assert again.test_r2[::-1].tolist() == first.test_r2.tolist()


def test_what_cannot_be_saved_is_an_error_before_the_fits(data, tmp_path, monkeypatch):
    fits = logged_fits(monkeypatch, Ridge)
    grid = {"ridge": [Ridge(1.0), Ridge(2.0)]}
    model = Pipeline([("ridge", Ridge())])
    with pytest.raises(ValueError, match="data only, not a sklearn.*Ridge"):
        cross_validate(model, data, 3, grid, results=tmp_path / "cv.pickle.xz", verbose=False)
    assert not fits


class WithLock(Ridge):
    """Has a parameter whose content cannot be identified."""

    def __init__(self, alpha=1.0, lock=None):
        super().__init__(alpha)
        self.lock = lock


def test_what_cannot_be_identified_is_computed_but_not_saved(data, tmp_path):
    model = WithLock(lock=object())
    assert len(cross_validate(model, data, 3, verbose=False).test_r2) == 3
    with pytest.raises(TypeError, match="a result cannot be saved for a object"):
        cross_validate(model, data, 3, results=tmp_path / "cv.pickle.xz", verbose=False)


def test_fits_of_other_preselected_genes_are_not_taken(data, tmp_path):
    how = {"results": tmp_path / "cv.pickle.xz", "verbose": False}
    cross_validate(Ridge(), data, 3, preselect=12, **how)
    with pytest.raises(ValueError, match="differ in preselect, and would be lost"):
        cross_validate(Ridge(), data, 3, preselect=8, **how)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_numbers_of_one_process(data):
    distributed = pytest.importorskip("distributed")
    alone = cross_validate(Ridge(), data, 5, verbose=False)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        record = cross_validate(Ridge(), data, 5, n_jobs=-1, verbose=False)
    assert_array_equal(record.test_r2, alone.test_r2)
