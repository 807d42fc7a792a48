"""Recordings of a simulated neuron give the families that they should."""

import warnings
from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import pchip_interpolate

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from ipfx.utilities import inject_sweep_table
from pynwb import NWBHDF5IO, NWBFile
from pynwb import icephys as ic

from sbnn.ephys_types.traces import read_traces, trace_families

RATE = 50_000
ONSET = 0.3  # s, at which stimuli begin, after a test pulse
REST, THRESHOLD, PEAK, TROUGH = -70.0, -45.0, 20.0, -60.0  # mV
RESISTANCE = 0.17  # mV per pA
RHEOBASE = 150  # pA
FAMILIES = trace_families()
TRAINS = {name for name in FAMILIES if name.startswith("spiking_")} | {"inst_freq", "psth"}
STEPS = {"step_subthresh", "subthresh_norm"}
#: Name, length in s, amplitude in pA, and times of spikes, of what a cell of DANDI 000020 sees.
PROTOCOLS = [
    *[("X1PS_SubThresh_DA_0", 1.0, step, []) for step in (-110, -90, -50, -30)],
    *[
        ("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE + more, np.linspace(0.113, 0.913, n))
        for more, n in ((-10, 0), (0, 5), (40, 9), (80, 17))
    ],
    ("X6SP_Rheo_DA_0", 0.003, 1500, [0.001]),
    ("X7Ramp_DA_0", 1.0, 375, [0.5, 0.7]),
]


def record(rate=RATE):
    """Name, current and voltage of a sweep for each protocol."""
    sweeps = []
    for name, length, amplitude, spikes in PROTOCOLS:
        t = np.arange(-ONSET, length + ONSET, 1 / rate).round(6)
        stimulus = (t >= 0) & (t < length)
        current = amplitude * stimulus * (t / length if "Ramp" in name else 1.0)
        current[(t > -0.28) & (t < -0.27)] = -50.0
        shape = {-ONSET: REST, 0: REST}
        for spike in spikes:
            shape |= {spike: THRESHOLD, spike + 0.0003: PEAK, spike + 0.0009: TROUGH}
        if len(spikes) == 0:
            steady = REST + RESISTANCE * amplitude
            shape |= {abs(amplitude) / 1000: steady, length: steady}  # small steps are faster
        shape |= {length + 0.1: REST, length + ONSET: REST}
        sweeps.append((name, current, pchip_interpolate([*shape], [*shape.values()], t)))
    return sweeps


def families_of(tmp_path, sweeps, rate=RATE):
    """Families of a cell, by way of a file of numbered sweeps, as in DANDI."""
    nwb = NWBFile("a simulated neuron", "s", datetime(2020, 1, 1, tzinfo=UTC))
    amplifier = nwb.create_device("amplifier")
    electrode = nwb.create_icephys_electrode("electrode 0", amplifier, "simulated")
    path = tmp_path / "cell.nwb"
    with warnings.catch_warnings(action="ignore"):
        inject_sweep_table(nwb)
        for number, (name, current, voltage) in enumerate(sweeps):
            about = {"electrode": electrode, "rate": float(rate), "gain": 1.0}
            about |= {"stimulus_description": name, "sweep_number": number}
            v = ic.CurrentClampSeries(f"v{number}", np.float32(voltage), conversion=1e-3, **about)
            i = np.float32(current)
            i = ic.CurrentClampStimulusSeries(f"i{number}", i, conversion=1e-12, **about)
            nwb.add_acquisition(v, use_sweep_table=True)
            nwb.add_stimulus(i, use_sweep_table=True)
        with NWBHDF5IO(str(path), mode="w") as file:
            file.write(nwb)
    row = read_traces(path)
    return {name: row[columns].to_numpy() for name, columns in FAMILIES.items()}


@pytest.fixture(scope="module")
def sweeps():
    return record()


@pytest.fixture(scope="module")
def whole(sweeps, tmp_path_factory):
    return families_of(tmp_path_factory.mktemp("whole"), sweeps)


def test_families_are_those_of_the_simulation(whole, sweeps):
    typical = {
        "spiking_threshold_v": THRESHOLD,
        "spiking_peak_v": PEAK,
        "spiking_fast_trough_v": TROUGH,
        "spiking_width": 0.000485,  # at half of the height
        "spiking_upstroke_downstroke_ratio": 2 * 65 / 80,
    }
    for name, value in typical.items():
        assert_allclose(whole[name], value, rtol=0.05)
    first = whole["first_ap_v"].reshape(3, 150)  # from 5 % of the steepest slope
    assert_allclose(first.argmax(axis=1), 0.0003 * RATE, atol=2)
    assert_allclose(first.max(axis=1), PEAK, atol=0.1)
    for part, (*_, spikes) in enumerate(PROTOCOLS[5:8]):
        in_bins, _ = np.histogram(spikes, np.arange(51) / 50)
        bins = slice(50 * part, 50 * part + 50)
        assert_allclose(whole["psth"][bins], 50 * in_bins, atol=1e-9)
        assert_allclose(whole["inst_freq"][bins][25], 1 / (spikes[1] - spikes[0]), rtol=0.02)
    assert_allclose(whole["isi_shape"][[0, -1]], [TROUGH - THRESHOLD, 0], atol=1)
    # in bins of 10 ms, from 200 ms before the onset
    steps = whole["step_subthresh"].reshape(3, 140)
    assert_allclose(steps[:, :20], REST, atol=0.05)
    assert_allclose((steps[:, 115] - REST) / RESISTANCE, [-30, -50, -90], rtol=1e-3)
    largest = sweeps[0][2][15_000:65_000].reshape(100, 500).mean(1)
    expected = (largest - REST) / (110 * RESISTANCE)
    assert_allclose(whole["subthresh_norm"][20:120], expected, atol=0.01)


@pytest.mark.parametrize("rate", [20_000, 100_000])
def test_the_rate_makes_no_difference(whole, rate, tmp_path):
    families = families_of(tmp_path, record(rate), rate)
    for name in ("spiking_peak_v", "spiking_width", "psth", "step_subthresh", "subthresh_norm"):
        assert_allclose(families[name], whole[name], atol=0.1, rtol=0.05)


@pytest.mark.parametrize(
    ("kept", "missing"),
    [
        (range(4, 10), STEPS),
        ([0, 1, 2, 3, 5, 8], TRAINS),
        ([8, 9], {*TRAINS, *STEPS, "isi_shape"}),
    ],
)
def test_what_a_cell_lacks_is_missing(whole, sweeps, tmp_path, kept, missing):
    """The rest is as in a whole recording, where the sweeps are the same."""
    found = families_of(tmp_path, [sweeps[k] for k in kept])
    first = np.split(found.pop("first_ap_v"), 3)
    # short square, long square at rheobase and ramp
    assert np.isfinite(first).all(axis=1).tolist() == [k in kept for k in (8, 5, 9)]
    assert_array_equal(found.pop("first_ap_dv"), np.diff(first).ravel())
    assert {name for name, vector in found.items() if np.isnan(vector).all()} == missing
    for name in found.keys() - missing - {"isi_shape"}:
        assert_array_equal(found[name], whole[name])


def test_an_incomplete_file_is_named(tmp_path):
    path = tmp_path / "cell.nwb"
    path.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(OSError, match="cell.nwb: .*signature"):
        read_traces(path)
