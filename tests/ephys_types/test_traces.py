"""Recordings of a simulated neuron give the families that they should; faults are named."""

from datetime import UTC, datetime

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from ipfx.utilities import inject_sweep_table
from pynwb import NWBHDF5IO, NWBFile
from pynwb import icephys as ic
from pynwb.file import Subject

from sbnn.ephys_types import traces
from sbnn.ephys_types.traces import read_traces, trace_families

RATE = 50_000
ONSET = 15_000  # sample at which stimuli begin, after a test pulse
REST, THRESHOLD, PEAK, TROUGH = -70.0, -45.0, 20.0, -60.0  # mV
RESISTANCE, TAU = 0.17, 0.015  # mV per pA, s
RHEOBASE = 150  # pA
FAMILIES = trace_families()
TRAINS = [name for name in FAMILIES if name.startswith("spiking_")] + ["inst_freq", "psth"]
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


def write_sweeps(path, sweeps, rate=RATE, conversion=1e-3):
    """Write numbered sweeps, as in DANDI."""
    path.parent.mkdir(parents=True, exist_ok=True)
    nwb = NWBFile("a simulated neuron", "s", datetime(2020, 1, 1, tzinfo=UTC))
    nwb.subject = Subject(subject_id="9", species="Mus musculus")
    amplifier = nwb.create_device("amplifier")
    electrode = nwb.create_icephys_electrode("electrode 0", amplifier, "simulated")
    with traces.quiet():
        inject_sweep_table(nwb)
        for number, (name, current, voltage) in enumerate(sweeps):
            common = {"electrode": electrode, "rate": float(rate), "gain": 1.0}
            common |= {"stimulus_description": name, "sweep_number": number}
            response = ic.CurrentClampSeries(
                f"v{number}", np.float32(voltage), conversion=conversion, **common
            )
            stimulus = ic.CurrentClampStimulusSeries(
                f"i{number}", np.float32(current), conversion=1e-12, **common
            )
            nwb.add_acquisition(response, use_sweep_table=True)
            nwb.add_stimulus(stimulus, use_sweep_table=True)
        with NWBHDF5IO(str(path), mode="w") as file:
            file.write(nwb)
    return path


def read(path, cache=False):
    return read_traces(path, verbose=False, cache=cache)


def families_of(tmp_path, sweeps, **options):
    """Families and notes of a cell, by way of a file."""
    cell = read(write_sweeps(tmp_path / "cell.nwb", sweeps, **options))
    ends = np.cumsum([len(columns) for columns in FAMILIES.values()])
    families = dict(zip(FAMILIES, np.split(cell.X[0], ends[:-1]), strict=True))
    return families, cell.obs["notes"].iloc[0]


@pytest.fixture(scope="module")
def sweeps():
    return record(PROTOCOLS)


