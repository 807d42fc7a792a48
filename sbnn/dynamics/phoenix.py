"""PHOENIX (Hossain et al., Genome Biology 2024), and its gates.

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
    ``p = exp(Wp log(1 + u) + bp)``. ``sum_in`` and ``product_in`` are Ws and Wp, (hidden, genes);
    ``sum_out`` and ``product_out`` are As and Ap, (genes, hidden); ``multiplier`` is m, (genes,). A
    gene with m <= 0 stays constant.
    """

    LAYERS = ("sum_in", "product_in", "sum_out", "product_out")  # the layers that are pruned

    def __init__(self, n_genes, n_hidden, generator=None, as_published=False):
        super().__init__()
        into = torch.randn((2, n_hidden, n_genes), generator=generator) * WEIGHT_SD
        uniform = torch.rand(into.shape, generator=generator)
        biases = torch.zeros((2, n_hidden))
        if as_published:
            n_zeros = math.ceil(ZERO_SHARE * n_hidden)
            into[uniform.argsort(dim=1) < n_zeros] = 0
            limit = n_genes**-0.5
            biases.uniform_(-limit, limit, generator=generator)
        else:
            into *= uniform >= ZERO_SHARE
        self.sum_in = nn.Parameter(into[0])
        self.product_in = nn.Parameter(into[1])
        self.sum_bias = nn.Parameter(biases[0])
        self.product_bias = nn.Parameter(biases[1])
        self.sum_out = nn.Parameter(torch.empty((n_genes, n_hidden)))
        self.product_out = nn.Parameter(torch.empty((n_genes, n_hidden)))
        nn.init.orthogonal_(self.sum_out, generator=generator)
        nn.init.orthogonal_(self.product_out, generator=generator)
        self.multiplier = nn.Parameter(torch.rand(n_genes, generator=generator))

    def layers(self):
        """Weights in the order of `LAYERS`."""
        return self.sum_in, self.product_in, self.sum_out, self.product_out

    def draw(self, generator):
        """Draw the random numbers of a training step, here none."""

    def settled(self):
        """The network as it is used after training."""
        return self

    def targets(self, x):
        """Values J towards which the genes decay at expression x, both (..., genes)."""
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
        """Effect of regulator i on target j, ``relu(m)_j (Ws' As' + Wp' Ap')_ij``."""
        sum_in, product_in, sum_out, product_out = [layer.double() for layer in self.layers()]
        effects = sum_in.T @ sum_out.T + product_in.T @ product_out.T
        return effects * self.decay().double()

    @torch.no_grad()
    def sparsity(self):
        """Share of zeros among the weights Ws, Wp, As relu(m) and Ap relu(m)."""
        alive = (self.multiplier > 0)[:, None]
        sum_in, product_in, sum_out, product_out = self.layers()
        layers = [sum_in, product_in, sum_out * alive, product_out * alive]
        nonzero = torch.cat([layer.ravel() != 0 for layer in layers])
        return 1 - nonzero.double().mean().item()


class GatedPhoenix(Phoenix):
    """PHOENIX with random gates on genes (two each), sums and products."""

    def __init__(self, n_genes, n_hidden, drop_rates, generator, as_published=False):
        super().__init__(n_genes, n_hidden, generator, as_published)
        self.as_published = as_published
        of_genes, of_hidden = [math.log((1 - rate) / rate) for rate in drop_rates]
        self.locations = nn.ParameterDict(
            {
                "sum_in": torch.full((n_genes,), of_genes),
                "product_in": torch.full((n_genes,), of_genes),
                "sum_out": torch.full((n_hidden,), of_hidden),
                "product_out": torch.full((n_hidden,), of_hidden),
            }
        )
        self.draw(generator)

    def layers(self):
        """Weights multiplied by their gates."""
        return self._drawn if self.training else self._gated(self.gates())

    def draw(self, generator):
        """Draw all gates, which the samples in a batch share."""
        self._gates = {}
        for name, location in self.locations.items():  # a ParameterDict sorts the names
            uniform = torch.rand(len(location), generator=generator)
            self._gates[name] = hard_concrete(uniform, location)
        self._drawn = self._gated(self._gates)

    def gates(self):
        """Gates by name, drawn in training and `settled_gates` otherwise."""
        if self.training:
            return self._gates
        return {name: settled_gates(location) for name, location in self.locations.items()}

    @torch.no_grad()
    def settled(self):
        """The same network without gates; weights with closed gates are 0."""
        plain = Phoenix(len(self.multiplier), len(self.sum_bias))
        plain.load_state_dict(self.state_dict(), strict=False)
        for layer, gated in zip(plain.layers(), self.eval().layers(), strict=True):
            layer.copy_(gated)
        return plain

    def _gated(self, gates):
        return tuple(getattr(self, name) * gates[name] for name in self.LAYERS)


def hard_concrete(uniform, location):
    """Gates in [0, 1] with mass at both ends (equations 10 and 11); log alpha is the location."""
    logit = torch.logit(uniform, eps=torch.finfo(torch.float32).eps)
    return _stretched(torch.sigmoid((logit + location) / TEMPERATURE))


def settled_gates(location):
    """Gates as used after training (equation 13)."""
    return _stretched(torch.sigmoid(location))


def _stretched(share):
    return (share * (HIGHEST - LOWEST) + LOWEST).clamp(0, 1)


def open_probability(location):
    """Probability that `hard_concrete` is above 0 (equation 12)."""
    return torch.sigmoid(location - TEMPERATURE * math.log(-LOWEST / HIGHEST))


def open_weights(network):
    """Expected share of the weights whose gate is open."""
    n_open = 0
    n_weights = 0
    for name in network.LAYERS:
        n_rows, n_gates = getattr(network, name).shape
        n_open = n_open + open_probability(network.locations[name]).sum() * n_rows
        n_weights += n_rows * n_gates
    return n_open / n_weights


def open_paths(network):
    """Expected number of open paths, averaged over all pairs of genes.

    As published, a path counts with the product of its gates.
    """
    if network.as_published:
        shares = network.gates()
    else:
        shares = {name: open_probability(where) for name, where in network.locations.items()}
    n_paths = 0
    for into, out in (("sum_in", "sum_out"), ("product_in", "product_out")):
        n_paths = n_paths + shares[into].mean() * shares[out].sum()
    return n_paths


def path_sizes(network):
    """Mean over pairs of genes of ``|Ws|' |As|' + |Wp|' |Ap|'``; gates are ignored."""
    into = network.sum_in.abs().sum(dim=1)
    sums = into @ network.sum_out.abs().sum(dim=0)
    into = network.product_in.abs().sum(dim=1)
    products = into @ network.product_out.abs().sum(dim=0)
    return (sums + products) / network.sum_in.shape[1] ** 2


def open_and_sizes(network):
    """`open_paths` plus ten times `path_sizes`."""
    return open_paths(network) + 10 * path_sizes(network)


#: Pruning method of a `GatedPhoenix` -> what its penalty grows with, and its weight. That of L0 is
#: our choice: the code of the published comparison adds no L0 penalty.
PENALTIES = {
    "l0": (open_weights, 1e-2),
    "c_node": (path_sizes, 1e-3),
    "path_reg": (open_and_sizes, 1e-4),
}
