"""Every estimator, trained for a moment, a simple one, and random numbers for their parts."""

import numpy as np
import torch
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline

from sbnn import (
    CountNormalizer,
    DistilledBottleneckRegressor,
    DistilledSettings,
    LeaveOneOutRidge,
    ReducedRankRegression,
    SparseBottleneckRegressor,
    SparseReducedRankRegression,
    StackedRegressor,
)
from sbnn.dynamics import PhoenixRegressor
from sbnn.ephys_types import (
    AttentionBiLSTMClassifier,
    EphysTypeClassifier,
    FamilyAttentionClassifier,
    SparsePCAForest,
)
from sbnn.mechanism_shift import LinearShift, SparseShiftVAE
from sbnn.models.distilled import forward_selection

FEW_STEPS = DistilledSettings(
    n_augmented=50, n_trees=2, n_teachers=2, steps_of_teachers=3, steps_of_student=5
)
#: By class, settings with which a fit takes a moment; two runs differ if their seeds do.
QUICK = {
    SparseReducedRankRegression: {"alpha": 0.3},
    SparseBottleneckRegressor: {"n_genes": 5, "hidden_layers": (6, 4), "epochs": (1, 1, 1, 1)},
    DistilledBottleneckRegressor: {"n_genes": 5, "distillation": FEW_STEPS},
    StackedRegressor: {"network": DistilledBottleneckRegressor(n_genes=5, distillation=FEW_STEPS)},
    AttentionBiLSTMClassifier: {"hidden": 2, "max_epochs": 1},
    EphysTypeClassifier: {"n_steps": 2},
    FamilyAttentionClassifier: {"n_members": 1, "n_steps": 2},
    SparsePCAForest: {"n_estimators": 2},
    PhoenixRegressor: {"n_hidden": 3, "pruning": "none", "epochs": 1, "n_prior_points": 20},
    LinearShift: {"n_latent": 2, "rotation": "ica"},
    SparseShiftVAE: {"n_latent": 2, "hidden": 4, "epochs": 1},
}


def quick(estimator, **changes):
    """An estimator of a class with the settings of `QUICK`, but for the changes."""
    return clone(estimator(**QUICK[estimator] | changes))


def network(**changes):
    return quick(SparseBottleneckRegressor, **changes)


def distilled(**changes):
    return quick(DistilledBottleneckRegressor, **changes)


REGRESSORS = [
    LeaveOneOutRidge(),
    ReducedRankRegression(),
    quick(SparseReducedRankRegression),
    network(random_state=0),
    distilled(random_state=0),
    quick(StackedRegressor, random_state=0),
]
CLASSIFIERS = [
    quick(AttentionBiLSTMClassifier, random_state=0),
    quick(EphysTypeClassifier, random_state=0),
    quick(FamilyAttentionClassifier, random_state=0),
    quick(SparsePCAForest, random_state=0),
]
OF_COURSES = [quick(PhoenixRegressor, random_state=0)]
OF_COUNTS = [
    CountNormalizer(),
    quick(LinearShift, random_state=0),
    quick(SparseShiftVAE, random_state=0),
]


def class_name(model):
    return type(model).__name__


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


def seeded(seed=0):
    """A generator of the random numbers of torch."""
    return torch.Generator().manual_seed(seed)
