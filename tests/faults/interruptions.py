"""Processes that are killed, lack disk space or share a file; each returns its trials."""

import dataclasses
import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest
from victims import Victim, assert_complete, finished, fits_of, undisturbed, validate

from sbnn.results import load, save


def killed_again_and_again(folder, seed, n_jobs=1, kills=10, longest=0.3, how=signal.SIGKILL):
    """A cross-validation is killed at random moments, and begun again until it finishes."""
    rng = random.Random(seed)
    path = Path(folder, "cv.pickle")
    tried, status = 0, None
    while status != 0:
        before = finished(path)
        n_fits = len(fits_of(folder))
        victim = Victim("validate", path, n_jobs)
        if not victim.ends_within(rng.uniform(0, longest) if tried < kills else 120):
            os.kill(victim.process.pid, how)
            tried += 1
        status = victim.end()
        wait_for_the_end_of(victim.process.pid)
        again = fits_of(folder)[n_fits:]
        assert len(set(again)) == len(again)
        assert before.isdisjoint(again), "a finished fold was fitted again"
        assert status in (0, -how, 1, 130), victim.error
    assert_complete(path)
    return tried


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


def same_experiment(folder, seed):
    """The second waits, or goes on after the first was killed; no finished fit is repeated."""
    path = Path(folder, "cv.pickle")
    runs = [Victim("validate", path) for _ in range(3)]
    runs[0].kill_within(random.Random(seed).uniform(0, 0.3))
    assert [run.end() for run in runs[1:]] == [0, 0]
    assert_complete(path)
    assert len(fits_of(folder)) <= len(undisturbed()[1]) + 1
    return 1


def different_experiments(folder, seed):
    """One of them gets the file, the other an error that names it; nothing is mixed."""
    path = Path(folder, "cv.pickle")
    runs = [Victim("validate", path, 1, {"alpha": [alpha]}) for alpha in (1.0, 3.0)]
    assert sorted(run.end() for run in runs) == [0, 1]
    [(kind, message)] = [run.error for run in runs if run.error[0]]
    assert kind == "ValueError"
    assert str(path) in message
    assert len({point["alpha"] for point in load(path).params}) == 1
    return 1


def another_experiment_after_a_kill(folder, seed):
    """What a killed run has finished is not dropped by another experiment, unless it is told to."""
    rng = random.Random(seed)
    path = Path(folder, "cv.pickle")
    run = Victim("validate", path)
    while len(list(Path(folder).glob("cv.pickle.parts/*.pickle"))) < rng.randrange(1, 8):
        assert not run.ends_within(0.002), run.error
    run.kill_within(0)
    kept = finished(path)
    run = Victim("validate", path, 1, {"alpha": [3.0]})
    assert run.end() == 1
    kind, message = run.error
    assert kind == "ValueError"
    assert f"{path}.parts holds fits of another run" in message
    assert finished(path) == kept
    before = len(fits_of(folder))
    validate(path)
    assert_complete(path)
    assert len(fits_of(folder)) - before == len(undisturbed()[1]) - len(kept)
    return 1


def full_disk(folder, seed, times=4):
    """A small disk with a random number of free bytes; nothing is tried without mount rights."""
    rng = random.Random(seed)
    disk = Path(folder, "disk")
    disk.mkdir()
    path = disk / "cv.pickle"
    mounted = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        return 0
    try:
        for _ in range(times):
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
    return times


def damaged_part(folder, seed):
    """A finished fit whose file is damaged is computed again with a warning; others are not."""
    rng = random.Random(seed)
    path = Path(folder, "cv.pickle")
    whole, _ = undisturbed()
    part = Path(f"{path}.parts", f"{rng.choice(rng.choice(whole.settings['keys']))}.pickle")
    save(dataclasses.replace(whole, values={"test_r2": 1.0}), part)
    content = bytearray(part.read_bytes())
    content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
    part.write_bytes(content)
    with pytest.warns(UserWarning, match="recomputing"):
        validate(path)
    assert_complete(path)
    return 1
