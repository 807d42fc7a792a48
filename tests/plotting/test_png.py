"""An image in few colours looks as before."""

import io

import numpy as np
import pytest
from PIL import Image

from sbnn.plotting.common import in_few_colors


def pixels_after(before):
    Image.fromarray(before).save(png := io.BytesIO(), "png")
    with Image.open(io.BytesIO(in_few_colors(png.getvalue()))) as image:
        assert image.mode == "P"
        return np.asarray(image.convert("RGB"), int)


def test_even_areas_and_rare_colours_survive():
    across, down = np.meshgrid(np.arange(400), np.arange(300))
    before = np.stack([across * 255 // 400, down * 255 // 300, 120 + across // 8], 2).astype(np.uint8)  # 50 000 colours
    before[:100] = 255
    before[20:60, 20:60] = [1, 2, 3]
    after = pixels_after(before)
    assert (after[:60] == before[:60]).all() and np.abs(after - before).mean() < 4


@pytest.mark.parametrize("n", [1, 2, 256])
def test_few_colours_stay_exact(n):
    before = np.repeat(np.random.default_rng(0).permutation(n).astype(np.uint8), 64).reshape(-1, 64)
    before = np.stack([before, 255 - before, 0 * before], 2).repeat(3, 0)
    np.testing.assert_array_equal(pixels_after(before), before)
