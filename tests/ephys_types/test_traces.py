"""Recordings of a simulated neuron give the families that they should; faults are named."""

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.linalg import expm

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from hdmf.backends.hdf5 import H5DataIO
from pynwb import NWBHDF5IO, NWBFile
from pynwb import icephys as ic
from pynwb.file import Subject

from sbnn import read_ephys_table
from sbnn.ephys_types.traces import read_traces, reading, trace_families, vectors, write_traces
from sbnn.ephys_types.traces.reading import find_recordings, quiet
from sbnn.ephys_types.traces.recording import named_protocol, stimulus_of, sweeps_of
from sbnn.ephys_types.traces.vectors import LEVELS, STEPS, joined, vectors_of

RATE, RHEOBASE = 50_000, 150  # pA, of the neuron
ONSET = 0.3  # s
FAMILIES = trace_families()
TRAINS = [name for name in FAMILIES if name.startswith("spiking_")] + ["inst_freq", "psth"]


@dataclass(frozen=True)
class Neuron:
    """A linear membrane with sag and adaptation; spikes are halves of cosines."""

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

    def spike(self, rate):
        t = np.arange(round((self.rise + self.fall) * rate)) / rate
        up = self.threshold + (self.peak - self.threshold) * (1 - np.cos(np.pi * t / self.rise)) / 2
        down = (
            self.peak
            + (self.trough - self.peak) * (1 - np.cos(np.pi * (t - self.rise) / self.fall)) / 2
        )
        return np.where(t < self.rise, up, down)

    def respond(self, current, rate):
        """Voltage, and the samples at which spikes begin."""
        scale = self.resistance * (1 + self.sag) * 1e-3 / self.tau
        # of v, of the slow current that opposes it (sag), of adaptation; and the current
        rates = np.zeros((4, 4))
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
    length: float
    amplitude: float
    kind: str = "square"  # or "ramp"


def usual_protocols():
    """What a cell of DANDI 000020 sees: steps below and over rheobase, short squares, a ramp."""
    steps = [("X1PS_SubThresh_DA_0", step) for step in (-110, -90, -50, -30)]
    steps += [("X3LP_Rheo_DA_0", RHEOBASE - 10), ("X3LP_Rheo_DA_0", RHEOBASE)]
    steps += [("X4PS_SupraThresh_DA_0", RHEOBASE + more) for more in (40, 80)]
    squares = [Protocol(name, 1.0, amplitude) for name, amplitude in steps]
    short = [Protocol("X6SP_Rheo_DA_0", 0.003, 1500)] * 2
    return squares + short + [Protocol("X7Ramp_DA_0", 1.0, 2.5 * RHEOBASE, "ramp")]


def current_of(protocol, rate=RATE):
    """Current in pA, after a test pulse."""
    onset, length = round(ONSET * rate), round(protocol.length * rate)
    current = np.zeros(2 * onset + length)
    current[round(0.02 * rate) : round(0.03 * rate)] = -50.0
    shape = np.arange(length) / length if protocol.kind == "ramp" else 1.0
    current[onset : onset + length] = protocol.amplitude * shape
    return current


def record(neuron=None, protocols=None, rate=RATE, noise=0.02, seed=0):
    """Name, current and voltage of each sweep, and protocol and times of the spikes."""
    neuron, rng, sweeps, truth = neuron or Neuron(), np.random.default_rng(seed), [], []
    for protocol in protocols or usual_protocols():
        current = current_of(protocol, rate)
        voltage, spikes = neuron.respond(current, rate)
        # of a digitiser
        voltage = np.round((voltage + noise * rng.standard_normal(len(voltage))) * 32) / 32
        sweeps.append((protocol.name, current, voltage))
        truth.append((protocol, (spikes - round(ONSET * rate)) / rate))
    return sweeps, truth


