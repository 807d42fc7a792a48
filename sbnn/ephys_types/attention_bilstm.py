"""Bidirectional LSTM with attention over families of features (Schwider and Ramezani)."""

from __future__ import annotations

from itertools import zip_longest
from typing import Self

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike
from sklearn.metrics import accuracy_score, f1_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_consistent_length, check_random_state
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.metaestimators import available_if
from torch import nn

from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types import training
from sbnn.ephys_types.base import TypeClassifier, seen_columns
from sbnn.models.training import BestWeights

DROPOUT = 0.2
BATCH_SIZE = 64
MAX_GRADIENT_NORM = 2.0  # largest norm of the gradient
BILSTM_LEARNING_RATE = 1e-3
BILSTM_WEIGHT_DECAY = 1e-4
BILSTM_PATIENCE = 7  # epochs without a better validation score, after which training ends
BILSTM_VALIDATION_FRACTION = 0.25  # of the training cells
# of the transfer
WARM_UP_EPOCHS = 5  # of a new head, with the pretrained encoder frozen
TRANSFER_RATE = 5e-4
FINAL_RATE = 3e-4  # after joint training
SOURCE_VALIDATION_FRACTION = 0.2  # of the source cells that pretraining leaves out, for early stopping
SOURCE_WEIGHT = 0.5  # of the loss of source cells in joint training


class BiLSTM(nn.Module):
    """LayerNorm, bidirectional LSTM over families, attention, LayerNorm, dropout and a linear head.

    Tokens have shape (n, families, width). With `cosine`, the head returns the cosine between the
    pooled state and the weights of a class.
    """

    def __init__(self, width, n_classes, hidden, attention=True, cosine=False):
        super().__init__()
        self.cosine = cosine
        self.norm_tokens = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.score = None
        if attention:
            layers = nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)
            self.score = nn.Sequential(*layers)
        self.norm_state = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * hidden, n_classes, bias=not cosine)

    def encode(self, tokens):
        """Pooled state (n, 2 * hidden) of each cell, and weights (n, families) of its families."""
        states, _ = self.lstm(self.norm_tokens(tokens))  # (n, families, 2 * hidden)
        if self.score is None:
            weights = torch.zeros(states.shape[:2], dtype=states.dtype)
            weights[:, -1] = 1
        else:
            weights = self.score(states)[..., 0].softmax(1)
        return torch.bmm(weights[:, None], states)[:, 0], weights

    def forward(self, tokens, head=None):
        """Logits or cosines, of shape (n, n_classes), by the network's own or another `head`."""
        state, _ = self.encode(tokens)
        if self.cosine:
            return F.linear(F.normalize(state), F.normalize(self.head.weight))
        state = self.dropout(self.norm_state(state))
        return self.head(state) if head is None else head(state)


