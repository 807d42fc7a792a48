"""Tables of saved results: numbers of the records, beside the published ones of the same fits."""

from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from material.notebooks import shown_rows
from material.paths import SAVED_MODELS
from material.records import ridge_record

from sbnn.results import save
from sbnn.study import report


@pytest.fixture(scope="module")
def m1():
    """Records of mouse M1, for which results are published."""
    return report.read_study_records(SAVED_MODELS / "scala")


@pytest.fixture(scope="module")
def m1_accuracy(m1):
    return report.study_accuracy_table(m1)


@pytest.fixture(scope="module")
def simulated():
    """Records of simulated cells, for which nothing is published."""
    return report.read_study_records(SAVED_MODELS / "simulated")


@pytest.fixture(scope="module")
def simulated_accuracy(simulated):
    return report.study_accuracy_table(simulated)


@pytest.fixture
def ridge():
    """Record of three folds with two outputs."""
    record = ridge_record()
    record.values["feature_names"] = np.array(["x", "y"])
    return record


def select_rows(table, **settings):
    """Rows with these settings."""
    columns = table.index.to_frame()[list(settings)]
    is_selected = (columns == pd.Series(settings)).all(axis=1)
    return table[is_selected.to_numpy()]


def test_results_of_fewer_genes_belong_to_the_study(ridge, tmp_path):
    """Maps of preselected genes, and halves of candidate genes, are of other data."""
    fewer = replace(ridge, sha256="that of fewer genes")
    records = {
        "cv_ridge": ridge,
        "map_trust": replace(fewer, experiment="map trust"),
        "tsne": replace(fewer, experiment="t-SNE"),
        "halves_distilled": replace(fewer, values={**fewer.values, "cells_behind": np.ones(3)}),
    }
    for name, record in records.items():
        save(record, tmp_path / f"{name}.pickle.xz")
    assert report.read_study_records(tmp_path).keys() == records.keys()


def test_without_published_results_there_are_no_columns(simulated_accuracy):
    assert simulated_accuracy.columns.tolist() == ["R2", "SD", "SE"]


def test_rows_are_means_over_the_folds(simulated, simulated_accuracy):
    record = simulated["cv_published"]
    straight = record.find(n_components=64, pretraining=False)
    r2 = record.test_r2[:, straight]
    rows = select_rows(simulated_accuracy, n_components="64", pretraining="False")
    [row] = select_rows(rows, stage=report.LAST).to_numpy()
    sd = r2.std(ddof=1)
    np.testing.assert_allclose(row, [r2.mean(), sd, sd / 10**0.5])


def test_before_pruning_is_the_last_epoch_of_all_genes(simulated, simulated_accuracy):
    record = simulated["cv_published"]
    straight = record.find(n_components=64, pretraining=False)
    n_epochs_of_fine_tuning = 100
    position = -n_epochs_of_fine_tuning - 1
    r2 = [history["eval_r2"].iloc[position] for history in record.history[straight]]
    rows = select_rows(simulated_accuracy, n_components="64", pretraining="False")
    row = select_rows(rows, stage=report.BEFORE_PRUNING)
    assert row["R2"].item() == pytest.approx(np.mean(r2))


def test_srrr_is_shown_with_the_numbers_of_genes(simulated, simulated_accuracy):
    record = simulated["cv_srrr"]
    r2 = record.test_r2[:, record.best_with_at_most(25, rank=16)]
    row = select_rows(simulated_accuracy, model="sRRR", rank="16", n_genes="25")
    assert row["R2"].item() == pytest.approx(r2.mean())


def test_every_published_result_stands_beside_one_of_ours(m1_accuracy):
    assert len(m1_accuracy["published"].dropna()) == 20
    assert len(report.published_r2("scala", n_genes=1000)) == 20


@pytest.mark.parametrize(
    "settings",
    [{"n_components": "64", "folds": "10", "pretraining": "True"}, {"scaling": "fold"}],
    ids=["ten folds where three are published", "scaled per fold"],
)
def test_other_folds_or_scaling_have_no_published_result(m1_accuracy, settings):
    rows = select_rows(m1_accuracy, **settings)
    assert len(rows)
    assert rows["published"].isna().all()


def test_comparable_results_have_the_folds_of_the_record(m1):
    results = report.comparable_results(m1["cv_published_scaled_over_all_cells"])
    assert {(row["folds"], row["stage"]) for row in results} == {(10, report.LAST)}
    assert not any(row["frozen_layers"] == 0 for row in results)


def test_notebook_02_shows_fits_beside_their_published_result(m1):
    shown = [row[-5:] for row in shown_rows("02_paper")]
    for (_, setting), *numbers in (report.beside_published(m1).round(3) + 0.0).itertuples():
        assert [setting, *(f"{number:.3f}" for number in numbers)] in shown


def test_notebook_02_shows_the_strategies_on_all_data():
    shown = [row[-5:] for row in shown_rows("02_paper")]
    studied = report.study_folders(SAVED_MODELS)
    folders = [path for path in studied if Path(path, "cv_published_at_once.pickle.xz").exists()]
    assert len(folders) == 5
    for folder in folders:
        differences = report.strategy_differences(report.read_study_records(folder))
        assert [folder.name, "2", *map(str, differences.values())] in shown


def test_fits_are_named_beside_their_published_result(m1, m1_accuracy):
    table = report.beside_published(m1)
    expected = m1_accuracy.dropna(subset=["published"])
    assert table.index.is_unique
    np.testing.assert_array_equal(table["published"], expected["published"])
    row = table.loc[("published, d = 2, 25 genes", "lasso 0.1, pretrained, none frozen, 10 folds")]
    assert row["R²"] == m1["cv_published_at_once"].test_r2[:, 0].mean()


