"""PHOENIX with scikit-learn's grammar: from trajectories to a sparse network of regulation."""

import copy
import warnings
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.data.trajectories import Trajectories, check_times, numbers, prior_matrix
from sbnn.determinism import reproducible
from sbnn.dynamics.gates import GatedPhoenix
from sbnn.dynamics.network import Phoenix
from sbnn.dynamics.penalties import PENALTIES
from sbnn.dynamics.pruning import INFLUENCE, Pruner
from sbnn.dynamics.recipe import Recipe
from sbnn.dynamics.solver import follow
from sbnn.dynamics.training import Intervals, PriorLoss, Training

PRUNINGS = ("none", *INFLUENCE, *PENALTIES)


class PhoenixRegressor(BaseEstimator):
    """Gene-regulatory dynamics by PHOENIX, a neural ODE [1]_, pruned with data and prior knowledge [2]_.

    Parameters
    ----------
    n_hidden : int
        Sums, and as many products. Published: 40 for the simulated networks, 120 for yeast, 300 for breast cancer.
    pruning : {"dash", "imp", "biological", "post_hoc", "l0", "c_node", "path_reg", "none"}
        On the way by size and prior, by size alone or by the prior alone; at once when trained, by size; by a penalty
        on open gates, on the sizes of paths or on open paths (`sbnn.dynamics.penalties`); not at all.
    sparsity : float
        Share of the weights that pruning removes of each layer, in (0, 1). With a penalty it has no effect: the weight
        of the penalty (`Recipe.penalty`) decides. A penalty on sizes alone leaves no weight at exactly zero.
    influence : tuple of (float, float)
        Of the prior on the scores of input and output weights, ``pruning="dash"`` alone. Published: (0.5, 0.05) with
        noise, (0.05, 0.01) without.
    recipe : Recipe, optional
    random_state : int, RandomState or None

    Attributes
    ----------
    network_ : Phoenix
    edge_scores_ : DataFrame, genes by genes
        ``[regulator, target]``: the sign is that of the effect, 0 is no edge.
    sparsity_ : float
        Share of zeros in Ws, Wp, As relu(m) and Ap relu(m).
    history_ : DataFrame
        Training by epoch.
    validation_ : ndarray of int
        Positions of the samples that were set aside.
    gene_names_ : ndarray of str
    n_features_in_ : int

    Notes
    -----
    Takes `Trajectories`, not a matrix, so that ``check_estimator`` of scikit-learn does not apply; parameters, cloning
    and seeds follow its rules. One thread: the same seed gives the same bits.

    References
    ----------
    .. [1] Hossain et al., "Biologically informed NeuralODEs for genome-wide regulatory dynamics", Genome Biology 2024.
    .. [2] Hossain et al., "Pruning neural network models for gene regulatory dynamics using data and domain knowledge",
       NeurIPS 2024, arXiv 2403.04805.

    Examples
    --------
    >>> from sbnn.dynamics import GeneNetwork, PhoenixRegressor, Recipe
    >>> network = GeneNetwork.random(30, random_state=1)
    >>> samples = network.simulate(20, noise=0.025, random_state=1)
    >>> model = PhoenixRegressor(10, sparsity=0.7, recipe=Recipe(epochs=60), random_state=0)
    >>> model = model.fit(samples, prior=network.misplaced_prior(0.05))
    >>> model.predict(samples.values[:3, 0], [0, 1, 2]).shape
    (3, 3, 30)
    """

    def __init__(
        self, n_hidden=40, pruning="dash", sparsity=0.955, influence=(0.5, 0.05), recipe=None, random_state=None
    ):
        self.n_hidden = n_hidden
        self.pruning = pruning
        self.sparsity = sparsity
        self.influence = influence
        self.recipe = recipe
        self.random_state = random_state

    def fit(self, trajectories, prior=None, together=None):
        """Train the network, and prune it.

        Parameters
        ----------
        trajectories : Trajectories
        prior : array-like or DataFrame, shape (genes, genes), optional
            ``[regulator, target]``: positive for an activation, negative for a repression, 0 where none is known.
        together : array-like or DataFrame, shape (genes, genes), optional
            Which genes act together, such as interactions of proteins; by default those that share targets.

        Returns
        -------
        self

        Raises
        ------
        TypeError
            No `Trajectories`, a parameter of another type.
        ValueError
            A parameter out of its range, a prior of another shape or of unknown genes, none where it is needed.
        DivergenceError
            A loss that is not finite.

        Warns
        -----
        UserWarning
            Genes that never change, schedules with too few epochs for the sparsity, a sparsity that leaves no edge.
        """
        recipe = self._check_parameters()
        check_trajectories(trajectories)
        prior, together = (
            None if given is None else torch.from_numpy(prior_matrix(given, trajectories.gene_names, argument))
            for given, argument in ((prior, "prior"), (together, "together"))
        )
        influence = self._influence()
        if prior is None and (any(influence) or recipe.data_weight < 1):
            raise ValueError(
                f"prior: pruning={self.pruning!r} with this influence and recipe needs one; pruning='imp' does not"
            )
        if prior is not None and not prior.any() and any(influence):
            raise ValueError("prior: it has no edge")
        random = check_random_state(self.random_state)
        generator = torch.Generator().manual_seed(random.randint(2**31 - 1))
        train, self.validation_ = split(len(trajectories), recipe.validation_share, random)
        self.gene_names_, self.n_features_in_ = trajectories.gene_names, trajectories.n_genes
        self._training_mean = trajectories.values[train].mean(axis=(0, 1))
        with reproducible():
            penalty, gated = self._penalty(recipe)
            if gated:
                network = GatedPhoenix(trajectories.n_genes, self.n_hidden, recipe.drop_rates, generator)
            else:
                network = Phoenix(trajectories.n_genes, self.n_hidden, generator)
            pruner = prior_loss = None
            if self.pruning in INFLUENCE:
                pruner = Pruner(network, influence, prior, together, generator)
            if recipe.data_weight < 1:
                prior_loss = PriorLoss(prior, recipe.n_prior_points, generator)
            samples = (Intervals(trajectories, rows) for rows in (train, self.validation_))
            training = Training(network, *samples, recipe, generator, prior_loss, pruner, penalty)
            self._run(training, recipe)
            self.network_ = network.settled()
            self.edge_scores_ = pd.DataFrame(self.network_.edges().numpy(), self.gene_names_, self.gene_names_)
        if not self.edge_scores_.to_numpy().any():
            what = f"sparsity {self.sparsity}"
            if penalty is not None:
                what = f"this weight of the penalty ({self._weight(recipe):g}, Recipe.penalty)"
            warnings.warn(
                f"no edge is left at {what}: no weights lead from one gene to another; a lower one would leave some",
                stacklevel=2,
            )
        self.sparsity_ = self.network_.sparsity()
        self.history_ = pd.DataFrame(training.history)
        return self

    def predict(self, x0, times, method="exponential"):
        """Follow samples from where they start.

        Parameters
        ----------
        x0 : array-like or DataFrame, shape (samples, genes)
            At the first time. Columns of a DataFrame are matched by the names of the genes, in any order.
        times : array-like, shape (times,) or (samples, times)
            Increasing, in the unit of the training.
        method : {"exponential", "dopri5"}
            Solver, see `sbnn.dynamics.solver.follow`.

        Returns
        -------
        ndarray of float64, shape (samples, times, genes)

        Raises
        ------
        ValueError
            No sample, other genes, NaN, times that do not increase.
        TypeError
            No numbers.
        DivergenceError
            Values that grow beyond all bounds.
        """
        check_is_fitted(self)
        return predict_paths(self.network_, x0, times, self.gene_names_, method)

    def score(self, trajectories):
        """R2 of trajectories that are followed from their first time, over all later times and genes.

        Parameters
        ----------
        trajectories : Trajectories
            Of the same genes in the same order.

        Returns
        -------
        float
            1 - SSE / SST about the mean of each gene in training.

        Raises
        ------
        TypeError
            No `Trajectories`.
        ValueError
            Other genes.
        """
        check_is_fitted(self)
        return score_paths(self, trajectories, self._training_mean)

    def _run(self, training, recipe):
        if self.pruning in ("none", "post_hoc", *PENALTIES):
            training.run(recipe.epochs)
            if self.pruning == "post_hoc":
                training.pruner.prune(1 - self.sparsity)
                training.run(recipe.fine_tuning)
            return
        last = recipe.schedule.last_epoch(self.sparsity)
        if last >= recipe.epochs:
            warnings.warn(
                f"sparsity {self.sparsity} is reached in epoch {last} of the schedule, but there are {recipe.epochs} "
                "epochs: what is left is pruned at once after them, without training",
                stacklevel=3,
            )
        training.run(recipe.epochs, recipe.schedule, self.sparsity)
        if last >= recipe.epochs:
            training.pruner.prune(1 - self.sparsity)

    def _penalty(self, recipe):
        """Penalty of the network, or None, and whether it needs gates."""
        if self.pruning not in PENALTIES:
            return None, False
        penalty, gated, _ = PENALTIES[self.pruning]
        weight = self._weight(recipe)
        return lambda network: weight * penalty(network), gated

    def _weight(self, recipe):
        return PENALTIES[self.pruning][2] if recipe.penalty is None else recipe.penalty

    def _influence(self):
        influence = INFLUENCE.get(self.pruning, (0.0, 0.0))
        return tuple(self.influence) if influence is None else influence

    def _check_parameters(self):
        if isinstance(self.n_hidden, bool) or not isinstance(self.n_hidden, Integral):
            raise TypeError(f"n_hidden: expected an integer, got {self.n_hidden!r}")
        if self.n_hidden < 1:
            raise ValueError(f"n_hidden: expected 1 or more, got {self.n_hidden}")
        if self.pruning not in PRUNINGS:
            raise ValueError(
                f"pruning: expected one of {', '.join(PRUNINGS)}, got {self.pruning!r}; a network that is more "
                "right than its prior is found by SparseRegulationRegressor"
            )
        if not (isinstance(self.sparsity, Real) and 0 < self.sparsity < 1):
            raise ValueError(f"sparsity: expected a number in (0, 1), got {self.sparsity!r}")
        influence = tuple(self.influence) if np.iterable(self.influence) else ()
        if len(influence) != 2 or not all(isinstance(part, Real) and 0 <= part <= 1 for part in influence):
            raise ValueError(f"influence: expected two numbers in [0, 1], got {self.influence!r}")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise TypeError(f"recipe: expected a Recipe or None, got {type(self.recipe).__name__}")
        return self.recipe or Recipe()


