"""Losses that compare the raw outputs of the network with targets.

A new loss for outputs is one class with the methods of `OutputLoss`, and one entry in `LOSSES`.
"""

import math

import torch
import torch.nn.functional as F


class OutputLoss:
    """Base class of losses with `value` and `gradient`; defaults are for centred outputs."""

    standardised = True

    def check(self, Y):
        """Reject outputs for which the loss is undefined."""

    def start(self, target):
        """Raw outputs, (q,), that predict the mean of targets, (n, q)."""
        return torch.zeros_like(target[0])

    def prediction(self, output):
        """Predictions of raw outputs, both (n, q)."""
        return output

    def comparable(self, target):
        """Targets in units in which to compare cells."""
        return target

    def r2(self, value, target, start):
        """R2 of outputs with this value, relative to the raw outputs `start`."""
        reference = float(self.value(start.expand_as(target), target))
        if reference == 0:
            return math.nan
        return 1 - value / reference


class SquaredError(OutputLoss):
    """Squared error of outputs, (n, q), or of several networks, (m, n, q)."""

    def value(self, output, target):
        """Sum over cells and outputs."""
        return (output - target).square().sum()

    def gradient(self, output, target, weights=None):
        """Gradient of the mean, written to `output`; weights are (n, 1)."""
        residual = output.sub_(target)
        if weights is not None:
            residual.mul_(weights)
        return residual.mul_(2 / target.shape[-2:].numel())


class Poisson(OutputLoss):
    """Poisson deviance of counts, (n, q); a raw output is the logarithm of a rate."""

    standardised = False

    def check(self, Y):
        """Reject negative numbers."""
        if Y.min() < 0:
            raise ValueError(f"y: expected counts for the Poisson loss, got {Y.min():g}")

    def value(self, output, target):
        """Sum over cells and outputs."""
        log_ratio = torch.xlogy(target, target) - target * output
        return 2 * (log_ratio - target + output.exp()).sum()

    def gradient(self, output, target):
        """Gradient of the mean, written to `output`."""
        return output.exp_().sub_(target).mul_(2 / target.numel())

    def start(self, target):
        """Logarithms of the mean counts, (q,)."""
        least = 1 / len(target)  # an output without counts would have a rate of 0
        return target.mean(0).clamp(min=least).log()

    def prediction(self, output):
        """Expected counts."""
        return output.exp()

    def comparable(self, target):
        """Standardised square roots, whose variance hardly depends on the rate."""
        root = target.sqrt()
        return (root - root.mean(0)) / root.std(0).clamp(min=1e-6)


class CrossEntropy:
    """Cross-entropy of class labels, (n,), given scores, (n, n_classes)."""

    def value(self, output, target):
        """Sum over cells."""
        return F.cross_entropy(output, target, reduction="sum")

    def gradient(self, output, target):
        """Gradient of the mean over cells."""
        slope = F.log_softmax(output, 1).exp_()
        slope[torch.arange(len(target), device=target.device), target] -= 1
        return slope.div_(len(target))

    def start(self, target):
        """Nothing to compare with."""
        return None

    def r2(self, value, target, start):
        """NaN."""
        return math.nan


LOSSES = {"squared_error": SquaredError(), "poisson": Poisson()}
