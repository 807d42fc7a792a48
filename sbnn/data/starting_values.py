"""How samples of simulated gene networks start (arXiv 2403.04805, its simulator)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

_SHIFT = 0.25  # largest, of the mean of a gene that is no input


@dataclass(frozen=True, eq=False)
class StartingValues:
    """Distribution of the values at the first time, gene by gene.

    Input genes are normal, drawn anew where they leave [0, 1]; others are Beta(2, 2) plus an offset, cut off to [0, 1].

    Attributes
    ----------
    is_input : ndarray of bool, shape (genes,)
    input_mean, input_sd, offset : ndarray, shape (genes,)
        NaN where a gene is of the other kind.
    """

    is_input: np.ndarray
    input_mean: np.ndarray
    input_sd: np.ndarray
    offset: np.ndarray

    def draw(self, n: int, rng: np.random.Generator) -> np.ndarray:
        """Draw the start of samples, shape (n, genes), each value in [0, 1]."""
        values = np.clip(rng.beta(2, 2, (n, len(self.is_input))) + self.offset, 0, 1)
        mean, sd = self.input_mean[self.is_input], self.input_sd[self.is_input]
        inputs = rng.normal(mean, sd, (n, len(mean)))
        outside = (inputs < 0) | (inputs > 1)
        while outside.any():
            inputs = np.where(outside, rng.normal(mean, sd, inputs.shape), inputs)
            outside = (inputs < 0) | (inputs > 1)
        values[:, self.is_input] = inputs
        return values


def draw_starting_values(is_input: np.ndarray, random_state: Any) -> StartingValues:
    """Draw a distribution for each gene, from a seed or a Generator."""
    rng = np.random.default_rng(random_state)
    n = len(is_input)
    mean = rng.beta(10, 10, n)
    sd = np.maximum(0.01, rng.beta(15, 15, n) * np.minimum(mean, 1 - mean) / 3)
    return _of_kinds(is_input, mean, sd, rng.uniform(-_SHIFT, _SHIFT, n))


def starting_values_like(starts: np.ndarray, is_input: np.ndarray) -> StartingValues:
    """Estimate the distribution of each gene from values, shape (samples, genes)."""
    mean = starts.mean(axis=0)
    sd = np.maximum(starts.std(axis=0, ddof=1), 0.01)
    return _of_kinds(is_input, mean, sd, np.clip(mean - 0.5, -_SHIFT, _SHIFT))


def _of_kinds(is_input, mean, sd, offset):
    nothing = np.full(len(is_input), np.nan)
    return StartingValues(
        is_input,
        np.where(is_input, mean, nothing),
        np.where(is_input, sd, nothing),
        np.where(is_input, nothing, offset),
    )
