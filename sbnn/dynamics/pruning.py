"""Pruning of PHOENIX: scores that combine size and prior, and masks that keep pruned weights at
zero.

Hossain et al., "Pruning neural network models for gene regulatory dynamics using data and domain
knowledge", NeurIPS 2024, arXiv 2403.04805, section 3. Scores are computed in float64, because the
matrix S S' is ill-conditioned.
"""

import torch

from sbnn.models.pruning_scores import keep_largest, mixed, shared

#: Pruning method -> influence of the prior on the scores of input weights and of output weights;
#: None stands for the parameter ``influence`` of `PhoenixRegressor`.
INFLUENCE = {"imp": (0.0, 0.0), "post_hoc": (0.0, 0.0), "biological": (1.0, 1.0), "dash": None}


class Pruner:
    """Pruning masks and scores of the layers of a network; a prior is needed unless both influences are 0."""

    def __init__(self, network, influence, prior=None, generator=None):
        self.network, self.influence, self.prior = network, influence, prior
        self.masks = {
            name: torch.ones_like(getattr(network, name), dtype=torch.bool)
            for name in network.LAYERS
        }
        if any(influence):
            self.together = partners(prior)
            shape = network.sum_in.shape
            self.scores = [
                torch.rand(shape, generator=generator, dtype=torch.float64) for _ in range(2)
            ]

    @torch.no_grad()
    def prune(self, left):
        """Keep a share `left`, in (0, 1], of the weights in each layer, choosing weights with the largest scores."""
        for name, scores in self.next_scores().items():
            mask = self.masks[name]
            self.masks[name] = keep_largest(scores, mask, max(round(left * mask.numel()), 1))
        self.apply()

    @torch.no_grad()
    def apply(self):
        """Set pruned weights to exactly zero; an optimizer with momentum may have changed them."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    @torch.no_grad()
    def next_scores(self):
        """Scores of the layers by name; scores of input weights are stored for the next call."""
        network, (of_inputs, of_outputs) = self.network, self.influence
        decay = network.decay().double()[:, None]
        # Input weights of products are scored by their exponential, so the most negative weights
        # are pruned first.
        into = [shared(network.sum_in.double().abs()), shared(network.product_in.double().exp())]
        out = [
            shared(layer.double().abs() * decay) for layer in (network.sum_out, network.product_out)
        ]
        if any(self.influence):
            by_prior = [prior_of_inputs(scores, self.together) for scores in self.scores]
            self.scores = into = [
                mixed(*both, of_inputs) for both in zip(by_prior, into, strict=True)
            ]
            by_prior = [prior_of_outputs(scores, self.prior) for scores in into]
            out = [mixed(*both, of_outputs) for both in zip(by_prior, out, strict=True)]
        return dict(zip(network.LAYERS, into + out, strict=True))


def partners(prior):
    """Overlap of the targets of each pair of regulators, of shape (genes, genes).

    The overlap is ``C = T T'``, divided by its sum, where ``T = |prior|``.
    """
    edges = prior.double().abs()
    return shared(edges @ edges.T)


def prior_of_inputs(scores, together):
    """``|(S S')^-1 S C|`` for previous scores S: large for input weights that map `partners` C to the same units."""
    return _solved(scores @ scores.T, scores @ together).abs()


def prior_of_outputs(scores, prior):
    """``|(S T)' (S S')^-1|``: the output weights that best reproduce the prior T, given input weights S."""
    return _solved(scores @ scores.T, scores @ prior.double().abs()).T.abs()


def _solved(products, right):
    """``products^-1 right``, or the minimum-norm least-squares solution if `products` is singular (few genes)."""
    solution, failed = torch.linalg.solve_ex(products, right)
    return torch.linalg.pinv(products, hermitian=True) @ right if failed else solution
