"""Families of features read one after the other by a bidirectional LSTM with attention (Schwider and Ramezani)."""

from numbers import Integral, Real

import numpy as np
import pandas as pd
import torch
from sklearn.utils import check_random_state
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from sbnn.data.checks import some
from sbnn.determinism import reproducible
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.inputs import check_known, checked_cells, checked_with_families, names_of
from sbnn.ephys_types.losses import ARCFACE_SCALE, shift_prior
from sbnn.ephys_types.network import FamilyNetwork
from sbnn.ephys_types.scaling import check_scaling
from sbnn.ephys_types.smote import oversample
from sbnn.ephys_types.tokens import MISSING, TokenReader
from sbnn.ephys_types.training import Plan, class_weights, train
from sbnn.ephys_types.validation import validation_part
from sbnn.models.base import check_number

PRIORS = (None, "training", "uniform")
TOKEN_SIZE = 64
NOISE, MOST_NOISE = 10.0, 0.5  # SD of the noise is NOISE / sqrt(cells): few cells need more of it
CELLS_AT_ONCE = 4096  # that go through the network together, so that memory does not grow with the cells
PUBLISHED = {
    "missing": "zeros_as_data",
    "scaling": "standard",
    "hide": 0.0,
    "noise": 0.0,
    "learning_rate": 1e-3,
    "schedule": "constant",
    "max_epochs": 50,
    "validation_share": 0.25,
}


