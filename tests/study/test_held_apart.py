"""Cells of other mice and later dates: which folds, which models, and what the table says."""

from pathlib import Path

import numpy as np
import pytest
from made_up import changed

from sbnn.data.paired import groups_of
from sbnn.evaluation.crossval import cross_validate
from sbnn.evaluation.folds import later_fold, split_and_scale
from sbnn.results import Record, load
from sbnn.study import experiments, report
from sbnn.study.study import STUDY

SAVED = Path(__file__).parents[2] / "saved_models"


@pytest.fixture
def of_mice(data):
    """Cells of twelve mice, recorded on ten days."""
    rng = np.random.default_rng(0)
    labels = data.labels.assign(
        mouse=rng.choice([f"m{i}" for i in range(12)], data.n_cells),
        date=rng.choice([f"2020-01-{day:02d}" for day in range(1, 11)], data.n_cells),
    )
    return changed(data, labels=labels)


def test_whole_mice_and_the_last_dates_are_held_out(of_mice, tmp_path):
    specs = experiments.held_apart(of_mice)
    assert set(specs) == {f"apart_{label}_{name}" for label in report.APART for name in ("default", "network", "ridge")}
    mice, dates = groups_of(of_mice, "mouse"), groups_of(of_mice, "date")
    for train, test in specs["apart_mouse_default"].folds:
        assert set(mice[train]).isdisjoint(mice[test])
    [(train, test)] = specs["apart_date_network"].folds
    assert max(dates[train]) == "2020-01-08" and min(dates[test]) == "2020-01-09"
    records = STUDY.run(of_mice, tmp_path, "cv", only=["apart_*_ridge"], fast=True)
    table = report.held_apart_table(records)["ridge, all genes"]
    r2 = records["apart_mouse_ridge"].test_r2[:, 0]
    assert table[report.APART["mouse"]] == f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"
    assert table[report.APART["date"]] == f"{records['apart_date_ridge'].test_r2[0, 0]:.3f}"


def test_offsets_are_told_from_what_else_is_missing(of_mice):
    """Predictions that are right but for 2 SD in one output; and others that are the mean of the training cells."""
    fold = later_fold(groups_of(of_mice, "date"))
    _, Y_train, _, Y_test = split_and_scale(of_mice, fold[0], "fold")
    moved, mean = Y_test + np.eye(of_mice.n_outputs)[1] * 2, np.broadcast_to(Y_train.mean(0), Y_test.shape)
    records = {}
    for name, predicted in {"default": moved, "network": mean, "ridge": Y_test}.items():
        values, about = {"test_predictions": [[predicted]]}, (of_mice.name, of_mice.sha256, [{}], 0)
        records[f"apart_date_{name}"] = Record("cross-validation", *about, {"scaling": "fold"}, fold, values)
    table = report.offsets_table(of_mice, records).reset_index()
    assert table.output[0] == of_mice.feature_names[1] and table.offset[0] == pytest.approx(-2, abs=1e-5)
    away = np.square(Y_test.mean(0) - Y_train.mean(0)).sum() / np.square(Y_test - Y_train.mean(0)).mean(0).sum()
    np.testing.assert_allclose(table.without_offsets, [1, away, 1], atol=1e-4)
    lost = 4 * len(Y_test) / np.square(Y_test - Y_train.mean(0)).sum()
    np.testing.assert_allclose(table.test_r2, [1 - lost, 0, 1], atol=1e-5)


def test_random_folds_stand_in_the_first_row():
    records = STUDY.load(SAVED / "scala")
    row = report.held_apart_table(records).loc["random folds"]
    default = records["cv_default"]
    r2 = default.test_r2[:, default.find(n_components=2)]
    assert row["distilled, d=2"] == f"{r2.mean():.3f} ± {r2.std(ddof=1):.3f}"
    assert row.ne("").all()


@pytest.mark.slow
def test_a_committed_fold_comes_out_the_same(real_scala):
    for label, folds_of in experiments.APART.items():
        record = load(SAVED / "scala" / f"apart_{label}_default.pickle")
        spec = experiments.held_apart(real_scala)[f"apart_{label}_default"]
        np.testing.assert_array_equal(record.folds[0][1], folds_of(groups_of(real_scala, label))[0][1])
        again = cross_validate(spec.estimator, real_scala, spec.folds[:1], seed=experiments.SEED, verbose=False)
        assert again.test_r2[0] == pytest.approx(record.test_r2[0], abs=0.01)  # processors differ in the last bits
