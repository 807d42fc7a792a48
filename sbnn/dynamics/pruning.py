"""Pruning of PHOENIX by size and prior (DASH: Hossain et al., NeurIPS 2024, arXiv 2403.04805)."""

from __future__ import annotations

import torch

from sbnn.dynamics.phoenix import LAYERS, Phoenix
from sbnn.errors import check_number

# Pruning in training -> influence of the prior on scores of input and of output weights; that of
# "dash" is a parameter.
INFLUENCE = {"imp": (0.0, 0.0), "biological": (1.0, 1.0), "dash": None}


class Pruner:
    """Pruning masks of the layers of a network, by scores that mix size and prior knowledge.

    Scores are computed in float64, because the matrix S S' is ill-conditioned.

    Parameters
    ----------
    network : Phoenix
    influence : tuple of (float, float)
        As in `PhoenixRegressor`.
    prior : Tensor, shape (genes, genes)
        ``[regulator, target]``; needed unless both influences are 0.
    generator : torch.Generator, optional
        Draws the scores before the first pruning.
    interactions : Tensor, shape (genes, genes), optional
        Similarity of regulators, by default the number of targets that they share in the prior.
    """

    def __init__(
        self,
        network: Phoenix,
        influence: tuple[float, float],
        prior: torch.Tensor | None = None,
        generator: torch.Generator | None = None,
        interactions: torch.Tensor | None = None,
    ) -> None:
        self.network = network
        self.influence = influence
        self.masks = {}
        for name in LAYERS:
            self.masks[name] = torch.ones_like(getattr(network, name))
        if any(influence):
            self.prior = prior.double().abs()
            if interactions is None:
                interactions = self.prior @ self.prior.T
            self.together = shared(interactions.double().abs())
            shape = (2, *network.sum_in.shape)  # scores of the weights of sums and of products
            self.scores = torch.rand(shape, generator=generator, dtype=torch.float64)

    @torch.no_grad()
    def prune(self, left):
        """Keep a share of the weights in each layer, smaller than before, by their scores."""
        for name, scores in self.next_scores().items():
            mask = self.masks[name].ravel()
            n_kept = max(round(left * len(mask)), 1)
            scores = scores.ravel().masked_fill(mask == 0, -torch.inf)
            kept = torch.zeros_like(mask)
            kept[scores.argsort(descending=True, stable=True)[:n_kept]] = 1
            self.masks[name] = kept.view_as(self.masks[name])
        self.apply()

    @torch.no_grad()
    def apply(self):
        """Set pruned weights to zero, which momentum may have changed."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    @torch.no_grad()
    def next_scores(self):
        """Scores of the layers by name; those of input weights are stored for the next call."""
        layers = [layer.double() for layer in self.network.weights]
        sum_in, product_in, sum_out, product_out = layers
        decay = self.network.decay().double()[:, None]
        # Of products, the most negative input weights are pruned first.
        into = [shared(sum_in.abs()), shared(product_in.exp())]
        out = [shared(sum_out.abs() * decay), shared(product_out.abs() * decay)]
        if any(self.influence):
            of_inputs, of_outputs = self.influence
            for i, before in enumerate(self.scores):
                by_prior = solved(before @ before.T, before @ self.together).abs()
                into[i] = of_inputs * by_prior + (1 - of_inputs) * into[i]
                # the output weights that best reproduce the prior
                by_prior = solved(into[i] @ into[i].T, into[i] @ self.prior).T.abs()
                out[i] = of_outputs * by_prior + (1 - of_outputs) * out[i]
            self.scores = into
        return dict(zip(LAYERS, into + out, strict=True))


def shared(sizes):
    """Sizes divided by their sum, unless all are zero."""
    total = sizes.sum()
    return sizes / total if total > 0 else sizes


def solved(products, right):
    """``products^-1 right``, or the shortest least-squares solution."""
    solution, failed = torch.linalg.solve_ex(products, right)
    if failed:
        return torch.linalg.pinv(products, hermitian=True) @ right
    return solution


def prunings(sparsity, first_epoch, first_share, every, share):
    """Map epochs after which weights are pruned to the shares of weights that are kept."""
    check_number("schedule: share", share, float, 1e-3, 1)
    shares = {}
    epoch = first_epoch
    left = 1 - first_share
    while left > 1 - sparsity:
        shares[epoch] = left
        epoch += every - epoch % every
        left = (1 - first_share) * (1 - share) ** len(shares)
    shares[epoch] = 1 - sparsity
    return shares
