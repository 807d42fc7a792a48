"""The network of PHOENIX (Hossain et al., Genome Biology 2024), and its gates.

Gates and L0: Louizos, Welling, Kingma, ICLR 2018, arXiv 1712.01312. C-NODE: Aliee, Theis, Kilbertus
2021, arXiv 2106.12430. PathReg: Aliee et al., NeurIPS 2022, arXiv 2210.14672.
"""

from __future__ import annotations

import math
from collections.abc import Collection

import torch
from torch import nn
from torch.nn.functional import linear

LAYERS = ("sum_in", "product_in", "sum_out", "product_out")
# fraction of zeros among the initial input weights, and SD of the others
ZERO_FRACTION = 0.95
WEIGHT_SD = 0.05
# odds that the gates of a layer, of genes or of sums and products, are open at first
GATE_ODDS = {"sum_in": 4, "product_in": 4, "sum_out": 1, "product_out": 1}
TEMPERATURE = 2 / 3
# range of a gate before it is clipped to [0, 1]
LOWEST_GATE = -0.1
HIGHEST_GATE = 1.1


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

    Attributes
    ----------
    locations : ParameterDict
        Log odds of the gates, by layer; empty without gates.
    gates : dict of str to Tensor
        Current gates, by layer.
    weights : list of Tensor
        Weights of the layers, in the order of `LAYERS`, times their gates.
    """

    def __init__(
        self,
        n_genes: int,
        n_hidden: int,
        generator: torch.Generator | None = None,
        as_published: Collection[str] = (),
        gated: bool = False,
    ) -> None:
        super().__init__()
        self.as_published = as_published
        # Most input weights start at 0, so that the network is sparse from the beginning.
        input_weights = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        uniform = torch.rand(input_weights.shape, generator=generator)
        if "exact_zeros" in as_published:
            n_zeros = math.ceil(ZERO_FRACTION * n_hidden)
            input_weights[uniform.argsort(dim=1) < n_zeros] = 0
        else:
            input_weights *= uniform >= ZERO_FRACTION
        biases = torch.zeros((2, n_hidden))
        if "random_biases" in as_published:
            limit = n_genes**-0.5
            biases.uniform_(-limit, limit, generator=generator)
        output_weights = [torch.empty((n_genes, n_hidden)) for _ in range(2)]
        for weights in output_weights:
            nn.init.orthogonal_(weights, generator=generator)
        self.sum_in = nn.Parameter(input_weights[0])
        self.product_in = nn.Parameter(input_weights[1])
        self.sum_bias = nn.Parameter(biases[0])
        self.product_bias = nn.Parameter(biases[1])
        self.sum_out = nn.Parameter(output_weights[0])
        self.product_out = nn.Parameter(output_weights[1])
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))
        self.locations = nn.ParameterDict()
        if gated:
            for name in sorted(LAYERS):  # the order in which gates are drawn
                n_gates = getattr(self, name).shape[1]
                log_odds = torch.full((n_gates,), math.log(GATE_ODDS[name]))
                self.locations[name] = nn.Parameter(log_odds)
        self.sample_gates(generator)

    def sample_gates(self, generator: torch.Generator | None = None) -> None:
        """Set `gates` and `weights`; the samples in a batch share them.

        Gates are random in training (equations 10 and 11 of Louizos et al.), and otherwise fixed
        (equation 13).
        """
        self.gates: dict[str, torch.Tensor] = {}
        layers = {name: getattr(self, name) for name in LAYERS}
        for name, location in self.locations.items():
            logit = location  # log alpha
            if self.training:
                # Binary concrete: sigmoid((log u - log(1 - u) + log alpha) / temperature).
                uniform = torch.rand(len(location), generator=generator)
                noise = torch.logit(uniform, eps=torch.finfo(torch.float32).eps)
                logit = (noise + location) / TEMPERATURE
            # Stretched beyond [0, 1] and clipped, so that gates can be exactly 0 or 1.
            stretched = torch.sigmoid(logit) * (HIGHEST_GATE - LOWEST_GATE) + LOWEST_GATE
            self.gates[name] = stretched.clamp(0, 1)
            layers[name] = layers[name] * self.gates[name]
        self.weights: list[torch.Tensor] = list(layers.values())

    @torch.no_grad()
    def remove_gates(self) -> None:
        """Multiply the weights by their fixed gates, which are removed."""
        self.eval().sample_gates()
        for name, weights in zip(LAYERS, self.weights, strict=True):
            getattr(self, name).copy_(weights)
        self.locations.clear()
        self.sample_gates()

    def targets(self, x: torch.Tensor) -> torch.Tensor:
        """Values J towards which the genes decay at expression x, both (..., genes)."""
        sum_in, product_in, sum_out, product_out = self.weights
        centred = x - 0.5
        softsign = centred / (1 + centred.abs())  # u of the paper
        sums = linear(softsign, sum_in, self.sum_bias)
        products = linear(torch.log1p(softsign), product_in, self.product_bias).exp()
        return linear(sums, sum_out) + linear(products, product_out)

    def decay(self) -> torch.Tensor:
        """Decay rates relu(m), of shape (genes,)."""
        return self.multiplier.relu()

    @torch.no_grad()
    def edges(self) -> torch.Tensor:
        """Effect of regulator i on target j, ``relu(m)_j (Ws' As' + Wp' Ap')_ij``."""
        sum_in, product_in, sum_out, product_out = [layer.double() for layer in self.weights]
        effects = sum_in.T @ sum_out.T + product_in.T @ product_out.T
        return effects * self.decay().double()

    @torch.no_grad()
    def sparsity(self) -> float:
        """Fraction of zeros among the weights Ws, Wp, As relu(m) and Ap relu(m)."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.weights
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        nonzero = torch.cat([layer.ravel() != 0 for layer in layers])
        return 1 - nonzero.double().mean().item()

    def penalty(self, kind: str) -> torch.Tensor:
        """What the pruning method `kind` keeps small.

        "l0": the expected fraction of the weights whose gate is open (equation 12 of Louizos et
        al.). "c_node": the mean over pairs of genes of ``|Ws|' |As|' + |Wp|' |Ap|'``, without
        gates. "path_reg": ten times that, and the mean expected number of open paths.
        """
        if kind == "l0":
            return self._open_fraction()
        if kind == "c_node":
            return self._path_sizes()
        return self._n_open_paths() + 10 * self._path_sizes()

    def _open_probabilities(self):
        """Probability that a gate is not 0, by layer (equation 12)."""
        shift = TEMPERATURE * math.log(-LOWEST_GATE / HIGHEST_GATE)
        return {name: torch.sigmoid(at - shift) for name, at in self.locations.items()}

    def _open_fraction(self):
        """Expected fraction of the weights whose gate is not 0."""
        is_open = self._open_probabilities()
        n_open = torch.zeros(())
        for name in LAYERS:
            n_rows = len(getattr(self, name))
            n_open = n_open + is_open[name].sum() * n_rows
        return n_open / (4 * self.sum_in.numel())

    def _n_open_paths(self):
        """Expected number of paths with open gates, mean over pairs of genes (PathReg)."""
        is_open = self._open_probabilities()
        if "sampled_paths" in self.as_published:
            is_open = self.gates
        through_sums = is_open["sum_in"].mean() * is_open["sum_out"].sum()
        through_products = is_open["product_in"].mean() * is_open["product_out"].sum()
        return through_sums + through_products

    def _path_sizes(self):
        """Sum of the sizes of all paths, divided by the number of pairs of genes (C-NODE)."""
        into_sums = self.sum_in.abs().sum(dim=1)
        out_of_sums = self.sum_out.abs().sum(dim=0)
        into_products = self.product_in.abs().sum(dim=1)
        out_of_products = self.product_out.abs().sum(dim=0)
        sizes = into_sums @ out_of_sums + into_products @ out_of_products
        return sizes / len(self.multiplier) ** 2
