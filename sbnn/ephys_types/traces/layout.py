"""The twelve families of vectors and their columns, and every number that decides what is in them.

Gouwens et al., Cell 183, 935 (2020), with the sweeps, bins and tolerances of Schwider & Ramezani (arXiv 2603.11000).
"""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

import numpy as np

from sbnn.data.fingerprint import fingerprint_parameters

#: Samples per second of every trace that features are taken from; recordings of another rate are resampled.
RATE = 50_000
#: Whether a stimulus is taken for one: lengths in seconds.
SHORT_SQUARE, LONG_SQUARE = (0.0025, 0.0035), (0.995, 1.005)
#: Least length of a ramp in seconds.
RAMP = 0.1

AP_WINDOW = 0.003  # s from the threshold
BIN_MS = 20  # of spike features
LEVELS, LEVEL_TOLERANCE = (0, 40, 80), 5  # pA over rheobase
STEPS, STEP_TOLERANCE = (-30, -50, -90), 5  # pA
NORM_STEP = -110  # pA
STEP_BIN, STEP_MARGIN = 0.010, 0.2  # s
ISI_POINTS = 100
#: mV, of the lowest peak that counts as a spike in a long square.
MIN_PEAK = -25
#: To be raised whenever the same recording comes to give other vectors.
FORMAT = 1

PROTOCOLS = ("short_square", "long_square", "ramp")
#: Family of a spike feature -> its name in IPFX.
SPIKE_FEATURES = {
    "spiking_threshold_v": "threshold_v",
    "spiking_peak_v": "peak_v",
    "spiking_width": "width",
    "spiking_fast_trough_v": "fast_trough_v",
    "spiking_upstroke_downstroke_ratio": "upstroke_downstroke_ratio",
}


class Vector(NamedTuple):
    """A family: its name, how many values it has, their unit."""

    name: str
    size: int
    unit: str


_AP = round(AP_WINDOW * RATE)
_BINS = 1000 // BIN_MS
_STEP = round((1 + 2 * STEP_MARGIN) / STEP_BIN)
_SPIKE_UNITS = ("mV", "mV", "s", "mV", "")

#: In their order in the columns.
VECTORS = (
    Vector("first_ap_v", len(PROTOCOLS) * _AP, "mV"),
    Vector("first_ap_dv", len(PROTOCOLS) * (_AP - 1), "mV per 20 us"),
    Vector("isi_shape", ISI_POINTS, "mV"),
    Vector("inst_freq", len(LEVELS) * _BINS, "Hz"),
    *(Vector(name, len(LEVELS) * _BINS, unit) for name, unit in zip(SPIKE_FEATURES, _SPIKE_UNITS, strict=True)),
    Vector("step_subthresh", len(STEPS) * _STEP, "mV"),
    Vector("subthresh_norm", _STEP, ""),
    Vector("psth", len(LEVELS) * _BINS, "Hz"),
)


def trace_families() -> dict[str, list[str]]:
    """Give the families of the 2607 columns that `read_traces` makes, in their order.

    Returns
    -------
    dict of family to list of str
        Names are those of the family and a number: ``first_ap_v_0`` ... ``psth_149``. Within ``first_ap_v`` and
        ``first_ap_dv`` come short square, long square and ramp; within spike features, frequency and PSTH the sweeps at
        rheobase, 40 and 80 pA over it; within ``step_subthresh`` those at -30, -50 and -90 pA.
    """
    return {vector.name: [f"{vector.name}_{i}" for i in range(vector.size)] for vector in VECTORS}


def trace_units() -> dict[str, str]:
    """Give the unit of each column, ``""`` for one without."""
    return {f"{vector.name}_{i}": vector.unit for vector in VECTORS for i in range(vector.size)}


def joined(vectors: dict[str, np.ndarray]) -> np.ndarray:
    """Put the vectors of a cell side by side, (2607,); NaN for a family that is not among them."""
    return np.concatenate([vectors.get(vector.name, np.full(vector.size, np.nan)) for vector in VECTORS])


def settings_fingerprint() -> str:
    """Name what decides the vectors besides the recording: these numbers and the version of IPFX."""
    return fingerprint_parameters(
        {
            "format": FORMAT,
            "ipfx": version("ipfx"),
            "vectors": VECTORS,
            "rate": RATE,
            "stimuli": [SHORT_SQUARE, LONG_SQUARE, RAMP],
            "levels": [LEVELS, LEVEL_TOLERANCE, STEPS, STEP_TOLERANCE, NORM_STEP],
            "bins": [AP_WINDOW, BIN_MS, STEP_BIN, STEP_MARGIN, ISI_POINTS, MIN_PEAK],
        }
    )
