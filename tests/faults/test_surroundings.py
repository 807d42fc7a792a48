"""Languages, folders, clocks and homes that are not as usual; and Ctrl-C at the command line."""

import contextlib
import os
import pwd
import signal
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest
from files import CONTENT, published, put
from interruptions import wait_for_the_end_of
from sklearn.linear_model import Ridge

from sbnn import cross_validate
from sbnn.data import registry
from sbnn.data.registry import find_file
from sbnn.results import load, save

ROOT = Path(__file__).resolve().parents[2]
SBNN = [sys.executable, "-m", "sbnn.cli"]
ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def run(command, cwd=None, **environment):
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | environment
    return subprocess.run(command, capture_output=True, cwd=cwd, env=environment)


def test_a_terminal_without_special_characters_gets_the_tables():
    ended = run([*SBNN, "report", "all", "--saved-models", ROOT / "saved_models"], **ASCII)
    assert ended.returncode == 0, ended.stderr.decode()
    assert b"| scala | 1000 -> 16 | 0.462 ? 0.023 |" in ended.stdout


def test_without_a_home_local_files_are_found_and_downloads_fail_with_advice(tmp_path, monkeypatch):
    def nobody(_):
        raise KeyError("uid not found")

    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", nobody)
    monkeypatch.setenv("SBNN_DATA", str(tmp_path / "mine"))
    monkeypatch.chdir(tmp_path)
    assert registry.cache_folder() is None
    published(monkeypatch, url="http://127.0.0.1:9/tiny.csv")
    with pytest.raises(FileNotFoundError, match="set HOME"):
        find_file("tiny.csv", verbose=False)
    assert list(tmp_path.iterdir()) == []
    assert find_file("tiny.csv", put(tmp_path / "mine" / "tiny.csv")).read_bytes() == CONTENT
    with pytest.raises(ValueError, match="path: expected the path of a file, got '~/r.pickle'"):
        load("~/r.pickle")


def test_results_stay_where_the_run_began(data, tmp_path, monkeypatch):
    """The working folder changes while the model is fitted."""
    here = tmp_path / "Daten äöü 数据"
    there = tmp_path / "there"
    for folder in (here, there):
        folder.mkdir()
    monkeypatch.chdir(here)
    fit = Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda self, X, y: os.chdir(there) or fit(self, X, y))
    cross_validate(Ridge(), data, 3, results="my results.pickle", verbose=False)
    assert [path.name for path in here.iterdir()] == ["my results.pickle"]
    assert not list(there.iterdir())


def test_what_a_run_that_was_killed_at_the_very_end_has_left_is_cleared_away(data, tmp_path):
    path = tmp_path / "cv.pickle"
    record = cross_validate(Ridge(), data, 3, results=path, verbose=False)
    save(record, Path(f"{path}.parts") / f"{record.settings['keys'][0][1]}.pickle")
    for name in (
        ".cv.pickle.lock",
        ".cv.pickle.a1b2c3d4.tmp",
        f"cv.pickle.parts/.{'0' * 32}.pickle.a1b2c3d4.tmp",
    ):
        (tmp_path / name).touch()
    cross_validate(Ridge(), data, 3, results=path, verbose=False)
    assert [left.name for left in tmp_path.iterdir()] == ["cv.pickle"]


WORK = """
import time
from joblib import delayed
from sbnn.evaluation.runs import in_workers
if __name__ == "__main__":
    list(in_workers([delayed(time.sleep)(600)] * 2, 2))
"""


def test_workers_end_with_a_run_that_is_killed(tmp_path):
    script = tmp_path / "work.py"
    script.write_text(WORK)
    process = subprocess.Popen(
        [sys.executable, script], start_new_session=True, env=os.environ | {"PYTHONPATH": ROOT}
    )
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    if not children.exists():
        process.kill()
        pytest.skip("no list of processes on this machine")
    deadline = time.monotonic() + 60
    while len(children.read_text().split()) < 3:  # two workers and joblib's tracker
        assert time.monotonic() < deadline, "there are workers to end"
        time.sleep(0.05)
    time.sleep(1)
    process.kill()
    process.wait()
    wait_for_the_end_of(process.pid)


def test_ctrl_c_at_the_command_line_keeps_what_was_finished(data, tmp_path):
    pd.DataFrame(data.counts[:60], data.cell_names[:60], data.gene_names).to_csv(
        tmp_path / "counts.csv"
    )
    pd.DataFrame(data.Y[:60], data.cell_names[:60], data.feature_names).to_csv(
        tmp_path / "ephys.csv"
    )
    command = [
        *SBNN,
        "fit",
        "mine",
        "--expression",
        "counts.csv",
        "--outputs",
        "ephys.csv",
        "--counts",
    ]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(
        command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True
    )
    folder = tmp_path / "saved_models"
    deadline = time.monotonic() + 120
    while not list(folder.rglob("*.pickle")) and time.monotonic() < deadline:
        time.sleep(0.01)
    # one that arrives while an object is cleared away is lost, as Python has it
    while process.poll() is None:
        process.send_signal(signal.SIGINT)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(20)
    said = process.communicate()[1]
    assert process.returncode == 130
    assert "repeating the command resumes" in said, said
    kept = list(folder.rglob("*.pickle"))
    assert kept
    assert all(load(path).values for path in kept)
    assert not list(folder.rglob(".*.tmp"))
