"""PHOENIX as a scikit-learn-style estimator of a sparse regulatory network."""

from __future__ import annotations

import copy
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.trajectories import as_trajectories, prior_matrix
from sbnn.determinism import reproducible
from sbnn.dynamics.accuracy import path_errors
from sbnn.dynamics.held_out import validated
from sbnn.dynamics.phoenix import PENALTIES, GatedPhoenix, Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner
from sbnn.dynamics.solver import follow
from sbnn.dynamics.training import COUNT, Recipe, Training
from sbnn.errors import check_number, warn


class DynamicsRegressor(BaseEstimator):
    """Base class, with `predict` and `score`."""

    def predict(self, x0: ArrayLike | pd.DataFrame, times: ArrayLike) -> np.ndarray:
        """Predict trajectories from their first values.

        Parameters
        ----------
        x0 : array-like or DataFrame, shape (samples, genes)
            Values at the first time; columns of a DataFrame are matched by gene name.
        times : array-like, shape (times,) or (samples, times)
            Increasing, in the unit of training.

        Returns
        -------
        ndarray of float64, shape (samples, times, genes)

        Raises
        ------
        ValueError
            The genes differ from those in training, a value is NaN, or the times do not increase.
        DivergenceError
            The predictions diverge.

        Warns
        -----
        UserWarning
            Held-out data do not show that the network helps; the message is `verdict_`.
        """
        check_is_fitted(self)
        if not self.explains_:
            warn(self.verdict_)
        if isinstance(x0, pd.DataFrame):
            x0 = x0.rename(columns=str)[list(self.gene_names_)].to_numpy()
        start = validate_data(self, x0, reset=False, dtype=np.float64, copy=True)
        times = np.atleast_2d(np.asarray(times, dtype=np.float64))
        increasing = (np.diff(times, axis=1) > 0).all()
        if not increasing or len(times) not in (1, len(start)):
            raise ValueError("times: expected increasing numbers, (times,) or (samples, times)")
        times = np.repeat(times, len(start) // len(times), axis=0)
        with reproducible():
            return self._path(start, times)

    def score(self, trajectories: AnnData) -> float:
        """R2 of trajectories predicted from their first values, over all later times and genes.

        Parameters
        ----------
        trajectories : AnnData
            Of the same genes, in the same order.

        Returns
        -------
        float
            1 - SSE / SST, with SST around the mean of each gene in the training data.
        """
        check_is_fitted(self)
        samples = as_trajectories(trajectories)
        if samples.gene_names.tolist() != self.gene_names_.tolist():
            raise ValueError("trajectories: expected the genes of training, in the same order")
        later = np.concatenate([values[1:] for values in samples.values])
        variance = ((later - self._training_mean) ** 2).mean()
        return float(1 - path_errors(self.predict, samples)["mse_rollout"] / variance)

    def _checked(self, trajectories, prior):
        """`Samples`, and known edges, ndarray [regulator, target]."""
        samples = as_trajectories(trajectories)
        self.gene_names_ = samples.gene_names
        self.n_features_in_ = len(samples.gene_names)
        still = np.ptp(np.concatenate(samples.values), axis=0) == 0
        if still.any():
            warn(
                f"some genes, such as {samples.gene_names[still][0]}, have the same value in all "
                "samples at all times; their regulators and targets cannot be inferred"
            )
        if prior is None:
            prior = pd.DataFrame()
        return samples, prior_matrix(prior, self.gene_names_)


def followed_by(network, start, times):
    """Trajectories (samples, times, genes) of a `Phoenix`, in double precision."""
    with torch.no_grad():
        return follow(copy.deepcopy(network).double(), start, times)


def split(n, share, random):
    """Split n positions at random: those to train on, and a share that is never all of them."""
    order = random.permutation(n)
    n_aside = 0
    if share > 0:
        n_aside = min(max(round(share * n), 1), n - 1)
    return np.sort(order[n_aside:]), np.sort(order[:n_aside])


class PhoenixRegressor(DynamicsRegressor):
    """Gene-regulatory dynamics modelled by PHOENIX, a neural ODE [1]_, pruned as in DASH [2]_.

    Parameters
    ----------
    n_hidden : int
        Number of sums, and of products, in the hidden layer. Published values: 40 for the simulated
        networks, 120 for yeast and 300 for breast cancer.
    pruning : {"dash", "imp", "biological", "post_hoc", "l0", "c_node", "path_reg", "none"}
        During training, weights are pruned by size and prior ("dash"), by size alone ("imp") or by
        the prior alone ("biological"); after training, once by size ("post_hoc"). Alternatively,
        gates are learned with a penalty on open gates ("l0"), on the sizes of paths ("c_node") or
        on both ("path_reg"), see `sbnn.dynamics.phoenix`.
    sparsity : float
        Share of the weights that pruning removes from each layer, in (0, 1). The sparsity of
        methods with a penalty depends on `Recipe.penalty` instead.
    influence : tuple of (float, float)
        Influence of the prior on the pruning scores of input and of output weights in "dash".
        Published values: (0.5, 0.05) with noise, (0.05, 0.01) without noise and (0.9995, 0.995) for
        breast cancer.
    recipe : Recipe, optional
        Training; `PUBLISHED` is that of the published code.
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Phoenix
    edge_scores_ : DataFrame, genes by genes
        Score of each edge, ``[regulator, target]``, with the sign of the effect; 0 means no edge.
    sparsity_ : float
        Share of zeros among the weights.
    history_ : DataFrame
        Losses and sparsity in each epoch.
    validation_ : ndarray of int
        Positions of the validation samples.
    held_out_errors_ : Series or None
        Mean squared error one interval ahead in the validation samples, of the network, of no
        change, and of AR(1) fitted to the other samples. None if a single sample leaves no others.
    explains_ : bool
        Whether the error of the network is the lowest of these.
    verdict_ : str
        This result in a sentence.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    The estimator takes trajectories, so scikit-learn's ``check_estimator`` does not apply.

    References
    ----------
    .. [1] Hossain et al., "Biologically informed NeuralODEs for genome-wide regulatory dynamics",
       Genome Biology 2024.
    .. [2] Hossain et al., "Pruning neural network models for gene regulatory dynamics using data
       and domain knowledge", NeurIPS 2024, arXiv 2403.04805.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork, PhoenixRegressor, Recipe
    >>> network = GeneNetwork.random(30, random_state=1)
    >>> samples = network.simulate(20, noise=0.025, random_state=1)
    >>> model = PhoenixRegressor(10, sparsity=0.7, recipe=Recipe(epochs=60), random_state=0)
    >>> model = model.fit(samples, prior=network.misplaced_prior(0.05))
    >>> starts = samples[samples.obs["time"] == 0].X
    >>> model.predict(starts[:3], [0, 1, 2]).shape
    (3, 3, 30)
    """

    _parameter_constraints = {
        "n_hidden": COUNT,
        "pruning": [StrOptions({"none", *INFLUENCE, *PENALTIES})],
        "sparsity": [Interval(Real, 0, 1, closed="neither")],
        "influence": ["array-like"],
        "recipe": [Recipe, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_hidden: int = 40,
        pruning: str = "dash",
        sparsity: float = 0.955,
        influence: tuple[float, float] = (0.5, 0.05),
        recipe: Recipe | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.pruning = pruning
        self.sparsity = sparsity
        self.influence = influence
        self.recipe = recipe
        self.random_state = random_state

    def algorithm_version(self, n_cells: int) -> int:
        """Version stored with results."""
        return 2 if self.pruning in ("c_node", "path_reg") else 1

    def fit(self, trajectories: AnnData, prior: ArrayLike | pd.DataFrame | None = None) -> Self:
        """Train and prune the network.

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
            A parameter is out of range, or the prior has the wrong shape or unknown genes, or is
            needed but missing.
        DivergenceError
            The loss is not finite.

        Warns
        -----
        UserWarning
            Some genes never change, epochs are too few to reach the sparsity, or no edge is left.
        """
        self._validate_params()
        recipe = self.recipe or Recipe()
        influence = self._influence()
        samples, prior = self._checked(trajectories, prior)
        prior = torch.from_numpy(prior)
        needs_prior = any(influence) or recipe.data_weight < 1
        if needs_prior and not prior.any():
            raise ValueError(
                f"prior: pruning={self.pruning!r} with this influence and recipe needs a prior "
                "with edges"
            )
        random = check_random_state(self.random_state)
        with reproducible():
            self.network_, history, parts = self._trained(samples, prior, influence, random)
            train, self.validation_ = parts
            self._training_mean = np.concatenate(samples.chosen(train).values).mean(axis=0)
            edges = self.network_.edges().numpy()
            found = validated(self._path, samples.chosen(train), samples.chosen(self.validation_))
            self.held_out_errors_, self.explains_, self.verdict_ = found
        if not edges.any():
            warn("no edge is left; use a lower `sparsity` or a lower `Recipe.penalty`")
        self.edge_scores_ = pd.DataFrame(edges, self.gene_names_, self.gene_names_)
        self.sparsity_ = self.network_.sparsity()
        self.history_ = pd.DataFrame(history)
        return self

    def _path(self, start, times):
        return followed_by(self.network_, start, times)

    def _influence(self):
        """Influence of the prior on the scores of input and of output weights."""
        check_number("the length of influence", len(self.influence), int, 2, 2)
        for share in self.influence:
            check_number("influence", share, float, 0, 1)
        if self.pruning == "dash":
            return self.influence
        return INFLUENCE.get(self.pruning, (0.0, 0.0))

    def _trained(self, samples, prior, influence, random):
        """Trained network, its history, and the positions of training and validation samples."""
        recipe = self.recipe or Recipe()
        generator = torch.Generator().manual_seed(random.randint(2**31 - 1))
        parts = split(len(samples.values), recipe.validation_share, random)
        shape = self.n_features_in_, self.n_hidden
        penalty = PENALTIES.get(self.pruning)
        pruner = None
        if penalty is None:
            network = Phoenix(*shape, generator, recipe.as_published)
        else:
            network = GatedPhoenix(*shape, recipe.drop_rates, generator, recipe.as_published)
        if self.pruning in INFLUENCE:
            pruner = Pruner(network, influence, prior, generator)
        training = Training(network, samples, parts, recipe, generator, prior, pruner, penalty)
        self._run(training, recipe)
        return network.settled(), training.history, parts

    def _run(self, training, recipe):
        if self.pruning == "post_hoc":
            training.run(recipe.epochs)
            training.pruner.prune(1 - self.sparsity)
            training.run(recipe.fine_tuning)
            return
        prunings = {}
        if training.pruner is not None:
            prunings = recipe.prunings(self.sparsity)
        training.run(recipe.epochs, prunings)
        last = max(prunings, default=-1)
        if last >= recipe.epochs:
            warn(
                f"sparsity {self.sparsity} is scheduled after epoch {last}, but training ends "
                f"after epoch {recipe.epochs}; pruning is completed then, without further training"
            )
            training.pruner.prune(1 - self.sparsity)
