"""Twelve families of feature vectors of a recording (NWB file), by the functions of IPFX.

Vectors follow Gouwens et al., Cell 183, 935 (2020); sweeps, bins and tolerances, Schwider and
Ramezani (arXiv 2603.11000). Install with ``pip install 'sbnn[traces]'``.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from os import PathLike
from typing import Any

import numpy as np
import pandas as pd
from scipy.signal import resample_poly

from sbnn.data.checks import abbreviate
from sbnn.errors import require, warn

require("ipfx", "pynwb")

from ipfx import feature_vectors as fv  # noqa: E402
from ipfx.data_set_features import extractors_for_sweeps  # noqa: E402
from ipfx.dataset.create import create_ephys_data_set  # noqa: E402
from ipfx.dataset.ephys_data_set import EphysDataSet  # noqa: E402
from ipfx.error import FeatureError  # noqa: E402
from ipfx.script_utils import (  # noqa: E402
    categorize_iclamp_sweeps,
    preprocess_ramp_sweeps,
    preprocess_short_square_sweeps,
    validate_sweeps,
)
from ipfx.stim_features import get_stim_characteristics  # noqa: E402
from ipfx.stimulus_protocol_analysis import LongSquareAnalysis  # noqa: E402
from ipfx.sweep import Sweep, SweepSet  # noqa: E402

#: Samples per second to which sweeps are resampled.
SAMPLING_RATE = 50_000
FIRST_SPIKE_LENGTH = 0.003  # s
N_SAMPLES = 150  # of a first spike
BIN_WIDTH = 20  # ms, of spike trains
LARGEST_VOLTAGE = 1000  # mV; no cell, and no amplifier, goes beyond
VOLTAGES = r"(first_ap_v|spiking_\w+_v|step_subthresh)_\d+"  # columns in mV
#: Names in IPFX of the features of each spike.
SPIKE_FEATURES = ("threshold_v", "peak_v", "width", "fast_trough_v", "upstroke_downstroke_ratio")
#: Size of each family, in the order of the columns.
FAMILY_SIZES = {
    "first_ap_v": 450,
    "first_ap_dv": 447,
    "isi_shape": 100,
    "inst_freq": 150,
    "spiking_threshold_v": 150,
    "spiking_peak_v": 150,
    "spiking_width": 150,
    "spiking_fast_trough_v": 150,
    "spiking_upstroke_downstroke_ratio": 150,
    "step_subthresh": 420,
    "subthresh_norm": 140,
    "psth": 150,
}
#: Ignores what IPFX raises for sweeps that it lacks or cannot analyse.
IF_POSSIBLE = suppress(
    ArithmeticError,
    AssertionError,
    AttributeError,
    FeatureError,
    LookupError,
    NameError,
    TypeError,
    ValueError,
)


def trace_families() -> dict[str, list[str]]:
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Parts of a family, in order: short square, long square and ramp (``first_ap_v``, in mV;
    ``first_ap_dv``, in mV per 20 us); sweeps at rheobase and 40 and 80 pA above it (spike features,
    in mV, widths in s; ``inst_freq`` and ``psth``, in Hz); steps of -30, -50 and -90 pA
    (``step_subthresh``, in mV). ``isi_shape`` is in mV, ``subthresh_norm`` without unit.
    """
    families = {}
    for name, size in FAMILY_SIZES.items():
        families[name] = [f"{name}_{i}" for i in range(size)]
    return families


