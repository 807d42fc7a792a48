"""Twelve families of feature vectors of a recording (NWB file), by the functions of IPFX.

Vectors follow Gouwens et al., Cell 183, 935 (2020); sweeps, bins and tolerances, Schwider and
Ramezani (arXiv 2603.11000). This requires IPFX and pynwb: ``pip install 'sbnn[traces]'``.
"""

import logging
import warnings
from contextlib import contextmanager
from fractions import Fraction
from functools import partial

import numpy as np
import pandas as pd
from scipy.signal import resample_poly

from sbnn.errors import require

require("ipfx", "pynwb")

from ipfx import data_set_features as dsf  # noqa: E402
from ipfx import feature_vectors as fv  # noqa: E402
from ipfx import script_utils  # noqa: E402
from ipfx.dataset.create import create_ephys_data_set  # noqa: E402
from ipfx.error import FeatureError  # noqa: E402
from ipfx.stimulus import StimulusType  # noqa: E402
from ipfx.stimulus_protocol_analysis import (  # noqa: E402
    LongSquareAnalysis,
    StimulusProtocolAnalysis,
)
from ipfx.sweep import Sweep  # noqa: E402

#: Samples per second to which sweeps are resampled.
RATE = 50_000
AP_WINDOW = 0.003  # s, from the threshold of the first spike
LEVELS = np.array([0, 40, 80])  # pA above rheobase
STEPS = [-30, -50, -90]  # pA
NORM_STEP = -110  # pA
TOLERANCE = 5  # pA
BIN = 20  # ms
SPIKES = ("threshold_v", "peak_v", "width", "fast_trough_v", "upstroke_downstroke_ratio")
#: Size and unit of each family, in the order of the columns.
VECTORS = {
    "first_ap_v": (450, "mV"),
    "first_ap_dv": (447, "mV per 20 us"),
    "isi_shape": (100, "mV"),
    "inst_freq": (150, "Hz"),
    "spiking_threshold_v": (150, "mV"),
    "spiking_peak_v": (150, "mV"),
    "spiking_width": (150, "s"),
    "spiking_fast_trough_v": (150, "mV"),
    "spiking_upstroke_downstroke_ratio": (150, ""),
    "step_subthresh": (420, "mV"),
    "subthresh_norm": (140, ""),
    "psth": (150, "Hz"),
}
#: Raised by IPFX for sweeps that it lacks or cannot analyse.
FAULTS = (ArithmeticError, AssertionError, AttributeError, FeatureError, LookupError, NameError)
FAULTS += (TypeError, ValueError)


