"""The commands of electrophysiology -> type do what the notebook does, and say what is wrong."""

import dataclasses
import importlib
import json
import sys
from pathlib import Path

import pytest

from sbnn import cli
from sbnn.ephys_types import study

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

pytestmark = pytest.mark.filterwarnings("ignore:.*lacks.*in training or in test")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_cross_validation_leaves_everything_for_tables_and_figures(quick, cells, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "load_dataset", lambda name, **_: cells)
    assert cli.main(["ephys-types", "cv", "simulated_ephys", "--fast"]) == 0
    saved = {path.stem for path in (tmp_path / "saved_models" / "simulated_ephys-fast").glob("*.pickle")}
    assert {"types_majority", "types_cells", "types_families_lightgbm"} <= saved
    printed = capsys.readouterr().out
    assert "| LightGBM | 0." in printed and "Nadeau and Bengio" in printed
    assert cli.main(["ephys-types", "figures", "simulated_ephys", "--fast"]) == 0
    assert (tmp_path / "figures" / "simulated_ephys-fast" / "types_accuracy.png").exists()
    capsys.readouterr()
    assert cli.main(["ephys-types", "report", "simulated_ephys", "--fast", "--json"]) == 0
    assert "Macro-F1 within condition" in json.loads(capsys.readouterr().out)
    assert cli.main(["ephys-types", "report", "all"]) == 1, "trials are no results"


def test_some_models_only(quick, cells, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(study, "load_dataset", lambda name, **_: cells)
    assert cli.main(["ephys-types", "cv", "simulated_ephys", "--fast", "--only", "majority,lightgbm"]) == 0
    saved = {path.stem for path in (tmp_path / "saved_models" / "simulated_ephys-fast").glob("*.pickle")}
    assert saved == {"types_majority", "types_lightgbm"}
    assert cli.main(["ephys-types", "cv", "simulated_ephys", "--fast", "--only", "best"]) == 1
    assert "no such model: best" in capsys.readouterr().err


def test_errors_are_messages_and_a_status(cells, monkeypatch, capsys):
    assert cli.main(["ephys-types", "cv", "scala"]) == 1
    assert "'scala' is of the study 'sbnn'" in capsys.readouterr().err
    assert cli.main(["ephys-types", "report", "lee_human", "--saved-models", "nowhere"]) == 1
    assert "run `sbnn ephys-types cv` first" in capsys.readouterr().err
    monkeypatch.setattr(study, "load_dataset", lambda name, **_: dataclasses.replace(cells, name="gouwens_ephys"))
    assert cli.main(["ephys-types", "transfer", "gouwens_ephys"]) == 1
    assert "transfer goes to human cells" in capsys.readouterr().err


def test_recordings_become_a_table(cells, tmp_path, monkeypatch, capsys):
    traces = importlib.import_module("sbnn.ephys_types.traces")
    given = {}

    def read(paths, **options):
        given.update(options, paths=paths)
        return cells

    monkeypatch.setattr(traces, "read_traces", read)
    cells.labels.to_csv("types.csv")
    assert cli.main(["ephys-types", "traces", "a.nwb", "b", "--out", "t.csv", "--labels", "types.csv"]) == 0
    assert given["paths"] == ["a.nwb", "b"] and list(given["labels"].index) == list(cells.cell_names)
    assert (tmp_path / "t.csv").exists() and "t_cells.csv" in capsys.readouterr().out


def test_the_benchmark_prints_the_tables_and_passes_over_what_is_not_there(quick, cells, monkeypatch, capsys):
    benchmark = importlib.import_module("ephys_types")

    def load(name):
        if name == "lee_human":
            raise FileNotFoundError("no file")
        return cells

    monkeypatch.setattr(study, "load_cells", load)
    monkeypatch.setattr(study, "run_transfer", lambda *_, **__: {})
    benchmark.main(["--datasets", "lee_human,simulated_ephys", "--fast", "--saved-models", "saved"])
    printed = capsys.readouterr().out
    assert "lee_human: cannot be had: no file" in printed and "simulated_ephys: Accuracy, 4 classes" in printed
