"""Disks that are full at random moments; each function gives how often that was tried."""

import os
import random
import subprocess
from contextlib import suppress
from pathlib import Path

from victims import Victim, fits_of, left_in, record_of, same, undisturbed, validate

from sbnn.results import load, save


def file_that_may_not_grow(folder, seed, times=4):
    """Every write beyond a random number of bytes fails; with space, the same command goes on."""
    rng, path = random.Random(seed), Path(folder, "cv.pickle")
    for _ in range(times):
        victim = Victim("validate_within", path, rng.randrange(1, 4000))
        status, (kind, message) = victim.end(), victim.error
        if status:
            assert kind == "OSError" and "File too large" in message and str(folder) in message, message
            assert not path.exists()
    _goes_on(folder)
    return times


def full_disk(folder, seed, times=4):
    """A small disk on which a random number of bytes is left; needs the right to mount one, else nothing is tried."""
    rng, disk = random.Random(seed), Path(folder, "disk")
    disk.mkdir()
    mounted = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.name != "posix" or os.geteuid() or subprocess.run(mounted, capture_output=True).returncode:
        return 0
    try:
        old = save(record_of(0, 10), disk / "old.pickle").read_bytes()
        for _ in range(times):
            with suppress(OSError):
                (disk / "filler").write_bytes(bytes(4096 * rng.randrange(20, 62)))
            victim = Victim("validate", disk / "cv.pickle")
            status, (kind, message) = victim.end(), victim.error
            if status:
                assert kind == "OSError" and "No space left" in message and str(disk) in message, message
            (disk / "filler").unlink()
            assert (disk / "old.pickle").read_bytes() == old
        (disk / "old.pickle").unlink()
        _goes_on(disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    return times


def old_record_on_a_full_disk(folder, seed, times=4):
    """A record that does not fit leaves the one that was there."""
    rng, path = random.Random(seed), Path(folder, "r.pickle")
    old = save(record_of(1, 10), path).read_bytes()
    for _ in range(times):
        victim = Victim("save_within", path, rng.randrange(0, 300))
        assert victim.end() == 1
        kind, message = victim.error
        assert kind == "OSError" and f"cannot write {path}: File too large" in message
        assert path.read_bytes() == old and left_in(folder) == ["r.pickle"]
    return times


def _goes_on(folder):
    """The rest is fitted, and only the rest."""
    path, (whole, which) = Path(folder, "cv.pickle"), undisturbed()
    validate(path)
    assert same(load(path), whole)
    assert left_in(folder) == ["cv.pickle"]
    assert {which[fit[:2]] for fit in fits_of(folder)} == set(which.values())
