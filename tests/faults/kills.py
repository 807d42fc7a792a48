"""Processes that are killed or stopped at random moments; each function gives how often that was tried."""

import os
import random
import signal
import time
from pathlib import Path

from victims import Victim, finished, fits_of, left_in, record_of, same, undisturbed

from sbnn.results import load


def killed_again_and_again(folder, seed, n_jobs=1, kills=10, longest=0.3, how=signal.SIGKILL):
    """A cross-validation is killed at random moments, and begun again until it finishes."""
    rng, path = random.Random(seed), Path(folder, "cv.pickle")
    whole, which = undisturbed()
    tried = 0
    while True:
        before, n_fits = finished(path), len(fits_of(folder))
        victim = Victim("validate", path, n_jobs)
        done = victim.ends_within(rng.uniform(0, longest)) if tried < kills else victim.ends_within(120)
        if not done:
            os.kill(victim.process.pid, how)
            tried += 1
        status = victim.end()
        wait_for_the_end_of(victim.process.pid)
        again = [which[fit[:2]] for fit in fits_of(folder)[n_fits:]]
        assert len(set(again)) == len(again) and before.isdisjoint(again), "a finished fold was fitted again"
        if status == 0:
            break
        assert status in (-how, 1, 130), victim.error
    assert same(load(path), whole)
    assert left_in(folder) == ["cv.pickle"]
    return tried


def two_workers(folder, seed):
    """Workers end with the process that started them."""
    return killed_again_and_again(folder, seed, n_jobs=2, kills=3, longest=5)


def terminated(folder, seed):
    """As by a scheduler whose time is up."""
    return killed_again_and_again(folder, seed, kills=5, how=signal.SIGTERM)


def interrupted(folder, seed):
    """Ctrl-C."""
    return killed_again_and_again(folder, seed, kills=5, how=signal.SIGINT)


def killed_while_saving(folder, seed, kills=10):
    """A process that writes two records in turn is killed: the file is one of them, never a mixture."""
    rng, path, size = random.Random(seed), Path(folder, "r.pickle"), 20_000
    for _ in range(kills):
        victim = Victim("save_again_and_again", path, size)
        victim.ends_within(rng.uniform(0.01, 0.1))
        victim.kill()
        if path.exists():
            record = load(path)
            assert any(same(record, record_of(turn, size)) for turn in (0, 1))
    return kills


def wait_for_the_end_of(session, patience=20):
    """Workers of a process must end with it; those of a system without /proc are not looked for."""
    deadline = time.monotonic() + patience
    while left := [process for process in Path("/proc").glob("[0-9]*") if _belongs_to(session, process)]:
        assert time.monotonic() < deadline, f"{len(left)} worker(s) of a run that has ended are still there"
        time.sleep(0.05)


def _belongs_to(session, process):
    try:
        state, _, _, its_session = (process / "stat").read_text().rpartition(")")[2].split()[:4]
    except OSError:
        return False
    return state != "Z" and int(its_session) == session
