"""Commands, and what a user gets who types a wrong one."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

import sbnn
from sbnn import cli
from sbnn.data.simulate import simulate_tables
from sbnn.results import load, load_folder

RECORDS = {"cv_distilled", "cv_ridge", "fit_distilled_2d", "halves_distilled", "interpretation"}
RECORDS |= {"map_trust", "tsne"}


@pytest.fixture
def tables(tmp_path, monkeypatch):
    """Options of `sbnn fit` for a quick run on simulated tables in the current folder."""
    monkeypatch.chdir(tmp_path)
    files = simulate_tables("raw", 60, n_genes=30, n_outputs=3, n_true_genes=5)
    options = []
    for name, path in zip(("expression", "outputs", "labels"), files.values(), strict=False):
        options += [f"--{name}", str(path)]
    return ["fit", *options, "--fast"]


def run(*words):
    return cli.main([str(word) for word in words])


@pytest.mark.slow
def test_tables_become_a_report_a_model_and_records(tables, capsys):
    assert run(*tables, "--groups", "donor", "--out", "results/mine") == 0
    folder = Path("results/mine-fast").resolve()
    assert capsys.readouterr().out.endswith(f"{folder / 'report.html'}\n")
    report = (folder / "report.html").read_text(encoding="utf-8")
    assert "Test R2 " in report
    assert report.count("data:image/png") >= 5
    assert "cross_validate" not in report, "code is hidden"
    assert (folder / "explorer.html").exists()
    assert load_folder(folder).keys() == RECORDS
    assert len(load(folder / "halves_distilled.pickle.xz").folds) == 4
    model = sbnn.DistilledBottleneckRegressor.load(folder / "model.safetensors")
    counts = pd.read_csv("raw/new_counts.csv", index_col=0).T
    assert model.transform(model.normalizer_.transform(counts)).shape == (40, 2)
    assert run("report", folder) == 0
    assert "Test R2" in capsys.readouterr().out


@pytest.mark.slow
def test_a_killed_run_goes_on_where_it_was(tables):
    command = [sys.executable, "-m", "sbnn", *tables, "--out", "mine"]
    first = Path("mine-fast/cv_distilled.pickle.xz")
    killed = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=os.environ)
    while not first.exists():
        assert killed.poll() is None
        time.sleep(0.1)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    written = first.stat().st_mtime_ns
    assert not Path("mine-fast/report.html").exists()
    assert run(*tables) == 0
    assert first.stat().st_mtime_ns == written
    assert Path("mine-fast/report.html").exists()


@pytest.mark.slow
def test_a_failing_table_is_one_sentence_and_a_status(tables, capsys):
    tables[tables.index("--outputs") + 1] = "raw/lost.csv"
    assert run(*tables) == 2
    last = capsys.readouterr().err.splitlines()[-1]
    assert last.startswith("sbnn: ")
    assert "lost.csv" in last
    assert not Path("mine-fast/report.html").exists()


def test_lost_results_are_one_sentence_and_a_status(capsys):
    assert run("report", "lost") == 2
    assert "sbnn: no results in lost" in capsys.readouterr().err


def test_nothing_to_reproduce_is_an_error(capsys):
    assert run("reproduce", "all", "lost") == 2
    assert "'lost'" in capsys.readouterr().err


def test_data_sets_are_listed(capsys):
    assert run("data", "list") == 0
    assert re.search(r"simulated_ephys +ephys_types +here", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("words", "shown"),
    [("simulated_ephys", {"macro-F1"}), ("", {"scala", "mouse, 4 classes", "SVAE+", "DASH"})],
)
def test_tables_of_results_are_printed(words, shown, monkeypatch, capsys):
    monkeypatch.chdir(cli.REPOSITORY)
    assert run("report", *words.split()) == 0
    printed = capsys.readouterr().out
    assert all(text in printed for text in shown)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("02", ["02 auto"]),
        ("all simulated", ["01 simulated", "02 simulated", "03 simulated"]),
        ("all gouwens", ["01 gouwens", "02 gouwens", "03 gouwens"]),
        ("all gouwens_ephys", ["04 gouwens_ephys"]),
        ("05 all", ["05 papalexi", "05 simulated_screen"]),
    ],
)
def test_notebooks_are_run_on_their_data_sets(words, expected, monkeypatch):
    done = []
    monkeypatch.setattr(cli, "_run", lambda number, name, **_: done.append(f"{number} {name}"))
    assert run("reproduce", *words.split()) == 0
    if sbnn.data.datasets.list_datasets().loc["papalexi", "state"] != "here":
        expected = [words for words in expected if words != "05 papalexi"]
    assert done == expected


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("all scala", ["figures", "01", "02", "03"]),
        ("all scala --fast", ["01", "02", "03"]),
        ("figures scala", ["figures"]),
        ("all all", ["figures"]),
        ("all", list(cli.NOTEBOOKS)),
    ],
)
def test_figures_are_drawn_from_results_of_data_that_are_lost(words, expected, monkeypatch):
    done = []
    monkeypatch.setattr(cli, "_run", lambda number, name, **_: done.append((number, name)))
    lost = pd.DataFrame({"study": "sbnn", "state": "missing"}, [*cli.PAIRED_DATA])
    monkeypatch.setattr(sbnn.data.datasets, "list_datasets", lambda: lost)
    assert run("reproduce", *words.split()) == 0
    assert [number for number, name in done if name in ("scala", "auto")] == expected