def trace_families():
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Parts of a family, in order: short square, long square and ramp (``first_ap_v``,
    ``first_ap_dv``); sweeps at rheobase and 40 and 80 pA above it (spike features, ``inst_freq``,
    ``psth``); steps of -30, -50 and -90 pA (``step_subthresh``).
    """
    return {name: [f"{name}_{i}" for i in range(size)] for name, (size, _) in VECTORS.items()}


def read_traces(path):
    """Compute the twelve IPFX families of one recording.

    Parameters
    ----------
    path : path-like
        NWB file that IPFX can read, with stimuli whose names it knows, as in DANDI 000020 (mouse)
        and 000636 (human).

    Returns
    -------
    Series
        The 2607 values of `trace_families`, NaN where the cell lacks a protocol or IPFX cannot
        analyse it; units are in `VECTORS`. ``attrs["notes"]`` says what is missing and why.

    Examples
    --------
    A table of all recordings in a folder::

        cells = {path.stem: read_traces(path) for path in sorted(folder.glob("*.nwb"))}
        table = pd.DataFrame(cells).T
    """
    columns = trace_families()
    row = pd.Series(np.nan, index=sum(columns.values(), []))
    row.attrs["notes"] = []
    with quiet():
        data = create_ephys_data_set(nwb_file=str(path))
        stored = data.sweep
        data.sweep = lambda number: resampled(stored(number))
        for family, vector in vectors_of(data, row.attrs["notes"]):
            row[columns[family]] = vector
    return row


def vectors_of(data, notes):
    """Yield families and vectors; `notes` collects what IPFX cannot compute."""

    def attempt(name, function, *arguments):
        try:
            return function(*arguments)
        except FAULTS as error:
            notes.append(f"{name}: {str(error) or type(error).__name__}")
            return None

    squares = attempt("long squares", long_squares, data)
    spikes = {
        "short square": (of_short_squares, data),
        "rheobase": (of_rheobase, squares),
        "ramp": (of_ramps, data),
    }
    parts = []
    for kind, way in spikes.items():
        part = attempt(f"first spike of {kind}", *way)
        parts.append(np.full(round(AP_WINDOW * RATE), np.nan) if part is None else part)
    yield "first_ap_v", np.concatenate(parts)
    yield "first_ap_dv", np.concatenate([np.diff(part) for part in parts])
    ways = {}
    if squares is not None:
        trains = attempt("spike trains", of_trains, *squares)
        steps = attempt("hyperpolarising steps", of_steps, *squares)
        ways = (trains or {}) | (steps or {})
    for family, way in ways.items():
        vector = attempt(family, way)
        if vector is not None:
            yield family, vector


def resampled(sweep):
    """The recorded part of a sweep at `RATE`; the current is held between samples."""
    ratio = Fraction(RATE / sweep.sampling_rate).limit_denominator(1000)
    if ratio == 1:
        return sweep
    v = resample_poly(sweep.v, ratio.numerator, ratio.denominator, padtype="line")
    t = np.arange(len(v)) / RATE
    held = np.minimum(np.rint(t * sweep.sampling_rate).astype(int), len(sweep.i) - 1)
    return Sweep(t, v, sweep.i[held], sweep.clamp_mode, float(RATE), sweep.sweep_number)


def sweeps_named(data, names):
    """Numbers of the sweeps whose stimulus has one of the names."""
    return script_utils.categorize_iclamp_sweeps(data, names)


def long_squares(data):
    """Sweeps, their features, and start and end of the stimulus."""
    numbers = sweeps_named(data, data.ontology.long_square_names)
    sweeps, start, end = script_utils.validate_sweeps(data, numbers)
    if start is None:
        raise FeatureError("no sweeps")
    end = start + round(end - start, 3)  # or a sample may be missing in the last bin
    options = dsf.detection_parameters(StimulusType.LONG_SQUARE)
    how = dsf.extractors_for_sweeps(sweeps, start=start, end=end, min_peak=-25, **options)
    analysis = LongSquareAnalysis(*how, subthresh_min_amp=-100)
    # its own `analyze` also fits slopes and time constants, and fails if it cannot
    needed = ["peak_deflect", "stim_amp", "v_baseline"]
    found = StimulusProtocolAnalysis.analyze(analysis, sweeps, needed)
    found["subthreshold_sweeps"] = analysis.subthreshold_sweep_features()
    found["spiking_sweeps"] = analysis.suprathreshold_sweep_features()
    if len(found["spiking_sweeps"]):
        found["rheobase_sweep"] = analysis.find_rheobase_sweep(found["spiking_sweeps"])
        found["rheobase_i"] = found["rheobase_sweep"]["stim_amp"]
    return sweeps, found, start, end


def of_trains(sweeps, found, start, end):
    """Functions that give the families of spike trains."""
    if "rheobase_i" not in found:
        raise FeatureError("no spikes")

    def isi_shape():
        sweep, spikes = fv.identify_sweep_for_isi_shape(sweeps, found, end - start)
        return fv.isi_shape(sweep, spikes, end)

    def binned(vector, *name):
        spikes = fv.identify_suprathreshold_spike_info(found, LEVELS, amp_tolerance=TOLERANCE)
        return vector(*name, spikes, start, end, BIN)

    ways = {f"spiking_{name}": partial(binned, fv.spike_feature_vector, name) for name in SPIKES}
    return ways | {
        "isi_shape": isi_shape,
        "inst_freq": partial(binned, fv.inst_freq_vector),
        "psth": partial(binned, fv.psth_vector),
    }


def of_steps(sweeps, found, start, end):
    """Functions that give the families of responses to hyperpolarising steps."""
    responses, peaks = fv.identify_subthreshold_hyperpol_with_amplitudes(found, sweeps)
    if not responses:
        raise FeatureError("none")
    return {
        "step_subthresh": lambda: fv.step_subthreshold(
            responses, STEPS, start, end, amp_tolerance=TOLERANCE
        ),
        "subthresh_norm": lambda: fv.subthresh_norm(responses, peaks, start, end, NORM_STEP),
    }


def of_short_squares(data):
    """First spike of the short squares at the amplitude that most often evokes one."""
    numbers = sweeps_named(data, data.ontology.short_square_names)
    sweeps, found, _ = script_utils.preprocess_short_square_sweeps(data, numbers)
    return first_spike(sweeps, found, found["common_amp_sweeps"].index)


def of_rheobase(squares):
    """First spike of the long square at rheobase."""
    sweeps, found, _, _ = squares
    return first_spike(sweeps, found, [found["rheobase_sweep"].name])


def of_ramps(data):
    """First spike of the ramps."""
    sweeps, found, _ = script_utils.preprocess_ramp_sweeps(
        data, sweeps_named(data, data.ontology.ramp_names)
    )
    return first_spike(sweeps, found, found["spiking_sweeps"].index)


def first_spike(sweeps, found, positions):
    """Mean voltage of the first spikes of some sweeps from their threshold."""
    chosen = [i for i in positions if not found["spikes_set"][i]["clipped"].iloc[0]]
    if not chosen:
        raise FeatureError("no complete spike")
    spikes = [found["spikes_set"][i] for i in chosen]
    voltage, _ = fv.first_ap_vectors([sweeps.sweeps[i] for i in chosen], spikes, RATE, AP_WINDOW)
    return voltage


@contextmanager
def quiet():
    """Suppress warnings and logs of IPFX and pynwb."""
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(logging.NOTSET)
