"""Compute the twelve families of vectors of a cell from its sweeps, with IPFX; missing families are
NaN.

The vectors follow Gouwens et al., Cell 183, 935 (2020), with the sweeps, bins and tolerances of
Schwider and Ramezani (arXiv 2603.11000).
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

#: Samples per second of all analysed traces; recordings with another rate are resampled.
RATE = 50_000
#: Ranges of length, in seconds, by which square stimuli are recognised.
SHORT_SQUARE, LONG_SQUARE = (0.0025, 0.0035), (0.995, 1.005)
#: Minimum length of a ramp in seconds.
RAMP = 0.1

AP_WINDOW = 0.003  # in s, from the threshold of the spike
BIN_MS = 20  # width of the bins for spike features
LEVELS, LEVEL_TOLERANCE = (0, 40, 80), 5  # pA over rheobase
STEPS, STEP_TOLERANCE = (-30, -50, -90), 5  # pA
NORM_STEP = -110  # pA
STEP_BIN, STEP_MARGIN = 0.010, 0.2  # s
ISI_POINTS = 100
#: Lowest peak, in mV, that counts as a spike in a long square.
MIN_PEAK = -25
#: Incremented whenever a change of the code gives different vectors for the same recording.
FORMAT = 1

PROTOCOLS = ("short_square", "long_square", "ramp")
_AP = round(AP_WINDOW * RATE)
#: Name, number of values and unit of each family, in the order of the columns.
TABLE = pd.read_csv(Path(__file__).with_name("vectors.csv"), keep_default_na=False)
VECTORS = tuple(map(tuple, TABLE.to_numpy().tolist()))
_END = 1.0  # in s, end of a long square; all stimuli begin at 0
_AFTER_SHORT = 0.053  # in s, end of the search for the spike of a short square
#: Errors that IPFX raises for sweeps that it cannot analyse.
_FAULTS = (ArithmeticError, AssertionError, FeatureError, LookupError, TypeError, ValueError)


def trace_families():
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Some families have several parts, ordered as follows. ``first_ap_v`` and ``first_ap_dv`` have
    parts for the short square, the long square and the ramp. The spike features, ``inst_freq`` and
    ``psth`` have parts for the sweeps at rheobase and at 40 and 80 pA above rheobase.
    ``step_subthresh`` has parts for the steps of -30, -50 and -90 pA.
    """
    return {name: [f"{name}_{i}" for i in range(size)] for name, size, _ in VECTORS}


def trace_units():
    """Dict of column to unit, which is ``""`` for columns without a unit."""
    return {f"{name}_{i}": unit for name, size, unit in VECTORS for i in range(size)}


def joined(vectors):
    """Concatenated vectors of a cell, ndarray of shape (2607,); NaN for missing families."""
    return np.concatenate([vectors.get(name, np.full(size, np.nan)) for name, size, _ in VECTORS])


def settings_fingerprint():
    """Fingerprint of the settings that determine the vectors: constants of this module and the version of IPFX."""
    settings = {"format": FORMAT, "ipfx": version("ipfx"), "vectors": VECTORS, "rate": RATE}
    settings["stimuli"] = [SHORT_SQUARE, LONG_SQUARE, RAMP]
    settings["levels"] = [LEVELS, LEVEL_TOLERANCE, STEPS, STEP_TOLERANCE, NORM_STEP]
    settings["bins"] = [AP_WINDOW, BIN_MS, STEP_BIN, STEP_MARGIN, ISI_POINTS, MIN_PEAK]
    return fingerprint_parameters(settings)


class Analysed(NamedTuple):
    """Sweeps of one protocol, their spikes, and a table with the rate and the amplitude of each
    sweep.

    For long squares, the table also has the peak deflection and the baseline voltage.
    """

    sweeps: list
    spikes: list
    table: pd.DataFrame


