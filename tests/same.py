"""What is fitted again is the same, but for the last digits on another processor.

Libraries choose the order of sums by the processor, and the records do not say on which one they
were computed.
"""

from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).resolve().parents[1]


def assert_among_starts(again, starts):
    """Refuse scores outside the range of those of other starts, widened by its width.

    Training for hundreds of epochs passes on the last bits: on another processor, a fit differs as
    one of another start does.
    """
    low = starts.min()
    high = starts.max()
    least = 0.01 * starts.abs().max()
    margin = (high - low).clip(lower=least)
    is_among = again.between(low - margin, high + margin)
    assert is_among.all(), pd.DataFrame([again, low, high])


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    again = np.asarray(again, float)
    stored = np.asarray(stored, float)
    np.testing.assert_allclose(again, stored, rtol=rtol, atol=atol)
