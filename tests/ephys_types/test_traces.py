"""Recordings of simulated neurons, of which everything is known, come back as the families that they should give."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from sbnn.ephys_types.traces import SimulatedNeuron, read_traces, trace_families
from sbnn.ephys_types.traces.layout import LEVELS, STEPS
from sbnn.ephys_types.traces.recording import open_recording
from sbnn.ephys_types.traces.simulate import Protocol, current_of, record, write_recording, write_sweeps

RATE = 50_000
FAMILIES = trace_families()
TRAINS = [name for name in FAMILIES.names if name.startswith("spiking_")] + ["inst_freq", "psth"]


@pytest.fixture(scope="module")
def recorded():
    """Neuron, its sweeps and the truth of them, without a file."""
    neuron = SimulatedNeuron()
    return neuron, *record(neuron)


@pytest.fixture(scope="module")
def cell(recorded, tmp_path_factory):
    """Features of the one cell of an intact recording."""
    folder = tmp_path_factory.mktemp("cell")
    write_sweeps(folder / "sub-1_ses-2_icephys.nwb", recorded[1])
    return read_traces(folder, cache=False, verbose=False)


@pytest.fixture
def features_of(tmp_path):
    """Features and notes of one cell, from sweeps."""

    def compute(sweeps, **options):
        path = tmp_path / "sub-1_ses-2_icephys.nwb"
        write_sweeps(path, sweeps, **options)
        features = read_traces(path, cache=False, verbose=False)
        return family_of(features), features.labels["notes"].iloc[0]

    return compute


def family_of(features, row=0):
    return {name: features.X[row, columns] for name, columns in FAMILIES.columns.items()}


def spike_times(truth, level, rheobase):
    (times,) = [sweep.spike_times for sweep in truth if sweep.protocol[2:] == (1.0, rheobase + level)]
    return times


def binned(values, width):
    return values[: len(values) // width * width].reshape(-1, width).mean(axis=1)


def test_a_whole_recording_gives_every_family(cell):
    assert cell.X.shape == (1, 2607) and np.isfinite(cell.X).all()
    assert list(cell.feature_names) == list(FAMILIES.feature_names)
    assert cell.labels.loc["2", ["notes", "donor", "species"]].tolist() == ["", "800000001", "Mus musculus"]
    assert cell.units["spiking_width_0"] == "s" and cell.dropped == {}


def test_firing_is_that_of_the_simulation(cell, recorded):
    neuron, _, truth = recorded
    rheobase, family = neuron.rheobase(RATE), family_of(cell)
    for k, level in enumerate(LEVELS):
        times = spike_times(truth, level, rheobase)
        psth, frequency = (family[name][50 * k : 50 * (k + 1)] for name in ("psth", "inst_freq"))
        counts = np.histogram(times, np.linspace(0, 1, 51))[0]
        assert psth.sum() * 0.02 == pytest.approx(counts.sum())
        # A spike within a sample or two of the edge of a bin may fall to either side.
        assert np.abs(np.cumsum(psth * 0.02 - counts)).max() < 1.001
        assert np.sum(np.abs(psth * 0.02 - counts) > 0.5) <= 4
        rates = 2 / (times[2:] - times[:-2])  # of all spikes but the first and the last
        bins = (times / 0.02).astype(int)
        edges = np.round(times / 0.02).astype(int)[np.abs(times / 0.02 - np.round(times / 0.02)) < 0.01]
        for place in set(bins) - {0, bins[0], bins[-1], 49, *edges, *(edges - 1)}:
            assert frequency[place] == pytest.approx(rates[bins[1:-1] == place].mean(), rel=0.02)
    assert len(times) > 20


def test_spikes_have_the_shape_of_the_simulation(cell, recorded):
    neuron, family = recorded[0], family_of(cell)
    tolerance = 2 / RATE  # it is measured in whole samples
    np.testing.assert_allclose(family["spiking_threshold_v"], neuron.threshold, atol=1.0)
    np.testing.assert_allclose(family["spiking_peak_v"], neuron.peak, atol=0.1)
    np.testing.assert_allclose(family["spiking_fast_trough_v"], neuron.trough, atol=0.3)
    np.testing.assert_allclose(family["spiking_width"], neuron.width, atol=tolerance)
    np.testing.assert_allclose(family["spiking_upstroke_downstroke_ratio"], neuron.upstroke_downstroke_ratio, rtol=0.05)


def test_the_first_spike_of_each_protocol_stands_in_its_block(cell, recorded):
    neuron, family = recorded[0], family_of(cell)
    shape = neuron._spike(RATE)
    for v, dv in zip(family["first_ap_v"].reshape(3, 150), family["first_ap_dv"].reshape(3, 149), strict=True):
        shift = np.argmax(v) - np.argmax(shape)  # threshold is where the slope is 5 % of the steepest
        assert abs(shift) <= 2
        np.testing.assert_allclose(v[5:40], shape[5 - shift : 40 - shift], atol=0.1)
        np.testing.assert_allclose(dv, np.diff(v), atol=1e-12)


def test_the_course_between_spikes_is_that_of_the_membrane(cell, recorded):
    neuron, sweeps, truth = recorded
    k = next(k for k, sweep in enumerate(truth) if sweep.protocol.amplitude == neuron.rheobase(RATE) + 40)
    voltage = sweeps[k][2]
    starts = np.round((truth[k].spike_times + 0.3) * RATE).astype(int)
    after = round((neuron.rise + neuron.fall) * RATE)
    courses = [
        np.interp((np.arange(100) + 0.5) / 100 * (b - a - after), np.arange(b - a - after), voltage[a + after : b])
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]
    shape = family_of(cell)["isi_shape"]
    np.testing.assert_allclose(shape, np.mean(courses, axis=0) - neuron.threshold, atol=0.4)


@pytest.mark.parametrize(("resistance", "sag"), [(150.0, 0.25), (300.0, 0.05)])
def test_steps_show_input_resistance_and_sag(resistance, sag, features_of):
    neuron = SimulatedNeuron(resistance=resistance, sag=sag)
    protocols = [Protocol("X1PS_SubThresh_DA_0", "square", 1.0, step) for step in (-10, -110, *STEPS)]
    family, notes = features_of(record(neuron, protocols)[0])
    assert "no short square sweep" in notes and "no ramp sweep" in notes and "no long square evokes a spike" in notes
    for step, block in zip(STEPS, family["step_subthresh"].reshape(3, 140), strict=True):
        current, onset = current_of(Protocol("", "square", 1.0, step), RATE)
        response = neuron.respond(current, RATE)[0]
        window = slice(onset - RATE // 5, onset + RATE + RATE // 5)
        np.testing.assert_allclose(block, binned(response[window], 500), atol=0.02)
        assert block[119] - block[:20].mean() == pytest.approx(step * resistance * 1e-3, rel=0.02)
        assert (block.min() - block[119] < -0.02 * abs(step)) == (sag > 0.1)
    response = neuron.respond(current_of(protocols[1], RATE)[0], RATE)[0][window]
    norm = (binned(response, 500) - neuron.rest) / (neuron.rest - response.min())
    np.testing.assert_allclose(family["subthresh_norm"], norm, atol=0.01)
    assert np.isnan(np.concatenate([family[name] for name in TRAINS + ["isi_shape", "first_ap_v"]])).all()


def test_what_a_cell_lacks_is_missing_and_never_zero(recorded, cell, features_of):
    neuron, sweeps, truth = recorded
    whole = family_of(cell)

    def without(unwanted):
        return features_of([sweep for sweep, known in zip(sweeps, truth, strict=True) if not unwanted(known.protocol)])

    family, notes = without(lambda protocol: protocol.kind == "ramp" or protocol.length == 0.003)
    assert "no short square sweep" in notes and "no ramp sweep" in notes
    for name, size in (("first_ap_v", 150), ("first_ap_dv", 149)):
        assert np.isnan(family[name].reshape(3, size)).all(axis=1).tolist() == [True, False, True]
        np.testing.assert_array_equal(family[name][size : 2 * size], whole[name][size : 2 * size])

    family, notes = without(lambda protocol: protocol.amplitude < 0)
    assert "no hyperpolarising long square" in notes
    assert np.isnan(family["step_subthresh"]).all() and np.isnan(family["subthresh_norm"]).all()
    np.testing.assert_array_equal(family["psth"], whole["psth"])

    family, notes = without(lambda protocol: protocol.amplitude in [neuron.rheobase(RATE) + more for more in (40, 80)])
    assert "spike features need sweeps at two of rheobase" in notes
    assert all(np.isnan(family[name]).all() for name in TRAINS)
    assert np.isfinite(family["isi_shape"]).all() and np.isfinite(family["first_ap_v"]).all()

    family, notes = without(lambda protocol: protocol.length == 1.0 and protocol.kind == "square")
    assert "no long square sweep" in notes
    assert [name for name, values in family.items() if np.isfinite(values).any()] == ["first_ap_v", "first_ap_dv"]


def test_a_missing_level_or_step_is_filled_in_and_told(recorded, cell, features_of):
    neuron, sweeps, truth = recorded
    gone = [neuron.rheobase(RATE) + 40, -50]
    family, notes = features_of(
        [sweep for sweep, known in zip(sweeps, truth, strict=True) if known.protocol.amplitude not in gone]
    )
    assert "no sweep at rheobase +40 pA" in notes and "no step of -50 pA" in notes
    levels = family["psth"].reshape(3, 50)
    np.testing.assert_allclose(levels[1], (levels[0] + levels[2]) / 2)
    steps, whole = (values.reshape(3, 140) for values in (family["step_subthresh"], family_of(cell)["step_subthresh"]))
    np.testing.assert_allclose(steps[:, :120], whole[:, :120], atol=0.1)  # after the step IPFX scales nothing


def test_first_spikes_are_of_rheobase_and_of_the_usual_short_square(recorded, cell, features_of):
    """Other sweeps hold spikes of another neuron: taller ones."""
    neuron, sweeps, truth = recorded
    tall = record(SimulatedNeuron(peak=35.0))[0]
    mixed = [
        other if known.protocol.amplitude > neuron.rheobase(RATE) and known.protocol[1:3] == ("square", 1.0) else own
        for own, other, known in zip(sweeps, tall, truth, strict=True)
    ]
    rare = record(SimulatedNeuron(peak=35.0), [Protocol("X6SP_Rheo_DA_0", "square", 0.003, 1400)])[0]
    rebound = [(sweeps[0][0], sweeps[0][1], tall[6][2])]  # spikes while the current is negative
    family, _ = features_of(rebound + rare + mixed)
    np.testing.assert_array_equal(family["first_ap_v"], family_of(cell)["first_ap_v"])
    assert family["spiking_peak_v"].reshape(3, 50).mean(axis=1) == pytest.approx([20.0, 35.0, 35.0], abs=0.2)


def test_spikes_that_are_cut_off_are_no_first_spikes(recorded, features_of):
    neuron, sweeps, truth = recorded
    onset, spike = round(0.3 * RATE), neuron._spike(RATE)
    name, current, _ = sweeps[4]  # the current under rheobase, and a spike at its very end
    late = neuron.respond(current, RATE)[0]
    late[onset + RATE - 20 : onset + RATE - 20 + len(spike)] = spike
    ramp = [sweeps[-1][0], sweeps[-1][1], sweeps[-1][2].copy()]
    ramp[2][onset + round(truth[-1].spike_times[0] * RATE) + 100 :] = 0
    family, notes = features_of([(name, current, late), ramp, *sweeps[8:10]])
    assert "no complete spike in a long square sweep" in notes and "no complete spike in a ramp sweep" in notes
    assert np.isnan(family["first_ap_v"].reshape(3, 150)).all(axis=1).tolist() == [False, True, True]


def test_a_spike_without_a_width_costs_no_family(recorded, cell, features_of, monkeypatch):
    from ipfx.feature_extractor import SpikeFeatureExtractor

    process = SpikeFeatureExtractor.process

    def forgetful(self, *trace):
        spikes = process(self, *trace)
        if len(spikes) > 10:
            spikes.loc[3, "width"] = np.nan
        return spikes

    monkeypatch.setattr(SpikeFeatureExtractor, "process", forgetful)
    family, notes = features_of(recorded[1])
    assert notes == ""
    np.testing.assert_allclose(family["spiking_width"], family_of(cell)["spiking_width"], atol=1 / RATE)


def test_a_sweep_that_ipfx_fails_on_is_left_out_and_named(recorded, cell, features_of, monkeypatch):
    from ipfx.feature_extractor import SpikeFeatureExtractor

    process, calls = SpikeFeatureExtractor.process, []

    def failing(self, *trace):
        calls.append(None)
        if len(calls) == 4:  # after two short squares the second long one
            raise IndexError("index 7 is out of bounds")
        return process(self, *trace)

    monkeypatch.setattr(SpikeFeatureExtractor, "process", failing)
    family, notes = features_of(recorded[1])
    assert "sweep 2: IPFX finds no spikes in it (index 7 is out of bounds)" in notes and "no step of -90 pA" in notes
    np.testing.assert_array_equal(family["psth"], family_of(cell)["psth"])


@pytest.mark.parametrize("rate", [20_000, 100_000, 48_828.125])
def test_other_sampling_rates_give_nearly_the_same(rate, cell, features_of):
    family, notes = features_of(record(rate=rate)[0], rate=rate)
    whole = family_of(cell)
    assert notes == ""
    tolerance = {"step_subthresh": 0.04, "subthresh_norm": 0.005, "isi_shape": 0.6, "spiking_width": 3e-5}
    for name, atol in tolerance.items():
        np.testing.assert_allclose(family[name], whole[name], atol=atol, err_msg=name)
    assert family["spiking_peak_v"].mean() == pytest.approx(20.0, abs=1.0)
    assert family["spiking_threshold_v"].mean() == pytest.approx(-45.0, abs=1.5)
    # Spikes begin on samples, so that trains of other rates drift apart by a sample per spike.
    assert family["psth"].sum() == pytest.approx(whole["psth"].sum(), rel=0.05)


def test_stimuli_without_names_are_known_by_their_shape(recorded, cell, features_of):
    family, notes = features_of([("", current, voltage) for _, current, voltage in recorded[1]])
    assert notes == ""
    np.testing.assert_array_equal(np.concatenate(list(family.values())), cell.X[0])


def test_searches_and_sweeps_that_are_not_what_they_are_called_are_left_out(recorded, cell, features_of):
    search = [("X2LP_Search_DA_0", *recorded[1][6][1:])] * 2  # at a level that spike features take
    wrong = [("X7Ramp_DA_0", *recorded[1][0][1:])]
    family, notes = features_of(recorded[1] + search + wrong)
    assert notes == "sweep 14 is called 'X7Ramp_DA_0', but its current is a square of 1000 ms"
    np.testing.assert_array_equal(np.concatenate(list(family.values())), cell.X[0])


def test_what_a_rig_did_not_record_is_not_read_as_zero_millivolts(recorded, cell, features_of):
    sweeps = [(name, current.copy(), voltage.copy()) for name, current, voltage in recorded[1]]
    onset = round(0.3 * RATE)
    stopped = [
        sweep for name in ("X1PS_SubThresh_DA_0", "X4PS_SupraThresh_DA_0") for sweep in sweeps if sweep[0] == name
    ]
    stopped = [(name, current, voltage.copy()) for name, current, voltage in stopped[:1] + stopped[-1:]]
    for _, _, voltage in stopped:
        voltage[onset + RATE // 2 :] = 0
    last = sweeps[-1]  # the ramp: a gap after the first spikes, as the rig restarts
    last[2][onset + round(0.6 * RATE) : onset + round(0.63 * RATE)] = 0
    last[1][onset + round(0.9 * RATE) :] = np.nan
    family, notes = features_of(sweeps + stopped)
    assert notes == "2 long square sweep(s) that end less than 200 ms after the stimulus"
    np.testing.assert_array_equal(np.concatenate(list(family.values())), cell.X[0])


@pytest.mark.parametrize(
    ("change", "options", "said"),
    [
        (lambda i, v: (i, v), {"voltage_conversion": 1}, "millivolts were stored and the conversion of 1 "),
        (lambda i, v: (i, v / 1000), {}, "volts were stored and the conversion of 0.001 "),
        (lambda i, v: (i / 1e12, v), {}, "amperes were stored and the conversion of 1e-12 "),
        (lambda i, v: (i, v), {"current_conversion": 1e-9}, "picoamperes were stored and the conversion of 1e-09 "),
        (lambda i, v: (i, v), {"rate": 50}, "kilohertz (or times in milliseconds)"),
    ],
)
def test_units_mixed_up_are_named_and_no_features_come_of_them(change, options, said, recorded, features_of):
    with pytest.raises(ValueError) as error:
        features_of([(name, *change(i, v)) for name, i, v in recorded[1][:6]], **options)
    assert "sub-1_ses-2_icephys.nwb" in str(error.value) and said in str(error.value)


def test_sweeps_and_stimuli_are_those_that_the_reader_of_ipfx_finds(recorded, tmp_path):
    from ipfx.dataset.create import create_ephys_data_set

    path = tmp_path / "sub-1_ses-2_icephys.nwb"
    write_sweeps(path, recorded[1])
    theirs = create_ephys_data_set(str(path))
    with open_recording(path) as ours:
        assert [sweep.number for sweep in ours.sweeps] == list(range(1, 12))
        for sweep in ours.sweeps:
            other = theirs.sweep(sweep.number)
            np.testing.assert_allclose(sweep.voltage(), other.v, rtol=1e-6)
            np.testing.assert_allclose(sweep.current(), other.i, rtol=1e-6, atol=1e-6)
            assert sweep.rate == other.sampling_rate


def test_files_that_list_their_recordings_in_a_table_are_read_alike(recorded, cell, features_of):
    family, _ = features_of(recorded[1], by_number=False)
    np.testing.assert_array_equal(np.concatenate(list(family.values())), cell.X[0])


def test_a_recording_is_written_where_dandi_has_it(tmp_path):
    protocols = [Protocol("X3LP_Rheo_DA_0", "square", 1.0, 200)]
    path, truth = write_recording(tmp_path, protocols=protocols, session="7", donor="5")
    assert path == tmp_path / "sub-5" / "sub-5_ses-7_icephys.nwb" and len(truth[0].spike_times) > 5
    features = read_traces(tmp_path, cache=False, verbose=False, labels=pd.DataFrame({"type": ["Pvalb"]}, index=[7]))
    assert features.labels.loc["7", ["type", "donor"]].tolist() == ["Pvalb", "5"]
