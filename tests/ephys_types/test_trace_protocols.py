"""Stimuli are recognised by name and by shape, and mistakes of units are named."""

import numpy as np
import pytest

from sbnn.ephys_types.traces.layout import trace_families, trace_units
from sbnn.ephys_types.traces.protocols import stimulus_of
from sbnn.ephys_types.traces.recording import _end_of_recording, cell_name
from sbnn.ephys_types.traces.units import check_scale

RATES = (20_000, 50_000, 200_000)


def square(rate, length, amplitude, onset=0.3, total=1.8, test_pulse=-50.0):
    current = np.zeros(round(total * rate))
    current[round(0.02 * rate) : round(0.03 * rate)] = test_pulse
    current[round(onset * rate) : round((onset + length) * rate)] = amplitude
    return current


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize(("length", "kind"), [(0.003, "short_square"), (1.0, "long_square"), (0.5, "square")])
@pytest.mark.parametrize("amplitude", [-110.0, -10.0, 190.0, 1500.0])
@pytest.mark.parametrize("unit", [1.0, 1e-12])
def test_squares_are_recognised_at_any_rate_and_in_any_unit(rate, length, kind, amplitude, unit):
    found = stimulus_of(square(rate, length, amplitude) * unit, rate)
    assert found.kind == kind and found.onset == round(0.3 * rate)
    assert found.length == pytest.approx(length) and found.amplitude == pytest.approx(amplitude * unit)


@pytest.mark.parametrize("test_pulse", [0.0, 5.0, -50.0])
def test_a_measured_current_with_noise_and_a_holding_current(test_pulse):
    rng = np.random.default_rng(0)
    for length, amplitude, kind in ((1.0, -30.0, "long_square"), (0.003, 800.0, "short_square")):
        current = square(50_000, length, amplitude, test_pulse=test_pulse) - 12.0
        found = stimulus_of(current + rng.normal(0, 1.0, len(current)), 50_000)
        assert found.kind == kind
        assert abs(found.onset - 15_000) <= 5 and found.amplitude == pytest.approx(amplitude, abs=1.0)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_a_ramp_begins_where_its_line_leaves_the_baseline(noise):
    rate = 50_000
    current = np.concatenate([np.zeros(20_000), 25 * np.arange(4 * rate) / rate, np.zeros(10_000)])
    found = stimulus_of(current + np.random.default_rng(0).normal(0, noise, len(current)), rate)
    assert found.kind == "ramp"
    assert abs(found.onset - 20_000) <= 0.02 * rate and found.amplitude == pytest.approx(100, abs=3)


def trains():
    rate = 50_000
    t = np.arange(2 * rate) / rate
    pulses = sum(square(rate, 0.003, 500.0, onset) for onset in (0.5, 0.51, 0.52))
    pair = square(rate, 0.003, 500.0, 0.5, test_pulse=0) + square(rate, 0.003, 500.0, 0.1, test_pulse=0)
    return {
        "three short squares": pulses,
        "the same short square twice, the first where test pulses are": pair,
        "chirp": np.where(t > 0.5, 50 * np.sin(2 * np.pi * 20 * t**2), 0),
        "noise": np.where(t > 0.5, np.random.default_rng(0).normal(0, 50, len(t)), 0),
        "falling ramp": np.where((t > 0.5) & (t < 1.5), -100 * (t - 0.5), 0),
        "staircase": square(rate, 0.5, 50.0, 0.5) + square(rate, 0.5, 150.0, 1.0, test_pulse=0),
        "nothing": np.zeros(rate),
        "one value": np.zeros(1),
    }


