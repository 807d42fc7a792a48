"""Cells of other mice and later dates: which folds, and what the table says."""

from pathlib import Path

import pytest

from sbnn import SparseBottleneckRegressor, cross_validate
from sbnn.data.paired import groups_of
from sbnn.results import load
from sbnn.study import report

SAVED = Path(__file__).parents[2] / "saved_models" / "scala"


@pytest.mark.parametrize("name", ["default", "network", "ridge"])
def test_whole_mice_and_the_last_dates_are_held_out(name, real_scala):
    mice, dates = groups_of(real_scala, "mouse"), groups_of(real_scala, "date")
    folds = load(SAVED / f"apart_mouse_{name}.pickle").folds
    assert len(folds) == 10 and all(set(mice[train]).isdisjoint(mice[test]) for train, test in folds)
    [(train, test)] = load(SAVED / f"apart_date_{name}.pickle").folds
    assert max(dates[train]) < min(dates[test])


def test_random_folds_stand_in_the_first_row():
    records = report.read(SAVED)
    table, default, mice = report.held_apart_table(records), records["cv_default"], records["apart_mouse_ridge"]
    r2, of_mice = default.test_r2[:, default.find(n_components=2)], mice.test_r2[:, 0]
    assert table.loc["random folds", "distilled, d=2"] == f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"
    ridge = table["ridge, all genes"]
    assert ridge[report.APART["mouse"]] == f"{of_mice.mean():.3f} ± {of_mice.std(ddof=1):.3f}"
    assert ridge[report.APART["date"]] == f"{records['apart_date_ridge'].test_r2[0, 0]:.3f}"
    assert table.ne("").all(axis=None)


@pytest.mark.slow
@pytest.mark.parametrize("label", ["mouse", "date"])
def test_a_committed_fold_comes_out_the_same(label, real_scala):
    record = load(SAVED / f"apart_{label}_default.pickle")
    model = SparseBottleneckRegressor(standardize=False, device="cpu", random_state=42)
    again = cross_validate(model, real_scala, record.folds[:1], seed=42, verbose=False)
    assert again.test_r2[0] == pytest.approx(record.test_r2[0], abs=0.01)  # processors differ in the last bits
