"""The attention model of the project: an ensemble of small networks over families of features, trained with noise."""

import numpy as np
import torch
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_consistent_length
from torch import nn
from torch.nn import functional

from sbnn.determinism import reproducible
from sbnn.ephys_types.base import FeatureScaling, TypeClassifier, check_known, seen_columns
from sbnn.ephys_types.training import descend

FEW, MANY = 500, 5000  # training cells between which settings go from those for few to those for many, by logarithm
SETTINGS = {"noise": (0.7, 0.15), "dropout": (0.3, 0.1), "n_steps": (400, 1200), "batch_size": (128, 256)}
WIDTH, HIDDEN = 16, 64  # numbers of a token, units of the layer after the attention
FEATURE_DROPOUT = 0.1  # share of the measured features that are left out at a step
LEARNING_RATE, WEIGHT_DECAY = 5e-3, 1e-2
ABSENT = -1e4  # score of a family that was not measured: its weight is zero to the last bit
CELLS_AT_ONCE = 4096
# What stored results name as parameters besides those of today.
FIXED = {
    "batch_size": "auto", "dropout": "auto", "feature_dropout": FEATURE_DROPOUT, "hidden": HIDDEN, "noise": "auto",
    "learning_rate": LEARNING_RATE, "weight_decay": WEIGHT_DECAY, "width": WIDTH,
}  # fmt: skip


class FamilyAttentionNetwork(nn.Module):
    """An ensemble of `n_members` networks, trained side by side, whose input is cut into families.

    Each family becomes a token of `width` numbers. Attention gives every token a weight; weights of a cell sum to 1
    over the families that were measured in it. Weighted tokens stand side by side, and not in a sum, so that the layers
    after them can tell which family said what.
    """

    def __init__(self, columns, n_classes, n_members, width, hidden, dropout, generator):
        super().__init__()
        n_features, n_families = sum(map(len, columns)), len(columns)
        self.dropout, self.n_families, self.width = dropout, n_families, width
        belongs = torch.zeros(n_features, n_families)
        for family, of_family in enumerate(columns):
            belongs[torch.as_tensor(of_family), family] = 1
        self.register_buffer("belongs", belongs)
        self.register_buffer("own_family", belongs.repeat_interleave(width, dim=1))

        def normal(*shape, scale):
            return nn.Parameter(torch.randn(n_members, *shape, generator=generator) * scale)

        n_tokens = n_families * width
        spread = belongs.sum(0).clamp(min=1).rsqrt().repeat_interleave(width)
        self.embedding = normal(n_features, n_tokens, scale=spread)
        self.embedding_bias = nn.Parameter(torch.zeros(n_members, 1, n_tokens))
        self.score = normal(n_families, width, scale=0.1 / width**0.5)
        self.score_bias = nn.Parameter(torch.zeros(n_members, 1, n_families))
        self.hidden = normal(n_tokens, hidden, scale=n_tokens**-0.5)
        self.hidden_bias = nn.Parameter(torch.zeros(n_members, 1, hidden))
        self.head = normal(hidden, n_classes, scale=hidden**-0.5)
        self.head_bias = nn.Parameter(torch.zeros(n_members, 1, n_classes))

    def forward(self, x, measured):
        """Logits (n_members, n, n_classes) and attention (n_members, n, n_families) of cells (n_members, n, p).

        `measured` is 1 where `x` holds a value, and 0 where it holds a filler, which is not read. Attention is 0 for
        families without a measured feature, unless all lack one.
        """
        members, n = x.shape[:2]
        tokens = functional.silu(torch.baddbmm(self.embedding_bias, x * measured, self.embedding * self.own_family))
        tokens = tokens.view(members, n, self.n_families, self.width)
        scores = (tokens * self.score[:, None]).sum(-1) + self.score_bias
        absent = (measured @ self.belongs) == 0
        attention = scores.masked_fill(absent, ABSENT).softmax(-1)
        weighted = tokens * (attention * ~absent * self.n_families).unsqueeze(-1)
        said = functional.dropout(weighted.flatten(2), self.dropout, self.training)
        said = functional.silu(torch.baddbmm(self.hidden_bias, said, self.hidden))
        said = functional.dropout(said, self.dropout, self.training)
        return torch.baddbmm(self.head_bias, said, self.head), attention


