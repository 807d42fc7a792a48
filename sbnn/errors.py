"""Errors that name the argument and what is expected of it, without slow imports."""

import math
from contextlib import contextmanager
from numbers import Integral, Real


def check_number(name, value, kind, low=-math.inf, high=math.inf):
    """Refuse a parameter that is not a finite number within bounds (a whole number if `kind` is int)."""
    is_number = isinstance(value, Integral if kind is int else Real) and not isinstance(value, bool)
    if not is_number or not low <= value <= high or not math.isfinite(value):
        text = f"{name} must be a finite number in [{low}, {high}]{', a whole one' if kind is int else ''}"
        raise (ValueError if is_number else TypeError)(f"{text}, got {value!r}")


def check_among(name, value, allowed):
    """Refuse an option that is not allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: {value!r} is unknown, expected one of {list(allowed)}")


@contextmanager
def naming(expected):
    """Prefix errors of numpy, pandas and torch with the argument and what was expected of it."""
    try:
        yield
    except (TypeError, ValueError, LookupError, AttributeError, RuntimeError) as error:
        raise (TypeError if isinstance(error, TypeError) else ValueError)(f"{expected}; {error}") from error


def attempt(expected, call, *args, **options):
    """Call a function, with errors prefixed as by `naming`."""
    with naming(expected):
        return call(*args, **options)
