"""The shift graph: the latents that each perturbation shifts, and by how much."""

import numpy as np
import pandas as pd
from scipy.stats import false_discovery_control

EVEN = 0.5  # probability above which a shift is an edge


def latent_names(n_latents):
    """Names of the latents."""
    return [f"latent_{i}" for i in range(n_latents)]


def graph_table(names, effects, probabilities):
    """DataFrame with a row for each perturbation and latent, from two tables of shape (m, d)."""
    latents = latent_names(np.shape(effects)[1])
    pairs = pd.MultiIndex.from_product([names, latents], names=["perturbation", "latent"])
    probabilities = np.asarray(probabilities, float).ravel()
    effects = np.asarray(effects, float).ravel()
    table = pd.DataFrame({"probability": probabilities, "effect": effects}, pairs)
    return table.reset_index()


def wide(graph, column):
    """One column of a shift graph as a DataFrame of perturbations by latents."""
    table = graph.pivot(index="perturbation", columns="latent", values=column)
    return table.loc[graph["perturbation"].unique(), graph["latent"].unique()]


def edges_of(graph):
    """Shifts that are more likely than not: DataFrame of bool, perturbations by latents."""
    return wide(graph, "probability") > EVEN


def class_means(values, codes, n_classes):
    """Mean over the rows of each class, ndarray of shape (n_classes, d)."""
    sums = np.zeros((n_classes, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums / np.bincount(codes, minlength=n_classes)[:, None]


def adjusted_p(p):
    """p-values adjusted over all pairs (Benjamini and Hochberg 1995)."""
    return false_discovery_control(p, axis=None).reshape(p.shape)


def open_graph(latents, perturbation, control=None):
    """Shift graph of a model without a mask: mean latents relative to the control or all cells.

    Shifts are in standard deviations within a perturbation; all probabilities are 1.
    """
    names, codes = np.unique(perturbation, return_inverse=True)
    means = class_means(latents, codes, len(names))
    sd = np.sqrt(((latents - means[codes]) ** 2).mean(axis=0))
    origin = latents.mean(axis=0) if control is None else means[names == control][0]
    moved = names != control
    shifts = (means[moved] - origin) / sd
    return graph_table(names[moved], shifts, np.ones_like(shifts))


def largest_shifts(graph, n=2):
    """The `n` largest shifts of each perturbation, as in `edges_of`."""
    sizes = wide(graph, "effect").abs()
    return sizes.rank(axis=1, method="first", ascending=False) <= n
