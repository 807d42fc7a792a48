"""The study runs its models on its folds and keeps what it found."""

import numpy as np
import pytest
from stand_ins import MODELS, Attentive

from sbnn import cli
from sbnn.data.simulate_ephys import simulate_ephys_types
from sbnn.ephys_types import figures, report
from sbnn.ephys_types.models import of_kind
from sbnn.ephys_types.study import STUDY

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


def test_recordings_become_a_table(simulated, tmp_path, monkeypatch, capsys):
    traces = pytest.importorskip("sbnn.ephys_types.traces")
    given = {}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(traces, "read_traces", lambda paths, **more: given.update(more, paths=paths) or simulated)
    assert cli.main(["ephys-types", "traces", "a.nwb", "b", "--out", "t.csv", "--jobs", "2"]) == 0
    assert given == {"paths": ["a.nwb", "b"], "n_jobs": 2, "cache": None}
    assert (tmp_path / "t.csv").exists() and "t_cells.csv" in capsys.readouterr().out


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
