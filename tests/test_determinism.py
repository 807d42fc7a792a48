"""The same bits whatever else runs in the process."""

import sys
import threading
import time
from unittest.mock import Mock

import threadpoolctl
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
    with reproducible():
        with reproducible():
            assert threads() == {1}
        assert threads() == {1}
        assert torch.full((1,), 1e-40).mul(1.0).eq(0), "denormal numbers are flushed to zero"
    assert torch.get_num_threads() == before


def test_libraries_with_threads_are_searched_after_an_import(monkeypatch):
    search = Mock(side_effect=threadpoolctl.ThreadpoolController)
    with reproducible():
        pass
    monkeypatch.setattr(threadpoolctl, "ThreadpoolController", search)
    monkeypatch.setitem(sys.modules, "imported_later", sys)
    for _ in range(2):
        with reproducible():
            pass
    search.assert_called_once()


def settings_of_torch():
    return [
        torch.empty(0).device.type,
        torch.get_float32_matmul_precision(),
        torch.is_autocast_enabled("cpu"),
    ]


def test_settings_of_torch_are_the_usual_ones():
    torch.set_float32_matmul_precision("medium")
    try:
        with torch.device("meta"), torch.autocast("cpu", dtype=torch.bfloat16):
            with reproducible():
                inside = settings_of_torch()
            after = settings_of_torch()
    finally:
        torch.set_float32_matmul_precision("highest")
    assert inside == ["cpu", "highest", False]
    assert after == ["meta", "medium", True]


def test_one_python_thread_waits_for_another():
    seen = []

    def work(name):
        with reproducible():
            for _ in range(20):
                seen.append((name, frozenset(threads())))
                time.sleep(0.002)

    workers = [threading.Thread(target=work, args=(name,)) for name in "abc"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert all(now == {1} for _, now in seen)
    assert sum(a[0] != b[0] for a, b in zip(seen, seen[1:], strict=False)) == 2, "blocks overlapped"