@pytest.fixture(scope="module")
def whole(sweeps, tmp_path_factory):
    families, notes = families_of(tmp_path_factory.mktemp("whole"), sweeps)
    assert notes == ""
    return families


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
    for name in ("first_ap_v", "first_ap_dv"):
        assert np.isfinite(whole[name]).all()
    for v, dv in zip(np.split(whole["first_ap_v"], 3), np.split(whole["first_ap_dv"], 3)):  # noqa: B905
        shift = v.argmax() - spike().argmax()  # threshold is at 5 % of the steepest slope
        assert abs(shift) <= 2
        assert_allclose(v[5:40], spike()[5 - shift : 40 - shift], atol=0.1)
        assert_allclose(dv, np.diff(v), atol=1e-12)
    for k in range(3):
        _, spikes = respond(sweeps[5 + k][1])  # rheobase, 40 and 80 pA more
        in_bins, _ = np.histogram(spikes, ONSET + np.arange(51) * RATE // 50)
        assert_allclose(whole["psth"][50 * k : 50 * k + 50], 50 * in_bins, atol=1e-9)
        frequency = whole["inst_freq"][50 * k + 25]
        assert frequency == pytest.approx(RATE / np.diff(spikes).mean(), rel=0.02)
    rising = whole["isi_shape"]
    assert (np.diff(rising) > 0).all()
    assert_allclose(rising[[0, -1]], [TROUGH - THRESHOLD, 0], atol=1)
    # in bins of 10 ms, from 200 ms before the onset
    steps = whole["step_subthresh"].reshape(3, 140)
    assert_allclose(steps[:, :20], REST, atol=0.05)
    steady = REST + RESISTANCE * np.array([-30, -50, -90])
    assert_allclose(steps[:, 110:119], np.outer(steady, np.ones(9)), rtol=1e-3)
    assert_allclose(whole["subthresh_norm"][110:119], -1, atol=0.01)


@pytest.mark.parametrize("rate", [20_000, 48_828.125, 100_000])
def test_the_rate_makes_no_difference(whole, rate, tmp_path):
    families, notes = families_of(tmp_path, record(PROTOCOLS, rate), rate=rate)
    assert notes == ""
    for name in ("spiking_peak_v", "spiking_width", "step_subthresh", "subthresh_norm"):
        assert_allclose(families[name], whole[name], atol=0.1, rtol=0.05)
    # a threshold may be a sample earlier
    assert_allclose(families["first_ap_v"].max(), whole["first_ap_v"].max(), atol=2)


def test_what_a_cell_lacks_is_missing_and_noted(whole, sweeps, tmp_path):
    found, notes = families_of(tmp_path, sweeps[:8])
    assert "first spike of short square: No short square sweeps" in notes
    assert "first spike of ramp: No ramp sweeps" in notes
    lacking = np.isnan(np.split(found["first_ap_v"], 3))
    assert lacking.all(axis=1).tolist() == [True, False, True]
    assert_array_equal(found["first_ap_dv"][149:298], whole["first_ap_dv"][149:298])
    only = {  # kept sweeps: families that are missing, and one that is not
        (4, 5, 6, 7): (["step_subthresh", "subthresh_norm"], "psth"),
        (0, 1, 2, 3): ([*TRAINS, "isi_shape", "first_ap_v"], "step_subthresh"),
        (0, 5): (TRAINS, "isi_shape"),
        (0, 3, 5, 7): ([], "psth"),
        (5, 6, 8, 9): (["step_subthresh"], "first_ap_v"),
    }
    for kept, (missing, there) in only.items():
        found, notes = families_of(tmp_path, [sweeps[k] for k in kept])
        assert all(np.isnan(found[name]).all() for name in missing)
        assert all(name in notes for name in missing if name != "first_ap_v")
        assert np.isfinite(found[there]).all()


@pytest.fixture(scope="module")
def folder(sweeps, tmp_path_factory):
    """Two recordings, a truncated one and one that is no HDF5."""
    folder = tmp_path_factory.mktemp("recordings")
    for k in (0, 1):
        path = folder / f"sub-{k}" / f"sub-{k}_ses-{7 - k}_icephys.nwb"
        write_sweeps(path, [sweeps[k], *sweeps[5:7]])
    intact = path.read_bytes()
    (folder / "sub-1_ses-3.nwb").write_bytes(intact[: len(intact) // 2])
    (folder / "sub-1_ses-4.nwb").write_bytes(b"not a recording")
    (folder / "notes.txt").write_text("not meant")
    return folder


@pytest.fixture(scope="module")
def features(folder):
    return read(folder)


def test_damaged_files_are_named_and_the_others_are_read(features):
    assert features.obs_names.tolist() == ["7", "6"]
    assert features.var_names.tolist() == sum(FAMILIES.values(), [])
    assert features.var["unit"]["spiking_width_0"] == "s"
    files = [f"sub-{k}_ses-{7 - k}_icephys.nwb" for k in (0, 1)]
    columns = features.obs[["donor", "species", "file"]].to_numpy(str)
    assert columns.tolist() == [["9", "Mus musculus", file] for file in files]
    about = features.uns["sbnn"]
    assert list(about["files"]) == files
    assert sorted(sum(about["dropped"].values(), [])) == ["sub-1_ses-3.nwb", "sub-1_ses-4.nwb"]
    assert "truncated" in str(about["dropped"])
    assert (features.X[0] != features.X[1]).any()


def test_finished_recordings_are_not_computed_again(folder, features, tmp_path, monkeypatch):
    computed = []

    def counted(path, compute=traces.families_of):
        computed.append(1)
        return compute(path)

    monkeypatch.setattr(traces, "families_of", counted)
    first, again = (read(folder, tmp_path / "cache") for _ in range(2))
    assert_array_equal(first.X, features.X)
    assert_array_equal(again.X, first.X)
    assert len(computed) == 6, "damaged ones are tried again"
    monkeypatch.setattr(traces, "version", lambda _: "another")  # of IPFX
    other = read(folder, tmp_path / "cache")
    assert other.uns["sbnn"]["sha256"] != first.uns["sbnn"]["sha256"]


def test_paths_and_recordings_that_hold_nothing(sweeps, tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match="^paths: "):
            read(path)
    for name in ("b/ses-1.nwb", "a/ses-2-x.nwb", "a/c/poses-1.nwb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for paths in (tmp_path, [tmp_path / "a", tmp_path / "b/ses-1.nwb"]):
        assert list(traces.find_recordings(paths)) == ["poses-1", "1", "2-x"]
    (tmp_path / "x_ses-1.nwb").touch()
    with pytest.raises(ValueError, match="two files of cell '1'"):
        read(tmp_path)
    held = tmp_path / "held"
    write_sweeps(held / "ses-1.nwb", [("X2LP_Search_DA_0", *sweeps[0][1:])])
    (held / "ses-4.nwb").write_bytes(b"")
    parts = ["^no file holds a cell .*: ses-1.nwb: .*no family of features can be", "; ses-4.nwb: "]
    with pytest.raises(ValueError, match=".*".join(parts)):
        read(held)
