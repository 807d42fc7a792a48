"""Bayesian selection of the regulators of every gene."""

from __future__ import annotations

from functools import partial
from typing import Self

import numpy as np
import pandas as pd
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy.special import expit
from sklearn.base import clone

from sbnn.determinism import as_a_whole
from sbnn.dynamics.beliefs import calibrated, first_beliefs
from sbnn.dynamics.held_out import PIECE, SIMPLE, compared, explained, held_out_residuals
from sbnn.dynamics.model import COUNT, DynamicsRegressor
from sbnn.dynamics.search import Search
from sbnn.errors import warn

HELD_OUT_PASSES = 2  # passes in fits without held-out parts
# error of the solver in predictions of held-out parts
HELD_OUT_TOLERANCE = 1e-4
LONG = 30  # largest number of times in a sample that is fitted as a whole
LEFT_OVER = 0.25  # autocorrelation of residuals above which a warning is given


class SparseRegulationRegressor(DynamicsRegressor):
    """Gene network inferred by Bayesian selection of the regulators of every gene.

    1. Every gene decays, at its own rate, towards a target that depends on its regulators.
       Expression between the observed times is estimated by relaxation curves, and in later passes
       by the model.
    2. Each gene is regressed on sets of regulators. From the edges of the prior, one edge at a time
       is added or removed, up to the largest product of evidence and prior odds.
    3. The distribution of effects, the odds that edges inside and outside the prior are true, and a
       lag are learned from all genes. Then all steps are repeated.
    4. Held-out parts of the training data determine the weight of the network in predictions beside
       the best model without one. If it is 0 and there is a prior, the edges are those of the
       prior.
    5. Probabilities are calibrated: new edges are less probable if they are much weaker than the
       strongest edge to the same gene, or if the law fits some genes far better than most; those of
       the prior, if weak and residuals are autocorrelated.

    Effects are linear terms and products of two regulators; noise is normal, with the same SD for
    all genes.

    Parameters
    ----------
    n_passes : int
        Number of passes over all genes.

    Attributes
    ----------
    edge_scores_ : DataFrame, genes by genes
        ``[regulator, target]``: slope of the target's rate of change with respect to the regulator
        at mean expression; 0 means no edge.
    edge_probabilities_ : DataFrame, genes by genes
        Probability of each edge, given all other estimated edges, calibrated on simulations; around
        0.9, up to 0.08 too high under a law with a lag.
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
        Whether the network lowers the held-out error by more than 1 % and two standard errors.
    weight_ : float
        Weight of the network in predictions.
    held_out_errors_ : Series
        Mean squared error one interval ahead, relative to no change, of the network, of each model
        without one, and of the network and the best of these ("together").
    simple_ : estimator
        The best model without a network.
    lag_ : float
        Lag with which regulators act, in the time unit of the data; 0 means no lag.
    autocorrelation_ : float
        Of residuals at consecutive times.
    misfit_ : float
        Median of the genes' mean squared residuals, relative to their 10 % quantile.
    scale_ : float
        Largest absolute value in training, by which values are divided.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    A single sample contains little information about the network. If a sample has 30 intervals or
    more, all are fitted in pieces of at most five.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork, SparseRegulationRegressor
    >>> network = GeneNetwork.random(30, random_state=1)
    >>> samples = network.simulate(60, noise=0.025, random_state=1)
    >>> model = SparseRegulationRegressor().fit(samples, prior=network.misplaced_prior(0.1))
    >>> model.edge_scores_.shape
    (30, 30)
    """

    _parameter_constraints = {"n_passes": COUNT}

    algorithm_version = 2  # stored with results

    def __init__(self, n_passes: int = 5) -> None:
        self.n_passes = n_passes

    @as_a_whole
    def fit(self, trajectories: AnnData, prior: ArrayLike | pd.DataFrame | None = None) -> Self:
        """Find the regulators of every gene.

        Parameters
        ----------
        trajectories, prior
            As in `PhoenixRegressor.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `n_passes` is below 1, the prior has the wrong shape or unknown genes, or there are too
            few intervals to hold any out.

        Warns
        -----
        UserWarning
            Residuals are autocorrelated.
        """
        self._validate_params()
        samples, prior = self._checked(trajectories, prior)
        self.scale_ = float(np.abs(np.concatenate(samples.values)).max()) or 1.0

        def fit_network(kept):
            search = Search(kept, prior, self.scale_).run(min(self.n_passes, HELD_OUT_PASSES))
            return partial(search.network().follow, tolerance=HELD_OUT_TOLERANCE)

        long = max(map(len, samples.times)) > LONG
        residuals = held_out_residuals(samples, fit_network)
        search = Search(samples.pieces(PIECE) if long else samples, prior, self.scale_)
        search.run(self.n_passes)
        best, self.weight_, self.held_out_errors_ = compared(residuals)
        self.simple_ = clone(SIMPLE[best]).fit(samples)
        self.verdict_ = explained(best, self.weight_, self.held_out_errors_)
        self.explains_ = self.weight_ > 0
        scores = search.scores()
        self.autocorrelation_ = search.autocorrelation()
        self.misfit_ = search.misfit()
        given = prior != 0
        probabilities = calibrated(
            search.probabilities, given, np.abs(scores), self.misfit_, self.autocorrelation_
        )
        if self.weight_ == 0 and given.any():  # the network explains nothing
            scores = np.sign(prior)
            probabilities = expit(first_beliefs().log_odds[3 * given])
        scores = np.where(probabilities >= 0.5, scores, 0.0)
        names = self.gene_names_
        self.edge_probabilities_ = pd.DataFrame(probabilities, names, names)
        self.edge_scores_ = pd.DataFrame(scores, names, names)
        self.sparsity_ = 1 - np.count_nonzero(scores) / scores.size
        self.network_ = search.network()
        self.lag_ = self.network_.lag
        self.rates_ = pd.Series(self.network_.rate, names)
        self.noise_ = search.noise * self.scale_
        self.beliefs_ = search.beliefs
        if self.explains_ and self.lag_:
            self.verdict_ += f"; regulators act with a lag of about {self.lag_:.3g} units of time"
        if self.autocorrelation_ > LEFT_OVER:
            warn(
                f"residuals at consecutive times are correlated ({self.autocorrelation_:.2f}): "
                "the model may miss delayed or saturating effects"
            )
        return self

    def _path(self, start, times):
        """Predict each time from the last one, by the weighted mean of both models."""
        if self.weight_ == 1:
            return self.network_.follow(start, times)
        path = [start]
        for i in range(times.shape[1] - 1):
            span = times[:, i : i + 2]
            after = (1 - self.weight_) * self.simple_._path(path[-1], span)[:, 1]
            if self.weight_ > 0:
                by_network = self.network_.follow(path[-1], span)[:, 1]
                after = after + self.weight_ * by_network
            path.append(after)
        return np.stack(path, axis=1)