def write_sweeps(path, sweeps, rate=RATE, session="2", donor="1", conversion=1e-3, by_number=True):
    """Sweeps in current clamp, and one in voltage clamp before them, as a rig records it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with quiet():
        from ipfx.utilities import inject_sweep_table

        nwb = NWBFile(
            "a simulated neuron", session, datetime(2020, 1, 1, tzinfo=UTC), session_id=session
        )
        nwb.subject = Subject(subject_id=donor, species="Mus musculus")
        if by_number:
            inject_sweep_table(nwb)  # pynwb makes none any more, but the files of DANDI have it
        electrode = nwb.create_icephys_electrode(
            "electrode 0", nwb.create_device("amplifier"), "simulated"
        )
        common = {"electrode": electrode, "rate": float(rate), "gain": 0.05}
        seal = {"data": np.zeros(10, np.float32), "stimulus_description": "EXTPSMOKET_DA_0"}
        pairs = [(ic.VoltageClampSeries, ic.VoltageClampStimulusSeries, seal, seal)]
        for name, *both in sweeps:
            current, voltage = (
                H5DataIO(np.asarray(x, np.float32), compression="gzip") for x in both
            )
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
                nwb.add_intracellular_recording(
                    electrode=electrode, stimulus=stimulus, response=response
                )
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


NEURON = Neuron()


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Families of a whole recording."""
    folder = tmp_path_factory.mktemp("whole")
    write_sweeps(folder / "sub-1_ses-2_icephys.nwb", recorded()[0])
    cell = read(folder)
    assert cell.shape == (1, 2607) and np.isfinite(cell.X).all()
    assert list(cell.var_names) == sum(FAMILIES.values(), [])
    assert cell.obs.loc["2", ["notes", "donor", "species"]].tolist() == ["", "1", "Mus musculus"]
    assert cell.var["unit"]["spiking_width_0"] == "s" and cell.uns["sbnn"]["dropped"] == {}
    return in_families(cell.X[0])


# Means of the thirds of each family; thresholds, peaks, troughs and numbers of spikes are those of
# the simulation.
MEANS = {
    "first_ap_v": (-40.49, -46.29, -46.318),
    "first_ap_dv": (-0.029782, -0.087039, -0.087878),
    "isi_shape": (-10.399, -4.3874, -1.2393),
    "inst_freq": (2.0243, 31.757, 55.561),
    "psth": (1, 31, 55),
    "spiking_threshold_v": (-45, -45.003, -45.017),
    "spiking_peak_v": (20, 19.998, 20),
    "spiking_width": (0.00048, 0.000486, 0.000486),
    "spiking_fast_trough_v": (-60.031, -59.977, -59.976),
    "spiking_upstroke_downstroke_ratio": (1.5868, 1.5876, 1.5871),
    "step_subthresh": (-73.214, -75.361, -79.657),
    "subthresh_norm": (-0.51146, -0.87018, -0.48047),
}


def test_families_are_those_of_the_simulation(whole):
    for name, means in MEANS.items():
        found = [part.mean() for part in np.array_split(whole[name], 3)]
        assert found == pytest.approx(means, rel=2e-3), name
    spikes = {protocol[1:3]: len(times) for protocol, times in recorded()[1]}
    assert MEANS["psth"] == tuple(spikes[1.0, RHEOBASE + level] for level in LEVELS)
    for v, dv in zip(
        whole["first_ap_v"].reshape(3, 150), whole["first_ap_dv"].reshape(3, 149), strict=True
    ):
        # threshold is where the slope is 5 % of the steepest
        shift = np.argmax(v) - np.argmax(NEURON.spike(RATE))
        assert abs(shift) <= 2
        np.testing.assert_allclose(v[5:40], NEURON.spike(RATE)[5 - shift : 40 - shift], atol=0.1)
        np.testing.assert_allclose(dv, np.diff(v), atol=1e-12)
    # in bins of 10 ms, from 200 ms before the onset
    steps = whole["step_subthresh"].reshape(3, 140)
    resistance = (steps[:, 119] - steps[:, :20].mean(1)) / np.array(STEPS)
    np.testing.assert_allclose(resistance, NEURON.resistance * 1e-3, rtol=0.02)


