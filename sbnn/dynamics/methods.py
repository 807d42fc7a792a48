"""The methods that the study compares, by name."""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator

from sbnn.data.trajectories import prior_matrix
from sbnn.dynamics.model import PhoenixRegressor
from sbnn.dynamics.sparse_regulation import SparseRegulationRegressor
from sbnn.dynamics.training import Recipe, Schedule

SPARSITY = 0.955  # about that of the published results of DASH
PRIOR_POINTS = 1000  # at which PHOENIX is compared with the prior: a tenth of the published number, and of its cost
#: A trial, to see that everything runs.
FAST = {"epochs": 8, "schedule": Schedule(first_epoch=1, every=1, share=0.5), "fine_tuning": 2, "n_prior_points": 100}


class PriorAlone(BaseEstimator):
    """What is had without any learning: the prior for the network, and samples that stay as they are."""

    def fit(self, trajectories, prior):
        """Keep the prior."""
        names = trajectories.var_names
        self.edge_scores_ = pd.DataFrame(prior_matrix(prior, names), names, names)
        self.sparsity_ = float((self.edge_scores_.to_numpy() == 0).mean())
        return self

    def predict(self, x0, times):
        """Repeat the start; (samples, times, genes)."""
        return np.repeat(np.asarray(x0, dtype=float)[:, None], np.shape(times)[-1], axis=1)


class Method(NamedTuple):
    """A method of the study.

    Attributes
    ----------
    label : str
    make : callable
        ``make(n_hidden, influence, sparsity, random_state, **recipe)`` gives an estimator.
    kind : {"prior", "unpruned", "penalty", "pruning", "ours"}
    """

    label: str
    make: Callable
    kind: str


def _phoenix(pruning, **fixed):
    def make(n_hidden=40, influence=(0.5, 0.05), sparsity=SPARSITY, random_state=None, **recipe):
        return PhoenixRegressor(
            n_hidden, pruning, sparsity, influence, replace(Recipe(), **fixed | recipe), random_state
        )

    return make


def _sparse(epochs=None, **_):
    return SparseRegulationRegressor() if epochs != FAST["epochs"] else SparseRegulationRegressor(n_passes=1)


_WITH_PRIOR = _phoenix("none", data_weight=0.99, n_prior_points=PRIOR_POINTS)
METHODS = {
    "prior": Method("the prior alone", lambda **_: PriorAlone(), "prior"),
    "none": Method("PHOENIX", _phoenix("none"), "unpruned"),
    "phoenix": Method("PHOENIX, prior in the loss", _WITH_PRIOR, "unpruned"),
    "c_node": Method("C-NODE", _phoenix("c_node"), "penalty"),
    "l0": Method("L0", _phoenix("l0"), "penalty"),
    "path_reg": Method("PathReg", _phoenix("path_reg"), "penalty"),
    "post_hoc": Method("post hoc", _phoenix("post_hoc"), "pruning"),
    "imp": Method("IMP", _phoenix("imp"), "pruning"),
    "biological": Method("BioPruning", _phoenix("biological"), "pruning"),
    "dash": Method("DASH", _phoenix("dash"), "pruning"),
    "sparse": Method("SparseRegulation", _sparse, "ours"),
}  # fmt: skip
