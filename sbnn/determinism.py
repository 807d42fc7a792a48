"""Bit-identical arithmetic: one thread, and no denormal numbers."""

import os
import threading
from contextlib import contextmanager

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def reproducible():
    """Use one thread, as the order of sums depends on their number, and flush denormal numbers.

    The number is a setting of the whole process, so Python threads that fit models take turns;
    worker processes do not. Within a Python thread, the innermost block applies.

    Weights under a strong penalty become denormal, which makes arithmetic a hundred times slower.
    """
    import torch  # slow to import
    from threadpoolctl import threadpool_limits

    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        flushed = bool(torch.full((1,), 1e-40).mul(1.0).eq(0))
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        try:
            with threadpool_limits(1):
                yield
        finally:
            torch.set_flush_denormal(flushed)
            torch.set_num_threads(threads)


def _forget_other_threads():
    """Reset the lock in a forked process, where its thread does not exist."""
    global _ONE_AT_A_TIME
    _ONE_AT_A_TIME = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