def test_first_spikes_are_of_rheobase_and_of_the_usual_short_square(whole, tmp_path):
    """Other sweeps hold spikes of another neuron: taller ones."""
    sweeps, truth = recorded()
    tall = record(Neuron(peak=35.0))[0]
    above = [
        protocol.amplitude > RHEOBASE and protocol[1::2] == (1.0, "square") for protocol, _ in truth
    ]
    mixed = [
        other if swapped else own for own, other, swapped in zip(sweeps, tall, above, strict=True)
    ]
    rare = record(Neuron(peak=35.0), [Protocol("X6SP_Rheo_DA_0", 0.003, 1400)])[0]
    rebound = [(sweeps[0][0], sweeps[0][1], tall[6][2])]  # spikes while the current is negative
    family, _ = features_of(tmp_path, rebound + rare + mixed)
    np.testing.assert_array_equal(family["first_ap_v"], whole["first_ap_v"])
    assert family["spiking_peak_v"].reshape(3, 50).mean(axis=1) == pytest.approx(
        [20.0, 35.0, 35.0], abs=0.2
    )


def test_other_sampling_rates_give_nearly_the_same(whole, tmp_path):
    rate = 48_828.125
    family, notes = features_of(tmp_path, record(rate=rate)[0], rate=rate)
    assert notes == ""
    tolerance = {
        "step_subthresh": 0.04,
        "subthresh_norm": 0.005,
        "isi_shape": 0.6,
        "spiking_width": 3e-5,
    }
    for name, atol in tolerance.items():
        np.testing.assert_allclose(family[name], whole[name], atol=atol, err_msg=name)
    assert family["spiking_peak_v"].mean() == pytest.approx(20.0, abs=1.0)
    assert family["spiking_threshold_v"].mean() == pytest.approx(-45.0, abs=1.5)
    # Spikes begin on samples, so that trains of other rates drift apart by a sample per spike.
    assert family["psth"].sum() == pytest.approx(whole["psth"].sum(), rel=0.05)


def test_stimuli_without_names_and_pairs_in_a_table_are_read_alike(whole, tmp_path):
    sweeps = [("", current, voltage) for _, current, voltage in recorded()[0]]
    family, notes = features_of(tmp_path, sweeps, by_number=False)
    assert notes == ""
    np.testing.assert_equal(family, whole)


def test_what_a_cell_lacks_is_missing_and_never_zero(whole, tmp_path):
    sweeps, truth = recorded()

    def without(unwanted):
        kept = [
            sweep
            for sweep, (protocol, _) in zip(sweeps, truth, strict=True)
            if not unwanted(protocol)
        ]
        return features_of(tmp_path, kept)

    family, notes = without(lambda protocol: protocol.kind == "ramp" or protocol.length == 0.003)
    assert "no short square sweep" in notes and "no ramp sweep" in notes
    for name, size in (("first_ap_v", 150), ("first_ap_dv", 149)):
        assert np.isnan(family[name].reshape(3, size)).all(axis=1).tolist() == [True, False, True]
        np.testing.assert_array_equal(family[name][size : 2 * size], whole[name][size : 2 * size])
    family, notes = without(lambda protocol: protocol.amplitude < 0)
    assert "no hyperpolarising long square" in notes and np.isnan(family["step_subthresh"]).all()
    np.testing.assert_array_equal(family["psth"], whole["psth"])
    family, notes = without(lambda protocol: protocol.amplitude >= RHEOBASE)
    assert "no long square evokes a spike" in notes and np.isfinite(family["subthresh_norm"]).all()
    assert np.isnan(
        np.concatenate([family[name] for name in [*TRAINS, "isi_shape", "first_ap_v"]])
    ).all()
    family, notes = without(
        lambda protocol: protocol.amplitude in [RHEOBASE + more for more in (40, 80)]
    )
    assert "spike features need sweeps at two of: rheobase" in notes
    assert (
        all(np.isnan(family[name]).all() for name in TRAINS)
        and np.isfinite(family["isi_shape"]).all()
    )
    family, notes = without(lambda protocol: protocol.amplitude in (RHEOBASE + 40, -50))
    assert "no sweep at rheobase +40 pA" in notes and "no step at -50 pA" in notes
    levels = family["psth"].reshape(3, 50)
    np.testing.assert_allclose(levels[1], (levels[0] + levels[2]) / 2)


