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


def family_table(record):
    """Families of the cells of a record, the most frequent first, unknown ones last."""
    families, types = families_of(record), types_of(record)
    rows = []
    for family, count in pd.Series(families).value_counts(sort=False).items():
        common = pd.Series(types[families == family]).value_counts()
        # Equally frequent types: the first in the alphabet, so that the order of the cells does not matter.
        main = min(common.index[common == common.iloc[0]])
        color = GREY if family == UNKNOWN else _color_of(record, main)
        rows.append((family == UNKNOWN, -count, family, color))
    rows.sort()
    return pd.DataFrame(
        {"count": [-row[1] for row in rows], "color": [row[3] for row in rows]},
        index=pd.Index([row[2] for row in rows], name="family"),
    )


def type_table(record):
    """Types of the cells of a record, as `family_table` has their families."""
    counts = pd.Series(types_of(record)).value_counts(sort=False)
    names = sorted(counts.index, key=lambda name: (name == UNKNOWN, -counts[name], name))
    colors = [_color_of(record, name) for name in names]
    return pd.DataFrame({"count": counts[names].to_numpy(), "color": colors}, index=pd.Index(names, name="type"))


def family_colors(record):
    """Colour of every family, that of its most frequent type: a dict of family to "#RRGGBB", most frequent first."""
    return family_table(record)["color"].to_dict()


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
    known = ~record.labels[["type", "family"]].isin(["", UNKNOWN])
    return {"predictions", "outputs"} <= record.values.keys() and not known.to_numpy().any()


def clusters_of(record):
    """Clusters of the cells of a fit by their z-scored outputs: k-means with as many as separate them best."""
    Y = np.asarray(record.outputs, float)
    total, n = np.square(Y - Y.mean(0)).sum(), len(Y)
    best, ratio = np.zeros(n, int), 0.0
    for k in range(2, min(len(OKABE_ITO), n - 1) + 1):
        centres, labels = kmeans2(Y, k, minit="++", seed=0, iter=50, missing="warn")
        within = max(np.square(Y - centres[labels]).sum(), 1e-12)
        if (found := (total - within) / (k - 1) * (n - k) / within) > ratio:
            best, ratio = labels, found
    order = np.argsort(np.argsort(-np.bincount(best), kind="stable"))
    return np.array([f"cluster {order[label] + 1}" for label in best], dtype=object)


def _color_of(record, kind):
    """Colour of a type or of a cluster; grey of what is unknown."""
    if kind == UNKNOWN:
        return GREY
    if without_types(record):
        return OKABE_ITO[int(kind.split()[-1]) - 1]
    return record.colors.get(kind, GREY)


def type_colors(record):
    """Colour of every cell, by its type."""
    types = types_of(record)
    colors = {kind: _color_of(record, kind) for kind in set(types)}  # each asks all cells whether any type is known
    return np.array([colors[kind] for kind in types])
