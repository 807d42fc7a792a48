"""Find the sweeps of an NWB file, and cut each of them around its stimulus."""

import re
from collections import Counter, defaultdict
from fractions import Fraction
from functools import cache
from math import ceil
from operator import attrgetter
from typing import NamedTuple

import numpy as np
from ipfx.stimulus import StimulusOntology
from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries, IZeroClampSeries
from scipy.ndimage import median_filter
from scipy.signal import resample_poly

from sbnn.ephys_types.traces.vectors import PROTOCOLS, RAMP, RATE, SQUARES, STEP_MARGIN

# in s
_FILL = 0.005  # more zeros mean that a sweep was stopped: real voltages are 0 for single samples
_TEST_PULSE_END = 0.4  # at the latest
_TEST_PULSE = 0.1  # at most
_BASELINE = 0.005  # before any stimulus
_GAP = 0.002  # shorter gaps in a stimulus are bridged
_BLIP = 0.0003  # shorter pulses are ignored
_REST = 0.01  # before the onset


class Window(NamedTuple):
    """Seconds that are needed and used around a stimulus."""

    length: float  # of the stimulus
    needed_before: float
    before: float
    needed_after: float
    after: float


_WINDOWS = {
    "short_square": Window(0.003, 0.02, 0.02, 0.06, 0.1),
    "long_square": Window(1.0, STEP_MARGIN, STEP_MARGIN, STEP_MARGIN, STEP_MARGIN + 0.05),
    "ramp": Window(0.0, 0.02, 0.1, 0.0, np.inf),  # used up to the end of the sweep
}
PLAUSIBLE = {
    "voltage before the stimuli": (-120.0, -10.0, "mV"),
    "largest square current": (3.0, 20_000.0, "pA"),
}


class StoredSweep(NamedTuple):
    """A sweep in an open file."""

    number: int
    stimulus_name: str  # as in X4PS_SupraThresh_DA_0
    rate: float
    response: object  # series of pynwb
    stimulus: object

    def current(self):
        """Stimulus (pA) up to the first NaN, ndarray of shape (n,)."""
        current = _values(self.stimulus, self.stimulus.data[:]) * 1e12
        return current[: _end_of_recording(np.isnan(current), 1)]

    def voltage(self):
        """Response (mV) up to where recording stopped, ndarray of shape (n,)."""
        raw = np.asarray(self.response.data[:])
        missing = (raw == 0) | np.isnan(raw)
        end = _end_of_recording(missing, round(_FILL * self.rate))
        return _values(self.response, raw[:end]) * 1e3


class Stimulus(NamedTuple):
    """The shape of a current."""

    kind: str  # "short_square", "long_square", "ramp", "square" (of another length) or "other"
    onset: int  # of a ramp where it leaves the baseline
    length: float  # s
    amplitude: float  # of a ramp its peak, relative to the start of the sweep


_OTHER = Stimulus("other", 0, 0.0, 0.0)


class CutSweep(NamedTuple):
    """A sweep cut around its stimulus and sampled at `RATE`; arrays have shape (n,)."""

    number: int
    amplitude: float
    t: np.ndarray  # from onset, s
    v: np.ndarray  # mV
    i: np.ndarray  # idealised, pA


def stored_sweeps(nwb):
    """Current-clamp sweeps in the order of the experiment, and notes on others."""
    responses = []
    for series in nwb.acquisition.values():
        if isinstance(series, CurrentClampSeries) and not isinstance(series, IZeroClampSeries):
            responses.append(series)
    if not responses:
        raise ValueError("the file contains no current-clamp sweep")
    stimuli = _stimuli(nwb, responses)
    sweeps = []
    notes = []
    for place, response in enumerate(responses):
        stimulus = stimuli.get(response.object_id)
        if stimulus is None:
            notes.append(f"sweep {response.name} has no stimulus")
            continue
        rates = np.array([response.rate, stimulus.rate], dtype=float)  # NaN if there is none
        if not np.isclose(*rates, rtol=1e-6):
            notes.append(f"sweep {response.name} and its stimulus are sampled at {rates} Hz")
            continue
        number = place if response.sweep_number is None else int(response.sweep_number)
        name = response.stimulus_description or stimulus.stimulus_description or ""
        sweeps.append(StoredSweep(number, name, float(rates[0]), response, stimulus))
    return sorted(sweeps, key=attrgetter("number")), notes


def _stimuli(nwb, responses):
    """Stimuli by identifier of their response.

    Both share a sweep number and an electrode, as in the DANDI files, or else a row of the table of
    recordings.
    """
    by_number = defaultdict(list)
    for stimulus in nwb.stimulus.values():
        if isinstance(stimulus, CurrentClampStimulusSeries) and stimulus.sweep_number is not None:
            by_number[stimulus.sweep_number, stimulus.electrode.name].append(stimulus)
    stimuli = _stimuli_in_table(nwb.intracellular_recordings)
    for response in responses:
        found = by_number[response.sweep_number, response.electrode.name]
        if len(found) == 1:  # otherwise the number is ambiguous
            stimuli[response.object_id] = found[0]
    return stimuli


