"""The current-clamp sweeps of an NWB file, as DANDI holds them: one cell per file, voltage beside the stimulus."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from sbnn.ephys_types.traces.units import check_scale

# A rig that stops a sweep writes zeros (or NaN) for what it did not record, 19 ms and more; real voltages are zero for
# single samples only.
_FILL = 0.005  # s


class StoredSweep(NamedTuple):
    """A sweep in an open file; its arrays are read when they are asked for.

    Attributes
    ----------
    number : int
        Of the sweep in the experiment.
    stimulus_name : str
        As in ``X4PS_SupraThresh_DA_0``.
    rate : float
        Samples per second.
    response, stimulus : pynwb.icephys.PatchClampSeries
    """

    number: int
    stimulus_name: str
    rate: float
    response: Any
    stimulus: Any

    def current(self) -> np.ndarray:
        """Read the stimulus in pA, (n,), up to the first value that is not a number."""
        current = _values(self.stimulus) * 1e12
        return current[: _end_of_recording(np.isnan(current), 1)]

    def voltage(self) -> np.ndarray:
        """Read the response in mV, (n,), up to where recording stopped."""
        raw = np.asarray(self.response.data[:])
        recorded = _end_of_recording((raw == 0) | np.isnan(raw), round(_FILL * self.rate))
        return _values(self.response, raw[:recorded]) * 1e3


class Recording(NamedTuple):
    """What an NWB file holds of its cell.

    Attributes
    ----------
    sweeps : list of StoredSweep
        In current clamp, in the order of the experiment.
    donor, species : str
        Empty where the file does not tell.
    notes : list of str
        Sweeps that cannot be used, and why.
    """

    sweeps: list[StoredSweep]
    donor: str
    species: str
    notes: list[str]


def cell_name(path) -> str:
    """Name a cell by its file: the session, ``ses-<id>``, else the name without its ending."""
    session = re.search(r"(?:^|_)ses-([^_.]+)", Path(path).name)
    return session[1] if session else Path(path).stem


@contextmanager
def open_recording(path) -> Iterator[Recording]:
    """Open an NWB file and find its sweeps in current clamp.

    Parameters
    ----------
    path : path-like
        NWB 2.x, with every response in ``acquisition`` and its stimulus in ``stimulus/presentation``; the two belong
        together by their sweep number and electrode, else by the table of recordings, else by their names.

    Yields
    ------
    Recording

    Raises
    ------
    OSError
        The file cannot be read, or is no HDF5.
    ValueError
        No sweep in current clamp, or a sampling rate that cannot be.
    """
    from pynwb import NWBHDF5IO

    with NWBHDF5IO(str(path), mode="r", load_namespaces=True) as file:
        nwb = file.read()
        sweeps, notes = _sweeps(nwb)
        subject = nwb.subject
        yield Recording(
            sweeps, str(getattr(subject, "subject_id", "") or ""), str(getattr(subject, "species", "") or ""), notes
        )


def _sweeps(nwb) -> tuple[list[StoredSweep], list[str]]:
    from pynwb.icephys import CurrentClampSeries, CurrentClampStimulusSeries, IZeroClampSeries

    responses = [
        series
        for series in nwb.acquisition.values()
        if isinstance(series, CurrentClampSeries) and not isinstance(series, IZeroClampSeries)
    ]
    if not responses:
        raise ValueError("the file holds no sweep in current clamp")
    stimuli = [series for series in nwb.stimulus.values() if isinstance(series, CurrentClampStimulusSeries)]
    partners = _partners(nwb, stimuli)
    sweeps, notes = [], []
    for place, response in enumerate(responses):
        stimulus = partners(response)
        if stimulus is None:
            notes.append(f"sweep {response.name}: no stimulus belongs to it")
            continue
        rate = _rate(response)
        check_scale("sampling rate", rate, f"of sweep {response.name}")
        if not np.isclose(_rate(stimulus), rate, rtol=1e-6):
            notes.append(f"sweep {response.name}: {rate:g} Hz, but its stimulus has {_rate(stimulus):g} Hz")
            continue
        number = place if response.sweep_number is None else int(response.sweep_number)
        name = str(response.stimulus_description or stimulus.stimulus_description or "")
        sweeps.append(StoredSweep(number, name, rate, response, stimulus))
    return sorted(sweeps, key=lambda sweep: sweep.number), notes


def _partners(nwb, stimuli):
    """Function: response -> its stimulus, or None."""
    by_number, by_name = {}, {stimulus.name: stimulus for stimulus in stimuli}
    for stimulus in stimuli:
        if stimulus.sweep_number is not None:
            by_number.setdefault((int(stimulus.sweep_number), stimulus.electrode.name), []).append(stimulus)
    by_table = {}
    if nwb.intracellular_recordings is not None:
        table = nwb.intracellular_recordings
        for row in range(len(table)):
            response, stimulus = table["responses"]["response"][row], table["stimuli"]["stimulus"][row]
            if min(response.idx_start, stimulus.idx_start) >= 0:  # else one is missing, and stands for both
                by_table[response.timeseries.object_id] = stimulus.timeseries

    def partner(response):
        if response.sweep_number is not None:
            found = by_number.get((int(response.sweep_number), response.electrode.name), [])
            if len(found) == 1:
                return found[0]
        name = re.sub(r"_AD(\d+)$", r"_DA\1", response.name)
        return by_table.get(response.object_id, by_name.get(name))

    return partner


def _rate(series) -> float:
    """Samples per second; from the times where a file lists them."""
    if series.rate is not None:
        return float(series.rate)
    times = np.asarray(series.timestamps[:], dtype=np.float64)
    steps = np.diff(times)
    if len(steps) == 0 or not np.allclose(steps, steps.mean(), rtol=1e-3, atol=0) or steps.mean() <= 0:
        raise ValueError(f"the times of {series.name} do not rise in equal steps")
    return float(1 / steps.mean())


def _values(series, raw=None) -> np.ndarray:
    """Stored numbers in volts or amperes."""
    raw = series.data[:] if raw is None else raw
    # Single precision holds a conversion of 0.001 to 5e-8 only, which is less than the last digit of what it converts.
    return np.asarray(raw, dtype=np.float64) * float(series.conversion) + float(series.offset)


def _end_of_recording(missing: np.ndarray, least: int) -> int:
    """Where the first run of at least `least` missing values begins; trailing ones count whatever their number."""
    edges = np.flatnonzero(np.diff(np.concatenate([[0], missing.astype(np.int8), [0]])))
    starts, ends = edges[::2], edges[1::2]
    runs = starts[(ends - starts >= least) | (ends == len(missing))]
    return int(runs[0]) if len(runs) else len(missing)
