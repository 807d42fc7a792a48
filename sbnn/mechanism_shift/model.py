"""The user's object: a variational autoencoder of a perturbation screen whose latents are moved sparsely."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.data.screen_checks import check_perturbation
from sbnn.determinism import reproducible
from sbnn.mechanism_shift.cells import Cells
from sbnn.mechanism_shift.graph import graph_table
from sbnn.mechanism_shift.likelihood import elbo_of_cells, encoded, iwelbo_of_cells
from sbnn.mechanism_shift.network import ShiftNetwork
from sbnn.mechanism_shift.persistence import load_model, save_model
from sbnn.mechanism_shift.priors import FixedMeans, prior_of
from sbnn.mechanism_shift.recipe import PUBLISHED, Recipe
from sbnn.mechanism_shift.screen_input import ScreenModel
from sbnn.mechanism_shift.training import Training, train_staged

METHODS = ("staged", "svae+", "svae", "ivae", "vae")
STRENGTH = {"svae+": 10.0, "svae": 100.0}


class SparseShiftVAE(ScreenModel):
    """Latents of single cells, of which each perturbation moves few.

    Counts come from a negative binomial whose mean is the total of the cell times a softmax of the decoded latents;
    the latents of a cell come from N(m, I), where m depends on its perturbation. The methods differ in m:

    - ``"staged"``: an identifiable VAE whose m are the means of the encoder, then `unmix`, then training with m held at
      zero where a perturbation does not move a latent. Ours.
    - ``"svae+"``, ``"svae"``: trained m under a trained mask, with a penalty on its probabilities [1]_.
    - ``"ivae"``: trained m, all of them free.
    - ``"vae"``: m = 0.

    Parameters
    ----------
    n_latent : int, default=15
    method : {"staged", "svae+", "svae", "ivae", "vae"}
    strength : float, optional
        Of the penalty: K of Beta(1, K) for "svae+" (10 by default), lambda for "svae" (100).
    recipe : Recipe, optional
        Architecture and training; by default `Recipe()` for "staged" and `PUBLISHED` for the others.
    random_state : int, RandomState or None

    Attributes
    ----------
    perturbations_ : ndarray of str
        All of them, with the control.
    control_ : str or None
    shift_graph_ : DataFrame
        A row for each perturbation but the control and each latent: ``perturbation``, ``latent``, ``probability`` that
        it is moved, and ``effect``, by how much, in standard deviations within a perturbation.
    unmixing_ : Unmixing or None
        Of "staged" alone: with the pairs of latents that the screen cannot separate.
    history_ : DataFrame
        Training by epoch.
    validation_ : ndarray of int
        Positions of the cells that were set aside.
    network_, prior_ : ShiftNetwork, Prior
    n_features_in_ : int
    feature_names_in_ : ndarray
        Where `counts` was a DataFrame.

    Notes
    -----
    Without a control, m = 0 is where most perturbations leave a latent. One thread, so that the same seed gives the
    same bits.

    References
    ----------
    .. [1] Lopez et al., "Learning causal representations of single cells via sparse mechanism shift modeling", CLeaR
       2023, arXiv 2211.03553.

    Examples
    --------
    >>> from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> model = SparseShiftVAE(4, random_state=0).fit(screen.counts, screen.perturbation)
    >>> model.transform(screen.counts).shape
    (600, 4)
    """

    def __init__(self, n_latent=15, method="staged", strength=None, recipe=None, random_state=None):
        self.n_latent = n_latent
        self.method = method
        self.strength = strength
        self.recipe = recipe
        self.random_state = random_state

    def fit(self, counts, perturbation, control=None):
        """Train the network, and estimate which latents each perturbation moves.

        Parameters
        ----------
        counts : array, sparse matrix or DataFrame of shape (n, p)
            Raw counts.
        perturbation : array-like, shape (n,)
            Name of what was perturbed in each cell.
        control : str, optional
            Name of the cells in which nothing was: they define zero.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Counts that are negative, fractional or NaN (with their share), cells without a count, a perturbation of
            one cell, fewer than two perturbations, a control that no cell has, a parameter out of its range.
        TypeError
            Counts that are not numbers, a parameter of another type.

        Warns
        -----
        UserWarning
            Genes without any count, more latents than perturbations, cells that look like a control that is not named.
        """
        recipe = self._fitted_recipe = self._checked_recipe()
        counts, names, codes = self._training_cells(counts, perturbation, control)
        self.perturbations_ = names
        self.median_total_ = float(np.median(counts.sum(axis=1)))
        random = check_random_state(self.random_state)
        seed = random.randint(2**31 - 1)
        split = _split(codes, recipe.validation_share, random)
        self.validation_ = split[1]
        cells = Cells(counts)
        with reproducible(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # initial weights and dropout
            self._mean, self._sd = cells.log_moments(split[0])
            shares = torch.from_numpy(np.asarray(counts[split[0]].sum(axis=0) / counts[split[0]].sum())).float()
            self.network_ = ShiftNetwork(counts.shape[1], self.n_latent, recipe, shares)
            self.prior_ = prior_of(self.method, len(names), self.n_latent, self._strength())
            training = Training(
                self.network_, self.prior_, cells, codes, split, recipe, self._inputs,
                torch.Generator().manual_seed(seed),
            )  # fmt: skip
            self.unmixing_ = None
            if self.method == "staged":
                self.unmixing_ = train_staged(training, names, self.control_, seed)
            else:
                training.run(recipe.epochs_for(training.n_batches, self.n_latent), recipe.warm_up)
        self.history_ = pd.DataFrame(training.history)
        self.shift_graph_ = self._graph()
        return self

    def transform(self, counts):
        """Latents of cells: the means of the encoder.

        Parameters
        ----------
        counts : array, sparse matrix or DataFrame of shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, n_latent)
        """
        return self._encoded(self._more_cells(counts)).double().numpy()

    def elbo(self, counts, perturbation, n_samples=10, per_cell=False):
        """Evidence lower bound of cells under their perturbations, in nats, by the same function for all methods.

        Parameters
        ----------
        counts : array, sparse matrix or DataFrame of shape (n, p)
        perturbation : array-like, shape (n,)
            Known ones.
        n_samples : int
            Draws of the latents of each cell.
        per_cell : bool

        Returns
        -------
        float or ndarray of shape (n,)
            Mean over the cells, or each one's.

        Raises
        ------
        ValueError
            A perturbation that the model does not know; see `fit_new_perturbations`.
        """
        return self._bound(elbo_of_cells, counts, perturbation, n_samples, per_cell)

    def iwelbo(self, counts, perturbation, n_samples=1000, per_cell=False):
        """Importance-weighted bound (Burda et al. 2016), nearer to the likelihood the more draws; as `elbo`."""
        return self._bound(iwelbo_of_cells, counts, perturbation, n_samples, per_cell)

    def predict_counts(self, perturbation, n_cells=1000, total=None):
        """Counts that are expected under perturbations.

        Parameters
        ----------
        perturbation : str or sequence of str
        n_cells : int
            Cells drawn from the prior of each, over which the mean is taken.
        total : float, optional
            Counts of a cell; by default the median of the training cells.

        Returns
        -------
        DataFrame
            Perturbations by genes.

        Raises
        ------
        ValueError
            A perturbation that the model does not know, fewer than one cell, a total that is not positive.
        """
        check_is_fitted(self)
        if not isinstance(n_cells, Integral) or n_cells < 1:
            raise ValueError(f"n_cells: expected 1 or more, got {n_cells!r}")
        if total is not None and not (isinstance(total, Real) and 0 < total < np.inf):
            raise ValueError(f"total: expected a number > 0 or None, got {total!r}")
        names = np.atleast_1d(np.asarray(perturbation, dtype=object)).astype(str)
        means = self.prior_.means().detach()[torch.from_numpy(self._codes(names))]
        noise = torch.randn((n_cells, self.n_latent), generator=torch.Generator().manual_seed(0))
        with reproducible(), torch.no_grad():
            self.network_.eval()
            shares = torch.stack([self.network_.decode(mean + noise).exp().mean(0) for mean in means]).double().numpy()
        genes = getattr(self, "feature_names_in_", [f"gene_{i}" for i in range(self.n_features_in_)])
        return pd.DataFrame(shares * (self.median_total_ if total is None else total), names, genes)

    def fit_new_perturbations(self, counts, perturbation, learn_shifts=True):
        """Learn where perturbations move the latents that were not among the training cells; the network stays.

        The mask of a new perturbation is open. With the network as it is, the best m in the evidence lower bound is the
        mean of what the encoder says of its cells, which needs no gradient steps.

        Parameters
        ----------
        counts : array, sparse matrix or DataFrame of shape (n, p)
            Cells of the new perturbations.
        perturbation : array-like, shape (n,)
        learn_shifts : bool
            Without it, m of the new ones is 0: where the transfer starts.

        Returns
        -------
        SparseShiftVAE
            Another model, that also knows these; `shift_graph_` holds rows for each of them, with probability 1 where
            its shifts were learned.

        Raises
        ------
        ValueError
            A perturbation that the model knows; counts as in `fit`.
        """
        counts = self._more_cells(counts)
        given = check_perturbation(perturbation, counts.shape[0])
        known = sorted(set(given) & set(self.perturbations_))
        if known:
            raise ValueError(f"perturbation: {some(known)} were among the training cells; give new ones alone")
        names, codes = np.unique(given, return_inverse=True)
        latents = self._encoded(counts)
        sums = torch.zeros((len(names), self.n_latent)).index_add_(0, torch.from_numpy(codes), latents)
        shifts = sums / torch.bincount(torch.from_numpy(codes))[:, None] * float(learn_shifts)
        other = self._copy()
        other.perturbations_ = np.concatenate([self.perturbations_, names])
        other.prior_ = FixedMeans(len(other.perturbations_), self.n_latent)
        old = self.prior_.probabilities().detach()
        if self.method != "vae":
            other.prior_.mask = torch.cat([(old > 0.5).float(), torch.ones_like(shifts)])
            other.prior_.set_means(torch.cat([self.prior_.means().detach(), shifts]))
        effects = self._effects(shifts) * float(learn_shifts)
        new = pd.DataFrame(effects.detach().double().numpy(), names, self._latents())
        moved = float(learn_shifts and self.method != "vae")
        other.shift_graph_ = pd.concat([self.shift_graph_, graph_table(new, new * 0 + moved)], ignore_index=True)
        return other

    def save(self, path):
        """Write the fitted model to a file that `load` reads, and that runs no code.

        Parameters
        ----------
        path : path-like
        """
        check_is_fitted(self)
        save_model(self, path)

    @classmethod
    def load(cls, path):
        """Read a model that `save` wrote.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        SparseShiftVAE

        Raises
        ------
        FileNotFoundError
        ValueError
            A file that is damaged, or holds something else.
        """
        return load_model(cls, path)

    def _copy(self):
        other = SparseShiftVAE(**self.get_params())
        other.__dict__.update(self.__dict__)
        return other

    def _encoded(self, counts):
        cells = Cells(counts)
        with reproducible():
            return encoded(self.network_, cells, np.arange(len(cells)), self._inputs)[0]

    def _bound(self, function, counts, perturbation, n_samples, per_cell):
        cells = Cells(self._more_cells(counts))
        if not isinstance(n_samples, Integral) or n_samples < 1:
            raise ValueError(f"n_samples: expected 1 or more, got {n_samples!r}")
        codes = self._codes(check_perturbation(perturbation, len(cells)))
        generator = torch.Generator().manual_seed(0)
        with reproducible():
            values = function(
                self.network_, self.prior_, cells, np.arange(len(cells)), codes, self._inputs, generator, n_samples
            ).double()
        return values.numpy() if per_cell else float(values.mean())

    def _codes(self, names):
        codes = pd.Index(self.perturbations_).get_indexer(names)
        if (codes < 0).any():
            unknown = np.unique(names[codes < 0])
            raise ValueError(
                f"perturbation: the model does not know {some(unknown)}; it knows {some(self.perturbations_)}. "
                "fit_new_perturbations learns new ones"
            )
        return codes

    def _graph(self):
        """Table of the shifts against the control, in standard deviations of the latents."""
        if self.unmixing_ is not None:
            return graph_table(self.unmixing_.shifts, self.unmixing_.probabilities)
        moved = self.perturbations_ != self.control_
        effects, probabilities = self._effects(self.prior_.means()), self.prior_.probabilities()
        if self.method == "vae":
            probabilities = torch.zeros(self.prior_.shape)
        tables = (
            pd.DataFrame(part.detach().double().numpy()[moved], self.perturbations_[moved], self._latents())
            for part in (effects, probabilities)
        )
        return graph_table(*tables)

    def _effects(self, means):
        """Means of perturbations, (m, d), against those of the control, as effects are told."""
        if self.method == "vae":  # nothing is moved
            return torch.zeros(means.shape)
        if self.unmixing_ is not None:
            return torch.from_numpy(self.unmixing_.transform(means.detach().double().numpy()))
        control = self.perturbations_ == self.control_
        return means - self.prior_.means()[torch.from_numpy(control)].sum(0)  # without a control that of zero

    def _latents(self):
        return [f"latent_{i}" for i in range(self.n_latent)]

    def _inputs(self, counts):
        logs = counts.log1p()
        return (logs - self._mean) / self._sd if self._fitted_recipe.standardize else logs

    def _strength(self):
        return STRENGTH.get(self.method, 0.0) if self.strength is None else float(self.strength)

    def _used_recipe(self):
        if self.recipe is not None:
            return self.recipe
        return Recipe() if self.method == "staged" else PUBLISHED

    def _checked_recipe(self):
        if self.method not in METHODS:
            raise ValueError(f"method: expected one of {', '.join(METHODS)}, got {self.method!r}")
        if isinstance(self.n_latent, bool) or not isinstance(self.n_latent, Integral):
            raise TypeError(f"n_latent: expected an integer, got {self.n_latent!r}")
        if self.n_latent < 1:
            raise ValueError(f"n_latent: expected 1 or more, got {self.n_latent}")
        if self.strength is not None and not (isinstance(self.strength, Real) and self.strength > 0):
            raise ValueError(f"strength: expected a number > 0 or None, got {self.strength!r}")
        if self.recipe is not None and not isinstance(self.recipe, Recipe):
            raise TypeError(f"recipe: expected a Recipe or None, got {type(self.recipe).__name__}")
        return self._used_recipe()


def _split(codes, share, random):
    """Positions to train on and set aside, in ascending order: a share of the cells of every perturbation."""
    aside = []
    for code in range(codes.max() + 1):
        cells = random.permutation(np.flatnonzero(codes == code))
        aside.append(cells[: int(share * len(cells))])
    aside = np.sort(np.concatenate(aside))
    return np.setdiff1d(np.arange(len(codes)), aside), aside
