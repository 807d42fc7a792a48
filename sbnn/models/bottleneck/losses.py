"""Losses that compare the raw outputs of the network with targets."""

import math

import torch
import torch.nn.functional as F


class SquaredError:
    """Squared error of centred outputs, (n, q), or of several networks, (m, n, q)."""

    def value(self, output, target):
        """Sum over cells and outputs."""
        return (output - target).square().sum()

    def gradient(self, output, target, weights=None):
        """Gradient of the mean, written to `output`; weights are (n, 1)."""
        residual = output.sub_(target)
        if weights is not None:
            residual.mul_(weights)
        return residual.mul_(2 / target.shape[-2:].numel())

    def r2(self, value, target):
        """R2 of outputs with this value, relative to the mean."""
        reference = float(target.square().sum())
        return 1 - value / reference if reference else math.nan


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

    def r2(self, value, target):
        """NaN."""
        return math.nan