def read_traces(path: str | PathLike[str]) -> pd.Series:
    """Compute the twelve IPFX families of one recording.

    Parameters
    ----------
    path : path-like
        NWB file that IPFX can read, with stimuli whose names it knows, as in DANDI 000020 (mouse)
        and 000636 (human). Sweeps are left out that end before their stimulus, or that IPFX cannot
        read, such as those without one.

    Returns
    -------
    Series
        The 2607 values of `trace_families`, NaN where the cell lacks a protocol or IPFX cannot
        analyse it. If all are NaN, a warning names the file and its stimuli.

    Raises
    ------
    OSError
        If the file cannot be read, such as an incomplete one or one of NWB 1.
    ValueError
        If voltages are beyond 1000 mV.

    Examples
    --------
    A table of all recordings in a folder::

        cells = {path.stem: read_traces(path) for path in sorted(folder.glob("*.nwb"))}
        table = pd.DataFrame(cells).T
    """
    vectors: dict[str, Any] = {}  # and other things that IPFX finds
    with warnings.catch_warnings(action="ignore"):  # of IPFX and pynwb
        data = _open_recording(path)
        names = data.ontology
        # stimuli, analysis, and the sweeps whose first spikes are averaged
        protocols = [
            (names.short_square_names, preprocess_short_square_sweeps, "common_amp_sweeps"),
            (names.long_square_names, analyse_long_squares, "rheobase_sweeps"),
            (names.ramp_names, preprocess_ramp_sweeps, "spiking_sweeps"),
        ]
        voltages = []
        for stimulus_names, analyse, sweeps_with_spike in protocols:
            voltage, features = _first_spike(
                data, stimulus_names, analyse, sweeps_with_spike=sweeps_with_spike
            )
            voltages.append(voltage)
            vectors |= features
    first_spikes = np.array(voltages)
    first_spikes[~first_spikes.any(axis=1)] = np.nan  # IPFX gives zeros if all are clipped
    vectors["first_ap_v"] = first_spikes.ravel()
    vectors["first_ap_dv"] = np.diff(first_spikes).ravel()
    families = []
    for name, columns in trace_families().items():
        families.append(pd.Series(vectors.get(name, np.nan), columns))
    row = pd.concat(families)
    if row.isna().all():
        stimuli = data.sweep_table.get("stimulus_code", pd.Series(dtype=str)).unique()
        warn(
            f"{path}: no feature can be computed, its stimuli are {abbreviate(stimuli) or 'none'}; "
            "IPFX needs stimuli that it knows, such as X4PS_SupraThresh, in current clamp, with a "
            "sampling rate and numbers in the sweep table"
        )
    voltages = row[row.index.str.fullmatch(VOLTAGES)].abs()
    if voltages.max() > LARGEST_VOLTAGE:
        raise ValueError(
            f"{path}: voltages up to {voltages.max():g} mV; correct the `conversion` of its "
            "series, the factor from stored values to volts"
        )
    return row


def _open_recording(path):
    """IPFX data set with the sweeps that can be used, which are resampled when they are read."""
    try:
        data = create_ephys_data_set(nwb_file=str(path))
    except OSError as error:  # h5py does not name the file
        raise OSError(f"{path}: {error}") from error
    except Exception as error:  # what IPFX and pynwb raise for files of another kind
        raise OSError(f"{path} cannot be read as NWB 2: {error}") from error
    data._sweep_table = _describe_sweeps(data._data)
    read_sweep = data.sweep

    def read_sweeps(numbers):
        sweeps = [resample_sweep(read_sweep(number)) for number in numbers]
        return SweepSet([sweep for sweep in sweeps if _reaches_stimulus(sweep)])

    data.sweep_set = read_sweeps
    return data


def _describe_sweeps(data):
    """Table of the sweeps that IPFX can describe; it would give all of them up for one other."""
    rows = []
    with IF_POSSIBLE:
        for number in data.sweep_numbers:
            with IF_POSSIBLE:
                rows.append(data.get_sweep_metadata(number))
    return pd.DataFrame(rows)


def _reaches_stimulus(sweep):
    """Whether the sweep goes on after the test pulse; a recording may be stopped there."""
    start, *_ = get_stim_characteristics(sweep.i, sweep.t)
    return start is not None


