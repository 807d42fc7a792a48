"""Pruning of PHOENIX: scores of size and prior, and masks that keep pruned weights at zero.

Hossain et al., "Pruning neural network models for gene regulatory dynamics using data and domain
knowledge", NeurIPS 2024, arXiv 2403.04805, section 3. Scores are computed in float64, because the
matrix S S' is ill-conditioned.
"""

import torch

from sbnn.models.pruning_scores import keep_largest, mixed, shared

#: Pruning method -> influence of the prior on the scores of input and of output weights; None is
#: that of `PhoenixRegressor`.
INFLUENCE = {"imp": (0.0, 0.0), "post_hoc": (0.0, 0.0), "biological": (1.0, 1.0), "dash": None}


class Pruner:
    """Pruning masks of the layers of a network, by scores of the weights.

    The `prior`, [regulator, target], is needed unless both of `influence` are 0.
    """

    def __init__(self, network, influence, prior=None, generator=None):
        self.network = network
        self.influence = influence
        self.prior = prior
        self.masks = {}
        for name in network.LAYERS:
            self.masks[name] = torch.ones_like(getattr(network, name), dtype=torch.bool)
        if any(influence):
            self.together = partners(prior)
            shape = (2, *network.sum_in.shape)  # scores of the weights of sums and of products
            self.scores = torch.rand(shape, generator=generator, dtype=torch.float64)

    @torch.no_grad()
    def prune(self, left):
        """Keep a share `left`, in (0, 1], of the weights in each layer."""
        for name, scores in self.next_scores().items():
            mask = self.masks[name]
            n_kept = max(round(left * mask.numel()), 1)
            self.masks[name] = keep_largest(scores, mask, n_kept)
        self.apply()

    @torch.no_grad()
    def apply(self):
        """Set pruned weights to zero, which momentum may have changed."""
        for name, mask in self.masks.items():
            getattr(self.network, name).mul_(mask)

    @torch.no_grad()
    def next_scores(self):
        """Scores of the layers by name; those of input weights are stored for the next call."""
        sum_in, product_in, sum_out, product_out = [
            layer.double() for layer in self.network.layers()
        ]
        decay = self.network.decay().double()[:, None]
        # Of products, the most negative input weights are pruned first.
        into = [shared(sum_in.abs()), shared(product_in.exp())]
        out = [shared(sum_out.abs() * decay), shared(product_out.abs() * decay)]
        if any(self.influence):
            of_inputs, of_outputs = self.influence
            for i in range(2):
                by_prior = prior_of_inputs(self.scores[i], self.together)
                into[i] = mixed(by_prior, into[i], of_inputs)
                by_prior = prior_of_outputs(into[i], self.prior)
                out[i] = mixed(by_prior, out[i], of_outputs)
            self.scores = into
        return dict(zip(self.network.LAYERS, into + out, strict=True))


def partners(prior):
    """Overlap ``C = T T'`` of the targets of two regulators, over its sum, with ``T = |prior|``."""
    edges = prior.double().abs()
    return shared(edges @ edges.T)


def prior_of_inputs(scores, together):
    """``|(S S')^-1 S C|`` for previous scores S, (hidden, genes), and `partners` C."""
    return _solved(scores @ scores.T, scores @ together).abs()


def prior_of_outputs(scores, prior):
    """``|(S T)' (S S')^-1|``: the output weights that best reproduce the prior T."""
    return _solved(scores @ scores.T, scores @ prior.double().abs()).T.abs()


def _solved(products, right):
    """``products^-1 right``, or the shortest least-squares solution."""
    solution, failed = torch.linalg.solve_ex(products, right)
    if failed:
        return torch.linalg.pinv(products, hermitian=True) @ right
    return solution
