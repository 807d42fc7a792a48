"""Random gates on the inputs of every layer of PHOENIX, which learn to close: what is behind a closed gate is zero.

Louizos, Welling, Kingma: "Learning sparse neural networks through L0 regularization", ICLR 2018, arXiv 1712.01312.
"""

import math

import torch
from torch import nn

from sbnn.dynamics.network import Phoenix

TEMPERATURE = 2 / 3
LOWEST, HIGHEST = -0.1, 1.1  # to which a concrete variable is stretched before it is cut to 0 to 1


def hard_concrete(uniform, location):
    """Gates in [0, 1] with mass at both ends, from uniform numbers (equations 10 and 11).

    Parameters
    ----------
    uniform : Tensor
        In (0, 1).
    location : Tensor, of the same shape
        Log alpha: the larger, the more the gate is open.

    Returns
    -------
    Tensor
    """
    return _stretched(torch.sigmoid((torch.logit(uniform) + location) / TEMPERATURE))


def settled_gates(location):
    """Gates without chance, as they are used after training (equation 13)."""
    return _stretched(torch.sigmoid(location))


def open_probability(location):
    """Probability that `hard_concrete` is above 0 (equation 12)."""
    return torch.sigmoid(location - TEMPERATURE * math.log(-LOWEST / HIGHEST))


def _stretched(concrete):
    return (concrete * (HIGHEST - LOWEST) + LOWEST).clamp(0, 1)


class GatedPhoenix(Phoenix):
    """PHOENIX with a gate for every gene that enters sums or products, and for every sum and product.

    In training mode the gates are those of the last `draw`, else `settled_gates`.

    Parameters
    ----------
    n_genes, n_hidden : int
    drop_rates : tuple of (float, float)
        In (0, 1), of the gates of genes and of sums and products: location ``log((1 - rate) / rate)`` at the start.
    generator : torch.Generator

    Attributes
    ----------
    locations : ParameterDict of str to Parameter
        Of the gates, by the name of the layer: (genes,) of input weights, (hidden,) of output weights.
    """

    def __init__(self, n_genes, n_hidden, drop_rates, generator):
        super().__init__(n_genes, n_hidden, generator)
        rates = (drop_rates[0], drop_rates[0], drop_rates[1], drop_rates[1])
        self.locations = nn.ParameterDict(
            {
                name: torch.full(getattr(self, name).shape[1:], math.log((1 - rate) / rate))
                for name, rate in zip(self.LAYERS, rates, strict=True)
            }
        )
        self.draw(generator)

    def layers(self):
        """Weights behind their gates; see `Phoenix.layers`."""
        if self.training:
            return self._drawn
        return self._gated({name: settled_gates(location) for name, location in self.locations.items()})

    def draw(self, generator):
        """Draw all gates anew, one for a gene or unit in all samples."""
        tiny = torch.finfo(torch.float32).eps
        self._drawn = self._gated(
            {
                name: hard_concrete(torch.rand(len(location), generator=generator).clamp(tiny, 1 - tiny), location)
                for name, location in self.locations.items()
            }
        )

    @torch.no_grad()
    def settled(self):
        """The same network without gates: columns behind closed ones are exactly 0."""
        plain = Phoenix(len(self.multiplier), len(self.sum_bias))
        values = {name: value for name, value in self.state_dict().items() if not name.startswith("locations.")}
        plain.load_state_dict(values)
        gated = self._gated({name: settled_gates(location) for name, location in self.locations.items()})
        for name, weights in zip(self.LAYERS, gated, strict=True):
            getattr(plain, name).copy_(weights)
        return plain

    def _gated(self, gates):
        return tuple(getattr(self, name) * gates[name] for name in self.LAYERS)