def _stimuli_in_table(recordings):
    stimuli = {}
    for row in range(0 if recordings is None else len(recordings)):
        response = recordings["responses"]["response"][row]
        stimulus = recordings["stimuli"]["stimulus"][row]
        if min(response.idx_start, stimulus.idx_start) >= 0:  # -1 marks a missing series
            stimuli[response.timeseries.object_id] = stimulus.timeseries
    return stimuli


def _values(series, raw):
    """Stored numbers in volts or amperes."""
    return np.asarray(raw, dtype=np.float64) * float(series.conversion) + float(series.offset)


def _stretches(mask):
    """Start and end (exclusive) of runs of True, ndarray of shape (k, 2)."""
    padded = np.concatenate([[0], mask.astype(np.int8), [0]])
    changes = np.flatnonzero(np.diff(padded))
    return changes.reshape(-1, 2)


def _end_of_recording(missing, least):
    """Start of the first run of `least` missing values, or of those at the end."""
    for start, end in _stretches(missing):
        if end - start >= least or end == len(missing):
            return int(start)
    return len(missing)


def check_scale(quantity, value):
    """Reject implausible values."""
    low, high, unit = PLAUSIBLE[quantity]
    if value < low or value > high:
        raise ValueError(
            f"{quantity}: {value:.4g} {unit}, expected {low:g} to {high:g}; wrong unit?"
        )


@cache
def named_protocol(stimulus_name):
    """Protocol that a name such as ``"X4PS_SupraThresh_DA_0"`` has in IPFX.

    It is "other" for further protocols (such as a search), and None for unknown names.
    """
    name = re.sub(r"_DA_\d+$", "", stimulus_name).split("[")[0]
    ontology = StimulusOntology.default()
    for stimulus in ontology.stimuli:
        if stimulus.has_tag(name) and not stimulus.has_tag("Unknown"):
            for protocol in PROTOCOLS:
                if any(map(stimulus.has_tag, getattr(ontology, f"{protocol}_names"))):
                    return protocol
            return "other"
    return None


def stimulus_of(current, rate):
    """Recognise the stimulus in a current, of shape (n,), in any unit."""
    if len(current) < 2:
        return _OTHER
    baseline = np.median(current[: round(_BASELINE * rate)])
    size = current - baseline
    noise = 1.05 * np.median(np.abs(np.diff(size)))  # SD, if it is white
    if noise > 0:
        size = median_filter(size, 2 * round(0.00015 * rate) + 1, mode="nearest")
    peak = np.abs(size).max()
    if peak <= 6 * noise:
        return _OTHER
    active = np.abs(size) > max(0.01 * peak, 4 * noise)
    runs = _without_test_pulse(_runs(active, rate), size, rate)
    if len(runs) != 1:
        return _OTHER
    start, end = runs[0]
    part = size[start:end]
    level = _constant_level(part, noise)
    if level is None:
        return _ramp_or_other(part, start, noise, rate)
    length = len(part) / rate
    return Stimulus(_square_of(length), start, length, level)


def _constant_level(part, noise):
    margin = len(part) // 10
    inner = part[margin : len(part) - margin]
    level = float(np.median(inner))
    low, high = np.percentile(inner, [5, 95])
    return level if high - low <= 0.05 * abs(level) + 6 * noise else None


def _ramp_or_other(part, start, noise, rate):
    place = np.arange(len(part))
    slope, intercept = np.polyfit(place, part, 1)
    rest = part - intercept - slope * place
    if len(part) / rate < RAMP or slope <= 0 or rest.std() > 0.02 * np.ptp(part) + noise:
        return _OTHER
    # the line is 0 at the onset, before the current exceeds the threshold
    onset = max(start + round(-intercept / slope), 0)
    end = start + len(part)
    return Stimulus("ramp", onset, (end - onset) / rate, float(part.max()))


def _square_of(length):
    for kind, (shortest, longest) in SQUARES.items():
        if shortest <= length <= longest:
            return kind
    return "square"


def _runs(active, rate):
    runs = []
    for start, end in _stretches(active).tolist():
        if runs and start - runs[-1][1] < _GAP * rate:
            start, _ = runs.pop()
        runs.append((start, end))
    return [(start, end) for start, end in runs if end - start >= _BLIP * rate]


