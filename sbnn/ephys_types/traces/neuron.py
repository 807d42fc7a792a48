"""A neuron whose every response is known: a linear membrane with sag and adaptation, spikes of an explicit shape."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import expm
from scipy.signal import lfilter

_CHUNK = 5000  # samples simulated at a time, to be thrown away after a spike


@dataclass(frozen=True)
class SimulatedNeuron:
    """Membrane voltage v, a slow current h that opposes it (sag), and one that each spike adds to (adaptation).

    ``tau dv/dt = rest - v - h + R0 (I - a)``, ``sag_tau dh/dt = sag (v - rest) - h``, ``adaptation_tau da/dt = -a``,
    where ``R0 = resistance (1 + sag)``. When v reaches `threshold`, a spike follows: half a cosine up to `peak` in
    `rise`, half a cosine down to `trough` in `fall`, from where the membrane goes on, `adaptation` added to a.

    Parameters
    ----------
    rest, threshold, peak, trough : float
        mV.
    resistance : float
        Input resistance at steady state, in MOhm.
    tau, sag_tau, adaptation_tau, rise, fall : float
        Seconds.
    sag : float
        By how much the deflection at the peak is larger than that at steady state, at most: 0.2 is a fifth.
    adaptation : float
        pA per spike.
    """

    rest: float = -70.0
    threshold: float = -45.0
    peak: float = 20.0
    trough: float = -60.0
    resistance: float = 150.0
    tau: float = 0.015
    sag: float = 0.25
    sag_tau: float = 0.1
    adaptation: float = 4.0
    adaptation_tau: float = 0.2
    rise: float = 0.0003
    fall: float = 0.0006

    @property
    def width(self) -> float:
        """Seconds between the two passages of the middle of trough and peak."""
        middle = (self.peak + self.trough) / 2
        passed = (middle - self.threshold) / (self.peak - self.threshold)
        return self.fall / 2 + self.rise * (1 - np.arccos(1 - 2 * passed) / np.pi)

    @property
    def upstroke_downstroke_ratio(self) -> float:
        """Steepest rise over steepest fall."""
        return (self.peak - self.threshold) / self.rise / ((self.peak - self.trough) / self.fall)

    def respond(self, current: np.ndarray, rate: float) -> tuple[np.ndarray, np.ndarray]:
        """Simulate the response to a current, from rest.

        Parameters
        ----------
        current : ndarray of shape (n,)
            pA.
        rate : float
            Samples per second.

        Returns
        -------
        voltage : ndarray of shape (n,)
            mV; exact at the samples, apart from the moment of a spike, which is that of a sample.
        spikes : ndarray of int
            The sample at which each spike begins.
        """
        step = _Membrane(self, rate)
        spike = self.spike(rate)
        current = np.asarray(current, dtype=np.float64)
        voltage, spikes = np.empty(len(current)), []
        state, n = np.zeros(3), 0
        while n < len(current):
            states = step.run(state, current[n : n + _CHUNK])
            over = np.flatnonzero(states[0, :-1] >= self.threshold - self.rest)
            size = over[0] if len(over) else states.shape[1] - 1
            voltage[n : n + size] = self.rest + states[0, :size]
            state, n = states[:, size], n + size
            if len(over):
                spikes.append(n)
                part = spike[: len(current) - n]
                voltage[n : n + len(part)] = part
                decay = np.exp(-len(spike) / rate / self.adaptation_tau)
                state = np.array([self.trough - self.rest, state[1], state[2] * decay + self.adaptation])
                n += len(spike)
        return voltage, np.array(spikes, dtype=int)

    def rheobase(self, rate: float, length: float = 1.0, grid: int = 10) -> int:
        """Find the least multiple of `grid` pA that evokes a spike within a square of `length` seconds."""
        for amplitude in range(grid, 2000, grid):
            if len(self.respond(np.full(round(length * rate), float(amplitude)), rate)[1]):
                return amplitude
        raise ValueError("the neuron does not spike below 2000 pA")

    def spike(self, rate: float) -> np.ndarray:
        """Draw one spike from threshold to trough, (n,), mV."""
        t = np.arange(round((self.rise + self.fall) * rate)) / rate
        up = self.threshold + (self.peak - self.threshold) * (1 - np.cos(np.pi * t / self.rise)) / 2
        down = self.peak + (self.trough - self.peak) * (1 - np.cos(np.pi * (t - self.rise) / self.fall)) / 2
        return np.where(t < self.rise, up, down)


class _Membrane:
    """The linear equations of a neuron, solved exactly for a current that is constant within a sample."""

    def __init__(self, neuron: SimulatedNeuron, rate: float):
        scale = neuron.resistance * (1 + neuron.sag) * 1e-3 / neuron.tau  # mV/s per pA
        rates = np.array(
            [
                [-1 / neuron.tau, -1 / neuron.tau, -scale],
                [neuron.sag / neuron.sag_tau, -1 / neuron.sag_tau, 0],
                [0, 0, -1 / neuron.adaptation_tau],
            ]
        )
        # One matrix exponential of the equations with the current as a fourth, constant variable.
        augmented = np.zeros((4, 4))
        augmented[:3, :3], augmented[0, 3] = rates / rate, scale / rate
        exponential = expm(augmented)
        self._poles, self._modes = np.linalg.eig(exponential[:3, :3])
        self._inverse = np.linalg.inv(self._modes)
        self._drive = self._inverse @ exponential[:3, 3]

    def run(self, state: np.ndarray, current: np.ndarray) -> np.ndarray:
        """States before each sample and after the last, (3, n + 1)."""
        start = self._inverse @ state
        modes = [
            lfilter([1.0], [1.0, -pole], np.concatenate([[first], drive * current]))
            for pole, first, drive in zip(self._poles, start, self._drive, strict=True)
        ]
        return (self._modes @ np.array(modes)).real
