"""The study runs its models on its folds, keeps what it found, and its tables say what the records do."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from stand_ins import MODELS, Attentive

from sbnn import results, simulate_ephys_types
from sbnn.ephys_types import published, report, study
from sbnn.evaluation.classification import repeat_means
from sbnn.evaluation.verdict import paired_difference

pytestmark = pytest.mark.filterwarnings("ignore:.*lacks.*in training or in test")


def test_every_model_is_run_on_the_same_folds_of_three_seeds(folder, cells):
    records = study.load_records(folder)
    of_models = report.of_kind(records, "types")
    assert list(of_models) == list(MODELS)
    donor = cells.labels["donor"].to_numpy()
    for record in of_models.values():
        assert record.repeats.tolist() == [0] * 5 + [1] * 5 + [2] * 5
        for (train, test), (_, reference) in zip(record.folds, of_models["majority"].folds, strict=True):
            np.testing.assert_array_equal(test, reference)
            assert not set(donor[train]) & set(donor[test])


def test_what_is_saved_is_loaded(folder, cells, monkeypatch):
    monkeypatch.setattr(Attentive, "fit", lambda self, X, y, families=None: pytest.fail("fitted again"))
    study.run_cross_validations(cells, folder, verbose=False)
    study.run_cells(cells, folder)
    with pytest.raises(ValueError, match="only: no such model: best; there are majority, "):
        study.run_cross_validations(cells, folder, only=["best"])


def test_five_types_are_a_kind_of_their_own(quick, tmp_path):
    mouse = simulate_ephys_types(200, species="mouse")
    study.run_cross_validations(mouse, tmp_path, fast=True, verbose=False, only=["lightgbm"])
    records = study.load_records(tmp_path)
    assert list(records["types_lightgbm"].classes) == ["LAMP5", "PVALB", "SST", "VIP"]
    assert list(records["types5_lightgbm"].classes) == ["LAMP5", "PVALB", "SNCG", "SST", "VIP"]
    assert len(records["types_lightgbm"].folds) == 2
    tables = report.all_tables(records)
    assert "Accuracy, 5 classes" in tables and "SNCG" in tables["F1 of every class, 5 classes"]


def test_the_table_is_of_the_records(folder):
    records = study.load_records(folder)
    table = report.accuracy_table(records)
    of, reference = records["types_family_attention"], records["types_lightgbm"]
    row = table.loc["attention over families"]
    means = [of.macro_f1[of.repeats == seed].mean() for seed in (0, 1, 2)]
    assert row["macro-F1"] == pytest.approx(np.mean(means)) and row["SD"] == pytest.approx(np.std(means, ddof=1))
    assert row["seconds"] == of.seconds.mean() and row["accuracy"] == of.accuracy.mean()
    assert tuple(row[["minus LightGBM", "low", "high"]]) == paired_difference(of, reference)[:3]
    assert np.isnan(table.loc["LightGBM", "low"]) and "published macro-F1" not in table
    assert list(repeat_means(of)) == pytest.approx(means)


def test_published_numbers_stand_beside_the_data_and_the_types_they_are_of(folder):
    records = study.load_records(folder)
    for record in records.values():
        record.dataset = "lee_human"
    table = report.accuracy_table(records)
    assert table["published macro-F1"].dropna().to_dict() == {"BiLSTM + attention, published": 0.669}
    assert published.of_data("lee_human", "types5") == {}
    of_mouse = published.of_data("gouwens_ephys_relative", "types5")
    assert of_mouse == published.of_data("gouwens_ephys", "types5") and of_mouse["bilstm_published"].accuracy == 0.915


def test_groups_are_scored_apart(folder, cells):
    records = study.load_records(folder)
    table = report.group_table(records, "condition")
    condition = cells.labels["condition"].value_counts()
    assert table.loc["LightGBM", "cells"].to_dict() == {"all": 200, **condition.to_dict()}
    counts = report.confounding_table(records, "condition")
    assert counts.loc["PVALB", "culture"] == ((cells.y == "PVALB") & (cells.labels["condition"] == "culture")).sum()


def test_families_and_cells_are_told(folder, cells):
    records = study.load_records(folder)
    importance, agreement = report.families_tables(records)
    assert list(importance.index) == list(cells.families.names)
    assert list(importance["LightGBM"]) == ["shuffled", "left out"]
    assert set(agreement) == {"attention - shuffled", "attention - left out", "shuffled - left out"}
    attention = records["types_families_family_attention"].attention
    assert attention[1, -1] > 0.9 > attention[0, -1]  # PVALB
    placed = records["types_cells"]
    assert placed.tsne.shape == (200, 2) and len(placed.component_names) == placed.components.shape[1]
    assert list(placed.labels) == ["type", "donor", "condition"]


def test_transfer_is_of_human_cells_only(quick, cells, tmp_path):
    records = study.run_transfer(cells, tmp_path, fast=True, verbose=False)
    assert set(records) == {"transfer_zero_shot", "transfer_curves"}
    assert {"human only", "transfer"} <= set(records["transfer_curves"].scores["method"])
    assert study.load_source("gouwens_ephys") is None
    tables = report.all_tables(study.load_records(tmp_path))
    assert set(tables) == {
        "Types of one species from those of the other, without labels",
        "Transfer by number of labelled cells",
    }


def test_records_of_different_data_are_not_put_side_by_side(folder, quick, tmp_path):
    for path in folder.glob("*.pickle"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    record = results.load(folder / "types_majority.pickle")
    record.sha256 = "other"
    results.save(record, tmp_path / "types_majority.pickle")
    with pytest.raises(ValueError, match="are of different data"):
        study.load_records(tmp_path)
    with pytest.raises(FileNotFoundError, match="sbnn ephys-types cv"):
        study.load_records(Path(tmp_path) / "nowhere")


@pytest.mark.parametrize("name", [study.ZERO_SHOT, study.CURVES])
def test_transfer_to_other_cells_is_not_put_beside_the_classifiers(name, folder, cells, quick, tmp_path):
    for path in folder.glob("types_*.pickle"):
        (tmp_path / path.name).write_bytes(path.read_bytes())
    for sha256, fits in ((cells.sha256, True), ("other", False)):
        results.save(
            results.Record(name, cells.name, sha256, [{}], values={"scores": pd.DataFrame()}),
            tmp_path / f"{name}.pickle",
        )
        if fits:
            assert name in study.load_records(tmp_path)
        else:
            with pytest.raises(ValueError, match="are of different data"):
                study.load_records(tmp_path)


def test_the_overview_has_a_row_for_every_data_set_and_kind(folder):
    table = report.overview_table(folder.parent)
    assert list(table.index) == ["simulated, 4 classes"]
    assert list(table) == ["cells", *(MODELS[n].label for n in report.OVERVIEW if n in MODELS), "best published"]
    f1 = repeat_means(study.load_records(folder)["types_lightgbm"])
    assert table.loc["simulated, 4 classes", "LightGBM"] == f"{f1.mean():.3f} ± {f1.std(ddof=1):.3f}"
    assert table.loc["simulated, 4 classes", ["cells", "best published"]].tolist() == ["200", ""]
    with pytest.raises(FileNotFoundError, match="run `sbnn ephys-types cv` first"):
        report.overview_table(folder)


def test_data_sets_of_another_study_are_refused():
    with pytest.raises(ValueError, match="'scala' is of the study 'sbnn'"):
        study.load_cells("scala")


def test_labels_that_tables_need_are_kept_as_they_are(folder, cells):
    labels = study.load_records(folder)["types_cells"].labels
    pd.testing.assert_series_equal(labels["condition"], cells.labels["condition"], check_index_type=False)
