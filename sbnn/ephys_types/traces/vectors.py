"""Compute the twelve families of vectors of a cell from its sweeps, with IPFX.

Vectors follow Gouwens et al., Cell 183, 935 (2020); sweeps, bins and tolerances, Schwider and
Ramezani (arXiv 2603.11000).
"""

from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from ipfx import data_set_features as dsf
from ipfx import feature_vectors as fv
from ipfx.error import FeatureError
from ipfx.stimulus import StimulusType
from ipfx.sweep import Sweep, SweepSet

from sbnn.data.fingerprint import fingerprint_parameters

#: Samples per second to which traces are resampled.
RATE = 50_000
#: Lengths, in seconds, of square stimuli.
SQUARES = {"short_square": (0.0025, 0.0035), "long_square": (0.995, 1.005)}
#: Shortest ramp, in seconds.
RAMP = 0.1

AP_WINDOW = 0.003  # in s, from the threshold of the spike
BIN_MS = 20  # for spike features
LEVELS, LEVEL_TOLERANCE = (0, 40, 80), 5  # pA over rheobase
STEPS, STEP_TOLERANCE = (-30, -50, -90), 5  # pA
NORM_STEP = -110  # pA
STEP_BIN, STEP_MARGIN = 0.010, 0.2  # s
ISI_POINTS = 100
#: Lowest peak, in mV, that counts as a spike in a long square.
MIN_PEAK = -25
#: Incremented whenever the same recording gives other vectors.
FORMAT = 1

PROTOCOLS = ("short_square", "long_square", "ramp")
_AP = round(AP_WINDOW * RATE)
#: Size and unit of each family, in the order of the columns.
TABLE = pd.read_csv(Path(__file__).with_name("vectors.csv"), keep_default_na=False)
VECTORS = tuple(map(tuple, TABLE.to_numpy().tolist()))
SIZES = dict(zip(TABLE["family"], TABLE["size"], strict=True))
_END = 1.0  # in s, end of a long square; all stimuli begin at 0
# for the detection of spikes, besides those of IPFX; `end`, in s, is where the search ends
OPTIONS = {
    "short_square": {
        "end": 0.053,
        "est_window": [0.0, 0.001],
        "reject_at_stim_start_interval": 0.0002,
    },
    "long_square": {"end": _END, "min_peak": MIN_PEAK},
    "ramp": {},
}
#: Raised by IPFX for sweeps that it cannot analyse.
_FAULTS = (ArithmeticError, AssertionError, FeatureError, LookupError, TypeError, ValueError)


