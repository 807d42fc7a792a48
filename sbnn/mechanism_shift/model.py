"""Models of perturbation screens: a network with sparse shifts of its latents, and linear ones."""

from __future__ import annotations

from copy import copy, deepcopy
from functools import partial
from numbers import Real
from typing import Self

import numpy as np
import pandas as pd
import torch
from anndata import AnnData
from numpy.typing import ArrayLike
from scipy import sparse
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.decomposition import PCA, FastICA
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils._param_validation import Interval, StrOptions
from sklearn.utils.validation import check_is_fitted, validate_data

from sbnn.data.checks import abbreviate
from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.errors import check_number, warn
from sbnn.mechanism_shift.data import (
    Counts,
    as_screen,
    check_cells_with_counts,
    check_control,
    match_perturbation,
    perturbation_codes,
    read_control,
    read_screen_counts,
)
from sbnn.mechanism_shift.graph import (
    class_means,
    compare_with_control,
    effects_on_genes,
    graph_table,
    pairs_table,
)
from sbnn.mechanism_shift.network import (
    FIRST_LOGIT,
    ShiftNetwork,
    elbo_of_cells,
    encode_cells,
    iwelbo_of_cells,
)
from sbnn.mechanism_shift.training import TRAININGS
from sbnn.mechanism_shift.unmixing import Unmixing, estimate_unmixing

# Probabilities of doubtful shifts are between this value and 1 minus it. If a larger fraction of
# shifts was doubtful, latents of simulated screens were wrong.
DOUBTFUL = 0.05


class ShiftModel(  # type: ignore[call-arg]  # a keyword of scikit-learn, which has no types
    TransformerMixin, BaseEstimator, auto_wrap_output_keys=None
):
    """A model of counts, which come with perturbations and a control, or in an AnnData of them."""

    n_features_in_: int
    feature_names_in_: np.ndarray

    def _read_screen(
        self, counts: Counts, perturbation: ArrayLike | None, control: str | None
    ) -> tuple[sparse.csr_array, np.ndarray, str | None]:
        """Counts in CSR format, perturbations as text, and the control or None."""
        self._validate_params()
        screen = as_screen(counts) if perturbation is None else None
        if screen is not None and control is None:
            control = screen.control
        control = read_control(control)
        checked_counts = self._match_counts(counts, reset=True)
        check_number("n_latent", self.n_latent, int, low=1, high=min(checked_counts.shape))
        if screen is None:
            labels = match_perturbation(perturbation, counts, control)
        else:
            labels = screen.perturbation
            check_control(labels, control)
        return checked_counts, labels, control

    def _match_counts(self, counts: Counts, reset: bool = False) -> sparse.csr_array:
        """Counts in CSR format; their genes are compared with (`reset`: become) the model's."""
        if not reset:
            check_is_fitted(self)
        named_table = counts
        if isinstance(counts, AnnData):  # scikit-learn compares only the names of a DataFrame
            named_table = pd.DataFrame(columns=counts.var_names)
        checked_counts = read_screen_counts(counts)
        check_cells_with_counts(checked_counts)
        validate_data(self, named_table, skip_check_array=True, reset=reset)
        return checked_counts

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        tags.input_tags.positive_only = True
        tags.target_tags.required = True
        return tags


