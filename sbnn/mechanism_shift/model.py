"""A variational autoencoder for perturbation screens with sparse shifts of the latents."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from itertools import product
from numbers import Integral, Real
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import MOST, some
from sbnn.data.screens import as_screen, check_perturbation, check_screen_counts, codes_of
from sbnn.determinism import reproducible
from sbnn.errors import check_number, warn
from sbnn.mechanism_shift import network
from sbnn.mechanism_shift.direct import (
    class_sums,
    direct_effects,
    gene_effects,
    mean_shares,
    posterior_shares,
    shrunken,
)
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.recipe import MANY_GENES, PUBLISHED, Recipe
from sbnn.mechanism_shift.saving import load_model, save_model
from sbnn.mechanism_shift.training import DRAWS, Training, means_of

METHODS = ("staged", "svae+", "svae", "ivae", "vae")
STRENGTH = {"svae+": 10.0, "svae": 100.0}
MANY = 500  # genes above which `MANY_GENES` is the default
DOUBTFUL = 0.05  # probabilities of doubtful shifts are between this value and 1 minus it
MANY_DOUBTFUL = 0.05  # share of doubtful shifts above which latents of simulated screens were wrong
OF_BATCH = 0.5  # share of the variance of a latent that a batch may explain without a warning


class SparseShiftVAE(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Learn latents of single cells such that each perturbation shifts only a few of them.

    Counts follow a negative binomial distribution whose mean is the total count of the cell times a
    softmax of the decoded latents, which follow N(m, I). The methods differ in the mean m of a
    perturbation:

    - ``"staged"``, our method: m is the mean of the encoder over the cells, the latents are rotated
      by `unmix`, and training continues with m held at zero (the position of the control or,
      without one, of most perturbations) where a perturbation does not shift a latent.
    - ``"svae+"``, ``"svae"``: m and a mask on m are trained, with a penalty on the probabilities of
      the mask [1]_.
    - ``"ivae"``: m is trained without a mask.
    - ``"vae"``: m = 0.

    Parameters
    ----------
    n_latent : int or sequence of int, default=15
        Of several numbers, the one with the best likelihood of held-out cells is used. Too many
        latents harm the edges less than too few.
    method : {"staged", "svae+", "svae", "ivae", "vae"}
    strength : float, optional
        Of the penalty: K of Beta(1, K) for "svae+" (default 10), lambda for "svae" (default 100).
    recipe : Recipe or sequence of Recipe, optional
        Architecture and training, chosen like `n_latent` if there are several. The default is
        ``Recipe()`` for "staged" (`MANY_GENES` with more than 500 genes) and `PUBLISHED` for other
        methods.
    random_state : int, RandomState or None

    Attributes
    ----------
    perturbations_ : ndarray of str
        With the control.
    control_ : str or None
    shift_graph_ : DataFrame
        For each ``latent`` and each ``perturbation`` except the control, the ``probability`` of a
        shift and its size in standard deviations within a perturbation (``effect``).
    unmixing_ : Unmixing or None
        Only for "staged"; see `unmix`.
    gene_effects_ : DataFrame
        Only for "staged": for each ``gene`` and each ``perturbation`` except the control, the
        ``log_fold_change`` relative to the control (to the mean of the other perturbations if there
        is none). A ``significant`` one (at a false discovery rate of 1 %) is as measured; any
        other is close to the prediction of the ``model``. Intervals from ``lower`` to ``upper``
        contain 95 % of the true changes. ``direct`` is the part that the latents do not explain;
        there is an ``edge`` to the gene if it is significant.
    shares_ : Tensor
        Expected share of each gene in the counts of each perturbation, as in `predict_counts`.
    n_latent_, recipe_ : int, Recipe
        As chosen.
    weight_precision_ : float
        Of the prior on the weights at the end; in "staged", the one that held-out cells prefer.
    history_ : DataFrame
        A row per epoch.
    validation_ : ndarray of int
        Positions of the validation cells.
    network_, prior_ : torch.nn.Module

    References
    ----------
    .. [1] Lopez et al., "Learning causal representations of single cells via sparse mechanism shift
       modeling", CLeaR 2023, arXiv 2211.03553.

    Examples
    --------
    >>> from sbnn.mechanism_shift import Recipe, SparseShiftVAE, simulate_perturbations
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> quick = Recipe(epochs=2, least_updates=0, updates_per_pair=0)
    >>> model = SparseShiftVAE(4, recipe=quick, random_state=0).fit(screen)
    >>> model.transform(screen).shape
    (600, 4)
    """

    _parameter_constraints = {
        "n_latent": [Integral, list, tuple],
        "method": [StrOptions({*METHODS})],
        "strength": [Interval(Real, 0, None, closed="neither"), None],
        "recipe": [Recipe, list, tuple, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_latent: int | Sequence[int] = 15,
        method: str = "staged",
        strength: float | None = None,
        recipe: Recipe | Sequence[Recipe] | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latent = n_latent
        self.method = method
        self.strength = strength
        self.recipe = recipe
        self.random_state = random_state

    def algorithm_version(self, n_cells: int) -> int:
        """Version of the algorithm, which is part of the identity of stored results."""
        # 2: the published penalty of "svae"; the shrinkage of the last stage of "staged" is chosen
        return 2 if self.method in ("svae", "staged") else 1

    def fit(
        self, counts, perturbation: ArrayLike | None = None, control: str | None = None
    ) -> Self:
        """Train the network, and estimate which latents each perturbation shifts.

        Parameters
        ----------
        counts : AnnData, or array, sparse matrix or DataFrame of shape (n, p)
            Raw counts.
        perturbation : array-like, shape (n,), optional
            If None, perturbations and control are read from `counts`, an AnnData from `screen`.
        control : str, optional
            Label of the cells in which nothing was perturbed.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If counts are negative, fractional or NaN, a cell has no counts, a perturbation has only
            one cell, there are fewer than two perturbations, no cell has the label `control`, or a
            parameter is out of range.
        TypeError
            If counts are not numbers.
        """
        self._validate_params()
        if perturbation is None:
            screen = as_screen(counts)
            perturbation = screen.perturbation
            if control is None:
                control = screen.control
        self.control_ = None if control is None else str(control)
        perturbation = check_perturbation(perturbation, counts, self.control_)
        labels = getattr(counts, "obs", pd.DataFrame())
        counts = self._checked(counts, reset=True)
        self.perturbations_, codes, _ = codes_of(perturbation, self.control_)
        best = -np.inf
        candidates = self._candidates(counts.shape[1])
        for n_latent, recipe in candidates:
            fitted = copy(self)._fit_one(n_latent, recipe, counts, codes)
            score = 0.0
            if len(candidates) > 1 and len(fitted.validation_):
                held_out = fitted.validation_
                score = fitted._mean(network.iwelbo_of_cells, counts, held_out, codes, DRAWS)
            if score > best:
                best = score
                chosen = fitted
        self.__dict__.update(vars(chosen))
        if self.method == "staged":
            self._warn(counts, perturbation, labels)
        return self

    def _candidates(self, n_genes=0):
        """Pairs of a number of latents and a recipe."""
        sizes = [self.n_latent] if isinstance(self.n_latent, Integral) else self.n_latent
        recipes = self.recipe
        if recipes is None and self.method == "staged":
            recipes = MANY_GENES if n_genes > MANY else Recipe()
        elif recipes is None:
            recipes = PUBLISHED
        if isinstance(recipes, Recipe):
            recipes = [recipes]
        for size in sizes:
            check_number("n_latent", size, int, 1, MOST)
        if not len(sizes):
            raise ValueError("n_latent: expected at least one number")
        if not len(recipes) or not all(isinstance(recipe, Recipe) for recipe in recipes):
            raise TypeError(f"recipe: expected Recipe objects, got {recipes}")
        return list(product(sizes, recipes))

    def _fit_one(self, n_latent, recipe, counts, codes):
        names = self.perturbations_
        self.n_latent_ = n_latent
        self.recipe_ = recipe
        self.prior_ = self._new_prior(n_latent)
        with reproducible(), torch.random.fork_rng(devices=[]):
            training = Training(counts, codes, self.prior_, recipe, self.random_state)
            self.network_ = training.network
            self.validation_ = training.validation
            if self.method == "staged":
                self.unmixing_ = training.run_staged(names, self.control_)
            else:
                self.unmixing_ = None
                training.run(training.epochs, recipe.warm_up)
        self.history_ = pd.DataFrame(training.history)
        self.weight_precision_ = training.weight_precision
        self.direct_ = torch.zeros(len(names), 1)
        if self.method == "staged":
            self._add_direct_effects(counts, codes, training.train)
            self.shift_graph_ = self.unmixing_.graph
        else:
            moved = names != self.control_
            means = self.prior_.means().detach()
            self.shares_ = self._mean_shares(means, self.direct_)
            effects = self._effects(means)
            probabilities = self.prior_.probabilities().detach()
            self.shift_graph_ = graph_table(names[moved], effects[moved], probabilities[moved])
        return self

    def _new_prior(self, n_latent):
        n_perturbations = len(self.perturbations_)
        if self.method in STRENGTH:
            strength = self.strength or STRENGTH[self.method]
            summed = self.method == "svae+"
            return network.MaskedMeans(n_perturbations, n_latent, strength, summed)
        mask = 0.0 if self.method == "vae" else 1.0
        return network.Prior(n_perturbations, n_latent, trained=self.method == "ivae", mask=mask)

    def transform(self, counts) -> np.ndarray:
        """Means of the encoder.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_latent)
        """
        return self._encoded(self._checked(counts)).double().numpy()

    def elbo(self, counts, perturbation: ArrayLike, n_samples: int = 10) -> float:
        """Evidence lower bound of cells given their perturbations, in nats.

        Parameters
        ----------
        counts, perturbation
            As in `fit`; all perturbations must be among `perturbations_`.
        n_samples : int
            Draws of the latents of each cell.

        Returns
        -------
        float
            Mean over the cells.
        """
        return self._bound(network.elbo_of_cells, counts, perturbation, n_samples)

    def iwelbo(self, counts, perturbation: ArrayLike, n_samples: int = 1000) -> float:
        """Importance-weighted bound (Burda et al. 2016), which is tighter than `elbo`."""
        return self._bound(network.iwelbo_of_cells, counts, perturbation, n_samples)

    def predict_counts(self, total: float = 10_000) -> pd.DataFrame:
        """Expected counts in a cell with this `total`, a DataFrame of perturbations by genes.

        For "staged", shares that the latents predict are combined with measured ones, by their
        precision.
        """
        check_is_fitted(self)
        check_number("total", total, float, 0)
        genes = getattr(self, "feature_names_in_", None)
        return pd.DataFrame(total * self.shares_.numpy(), self.perturbations_, genes)

    def fit_new_perturbations(
        self, counts, perturbation: ArrayLike, learn_shifts: bool = True
    ) -> Self:
        """Estimate the shifts of new perturbations.

        The network stays fixed, and a new perturbation may shift all latents. Its prior mean m is
        the mean of the encoder over its cells, which maximises the evidence lower bound.

        Parameters
        ----------
        counts, perturbation
            Of cells of the new perturbations, as in `fit`.
        learn_shifts : bool
            If False, m is 0, as before shifts are learned.

        Returns
        -------
        SparseShiftVAE
            With the new perturbations, whose shifts have probability 1 if they were learned, and
            0 otherwise.

        Raises
        ------
        ValueError
            If a perturbation is not new, or counts are invalid as in `fit`.
        """
        given = check_perturbation(perturbation, counts)
        counts = self._checked(counts)
        known = sorted(set(given) & set(self.perturbations_))
        if known:
            raise ValueError(f"perturbation: pass only new ones; the model knows {some(known)}")
        names, codes = np.unique(given, return_inverse=True)
        learned = float(learn_shifts and self.method != "vae")
        means = means_of(self._encoded(counts), torch.from_numpy(codes), len(names)) * learned
        other = copy(self)
        other.perturbations_ = np.concatenate([self.perturbations_, names])
        other.prior_ = network.Prior(len(other.perturbations_), self.n_latent_)
        old_mask = (self.prior_.probabilities().detach() > 0.5).float()
        other.prior_.mask = torch.cat([old_mask, torch.ones_like(means)])
        other.prior_.set_means(torch.cat([self.prior_.means().detach(), means]))
        no_direct = torch.zeros(len(names), self.direct_.shape[1])
        other.direct_ = torch.cat([self.direct_, no_direct])
        other.shares_ = torch.cat([self.shares_, self._mean_shares(means, no_direct)])
        probabilities = torch.full(means.shape, learned)
        new = graph_table(names, self._effects(means) * learned, probabilities)
        other.shift_graph_ = pd.concat([self.shift_graph_, new], ignore_index=True)
        return other

    def save(self, path) -> Path:
        """Write the model to a safetensors file with a checksum; return its path.

        A file of another kind is not overwritten.
        """
        check_is_fitted(self)
        return save_model(self, path)

    @classmethod
    def load(cls, path) -> Self:
        """Read a model written by `save`. Its results are the same to the last bit.

        Raises
        ------
        FileNotFoundError
        ValueError
            If the file is damaged, or not a model of this class.
        """
        return load_model(cls, path)

    def _add_direct_effects(self, counts, codes, train):
        """Add direct effects on genes if held-out cells get likelier."""
        names = self.perturbations_
        cells = network.Cells(counts)
        with reproducible():
            sums = class_sums(self.network_, cells, train, codes, len(names))
        ratios, errors = direct_effects(sums)
        direct, _ = shrunken(ratios, errors)
        self.direct_ = torch.from_numpy(direct).float()
        means = self.prior_.means().detach()
        none = torch.zeros_like(self.direct_)
        both = self._mean_shares(means, torch.stack([none, self.direct_], dim=1)).numpy()
        of_latents = both[:, 0]
        shares = both[:, 1]
        if not self._likelier_with_direct(counts, codes, none):
            shares = of_latents
            self.direct_ = none
        with reproducible():
            of_all = class_sums(self.network_, cells, np.arange(len(codes)), codes, len(names))
        self.shares_ = torch.from_numpy(posterior_shares(of_all, of_latents))
        direct = self.direct_.double().numpy()
        table = gene_effects(sums, shares, direct, names != self.control_)
        genes = getattr(self, "feature_names_in_", np.arange(counts.shape[1]))
        moved = names[names != self.control_]
        pairs = pd.MultiIndex.from_product([moved, genes], names=["perturbation", "gene"])
        self.gene_effects_ = table.set_index(pairs).reset_index()

    def _likelier_with_direct(self, counts, codes, none):
        """Whether direct effects make the validation cells, if any, likelier."""
        if not len(self.validation_):
            return True
        cells = network.elbo_of_cells, counts, self.validation_, codes, 10
        return self._mean(*cells) > self._mean(*cells, direct=none)

    def _warn(self, counts, perturbation, labels):
        doubtful = self.shift_graph_["probability"].between(DOUBTFUL, 1 - DOUBTFUL).mean()
        if doubtful > MANY_DOUBTFUL:
            warn(
                f"{doubtful:.0%} of the shifts may or may not be edges; perturbations may shift "
                "too many latents; try a larger n_latent"
            )
        latents = self._encoded(counts).double().numpy()
        for column in labels:
            levels = labels[column].astype(str).to_numpy()
            if not _may_be_batch(levels, perturbation):
                continue
            share = _variance_between(latents, levels)
            for i in np.flatnonzero(share > OF_BATCH):
                warn(
                    f"{column} explains {share[i]:.0%} of the variance of latent_{i}; edges to "
                    "this latent may reflect batches if perturbations are confounded with them"
                )

    def _checked(self, counts, reset=False):
        """Counts in CSR format; their genes are compared with (`reset`: become) the model's."""
        if not reset:
            check_is_fitted(self)
        table = counts
        if hasattr(counts, "obs"):  # AnnData: scikit-learn compares only the names of a DataFrame
            table = pd.DataFrame(columns=counts.var_names)
            counts = counts.X
        checked = check_screen_counts(counts).astype(np.float32)
        empty = np.flatnonzero(np.asarray(checked.sum(axis=1)) == 0)
        if len(empty):
            raise ValueError(f"counts: leave out the cells without any, at positions {some(empty)}")
        validate_data(self, table, skip_check_array=True, reset=reset)
        return checked

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags

    def _encoded(self, counts):
        """Mean latents of cells, Tensor of shape (n, d)."""
        with reproducible():
            cells = network.Cells(counts)
            inputs = network.input_blocks(self.network_, cells, np.arange(counts.shape[0]))
            mean, _ = network.encoded(self.network_, inputs)
        return mean

    def _mean_shares(self, means, direct):
        """Expected shares of the genes for prior means, Tensor of shape (len(means), p)."""
        with reproducible():
            return torch.from_numpy(mean_shares(self.network_, means, direct))

    def _bound(self, function, counts, perturbation, n_samples):
        check_number("n_samples", n_samples, int, 1)
        names = check_perturbation(perturbation, counts)
        counts = self._checked(counts)
        codes = pd.Index(self.perturbations_).get_indexer(names)
        if (codes < 0).any():
            unknown = some(np.unique(names[codes < 0]))
            raise ValueError(
                f"perturbation: not among those of the fit: {unknown}; use fit_new_perturbations"
            )
        return self._mean(function, counts, np.arange(len(codes)), codes, n_samples)

    def _mean(self, function, counts, cells, codes, n_samples, direct=None):
        """Mean of a bound over the cells at some positions in checked counts."""
        means = self.prior_.means().detach()
        direct = self.direct_ if direct is None else direct
        source = network.Cells(counts)
        with reproducible():
            bounds = function(self.network_, source, cells, codes[cells], means, direct, n_samples)
        return float(bounds.double().mean())

    def _effects(self, means):
        """Mean latents relative to the control, in SDs within a perturbation, of shape (m, d)."""
        if self.unmixing_ is not None:
            return torch.from_numpy(self.unmixing_.transform(means.double().numpy()))
        control = self.perturbations_ == self.control_
        # the sum is 0 without a control
        return means - self.prior_.means().detach()[control].sum(0)


def _may_be_batch(levels, perturbation):
    """Whether levels are few, and each has several perturbations (unlike guides)."""
    n_perturbations = pd.Series(perturbation).groupby(levels).nunique()
    few = 2 <= len(n_perturbations) <= len(levels) // 20
    return few and n_perturbations.min() >= 2


def _variance_between(latents, levels):
    """Share of the variance of each latent that lies between the levels of a label."""
    centred = latents - latents.mean(axis=0)
    between = pd.DataFrame(centred).groupby(levels).transform("mean").to_numpy()
    total = np.maximum((centred**2).sum(axis=0), 1e-9)
    return (between**2).sum(axis=0) / total
