"""Processes that are killed lose no finished result."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.linear_model import Ridge

from sbnn import cross_validate, simulate_patchseq
from sbnn.results import load

ROOT = Path(__file__).resolve().parents[2]
DATA = simulate_patchseq(60, 20, 3, n_true_genes=5, random_state=0)
# every fit leaves a line in a file, and one of them waits for its end
VALIDATION = """
import signal, sys, time, zlib
from sklearn.linear_model import Ridge
from sbnn import cross_validate, simulate_patchseq

class Logged(Ridge):
    def fit(self, X, y):
        with open("fits", "a") as log:
            log.write(f"{self.alpha} {zlib.crc32(X.tobytes())}\\n")
        if len(open("fits").readlines()) == int(sys.argv[1]):
            time.sleep(600)
        return super().fit(X, y)

# `nohup make test &` and some runners ignore Ctrl-C, which processes inherit
signal.signal(signal.SIGINT, signal.default_int_handler)
data = simulate_patchseq(60, 20, 3, n_true_genes=5, random_state=0)
cross_validate(Logged(), data, 5, {"alpha": [1.0, 9.0]}, results="cv.pickle", verbose=False)
"""


def test_a_run_that_is_killed_again_and_again_resumes(tmp_path):
    fits = tmp_path / "fits"
    fits.touch()
    environment = os.environ | {"PYTHONPATH": str(ROOT)}

    def started(last):
        command = [sys.executable, "-W", "ignore", "-c", VALIDATION, str(last)]
        return subprocess.Popen(command, cwd=tmp_path, env=environment)

    for last, how in ((2, signal.SIGKILL), (6, signal.SIGINT)):
        process = started(last)
        deadline = time.monotonic() + 120
        while len(fits.read_text().splitlines()) < last:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        process.send_signal(how)
        assert process.wait(120) != 0
    assert started(0).wait(120) == 0
    lines = fits.read_text().splitlines()
    assert (len(set(lines)), len(lines)) == (10, 12), "only killed fits are begun again"
    whole = cross_validate(Ridge(), DATA, 5, {"alpha": [1.0, 9.0]}, verbose=False)
    record = load(tmp_path / "cv.pickle")
    for name in whole.values.keys() - {"seconds"}:
        np.testing.assert_array_equal(record.values[name], whole.values[name])
    assert [path.name for path in tmp_path.glob("cv*")] == ["cv.pickle"]
