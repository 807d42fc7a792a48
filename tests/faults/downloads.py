"""Downloads that are cut off or come twice at once; functions return the number of trials."""

import hashlib
import random
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from files import server
from victims import Victim

from sbnn.data.registry import DataFile, DataIntegrityError, download_file

CONTENT = np.random.default_rng(0).bytes(100_000)
SHA256 = hashlib.sha256(CONTENT).hexdigest()
SOURCE = "https://example.org/tiny"


def about(web):
    return "tiny.bin", "tiny", SOURCE, len(CONTENT), SHA256, "", f"{web.url}/tiny.bin"


def fetch(web, folder):
    """Download, after every interruption again: the file is there, and nothing beside it."""
    target = Path(folder, "tiny.bin")
    while not target.exists():
        with suppress(OSError):
            download_file(DataFile(*about(web)), target, verbose=False)
    assert target.read_bytes() == CONTENT
    assert list(Path(folder).iterdir()) == [target]


def cut_off(folder, seed, times=3):
    """The connection breaks at random places."""
    places = random.Random(seed).sample(range(1, 90_000), times)
    with server({"/tiny.bin": CONTENT}, places) as web:
        fetch(web, folder)
    return times


def wrong_content(folder, seed):
    """A random bit is another one: an error that names the source, and nothing is kept."""
    rng = random.Random(seed)
    content = bytearray(CONTENT)
    content[rng.randrange(len(CONTENT))] ^= 1 << rng.randrange(8)
    error = pytest.raises(DataIntegrityError, match=f"altered: expected 100000 .*{SOURCE}")
    with server({"/tiny.bin": bytes(content)}) as web, error:
        fetch(web, folder)
    assert list(Path(folder).iterdir()) == []
    return 1


def killed(folder, seed, times=4):
    """The process that downloads is killed at random moments, and begun again."""
    rng = random.Random(seed)
    target = Path(folder, "tiny.bin")
    with server({"/tiny.bin": CONTENT}, pause=0.01) as web:
        for _ in range(times):
            Victim("download", about(web), target).kill_within(rng.uniform(0, 0.25))
            assert not target.exists() or target.read_bytes() == CONTENT
        fetch(web, folder)
    return times


def two_at_once(folder, seed):
    """One process downloads and others take its file, or start again if it was killed."""
    rng = random.Random(seed)
    with server({"/tiny.bin": CONTENT}, pause=0.005) as web:
        target = Path(folder, "tiny.bin")
        first, *others = [Victim("download", about(web), target) for _ in range(3)]
        if seed % 2:
            first.kill_within(rng.uniform(0, 0.1))
        assert [other.end() for other in others] == [0, 0], [other.error for other in others]
        first.end()
        sent = web.sent
        fetch(web, folder)
        assert web.sent == sent <= len(CONTENT) * (1 + seed % 2)
    return 1
