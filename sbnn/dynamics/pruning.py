"""Which weights are removed when: one interface for all ways of pruning, and masks that keep zeros at zero."""

from dataclasses import dataclass
from numbers import Integral, Real

import torch

from sbnn.dynamics.pruning_scores import (
    partners,
    prior_of_inputs,
    prior_of_outputs,
    size_of_outputs,
    size_of_products,
    size_of_sums,
)
from sbnn.models.base import check_number
from sbnn.models.pruning_scores import keep_largest, mixed

#: Way of pruning -> influence of the prior on the scores of input and output weights; None takes those of the user.
INFLUENCE = {"imp": (0.0, 0.0), "post_hoc": (0.0, 0.0), "biological": (1.0, 1.0), "dash": None}


@dataclass(frozen=True)
class Schedule:
    """When which share of the weights is left.

    Parameters
    ----------
    first_epoch : int
        At which `first_share` of the weights go.
    first_share : float
    every : int
        Epochs from one pruning to the next, at which `share` of the survivors go.
    share : float

    Raises
    ------
    ValueError
        Epochs below 1, a share out of [0, 1], or a `share` of 0, which would never end.
    TypeError
        A parameter of another type.
    """

    first_epoch: int = 3
    first_share: float = 0.7
    every: int = 10
    share: float = 0.1

    def __post_init__(self):
        for name in ("first_epoch", "every"):
            check_number(name, getattr(self, name), Integral, 1)
        for name in ("first_share", "share"):
            check_number(name, getattr(self, name), Real, 0, 1)
        if self.share == 0:
            raise ValueError("share: expected a number above 0, got 0: no sparsity would ever be reached")

    def left(self, epoch, sparsity):
        """Share of the weights that the pruning after an epoch leaves, None where there is none.

        Parameters
        ----------
        epoch : int
            From 1 on.
        sparsity : float
            That must not be passed; there is no pruning once it is reached.
        """
        if epoch == self.first_epoch:
            return max(1 - self.first_share, 1 - sparsity)
        if epoch < self.first_epoch or epoch % self.every:
            return None
        n = epoch // self.every - self.first_epoch // self.every
        before, after = ((1 - self.first_share) * (1 - self.share) ** k for k in (n - 1, n))
        return max(after, 1 - sparsity) if before > 1 - sparsity else None

    def last_epoch(self, sparsity):
        """Epoch of the pruning that reaches a sparsity."""
        epoch = last = self.first_epoch
        while epoch <= last + self.every:
            epoch += 1
            if self.left(epoch, sparsity) is not None:
                last = epoch
        return last


class Pruner:
    """Masks of the layers of a network, and the scores they follow from.

    Parameters
    ----------
    network : Phoenix
    influence : tuple of (float, float)
        Of the prior, on input and output weights.
    prior : Tensor, shape (genes, genes), or None
        [regulator, target]; needed where it has an influence.
    together : Tensor, shape (genes, genes), or None
        Which genes act together, such as interactions of proteins; by default `partners` of the prior.
    generator : torch.Generator
        Of the scores at the start.

    Attributes
    ----------
    masks : dict of str to Tensor of bool
    """

    def __init__(self, network, influence, prior=None, together=None, generator=None):
        self.network, self.influence, self.prior = network, influence, prior
        self.masks = {name: torch.ones_like(getattr(network, name), dtype=torch.bool) for name in network.LAYERS}
        if any(influence):
            self.together = partners(prior) if together is None else together.double()
            shape = network.sum_in.shape
            self.scores = [torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2)]

    @torch.no_grad()
    def prune(self, left):
        """Leave a share of the weights of each layer, in (0, 1], those with the largest scores."""
        for name, scores in self._scores().items():
            mask = self.masks[name]
            self.masks[name] = keep_largest(scores, mask, max(round(left * mask.numel()), 1))
        self.apply()

    @torch.no_grad()
    def apply(self):
        """Set what is pruned to exactly zero, as after a step of an optimizer with momentum."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    def _scores(self):
        """Scores of the layers by name, and those of input weights kept for the next time."""
        network, (of_inputs, of_outputs) = self.network, self.influence
        into = [size_of_sums(network.sum_in), size_of_products(network.product_in)]
        out = [size_of_outputs(layer, network.decay()) for layer in (network.sum_out, network.product_out)]
        if any(self.influence):
            into = [
                mixed(prior_of_inputs(scores, self.together), size, of_inputs)
                for scores, size in zip(self.scores, into, strict=True)
            ]
            self.scores = into
            out = [
                mixed(prior_of_outputs(scores, self.prior), size, of_outputs)
                for scores, size in zip(into, out, strict=True)
            ]
        return dict(zip(network.LAYERS, into + out, strict=True))
