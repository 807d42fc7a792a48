"""Results are loaded if they match what is asked, computed otherwise, and never lost or mixed."""

import errno
import os
from dataclasses import replace
from unittest.mock import Mock

import joblib
import pytest
from made_up import change_data
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from sbnn import SparseReducedRankRegression, cross_validate, fit_full, paper_folds
from sbnn.evaluation import runs
from sbnn.evaluation.runs import store_result
from sbnn.results import Record, load

CALLS = []


@store_result
def count_calls(data, n=1, *, results=None, overwrite=False, n_jobs=1):
    CALLS.append(n)
    return Record(experiment="count", dataset="made up", sha256="", params=[{}], values={"n": n})


@store_result
def never_computed(data, n=1, *, results=None, overwrite=False):
    raise AssertionError("computed")


@pytest.fixture
def path(data, tmp_path):
    """File of a result of one call."""
    CALLS.clear()
    count_calls(data, results=tmp_path / "folder" / "count.pickle.xz")
    return tmp_path / "folder" / "count.pickle.xz"


def test_a_result_is_computed_once(data, path):
    count_calls(data, 1, results=path, n_jobs=2)
    record = count_calls(data=data, results=path)
    assert record.n == 1
    assert CALLS == [1]


def test_a_result_is_computed_again_if_asked(data, path):
    count_calls(data, results=path, overwrite=True)
    assert CALLS == [1, 1]


def test_a_result_of_other_numbers_is_kept(data, path):
    with pytest.raises(ValueError, match=r"count\.pickle\.xz .* differs in n;"):
        count_calls(data, 2, results=path)


def test_a_result_of_other_data_is_kept(data, path):
    with pytest.raises(ValueError, match="differs in data;"):
        count_calls(change_data(data, Y=data.Y + 1), results=path)


def test_all_arguments_that_differ_are_named(data, path):
    with pytest.raises(ValueError, match="differs in data, n;"):
        count_calls(data.X, 2, results=path)


def test_a_result_of_another_function_is_kept(data, path):
    with pytest.raises(ValueError, match="differs in function;"):
        never_computed(data, results=path)


def test_no_other_file_is_left(data, path):
    count_calls(data, results=path, overwrite=True)
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_is_no_file_of_results(data, path):
    with pytest.raises(IsADirectoryError):
        count_calls(data, results=path.parent, overwrite=True)


def log_fits(monkeypatch, model):
    """List to which every fit of a class adds its penalty."""
    fits = []
    fit = model.fit

    def fit_and_log(self, *args):
        fits.append(self.alpha)
        return fit(self, *args)

    monkeypatch.setattr(model, "fit", fit_and_log)
    return fits


@pytest.fixture
def resume(data, tmp_path, monkeypatch):
    """A run of six fits that can be resumed after a full disk, and the penalties of its fits."""
    fits = log_fits(monkeypatch, SparseReducedRankRegression)
    path = tmp_path / "cv.pickle.xz"
    parts = tmp_path / "cv.pickle.xz.parts"
    replace_file = os.replace

    def replace_on_full_disk(source, target):
        if len(list(parts.glob("*.pickle.xz"))) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(source, target)

    def run(results=path, overwrite=False):
        model = SparseReducedRankRegression(rank=1)
        grid = {"alpha": [0.8, 0.4]}
        return cross_validate(
            model, data, 3, grid, results=results, overwrite=overwrite, verbose=False
        )

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_on_full_disk)
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            run()
    assert not path.exists()
    return run, fits


def test_a_full_disk_loses_no_finished_fit(resume):
    run, fits = resume
    run()
    before = [0.8] * 3 + [0.4] * 2
    assert fits == before + [0.4] * 2


def test_a_resumed_result_is_that_of_one_run(resume):
    run, _ = resume
    assert run().test_r2.tolist() == run(results=None).test_r2.tolist()


def test_a_resumed_result_is_loaded(resume):
    run, fits = resume
    resumed = run()
    fits.clear()
    assert run().test_r2.tolist() == resumed.test_r2.tolist()
    assert not fits


DAMAGES = {
    "cut off": lambda whole: whole[:-9],
    "garbage": lambda whole: b"garbage",
    "empty": lambda whole: b"",
}


@pytest.fixture(params=DAMAGES)
def resume_damaged(request, resume, tmp_path):
    """The run of `resume`, one of whose four finished fits is damaged."""
    part = min((tmp_path / "cv.pickle.xz.parts").iterdir())
    part.write_bytes(DAMAGES[request.param](part.read_bytes()))
    return resume


def test_only_a_damaged_fit_is_done_again(resume_damaged):
    run, fits = resume_damaged
    fits.clear()
    with pytest.warns(UserWarning, match=r"parts/.*\.pickle\.xz is damaged; its fit is done again"):
        run()
    assert len(fits) == 3


@pytest.mark.filterwarnings("ignore:results")
def test_a_damaged_fit_changes_no_result(resume_damaged):
    run, _ = resume_damaged
    assert run().test_r2.tolist() == run(results=None).test_r2.tolist()


def test_a_damaged_result_is_kept_unless_asked(run_ridge, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="results: .*damaged.*pass overwrite=True"):
        run_ridge(1.0)
    assert path.read_bytes() == b"garbage"


def test_fits_that_another_process_deletes_are_done(resume, monkeypatch):
    run, fits = resume
    fits.clear()
    monkeypatch.setattr(runs, "read_file", Mock(side_effect=FileNotFoundError))
    run()
    assert len(fits) == 6


@pytest.fixture(params=["loop", "file/cv.pickle.xz"])
def impossible(request, tmp_path):
    """A path at which no result can be written."""
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "file").touch()
    return tmp_path / request.param