def test_a_comparison_has_the_differences_of_its_references(m1):
    ridge, published = m1["cv_ridge"], m1["cv_published"]
    params = {"n_components": 2, **report.STANDARD}
    models = {"network": (published, params), "ridge": ridge}
    table = report.comparison_table(models, references=["ridge"])
    points = (published.find(**params), 0)
    difference = report.paired_difference(published, ridge, metric="test_r2", points=points)
    assert table.loc["network", "minus ridge"] == str(difference)
    assert table["genes"].to_dict() == {"network": 25, "ridge": 1000}


@pytest.fixture
def overview(ridge, tmp_path):
    """Overview of a folder with ridge in place of the distilled network, and a quick run of it."""
    distilled = replace(ridge, params=[{"n_components": 2}])
    for folder in ("mine", "mine-fast"):
        save(distilled, tmp_path / folder / "cv_distilled.pickle.xz")
    save(ridge, tmp_path / "mine" / "cv_ridge.pickle.xz")
    [table] = report.study_overview(tmp_path).values()
    return table


def test_the_overview_leaves_quick_runs_out(overview):
    assert overview.index.tolist() == ["mine"]


def test_the_overview_has_sizes_and_r2_of_models(overview):
    row = overview.loc["mine"]
    assert row["genes -> outputs"] == "40 -> 2"
    assert row["distilled, d=2"] == row["ridge, all genes"] == "0.450 ± 0.111"


def test_network_ridge_and_both_stacked_are_compared(simulated):
    means = {}
    for name, params in {"stacked": {}, "distilled": {"n_components": 2}, "ridge": {}}.items():
        record = simulated[f"cv_{name}"]
        means[name] = record.test_r2[:, record.find(**params)].mean()
    differences = report.model_differences(simulated)
    assert len(differences) == 3
    for title, difference in differences.items():
        model, reference = title.split(" minus ")
        assert difference.mean == pytest.approx(means[model] - means[reference])


def test_a_stacked_prediction_counts_all_genes(simulated, simulated_accuracy):
    row = select_rows(simulated_accuracy, model="distilled + ridge")
    assert row.index.to_frame()["n_genes"].item() == "300"
    assert simulated["cv_stacked"].n_selected.max() == 25


def test_models_without_results_are_empty_in_the_overview(overview):
    assert overview.loc["mine", "sRRR, rank 2"] == ""


@pytest.fixture
def predicts_x_only():
    """Record of two grid points; at the second, the interval of the R2 of `y` includes 0."""
    record = ridge_record()
    record.folds = [(np.arange(20), np.arange(20, 22))] * 3
    r2 = np.full((3, 2, 3), 0.5)
    r2[:, 1, 1] = 0.3, -0.1, 0.0
    record.values |= {"test_feature_r2": r2, "feature_names": np.array(["x", "y", "z"])}
    return record


@pytest.fixture
def effects():
    columns = {"output": ["y", "x"], "effect": [0.3, 0.2], "r2_drop": 0.1}
    return pd.DataFrame(columns, index=["a", "b"])


def test_an_output_that_is_not_predicted_is_left_out(effects, predicts_x_only):
    table = report.effects_table(effects, predicts_x_only, 1)
    assert table.isna().loc["a"].tolist() == [True, True, False]
    assert table.loc["b"].tolist() == ["x", 0.2, 0.1]


def test_effects_on_predicted_outputs_stay(effects, predicts_x_only):
    table = report.effects_table(effects, predicts_x_only, 0)
    pd.testing.assert_frame_equal(table, effects)


@pytest.fixture
def preselected():
    """Records of ridge on 12 of 40 genes."""
    record = ridge_record()
    record.folds = [(np.arange(2), np.arange(2))] * 3
    record.settings["scaling"] = "fold"
    record.values["preselected"] = np.arange(40) < np.full((3, 1, 1), 12)
    return {"cv_ridge": record}


def test_the_title_of_ridge_says_preselected(preselected):
    assert list(report.main_models(preselected)) == ["ridge, preselected genes"]


def test_the_genes_of_ridge_are_counted(preselected):
    settings = report.study_accuracy_table(preselected).index.to_frame()
    assert settings["n_genes"].item() == "12"


def test_known_genes_are_listed_for_both_networks(simulated):
    table = report.study_tables(simulated)["Known genes found, by noise"]
    assert set(table.index.unique("model")) == {"distilled", "published"}


def test_kept_genes_of_runs_stand_beside_the_published_ones():
    """Two genes are kept by all ten runs, four by five, and the linear model has one of each."""
    record = ridge_record()
    is_odd = [[1, 1, *[k % 2] * 4, 0] for k in range(10)]
    record.values["selected"] = np.array([is_odd], bool)
    record.values["gene_names"] = np.array(list("abcdefg"))
    published = pd.DataFrame({2: [0] * 9 + [3]}, index=range(1, 11))
    table = report.kept_counts_table(published, {2: record}, {"a", "c"})
    ours = table["2, ours"]
    assert ours[[1, 5, 10]].tolist() == [0, 4, 2]
    pairs = combinations(record.selected[0], 2)
    shared = np.mean([(first & second).sum() for first, second in pairs])
    assert ours["genes that two runs share"] == shared.round(1)
    assert ours["genes that a run shares with sRRR, rank 2"] == 1.5
    assert table[2].tolist()[-2:] == [3, 9.8]
