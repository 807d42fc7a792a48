"""Results are loaded if they match what is asked, computed otherwise, and never lost or mixed."""

import dataclasses
from contextlib import contextmanager

import numpy as np
import pytest
from joblib import delayed
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import cross_validate, results
from sbnn.evaluation import runs
from sbnn.evaluation.runs import drop_details, load_or_compute
from sbnn.models.sparse_linear import SparseReducedRankRegression
from sbnn.results import Record

FIT = Ridge.fit


def question(**changes):
    return dataclasses.replace(
        Record("count", "made up", "ab", [{"n": 1}], 0, {"scaling": "fold"}), **changes
    )


def never():
    raise AssertionError("computed again")


def test_what_is_saved_is_loaded_and_not_computed_again(tmp_path):
    path = tmp_path / "folder" / "count.pickle"
    assert load_or_compute(question(), lambda: {"a": 1}, path).a == 1
    assert load_or_compute(question(), never, path).a == 1
    with pytest.raises(ValueError, match="overwrite"):
        load_or_compute(question(), lambda: {"a": 3}, path, overwrite="False")
    assert load_or_compute(question(), lambda: {"a": 2}, path, overwrite=True).a == 2
    assert results.load(path).a == 2
    assert load_or_compute(question(), lambda: {"a": 3}).a == 3, "without a file"


def test_an_answer_to_another_question_is_kept_and_named(tmp_path):
    path = tmp_path / "count.pickle"
    load_or_compute(question(), lambda: {"a": 1}, path)
    for named, changes in (
        ("experiment", {"experiment": "sum"}),
        ("data set", {"dataset": "other"}),
        ("data", {"sha256": "cd"}),
        ("parameters", {"params": [{"n": 2}]}),
        ("seed", {"seed": 1}),
        ("scaling", {"settings": {"scaling": "all"}}),
        ("more", {"settings": {"scaling": "fold", "more": 1}}),
    ):
        with pytest.raises(
            ValueError,
            match=rf"results: .*count\.pickle holds a result that differs in {named}; give",
        ):
            load_or_compute(question(**changes), never, path)
    assert results.load(path).a == 1


def test_the_estimator_and_its_version_belong_to_the_question(tmp_path, monkeypatch):
    monkeypatch.setattr(Ridge, "algorithm_version", lambda self, n_cells: 1, raising=False)
    path = tmp_path / "fit.pickle"
    how = {"estimator": Ridge(), "n_cells": 50}
    load_or_compute(question(), lambda: {"a": 1}, path, **how)
    assert load_or_compute(question(), never, path, **how).a == 1
    with pytest.raises(ValueError, match="differs in estimator"):
        load_or_compute(question(), never, path, estimator=Ridge(alpha=2.0), n_cells=50)
    monkeypatch.setattr(Ridge, "algorithm_version", lambda self, n_cells: 2 if n_cells < 100 else 1)
    with pytest.raises(ValueError, match="differs in version"):
        load_or_compute(question(), never, path, **how)
    assert load_or_compute(question(), never, path, estimator=Ridge(), n_cells=200).a == 1


def test_new_data_do_not_get_old_results(data, tmp_path):
    path = tmp_path / "cv.pickle"
    cross_validate(Ridge(), data, 3, results=path, verbose=False)
    renamed = dataclasses.replace(data, gene_names=data.gene_names[::-1])
    for other, what in ((changed(data, Y=data.Y + 1), "data"), (renamed, "gene_names")):
        with pytest.raises(ValueError, match=f"with different {what}"):
            cross_validate(Ridge(), other, 3, results=path, verbose=False)


