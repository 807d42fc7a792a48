"""The same bits whatever else runs in the process."""

import threading
import time

import joblib
import numpy as np
import torch
from threadpoolctl import threadpool_info

from sbnn import SparseBottleneckRegressor, cross_validate
from sbnn.determinism import reproducible


def threads():
    return {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas")}


def test_blocks_may_be_nested_and_leave_no_trace():
    before = torch.get_num_threads()
    with reproducible(1):
        with reproducible(2):
            assert torch.get_num_threads() == 2
        assert threads() == {1}
        assert torch.full((1,), 1e-40).mul(1.0).eq(0), "denormal numbers are flushed to zero"
    assert torch.get_num_threads() == before


def test_one_python_thread_waits_for_another():
    seen = []

    def work(n_threads):
        with reproducible(n_threads):
            for _ in range(20):
                seen.append((n_threads, frozenset(threads())))
                time.sleep(0.002)

    workers = [threading.Thread(target=work, args=(n,)) for n in (1, 2, 1)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(now == {n} for n, now in seen)
    changes = sum(a[0] != b[0] for a, b in zip(seen, seen[1:], strict=False))
    assert changes <= 2, "blocks overlapped"


def test_fits_in_threads_give_the_bits_of_fits_in_a_row(data):
    model = SparseBottleneckRegressor(
        protocol="paper", hidden_layers=(32, 16), epochs=(1, 2, 2, 2), n_genes=5, standardize=False, random_state=0
    )
    grid = {"group_lasso": [0.01, 0.1]}
    alone = cross_validate(model, data, 3, grid, verbose=False)
    with joblib.parallel_config("threading"):
        together = cross_validate(model, data, 3, grid, n_jobs=2, verbose=False)
    np.testing.assert_array_equal(together.test_r2, alone.test_r2)
    np.testing.assert_array_equal(together.selected, alone.selected)
