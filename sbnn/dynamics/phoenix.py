"""The network of PHOENIX (Hossain et al., Genome Biology 2024), and its gates.

Gates and L0: Louizos, Welling, Kingma, ICLR 2018, arXiv 1712.01312. C-NODE: Aliee, Theis, Kilbertus
2021, arXiv 2106.12430. PathReg: Aliee et al., NeurIPS 2022, arXiv 2210.14672.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import nn
from torch.nn.functional import linear

LAYERS = ("sum_in", "product_in", "sum_out", "product_out")
# share of zeros among the initial input weights, and SD of the others
ZERO_SHARE, WEIGHT_SD = 0.95, 0.05
ODDS = (4, 1)  # that gates of genes, and of sums and products, are open at first
TEMPERATURE = 2 / 3
LOWEST, HIGHEST = -0.1, 1.1  # range of a gate before it is clipped to [0, 1]


class Phoenix(nn.Module):
    """Network of PHOENIX: ``dx/dt = relu(m) * (J(x) - x)``, with ``J = As s + Ap p``.

    With ``u = (x - 1/2) / (1 + |x - 1/2|)``, the sums are ``s = Ws u + bs`` and the products are
    ``p = exp(Wp log(1 + u) + bp)``. ``sum_in`` and ``product_in`` are Ws and Wp, (hidden, genes);
    ``sum_out`` and ``product_out`` are As and Ap, (genes, hidden); ``multiplier`` is m. A gene with
    m <= 0 stays constant. If `gated`, each column of a layer has a random gate.

    Parameters
    ----------
    n_genes, n_hidden : int
    generator : torch.Generator, optional
    as_published : collection of str
        See `PhoenixRegressor`.
    gated : bool
    """

    def __init__(
        self,
        n_genes: int,
        n_hidden: int,
        generator: torch.Generator | None = None,
        as_published: Sequence[str] = (),
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.as_published = as_published
        into = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        uniform = torch.rand(into.shape, generator=generator)
        if "exact_zeros" in as_published:
            n_zeros = math.ceil(ZERO_SHARE * n_hidden)
            into[uniform.argsort(dim=1) < n_zeros] = 0
        else:
            into *= uniform >= ZERO_SHARE
        biases = torch.zeros((2, n_hidden))
        if "random_biases" in as_published:
            limit = n_genes**-0.5
            biases.uniform_(-limit, limit, generator=generator)
        out = [torch.empty((n_genes, n_hidden)) for _ in range(2)]
        for weights in out:
            nn.init.orthogonal_(weights, generator=generator)
        self.sum_in, self.product_in = map(nn.Parameter, into)
        self.sum_bias, self.product_bias = map(nn.Parameter, biases)
        self.sum_out, self.product_out = map(nn.Parameter, out)
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))
        self.locations = nn.ParameterDict()  # log odds of the gates, by layer
        if gated:
            for name in sorted(LAYERS):
                n_gates = getattr(self, name).shape[1]
                start = torch.full((n_gates,), math.log(ODDS[name.endswith("out")]))
                self.locations[name] = nn.Parameter(start)
        self.draw(generator)

    def draw(self, generator=None):
        """Set `gates` and `weights`, by layer; the samples in a batch share them.

        Gates are drawn in training, and settled otherwise (equation 13).
        """
        self.gates = {}
        layers = {name: getattr(self, name) for name in LAYERS}
        for name, logit in self.locations.items():
            if self.training:
                uniform = torch.rand(len(logit), generator=generator)
                # equations 10 and 11; log alpha is the location
                drawn = torch.logit(uniform, eps=torch.finfo(torch.float32).eps)
                logit = (drawn + logit) / TEMPERATURE
            share = torch.sigmoid(logit)
            self.gates[name] = (share * (HIGHEST - LOWEST) + LOWEST).clamp(0, 1)
            layers[name] = layers[name] * self.gates[name]
        self.weights = list(layers.values())

    @torch.no_grad()
    def settle(self):
        """Multiply the weights by their settled gates, which are removed."""
        self.eval().draw()
        for name, weights in zip(LAYERS, self.weights, strict=True):
            getattr(self, name).copy_(weights)
        self.locations.clear()
        self.draw()

    def targets(self, x):
        """Values J towards which the genes decay at expression x, both (..., genes)."""
        sum_in, product_in, sum_out, product_out = self.weights
        centred = x - 0.5
        u = centred / (1 + centred.abs())
        sums = linear(u, sum_in, self.sum_bias)
        products = linear(torch.log1p(u), product_in, self.product_bias).exp()
        return linear(sums, sum_out) + linear(products, product_out)

    def decay(self):
        """Decay rates relu(m), of shape (genes,)."""
        return self.multiplier.relu()

    @torch.no_grad()
    def edges(self):
        """Effect of regulator i on target j, ``relu(m)_j (Ws' As' + Wp' Ap')_ij``."""
        sum_in, product_in, sum_out, product_out = [layer.double() for layer in self.weights]
        effects = sum_in.T @ sum_out.T + product_in.T @ product_out.T
        return effects * self.decay().double()

    @torch.no_grad()
    def sparsity(self):
        """Share of zeros among the weights Ws, Wp, As relu(m) and Ap relu(m)."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.weights
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        nonzero = torch.cat([layer.ravel() != 0 for layer in layers])
        return 1 - nonzero.double().mean().item()

    def penalty(self, kind):
        """What the pruning method `kind` keeps small.

        "l0": the expected share of the weights whose gate is open (equation 12). "c_node": the mean
        over pairs of genes of ``|Ws|' |As|' + |Wp|' |Ap|'``, without gates. "path_reg": ten times
        that, and the mean expected number of open paths.
        """
        shift = TEMPERATURE * math.log(-LOWEST / HIGHEST)
        is_open = {name: torch.sigmoid(at - shift) for name, at in self.locations.items()}
        if kind == "l0":
            n_open = sum(is_open[name].sum() * len(getattr(self, name)) for name in LAYERS)
            return n_open / (4 * self.sum_in.numel())
        if "sampled_paths" in self.as_published:
            is_open = self.gates
        n_paths = 0
        sizes = 0
        for first, last in (("sum_in", "sum_out"), ("product_in", "product_out")):
            n_paths = n_paths + is_open[first].mean() * is_open[last].sum()
            into = getattr(self, first).abs().sum(dim=1)
            sizes = sizes + into @ getattr(self, last).abs().sum(dim=0)
        sizes = sizes / len(self.multiplier) ** 2
        return sizes if kind == "c_node" else n_paths + 10 * sizes
