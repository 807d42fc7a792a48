"""The study runs its models on its folds, keeps what it found, and its tables and figures say what the records do."""

from copy import copy

import numpy as np
import pandas as pd
import pytest
from stand_ins import MODELS, Attentive

from sbnn import cli
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types import figures, report
from sbnn.ephys_types.models import of_kind
from sbnn.ephys_types.report import CONTROL
from sbnn.ephys_types.study import STUDY
from sbnn.evaluation.classification import calibration, confusion_counts, repeat_means
from sbnn.evaluation.verdict import corrected_difference, paired_difference
from sbnn.results import Record

pytestmark = pytest.mark.filterwarnings("ignore:.*lacks.*in training or in test")


@pytest.fixture(scope="module")
def records(folder):
    return STUDY.load(folder)


def test_every_model_is_run_on_the_same_folds_and_loaded_again(folder, records, simulated, cells, monkeypatch):
    of_models = of_kind(records, "types")
    assert list(of_models) == list(MODELS)
    donor = cells.labels["donor"].to_numpy()
    for record in of_models.values():
        assert record.repeats.tolist() == [0] * 5 + [1] * 5 + [2] * 5
        for (train, test), (_, reference) in zip(record.folds, of_models["majority"].folds, strict=True):
            np.testing.assert_array_equal(test, reference)
            assert not set(donor[train]) & set(donor[test])
    monkeypatch.setattr(Attentive, "fit", lambda self, X, y, families=None: pytest.fail("fitted again"))
    STUDY.run(simulated, folder, "cv", verbose=False)


def test_five_types_are_a_kind_of_their_own(quick, tmp_path):
    mouse = simulate_ephys_types(200, species="mouse")
    STUDY.run(mouse, tmp_path, "cv", fast=True, verbose=False, only=["types_lightgbm", "types5_lightgbm"])
    records = STUDY.load(tmp_path)
    assert list(records["types_lightgbm"].classes) == ["LAMP5", "PVALB", "SST", "VIP"]
    assert list(records["types5_lightgbm"].classes) == ["LAMP5", "PVALB", "SNCG", "SST", "VIP"]
    assert len(records["types_lightgbm"].folds) == 2
    tables = report.all_tables(records)
    assert "Accuracy, 5 classes" in tables and "SNCG" in tables["F1 of every class, 5 classes"]
    with pytest.raises(ValueError, match="dataset: .*simulated_ephys_mouse"):
        STUDY.run(mouse, tmp_path, "transfer")


def test_the_table_is_of_the_records(records):
    table = report.accuracy_table(records)
    of, reference = records["types_family_attention"], records["types_lightgbm"]
    row = table.loc["attention over families"]
    means = [of.macro_f1[of.repeats == seed].mean() for seed in (0, 1, 2)]
    assert row["macro-F1"] == pytest.approx(np.mean(means)) and row["SD"] == pytest.approx(np.std(means, ddof=1))
    assert row["seconds"] == of.seconds.mean() and row["accuracy"] == of.accuracy.mean()
    assert tuple(row[["minus LightGBM", "low", "high"]]) == paired_difference(of, reference)[:3]
    assert np.isnan(table.loc["LightGBM", "low"]) and "published macro-F1" not in table
    assert list(repeat_means(of)) == pytest.approx(means)
    f1 = report.class_table(records).loc["LightGBM"]
    assert f1.tolist() == pytest.approx(np.nanmean(reference.f1[:, 0], axis=0))
    of_human = {name: copy(record) for name, record in records.items()}
    for record in of_human.values():
        record.dataset = "lee_human"
    known = report.accuracy_table(of_human)["published macro-F1"].dropna()
    assert known.to_dict() == {"BiLSTM + attention, published": 0.669}
    assert report.published("lee_human", "types5") == {}
    assert report.published("gouwens_ephys_relative", "types5")["bilstm_published"] == (0.874, 0.915)


def test_groups_are_scored_apart(records, cells):
    table = report.group_table(records, "condition")
    condition = cells.labels["condition"].value_counts()
    assert table.loc["LightGBM", "cells"].to_dict() == {"all": 200, **condition.to_dict()}
    assert "Macro-F1 within condition" in report.all_tables(records)
    counts = report.confounding_table(records, "condition")
    assert counts.loc["PVALB", "culture"] == ((cells.y == "PVALB") & (cells.labels["condition"] == "culture")).sum()


def test_families_and_cells_are_told(records, cells):
    importance, agreement = report.families_tables(records)
    assert list(importance.index) == list(dict.fromkeys(cells.families))
    assert list(importance["LightGBM"]) == ["shuffled", "left out"]
    assert set(agreement) == {"attention - shuffled", "attention - left out", "shuffled - left out"}
    attention = records["types_families_family_attention"].attention
    assert attention[1, -1] > 0.9 > attention[0, -1]  # PVALB
    placed = records["types_cells"]
    assert placed.tsne.shape == (200, 2) and len(placed.component_names) == placed.components.shape[1]
    assert list(placed.labels) == ["type", "donor", "condition"]