def trace_families():
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Parts of a family, in order: short square, long square and ramp (``first_ap_v``,
    ``first_ap_dv``); sweeps at rheobase and 40 and 80 pA above it (spike features, ``inst_freq``,
    ``psth``); steps of -30, -50 and -90 pA (``step_subthresh``).
    """
    return {name: [f"{name}_{i}" for i in range(size)] for name, size in SIZES.items()}


def trace_units():
    """Unit of each column, ``""`` if it has none."""
    return {f"{name}_{i}": unit for name, size, unit in VECTORS for i in range(size)}


def joined(vectors):
    """Vectors of a cell, ndarray of shape (2607,), NaN for missing families."""
    return np.concatenate([vectors.get(name, np.full(n, np.nan)) for name, n in SIZES.items()])


def settings_fingerprint():
    """Fingerprint of what determines the vectors of a recording."""
    return fingerprint_parameters({"format": FORMAT, "ipfx": version("ipfx")})


class Analysed(NamedTuple):
    """Sweeps of one protocol, their spikes, and a table of the sweeps."""

    sweeps: list
    spikes: list
    table: pd.DataFrame


def vectors_of(sweeps):
    """Vectors of a cell from its cut sweeps by protocol, and notes on what is left out.

    In ``first_ap_v`` and ``first_ap_dv``, parts of protocols without a spike are NaN.
    """
    notes = []
    analysed = {kind: _analyse(kind, sweeps[kind], notes) for kind in PROTOCOLS}
    vectors = _first_spikes(analysed, notes)
    squares = analysed["long_square"]
    ways = {}
    if squares.sweeps:
        ways = _of_spike_trains(squares, notes) | _of_steps(squares, notes)
    for family, function in ways.items():
        try:
            vector = np.asarray(function(), dtype=np.float64)
        except _FAULTS as error:
            notes.append(f"{family}: {_reason(error)}")
            continue
        if vector.shape == (SIZES[family],) and np.isfinite(vector).all():
            vectors[family] = vector
        else:
            notes.append(f"{family}: IPFX does not give {SIZES[family]} finite values")
    return vectors, notes


def _analyse(kind, cut, notes):
    if not cut:
        notes.append(f"no {kind.replace('_', ' ')} sweep")
        return Analysed([], [], pd.DataFrame(columns=["avg_rate", "stim_amp"]))
    options = dsf.detection_parameters(StimulusType(kind)) | OPTIONS[kind]
    extra = ["peak_deflect", "v_baseline"] if kind == "long_square" else []
    made = [_ipfx_sweep(sweep) for sweep in cut]
    finder, train = dsf.extractors_for_sweeps(SweepSet(made), start=0.0, **options)
    sweeps = []
    spikes = []
    rows = []
    for source, sweep in zip(cut, made, strict=True):
        trace = sweep.t, sweep.v, sweep.i
        try:
            found = finder.process(*trace)
            row = train.process(*trace, found, extra, exclude_clipped=kind == "short_square")
        except _FAULTS as error:
            notes.append(f"sweep {source.number}: IPFX cannot analyse it ({_reason(error)})")
            continue
        sweeps.append(sweep)
        spikes.append(found)
        rows.append(row | {"stim_amp": source.amplitude})
    return Analysed(sweeps, spikes, pd.DataFrame(rows))


def _ipfx_sweep(cut):
    whole = (0, len(cut.t) - 1)
    onset = int(np.flatnonzero(cut.t >= 0)[0])
    end = int(np.flatnonzero(cut.i)[-1])
    epochs = dict.fromkeys(("sweep", "recording", "experiment"), whole)
    epochs |= {"test": None, "stim": (onset, end)}
    return Sweep(cut.t, cut.v, cut.i, "CurrentClamp", float(RATE), cut.number, epochs)


def _first_spikes(analysed, notes):
    """Voltage of the first spike in each protocol, and its differences."""
    voltages = []
    differences = []
    for kind in PROTOCOLS:
        sweeps, spikes, table = analysed[kind]
        chosen = []
        for k in _sweeps_for_first_spike(kind, table):
            first = spikes[k].iloc[0]
            if first["threshold_index"] + _AP <= len(sweeps[k].v) and not first["clipped"]:
                chosen.append(k)
        v = np.full(_AP, np.nan)
        dv = np.full(_AP - 1, np.nan)
        if chosen:
            of_sweeps = [sweeps[k] for k in chosen]
            of_spikes = [spikes[k] for k in chosen]
            v, dv = fv.first_ap_vectors(of_sweeps, of_spikes, RATE, AP_WINDOW)
        elif sweeps:
            notes.append(f"no complete spike in a {kind.replace('_', ' ')} sweep")
        voltages.append(v)
        differences.append(dv)
    v = np.concatenate(voltages)
    if np.isnan(v).all():
        return {}
    return {"first_ap_v": v, "first_ap_dv": np.concatenate(differences)}


def _sweeps_for_first_spike(kind, table):
    """Positions of the sweeps with the first spike.

    Long squares: at rheobase; short squares: at the amplitude with the most spiking sweeps.
    """
    spiking = _spiking(table)
    if kind == "long_square" and len(spiking):
        return [int(spiking["stim_amp"].idxmin())]
    if kind == "short_square" and len(spiking):
        often = spiking.groupby("stim_amp").size().idxmax()  # ties go to the lowest amplitude
        spiking = spiking[spiking["stim_amp"] == often]
    return spiking.index.tolist()


def _spiking(table):
    return table[(table["avg_rate"] > 0) & (table["stim_amp"] > 0)]


def _of_spike_trains(squares, notes):
    table = squares.table
    spiking = _spiking(table)
    if spiking.empty:
        notes.append("no long square evokes a spike")
        return {}
    features = {
        "sweeps": table,
        "spikes_set": squares.spikes,
        "spiking_sweeps": spiking,
        "rheobase_i": spiking["stim_amp"].min(),
    }

    def isi_shape():
        chosen = fv.identify_sweep_for_isi_shape(SweepSet(squares.sweeps), features, _END)
        return fv.isi_shape(*chosen, _END, n_points=ISI_POINTS)

    ways = {"isi_shape": isi_shape}
    try:
        levels = fv.identify_suprathreshold_spike_info(
            features, np.array(LEVELS), amp_tolerance=LEVEL_TOLERANCE
        )
    except _FAULTS as error:
        reason = _reason(error)
        notes.append(f"spike features need sweeps at two of rheobase + {LEVELS} pA ({reason})")
        return ways
    for level, spikes in zip(LEVELS, levels, strict=True):
        if spikes is None:
            notes.append(f"no sweep at rheobase +{level} pA; IPFX fills in neighbouring sweeps")
    span = levels, 0.0, _END, BIN_MS
    ways["inst_freq"] = partial(fv.inst_freq_vector, *span)
    ways["psth"] = partial(fv.psth_vector, *span)
    for family in SIZES:
        if family.startswith("spiking_"):
            feature = family.removeprefix("spiking_")
            ways[family] = partial(fv.spike_feature_vector, feature, *span)
    return ways


def _of_steps(squares, notes):
    table = squares.table
    features = {"subthreshold_sweeps": table[table["avg_rate"] == 0]}
    steps, deflections = fv.identify_subthreshold_hyperpol_with_amplitudes(
        features, SweepSet(squares.sweeps)
    )
    if not steps:
        notes.append("no hyperpolarising long square")
        return {}
    for step in STEPS:
        if np.abs(np.array(list(steps)) - step).min() > STEP_TOLERANCE:
            notes.append(f"no step at {step} pA; IPFX scales the responses to other steps")
    bins = {"extend_duration": STEP_MARGIN, "subsample_interval": STEP_BIN}
    span = (0.0, _END)
    subthresh = partial(
        fv.step_subthreshold, steps, STEPS, *span, amp_tolerance=STEP_TOLERANCE, **bins
    )
    norm = partial(fv.subthresh_norm, steps, deflections, *span, target_amp=NORM_STEP, **bins)
    return {"step_subthresh": subthresh, "subthresh_norm": norm}


def _reason(error):
    return str(error) or type(error).__name__
