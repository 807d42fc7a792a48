"""Processes that are killed or lack disk space lose no finished result."""

import os
import random
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from sklearn.linear_model import Ridge
from victims import Victim, assert_complete, finished, fits_of, validate

from sbnn import cross_validate
from sbnn.results import save

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore:held-out cells of")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_is_killed_again_and_again_resumes(tmp_path, how, kills=6):
    """A cross-validation is killed at random moments, and begun again until it finishes."""
    rng = random.Random(0)
    path = tmp_path / "cv.pickle"
    tried = 0
    status = None
    while status != 0:
        before = finished(path)
        n_fits = len(fits_of(tmp_path))
        victim = Victim("validate", path)
        if not victim.ends_within(rng.uniform(0, 0.3) if tried < kills else 120):
            os.kill(victim.process.pid, how)
            tried += 1
        status = victim.end()
        again = fits_of(tmp_path)[n_fits:]
        assert len(set(again)) == len(again)
        assert before.isdisjoint(again), "a finished fold was fitted again"
        assert status in (0, -how, 1, 130), victim.error
    assert_complete(path)
    assert tried


def test_a_run_on_a_full_disk_fails_with_its_path_and_resumes(tmp_path):
    rng = random.Random(0)
    disk = tmp_path / "disk"
    disk.mkdir()
    path = disk / "cv.pickle"
    mounted = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        pytest.skip("no disk can be mounted here")
    try:
        for _ in range(4):
            with suppress(OSError):
                (disk / "filler").write_bytes(bytes(4096 * rng.randrange(20, 62)))
            victim = Victim("validate", path)
            if victim.end():
                kind, message = victim.error
                assert kind == "OSError"
                assert "No space left" in message
                assert str(disk) in message
            (disk / "filler").unlink()
        validate(path)
        assert_complete(path)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


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


def wait_for_the_end_of(session, patience=20):
    """Workers of a process must end with it; those of a system without /proc are not looked for."""
    deadline = time.monotonic() + patience
    while any(_belongs_to(session, process) for process in Path("/proc").glob("[0-9]*")):
        assert time.monotonic() < deadline, "workers of a run that has ended are still there"
        time.sleep(0.05)


def _belongs_to(session, process):
    with suppress(OSError):
        state, _, _, its_session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
        return state != "Z" and int(its_session) == session
