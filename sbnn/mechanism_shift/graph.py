"""The shift graph: the latents that each perturbation shifts, and by how much."""

import numpy as np
import pandas as pd

EVEN = 0.5  # probability above which a shift is an edge


def latent_names(n_latents):
    """Names of the latents in all tables."""
    return [f"latent_{i}" for i in range(n_latents)]


def graph_table(names, effects, probabilities):
    """DataFrame with a row for each perturbation and latent, from two tables of perturbations by latents."""
    pairs = pd.MultiIndex.from_product(
        [names, latent_names(np.shape(effects)[1])], names=["perturbation", "latent"]
    )
    values = {"probability": probabilities, "effect": effects}
    return pd.DataFrame(
        {name: np.asarray(v, float).ravel() for name, v in values.items()}, pairs
    ).reset_index()


def wide(graph, column):
    """Return a column of a shift graph as a DataFrame of perturbations by latents, in the order of the graph."""
    table = graph.pivot(index="perturbation", columns="latent", values=column)
    return table.loc[graph["perturbation"].drop_duplicates(), graph["latent"].drop_duplicates()]


def edges_of(graph):
    """DataFrame of bool (perturbations by latents) that marks the edges: shifts that are more likely than not."""
    return wide(graph, "probability") > EVEN


def class_means(values, codes, n_classes):
    """Mean over the rows of each class, ndarray of shape (n_classes, d)."""
    sums = np.zeros((n_classes, values.shape[1]))
    np.add.at(sums, codes, values)
    return sums / np.bincount(codes, minlength=n_classes)[:, None]


def open_graph(latents, perturbation, control=None):
    """Shift graph of a model without a mask: mean latents of each perturbation minus those of the
    control or of all.

    Shifts are in standard deviations within a perturbation, and all probabilities are 1.
    """
    names, codes = np.unique(perturbation, return_inverse=True)
    means, moved = class_means(latents, codes, len(names)), names != control
    sd = np.sqrt(((latents - means[codes]) ** 2).mean(axis=0))
    shifts = (means - (latents.mean(axis=0) if control is None else means[~moved][0])) / sd
    return graph_table(names[moved], shifts[moved], np.ones_like(shifts[moved]))


def largest_shifts(graph, n=2):
    """DataFrame of bool that marks the `n` largest shifts of each perturbation, the edges of a model without a mask."""
    return wide(graph, "effect").abs().rank(axis=1, method="first", ascending=False) <= n