def _without_test_pulse(runs, size, rate):
    """Drop a short first pulse, unless the next one is alike, as in a train."""
    if len(runs) < 2:
        return runs
    (start, end), (next_start, next_end) = runs[:2]
    level = np.median(size[start:end])
    next_level = np.median(size[next_start:next_end])
    as_long = np.isclose(end - start, next_end - next_start, rtol=0.1)
    alike = as_long and np.isclose(level, next_level, rtol=0.05)
    early = end < _TEST_PULSE_END * rate and end - start <= _TEST_PULSE * rate
    return runs[1:] if early and not alike else runs


def sweeps_of(nwb):
    """Cut sweeps by protocol, in the order of the experiment, and notes on other sweeps."""
    found, notes = _recognised(nwb)
    # wrong units are an error of the whole file
    _check_scales(found)
    sweeps = {kind: [] for kind in PROTOCOLS}
    faults = Counter()
    for stored, stimulus, voltage in found:
        try:
            sweeps[stimulus.kind].append(_cut(stored, stimulus, voltage))
        except UnusableSweep as fault:
            faults[f"{stimulus.kind.replace('_', ' ')} sweeps left out ({fault})"] += 1
    return sweeps, notes + [f"{fault}: {count}" for fault, count in sorted(faults.items())]


def _recognised(nwb):
    """Stored sweep, stimulus and voltage of each sweep of a protocol, and notes on others.

    Stimuli are recognised by shape; a known name must agree.
    """
    recorded, notes = stored_sweeps(nwb)
    found = []
    for stored in recorded:
        named = named_protocol(stored.stimulus_name)
        if named == "other":
            continue
        stimulus = stimulus_of(stored.current(), stored.rate)
        if named not in (None, stimulus.kind):
            notes.append(
                f"sweep {stored.number} is called {stored.stimulus_name!r}, but its current is: "
                f"{stimulus.kind} of {1000 * stimulus.length:.4g} ms"
            )
        elif stimulus.kind in PROTOCOLS:
            found.append((stored, stimulus, stored.voltage()))
    return found, notes


class UnusableSweep(ValueError):
    """A sweep that cannot be cut around its stimulus."""


def _check_scales(found):
    rest = [_at_rest(*sweep) for sweep in found]
    check_scale("voltage before the stimuli", np.nanmedian(rest))
    squares = [abs(stimulus.amplitude) for _, stimulus, _ in found if stimulus.kind != "ramp"]
    check_scale("largest square current", max(squares, default=np.nan))


def _at_rest(stored, stimulus, voltage):
    """Voltage just before a stimulus; NaN without a recording."""
    start = max(stimulus.onset - round(_REST * stored.rate), 0)
    return np.median(voltage[start : stimulus.onset])


def _cut(stored, stimulus, voltage):
    rate = stored.rate
    onset = stimulus.onset
    window = _WINDOWS[stimulus.kind]
    ratio = _resampling_ratio(rate)
    low, high, _ = PLAUSIBLE["voltage before the stimuli"]
    if not low <= _at_rest(stored, stimulus, voltage) <= high:
        raise UnusableSweep("no resting voltage before the stimulus")
    # `n_old` stored samples become `n_new`; the onset must be a sample at both rates
    n_old = ratio.denominator
    n_new = ratio.numerator
    steps = min(ceil(window.before * rate / n_old - 1e-6), onset // n_old)
    n_before = steps * n_new
    if n_before < window.needed_before * RATE:
        raise UnusableSweep(f"less than {window.needed_before:g} s recorded before the stimulus")
    stop = onset + round(window.length * rate)
    if len(voltage) - stop < window.needed_after * rate:
        raise UnusableSweep(f"less than {window.needed_after:g} s recorded after the stimulus")
    end = min(stop + window.after * rate, len(voltage))
    v = voltage[onset - steps * n_old : round(end)]
    if ratio != 1:
        v = resample_poly(v, n_new, n_old, padtype="line")
    t = (np.arange(len(v)) - n_before) / RATE
    amplitude = stimulus.amplitude
    if stimulus.kind == "ramp":
        i = np.clip(t / stimulus.length, 0, None) * amplitude
    else:
        # sweeps of a step are grouped by amplitude, without noise
        amplitude = float(np.rint(amplitude))
        i = np.where((t >= 0) & (t < window.length), amplitude, 0.0)
    if not i.any():  # a square of less than half a pA, or a voltage that ends where a ramp begins
        raise UnusableSweep("no current while the voltage was recorded")
    return CutSweep(stored.number, amplitude, t, np.ascontiguousarray(v), i)


def _resampling_ratio(rate):
    """`RATE` divided by the stored rate, as a fraction of small numbers."""
    ratio = Fraction(RATE / rate).limit_denominator(1000)
    if abs(float(ratio) * rate / RATE - 1) > 1e-6:
        raise UnusableSweep(f"the rate of {rate:g} Hz has no simple ratio to {RATE} Hz")
    return ratio
