"""Errors that name an argument and the values that it takes; nothing slow is imported."""

import math
import sys
import warnings
from collections.abc import Collection
from importlib.util import find_spec
from numbers import Integral, Real
from os import PathLike
from typing import Any

INSIDE = "sbnn.", "sklearn.", "joblib.", "contextlib"  # modules between a user's line and a warning

# optional package -> extra that installs it
EXTRAS = {
    "bokeh": "explorer",
    "glmnet": "glmnet",
    "imblearn": "types",
    "ipfx": "traces",
    "lightgbm": "types",
    "openTSNE": "maps",
    "nbconvert": "fit",
    "openpyxl": "excel",
    "papermill": "fit",
    "pynwb": "traces",
    "rdata": "r",
    "xlrd": "excel",
}


def require(*packages: str) -> None:
    """Reject a call that needs optional packages."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        names = {EXTRAS[name] for name in missing}
        extras = ",".join(sorted(names))
        note = "; there is no glmnet for Python 3.14 or later" if "glmnet" in missing else ""
        raise ImportError(
            f"not installed: {', '.join(missing)}; pip install 'sbnn[{extras}]' installs it{note}"
        )


def check_number(
    name: str, value: Any, kind: type, low: float = -math.inf, high: float = math.inf
) -> None:
    """Reject what is not a finite number (whole, if `kind` is int) within bounds."""
    is_whole = kind is int
    sort = "whole" if is_whole else "finite"
    text = f"{name} must be a {sort} number in [{low}, {high}], got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Integral if is_whole else Real):
        raise TypeError(text)
    number: Any = value
    if not low <= number <= high or not math.isfinite(number):
        raise ValueError(text)


def check_among(name: str, value: Any, allowed: Collection[str]) -> None:
    """Reject an option that is not allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: {value!r} is unknown, expected one of {list(allowed)}")


def check_path(name: str, value: Any) -> None:
    """Reject what is no path."""
    if not isinstance(value, str | PathLike):
        raise TypeError(f"{name}: expected a path, got {value!r:.80}")


def warn(text: str, category: type[Warning] = UserWarning) -> None:
    """Warn at the line of the user that called sbnn."""
    # `skip_file_prefixes` of Python 3.12 does the same
    frame = sys._getframe(1)
    depth = 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame = frame.f_back
        depth += 1
    warnings.warn(text, category, stacklevel=depth)