def test_more_grid_points_join_a_record_without_details(data, tmp_path, monkeypatch):
    path = tmp_path / "cv.pickle"
    fits = []
    monkeypatch.setattr(Ridge, "fit", lambda self, *a: fits.append(self.alpha) or FIT(self, *a))

    def run(*alphas, **more):
        return cross_validate(
            Ridge(), data, 3, {"alpha": alphas}, results=path, verbose=False, **more
        )

    first = run(1.0)
    drop_details(results.load(path), path)
    both = run(1.0, 9.0)
    np.testing.assert_array_equal(both.test_r2[:, 0], first.test_r2[:, 0])
    assert both.test_predictions[0] == [None] * 3, "what was dropped stays away"
    assert all(predicted.shape == (40, 5) for predicted in both.test_predictions[1])
    three = run(1.0, 9.0, 5.0)
    np.testing.assert_array_equal(three.test_predictions[1][2], both.test_predictions[1][2])
    assert run(1.0, 9.0, 5.0).params == three.params
    assert fits == [1.0] * 3 + [9.0] * 3 + [5.0] * 3
    assert [predicted[0] is None for predicted in results.load(path).test_predictions] == [
        True,
        False,
        False,
    ]
    with pytest.raises(ValueError, match="which would be lost"):
        run(9.0)
    assert run(9.0, overwrite=True).test_r2.shape == results.load(path).test_r2.shape == (3, 1)


def test_paths_that_were_finished_before_a_kill_are_not_fitted_again(data, tmp_path, monkeypatch):
    model = SparseReducedRankRegression(rank=2)
    path = tmp_path / "cv.pickle"
    grid = {"alpha": [0.8, 0.4, 0.2]}
    whole = cross_validate(model, data, 3, grid, verbose=False)
    solve = SparseReducedRankRegression._alternate
    solved = []

    def interrupted(self, step, Y, encoder, start, alpha):
        if len(solved) == 5:
            raise KeyboardInterrupt
        solved.append(alpha)
        return solve(self, step, Y, encoder, start, alpha)

    monkeypatch.setattr(SparseReducedRankRegression, "_alternate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        cross_validate(model, data, 3, grid, results=path, verbose=False)
    monkeypatch.setattr(
        SparseReducedRankRegression, "_alternate", lambda *a: solved.append(a[-1]) or solve(*a)
    )
    resumed = cross_validate(model, data, 3, grid, results=path, verbose=False)
    assert solved == [0.8, 0.4, 0.2, 0.8, 0.4] + 2 * grid["alpha"]
    more = cross_validate(
        model, data, 3, {"alpha": [0.8, 0.4, 0.2, 0.1]}, results=path, verbose=False
    )
    np.testing.assert_array_equal(more.test_r2[:, :3], resumed.test_r2)
    other = results.save(question(), tmp_path / "cv.pickle.parts" / f"{'0' * 32}.pickle")
    cross_validate(model, data, 3, {"alpha": [0.8]}, results=path, overwrite=True, verbose=False)
    assert not other.exists(), "fits of another run are dropped if asked for"
    for name in ("test_r2", "selected", "train_feature_r2"):
        np.testing.assert_array_equal(resumed.values[name], whole.values[name])


def test_what_another_run_has_finished_meanwhile_is_taken(tmp_path, monkeypatch):
    """Once the file is locked, it is read again, and stays as it is."""
    path = tmp_path / "one.pickle"
    locked = runs._locked

    @contextmanager
    def after_another(place):
        results.save(question(values={"a": 1}), place)
        with locked(place):
            yield

    monkeypatch.setattr(runs, "_locked", after_another)
    assert load_or_compute(question(), never, path).a == 1


def test_there_are_no_more_workers_than_calls_and_cores(monkeypatch):
    asked = []
    monkeypatch.setattr(runs, "Parallel", lambda n_jobs, **_: asked.append(n_jobs) or list)
    monkeypatch.setattr(runs, "cpu_count", lambda: 4)
    for n_calls, n_jobs in ((3, 10_000), (9, 10_000), (9, 2), (9, -1), (0, 2)):
        runs.in_workers([None] * n_calls, n_jobs)
    assert asked == [3, 4, 2, -1, 1]
    with pytest.raises(TypeError, match="n_jobs"):
        runs.in_workers([None], "2")


def test_results_of_workers_come_in_order_if_asked():
    calls = [delayed(abs)(number) for number in (-2, 3)]
    assert list(runs.in_workers(calls, 1, "generator")) == [2, 3]
