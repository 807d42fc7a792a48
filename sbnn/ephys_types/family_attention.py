"""The default classifier, and its ensemble of small networks with attention over families."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from copy import deepcopy
from itertools import islice
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.pipeline import Pipeline
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from torch import Tensor, nn
from torch.nn import functional
from tqdm.auto import tqdm

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import (
    LEFT_OUT_WARNING,
    CellFeatures,
    TypeClassifier,
    columns_with_values,
    feature_scaling,
    linear_logistic,
)
from sbnn.ephys_types.data import FeatureFamilies
from sbnn.models.training import take_steps

# training cells between which settings are interpolated, on a log scale
FEW_CELLS = 500
MANY_CELLS = 5000
SETTINGS = {  # with few and with many cells
    "noise": (0.7, 0.15),
    "dropout": (0.3, 0.1),
    "n_steps": (400, 1200),
    "batch_size": (128, 256),
}
TOKEN_WIDTH = 16
HIDDEN_UNITS = 64  # after the attention
FEATURE_DROPOUT = 0.1  # fraction of the features that are left out in each step
PEAK_LEARNING_RATE = 5e-3
ENSEMBLE_WEIGHT_DECAY = 1e-2
ABSENT_SCORE = -1e4  # of a family that was not measured, whose weight is then exactly zero


class FamilyAttentionNetwork(nn.Module):
    """An ensemble of `n_members` networks side by side, whose input is split into families.

    Each family becomes a token. Tokens, weighted by attention, are concatenated, so that later
    layers can distinguish the families. `columns` are those of each family; the `generator` draws
    the initial weights.
    """

    belongs: Tensor
    own_family: Tensor

    def __init__(
        self,
        columns: list[np.ndarray],
        n_classes: int,
        n_members: int,
        dropout: float,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        n_features = sum(map(len, columns))
        n_families = len(columns)
        n_tokens = n_families * TOKEN_WIDTH
        self.dropout = dropout
        belongs = torch.zeros(n_features, n_families)
        for family, family_columns in enumerate(columns):
            belongs[torch.as_tensor(family_columns), family] = 1
        self.register_buffer("belongs", belongs)
        self.register_buffer("own_family", belongs.repeat_interleave(TOKEN_WIDTH, dim=1))

        def normal(*shape, scale):
            weights = torch.randn(n_members, *shape, generator=generator)
            return nn.Parameter(weights * scale)

        def zeros(*shape):
            return nn.Parameter(torch.zeros(n_members, 1, *shape))

        # An SD of 1 / sqrt(inputs) keeps the variance through a layer (LeCun et al. 1998). An
        # embedding has as many inputs as the family has features.
        n_inputs = belongs.sum(0).clamp(min=1)
        embedding_scale = n_inputs.rsqrt().repeat_interleave(TOKEN_WIDTH)
        self.embedding = normal(n_features, n_tokens, scale=embedding_scale)
        self.embedding_bias = zeros(n_tokens)
        # with small scores, attention is at first nearly the same for all families
        self.score = normal(n_families, TOKEN_WIDTH, scale=0.1 / TOKEN_WIDTH**0.5)
        self.score_bias = zeros(n_families)
        self.hidden = normal(n_tokens, HIDDEN_UNITS, scale=n_tokens**-0.5)
        self.hidden_bias = zeros(HIDDEN_UNITS)
        self.head = normal(HIDDEN_UNITS, n_classes, scale=HIDDEN_UNITS**-0.5)
        self.head_bias = zeros(n_classes)

    def forward(self, x: Tensor, measured: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of shape (n_members, n, n_classes), and attention.

        The cells `x` have shape (n_members, n, p); `measured` is 0 for values to ignore. Attention
        has shape (n_members, n, n_families), 0 for families without a measured feature, unless a
        cell has none.
        """
        embedding = self.embedding * self.own_family
        tokens = torch.baddbmm(self.embedding_bias, x * measured, embedding)
        tokens = functional.silu(tokens).unflatten(2, (-1, TOKEN_WIDTH))
        scores = (tokens * self.score[:, None]).sum(-1) + self.score_bias
        absent = (measured @ self.belongs) == 0
        attention = scores.masked_fill(absent, ABSENT_SCORE).softmax(-1)
        # with the number of families, tokens keep their size if all are weighted equally
        factors = attention * ~absent * attention.shape[-1]
        weighted = tokens * factors.unsqueeze(-1)
        hidden = functional.dropout(weighted.flatten(2), self.dropout, self.training)
        hidden = torch.baddbmm(self.hidden_bias, hidden, self.hidden)
        hidden = functional.dropout(functional.silu(hidden), self.dropout, self.training)
        logits = torch.baddbmm(self.head_bias, hidden, self.head)
        return logits, attention