class AttentionBiLSTMClassifier(TypeClassifier):
    """Bidirectional LSTM over families of features, with attention, as published.

    Each family is a token. Features are z-scored; missing values are zeros, as if they had been
    measured. A part of the training cells chooses the best epoch.

    Parameters
    ----------
    attention : bool
        If False, use the state at the last family instead of a weighted mean over the families.
    hidden : int
        Number of LSTM units in each direction.
    loss : {"cross_entropy", "arcface"}
        ``"arcface"``: focal (gamma 2) on cosine logits with an angular margin of 0.35 and a scale
        of 30, of the pooled state before LayerNorm and dropout.
    smote : bool
        Interpolate training cells of small classes between neighbours.
    class_weight : {"balanced"} or None
        Weights of the classes after SMOTE; None for mouse cells in the publication.
    stop_on : {"macro_f1", "accuracy"}
        Validation score of the best epoch; ``"accuracy"`` for mouse cells and with ArcFace in the
        publication.
    prior_power : float
        Test logits are raised by this times the logarithm of the shares of the classes among the
        training cells. Published with ArcFace: -1 for human cells, 0.7 for mouse cells.
    transfer : {"pretrained", "joint"} or None
        How `fit` uses the cells of another species. ``"pretrained"``: train a network on them,
        replace its head, train the head and then everything with half the learning rate.
        ``"joint"``: train one encoder with a head for each species, source cells with half the
        weight, and then the target alone.
    validation_share : float
    max_epochs : int
    random_state : int, RandomState or None

    Attributes
    ----------
    history_ : DataFrame
        One row per epoch, with ``loss``, ``validation_loss``, ``validation_accuracy`` and
        ``validation_macro_f1``.
    validation_ : ndarray of bool, shape (n,)
        Cells for early stopping.
    network_ : BiLSTM
    families_ : dict of family to ndarray of int (columns)
    classes_ : ndarray

    References
    ----------
    Schwider and Ramezani, arXiv 2603.11000.
    """

    _parameter_constraints: dict = {
        "attention": ["boolean"],
        "hidden": COUNT,
        "loss": [StrOptions({"cross_entropy", "arcface"})],
        "smote": ["boolean"],
        "class_weight": [StrOptions({"balanced"}), None],
        "stop_on": [StrOptions({"macro_f1", "accuracy"})],
        "transfer": [StrOptions({"pretrained", "joint"}), None],
        "max_epochs": COUNT,
    }

    def __init__(
        self,
        attention: bool = True,
        hidden: int = 128,
        loss: str = "cross_entropy",
        smote: bool = False,
        class_weight: str | None = "balanced",
        stop_on: str = "macro_f1",
        prior_power: float = 0.0,
        transfer: str | None = None,
        validation_share: float = BILSTM_VALIDATION_FRACTION,
        max_epochs: int = 50,
        random_state: int | np.random.RandomState | None = None,
    ) -> None:
        self.attention = attention
        self.hidden = hidden
        self.loss = loss
        self.smote = smote
        self.class_weight = class_weight
        self.stop_on = stop_on
        self.prior_power = prior_power
        self.transfer = transfer
        self.validation_share = validation_share
        self.max_epochs = max_epochs
        self.random_state = random_state

    @atomic_fit
    def fit(
        self,
        X,
        y: ArrayLike,
        families=None,
        groups: ArrayLike | None = None,
        source=None,
    ) -> Self:
        """Train the network; `X`, `y` and `families` are as in `EphysTypeClassifier.fit`.

        `groups`, of shape (n,), holds donors, whose cells stay together in early stopping.
        `source`, for `transfer`, is a pair of cells of another species, (m, p), and their types.
        """
        X, labels = self._checked_training(X, y, families)
        if (self.transfer is None) != (source is None):
            raise ValueError(
                f"source: expected cells of another species only with transfer, "
                f"got transfer={self.transfer!r}"
            )
        random = check_random_state(self.random_state)
        groups = np.arange(len(X)) if groups is None else groups
        # training cells of each class; SMOTE interpolates between two
        least = 2 if self.smote else 1
        self.validation_ = training.select_validation_cells(
            labels, self.validation_share, groups, least, random
        )
        kept = ~self.validation_
        source_X = None
        if source is not None:
            check_consistent_length(*source)
            source_X = self._checked_cells(source[0])
        self._seen = self._measured(X[kept], source_X)
        # columns of each family, of shape (families, width), with -1 as padding
        columns = seen_columns(self.families_, self._seen).values()
        self._columns = np.array(list(zip_longest(*columns, fillvalue=-1))).T
        values = self._values(X)
        self._scaler = StandardScaler().fit(values[kept])
        cells = self._scaler.transform(values)
        self._watched = self._tokens(cells[~kept]), torch.from_numpy(labels[~kept])
        cells, labels = cells[kept], labels[kept]
        shares = np.bincount(labels) / len(labels)
        self._prior = self.prior_power * torch.from_numpy(np.log(shares))
        if self.smote:
            cells, labels = training.oversample(cells, labels, random.randint(2**31 - 1))
        learned = self._tokens(cells), torch.from_numpy(labels)
        self._weights = self._weights_of(learned[1])
        self._history = []
        seed = random.randint(2**31 - 1)
        torch.manual_seed(seed)  # for initial weights and dropout
        self._generator = torch.Generator().manual_seed(seed)
        sizes = self._columns.shape[1], len(self.classes_), self.hidden
        self.network_ = BiLSTM(*sizes, self.attention, self.loss == "arcface")
        if self.transfer == "pretrained":
            self._train_in_turn(learned, source_X, source[1], seed)
        elif self.transfer == "joint":
            self._train_jointly(learned, source_X, source[1])
        else:
            self._train(learned, BILSTM_LEARNING_RATE)
        self.history_ = pd.DataFrame(self._history)
        return self

    def _values(self, X):
        """Features with values in the training cells, 0 where missing."""
        return np.nan_to_num(X[:, self._seen])

    def _tokens(self, cells):
        """Values of shape (n, families, width), 0 in padding."""
        padded = np.column_stack([cells, np.zeros(len(cells))])
        return torch.from_numpy(padded[:, self._columns].astype(np.float32))

    def _tokens_of(self, X):
        X = self._checked_cells(X)
        return self._tokens(self._scaler.transform(self._values(X)))

    def _weights_of(self, labels):
        """Weight of each class, n / (k n_c) for n_c of n cells in each of k classes."""
        counts = torch.bincount(labels)
        if self.class_weight is None:
            return torch.ones(len(counts))
        return counts.sum() / (len(counts) * counts)

    def _train(self, learned, rate, max_epochs=None, parameters=None):
        """Train all `parameters` on cells of the target."""
        tokens, labels = learned

        def losses():
            order = torch.randperm(len(labels), generator=self._generator)
            for drawn in order.split(BATCH_SIZE):
                output = self.network_(tokens[drawn])
                yield self._loss(output, labels[drawn], training.ARCFACE_MARGIN)

        if parameters is None:
            parameters = self.network_.parameters()
        self._descend(losses, parameters, rate, max_epochs or self.max_epochs)

    def _descend(self, losses, parameters, rate, max_epochs):
        """Take a step for each loss of ``losses()``, in every epoch; keep the best epoch."""
        parameters = list(parameters)
        optimizer = torch.optim.AdamW(parameters, rate, weight_decay=BILSTM_WEIGHT_DECAY, fused=True)
        best = BestWeights(self.network_)
        for _ in range(max_epochs):
            self.network_.train()
            of_epoch = []
            for loss in losses():
                optimizer.zero_grad()
                loss.backward()
                nn.utils.clip_grad_norm_(parameters, MAX_GRADIENT_NORM)
                optimizer.step()
                of_epoch.append(loss.item())
            scores = self._score(*self._watched)
            self._history.append({"loss": np.mean(of_epoch)} | scores)
            # the loss decides among epochs with the same score
            best.offer((scores[f"validation_{self.stop_on}"], -scores["validation_loss"]))
            if best.n_waited >= BILSTM_PATIENCE:
                break
        best.restore()
        self.network_.eval()

    def _train_in_turn(self, learned, source_X, source_y, seed):
        """Train on the source; then a new head for the target, and everything."""
        first = AttentionBiLSTMClassifier(
            self.attention,
            self.hidden,
            validation_share=SOURCE_VALIDATION_FRACTION,
            max_epochs=self.max_epochs,
            random_state=seed,
        )
        first.fit(source_X[:, self._seen], source_y, self._family_of[self._seen])
        weights = first.network_.state_dict()
        encoder = {name: value for name, value in weights.items() if not name.startswith("head")}
        self.network_.load_state_dict(encoder, strict=False)
        self._train(learned, BILSTM_LEARNING_RATE, WARM_UP_EPOCHS, self.network_.head.parameters())
        self._train(learned, TRANSFER_RATE)

    def _train_jointly(self, learned, source_X, source_y):
        """Train on both species, with a head for each; then on the target."""
        types, codes = np.unique(source_y, return_inverse=True)
        source_tokens = self._tokens(StandardScaler().fit_transform(self._values(source_X)))
        source_labels = torch.from_numpy(codes)
        source_weights = self._weights_of(source_labels)
        source_head = nn.Linear(2 * self.hidden, len(types))
        tokens, labels = learned
        n_steps = max(len(labels), len(source_labels), BATCH_SIZE) // BATCH_SIZE
        batches = self._endless_batches(len(labels))
        source_batches = self._endless_batches(len(source_labels))

        def losses():
            for _ in range(n_steps):
                drawn = next(batches)
                from_source = next(source_batches)
                own = self._loss(self.network_(tokens[drawn]), labels[drawn])
                output = self.network_(source_tokens[from_source], source_head)
                other = F.cross_entropy(output, source_labels[from_source], source_weights)
                yield own + SOURCE_WEIGHT * other

        parameters = [*self.network_.parameters(), *source_head.parameters()]
        self._descend(losses, parameters, TRANSFER_RATE, self.max_epochs)
        self._train(learned, FINAL_RATE)

    def _endless_batches(self, n):
        """Positions of complete minibatches (of all cells if there are few), in passes."""
        size = min(BATCH_SIZE, n)
        while True:
            order = torch.randperm(n, generator=self._generator)
            yield from order[: n - n % size].split(size)

    def _loss(self, output, labels, margin=0.0):
        if self.loss == "arcface":
            logits = training.add_angular_margin(output, labels, margin)
            return training.focal_loss(logits, labels, self._weights)
        return F.cross_entropy(output, labels, self._weights)

    @torch.no_grad()
    def _score(self, tokens, labels):
        self.network_.eval()
        output = self.network_(tokens)
        predicted = output.argmax(1)
        among = {"labels": np.unique(labels), "average": "macro", "zero_division": 0}
        return {
            "validation_loss": float(self._loss(output, labels)),
            "validation_accuracy": accuracy_score(labels, predicted),
            "validation_macro_f1": f1_score(labels, predicted, **among),
        }

    @reproducible()
    @torch.no_grad()
    def predict_proba(self, X) -> np.ndarray:
        """Probabilities of the types, ndarray of shape (n, n_classes).

        With class weights or SMOTE, all types are treated as equally frequent.
        """
        tokens = self._tokens_of(X)
        logits = self.network_(tokens).double()
        if self.loss == "arcface":
            logits = training.ARCFACE_SCALE * logits
        return (logits + self._prior).softmax(1).numpy()

    @available_if(lambda self: self.attention)
    @reproducible()
    @torch.no_grad()
    def attention_weights(self, X) -> np.ndarray:
        """Weight of each family in each cell, ndarray of shape (n, n_families); rows sum to 1.

        Families that were not measured have weights too.
        """
        tokens = self._tokens_of(X)
        _, weights = self.network_.encode(tokens)
        return weights.double().numpy()
