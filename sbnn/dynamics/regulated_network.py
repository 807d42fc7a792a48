"""Rates of change of genes that are drawn to polynomials of their regulators."""

import numpy as np
import torch
from torch import nn

from sbnn.dynamics.regulation import products_of


class RegulatedNetwork(nn.Module):
    """``dx/dt = decay * (J(x) - x)``; J of a gene holds slopes and products of two of its regulators.

    Regulators count within limits alone, so that J stays bounded, as saturating effects are.

    Parameters
    ----------
    decay : ndarray, shape (genes,)
        0 of a gene that stays as it is.
    means, lowest, highest : ndarray, shape (genes,)
        About which the polynomials are, and limits of what counts.
    fits : dict of int to Fit
        Of the genes that change.
    """

    def __init__(self, decay, means, lowest, highest, fits):
        super().__init__()
        n = len(decay)
        constant, places, weights = np.zeros(n), [], []
        for gene, fit in fits.items():
            chosen = np.array(fit.regulators, dtype=int)
            one, other = products_of(len(chosen))
            constant[gene] = fit.weights[0]
            # A factor of 1 stands at position n.
            firsts, seconds = np.append(chosen, chosen[one]), np.append(np.full(len(chosen), n), chosen[other])
            places += [np.stack([np.full(len(firsts), gene), firsts, seconds])]
            weights += [fit.weights[1:]]
        places = np.concatenate(places, axis=1) if places else np.zeros((3, 0), dtype=int)
        self.register_buffer("places", torch.from_numpy(places))
        weights = np.concatenate(weights) if weights else np.zeros(0)
        for name, value in (
            ("rate", decay), ("means", means), ("lowest", lowest), ("highest", highest), ("constant", constant),
            ("weights", weights),
        ):  # fmt: skip
            self.register_buffer(name, torch.from_numpy(np.asarray(value, dtype=np.float64)))

    def decay(self):
        """Rates, (genes,)."""
        return self.rate

    def targets(self, x):
        """J, (samples, genes), at expression x, (samples, genes)."""
        deviations = x.clamp(self.lowest, self.highest) - self.means
        factors = torch.cat([deviations, torch.ones_like(x[:, :1])], dim=1)
        gene, one, other = self.places
        terms = factors[:, one] * factors[:, other] * self.weights
        return self.constant.expand_as(x).index_add(1, gene, terms)

    def forward(self, x):
        """Rates of change, (samples, genes)."""
        return self.rate * (self.targets(x) - x)
