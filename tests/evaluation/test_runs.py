"""Results are loaded if they match what is asked, computed otherwise, and never lost or mixed."""

import errno
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_up import changed
from sklearn.linear_model import Ridge

from sbnn import SparseReducedRankRegression, cross_validate
from sbnn.evaluation.runs import load_or_compute
from sbnn.results import Record, load, save
from sbnn.store import encoded

QUESTION = Record("count", "made up", "ab", [{"n": 1}], 0, {"scaling": "fold"})


def never():
    raise AssertionError("computed again")


def test_what_is_saved_is_loaded_and_not_computed_again(tmp_path):
    path = tmp_path / "folder" / "count.pickle"
    assert load_or_compute(QUESTION, lambda: {"a": 1}, path).a == 1
    assert load_or_compute(QUESTION, never, path).a == 1
    assert load_or_compute(QUESTION, lambda: {"a": 2}, path, overwrite=True).a == 2
    assert load_or_compute(QUESTION, lambda: {"a": 3}).a == 3
    assert load(path).a == 2
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("named", "changes"),
    [
        ("experiment", {"experiment": "sum"}),
        ("dataset", {"dataset": "other"}),
        ("sha256", {"sha256": "cd"}),
        ("params", {"params": [{"n": 2}]}),
        ("seed", {"seed": 1}),
        ("scaling, more", {"settings": {"scaling": "all", "more": 1}}),
    ],
)
def test_an_answer_to_another_question_is_kept_and_named(tmp_path, named, changes):
    path = save(replace(QUESTION, values={"a": 1}), tmp_path / "count.pickle")
    with pytest.raises(ValueError, match=rf"results: .*count\.pickle .* in {named};"):
        load_or_compute(replace(QUESTION, **changes), never, path)
    assert load(path).a == 1


def test_the_estimator_and_its_version_belong_to_the_question(tmp_path, monkeypatch):
    path = tmp_path / "fit.pickle"

    def ask(compute=never, alpha=1.0):
        return load_or_compute(QUESTION, compute, path, estimator=Ridge(alpha), n_cells=50)

    ask(lambda: {"a": 1})
    with pytest.raises(ValueError, match="differs in estimator"):
        ask(alpha=2.0)
    monkeypatch.setattr(Ridge, "algorithm_version", lambda self, n: n // 25, raising=False)
    with pytest.raises(ValueError, match="differs in version"):
        ask()


def same(a, b):
    assert a.values.keys() == b.values.keys()
    for name in a.values.keys() - {"seconds"}:
        assert encoded(a.values[name]) == encoded(b.values[name])


GRID = {"alpha": [0.8, 0.4, 0.2], "rank": [1, 2]}
FITS = [(rank, alpha) for alpha in GRID["alpha"] for rank in (1, 2) for _ in range(3)]


@pytest.fixture
def solved(monkeypatch):
    """Ranks and penalties that are solved; a run stops after as many as `solved.limit`."""

    class Solved(list):
        limit = np.inf

    found = Solved()
    solve = SparseReducedRankRegression._alternate

    def logged(self, *args):
        if len(found) == found.limit:
            raise KeyboardInterrupt
        found.append((self.rank, self.alpha))
        return solve(self, *args)

    monkeypatch.setattr(SparseReducedRankRegression, "_alternate", logged)
    return found


def test_an_interrupted_run_goes_on_with_the_fits_that_are_missing(
    data, tmp_path, solved, monkeypatch
):
    """Also if the disk is full while a fit is saved."""
    path = tmp_path / "cv.pickle"
    parts = Path(f"{path}.parts")

    def run(grid=GRID, **how):
        model = SparseReducedRankRegression()
        return cross_validate(model, data, 3, grid, results=path, verbose=False, **how)

    solved.limit = 5
    with pytest.raises(KeyboardInterrupt):
        run()
    assert not path.exists()
    assert len(list(parts.iterdir())) == 5
    solved.limit = np.inf
    with monkeypatch.context() as patched:
        full = OSError(errno.ENOSPC, "No space left on device")
        patched.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(full))
        with pytest.raises(OSError, match=r"cannot write .*: No space left on device"):
            run()
    assert len(list(parts.iterdir())) == 5
    (parts / "of_another_run.pickle").touch()
    resumed = run()
    assert solved == FITS[:6] + FITS[5:]
    assert [left.name for left in parts.iterdir()] == ["of_another_run.pickle"]
    same(resumed, load(path))
    same(resumed, run())
    same(cross_validate(SparseReducedRankRegression(), data, 3, GRID, verbose=False), resumed)
    assert solved[19:] == FITS


def test_fits_join_only_if_they_belong(data, tmp_path, monkeypatch):
    path = tmp_path / "cv.pickle"
    fits = []
    fit = Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda self, *a: fits.append(self.alpha) or fit(self, *a))

    def run(*alphas, data=data, folds=3, **how):
        grid = {"alpha": alphas}
        how = {"results": path, "verbose": False} | how
        return cross_validate(Ridge(), data, folds, grid, **how)

    first = run(1.0, keep=())
    both = run(1.0, 9.0)
    np.testing.assert_array_equal(both.test_r2[:, 0], first.test_r2[:, 0])
    # what was not kept stays away
    assert both.test_predictions[0] == load(path).test_predictions[0] == [None] * 3
    assert [predicted.shape for predicted in both.test_predictions[1]] == [(40, 5)] * 3
    assert fits == [1.0] * 3 + [9.0] * 3
    for wrong in (
        {"data": changed(data, Y=data.Y + 1)},
        {"folds": 4},
        {"scaling": "all"},
        {"preselect": 30},
    ):
        with pytest.raises(ValueError, match=r"results: .*cv\.pickle .* would be lost"):
            run(1.0, 9.0, **wrong)
    with pytest.raises(ValueError, match="would be lost"):
        run(9.0)
    assert run(9.0, overwrite=True).test_r2.shape == load(path).test_r2.shape == (3, 1)
