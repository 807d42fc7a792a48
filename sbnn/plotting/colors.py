"""Every colour of the figures: of models, of families and types of cells, and of what has none of its own."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from scipy.cluster.vq import kmeans2

from sbnn.data.checks import GREY, OKABE_ITO, UNKNOWN

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, _ = OKABE_ITO
PALETTE = (GREEN, VERMILLION, BLUE, PURPLE, ORANGE, SKY)  # of what is numbered
# One meaning in every figure: the two protocols of the network, sparse linear models, and models of all genes. Widths
# of the bottleneck and ranks are told by lines and markers.
MODELS = {"distilled": GREEN, "paper": VERMILLION, "linear": "0.35", "all genes": BLUE}


def shades(color, n):
    """Shades of a colour, from a dark one to a pale one."""
    ramp = LinearSegmentedColormap.from_list("", [_mixed(color, "black", 0.45), color, _mixed(color, "white", 0.6)])
    return [to_hex(shade) for shade in ramp(np.linspace(0, 1, n) if n > 1 else [0.5])]


def paler(color):
    """The colour of the second of two lines of one model."""
    return _mixed(color, "white", 0.55)


def _mixed(color, other, share):
    return to_hex((1 - share) * np.array(to_rgb(color)) + share * np.array(to_rgb(other)))


def model_color(record, point):
    """Colour of the kind of model that a grid point of a cross-validation is of."""
    if record.parameter(point, "n_components") is not None:
        return MODELS[record.parameter(point, "protocol", "paper")]
    return MODELS["linear" if "n_selected" in record.values else "all genes"]


def group_table(record, by="family"):
    """Count and colour of the families, or types, of the cells, the most frequent first, unknown ones last.

    The colour of a family is that of its most frequent type; of equally frequent ones the first in the alphabet.
    """
    types, of_types = types_of(record), type_palette(record)
    groups = families_of(record) if by == "family" else types
    table = pd.Series(types).groupby(groups).agg(count="size", color=lambda own: of_types.get(own.mode()[0], GREY))
    table.loc[table.index == UNKNOWN, "color"] = GREY
    known = table.assign(known=table.index != UNKNOWN).sort_values(["known", "count"], ascending=False, kind="stable")
    return known.drop(columns="known").rename_axis(by)


def family_colors(record):
    """Colour of every family, that of its most frequent type: a dict of family to "#RRGGBB", most frequent first."""
    return group_table(record)["color"].to_dict()


def families_of(record):
    """Family of every cell (the type, where no family is known at all), "unknown" for missing ones."""
    families = record.labels["family"].replace("", UNKNOWN)
    return types_of(record) if (families == UNKNOWN).all() else families.to_numpy(dtype=object)


def types_of(record):
    """Type of every cell, "unknown" for missing ones; clusters of the outputs where no type is known at all."""
    types = record.labels["type"].replace("", UNKNOWN).to_numpy(dtype=object)
    return clusters_of(record) if without_types(record) else types


def without_types(record):
    """Whether no type and no family is known of any cell of a fit, whose outputs then tell the cells apart."""
    return "predictions" in record.values and record.labels[["type", "family"]].isin(["", UNKNOWN]).all(axis=None)


def type_palette(record):
    """Colour of the known types, or of the clusters."""
    if without_types(record):
        return {f"cluster {i}": color for i, color in enumerate(OKABE_ITO, 1)}
    return {kind: color for kind, color in record.colors.items() if kind != UNKNOWN}


def clusters_of(record):
    """Clusters of the cells of a fit by their z-scored outputs: k-means with as many as separate them best."""
    Y = np.asarray(record.outputs, float)
    total, n = np.square(Y - Y.mean(0)).sum(), len(Y)
    best, ratio = np.zeros(n, int), 0.0
    for k in range(2, min(len(OKABE_ITO), n - 1) + 1):
        centres, labels = kmeans2(Y, k, minit="++", seed=0, iter=50, missing="warn")
        within = max(np.square(Y - centres[labels]).sum(), 1e-12)
        if (found := (total - within) / (k - 1) * (n - k) / within) > ratio:  # of Calinski and Harabasz
            best, ratio = labels, found
    order = np.argsort(np.argsort(-np.bincount(best), kind="stable"))
    return np.array([f"cluster {order[label] + 1}" for label in best], dtype=object)
