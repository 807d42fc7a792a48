"""Bidirectional LSTM with attention over families of features (Schwider and Ramezani)."""

from __future__ import annotations

from itertools import zip_longest
from math import ceil
from typing import Self

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, f1_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from torch import nn

from sbnn.determinism import reproducible
from sbnn.ephys_types import training
from sbnn.ephys_types.base import COUNT, FeatureScaling, TypeClassifier, seen_columns
from sbnn.models.best_weights import BestWeights

TOKEN_SIZE = 64
DROPOUT = 0.2
BATCH_SIZE = 64
CLIP = 2.0  # largest norm of the gradient
WEIGHT_DECAY = 1e-4
PATIENCE = 7  # epochs without a better validation score, after which training ends
# SD of the noise: NOISE / sqrt(number of cells), but at most MOST_NOISE
NOISE = 10.0
MOST_NOISE = 0.5
# Published networks replace missing values by zeros before scaling and share input weights between
# families, so that the padding of a narrow family is treated like the columns of a wide one. `hide`
# is the share of the features hidden in each epoch, and `noise` the SD of the noise (None: by the
# number of cells). `stop_on` chooses the best epoch on a `validation_share` of the training cells.
BALANCED = {"class_weight": "balanced", "stop_on": "macro_f1"}
OURS = BALANCED | {
    "missing": "masked",
    "scaling": "normal_scores",
    "hide": 0.2,
    "noise": None,
    "learning_rate": 3e-3,
    "schedule": "one_cycle",
    "max_epochs": 20,
    "validation_share": 0.0,
}
PUBLISHED = BALANCED | {
    "missing": "zeros_as_data",
    "scaling": "standard",
    "hide": 0.0,
    "noise": 0.0,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "max_epochs": 50,
    "validation_share": 0.25,
}
OF_MOUSE = PUBLISHED | {"class_weight": None, "stop_on": "accuracy"}
TREATMENTS = {False: OURS, True: PUBLISHED, "mouse": OF_MOUSE}  # by the parameter `published`
FIXED = {  # further parameters that are stored with results
    "batch_size": BATCH_SIZE,
    "dropout": DROPOUT,
    "patience": PATIENCE,
    "prior": None,
    "weight_decay": WEIGHT_DECAY,
}


class OwnWeights(nn.Module):
    """Map each family to a token with weights of its own, because its columns are its own."""

    def __init__(self, real, size):
        super().__init__()
        # of shape (families, width), True for columns that are not padding
        self.register_buffer("real", real)
        families, width = real.shape
        # Each feature also has an indicator of missing values. Initial weights are those of an
        # nn.Linear whose inputs exclude padding and indicators.
        bound = real.sum(1).clamp_min(1).float().rsqrt()[:, None, None]
        self.weight = nn.Parameter((2 * torch.rand(families, 2 * width, size) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(families, 1, size) - 1) * bound)

    def forward(self, values):
        """Tokens of shape (n, families, size)."""
        missing = self.real & values.isnan()
        entries = torch.cat([values.nan_to_num(), missing.to(values.dtype)], dim=-1)
        return torch.baddbmm(self.bias, entries.transpose(0, 1), self.weight).transpose(0, 1)


