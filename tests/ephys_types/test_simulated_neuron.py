"""The simulated neuron does what its equations say, by another solver, and its spikes have the shape they promise."""

import numpy as np
import pytest
from scipy.integrate import solve_ivp

from sbnn.ephys_types.traces.neuron import SimulatedNeuron

RATE = 50_000


def test_below_threshold_the_membrane_solves_its_equations():
    neuron = SimulatedNeuron(tau=0.02, sag=0.4, sag_tau=0.06)
    current = np.zeros(RATE // 2)
    current[5000:20_000] = -100.0
    voltage, spikes = neuron.respond(current, RATE)
    r0 = neuron.resistance * (1 + neuron.sag) * 1e-3

    def slope(t, state):
        v, h = state
        i = -100.0 if 0.1 <= t < 0.4 else 0.0
        return [(-v - h + r0 * i) / neuron.tau, (neuron.sag * v - h) / neuron.sag_tau]

    t = np.arange(len(current)) / RATE
    truth = solve_ivp(slope, (0, t[-1]), [0, 0], t_eval=t, max_step=2e-4, rtol=1e-8, atol=1e-8).y[0]
    assert len(spikes) == 0
    np.testing.assert_allclose(voltage, neuron.rest + truth, atol=0.02)


def test_resistance_is_that_at_steady_state_and_sag_goes_beyond():
    neuron = SimulatedNeuron(resistance=120.0, sag=0.3)
    voltage, _ = neuron.respond(np.full(2 * RATE, -80.0), RATE)
    steady = -80 * 120e-3
    assert voltage[-1] - neuron.rest == pytest.approx(steady, rel=1e-3)
    assert 1.05 * steady > voltage.min() - neuron.rest > 1.3 * steady


def test_spikes_have_the_shape_and_the_times_that_are_told():
    neuron = SimulatedNeuron(adaptation=0.0)
    rate = 1_000_000  # so that the samples do not limit what is measured
    voltage, spikes = neuron.respond(np.full(rate // 4, 250.0), rate)
    # Without sag currents of its own the membrane would be one exponential; the slow one moves little in an interval.
    assert len(spikes) > 3
    one = voltage[spikes[1] : spikes[1] + round(0.0009 * rate)]
    assert one[0] == neuron.threshold and one.max() == pytest.approx(neuron.peak)
    assert voltage[spikes[1] + len(one)] == pytest.approx(neuron.trough, abs=0.1)
    above = np.flatnonzero(one > (neuron.peak + neuron.trough) / 2)
    assert (above[-1] - above[0]) / rate == pytest.approx(neuron.width, abs=3e-6)
    slopes = np.diff(one)
    assert slopes.max() / -slopes.min() == pytest.approx(neuron.upstroke_downstroke_ratio, rel=1e-3)
    crossings = np.flatnonzero((voltage[1:] > 0) & (voltage[:-1] <= 0))
    assert len(crossings) == len(spikes) and (crossings > spikes).all()


def test_adaptation_slows_a_train_down():
    current = np.full(RATE, 250.0)
    intervals = [
        np.diff(SimulatedNeuron(sag=0.01, adaptation=adaptation).respond(current, RATE)[1]) for adaptation in (0.0, 8.0)
    ]
    # Without adaptation only the weak sag current changes an interval, by some samples.
    assert np.ptp(intervals[0]) < 0.05 * intervals[0][0]
    assert intervals[1][-1] > 1.3 * intervals[1][0] and (np.diff(intervals[1]) >= -1).all()


def test_rheobase_is_the_least_current_that_evokes_a_spike():
    neuron = SimulatedNeuron()
    rheobase = neuron.rheobase(RATE)
    for amplitude, fires in ((rheobase, True), (rheobase - 10, False)):
        assert bool(len(neuron.respond(np.full(RATE, float(amplitude)), RATE)[1])) is fires
    with pytest.raises(ValueError, match="does not spike"):
        SimulatedNeuron(resistance=1.0).rheobase(RATE, length=0.02)
