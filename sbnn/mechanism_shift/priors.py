"""Where the latents of the cells of each perturbation are expected: the priors that the methods differ in."""

import math

import torch
from torch import nn

FIRST_LOGIT = 5.0  # of a mask: open


class Prior(nn.Module):
    """Mean of the latents of cells, given their perturbations, with variance 1; here 0 for all (VAE)."""

    # Whether the loss is the sum over all cells, in place of their mean: with the epsilon of the published Adam it
    # makes a difference, gradients of a mean being smaller than that.
    summed = False

    def __init__(self, n_perturbations, n_latents):
        super().__init__()
        self.shape = n_perturbations, n_latents

    def forward(self, codes, generator):
        """Mean (b, d) for the perturbations `codes` (b,); `generator` draws what is random in training."""
        return self.means()[codes]

    def means(self):
        """Mean of each perturbation, (n_perturbations, d)."""
        return torch.zeros(self.shape)

    def probabilities(self):
        """Probability of each latent to be moved by each perturbation, (n_perturbations, d)."""
        return torch.zeros(self.shape)

    def penalty(self):
        """Added to the loss summed over all cells."""
        return torch.zeros(())


class FixedMeans(Prior):
    """Means that are set, not trained: those of the encoder, where a mask is open."""

    def __init__(self, n_perturbations, n_latents):
        super().__init__(n_perturbations, n_latents)
        self.register_buffer("table", torch.zeros(self.shape))
        self.register_buffer("mask", torch.ones(self.shape))

    def set_means(self, means):
        """Set the means (n_perturbations, d); they are 0 where the mask is."""
        self.table = means * self.mask

    def means(self):
        """See `Prior`."""
        return self.table

    def probabilities(self):
        """See `Prior`."""
        return self.mask


class FreeMeans(Prior):
    """Means that are trained, all of them: the identifiable VAE."""

    def __init__(self, n_perturbations, n_latents):
        super().__init__(n_perturbations, n_latents)
        self.shifts = nn.Parameter(torch.zeros(self.shape))

    def means(self):
        """See `Prior`."""
        return self.shifts

    def probabilities(self):
        """See `Prior`."""
        return torch.ones(self.shape)


class MaskedMeans(FreeMeans):
    """Means under a mask that is trained with them, by relaxed Bernoulli draws: the sparse VAE.

    The penalty is minus the log density of Beta(1, `strength`) at the probabilities, summed (`beta`, SVAE+), or
    `strength` times their mean (SVAE).
    """

    def __init__(self, n_perturbations, n_latents, strength, beta):
        super().__init__(n_perturbations, n_latents)
        self.logits = nn.Parameter(torch.full(self.shape, FIRST_LOGIT))
        self.strength, self.beta = float(strength), beta
        self.summed = beta

    def forward(self, codes, generator):
        """Means under a mask that is drawn for each cell."""
        logits, shifts = self.logits[codes], self.shifts[codes]
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid(logits + uniform.logit())
        return ((soft > 0.5).float() - soft.detach() + soft) * shifts  # hard forward, soft gradient

    def means(self):
        """See `Prior`."""
        return (self.logits > 0).float() * self.shifts

    def probabilities(self):
        """See `Prior`."""
        return self.logits.sigmoid()

    def penalty(self):
        """See the class."""
        if self.beta:  # log(1 - p) of the logits, which stays finite where p rounds to 1
            log_density = math.log(self.strength) + (self.strength - 1) * nn.functional.logsigmoid(-self.logits)
            return -log_density.sum()
        return self.strength * self.probabilities().mean()