def test_the_overview_has_a_row_for_every_data_set_and_kind(folder, records):
    table = report.overview_table(folder.parent)
    assert list(table) == ["cells", *(MODELS[n].label for n in report.OVERVIEW if n in MODELS), "best published"]
    f1 = repeat_means(records["types_lightgbm"])
    row = table.loc["simulated, 4 classes"]
    assert len(table) == 1 and row["LightGBM"] == f"{f1.mean():.3f} ± {f1.std(ddof=1):.3f}"
    assert row[["cells", "best published"]].tolist() == ["200", ""]
    with pytest.raises(FileNotFoundError, match="sbnn ephys-types cv"):
        report.overview_table(folder)


def test_recordings_become_a_table(simulated, tmp_path, monkeypatch, capsys):
    traces = pytest.importorskip("sbnn.ephys_types.traces")
    given = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(traces, "read_traces", lambda paths, **more: given.update(more, paths=paths) or simulated)
    assert cli.main(["ephys-types", "traces", "a.nwb", "b", "--out", "t.csv", "--jobs", "2"]) == 0
    assert given == {"paths": ["a.nwb", "b"], "n_jobs": 2, "cache": None}
    assert (tmp_path / "t.csv").exists() and "t_cells.csv" in capsys.readouterr().out


def test_accuracy_shows_repeats_means_and_published_numbers(records):
    record = copy(records["types_family_attention"])
    record.dataset = "lee_human"
    models = {"family_attention": record, "bilstm_published": record, "majority": records["types_majority"]}
    left, right = figures.accuracy_of_models(models, "types").axes
    means = repeat_means(record)
    drawn = [line.get_xdata() for line in left.lines]
    assert sum(np.array_equal(x, means) for x in drawn) == 2 and sum(np.array_equal(x, [0.669]) for x in drawn) == 1
    assert [0.780] in [list(line.get_xdata()) for line in right.lines]
    shown = [text.get_text() for text in left.texts]
    assert shown[:2] == [f"{means.mean():.3f}", f"{means.mean():.3f} (0.669)"]
    assert left.get_xlim()[0] > repeat_means(records["types_majority"]).mean(), "the majority is off the scale"


def test_confusion_has_shares_and_cells_and_calibration_its_error(records):
    record = records["types_lightgbm"]
    counts = confusion_counts(record)
    share = counts[0, 1] / counts[0].sum()
    ax = figures.confusion_matrices({"lightgbm": record}).axes[0]
    assert counts.sum() == pytest.approx(200) and ax.texts[1].get_text() == f"{share:.2f}\n{counts[0, 1]:.0f}"
    np.testing.assert_allclose(ax.images[0].get_array(), counts / counts.sum(1, keepdims=True))
    ax, (table, error) = figures.calibration_curves({"lightgbm": record}).axes[0], calibration(record)
    assert ax.texts[0].get_text() == f"error {error:.3f}"
    np.testing.assert_allclose(ax.lines[1].get_ydata(), table["accuracy"][table["share"] >= 0.005])


def test_families_are_ordered_by_what_shuffling_costs(records):
    record = records["types_families_family_attention"]
    figure = figures.family_map(record, "ours")
    heat, bars, left_out = figure.axes[:3]
    widths = [bar.get_width() for bar in bars.patches]
    assert widths == sorted(widths, reverse=True)
    order = np.argsort(-record.shuffled_log_loss.mean(0), kind="stable")
    np.testing.assert_allclose(heat.images[0].get_array(), record.attention[:, order].T)
    assert [bar.get_width() for bar in left_out.patches] == pytest.approx(record.left_out_log_loss.mean(0)[order])


def test_components_are_shown_that_part_the_types_in_two_ways():
    rng = np.random.default_rng(0)
    types = np.repeat(["a", "b", "c"], 40)
    noise = rng.normal(size=(120, 4))
    components = noise.copy()
    components[:, 1] += 6 * (types == "a")
    components[:, 2] = components[:, 1] + 0.3 * noise[:, 2]  # says the same again
    components[:, 3] += 3 * (types == "b")
    names = ["f sPC1", "f sPC2", "g sPC1", "h sPC1"]
    assert figures.discriminating_components(components, types, names) == [1, 3]


