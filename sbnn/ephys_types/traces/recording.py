"""Find, recognise and check the sweeps of an NWB file, and cut each of them around its stimulus.

Files have the layout of DANDI 000020 and 000636: each contains the voltages and stimuli of one
cell.
"""

import re
from collections import Counter
from fractions import Fraction
from functools import cache
from math import ceil
from typing import NamedTuple

import numpy as np
from ipfx.stimulus import StimulusOntology
from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries, IZeroClampSeries
from scipy.ndimage import median_filter
from scipy.signal import resample_poly

from sbnn.ephys_types.traces.vectors import (
    LONG_SQUARE,
    PROTOCOLS,
    RAMP,
    RATE,
    SHORT_SQUARE,
    STEP_MARGIN,
)

# If a sweep is stopped early, the rig writes zeros (or NaN) for the unrecorded part, which lasts 19
# ms or more. Real voltages are zero only for single samples.
_FILL = 0.005  # s
_TEST_PULSE = (0.4, 0.1)  # latest end and longest duration, in s
_BASELINE = 0.005  # in s, length of the baseline at the start of a sweep, before any stimulus
# in s; shorter gaps in a stimulus are bridged, and shorter pulses are ignored
_GAP, _BLIP = 0.002, 0.0003
#: Time required before the onset and after the end of each stimulus, and the longest time used, in
#: seconds.
_BEFORE = {
    "short_square": (0.02, 0.02),
    "long_square": (STEP_MARGIN, STEP_MARGIN),
    "ramp": (0.02, 0.1),
}
_AFTER = {
    "short_square": (0.06, 0.1),
    "long_square": (STEP_MARGIN, STEP_MARGIN + 0.05),
    "ramp": (None, None),
}
_SQUARES = {"short_square": SHORT_SQUARE, "long_square": LONG_SQUARE}
_LENGTH = {"short_square": 0.003, "long_square": 1.0}
_REST = 0.01  # in s; the median voltage over this time before the onset is the resting voltage
#: Plausible ranges of voltages before a stimulus, amplitudes of square currents, and sampling
#: rates.
PLAUSIBLE = {
    "voltage before the stimuli": (-120.0, -10.0, "mV"),
    "largest square current": (3.0, 20_000.0, "pA"),
    "sampling rate": (10_000.0, 1_000_000.0, "Hz"),
}


class StoredSweep(NamedTuple):
    """A sweep in an open file; its arrays are read when they are needed."""

    number: int
    stimulus_name: str  # as in X4PS_SupraThresh_DA_0
    rate: float
    response: object  # series of pynwb
    stimulus: object

    def current(self):
        """Read the stimulus (pA) up to the first NaN, ndarray of shape (n,)."""
        current = _values(self.stimulus) * 1e12
        return current[: _end_of_recording(np.isnan(current), 1)]

    def voltage(self):
        """Read the response (mV) up to the point where recording stopped, ndarray of shape (n,)."""
        raw = np.asarray(self.response.data[:])
        recorded = _end_of_recording((raw == 0) | np.isnan(raw), round(_FILL * self.rate))
        return _values(self.response, raw[:recorded]) * 1e3


class Stimulus(NamedTuple):
    """The shape of a current; for a ramp, `onset` is where it leaves the baseline, and `amplitude` is its peak."""

    kind: str  # "short_square", "long_square", "ramp", "square" (of another length) or "other"
    onset: int
    length: float  # s
    amplitude: float  # relative to the current at the start of the sweep


class CutSweep(NamedTuple):
    """A sweep cut around its stimulus, sampled at `RATE`: time from onset (s), voltage (mV), idealised current (pA)."""

    number: int
    amplitude: float
    t: np.ndarray
    v: np.ndarray
    i: np.ndarray


def stored_sweeps(nwb):
    """Current-clamp sweeps of an open file, in the order of the experiment, and notes on unusable sweeps."""
    of_current = [
        series for series in nwb.acquisition.values() if isinstance(series, CurrentClampSeries)
    ]
    responses = [series for series in of_current if not isinstance(series, IZeroClampSeries)]
    if not responses:
        raise ValueError("the file contains no current-clamp sweep")
    stimuli, sweeps, notes = _stimuli(nwb, responses), [], []
    for place, response in enumerate(responses):
        stimulus = stimuli.get(response.object_id)
        if stimulus is None:
            notes.append(f"sweep {response.name} has no stimulus")
        elif (
            not response.rate
            or not stimulus.rate
            or not np.isclose(response.rate, stimulus.rate, rtol=1e-6)
        ):
            notes.append(
                f"sweep {response.name} is sampled at {response.rate} Hz, its stimulus at {stimulus.rate} Hz"
            )
        else:
            check_scale("sampling rate", response.rate)
            number = place if response.sweep_number is None else int(response.sweep_number)
            name = str(response.stimulus_description or stimulus.stimulus_description or "")
            sweeps.append(StoredSweep(number, name, float(response.rate), response, stimulus))
    return sorted(sweeps, key=lambda sweep: sweep.number), notes


