"""Bayesian selection of the regulators of every gene from trajectories and a prior, which may be partly wrong."""

import warnings
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import torch
from sklearn.base import clone

from sbnn.data.trajectories import as_trajectories, prior_matrix
from sbnn.determinism import reproducible
from sbnn.dynamics.baselines import BASELINES
from sbnn.dynamics.beliefs import MOST, first_beliefs, kinds_of_edges, learned_beliefs
from sbnn.dynamics.model import DynamicsRegressor
from sbnn.dynamics.paths import LEAST_NOISE, N_BETWEEN, Clock, relaxation
from sbnn.dynamics.regulation import RegulatedNetwork, Target
from sbnn.dynamics.solver import follow
from sbnn.dynamics.training import COUNT

RATE_STEPS = (0.2, 0.1, 0.05)  # relative changes of decay rates to try in successive passes
# widths of its observed range by which a regulator can leave this range before it is clipped
BEYOND = 1.0
LEAST_RATE_SPREAD = 0.1  # smallest SD of the logarithms of the decay rates
LAGS = (0.0, 0.5, 1.0)  # lags that are tried at first, in mean intervals
LAG_STEP = 1.4  # factor by which a lag is varied later
# number of parts of the training data that are held out in turn to choose the weight of the network
N_FOLDS = 5
MANY = 25  # with this many samples or more, only one part is held out, instead of all parts in turn
HELD_OUT_PASSES = 2  # number of passes in fits that are evaluated on held-out parts
# largest number of intervals in a piece, and of times in a sample that is fitted as a whole
PIECE, LONG = 5, 30
# if the network alone achieves more than this share of the joint gain, no simple model is added
ALONE = 0.8
LEAST_GAIN = 0.01  # smallest relative reduction of the held-out error for which the network is used
# new edges become less probable if their effect is below this share of the largest effect on the
# gene
WEAK = 0.3
COUNTED = 20  # whole numbers are assumed to be counts if the largest number exceeds this
LEFT_OVER = 0.25  # autocorrelation of residuals above which a warning is given
#: Models without a network, with which the network is compared.
SIMPLE = {name: BASELINES[name] for name in ("ar1_mean", "ar1", "ridge", "ar1_ridge", "path")}
# a rate is an outlier if the logarithm of its ratio to the median rate is at least this far from 0
FAR_RATE = 1.0


