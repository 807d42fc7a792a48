"""Recordings of simulated neurons, of which everything is known, come back as the families that they should give."""

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from trace_cells import (
    FAMILIES,
    NEURON,
    RATE,
    RHEOBASE,
    TRAINS,
    assert_same,
    features_of,
    features_of_file,
    recorded,
    whole_cell,
)

from sbnn.ephys_types.traces import SimulatedNeuron, read_traces, write_recording
from sbnn.ephys_types.traces.layout import LEVELS, STEPS
from sbnn.ephys_types.traces.recording import open_recording
from sbnn.ephys_types.traces.simulate import Protocol, current_of, record, usual_protocols, write_sweeps
from sbnn.ephys_types.traces.sweeps import sweeps_of


def binned(values, width):
    return values[: len(values) // width * width].reshape(-1, width).mean(axis=1)


def test_a_whole_recording_gives_every_family(tmp_path):
    assert NEURON.rheobase(RATE) == RHEOBASE
    write_sweeps(tmp_path / "sub-1_ses-2_icephys.nwb", recorded()[0])
    cell = read_traces(tmp_path, cache=False, verbose=False)
    assert cell.X.shape == (1, 2607) and np.isfinite(cell.X).all()
    np.testing.assert_allclose(cell.X[0], np.concatenate(list(whole_cell().values())), rtol=0, atol=0)
    assert list(cell.feature_names) == list(FAMILIES.feature_names)
    assert cell.labels.loc["2", ["notes", "donor", "species"]].tolist() == ["", "800000001", "Mus musculus"]
    assert cell.units["spiking_width_0"] == "s" and cell.dropped == {}


def test_firing_is_that_of_the_simulation():
    truth = recorded()[1]
    family = whole_cell()
    for k, level in enumerate(LEVELS):
        (times,) = [sweep.spike_times for sweep in truth if sweep.protocol[2:] == (1.0, RHEOBASE + level)]
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


def test_spikes_have_the_shape_of_the_simulation():
    family = whole_cell()
    tolerance = 2 / RATE  # it is measured in whole samples
    np.testing.assert_allclose(family["spiking_threshold_v"], NEURON.threshold, atol=1.0)
    np.testing.assert_allclose(family["spiking_peak_v"], NEURON.peak, atol=0.1)
    np.testing.assert_allclose(family["spiking_fast_trough_v"], NEURON.trough, atol=0.3)
    np.testing.assert_allclose(family["spiking_width"], NEURON.width, atol=tolerance)
    np.testing.assert_allclose(family["spiking_upstroke_downstroke_ratio"], NEURON.upstroke_downstroke_ratio, rtol=0.05)


def test_the_first_spike_of_each_protocol_stands_in_its_block():
    family = whole_cell()
    shape = NEURON.spike(RATE)
    for v, dv in zip(family["first_ap_v"].reshape(3, 150), family["first_ap_dv"].reshape(3, 149), strict=True):
        shift = np.argmax(v) - np.argmax(shape)  # threshold is where the slope is 5 % of the steepest
        assert abs(shift) <= 2
        np.testing.assert_allclose(v[5:40], shape[5 - shift : 40 - shift], atol=0.1)
        np.testing.assert_allclose(dv, np.diff(v), atol=1e-12)


def test_the_course_between_spikes_is_that_of_the_membrane():
    sweeps, truth = recorded()
    k = next(k for k, sweep in enumerate(truth) if sweep.protocol.amplitude == RHEOBASE + 40)
    voltage = sweeps[k][2]
    starts = np.round((truth[k].spike_times + 0.3) * RATE).astype(int)
    after = round((NEURON.rise + NEURON.fall) * RATE)
    courses = [
        np.interp((np.arange(100) + 0.5) / 100 * (b - a - after), np.arange(b - a - after), voltage[a + after : b])
        for a, b in zip(starts[:-1], starts[1:], strict=True)
    ]
    shape = whole_cell()["isi_shape"]
    np.testing.assert_allclose(shape, np.mean(courses, axis=0) - NEURON.threshold, atol=0.4)


@pytest.mark.parametrize(("resistance", "sag"), [(150.0, 0.25), (300.0, 0.05)])
def test_steps_show_input_resistance_and_sag(resistance, sag):
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


def test_first_spikes_are_of_rheobase_and_of_the_usual_short_square():
    """Other sweeps hold spikes of another neuron: taller ones."""
    sweeps, truth = recorded()
    tall = record(SimulatedNeuron(peak=35.0), usual_protocols(RHEOBASE))[0]
    mixed = [
        other if known.protocol.amplitude > RHEOBASE and known.protocol[1:3] == ("square", 1.0) else own
        for own, other, known in zip(sweeps, tall, truth, strict=True)
    ]
    rare = record(SimulatedNeuron(peak=35.0), [Protocol("X6SP_Rheo_DA_0", "square", 0.003, 1400)])[0]
    rebound = [(sweeps[0][0], sweeps[0][1], tall[6][2])]  # spikes while the current is negative
    family, _ = features_of(rebound + rare + mixed)
    np.testing.assert_array_equal(family["first_ap_v"], whole_cell()["first_ap_v"])
    assert family["spiking_peak_v"].reshape(3, 50).mean(axis=1) == pytest.approx([20.0, 35.0, 35.0], abs=0.2)


@pytest.mark.parametrize("rate", [20_000, 100_000, 48_828.125])
def test_other_sampling_rates_give_nearly_the_same(rate):
    family, notes = features_of(record(protocols=usual_protocols(RHEOBASE), rate=rate)[0], rate)
    whole = whole_cell()
    assert notes == ""
    tolerance = {"step_subthresh": 0.04, "subthresh_norm": 0.005, "isi_shape": 0.6, "spiking_width": 3e-5}
    for name, atol in tolerance.items():
        np.testing.assert_allclose(family[name], whole[name], atol=atol, err_msg=name)
    assert family["spiking_peak_v"].mean() == pytest.approx(20.0, abs=1.0)
    assert family["spiking_threshold_v"].mean() == pytest.approx(-45.0, abs=1.5)
    # Spikes begin on samples, so that trains of other rates drift apart by a sample per spike.
    assert family["psth"].sum() == pytest.approx(whole["psth"].sum(), rel=0.05)


@pytest.mark.parametrize("rate", [20_000, 48_828.125])
def test_sweeps_are_cut_around_their_onset(rate, tmp_path):
    path = tmp_path / "ses-1.nwb"
    write_sweeps(path, record(protocols=[Protocol("", "square", 1.0, -90)], rate=rate)[0], rate=rate)
    with open_recording(path) as recording:
        (sweep,) = sweeps_of(recording)[0]["long_square"]
    assert sweep.t[0] <= -0.2 and sweep.t[-1] >= 1.2 and len(sweep.t) == len(sweep.v) == len(sweep.i)
    np.testing.assert_allclose(np.diff(sweep.t), 1 / RATE, rtol=1e-6)
    np.testing.assert_allclose(sweep.v[sweep.t < 0], -70, atol=0.3)  # its edges too
    assert sweep.v[np.searchsorted(sweep.t, 0.002)] < -71
    assert (sweep.i[(sweep.t >= 0) & (sweep.t < 1)] == -90).all() and np.count_nonzero(sweep.i) == RATE


def test_a_measured_current_does_for_a_command():
    rng = np.random.default_rng(0)
    noisy = [("", current + rng.normal(0.3, 0.5, len(current)), voltage) for _, current, voltage in recorded()[0]]
    family, notes = features_of([*noisy, noisy[5]])  # a repeat of the same amplitude, as far as that can be told
    assert notes == ""
    for name, atol in {"step_subthresh": 0.1, "psth": 51, "spiking_peak_v": 0.1, "first_ap_v": 1e-9}.items():
        np.testing.assert_allclose(family[name], whole_cell()[name], atol=atol)


def test_stimuli_without_names_are_known_by_their_shape():
    family, notes = features_of([("", current, voltage) for _, current, voltage in recorded()[0]])
    assert notes == ""
    assert_same(family, whole_cell())


def test_sweeps_and_stimuli_are_those_that_the_reader_of_ipfx_finds(tmp_path):
    from ipfx.dataset.create import create_ephys_data_set

    path = tmp_path / "sub-1_ses-2_icephys.nwb"
    write_sweeps(path, recorded()[0])
    theirs = create_ephys_data_set(str(path))
    with open_recording(path) as ours:
        assert [sweep.number for sweep in ours.sweeps] == list(range(1, 12))
        for sweep in ours.sweeps:
            other = theirs.sweep(sweep.number)
            np.testing.assert_allclose(sweep.voltage(), other.v, rtol=1e-6)
            np.testing.assert_allclose(sweep.current(), other.i, rtol=1e-6, atol=1e-6)
            assert sweep.rate == other.sampling_rate


def test_files_that_list_their_recordings_in_a_table_are_read_alike(tmp_path):
    family, _ = features_of_file(tmp_path, recorded()[0], by_number=False)
    assert_same(family, whole_cell())


def test_a_recording_is_written_where_dandi_has_it(tmp_path):
    protocols = [Protocol("X3LP_Rheo_DA_0", "square", 1.0, 200)]
    path, truth = write_recording(tmp_path, protocols=protocols, session="7", donor="5")
    assert path == tmp_path / "sub-5" / "sub-5_ses-7_icephys.nwb" and len(truth[0].spike_times) > 5
    features = read_traces(tmp_path, cache=False, verbose=False, labels=pd.DataFrame({"type": ["Pvalb"]}, index=[7]))
    assert features.labels.loc["7", ["type", "donor"]].tolist() == ["Pvalb", "5"]
