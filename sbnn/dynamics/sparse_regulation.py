"""Regulators of every gene from trajectories and prior together: edges more accurate than the prior."""

import numpy as np
import pandas as pd

from sbnn.data.trajectories import as_trajectories, prior_matrix
from sbnn.determinism import reproducible
from sbnn.dynamics.beliefs import first_beliefs, kinds_of_edges, learned_beliefs
from sbnn.dynamics.model import DynamicsRegressor
from sbnn.dynamics.paths import LEAST_NOISE, N_BETWEEN, Clock, relaxation
from sbnn.dynamics.regulation import RegulatedNetwork, Target
from sbnn.dynamics.training import COUNT

RATE_STEPS = (0.2, 0.1, 0.05)  # by which rates of decay are varied, relative, one after the other
BEYOND = 1.0  # the observed range of a regulator, in widths of it, over which its effect goes on
LEAST_RATE_SPREAD = 0.1  # of the logarithms of the rates
FAR_RATE = 1.0  # from the middle one, of the logarithms


class SparseRegulationRegressor(DynamicsRegressor):
    """Who regulates whom, by Bayesian selection of the regulators of every gene, and dynamics that follow from it.

    1. Every gene decays, at a rate of its own, towards a target that depends on its regulators. Values between the
       observed times come at first from a relaxation of each gene in each sample, later from the model. Genes that do
       not change are then known from what they do to others too.
    2. With these, a gene is regressed on sets of regulators (`sbnn.dynamics.regulation`). The evidence of a set, times
       the odds of its edges, decides; sets grow and shrink one edge at a time, starting from the prior.
    3. What effects are like, and how often edges of the prior are right and others missing, is learned from all genes
       together (`sbnn.dynamics.beliefs`). Then all is repeated.

    Of the data it is assumed that genes decay linearly, that effects of regulators saturate and join as by AND and OR,
    so that within the range of the data slopes and products of two describe them, and that noise is normal and of one
    size. Parameters of the effects, noise, rates, the number of edges and how wrong the prior is are learned.

    Parameters
    ----------
    n_passes : int
        Times that paths, regulators and beliefs are found.

    Attributes
    ----------
    edge_scores_ : DataFrame, genes by genes
        ``[regulator, target]``: slope of the rate of change over the regulator at the mean; 0 is no edge.
    edge_probabilities_ : DataFrame, genes by genes
        Of each edge, given all others as found.
    sparsity_ : float
        Share of pairs of genes without an edge.
    network_ : RegulatedNetwork
    rates_ : Series
        Of decay, per unit of time; 0 of genes that stay as they are.
    noise_ : float
        Standard deviation.
    beliefs_ : Beliefs
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    Nothing is random. Takes trajectories, not a matrix, so that ``check_estimator`` of scikit-learn does not apply.
    It needs samples with different starts: a single one has little information on who regulates whom.

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

    def __init__(self, n_passes=5):
        self.n_passes = n_passes

    def fit(self, trajectories, prior=None):
        """Find the regulators of every gene.

        Parameters
        ----------
        trajectories : AnnData
            As of `sbnn.dynamics.trajectories`; samples may have any number of times.
        prior : array-like or DataFrame, shape (genes, genes), optional
            ``[regulator, target]``: positive for an activation, negative for a repression, 0 where none is known. By
            default nothing is known.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            No pass, a prior of another shape or of unknown genes.

        Warns
        -----
        UserWarning
            Genes that never change.
        """
        self._validate_params()
        samples = as_trajectories(trajectories)
        self._check_samples(samples)
        names, n = self.gene_names_, self.n_features_in_
        prior = np.zeros((n, n)) if prior is None else prior_matrix(prior, names)
        with reproducible():
            search = _Search(samples, prior)
            for i in range(self.n_passes):
                if i and search.fits:
                    search.learn(RATE_STEPS[min(i, len(RATE_STEPS)) - 1])
                    search.learn_levels()
                    search.follow_model()
                search.find_regulators()
        scores = np.zeros((n, n))
        for gene, fit in search.fits.items():
            slopes, _, _ = fit.parts()
            scores[list(fit.regulators), gene] = fit.weights[slopes] * search.rates[gene]
        paths, rates = search.paths, search.rates / search.clock.unit
        lowest, highest = paths.min(axis=(0, 1)), paths.max(axis=(0, 1))
        beyond = BEYOND * (highest - lowest)
        self.network_ = RegulatedNetwork(rates, search.means, lowest - beyond, highest + beyond, search.fits)
        self.edge_scores_ = pd.DataFrame(scores / search.clock.unit, names, names)
        self.edge_probabilities_ = pd.DataFrame(search.probabilities, names, names)
        self.sparsity_ = 1 - np.count_nonzero(scores) / n**2
        self.rates_, self.noise_, self.beliefs_ = pd.Series(rates, names), search.noise, search.beliefs
        self._training_mean = np.concatenate(samples.values).mean(axis=0)
        return self


class _Search:
    """State of a fit: paths, rates, noise, beliefs, and the regulators that follow; nothing counts where not `seen`."""

    def __init__(self, samples, prior):
        self.values, times = samples.padded()
        self.prior, self.clock = prior, Clock(times)
        self.seen = self.clock.seen
        self.paths, self.rates, self.noise = relaxation(self.values, self.clock)
        self.changing = self.rates > 0
        if self.changing.any():  # of a gene that hardly moves the rate is unknown: far from the others', it is theirs
            moving = self.rates[self.changing]
            far = np.abs(np.log(moving / np.median(moving))) >= FAR_RATE
            self.rates[self.changing] = np.where(far, np.median(moving), moving)
        self.beliefs = first_beliefs()
        self.kinds = kinds_of_edges(prior, self.changing)
        self.possible = np.broadcast_to(self.changing, prior.shape) & ~np.eye(len(prior), dtype=bool)
        self.fits, self.probabilities = {}, np.zeros(prior.shape)

    def find_regulators(self):
        """Search the regulators of every gene that changes."""
        going_on = np.insert(np.repeat(self.seen[:, 1:], N_BETWEEN, axis=1) > 0, 0, True, axis=1)
        self.means = self.paths[going_on].mean(axis=0)
        self._deviations = self.paths - self.means
        for gene in np.flatnonzero(self.changing):
            target = self._target(gene, self.rates[gene])
            # From the prior each time: an edge that was left out for wrong paths or beliefs would hardly come back.
            given = np.flatnonzero((self.prior[:, gene] != 0) & self.possible[:, gene])
            fit = self.fits[gene] = target.search(given.tolist())
            self.probabilities[:, gene] = target.probabilities(frozenset(fit.regulators))
        errors = [self._errors(gene) for gene in self.fits]
        if errors:
            squares = np.square(errors).sum(axis=1) / self.seen[:, 1:].sum()
            self.noise = max(float(np.sqrt(np.median(squares))), LEAST_NOISE)

    def learn(self, step):
        """Learn what effects are like and how credible the prior is, and try other rates with the same regulators."""
        self.beliefs = learned_beliefs(self.fits.values(), self.probabilities, self.kinds, self.possible)
        logs = np.log(self.rates[self.changing])
        middle, spread = np.median(logs), max(logs.std(), LEAST_RATE_SPREAD)
        for gene, fit in self.fits.items():
            tried = self.rates[gene] * np.exp([-step, 0, step])
            fits = [self._target(gene, rate, fit).fit(frozenset(fit.regulators)) for rate in tried]
            evidence = np.array([other.log_evidence for other in fits])
            best = int(np.argmax(evidence - ((np.log(tried) - middle) / spread) ** 2 / 2))
            self.rates[gene], self.fits[gene] = tried[best], fits[best]

    def follow_model(self):
        """Take the values between the observed times from the model, with the start that fits the sample best."""
        observed, paths = self.clock.observed, self.paths.copy()
        self._deviations = self.paths - self.means
        for gene, fit in self.fits.items():
            drawn_to = fit.target(self._deviations[:, :, list(fit.regulators)])
            come = (self.clock.memory(self.rates[gene]) @ drawn_to[..., None])[..., 0]
            left = self.clock.left(self.rates[gene])
            rest, weight = self.values[:, :, gene] - come[:, observed], left[:, observed] * self.seen
            start = (rest * weight).sum(axis=1) / (weight**2).sum(axis=1)
            paths[:, :, gene] = come + start[:, None] * left
        self.paths = paths

    def learn_levels(self):
        """Estimate genes that do not change from their values and what they do to others, by a Gauss-Newton step."""
        # Without the latter, what is known better of a level from its targets makes these seem to regulate each other.
        still = np.flatnonzero(~self.changing)
        position = {gene: i for i, gene in enumerate(still)}
        n, seen = len(self.values), self.seen[..., None]
        square = seen.sum(axis=1)[:, None] * np.eye(len(still))
        along = ((self.values[:, :, still] - self.paths[:, :1, still]) * seen).sum(axis=1)
        for gene, fit in self.fits.items():
            chosen = [i for i, regulator in enumerate(fit.regulators) if regulator in position]
            if not chosen:
                continue
            memory = self.clock.later_memory(self.rates[gene])
            moved = memory @ fit.slopes(self._deviations[:, :, list(fit.regulators)])[:, :, chosen]
            places = np.array([position[fit.regulators[i]] for i in chosen])
            square[:, places[:, None], places] += moved.transpose(0, 2, 1) @ moved
            along[:, places] += (moved * self._errors(gene).reshape(n, -1, 1)).sum(axis=1)
        self.paths[:, :, still] += np.linalg.solve(square, along[..., None])[:, None, :, 0]

    def _target(self, gene, rate, of=None):
        """A gene, and what it remembers of all genes, or of the regulators of a fit."""
        memory, values = self.clock.later_memory(rate), self._acquired(gene, rate)
        genes, signs = slice(None), np.sign(self.prior[:, gene])
        if of is not None:
            genes = list(of.regulators)
            signs[genes] = of.signs
        linear = np.zeros((*values.shape, len(self.prior)))
        linear[:, :, genes] = memory @ self._deviations[:, :, genes]
        log_odds = np.where(self.possible[:, gene], self.beliefs.log_odds[self.kinds[:, gene]], -np.inf)
        linear = linear.reshape(values.size, -1)
        return Target(values.ravel(), linear, self._deviations, memory, self.noise, self.beliefs, log_odds, signs)

    def _errors(self, gene):
        """Residuals of the later values, (observations,)."""
        fit = self.fits[gene]
        return self._acquired(gene, self.rates[gene]).ravel() - fit.features @ fit.weights

    def _acquired(self, gene, rate):
        """Later values without what is left of the first one, (samples, times - 1); 0 where a sample has ended."""
        left = self.clock.left(rate)[:, self.clock.observed[1:]] * self.paths[:, :1, gene]
        return (self.values[:, 1:, gene] - left) * self.seen[:, 1:]
