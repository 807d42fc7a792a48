"""What is known of genes before any data: how credible each is, and how far that decides which are chosen.

The genes of the network are pruned as the weights of `sbnn.dynamics` are by DASH: the score of a gene is ``(1 -
influence) * size + influence * prior``, each as a share of its sum over the genes that are compared, and the genes with
the largest scores stay. The size of a gene is how much it matters by the data alone; what that is depends on the
protocol.
"""

import warnings
from collections.abc import Mapping
from numbers import Real
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch

from sbnn.data.checks import some
from sbnn.models.pruning_scores import keep_largest, mixed, shared


class GenePrior(NamedTuple):
    """Weights of genes, and how much they count."""

    weights: np.ndarray
    influence: float

    @classmethod
    def of(cls, settings, n_genes):
        """Prior that an estimator asks for."""
        if settings.gene_prior is None:
            return None
        weights = prior_weights(settings.gene_prior, n_genes, getattr(settings, "feature_names_in_", None))
        return cls(weights, float(settings.prior_influence)) if settings.prior_influence else None

    def among(self, genes):
        """The prior of some of the genes, given as positions."""
        return self._replace(weights=self.weights[genes])

    def scores(self, size, usable):
        """Scores of genes from their sizes."""
        parts = (shared(part.where(usable, 0.0)) for part in (torch.from_numpy(self.weights), size))
        return mixed(*parts, self.influence)


def most_important(size, n_genes, prior=None, usable=None):
    """Genes that matter most, by their size and a prior."""
    size = torch.as_tensor(size).detach().cpu().double()
    usable = torch.ones(len(size), dtype=torch.bool) if usable is None else torch.from_numpy(usable)
    scores = size if prior is None else prior.scores(size, usable)
    return keep_largest(scores, usable, n_genes, size).numpy().nonzero()[0]


def prior_weights(gene_prior, n_genes, names=None):
    """Weight of every gene, from whatever a user knows."""
    given = spelled_out(gene_prior)
    if not isinstance(given, dict):
        weights = np.array(given, dtype=float)
        if len(weights) != n_genes:
            raise ValueError(
                f"gene_prior: expected one weight for each of the {n_genes} genes of X, got {len(weights)}; "
                "weights of some genes are given by name, as a dict"
            )
    elif names is None:
        raise ValueError("gene_prior: genes are given by name, but X has no gene names; give one weight per gene")
    else:
        known = pd.Index(names)
        weights, absent = np.zeros(n_genes), [name for name in given if name not in known]
        if len(absent) == len(given):
            raise ValueError(f"gene_prior: X has none of the genes {some(absent)}; its own are {some(list(names))}")
        if absent:
            warnings.warn(f"gene_prior: ignoring {len(absent)} genes that X lacks: {some(absent)}", stacklevel=2)
        present = {name: weight for name, weight in given.items() if name in known}
        weights[known.get_indexer(list(present))] = list(present.values())
    if not weights.any():
        raise ValueError("gene_prior: no gene of X has a weight above 0")
    return weights


def spelled_out(gene_prior):
    """A prior in Python's own types: a dict of weights by name, or a list of weights in the order of the genes."""
    expected = "weights by gene name (dict or Series), names of genes, or one weight per gene"
    if isinstance(gene_prior, pd.Series):
        if not gene_prior.index.is_unique:
            raise ValueError(
                f"gene_prior: these genes have several weights: {some(gene_prior.index[gene_prior.index.duplicated()])}"
            )
        gene_prior = gene_prior.to_dict()
    if isinstance(gene_prior, str | bytes | pd.DataFrame) or not np.iterable(gene_prior):
        raise TypeError(f"gene_prior: expected {expected}, got {gene_prior!r}")
    by_name = isinstance(gene_prior, Mapping)
    entries = list(gene_prior)
    if by_name and not entries:
        raise ValueError(f"gene_prior: expected {expected}, got none")
    if not by_name and entries and all(isinstance(name, str) for name in entries):
        gene_prior, by_name = (
            dict.fromkeys(sorted(entries) if isinstance(gene_prior, set | frozenset) else entries, 1.0),
            True,
        )
    weights = list(gene_prior.values()) if by_name else entries
    for weight in weights:
        if not isinstance(weight, Real) or isinstance(weight, bool | np.bool_):
            raise TypeError(f"gene_prior: expected {expected}; a weight is {weight!r}")
        if not 0 <= weight < np.inf:
            raise ValueError(f"gene_prior: expected finite weights >= 0, got {weight!r}")
    weights = [float(weight) for weight in weights]
    if not by_name:
        return weights
    if not all(isinstance(name, str) for name in gene_prior):
        raise TypeError(f"gene_prior: expected names of genes, got {some(list(gene_prior))}")
    return dict(zip(map(str, gene_prior), weights, strict=True))
