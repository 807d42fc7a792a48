"""The sweeps of a recording that features are taken from: recognised, checked, cut around their stimulus, at 50 kHz."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from math import ceil
from typing import NamedTuple

import numpy as np
from scipy.signal import resample_poly

from sbnn.ephys_types.traces.layout import PROTOCOLS, RATE, STEP_MARGIN
from sbnn.ephys_types.traces.protocols import Stimulus, named_protocol, stimulus_of
from sbnn.ephys_types.traces.recording import Recording, StoredSweep
from sbnn.ephys_types.traces.units import PLAUSIBLE, check_scale

#: What is needed before the onset and after the end of each stimulus, and the most that is taken, in seconds.
_BEFORE = {"short_square": (0.02, 0.02), "long_square": (STEP_MARGIN, STEP_MARGIN), "ramp": (0.02, 0.1)}
_AFTER = {"short_square": (0.06, 0.1), "long_square": (STEP_MARGIN, STEP_MARGIN + 0.05), "ramp": (None, None)}
_LENGTH = {"short_square": 0.003, "long_square": 1.0}
_REST = 0.01  # s before the onset, whose median is the voltage at rest


class CutSweep(NamedTuple):
    """A sweep around its stimulus, at `RATE`.

    Attributes
    ----------
    number : int
        Of the sweep in the experiment.
    amplitude : float
        Of a square in whole pA, of a ramp its peak.
    t, v, i : ndarray of shape (n,)
        Seconds from the onset, mV, and pA over the current before the stimulus; of squares `i` is the ideal one.
    """

    number: int
    amplitude: float
    t: np.ndarray
    v: np.ndarray
    i: np.ndarray


def sweeps_of(recording: Recording) -> tuple[dict[str, list[CutSweep]], list[str]]:
    """Take the short squares, long squares and ramps out of a recording.

    The name of a stimulus decides where it is known, if the current agrees with it; else the shape of the current.

    Parameters
    ----------
    recording : Recording
        Of an open file.

    Returns
    -------
    sweeps : dict of str to list of CutSweep
        For each of `PROTOCOLS`, in the order of the experiment; empty where there is none.
    notes : list of str
        Sweeps that were left out, and why.

    Raises
    ------
    ValueError
        Voltages or currents that are off by powers of a thousand; the message names the mistake.
    """
    notes, found = list(recording.notes), []
    for stored in recording.sweeps:
        named = named_protocol(stored.stimulus_name)
        if named == "other":
            continue
        stimulus = stimulus_of(stored.current(), stored.rate)
        if named is not None and named != stimulus.kind:
            notes.append(f"sweep {stored.number} is called {stored.stimulus_name!r}, but its current is {stimulus}")
        elif stimulus.kind in PROTOCOLS:
            found.append((stored, stimulus, stored.voltage()))
    _check_units(found)
    sweeps, faults = {kind: [] for kind in PROTOCOLS}, Counter()
    for stored, stimulus, voltage in found:
        fault, cut = _cut(stored, stimulus, voltage)
        if fault:
            faults[fault.format(kind=stimulus.kind.replace("_", " "))] += 1
        else:
            sweeps[stimulus.kind].append(cut)
    return sweeps, notes + [f"{count} {fault}" for fault, count in sorted(faults.items())]


def _check_units(found) -> None:
    rest = [_at_rest(voltage, stimulus, stored.rate) for stored, stimulus, voltage in found]
    rest = [value for value in rest if value is not None]
    if rest:
        conversion = float(found[0][0].response.conversion)
        check_scale("voltage", float(np.median(rest)), "before the stimuli", conversion)
    squares = [abs(stimulus.amplitude) for _, stimulus, _ in found if stimulus.kind != "ramp"]
    if squares:
        conversion = float(found[0][0].stimulus.conversion)
        check_scale("current", float(np.max(squares)), "of the largest square", conversion)


def _at_rest(voltage: np.ndarray, stimulus: Stimulus, rate: float) -> float | None:
    before = voltage[max(stimulus.onset - round(_REST * rate), 0) : stimulus.onset]
    return float(np.median(before)) if len(before) else None


def _cut(stored: StoredSweep, stimulus: Stimulus, voltage: np.ndarray) -> tuple[str, CutSweep | None]:
    """What is wrong with a sweep (empty if nothing is), and the sweep around its stimulus."""
    ratio = Fraction(RATE / stored.rate).limit_denominator(1000)
    if abs(float(ratio) * stored.rate / RATE - 1) > 1e-6:
        return f"{{kind}} sweep(s): {stored.rate:g} Hz has no simple ratio to {RATE} Hz", None
    at_rest = _at_rest(voltage, stimulus, stored.rate)
    low, high, _ = PLAUSIBLE["voltage"]
    if at_rest is None or not low <= at_rest <= high:
        return "{kind} sweep(s) without a resting voltage before the stimulus", None
    kind = stimulus.kind
    end = stimulus.onset + round(_LENGTH.get(kind, 0) * stored.rate)
    least_before, before = _BEFORE[kind]
    least_after, after = _AFTER[kind]
    # The onset falls on a sample of the new rate: old samples k * denominator are new samples k * numerator.
    steps = min(ceil(before * stored.rate / ratio.denominator - 1e-6), stimulus.onset // ratio.denominator)
    if steps * ratio.numerator < least_before * RATE:
        return f"{{kind}} sweep(s) with less than {1000 * least_before:g} ms before the stimulus", None
    if least_after is not None and len(voltage) - end < least_after * stored.rate:
        return f"{{kind}} sweep(s) that end less than {1000 * least_after:g} ms after the stimulus", None
    first = stimulus.onset - steps * ratio.denominator
    last = None if after is None else end + round(after * stored.rate)
    v = voltage[first:last]
    if ratio != 1:
        v = resample_poly(v, ratio.numerator, ratio.denominator, padtype="line")
    t = (np.arange(len(v)) - steps * ratio.numerator) / RATE
    if kind == "ramp":
        amplitude = stimulus.amplitude
        i = np.clip(t / stimulus.length, 0, None) * amplitude
    else:
        amplitude = float(np.rint(stimulus.amplitude))
        i = np.where((t >= 0) & (t < _LENGTH[kind]), amplitude, 0.0)
    return "", CutSweep(stored.number, amplitude, t, np.ascontiguousarray(v), i)
