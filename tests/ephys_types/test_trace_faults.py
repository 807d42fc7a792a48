"""What a recording lacks is missing, never zero; sweeps and files with faults are left out, named, and end nothing."""

import numpy as np
import pytest

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from trace_cells import NEURON, RATE, RHEOBASE, TRAINS, assert_same, features_of, features_of_file, recorded, whole_cell


def test_what_a_cell_lacks_is_missing_and_never_zero():
    sweeps, truth = recorded()
    whole = whole_cell()

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

    family, notes = without(lambda protocol: protocol.amplitude in [RHEOBASE + more for more in (40, 80)])
    assert "spike features need sweeps at two of rheobase" in notes
    assert all(np.isnan(family[name]).all() for name in TRAINS)
    assert np.isfinite(family["isi_shape"]).all() and np.isfinite(family["first_ap_v"]).all()

    family, notes = without(lambda protocol: protocol.length == 1.0 and protocol.kind == "square")
    assert "no long square sweep" in notes
    assert [name for name, values in family.items() if np.isfinite(values).any()] == ["first_ap_v", "first_ap_dv"]


def test_a_missing_level_or_step_is_filled_in_and_told():
    sweeps, truth = recorded()
    gone = [RHEOBASE + 40, -50]
    family, notes = features_of(
        [sweep for sweep, known in zip(sweeps, truth, strict=True) if known.protocol.amplitude not in gone]
    )
    assert "no sweep at rheobase +40 pA" in notes and "no step of -50 pA" in notes
    levels = family["psth"].reshape(3, 50)
    np.testing.assert_allclose(levels[1], (levels[0] + levels[2]) / 2)
    steps, whole = (values.reshape(3, 140) for values in (family["step_subthresh"], whole_cell()["step_subthresh"]))
    np.testing.assert_allclose(steps[:, :120], whole[:, :120], atol=0.1)  # after the step IPFX scales nothing


def test_spikes_that_are_cut_off_are_no_first_spikes():
    sweeps, truth = recorded()
    onset, spike = round(0.3 * RATE), NEURON.spike(RATE)
    name, current, _ = sweeps[4]  # the current under rheobase, and a spike at its very end
    late = NEURON.respond(current, RATE)[0]
    late[onset + RATE - 20 : onset + RATE - 20 + len(spike)] = spike
    ramp = [sweeps[-1][0], sweeps[-1][1], sweeps[-1][2].copy()]
    ramp[2][onset + round(truth[-1].spike_times[0] * RATE) + 100 :] = 0
    family, notes = features_of([(name, current, late), ramp, *sweeps[8:10]])
    assert "no complete spike in a long square sweep" in notes and "no complete spike in a ramp sweep" in notes
    assert np.isnan(family["first_ap_v"].reshape(3, 150)).all(axis=1).tolist() == [False, True, True]


def test_a_spike_without_a_width_costs_no_family(monkeypatch):
    from ipfx.feature_extractor import SpikeFeatureExtractor

    process = SpikeFeatureExtractor.process

    def forgetful(self, *trace):
        spikes = process(self, *trace)
        if len(spikes) > 10:
            spikes.loc[3, "width"] = np.nan
        return spikes

    monkeypatch.setattr(SpikeFeatureExtractor, "process", forgetful)
    family, notes = features_of(recorded()[0])
    assert notes == ""
    np.testing.assert_allclose(family["spiking_width"], whole_cell()["spiking_width"], atol=1 / RATE)


def test_a_sweep_that_ipfx_fails_on_is_left_out_and_named(monkeypatch):
    from ipfx.feature_extractor import SpikeFeatureExtractor

    process, calls = SpikeFeatureExtractor.process, []

    def failing(self, *trace):
        calls.append(None)
        if len(calls) == 4:  # after two short squares the second long one
            raise IndexError("index 7 is out of bounds")
        return process(self, *trace)

    monkeypatch.setattr(SpikeFeatureExtractor, "process", failing)
    family, notes = features_of(recorded()[0])
    assert "sweep 2: IPFX finds no spikes in it (index 7 is out of bounds)" in notes and "no step of -90 pA" in notes
    np.testing.assert_array_equal(family["psth"], whole_cell()["psth"])


def test_a_sweep_of_a_lost_cell_is_left_out():
    lost = ("X3LP_Rheo_DA_0", recorded()[0][5][1], recorded()[0][5][2] + 65)
    family, notes = features_of([*recorded()[0], lost])
    assert notes == "1 long square sweep(s) without a resting voltage before the stimulus"
    assert_same(family, whole_cell())


def test_searches_and_sweeps_that_are_not_what_they_are_called_are_left_out():
    search = [("X2LP_Search_DA_0", *recorded()[0][6][1:])] * 2  # at a level that spike features take
    wrong = [("X7Ramp_DA_0", *recorded()[0][0][1:])]
    family, notes = features_of(recorded()[0] + search + wrong)
    assert notes == "sweep 14 is called 'X7Ramp_DA_0', but its current is a square of 1000 ms"
    assert_same(family, whole_cell())


def test_what_a_rig_did_not_record_is_not_read_as_zero_millivolts():
    sweeps = [(name, current.copy(), voltage.copy()) for name, current, voltage in recorded()[0]]
    onset = round(0.3 * RATE)
    stopped = [(name, current, voltage.copy()) for name, current, voltage in (sweeps[0], sweeps[7])]
    for _, _, voltage in stopped:
        voltage[onset + RATE // 2 :] = 0
    last = sweeps[-1]  # the ramp: a gap after the first spikes, as the rig restarts
    last[2][onset + round(0.6 * RATE) : onset + round(0.63 * RATE)] = 0
    last[1][onset + round(0.9 * RATE) :] = np.nan
    family, notes = features_of(sweeps + stopped)
    assert notes == "2 long square sweep(s) that end less than 200 ms after the stimulus"
    assert_same(family, whole_cell())


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
def test_units_mixed_up_are_named_and_no_features_come_of_them(change, options, said, tmp_path):
    with pytest.raises(ValueError) as error:
        features_of_file(tmp_path, [(name, *change(i, v)) for name, i, v in recorded()[0][:6]], **options)
    assert "sub-1_ses-2_icephys.nwb" in str(error.value) and said in str(error.value)
