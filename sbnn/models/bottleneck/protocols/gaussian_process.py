"""A Gaussian process with one length scale per gene, which finds the genes that outputs depend on.

All outputs share the kernel ``a exp(-|z - z'|^2 / 2) + b <z, z'>`` of the scaled genes ``z_j = s_j
x_j``. Marginal likelihood and gradient: Rasmussen and Williams 2006, section 5.4.
"""

import math

import numpy as np
import torch

from sbnn.models.bottleneck.training import Adam


def most_relevant(process, n_genes, run):
    """Positions of genes left after repeatedly dropping the least relevant."""
    n_steps, n_later_steps = run.settings.process_steps
    kept = np.arange(process.X.shape[1])
    if len(kept) <= n_genes:
        return kept
    process.fit(n_steps)
    while True:
        n_kept = max(n_genes, int(run.settings.share_kept * len(kept)))
        relevance = process.relevance().cpu().numpy()
        best = np.sort(np.argsort(-relevance, kind="stable")[:n_kept])
        kept = kept[best]
        if n_kept == n_genes:
            return kept
        process = process.keep(torch.as_tensor(best, device=process.X.device))
        process.fit(n_later_steps)


class RelevanceProcess:
    """Gaussian process of outputs Y, (n, q), given X, (n, p), with one scale per gene.

    `theta`, (p + 3,), has the logarithms of the scales, of a and b, and of the noise variance.
    """

    def __init__(self, X, Y, settings):
        self.X = X
        self.Y = Y
        self.settings = settings
        n_genes = X.shape[1]
        # squared distances between cells are of order one for any number of genes
        scales = X.new_full((n_genes,), -0.5 * math.log(n_genes))
        self.theta = torch.cat([scales, X.new_tensor(settings.process_start).log()])

    @property
    def scales(self):
        """Scales of the genes, shape (p,)."""
        return self.theta[:-3].exp()

    @property
    def variances(self):
        """Variances a, b and of the noise."""
        return self.theta[-3:].exp()

    def fit(self, n_steps):
        """Maximise the marginal likelihood."""
        gradient = torch.empty_like(self.theta)
        adam = Adam(self.theta, gradient, betas=(0.9, 0.95))
        for _ in range(n_steps):
            gradient.copy_(self.gradient()[1])
            adam.step(0.1)
        return self

    def gradient(self):
        """Negative log marginal likelihood, and its gradient by `theta`."""
        _, b, noise = self.variances
        Z, radial, factor = self._factor()
        q = self.Y.shape[1]
        inverse = torch.cholesky_inverse(factor)
        weights = inverse @ self.Y  # shape (n, q)
        half_log_determinant = factor.diagonal().log().sum()
        loss = q * half_log_determinant + 0.5 * (self.Y * weights).sum()
        by_kernel = torch.addmm(inverse, weights, weights.t(), beta=0.5 * q, alpha=-0.5)  # (n, n)
        by_radial = by_kernel * radial
        linear = by_kernel @ Z  # shape (n, p)
        totals = by_radial.sum(1)[:, None]
        by_scaled = b * linear - totals * Z + by_radial @ Z
        by_scales = (2 * by_scaled * Z).sum(0)
        by_a = by_radial.sum()
        by_b = b * (linear * Z).sum()
        by_noise = noise * by_kernel.diagonal().sum()
        by_variances = torch.stack([by_a, by_b, by_noise])
        return float(loss), torch.cat([by_scales, by_variances])

    def predict(self, X):
        """Posterior mean of the outputs, (m, q), for cells X, (m, p)."""
        a, b, _ = self.variances
        Z, _, factor = self._factor()
        new = X * self.scales
        radial = _radial(new, Z, a)
        kernel = torch.addmm(radial, new, Z.t(), alpha=float(b))
        return kernel @ torch.cholesky_solve(self.Y, factor)

    def relevance(self, n_cells=300):
        """Squared gradient of the posterior mean, (p,), mean over cells and sum over outputs."""
        # unlike scales, it does not overrate nonlinear effects (Paananen et al., AISTATS 2019)
        _, b, _ = self.variances
        Z, radial, factor = self._factor()
        weights = torch.cholesky_solve(self.Y, factor)
        linear = b * (Z.t() @ weights)  # shape (p, q)
        step = max(1, len(Z) // n_cells)
        some = Z[::step]
        radial = radial[::step]
        total = torch.zeros_like(self.scales)
        for output, slope in zip(weights.t(), linear.t(), strict=True):
            pull = radial * output  # shape (cells, n)
            left = slope - pull.sum(1)[:, None] * some
            total += torch.addmm(left, pull, Z).square().mean(0)
        return total * self.scales.square()

    def keep(self, genes):
        """The process of some genes."""
        some = self.X[:, genes].contiguous()
        process = RelevanceProcess(some, self.Y, self.settings)
        log_scales = self.theta[:-3]
        process.theta = torch.cat([log_scales[genes], self.theta[-3:]])
        return process

    def _factor(self):
        """Scaled genes, (n, p), and radial part and Cholesky factor of the kernel."""
        a, b, noise = self.variances
        Z = self.X * self.scales
        radial = _radial(Z, Z, a)
        kernel = torch.addmm(radial, Z, Z.t(), alpha=float(b))
        kernel.diagonal().add_(noise + self.settings.process_noise_floor)
        return Z, radial, torch.linalg.cholesky(kernel)


def _radial(Z1, Z2, a):
    """Radial part of the kernel."""
    columns = Z2.square().sum(1)[None]
    rows = Z1.square().sum(1)[:, None]
    squares = torch.addmm(columns, Z1, Z2.t(), alpha=-2).add_(rows)
    return squares.clamp_(min=0).mul_(-0.5).exp_().mul_(a)
