"""A variational autoencoder for perturbation screens with sparse shifts of the latents."""

import warnings
from copy import copy
from functools import partial
from itertools import product
from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import MOST, check_unmasked, some
from sbnn.data.screens import as_screen, check_perturbation, check_screen_counts, codes_of
from sbnn.determinism import reproducible
from sbnn.errors import attempt, check_flag, check_number
from sbnn.mechanism_shift import network
from sbnn.mechanism_shift.direct import (
    class_sums,
    direct_effects,
    gene_effects,
    mean_shares,
    shrunken,
)
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.recipe import PUBLISHED, Recipe
from sbnn.mechanism_shift.training import DRAWS, Training, means_of

METHODS = ("staged", "svae+", "svae", "ivae", "vae")
STRENGTH = {"svae+": 10.0, "svae": 100.0}
# shifts whose probability is between this value and 1 minus this value are doubtful
DOUBTFUL = 0.05
# share of doubtful shifts above which the latents of simulated screens were wrong
MANY_DOUBTFUL = 0.05
OF_BATCH = 0.5  # warn if a batch explains more than this share of the variance of a latent
SHRUNK = 0.5  # warn if the slope of predicted on measured log fold changes is below this value


class SparseShiftVAE(TransformerMixin, BaseEstimator, auto_wrap_output_keys=None):
    """Learn latents of single cells such that each perturbation shifts only a few of them.

    Counts follow a negative binomial distribution whose mean is the total count of the cell times a
    softmax of the decoded latents; the latents of a cell follow N(m, I), where m depends on its
    perturbation. The methods differ in m:

    - ``"staged"``, our method: an identifiable VAE is trained in which m is the mean of the encoder
      over the cells of a perturbation, the latents are rotated by `unmix`, and training continues
      with m held at zero (the position of the control or, without one, of most perturbations) where
      a perturbation does not shift a latent.
    - ``"svae+"``, ``"svae"``: m and a mask on m are trained, with a penalty on the probabilities of
      the mask [1]_.
    - ``"ivae"``: m is trained without a mask.
    - ``"vae"``: m = 0.

    Parameters
    ----------
    n_latent : int or sequence of int, default=15
        Number of latents. If several numbers are given, the number with the best likelihood of
        held-out cells is used. Too many latents are better than too few: unused latents harm the
        edges less than missing latents do.
    method : {"staged", "svae+", "svae", "ivae", "vae"}
    strength : float, optional
        Strength of the penalty: K of Beta(1, K) for "svae+" (10 by default), lambda for "svae" (100
        by default).
    recipe : Recipe or sequence of Recipe, optional
        Architecture and training. If several recipes are given, the recipe with the best likelihood
        of held-out cells is used. The default is ``Recipe()`` for "staged" and `PUBLISHED` for
        other methods.
    random_state : int, RandomState or None

    Attributes
    ----------
    perturbations_ : ndarray of str
        All perturbations, including the control.
    control_ : str or None
    shift_graph_ : DataFrame
        A row for each ``latent`` and each ``perturbation`` except the control, with the
        ``probability`` of a shift and its size in standard deviations within a perturbation
        (``effect``).
    unmixing_ : Unmixing or None
        Only for "staged". ``unseparated`` lists pairs of latents that the screen cannot separate,
        and ``unmoved`` lists latents that no perturbation shifts.
    gene_effects_ : DataFrame
        Only for "staged": a row for each ``gene`` and each ``perturbation`` except the control.
        ``log_fold_change`` is relative to the control (to all perturbations if there is none) and
        has a 95 % interval from ``lower`` to ``upper``. A ``significant`` log fold change (at a
        false discovery rate of 1 %) is the measured change; any other is close to the change
        predicted by the ``model``. ``direct`` is the part of the change that the latents do not
        explain; there is an ``edge`` to the gene if this part is significant.
    n_latent_, recipe_ : int, Recipe
        Chosen number of latents, and chosen recipe.
    weight_precision_ : float
        Precision of the prior on the weights at the end of training; in "staged", the one that
        held-out cells prefer.
    history_ : DataFrame
        One row per epoch of training.
    validation_ : ndarray of int
        Positions of the validation cells.
    network_, prior_ : torch.nn.Module

    References
    ----------
    .. [1] Lopez et al., "Learning causal representations of single cells via sparse mechanism shift modeling", CLeaR
       2023, arXiv 2211.03553.

    Examples
    --------
    >>> from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> model = SparseShiftVAE(4, random_state=0).fit(screen)
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

    def __init__(self, n_latent=15, method="staged", strength=None, recipe=None, random_state=None):
        self.n_latent = n_latent
        self.method = method
        self.strength = strength
        self.recipe = recipe
        self.random_state = random_state

    def algorithm_version(self, n_cells):
        """Version for stored results; 2: "svae" has the published penalty, "staged" chooses its last shrinkage."""
        return 2 if self.method in ("svae", "staged") else 1

    def fit(self, counts, perturbation=None, control=None):
        """Train the network, and estimate which latents each perturbation shifts.

        Parameters
        ----------
        counts : AnnData, or array, sparse matrix or DataFrame of shape (n, p)
            Raw counts.
        perturbation : array-like, shape (n,), optional
            What was perturbed in each cell. If None, perturbations and control are read from
            `counts`, which must then be an AnnData from `screen`.
        control : str, optional
            Label of the cells in which nothing was perturbed. Shifts are relative to these cells.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If counts are negative, fractional or NaN (the message gives their share), a cell has no
            counts, a perturbation has only one cell, there are fewer than two perturbations, no
            cell has the label `control`, or a parameter is out of range.
        TypeError
            If counts are not numbers.
        """
        self._validate_params()
        if perturbation is None:
            screen = as_screen(counts)
            perturbation, control = (
                screen.perturbation,
                screen.control if control is None else control,
            )
        self.control_ = None if control is None else str(control)
        checked = check_perturbation(perturbation, counts, self.control_)
        labels = getattr(counts, "obs", pd.DataFrame())
        counts = self._checked(counts, reset=True)
        genes = getattr(self, "feature_names_in_", np.arange(counts.shape[1]))
        names, codes, _ = codes_of(checked, self.control_)
        recipes = self.recipe or (Recipe() if self.method == "staged" else PUBLISHED)
        recipes, self.perturbations_ = [recipes] if isinstance(recipes, Recipe) else recipes, names
        sizes = [self.n_latent] if isinstance(self.n_latent, Integral) else self.n_latent
        for size in sizes:
            check_number("n_latent", size, int, 1, MOST)
        tried, best = list(product(sizes, recipes)), -np.inf
        if not tried or not all(isinstance(recipe, Recipe) for recipe in recipes):
            raise TypeError(
                f"n_latent, recipe: expected numbers and Recipe objects, got {sizes} and {recipes}"
            )
        for n_latent, recipe in tried:
            fitted = copy(self)._fit_one(n_latent, recipe, counts, codes, genes)
            aside = fitted.validation_ if len(tried) > 1 else ()
            score = (
                fitted._mean(network.iwelbo_of_cells, counts, aside, codes, DRAWS)
                if len(aside)
                else 0.0
            )
            if score > best:
                best, chosen = score, fitted
        self.__dict__.update(vars(chosen))
        if self.method == "staged":
            self._warn(counts, checked, labels)
        return self

    def _fit_one(self, n_latent, recipe, counts, codes, genes):
        """Train with one number of latents and one recipe."""
        names, self.n_latent_, self.recipe_ = self.perturbations_, n_latent, recipe
        random = check_random_state(self.random_state)
        seed = random.randint(2**31 - 1)
        train, self.validation_ = split = _split(codes, recipe.validation_share, random)
        cells = network.Cells(counts)
        with reproducible(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # for initial weights and dropout
            self.network_ = network.ShiftNetwork(counts.shape[1], n_latent, recipe)
            shares = torch.from_numpy(
                np.asarray(counts[train].sum(axis=0) / counts[train].sum())
            ).float()
            self.network_.logits.bias.data.copy_(shares.clamp_min(1e-8).log())
            if recipe.standardize:
                self.network_.input_mean, self.network_.input_sd = cells.log_moments(train)
            if self.method in STRENGTH:
                strength = self.strength or STRENGTH[self.method]
                self.prior_ = network.MaskedMeans(
                    len(names), n_latent, strength, summed=self.method == "svae+"
                )
            else:
                open_mask = float(self.method != "vae")
                self.prior_ = network.Prior(len(names), n_latent, self.method == "ivae", open_mask)
            training = Training(self.network_, self.prior_, cells, codes, split, recipe, seed)
            if self.method == "staged":
                self.unmixing_ = training.run_staged(names, self.control_)
            else:
                self.unmixing_ = training.run(training.epochs, recipe.warm_up)
        self.history_, self.direct_ = pd.DataFrame(training.history), torch.zeros(len(names), 1)
        self.weight_precision_ = training.weight_precision
        if self.method == "staged":
            self._add_direct_effects(counts, codes, train, genes)
        if self.unmixing_ is not None:
            self.shift_graph_ = self.unmixing_.graph
        else:
            moved, probabilities = names != self.control_, self.prior_.probabilities().detach()
            effects = self._effects(self.prior_.means().detach())
            self.shift_graph_ = graph_table(names[moved], effects[moved], probabilities[moved])
        return self

    def transform(self, counts):
        """Latents of cells: the means of the encoder.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_latent)
        """
        return self._encoded(self._checked(counts)).double().numpy()

    def elbo(self, counts, perturbation, n_samples=10):
        """Evidence lower bound of cells given their perturbations, in nats, computed in the same
        way for all methods.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)
        perturbation : array-like, shape (n,)
            Perturbation of each cell; all must be among `perturbations_`.
        n_samples : int
            Number of draws of the latents of each cell.

        Returns
        -------
        float
            Mean over the cells.
        """
        return self._bound(network.elbo_of_cells, counts, perturbation, n_samples)

    def iwelbo(self, counts, perturbation, n_samples=1000):
        """Importance-weighted bound (Burda et al. 2016), which is tighter with more draws; see `elbo`."""
        return self._bound(network.iwelbo_of_cells, counts, perturbation, n_samples)

    def predict_counts(self, total=10_000):
        """DataFrame (perturbations by genes) of the expected counts in a cell with this `total` count."""
        check_is_fitted(self)
        check_number("total", total, float, 0)
        with reproducible():
            shares = mean_shares(self.network_, self.prior_.means().detach(), self.direct_)
        return pd.DataFrame(
            total * shares, self.perturbations_, getattr(self, "feature_names_in_", None)
        )

    def fit_new_perturbations(self, counts, perturbation, learn_shifts=True):
        """Estimate the shifts of perturbations that were not among the training cells; the network
        stays fixed.

        The mask of a new perturbation is open, so that it may shift all latents. With the network
        fixed, the prior mean m that maximises the evidence lower bound is the mean of the encoder
        over the cells of the perturbation, so no gradient steps are needed.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)
            Cells of the new perturbations.
        perturbation : array-like, shape (n,)
        learn_shifts : bool
            If False, m is 0 for the new perturbations, as before their shifts are learned.

        Returns
        -------
        SparseShiftVAE
            A model that includes the new perturbations. In its `shift_graph_`, the new
            perturbations have probability 1 if shifts were learned, and 0 otherwise.

        Raises
        ------
        ValueError
            If a perturbation was among the training cells, or if counts are invalid as in `fit`.
        """
        given, counts = check_perturbation(perturbation, counts), self._checked(counts)
        known = sorted(set(given) & set(self.perturbations_))
        if known:
            raise ValueError(
                f"perturbation: the model was already fitted to {some(known)}; pass only new ones"
            )
        names, codes = np.unique(given, return_inverse=True)
        learned = float(check_flag("learn_shifts", learn_shifts) and self.method != "vae")
        shifts = means_of(self._encoded(counts), torch.from_numpy(codes), len(names)) * learned
        other = copy(self)
        other.perturbations_ = np.concatenate([self.perturbations_, names])
        other.prior_ = network.Prior(len(other.perturbations_), self.n_latent_)
        old = self.prior_.probabilities().detach()
        other.prior_.mask = torch.cat([(old > 0.5).float(), torch.ones_like(shifts)])
        other.prior_.set_means(torch.cat([self.prior_.means().detach(), shifts]))
        other.direct_ = torch.cat([self.direct_, torch.zeros(len(names), self.direct_.shape[1])])
        new = graph_table(names, self._effects(shifts) * learned, torch.full(shifts.shape, learned))
        other.shift_graph_ = pd.concat([self.shift_graph_, new], ignore_index=True)
        return other

    def _add_direct_effects(self, counts, codes, train, genes):
        """Add effects on genes that the latents do not explain, if they improve the likelihood of held-out cells."""
        names, aside = self.perturbations_, self.validation_
        with reproducible():
            *sums, squares, totals = class_sums(
                self.network_, network.Cells(counts), train, codes, len(names)
            )
        ratios = direct_effects(*sums)
        direct, _ = shrunken(*ratios)
        before, self.direct_ = self.direct_, torch.from_numpy(direct).float()
        if len(aside):
            bound = partial(self._mean, network.elbo_of_cells, counts, aside, codes, 10)
            if bound() <= bound(direct=before):
                self.direct_ = torch.zeros_like(self.direct_)
        tables = self.predict_counts(1.0).to_numpy(), self.direct_.double().numpy()
        self.gene_effects_ = gene_effects(
            sums[0], squares, totals, ratios, *tables, names, genes, self.control_
        )

    def _warn(self, counts, perturbation, labels):
        """Warn about doubtful edges, latents that follow a batch, and fold changes that the model shrinks."""
        doubtful = self.shift_graph_["probability"].between(DOUBTFUL, 1 - DOUBTFUL).mean()
        if doubtful > MANY_DOUBTFUL:
            text = "perturbations may shift too many latents; try a larger n_latent"
            warnings.warn(
                f"{doubtful:.0%} of the shifts may or may not be edges; {text}", stacklevel=3
            )
        latents = self._encoded(counts).double().numpy()
        latents = latents - latents.mean(axis=0)
        for column in labels:
            levels = labels[column].astype(str).to_numpy()
            across = pd.Series(perturbation).groupby(levels).nunique()
            if not 2 <= len(across) <= len(latents) // 20 or across.min() < 2:
                continue  # not a batch, or nested in perturbations (such as guides)
            between = pd.DataFrame(latents).groupby(levels).transform("mean").to_numpy()
            share = (between**2).sum(axis=0) / np.maximum((latents**2).sum(axis=0), 1e-9)
            for i in np.flatnonzero(share > OF_BATCH):
                text = "edges to this latent may reflect batches if perturbations are confounded with them"
                warnings.warn(
                    f"{column} explains {share[i]:.0%} of the variance of latent_{i}; {text}",
                    stacklevel=3,
                )
        table = self.gene_effects_[self.gene_effects_["significant"]]
        if len(table) > 1:
            slope = np.polyfit(table["log_fold_change"], table["model"], 1)[0]
            if slope < SHRUNK:
                start = f"predict_counts shrinks {len(table)} significant log fold changes to {slope:.2f} of the"
                text = f"{start} measured values on average; use gene_effects_, or train longer"
                warnings.warn(text, stacklevel=3)

    def _checked(self, counts, reset=False):
        """Check counts and their genes (with `reset`, set the genes of the model); returns the counts in CSR format."""
        if not reset:
            check_is_fitted(self)
        check_unmasked(counts, "counts")
        table = counts
        if hasattr(counts, "obs"):  # AnnData: scikit-learn compares only the names of a DataFrame
            counts, table = counts.X, pd.DataFrame(columns=counts.var_names)
        checked = check_screen_counts(counts).astype(np.float32)
        empty = np.flatnonzero(np.asarray(checked.sum(axis=1)) == 0)
        if len(empty):
            raise ValueError(
                f"counts: leave out the cells without any counts, which are at positions {some(empty)}"
            )
        attempt(
            "counts: expected the genes of the fit",
            validate_data,
            self,
            table,
            skip_check_array=True,
            reset=reset,
        )
        return checked

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags

    def _encoded(self, counts):
        with reproducible():
            return network.encoded(
                self.network_, network.Cells(counts), np.arange(counts.shape[0])
            )[0]

    def _bound(self, function, counts, perturbation, n_samples):
        check_number("n_samples", n_samples, int, 1)
        names, counts = check_perturbation(perturbation, counts), self._checked(counts)
        codes = pd.Index(self.perturbations_).get_indexer(names)
        if (codes < 0).any():
            unknown = some(np.unique(names[codes < 0]))
            raise ValueError(
                f"perturbation: the model was not fitted to {unknown}; use fit_new_perturbations first"
            )
        return self._mean(function, counts, np.arange(len(codes)), codes, n_samples)

    def _mean(self, function, counts, cells, codes, n_samples, direct=None):
        """Mean of the bound over the cells at the positions `cells` in checked counts."""
        tables = self.prior_.means().detach(), self.direct_ if direct is None else direct
        with reproducible():
            bounds = function(
                self.network_, network.Cells(counts), cells, codes[cells], *tables, n_samples
            )
        return float(bounds.double().mean())

    def _effects(self, means):
        """Mean latents relative to the control, in SDs within a perturbation, Tensor of shape (m, d)."""
        if self.unmixing_ is not None:
            return torch.from_numpy(self.unmixing_.transform(means.double().numpy()))
        control = self.perturbations_ == self.control_
        # the sum is zero without a control
        return means - self.prior_.means().detach()[control].sum(0)


def _split(codes, share, random):
    """Sorted positions of training and of validation cells, which are a `share` of the cells of every perturbation."""
    shuffled = [
        random.permutation(np.flatnonzero(codes == code)) for code in range(codes.max() + 1)
    ]
    aside = np.sort(np.concatenate([cells[: int(share * len(cells))] for cells in shuffled]))
    return np.setdiff1d(np.arange(len(codes)), aside), aside