class FamilyAttentionClassifier(TypeClassifier):
    """Classify cells by attention over families of features.

    `n_members` networks are trained on normal scores of the features, and their probabilities are
    averaged. Missing values are ignored, and classes are drawn equally often. Gaussian noise on the
    inputs, some of which are left out, prevents overfitting. Noise, dropout, steps and batch size
    depend on the number of cells.

    Parameters
    ----------
    n_members : int
    n_steps : int or "auto"
        Steps of AdamW with a one-cycle learning rate; ``"auto"``: 400 for up to 500 training cells
        to 1200 for 5000 or more.
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int (columns)
    network_ : FamilyAttentionNetwork
    """

    network_: FamilyAttentionNetwork

    _parameter_constraints: dict = {"n_members": COUNT, "n_steps": [*COUNT, StrOptions({"auto"})]}

    def __init__(
        self,
        n_members: int = 4,
        n_steps: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_members = n_members
        self.n_steps = n_steps
        self.random_state = random_state

    @atomic_fit
    def fit(self, X: CellFeatures, y: ArrayLike, families: FeatureFamilies = None) -> Self:
        """Train the networks; the arguments are as in `EphysTypeClassifier.fit`."""
        features, codes = self._read_training(X, y, families)
        n_cells = len(features)
        self._has_values = self._find_features_with_values(features)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        generator = torch.Generator().manual_seed(seed)
        self._scaling = feature_scaling(n_cells).fit(features[:, self._has_values])
        settings = self._choose_settings(n_cells)
        columns = columns_with_values(self.families_, self._has_values).values()
        self.network_ = FamilyAttentionNetwork(
            columns=[part for part in columns if len(part)],
            n_classes=len(self.classes_),
            n_members=self.n_members,
            dropout=settings["dropout"],
            generator=generator,
        )
        x, measured = self._scale(features)
        losses = self._compute_losses(
            x,
            measured,
            torch.from_numpy(codes),
            noise=settings["noise"],
            batch_size=int(settings["batch_size"]),
            generator=generator,
        )
        dropout_seed = torch.randint(2**31 - 1, (1,), generator=generator)
        torch.manual_seed(int(dropout_seed))
        self._train(losses, int(settings["n_steps"]))
        return self

    def _scale(self, features):
        """Scaled features, 0 where missing, and a mask of the measured ones."""
        scaled = self._scaling.transform(features[:, self._has_values])
        x = torch.from_numpy(scaled.astype(np.float32))
        measured = ~x.isnan()
        return x.nan_to_num(), measured.float()

    def _choose_settings(self, n_cells: int) -> dict[str, float]:
        """Interpolate `SETTINGS` linearly in the logarithm of the number of cells."""
        position = np.log(n_cells / FEW_CELLS) / np.log(MANY_CELLS / FEW_CELLS)
        position = float(np.clip(position, 0, 1))
        settings: dict[str, float] = {}
        for name, (with_few, with_many) in SETTINGS.items():
            settings[name] = with_few + position * (with_many - with_few)
        if not isinstance(self.n_steps, str):
            settings["n_steps"] = self.n_steps
        return settings

    def _train(self, losses: Iterator[Tensor], n_steps: int) -> None:
        optimizer = torch.optim.AdamW(
            self.network_.parameters(),
            PEAK_LEARNING_RATE,
            weight_decay=ENSEMBLE_WEIGHT_DECAY,
            fused=True,
        )
        # The rate rises and falls once (Smith and Topin 2019), so that few steps are enough.
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, PEAK_LEARNING_RATE, total_steps=max(n_steps, 2)
        )
        self.network_.train()
        steps = take_steps(islice(losses, n_steps), optimizer, schedule)
        for _ in tqdm(steps, "training", n_steps, leave=False, disable=None):
            pass
        self.network_.eval()

    def _compute_losses(
        self,
        x: Tensor,
        measured: Tensor,
        labels: Tensor,
        noise: float,
        batch_size: int,
        generator: torch.Generator,
    ) -> Iterator[Tensor]:
        """Losses of endless minibatches, in which classes are drawn equally often."""
        chance = (1 / torch.bincount(labels).float())[labels]
        n_features = x.shape[1]
        while True:
            batch = torch.multinomial(
                chance, self.n_members * batch_size, replacement=True, generator=generator
            )
            batch = batch.view(self.n_members, batch_size)
            # Noise on the inputs acts as a penalty on the slope of the network (Bishop 1995).
            disturbance = torch.randn(self.n_members, batch_size, n_features, generator=generator)
            noisy = x[batch].add_(disturbance, alpha=noise)
            # A feature that is left out looks as if it had not been measured.
            kept = torch.rand(self.n_members, batch_size, n_features, generator=generator)
            kept = kept >= FEATURE_DROPOUT
            logits, _ = self.network_(noisy, measured[batch] * kept)
            loss = functional.cross_entropy(logits.flatten(0, 1), labels[batch].flatten())
            # the sum of the losses of all members trains each of them separately
            yield loss * self.n_members

    @reproducible()
    @torch.no_grad()
    def _predict(self, X):
        """Mean probabilities and attention of the networks."""
        x, measured = self._scale(self._read_cells(X))
        # in double precision, so that the results for a cell do not depend on other cells
        network = deepcopy(self.network_).double()
        n_cells, n_features = x.shape
        x_of_members = x.double().expand(self.n_members, n_cells, n_features)
        measured_of_members = measured.double().expand(self.n_members, n_cells, n_features)
        logits, attention = network(x_of_members, measured_of_members)
        probabilities = logits.softmax(-1).mean(0)
        return probabilities.numpy(), attention.mean(0).numpy()

    def predict_proba(self, X: CellFeatures) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        probabilities, _ = self._predict(X)
        return probabilities

    def attention_weights(self, X: CellFeatures) -> np.ndarray:
        """Weight of each family in each cell, ndarray of shape (n, n_families).

        Families without a measured feature have weight 0, unless a cell has none. Rows sum to 1.
        """
        _, attention = self._predict(X)
        has_weight = [self._has_values[columns].any() for columns in self.families_.values()]
        weights = np.zeros((len(attention), len(self.families_)))
        weights[:, has_weight] = attention
        return weights


