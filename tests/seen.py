"""Colours as readers see them, with all kinds of cones or without one."""

import numpy as np

# Which light reaches readers without one kind of cones (Machado, Oliveira and Fernandes 2009,
# severity 1.0), on linear RGB.
BLIND = {
    "deuteranopia": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "protanopia": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
}


def light(color):
    """Linear RGB."""
    levels = np.array(list(bytes.fromhex(color[1:]))) / 255
    return np.where(levels <= 0.04045, levels / 12.92, ((levels + 0.055) / 1.055) ** 2.4)


def lab(color, matrix):
    """Colour in CIELAB (D65), as somebody sees it whose cones are described by the matrix."""
    seen = np.clip(np.array(matrix) @ light(color), 0, 1)
    to_xyz = [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    ratio = np.array(to_xyz) @ seen / [0.9505, 1, 1.089]
    f = np.where(ratio > 0.008856, np.cbrt(ratio), 7.787 * ratio + 16 / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def contrast_to_white(color):
    """Ratio of luminances as defined by WCAG 2; lines need 3, text 4.5."""
    return 1.05 / (light(color) @ [0.2126, 0.7152, 0.0722] + 0.05)
