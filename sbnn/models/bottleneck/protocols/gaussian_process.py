"""A Gaussian process with one length scale per gene, which finds the genes that the outputs depend
on.

All outputs share the kernel ``a exp(-|z - z'|^2 / 2) + b <z, z'>`` of the scaled genes ``z_j = s_j
x_j``. The marginal likelihood and its gradient follow Rasmussen and Williams 2006, section 5.4.
"""

import math

import numpy as np
import torch

from sbnn.models.bottleneck.gene_prior import most_important
from sbnn.models.bottleneck.training import Adam


def most_relevant(process, n_genes, prior=None):
    """Choose genes by repeatedly dropping the genes on which the predictions of a Gaussian process depend least."""
    kept, (at_first, later) = np.arange(process.X.shape[1]), process.settings.process_steps
    if len(kept) <= n_genes:
        return kept
    process.fit(at_first)
    while True:
        n_kept = max(n_genes, int(process.settings.share_kept * len(kept)))
        best = most_important(
            process.relevance().double().sqrt(), n_kept, prior and prior.among(kept)
        )
        kept = kept[best]
        if n_kept == n_genes:
            return kept
        process = process.keep(torch.as_tensor(best, device=process.X.device)).fit(later)


class RelevanceProcess:
    """Gaussian process with one scale per gene; `theta` contains the logarithms of scales, a, b and noise variance."""

    def __init__(self, X, Y, settings):
        self.X, self.Y, self.settings = X, Y, settings
        p = X.shape[1]
        # With these scales, typical squared distances between cells are of order one for any number
        # of genes.
        self.theta = torch.cat(
            [X.new_full((p,), -0.5 * math.log(p)), X.new_tensor(settings.process_start).log()]
        )

    def fit(self, n_steps, learning_rate=0.1):
        """Maximise the marginal likelihood by a few steps of Adam, stopped early to avoid overfitting."""
        gradient = torch.empty_like(self.theta)
        adam = Adam([(self.theta, gradient, 0.0)], betas=(0.9, 0.95))
        for _ in range(n_steps):
            self.loss, slope = self.gradient()
            gradient.copy_(slope)
            adam.step(learning_rate)
        return self

    def gradient(self):
        """Negative log marginal likelihood, up to a constant, and its gradient with respect to `theta`."""
        b, noise = self.theta[-2:].exp()
        Z, radial, factor = self._factor()
        q = self.Y.shape[1]
        inverse = torch.cholesky_inverse(factor)
        weights = inverse @ self.Y
        loss = q * factor.diagonal().log().sum() + 0.5 * (self.Y * weights).sum()
        by_kernel = torch.addmm(inverse, weights, weights.t(), beta=0.5 * q, alpha=-0.5)
        by_radial, linear = by_kernel * radial, by_kernel @ Z
        by_scaled = 2 * (b * linear - by_radial.sum(1)[:, None] * Z + by_radial @ Z)
        others = torch.stack(
            [by_radial.sum(), b * (linear * Z).sum(), noise * by_kernel.diagonal().sum()]
        )
        return float(loss), torch.cat([(by_scaled * Z).sum(0), others])

    def predict(self, X):
        """Posterior mean of the outputs for the cells in X."""
        scales, (a, b, _) = self.theta[:-3].exp(), self.theta[-3:].exp()
        Z, _, factor = self._factor()
        new = X * scales
        kernel = torch.addmm(_radial(new, Z, a), new, Z.t(), alpha=float(b))
        return kernel @ torch.cholesky_solve(self.Y, factor)

    def relevance(self, n_cells=300):
        """Relevance of each gene: mean squared gradient of the posterior mean with respect to the
        gene.

        Squared gradients are averaged over cells and summed over outputs.
        """
        # Unlike the scale of a gene, this relevance does not overrate nonlinear effects (Paananen
        # et al., AISTATS 2019).
        scales, b = self.theta[:-3].exp(), self.theta[-2].exp()
        Z, radial, factor = self._factor()
        weights = torch.cholesky_solve(self.Y, factor)
        step = max(1, len(Z) // n_cells)
        some, radial = Z[::step], radial[::step]
        linear = b * (Z.t() @ weights)
        total = torch.zeros_like(scales)
        for output, slope in zip(weights.t(), linear.t(), strict=True):
            pull = radial * output
            total += torch.addmm(slope - pull.sum(1)[:, None] * some, pull, Z).square().mean(0)
        return total * scales.square()

    def keep(self, genes):
        """A Gaussian process for the given genes only, with the current parameters."""
        process = RelevanceProcess(self.X[:, genes].contiguous(), self.Y, self.settings)
        process.theta = torch.cat([self.theta[:-3][genes], self.theta[-3:]])
        return process

    def _factor(self):
        """Scaled genes, radial part of the kernel matrix of training cells, and Cholesky factor of the full matrix."""
        scales, (a, b, noise) = self.theta[:-3].exp(), self.theta[-3:].exp()
        Z = self.X * scales
        radial = _radial(Z, Z, a)
        kernel = torch.addmm(radial, Z, Z.t(), alpha=float(b))
        kernel.diagonal().add_(noise + self.settings.process_noise_floor)
        return Z, radial, torch.linalg.cholesky(kernel)


def _radial(Z1, Z2, a):
    squares = torch.addmm(Z2.square().sum(1)[None], Z1, Z2.t(), alpha=-2).add_(
        Z1.square().sum(1)[:, None]
    )
    return squares.clamp_(min=0).mul_(-0.5).exp_().mul_(a)