def _stimuli(nwb, responses):
    """Dict of response identifiers to stimuli, matched by sweep number and electrode or by the table of recordings."""
    stimuli, by_number, table = {}, {}, nwb.intracellular_recordings
    for row in range(0 if table is None else len(table)):
        response, stimulus = table["responses"]["response"][row], table["stimuli"]["stimulus"][row]
        if min(response.idx_start, stimulus.idx_start) >= 0:  # -1 marks a missing series
            stimuli[response.timeseries.object_id] = stimulus.timeseries
    for stimulus in nwb.stimulus.values():
        if isinstance(stimulus, CurrentClampStimulusSeries) and stimulus.sweep_number is not None:
            by_number.setdefault((int(stimulus.sweep_number), stimulus.electrode.name), []).append(
                stimulus
            )
    for response in responses:
        number = -1 if response.sweep_number is None else int(response.sweep_number)
        found = by_number.get((number, response.electrode.name), [])
        if len(found) == 1:
            stimuli[response.object_id] = found[0]
    return stimuli


def _values(series, raw=None):
    """Stored numbers, converted to volts or amperes."""
    raw = series.data[:] if raw is None else raw
    # A factor of 0.001 in single precision has a relative error of 5e-8, which is less than the
    # last digit of the result.
    return np.asarray(raw, dtype=np.float64) * float(series.conversion) + float(series.offset)


def _stretches(mask):
    """Start and end (exclusive) of each run of True values, ndarray of shape (k, 2)."""
    return np.flatnonzero(np.diff(np.concatenate([[0], mask.astype(np.int8), [0]]))).reshape(-1, 2)


def _end_of_recording(missing, least):
    """Start of the first run of missing values that has at least `least` samples or is at the end of the sweep."""
    runs = _stretches(missing)
    starts = runs[(np.ptp(runs, axis=1) >= least) | (runs[:, 1] == len(missing)), 0]
    return int(starts[0]) if len(starts) else len(missing)


def check_scale(quantity, value):
    """Reject a value that is implausible for a recording, for example because of a wrong unit or conversion."""
    low, high, unit = PLAUSIBLE[quantity]
    if not low <= value <= high:
        raise ValueError(
            f"{quantity}: {value:.4g} {unit}, expected {low:g} to {high:g}; wrong unit or conversion?"
        )


@cache
def _protocols():
    """Kind of each stimulus name in IPFX: one of the protocols, or "other" (such as a search, a chirp or noise)."""
    ontology, known = StimulusOntology.default(), {}
    kinds = {kind: getattr(ontology, f"{kind}_names") for kind in PROTOCOLS}
    for stimulus in ontology.stimuli:
        names = stimulus.tags("name", flat=True)[1:]
        if "Unknown" not in names:
            kind = next(
                (kind for kind, listed in kinds.items() if set(names) & set(listed)), "other"
            )
            known |= dict.fromkeys((*names, *stimulus.tags("code", flat=True)[1:]), kind)
    return known


def named_protocol(stimulus_name):
    """Kind of stimulus for a name such as ``"X4PS_SupraThresh_DA_0"`` or ``"Long Square"``; None if unknown."""
    return _protocols().get(re.sub(r"_DA_\d+$", "", stimulus_name).split("[")[0])


def stimulus_of(current, rate):
    """Recognise the stimulus in a current of shape (n,), in any unit; a test pulse before the stimulus is ignored."""
    other = Stimulus("other", 0, 0.0, 0.0)
    if len(current) < 2:
        return other
    size = current - np.median(current[: max(round(_BASELINE * rate), 1)])
    noise = 1.05 * np.median(np.abs(np.diff(size)))  # SD of the noise, if it is white
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
        kind = next(
            (kind for kind, (least, most) in _SQUARES.items() if least <= length <= most), "square"
        )
        return Stimulus(kind, start, length, level)
    slope, intercept = np.polyfit(np.arange(end - start), part, 1)
    rest = part - intercept - slope * np.arange(end - start)
    if length >= RAMP and slope > 0 and rest.std() <= 0.02 * np.ptp(part) + noise:
        onset = max(start + round(-intercept / slope), 0)
        return Stimulus("ramp", onset, (end - onset) / rate, float(part.max()))
    return other


def _runs(active, rate):
    """Start and end of each period with a current; short gaps are bridged, and short pulses are ignored."""
    runs = []
    for start, end in _stretches(active).tolist():
        if runs and start - runs[-1][1] < _GAP * rate:
            start = runs.pop()[0]
        runs.append((start, end))
    return [(start, end) for start, end in runs if end - start >= _BLIP * rate]