def vectors_of(sweeps):
    """Vectors of a cell, computed from a dict of protocol to cut sweeps, and notes on missing or
    filled-in values.

    A family that cannot be computed, is not finite or has the wrong size is left out. In
    ``first_ap_v`` and ``first_ap_dv``, the parts of protocols without a spike are NaN.
    """
    notes = []
    analysed = {kind: _analyse(kind, sweeps[kind], notes) for kind in PROTOCOLS}
    vectors, ways = _first_spikes(analysed, notes), {}
    if len(analysed["long_square"].sweeps):
        ways = _of_spike_trains(analysed["long_square"], notes) | _of_steps(
            analysed["long_square"], notes
        )
    for family, size, _ in VECTORS:
        if family in ways:
            try:
                vector = np.asarray(ways[family](), dtype=np.float64)
            except _FAULTS as error:
                notes.append(f"{family}: {_reason(error)}")
                continue
            if vector.shape == (size,) and np.isfinite(vector).all():
                vectors[family] = vector
            else:
                notes.append(
                    f"{family}: IPFX gives {np.isfinite(vector).sum()} finite values, expected {size}"
                )
    return vectors, notes


def _analyse(kind, cut, notes):
    """Find the spikes of each sweep; a sweep on which IPFX fails is left out."""
    sweeps, spikes, rows = [], [], []
    if not cut:
        notes.append(f"no {kind.replace('_', ' ')} sweep")
        return Analysed(sweeps, spikes, pd.DataFrame(columns=["avg_rate", "stim_amp"]))
    made = []
    for sweep in cut:
        last = len(sweep.t) - 1
        onset = int(np.flatnonzero(sweep.t >= 0)[0])
        epochs = {"test": None, "sweep": (0, last), "recording": (0, last), "experiment": (0, last)}
        epochs["stim"] = (onset, int(np.flatnonzero(sweep.i)[-1]))
        made.append(
            Sweep(sweep.t, sweep.v, sweep.i, "CurrentClamp", float(RATE), sweep.number, epochs)
        )
    options = dsf.detection_parameters(StimulusType(kind)).copy() | {"start": 0.0}
    if kind == "long_square":
        options |= {"end": _END, "min_peak": MIN_PEAK}
    elif kind == "short_square":
        options |= {
            "end": _AFTER_SHORT,
            "est_window": [0.0, 0.001],
            "reject_at_stim_start_interval": 0.0002,
        }
    finder, train = dsf.extractors_for_sweeps(SweepSet(made), **options)
    extra = ["peak_deflect", "v_baseline"] if kind == "long_square" else []
    for source, sweep in zip(cut, made, strict=True):
        try:
            of_sweep = finder.process(sweep.t, sweep.v, sweep.i)
            row = train.process(
                sweep.t, sweep.v, sweep.i, of_sweep, extra, exclude_clipped=kind == "short_square"
            )
        except _FAULTS as error:
            notes.append(f"sweep {source.number}: IPFX cannot analyse it ({_reason(error)})")
            continue
        sweeps.append(sweep)
        spikes.append(of_sweep)
        rows.append(row | {"stim_amp": source.amplitude})
    return Analysed(sweeps, spikes, pd.DataFrame(rows))


def _first_spikes(analysed, notes):
    """Voltage of the first action potential in each protocol, and differences between successive samples."""
    blocks = []
    for kind in PROTOCOLS:
        sweeps, spikes, table = analysed[kind]
        chosen = []
        for k in _sweeps_for_first_spike(kind, table):
            first = spikes[k].iloc[0]
            if first["threshold_index"] + _AP <= len(sweeps[k].v) and not first["clipped"]:
                chosen.append(k)
        blocks.append((np.full(_AP, np.nan), np.full(_AP - 1, np.nan)))
        if chosen:
            blocks[-1] = fv.first_ap_vectors(
                [sweeps[k] for k in chosen], [spikes[k] for k in chosen], RATE, AP_WINDOW
            )
        elif len(sweeps):
            notes.append(f"no complete spike in a {kind.replace('_', ' ')} sweep")
    v, dv = map(np.concatenate, zip(*blocks, strict=True))
    return {} if np.isnan(v).all() else {"first_ap_v": v, "first_ap_dv": dv}