@pytest.mark.parametrize("name", trains())
def test_other_stimuli_are_not_taken_for_one_of_the_three(name):
    assert stimulus_of(trains()[name], 50_000).kind == "other"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("X1PS_SubThresh_DA_0", "long_square"),
        ("X4PS_SupraThresh_DA_1", "long_square"),
        ("C1LSFINEST150112_DA_0", "long_square"),
        ("Long Square", "long_square"),
        ("X6SP_Rheo_DA_0", "short_square"),
        ("C1SSFINEST150112[3]", "short_square"),
        ("X7Ramp_DA_0", "ramp"),
        ("X2LP_Search_DA_0", "other"),
        ("X5SP_Search_DA_0", "other"),
        ("C2SSTRIPLE171103_DA_0", "other"),
        ("C2CHIRP171129_DA_0", None),
        ("my own steps", None),
        ("", None),
    ],
)
def test_names_of_stimuli(name, kind):
    pytest.importorskip("ipfx", reason="needs the extra 'traces'")
    from sbnn.ephys_types.traces.protocols import named_protocol

    assert named_protocol(name) == kind


@pytest.mark.parametrize(
    ("quantity", "value", "conversion", "said"),
    [
        ("voltage", -65_000.0, 1.0, "10^3 times too large, as if millivolts were stored"),
        ("voltage", -0.065, 1e-3, "10^3 times too small, as if volts were stored and the conversion of 0.001"),
        ("current", 2e14, 1.0, "10^12 times too large, as if picoamperes were stored"),
        ("current", 0.2, 1e-12, "10^3 times too small, as if nanoamperes were stored"),
        ("sampling rate", 50.0, 1.0, "as if kilohertz (or times in milliseconds) had been written where hertz"),
    ],
)
def test_mistakes_of_units_are_named(quantity, value, conversion, said):
    with pytest.raises(ValueError) as error:
        check_scale(quantity, value, "here", conversion)
    assert said in str(error.value)


@pytest.mark.parametrize("value", [0.0, 5.0, np.nan])
def test_a_voltage_that_no_factor_explains_is_refused_too(value):
    with pytest.raises(ValueError, match="expected -120 to -10$"):
        check_scale("voltage", value, "here")


@pytest.mark.parametrize(("quantity", "value"), [("voltage", -70.0), ("current", 10.0), ("sampling rate", 20_000.0)])
def test_what_recordings_hold_passes(quantity, value):
    check_scale(quantity, value, "here")


@pytest.mark.parametrize(
    ("missing", "end"),
    [
        ([0, 0, 0, 0], 4),
        ([0, 0, 1, 1], 2),  # a tail
        ([0, 0, 0, 1], 3),  # a tail of one
        ([0, 1, 0, 0], 4),  # one zero is a voltage
        ([0, 1, 1, 1, 0, 0], 1),  # a gap
        ([1, 1], 0),
    ],
)
def test_recording_ends_where_a_run_of_missing_values_begins(missing, end):
    assert _end_of_recording(np.array(missing, dtype=bool), 3) == end


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        ("a/sub-1_ses-720868659_icephys.nwb", "720868659"),
        ("sub-1_ses-7-a.nwb", "7-a"),
        ("ses-5.nwb", "5"),
        ("mine.nwb", "mine"),
        ("houses-5.nwb", "houses-5"),
    ],
)
def test_cells_are_named_by_their_session(path, cell):
    assert cell_name(path) == cell


def test_columns_are_those_of_the_twelve_families():
    families = trace_families()
    sizes = {name: len(columns) for name, columns in families.columns.items()}
    spikes = dict.fromkeys(("threshold_v", "peak_v", "width", "fast_trough_v", "upstroke_downstroke_ratio"), 150)
    assert sizes == {
        "first_ap_v": 450,
        "first_ap_dv": 447,
        "isi_shape": 100,
        "inst_freq": 150,
        **{f"spiking_{name}": size for name, size in spikes.items()},
        "step_subthresh": 420,
        "subthresh_norm": 140,
        "psth": 150,
    }
    assert families.feature_names[0] == "first_ap_v_0" and families.feature_names[-1] == "psth_149"
    assert set(trace_units()) == set(families.feature_names)
