"""Files that are damaged or made to do harm; each function gives how often that was tried."""

import dataclasses
import json
import os
import pickle
import random
import resource
import struct
import warnings
from pathlib import Path

import numpy as np
from damage import with_edits
from victims import left_in, same, undisturbed, validate

from sbnn import SparseBottleneckRegressor
from sbnn.results import load, save

KINDS = ["flip", "set", "insert", "cut", "end", "repeat"]
QUICK = {"protocol": "paper", "hidden_layers": (4, 3), "epochs": (1, 1, 1, 1), "pretraining": False, "n_genes": 4}


def damaged(content, rng):
    """A content after one to three random changes, never itself."""
    while True:
        edits = [(rng.choice(KINDS), rng.randrange(10_000), rng.randrange(256)) for _ in range(rng.randint(1, 3))]
        changed = with_edits(content, edits)
        if changed != content:
            return changed


def damaged_record(folder, seed, times=100):
    """Bits flipped, bytes lost, added, repeated: always a ValueError with the name of the file."""
    rng, path = random.Random(seed), Path(folder, "r.pickle")
    content = save(undisturbed()[0], path).read_bytes()
    for _ in range(times):
        path.write_bytes(damaged(content, rng))
        _refused(load, path)
    return times


def damaged_model(folder, seed, times=50):
    """The same for a fitted network."""
    rng, path = random.Random(seed), Path(folder, "m.safetensors")
    draws = np.random.default_rng(0)
    model = SparseBottleneckRegressor(**QUICK, random_state=0)
    content = model.fit(draws.normal(size=(30, 9)), draws.normal(size=(30, 2))).save(path).read_bytes()
    for _ in range(times):
        path.write_bytes(damaged(content, rng))
        _refused(SparseBottleneckRegressor.load, path)
    return times


def damaged_part(folder, seed):
    """A finished fit whose file is damaged is computed again, with a warning; the others are not."""
    rng, path = random.Random(seed), Path(folder, "cv.pickle")
    whole, _ = undisturbed()
    key = rng.choice(rng.choice(whole.settings["keys"]))
    part = Path(f"{path}.parts", f"{key}.pickle")
    save(dataclasses.replace(whole, values={"test_r2": 1.0}), part)
    part.write_bytes(damaged(part.read_bytes(), rng))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        record = validate(path)
    assert any("computing again" in str(warning.message) for warning in caught)
    assert same(record, whole) and left_in(folder) == ["cv.pickle"]
    return 1


class Harm:
    """Runs a command when it is unpickled."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.system, (f"touch {self.mark}",)


def hostile_pickle(folder, seed, times=40):
    """Pickles that run commands, claim giant lengths or nest without end, also as parts of a record's file."""
    rng, path, mark = random.Random(seed), Path(folder, "r.pickle"), Path(folder, "harm")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(times):
        protocol = rng.randrange(pickle.HIGHEST_PROTOCOL + 1)
        path.write_bytes(rng.choice(HOSTILE)(protocol, mark, rng))
        _refused(load, path)
        assert not mark.exists(), "code of the file was run"
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown < 300_000, f"{grown} kB of memory for small files"
    return times


HOSTILE = [
    lambda protocol, mark, rng: pickle.dumps(Harm(mark), protocol),
    lambda protocol, mark, rng: pickle.dumps({"format": "sbnn-record", "schema": 1, "values": [Harm(mark)]}, protocol),
    lambda protocol, mark, rng: f"cos\nsystem\n(S'touch {mark}'\ntR.".encode(),
    lambda protocol, mark, rng: b"\x80\x04" + b"]" * 10 ** rng.randint(3, 5) + b".",
    lambda protocol, mark, rng: b"\x80\x04" + rng.choice([b"\x8e", b"\x8d"]) + struct.pack("<Q", 2**62) + b"x.",
    lambda protocol, mark, rng: b"\x80\x04" + rng.choice([b"B", b"X", b"\x8b"]) + struct.pack("<I", 2**31 - 1) + b"x.",
    lambda protocol, mark, rng: b"\x80\x04" + b"(" * 10 ** rng.randint(3, 5) + b"l.",
]  # fmt: skip


def hostile_model(folder, seed, times=20):
    """Model files whose header claims giant lengths or shapes, nests without end, or is a pickle."""
    rng, path, mark = random.Random(seed), Path(folder, "m.safetensors"), Path(folder, "harm")
    headers = [
        lambda: struct.pack("<Q", rng.choice([2**63, 2**40, 100_000_001])) + b"{}",
        lambda: _header(b"[" * 10 ** rng.randint(2, 5)),
        lambda: _header(json.dumps({"x": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()),
        lambda: _header(json.dumps({"__metadata__": {"sbnn": "[" * 10 ** rng.randint(2, 5)}}).encode()),
        lambda: pickle.dumps(Harm(mark)),
    ]
    for _ in range(times):
        path.write_bytes(rng.choice(headers)())
        _refused(SparseBottleneckRegressor.load, path)
        assert not mark.exists(), "code of the file was run"
    return times


def _header(text):
    return struct.pack("<Q", len(text)) + text


def _refused(read, path):
    try:
        read(path)
    except ValueError as error:
        assert str(path) in str(error), error
    else:
        raise AssertionError(f"{path} was read")
