"""Quick models in the places of the real ones, and what tests ask of cells."""

import numpy as np
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.tree import DecisionTreeClassifier

from sbnn.data.typed_cells import family_columns
from sbnn.ephys_types.models import Model


def present(cells):
    """Which families were measured in which cells."""
    families = family_columns(cells.families)
    return np.column_stack([np.isfinite(cells.X[:, columns]).any(axis=1) for columns in families.values()])


class Attentive(ExtraTreesClassifier):
    """Trees that attend to the last family of PVALB cells, and to all alike of others."""

    def fit(self, X, y, families=None):
        self.n_families_ = len(set(families))
        return super().fit(X, y)

    def attention_weights(self, X):
        weights = np.full((len(X), self.n_families_), 1 / self.n_families_)
        weights[self.predict(X) == "PVALB"] = np.eye(self.n_families_)[-1]
        return weights


MODELS = {
    "majority": Model("majority", DummyClassifier(), "baseline", {}),
    "lightgbm": Model("LightGBM", DecisionTreeClassifier(max_depth=3), "trees", {"max_depth": 2}),
    "bilstm_published": Model("BiLSTM + attention, published", Attentive(8, max_depth=2), "sequence", {}),
    "family_attention": Model("attention over families", Attentive(15), "ours", {"n_estimators": 8}),
}
