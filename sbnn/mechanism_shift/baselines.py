"""Counts of independent genes, without latents."""

from __future__ import annotations

from copy import copy
from typing import Self

import numpy as np
import torch
from scipy import sparse
from sklearn.base import BaseEstimator

from sbnn.mechanism_shift.network import log_likelihood

LEAST_SHARE = 1e-6  # which is added to that of each gene


class MeanShares(BaseEstimator):
    """Negative binomial counts of independent genes, whose means are shares of a cell's total.

    A cell has the shares of its perturbation if these were estimated, otherwise those of all cells
    in `fit`.

    Parameters
    ----------
    by_perturbation : bool
        Whether `fit` estimates the shares of each perturbation.
    n_cells : int, optional
        Cells, drawn at random, from which the dispersions are estimated (default: all).

    Examples
    --------
    >>> from sbnn.mechanism_shift import simulate_perturbations
    >>> from sbnn.mechanism_shift.baselines import MeanShares
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> names = screen.obs["perturbation"].to_numpy(str)
    >>> MeanShares().fit(screen.X, names).bounds(screen.X, names).shape
    (600,)
    """

    def __init__(self, by_perturbation: bool = False, n_cells: int | None = None) -> None:
        self.by_perturbation = by_perturbation
        self.n_cells = n_cells

    def fit(
        self, counts: sparse.csr_array, perturbation: np.ndarray, control: str | None = None
    ) -> Self:
        """Estimate the shares, and the dispersion of each gene.

        Parameters
        ----------
        counts : csr_array of shape (n, p)
            Raw counts; no cell is without any.
        perturbation : ndarray of str, shape (n,)
        control : str, optional
            Is a perturbation as the others are.

        Returns
        -------
        self
        """
        self.mean_shares_ = _shares(counts)
        self.shares_ = _shares_by_name(counts, perturbation) if self.by_perturbation else {}
        cells = np.random.default_rng(0).permutation(len(perturbation))[: self.n_cells]
        some_counts = counts[cells]
        log_shares = self._log_shares(perturbation[cells])
        self.dispersion_ = torch.zeros(counts.shape[1], dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([self.dispersion_], max_iter=50)

        def closure() -> torch.Tensor:
            optimizer.zero_grad()
            loss = -self._likelihoods(some_counts, log_shares).mean()
            loss.backward()
            return loss

        optimizer.step(closure)
        self.dispersion_.requires_grad_(False)
        return self

    def fit_new_perturbations(
        self, counts: sparse.csr_array, perturbation: np.ndarray, learn_shifts: bool = True
    ) -> Self:
        """Estimate the shares of new perturbations; see `SparseShiftVAE.fit_new_perturbations`.

        Parameters
        ----------
        counts, perturbation
            Of cells of the new perturbations, as in `fit`.
        learn_shifts : bool
            If False, they have the shares of all cells in `fit`.

        Returns
        -------
        MeanShares
        """
        extended = copy(self)
        if learn_shifts:
            extended.shares_ = self.shares_ | _shares_by_name(counts, perturbation)
        return extended

    def bounds(self, counts: sparse.csr_array, perturbation: np.ndarray) -> np.ndarray:
        """Log likelihood of each cell, in nats.

        Parameters
        ----------
        counts, perturbation
            As in `fit`.

        Returns
        -------
        ndarray, shape (n,)
        """
        return self._likelihoods(counts, self._log_shares(perturbation)).numpy()

    def elbo(
        self, counts: sparse.csr_array, perturbation: np.ndarray, n_samples: int | None = None
    ) -> float:
        """Mean log likelihood of the cells, which is exact: there are no latents to draw."""
        return float(self.bounds(counts, perturbation).mean())

    iwelbo = elbo

    def _log_shares(self, perturbation):
        """Log shares of the genes in each cell."""
        shares = [self.shares_.get(name, self.mean_shares_) for name in perturbation]
        return torch.from_numpy(np.log(np.stack(shares) + LEAST_SHARE))

    def _likelihoods(self, counts, log_shares):
        table = torch.from_numpy(counts.toarray()).double()
        fits = log_likelihood(table, log_shares, self.dispersion_)
        return fits - torch.lgamma(table + 1).sum(-1)


def _shares(counts):
    sums = counts.sum(axis=0)
    return sums / sums.sum()


def _shares_by_name(counts, perturbation):
    return {name: _shares(counts[perturbation == name]) for name in np.unique(perturbation)}