def test_conditions_show_who_is_where_and_how_well_models_do(records):
    left, right = figures.within_groups(records, "condition").axes
    labels, shown = records["types_cells"].labels, [MODELS[name].label for name in figures.SHOWN if name in MODELS]
    counts = labels["condition"].value_counts()
    assert [label.get_text() for label in left.get_yticklabels()] == [f"{name} ({n})" for name, n in counts.items()]
    first = labels["type"][labels["condition"] == counts.index[0]]
    assert left.patches[0].get_width() == pytest.approx((first == "LAMP5").mean())
    assert sum(patch.get_width() for patch in left.patches) == pytest.approx(2)
    dots = [line.get_xdata()[0] for line in right.lines if line.get_marker() == "o"]
    assert dots == pytest.approx(report.group_table(records, "condition").loc[shown, "macro_f1"].tolist())


def curves(gains=(0.1, 0.2, 0.0, 0.1), shift=0.0):
    """Two seeds of two folds, sizes 25 (two draws) and all (of 80 or 81 cells)."""
    rows = []
    for (seed, fold), extra in zip(np.ndindex(2, 2), gains, strict=True):
        for n_cells, draws in ((25, 2), (80 + fold, 1)):
            for draw in range(draws):
                base = 0.5 + 0.01 * fold + 0.1 * draw
                key = {"n_cells": n_cells, "seed": seed, "fold": fold, "draw": draw, "accuracy": 0.6}
                rows.append(key | {"model": "source", "method": "transfer", "macro_f1": 0.4})
                rows.append(key | {"model": "trees", "method": "human only", "macro_f1": base})
                rows.append(key | {"model": "trees", "method": CONTROL, "macro_f1": base + 0.04 * (fold + 1)})
                rows.append(key | {"model": "trees", "method": "transfer", "macro_f1": base + extra + shift * draw})
    scores = {"scores": pd.DataFrame(rows)}
    return Record("learning-curves", "d", "s", [{}], settings={"sizes": [25, None]}, values=scores)


def test_draws_are_averaged_and_folds_are_paired():
    record = curves(shift=0.02)
    assert len(report.by_size(record)) == 4 * 2 * 4
    table = report.curves_table(record)
    kinds = [("source", "transfer"), ("trees", "human only"), ("trees", CONTROL), ("trees", "transfer")]
    assert list(table.index) == [(size, *kind) for size in ("25", "all") for kind in kinds]
    row, of_control = table.loc[("25", *kinds[3])], table.loc[("25", *kinds[2])]
    expected = corrected_difference(np.array([0.11, 0.21, 0.01, 0.11]), 0.25)[:3]
    assert tuple(row[["gain", "low", "high"]]) == pytest.approx(expected)
    expected = corrected_difference(np.array([0.07, 0.13, -0.03, 0.03]), 0.25)[:3]
    assert tuple(row[["gain over two", "low over two", "high over two"]]) == pytest.approx(expected)
    assert table.loc[("all", *kinds[3]), "gain"] == pytest.approx(0.1) and of_control["gain"] == pytest.approx(0.06)
    assert table["gain"].notna().tolist() == [False, False, True, True] * 2  # the others have no counterpart
    assert table["gain over two"].notna().tolist() == [False, False, False, True] * 2
    row = report.curves_table(curves()).loc[("25", *kinds[3])]
    assert tuple(row[["macro_f1", "sd", "accuracy"]]) == pytest.approx((0.655, 0.05 * np.sqrt(2), 0.6))


def test_zero_shot_is_told_by_direction():
    rows = [("m -> h", "shift", 0.6, 0.6), ("m -> h", "own", 0.4, 0.5), ("m -> h", "shift", 0.5, 0.8)]
    scores = pd.DataFrame([*rows, ("h -> m", "shift", 0.7, 0.7)], columns=["way", "method", "macro_f1", "accuracy"])
    table = report.zero_shot_table(Record("zero-shot", "h", "s", [{}], values={"scores": scores}))
    assert list(table.index) == [("m -> h", "shift"), ("m -> h", "own"), ("h -> m", "shift")]
    assert table.loc[("m -> h", "shift")].tolist() == pytest.approx([0.55, np.sqrt(0.005), 0.7])


def test_learning_curves_show_the_gain_with_its_interval():
    left, over_one, over_two = figures.learning_curves(curves()).axes

    def drawn(ax):
        shown = [line for line in ax.lines if line.get_marker() in ("o", "D")]
        return {line.get_marker(): pytest.approx(line.get_ydata().astype(float).tolist()) for line in shown}

    assert drawn(over_one) == {"o": [0.1, 0.1], "D": [0.06, 0.06]} and drawn(over_two) == {"o": [0.04, 0.04]}
    assert len(left.lines) == 4 and left.lines[0].get_label() == "source alone"
    assert [label.get_text() for label in left.get_xticklabels()] == ["25", "all\n(≈80)"]
