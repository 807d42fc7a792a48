"""IPFX and pynwb, which read and measure recordings: an optional part of the installation."""

from __future__ import annotations

import logging
import warnings
from contextlib import contextmanager
from importlib.util import find_spec


def require_extra() -> None:
    """Say how to install what reads recordings, if it is not there.

    Raises
    ------
    ImportError
    """
    missing = [name for name in ("ipfx", "pynwb") if find_spec(name) is None]
    if missing:
        raise ImportError(
            f"reading recordings needs {' and '.join(missing)}, which the extra 'traces' brings: "
            "pip install 'sbnn[traces]'"
        )


@contextmanager
def quiet():
    """Keep what the two libraries warn of and log to themselves; what matters of it goes into the notes of a cell."""
    root, swallow = logging.getLogger(), logging.NullHandler()
    level = root.manager.disable
    root.addHandler(swallow)  # or IPFX's first message would set up logging to the terminal, for the whole process
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(level)
        root.removeHandler(swallow)
