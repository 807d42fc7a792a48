"""The same bits whatever else runs in the process."""

import threading
import time

import torch
from threadpoolctl import threadpool_info

from sbnn.determinism import reproducible


def threads():
    return {
        torch.get_num_threads(),
        *(pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"),
    }


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
    assert sum(a[0] != b[0] for a, b in zip(seen, seen[1:], strict=False)) <= 2, "blocks overlapped"
