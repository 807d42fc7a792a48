"""What is fitted again is the same: to the bit on one kind of processor, and to the last digits on another.

Libraries choose the order of sums by the processor, and the records do not say on which one they were computed.
"""

import numpy as np


def assert_same(again, stored, rtol=1e-3, atol=1e-5):
    """Refuse numbers that differ by more than rounding."""
    np.testing.assert_allclose(np.asarray(again, float), np.asarray(stored, float), rtol=rtol, atol=atol)