class FamilyAttentionClassifier(TypeClassifier):
    """Classify cells by attention over families of features.

    Features are mapped to normal scores by their quantiles; a missing value says nothing, and a family without any has
    no weight. `n_members` networks are trained side by side, each on cells drawn so that all classes are as frequent,
    with Gaussian noise on the inputs and some of them left out: with few hundred cells that is what keeps a network
    from overfitting. No cell is set aside to stop early. The mean of their probabilities is the prediction. Noise,
    dropout, steps and batch size go by the logarithm of the number of training cells (`SETTINGS`).

    Parameters
    ----------
    n_members : int, default=4
    n_steps : int or "auto", default="auto"
        Steps of the optimiser (AdamW, one cycle): 400 with 500 training cells and fewer, 1200 with 5000 and more.
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
    >>> model = FamilyAttentionClassifier(n_steps=20).fit(data.X, data.obs["type"], data.var["family"])
    >>> model.attention_weights(data.X).shape
    (300, 11)
    """

    def __init__(self, n_members=4, n_steps="auto", random_state=None):
        self.n_members = n_members
        self.n_steps = n_steps
        self.random_state = random_state

    def decisive_params(self):
        """Parameters that stored results are recognised by."""
        return self.get_params() | FIXED

    def fit(self, X, y, families=None):
        """Train; arguments as for `EphysTypeClassifier.fit`."""
        X, codes = self._checked_training(X, y, families)
        self._seen = self._measured(X)
        self._scaling = FeatureScaling().fit(X[:, self._seen])
        with reproducible():
            self._train_alone(self._tensors(X, codes), self._generator())
        return self

    def _generator(self):
        return torch.Generator().manual_seed(check_random_state(self.random_state).randint(2**31 - 1))

    def _tensors(self, X, codes=None):
        """Scaled features, where they were measured, and, of training cells, their types."""
        scaled = self._scaling.transform(X[:, self._seen])
        known = np.isfinite(scaled)
        parts = [torch.as_tensor(part.astype(np.float32)) for part in (np.where(known, scaled, 0), known)]
        return parts if codes is None else [*parts, torch.as_tensor(codes)]

    def _build(self, n_outputs, n_cells, generator):
        """Make the network, and give the settings for so many training cells."""
        many = min(max(np.log(n_cells / FEW) / np.log(MANY / FEW), 0), 1)
        settings = {name: few + many * (most - few) for name, (few, most) in SETTINGS.items()}
        if self.n_steps != "auto":
            settings["n_steps"] = self.n_steps
        columns = [its for its in seen_columns(self.families_, self._seen).values() if len(its)]
        dropout = float(settings["dropout"])
        self.network_ = FamilyAttentionNetwork(columns, n_outputs, self.n_members, WIDTH, HIDDEN, dropout, generator)
        return settings

    def _train_alone(self, cells, generator, n_outputs=None):
        settings = self._build(n_outputs or len(self.classes_), len(cells[2]), generator)
        self._train(*cells, _chance(cells[2]), generator, settings)

    def _train(self, x, known, target, chance, generator, settings, heads=None, learning_rate=LEARNING_RATE):
        """Train the network on cells drawn by chance; of several heads, each cell trains its own."""
        n_steps, noise = int(settings["n_steps"]), float(settings["noise"])
        shape = self.n_members, int(settings["batch_size"])

        def losses():
            for _ in range(n_steps):
                drawn = torch.multinomial(chance, shape[0] * shape[1], replacement=True, generator=generator)
                drawn = drawn.view(shape)
                disturbance = torch.randn(*shape, x.shape[1], generator=generator)
                left_in = torch.rand(*shape, x.shape[1], generator=generator) >= FEATURE_DROPOUT
                logits, _ = self.network_(x[drawn].add_(disturbance, alpha=noise), known[drawn] * left_in)
                if heads is not None:
                    logits = logits.masked_fill(~heads[drawn], ABSENT)
                loss = functional.cross_entropy(logits.flatten(0, 1), target[drawn].flatten())
                # The members share nothing: the sum of their losses trains each by itself.
                yield loss * self.n_members

        # All of torch's own generators, which dropout draws from, follow the seed too.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(torch.randint(2**31 - 1, (1,), generator=generator)))
            descend(self.network_, losses(), learning_rate, WEIGHT_DECAY, n_steps)

    @torch.no_grad()
    def _through(self, X):
        """Mean probabilities and mean attention of the members, over cells X."""
        X = self._checked_cells(X)
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
        """Probabilities of the types, ndarray of shape (n, n_classes), if all classes were as frequent."""
        return self._through(X)[0]

    def attention_weights(self, X):
        """Weight of each family in each cell, ndarray of shape (n, n_families).

        0 for a family without a measured feature. Rows sum to 1; of a cell without any value, all families that were
        seen in training count alike.
        """
        weights = self._through(X)[1]
        every = np.zeros((len(weights), len(self.families_)))
        every[:, [self._seen[columns].any() for columns in self.families_.values()]] = weights
        return every


