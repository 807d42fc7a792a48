"""The published arrays: means are those that the paper prints, and reading them runs no code."""

import os
import pickle

import numpy as np
import pytest
from files import published, put

from sbnn.study import report
from sbnn.study.published import FOLDERS, published_curves, published_paths


@pytest.mark.parametrize("dataset", FOLDERS)
def test_means_are_the_published_ones(dataset, real_file):
    real_file(f"{FOLDERS[dataset]}/Bottleneck_r2_straight_regr_lasso.pickle")
    curves = published_curves(dataset)
    curves["pretraining"] = curves["strategy"] != "not pretrained"
    curves = curves[curves["strategy"] != "pretrained, all layers"]
    stages = {report.LAST: 200, report.BEFORE_PRUNING: 100}
    known = report.PUBLISHED[report.PUBLISHED["dataset"] == dataset]
    for _, row in known[known["rank"].isna()].iterrows():
        same = curves["epoch"] == stages[row["stage"]]
        for name in ("n_components", "group_lasso", "pretraining"):
            same &= curves[name] == row[name]
        r2 = curves.loc[same, "test_r2"]
        assert r2.mean() == pytest.approx(row["test_r2"], abs=0.00051)
        assert len(r2) == row["folds"]
        if row["sd"] > 0:
            assert r2.std() == pytest.approx(row["sd"], abs=0.00051)
    by_penalty = published_paths(dataset).groupby(["rank", "penalty"])
    paths = by_penalty[["n_genes", "test_r2"]].mean().reset_index("rank")
    for _, row in known[known["rank"].notna()].iterrows():
        at = (paths["rank"] == row["rank"]) & ((paths["n_genes"] - row["n_genes"]).abs() <= 0.5)
        assert (paths.loc[at, "test_r2"] - row["test_r2"]).abs().min() < 0.00051


class Payload:
    def __reduce__(self):
        return os.system, ("echo run > owned",)


def test_a_pickle_that_would_run_code_is_refused(alone, monkeypatch):
    monkeypatch.chdir(alone)
    monkeypatch.setenv("SBNN_DATA", str(alone))
    name = "scala_2020/Bottleneck_r2_pre_tr_and_freeze_unfreeze_lasso.pickle"
    arrays = [np.zeros((2, 4, 1)), np.arange(24.0).reshape(2, 4, 1, 3), np.zeros(3)]
    for content in (pickle.dumps(arrays, 2), pickle.dumps([Payload(), *arrays], 2)):
        published(monkeypatch, name, content, folder="sbnn_published")
        put(alone / "sbnn_published" / name, content)
        with pytest.raises((pickle.UnpicklingError, FileNotFoundError)) as refused:
            published_curves("scala", download=False)
    assert refused.type is pickle.UnpicklingError
    assert "system" in str(refused.value)
    assert not os.path.exists("owned")
