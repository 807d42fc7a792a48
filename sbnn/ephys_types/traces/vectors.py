"""From sweeps to the twelve vectors of a cell, each computed by IPFX; what a cell lacks is missing, never zero."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from sbnn.ephys_types.traces.layout import (
    AP_WINDOW,
    BIN_MS,
    ISI_POINTS,
    LEVEL_TOLERANCE,
    LEVELS,
    MIN_PEAK,
    NORM_STEP,
    PROTOCOLS,
    RATE,
    SPIKE_FEATURES,
    STEP_BIN,
    STEP_MARGIN,
    STEP_TOLERANCE,
    STEPS,
    VECTORS,
)
from sbnn.ephys_types.traces.sweeps import CutSweep

_SIZES = {vector.name: vector.size for vector in VECTORS}
_AP = round(AP_WINDOW * RATE)
_END = 1.0  # s, of a long square; all stimuli begin at 0
_AFTER_SHORT = 0.053  # s, until when the spike of a short square is looked for
#: What IPFX raises, besides its own error, on sweeps it was not made for.
_FAULTS = (ArithmeticError, AssertionError, LookupError, TypeError, ValueError)


class Analysed(NamedTuple):
    """Sweeps of one protocol with their spikes.

    Attributes
    ----------
    sweeps : list of ipfx.sweep.Sweep
    spikes : list of DataFrame
        One row for each spike, as IPFX gives them; empty where there is none.
    table : DataFrame
        One row for each sweep: ``avg_rate``, ``stim_amp`` and, of long squares, ``peak_deflect`` and ``v_baseline``.
    """

    sweeps: list
    spikes: list
    table: pd.DataFrame


def vectors_of(sweeps: dict[str, list[CutSweep]]) -> tuple[dict[str, np.ndarray], list[str]]:
    """Compute the twelve vectors of a cell.

    Parameters
    ----------
    sweeps : dict of str to list of CutSweep
        For each of `PROTOCOLS`.

    Returns
    -------
    vectors : dict of str to ndarray
        Family -> its values. A family that cannot be computed is not there; the part of ``first_ap_v`` and
        ``first_ap_dv`` that belongs to a protocol without a spike is NaN.
    notes : list of str
        What is missing or was filled in, and why.
    """
    notes: list[str] = []
    analysed = {kind: _analyse(kind, sweeps[kind], notes) for kind in PROTOCOLS}
    vectors = _first_spikes(analysed, notes)
    if len(analysed["long_square"].sweeps):
        vectors |= _of_spike_trains(analysed["long_square"], notes)
        vectors |= _of_steps(analysed["long_square"], notes)
    return vectors, notes


def _analyse(kind: str, cut: list[CutSweep], notes: list[str]) -> Analysed:
    """Find the spikes of each sweep; one that IPFX fails on is left out."""
    from ipfx import data_set_features as dsf
    from ipfx.error import FeatureError
    from ipfx.stimulus import StimulusType
    from ipfx.sweep import Sweep, SweepSet

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
        made.append(Sweep(sweep.t, sweep.v, sweep.i, "CurrentClamp", float(RATE), sweep.number, epochs))
    options: dict[str, Any] = dsf.detection_parameters(StimulusType(kind)).copy() | {"start": 0.0}
    if kind == "long_square":
        options |= {"end": _END, "min_peak": MIN_PEAK}
    elif kind == "short_square":
        options |= {"end": _AFTER_SHORT, "est_window": [0.0, 0.001], "reject_at_stim_start_interval": 0.0002}
    finder, train = dsf.extractors_for_sweeps(SweepSet(made), **options)
    extra = ["peak_deflect", "v_baseline"] if kind == "long_square" else []
    for source, sweep in zip(cut, made, strict=True):
        try:
            of_sweep = finder.process(sweep.t, sweep.v, sweep.i)
            row = train.process(sweep.t, sweep.v, sweep.i, of_sweep, extra, exclude_clipped=kind == "short_square")
        except (FeatureError, *_FAULTS) as error:
            notes.append(f"sweep {source.number}: IPFX finds no spikes in it ({_reason(error)})")
            continue
        sweeps.append(sweep)
        spikes.append(of_sweep)
        rows.append(row | {"stim_amp": source.amplitude})
    return Analysed(sweeps, spikes, pd.DataFrame(rows))


def _first_spikes(analysed: dict[str, Analysed], notes: list[str]) -> dict[str, np.ndarray]:
    """Voltage of the first action potential of each protocol, and its differences."""
    from ipfx import feature_vectors as fv

    blocks_v, blocks_dv = [], []
    for kind in PROTOCOLS:
        sweeps, spikes, table = analysed[kind]
        chosen = [
            k
            for k in _sweeps_for_first_spike(kind, table)
            if spikes[k]["threshold_index"].iloc[0] + _AP <= len(sweeps[k].v) and not spikes[k]["clipped"].iloc[0]
        ]
        v, dv = np.full(_AP, np.nan), np.full(_AP - 1, np.nan)
        if chosen:
            v, dv = fv.first_ap_vectors([sweeps[k] for k in chosen], [spikes[k] for k in chosen], RATE, AP_WINDOW)
        elif len(sweeps):
            notes.append(f"no complete spike in a {kind.replace('_', ' ')} sweep")
        blocks_v.append(v)
        blocks_dv.append(dv)
    if all(np.isnan(block).all() for block in blocks_v):
        return {}
    return {"first_ap_v": np.concatenate(blocks_v), "first_ap_dv": np.concatenate(blocks_dv)}


def _sweeps_for_first_spike(kind: str, table: pd.DataFrame) -> list[int]:
    """Rheobase of the long squares, the amplitude of short squares that evokes most spikes, every ramp that does."""
    spiking = table[(table["avg_rate"] > 0) & (table["stim_amp"] > 0)]
    if kind == "long_square" and len(spiking):
        return [int(spiking["stim_amp"].idxmin())]
    if kind == "short_square" and len(spiking):
        often = spiking.groupby("stim_amp").size().idxmax()  # the lowest of those that are equally frequent
        return spiking.index[spiking["stim_amp"] == often].tolist()
    return spiking.index.tolist()


def _of_spike_trains(squares: Analysed, notes: list[str]) -> dict[str, np.ndarray]:
    from ipfx import feature_vectors as fv
    from ipfx.error import FeatureError
    from ipfx.sweep import SweepSet

    table = squares.table
    spiking = table[(table["avg_rate"] > 0) & (table["stim_amp"] > 0)]
    if spiking.empty:
        notes.append("no long square evokes a spike")
        return {}
    features = {
        "sweeps": table,
        "spikes_set": squares.spikes,
        "spiking_sweeps": spiking,
        "rheobase_i": spiking["stim_amp"].min(),
    }
    vectors: dict[str, np.ndarray] = {}
    sweep_set = SweepSet(squares.sweeps)
    _keep(vectors, notes, "isi_shape", lambda: _isi_shape(fv, sweep_set, features))
    try:
        levels = fv.identify_suprathreshold_spike_info(features, np.array(LEVELS), amp_tolerance=LEVEL_TOLERANCE)
    except (FeatureError, *_FAULTS) as error:
        listed = ", ".join(f"+{level}" for level in LEVELS)
        notes.append(f"spike features need sweeps at two of rheobase {listed} pA ({_reason(error)})")
        return vectors
    missing = [f"+{level} pA" for level, spikes in zip(LEVELS, levels, strict=True) if spikes is None]
    if missing:
        notes.append(f"no sweep at rheobase {', '.join(missing)}: filled in by IPFX from its neighbours")
    _keep(vectors, notes, "inst_freq", lambda: fv.inst_freq_vector(levels, 0.0, _END, width=BIN_MS))
    for family, feature in SPIKE_FEATURES.items():
        compute = partial(fv.spike_feature_vector, feature, levels, 0.0, _END, width=BIN_MS)
        _keep(vectors, notes, family, compute)
    _keep(vectors, notes, "psth", lambda: fv.psth_vector(levels, 0.0, _END, width=BIN_MS))
    return vectors


def _isi_shape(fv, sweep_set, features):
    sweep, spikes = fv.identify_sweep_for_isi_shape(sweep_set, features, _END)
    return fv.isi_shape(sweep, spikes, _END, n_points=ISI_POINTS)


def _of_steps(squares: Analysed, notes: list[str]) -> dict[str, np.ndarray]:
    from ipfx import feature_vectors as fv
    from ipfx.sweep import SweepSet

    table = squares.table
    features = {"subthreshold_sweeps": table[table["avg_rate"] == 0]}
    steps, deflections = fv.identify_subthreshold_hyperpol_with_amplitudes(features, SweepSet(squares.sweeps))
    if not steps:
        notes.append("no hyperpolarising long square")
        return {}
    vectors: dict[str, np.ndarray] = {}
    missing = [f"{step} pA" for step in STEPS if min(abs(amp - step) for amp in steps) > STEP_TOLERANCE]
    if missing:
        notes.append(f"no step of {', '.join(missing)}: scaled by IPFX from its neighbours")
    bins = {"extend_duration": STEP_MARGIN, "subsample_interval": STEP_BIN}
    _keep(
        vectors,
        notes,
        "step_subthresh",
        lambda: fv.step_subthreshold(steps, STEPS, 0.0, _END, amp_tolerance=STEP_TOLERANCE, **bins),
    )
    _keep(
        vectors,
        notes,
        "subthresh_norm",
        lambda: fv.subthresh_norm(steps, deflections, 0.0, _END, target_amp=NORM_STEP, **bins),
    )
    return vectors


def _keep(vectors: dict, notes: list[str], family: str, compute: Callable[[], np.ndarray]) -> None:
    """Compute a family; one that IPFX fails on, or that is not finite and of the right size, is left out."""
    from ipfx.error import FeatureError

    try:
        vector = np.asarray(compute(), dtype=np.float64)
    except (FeatureError, *_FAULTS) as error:
        notes.append(f"{family}: {_reason(error)}")
        return
    if vector.shape != (_SIZES[family],) or not np.isfinite(vector).all():
        notes.append(f"{family}: IPFX gives {np.isfinite(vector).sum()} finite values, expected {_SIZES[family]}")
        return
    vectors[family] = vector


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__
