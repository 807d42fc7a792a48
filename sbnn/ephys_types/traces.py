"""Twelve families of feature vectors of a recording (NWB file), by the functions of IPFX.

Vectors follow Gouwens et al., Cell 183, 935 (2020); sweeps, bins and tolerances, Schwider and
Ramezani (arXiv 2603.11000). Install with ``pip install 'sbnn[traces]'``.
"""

import warnings
from contextlib import suppress

import numpy as np
import pandas as pd
from scipy.signal import resample_poly

from sbnn.errors import require

require("ipfx", "pynwb")

from ipfx import feature_vectors as fv  # noqa: E402
from ipfx.data_set_features import extractors_for_sweeps  # noqa: E402
from ipfx.dataset.create import create_ephys_data_set  # noqa: E402
from ipfx.error import FeatureError  # noqa: E402
from ipfx.script_utils import (  # noqa: E402
    categorize_iclamp_sweeps,
    preprocess_ramp_sweeps,
    preprocess_short_square_sweeps,
    validate_sweeps,
)
from ipfx.stimulus_protocol_analysis import LongSquareAnalysis  # noqa: E402
from ipfx.sweep import Sweep  # noqa: E402

#: Samples per second to which sweeps are resampled.
SAMPLING_RATE = 50_000
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


def trace_families():
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Parts of a family, in order: short square, long square and ramp (``first_ap_v``, in mV;
    ``first_ap_dv``, in mV per 20 us); sweeps at rheobase and 40 and 80 pA above it (spike features,
    in mV, widths in s; ``inst_freq`` and ``psth``, in Hz); steps of -30, -50 and -90 pA
    (``step_subthresh``, in mV). ``isi_shape`` is in mV, ``subthresh_norm`` without unit.
    """
    return {name: [f"{name}_{i}" for i in range(size)] for name, size in FAMILY_SIZES.items()}


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
        analyse it.

    Raises
    ------
    OSError
        If the file cannot be read, such as an incomplete one.

    Examples
    --------
    A table of all recordings in a folder::

        cells = {path.stem: read_traces(path) for path in sorted(folder.glob("*.nwb"))}
        table = pd.DataFrame(cells).T
    """
    vectors = {}  # and other things that IPFX finds
    first_spikes = np.full((3, 150), np.nan)
    with warnings.catch_warnings(action="ignore"):  # of IPFX and pynwb
        try:
            data = create_ephys_data_set(nwb_file=str(path))
        except OSError as error:  # h5py does not name the file
            raise OSError(f"{path}: {error}") from error
        data.sweep = lambda number, stored=data.sweep: resample_sweep(stored(number))
        names = data.ontology
        protocols = [
            (names.short_square_names, preprocess_short_square_sweeps, "common_amp_sweeps"),
            (names.long_square_names, analyse_long_squares, "rheobase_sweeps"),
            (names.ramp_names, preprocess_ramp_sweeps, "spiking_sweeps"),
        ]
        for voltage, (stimuli, analyse, chosen) in zip(first_spikes, protocols, strict=True):
            with IF_POSSIBLE:
                sweeps, found, _ = analyse(data, categorize_iclamp_sweeps(data, stimuli))
                vectors |= found
                places = found[chosen].index
                traces = [sweeps.sweeps[i] for i in places]
                spikes = [found["spikes_set"][i] for i in places]
                voltage[:], _ = fv.first_ap_vectors(traces, spikes, SAMPLING_RATE, 0.003, skip_clipped=True)
    first_spikes[~first_spikes.any(axis=1)] = np.nan  # IPFX gives zeros if all are clipped
    vectors["first_ap_v"] = first_spikes.ravel()
    vectors["first_ap_dv"] = np.diff(first_spikes).ravel()
    columns = trace_families()
    return pd.concat([pd.Series(vectors.get(name, np.nan), columns[name]) for name in columns])


def resample_sweep(sweep):
    """The recorded part of a sweep at `RATE`; the current is held between samples."""
    rate = round(sweep.sampling_rate)
    v = resample_poly(sweep.v, SAMPLING_RATE, rate, padtype="line")
    t = np.arange(len(v)) / SAMPLING_RATE
    i = sweep.i.take(np.rint(t * rate).astype(int), mode="clip")
    return Sweep(t, v, i, sweep.clamp_mode, SAMPLING_RATE)


def analyse_long_squares(data, numbers):
    """Sweeps, and their features together with the families that can be computed from them.

    Unlike IPFX, it fits no slopes and time constants, and needs neither spikes nor steps.
    """
    sweeps, start, end = validate_sweeps(data, numbers)
    end = start + round(end - start, 3)  # or a sample may be missing in the last bin
    analysis = LongSquareAnalysis(
        *extractors_for_sweeps(sweeps, start=start, end=end, min_peak=-25), subthresh_min_amp=None
    )
    found = super(LongSquareAnalysis, analysis).analyze(
        sweeps, ["peak_deflect", "stim_amp", "v_baseline"]
    )
    found["subthreshold_sweeps"] = analysis.subthreshold_sweep_features()
    spiking = analysis.suprathreshold_sweep_features()
    found["spiking_sweeps"] = spiking
    found["rheobase_sweeps"] = spiking.sort_values("stim_amp").query("stim_amp > 0").head(1)
    found["rheobase_i"] = found["rheobase_sweeps"]["stim_amp"].max()
    with IF_POSSIBLE:
        trains = fv.identify_suprathreshold_spike_info(
            found,
            np.array([0, 40, 80]),  # pA above rheobase
            amp_tolerance=5,
        )
        binned = trains, start, end, 20  # ms
        found["psth"] = fv.psth_vector(*binned)
        found["inst_freq"] = fv.inst_freq_vector(*binned)
        for name in SPIKE_FEATURES:
            found[f"spiking_{name}"] = fv.spike_feature_vector(name, *binned)
    with IF_POSSIBLE:
        train = fv.identify_sweep_for_isi_shape(sweeps, found, end - start)
        found["isi_shape"] = fv.isi_shape(*train, end)
    with IF_POSSIBLE:
        steps, peaks = fv.identify_subthreshold_hyperpol_with_amplitudes(found, sweeps)
        found["subthresh_norm"] = fv.subthresh_norm(steps, peaks, start, end, -110)  # pA
        found["step_subthresh"] = fv.step_subthreshold(
            steps,
            [-30, -50, -90],  # pA
            start,
            end,
            amp_tolerance=5,
        )
    return sweeps, found, analysis
