"""Which sweeps are short squares, long squares and ramps: by the name of the stimulus, and by its shape."""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import numpy as np
from scipy.ndimage import median_filter

from sbnn.ephys_types.traces.layout import LONG_SQUARE, RAMP, SHORT_SQUARE

_TEST_PULSE = (0.4, 0.1)  # s: ends before the one, lasts no longer than the other
_BASELINE = 0.005  # s, the current before anything
_GAP, _BLIP = 0.002, 0.0003  # s: gaps that noise tears into a stimulus, and blips that are none


class Stimulus(NamedTuple):
    """The shape of a current.

    Attributes
    ----------
    kind : {"short_square", "long_square", "ramp", "square", "other"}
        ``"square"`` is one of another length.
    onset : int
        First sample of it; of a ramp, where its line leaves the baseline.
    length : float
        In seconds.
    amplitude : float
        Step over the current before it, of a ramp its peak, in the unit of the current.
    """

    kind: str
    onset: int
    length: float
    amplitude: float

    def __str__(self) -> str:
        """Tell the shape in a few words."""
        if self.kind == "other":
            return "neither one square nor a ramp"
        return f"a {'ramp' if self.kind == 'ramp' else 'square'} of {1000 * self.length:.4g} ms"


def named_protocol(stimulus_name: str) -> str | None:
    """Tell what IPFX's list of stimuli says of a name.

    Parameters
    ----------
    stimulus_name : str
        As in ``"X4PS_SupraThresh_DA_0"`` or ``"Long Square"``.

    Returns
    -------
    {"short_square", "long_square", "ramp", "other"} or None
        ``"other"`` for a stimulus that is known and is none of the three (a search, a chirp, noise); None for a name
        that says nothing.
    """
    return _names().get(re.sub(r"_DA_\d+$", "", stimulus_name).split("[")[0])


@cache
def _names() -> dict[str, str]:
    from ipfx.stimulus import StimulusOntology

    ontology = StimulusOntology.default()
    kinds = {
        "short_square": ontology.short_square_names,
        "long_square": ontology.long_square_names,
        "ramp": ontology.ramp_names,
    }
    known = {}
    for stimulus in ontology.stimuli:
        names = stimulus.tags("name", flat=True)[1:]
        if "Unknown" in names:
            continue
        kind = next((kind for kind, listed in kinds.items() if set(names) & set(listed)), "other")
        for tag in (*names, *stimulus.tags("code", flat=True)[1:]):
            known[tag] = kind
    return known


def stimulus_of(current: np.ndarray, rate: float) -> Stimulus:
    """Recognise the shape of a current, whatever its unit and size; a test pulse before it is passed over.

    Parameters
    ----------
    current : ndarray of shape (n,)
        Finite; the command or what was measured of it.
    rate : float
        Samples per second.

    Returns
    -------
    Stimulus
    """
    other = Stimulus("other", 0, 0.0, 0.0)
    if len(current) < 2:
        return other
    size = current - np.median(current[: max(round(_BASELINE * rate), 1)])
    noise = 1.05 * np.median(np.abs(np.diff(size)))  # SD of white noise
    if noise > 0:
        size = median_filter(size, 2 * round(0.00015 * rate) + 1, mode="nearest")
    peak = np.abs(size).max()
    if peak <= 6 * noise:
        return other
    runs = _without_test_pulse(_runs(np.abs(size) > max(0.01 * peak, 4 * noise), rate), size, rate)
    if len(runs) != 1:
        return other
    start, end = runs[0]
    part = size[start:end]
    inner = part[len(part) // 10 : len(part) - len(part) // 10]
    level, length = float(np.median(inner)), (end - start) / rate
    if np.ptp(np.percentile(inner, [5, 95])) <= 0.05 * abs(level) + 6 * noise:
        return Stimulus(_square(length), start, length, level)
    slope, intercept = np.polyfit(np.arange(end - start), part, 1)
    rest = part - intercept - slope * np.arange(end - start)
    if length >= RAMP and slope > 0 and rest.std() <= 0.02 * np.ptp(part) + noise:
        onset = max(start + round(-intercept / slope), 0)
        return Stimulus("ramp", onset, (end - onset) / rate, float(part.max()))
    return other


def _square(length: float) -> str:
    if SHORT_SQUARE[0] <= length <= SHORT_SQUARE[1]:
        return "short_square"
    return "long_square" if LONG_SQUARE[0] <= length <= LONG_SQUARE[1] else "square"


def _runs(active: np.ndarray, rate: float) -> list[tuple[int, int]]:
    """First sample and end of each stretch of current."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], active.astype(np.int8), [0]])))
    runs = []
    for start, end in edges.reshape(-1, 2).tolist():
        if runs and start - runs[-1][1] < _GAP * rate:
            runs[-1] = (runs[-1][0], end)
        else:
            runs.append((start, end))
    return [(start, end) for start, end in runs if end - start >= _BLIP * rate]


def _without_test_pulse(runs, size, rate):
    """Drop a short first pulse, unless what follows repeats it: that is a train."""
    if len(runs) < 2:
        return runs
    (start, end), (next_start, next_end) = runs[:2]
    levels = [np.median(size[a:b]) for a, b in runs[:2]]
    alike = np.isclose(*levels, rtol=0.05) and np.isclose(end - start, next_end - next_start, rtol=0.1)
    early = end < _TEST_PULSE[0] * rate and end - start <= _TEST_PULSE[1] * rate
    return runs[1:] if early and not alike else runs
