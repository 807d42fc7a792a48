"""Where the latents of the cells of each perturbation are expected: the priors that the methods differ in."""

import math

import torch
from torch import nn

FIRST_LOGIT = 5.0  # of a mask: open


class Prior(nn.Module):
    """Means of the latents of cells by perturbation, with variance 1: trained (iVAE), set (staged), or 0 (VAE)."""

    # Whether the loss is the sum over all cells, in place of their mean: with the epsilon of the published Adam it
    # makes a difference, gradients of a mean being smaller than that.
    summed = False

    def __init__(self, n_perturbations, n_latents, trained=False, mask=1.0):
        super().__init__()
        self.table = nn.Parameter(torch.zeros(n_perturbations, n_latents), requires_grad=trained)
        self.register_buffer("mask", torch.full((n_perturbations, n_latents), mask))

    def set_means(self, means):
        """Set the means (n_perturbations, d); they are 0 where the mask is."""
        self.table.data = means * self.mask

    def forward(self, codes, generator):
        """Mean (b, d) for the perturbations `codes` (b,); `generator` draws what is random in training."""
        return self.means()[codes]

    def means(self):
        """Mean of each perturbation, (n_perturbations, d)."""
        return self.table

    def probabilities(self):
        """Probability of each latent to be moved by each perturbation, (n_perturbations, d)."""
        return self.mask

    def penalty(self):
        """Added to the loss summed over all cells."""
        return torch.zeros(())


class MaskedMeans(Prior):
    """Means under a mask that is trained with them, by relaxed Bernoulli draws: the sparse VAE.

    The penalty is minus the log density of Beta(1, `strength`) at the probabilities, summed (`summed`, SVAE+), or
    `strength` times their mean (SVAE).
    """

    def __init__(self, n_perturbations, n_latents, strength, summed):
        super().__init__(n_perturbations, n_latents, trained=True)
        self.logits = nn.Parameter(torch.full((n_perturbations, n_latents), FIRST_LOGIT))
        self.strength, self.summed = float(strength), summed

    def forward(self, codes, generator):
        """Means under a mask that is drawn for each cell."""
        logits = self.logits[codes]
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid(logits + uniform.logit())
        return ((soft > 0.5).float() - soft.detach() + soft) * self.table[codes]  # hard forward, soft gradient

    def means(self):
        """See `Prior`."""
        return (self.logits > 0).float() * self.table

    def probabilities(self):
        """See `Prior`."""
        return self.logits.sigmoid()

    def penalty(self):
        """See the class."""
        if not self.summed:
            return self.strength * self.probabilities().mean()
        # log(1 - p) of the logits, which stays finite where p rounds to 1
        return -(math.log(self.strength) + (self.strength - 1) * nn.functional.logsigmoid(-self.logits)).sum()
