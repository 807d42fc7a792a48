"""The shift graph: the latents that each perturbation shifts, and by how much."""

import numpy as np
import pandas as pd
import torch
from scipy.stats import false_discovery_control, norm

from sbnn.data.screens import perturbation_codes

EVEN = 0.5  # probability above which a shift is an edge
FALSE_EDGES = 0.01  # expected share of false edges, accounting for sampling error only


def latent_names(n_latents):
    """Names of the latents."""
    return [f"latent_{i}" for i in range(n_latents)]


def pairs_table(perturbations, others, kind, **columns):
    """DataFrame with a row for each perturbation and latent or gene, from tables of these."""
    pairs = pd.MultiIndex.from_product([perturbations, others], names=["perturbation", kind])
    columns = {name: np.asarray(values).ravel() for name, values in columns.items()}
    return pd.DataFrame(columns, pairs).reset_index()


def graph_table(names, effects, probabilities):
    """Shift graph of effects and probabilities, of shape (m, d)."""
    latents = latent_names(effects.shape[1])
    return pairs_table(names, latents, "latent", probability=probabilities, effect=effects)


def wide(graph, column):
    """One column of a shift graph as a DataFrame of perturbations by latents."""
    table = graph.pivot(index="perturbation", columns="latent", values=column)
    return table.loc[graph["perturbation"].unique(), graph["latent"].unique()]


def edges_of(graph):
    """Shifts that are more likely than not: DataFrame of bool, perturbations by latents."""
    return wide(graph, "probability") > EVEN


def class_sums(values, codes, n_classes):
    """Sum over the rows of each class, ndarray of shape (n_classes, d)."""
    values = torch.as_tensor(values).double()
    sums = torch.zeros(n_classes, values.shape[1], dtype=float)
    return sums.index_add_(0, torch.as_tensor(codes), values).numpy()


def class_means(values, codes, n_classes):
    """Mean over the rows of each class, ndarray of shape (n_classes, d)."""
    sizes = np.bincount(codes, minlength=n_classes)
    return class_sums(values, codes, n_classes) / sizes[:, None]


def compared(values, perturbation, control):
    """Means of d values of cells in each of m perturbations, minus those of the control.

    Returns the differences, a DataFrame without the control; the means of the control, or 0;
    standard errors for values of unit variance, (m, 1); and the values minus the means of their
    perturbations, (n, d).
    """
    names, codes, sizes = perturbation_codes(perturbation, control)
    means = class_means(values, codes, len(names))
    moved = names != (None if control is None else str(control))
    origin = means[~moved].sum(axis=0)
    errors = np.sqrt(1 / sizes[moved] + (1 / sizes[~moved]).sum())
    differences = pd.DataFrame(means[moved] - origin, names[moved])
    return differences, origin, errors[:, None], values - means[codes]


def significant(values, errors):
    """Which values differ from 0, with the false discovery rate of edges over all of them."""
    p = 2 * norm.sf(np.abs(values) / errors)
    return false_discovery_control(p, axis=None).reshape(p.shape) <= FALSE_EDGES


def largest_shifts(effects):
    """Which are the two largest of each row, a DataFrame of bool."""
    return effects.abs().rank(axis=1, method="first", ascending=False) <= 2