class BiLSTM(nn.Module):
    """LayerNorm, bidirectional LSTM over families, attention, LayerNorm, dropout and a linear head.

    `values`, of shape (n, families, width), are NaN where missing and in the padding, where `real`,
    of shape (families, width), is False. `present`, of shape (n, families), marks the families to
    read. Without `own_weights`, the values are the tokens, 0 where missing. With `cosine`, the head
    returns the cosine between the state of a cell and the weights of each class.
    """

    def __init__(self, real, n_classes, hidden, attention=True, own_weights=True, cosine=False):
        super().__init__()
        self.cosine = cosine
        if own_weights:
            size = TOKEN_SIZE
            self.tokens = OwnWeights(real, size)
        else:
            size = real.shape[1]
            self.tokens = torch.nan_to_num
        self.norm_tokens = nn.LayerNorm(size)
        self.ahead = nn.LSTM(size, hidden, batch_first=True)
        self.back = nn.LSTM(size, hidden, batch_first=True)
        self.score = None
        if attention:
            layers = nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)
            self.score = nn.Sequential(*layers)
        self.norm_state = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * hidden, n_classes, bias=not cosine)

    def encode(self, values, present):
        """State of each cell, of shape (n, 2 * hidden), and weights of its families.

        The weights have shape (n, families); they sum to 1, and are 0 for absent families.
        """
        x = self.norm_tokens(self.tokens(values))  # (n, families, size)
        # The sequence of a cell: its present families in order, then the absent ones, which are
        # ignored.
        order = torch.argsort(present, dim=1, descending=True, stable=True)
        n_present = present.sum(1, keepdim=True)
        place = torch.arange(present.shape[1]).expand_as(order)
        # present families backwards; doing this twice restores the order
        mirror = torch.where(place < n_present, n_present - 1 - place, place)
        ahead, _ = self.ahead(_rows(x, order))
        back, _ = self.back(_rows(x, order.gather(1, mirror)))
        states = torch.cat([ahead, _rows(back, mirror)], dim=-1)  # (n, families, 2 * hidden)
        if self.score is None:
            weights = (place == n_present - 1).to(x.dtype)
        else:
            weights = self._attention(states, place < n_present)
        state = self.norm_state(torch.bmm(weights[:, None], states)[:, 0])
        of_families = torch.zeros_like(weights).scatter(1, order, weights)
        return state, of_families

    def _attention(self, states, inside):
        """Weights of the states, of shape (n, families), 0 unless `inside`."""
        scores = self.score(states)[..., 0].masked_fill(~inside, -torch.inf)
        # A softmax of only -inf is NaN, so cells without any family get other scores.
        is_empty = ~inside.any(1, keepdim=True)
        return scores.masked_fill(is_empty, 0.0).softmax(1) * inside

    def forward(self, values, present):
        """Logits, or cosines, of shape (n, n_classes)."""
        state, _ = self.encode(values, present)
        state = self.dropout(state)
        if self.cosine:
            return F.linear(F.normalize(state), F.normalize(self.head.weight))
        return self.head(state)


def _rows(x, order):
    """Families of each cell in `x`, of shape (n, families, size), sorted by `order`."""
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))