def check_trajectories(trajectories):
    """Refuse what are no `Trajectories` to learn from, and warn of genes that never change."""
    _require_trajectories(trajectories)
    still = np.ptp(trajectories.values, axis=(0, 1)) == 0
    if still.any():
        warnings.warn(
            f"{still.sum()} gene(s) have one value in all samples and times: {some(trajectories.gene_names[still])}; "
            "nothing can be learned of what regulates them, or of what they regulate",
            stacklevel=3,
        )


def _require_trajectories(trajectories):
    if not isinstance(trajectories, Trajectories):
        raise TypeError(
            f"trajectories: expected Trajectories, got {type(trajectories).__name__}; "
            "Trajectories(values, times) makes them of an array (samples, times, genes)"
        )


def split(n, share, random):
    """Positions to train on and to set aside, in ascending order; at least one of two or more is set aside."""
    aside = min(max(round(share * n), 1), n - 1) if share > 0 else 0
    order = random.permutation(n)
    return np.sort(order[aside:]), np.sort(order[:aside])


def predict_paths(model, x0, times, gene_names, method="exponential"):
    """Check a start and times, and follow a model of `sbnn.dynamics.solver.follow` in float64."""
    if isinstance(x0, pd.DataFrame):
        if sorted(map(str, x0.columns)) != sorted(gene_names):
            strangers = sorted({*map(str, x0.columns)} ^ {*gene_names})
            raise ValueError(f"x0: expected the genes of the training, once each, as columns; other: {some(strangers)}")
        x0 = x0.set_axis(x0.columns.astype(str), axis=1)[list(gene_names)]
    start, n_genes = numbers(x0, "x0"), len(gene_names)
    if start.ndim != 2 or start.shape[1] != n_genes or not len(start):
        raise ValueError(f"x0: expected shape (samples, {n_genes}), got {start.shape}")
    if not np.isfinite(start).all():
        raise ValueError(f"x0: {(~np.isfinite(start)).sum()} values are NaN or infinite")
    if not np.size(times) or not np.ndim(times):
        raise ValueError(f"times: expected shape (times,) or (samples, times), got {np.shape(times)}")
    times = check_times(times, len(start), np.shape(times)[-1])
    with reproducible(), torch.no_grad():
        values = follow(copy.deepcopy(model).double(), torch.from_numpy(start), torch.from_numpy(times), method=method)
    return values.numpy()


def score_paths(model, trajectories, mean):
    """R2 of `model.predict` at all times but the first, about a mean (genes,)."""
    _require_trajectories(trajectories)
    if trajectories.gene_names.tolist() != model.gene_names_.tolist():
        raise ValueError("trajectories: expected the genes of the training, in the same order")
    true = trajectories.values[:, 1:]
    predicted = model.predict(trajectories.values[:, 0], trajectories.times)[:, 1:]
    return float(1 - ((true - predicted) ** 2).sum() / ((true - mean) ** 2).sum())
