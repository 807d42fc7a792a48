"""PHOENIX: rates of change of genes, as a network whose hidden units are sums and products of regulators.

Hossain et al., "Biologically informed NeuralODEs for genome-wide regulatory dynamics", Genome Biology 2024.
"""

import torch
from torch import nn

ZERO_SHARE, WEIGHT_SD = 0.95, 0.05  # of the input weights at the start


class Phoenix(nn.Module):
    """``dx/dt = relu(m) * (J(x) - x)``, with ``J = As s + Ap p``.

    From ``u = (x - 1/2) / (1 + |x - 1/2|)`` follow sums ``s = Ws u + bs`` and products ``p = exp(Wp log(1 + u) + bp)``.

    Parameters
    ----------
    n_genes, n_hidden : int
        There are `n_hidden` sums and as many products.
    generator : torch.Generator, optional
        Of the weights at the start.

    Attributes
    ----------
    sum_in, product_in : Parameter, shape (n_hidden, n_genes)
        Ws and Wp.
    sum_bias, product_bias : Parameter, shape (n_hidden,)
    sum_out, product_out : Parameter, shape (n_genes, n_hidden)
        As and Ap.
    multiplier : Parameter, shape (n_genes,)
        m; a gene with m <= 0 stays as it is.
    """

    LAYERS = ("sum_in", "product_in", "sum_out", "product_out")  # those that are pruned

    def __init__(self, n_genes, n_hidden, generator=None):
        super().__init__()
        into = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        into *= torch.rand(into.shape, generator=generator) >= ZERO_SHARE
        self.sum_in, self.product_in = nn.Parameter(into[0]), nn.Parameter(into[1])
        self.sum_bias = nn.Parameter(torch.zeros(n_hidden))
        self.product_bias = nn.Parameter(torch.zeros(n_hidden))
        out = [nn.init.orthogonal_(torch.empty((n_genes, n_hidden)), generator=generator) for _ in range(2)]
        self.sum_out, self.product_out = nn.Parameter(out[0]), nn.Parameter(out[1])
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))

    def layers(self):
        """Weights of the layers, in the order of `LAYERS`, as they are at work: `GatedPhoenix` has others."""
        return tuple(getattr(self, name) for name in self.LAYERS)

    def draw(self, generator):
        """Draw what is random in a step of the training: here nothing is."""

    def settled(self):
        """The network as it is used after training."""
        return self

    def targets(self, x):
        """J: where the genes are drawn to, (..., genes), at expression x, (..., genes)."""
        sum_in, product_in, sum_out, product_out = self.layers()
        centred = x - 0.5
        u = centred / (1 + centred.abs())
        sums = nn.functional.linear(u, sum_in, self.sum_bias)
        products = nn.functional.linear(torch.log1p(u), product_in, self.product_bias).exp()
        return sums @ sum_out.T + products @ product_out.T

    def decay(self):
        """relu(m), (genes,)."""
        return self.multiplier.relu()

    def forward(self, x):
        """Rates of change, (..., genes)."""
        return self.decay() * (self.targets(x) - x)

    @torch.no_grad()
    def edges(self):
        """What each gene does to each, (genes, genes), [regulator, target]: relu(m)_j (Ws' As' + Wp' Ap').

        Exactly 0 where no path of weights leads from one to the other.
        """
        weights = [layer.double() for layer in self.layers()]
        paths = weights[0].T @ weights[2].T + weights[1].T @ weights[3].T
        return paths * self.decay().double()

    @torch.no_grad()
    def sparsity(self):
        """Share of zeros in Ws, Wp, As relu(m) and Ap relu(m), in [0, 1]."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.layers()
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        return 1 - sum(layer.count_nonzero().item() for layer in layers) / sum(layer.numel() for layer in layers)
