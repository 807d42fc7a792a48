"""Transfer by networks: weights learned on one species as the first ones on another, or one network for both."""

from numbers import Real

import numpy as np
import torch
from sklearn.utils import check_random_state
from torch import nn

from sbnn.determinism import reproducible
from sbnn.ephys_types.family_attention import FamilyAttentionClassifier
from sbnn.ephys_types.inputs import check_known, checked_cells, checked_source, checked_with_families, names_of
from sbnn.ephys_types.scaling import FeatureScaling, measured, measured_in_both, without
from sbnn.models.base import check_number

WAYS = ("pretrained", "joint")


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
    **params
        Of `FamilyAttentionClassifier`.
    """

    def __init__(
        self,
        way="pretrained",
        source_weight=0.5,
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
        super().__init__(
            n_members, width, hidden, noise, dropout, feature_dropout, n_steps, batch_size, learning_rate,
            weight_decay, random_state,
        )  # fmt: skip
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

        Raises
        ------
        ValueError
            An unknown `way`, another number of features, and what `FamilyAttentionClassifier` raises.
        TypeError
            As `FamilyAttentionClassifier`.

        Warns
        -----
        UserWarning
            Names of the features that the labelled cells or the source lack; they are left out.
        """
        self._check_parameters()
        X, codes = checked_with_families(self, X, y, families)
        cells = X if unlabelled is None else np.vstack([X, checked_cells(self, unlabelled)])
        self._seen = measured(X, names_of(self))
        if source is not None:
            source_X, types = checked_source(source, self)
            told = without(self._seen, names_of(self))
            self._seen = measured_in_both(X, source_X, names_of(self), told)
        with reproducible():
            generator = torch.Generator().manual_seed(check_random_state(self.random_state).randint(2**31 - 1))
            if source is not None:
                self._scaling = FeatureScaling().fit(source_X[:, self._seen])
                source_codes = np.unique(types, return_inverse=True)[1]
                of_source = *self._tensors(source_X), torch.as_tensor(source_codes)
            self._scaling = FeatureScaling().fit(cells[:, self._seen])
            of_target = *self._tensors(X), torch.as_tensor(codes)
            if source is None:
                settings = self._settings(len(X))
                self._build(len(self.classes_), settings, generator)
                self._train(*of_target, _chance(of_target[2]), generator, settings)
            elif self.way == "pretrained":
                same_types = np.array_equal(np.unique(types), self.classes_)
                self._pretrain(of_source, of_target, same_types, generator)
            else:
                self._train_jointly(of_source, of_target, generator)
        return self

    def _check_parameters(self):
        super()._check_parameters()
        check_known("way", self.way, WAYS)
        check_number("source_weight", self.source_weight, Real, 0, closed="neither")

    def _pretrain(self, of_source, of_target, same_types, generator):
        n_types = int(of_source[2].max()) + 1
        settings = self._settings(len(of_source[2]))
        self._build(n_types, settings, generator)
        self._train(*of_source, _chance(of_source[2]), generator, settings)
        learned = self.network_
        settings, rate = self._settings(len(of_target[2])), self.learning_rate
        self._build(len(self.classes_), settings, generator)
        with torch.no_grad():
            for (name, new), old in zip(self.network_.named_parameters(), learned.parameters(), strict=True):
                if same_types or not name.startswith("head"):
                    new.copy_(old)
        try:
            self.learning_rate = rate / 5
            self._train(*of_target, _chance(of_target[2]), generator, settings)
        finally:
            self.learning_rate = rate

    def _train_jointly(self, of_source, of_target, generator):
        n_types, n_classes = int(of_source[2].max()) + 1, len(self.classes_)
        settings = self._settings(len(of_target[2]))
        self._build(n_classes + n_types, settings, generator)
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
