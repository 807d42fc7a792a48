"""Families of features read one after the other by a bidirectional LSTM with attention (Schwider and Ramezani)."""

from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from torch import nn

from sbnn.data.checks import some
from sbnn.determinism import reproducible
from sbnn.ephys_types import training
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier, check_known, seen_columns

TOKEN_SIZE = 64
CLIP, WEIGHT_DECAY = 2.0, 1e-4
PATIENCE = 7  # epochs without a better validation score after which training ends
NOISE, MOST_NOISE = 10.0, 0.5  # SD of the noise is NOISE / sqrt(cells): few cells need more of it
CELLS_AT_ONCE = 4096  # that go through the network together, so that memory does not grow with the cells
PUBLISHED = {
    "missing": "zeros_as_data", "scaling": "standard", "hide": 0.0, "noise": 0.0, "learning_rate": 1e-3,
    "schedule": "constant", "max_epochs": 50, "validation_share": 0.25,
}  # fmt: skip
# What stored results name as parameters besides those of today.
FIXED = {"class_weight": "balanced", "patience": PATIENCE, "prior": None, "stop_on": "macro_f1"}
FIXED["weight_decay"] = WEIGHT_DECAY


class Tokens(NamedTuple):
    """Cells as families of features, each padded to the widest: (n, families, width), and (n, families) of bool."""

    values: torch.Tensor  # scaled, 0 where missing
    missing: torch.Tensor
    present: torch.Tensor  # where some feature of the family was measured

    def of(self, cells):
        """Take some cells: tensor of int."""
        return Tokens(*(part[cells] for part in self))


class OwnWeights(nn.Module):
    """Turns each family into a token by weights of its own: a column means another thing in another family."""

    def __init__(self, real, size):
        super().__init__()
        self.register_buffer("real", real)  # (families, width): columns that are no padding
        self.size = size
        families, width = real.shape
        # Each feature comes with an indicator of being missing; uniform as in nn.Linear of as many inputs as are real.
        bound = real.sum(1).clamp_min(1).float().rsqrt()[:, None, None]
        self.weight = nn.Parameter((2 * torch.rand(families, 2 * width, size) - 1) * bound)
        self.bias = nn.Parameter((2 * torch.rand(families, 1, size) - 1) * bound)

    def forward(self, tokens):
        """Tokens of shape (n, families, size)."""
        seen = self.real & ~tokens.missing
        values = torch.where(seen, tokens.values, 0.0)
        entries = torch.cat([values, (self.real & tokens.missing).to(values.dtype)], dim=-1)
        return torch.baddbmm(self.bias, entries.transpose(0, 1), self.weight).transpose(0, 1)


class SharedWeights(nn.Module):
    """The published tokens: the padded values themselves, so that all families share the weights of the LSTM."""

    def __init__(self, real):
        super().__init__()
        self.size = real.shape[1]

    def forward(self, tokens):
        """Tokens of shape (n, families, width): zeros where nothing was measured, read as data."""
        return torch.where(tokens.missing, 0.0, tokens.values)


