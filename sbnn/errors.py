"""Errors that name an argument and the values that it takes; nothing slow is imported."""

import math
import sys
import warnings
from importlib.util import find_spec
from numbers import Integral, Real

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
}


def require(*packages):
    """Reject a call that needs optional packages."""
    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        extras = ",".join(sorted({EXTRAS[name] for name in missing}))
        note = "; there is no glmnet for Python 3.14 or later" if "glmnet" in missing else ""
        raise ImportError(
            f"not installed: {', '.join(missing)}; pip install 'sbnn[{extras}]' installs it{note}"
        )


def check_number(name, value, kind, low=-math.inf, high=math.inf):
    """Reject what is not a finite number (whole, if `kind` is int) within bounds."""
    wanted = "whole" if kind is int else "finite"
    text = f"{name} must be a {wanted} number in [{low}, {high}], got {value!r}"
    if isinstance(value, bool) or not isinstance(value, Integral if kind is int else Real):
        raise TypeError(text)
    if not low <= value <= high or not math.isfinite(value):
        raise ValueError(text)


def check_among(name, value, allowed):
    """Reject an option that is not allowed."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}: {value!r} is unknown, expected one of {list(allowed)}")


def warn(text, category=UserWarning):
    """Warn at the line of the user that called sbnn."""
    # `skip_file_prefixes` of Python 3.12 does the same
    frame, depth = sys._getframe(1), 2
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(INSIDE):
        frame = frame.f_back
        depth += 1
    warnings.warn(text, category, stacklevel=depth)