def _first_spike(
    data: Any, stimulus_names: Any, analyse: Callable, sweeps_with_spike: str
) -> tuple[np.ndarray, dict[str, Any]]:
    """Mean voltage of the first spikes of a protocol, NaN if there is none, and what IPFX finds.

    `analyse` returns sweeps, their features and the analysis; `sweeps_with_spike` is the entry of
    the features with the table of the sweeps to average.
    """
    voltage = np.full(N_SAMPLES, np.nan)
    features: dict[str, Any] = {}
    with IF_POSSIBLE:
        numbers = categorize_iclamp_sweeps(data, stimulus_names)
        sweeps, features, _ = analyse(data, numbers)
        positions = features[sweeps_with_spike].index
        traces = [sweeps.sweeps[i] for i in positions]
        spikes = [features["spikes_set"][i] for i in positions]
        voltage[:], _ = fv.first_ap_vectors(
            traces, spikes, SAMPLING_RATE, window_length=FIRST_SPIKE_LENGTH, skip_clipped=True
        )
    return voltage, features


def resample_sweep(sweep: Sweep) -> Sweep:
    """The recorded part of a sweep at `SAMPLING_RATE`; the current is held between samples."""
    rate = round(sweep.sampling_rate)
    voltage = resample_poly(sweep.v, SAMPLING_RATE, rate, padtype="line")
    times = np.arange(len(voltage)) / SAMPLING_RATE
    recorded = np.rint(times * rate).astype(int)  # nearest sample of the recording
    current = sweep.i.take(recorded, mode="clip")
    return Sweep(
        t=times,
        v=voltage,
        i=current,
        clamp_mode=sweep.clamp_mode,
        sampling_rate=SAMPLING_RATE,
    )


def analyse_long_squares(
    data: EphysDataSet, numbers: Sequence[int]
) -> tuple[SweepSet, dict[str, Any], LongSquareAnalysis]:
    """Sweeps, and their features together with the families that can be computed from them.

    Unlike IPFX, it fits no slopes and time constants, and needs neither spikes nor steps.
    """
    sweeps, start, end = validate_sweeps(data, numbers)
    end = start + round(end - start, 3)  # or a sample may be missing in the last bin
    spike_extractor, train_extractor = extractors_for_sweeps(
        sweeps, start=start, end=end, min_peak=-25
    )
    analysis = LongSquareAnalysis(spike_extractor, train_extractor, subthresh_min_amp=None)
    features = super(LongSquareAnalysis, analysis).analyze(
        sweeps, ["peak_deflect", "stim_amp", "v_baseline"]
    )
    features["subthreshold_sweeps"] = analysis.subthreshold_sweep_features()
    spiking = analysis.suprathreshold_sweep_features()
    features["spiking_sweeps"] = spiking
    # rheobase: the smallest current with spikes
    by_current = spiking.sort_values("stim_amp")
    features["rheobase_sweeps"] = by_current[by_current["stim_amp"] > 0].head(1)
    features["rheobase_i"] = features["rheobase_sweeps"]["stim_amp"].max()
    with IF_POSSIBLE:
        trains = fv.identify_suprathreshold_spike_info(
            features,
            np.array([0, 40, 80]),  # pA above rheobase
            amp_tolerance=5,
        )
        features["psth"] = fv.psth_vector(trains, start, end, width=BIN_WIDTH)
        features["inst_freq"] = fv.inst_freq_vector(trains, start, end, width=BIN_WIDTH)
        for name in SPIKE_FEATURES:
            features[f"spiking_{name}"] = fv.spike_feature_vector(
                name, trains, start, end=end, width=BIN_WIDTH
            )
    with IF_POSSIBLE:
        sweep, spikes = fv.identify_sweep_for_isi_shape(sweeps, features, end - start)
        features["isi_shape"] = fv.isi_shape(sweep, spikes, end)
    with IF_POSSIBLE:
        steps, deflections = fv.identify_subthreshold_hyperpol_with_amplitudes(features, sweeps)
        features["subthresh_norm"] = fv.subthresh_norm(
            steps,
            deflections,
            start,
            end=end,
            target_amp=-110,  # pA
        )
        features["step_subthresh"] = fv.step_subthreshold(
            steps,
            [-30, -50, -90],  # pA
            start,
            end=end,
            amp_tolerance=5,
        )
    return sweeps, features, analysis
