"""Folders, homes and ends of runs that are not as usual."""

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from interruptions import wait_for_the_end_of
from sklearn.linear_model import Ridge

from sbnn import cross_validate
from sbnn.results import save

ROOT = Path(__file__).resolve().parents[2]


def test_results_stay_where_the_run_began(data, tmp_path, monkeypatch):
    """The working folder changes while the model is fitted."""
    here = tmp_path / "Daten äöü 数据"
    here.mkdir()
    monkeypatch.chdir(here)
    fit = Ridge.fit
    monkeypatch.setattr(Ridge, "fit", lambda self, X, y: os.chdir(tmp_path) or fit(self, X, y))
    cross_validate(Ridge(), data, 3, results="my results.pickle", verbose=False)
    assert list(tmp_path.rglob("*.pickle")) == [here / "my results.pickle"]


def test_what_a_run_that_was_killed_at_the_very_end_has_left_is_cleared_away(data, tmp_path):
    path = tmp_path / "cv.pickle"
    record = cross_validate(Ridge(), data, 3, results=path, verbose=False)
    parts = tmp_path / "cv.pickle.parts"
    save(record, parts / f"{record.settings['keys'][0][1]}.pickle")
    (parts / f".{'0' * 32}.pickle.a1b2c3d4.tmp").touch()
    (tmp_path / ".cv.pickle.a1b2c3d4.tmp").touch()
    (tmp_path / ".cv.pickle.lock").touch()
    cross_validate(Ridge(), data, 3, results=path, verbose=False)
    assert list(tmp_path.iterdir()) == [path]


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
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen([sys.executable, script], start_new_session=True, env=environment)
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
