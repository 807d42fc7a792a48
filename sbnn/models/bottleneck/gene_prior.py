"""Prior weights of genes, mixed with their importance in the data (DASH)."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from sbnn.data.checks import some
from sbnn.errors import warn
from sbnn.models.pruning_scores import keep_largest, mixed, shared


class GenePrior(NamedTuple):
    """Weights of genes and the influence of the prior, from 0 to 1."""

    weights: np.ndarray
    influence: float

    @classmethod
    def of(cls, model, n_genes):
        """Prior of an estimator, if it has an influence."""
        if model.gene_prior is None:
            return None
        names = getattr(model, "feature_names_in_", None)
        weights = prior_weights(model.gene_prior, n_genes, names)
        if model.prior_influence == 0:
            return None
        return cls(weights, float(model.prior_influence))

    def among(self, genes):
        """The prior for the genes at some positions."""
        return self._replace(weights=self.weights[genes])

    def scores(self, size, usable):
        """Scores mixed from prior weights and sizes; 0 for genes that are not usable."""
        weights = torch.from_numpy(self.weights).where(usable, 0.0)
        return mixed(shared(weights), shared(size.where(usable, 0.0)), self.influence)


def most_important(size, n_genes, prior=None, usable=None):
    """Positions of the genes with the highest scores; ties go to larger genes."""
    size = torch.as_tensor(size).detach().cpu().double()
    usable = torch.from_numpy(np.ones(len(size), dtype=bool) if usable is None else usable)
    scores = size if prior is None else prior.scores(size, usable)
    return keep_largest(scores, usable, n_genes, size).numpy().nonzero()[0]


def prior_weights(gene_prior, n_genes, names=None):
    """Weight of every gene, 0 if the prior does not name it."""
    given = spelled_out(gene_prior)
    if isinstance(given, dict):
        weights = _weights_by_name(given, names)
    else:
        weights = np.array(given, dtype=float)
    if len(weights) != n_genes:
        raise ValueError(
            f"gene_prior: expected one weight for each of the {n_genes} genes of X, "
            f"got {len(weights)}"
        )
    if not weights.any():
        raise ValueError("gene_prior: no gene of X has a weight above 0")
    return weights


def _weights_by_name(given, names):
    known = pd.Index([] if names is None else names)
    given = pd.Series(given, dtype=float)
    absent = given.index.difference(known, sort=False)
    if len(absent) == len(given):
        raise ValueError(
            f"gene_prior: X has none of the genes {some(absent)}; its genes are {some(known)}"
        )
    if len(absent):
        warn(f"gene_prior: genes that are not in X are ignored: {some(absent)}")
    return given.reindex(known, fill_value=0.0).to_numpy()


def spelled_out(gene_prior):
    """A prior as weights by name or by position."""
    if isinstance(gene_prior, pd.Series):
        twice = gene_prior.index[gene_prior.index.duplicated()]
        if len(twice):
            raise ValueError(f"gene_prior: these genes have several weights: {some(twice)}")
        gene_prior = gene_prior.to_dict()
    if isinstance(gene_prior, Mapping):
        return dict(zip(map(str, gene_prior), _checked(gene_prior.values()), strict=True))
    entries = list(gene_prior)
    if entries and isinstance(entries[0], str):
        return dict.fromkeys(map(str, entries), 1.0)
    return _checked(entries)


def _checked(weights):
    weights = [float(weight) for weight in weights]
    if not all(0 <= weight < np.inf for weight in weights):
        raise ValueError(f"gene_prior: expected finite weights >= 0, got {some(weights)}")
    return weights
