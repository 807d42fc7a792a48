"""Recordings of a simulated neuron of which everything is known, written as DANDI holds real ones."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import numpy as np
from hdmf.backends.hdf5 import H5DataIO
from pynwb import NWBHDF5IO, NWBFile
from pynwb import icephys as ic
from pynwb.file import Subject
from scipy.linalg import expm

from sbnn.ephys_types.traces import read_traces, trace_families
from sbnn.ephys_types.traces.reading import quiet
from sbnn.ephys_types.traces.recording import sweeps_of
from sbnn.ephys_types.traces.vectors import joined, vectors_of

RATE, RHEOBASE = 50_000, 150  # pA, of the neuron
ONSET = 0.3  # s
FAMILIES = trace_families()
TRAINS = [name for name in FAMILIES if name.startswith("spiking_")] + ["inst_freq", "psth"]


@dataclass(frozen=True)
class Neuron:
    """A linear membrane with sag and adaptation; a spike is half a cosine up and half a cosine down."""

    rest: float = -70.0
    threshold: float = -45.0
    peak: float = 20.0
    trough: float = -60.0
    resistance: float = 150.0  # MOhm, at steady state
    tau: float = 0.015
    sag: float = 0.25
    sag_tau: float = 0.1
    adaptation: float = 4.0  # pA per spike
    adaptation_tau: float = 0.2
    rise: float = 0.0003
    fall: float = 0.0006

    @property
    def width(self):
        passed = ((self.peak + self.trough) / 2 - self.threshold) / (self.peak - self.threshold)
        return self.fall / 2 + self.rise * (1 - np.arccos(1 - 2 * passed) / np.pi)

    @property
    def upstroke_downstroke_ratio(self):
        return (self.peak - self.threshold) / self.rise / ((self.peak - self.trough) / self.fall)

    def spike(self, rate):
        t = np.arange(round((self.rise + self.fall) * rate)) / rate
        up = self.threshold + (self.peak - self.threshold) * (1 - np.cos(np.pi * t / self.rise)) / 2
        down = self.peak + (self.trough - self.peak) * (1 - np.cos(np.pi * (t - self.rise) / self.fall)) / 2
        return np.where(t < self.rise, up, down)

    def respond(self, current, rate):
        """Voltage, and the samples at which spikes begin."""
        scale = self.resistance * (1 + self.sag) * 1e-3 / self.tau
        rates = np.zeros((4, 4))  # of v, of the slow current that opposes it (sag), of adaptation; and the current
        rates[0] = -1 / self.tau, -1 / self.tau, -scale, scale
        rates[1, :2] = self.sag / self.sag_tau, -1 / self.sag_tau
        rates[2, 2] = -1 / self.adaptation_tau
        step = expm(rates / rate)[:3].tolist()
        spike, voltage, spikes, n = self.spike(rate), np.empty(len(current)), [], 0
        v = h = a = 0.0
        currents, over = current.tolist(), self.threshold - self.rest
        while n < len(voltage):
            if v >= over:
                spikes.append(n)
                part = spike[: len(voltage) - n]
                voltage[n : n + len(part)] = part
                v, n = self.trough - self.rest, n + len(spike)
                a = a * np.exp(-len(spike) / rate / self.adaptation_tau) + self.adaptation
                continue
            voltage[n] = self.rest + v
            i = currents[n]
            v, h, a = (row[0] * v + row[1] * h + row[2] * a + row[3] * i for row in step)
            n += 1
        return voltage, np.array(spikes, dtype=int)


class Protocol(NamedTuple):
    name: str
    kind: str  # "square" or "ramp"
    length: float
    amplitude: float


def usual_protocols():
    """What a cell of DANDI 000020 sees: steps below and over rheobase, short squares, a ramp."""
    steps = [("X1PS_SubThresh_DA_0", step) for step in (-110, -90, -50, -30)]
    steps += [("X3LP_Rheo_DA_0", RHEOBASE - 10), ("X3LP_Rheo_DA_0", RHEOBASE)]
    steps += [("X4PS_SupraThresh_DA_0", RHEOBASE + more) for more in (40, 80)]
    squares = [Protocol(name, "square", 1.0, amplitude) for name, amplitude in steps]
    short = [Protocol("X6SP_Rheo_DA_0", "square", 0.003, 1500)] * 2
    return squares + short + [Protocol("X7Ramp_DA_0", "ramp", 1.0, 2.5 * RHEOBASE)]


def current_of(protocol, rate=RATE):
    """Current in pA, after a test pulse."""
    onset, length = round(ONSET * rate), round(protocol.length * rate)
    current = np.zeros(2 * onset + length)
    current[round(0.02 * rate) : round(0.03 * rate)] = -50.0
    current[onset : onset + length] = protocol.amplitude * (
        np.arange(length) / length if protocol.kind == "ramp" else 1.0
    )
    return current


def record(neuron=None, protocols=None, rate=RATE, noise=0.02, seed=0):
    """Name, current and voltage of each sweep, and protocol and times of the spikes."""
    neuron, rng, sweeps, truth = neuron or Neuron(), np.random.default_rng(seed), [], []
    for protocol in protocols or usual_protocols():
        current = current_of(protocol, rate)
        voltage, spikes = neuron.respond(current, rate)
        voltage = np.round((voltage + noise * rng.standard_normal(len(voltage))) * 32) / 32  # of a digitiser
        sweeps.append((protocol.name, current, voltage))
        truth.append((protocol, (spikes - round(ONSET * rate)) / rate))
    return sweeps, truth


def write_sweeps(path, sweeps, rate=RATE, session="2", donor="1", conversion=1e-3, by_number=True):
    """Sweeps in current clamp, and one in voltage clamp before them, as a rig records it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        from ipfx.utilities import inject_sweep_table

        nwb = NWBFile("a simulated neuron", session, datetime(2020, 1, 1, tzinfo=UTC), session_id=session)
        nwb.subject = Subject(subject_id=donor, species="Mus musculus")
        if by_number:
            inject_sweep_table(nwb)  # pynwb makes none any more, but the files of DANDI have it
        electrode = nwb.create_icephys_electrode(
            name="electrode 0", description="simulated", device=nwb.create_device("amplifier")
        )
        common = {"electrode": electrode, "rate": float(rate), "gain": 0.05}
        seal = {"data": np.zeros(10, np.float32), "stimulus_description": "EXTPSMOKET_DA_0"}
        pairs = [(ic.VoltageClampSeries, ic.VoltageClampStimulusSeries, seal, seal)]
        for name, *both in sweeps:
            current, voltage = (H5DataIO(np.asarray(x, np.float32), compression="gzip") for x in both)
            response = {"data": voltage, "conversion": conversion, "stimulus_description": name}
            stimulus = {"data": current, "conversion": 1e-12, "stimulus_description": name}
            pairs.append((ic.CurrentClampSeries, ic.CurrentClampStimulusSeries, response, stimulus))
        for number, (of_response, of_stimulus, response, stimulus) in enumerate(pairs):
            one = {"sweep_number": number} if by_number else {}
            response = of_response(f"data_{number:05d}_AD0", **common, **response, **one)
            stimulus = of_stimulus(f"data_{number:05d}_DA0", **common, **stimulus, **one)
            if by_number:
                nwb.add_acquisition(response, use_sweep_table=True)
                nwb.add_stimulus(stimulus, use_sweep_table=True)
            else:
                nwb.add_intracellular_recording(electrode=electrode, stimulus=stimulus, response=response)
        with NWBHDF5IO(str(path), mode="w") as file:
            file.write(nwb)
    return path


@cache
def recorded():
    """Sweeps of the neuron and the truth of them."""
    return record()


def features_of(tmp_path, sweeps, **options):
    """Families and notes of one cell, by way of a file."""
    path = write_sweeps(tmp_path / "cell.nwb", sweeps, **options)
    with quiet(), NWBHDF5IO(str(path), mode="r", load_namespaces=True) as file:
        cut, left_out = sweeps_of(file.read())
        vectors, missing = vectors_of(cut)
    path.unlink()
    return in_families(joined(vectors)), "; ".join(left_out + missing)


def read(path, **options):
    return read_traces(path, verbose=False, **{"cache": False} | options)


def in_families(values):
    ends = np.cumsum([len(columns) for columns in FAMILIES.values()])
    return dict(zip(FAMILIES, np.split(values, ends[:-1]), strict=True))


def assert_same(families, others):
    for name, values in families.items():
        np.testing.assert_array_equal(values, others[name], err_msg=name)
