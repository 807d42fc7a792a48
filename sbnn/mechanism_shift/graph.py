"""The shift graph: which latents each perturbation shifts and by how much, as one table."""

import numpy as np
import pandas as pd
from scipy.stats import rankdata

from sbnn.mechanism_shift.unmixing import EVEN, class_means


def graph_table(shifts, probabilities):
    """One row for each perturbation and latent, from two DataFrames of perturbations by latents."""
    n, d = shifts.shape
    return pd.DataFrame(
        {
            "perturbation": np.repeat(shifts.index.to_numpy(), d),
            "latent": np.tile(shifts.columns.to_numpy(), n),
            "probability": probabilities.to_numpy(dtype=float).ravel(),
            "effect": shifts.to_numpy(dtype=float).ravel(),
        }
    )


def wide(graph, column):
    """A column of a shift graph as a DataFrame, perturbations by latents, in their order."""
    table = graph.pivot(index="perturbation", columns="latent", values=column)
    return table.loc[graph["perturbation"].drop_duplicates(), graph["latent"].drop_duplicates()]


def edges_of(graph):
    """Edges of a shift graph, DataFrame of bool, perturbations by latents: those that are likelier than not."""
    return wide(graph, "probability") > EVEN


def open_graph(latents, perturbation, control=None):
    """Shift graph of a model without a mask: means of the latents, less those of the control or of all cells.

    In standard deviations within a perturbation; all probabilities are 1.
    """
    names, codes = np.unique(perturbation, return_inverse=True)
    means = class_means(latents, codes, len(names))
    sd = np.sqrt(((latents - means[codes]) ** 2).mean(axis=0))
    origin = latents.mean(axis=0) if control is None else means[names == control][0]
    columns = [f"latent_{i}" for i in range(latents.shape[1])]
    shifts = pd.DataFrame((means - origin) / sd, names, columns)[names != control]
    return graph_table(shifts, shifts * 0 + 1)


def largest_shifts(graph, n=2):
    """The `n` largest absolute shifts of each perturbation, DataFrame of bool: edges of a model without a mask."""
    shifts = wide(graph, "effect")
    ranks = rankdata(-np.abs(shifts.to_numpy()), axis=1, method="ordinal")
    return pd.DataFrame(ranks <= n, shifts.index, shifts.columns)
