"""The notebooks and data sets that `sbnn reproduce`, `report` and `data` choose."""

import re
from pathlib import Path

import pandas as pd
import pytest
from material.command import run

import sbnn
from sbnn.study import command


def test_data_sets_are_listed(capsys):
    assert run("data", "list") == 0
    assert re.search(r"simulated_ephys +ephys_types +here", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "texts"),
    [
        (["simulated_ephys"], ["macro-F1"]),
        (["dynamics"], ["DASH"]),
        ([], ["published, d=2", "scala", "mouse, 4 classes", "SVAE+", "DASH"]),
    ],
    ids=["a data set", "a study", "all"],
)
def test_tables_of_results_are_printed(words, texts, monkeypatch, capsys):
    monkeypatch.chdir(command.REPOSITORY)
    assert run("report", *words) == 0
    printed = capsys.readouterr().out
    assert [text for text in texts if text not in printed] == []


@pytest.fixture
def executed(monkeypatch):
    """Arguments of `run_notebook` and of the figures, in order, in place of running them."""
    calls = []

    def note_notebook(source, target, parameters, cwd):
        calls.append({"notebook": source.name[:2], "target": target, "cwd": cwd, **parameters})

    def note_figures(dataset, saved_models, folder, fast):
        calls.append({"notebook": "figures", "dataset": dataset, "figures": folder, "fast": fast})
        return []

    monkeypatch.setattr(command, "run_notebook", note_notebook)
    monkeypatch.setattr("sbnn.study.figures.draw_study_figures", note_figures)
    return calls


@pytest.fixture
def done(executed):
    """Notebooks and data sets that were run, when asked."""
    return lambda: [(call["notebook"], call["dataset"]) for call in executed]


@pytest.fixture
def no_data(monkeypatch):
    """No paired data are on this machine."""
    table = pd.DataFrame({"system": "sbnn", "state": "missing"}, [*command.PAIRED_DATA])
    monkeypatch.setattr(sbnn.data.datasets, "list_datasets", lambda: table)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("02", [("02", "auto")]),
        ("all simulated", [(number, "simulated") for number in ("01", "02", "03", "04")]),
        ("all gouwens", [(number, "gouwens") for number in ("01", "02", "03", "04")]),
        ("all gouwens_ephys", [("05", "gouwens_ephys")]),
        ("08 all", [("08", "own_data/simulated")]),
    ],
)
def test_notebooks_are_run_on_a_data_set(words, expected, done):
    assert run("reproduce", *words.split()) == 0
    assert done() == expected


def test_notebooks_are_run_on_all_data_that_are_here(done):
    state = sbnn.data.datasets.list_datasets()["state"]
    names = [name for name in ("papalexi", "simulated_screen") if state[name] == "here"]
    assert run("reproduce", "06", "all") == 0
    assert done() == [("06", name) for name in names]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("all all", []),
        ("all scala", ["01", "02", "03", "04"]),
        ("figures scala", ["figures"]),
        ("figures all", ["figures"]),
    ],
)
def test_figures_are_drawn_on_demand_without_data(words, expected, no_data, done):
    assert run("reproduce", *words.split()) == 0
    assert [notebook for notebook, name in done() if name == "scala"] == expected


@pytest.mark.parametrize("flag", ["fast", "fresh"])
def test_flags_reach_the_notebook(flag, executed):
    run("reproduce", "02", "simulated")
    run("reproduce", "02", "simulated", f"--{flag}")
    assert [call[flag] for call in executed] == [False, True]


def test_notebooks_run_where_their_files_are(executed):
    run("reproduce", "02", "simulated", "--figures", "drawn")
    [call] = executed
    assert call["cwd"] == command.REPOSITORY / "notebooks"
    assert call["target"].parent == command.REPOSITORY / "build" / "notebooks" / "simulated"
    assert call["figures"] == str(Path("drawn").resolve())


@pytest.mark.parametrize(
    ("dataset", "computes", "lengths"),
    [("simulated", False, [1, 1, 1, 1]), ("simulated", True, [4]), ("gouwens", False, [4])],
)
def test_notebooks_wait_for_what_they_load(dataset, computes, lengths):
    runs = command.choose_runs(command.list_runs(), notebook="all", dataset=dataset)
    assert [len(chain) for chain in command.chain_runs(runs, computes)] == lengths


def test_jobs_are_workers(executed, monkeypatch):
    used = []
    monkeypatch.setattr("joblib.Parallel", lambda n_jobs: used.append(n_jobs) or list)
    run("reproduce", "01", "simulated", "--jobs", "3")
    assert used == [3]
