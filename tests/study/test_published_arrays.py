"""The published arrays: means are those that the paper prints, and reading them runs no code."""

import os
import pickle
from collections import defaultdict

import numpy as np
import pytest
from material.files import Payload, published, put
from material.notebooks import shown_rows
from material.paths import SAVED_MODELS

from sbnn.evaluation.crossval import epoch_curves
from sbnn.results import load
from sbnn.study import report
from sbnn.study.published import (
    FOLDERS,
    STRATEGY_PAIRS,
    differences_from_published,
    published_counts,
    published_curves,
    published_differences,
    published_outputs,
    published_paths,
    published_pretraining,
)


@pytest.fixture(params=FOLDERS)
def dataset(request, real_file):
    """A data set whose arrays are on this machine."""
    real_file(f"{FOLDERS[request.param]}/Bottleneck_r2_straight_regr_lasso.pickle")
    return request.param


@pytest.fixture
def printed(dataset):
    """Results that the paper prints."""
    return report.PUBLISHED_R2[report.PUBLISHED_R2["dataset"] == dataset]


def test_means_of_networks_are_those_of_the_paper(dataset, printed):
    keys = ["strategy", "n_components", "group_lasso", "epoch"]
    expected = printed[printed["rank"].isna()].copy()
    expected["epoch"] = expected["stage"].map({report.LAST: 200, report.BEFORE_PRUNING: 100})
    expected["strategy"] = "pretrained, then frozen"
    expected.loc[expected["frozen_layers"] == 0, "strategy"] = "pretrained, all layers"
    expected.loc[~expected["pretraining"].astype(bool), "strategy"] = "not pretrained"
    expected = expected.set_index(keys)[["test_r2", "folds"]]
    by_epoch = published_curves(dataset).groupby(keys)["test_r2"]
    means = by_epoch.agg(["mean", "count"]).reindex(expected.index)
    np.testing.assert_allclose(means, expected, rtol=0, atol=0.00051)


def test_notebook_02_shows_the_differences_of_the_strategies(dataset):
    shown = shown_rows("02_paper")
    rows = defaultdict(dict)
    for (d, title), difference in published_differences(published_curves(dataset)).items():
        rows[d][title] = str(difference)
    expected = [
        [str(d), *(row.get(title, "") for title in STRATEGY_PAIRS)] for d, row in rows.items()
    ]
    # the name of the data set stands in its first row only
    [first] = [at for at, row in enumerate(shown) if row[-5:] == [dataset, *expected[0]]]
    assert [row[-4:] for row in shown[first : first + len(expected)]] == expected


def test_ours_are_compared_with_the_same_folds_of_the_authors(real_file):
    real_file("scala_2020/Bottleneck_r2_straight_regr_lasso.pickle")
    records = report.read_study_records(SAVED_MODELS / "scala")
    curves = published_curves("scala")
    differences = differences_from_published(records, curves)
    assert len(differences) == 12
    table = report.study_accuracy_table(records)["minus published"].dropna().round(3)
    for difference in differences.values():
        assert np.abs(table - difference.mean).min() < 0.0011
    weakest = differences[2, "pretrained, then frozen", 1e-4]
    assert str(weakest) == "-0.035 [-0.076, +0.006]"


def test_paths_pass_through_the_means_of_the_paper(dataset, printed):
    by_penalty = published_paths(dataset).groupby(["rank", "penalty"])
    paths = by_penalty[["n_genes", "test_r2"]].mean().reset_index("rank")
    for row in printed[printed["rank"].notna()].itertuples():
        path = paths[paths["rank"] == row.rank]
        points = path[(path["n_genes"] - row.n_genes).abs() <= 0.5]
        assert (points["test_r2"] - row.test_r2).abs().min() < 0.00051


def test_sparse_reduced_rank_regression_has_the_published_r2_of_each_fold(real_file):
    """At full rank with 24 genes; with rank 2, the refit to the selected genes is another."""
    real_file("scala_2020/sRRR_vs_Bottleneck_rank16_CV_lasso.pickle")
    record = load(SAVED_MODELS / "scala" / "cv_srrr_scaled_over_all_cells.pickle.xz")
    paths = published_paths("scala").query("penalty == 4").set_index("rank")
    for rank, tolerance in {2: 5e-4, 16: 1e-8}.items():
        ours = record.test_r2[:, record.find(rank=rank, alpha=0.5)]
        np.testing.assert_allclose(ours, paths.loc[rank, "test_r2"], rtol=0, atol=tolerance)


def test_cross_entropies_of_the_pretraining_are_near_ours(real_file):
    real_file("scala_2020/Bottleneck_pre_tr_lasso.pickle")
    last = published_pretraining("scala").query("n_components == 2 and epoch == 50")
    published = last.groupby("group_lasso")[["training", "held_out"]].mean()
    record = load(SAVED_MODELS / "scala" / "cv_published_scaled_over_all_cells.pickle.xz")
    for lasso, expected in published.iterrows():
        curves = epoch_curves(record, n_components=2, pretraining=True, group_lasso=lasso)
        by_epoch = curves[curves["stage"] == "pretraining"].groupby("epoch")
        ours = by_epoch[["loss", "eval_loss"]].mean().iloc[-1]
        np.testing.assert_allclose(ours, expected, rtol=0.05, atol=0.05)


def test_ten_networks_keep_25_genes_each(real_file):
    real_file("scala_2020/for_hist.pickle")
    counts = published_counts()
    assert counts.sum().to_dict() == {2: 70, 64: 36}, "genes that any of them keeps"
    n_kept = counts.mul(counts.index, axis=0).sum()
    assert n_kept.to_dict() == {2: 250, 64: 250}


def test_r2_of_single_outputs_are_the_published_ones(real_file):
    real_file("scala_2020/ind_feature_scores.pickle")
    outputs = published_outputs()
    assert outputs.loc["UDR"].round(2).to_dict() == {2: 0.77, 64: 0.77}


def test_a_pickle_that_would_run_code_is_refused(alone, monkeypatch):
    monkeypatch.chdir(alone)
    monkeypatch.setenv("SBNN_DATA", str(alone))
    name = "scala_2020/Bottleneck_r2_pre_tr_and_freeze_unfreeze_lasso.pickle"
    content = pickle.dumps([Payload(), np.zeros((2, 4, 1))], 2)
    published(monkeypatch, name, content, folder="sbnn_published")
    put(alone / "sbnn_published" / name, content)
    with pytest.raises(pickle.UnpicklingError, match="system"):
        published_curves("scala", download=False)
    assert not os.path.exists("owned")