class TransferAttentionClassifier(FamilyAttentionClassifier):
    """Attention over families for few cells of a target, helped by many of a source with the same features.

    Features of each species are scaled by its own cells.

    Parameters
    ----------
    way : {"pretrained", "joint"}, default="pretrained"
        ``"pretrained"`` trains on the source first, and goes on from there with a fifth of the learning rate; the head
        too where the types are the same. ``"joint"`` trains one network with a head for each species on both.
    source_weight : float, default=0.5
        Of cells of the source in the joint training, 1 being that of the target's.
    n_members, n_steps, random_state
        As for `FamilyAttentionClassifier`.
    """

    def __init__(self, way="pretrained", source_weight=0.5, n_members=4, n_steps="auto", random_state=None):
        super().__init__(n_members, n_steps, random_state)
        self.way = way
        self.source_weight = source_weight

    def fit(self, X, y, families=None, source=None, unlabelled=None):
        """Train.

        Parameters
        ----------
        X, y, families
            As for `FamilyAttentionClassifier`.
        source : tuple of (array of shape (m, p), array of shape (m,)), optional
            The same features of the source's cells, and their types, which need not be those of the target. Without
            them there is no transfer.
        unlabelled : array-like, shape (u, p), optional
            Further cells of the target, which its features are scaled by as well.

        Returns
        -------
        self
        """
        check_known("way", self.way, ("pretrained", "joint"))
        X, codes = self._checked_training(X, y, families)
        cells = X if unlabelled is None else np.vstack([X, self._checked_cells(unlabelled)])
        if source is None:
            self._seen = self._measured(X)
        else:
            source_X, (types, source_codes) = self._checked_cells(source[0]), np.unique(source[1], return_inverse=True)
            check_consistent_length(source_X, source_codes)
            self._seen = self._measured(X, source_X)
        with reproducible():
            generator = self._generator()
            if source is not None:
                self._scaling = FeatureScaling().fit(source_X[:, self._seen])
                of_source = self._tensors(source_X, source_codes)
            self._scaling = FeatureScaling().fit(cells[:, self._seen])
            of_target = self._tensors(X, codes)
            if source is None:
                self._train_alone(of_target, generator)
            elif self.way == "pretrained":
                self._train_alone(of_source, generator, len(types))
                self._go_on(of_target, np.array_equal(types, self.classes_), generator)
            else:
                self._train_jointly(of_source, of_target, len(types), generator)
        return self

    def _go_on(self, of_target, same_types, generator):
        """Train on the target, from the weights that the source has given."""
        learned = self.network_
        settings = self._build(len(self.classes_), len(of_target[2]), generator)
        with torch.no_grad():
            for (name, new), old in zip(self.network_.named_parameters(), learned.parameters(), strict=True):
                if same_types or not name.startswith("head"):
                    new.copy_(old)
        rate = LEARNING_RATE / 5
        self._train(*of_target, _chance(of_target[2]), generator, settings, learning_rate=rate)

    def _train_jointly(self, of_source, of_target, n_types, generator):
        n_classes = len(self.classes_)
        settings = self._build(n_classes + n_types, len(of_target[2]), generator)
        x, known = (torch.cat([a, b]) for a, b in zip(of_target[:2], of_source[:2], strict=True))
        target = torch.cat([of_target[2], of_source[2] + n_classes])
        chance = [_chance(of_target[2]) / n_classes, self.source_weight * _chance(of_source[2]) / n_types]
        heads = torch.arange(n_classes + n_types) < n_classes
        heads = torch.where(target[:, None] < n_classes, heads, ~heads)
        self._train(x, known, target, torch.cat(chance), generator, settings, heads)
        for name in ("head", "head_bias"):
            setattr(self.network_, name, nn.Parameter(getattr(self.network_, name)[..., :n_classes].detach().clone()))


def _chance(target):
    """Chance of each cell, by which every class is drawn as often."""
    return (1 / torch.bincount(target).float())[target]