class SparseShiftVAE(ShiftModel):
    """Learn latents of single cells such that each perturbation shifts only a few of them.

    Counts follow a negative binomial distribution whose mean is the total count of the cell times a
    softmax of the decoded latents, which follow N(m, I) [1]_. The methods differ in the mean m of a
    perturbation:

    - ``"svae+"``, ``"svae"``: m and a mask on m are trained, with a penalty on the probabilities of
      the mask.
    - ``"ivae"``: m is trained without a mask.
    - ``"vae"``: m = 0.

    Parameters
    ----------
    n_latent : int
        Too many latents harm the edges less than too few.
    method : {"svae+", "svae", "ivae", "vae"}
    training : {"one-cycle", "published", "retrained"}
        By default, the network is trained in four cycles of the learning rate, its latents are
        rotated by `unmix`, and effects on genes are added. As published, the shift graph is that of
        the mask; "retrained" goes on with the mask rounded and fixed.
    strength : float, optional
        Of the penalty: K of Beta(1, K) for "svae+" (10), lambda for "svae" (100).
    hidden : int, optional
        Units of each of two hidden layers (default 400; published: 128); with more than 500 genes,
        64 next to the genes, unless trained as published.
    epochs : int, optional
        Passes over the training cells (default: enough for 3400 updates and 32 for each pair of
        latents, at least 28; published: up to 300).
    random_state : int, RandomState or None

    Attributes
    ----------
    perturbations_ : ndarray of str
        With the control.
    control_ : str or None
    shift_graph_ : DataFrame
        For each ``latent`` and ``perturbation`` except the control, the ``probability`` of a shift
        and its size in standard deviations within a perturbation (``effect``).
    unmixing_ : Unmixing or None
        None if trained as published; see `unmix`.
    gene_effects_ : DataFrame
        Unless trained as published: for each ``gene`` and ``perturbation``, the log fold change
        that the latents of the cells do not explain (``direct``, shrunk, and thus smaller than in
        other cells), and whether it differs from 0 at a false discovery rate of 1 % (``edge``).
    weight_precision_ : float
        Of the normal prior on the weights; 0 if trained as published.
    history_ : DataFrame
        A row per epoch.
    validation_ : ndarray of int
        Positions of the validation cells.
    network_ : torch.nn.Module

    References
    ----------
    .. [1] Lopez et al., CLeaR 2023, arXiv 2211.03553.

    Examples
    --------
    >>> from sbnn.mechanism_shift import SparseShiftVAE, simulate_perturbations
    >>> screen = simulate_perturbations(30, 20, 4, 40, random_state=0)
    >>> model = SparseShiftVAE(4, epochs=2, random_state=0).fit(screen)
    >>> model.transform(screen).shape
    (600, 4)
    """

    perturbations_: np.ndarray
    control_: str | None
    shift_graph_: pd.DataFrame
    unmixing_: Unmixing | None
    gene_effects_: pd.DataFrame
    weight_precision_: float
    history_: pd.DataFrame
    validation_: np.ndarray
    network_: ShiftNetwork
    direct_: torch.Tensor

    _parameter_constraints = {
        "method": [StrOptions({"svae+", "svae", "ivae", "vae"})],
        "training": [StrOptions({*TRAININGS})],
        "strength": [Interval(Real, 0, None, closed="neither"), None],
        "hidden": [*COUNT, None],
        "epochs": [*COUNT, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_latent: int = 15,
        method: str = "svae+",
        training: str = "one-cycle",
        strength: float | None = None,
        hidden: int | None = None,
        epochs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latent = n_latent
        self.method = method
        self.training = training
        self.strength = strength
        self.hidden = hidden
        self.epochs = epochs
        self.random_state = random_state

    @atomic_fit
    def fit(
        self,
        counts: Counts,
        perturbation: ArrayLike | None = None,
        control: str | None = None,
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
            If counts are negative, fractional or NaN, a cell has none, there are fewer than two
            perturbations or two cells of one, no cell has the label `control`, or a parameter is
            out of range.
        TypeError
            If counts are not numbers.
        """
        checked_counts, labels, self.control_ = self._read_screen(counts, perturbation, control)
        self.perturbations_, codes, _ = perturbation_codes(labels, self.control_)
        perturbed = self.perturbations_ != self.control_
        published = self.training != "one-cycle"
        new_network = partial(
            ShiftNetwork,
            n_genes=self.n_features_in_,
            n_latents=self.n_latent,
            n_perturbations=len(perturbed),
            prior=self.method,
            strength=self.strength,
            hidden=self.hidden,
            published=published,
        )
        training_class = TRAININGS[self.training]
        training = training_class(
            checked_counts.astype(np.float32), codes, new_network, seed=self.random_state
        )
        training.run(self.epochs)
        self.network_ = training.network
        self.validation_ = training.validation
        self.history_ = pd.DataFrame(training.history)
        self.weight_precision_ = training.precision
        self.direct_ = torch.zeros(len(perturbed), 1)
        self.unmixing_ = None
        if published:
            effects = self._effects(self.network_.means().double())[perturbed]
            probabilities = self.network_.gates.detach().double().sigmoid()[perturbed]
            names = self.perturbations_[perturbed]
            self.shift_graph_ = graph_table(names, effects, probabilities)
        else:
            self._unmix(training, labels)
            self._add_direct_effects(training, perturbed)
        return self

    def transform(self, counts: Counts) -> np.ndarray:
        """Means of the encoder, rotated by `unmix` unless trained as published.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_latent)
        """
        with reproducible():
            means, _ = encode_cells(self.network_, _tensor(self._match_counts(counts)))
            latents = means.double().numpy()
            return latents if self.unmixing_ is None else self.unmixing_.transform(latents)

    def elbo(self, counts: Counts, perturbation: ArrayLike, n_samples: int = 10) -> float:
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
        return self._mean_bound(
            elbo_of_cells, counts, perturbation=perturbation, n_samples=n_samples
        )

    def iwelbo(self, counts: Counts, perturbation: ArrayLike, n_samples: int = 1000) -> float:
        """Importance-weighted bound (Burda et al. 2016), which is tighter than `elbo`."""
        return self._mean_bound(
            iwelbo_of_cells, counts, perturbation=perturbation, n_samples=n_samples
        )

    def fit_new_perturbations(
        self, counts: Counts, perturbation: ArrayLike, learn_shifts: bool = True
    ) -> Self:
        """Estimate the shifts of new perturbations.

        The network stays fixed. The prior mean m of a new perturbation is the mean of the encoder
        over its cells, which maximises the evidence lower bound.

        Parameters
        ----------
        counts, perturbation
            Of cells of the new perturbations, as in `fit`.
        learn_shifts : bool
            If False, m is 0, as before shifts are learned.

        Returns
        -------
        SparseShiftVAE
            With the new perturbations, whose shifts have probability 1 if learned, otherwise 0.

        Raises
        ------
        ValueError
            If a perturbation is not new, or counts are invalid as in `fit`.
        """
        checked_counts = self._match_counts(counts)
        labels = match_perturbation(perturbation, counts)
        repeated = np.intersect1d(labels, self.perturbations_)
        if len(repeated):
            raise ValueError(
                f"perturbation: pass only new ones; the model knows {abbreviate(repeated)}"
            )
        names, codes = np.unique(labels, return_inverse=True)
        probability = float(learn_shifts and self.method != "vae")
        with reproducible():
            latents, _ = encode_cells(self.network_, _tensor(checked_counts))
        # the bound is quadratic in a prior mean; its maximum is the mean of the encoder
        means = torch.from_numpy(class_means(latents, codes, len(names))) * probability
        shifts = torch.cat([self.network_.means(), means.float()])
        extended = copy(self)
        extended.perturbations_ = np.concatenate([self.perturbations_, names])
        extended.network_ = deepcopy(self.network_)
        extended.network_.shifts = torch.nn.Parameter(shifts)
        extended.network_.gates = torch.nn.Parameter(torch.full_like(shifts, FIRST_LOGIT))
        extended.direct_ = torch.nn.functional.pad(self.direct_, (0, 0, 0, len(names)))
        new_graph = graph_table(
            names,
            effects=self._effects(means) * probability,
            probabilities=torch.full(means.shape, probability),
        )
        extended.shift_graph_ = pd.concat([self.shift_graph_, new_graph], ignore_index=True)
        return extended

    def _unmix(self, training, perturbation):
        """Rotate the latents of the training cells; the shift graph is that of `unmix`."""
        latents, variances = encode_cells(self.network_, training.counts)
        train = training.train
        self.unmixing_ = estimate_unmixing(
            latents[train].numpy(),
            perturbation[train],
            control=self.control_,
            variances=variances[train].numpy(),
            random_state=training.seed,
        )
        self.shift_graph_ = self.unmixing_.graph
        probabilities = self.shift_graph_["probability"]
        doubtful = probabilities.between(DOUBTFUL, 1 - DOUBTFUL).mean()
        if doubtful > DOUBTFUL:
            warn(
                f"{doubtful:.0%} of the shifts may or may not be edges; perturbations may shift "
                "too many latents; try a larger n_latent"
            )

    def _add_direct_effects(self, training, perturbed):
        """Estimate direct effects on genes, and add them if validation cells get likelier."""
        self.direct_, edges = effects_on_genes(
            self.network_,
            training.counts,
            codes=training.codes,
            train=training.train,
            validation=training.validation,
        )
        genes = getattr(self, "feature_names_in_", np.arange(self.n_features_in_))
        self.gene_effects_ = pairs_table(
            self.perturbations_[perturbed],
            genes,
            "gene",
            direct=self.direct_.double().numpy()[perturbed],
            edge=edges[perturbed],
        )

    def _mean_bound(self, bound, counts, perturbation, n_samples):
        """Mean of a bound over cells."""
        checked_counts = self._match_counts(counts)
        labels = match_perturbation(perturbation, counts)
        codes = pd.Index(self.perturbations_).get_indexer(labels)
        if (codes < 0).any():
            unknown = abbreviate(np.unique(labels[codes < 0]))
            raise ValueError(
                f"perturbation: not among those of the fit: {unknown}; use fit_new_perturbations"
            )
        with reproducible():
            bounds = bound(
                self.network_,
                _tensor(checked_counts),
                codes=torch.from_numpy(codes),
                prior_means=self.network_.means(),
                direct=self.direct_,
                n_samples=n_samples,
            )
        return float(bounds.double().mean())

    def _effects(self, means: torch.Tensor) -> torch.Tensor:
        """Mean latents relative to the control, in SDs within a perturbation, of shape (m, d)."""
        if self.unmixing_ is not None:
            return torch.from_numpy(self.unmixing_.transform(means.numpy()))
        control = torch.from_numpy(self.perturbations_ == self.control_)
        return means - self.network_.means()[control].sum(0)  # 0 without a control


def _tensor(counts: sparse.csr_array) -> torch.Tensor:
    return torch.from_numpy(counts.astype(np.float32).toarray())


class LinearShift(ShiftModel):
    """Principal or independent components of log counts, which `unmix` rotates.

    Parameters
    ----------
    n_latent : int
        Number of components.
    rotation : {"unmix", "none", "ica"}
        With "ica", components are independent, otherwise principal. "unmix" only says that `unmix`
        comes next, as in `recovery`.
    random_state : int, RandomState or None

    Attributes
    ----------
    components_ : Pipeline
        From log counts to components.
    shift_graph_ : DataFrame
        As that of `SparseShiftVAE`, of components that are not unmixed; all probabilities are 1.

    Examples
    --------
    >>> from sbnn.mechanism_shift import LinearShift, simulate_perturbations, unmix
    >>> screen = simulate_perturbations(30, 20, 4, 40, n_control=60, random_state=0)
    >>> latents = LinearShift(4, random_state=0).fit_transform(screen)
    >>> unmix(latents, screen.obs["perturbation"], "control").edges.shape
    (20, 4)
    """

    components_: Pipeline
    shift_graph_: pd.DataFrame

    _parameter_constraints = {
        "rotation": [StrOptions({"unmix", "none", "ica"})],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_latent: int = 15,
        rotation: str = "unmix",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_latent = n_latent
        self.rotation = rotation
        self.random_state = random_state

    @atomic_fit
    def fit(
        self,
        counts: Counts,
        perturbation: ArrayLike | None = None,
        control: str | None = None,
    ) -> Self:
        """Fit the components, and estimate their shifts by every perturbation.

        Parameters
        ----------
        counts, perturbation, control
            As in `SparseShiftVAE.fit`.

        Returns
        -------
        self

        Raises
        ------
        ValueError, TypeError
            As `SparseShiftVAE.fit` does.
        """
        checked_counts, labels, control = self._read_screen(counts, perturbation, control)
        decomposition = FastICA if self.rotation == "ica" else PCA
        components = decomposition(self.n_latent, random_state=self.random_state)
        self.components_ = make_pipeline(StandardScaler(), components)
        logs = _log_counts(checked_counts)
        latents = self.components_.fit(logs).transform(logs)
        comparison = compare_with_control(latents, labels, control)
        within = (comparison.residuals**2).mean(axis=0)
        shifts = comparison.differences / np.sqrt(within)
        self.shift_graph_ = graph_table(shifts.index, shifts, np.ones_like(shifts))
        return self

    def transform(self, counts: Counts) -> np.ndarray:
        """Components of cells.

        Parameters
        ----------
        counts : AnnData, array, sparse matrix or DataFrame of shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_latent)
        """
        logs = _log_counts(self._match_counts(counts))
        # scikit-learn may be set to give tables, of which the components would warn
        with reproducible():
            return self.components_.transform(logs)


def _log_counts(counts: sparse.csr_array) -> np.ndarray:
    return np.log1p(counts.toarray().astype(float))
