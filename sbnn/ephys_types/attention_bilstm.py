"""Bidirectional LSTM with attention over families of features (Schwider and Ramezani).

Its losses, the choice of its validation cells and the oversampling of small classes are here, too.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import NamedTuple, Self

import joblib
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
from torch import Tensor, nn

from sbnn.data.checks import abbreviate, check_in_order, check_one_for_each, known_labels
from sbnn.data.inputs import COUNT
from sbnn.determinism import atomic_fit, reproducible
from sbnn.ephys_types.base import CellFeatures, TypeClassifier, columns_with_values
from sbnn.ephys_types.data import FeatureFamilies
from sbnn.errors import require
from sbnn.models.training import BestWeights, epoch_batches, minibatches, take_steps, train_epochs

# Settings of the publication (arXiv 2603.11000)
DROPOUT = 0.2
BATCH_SIZE = 64
MAX_GRADIENT_NORM = 2.0
BILSTM_LEARNING_RATE = 1e-3
BILSTM_WEIGHT_DECAY = 1e-4
BILSTM_PATIENCE = 7  # epochs without a better validation score, after which training ends
BILSTM_VALIDATION_FRACTION = 0.25  # of the training cells
ARCFACE_SCALE = 30.0
ARCFACE_MARGIN = 0.35  # radians
FOCAL_GAMMA = 2.0
N_NEIGHBORS = 5  # between which SMOTE interpolates
# of the transfer
WARM_UP_EPOCHS = 5  # of a new head, with the pretrained encoder frozen
TRANSFER_RATE = 5e-4
FINAL_RATE = 3e-4  # after joint training
SOURCE_VALIDATION_FRACTION = 0.2  # of the source cells, for early stopping of pretraining
SOURCE_WEIGHT = 0.5  # of the loss of source cells in joint training
#: Weights of the encoder that was trained last on source cells, by what determines them.
_LAST_ENCODER: dict[str, dict[str, Tensor]] = {}


def focal_loss(logits: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
    """Focal loss (Lin et al. 2017): cross-entropy times (1 - p)^2, p being that of the true class.

    It is weighted by class as in `torch.nn.functional.cross_entropy`.
    """
    log_probabilities = F.log_softmax(logits, dim=1)
    log_p = log_probabilities.gather(1, labels[:, None])[:, 0]
    # exact also for p close to 1, unlike 1 - exp(log p)
    one_minus_p = -torch.expm1(log_p)
    losses = -(one_minus_p**FOCAL_GAMMA) * log_p
    weights = class_weights[labels]
    return (weights * losses).sum() / weights.sum()


def add_angular_margin(cosines: Tensor, labels: Tensor, margin: float) -> Tensor:
    """Logits of ArcFace (Deng et al. 2019): scaled cosines, of true classes with a margin.

    The margin is added to the angle. Beyond pi, where the cosine would rise again, a line replaces
    it.
    """
    cosine = cosines.gather(1, labels[:, None])
    sine = (1 - cosine.square()).clamp_min(1e-9).sqrt()
    # cos(a + m) = cos a cos m - sin a sin m
    with_margin = cosine * math.cos(margin) - sine * math.sin(margin)
    beyond = cosine <= math.cos(math.pi - margin)
    line = cosine - margin * math.sin(margin)
    with_margin = torch.where(beyond, line, with_margin)
    return ARCFACE_SCALE * cosines.scatter(1, labels[:, None], with_margin)


def select_validation_cells(
    labels: np.ndarray,
    fraction: float,
    groups: ArrayLike,
    n_kept: int,
    random_state: np.random.RandomState,
) -> np.ndarray:
    """Mask of validation cells: a `fraction` of each class, but not its last `n_kept` cells.

    Groups are visited in random order and taken as a whole if they bring the fractions of the
    classes closer to `fraction`. Labels, from 0 on, and groups have shape (n,).
    """
    _, group_of = np.unique(groups, return_inverse=True)
    counts = pd.crosstab(group_of, labels).to_numpy()  # cells by group and class
    class_sizes = counts.sum(axis=0)
    target = fraction * class_sizes
    n_selected = np.zeros(len(class_sizes))
    selected = np.zeros(len(counts), dtype=bool)
    for group in random_state.permutation(len(counts)):
        n_with_group = n_selected + counts[group]
        # decrease of the distance to the target, as a fraction of each class, so that all weigh
        # the same
        gain = np.abs(n_selected - target) - np.abs(n_with_group - target)
        enough_left = (n_with_group <= class_sizes - n_kept).all()
        if enough_left and (gain / class_sizes).sum() > 0:
            n_selected = n_with_group
            selected[group] = True
    if not selected.any():
        raise ValueError(
            f"validation_share={fraction} leaves none of the {len(labels)} cells; each type needs "
            f"{n_kept} to train on"
        )
    return selected[group_of]


def oversample(
    cells: np.ndarray, labels: np.ndarray, random_state: int
) -> tuple[np.ndarray, np.ndarray]:
    """Oversample every class to the size of the largest one by SMOTE (Chawla et al. 2002).

    New cells follow the given ones. Each is x + u (x' - x), with u uniform in [0, 1], for a cell x
    and one of its (up to five) nearest neighbours x' in its class.
    """
    require("imblearn")
    from imblearn.over_sampling import SMOTE  # slow to import

    smallest_class = np.bincount(labels).min()
    n_neighbors = min(N_NEIGHBORS, smallest_class - 1)
    sampler = SMOTE(k_neighbors=n_neighbors, random_state=random_state)
    return sampler.fit_resample(cells, labels)


class BiLSTM(nn.Module):
    """LayerNorm, bidirectional LSTM over families, attention, LayerNorm, dropout and a linear head.

    Tokens have shape (n, families, width). With `cosine`, the head returns the cosine between the
    pooled state and the weights of a class.
    """

    def __init__(
        self,
        width: int,
        n_classes: int,
        hidden: int,
        attention: bool = True,
        cosine: bool = False,
    ) -> None:
        super().__init__()
        self.cosine = cosine
        self.norm_tokens = nn.LayerNorm(width)
        self.lstm = nn.LSTM(width, hidden, batch_first=True, bidirectional=True)
        self.score: nn.Module | None = None
        if attention:
            self.score = nn.Sequential(
                nn.Linear(2 * hidden, hidden),
                nn.Tanh(),
                nn.Linear(hidden, 1),
            )
        self.norm_state = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(DROPOUT)
        self.head = nn.Linear(2 * hidden, n_classes, bias=not cosine)

    def encode(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled state (n, 2 * hidden) of each cell, and weights (n, families) of its families."""
        states, _ = self.lstm(self.norm_tokens(tokens))  # (n, families, 2 * hidden)
        if self.score is None:
            weights = torch.zeros(states.shape[:2], dtype=states.dtype)
            weights[:, -1] = 1
        else:
            weights = self.score(states)[..., 0].softmax(1)
        pooled = torch.bmm(weights[:, None], states)[:, 0]
        return pooled, weights

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits or cosines, of shape (n, n_classes)."""
        state, _ = self.encode(tokens)
        if self.cosine:
            return F.linear(F.normalize(state), F.normalize(self.head.weight))
        return self.head(self.dropout(self.norm_state(state)))


class LabelledTokens(NamedTuple):
    """Cells as input of the network."""

    tokens: Tensor  # of shape (n, families, width)
    labels: Tensor  # positions among the classes, (n,)


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
        Test logits are raised by this times the logarithm of the fractions of the classes among the
        training cells. Published with ArcFace: -1 for human cells, 0.7 for mouse cells.
    transfer : {"pretrained", "joint"} or None
        How `fit` uses the cells of another species. ``"pretrained"``: train a network on them,
        replace its head and the LayerNorm in it, train these and then everything with half the
        learning rate. Fits with the same source cells and ``random_state``, as in the folds of a
        run, share the network that was trained last.
        ``"joint"``: train one encoder with a head for each species, on four fifths of the source
        cells, with half the weight, and then the target alone; the last incomplete batch of an
        epoch is left out. Both are as published.
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

    history_: pd.DataFrame
    validation_: np.ndarray
    network_: BiLSTM

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
        X: CellFeatures,
        y: ArrayLike,
        families: FeatureFamilies = None,
        groups: ArrayLike | None = None,
        source: tuple[CellFeatures, ArrayLike] | None = None,
    ) -> Self:
        """Train the network; `X`, `y` and `families` are as in `EphysTypeClassifier.fit`.

        `groups`, of shape (n,), holds donors, whose cells stay together in early stopping.
        `source`, for `transfer`, is a pair of cells of another species, (m, p), and their types.
        """
        features, labels = self._read_training(X, y, families)
        check_in_order(X, groups, "groups")
        if (self.transfer is None) != (source is None):
            raise ValueError(
                f"source: expected cells of another species only with transfer, "
                f"got transfer={self.transfer!r}"
            )
        random = check_random_state(self.random_state)
        if groups is None:
            groups = np.arange(len(features))
        check_one_for_each(groups, "groups")
        source_seed = None
        if self.transfer == "pretrained":
            source_seed = random.randint(2**31 - 1)  # before draws that depend on the cells
        # SMOTE interpolates between two cells of a class
        n_kept = 2 if self.smote else 1
        rare = self.classes_[np.bincount(labels) < n_kept]
        if len(rare):
            raise ValueError(
                f"y: SMOTE needs two cells of each type, there is one of {abbreviate(rare)}; leave "
                "them out"
            )
        self.validation_ = select_validation_cells(
            labels, self.validation_share, groups, n_kept=n_kept, random_state=random
        )
        training = ~self.validation_

        source_features = None
        source_y = None
        if source is not None:
            source_X, source_y = source
            check_consistent_length(source_X, source_y)
            check_in_order(source_X, source_y, "source")
            if known_labels(np.asarray(source_y)).isna().any():
                raise ValueError("source: expected a type for every cell")
            source_features = self._read_cells(source_X)
        self._has_values = self._find_features_with_values(features[training], source_features)
        self._columns = self._pad_columns()

        # Neither scaling nor prior nor class weights depend on validation cells.
        values = self._fill_missing(features)
        self._scaler = StandardScaler().fit(values[training])
        scaled = self._scaler.transform(values)
        self._validation_cells = self._label_tokens(
            scaled[self.validation_], labels[self.validation_]
        )
        training_values = scaled[training]
        training_labels = labels[training]
        class_fractions = np.bincount(training_labels) / len(training_labels)
        self._prior = self.prior_power * torch.from_numpy(np.log(class_fractions))
        if self.smote:
            smote_seed = random.randint(2**31 - 1)
            training_values, training_labels = oversample(
                training_values, training_labels, smote_seed
            )
        cells = self._label_tokens(training_values, training_labels)
        self._class_weights = self._weigh_classes(cells.labels)

        self._history: list[dict[str, float]] = []
        seed = random.randint(2**31 - 1)
        torch.manual_seed(seed)  # for initial weights and dropout
        self._generator = torch.Generator().manual_seed(seed)
        self.network_ = BiLSTM(
            width=self._columns.shape[1],
            n_classes=len(self.classes_),
            hidden=self.hidden,
            attention=self.attention,
            cosine=self.loss == "arcface",
        )
        if self.transfer == "pretrained":
            encoder = self._pretrain(source_features, source_y, source_seed)
            torch.manual_seed(seed)  # whether the source network is a new one or not
            self._train_from_encoder(cells, encoder)
        elif self.transfer == "joint":
            self._train_jointly(cells, source_features, source_y, random=random)
        else:
            self._train_on_target(cells, BILSTM_LEARNING_RATE)
        self.history_ = pd.DataFrame(self._history)
        return self

    def _pad_columns(self):
        """Columns with values of each family, of shape (families, width), with -1 as padding."""
        columns = columns_with_values(self.families_, self._has_values).values()
        return np.array(list(zip_longest(*columns, fillvalue=-1))).T

    def _fill_missing(self, features):
        """Features with values in the training cells, 0 where missing."""
        return np.nan_to_num(features[:, self._has_values])

    def _arrange_tokens(self, scaled):
        """Values of shape (n, families, width), 0 in padding."""
        padding = np.zeros(len(scaled))
        padded = np.column_stack([scaled, padding])  # column -1, as in `_columns`
        tokens = padded[:, self._columns]
        return torch.from_numpy(tokens.astype(np.float32))

    def _label_tokens(self, scaled, labels):
        return LabelledTokens(tokens=self._arrange_tokens(scaled), labels=torch.from_numpy(labels))

    def _tokenize(self, X):
        """Tokens of cells as the user gives them."""
        values = self._fill_missing(self._read_cells(X))
        return self._arrange_tokens(self._scaler.transform(values))

    def _weigh_classes(self, labels):
        """Weight of each class, n / (k n_c) for n_c of n cells in each of k classes."""
        counts = torch.bincount(labels)
        if self.class_weight is None:
            return torch.ones(len(counts))
        return counts.sum() / (len(counts) * counts)

    def _train_on_target(
        self,
        cells: LabelledTokens,
        learning_rate: float,
        max_epochs: int | None = None,
        parameters: Iterable[nn.Parameter] | None = None,
        drop_last: bool = False,
    ) -> None:
        """Train `parameters`, by default all, on cells of the target species."""
        n_cells = len(cells.labels)

        def compute_losses():
            for batch in epoch_batches(n_cells, BATCH_SIZE, self._generator, drop_last=drop_last):
                output = self.network_(cells.tokens[batch])
                yield self._loss(output, cells.labels[batch], ARCFACE_MARGIN)

        if parameters is None:
            parameters = self.network_.parameters()
        if max_epochs is None:
            max_epochs = self.max_epochs
        self._train_by_adamw(compute_losses, parameters, learning_rate, max_epochs=max_epochs)

    def _train_by_adamw(
        self,
        compute_losses: Callable[[], Iterator[Tensor]],
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        max_epochs: int,
    ) -> None:
        """Take a step for each loss of ``compute_losses()`` in every epoch; keep the best epoch."""
        optimizer = torch.optim.AdamW(
            parameters, learning_rate, weight_decay=BILSTM_WEIGHT_DECAY, fused=True
        )

        def run_epoch(epoch):
            self.network_.train()
            # Gradients of recurrent networks can explode (Pascanu et al. 2013).
            losses = take_steps(compute_losses(), optimizer, max_gradient_norm=MAX_GRADIENT_NORM)
            mean_loss = float(np.mean(list(losses)))
            scores = self._score(self._validation_cells)
            self._history.append({"loss": mean_loss} | scores)
            # The loss decides among epochs with the same score: with few validation cells, there
            # are several.
            return scores[f"validation_{self.stop_on}"], -scores["validation_loss"]

        best = BestWeights(self.network_)
        train_epochs(best, run_epoch, max_epochs, patience=BILSTM_PATIENCE)
        self.network_.eval()

    def _pretrain(self, source_features, source_y, seed):
        """Weights of the encoder of a network that is trained on the source alone."""
        source_model = AttentionBiLSTMClassifier(
            attention=self.attention,
            hidden=self.hidden,
            validation_share=SOURCE_VALIDATION_FRACTION,
            max_epochs=self.max_epochs,
            random_state=seed,
        )
        features = source_features[:, self._has_values]
        families = self._family_of[self._has_values]
        key = joblib.hash([source_model.get_params(), features, source_y, families])
        if key not in _LAST_ENCODER:
            source_model.fit(features, source_y, families)
            weights = {}
            for name, values in source_model.network_.state_dict().items():
                if not name.startswith(("norm_state.", "head.")):
                    weights[name] = values
            _LAST_ENCODER.clear()
            _LAST_ENCODER[key] = weights
        return _LAST_ENCODER[key]

    def _train_from_encoder(self, cells, encoder):
        """Train a new head, and then everything."""
        self.network_.load_state_dict(encoder, strict=False)
        # The gradients of a random head would distort the encoder (Kumar et al. 2022).
        head = nn.ModuleList([self.network_.norm_state, self.network_.head])
        self._train_on_target(
            cells, BILSTM_LEARNING_RATE, max_epochs=WARM_UP_EPOCHS, parameters=head.parameters()
        )
        self._train_on_target(cells, TRANSFER_RATE)

    def _train_jointly(self, cells, source_features, source_y, random):
        """Train on both species, with a head for each; then on the target."""
        source_types, source_codes = np.unique(source_y, return_inverse=True)
        # published: a fifth of the source cells is set aside and not used
        unused = select_validation_cells(
            source_codes,
            SOURCE_VALIDATION_FRACTION,
            groups=np.arange(len(source_codes)),
            n_kept=1,
            random_state=random,
        )
        # Each species is scaled by itself, as the ranges of features differ between them.
        source_values = self._fill_missing(source_features)[~unused]
        source_scaled = StandardScaler().fit_transform(source_values)
        source = self._label_tokens(source_scaled, source_codes[~unused])
        source_weights = self._weigh_classes(source.labels)
        width = 2 * self.hidden
        source_head = nn.Sequential(
            nn.LayerNorm(width),
            nn.Dropout(DROPOUT),
            nn.Linear(width, len(source_types)),
        )
        n_cells = len(cells.labels)
        n_source = len(source.labels)
        # An epoch is a pass through the species with more cells.
        n_steps = max(n_cells, n_source, BATCH_SIZE) // BATCH_SIZE
        batches = minibatches(n_cells, BATCH_SIZE, self._generator, drop_last=True)
        source_batches = minibatches(n_source, BATCH_SIZE, self._generator, drop_last=True)

        def compute_losses():
            for _ in range(n_steps):
                batch = next(batches)
                source_batch = next(source_batches)
                target_loss = self._loss(self.network_(cells.tokens[batch]), cells.labels[batch])
                source_state, _ = self.network_.encode(source.tokens[source_batch])
                source_loss = F.cross_entropy(
                    source_head(source_state), source.labels[source_batch], source_weights
                )
                yield target_loss + SOURCE_WEIGHT * source_loss

        parameters = [*self.network_.parameters(), *source_head.parameters()]
        self._train_by_adamw(compute_losses, parameters, TRANSFER_RATE, max_epochs=self.max_epochs)
        self._train_on_target(cells, FINAL_RATE, drop_last=True)

    def _loss(self, output, labels, margin=0.0):
        """Loss of cells; a margin is added only in training on the target alone."""
        if self.loss == "arcface":
            logits = add_angular_margin(output, labels, margin)
            return focal_loss(logits, labels, self._class_weights)
        return F.cross_entropy(output, labels, self._class_weights)

    @torch.no_grad()
    def _score(self, cells: LabelledTokens) -> dict[str, float]:
        """Loss, accuracy and macro-F1 of validation cells."""
        self.network_.eval()
        output = self.network_(cells.tokens)
        predicted = output.argmax(1)
        # the mean F1 is over the classes of these cells
        present = np.unique(cells.labels)
        macro_f1 = f1_score(
            cells.labels, predicted, labels=present, average="macro", zero_division=0
        )
        return {
            "validation_loss": float(self._loss(output, cells.labels)),
            "validation_accuracy": accuracy_score(cells.labels, predicted),
            "validation_macro_f1": macro_f1,
        }

    @reproducible()
    @torch.no_grad()
    def predict_proba(self, X: CellFeatures) -> np.ndarray:
        """Probabilities of the types, ndarray of shape (n, n_classes).

        With class weights or SMOTE, all types are treated as equally frequent.
        """
        tokens = self._tokenize(X)
        logits = self.network_(tokens).double()
        if self.loss == "arcface":
            logits = ARCFACE_SCALE * logits
        # logit adjustment (Menon et al. 2021) by the fractions of the classes
        adjusted = logits + self._prior
        return adjusted.softmax(1).numpy()

    @available_if(lambda self: self.attention)
    @reproducible()
    @torch.no_grad()
    def attention_weights(self, X: CellFeatures) -> np.ndarray:
        """Weight of each family in each cell, ndarray of shape (n, n_families); rows sum to 1.

        Families that were not measured have weights too.
        """
        tokens = self._tokenize(X)
        _, weights = self.network_.encode(tokens)
        return weights.double().numpy()
