"""Where the latents of the cells of each perturbation are expected: the five priors that the methods differ in."""

import math

import torch
from torch import nn

FIRST_LOGIT = 5.0  # of a mask: open


class Prior(nn.Module):
    """Mean of the latents of cells, given their perturbations; their variance is 1.

    Parameters
    ----------
    n_perturbations, n_latents : int

    Attributes
    ----------
    summed : bool
        Whether the loss is the sum over all cells, in place of their mean: with the epsilon of the published Adam it
        makes a difference, gradients of a mean being smaller than that.
    """

    summed = False

    def __init__(self, n_perturbations, n_latents):
        super().__init__()
        self.shape = n_perturbations, n_latents

    def forward(self, codes, generator=None):
        """Mean (b, d) for the perturbations `codes` (b,); `generator` draws what is random in training."""
        return self.means()[codes]

    def means(self):
        """Mean of each perturbation, (n_perturbations, d)."""
        return torch.zeros(self.shape)

    def probabilities(self):
        """Probability of each latent to be moved by each perturbation, (n_perturbations, d)."""
        return torch.ones(self.shape)

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
        """As set."""
        return self.table

    def probabilities(self):
        """The mask."""
        return self.mask


class FreeMeans(Prior):
    """Means that are trained, all of them: the identifiable VAE."""

    def __init__(self, n_perturbations, n_latents):
        super().__init__(n_perturbations, n_latents)
        self.shifts = nn.Parameter(torch.zeros(self.shape))

    def means(self):
        """As trained."""
        return self.shifts


class MaskedMeans(FreeMeans):
    """Means under a mask that is trained with them, by relaxed Bernoulli draws: the sparse VAE.

    Parameters
    ----------
    n_perturbations, n_latents : int
    strength : float
        Of the penalty.
    beta : bool
        Whether it is minus the log density of Beta(1, `strength`) at the probabilities, summed (SVAE+), in place of
        `strength` times their mean (SVAE).
    """

    def __init__(self, n_perturbations, n_latents, strength, beta):
        super().__init__(n_perturbations, n_latents)
        self.logits = nn.Parameter(torch.full(self.shape, FIRST_LOGIT))
        self.strength, self.beta = float(strength), beta
        self.summed = beta

    def forward(self, codes, generator=None):
        """Means under a mask that is drawn for each cell, or with the likelier value of each entry."""
        logits, shifts = self.logits[codes], self.shifts[codes]
        if generator is None:
            return (logits > 0).float() * shifts
        uniform = torch.rand(logits.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
        soft = torch.sigmoid(logits + uniform.logit())
        return ((soft > 0.5).float() - soft.detach() + soft) * shifts  # hard forward, soft gradient

    def means(self):
        """With the likelier value of each entry of the mask."""
        return (self.logits > 0).float() * self.shifts

    def probabilities(self):
        """Of each entry of the mask."""
        return self.logits.sigmoid()

    def penalty(self):
        """See the class."""
        if self.beta:  # log(1 - p) of the logits, which stays finite where p rounds to 1
            log_density = math.log(self.strength) + (self.strength - 1) * nn.functional.logsigmoid(-self.logits)
            return -log_density.sum()
        return self.strength * self.probabilities().mean()


def prior_of(method, n_perturbations, n_latents, strength):
    """Prior of a method, see `SparseShiftVAE`."""
    if method in ("svae", "svae+"):
        return MaskedMeans(n_perturbations, n_latents, strength, beta=method == "svae+")
    of = {"staged": FixedMeans, "ivae": FreeMeans, "vae": Prior}
    return of[method](n_perturbations, n_latents)
