"""Recordings of simulated neurons, written as DANDI holds real ones: for tests, lessons, and one's own checks."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sbnn.ephys_types.traces.extra import quiet, require_extra
from sbnn.ephys_types.traces.layout import RATE
from sbnn.ephys_types.traces.neuron import SimulatedNeuron

_MARGIN = 0.3  # s before the onset and after the end of a stimulus
_TEST_PULSE = (0.02, 0.01, -50.0)  # s, s, pA
_LATTICE = 1 / 32  # mV, of a digitiser


class Protocol(NamedTuple):
    """One stimulus.

    Attributes
    ----------
    name : str
        As the file calls it.
    kind : {"square", "ramp"}
    length : float
        Seconds.
    amplitude : float
        pA; of a ramp at its end.
    """

    name: str
    kind: str
    length: float
    amplitude: float


class Truth(NamedTuple):
    """What is known of a sweep.

    Attributes
    ----------
    protocol : Protocol
    spike_times : ndarray
        Seconds from the onset.
    """

    protocol: Protocol
    spike_times: np.ndarray


def usual_protocols(rheobase: int) -> list[Protocol]:
    """List what a cell of DANDI 000020 sees: steps below and over rheobase, short squares, ramps."""
    below = [Protocol("X1PS_SubThresh_DA_0", "square", 1.0, amplitude) for amplitude in (-110, -90, -50, -30)]
    rheo = [
        Protocol("X3LP_Rheo_DA_0", "square", 1.0, rheobase - 10),
        Protocol("X3LP_Rheo_DA_0", "square", 1.0, rheobase),
    ]
    over = [Protocol("X4PS_SupraThresh_DA_0", "square", 1.0, rheobase + extra) for extra in (40, 80)]
    short = [Protocol("X6SP_Rheo_DA_0", "square", 0.003, 1500)] * 2
    return below + rheo + over + short + [Protocol("X7Ramp_DA_0", "ramp", 1.0, 2.5 * rheobase)]


def write_recording(
    folder,
    neuron: SimulatedNeuron | None = None,
    protocols: list[Protocol] | None = None,
    *,
    session="900000001",
    donor="800000001",
    species="Mus musculus",
    rate=RATE,
    noise=0.02,
    random_state=0,
) -> tuple[Path, list[Truth]]:
    """Record a simulated neuron and write an NWB file of the layout of DANDI 000020.

    Voltages are stored in mV with a conversion of 0.001, on the lattice of a digitiser, currents in pA with one of
    1e-12; a test pulse comes before each stimulus.

    Parameters
    ----------
    folder : path-like
        The file goes to ``sub-<donor>/sub-<donor>_ses-<session>_icephys.nwb`` in it.
    neuron : SimulatedNeuron, optional
    protocols : list of Protocol, optional
        By default `usual_protocols` of the neuron's rheobase.
    session, donor, species : str
    rate : float
        Samples per second.
    noise : float
        SD of the noise of the amplifier, in mV.
    random_state : int
        Seed of the noise.

    Returns
    -------
    path : Path
    truth : list of Truth
        Of each sweep, in their order.

    Raises
    ------
    ImportError
        Without the extra ``traces``.
    """
    require_extra()
    sweeps, truth = record(neuron, protocols, rate=rate, noise=noise, random_state=random_state)
    path = Path(folder) / f"sub-{donor}" / f"sub-{donor}_ses-{session}_icephys.nwb"
    path.parent.mkdir(parents=True, exist_ok=True)
    write_sweeps(path, sweeps, rate=rate, session=str(session), donor=str(donor), species=species)
    return path, truth


def record(neuron=None, protocols=None, *, rate=RATE, noise=0.02, random_state=0) -> tuple[list, list[Truth]]:
    """Record a simulated neuron without writing a file; arguments are those of `write_recording`.

    Returns
    -------
    sweeps : list of (str, ndarray, ndarray)
        Name of the stimulus, current in pA and voltage in mV, as `write_sweeps` takes them.
    truth : list of Truth
    """
    neuron = SimulatedNeuron() if neuron is None else neuron
    protocols = usual_protocols(neuron.rheobase(rate)) if protocols is None else protocols
    rng = np.random.default_rng(random_state)
    sweeps, truth = [], []
    for protocol in protocols:
        current, onset = current_of(protocol, rate)
        voltage, spikes = neuron.respond(current, rate)
        voltage = np.round((voltage + noise * rng.standard_normal(len(voltage))) / _LATTICE) * _LATTICE
        sweeps.append((protocol.name, current, voltage))
        truth.append(Truth(protocol, (spikes - onset) / rate))
    return sweeps, truth


def current_of(protocol: Protocol, rate: float) -> tuple[np.ndarray, int]:
    """Draw the current of a protocol in pA, and say at which sample it begins."""
    onset, length = round(_MARGIN * rate), round(protocol.length * rate)
    current = np.zeros(2 * onset + length)
    start, lasts, amplitude = _TEST_PULSE
    current[round(start * rate) : round((start + lasts) * rate)] = amplitude
    shape = np.arange(length) / length if protocol.kind == "ramp" else 1.0
    current[onset : onset + length] = protocol.amplitude * shape
    return current, onset


def write_sweeps(
    path,
    sweeps,
    *,
    rate=RATE,
    session="900000001",
    donor="800000001",
    species="Mus musculus",
    voltage_conversion=1e-3,
    current_conversion=1e-12,
    by_number=True,
) -> None:
    """Write sweeps in current clamp to an NWB file, and one in voltage clamp before them, as a rig records it.

    Parameters
    ----------
    path : path-like
    sweeps : list of (str, ndarray, ndarray)
        Name of the stimulus, current and voltage, as they are stored.
    rate : float
    session, donor, species : str
    voltage_conversion, current_conversion : float
        That the stored numbers are to be multiplied with to give volts and amperes.
    by_number : bool
        Whether a response and its stimulus have one sweep number, as in the files of DANDI; else a table of recordings
        lists the pairs, as files of today have it.
    """
    from hdmf.backends.hdf5 import H5DataIO
    from ipfx.utilities import inject_sweep_table
    from pynwb import NWBHDF5IO, NWBFile
    from pynwb import icephys as ic
    from pynwb.file import Subject

    def stored(values):
        return H5DataIO(np.asarray(values, dtype=np.float32), compression="gzip", compression_opts=1, shuffle=True)

    with quiet():
        nwb = NWBFile("a simulated neuron", session, datetime(2020, 1, 1, tzinfo=UTC), session_id=session)
        nwb.subject = Subject(subject_id=donor, species=species)
        if by_number:
            inject_sweep_table(nwb)  # pynwb makes none any more, but the files of DANDI have it, and IPFX reads by it
        device = nwb.create_device("amplifier")
        electrode = nwb.create_icephys_electrode(name="electrode 0", description="simulated", device=device)
        common = {"electrode": electrode, "rate": float(rate), "gain": 0.05}
        seal = {**common, "data": np.zeros(10, np.float32), "stimulus_description": "EXTPSMOKET_DA_0"}
        pairs = [(ic.VoltageClampSeries, ic.VoltageClampStimulusSeries, seal, seal)]
        for name, current, voltage in sweeps:
            of_sweep = {**common, "stimulus_description": name}
            response = {**of_sweep, "data": stored(voltage), "conversion": float(voltage_conversion)}
            stimulus = {**of_sweep, "data": stored(current), "conversion": float(current_conversion)}
            pairs.append((ic.CurrentClampSeries, ic.CurrentClampStimulusSeries, response, stimulus))
        for number, (response_class, stimulus_class, response, stimulus) in enumerate(pairs):
            one = {"sweep_number": number} if by_number else {}
            response = response_class(f"data_{number:05d}_AD0", **response, **one)
            stimulus = stimulus_class(f"data_{number:05d}_DA0", **stimulus, **one)
            if by_number:
                nwb.add_acquisition(response, use_sweep_table=True)
                nwb.add_stimulus(stimulus, use_sweep_table=True)
            else:
                nwb.add_intracellular_recording(electrode=electrode, stimulus=stimulus, response=response)
        with NWBHDF5IO(str(path), mode="w") as file:
            file.write(nwb)
