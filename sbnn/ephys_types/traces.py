"""Twelve families of feature vectors from recordings (NWB files), by the functions of IPFX.

Vectors follow Gouwens et al., Cell 183, 935 (2020); sweeps, bins and tolerances, Schwider and
Ramezani (arXiv 2603.11000). This requires IPFX and pynwb: ``pip install 'sbnn[traces]'``.
"""

import hashlib
import logging
import re
import warnings
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from importlib.metadata import version
from operator import attrgetter
from pathlib import Path

import numpy as np
import pandas as pd
from joblib import Memory, delayed
from scipy.signal import resample_poly
from tqdm.auto import tqdm

from sbnn.data.checks import some
from sbnn.data.datasets import cache_folder
from sbnn.data.fingerprint import fingerprint_files, fingerprint_parameters
from sbnn.data.typed_cells import typed_cells
from sbnn.errors import require
from sbnn.evaluation.runs import in_workers

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
from pynwb import NWBHDF5IO  # noqa: E402

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
#: Incremented whenever the same recording gives other vectors.
FORMAT = 2
#: Raised by IPFX for sweeps that it lacks or cannot analyse.
FAULTS = (ArithmeticError, AssertionError, AttributeError, FeatureError, LookupError, NameError)
FAULTS += (TypeError, ValueError)
SOURCE = "twelve families of IPFX feature vectors from NWB recordings"


def trace_families():
    """Families of the 2607 columns of `read_traces`, in order: dict of family to names of columns.

    Parts of a family, in order: short square, long square and ramp (``first_ap_v``,
    ``first_ap_dv``); sweeps at rheobase and 40 and 80 pA above it (spike features, ``inst_freq``,
    ``psth``); steps of -30, -50 and -90 pA (``step_subthresh``).
    """
    return {name: [f"{name}_{i}" for i in range(size)] for name, (size, _) in VECTORS.items()}


def trace_units():
    """Unit of each column, ``""`` if it has none."""
    return {f"{name}_{i}": unit for name, (size, unit) in VECTORS.items() for i in range(size)}


def read_traces(paths, *, n_jobs=1, cache=None, verbose=True):
    """Compute the twelve IPFX families of every recording in a folder.

    Parameters
    ----------
    paths : path-like or iterable of path-like
        NWB files of one cell each that IPFX can read, with stimuli whose names it knows, or folders
        with such files at any depth, as in DANDI 000020 (mouse) and 000636 (human). A cell is named
        after its file, or ``<id>`` if the name of the file contains ``ses-<id>``.
    n_jobs : int
    cache : path-like or False, optional
        Folder for results of finished recordings, so that interrupted runs resume; by default the
        cache folder of this package.
    verbose : bool

    Returns
    -------
    AnnData of typed cells
        Cells in the order of their files, with the 2607 columns of `trace_families`; NaN where a
        cell lacks a protocol. ``obs`` holds ``donor``, ``species``, ``file``, and ``notes`` on what
        is missing. ``uns["sbnn"]["dropped"]`` lists files without a cell by reason.

    Raises
    ------
    FileNotFoundError
        If there is no NWB file, or a path does not exist.
    ValueError
        If two files belong to the same cell, or if no file yields a cell.
    """
    files = find_recordings(paths)
    if cache is None:
        cache = cache_folder() / "traces"
    settings = fingerprint_parameters({"format": FORMAT, "ipfx": version("ipfx")})
    jobs = [delayed(_cell_or_reason)(path, cache or None, settings) for path in files.values()]
    outcomes = in_workers(jobs, n_jobs, "generator")
    cells = {}
    dropped = {}
    bar = tqdm(outcomes, "recordings", len(jobs), disable=not verbose)
    for cell, found in zip(files, bar, strict=True):
        if isinstance(found, dict):
            cells[cell] = found | {"file": files[cell].name}
        else:
            dropped.setdefault(found, []).append(files[cell].name)
    if not cells:
        reasons = "; ".join(f"{some(names)}: {reason}" for reason, names in dropped.items())
        raise ValueError(f"no file holds a cell whose features can be computed: {reasons}")
    table = pd.DataFrame.from_dict(cells, orient="index")
    units = trace_units()
    checksums = dict(zip(table["file"], table["sha256"], strict=True))
    content = {"files": fingerprint_files(checksums), "settings": settings}
    return typed_cells(
        pd.DataFrame(np.stack(table["features"]), table.index, list(units)),
        table[["donor", "species", "file", "notes"]],
        trace_families(),
        units,
        name="traces",
        source=SOURCE,
        sha256=fingerprint_parameters(content),
        files=checksums,
        dropped=dropped,
    )


def find_recordings(paths):
    """Path of the NWB file of each cell, in the order of the file names."""
    found = []
    for path in map(Path, [paths] if isinstance(paths, str | Path) else paths):
        found += path.rglob("*.nwb") if path.is_dir() else [path]
    absent = [path for path in found if not path.exists()]
    if absent or not found:
        raise FileNotFoundError(f"paths: no .nwb file {absent or paths}")
    files = {}
    for path in sorted(found, key=attrgetter("name", "parts")):
        session = re.search(r"(?:^|_)ses-([^_.]+)", path.name)
        cell = session[1] if session else path.stem
        if cell in files:
            raise ValueError(f"two files of cell {cell!r}: {files[cell]} and {path}")
        files[cell] = path
    return files


