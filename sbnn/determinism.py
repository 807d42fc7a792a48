"""Bit-identical arithmetic, whatever settings other packages have, and fits as a whole."""

import os
import threading
from contextlib import contextmanager
from copy import copy
from functools import wraps

import numpy as np

_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def reproducible():
    """Use one thread, as the order of sums depends on their number, and flush denormal numbers.

    Settings of NumPy, scikit-learn and torch that change results are the usual ones; torch's global
    generator stays as it was.

    The number is a setting of the whole process, so Python threads that fit models take turns;
    worker processes do not.

    Weights under a strong penalty become denormal, which makes arithmetic a hundred times slower.
    """
    import torch  # slow to import
    from sklearn import config_context
    from threadpoolctl import threadpool_limits

    with _ONE_AT_A_TIME:
        threads = torch.get_num_threads()
        dtype = torch.get_default_dtype()
        flushed = bool(torch.full((1,), 1e-40).mul(1.0).eq(0))
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        torch.set_default_dtype(torch.float32)
        usual = config_context(transform_output="default")
        generator = torch.random.fork_rng(devices=[])
        try:
            with threadpool_limits(1), usual, np.errstate(all="warn", under="ignore"), generator:
                yield
        finally:
            torch.set_default_dtype(dtype)
            torch.set_flush_denormal(flushed)
            torch.set_num_threads(threads)


def atomic_fit(fit):
    """Decorate `fit`, which is `reproducible`: if it fails, the estimator stays as it was."""

    @wraps(fit)
    def fit_copy(self, *given, **options):
        import torch

        fitted = copy(self)
        with reproducible(), torch.inference_mode(False), torch.enable_grad():
            fit(fitted, *given, **options)
        self.__dict__ = fitted.__dict__
        return self

    return fit_copy


def _forget_other_threads():
    """Reset the lock in a forked process, where its thread does not exist."""
    global _ONE_AT_A_TIME
    _ONE_AT_A_TIME = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
