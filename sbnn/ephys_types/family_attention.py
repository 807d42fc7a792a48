"""The attention model of the project: an ensemble of small networks over families of features, trained with noise."""

from numbers import Integral, Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from sbnn.determinism import reproducible
from sbnn.ephys_types.base import TypeClassifier
from sbnn.ephys_types.family_network import ABSENT, FamilyAttentionNetwork
from sbnn.ephys_types.inputs import check_auto, checked_cells, checked_with_families, names_of
from sbnn.ephys_types.scaling import FeatureScaling, measured
from sbnn.models.base import check_number

FEW, MANY = 500, 5000  # training cells between which noise and steps go from those for few to those for many
CELLS_AT_ONCE = 4096


class FamilyAttentionClassifier(TypeClassifier):
    """Classify cells by attention over families of features.

    Features are mapped to normal scores by their quantiles; a missing value says nothing, and a family without any has
    no weight. `n_members` networks are trained side by side, each on cells drawn so that all classes are as frequent,
    with Gaussian noise on the inputs and some of them left out: with few hundred cells that is what keeps a network
    from learning single cells. No cell is set aside to stop early. The mean of their probabilities is the prediction.

    Parameters
    ----------
    n_members : int, default=4
    width : int, default=16
        Numbers that a family is turned into.
    hidden : int, default=64
        Units of the layer after the attention.
    noise : float or "auto", default="auto"
        SD of the input noise, in SD of the features. By default 0.7 with 500 training cells and fewer, 0.15 with 5000
        and more, and between them by the logarithm.
    dropout : float or "auto", default="auto"
        Of tokens and hidden units; 0.3 and 0.1, likewise.
    feature_dropout : float, default=0.1
        Share of the measured features that are left out at a step.
    n_steps : int or "auto", default="auto"
        Steps of the optimiser (AdamW, one cycle); 400 and 1200, likewise.
    batch_size : int or "auto", default="auto"
        Cells at a step, for each member; 128 and 256, likewise.
    learning_rate : float, default=5e-3
        At its peak.
    weight_decay : float, default=1e-2
    random_state : int, RandomState or None, default=None

    Attributes
    ----------
    classes_ : ndarray
    families_ : dict of family to ndarray of int
        Columns of each.
    n_features_in_ : int
    network_ : FamilyAttentionNetwork

    Examples
    --------
    >>> from sbnn import load_dataset
    >>> from sbnn.ephys_types import FamilyAttentionClassifier
    >>> data = load_dataset("simulated_ephys", verbose=False)
    >>> model = FamilyAttentionClassifier(n_steps=20, random_state=0).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.attention_weights(data.X).shape
    (300, 11)
    """

    def __init__(
        self,
        n_members=4,
        width=16,
        hidden=64,
        noise="auto",
        dropout="auto",
        feature_dropout=0.1,
        n_steps="auto",
        batch_size="auto",
        learning_rate=5e-3,
        weight_decay=1e-2,
        random_state=None,
    ):
        self.n_members = n_members
        self.width = width
        self.hidden = hidden
        self.noise = noise
        self.dropout = dropout
        self.feature_dropout = feature_dropout
        self.n_steps = n_steps
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X, y, families=None):
        """Train.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)
            Features, NaN where missing.
        y : array-like, shape (n,)
            Type of each cell.
        families : dict of family -> columns, sequence of str, or None
            Columns of each family, or the family of each column; None makes one family of all.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            One class only, infinite values, no value at all, families of other columns, parameters out of range.
        TypeError
            A parameter or families of another type.

        Warns
        -----
        UserWarning
            Features without a value in any training cell, which are left out.
        """
        self._check_parameters()
        X, codes = checked_with_families(self, X, y, families)
        self._seen = measured(X, names_of(self))
        self._scaling = FeatureScaling().fit(X[:, self._seen])
        settings = self._settings(len(X))
        with reproducible():
            generator = torch.Generator().manual_seed(check_random_state(self.random_state).randint(2**31 - 1))
            self._build(len(self.classes_), settings, generator)
            target = torch.as_tensor(codes)
            chance = (1 / torch.bincount(target).float())[target]  # every class is drawn as often
            self._train(*self._tensors(X), target, chance, generator, settings)
        return self

    def _build(self, n_outputs, settings, generator):
        place = np.cumsum(self._seen) - 1
        columns = [place[its[self._seen[its]]] for its in self.families_.values() if self._seen[its].any()]
        self.network_ = FamilyAttentionNetwork(
            columns, n_outputs, self.n_members, self.width, self.hidden, settings["dropout"], generator
        )

    def _check_parameters(self):
        for name in ("n_members", "width", "hidden"):
            check_number(name, getattr(self, name), Integral, 1)
        check_number("feature_dropout", self.feature_dropout, Real, 0, 1, closed="left")
        check_number("learning_rate", self.learning_rate, Real, 0, closed="neither")
        check_number("weight_decay", self.weight_decay, Real, 0)
        check_auto("noise", self.noise, Real, 0)
        check_auto("dropout", self.dropout, Real, 0, 1, closed="left")
        for name in ("n_steps", "batch_size"):
            check_auto(name, getattr(self, name), Integral, 1)

    def _settings(self, n):
        """Numbers in place of ``"auto"``, for n training cells."""
        many = min(max(np.log(n / FEW) / np.log(MANY / FEW), 0), 1)
        auto = {"noise": (0.7, 0.15), "dropout": (0.3, 0.1), "n_steps": (400, 1200), "batch_size": (128, 256)}
        settings = {}
        for name, (for_few, for_many) in auto.items():
            given = getattr(self, name)
            setting = for_few + many * (for_many - for_few) if isinstance(given, str) else given
            settings[name] = int(setting) if name in ("n_steps", "batch_size") else float(setting)
        return settings

    def _train(self, x, known, target, chance, generator, settings, heads=None):
        """Train the network on cells drawn by chance; of several heads, each cell trains its own."""
        shape = self.n_members, settings["batch_size"]
        n_drawn = shape[0] * shape[1]
        optimizer = torch.optim.AdamW(
            self.network_.parameters(), lr=self.learning_rate, weight_decay=self.weight_decay, fused=True
        )
        n_steps = settings["n_steps"]
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.learning_rate, total_steps=max(n_steps, 2))
        # All of torch's own generators, which dropout draws from, follow the seed too.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
            self.network_.train()
            for _ in range(n_steps):
                drawn = torch.multinomial(chance, n_drawn, replacement=True, generator=generator).view(shape)
                noise = torch.randn(*shape, x.shape[1], generator=generator)
                left_in = torch.rand(*shape, x.shape[1], generator=generator) >= self.feature_dropout
                logits, _ = self.network_(x[drawn].add_(noise, alpha=settings["noise"]), known[drawn] * left_in)
                if heads is not None:
                    logits = logits.masked_fill(~heads[drawn], ABSENT)
                # The members share nothing: the sum of their losses trains each by itself.
                loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), target[drawn].flatten())
                optimizer.zero_grad(set_to_none=True)
                (loss * self.n_members).backward()
                optimizer.step()
                schedule.step()
            self.network_.eval()

    def _tensors(self, X):
        scaled = self._scaling.transform(X[:, self._seen])
        known = np.isfinite(scaled)
        return tuple(torch.as_tensor(part.astype(np.float32)) for part in (np.where(known, scaled, 0), known))

    @torch.no_grad()
    def _through(self, X):
        """Mean probabilities and mean attention of the members, over cells X."""
        check_is_fitted(self)
        X = checked_cells(self, X)
        probabilities, weights = [], []
        with reproducible():
            # In double precision, so that the cells beside a cell do not change its last digits.
            network = self.network_.double()
            try:
                for start in range(0, len(X), CELLS_AT_ONCE):
                    x, known = (part.double() for part in self._tensors(X[start : start + CELLS_AT_ONCE]))
                    members = (self.n_members, *x.shape)
                    logits, attention = network(x.expand(members), known.expand(members))
                    probabilities.append(logits.softmax(-1).mean(0).numpy())
                    weights.append(attention.mean(0).numpy())
            finally:
                self.network_.float()
        return np.concatenate(probabilities), np.concatenate(weights)

    def predict_proba(self, X):
        """Probability of each class.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_classes)
            Of cells in which all classes are as frequent, as in the training.
        """
        return self._through(X)[0]

    def attention_weights(self, X):
        """Weight of each family in each cell.

        Parameters
        ----------
        X : array-like or DataFrame, shape (n, p)

        Returns
        -------
        ndarray, shape (n, n_families)
            In the order of ``families_``; 0 for a family without a measured feature. Rows sum to 1;
            of a cell without any value, all families that were seen in training count alike.
        """
        weights = self._through(X)[1]
        every = np.zeros((len(weights), len(self.families_)))
        every[:, [self._seen[columns].any() for columns in self.families_.values()]] = weights
        return every