def _cell_or_reason(path, cache, settings):
    """Vectors of a recording, or the reason why there are none."""
    with open(path, "rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    try:
        return Memory(cache, verbose=0).cache(cell_of, ignore=["path"])(path, sha256, settings)
    except Exception as error:  # damaged files can raise any error
        return f"{type(error).__name__}: {error}"


def cell_of(path, sha256, settings):
    """Vectors of one recording; `sha256` and `settings` are keys of the cache."""
    with quiet():
        vectors, notes = families_of(path)
        with NWBHDF5IO(str(path), mode="r", load_namespaces=True) as file:
            subject = file.read().subject
            donor, species = (getattr(subject, key, "") for key in ("subject_id", "species"))
    if not vectors:
        raise ValueError(f"no family of features can be computed ({notes})")
    parts = [vectors.get(name, np.full(size, np.nan)) for name, (size, _) in VECTORS.items()]
    features = np.concatenate(parts)
    known = {"donor": donor or "", "species": species or "", "notes": notes, "sha256": sha256}
    return {"features": features, **known}


def families_of(path):
    """Dict of family to vector, and notes on what is missing."""
    data = create_ephys_data_set(nwb_file=str(path))
    stored = data.sweep
    data.sweep = lambda number: resampled(stored(number))
    names = data.ontology
    numbers = partial(script_utils.categorize_iclamp_sweeps, data)
    vectors = {}
    notes = []

    def attempt(family, way):
        try:
            return way()
        except FAULTS as error:
            notes.append(f"{family}: {str(error) or type(error).__name__}")

    squares = attempt("long squares", lambda: long_squares(data, numbers(names.long_square_names)))
    ways = {}
    if squares:
        ways = of_trains(*squares) | of_steps(*squares)
    for family, way in ways.items():
        vector = attempt(family, way)
        if vector is not None and np.isfinite(vector).all():
            vectors[family] = np.asarray(vector, float)
        elif vector is not None:
            notes.append(f"{family}: values are missing")
    chosen = {
        "short square": lambda: of_short_squares(data, numbers(names.short_square_names)),
        "rheobase": lambda: of_rheobase(squares),
        "ramp": lambda: of_ramps(data, numbers(names.ramp_names)),
    }
    parts = [attempt(f"first spike of {kind}", way) for kind, way in chosen.items()]
    if any(part is not None for part in parts):
        missing = np.full(round(AP_WINDOW * RATE), np.nan)
        parts = [missing if part is None else part for part in parts]
        vectors["first_ap_v"] = np.concatenate(parts)
        vectors["first_ap_dv"] = np.concatenate([np.diff(part) for part in parts])
    return vectors, "; ".join(notes)


def resampled(sweep):
    """The recorded part of a sweep at `RATE`; the current is held between samples."""
    ratio = Fraction(RATE / sweep.sampling_rate).limit_denominator(1000)
    if ratio == 1:
        return sweep
    v = resample_poly(sweep.v, ratio.numerator, ratio.denominator, padtype="line")
    t = np.arange(len(v)) / RATE
    held = np.minimum(np.rint(t * sweep.sampling_rate).astype(int), len(sweep.i) - 1)
    return Sweep(t, v, sweep.i[held], sweep.clamp_mode, float(RATE), sweep.sweep_number)


def long_squares(data, numbers):
    """Sweeps, their features, and start and end of the stimulus."""
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

    def isi_shape():
        require_spikes(found)
        sweep, spikes = fv.identify_sweep_for_isi_shape(sweeps, found, end - start)
        return fv.isi_shape(sweep, spikes, end)

    def levels():
        require_spikes(found)
        return fv.identify_suprathreshold_spike_info(found, LEVELS, amp_tolerance=TOLERANCE)

    def of_feature(name):
        return fv.spike_feature_vector(name, levels(), start, end, BIN)

    ways = {f"spiking_{name}": partial(of_feature, name) for name in SPIKES}
    return ways | {
        "isi_shape": isi_shape,
        "inst_freq": lambda: fv.inst_freq_vector(levels(), start, end, BIN),
        "psth": lambda: fv.psth_vector(levels(), start, end, BIN),
    }


def of_steps(sweeps, found, start, end):
    """Functions that give the families of responses to hyperpolarising steps."""

    def responses():
        return fv.identify_subthreshold_hyperpol_with_amplitudes(found, sweeps)

    def step_subthresh():
        steps, _ = responses()
        if not steps:
            raise FeatureError("no hyperpolarising steps")
        return fv.step_subthreshold(steps, STEPS, start, end, amp_tolerance=TOLERANCE)

    def subthresh_norm():
        return fv.subthresh_norm(*responses(), start, end, target_amp=NORM_STEP)

    return {"step_subthresh": step_subthresh, "subthresh_norm": subthresh_norm}


def of_short_squares(data, numbers):
    """First spike of the short squares at the amplitude that most often evokes one."""
    sweeps, found, _ = script_utils.preprocess_short_square_sweeps(data, numbers)
    return first_spike(sweeps, found, found["common_amp_sweeps"].index)


def require_spikes(found):
    """Raise an error if no long square evokes a spike."""
    if "rheobase_i" not in found:
        raise FeatureError("no spikes")


def of_rheobase(squares):
    """First spike of the long square at rheobase."""
    if squares is None:
        raise FeatureError("no long squares")
    sweeps, found, _, _ = squares
    require_spikes(found)
    return first_spike(sweeps, found, [found["rheobase_sweep"].name])


def of_ramps(data, numbers):
    """First spike of the ramps."""
    sweeps, found, _ = script_utils.preprocess_ramp_sweeps(data, numbers)
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
    root = logging.getLogger()
    swallow = logging.NullHandler()
    level = root.manager.disable
    # otherwise IPFX would set up logging to the terminal
    root.addHandler(swallow)
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        logging.disable(level)
        root.removeHandler(swallow)
