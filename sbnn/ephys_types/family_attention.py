"""An ensemble of small networks with attention over families of features."""

from __future__ import annotations

import math
from copy import deepcopy
from itertools import islice
from typing import Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from torch import nn
from torch.nn import functional
from tqdm.auto import tqdm

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import TypeClassifier, feature_scaling, seen_columns

# training cells between which settings are interpolated, on a log scale
FEW_CELLS = 500
MANY_CELLS = 5000
SETTINGS = {  # with few and with many cells
    "noise": (0.7, 0.15),
    "dropout": (0.3, 0.1),
    "n_steps": (400, 1200),
    "batch_size": (128, 256),
}
TOKEN_WIDTH = 16  # size of a token
HIDDEN_UNITS = 64  # units after the attention
FEATURE_DROPOUT = 0.1  # share of the features that are left out in each step
PEAK_LEARNING_RATE = 5e-3
ENSEMBLE_WEIGHT_DECAY = 1e-2
ABSENT_SCORE = -1e4  # score of a family that was not measured, whose weight is then exactly zero


class FamilyAttentionNetwork(nn.Module):
    """An ensemble of `n_members` networks side by side, whose input is split into families.

    Each family becomes a token. Tokens, weighted by attention, are concatenated, so that later
    layers can distinguish the families.
    """

    def __init__(self, columns, n_classes, n_members, dropout, generator):
        super().__init__()
        n_features = sum(map(len, columns))
        n_families = len(columns)
        n_tokens = n_families * TOKEN_WIDTH
        self.dropout = dropout
        belongs = torch.zeros(n_features, n_families)
        for family, of_family in enumerate(columns):
            belongs[torch.as_tensor(of_family), family] = 1
        self.register_buffer("belongs", belongs)
        self.register_buffer("own_family", belongs.repeat_interleave(TOKEN_WIDTH, dim=1))

        def normal(*shape, scale):
            return nn.Parameter(torch.randn(n_members, *shape, generator=generator) * scale)

        def zeros(*shape):
            return nn.Parameter(torch.zeros(n_members, 1, *shape))

        spread = belongs.sum(0).clamp(min=1).rsqrt().repeat_interleave(TOKEN_WIDTH)
        self.embedding = normal(n_features, n_tokens, scale=spread)
        self.embedding_bias = zeros(n_tokens)
        self.score = normal(n_families, TOKEN_WIDTH, scale=0.1 / TOKEN_WIDTH**0.5)
        self.score_bias = zeros(n_families)
        self.hidden = normal(n_tokens, HIDDEN_UNITS, scale=n_tokens**-0.5)
        self.hidden_bias = zeros(HIDDEN_UNITS)
        self.head = normal(HIDDEN_UNITS, n_classes, scale=HIDDEN_UNITS**-0.5)
        self.head_bias = zeros(n_classes)

    def forward(self, x, measured):
        """Logits of shape (n_members, n, n_classes), and attention.

        The cells `x` have shape (n_members, n, p); `measured` is 0 for values to ignore. Attention
        has shape (n_members, n, n_families), 0 for families without a measured feature, unless a
        cell has none.
        """
        embedding = self.embedding * self.own_family
        tokens = functional.silu(torch.baddbmm(self.embedding_bias, x * measured, embedding))
        tokens = tokens.unflatten(2, (-1, TOKEN_WIDTH))
        scores = (tokens * self.score[:, None]).sum(-1) + self.score_bias
        absent = (measured @ self.belongs) == 0
        attention = scores.masked_fill(absent, ABSENT_SCORE).softmax(-1)
        weighted = tokens * (attention * ~absent * attention.shape[-1]).unsqueeze(-1)
        hidden = functional.dropout(weighted.flatten(2), self.dropout, self.training)
        hidden = functional.silu(torch.baddbmm(self.hidden_bias, hidden, self.hidden))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        return torch.baddbmm(self.head_bias, hidden, self.head), attention


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
    def fit(self, X, y: ArrayLike, families=None) -> Self:
        """Train the networks; the arguments are as in `EphysTypeClassifier.fit`."""
        X, codes = self._checked_training(X, y, families)
        self._seen = self._measured(X)
        seed = check_random_state(self.random_state).randint(2**31 - 1)
        generator = torch.Generator().manual_seed(seed)
        self._scaling = feature_scaling(len(X)).fit(X[:, self._seen])
        settings = self._settings_for(len(X))
        columns = seen_columns(self.families_, self._seen).values()
        self.network_ = FamilyAttentionNetwork(
            [its for its in columns if len(its)],
            len(self.classes_),
            self.n_members,
            settings["dropout"],
            generator,
        )
        target = torch.from_numpy(codes)
        losses = self._losses(*self._tensors(X), target, settings, generator)
        torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
        self._train(losses, int(settings["n_steps"]))
        return self

    def _tensors(self, X):
        """Scaled features, 0 where missing, and a mask of the measured ones."""
        scaled = self._scaling.transform(X[:, self._seen])
        scaled = torch.from_numpy(scaled.astype(np.float32))
        return scaled.nan_to_num(), (~scaled.isnan()).float()

    def _settings_for(self, n_cells):
        share = np.log(n_cells / FEW_CELLS) / np.log(MANY_CELLS / FEW_CELLS)
        share = float(np.clip(share, 0, 1))
        settings = {}
        for name, (of_few, of_many) in SETTINGS.items():
            settings[name] = of_few + share * (of_many - of_few)
        if self.n_steps != "auto":
            settings["n_steps"] = self.n_steps
        return settings

    def _train(self, losses, n_steps):
        optimizer = torch.optim.AdamW(
            self.network_.parameters(), PEAK_LEARNING_RATE, weight_decay=ENSEMBLE_WEIGHT_DECAY, fused=True
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK_LEARNING_RATE, max(n_steps, 2))
        self.network_.train()
        for loss in tqdm(islice(losses, n_steps), "training", n_steps, leave=False, disable=None):
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        self.network_.eval()

    def _losses(self, x, known, target, settings, generator):
        """Losses of endless minibatches, in which classes are drawn equally often."""
        chance = (1 / torch.bincount(target).float())[target]
        shape = (self.n_members, int(settings["batch_size"]))
        while True:
            drawn = torch.multinomial(chance, math.prod(shape), True, generator=generator)
            drawn = drawn.view(shape)
            disturbance = torch.randn(*shape, x.shape[1], generator=generator)
            left_in = torch.rand(*shape, x.shape[1], generator=generator) >= FEATURE_DROPOUT
            noisy = x[drawn].add_(disturbance, alpha=settings["noise"])
            logits, _ = self.network_(noisy, known[drawn] * left_in)
            loss = functional.cross_entropy(logits.flatten(0, 1), target[drawn].flatten())
            # the sum of their losses trains each member separately
            yield loss * self.n_members

    @reproducible()
    @torch.no_grad()
    def _through(self, X):
        """Mean probabilities and attention of the networks."""
        x, known = self._tensors(self._checked_cells(X))
        members = (self.n_members, *x.shape)
        # in double precision, so that the results for a cell do not depend on other cells
        network = deepcopy(self.network_).double()
        logits, attention = network(x.double().expand(members), known.double().expand(members))
        return logits.softmax(-1).mean(0).numpy(), attention.mean(0).numpy()

    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of equally frequent types, ndarray of shape (n, n_classes)."""
        return self._through(X)[0]

    def attention_weights(self, X) -> np.ndarray:
        """Weight of each family in each cell, ndarray of shape (n, n_families).

        Families without a measured feature have weight 0, unless a cell has none. Rows sum to 1.
        """
        weights = self._through(X)[1]
        seen = [self._seen[columns].any() for columns in self.families_.values()]
        every = np.zeros((len(weights), len(self.families_)))
        every[:, seen] = weights
        return every