class SparseRegulationRegressor(DynamicsRegressor):
    """Gene network inferred by Bayesian selection of the regulators of every gene, and the
    resulting dynamics.

    1. Every gene decays, at its own rate, towards a target that depends on its regulators. At
       first, expression between the observed times is estimated by fitting a relaxation curve to
       each gene in each sample; in later passes, it is predicted by the model. From then on, the
       levels of genes that do not change are also estimated from the effects of these genes on
       others.
    2. Each gene is regressed on sets of regulators, using these estimates
       (`sbnn.dynamics.regulation`). The set with the largest product of evidence and prior odds is
       chosen. The search starts from the edges of the prior and adds, removes or exchanges one edge
       at a time.
    3. The distribution of effects and the odds that edges inside and outside the prior are true are
       learned from all genes (`sbnn.dynamics.beliefs`). Then all steps are repeated. In the second
       pass, it is also decided whether regulators act with a lag.
    4. Held-out parts of the training data determine the weight of the network in predictions,
       relative to the best model without a network (AR(1), ridge, both, or the nearest part of the
       training path, see `sbnn.dynamics.baselines`). If the weight is 0 and there is a prior, the
       edges of the prior are returned. If residuals are autocorrelated, new edges that are much
       weaker than the strongest edge to the same gene become less probable.

    The model assumes that genes decay linearly; that the effects of regulators saturate and are
    combined by AND and OR, such that linear terms and products of two regulators describe them
    within the range of the data; and that noise is normal, with the same SD for all genes. The
    parameters of the effects, the noise, the rates, the number of edges and the errors of the prior
    are learned.

    Parameters
    ----------
    n_passes : int
        Number of passes, in each of which paths, regulators and beliefs are estimated.

    Attributes
    ----------
    edge_scores_ : DataFrame, genes by genes
        ``[regulator, target]``: slope of the target's rate of change with respect to the regulator,
        at mean expression; 0 means no edge.
    edge_probabilities_ : DataFrame, genes by genes
        Probability of each edge, given all other estimated edges.
    sparsity_ : float
        Share of pairs of genes without an edge.
    network_ : RegulatedNetwork
    rates_ : Series
        Decay rate of each gene, per unit of time; 0 for genes that do not change.
    noise_ : float
        Standard deviation of the noise.
    beliefs_ : Beliefs
    verdict_ : str
        Sentence that says how well the network predicts held-out intervals, compared with simple
        models.
    explains_ : bool
        Whether adding the network lowers the held-out error by more than 1 % and by more than two
        standard errors, which are computed over blocks of intervals.
    weights_ : Series
        Weight of the network, and of each model without a network, in predictions.
    held_out_errors_ : Series or None
        Mean squared error of predictions one interval ahead, divided by the error of predicting no
        change, for the network, for each model without a network, and for the mean of the network
        and the best other model.
    lag_ : float
        Lag with which regulators act, in the time unit of the data; 0 means no lag.
    autocorrelation_ : float
        Autocorrelation of residuals at consecutive times; values well above 0 show that the model
        misses some effects.
    scale_ : float
        Number by which values were divided; 1 if the largest absolute value is between 0.5 and 1.5.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    The fit is deterministic. The estimator takes trajectories, not a matrix, so scikit-learn's
    ``check_estimator`` does not apply. Samples with different starts are needed, because a single
    sample contains little information about which genes regulate which. If a sample has 30
    intervals or more, all samples are fitted in pieces of at most five intervals.

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
            Trajectories as returned by `sbnn.dynamics.trajectories`; samples may have any number of
            times.
        prior : array-like or DataFrame, shape (genes, genes), optional
            Known edges, ``[regulator, target]``: positive for an activation, negative for a
            repression, 0 for no edge. By default, no edge is known.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            `n_passes` is below 1, the prior has the wrong shape or contains unknown genes, or
            values look like counts.

        Warns
        -----
        UserWarning
            Some genes never change, values are not on a scale from 0 to 1, or residuals are
            autocorrelated.
        """
        self._validate_params()
        samples = as_trajectories(trajectories)
        self._check_samples(samples)
        names, n = self.gene_names_, self.n_features_in_
        prior = np.zeros((n, n)) if prior is None else prior_matrix(prior, names)
        samples = self._scaled(samples)
        with reproducible():
            self._weigh(samples, prior)
            search = self._search(
                samples.pieces(PIECE) if max(map(len, samples.times)) > LONG else samples, prior
            )
        self.network_, self._training_mean = (
            search.network(),
            np.concatenate(samples.values).mean(axis=0) * self.scale_,
        )
        explains = self.weights_["network"] > 0 or not prior.any()
        scores, probabilities = search.scores(), search.believed(explains)
        # edges of the prior that the search removed are restored, with the smallest effect
        if not explains:
            scores = np.where(
                scores == 0,
                np.sign(prior) * np.abs(scores).min(where=scores != 0, initial=1),
                scores,
            )
        self.edge_probabilities_ = pd.DataFrame(probabilities, names, names)
        self.edge_scores_ = pd.DataFrame(np.where(probabilities >= 0.5, scores, 0.0), names, names)
        self.sparsity_ = 1 - np.count_nonzero(self.edge_scores_) / n**2
        self.rates_, self.noise_ = (
            pd.Series(self.network_.rate.numpy(), names),
            search.noise * self.scale_,
        )
        self.beliefs_, self.lag_, self.autocorrelation_ = (
            search.beliefs,
            self.network_.lag,
            search.autocorrelation(),
        )
        self.verdict_ = self._verdict()
        if self.autocorrelation_ > LEFT_OVER:
            what = f"residuals at consecutive times are correlated ({self.autocorrelation_:.2f})"
            warnings.warn(f"{what}: the model may miss delayed or saturating effects", stacklevel=2)
        return self

    def _search(self, samples, prior, most=None):
        """Update paths, regulators and beliefs in turn, at most `most` times; returns the `_Search`."""
        search = _Search(samples, prior)
        for i in range(min(self.n_passes, most or self.n_passes)):
            if i and search.fits:
                search.learn(RATE_STEPS[min(i, len(RATE_STEPS)) - 1], at_first=i == 1)
                search.learn_levels()
                search.follow_model()
            search.find_regulators()
        return search

    def _scaled(self, samples):
        """Divide values by the largest absolute value unless it is near 1, with a warning; reject counts."""
        values = np.concatenate(samples.values)
        largest = float(np.abs(values).max())
        if largest > COUNTED and (values == np.round(values)).all() and (values >= 0).all():
            raise ValueError(
                f"trajectories: expected log or relative values, got counts up to {largest:g}; take logs"
            )
        self.scale_ = 1.0 if 0.5 <= largest <= 1.5 or largest == 0 else largest
        if self.scale_ == 1:
            return samples
        text = f"values are divided by the largest ({largest:.3g}), as it is not near 1; predictions are scaled back"
        warnings.warn(f"trajectories: {text}", stacklevel=3)
        return replace(samples, values=[v / self.scale_ for v in samples.values])

    def _weigh(self, samples, prior):
        """Choose the best model without a network, and weigh the network against this model, using held-out parts."""
        pieces = samples if len(samples.times) >= MANY else samples.pieces(PIECE)
        rows, names = np.arange(len(pieces.times)), ["network", *SIMPLE]
        folds = np.array_split(rows, min(N_FOLDS, len(rows))) if len(rows) > 1 else []
        folds = [rows[::N_FOLDS]] if len(rows) >= MANY else folds
        self.weights_, self.simple_ = pd.Series([1.0] + [0.0] * len(SIMPLE), names), {}
        self.held_out_errors_, self.explains_, tables, changes = None, False, [], []
        for fold in folds:
            kept, (before, after, spans) = (
                pieces.chosen(np.setdiff1d(rows, fold)),
                pieces.chosen(fold).intervals(),
            )
            network = self._search(kept, prior, HELD_OUT_PASSES).network()
            models = [
                partial(followed, network),
                *(clone(model).fit(kept).predict for model in SIMPLE.values()),
            ]
            tables.append(np.stack([predict(before, spans)[:, 1] - after for predict in models]))
            changes.append(after - before)
        if not tables:
            return
        left = dict(zip(names, np.concatenate(tables, axis=1), strict=True))
        best = min(SIMPLE, key=lambda name: (left[name] ** 2).mean())
        gap = left[best] - left["network"]
        weight = float(np.clip((gap * left[best]).sum() / max((gap**2).sum(), 1e-300), 0, 1))
        left |= {"no change": -np.concatenate(changes), "together": left[best] - weight * gap}
        errors = pd.DataFrame({name: (rest**2).mean(axis=1) for name, rest in left.items()})
        mean = errors.mean()
        # Errors of neighbouring intervals are correlated, so means over blocks of intervals are
        # compared.
        gains = np.array_split((errors[best] - errors["together"]).to_numpy(), min(10, len(errors)))
        gains = np.array([block.mean() for block in gains])
        certain = len(gains) > 1 and gains.mean() > 2 * gains.std(ddof=1) / np.sqrt(len(gains))
        self.explains_ = bool(
            weight > 0 and certain and mean["together"] < (1 - LEAST_GAIN) * mean[best]
        )
        # Averaging two models also reduces the effect of noise in the start, so part of the joint
        # gain may be due to this reduction. If the network alone is nearly as good as the weighted
        # mean of both models, the network is used, because it is simpler.
        if self.explains_ and mean[best] - mean["network"] > ALONE * (
            mean[best] - mean["together"]
        ):
            weight = 1.0
        weight = weight if self.explains_ else 0.0
        self.weights_["network"], self.weights_[best] = weight, 1 - weight
        self.held_out_errors_ = mean / max(mean["no change"], 1e-300)
        self.simple_ = {} if weight == 1 else {best: clone(SIMPLE[best]).fit(samples)}

    def _verdict(self):
        """Describe in one sentence how well the network predicts held-out intervals, compared with simple models."""
        errors = self.held_out_errors_
        if errors is None:
            return "there are too few intervals to hold any out, so it is unknown how much the network explains"
        best = min(SIMPLE, key=lambda name: errors[name])
        text = "regulation explains nothing of the held-out intervals here"
        if self.explains_:
            share = 1 - errors["together"] / errors[best]
            text = (
                f"regulation explains {share:.0%} of what the best simple model leaves unexplained"
            )
        text += f": the held-out error, relative to no change, is {errors['network']:.3f} for the network alone, "
        text += f"{errors[best]:.3f} for {best}, the best simple model, and {errors['together']:.3f} for their mean"
        late = self.explains_ and self.lag_ > 0
        return text + (
            f"; regulators act with a lag of about {self.lag_:.3g} units of time" if late else ""
        )

    def _follow(self, start, times):
        """Predict values at each time from the last values, by the network or its weighted mean with a simple model."""
        path = [start / self.scale_]
        if not self.simple_:
            return self.scale_ * followed(self.network_, path[0], times)
        [model], weight = self.simple_.values(), self.weights_["network"]
        for span in np.stack([times[:, :-1], times[:, 1:]], axis=-1).swapaxes(0, 1):
            after = (1 - weight) * model.predict(path[-1], span)[:, 1]
            path.append(
                after + weight * followed(self.network_, path[-1], span)[:, 1] if weight else after
            )
        return self.scale_ * np.stack(path, axis=1)


