"""PNG files of a quarter of the size, in which no difference is seen."""

import io

import numpy as np
from PIL import Image
from scipy.spatial import cKDTree

SIZES = (16, 32, 64, 128, 256)  # of palettes, of which a PNG holds 256 colours at most
OFF = 40  # of 255, how far a pixel of a soft edge may be off


def in_few_colors(png):
    """Rewrite an image with the smallest palette in which no difference is seen."""
    with Image.open(io.BytesIO(png)) as image:
        red, green, blue = np.asarray(image.convert("RGB"), dtype=np.uint32).transpose(2, 0, 1)
    found, places, counts = np.unique(red << 16 | green << 8 | blue, return_inverse=True, return_counts=True)
    colors = (np.column_stack([found >> 16, found >> 8, found]) & 255).astype(np.uint8)
    places = places.reshape(red.shape)
    even = np.zeros(len(found), bool)
    even[places[1:-1, 1:-1][_between(places[:, 1:-1]) & _between(places.T[:, 1:-1]).T]] = True
    colors_by_count = colors[np.argsort(-counts, kind="stable")]
    for size in SIZES:
        palette = _palette(colors_by_count, size)
        nearest = cKDTree(palette.astype(float)).query(colors.astype(float))[1]
        off = np.abs(palette[nearest].astype(int) - colors).max(1)
        if off.max() <= OFF and np.average(off, weights=counts) <= 1 and not off[even].any():
            break
    few = Image.fromarray(nearest.astype(np.uint8)[places], "P")
    few.putpalette(palette.tobytes())
    few.save(content := io.BytesIO(), "png", optimize=True)
    return content.getvalue()


def _between(places):
    """Whether the pixels above and below have the same colour, for all rows but the first and the last."""
    return (places[1:-1] == places[:-2]) & (places[1:-1] == places[2:])


def _palette(colors_by_count, size):
    if len(colors_by_count) <= size:
        return colors_by_count
    others = Image.fromarray(colors_by_count[np.newaxis, size // 2 :])
    others = others.quantize(size - size // 2, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    return np.vstack([colors_by_count[: size // 2], np.reshape(others.getpalette(), (-1, 3)).astype(np.uint8)])