def _sweeps_for_first_spike(kind, table):
    """Positions of the sweeps from which the first spike is taken.

    These are the long square at rheobase, the short squares at the amplitude with the most spiking
    sweeps, or all spiking ramps.
    """
    spiking = table[(table["avg_rate"] > 0) & (table["stim_amp"] > 0)]
    if kind == "long_square" and len(spiking):
        return [int(spiking["stim_amp"].idxmin())]
    if kind == "short_square" and len(spiking):
        often = spiking.groupby("stim_amp").size().idxmax()  # ties go to the lowest amplitude
        return spiking.index[spiking["stim_amp"] == often].tolist()
    return spiking.index.tolist()


def _of_spike_trains(squares, notes):
    """Functions that compute the families for spike trains: a dict keyed by family."""
    table = squares.table
    spiking = table[(table["avg_rate"] > 0) & (table["stim_amp"] > 0)]
    if spiking.empty:
        notes.append("no long square evokes a spike")
        return {}
    features = {"sweeps": table, "spikes_set": squares.spikes, "spiking_sweeps": spiking}
    features["rheobase_i"] = spiking["stim_amp"].min()

    def isi_shape():
        chosen = fv.identify_sweep_for_isi_shape(SweepSet(squares.sweeps), features, _END)
        return fv.isi_shape(*chosen, _END, n_points=ISI_POINTS)

    ways = {"isi_shape": isi_shape}
    try:
        levels = fv.identify_suprathreshold_spike_info(
            features, np.array(LEVELS), amp_tolerance=LEVEL_TOLERANCE
        )
    except _FAULTS as error:
        listed = ", ".join(f"+{level}" for level in LEVELS)
        notes.append(
            f"spike features need sweeps at two of: rheobase {listed} pA ({_reason(error)})"
        )
        return ways
    missing = [
        f"+{level} pA" for level, spikes in zip(LEVELS, levels, strict=True) if spikes is None
    ]
    if missing:
        notes.append(
            f"no sweep at rheobase {', '.join(missing)}; IPFX fills in values from neighbouring sweeps"
        )
    names = [family for family in TABLE["family"] if family.startswith("spiking_")]
    computed = {
        name: partial(fv.spike_feature_vector, name.removeprefix("spiking_")) for name in names
    }
    for family, compute in (
        computed | {"inst_freq": fv.inst_freq_vector, "psth": fv.psth_vector}
    ).items():
        ways[family] = partial(compute, levels, 0.0, _END, width=BIN_MS)
    return ways


def _of_steps(squares, notes):
    """Functions that compute the families for hyperpolarising steps: a dict keyed by family."""
    table = squares.table
    features = {"subthreshold_sweeps": table[table["avg_rate"] == 0]}
    steps, deflections = fv.identify_subthreshold_hyperpol_with_amplitudes(
        features, SweepSet(squares.sweeps)
    )
    if not steps:
        notes.append("no hyperpolarising long square")
        return {}
    missing = [
        f"{step} pA" for step in STEPS if min(abs(amp - step) for amp in steps) > STEP_TOLERANCE
    ]
    if missing:
        notes.append(
            f"no step at {', '.join(missing)}; IPFX scales the response to the nearest steps"
        )
    bins = {"extend_duration": STEP_MARGIN, "subsample_interval": STEP_BIN}
    subthresh = partial(
        fv.step_subthreshold, steps, STEPS, 0.0, _END, amp_tolerance=STEP_TOLERANCE, **bins
    )
    norm = partial(fv.subthresh_norm, steps, deflections, 0.0, _END, target_amp=NORM_STEP, **bins)
    return {"step_subthresh": subthresh, "subthresh_norm": norm}


def _reason(error):
    return str(error) or type(error).__name__