class EphysTypeClassifier(TypeClassifier):
    """Classify cells by the mean probabilities of two learners.

    The learners are a network with attention over families of features and class-balanced logistic
    regression. Both are smooth functions of the features: trees fit cells of the same laboratory
    better, but not those of another one. All classes have the same weight.

    Parameters
    ----------
    n_steps : int or "auto"
        Training steps of the network (see `FamilyAttentionClassifier`).
    random_state : int, RandomState or None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int (columns)
    members_ : tuple of classifier
        The network and logistic regression, which has only the features with values in training.

    Notes
    -----
    Probabilities are not calibrated: scikit-learn's
    ``CalibratedClassifierCV(model, method="temperature", cv=...)`` fits a temperature to left-out
    cells.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import EphysTypeClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = EphysTypeClassifier(n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.predict_proba(data.X).shape
    (300, 4)
    """

    members_: tuple[FamilyAttentionClassifier, Pipeline]

    def __init__(
        self,
        n_steps: int | str = "auto",
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.n_steps = n_steps
        self.random_state = random_state

    @atomic_fit
    def fit(self, X: CellFeatures, y: ArrayLike, families: FeatureFamilies = None) -> Self:
        """Fit both learners.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family.

        Returns
        -------
        self
        """
        features, codes = self._read_training(X, y, families)
        self._has_values = self._find_features_with_values(features)
        network = FamilyAttentionClassifier(n_steps=self.n_steps, random_state=self.random_state)
        with warnings.catch_warnings():  # would repeat that of features without a value
            warnings.filterwarnings("ignore", LEFT_OUT_WARNING)
            network.fit(features, codes, self.families_)
        logistic = linear_logistic(len(features))
        logistic.fit(features[:, self._has_values], codes)
        self.members_ = (network, logistic)
        return self

    @reproducible()
    def predict_proba(self, X: CellFeatures) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes).

        `X` has shape (n, p), with NaN where a feature is missing.
        """
        features = self._read_cells(X)
        network, logistic = self.members_
        of_network = network.predict_proba(features)
        of_logistic = logistic.predict_proba(features[:, self._has_values])
        return (of_network + of_logistic) / 2
