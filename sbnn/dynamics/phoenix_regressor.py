"""Estimator of gene-regulatory dynamics by PHOENIX, pruned by DASH and other methods."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit
from sbnn.dynamics.baselines import DynamicsRegressor, compare_with_baselines
from sbnn.dynamics.data import Samples, gene_pairs
from sbnn.dynamics.phoenix import Phoenix
from sbnn.dynamics.pruning import INFLUENCE, Pruner, pruning_schedule
from sbnn.dynamics.solver import integrate_trajectories
from sbnn.dynamics.training import (
    PENALTY_WEIGHTS,
    Intervals,
    PhoenixSettings,
    PhoenixTraining,
)

#: Differences of the published code from the default, measured in docs/methods.md.
PUBLISHED_OPTIONS = (
    "prune_before_epoch",  # weights are pruned at the start of the scheduled epoch
    "keep_moments",  # Adam keeps its moments when weights are pruned
    "absolute_fall",  # the validation loss must fall by 1e-6, not by 1e-4 of itself
    "random_biases",  # biases do not start at 0
    "exact_zeros",  # exactly 95 % of the input weights of each gene start at 0
    "sampled_paths",  # "path_reg" counts paths with the gates drawn in each step
)
HELD_OUT_FRACTION = 0.07  # of the samples; of a single sample, none


class PhoenixRegressor(DynamicsRegressor):
    """Gene-regulatory dynamics modelled by PHOENIX, a neural ODE, pruned as in DASH.

    The model is that of [1]_, the pruning that of [2]_.

    Parameters
    ----------
    n_hidden : int
        Number of sums, and of products, in the hidden layer. Published values: 40 for the simulated
        networks, 120 for yeast and 300 for breast cancer.
    pruning : {"dash", "imp", "biological", "post_hoc", "l0", "c_node", "path_reg", "none"}
        During training, weights are pruned by size and prior ("dash"), by size ("imp") or by the
        prior ("biological"); after training, once by size ("post_hoc"). Alternatively, gates are
        learned with a penalty on open gates ("l0"), on the sizes of paths ("c_node") or on both
        ("path_reg").
    sparsity : float
        Fraction of the weights that pruning removes from each layer, in (0, 1).
    influence : tuple of (float, float)
        Influence of the prior on the pruning scores of input and of output weights in "dash".
        Published values: (0.5, 0.05) with noise, (0.05, 0.01) without noise and (0.9995, 0.995) for
        breast cancer.
    epochs : int
        Largest number of epochs.
    batch_size : int
        Samples in a step; published: 1. With 8, a fit of DASH takes a third less time, but its
        errors of prediction were larger on three of three simulated networks.
    learning_rate : float
        Of Adam; that of the multipliers is five times as large. Both are multiplied by 0.9 after
        more than three epochs without a lower validation loss.
    data_weight : float
        Weight of the data in the loss, in (0, 1]; the prior has the rest.
    n_prior_points : int
        Random points at which the network is compared with the prior.
    schedule : tuple of (int, float, int, float)
        First epoch and fraction of the weights removed then, epochs between prunings, and fraction
        of the rest removed by each.
    fine_tuning : int
        Epochs after pruning, used only if ``pruning="post_hoc"``.
    penalty : float, optional
        Weight of the penalty of "l0", "c_node" or "path_reg", by default 1e-2, 1e-3 or 1e-4.
    time_span : float, optional
        Duration to which that of the longest sample is scaled, by default that of published
        simulations. With None, times are used as given, as published; the result then depends on
        their unit.
    as_published : collection of str
        In which of the ways named in `PUBLISHED_OPTIONS` training follows the published code.
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Phoenix
    edge_scores_ : DataFrame, genes by genes
        Score of each edge, ``[regulator, target]``, with the sign of the effect; 0 means no edge.
    sparsity_ : float
        Fraction of zeros among the weights.
    history_ : DataFrame
        Losses and sparsity in each epoch.
    validation_ : ndarray of int
        Positions of the validation samples.
    held_out_errors_ : Series or None
        Mean squared error one interval ahead in the validation samples, of the network, of no
        change, and of AR(1). None for a single sample.
    explains_ : bool
        Whether the error of the network is the lowest of these.
    verdict_ : str
        This result in a sentence.
    time_scale_ : float
        Factor of times.
    gene_names_ : ndarray of str
    n_features_in_ : int

    References
    ----------
    .. [1] Hossain et al., Genome Biology 2024.
    .. [2] Hossain et al., NeurIPS 2024, arXiv 2403.04805.
    """

    _parameter_constraints = {
        "n_hidden": COUNT,
        "pruning": [StrOptions({"none", "post_hoc", *INFLUENCE, *PENALTY_WEIGHTS})],
        "sparsity": [Interval(Real, 0, 1, closed="neither")],
        "random_state": ["random_state"],
    }

    network_: Phoenix
    history_: pd.DataFrame
    validation_: np.ndarray
    held_out_errors_: pd.Series | None
    time_scale_: float

    def __init__(
        self,
        n_hidden: int = 40,
        pruning: str = "dash",
        sparsity: float = 0.955,
        influence: tuple[float, float] = (0.5, 0.05),
        *,
        epochs: int = 200,
        batch_size: int = 4,
        learning_rate: float = 1e-3,
        data_weight: float = 1.0,
        n_prior_points: int = 10_000,
        schedule: tuple[int, float, int, float] = (3, 0.7, 10, 0.1),
        fine_tuning: int = 40,
        penalty: float | None = None,
        time_span: float | None = 9.0,
        as_published: Sequence[str] = (),
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_hidden = n_hidden
        self.pruning = pruning
        self.sparsity = sparsity
        self.influence = influence
        self.epochs = epochs
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.data_weight = data_weight
        self.n_prior_points = n_prior_points
        self.schedule = schedule
        self.fine_tuning = fine_tuning
        self.penalty = penalty
        self.time_span = time_span
        self.as_published = as_published
        self.random_state = random_state

    @property
    def algorithm_version(self) -> int:
        """Version stored with results."""
        return 2 if self.pruning in ("c_node", "path_reg") else 1

    @atomic_fit
    def fit(
        self,
        trajectories: AnnData,
        prior: ArrayLike | pd.DataFrame | None = None,
        interactions: ArrayLike | pd.DataFrame | None = None,
    ) -> Self:
        """Train and prune the network.

        Parameters
        ----------
        trajectories : AnnData
            As returned by `sbnn.dynamics.trajectories`.
        prior : array-like or DataFrame, shape (genes, genes), optional
            Known edges, ``[regulator, target]``: positive for activation, negative for repression.
        interactions : array-like or DataFrame, shape (genes, genes), optional
            Which genes act together, such as protein interactions, instead of the numbers of
            targets that they share in the prior, for "dash" and "biological". Of a DataFrame, other
            genes are ignored.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            A parameter is out of range, epochs are too few to reach the sparsity, or the prior is
            needed but missing, or has the wrong shape or unknown genes.
        DivergenceError
            The loss is not finite.
        """
        self._validate_params()
        unknown = set(self.as_published) - set(PUBLISHED_OPTIONS)
        if unknown:
            text = f"expected some of {PUBLISHED_OPTIONS}, got {self.as_published}"
            raise ValueError(f"as_published: {text}")
        influence = self._choose_influence()
        schedule = self._pruning_schedule()
        samples, edges = self._read_trajectories(trajectories, prior)
        if (any(influence) or self.data_weight < 1) and not edges.any():
            raise ValueError(f"prior: {self} needs a prior with edges")
        prior_edges = torch.from_numpy(edges)
        similarity = self._match_interactions(interactions)
        self.time_scale_ = 1.0
        if self.time_span is not None:
            longest = max(np.ptp(times) for times in samples.times)
            self.time_scale_ = float(self.time_span / longest)

        # One seed gives the initial weights, the validation samples, and all that training draws.
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(random.randint(2**31 - 1))
        train, held_out = self._split(samples, random)
        network = Phoenix(
            n_genes=len(self.gene_names_),
            n_hidden=self.n_hidden,
            generator=generator,
            as_published=self.as_published,
            gated=self.pruning in PENALTY_WEIGHTS,
        )
        pruner = Pruner(
            network,
            influence,
            prior=prior_edges,
            generator=generator,
            interactions=similarity,
        )
        validation = Intervals(held_out, self.time_scale_) if held_out.times else None
        training = PhoenixTraining(
            settings=self._training_settings(),
            pruner=pruner,
            generator=generator,
            train=Intervals(train, self.time_scale_),
            prior=prior_edges,
            validation=validation,
        )
        training.run(self.epochs, schedule)
        if self.pruning == "post_hoc":
            pruner.prune(1 - self.sparsity)
            training.run(self.fine_tuning, {})
        network.remove_gates()
        self.network_ = network
        comparison = compare_with_baselines(self._predict_paths, train, held_out)
        self.held_out_errors_, self.explains_, self.verdict_ = comparison
        scores = network.edges().numpy()
        self.edge_scores_ = pd.DataFrame(scores, self.gene_names_, self.gene_names_)
        self.sparsity_ = network.sparsity()
        self.history_ = pd.DataFrame(training.history)
        return self

    def _choose_influence(self):
        """Influence of the prior on the scores of input and of output weights."""
        influence = INFLUENCE.get(self.pruning, (0.0, 0.0))
        if influence is None:  # "dash"
            influence = self.influence
        if np.shape(influence) != (2,) or min(influence) < 0 or max(influence) > 1:
            raise ValueError(f"influence: expected two numbers in [0, 1], got {influence}")
        return influence

    def _pruning_schedule(self):
        """Map epochs after which weights are pruned during training to the fractions kept."""
        if self.pruning not in INFLUENCE:
            return {}
        kept_fractions = pruning_schedule(self.sparsity, *self.schedule)
        if "prune_before_epoch" in self.as_published:
            kept_fractions = {max(epoch - 1, 0): kept for epoch, kept in kept_fractions.items()}
        last = max(kept_fractions)
        if last >= self.epochs:
            raise ValueError(f"epochs: pruning ends after epoch {last}, training must end later")
        return kept_fractions

    def _match_interactions(self, interactions):
        """Interactions of the genes of the trajectories, (genes, genes), or None."""
        if interactions is None:
            return None
        strengths = gene_pairs(interactions, self.gene_names_, "interactions")
        similarity = torch.from_numpy(np.nan_to_num(strengths))
        if not similarity.any():
            raise ValueError("interactions: expected some between genes of the trajectories")
        return similarity

    def _split(self, samples: Samples, random: np.random.RandomState) -> tuple[Samples, Samples]:
        """Training and validation samples; sets the positions of the latter."""
        order = random.permutation(len(samples.times))
        # At least one sample is held out, unless it is the only one.
        n_held_out = max(round(HELD_OUT_FRACTION * len(order)), 1)
        n_held_out = min(n_held_out, len(order) - 1)
        self.validation_ = np.sort(order[:n_held_out])
        train = samples.select(np.sort(order[n_held_out:]))
        return train, samples.select(self.validation_)

    def _training_settings(self):
        return PhoenixSettings(
            pruning=self.pruning,
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            data_weight=self.data_weight,
            n_prior_points=self.n_prior_points,
            penalty=self.penalty,
            as_published=self.as_published,
        )

    def _predict_paths(self, start, times):
        with torch.no_grad():
            network = copy.deepcopy(self.network_).double()
            return integrate_trajectories(network, start, times, time_scale=self.time_scale_)