def test_spikes_that_are_cut_off_are_no_first_spikes(tmp_path):
    sweeps, truth = recorded()
    onset, spike = round(ONSET * RATE), NEURON.spike(RATE)
    name, current, _ = sweeps[4]  # the current under rheobase, and a spike at its very end
    late = NEURON.respond(current, RATE)[0]
    late[onset + RATE - 20 : onset + RATE - 20 + len(spike)] = spike
    ramp = [sweeps[-1][0], sweeps[-1][1], sweeps[-1][2].copy()]
    ramp[2][onset + round(truth[-1][1][0] * RATE) + 100 :] = 0
    family, notes = features_of(tmp_path, [(name, current, late), ramp, *sweeps[8:10]])
    assert (
        "no complete spike in a long square sweep" in notes
        and "no complete spike in a ramp sweep" in notes
    )
    assert np.isnan(family["first_ap_v"].reshape(3, 150)).all(axis=1).tolist() == [
        False,
        True,
        True,
    ]


def test_a_spike_ten_ms_after_a_short_square_is_its_own(tmp_path):
    (name, current, voltage), (_, times) = (each[8] for each in recorded())
    begins = round((ONSET + times[0]) * RATE)
    late = np.insert(voltage, begins, np.full(500, voltage[begins - 1]))[: len(voltage)]
    family, _ = features_of(tmp_path, [(name, current, late)])
    assert family["first_ap_v"][:150].max() == pytest.approx(20.0, abs=0.2)


