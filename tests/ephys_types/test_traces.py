"""Recordings of a simulated neuron give the families that they should."""

import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from ipfx.utilities import inject_sweep_table
from pynwb import NWBHDF5IO, NWBFile
from pynwb import icephys as ic

from sbnn.ephys_types.traces import read_traces, trace_families

RATE = 50_000
ONSET = 15_000  # sample at which stimuli begin, after a test pulse
REST, THRESHOLD, PEAK, TROUGH = -70.0, -45.0, 20.0, -60.0  # mV
RESISTANCE, TAU = 0.17, 0.015  # mV per pA, s
RHEOBASE = 150  # pA
FAMILIES = trace_families()
TRAINS = {name for name in FAMILIES if name.startswith("spiking_")} | {"inst_freq", "psth"}
STEPS = {"step_subthresh", "subthresh_norm"}
#: Name, length in s and amplitude in pA of what a cell of DANDI 000020 sees.
PROTOCOLS = [
    *[("X1PS_SubThresh_DA_0", 1.0, step) for step in (-110, -90, -50, -30)],
    *[("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE + more) for more in (-10, 0, 40, 80)],
    ("X6SP_Rheo_DA_0", 0.003, 1500),
    ("X7Ramp_DA_0", 1.0, 375),
]


def spike(rate=RATE):
    """Halves of cosines, from the threshold to the peak in 0.3 ms and to the trough in 0.6 ms."""
    t = np.arange(round(0.0009 * rate)) / rate
    up = THRESHOLD + (PEAK - THRESHOLD) * (1 - np.cos(np.pi * t / 0.0003)) / 2
    down = PEAK + (TROUGH - PEAK) * (1 - np.cos(np.pi * (t - 0.0003) / 0.0006)) / 2
    return np.where(t < 0.0003, up, down)


def respond(current, rate=RATE):
    """Voltage of a leaky membrane with spikes, and the samples at which the spikes begin."""
    decay = np.exp(-1 / (TAU * rate))
    shape = spike(rate)
    voltage = np.empty(len(current))
    spikes = []
    v, n = REST, 0
    while n < len(current):
        if v >= THRESHOLD:
            spikes.append(n)
            voltage[n : n + len(shape)] = shape[: len(current) - n]
            v, n = TROUGH, n + len(shape)
        else:
            voltage[n] = v
            v = REST + decay * (v - REST) + (1 - decay) * RESISTANCE * current[n]
            n += 1
    return voltage, np.array(spikes)


def record(protocols, rate=RATE):
    """Name, current and voltage of a sweep for each protocol."""
    sweeps = []
    onset = round(ONSET / RATE * rate)
    for name, length, amplitude in protocols:
        size = round(length * rate)
        current = np.zeros(2 * onset + size)
        current[round(0.02 * rate) : round(0.03 * rate)] = -50.0
        shape = np.arange(size) / size if "Ramp" in name else 1.0
        current[onset : onset + size] = amplitude * shape
        sweeps.append((name, current, respond(current, rate)[0]))
    return sweeps


def write_sweeps(path, sweeps, rate=RATE):
    """Write numbered sweeps, as in DANDI."""
    nwb = NWBFile("a simulated neuron", "s", datetime(2020, 1, 1, tzinfo=UTC))
    amplifier = nwb.create_device("amplifier")
    electrode = nwb.create_icephys_electrode("electrode 0", amplifier, "simulated")
    with warnings.catch_warnings(action="ignore"):
        inject_sweep_table(nwb)
        for number, (name, current, voltage) in enumerate(sweeps):
            common = {"electrode": electrode, "rate": float(rate), "gain": 1.0}
            common |= {"stimulus_description": name, "sweep_number": number}
            response = ic.CurrentClampSeries(
                f"v{number}", np.float32(voltage), conversion=1e-3, **common
            )
            stimulus = ic.CurrentClampStimulusSeries(
                f"i{number}", np.float32(current), conversion=1e-12, **common
            )
            nwb.add_acquisition(response, use_sweep_table=True)
            nwb.add_stimulus(stimulus, use_sweep_table=True)
        with NWBHDF5IO(str(path), mode="w") as file:
            file.write(nwb)
    return path


def families_of(tmp_path, sweeps, **options):
    """Families of a cell, by way of a file."""
    row = read_traces(write_sweeps(tmp_path / "cell.nwb", sweeps, **options))
    return {name: row[columns].to_numpy() for name, columns in FAMILIES.items()}


@pytest.fixture(scope="module")
def sweeps():
    return record(PROTOCOLS)


@pytest.fixture(scope="module")
def whole(sweeps, tmp_path_factory):
    return families_of(tmp_path_factory.mktemp("whole"), sweeps)


def test_families_are_those_of_the_simulation(whole, sweeps):
    typical = {
        "spiking_threshold_v": THRESHOLD,
        "spiking_peak_v": PEAK,
        "spiking_fast_trough_v": TROUGH,
        "spiking_width": 0.000472,  # at half of the height
        "spiking_upstroke_downstroke_ratio": 2 * 65 / 80,
    }
    for name, value in typical.items():
        assert_allclose(whole[name], value, rtol=0.05)
    for v in np.split(whole["first_ap_v"], 3):
        shift = v.argmax() - spike().argmax()  # threshold is at 5 % of the steepest slope
        assert abs(shift) <= 2
        assert_allclose(v[5:40], spike()[5 - shift : 40 - shift], atol=0.1)
    for k in range(3):
        _, spikes = respond(sweeps[5 + k][1])  # rheobase, 40 and 80 pA more
        in_bins, _ = np.histogram(spikes, ONSET + np.arange(51) * RATE // 50)
        assert_allclose(whole["psth"][50 * k : 50 * k + 50], 50 * in_bins, atol=1e-9)
        frequency = whole["inst_freq"][50 * k + 25]
        assert frequency == pytest.approx(RATE / np.diff(spikes).mean(), rel=0.02)
    assert_allclose(whole["isi_shape"][[0, -1]], [TROUGH - THRESHOLD, 0], atol=1)
    # in bins of 10 ms, from 200 ms before the onset
    steps = whole["step_subthresh"].reshape(3, 140)
    assert_allclose(steps[:, :20], REST, atol=0.05)
    steady = REST + RESISTANCE * np.array([-30, -50, -90])
    assert_allclose(steps[:, 110:119], np.outer(steady, np.ones(9)), rtol=1e-3)
    assert_allclose(whole["subthresh_norm"][110:119], -1, atol=0.01)


@pytest.mark.parametrize("rate", [20_000, 100_000])
def test_the_rate_makes_no_difference(whole, rate, tmp_path):
    families = families_of(tmp_path, record(PROTOCOLS, rate), rate=rate)
    for name in ("spiking_peak_v", "spiking_width", "step_subthresh", "subthresh_norm"):
        assert_allclose(families[name], whole[name], atol=0.1, rtol=0.05)
    # a threshold may be a sample earlier
    assert_allclose(families["first_ap_v"].max(), whole["first_ap_v"].max(), atol=2)


@pytest.mark.parametrize(
    ("kept", "missing", "spikes"),
    [
        (range(8), set(), [False, True, False]),
        (range(4, 10), STEPS, [True] * 3),
        ([0, 1, 2, 3, 9], {*TRAINS, "isi_shape"}, [False, False, True]),
        ([0, 1, 2, 3, 5, 8], TRAINS, [True, True, False]),
        ([8, 9], {*TRAINS, *STEPS, "isi_shape"}, [True, False, True]),
    ],
)
def test_what_a_cell_lacks_is_missing(whole, sweeps, tmp_path, kept, missing, spikes):
    """The rest is as in a whole recording, where the sweeps are the same."""
    found = families_of(tmp_path, [sweeps[k] for k in kept])
    first = np.split(found.pop("first_ap_v"), 3)
    assert np.isfinite(first).all(axis=1).tolist() == spikes
    for part, v in zip(np.split(found.pop("first_ap_dv"), 3), first, strict=True):
        assert_array_equal(part, np.diff(v))
    assert {name for name, vector in found.items() if np.isnan(vector).all()} == missing
    for name in found.keys() - missing - {"isi_shape"}:
        assert_array_equal(found[name], whole[name])
