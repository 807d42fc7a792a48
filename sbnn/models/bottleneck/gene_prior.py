"""Prior weights of genes, which are mixed with their importance in the data when genes are chosen (DASH)."""

import warnings
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from sbnn.data.checks import some
from sbnn.errors import attempt, naming
from sbnn.models.pruning_scores import keep_largest, mixed, shared


class GenePrior(NamedTuple):
    """Weights of genes (only their ratios matter) and the influence of the prior, from 0 to 1."""

    weights: np.ndarray
    influence: float

    @classmethod
    def of(cls, model, n_genes):
        """Prior of an estimator; None if its influence is 0, so that fits are bit-identical to fits without a prior."""
        if model.gene_prior is None:
            return None
        weights = prior_weights(
            model.gene_prior, n_genes, getattr(model, "feature_names_in_", None)
        )
        return cls(weights, float(model.prior_influence)) if model.prior_influence else None

    def among(self, genes):
        """The prior for a subset of the genes, given by position."""
        return self._replace(weights=self.weights[genes])

    def scores(self, size, usable):
        """Scores of genes, mixed from prior weights and sizes; the score is 0 for genes that are not usable."""
        parts = (shared(part.where(usable, 0.0)) for part in (torch.from_numpy(self.weights), size))
        return mixed(*parts, self.influence)


def most_important(size, n_genes, prior=None, usable=None):
    """Positions of the genes with the highest scores; ties go to the larger size, then to the first gene."""
    size = torch.as_tensor(size).detach().cpu().double()
    usable = torch.ones(len(size), dtype=torch.bool) if usable is None else torch.from_numpy(usable)
    scores = size if prior is None else prior.scores(size, usable)
    return keep_largest(scores, usable, n_genes, size).numpy().nonzero()[0]


def prior_weights(gene_prior, n_genes, names=None):
    """Weight of every gene, which is 0 for genes not named in the prior; `names` are the names of all genes."""
    given = spelled_out(gene_prior)
    if not isinstance(given, dict):
        weights = np.array(given, dtype=float)
        if (got := len(weights)) != n_genes:
            raise ValueError(
                f"gene_prior: expected one weight for each of the {n_genes} genes of X, got {got}"
            )
    else:
        known = pd.Index([] if names is None else names)
        weights, absent = np.zeros(n_genes), [name for name in given if name not in known]
        if len(absent) == len(given):
            raise ValueError(
                f"gene_prior: X has none of the genes {some(absent)}; its genes are {some(list(known))}"
            )
        if absent:
            warnings.warn(
                f"gene_prior: genes that are not in X are ignored: {some(absent)}", stacklevel=2
            )
        present = {name: weight for name, weight in given.items() if name in known}
        weights[known.get_indexer(list(present))] = list(present.values())
    if not weights.any():
        raise ValueError("gene_prior: no gene of X has a weight above 0")
    return weights


def spelled_out(gene_prior):
    """Convert a prior to built-in types: a dict of weights by name, or a list of weights in the order of the genes."""
    if isinstance(gene_prior, pd.Series):
        if len(twice := gene_prior.index[gene_prior.index.duplicated()]):
            raise ValueError(f"gene_prior: these genes have several weights: {some(twice)}")
        gene_prior = gene_prior.to_dict()
    if not isinstance(gene_prior, Mapping):
        ordered = sorted if isinstance(gene_prior, set | frozenset) else list
        entries = attempt("gene_prior: expected names or weights of genes", ordered, gene_prior)
        if not (entries and all(isinstance(name, str) for name in entries)):
            return _checked(entries)
        gene_prior = dict.fromkeys(entries, 1.0)
    return dict(zip(map(str, gene_prior), _checked(gene_prior.values()), strict=True))


@naming("gene_prior: expected names of genes, weights by name, or one weight for each gene")
def _checked(weights):
    weights = [float(weight) for weight in weights]
    if not all(0 <= weight < np.inf for weight in weights):
        raise ValueError(f"gene_prior: expected finite weights >= 0, got {some(weights)}")
    return weights
