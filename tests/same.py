"""What is fitted or drawn again is the same, but for the last digits on another processor.

Libraries choose the order of sums by the processor, and the records do not say on which one they
were computed.
"""

import io
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from PIL import Image

from sbnn.plotting import style

ROOT = Path(__file__).resolve().parents[1]

BLOCK = 16  # pixels at 200 dpi: a letter is smaller, a shift of it by one pixel hardly matters
DIFFERENT = 20  # of 255 shades, in the mean of a block; palettes of 256 colours shift it a little


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    again, stored = np.asarray(again, float), np.asarray(stored, float)
    np.testing.assert_allclose(again, stored, rtol=rtol, atol=atol)


def assert_looks_like(figure, path):
    """Refuse a figure that differs from the committed picture, and say where, in inches."""
    picture = io.BytesIO()
    with style():  # whatever the settings of matplotlib are
        figure.savefig(picture, format="png")
    locked = re.search(r"^matplotlib==(\S+)", (ROOT / "constraints.txt").read_text(), re.M)[1]
    if matplotlib.__version__ != locked:
        pytest.skip(f"letters of matplotlib {locked} have other shapes")
    drawn, stored = _blocks(picture), _blocks(path)
    assert drawn.shape == stored.shape, f"{path.name} has another size"
    places = np.argwhere(np.abs(drawn - stored).max(2) > DIFFERENT) * BLOCK / 200
    assert not len(places), f"{path.name} differs at inches {places[:9].tolist()} down and across"


def _blocks(source):
    """Mean colours of the blocks of a picture, an array of shape (n_rows, n_columns, 3)."""
    with Image.open(source) as image:
        whole = np.asarray(image.convert("RGB"), float)
    height, width = np.array(whole.shape[:2]) // BLOCK
    whole = whole[: height * BLOCK, : width * BLOCK]
    return whole.reshape(height, BLOCK, width, BLOCK, 3).mean((1, 3))