class BiLSTM(nn.Module):
    """LayerNorm, bidirectional LSTM over families, additive attention, LayerNorm, dropout, linear head.

    `real` (families, width) tells columns from padding. Without `attention` the output of the LSTM at the last family
    takes the place of the weighted mean; not `masked`, zeros are read as data in every family, measured or not; a head
    of a `cosine` gives those between cell and class (ArcFace).
    """

    def __init__(
        self, real, n_classes, hidden=128, dropout=0.2, attention=True, masked=True, token_size=32, cosine=False
    ):
        super().__init__()
        self.masked, self.cosine = masked, cosine
        self.tokens = OwnWeights(real, token_size) if masked else SharedWeights(real)
        self.norm_tokens = nn.LayerNorm(self.tokens.size)
        self.ahead = nn.LSTM(self.tokens.size, hidden, batch_first=True)
        self.back = nn.LSTM(self.tokens.size, hidden, batch_first=True)
        of_state = (nn.Linear(2 * hidden, hidden), nn.Tanh(), nn.Linear(hidden, 1)) if attention else ()
        self.score = nn.Sequential(*of_state) if attention else None
        self.norm_state = nn.LayerNorm(2 * hidden)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * hidden, n_classes, bias=not cosine)

    def encode(self, tokens):
        """State of each cell (n, 2 * hidden), and weights of its families (n, families): 0 if not present, sum 1."""
        present = tokens.present if self.masked else torch.ones_like(tokens.present)
        x = self.norm_tokens(self.tokens(tokens))
        # Present families first, in their order; what comes after them is computed and never looked at.
        order = torch.argsort(present, dim=1, descending=True, stable=True)
        length = present.sum(1, keepdim=True)
        place = torch.arange(present.shape[1], device=x.device).expand_as(order)
        inside = place < length
        mirror = torch.where(inside, length - 1 - place, place)
        ahead, _ = self.ahead(_rows(x, order))
        back, _ = self.back(_rows(x, order.gather(1, mirror)))
        states = torch.cat([ahead, _rows(back, mirror)], dim=-1)
        if self.score is None:
            weights = (place == length - 1).to(x.dtype)
        else:
            scores = self.score(states)[..., 0].masked_fill(~inside, -torch.inf)
            weights = torch.where(length > 0, scores, 0.0).softmax(1) * inside  # a softmax over nothing is NaN
        state = self.norm_state(torch.bmm(weights[:, None], states)[:, 0])
        return state, torch.zeros_like(weights).scatter(1, order, weights)

    def forward(self, tokens):
        """Logits, or cosines, of shape (n, n_classes)."""
        state = self.dropout(self.encode(tokens)[0])
        if self.cosine:
            return F.linear(F.normalize(state), F.normalize(self.head.weight))
        return self.head(state)


def _rows(x, order):
    """Entries of x (n, families, size) along its second axis, in the order of each cell (n, families)."""
    return x.gather(1, order[..., None].expand(-1, -1, x.shape[-1]))


def make_tokens(X, columns):
    """Tokens of scaled features (n, p), NaN where missing; `columns` (families, width) with -1 for padding."""
    values = np.where(columns >= 0, X[:, columns], np.nan)
    missing = np.isnan(values)
    return Tokens(
        torch.from_numpy(np.where(missing, 0, values).astype(np.float32)),
        torch.from_numpy(missing),
        torch.from_numpy(~missing.all(axis=2)),
    )


