"""Sweeps of a recording: where they end, which stimulus they hold, and how they are cut."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pytest import approx

pytest.importorskip("ipfx", reason="reading recordings needs the extra 'traces'")

from pynwb import device, icephys

from sbnn.ephys_types.traces import recording, vectors
from sbnn.ephys_types.traces.recording import Stimulus, StoredSweep, stimulus_of


def test_a_recording_ends_with_a_long_gap_or_with_its_last_value():
    missing = np.array([0, 1, 1, 0, 1, 0, 0, 1], dtype=bool)
    assert recording._stretches(missing).tolist() == [[1, 3], [4, 5], [7, 8]]
    assert recording._end_of_recording(missing, 2) == 1
    assert recording._end_of_recording(missing, 3) == 7
    assert recording._end_of_recording(missing[:6], 3) == 6
    assert recording._end_of_recording(missing[:5], 9) == 4


def test_stored_numbers_are_converted_up_to_where_recording_stopped():
    data = np.array([1, 0, 2, np.nan, 4, 0, 0, 0, 0, 0, 6])
    series = SimpleNamespace(data=data, conversion=0.01, offset=-0.03)
    sweep = StoredSweep(0, "", 1000.0, series, series)
    assert_allclose(sweep.voltage(), [-20, -30, -10, np.nan, 10])
    assert_allclose(sweep.current(), [-2e10, -3e10, -1e10])


def test_gaps_are_bridged_and_blips_are_ignored():
    active = np.zeros(300, dtype=bool)  # at 10 kHz
    for start, end in ((10, 20), (39, 50), (70, 73), (100, 102), (150, 153)):
        active[start:end] = True
    assert recording._runs(active, 10_000) == [(10, 50), (70, 73), (150, 153)]


def test_a_short_first_pulse_is_a_test_pulse_unless_the_next_is_alike():
    size = np.repeat([0, -5.0, 0, 30.0, 0, 29.0, 0], [100, 100, 50, 400, 100, 380, 9])
    steps = [(250, 650), (750, 1130)]

    def kept(runs):
        return recording._without_test_pulse(runs, size, 1000)

    assert kept([(100, 200), (250, 650)]) == [(250, 650)]
    assert kept(steps) == steps
    for too_long_or_alike in ([(100, 201), (250, 650)], [(300, 310), (350, 360)]):
        assert kept(too_long_or_alike) == too_long_or_alike
    assert kept([(0, 9)]) == [(0, 9)]


@pytest.mark.parametrize("quantity", recording.PLAUSIBLE)
def test_implausible_scales_are_named(quantity):
    low, high, unit = recording.PLAUSIBLE[quantity]
    for fine in (low, high, np.nan):
        recording.check_scale(quantity, fine)
    for wrong in (low - 0.01, high + 0.01):
        with pytest.raises(ValueError, match=f"{quantity}: .* {unit}"):
            recording.check_scale(quantity, wrong)


def current(*parts, rate=10_000):
    """Steps of a current, given as seconds and level."""
    seconds, levels = np.transpose(parts)
    return np.repeat(levels, np.rint(rate * seconds).astype(int))


LENGTHS = {
    "short_square": (0.0025, 0.0035),
    "long_square": (0.995, 1.005),
    "square": (0.0024, 0.0036, 0.5, 0.994, 1.006),
}


@pytest.mark.parametrize(("rate", "unit"), [(10_000, 1.0), (200_000, 1e-12)])
@pytest.mark.parametrize("kind", LENGTHS)
def test_squares_are_told_by_their_length(kind, rate, unit):
    """At a holding current, and after a test pulse."""
    for length in LENGTHS[kind]:
        for level in (-10.0, 1500.0):
            parts = (0.02, -2), (0.01, -50), (0.27, -2), (length, level - 2), (0.1, -2)
            found = stimulus_of(current(*parts, rate=rate) * unit, rate)
            expected = approx(length), approx(level * unit)
            assert found == (kind, round(0.3 * rate), *expected)


def test_measured_currents_are_noisy(rng):
    for length, level, kind in ((1.0, -30.0, "long_square"), (0.003, 800.0, "short_square")):
        given = current((0.3, -12), (length, level - 12), (0.3, -12), rate=50_000)
        found = stimulus_of(given + rng.normal(size=len(given)), 50_000)
        assert found == (kind, approx(15_000, abs=5), *found[2:])
        assert found.amplitude == approx(level, abs=1)


@pytest.mark.parametrize(
    ("high", "low", "kind"),
    [(5.7, 5.7, "other"), (6.5, 6.5, "long_square"), (20, 14, "long_square"), (20, 13, "other")],
)
def test_six_sds_of_the_noise_tell_a_step_from_it(high, low, kind):
    """Noise of 1 between any two values, so its SD is 1.05; the second half is lower."""
    given = current((0.3, 0), (0.5, high), (0.5, low), (0.3, 0), rate=2000)
    noisy = given + np.resize([-0.5, 0.5], len(given))
    assert stimulus_of(noisy, 2000).kind == kind


LINE = np.concatenate([np.zeros(1000), np.arange(1500) / 10, np.zeros(50)])


def test_a_line_of_a_tenth_of_a_second_is_a_ramp():
    found = stimulus_of(LINE, 10_000)
    assert found == ("ramp", 1000, approx(0.15), approx(149.8, abs=0.2))
    short = np.concatenate([LINE[:1990], np.zeros(9)])
    stairs = current((0.1, 0), (0.2, 5), (0.2, 9), (0.1, 0))
    train = current((0.1, 0), *[(0.003, 500), (0.4, 0)] * 3)
    chirp = np.sin(np.linspace(0, 100, 20_000) ** 2)
    for other in (short, -LINE, LINE**2, np.ones(1), stairs, train, chirp, np.zeros(9000)):
        assert stimulus_of(other, 10_000) == ("other", 0, 0, 0)


def test_names_of_stimuli():
    kinds = {
        "X4PS_SupraThresh_DA_0": "long_square",
        "Long Square": "long_square",
        "X2LP_Search_DA_1": "other",
        "C1SSFINEST150112[3]": "short_square",
        "X7Ramp_DA_0": "ramp",
        "my own steps": None,
        "": None,
    }
    assert {name: recording.named_protocol(name) for name in kinds} == kinds


ELECTRODES = [
    icephys.IntracellularElectrode(name=f"e{i}", device=device.Device(name="d"), description="")
    for i in (0, 1)
]


def series(kind, name, number, place=0, rate=20_000.0, text=""):
    options = {"sweep_number": number, "stimulus_description": text, "gain": 1.0}
    options |= {"electrode": ELECTRODES[place], "rate": rate}
    return kind(name=name, data=[1.0], **options)


def test_sweeps_are_matched_by_number_and_electrode_or_by_the_table_of_recordings():
    response, stimulus = icephys.CurrentClampSeries, icephys.CurrentClampStimulusSeries
    responses = [
        series(response, "b", 4),
        series(response, "a", 3),
        series(icephys.VoltageClampSeries, "volts", 3),
        series(icephys.IZeroClampSeries, "zero", 3, text="N/A"),
        series(response, "in the table", None),
        series(response, "slow", 2),
        series(response, "twice", 1),
    ]
    stimuli = [
        series(stimulus, "s4", 4, text="four"),
        series(stimulus, "of another electrode", 3, place=1),
        series(stimulus, "s3", 3),
        series(stimulus, "of the table", None),
        series(stimulus, "s2", 2, rate=20_010.0),
        series(stimulus, "s1", 1),
        series(stimulus, "again s1", 1),
    ]
    # index -1 marks a missing series
    pairs = [(responses[4], 0), (responses[6], 0), (stimuli[3], 0), (stimuli[5], -1)]
    row = [SimpleNamespace(timeseries=its, idx_start=start) for its, start in pairs]
    columns = {("responses", "response"): row[:2], ("stimuli", "stimulus"): row[2:]}
    nwb = SimpleNamespace(
        acquisition={one.name: one for one in responses},
        stimulus={one.name: one for one in stimuli},
        intracellular_recordings=pd.DataFrame(columns),
    )
    sweeps, notes = recording.stored_sweeps(nwb)
    found = [
        (one.number, one.stimulus_name, one.response.name, one.stimulus.name) for one in sweeps
    ]
    paired = (2, "", "in the table", "of the table")
    assert found == [paired, (3, "", "a", "s3"), (4, "four", "b", "s4")]
    assert sweeps[0].rate == 20_000
    assert [note.split()[1] for note in notes] == ["slow", "twice"]
    nwb.acquisition = {}
    with pytest.raises(ValueError, match="no current-clamp sweep"):
        recording.stored_sweeps(nwb)


def cut(kind, onset, length, amplitude, rate=50_000.0, n=100_000, before=-70.0):
    """A sweep whose voltage is a line, cut around a stimulus."""
    sweep = SimpleNamespace(rate=rate, number=4)
    voltage = np.linspace(before, -50, n)
    return recording._cut(sweep, Stimulus(kind, onset, length, amplitude), voltage), voltage


@pytest.mark.parametrize(
    ("kind", "length", "before", "after"),
    [("long_square", 1.0, 0.2, 0.25), ("short_square", 0.003, 0.02, 0.1)],
)
@pytest.mark.parametrize("rate", [20_000.0, 50_000.0])
def test_a_square_is_cut_around_its_stimulus(kind, length, before, after, rate):
    onset = round(0.4 * rate)
    found, voltage = cut(kind, onset, length, -50.6, rate, n=round(2 * rate))
    assert found.number == 4
    assert found.amplitude == -51
    n = round((before + length + after) * 50_000)
    assert_allclose(found.t, np.arange(n) / 50_000 - before, atol=1e-9)
    expected = np.interp(found.t, (np.arange(len(voltage)) - onset) / rate, voltage)
    assert_allclose(found.v[50:-50], expected[50:-50], atol=0.1)  # of the filter
    during = (found.t > -1e-9) & (found.t < length - 1e-9)
    assert_array_equal(found.i, np.where(during, -51, 0))


def test_a_ramp_is_cut_from_a_tenth_of_a_second_before_it():
    found, voltage = cut("ramp", 20_000, 0.5, 30.3)
    assert_allclose(found.t, np.arange(-5000, 80_000) / 50_000)
    assert_array_equal(found.v, voltage[15_000:])
    assert_allclose(found.i, np.maximum(found.t, 0) / 0.5 * 30.3)
    assert found.amplitude == 30.3


@pytest.mark.parametrize(
    ("reason", "sweep"),
    [
        ("recorded before", ("long_square", 9_999, 1.0, 5.0)),
        ("recorded before", ("ramp", 999, 0.5, 5.0)),
        ("recorded after", ("long_square", 40_001, 1.0, 5.0)),
        ("recorded after", ("short_square", 96_851, 0.003, 5.0)),
        ("no simple ratio", ("ramp", 2_000, 0.5, 5.0, 50_025.0)),
        ("no current", ("long_square", 20_000, 1.0, 0.4)),
        ("no current", ("ramp", 99_999, 0.5, 5.0)),
        ("no current", ("ramp", 100_000, 0.5, 5.0)),
        ("no resting voltage", ("ramp", 30, 0.5, 5.0, 50_000.0, 100_000, -121.0)),
    ],
)
def test_sweeps_that_cannot_be_cut_say_why(reason, sweep):
    with pytest.raises(recording.UnusableSweep, match=reason):
        cut(*sweep)


def test_what_is_just_long_enough_is_cut():
    cut("long_square", 40_000, 1.0, 5.0)
    cut("ramp", 1_000, 0.5, 5.0)


def test_the_voltage_at_rest_is_the_median_of_ten_ms_before_the_stimulus():
    voltage = np.arange(20.0) ** 2
    at_onset = Stimulus("ramp", 12, 1, 1)
    found = recording._at_rest(SimpleNamespace(rate=1000.0), at_onset, voltage)
    assert found == np.median(voltage[2:12])


TABLE = pd.DataFrame({"avg_rate": [0.0, 2, 3, 1, 1, 5], "stim_amp": [10.0, 40, 30, 30, 40, -5]})


def test_sweeps_of_the_first_spike():
    chosen = {kind: vectors._sweeps_for_first_spike(kind, TABLE) for kind in vectors.PROTOCOLS}
    assert chosen == {"short_square": [2, 3], "long_square": [2], "ramp": [1, 2, 3, 4]}


def first_spike(*spikes):
    """First spike of a ramp of 400 samples, by threshold and whether it is clipped."""
    t = np.arange(400) / vectors.RATE
    sweep = SimpleNamespace(t=t, v=np.arange(400.0), i=t)
    spikes = pd.DataFrame(spikes, columns=["threshold_index", "clipped"])
    rates = pd.DataFrame({"avg_rate": [1.0], "stim_amp": [9.0]})
    analysed = dict.fromkeys(vectors.PROTOCOLS, vectors.Analysed([], [], TABLE[:0]))
    analysed["ramp"] = vectors.Analysed([sweep], [spikes], rates)
    notes = []
    return vectors._first_spikes(analysed, notes), notes


def test_a_first_spike_is_complete():
    found, notes = first_spike((250, False), (390, True))
    assert_array_equal(found["first_ap_v"][300:], np.arange(250, 400))
    assert_array_equal(found["first_ap_dv"][298:], np.ones(149))
    assert np.isnan(found["first_ap_v"][:300]).all()
    assert notes == []
    for spikes in ([(251, False), (20, False)], [(20, True), (30, False)]):
        found, notes = first_spike(*spikes)
        assert found == {}
        assert "ramp" in notes[0]
