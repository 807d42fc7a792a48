"""PHOENIX (Hossain et al., Genome Biology 2024), a network of sums and products, with gates and
penalties.

The gates and the L0 penalty are from Louizos, Welling, Kingma, "Learning sparse neural networks
through L0 regularization", ICLR 2018, arXiv 1712.01312; the C-NODE penalty is from Aliee, Theis,
Kilbertus 2021, arXiv 2106.12430; and the PathReg penalty is from Aliee et al., "Sparsity in
continuous-depth neural networks", NeurIPS 2022, arXiv 2210.14672.
"""

import math

import torch
from torch import nn

# share of zeros among the initial input weights, and SD of the nonzero weights
ZERO_SHARE, WEIGHT_SD = 0.95, 0.05
TEMPERATURE = 2 / 3
# range to which a concrete variable is stretched before it is clipped to [0, 1]
LOWEST, HIGHEST = -0.1, 1.1


class Phoenix(nn.Module):
    """``dx/dt = relu(m) * (J(x) - x)``, with ``J = As s + Ap p``.

    With ``u = (x - 1/2) / (1 + |x - 1/2|)``, the sums are ``s = Ws u + bs`` and the products are
    ``p = exp(Wp log(1 + u) + bp)``. ``sum_in`` and ``product_in`` are Ws and Wp, of shape (hidden,
    genes); ``sum_out`` and ``product_out`` are As and Ap, of shape (genes, hidden); ``multiplier``
    is m, of shape (genes,). A gene with m <= 0 stays constant.
    """

    LAYERS = ("sum_in", "product_in", "sum_out", "product_out")  # the layers that are pruned

    def __init__(self, n_genes, n_hidden, generator=None):
        super().__init__()
        into = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        into *= torch.rand(into.shape, generator=generator) >= ZERO_SHARE
        self.sum_in, self.product_in = nn.Parameter(into[0]), nn.Parameter(into[1])
        self.sum_bias = nn.Parameter(torch.zeros(n_hidden))
        self.product_bias = nn.Parameter(torch.zeros(n_hidden))
        out = [
            nn.init.orthogonal_(torch.empty((n_genes, n_hidden)), generator=generator)
            for _ in range(2)
        ]
        self.sum_out, self.product_out = nn.Parameter(out[0]), nn.Parameter(out[1])
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))

    def layers(self):
        """Weights in the order of `LAYERS`, multiplied by their gates if there are any."""
        return tuple(getattr(self, name) for name in self.LAYERS)

    def draw(self, generator):
        """Draw the random numbers of a training step (this class needs none)."""

    def settled(self):
        """The network as it is used after training."""
        return self

    def targets(self, x):
        """Values J towards which the genes decay at expression x; both have the shape (..., genes)."""
        sum_in, product_in, sum_out, product_out = self.layers()
        centred = x - 0.5
        u = centred / (1 + centred.abs())
        sums = nn.functional.linear(u, sum_in, self.sum_bias)
        products = nn.functional.linear(torch.log1p(u), product_in, self.product_bias).exp()
        return sums @ sum_out.T + products @ product_out.T

    def decay(self):
        """Decay rates relu(m), of shape (genes,)."""
        return self.multiplier.relu()

    @torch.no_grad()
    def edges(self):
        """Effect of each regulator i on each target j: relu(m)_j (Ws' As' + Wp' Ap')_ij, 0 if no path connects them."""
        weights = [layer.double() for layer in self.layers()]
        return (weights[0].T @ weights[2].T + weights[1].T @ weights[3].T) * self.decay().double()

    @torch.no_grad()
    def sparsity(self):
        """Share of zeros among the weights Ws, Wp, As relu(m) and Ap relu(m)."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.layers()
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        return 1 - sum(layer.count_nonzero().item() for layer in layers) / sum(
            layer.numel() for layer in layers
        )


class GatedPhoenix(Phoenix):
    """PHOENIX with random gates on each gene (one for all sums, one for all products) and on each sum and product."""

    def __init__(self, n_genes, n_hidden, drop_rates, generator):
        super().__init__(n_genes, n_hidden, generator)
        starts = [math.log((1 - rate) / rate) for rate in drop_rates]
        sizes = {name: getattr(self, name).shape[1:] for name in self.LAYERS}
        locations = {
            name: torch.full(size, starts[name.endswith("_out")]) for name, size in sizes.items()
        }
        self.locations = nn.ParameterDict(locations)
        self.draw(generator)

    def layers(self):
        """Weights multiplied by their gates."""
        return self._drawn if self.training else self._gated(settled_gates)

    def draw(self, generator):
        """Draw all gates again; all samples in a batch share the same gates."""
        self._drawn = self._gated(
            lambda a: hard_concrete(torch.rand(len(a), generator=generator), a)
        )

    @torch.no_grad()
    def settled(self):
        """The same network without gates; columns of weights with closed gates are exactly 0."""
        plain = Phoenix(len(self.multiplier), len(self.sum_bias))
        plain.load_state_dict(
            {k: v for k, v in self.state_dict().items() if not k.startswith("locations.")}
        )
        for name, weights in zip(self.LAYERS, self._gated(settled_gates), strict=True):
            getattr(plain, name).copy_(weights)
        return plain

    def _gated(self, gate):
        # Gates are drawn in the order of the ParameterDict, which sorts the names.
        gates = {name: gate(location) for name, location in self.locations.items()}
        return tuple(getattr(self, name) * gates[name] for name in self.LAYERS)


def hard_concrete(uniform, location):
    """Gates in [0, 1] with probability mass at both ends, from uniform numbers and log alpha (equations 10 and 11)."""
    logit = torch.logit(uniform, eps=torch.finfo(torch.float32).eps)
    return _stretched(torch.sigmoid((logit + location) / TEMPERATURE))


def settled_gates(location):
    """Deterministic gates, as used after training (equation 13)."""
    return _stretched(torch.sigmoid(location))


def _stretched(share):
    return (share * (HIGHEST - LOWEST) + LOWEST).clamp(0, 1)


def open_probability(location):
    """Probability that `hard_concrete` is above 0 (equation 12)."""
    return torch.sigmoid(location - TEMPERATURE * math.log(-LOWEST / HIGHEST))


def open_weights(network):
    """Expected share of the weights in a `GatedPhoenix` whose gate is open."""
    layers = {name: getattr(network, name) for name in network.LAYERS}
    expected = [
        open_probability(network.locations[name]).sum() * len(layer)
        for name, layer in layers.items()
    ]
    return sum(expected) / sum(layer.numel() for layer in layers.values())


def open_paths(network):
    """Expected number of open paths in a `GatedPhoenix` from one gene to another, averaged over all pairs of genes."""
    share = {name: open_probability(location) for name, location in network.locations.items()}
    # A path is open if the independent gates of its gene and of its sum or product are both open.
    return (
        share["sum_in"].mean() * share["sum_out"].sum()
        + share["product_in"].mean() * share["product_out"].sum()
    )


def path_sizes(network):
    """Total size of the paths between two genes, ``|Ws|' |As|' + |Wp|' |Ap|'``, averaged over all
    pairs of genes.

    Gates are ignored.
    """
    sum_in, product_in, sum_out, product_out = (
        getattr(network, name).abs() for name in network.LAYERS
    )
    # The sum over all pairs can be computed without a genes-by-genes matrix.
    sums = sum_in.sum(dim=1) @ sum_out.sum(dim=0)
    products = product_in.sum(dim=1) @ product_out.sum(dim=0)
    return (sums + products) / sum_in.shape[1] ** 2


def open_and_sizes(network):
    """`open_paths` plus ten times `path_sizes`."""
    return open_paths(network) + 10 * path_sizes(network)


#: Pruning method of a `GatedPhoenix` -> its penalty and the weight of the penalty. We chose the
#: weight of the L0 penalty ourselves, because the code of the published comparison adds no L0
#: penalty. That code also uses Kaiming initialisation, and it counts the open paths for sampled
#: gates instead of computing their expected number.
PENALTIES = {
    "l0": (open_weights, 1e-2),
    "c_node": (path_sizes, 1e-3),
    "path_reg": (open_and_sizes, 1e-4),
}
