"""An image in few colours looks as before."""

import io

import numpy as np
import pytest
from PIL import Image

from sbnn.plotting.common import OFF, in_few_colors


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
    before[80, 300] = [0, 255, 0]  # one vivid pixel
    after = pixels_after(before)
    assert (after[:60] == before[:60]).all()
    assert np.abs(after[80, 300] - [0, 255, 0]).max() < 60
    assert np.abs(after - before).mean() < 3


@pytest.mark.parametrize("n", [1, 2, 256])
def test_few_colours_stay_exact(n):
    before = np.repeat(np.random.default_rng(0).permutation(n).astype(np.uint8), 64).reshape(-1, 64)
    before = np.stack([before, 255 - before, 0 * before], 2).repeat(3, 0)
    np.testing.assert_array_equal(pixels_after(before), before)


def test_a_palette_is_no_larger_than_it_must_be_and_no_smaller():
    angle, radius = np.meshgrid(np.linspace(0, 2 * np.pi, 400), np.linspace(0, 200, 200))
    drawn = np.zeros((200, 400), np.uint8)
    drawn[np.abs(radius - 100) < 30] = 255
    soft = np.abs(np.abs(radius - 100) - 30) < 1
    drawn[soft] = (255 * (angle[soft] / 7)).astype(np.uint8)  # 230 greys, none of them over an area
    gradient = np.repeat(np.arange(230, dtype=np.uint8), 4)[None].repeat(8, 0).repeat(2, 1)  # as many in even areas
    for image, fewest, most, limit in ((drawn, 8, 64, OFF), (gradient, 200, 256, 0)):
        before = np.stack([image, image, image], 2)
        after = pixels_after(before)
        assert fewest <= len(np.unique(after.reshape(-1, 3), axis=0)) <= most
        assert np.abs(after - before).max() <= limit
