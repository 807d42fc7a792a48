"""Errors that name an argument and the values that it takes; this module has no slow imports."""

import math
import re
import sys
import traceback
import warnings
from contextlib import contextmanager
from functools import wraps
from numbers import Integral, Real

# errors of numpy, pandas and torch
FOREIGN = TypeError, ValueError, LookupError, AttributeError, RuntimeError

INSIDE = "sbnn.", "sklearn.", "joblib.", "contextlib"  # modules between a user's line and a warning


def check_number(name, value, kind, low=-math.inf, high=math.inf):
    """Reject a parameter that is not a finite number within bounds (a whole number if `kind` is int)."""
    is_number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or not math.isfinite(value):
        text = f"{name} must be a {'whole' if kind is int else 'finite'} number in [{low}, {high}]"
        raise (ValueError if is_number else TypeError)(f"{text}, got {value!r}")


def check_among(name, value, allowed):
    """Reject an option that is not allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: {value!r} is unknown, expected one of {list(allowed)}")


def check_flag(name, value):
    """Return a flag as True or False; reject any value other than True, False, 1 and 0."""
    with naming(f"{name}: expected True or False"):
        return {False: False, True: True}[value]


@contextmanager
def naming(expected):
    """Prefix errors of numpy, pandas and torch with `expected`, which names the argument and the values it takes."""
    try:
        yield
    except FOREIGN as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(
            f"{expected}; {error}"
        ) from error


def documented(function):
    """Decorate a function so that errors raised outside sbnn quote the arguments described in its docstring."""
    lines = (function.__doc__ or "").splitlines()
    about = [line.strip() for line in lines if re.match(r" {4,8}\*?\w[\w, ]* : ", line)] or lines[
        :1
    ]

    @wraps(function)
    def called(*args, **options):
        try:
            return function(*args, **options)
        except FOREIGN as error:
            last = traceback.extract_tb(error.__traceback__)[-1]
            own = last.filename.startswith(
                __file__.removesuffix("errors.py")
            ) and last.line.startswith("raise")
            # the message is clear, or callers handle it
            if own or type(error).__module__.startswith("sklearn"):
                raise
            with naming(f"{function.__qualname__}: expected {'; '.join(about)}"):
                raise

    return called


def attempt(expected, call, *args, **options):
    """Call a function, and prefix its errors as `naming` does."""
    with naming(expected):
        return call(*args, **options)


def warn(text, category=UserWarning):
    """Warn at the line of the user that called sbnn, however many functions lie between."""
    # From Python 3.12 on, `skip_file_prefixes` of warnings.warn does the same.
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame = frame.f_back
        depth += 1
    warnings.warn(text, category, stacklevel=depth)
