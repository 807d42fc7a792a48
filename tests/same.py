"""What is fitted again is the same: to the bit on one kind of processor, and to the last digits on
another.

Libraries choose the order of sums by the processor, and the records do not say on which one they
were computed.
"""

from hashlib import sha256

import numpy as np
from made_up import drawn_texts
from matplotlib.colors import to_rgba

from sbnn.plotting import style


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    np.testing.assert_allclose(
        np.asarray(again, float), np.asarray(stored, float), rtol=rtol, atol=atol
    )


@style()  # whatever the settings of matplotlib are
def numbers_shown(figures):
    """Numbers, colours, markers, limits and words of figures by name, as a fingerprint that holds
    on any machine.

    Left out is what depends on the size of letters: places of texts, thin lines to them, and ticks
    of numbers.
    """
    shown = []
    for name, figure in figures.items():
        figure.draw_without_rendering()
        insets = (inset for ax in figure.axes for inset in ax.child_axes)
        for ax in (*figure.axes, *insets):
            lines = [
                line
                for line in ax.lines
                if len(line.get_xdata()) > 2 or line.get_linewidth() >= 0.7
            ]
            numbers = [ax.get_xlim(), ax.get_ylim(), *(line.get_xydata() for line in lines)]
            for image in ax.images:
                if (values := image.get_array()).ndim == 3:  # painted: means of its quarters
                    halves = (
                        part
                        for half in np.array_split(values, 2)
                        for part in np.array_split(half, 2, axis=1)
                    )
                    numbers += [part.mean((0, 1)).round() for part in halves]
                else:
                    numbers += [values, image.get_clim(), image.cmap(0.2)]
            numbers += [bar.get_bbox().bounds for bar in ax.patches if hasattr(bar, "get_bbox")]
            for collection in ax.collections:  # dots, bands and bars of errors
                numbers += [
                    collection.get_offsets(),
                    *(path.vertices for path in collection.get_paths()),
                ]
                numbers += [collection.get_edgecolor(), collection.get_alpha() or 1]
            numbers += [to_rgba(line.get_color(), line.get_alpha()) for line in lines]
            numbers += [part.get_facecolor() for part in (*ax.patches, *ax.collections)]
            rounded = [
                f"{x:.4g}"
                for some in numbers
                for x in np.round(np.ravel(some).astype(float), 5) + 0.0
            ]
            looks = [f"{line.get_marker()} {line.get_linestyle()}" for line in lines]
            shown.append(" ".join([name, ax.get_xscale(), ax.get_yscale(), *looks, *rounded]))
        ticks = {
            label for ax in figure.axes for label in (*ax.get_xticklabels(), *ax.get_yticklabels())
        }
        for text in drawn_texts(figure):
            if text not in ticks or any(map(str.isalpha, text.get_text())):
                look = text.get_fontweight(), text.get_fontstyle(), to_rgba(text.get_color())
                shown.append(f"{text.get_text()} {look}")
    return sha256("\n".join(shown).encode()).hexdigest()[:12]