def test_impossible_files_are_known_before_fits(data, impossible, monkeypatch):
    fits = log_fits(monkeypatch, Ridge)
    with pytest.raises(OSError, match="levels of symbolic links|Not a directory"):
        cross_validate(Ridge(), data, 3, results=impossible, verbose=False)
    assert not fits


def test_fits_of_other_runs_are_left(resume, tmp_path):
    run, _ = resume
    parts = tmp_path / "cv.pickle.xz.parts"
    (parts / "of_another_run.pickle.xz").touch()
    run()
    assert [file.name for file in parts.iterdir()] == ["of_another_run.pickle.xz"]


@pytest.fixture
def run_ridge(data, tmp_path):
    """A cross-validation over penalties, always with the same file."""

    def run(*alphas, data=data, folds=3, **options):
        path = tmp_path / "cv.pickle.xz"
        grid = {"alpha": alphas}
        return cross_validate(Ridge(), data, folds, grid, results=path, verbose=False, **options)

    return run


def test_more_fits_join_those_that_are_there(run_ridge, monkeypatch):
    fits = log_fits(monkeypatch, Ridge)
    first = run_ridge(1.0, 4.0)
    more = run_ridge(1.0, 4.0, 9.0)
    assert (more.test_r2[:, :2] == first.test_r2).all()
    assert fits == [1.0] * 3 + [4.0] * 3 + [9.0] * 3


def test_what_was_not_kept_stays_away(run_ridge, tmp_path):
    run_ridge(1.0, 4.0, keep=())
    run_ridge(1.0, 4.0, 9.0)
    assert load(tmp_path / "cv.pickle.xz").test_predictions[0] == [None] * 3


@pytest.mark.parametrize("other", [{"folds": 4}, {"scaling": "all"}])
def test_fits_of_other_folds_do_not_join(run_ridge, other):
    run_ridge(1.0)
    with pytest.raises(ValueError, match="would be lost"):
        run_ridge(1.0, 9.0, **other)


def test_fits_of_other_data_do_not_join(run_ridge, data):
    run_ridge(1.0)
    with pytest.raises(ValueError, match="would be lost"):
        run_ridge(1.0, 9.0, data=change_data(data, Y=data.Y + 1))


def test_other_fits_replace_a_result_if_asked(run_ridge):
    run_ridge(1.0)
    assert run_ridge(9.0, overwrite=True).test_r2.shape == (3, 1)


MODEL = SparseReducedRankRegression(alpha=0.2)


@pytest.fixture(params=["feature_names", "labels", "colors"])
def renamed(request, data):
    """The same measurements with other names of outputs, labels or colours."""
    other = {
        "feature_names": data.feature_names[::-1],
        "labels": data.labels.assign(type=data.labels["type"].to_numpy()[::-1]),
        "colors": dict.fromkeys(data.colors, "#000000"),
    }
    return replace(data, **{request.param: other[request.param]})


def test_a_fit_is_not_older_than_its_names(data, renamed, tmp_path):
    path = tmp_path / "fit.pickle.xz"
    fit_full(MODEL, data, results=path)
    with pytest.raises(ValueError, match="differs in data;"):
        fit_full(MODEL, renamed, results=path)


def test_a_loaded_fit_has_its_names(data, tmp_path):
    path = tmp_path / "fit.pickle.xz"
    fit_full(MODEL, data, results=path)
    again = fit_full(MODEL, data, results=path)
    assert again.feature_names.tolist() == data.feature_names.tolist()


def test_a_cross_validation_depends_on_output_names_only(data, renamed, tmp_path):
    """It does not show labels and colours."""
    path = tmp_path / "cv.pickle.xz"
    cross_validate(MODEL, data, 3, results=path, verbose=False)
    if renamed.feature_names.tolist() != data.feature_names.tolist():
        with pytest.raises(ValueError, match="differ in data, and would be lost"):
            cross_validate(MODEL, renamed, 3, results=path, verbose=False)
    else:
        cross_validate(MODEL, renamed, 3, results=path, verbose=False)


def test_fits_are_in_the_order_of_the_call(data, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    folds = paper_folds(data.n_cells, 3)
    first = cross_validate(Ridge(), data, folds, results=path, verbose=False)
    again = cross_validate(Ridge(), data, folds[::-1], results=path, verbose=False)
    assert again.test_r2[::-1].tolist() == first.test_r2.tolist()
    assert list(again.values) == list(first.values)


def test_what_cannot_be_saved_is_not_fitted(data, tmp_path, monkeypatch):
    fits = log_fits(monkeypatch, Ridge)
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


def test_what_cannot_be_identified_is_computed(data):
    record = cross_validate(WithLock(lock=object()), data, 3, verbose=False)
    assert len(record.test_r2) == 3


def test_what_cannot_be_identified_is_not_saved(data, tmp_path):
    model = WithLock(lock=object())
    with pytest.raises(TypeError, match="a result cannot be saved for a object"):
        cross_validate(model, data, 3, results=tmp_path / "cv.pickle.xz", verbose=False)


def test_fits_of_other_preselected_genes_are_not_taken(data, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    cross_validate(Ridge(), data, 3, preselect=12, results=path, verbose=False)
    with pytest.raises(ValueError, match="differ in preselect, and would be lost"):
        cross_validate(Ridge(), data, 3, preselect=8, results=path, verbose=False)


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_numbers(data):
    distributed = pytest.importorskip("distributed")
    alone = cross_validate(Ridge(), data, 5, verbose=False)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        record = cross_validate(Ridge(), data, 5, n_jobs=-1, verbose=False)
    assert_array_equal(record.test_r2, alone.test_r2)
