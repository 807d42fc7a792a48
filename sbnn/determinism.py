"""Bit-identical arithmetic, whatever settings other packages have, and fits as a whole."""

import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from copy import copy
from functools import lru_cache, wraps
from typing import Any, TypeVar, cast

import numpy as np

Fit = TypeVar("Fit", bound=Callable)
_ONE_AT_A_TIME = threading.RLock()


@contextmanager
def reproducible() -> Iterator[None]:
    """Use one thread, as the order of sums depends on their number, and flush denormal numbers.

    Settings of NumPy, scikit-learn and torch that change results are the usual ones; torch's global
    generator stays as it was.

    The number is a setting of the whole process, so Python threads that fit models take turns;
    worker processes do not.

    Weights under a strong penalty become denormal, which makes arithmetic a hundred times slower.
    Torch sets the flag of the processor for this. A process that has not loaded torch keeps
    denormal numbers; the linear models give the same bits either way.
    """
    from sklearn import config_context

    with _ONE_AT_A_TIME, ExitStack() as settings:
        torch = sys.modules.get("torch")  # slow to import, and not needed by all models
        if torch is not None:
            _set_usual_device_and_precision(torch, settings)
            flushes = bool(torch.full((1,), 1e-40).mul(1.0).eq(0))
            settings.callback(torch.set_num_threads, torch.get_num_threads())
            settings.callback(torch.set_flush_denormal, flushes)
            settings.callback(torch.set_default_dtype, torch.get_default_dtype())
            torch.set_num_threads(1)
            torch.set_flush_denormal(True)
            torch.set_default_dtype(torch.float32)
            settings.enter_context(torch.random.fork_rng(devices=[]))
        settings.enter_context(_thread_pools(frozenset(sys.modules)).limit(limits=1))
        settings.enter_context(config_context(transform_output="default"))
        settings.enter_context(np.errstate(all="warn", under="ignore"))
        yield


@lru_cache(maxsize=1)
def _thread_pools(modules):
    """Find the libraries with threads, which takes 4 ms, again only if modules were imported."""
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()


def _set_usual_device_and_precision(torch, settings):
    """Tensors are made on the CPU, and products are as exact as their factors.

    What is usual already is left alone, since a default device slows every function of torch.
    """
    # `torch.get_default_device` of torch 2.4 does not see the device of a context
    if torch.empty(0).device.type != "cpu":
        settings.enter_context(torch.device("cpu"))
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            settings.enter_context(torch.autocast(device, enabled=False))
    # the newer ``torch.backends.fp32_precision`` makes both functions raise an error
    with suppress(RuntimeError):
        precision = torch.get_float32_matmul_precision()
        if precision != "highest":
            torch.set_float32_matmul_precision("highest")
            settings.callback(torch.set_float32_matmul_precision, precision)


def atomic_fit(fit: Fit) -> Fit:
    """Decorate `fit`, which is `reproducible`: if it fails, the estimator stays as it was."""

    @wraps(fit)
    def fit_copy(self: Any, *args: Any, **kwargs: Any) -> Any:
        fitted = copy(self)
        with reproducible(), ExitStack() as gradients:
            torch = sys.modules.get("torch")
            if torch is not None:
                # a caller may have switched off what training by autograd needs
                gradients.enter_context(torch.inference_mode(False))
                gradients.enter_context(torch.enable_grad())
            fit(fitted, *args, **kwargs)
        self.__dict__ = fitted.__dict__
        return self

    return cast(Fit, fit_copy)


def _forget_other_threads():
    """Reset the lock in a forked process, where its thread does not exist."""
    global _ONE_AT_A_TIME
    _ONE_AT_A_TIME = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_other_threads)
