"""Estimators that are trained for a moment, and a simple one."""

import numpy as np
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sbnn import DistilledSettings, SparseBottleneckRegressor
from sbnn.models.distilled import forward_selection

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)


def network(**changes):
    """A published network that is trained for a moment; two runs differ if their seeds do."""
    small = {"n_genes": 6, "hidden_layers": (6,), "epochs": (1, 1, 1, 1)}
    return SparseBottleneckRegressor(**{**small, **changes})


def few_trees(**changes):
    forest = RandomForestClassifier(**{"n_estimators": 3, **changes})
    return make_pipeline(SimpleImputer(keep_empty_features=True), forest)


class SelectingRidge(Ridge):
    """Ridge regression that reports the `n_genes` columns of greedy forward selection."""

    algorithm_version = 1

    def __init__(self, n_genes=2):
        super().__init__(10.0)
        self.n_genes = n_genes

    def fit(self, X, y):
        products = X.T @ y[:, 0]
        self.gene_norms_ = np.abs(products) + 1
        X_centred = X - X.mean(0)
        y_centred = y - y.mean(0)
        chosen = forward_selection(X_centred, y_centred, self.n_genes, penalty=0.0)
        genes = np.arange(X.shape[1])
        self.kept_ = np.isin(genes, chosen)
        return super().fit(X, y)

    def get_support(self):
        return self.kept_
