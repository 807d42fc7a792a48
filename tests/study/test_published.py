"""The committed results of the real data stand beside the published ones, and README shows just what they hold."""

from pathlib import Path

import numpy as np
import pytest

from sbnn import results
from sbnn.data.datasets import load_dataset
from sbnn.data.registry import find_file
from sbnn.study import report

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "saved_models" / "scala"


@pytest.fixture(scope="module")
def table():
    return report.accuracy_table(FOLDER)


def test_network_of_two_dimensions_is_within_the_published_spread(table):
    assert 0.387 <= table.R2["network d=2, 25 genes"] <= 0.425
    assert table.R2["network d=2, 25 genes"] == pytest.approx(
        table["R2, scaled per fold"]["network d=2, 25 genes"], abs=0.02
    )


def test_network_without_bottleneck(table):
    assert table.R2["network d=64, before pruning"] >= 0.42
    assert table.R2["network d=64, 25 genes"] >= 0.395


@pytest.mark.parametrize(("model", "published"), [("sRRR rank 2, 24 genes", 0.350), ("sRRR rank 16, 24 genes", 0.398)])
def test_sparse_reduced_rank_regression(table, model, published):
    assert table.genes[model] == pytest.approx(24, abs=2)
    assert table.R2[model] == pytest.approx(published, abs=0.010)


def test_ridge(table):
    assert table.R2["ridge, all genes"] == pytest.approx(0.449, abs=0.003)


def test_best_predicted_outputs(table):
    network = report.feature_table(FOLDER)["network d=2"]
    assert network["Max AP num"] == pytest.approx(0.73, abs=0.02)
    assert network["AP width"] == pytest.approx(0.72, abs=0.02)
    assert {"Max AP num", "AP width"} < set(network.index[:3])


def test_curves_behave_as_published():
    record = results.load(FOLDER / "cv_network_scaled_over_all_cells.pickle")

    def curve(group_lasso):
        curves = report.epoch_curves(record, n_components=2, pretraining=True, group_lasso=group_lasso)
        return curves[curves.stage != "pretraining"].groupby("epoch").eval_r2.mean().to_numpy()

    weak, usual = curve(1e-4), curve(0.1)
    assert len(weak) == 200
    assert weak[99] < weak[49] - 0.02, "almost no lasso over-fits once all layers are trained"
    assert weak[199] > weak[99], "and recovers after the pruning"
    assert usual[100] < usual[99], "R2 drops at the pruning"
    assert usual[110] > usual[100], "and recovers within ten epochs"
    assert usual[199] > curve(1e-2)[199] > weak[199]


def test_committed_records_are_of_the_published_folds_and_files():
    paths = sorted(FOLDER.glob("cv_*.pickle"))
    assert len(paths) == 7
    for path in paths:
        record = results.load(path)
        assert len(record.folds) == 10
        assert record.folds[0][1][:5].tolist() == [382, 787, 43, 155, 493]
        assert np.isfinite(record.test_r2).all()
    try:
        find_file("gene_counts.csv", download=False)
    except FileNotFoundError:
        return
    data = load_dataset("scala", download=False, verbose=False)
    assert {results.load(path).sha256 for path in paths} == {data.sha256}


def test_readme_shows_the_committed_numbers(table):
    readme = (ROOT / "README.md").read_text()
    for row in report.to_markdown(table).splitlines():
        assert row in readme


def test_readme_shows_every_data_set():
    readme = (ROOT / "README.md").read_text()
    for row in report.to_markdown(report.overview_table(ROOT / "saved_models")).splitlines():
        assert row in readme


def test_paths_of_penalties_are_kept_without_details_of_cells():
    for path in (ROOT / "saved_models").glob("*/cv_srrr*.pickle"):
        assert not results.load(path).values.keys() & {"test_predictions", "test_latent"}, path
