"""What is fitted again is the same: to the bit on one kind of processor, and to the last digits on another.

Libraries choose the order of sums by the processor, and the records do not say on which one they were computed.
"""

from hashlib import sha256

import numpy as np
from matplotlib.colors import to_rgba


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    np.testing.assert_allclose(np.asarray(again, float), np.asarray(stored, float), rtol=rtol, atol=atol)


def numbers_shown(figures):
    """Lines, points, bars, their colours, images and written numbers of figures by name, as a fingerprint."""
    shown = []
    for name, figure in figures.items():
        for ax in figure.axes:
            numbers = [line.get_xydata() for line in ax.lines] + [image.get_array() for image in ax.images]
            numbers += [bar.get_width() for bar in ax.patches if hasattr(bar, "get_width")]
            for collection in ax.collections:  # dots, bands and bars of errors
                numbers += [collection.get_offsets(), *(path.vertices for path in collection.get_paths())]
            numbers += [to_rgba(line.get_color()) for line in ax.lines]
            numbers += [part.get_facecolor() for part in (*ax.patches, *ax.collections)]
            rounded = [f"{x:.3g}" for some in numbers for x in np.round(np.ravel(some).astype(float), 5) + 0.0]
            shown.append(" ".join([name, *rounded, *(text.get_text() for text in (*ax.texts, ax.title))]))
    return sha256("\n".join(shown).encode()).hexdigest()[:12]
