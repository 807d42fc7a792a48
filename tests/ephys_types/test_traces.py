"""Recordings of a simulated neuron give the families that they should."""

import warnings
from datetime import UTC, datetime

import h5py
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.interpolate import pchip_interpolate

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from ipfx.utilities import inject_sweep_table
from pynwb import NWBHDF5IO, NWBFile, icephys

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
    ("X1PS_SubThresh_DA_0", 1.0, -110, []),
    ("X1PS_SubThresh_DA_0", 1.0, -90, []),
    ("X1PS_SubThresh_DA_0", 1.0, -50, []),
    ("X1PS_SubThresh_DA_0", 1.0, -30, []),
    ("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE - 10, []),
    ("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE, np.linspace(0.113, 0.913, 5)),
    ("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE + 40, np.linspace(0.113, 0.913, 9)),
    ("X4PS_SupraThresh_DA_0", 1.0, RHEOBASE + 80, np.linspace(0.113, 0.913, 17)),
    ("X6SP_Rheo_DA_0", 0.003, 1500, [0.001]),
    ("X7Ramp_DA_0", 1.0, 375, [0.5, 0.7]),
]


def simulate_current(name, length, amplitude, t):
    """A step or a ramp, after a test pulse."""
    current = amplitude * ((t >= 0) & (t < length))
    if "Ramp" in name:
        current = current * t / length
    is_test_pulse = (t > -0.28) & (t < -0.27)
    return np.where(is_test_pulse, -50.0, current)


def simulate_voltage(length, amplitude, spikes, t):
    """A curve through the rest, and through the spikes or the steady state."""
    points = {-ONSET: REST, 0: REST}
    for spike in spikes:
        points[spike] = THRESHOLD
        points[spike + 0.0003] = PEAK
        points[spike + 0.0009] = TROUGH
    if len(spikes) == 0:
        steady_state = REST + RESISTANCE * amplitude
        points[abs(amplitude) / 1000] = steady_state  # small steps are faster
        points[length] = steady_state
    points[length + 0.1] = REST
    points[length + ONSET] = REST
    return pchip_interpolate(list(points), list(points.values()), t)


def simulate_sweeps(rate=RATE):
    """Name, current and voltage of a sweep for each protocol."""
    sweeps = []
    for name, length, amplitude, spikes in PROTOCOLS:
        t = np.arange(-ONSET, length + ONSET, 1 / rate).round(6)
        current = simulate_current(name, length, amplitude, t=t)
        voltage = simulate_voltage(length, amplitude, spikes, t=t)
        sweeps.append((name, current, voltage))
    return sweeps


def write_recording(path, sweeps, rate=RATE, conversion=1e-3, add_more=None):
    """Write numbered sweeps into a file as those of DANDI; `add_more` may add to them."""
    nwb = NWBFile("a simulated neuron", "s", datetime(2020, 1, 1, tzinfo=UTC))
    amplifier = nwb.create_device("amplifier")
    electrode = nwb.create_icephys_electrode("electrode 0", amplifier, "simulated")
    inject_sweep_table(nwb)
    for number, (name, current, voltage) in enumerate(sweeps):
        response = icephys.CurrentClampSeries(
            name=f"v{number}",
            data=np.float32(voltage),
            conversion=conversion,
            electrode=electrode,
            rate=float(rate),
            gain=1.0,
            stimulus_description=name,
            sweep_number=number,
        )
        nwb.add_acquisition(response, use_sweep_table=True)
        stimulus = icephys.CurrentClampStimulusSeries(
            name=f"i{number}",
            data=np.float32(current),
            conversion=1e-12,
            electrode=electrode,
            rate=float(rate),
            gain=1.0,
            stimulus_description=name,
            sweep_number=number,
        )
        nwb.add_stimulus(stimulus, use_sweep_table=True)
    if add_more is not None:
        add_more(nwb, electrode)
    with NWBHDF5IO(str(path), mode="w") as file:
        file.write(nwb)


def read_recording(folder, sweeps, **options):
    """Features of a cell, by way of a file."""
    path = folder / "cell.nwb"
    with warnings.catch_warnings(action="ignore"):
        write_recording(path, sweeps, **options)
    return read_traces(path)


def read_families(folder, sweeps, rate=RATE):
    """Families of a cell, by way of a file."""
    row = read_recording(folder, sweeps, rate=rate)
    return {name: row[columns].to_numpy() for name, columns in FAMILIES.items()}


@pytest.fixture(scope="module")
def sweeps():
    return simulate_sweeps()


@pytest.fixture(scope="module")
def whole(sweeps, tmp_path_factory):
    """Families of a recording with all protocols."""
    return read_families(tmp_path_factory.mktemp("whole"), sweeps)


@pytest.mark.parametrize(
    ("family", "value"),
    [
        ("spiking_threshold_v", THRESHOLD),
        ("spiking_peak_v", PEAK),
        ("spiking_fast_trough_v", TROUGH),
        ("spiking_width", 0.000485),  # at half of the height
        ("spiking_upstroke_downstroke_ratio", 2 * 65 / 80),
    ],
)
def test_spikes_are_those_of_the_simulation(whole, family, value):
    assert_allclose(whole[family], value, rtol=0.05)


def test_first_spikes_begin_before_their_peak(whole):
    """From 5 % of the steepest slope."""
    first_spikes = whole["first_ap_v"].reshape(3, 150)
    assert_allclose(first_spikes.argmax(axis=1), 0.0003 * RATE, atol=2)
    assert_allclose(first_spikes.max(axis=1), PEAK, atol=0.1)


@pytest.mark.parametrize("part", range(3))
def test_spikes_are_counted_in_bins(whole, part):
    """Of 20 ms, in the sweeps at rheobase and above."""
    *_, spikes = PROTOCOLS[5 + part]
    counts, _ = np.histogram(spikes, np.arange(51) / 50)
    bins = slice(50 * part, 50 * part + 50)
    assert_allclose(whole["psth"][bins], 50 * counts, atol=1e-9)
    frequency = 1 / (spikes[1] - spikes[0])
    assert_allclose(whole["inst_freq"][bins][25], frequency, rtol=0.02)


def test_intervals_run_from_trough_to_threshold(whole):
    ends = whole["isi_shape"][[0, -1]]
    assert_allclose(ends, [TROUGH - THRESHOLD, 0], atol=1)


def test_steps_are_in_millivolts(whole):
    """In bins of 10 ms, from 200 ms before the onset."""
    steps = whole["step_subthresh"].reshape(3, 140)
    assert_allclose(steps[:, :20], REST, atol=0.05)
    currents = (steps[:, 115] - REST) / RESISTANCE
    assert_allclose(currents, [-30, -50, -90], rtol=1e-3)


def test_the_largest_step_is_relative_to_its_deflection(whole, sweeps):
    _, _, voltage = sweeps[0]
    bin_means = voltage[15_000:65_000].reshape(100, 500).mean(1)
    expected = (bin_means - REST) / (110 * RESISTANCE)
    assert_allclose(whole["subthresh_norm"][20:120], expected, atol=0.01)


@pytest.fixture(scope="module")
def other_rate(tmp_path_factory):
    """Families of the same neuron with another sampling rate."""
    folder = tmp_path_factory.mktemp("other_rate")
    return read_families(folder, simulate_sweeps(20_000), 20_000)


@pytest.mark.parametrize(
    "family", ["spiking_peak_v", "spiking_width", "psth", "step_subthresh", "subthresh_norm"]
)
def test_the_rate_makes_no_difference(whole, other_rate, family):
    assert_allclose(other_rate[family], whole[family], atol=0.1, rtol=0.05)


@pytest.fixture(
    scope="module",
    params=[
        (range(4, 10), STEPS),
        ([0, 1, 2, 3, 5, 8], TRAINS),
        ([8, 9], {*TRAINS, *STEPS, "isi_shape"}),
    ],
    ids=["no steps", "one train", "no long squares"],
)
def partial_recording(request, sweeps, tmp_path_factory):
    """Positions of some sweeps, families that then lack, and families of these sweeps."""
    kept, missing = request.param
    folder = tmp_path_factory.mktemp("partial")
    return kept, missing, read_families(folder, [sweeps[k] for k in kept])


def test_first_spikes_of_missing_protocols_are_missing(partial_recording):
    """Of short square, long square at rheobase and ramp."""
    kept, _, families = partial_recording
    first_spikes = families["first_ap_v"].reshape(3, 150)
    is_there = np.isfinite(first_spikes).all(axis=1)
    assert is_there.tolist() == [8 in kept, 5 in kept, 9 in kept]
    assert_array_equal(families["first_ap_dv"], np.diff(first_spikes).ravel())


def test_families_of_missing_protocols_are_missing(partial_recording):
    _, missing, families = partial_recording
    is_missing = set()
    for name, vector in families.items():
        if np.isnan(vector).all():
            is_missing.add(name)
    assert is_missing - {"first_ap_v", "first_ap_dv"} == missing


def test_the_other_families_stay_the_same(whole, partial_recording):
    """Except the interspike interval, for which another sweep may be chosen."""
    _, missing, families = partial_recording
    first_spikes = {"first_ap_v", "first_ap_dv"}
    for name in families.keys() - missing - first_spikes - {"isi_shape"}:
        assert_array_equal(families[name], whole[name])


def add_unreadable_sweeps(nwb, electrode):
    """Responses without a stimulus, without a current, and two with one number."""
    for number, kind, names in [
        (97, icephys.CurrentClampSeries, ["v97"]),
        (98, icephys.IZeroClampSeries, ["v98"]),
        (99, icephys.CurrentClampSeries, ["v99", "w99"]),
    ]:
        for name in names:
            response = kind(
                name=name,
                data=np.full(RATE, np.float32(REST)),
                conversion=1e-3,
                electrode=electrode,
                rate=float(RATE),
                gain=1.0,
                stimulus_description="X4PS_SupraThresh_DA_0",
                sweep_number=number,
            )
            nwb.add_acquisition(response, use_sweep_table=True)


def test_unreadable_sweeps_hide_no_others(sweeps, tmp_path):
    row = read_recording(tmp_path, sweeps, add_more=add_unreadable_sweeps)
    assert row.notna().all()


def test_stopped_sweeps_hide_no_others(sweeps, tmp_path):
    """Empty ones of every stimulus, and a ramp of 90 ms, before its stimulus."""
    stopped = []
    for protocol, length in [(6, 0), (8, 0), (9, 0), (9, 4500)]:
        name, current, voltage = sweeps[protocol]
        stopped.append((name, current[:length], voltage[:length]))
    assert read_recording(tmp_path, [*sweeps, *stopped]).notna().all()


def read_incomplete(folder, sweeps):
    path = folder / "cell.nwb"
    path.write_bytes(b"\x89HDF\r\n")
    read_traces(path)


def read_hdf5(folder, sweeps):
    path = folder / "cell.nwb"
    h5py.File(path, "w").close()
    read_traces(path)


def read_first_version(folder, sweeps):
    path = folder / "cell.nwb"
    with h5py.File(path, "w") as file:
        file["nwb_version"] = np.bytes_("NWB-1.0.5")
        file.create_group("general")
    read_traces(path)


def read_as_volts(folder, sweeps):
    """Millivolts that are said to be volts."""
    read_recording(folder, sweeps[:1], conversion=1.0)


@pytest.mark.parametrize(
    ("read", "message"),
    [
        (read_incomplete, "cell.nwb: .*signature"),
        (read_hdf5, "cell.nwb cannot be read as NWB 2: "),
        (read_first_version, "cell.nwb cannot be read as NWB 2: "),
        (read_as_volts, "cell.nwb: voltages up to 85300 mV; .*`conversion`"),
    ],
)
def test_files_of_another_kind_are_refused(sweeps, tmp_path, read, message):
    with pytest.raises((OSError, ValueError), match=message):
        read(tmp_path, sweeps)


@pytest.mark.parametrize(("name", "stimuli"), [("Step_7", "Step_7"), (None, "none")])
def test_recordings_without_known_stimuli_warn(sweeps, tmp_path, name, stimuli):
    """Or without any."""
    renamed = [(name, current, voltage) for _, current, voltage in sweeps[:1]] if name else []
    expected = f"cell.nwb: no feature .* its stimuli are {stimuli}; "
    with pytest.warns(UserWarning, match=expected):
        row = read_recording(tmp_path, renamed)
    assert row.isna().all()
