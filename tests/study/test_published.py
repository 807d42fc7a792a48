"""The committed results stand beside the published ones of the same folds, and the pages show just what they hold."""

from pathlib import Path

import numpy as np
import pytest

from sbnn import results
from sbnn.study import published, report
from sbnn.study.report import THREE_FOLDS

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "saved_models" / "scala"


@pytest.fixture(scope="module")
def table():
    return report.accuracy_table(report.read(FOLDER))


def test_numbers_stand_at_their_folds_lasso_and_stage():
    for name, params, expected in (
        ("scala", {"n_components": 64, "folds": 10}, []),  # without a bottleneck there are three folds only
        ("scala", {"n_components": 64, "folds": 3, "stage": "last epoch"}, [0.289, 0.249, 0.409, 0.399]),
        ("scala", {"n_components": 64, "stage": "before pruning"}, [0.246, 0.267, 0.410, 0.339]),
        ("gouwens", {"stage": "last epoch", "group_lasso": 0.01, "n_components": 2}, [0.264]),
        ("stoeckius", {"stage": "last epoch", "group_lasso": 0.1, "n_components": 64}, [0.410]),
    ):
        assert [row["test_r2"] for row in published.rows(name, 1000, **params)] == expected


def test_only_the_same_folds_and_as_many_genes_compare():
    assert not published.rows("scala_ion_channels", 55)
    assert len(published.rows("scala_ion_channels", 423, stage=published.LAST)) == 4
    ten, three = (results.load(FOLDER / f"{name}.pickle") for name in ("cv_network_scaled_over_all_cells", THREE_FOLDS))
    assert {row.get("n_components") for row in published.comparable(ten)} == {2, None}
    assert {row.get("n_components") for row in published.comparable(three)} == {64}
    assert {row["stage"] for row in published.comparable(ten) + published.comparable(three)} == {published.LAST}


def test_difference_is_that_of_the_means_with_the_error_of_ours(table):
    record = results.load(FOLDER / f"{THREE_FOLDS}.pickle")
    scores = record.test_r2[:, record.find(n_components=64, pretraining=True, group_lasso=0.1)]
    row = table.loc["network d=64, 25 genes, three folds"]
    assert row.folds == len(scores) == 3 and row.published == 0.409
    assert row["minus published"] == pytest.approx(scores.mean() - 0.409)
    assert row.SE == pytest.approx(scores.std(ddof=1) / 3**0.5)
    assert np.isnan(table.loc["network d=64, 25 genes", "published"])


def test_models_agree_with_the_published_ones_where_the_lasso_chooses(table):
    """At 0.1 and 1, and before the pruning; with less lasso the genes, and so R2, are left to chance."""
    networks = table[table.index.str.startswith("network") & table.published.notna()]
    weak = networks.index.str.contains("0.0001|0.01") & ~networks.index.str.contains("before pruning")
    straight = networks.index.str.contains("straight")
    assert (~weak).sum() == 9 and networks[~weak & ~straight]["minus published"].abs().max() < 0.01
    assert networks[straight]["minus published"].between(0.01, 0.015).all(), "paper.md says by how much it is above"
    linear = table[table.index.str.startswith("sRRR")]
    assert len(linear) == 4 and linear["minus published"].abs().max() < 0.001


def test_curves_behave_as_published():
    record = results.load(FOLDER / "cv_network_scaled_over_all_cells.pickle")

    def curve(group_lasso):
        curves = report.epoch_curves(record, n_components=2, pretraining=True, group_lasso=group_lasso)
        return curves[curves.stage != "pretraining"].groupby("epoch").eval_r2.mean().to_numpy()

    weak, usual = curve(1e-4), curve(0.1)
    assert len(weak) == 200
    assert weak[99] < weak[49] - 0.02, "almost no lasso over-fits once all layers are trained"
    assert usual[100] < min(usual[99], usual[110]), "R2 drops at the pruning, and recovers within ten epochs"
    assert usual[199] > curve(1e-2)[199] > weak[199] > weak[99]


@pytest.mark.parametrize(("name", "dataset", "sha256"), [("cv_srrr", "other", "ab"), ("interpretation", "mine", "cd")])
def test_results_of_other_data_in_the_folder_are_refused(tmp_path, name, dataset, sha256):
    for file, its in (("cv_ridge", "ab"), ("gene_selection", "counts"), ("noise", "")):
        results.save(results.Record(file.replace("_", "-"), "mine", its, [{}]), tmp_path / f"{file}.pickle")
    assert len(report.read(tmp_path)) == 3
    results.save(results.Record("any", dataset, sha256, [{}]), tmp_path / f"{name}.pickle")
    with pytest.raises(ValueError, match=f"{name}.pickle of '{dataset}'"):
        report.read(tmp_path)
