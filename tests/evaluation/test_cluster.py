"""Cross-validation on a Dask cluster survives the death of a worker and gives the numbers of one process."""

import os
import signal
import sys
import threading
import time
from pathlib import Path

import joblib
import numpy as np
import pytest
from sklearn.linear_model import Ridge

from sbnn import cross_validate, paper_folds

distributed = pytest.importorskip("distributed")


class Slow(Ridge):
    """Takes its time, and counts its fits in a folder."""

    def __init__(self, folder=None):
        super().__init__()
        self.folder = folder

    def fit(self, X, y):
        Path(self.folder, f"{time.time_ns()}").touch()
        time.sleep(1)
        return super().fit(X, y)


def kill_after(process, log, started):
    """Kill a process as soon as so many fits have started."""
    while len(list(log.iterdir())) < started:
        time.sleep(0.01)
    os.kill(process, signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_a_killed_worker_costs_its_own_fold_only(data, tmp_path):
    folds = paper_folds(len(data.X), 6)
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster) as client:
        client.run(sys.path.insert, 0, str(Path(__file__).parent))  # where the workers find this test's estimator
        victim = next(iter(client.run(os.getpid).values()))
        killer = threading.Thread(target=kill_after, args=(victim, tmp_path, 2))
        killer.start()
        with joblib.parallel_config("dask"):
            record = cross_validate(Slow(str(tmp_path)), data, folds, n_jobs=-1, verbose=False)
        killer.join(timeout=0)
        assert not killer.is_alive(), "the worker was killed during the run"
    assert 6 <= len(list(tmp_path.iterdir())) <= 8
    plain = cross_validate(Ridge(), data, folds, verbose=False)
    np.testing.assert_array_equal(record.test_r2, plain.test_r2)