class AttentionBiLSTMClassifier(TypeClassifier):
    """Bidirectional LSTM over families of features, with attention.

    Each family is a token. Tokens pass through LayerNorm, one LSTM in each direction, additive
    attention, LayerNorm, dropout and a linear layer. Families without values in a cell are left out
    of its sequence.

    Parameters
    ----------
    attention : bool, default=True
        If False, use the state at the last family instead of a weighted mean over the families.
    hidden : int, default=128
        Number of LSTM units in each direction.
    loss : {"cross_entropy", "arcface"}, default="cross_entropy"
        ``"arcface"``: focal (gamma 2) on cosine logits with an angular margin of 0.35 and a scale
        of 30; classes are weighted by the inverse of their effective number of cells (beta 0.999),
        where the published variant has SMOTE and a prior correction.
    smote : bool, default=False
        Interpolate cells of small classes between neighbours, instead of weighting classes.
    published : bool or "mouse", default=False
        By default, features are normal scores with noise, and a fifth is hidden in each epoch. If
        True, train as published for human cells: zeros for missing values, z-scores, a constant
        learning rate, and early stopping by macro-F1 on a quarter of the training cells;
        ``"mouse"``: without class weights, and stopped by accuracy.
    max_epochs : int, optional
        Maximum number of epochs; 20 by default, or 50 if `published`.
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    history_ : DataFrame
        One row per epoch, with ``loss`` and, if there are validation cells, ``validation_loss``,
        ``validation_accuracy`` and ``validation_macro_f1``.
    validation_ : ndarray of bool, shape (n,)
        Training cells that are used for early stopping.
    network_ : BiLSTM
    families_ : dict of family to ndarray of int (columns)
    classes_ : ndarray

    References
    ----------
    Schwider and Ramezani, "Cross-species transfer learning for electrophysiology-to-transcriptomics
    mapping in cortical GABAergic interneurons", arXiv 2603.11000.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import AttentionBiLSTMClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = AttentionBiLSTMClassifier(max_epochs=2, random_state=0)
    >>> model = model.fit(data.X, data.obs["type"], data.var["family"])
    >>> model.attention_weights(data.X).shape
    (300, 11)
    """

    _parameter_constraints: dict = {
        "attention": ["boolean"],
        "smote": ["boolean"],
        "published": ["boolean", StrOptions({"mouse"})],
        "loss": [StrOptions({"cross_entropy", "arcface"})],
        "hidden": COUNT,
        "max_epochs": [*COUNT, None],
    }

    def __init__(
        self,
        attention: bool = True,
        hidden: int = 128,
        loss: str = "cross_entropy",
        smote: bool = False,
        published: bool | str = False,
        max_epochs: int | None = None,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.attention = attention
        self.hidden = hidden
        self.loss = loss
        self.smote = smote
        self.published = published
        self.max_epochs = max_epochs
        self.random_state = random_state

    def decisive_params(self) -> dict[str, object]:
        """Parameters that identify stored results."""
        params = self.get_params()
        del params["published"]
        return params | self._treatment() | FIXED

    def _treatment(self):
        treatment = TREATMENTS[self.published].copy()
        if self.smote:
            treatment["class_weight"] = None
        if self.max_epochs is not None:
            treatment["max_epochs"] = self.max_epochs
        return treatment

    def fit(
        self,
        X,
        y: ArrayLike,
        families=None,
        groups: ArrayLike | None = None,
    ) -> Self:
        """Train the network; `X`, `y` and `families` are as in `EphysTypeClassifier.fit`.

        `groups`, of shape (n,), holds donors, whose cells stay together in early stopping.
        """
        X, labels = self._checked_training(X, y, families)
        groups = self._groups_of_typed(groups)
        random = check_random_state(self.random_state)
        self._how = self._treatment()
        if self._how["noise"] is None:
            self._how["noise"] = min(MOST_NOISE, NOISE / np.sqrt(len(X)))
        self.validation_ = np.zeros(len(X), dtype=bool)
        share = self._how["validation_share"]
        if share:
            # training cells of each class; SMOTE interpolates between two
            least = 2 if self.smote else 1
            self.validation_ = training.validation_part(labels, share, groups, least, random)
        scaling = FeatureScaling(self._how["scaling"])
        if self._how["missing"] == "zeros_as_data":
            scaling = make_pipeline(FunctionTransformer(np.nan_to_num), scaling)
        cells = self._learn_scale(X[~self.validation_], scaling)
        # columns of each family, of shape (families, width), with -1 as padding
        columns = seen_columns(self.families_, self._seen).values()
        self._columns = np.array(list(zip_longest(*columns, fillvalue=-1))).T
        codes = labels[~self.validation_]
        self._weights = self._class_weights(codes)
        if self.smote:
            cells, codes = training.oversample(cells, codes, random.randint(2**31 - 1))
        learned = (*self._tokens(cells), torch.from_numpy(codes))
        held_out = self._scaled(X)[self.validation_]
        watched = (*self._tokens(held_out), torch.from_numpy(labels[self.validation_]))
        with reproducible(), torch.random.fork_rng(devices=[]):
            self._train(learned, watched, random.randint(2**31 - 1))
        return self

    def _class_weights(self, codes):
        counts = torch.bincount(torch.from_numpy(codes))
        if self._how["class_weight"] is None:
            return torch.ones(len(counts))
        if self.loss == "arcface":
            return training.effective_number_weights(counts)
        return training.balanced_weights(counts)

    def _train(self, learned, watched, seed):
        torch.manual_seed(seed)  # for initial weights and dropout
        self.network_ = BiLSTM(
            torch.from_numpy(self._columns >= 0),
            len(self.classes_),
            self.hidden,
            self.attention,
            own_weights=self._how["missing"] == "masked",
            cosine=self.loss == "arcface",
        )
        generator = torch.Generator().manual_seed(seed)
        losses = self._losses(learned, watched, generator)
        n_steps = None
        if self._how["schedule"] == "one_cycle":
            n_steps = self._how["max_epochs"] * ceil(len(learned[0]) / BATCH_SIZE)
        rate = self._how["learning_rate"]
        training.descend(self.network_, losses, rate, WEIGHT_DECAY, n_steps, CLIP)

    def _tokens(self, scaled):
        """Values of shape (n, families, width), NaN in padding, and a mask of families to read."""
        values = np.where(self._columns >= 0, scaled[:, self._columns], np.nan)
        values = torch.from_numpy(values.astype(np.float32))
        reads_all = self._how["missing"] == "zeros_as_data"
        return values, ~values.isnan().all(2) | reads_all

    def _losses(self, learned, watched, generator):
        values, present, labels = learned
        history = []
        best = BestWeights(self.network_)
        for _ in range(self._how["max_epochs"]):
            self.network_.train()
            total = 0.0
            order = torch.randperm(len(labels), generator=generator)
            for drawn in order.split(BATCH_SIZE):
                noisy = self._disturbed(values[drawn], generator)
                output = self.network_(noisy, present[drawn])
                loss = self._loss(output, labels[drawn], training.ARCFACE_MARGIN)
                yield loss
                total += float(loss.detach()) * len(drawn)
            history.append({"loss": total / len(order)})
            if not self.validation_.any():
                continue
            scores = self._score(*watched)
            history[-1] |= scores
            # the loss decides among epochs with the same score
            best.offer((scores[f"validation_{self._how['stop_on']}"], -scores["validation_loss"]))
            if best.waited >= PATIENCE:
                break
        best.restore()
        self.history_ = pd.DataFrame(history)

    def _disturbed(self, values, generator):
        if self._how["noise"]:
            values = values + self._how["noise"] * torch.randn(values.shape, generator=generator)
        if self._how["hide"]:
            hidden = torch.rand(values.shape, generator=generator) < self._how["hide"]
            values = values.masked_fill(hidden, torch.nan)
        return values

    def _loss(self, output, labels, margin=0.0):
        if self.loss == "arcface":
            logits = training.add_angular_margin(output, labels, margin)
            return training.focal(logits, labels, self._weights)
        return F.cross_entropy(output, labels, self._weights)

    @torch.no_grad()
    def _score(self, values, present, labels):
        self.network_.eval()
        output = self.network_(values, present)
        loss = float(self._loss(output, labels))
        labels = labels.numpy()
        predicted = output.argmax(1).numpy()
        return {
            "validation_loss": loss,
            "validation_accuracy": accuracy_score(labels, predicted),
            "validation_macro_f1": f1_score(
                labels, predicted, average="macro", labels=np.unique(labels), zero_division=0
            ),
        }

    @torch.no_grad()
    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of the types, ndarray of shape (n, n_classes).

        All types are treated as equally frequent, except with ``published="mouse"``.
        """
        tokens = self._tokens(self._scaled(self._checked_cells(X)))
        with reproducible():
            logits = self.network_(*tokens).double()
        if self.loss == "arcface":
            logits = training.ARCFACE_SCALE * logits
        return logits.softmax(1).numpy()

    @available_if(lambda self: self.attention)
    @torch.no_grad()
    def attention_weights(self, X) -> np.ndarray:
        """Weight of each family in each cell, ndarray of shape (n, n_families).

        Rows sum to 1, but for cells without any value. Families that were not measured have weight
        0, unless missing values are read as zeros (`published`).
        """
        tokens = self._tokens(self._scaled(self._checked_cells(X)))
        with reproducible():
            _, weights = self.network_.encode(*tokens)
        return weights.double().numpy()