def followed(network, start, times):
    """Trajectories of a `RegulatedNetwork`, an array of shape (samples, times, genes).

    Proteins start at the values of their genes.
    """
    state = torch.from_numpy(np.tile(start, (1, 2)) if network.lag else np.array(start))
    with torch.no_grad():
        return follow(network, state, torch.from_numpy(np.array(times))).numpy()[
            :, :, : start.shape[1]
        ]


class _Search:
    """State of a fit: paths, rates, noise, beliefs and the resulting regulators; only `seen` values are used."""

    def __init__(self, samples, prior):
        self.values, times = samples.padded()
        self.prior, self.clock = prior, Clock(times)
        self.seen = self.clock.seen
        self.paths, self.rates, self.noise = relaxation(self.values, self.clock)
        self.changing = self.rates > 0
        # outlying rates, often of genes that hardly change, are replaced by the median
        if self.changing.any():
            moving = self.rates[self.changing]
            far = np.abs(np.log(moving / np.median(moving))) >= FAR_RATE
            self.rates[self.changing] = np.where(far, np.median(moving), moving)
        self.beliefs = first_beliefs()
        self.kinds = kinds_of_edges(prior, self.changing)
        self.possible = np.broadcast_to(self.changing, prior.shape) & ~np.eye(
            len(prior), dtype=bool
        )
        self.fits, self.probabilities, self.lag = {}, np.zeros(prior.shape), 0.0

    def network(self):
        """`RegulatedNetwork` with rates and lag in the time unit of the data."""
        lowest, highest = self.paths.min(axis=(0, 1)), self.paths.max(axis=(0, 1))
        beyond, unit = BEYOND * (highest - lowest), self.clock.unit
        bounds = lowest - beyond, highest + beyond
        return RegulatedNetwork(self.rates / unit, self.means, *bounds, self.fits, self.lag * unit)

    def scores(self):
        """Slopes, [regulator, target], of the rates of change with respect to the regulators, at mean expression."""
        scores = np.zeros(self.prior.shape)
        for gene, fit in self.fits.items():
            scores[list(fit.regulators), gene] = fit.weights[fit.parts()[0]] * self.rates[gene]
        return scores / self.clock.unit

    def believed(self, explains):
        """Probabilities of edges: from the fit if the network `explains` held-out data, otherwise
        from the prior.

        If residuals are autocorrelated, the probability of new edges with a small effect is
        lowered, because these edges may compensate for effects that linear terms and products
        cannot describe.
        """
        if not explains:  # edges in the prior have the initial odds of kind 3, all others of kind 0
            return 1 / (1 + np.exp(-np.where(self.prior != 0, *first_beliefs().log_odds[[3, 0]])))
        effects = np.abs(self.scores())
        share = effects / np.maximum(
            (WEAK if self.autocorrelation() > 0 else 0) * effects.max(axis=0), 1e-300
        )
        return self.probabilities * np.where(
            (self.prior == 0) & (effects > 0), np.minimum(share, 1), 1
        )

    def autocorrelation(self):
        """Autocorrelation of residuals at consecutive times, over all genes; about 0 for pure noise."""
        left = [self._errors(gene).reshape(len(self.values), -1) for gene in self.fits]
        if not left or left[0].shape[1] < 2:
            return 0.0
        left = np.stack(left) * self.seen[:, 1:]
        size = (left**2).sum() / self.seen[:, 1:].sum()
        pairs = (self.seen[:, 1:-1] * self.seen[:, 2:]).sum()
        return float((left[..., :-1] * left[..., 1:]).sum() / pairs / max(size, 1e-300))

    def find_regulators(self):
        """Search for the regulators of every gene that changes."""
        going_on = np.insert(np.repeat(self.seen[:, 1:], N_BETWEEN, axis=1) > 0, 0, True, axis=1)
        self.means = self.paths[going_on].mean(axis=0)
        self._deviations = self._acting() - self.means
        for gene in np.flatnonzero(self.changing):
            target = self._target(gene, self.rates[gene])
            # Each search starts from the prior, because an edge that was removed while paths or
            # beliefs were inaccurate would rarely be added again.
            given = np.flatnonzero((self.prior[:, gene] != 0) & self.possible[:, gene])
            if len(given) > MOST:
                given = target.strongest(given)
            fit = self.fits[gene] = target.search(given.tolist())
            self.probabilities[:, gene] = target.probabilities(frozenset(fit.regulators))
        errors = [self._errors(gene) for gene in self.fits]
        if errors:
            squares = np.square(errors).sum(axis=1) / self.seen[:, 1:].sum()
            self.noise = max(float(np.sqrt(np.median(squares))), LEAST_NOISE)

    def learn(self, step, at_first):
        """Learn the distribution of effects and the accuracy of the prior, and update the lag and the decay rates."""
        self.beliefs = learned_beliefs(
            self.fits.values(), self.probabilities, self.kinds, self.possible
        )
        logs = np.log(self.rates[self.changing])
        middle, spread = np.median(logs), max(logs.std(), LEAST_RATE_SPREAD)
        self.learn_lag(at_first)
        for gene, fit in self.fits.items():
            tried = self.rates[gene] * np.exp([-step, 0, step])
            fits = [self._target(gene, rate, fit).fit(frozenset(fit.regulators)) for rate in tried]
            evidence = np.array([other.log_evidence for other in fits])
            best = int(np.argmax(evidence - ((np.log(tried) - middle) / spread) ** 2 / 2))
            self.rates[gene], self.fits[gene] = tried[best], fits[best]

    def learn_lag(self, at_first):
        """Estimate the lag with which regulators act, in mean intervals, without changing the sets of regulators."""
        tried = (
            LAGS
            if at_first
            else (self.lag / LAG_STEP, self.lag, self.lag * LAG_STEP)
            if self.lag
            else ()
        )
        evidence = []
        for self.lag in tried:
            self._deviations = self._acting() - self.means
            targets = [
                (self._target(gene, self.rates[gene], fit), fit) for gene, fit in self.fits.items()
            ]
            evidence.append(
                [target.fit(frozenset(fit.regulators)).log_evidence for target, fit in targets]
            )
        if tried:
            best = int(np.argmax(np.sum(evidence, axis=1)))
            gains = np.subtract(evidence[best], evidence[0])
            # The first paths are inaccurate, so a first lag is accepted only if its mean gain over
            # genes exceeds the standard error of this mean.
            self.lag = (
                tried[best]
                if not at_first or gains.mean() > gains.std() / np.sqrt(len(gains))
                else 0.0
            )
            self._deviations = self._acting() - self.means

    def _acting(self):
        """Paths of the regulators: of the genes themselves or, if there is a lag, of their proteins."""
        if not self.lag:
            return self.paths
        left, memory = self.clock.left(1 / self.lag), self.clock.memory(1 / self.lag)
        return left[..., None] * self.paths[:, :1] + memory @ self.paths

    def follow_model(self):
        """Replace the paths by predictions of the model, each from the start that fits the observed values best."""
        observed, paths = self.clock.observed, self.paths.copy()
        self._deviations = self._acting() - self.means
        for gene, fit in self.fits.items():
            drawn_to = fit.target(self._deviations[:, :, list(fit.regulators)])
            come = (self.clock.memory(self.rates[gene]) @ drawn_to[..., None])[..., 0]
            left = self.clock.left(self.rates[gene])
            rest, weight = (
                self.values[:, :, gene] - come[:, observed],
                left[:, observed] * self.seen,
            )
            start = (rest * weight).sum(axis=1) / (weight**2).sum(axis=1)
            paths[:, :, gene] = come + start[:, None] * left
        self.paths = paths

    def learn_levels(self):
        """Estimate the levels of genes that do not change, by a Gauss-Newton step.

        The levels are estimated from the values of these genes and from their effects on other
        genes.
        """
        # The targets of such a gene may determine its level better than its own values do. If the
        # values of the targets were not used here, the targets would seem to regulate each other.
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
        """`Target` of a gene, from the weighted past of all genes or, with a fit `of`, of its regulators alone."""
        memory, values = self.clock.later_memory(rate), self._acquired(gene, rate)
        genes, signs = slice(None), np.sign(self.prior[:, gene])
        if of is not None:
            genes = list(of.regulators)
            signs[genes] = of.signs
        linear = np.zeros((*values.shape, len(self.prior)))
        linear[:, :, genes] = memory @ self._deviations[:, :, genes]
        log_odds = np.where(
            self.possible[:, gene], self.beliefs.log_odds[self.kinds[:, gene]], -np.inf
        )
        linear = linear.reshape(values.size, -1)
        return Target(
            values.ravel(),
            linear,
            self._deviations,
            memory,
            self.noise,
            self.beliefs,
            log_odds,
            signs,
        )

    def _errors(self, gene):
        """Residuals of the values after the first time, an array of shape (observations,)."""
        fit = self.fits[gene]
        return self._acquired(gene, self.rates[gene]).ravel() - fit.features @ fit.weights

    def _acquired(self, gene, rate):
        """Values after the first time, minus what remains of the first value, of shape (samples,
        times - 1).

        Values after the end of a sample are 0.
        """
        left = self.clock.left(rate)[:, self.clock.observed[1:]] * self.paths[:, :1, gene]
        return (self.values[:, 1:, gene] - left) * self.seen[:, 1:]