def test_sweeps_with_faults_are_left_out_and_noted(whole, tmp_path):
    sweeps = [(name, current.copy(), voltage.copy()) for name, current, voltage in recorded()[0]]
    onset = round(ONSET * RATE)
    stopped = [(name, current, voltage.copy()) for name, current, voltage in (sweeps[0], sweeps[7])]
    for _, _, voltage in stopped:
        voltage[onset + RATE // 2 :] = 0  # what a rig did not record
    last = sweeps[-1]  # the ramp: a gap after the first spikes, as the rig restarts
    last[2][onset + round(0.6 * RATE) : onset + round(0.63 * RATE)] = 0
    last[1][onset + round(0.9 * RATE) :] = np.nan
    lost = [("X3LP_Rheo_DA_0", sweeps[5][1], sweeps[5][2] + more) for more in (65, -60)]
    search = ("X2LP_Search_DA_0", *sweeps[6][1:])  # at a level that spike features take
    wrong = ("X7Ramp_DA_0", *sweeps[0][1:])
    family, notes = features_of(tmp_path, [*sweeps, *stopped, *lost, search, wrong])
    assert "is called 'X7Ramp_DA_0', but its current is: long_square of 1000 ms" in notes
    assert "long square sweeps left out (less than 200 ms recorded after the stimulus): 2" in notes
    assert (
        "long square sweeps left out (no resting voltage before the stimulus): 2" in notes
        and "X2LP" not in notes
    )
    np.testing.assert_equal(family, whole)


def square(rate, length, amplitude, onset=0.3, total=1.8, test_pulse=-50.0):
    current = np.zeros(round(total * rate))
    current[round(0.02 * rate) : round(0.03 * rate)] = test_pulse
    current[round(onset * rate) : round((onset + length) * rate)] = amplitude
    return current


@pytest.mark.parametrize("rate", (20_000, 50_000, 200_000))
@pytest.mark.parametrize(
    ("length", "kind"), [(0.003, "short_square"), (1.0, "long_square"), (0.5, "square")]
)
@pytest.mark.parametrize(("amplitude", "unit"), [(-10.0, 1.0), (1500.0, 1e-12)])
def test_squares_are_recognised_at_any_rate_and_in_any_unit(rate, length, kind, amplitude, unit):
    found = stimulus_of(square(rate, length, amplitude) * unit, rate)
    assert found == (
        kind,
        round(0.3 * rate),
        pytest.approx(length),
        pytest.approx(amplitude * unit),
    )


@pytest.mark.parametrize("test_pulse", [0.0, 5.0, -50.0])
def test_a_measured_current_with_noise_and_a_holding_current(rng, test_pulse):
    for length, amplitude, kind in ((1.0, -30.0, "long_square"), (0.003, 800.0, "short_square")):
        current = square(50_000, length, amplitude, test_pulse=test_pulse) - 12.0
        found = stimulus_of(current + rng.normal(0, 1.0, len(current)), 50_000)
        assert found.kind == kind
        assert abs(found.onset - 15_000) <= 5 and found.amplitude == pytest.approx(
            amplitude, abs=1.0
        )


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_ramp_begins_where_its_line_leaves_the_baseline(rng, noise):
    current = np.concatenate([np.zeros(20_000), 25 * np.arange(200_000) / 50_000, np.zeros(10_000)])
    found = stimulus_of(current + rng.normal(0, noise, len(current)), 50_000)
    assert found.kind == "ramp"
    assert abs(found.onset - 20_000) <= 1_000 and found.amplitude == pytest.approx(100, abs=3)
    assert found.onset / 50_000 + found.length == pytest.approx(4.4, abs=1e-2)


def test_other_stimuli_are_not_taken_for_one_of_the_three():
    rate = 50_000
    t = np.arange(2 * rate) / rate
    short = {
        onset: square(rate, 0.003, 500.0, onset, test_pulse=0) for onset in (0.1, 0.5, 0.51, 0.52)
    }
    # the latter where test pulses are
    others = [short[0.5] + short[0.51] + short[0.52], short[0.5] + short[0.1]]
    chirp, falling = 50 * np.sin(2 * np.pi * 20 * t**2), np.where(t < 1.5, -100 * (t - 0.5), 0)
    others += [np.where(t > 0.5, current, 0) for current in (chirp, falling)]
    # a staircase
    others.append(square(rate, 0.5, 50.0, 0.5) + square(rate, 0.5, 150.0, 1.0, test_pulse=0))
    kinds = [stimulus_of(current, rate).kind for current in [*others, np.zeros(rate), np.zeros(1)]]
    assert kinds == ["other"] * len(kinds)


def test_names_of_stimuli():
    kinds = {
        "X4PS_SupraThresh_DA_0": "long_square",
        "Long Square": "long_square",
        "X2LP_Search_DA_1": "other",
    }
    kinds |= {
        "C1SSFINEST150112[3]": "short_square",
        "X7Ramp_DA_0": "ramp",
        "my own steps": None,
        "": None,
    }
    assert {name: named_protocol(name) for name in kinds} == kinds


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Three recordings of some of the usual sweeps, a truncated one and one that is no HDF5."""
    folder = tmp_path_factory.mktemp("recordings")
    for k in range(3):
        levels = (
            ("X1PS_SubThresh_DA_0", -90),
            ("X3LP_Rheo_DA_0", 150 + 10 * k),
            ("", 190 + 10 * k),
        )
        protocols = [Protocol(name, 1.0, amplitude) for name, amplitude in levels]
        path = folder / f"sub-{k}" / f"sub-{k}_ses-{7 - k}_icephys.nwb"
        write_sweeps(
            path, record(protocols=protocols, seed=k)[0], session=f"{k}", donor=f"9{k // 2}"
        )
    intact = path.read_bytes()
    (folder / "sub-1_ses-3.nwb").write_bytes(intact[: len(intact) // 2])
    (folder / "sub-1_ses-4.nwb").write_bytes(b"not a recording")
    (folder / "notes.txt").write_text("not meant")
    return folder


@pytest.fixture(scope="module")
def features(folder):
    return read(folder)


def test_damaged_files_are_named_and_the_others_are_read(features):
    assert features.obs_names.tolist() == ["7", "6", "5"]
    dropped = features.uns["sbnn"]["dropped"]
    assert sorted(sum(dropped.values(), [])) == ["sub-1_ses-3.nwb", "sub-1_ses-4.nwb"]
    assert any("truncated" in why for why in dropped) and any("signature" in why for why in dropped)
    assert features.obs["donor"].tolist() == ["90", "90", "91"]
    assert features.obs["file"].tolist() == [f"sub-{k}_ses-{7 - k}_icephys.nwb" for k in range(3)]
    assert (features.X[0] != features.X[1]).any()


def test_finished_recordings_are_not_computed_again(folder, features, tmp_path, monkeypatch):
    computed, compute = [], reading.vectors_of
    monkeypatch.setattr(reading, "vectors_of", lambda sweeps: computed.append(1) or compute(sweeps))
    first, again = (read(folder, cache=tmp_path / "cache") for _ in range(2))
    np.testing.assert_array_equal(first.X, features.X)
    np.testing.assert_array_equal(again.X, first.X)
    assert len(computed) == 3 and again.obs.equals(first.obs)
    monkeypatch.setattr(vectors, "version", lambda _: "another")  # of IPFX
    other = read(folder, cache=tmp_path / "cache")
    assert len(computed) == 6 and other.uns["sbnn"]["sha256"] != first.uns["sbnn"]["sha256"]
    path = tmp_path / "ses-0.nwb"  # a name that was read before, with other content
    path.write_bytes(next(folder.rglob("*ses-6_*")).read_bytes())
    same = read(path, cache=tmp_path / "cache")
    np.testing.assert_array_equal(same.X[0], features.X[1])
    assert len(computed) == 6, "the same content under another name"
    assert same.uns["sbnn"]["sha256"] != other.uns["sbnn"]["sha256"]


# features that are the same in all of three cells
@pytest.mark.filterwarnings("ignore:.* left out")
def test_tables_are_read_back_with_types_filled_in(features, tmp_path):
    table, cells = write_traces(features, tmp_path / "new" / "features.csv")
    about = pd.read_csv(cells, index_col="cell", dtype={"cell": str})
    assert (
        about["notes"].tolist() == features.obs["notes"].tolist()
        and "no ramp sweep" in about["notes"].iloc[0]
    )
    about.assign(type=["SST", "VIP", "SST"]).to_csv(cells)
    back = read_ephys_table(table, cells, families=trace_families())
    same = features[:, back.var_names]
    assert back.n_vars > 1000 and back.var["family"].equals(same.var["family"])
    assert back.obs["donor"].astype(str).tolist() == ["90", "90", "91"]
    np.testing.assert_allclose(back.X, same.X, rtol=1e-12, atol=1e-13)


def test_paths_and_recordings_that_hold_nothing(tmp_path):
    for path in (tmp_path / "absent", tmp_path):
        with pytest.raises(FileNotFoundError, match="^paths: "):
            read(path)
    for name in ("b/ses-1.nwb", "a/ses-2-x.nwb", "a/c/poses-1.nwb"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    assert list(find_recordings(tmp_path)) == ["poses-1", "1", "2-x"]  # by the names of the files
    assert list(find_recordings([tmp_path / "a", tmp_path / "b" / "ses-1.nwb"])) == [
        "poses-1",
        "1",
        "2-x",
    ]
    (tmp_path / "x_ses-1.nwb").write_bytes(b"")
    with pytest.raises(ValueError, match="two files of cell '1'"):
        read(tmp_path)
    held = tmp_path / "held"
    write_sweeps(
        held / "ses-1.nwb", [("X2LP_Search_DA_0", np.zeros(50_000), np.full(50_000, -70.0))]
    )
    write_sweeps(held / "ses-2.nwb", [])
    write_sweeps(held / "ses-3.nwb", recorded()[0][:4], conversion=1.0)  # millivolts as volts
    (held / "ses-4.nwb").write_bytes(b"")
    with pytest.raises(ValueError, match="no file holds a cell .*OSError") as error:
        read(held)
    assert "ses-1.nwb: no family of features can be computed (no sweep was" in str(error.value)
    assert "ses-2.nwb: the file contains no current-clamp sweep" in str(error.value)
    assert "ses-3.nwb: voltage before the stimuli: " in str(error.value)