class AttentionBiLSTMClassifier(TypeClassifier):
    """Bidirectional LSTM over families of features, with attention.

    Each family is a token, in the order of the families: LayerNorm, one LSTM in each direction, additive attention,
    LayerNorm, dropout and a linear layer. Features that are missing are not read, and families that were not measured
    in a cell are left out of its sequence and of the attention.

    Parameters
    ----------
    attention : bool, default=True
        False takes the state of the LSTM at the last family in place of a weighted mean over the families.
    hidden : int, default=128
        Units of the LSTM in each direction.
    dropout : float, default=0.2
        Before the linear layer.
    loss : {"cross_entropy", "focal", "arcface"}, default="cross_entropy"
        ``"focal"`` with gamma 2; ``"arcface"``, focal with an angular margin of 0.35 and scale 30.
    class_weight : "balanced", dict of class -> weight, or None, default="balanced"
        ``"balanced"`` stands for weights inverse to the cells of a class, and in both focal losses to their effective
        number (beta 0.999). Cells made by `smote` do not count.
    smote : bool, default=False
        Fill up the small classes with cells between neighbours, in the training part only.
    prior : {None, "training", "uniform"}, default=None
        Class prior that predictions are made for: the frequencies of the training cells, or all classes alike. None
        leaves predictions as they are: for the prior that weights and SMOTE have made of the training cells.
    missing : {"masked", "zeros_as_data"}, default="masked"
        ``"zeros_as_data"`` is the published treatment: zeros in place of missing values before scaling, and shared
        input weights, by which the padding of a narrow family is read as the columns of a wide one.
    scaling : {"normal_scores", "standard"}, default="normal_scores"
        How features are put on one scale, see `sbnn.ephys_types.scaling`.
    hide : float, default=0.2
        Share of the features that are hidden from each cell in each epoch, as if they were missing.
    noise : float or None, default=None
        SD of the noise added to the scaled features in each epoch; None stands for ``10 / sqrt(n)`` with n training
        cells, at most 0.5.
    learning_rate : float, default=3e-3
        Of AdamW; the largest one where it follows a schedule.
    schedule : {"one_cycle", "constant"}, default="one_cycle"
        Whether the learning rate rises, and falls to nothing within `max_epochs`.
    weight_decay : float, default=1e-4
    batch_size : int, default=64
    max_epochs : int, default=20
    patience : int, default=7
        Epochs without a better validation score after which training ends.
    validation_share : float, default=0.0
        Part of the training cells that decides which epoch was best, and is not trained on. With 0 all cells are
        trained on for `max_epochs`, which under the schedule does better.
    stop_on : {"macro_f1", "accuracy", "loss"}, default="macro_f1"
        Validation score.
    random_state : int, RandomState or None, default=None
        Seed of weights, dropout, order of the cells, noise, validation part and SMOTE.

    Attributes
    ----------
    attention_ : ndarray, shape (n, n_families)
        Attention of the training cells, see `attention_weights`; only with ``attention=True``.
    history_ : DataFrame
        One row per epoch: ``epoch``, ``loss``, and of the validation part ``validation_loss``,
        ``validation_accuracy`` and ``validation_macro_f1``.
    validation_ : ndarray of bool, shape (n,)
        Training cells that were set aside.
    class_weight_ : ndarray, shape (n_classes,)
    network_ : FamilyNetwork
    families_ : dict of family to ndarray of int
        Columns of each.
    classes_ : ndarray
    n_features_in_, feature_names_in_ : number and names of the features seen by `fit`.

    Notes
    -----
    One thread, so that the same seed gives the same bits whatever the number of processors.

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
        self,
        attention=True,
        hidden=128,
        dropout=0.2,
        loss="cross_entropy",
        class_weight="balanced",
        smote=False,
        prior=None,
        missing="masked",
        scaling="normal_scores",
        hide=0.2,
        noise=None,
        learning_rate=3e-3,
        schedule="one_cycle",
        weight_decay=1e-4,
        batch_size=64,
        max_epochs=20,
        patience=7,
        validation_share=0.0,
        stop_on="macro_f1",
        random_state=None,
    ):
        self.attention = attention
        self.hidden = hidden
        self.dropout = dropout
        self.loss = loss
        self.class_weight = class_weight
        self.smote = smote
        self.prior = prior
        self.missing = missing
        self.scaling = scaling
        self.hide = hide
        self.noise = noise
        self.learning_rate = learning_rate
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.patience = patience
        self.validation_share = validation_share
        self.stop_on = stop_on
        self.random_state = random_state

    @classmethod
    def published(cls, **changes):
        """Make the published classifier: zeros read as data, constant learning rate, stopped by a validation part.

        Parameters
        ----------
        **changes
            Other parameters, such as ``smote=True``.

        Returns
        -------
        AttentionBiLSTMClassifier
        """
        return cls(**(PUBLISHED | changes))

    def fit(self, X, y, families=None, groups=None):
        """Train the network.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features; NaN where one is missing.
        y : array-like, shape (n,)
            Types.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family of all.
        groups : array-like, shape (n,), optional
            Donor of each cell: those of one donor go to training or to validation together.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            Infinite values, one class only, too few cells of a class for SMOTE or of all for a validation part,
            families that do not fit the columns, a parameter out of its range.
        TypeError
            A parameter or families of another type.

        Warns
        -----
        UserWarning
            Features without a value in any training cell, which are left out.
        """
        self._check_parameters()
        X, labels = checked_with_families(self, X, y, families)
        plan, fewest = self._plan(len(X)), 2 if self.smote else 1
        if np.bincount(labels).min() < fewest:
            rare = self.classes_[np.bincount(labels) < fewest]
            raise ValueError(f"smote needs at least 2 cells of each class; there is only one of {some(rare)}")
        random = check_random_state(self.random_state)
        self.validation_ = np.zeros(len(X), dtype=bool)
        if self.validation_share:
            self.validation_ = validation_part(labels, self.validation_share, groups, fewest, random)
        train_on, watch = ~self.validation_, torch.from_numpy(np.flatnonzero(self.validation_))
        self.reader_ = TokenReader(self.families_, names_of(self), self.scaling, self.missing).fit(X[train_on])
        scaled, trained = self.reader_.scaled(X), labels[train_on]
        tokens, cells = self.reader_.tokens(scaled), scaled[train_on]
        counts = torch.from_numpy(np.bincount(trained, minlength=len(self.classes_)))
        weights = class_weights(self.class_weight, self.loss, self.classes_, counts)
        if self.smote:
            cells, gone, trained = oversample(cells, np.isnan(cells), trained, random.randint(2**31 - 1))
            cells = np.where(gone, np.nan, cells)
        self.class_weight_ = weights.numpy().astype(np.float64)
        self.training_prior_ = counts.numpy() / counts.sum().item()
        self.trained_prior_ = self.class_weight_ * np.bincount(trained)
        self.trained_prior_ /= self.trained_prior_.sum()
        seed = random.randint(2**31 - 1)
        with reproducible(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)  # initial weights and dropout
            self.network_ = self._network()
            history = train(
                self.network_,
                plan,
                self.reader_.tokens(cells),
                torch.from_numpy(trained),
                weights,
                (tokens.of(watch), torch.from_numpy(labels)[watch]) if len(watch) else None,
                torch.Generator().manual_seed(seed),
            )
        self.history_ = pd.DataFrame(history)
        if self.attention:
            self.attention_ = self._through(tokens, lambda batch: self.network_.encode(batch)[1])
        return self

    def _check_parameters(self):
        check_number("hidden", self.hidden, Integral, 1)
        check_number("dropout", self.dropout, Real, 0, 1)
        check_number("validation_share", self.validation_share, Real, 0, 0.9)
        check_scaling(self.scaling)
        check_known("missing", self.missing, MISSING)
        check_known("prior", self.prior, PRIORS)

    def _network(self):
        return FamilyNetwork(
            torch.from_numpy(self.reader_.columns >= 0),
            len(self.classes_),
            self.hidden,
            self.dropout,
            self.attention,
            masked=self.missing == "masked",
            token_size=TOKEN_SIZE,
            cosine=self.loss == "arcface",
        )

    def _plan(self, n):
        noise = min(MOST_NOISE, NOISE / np.sqrt(n)) if self.noise is None else self.noise
        names = ("loss", "learning_rate", "weight_decay", "schedule", "batch_size", "max_epochs", "patience", "stop_on")
        return Plan(**{name: getattr(self, name) for name in names}, hide=self.hide, noise=noise)

    def _tokens(self, X):
        check_is_fitted(self)
        return self.reader_.tokens(self.reader_.scaled(checked_cells(self, X)))

    @torch.no_grad()
    def _through(self, tokens, function):
        """What the network makes of cells, in blocks, as float64."""
        with reproducible():
            blocks = torch.arange(len(tokens.present)).split(CELLS_AT_ONCE)
            return torch.cat([function(tokens.of(cells)) for cells in blocks]).double().numpy()

    def predict_proba(self, X):
        """Probabilities of the types.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, n_classes)
            In the order of ``classes_``, under the `prior`.
        """
        logits = torch.from_numpy(self._through(self._tokens(X), self.network_))
        if self.loss == "arcface":
            logits = ARCFACE_SCALE * logits
        if self.prior is not None:
            wanted = self.training_prior_ if self.prior == "training" else np.ones(len(self.classes_))
            logits = shift_prior(logits, torch.from_numpy(self.trained_prior_), torch.from_numpy(wanted))
        return logits.softmax(1).numpy()

    def encode(self, X):
        """State of each cell that the linear layer reads.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, 2 * hidden)
        """
        return self._through(self._tokens(X), lambda batch: self.network_.encode(batch)[0])

    @available_if(lambda self: self.attention)
    def attention_weights(self, X):
        """How much the state of each family counts in a cell.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray of float64, shape (n, n_families)
            Rows sum to 1; 0 for a family that was not measured. All are 0 for a cell in which nothing was.
        """
        return self._through(self._tokens(X), lambda batch: self.network_.encode(batch)[1])
