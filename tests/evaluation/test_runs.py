"""Results are loaded if they match what is asked, computed otherwise, and never lost or mixed."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import joblib
import pytest
from material.cells import change_data
from numpy.testing import assert_array_equal
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline

from sbnn import SparseReducedRankRegression, cross_validate, fit_full, paper_folds
from sbnn.evaluation.runs import store_result
from sbnn.results import Record, save

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


def test_a_result_is_computed_again_if_asked(data, path):
    count_calls(data, results=path, overwrite=True)
    assert CALLS == [1, 1]


@pytest.mark.parametrize(
    ("function", "n", "added", "message"),
    [
        (count_calls, 2, 0, r"count\.pickle\.xz .* differs in n;"),
        (count_calls, 1, 1, "differs in data;"),
        (count_calls, 2, 1, "differs in data, n;"),
        (never_computed, 1, 0, "differs in function;"),
    ],
)
def test_a_result_of_another_call_is_kept(function, n, added, message, data, path):
    with pytest.raises(ValueError, match=message):
        function(change_data(data, Y=data.Y + added), n, results=path)


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


def six_fits(data, **options):
    model = SparseReducedRankRegression(rank=1)
    return cross_validate(model, data, 3, {"alpha": [0.8, 0.4]}, verbose=False, **options)


@pytest.fixture(scope="module")
def r2_of_one_run(data):
    return six_fits(data).test_r2.tolist()


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

    def run():
        return six_fits(data, results=path)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_on_full_disk)
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            run()
    assert not path.exists()
    return run, fits


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


@pytest.mark.parametrize("damage", DAMAGES)
def test_only_a_damaged_fit_is_done_again(damage, resume, r2_of_one_run, tmp_path):
    run, fits = resume
    part = min((tmp_path / "cv.pickle.xz.parts").iterdir())
    part.write_bytes(DAMAGES[damage](part.read_bytes()))
    fits.clear()
    with pytest.warns(UserWarning, match=r"parts/.*\.pickle\.xz is damaged; its fit is done again"):
        record = run()
    assert len(fits) == 3
    assert record.test_r2.tolist() == r2_of_one_run


def test_a_damaged_result_is_kept_unless_asked(run_ridge, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    path.write_bytes(b"garbage")
    with pytest.raises(ValueError, match="results: .*damaged.*delete this file"):
        run_ridge(1.0)
    assert path.read_bytes() == b"garbage"


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


def test_fits_are_kept_until_their_result_is_written(resume, tmp_path, monkeypatch):
    run, fits = resume
    replace_file = os.replace

    def replace_parts(source, target):
        if Path(target) == tmp_path / "cv.pickle.xz":
            raise OSError(errno.ENOSPC, "No space left on device")
        replace_file(source, target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", replace_parts)
        with pytest.raises(OSError, match="No space left"):
            run()
    fits.clear()
    run()
    assert fits == []


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


@pytest.mark.parametrize("kept", [(), ("test_predictions",), ("history", "test_predictions")])
def test_fits_that_keep_something_else_do_not_join(kept, run_ridge):
    run_ridge(1.0, keep=kept)
    for asked in ((), ["test_predictions"], ["test_predictions", "history"]):
        if {*asked} == {*kept}:
            run_ridge(1.0, keep=asked)
        else:
            with pytest.raises(ValueError, match="holds fits that differ in keep, and would"):
                run_ridge(1.0, 4.0, keep=asked)


def test_a_record_of_an_earlier_version_does_not_say_what_it_keeps(run_ridge, tmp_path):
    record = run_ridge(1.0, keep=())
    del record.arguments["keep"]
    save(record, tmp_path / "cv.pickle.xz")
    assert run_ridge(1.0).values.keys() == record.values.keys()


def test_other_fits_replace_a_result_if_asked(run_ridge, data):
    run_ridge(1.0)
    other = cross_validate(Ridge(9.0), data, 3, verbose=False)
    assert run_ridge(9.0, overwrite=True).test_r2.tolist() == other.test_r2.tolist()


MODEL = SparseReducedRankRegression(alpha=0.2)


@pytest.fixture
def renamed(data):
    """The same measurements with other names of outputs, labels or colours."""
    types = data.labels["type"].to_numpy()[::-1]
    return {
        "feature_names": replace(data, feature_names=data.feature_names[::-1]),
        "labels": replace(data, labels=data.labels.assign(type=types)),
        "colors": replace(data, colors=dict.fromkeys(data.colors, "#000000")),
    }


@pytest.mark.parametrize("names", ["feature_names", "labels", "colors"])
def test_a_fit_is_not_older_than_its_names(data, renamed, names, tmp_path):
    path = tmp_path / "fit.pickle.xz"
    fit_full(MODEL, data, results=path)
    with pytest.raises(ValueError, match="differs in data;"):
        fit_full(MODEL, renamed[names], results=path)


def test_fits_of_other_outputs_do_not_join(run_ridge, renamed):
    run_ridge(1.0)
    with pytest.raises(ValueError, match="differ in data, and would be lost"):
        run_ridge(1.0, 9.0, data=renamed["feature_names"])


@pytest.mark.parametrize("names", ["labels", "colors"])
def test_a_cross_validation_shows_no_labels(run_ridge, renamed, names, monkeypatch):
    run_ridge(1.0)
    fits = log_fits(monkeypatch, Ridge)
    run_ridge(1.0, data=renamed[names])
    assert not fits


def test_fits_are_in_the_order_of_the_call(data, tmp_path):
    path = tmp_path / "cv.pickle.xz"
    folds = paper_folds(data.n_cells, 3)
    first = cross_validate(Ridge(), data, folds, results=path, verbose=False)
    again = cross_validate(Ridge(), data, folds[::-1], results=path, verbose=False)
    assert again.test_r2[::-1].tolist() == first.test_r2.tolist()
    assert list(again.values) == list(first.values)


class WithLock(Ridge):
    """Has a parameter whose content cannot be identified."""

    algorithm_version = 1

    def __init__(self, alpha=1.0, lock=None):
        super().__init__(alpha)
        self.lock = lock


@pytest.mark.parametrize(
    ("model", "grid", "error", "message"),
    [
        (
            Pipeline([("ridge", Ridge())]),
            {"ridge": [Ridge(1.0), Ridge(2.0)]},
            ValueError,
            "data only, not a sklearn.*Ridge",
        ),
        (WithLock(lock=object()), None, TypeError, "a result cannot be saved for a object"),
    ],
)
def test_what_cannot_be_saved_is_not_fitted(
    model, grid, error, message, data, tmp_path, monkeypatch
):
    fits = log_fits(monkeypatch, Ridge)
    with pytest.raises(error, match=message):
        cross_validate(model, data, 3, grid, results=tmp_path / "cv.pickle.xz", verbose=False)
    assert not fits


def test_what_cannot_be_identified_is_computed(data):
    record = cross_validate(WithLock(lock=object()), data, 3, verbose=False)
    usual = cross_validate(Ridge(), data, 3, verbose=False)
    assert record.test_r2.tolist() == usual.test_r2.tolist()


@pytest.mark.slow
def test_a_dask_cluster_gives_the_same_numbers(data):
    distributed = pytest.importorskip("distributed")
    alone = cross_validate(Ridge(), data, 5, verbose=False)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster), joblib.parallel_config("dask"):
        record = cross_validate(Ridge(), data, 5, n_jobs=-1, verbose=False)
    assert_array_equal(record.test_r2, alone.test_r2)