class AttentionBiLSTMClassifier(TypeClassifier):
    """Bidirectional LSTM over families of features, with attention.

    Each family is a token, in the order of the families: LayerNorm, one LSTM in each direction, additive attention,
    LayerNorm, dropout and a linear layer. Features that are missing are not read, and families that were not measured
    in a cell are left out of its sequence and of the attention. All classes count alike.

    Parameters
    ----------
    attention : bool, default=True
        False takes the state of the LSTM at the last family in place of a weighted mean over the families.
    hidden : int, default=128
        Units of the LSTM in each direction.
    dropout : float, default=0.2
        Before the linear layer.
    loss : {"cross_entropy", "arcface"}, default="cross_entropy"
        ``"arcface"``: focal (gamma 2) with an angular margin of 0.35, scale 30 and weights of the effective number of
        cells (beta 0.999).
    smote : bool, default=False
        Fill up the small classes with cells between neighbours, in the training part only.
    missing : {"masked", "zeros_as_data"}, default="masked"
        ``"zeros_as_data"`` is the published treatment: zeros in place of missing values before scaling, and shared
        input weights, by which the padding of a narrow family is read as the columns of a wide one.
    scaling : {"normal_scores", "standard"}, default="normal_scores"
        Whether features are mapped to a normal distribution by their quantiles before they are z-scored.
    hide : float, default=0.2
        Share of the features that are hidden from each cell in each epoch, as if they were missing.
    noise : float or None, default=None
        SD of the noise added to the scaled features in each epoch; None stands for ``10 / sqrt(n)`` with n training
        cells, at most 0.5.
    learning_rate : float, default=3e-3
        Of AdamW; the largest one where it follows a schedule.
    schedule : {"one_cycle", "constant"}, default="one_cycle"
        Whether the learning rate rises, and falls to nothing within `max_epochs`.
    batch_size : int, default=64
    max_epochs : int, default=20
    validation_share : float, default=0.0
        Part of the training cells that decides by macro-F1 which epoch was best, and is not trained on; training ends
        after seven epochs without a better one. With 0 all cells are trained on for `max_epochs`, which under the
        schedule does better.
    random_state : int, RandomState or None, default=None
        Seed of weights, dropout, order of the cells, noise, validation part and SMOTE.

    Attributes
    ----------
    history_ : DataFrame
        One row per epoch: ``epoch``, ``loss``, and of the validation part ``validation_loss``,
        ``validation_accuracy`` and ``validation_macro_f1``.
    validation_ : ndarray of bool, shape (n,)
        Training cells that were set aside.
    network_ : BiLSTM
    families_ : dict of family to ndarray of int
        Columns of each.
    classes_ : ndarray
    n_features_in_, feature_names_in_ : number and names of the features seen by `fit`.

    References
    ----------
    Schwider and Ramezani, "Cross-species transfer learning for electrophysiology-to-transcriptomics mapping in cortical
    GABAergic interneurons", arXiv 2603.11000.

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import AttentionBiLSTMClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = AttentionBiLSTMClassifier(max_epochs=2).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.attention_weights(data.X).shape
    (300, 11)
    """

    def __init__(
        self, attention=True, hidden=128, dropout=0.2, loss="cross_entropy", smote=False, missing="masked",
        scaling="normal_scores", hide=0.2, noise=None, learning_rate=3e-3, schedule="one_cycle", batch_size=64,
        max_epochs=20, validation_share=0.0, random_state=None,
    ):  # fmt: skip
        self.attention = attention
        self.hidden = hidden
        self.dropout = dropout
        self.loss = loss
        self.smote = smote
        self.missing = missing
        self.scaling = scaling
        self.hide = hide
        self.noise = noise
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.validation_share = validation_share
        self.random_state = random_state

    @classmethod
    def published(cls, **changes):
        """Make the published classifier: zeros read as data, constant learning rate, stopped by a validation part."""
        return cls(**(PUBLISHED | changes))

    def decisive_params(self):
        """Parameters that stored results are recognised by."""
        return self.get_params() | FIXED

    def fit(self, X, y, families=None, groups=None):
        """Train; X, y and `families` as for `EphysTypeClassifier.fit`.

        `groups`, shape (n,), has the donor of each cell: those of one donor go to training or validation together.
        """
        check_known("loss", self.loss, ("cross_entropy", "arcface"))
        check_known("schedule", self.schedule, ("one_cycle", "constant"))
        check_known("missing", self.missing, ("masked", "zeros_as_data"))
        X, labels = self._checked_training(X, y, families)
        random, keep = check_random_state(self.random_state), 2 if self.smote else 1
        rare = self.classes_[np.bincount(labels) < keep]
        if len(rare):
            raise ValueError(f"smote needs at least 2 cells of each class; there is only one of {some(rare)}")
        self.validation_ = np.zeros(len(X), dtype=bool)
        if self.validation_share:
            self.validation_ = training.validation_part(labels, self.validation_share, groups, keep, random)
        train_on, watch = ~self.validation_, torch.from_numpy(np.flatnonzero(self.validation_))
        self._seen = self._measured(X[train_on])
        kept = list(seen_columns(self.families_, self._seen).values())
        width = max(map(len, kept))
        self._columns = np.array([np.pad(its, (0, width - len(its)), constant_values=-1) for its in kept])
        self._scaling = FeatureScaling(self.scaling).fit(self._read(X[train_on]))
        scaled, trained = self._scaling.transform(self._read(X)), labels[train_on]
        counts = torch.from_numpy(np.bincount(trained, minlength=len(self.classes_)))
        arcface = self.loss == "arcface"
        weights = (training.effective_number_weights if arcface else training.balanced_weights)(counts).float()
        cells = scaled[train_on]
        if self.smote:
            cells, trained = training.oversample(cells, trained, random.randint(2**31 - 1))
        noise = min(MOST_NOISE, NOISE / np.sqrt(len(X))) if self.noise is None else self.noise
        seed = random.randint(2**31 - 1)
        with reproducible(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # initial weights and dropout
            self.network_ = BiLSTM(
                torch.from_numpy(self._columns >= 0), len(self.classes_), self.hidden, self.dropout, self.attention,
                masked=self.missing == "masked", token_size=TOKEN_SIZE, cosine=arcface,
            )  # fmt: skip
            tokens, generator = make_tokens(cells, self._columns), torch.Generator().manual_seed(seed)
            watched = make_tokens(scaled, self._columns).of(watch), torch.from_numpy(labels)[watch]
            losses = self._losses(tokens, torch.from_numpy(trained), weights, noise, watched, generator)
            n_steps = self.max_epochs * -(-len(trained) // self.batch_size) if self.schedule == "one_cycle" else None
            training.descend(self.network_, losses, self.learning_rate, WEIGHT_DECAY, n_steps, CLIP)
        return self

    def _read(self, X):
        """Features that are read; the published treatment takes missing ones for zeros."""
        X = X[:, self._seen]
        return np.nan_to_num(X) if self.missing == "zeros_as_data" else X

    def _losses(self, tokens, labels, weights, noise, watched, generator):
        """Loss of each batch of each epoch; the network is left with the weights of the best epoch."""
        n, history, best, best_state, waited = len(labels), [], None, None, 0
        for epoch in range(1, self.max_epochs + 1):
            self.network_.train()
            order, total = torch.randperm(n, generator=generator), 0.0
            for cells in order.split(self.batch_size):
                values, missing, present = tokens.of(cells)
                if noise:
                    values = values + noise * torch.randn(values.shape, generator=generator)
                if self.hide:
                    missing = missing | (torch.rand(missing.shape, generator=generator) < self.hide)
                output = self.network_(Tokens(values, missing, present))
                yield (loss := self._loss(output, labels[cells], weights, training.ARCFACE_MARGIN))
                total += float(loss.detach()) * len(cells)
            history.append({"epoch": epoch, "loss": total / n})
            if not len(watched[1]):
                continue
            history[-1] |= self._score(*watched, weights)
            rank = history[-1]["validation_macro_f1"], -history[-1]["validation_loss"]
            if best is None or rank > best:
                best, waited = rank, 0
                best_state = {name: value.clone() for name, value in self.network_.state_dict().items()}
            else:
                if (waited := waited + 1) >= PATIENCE:
                    break
        if best_state is not None:
            self.network_.load_state_dict(best_state)
        self.history_ = pd.DataFrame(history)

    def _loss(self, output, labels, weights, margin):
        if self.loss == "arcface":
            return training.focal(training.add_angular_margin(output, labels, margin=margin), labels, weights)
        return F.cross_entropy(output, labels, weights)

    @torch.no_grad()
    def _score(self, tokens, labels, weights):
        """Validation scores; the margin of ArcFace and dropout are for training only."""
        self.network_.eval()
        output = self.network_(tokens)
        loss, found = self._loss(output, labels, weights, margin=0.0), output.argmax(1)
        f1 = f1_score(labels.numpy(), found.numpy(), average="macro", labels=np.unique(labels), zero_division=0)
        accuracy = float((found == labels).float().mean())
        return {"validation_loss": float(loss), "validation_accuracy": accuracy, "validation_macro_f1": float(f1)}

    @torch.no_grad()
    def _through(self, X, function):
        """What the network makes of cells, in blocks, as float64."""
        X = self._checked_cells(X)
        tokens = make_tokens(self._scaling.transform(self._read(X)), self._columns)
        with reproducible():
            blocks = torch.arange(len(tokens.present)).split(CELLS_AT_ONCE)
            return torch.cat([function(tokens.of(cells)) for cells in blocks]).double().numpy()

    def predict_proba(self, X):
        """Probabilities of the types, ndarray of shape (n, n_classes), if all classes were as frequent."""
        logits = torch.from_numpy(self._through(X, lambda tokens: self.network_(tokens)))
        return (training.ARCFACE_SCALE * logits if self.loss == "arcface" else logits).softmax(1).numpy()

    @available_if(lambda self: self.attention)
    def attention_weights(self, X):
        """Weight of each family in each cell, ndarray of shape (n, n_families).

        Rows sum to 1; 0 for a family that was not measured. All are 0 for a cell in which nothing was.
        """
        return self._through(X, lambda tokens: self.network_.encode(tokens)[1])
