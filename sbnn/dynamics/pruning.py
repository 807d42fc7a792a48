"""Pruning of PHOENIX by size and prior (DASH: Hossain et al., NeurIPS 2024, arXiv 2403.04805)."""

from __future__ import annotations

import torch

from sbnn.dynamics.phoenix import LAYERS, Phoenix
from sbnn.errors import check_number

# Pruning in training -> influence of the prior on scores of input and of output weights; that of
# "dash" is a parameter.
INFLUENCE: dict[str, tuple[float, float] | None] = {
    "imp": (0.0, 0.0),
    "biological": (1.0, 1.0),
    "dash": None,
}


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

    Attributes
    ----------
    masks : dict of str to Tensor
        By layer, 0 for pruned weights and 1 for others.
    scores : list of two Tensors, shape (hidden, genes)
        Scores S of the input weights of sums and of products at the last pruning.
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
        self.masks: dict[str, torch.Tensor] = {}
        for name in LAYERS:
            self.masks[name] = torch.ones_like(getattr(network, name))
        if prior is not None and any(influence):
            self.prior = prior.double().abs()
            if interactions is None:
                interactions = self.prior @ self.prior.T
            self.similarity = divide_by_sum(interactions.double().abs())
            # The first pruning has no earlier scores, so these are random.
            shape = (2, *network.sum_in.shape)
            self.scores = [*torch.rand(shape, generator=generator, dtype=torch.float64)]

    @torch.no_grad()
    def prune(self, kept_fraction: float) -> None:
        """Keep the weights of highest score in each layer, fewer than before."""
        for name, scores in self.next_scores().items():
            mask = self.masks[name].ravel()
            n_kept = max(round(kept_fraction * len(mask)), 1)
            # Weights that were pruned before stay pruned.
            remaining_scores = scores.ravel().masked_fill(mask == 0, -torch.inf)
            order = remaining_scores.argsort(descending=True, stable=True)
            new_mask = torch.zeros_like(mask)
            new_mask[order[:n_kept]] = 1
            self.masks[name] = new_mask.view_as(self.masks[name])
        self.apply_masks()

    @torch.no_grad()
    def apply_masks(self) -> None:
        """Set pruned weights to zero, which momentum may have changed."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    @torch.no_grad()
    def next_scores(self) -> dict[str, torch.Tensor]:
        """Scores of the layers by name; those of input weights are stored for the next call."""
        layers = [layer.double() for layer in self.network.weights]
        sum_in, product_in, sum_out, product_out = layers
        decay = self.network.decay().double()[:, None]
        # Of products, the most negative input weights are pruned first.
        input_scores = [divide_by_sum(sum_in.abs()), divide_by_sum(product_in.exp())]
        output_scores = [
            divide_by_sum(sum_out.abs() * decay),
            divide_by_sum(product_out.abs() * decay),
        ]
        if any(self.influence):
            on_inputs, on_outputs = self.influence
            for i, last_scores in enumerate(self.scores):
                # DASH: Omega = lambda |(S S')^-1 S C| + (1 - lambda) |W|, for the scores S of the
                # last pruning and the similarity C of regulators.
                weights = solve_least_squares(
                    last_scores @ last_scores.T, last_scores @ self.similarity
                )
                new_scores = mix_scores(weights.abs(), input_scores[i], influence=on_inputs)
                input_scores[i] = new_scores
                # The output weights that best reproduce the prior P: |(S S')^-1 S P|', with the
                # new scores S.
                weights = solve_least_squares(new_scores @ new_scores.T, new_scores @ self.prior).T
                output_scores[i] = mix_scores(weights.abs(), output_scores[i], influence=on_outputs)
            self.scores = input_scores
        return dict(zip(LAYERS, input_scores + output_scores, strict=True))


def mix_scores(by_prior: torch.Tensor, by_size: torch.Tensor, influence: float) -> torch.Tensor:
    """Scores of which the prior has this influence, and size the rest."""
    return influence * by_prior + (1 - influence) * by_size


def divide_by_sum(sizes: torch.Tensor) -> torch.Tensor:
    """Sizes divided by their sum, unless all are zero."""
    total = sizes.sum()
    return sizes / total if total > 0 else sizes


def solve_least_squares(products: torch.Tensor, right: torch.Tensor) -> torch.Tensor:
    """``products^-1 right``, or the shortest least-squares solution."""
    solution, failed = torch.linalg.solve_ex(products, right)
    if failed:
        return torch.linalg.pinv(products, hermitian=True) @ right
    return solution


def pruning_schedule(
    sparsity: float, first_epoch: int, first_fraction: float, interval: int, fraction: float
) -> dict[int, float]:
    """Map numbers of epochs after which weights are pruned to the fractions that are kept.

    The first pruning removes `first_fraction` of the weights, and each later one, at multiples of
    `interval`, a `fraction` of the rest, until the sparsity is reached.
    """
    check_number("schedule: fraction", fraction, float, low=1e-3, high=1)
    kept_fractions: dict[int, float] = {}
    epoch = first_epoch
    kept = 1 - first_fraction
    while kept > 1 - sparsity:
        kept_fractions[epoch] = kept
        epoch += interval - epoch % interval
        kept = (1 - first_fraction) * (1 - fraction) ** len(kept_fractions)
    kept_fractions[epoch] = 1 - sparsity
    return kept_fractions
