"""Bayesian selection of the regulators of every gene."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike

from sbnn.determinism import reproducible
from sbnn.dynamics.held_out import PIECE, combined
from sbnn.dynamics.model import COUNT, DynamicsRegressor
from sbnn.dynamics.search import Search
from sbnn.errors import warn

HELD_OUT_PASSES = 2  # passes in fits without held-out parts
# error of the solver in predictions of held-out parts
HELD_OUT_TOLERANCE = 1e-4
LONG = 30  # largest number of times in a sample that is fitted as a whole
LEFT_OVER = 0.25  # autocorrelation of residuals above which a warning is given


def fitted_parts(samples):
    """Samples, or their pieces if some samples are long."""
    return samples.pieces(PIECE) if max(map(len, samples.times)) > LONG else samples


class SparseRegulationRegressor(DynamicsRegressor):
    """Gene network inferred by Bayesian selection of the regulators of every gene.

    1. Every gene decays, at its own rate, towards a target that depends on its regulators.
       Expression between the observed times is estimated by a relaxation curve of each gene in each
       sample, and in later passes by the model.
    2. Each gene is regressed on sets of regulators (`sbnn.dynamics.regulation`). From the edges of
       the prior, one edge at a time is added or removed, up to the largest product of
       evidence and prior odds.
    3. The distribution of effects, the odds that edges inside and outside the prior are true, and a
       lag are learned from all genes (`sbnn.dynamics.beliefs`). Then all steps are repeated.
    4. Held-out parts of the training data determine the weight of the network in predictions beside
       the best model without one (`sbnn.dynamics.held_out`). If it is 0 and there is a prior, the
       edges are those of the prior.
    5. Probabilities are calibrated: new edges are less probable if they are much weaker than the
       strongest edge to the same gene, or if the law fits some genes far better than most; those of
       the prior, if they are weak and residuals are autocorrelated.

    Effects are linear terms and products of two regulators; noise is normal, with the same SD for
    all genes.

    Parameters
    ----------
    n_passes : int
        Number of passes over all genes.
    n_jobs : int, default=1
        Number of threads, which does not change the result.

    Attributes
    ----------
    edge_scores_ : DataFrame, genes by genes
        ``[regulator, target]``: slope of the target's rate of change with respect to the regulator
        at mean expression; 0 means no edge.
    edge_probabilities_ : DataFrame, genes by genes
        Probability of each edge, given all other estimated edges, calibrated on simulations under
        ten laws of regulation; around 0.9, up to 0.08 too high under a law with a lag.
    sparsity_ : float
        Share of pairs of genes without an edge.
    network_ : RegulatedNetwork
    rates_ : Series
        Decay rates per unit of time; 0 for genes that do not change.
    noise_ : float
        Standard deviation of the noise.
    beliefs_ : Beliefs
    verdict_ : str
        How well the network predicts held-out intervals.
    explains_ : bool
        Whether adding the network lowers the held-out error by more than 1 % and by more than two
        standard errors.
    weight_ : float
        Weight of the network in predictions; the best model without one has the rest.
    held_out_errors_ : Series or None
        Mean squared error one interval ahead, relative to no change, of the network, of each model
        without a network, and of the mean of the network and the best of these ("together").
    lag_ : float
        Lag with which regulators act, in the time unit of the data; 0 means no lag.
    autocorrelation_ : float
        Of residuals at consecutive times; well above 0, the model misses effects.
    misfit_ : float
        Median of the genes' mean squared residuals, relative to their 10 % quantile; above 1.5,
        improbable new edges are removed.
    scale_ : float
        Largest absolute value in training, by which values are divided.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    A single sample contains little information about which genes regulate which. If a sample has 30
    intervals or more, all are fitted in pieces of at most five.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork, SparseRegulationRegressor
    >>> network = GeneNetwork.random(30, random_state=1)
    >>> samples = network.simulate(60, noise=0.025, random_state=1)
    >>> model = SparseRegulationRegressor().fit(samples, prior=network.misplaced_prior(0.1))
    >>> model.edge_scores_.shape
    (30, 30)
    """

    _parameter_constraints = {"n_passes": COUNT, "n_jobs": COUNT}

    algorithm_version = 2  # stored with results

    def __init__(self, n_passes: int = 5, n_jobs: int = 1) -> None:
        self.n_passes = n_passes
        self.n_jobs = n_jobs

    def fit(self, trajectories: AnnData, prior: ArrayLike | pd.DataFrame | None = None) -> Self:
        """Find the regulators of every gene.

        Parameters
        ----------
        trajectories : AnnData
            As returned by `sbnn.dynamics.trajectories`.
        prior : array-like or DataFrame, shape (genes, genes), optional
            Known edges, ``[regulator, target]``: positive for activation, negative for repression.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `n_passes` is below 1, or the prior has the wrong shape or contains unknown genes.

        Warns
        -----
        UserWarning
            Some genes never change, or residuals are autocorrelated.
        """
        self._validate_params()
        samples, prior = self._checked(trajectories, prior)
        self.scale_ = float(np.abs(np.concatenate(samples.values)).max()) or 1.0
        n_held_out = min(self.n_passes, HELD_OUT_PASSES)

        def fit_network(kept):
            search = Search(self._scaled(kept), prior, self.n_jobs).run(n_held_out)
            return partial(self._follow, search.network(), tolerance=HELD_OUT_TOLERANCE)

        with reproducible():
            self._combination = combined(samples, fit_network)
            search = Search(fitted_parts(self._scaled(samples)), prior, self.n_jobs)
            search.run(self.n_passes)
        self.weight_ = self._combination.weight
        self.held_out_errors_ = self._combination.errors
        self.explains_ = self.held_out_errors_ is not None and self.weight_ > 0
        self.verdict_ = self._combination.verdict()
        self._keep_edges(search)
        self.network_ = search.network()
        self.lag_ = self.network_.lag
        self.rates_ = pd.Series(self.network_.rate, self.gene_names_)
        self.noise_ = search.noise * self.scale_
        self.beliefs_ = search.beliefs
        self.autocorrelation_ = search.autocorrelation()
        self.misfit_ = search.misfit()
        if self.explains_ and self.lag_:
            self.verdict_ += f"; regulators act with a lag of about {self.lag_:.3g} units of time"
        if self.autocorrelation_ > LEFT_OVER:
            warn(
                f"residuals at consecutive times are correlated ({self.autocorrelation_:.2f}): "
                "the model may miss delayed or saturating effects"
            )
        return self

    def _keep_edges(self, search):
        """Keep the edges found or, if they explain nothing, those of the prior."""
        if self.weight_ > 0 or not search.prior.any():
            scores = search.scores()
            probabilities = search.posterior_probabilities()
        else:
            scores = np.sign(search.prior)
            probabilities = search.prior_probabilities()
        scores = np.where(probabilities >= 0.5, scores, 0.0)
        names = self.gene_names_
        self.edge_probabilities_ = pd.DataFrame(probabilities, names, names)
        self.edge_scores_ = pd.DataFrame(scores, names, names)
        self.sparsity_ = 1 - np.count_nonzero(scores) / scores.size

    def _scaled(self, samples):
        return replace(samples, values=[block / self.scale_ for block in samples.values])

    def _follow(self, network, start, times, tolerance=1e-6):
        """Trajectories of a network that was fitted to divided values."""
        return self.scale_ * network.follow(start / self.scale_, times, tolerance)

    def _path(self, start, times):
        by_network = partial(self._follow, self.network_)
        return self._combination.follow(by_network, start, times)