def _without_test_pulse(runs, size, rate):
    """Drop a short first pulse, unless the next pulse is similar, as in a train."""
    if len(runs) < 2:
        return runs
    (start, end), (next_start, next_end) = runs[:2]
    levels = [np.median(size[a:b]) for a, b in runs[:2]]
    alike = np.isclose(*levels, rtol=0.05) and np.isclose(
        end - start, next_end - next_start, rtol=0.1
    )
    early = end < _TEST_PULSE[0] * rate and end - start <= _TEST_PULSE[1] * rate
    return runs[1:] if early and not alike else runs


def sweeps_of(nwb):
    """Dict of protocol to cut sweeps, in the order of the experiment, and notes on sweeps that were
    left out.

    A stimulus is recognised by the shape of its current. A sweep is left out if its stimulus has a
    known name that does not agree with this shape.
    """
    recorded, notes = stored_sweeps(nwb)
    found = []
    for stored in recorded:
        named = named_protocol(stored.stimulus_name)
        if named == "other":
            continue
        stimulus = stimulus_of(stored.current(), stored.rate)
        if named is not None and named != stimulus.kind:
            shape = f"{stimulus.kind} of {1000 * stimulus.length:.4g} ms"
            notes.append(
                f"sweep {stored.number} is called {stored.stimulus_name!r}, but its current is: {shape}"
            )
        elif stimulus.kind in PROTOCOLS:
            found.append((stored, stimulus, stored.voltage()))
    rest = [_at_rest(*sweep) for sweep in found]
    if not np.isnan(rest).all():
        check_scale("voltage before the stimuli", float(np.nanmedian(rest)))
    squares = [abs(stimulus.amplitude) for _, stimulus, _ in found if stimulus.kind != "ramp"]
    if squares:
        check_scale("largest square current", max(squares))
    sweeps, faults = {kind: [] for kind in PROTOCOLS}, Counter()
    for stored, stimulus, voltage in found:
        cut = _cut(stored, stimulus, voltage)
        if isinstance(cut, CutSweep):
            sweeps[stimulus.kind].append(cut)
        else:
            faults[f"{stimulus.kind.replace('_', ' ')} sweeps left out ({cut})"] += 1
    return sweeps, notes + [f"{fault}: {count}" for fault, count in sorted(faults.items())]


def _at_rest(stored, stimulus, voltage):
    """Voltage just before a stimulus; NaN if nothing was recorded there."""
    before = voltage[max(stimulus.onset - round(_REST * stored.rate), 0) : stimulus.onset]
    return float(np.median(before)) if len(before) else np.nan


def _cut(stored, stimulus, voltage):
    """The sweep cut around its stimulus, or the reason why the sweep cannot be used."""
    kind, rate, ratio = (
        stimulus.kind,
        stored.rate,
        Fraction(RATE / stored.rate).limit_denominator(1000),
    )
    if abs(float(ratio) * rate / RATE - 1) > 1e-6:
        return f"the rate of {rate:g} Hz has no simple ratio to {RATE} Hz"
    low, high, _ = PLAUSIBLE["voltage before the stimuli"]
    if not low <= _at_rest(stored, stimulus, voltage) <= high:
        return "no resting voltage before the stimulus"
    end = stimulus.onset + round(_LENGTH.get(kind, 0) * rate)
    (least_before, before), (least_after, after) = _BEFORE[kind], _AFTER[kind]
    # The onset must be a sample at both rates: old sample k * denominator becomes new sample k *
    # numerator.
    steps = min(ceil(before * rate / ratio.denominator - 1e-6), stimulus.onset // ratio.denominator)
    if steps * ratio.numerator < least_before * RATE:
        return f"less than {1000 * least_before:g} ms recorded before the stimulus"
    if kind != "ramp" and len(voltage) - end < least_after * rate:
        return f"less than {1000 * least_after:g} ms recorded after the stimulus"
    v = voltage[
        stimulus.onset - steps * ratio.denominator : None
        if kind == "ramp"
        else end + round(after * rate)
    ]
    v = v if ratio == 1 else resample_poly(v, ratio.numerator, ratio.denominator, padtype="line")
    t = (np.arange(len(v)) - steps * ratio.numerator) / RATE
    if kind == "ramp":
        amplitude = stimulus.amplitude
        i = np.clip(t / stimulus.length, 0, None) * amplitude
    else:
        amplitude = float(np.rint(stimulus.amplitude))
        i = np.where((t >= 0) & (t < _LENGTH[kind]), amplitude, 0.0)
    return CutSweep(stored.number, amplitude, t, np.ascontiguousarray(v), i)
