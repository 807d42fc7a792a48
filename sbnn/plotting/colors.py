"""All colours of the figures, for models, for families and types of cells, and for numbered items."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb
from scipy.cluster.vq import kmeans2

from sbnn.data.checks import GREY, OKABE_ITO, UNKNOWN
from sbnn.results import require

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, _ = OKABE_ITO
PALETTE = (GREEN, VERMILLION, BLUE, PURPLE, ORANGE, SKY)  # for numbered items
# These colours stand for the same kinds of models in every figure: the two protocols of the
# network, sparse linear models, and models that use all genes. Bottleneck widths and ranks are
# distinguished by line styles and markers.
MODELS = {"distilled": GREEN, "paper": VERMILLION, "linear": "0.35", "all genes": BLUE}
SHAPES = "os^DvXP*"  # eight shapes and seven colours give 56 distinct pairs
MOST_GROUPS = 24  # largest number of groups in a legend


def shades(color, n):
    """Shades of a colour, from dark to pale."""
    ramp = LinearSegmentedColormap.from_list(
        "", [_mixed(color, "black", 0.45), color, _mixed(color, "white", 0.6)]
    )
    return [to_hex(shade) for shade in ramp(np.linspace(0, 1, n) if n > 1 else [0.5])]


def paler(color):
    """A paler version of a colour, for the second of two lines that belong to one model."""
    return _mixed(color, "white", 0.55)


def _mixed(color, other, share):
    return to_hex((1 - share) * np.array(to_rgb(color)) + share * np.array(to_rgb(other)))


def protocol_of(record, point):
    """How a network was trained, "distilled" or "paper"; records of former versions have a parameter for this."""
    name = record.settings.get("estimator", {}).get("class", "")
    if name.endswith("DistilledBottleneckRegressor"):
        return "distilled"
    return record.parameter(point, "protocol", "paper")


def model_color(record, point):
    """Colour of the kind of model at a grid point of a cross-validation."""
    if record.parameter(point, "n_components") is not None:
        return MODELS[protocol_of(record, point)]
    return MODELS["linear" if "n_selected" in record.values else "all genes"]


class Groups:
    """Families and types of the cells of a record, with type colours or with colours safe for
    colour-blind readers.

    If no families are known, types replace them; if no types are known either, clusters of the
    outputs of a fit are used. Cells without a known group are "unknown". `table` has the count,
    colour and marker of each family (or of each type if types replace them), `colors` and `markers`
    have one entry for each cell, and `title` is the title of the legend.
    """

    def __init__(self, record, colorblind=False):
        kinds = (
            record.labels[kind].replace("", UNKNOWN).to_numpy(dtype=object)
            for kind in ("family", "type")
        )
        self.families, self.types = kinds
        self.palette = {kind: color for kind, color in record.colors.items() if kind != UNKNOWN}
        known, self.title = (self.families != UNKNOWN).any(), "types (cells)"
        self.clustered = (
            "predictions" in record.values and not known and (self.types == UNKNOWN).all()
        )
        if known:
            self.title = "families (cells)" + (
                "" if colorblind else ", in the colour of their most frequent type"
            )
        elif self.clustered:
            self.title = "no types are known: clusters of the outputs (cells)"
            self.types = clusters(np.asarray(record.outputs, float))
            self.palette = {f"cluster {i}": color for i, color in enumerate(OKABE_ITO, 1)}
        self.families = self.families if known else self.types
        self.table = self.count("family")
        if colorblind:
            # colour of unknown cells, and of groups missing from the legend
            self.table["color"] = GREY
            for i, group in enumerate(listed(self.table).index.drop(UNKNOWN, errors="ignore")):
                self.table.loc[group, ["color", "marker"]] = (
                    OKABE_ITO[i % len(OKABE_ITO)],
                    SHAPES[i % len(SHAPES)],
                )
            looks = self.table.loc[self.families]
            self.colors, self.markers = looks["color"].to_numpy(str), looks["marker"].to_numpy(str)
        else:
            self.colors = np.array([self.palette.get(kind, GREY) for kind in self.types])
            self.markers = np.full(len(self.types), "o")

    def count(self, by, cells=slice(None)):
        """Count and colour of the families or types of some cells, with the most frequent first and
        "unknown" last.

        A family has the colour of its most frequent type; ties go to the alphabetically first type.
        """
        groups = (self.families if by == "family" else self.types)[cells]
        table = pd.Series(self.types[cells]).groupby(groups)
        table = table.agg(count="size", color=lambda own: self.palette.get(own.mode()[0], GREY))
        table.loc[table.index == UNKNOWN, "color"] = GREY
        table = table.sort_values("count", ascending=False, kind="stable")
        return (
            table.sort_index(key=lambda names: names == UNKNOWN, kind="stable")
            .rename_axis(by)
            .assign(marker="o")
        )


def listed(table):
    """Groups with their own legend entry: all groups, or only the most frequent groups if there are very many."""
    return table if len(table) <= MOST_GROUPS else table.iloc[: MOST_GROUPS - 1]


def family_colors(record):
    """Dict from family to the colour, "#RRGGBB", of its most frequent type; the most frequent family comes first."""
    require(record, "record", ["labels", "colors"])
    return Groups(record).table["color"].to_dict()


def clusters(Y):
    """Cluster cells by their z-scored outputs, using k-means with the number of clusters that separates cells best."""
    total, n = np.square(Y - Y.mean(0)).sum(), len(Y)
    best, ratio = np.zeros(n, int), 0.0
    for k in range(2, min(len(OKABE_ITO), n - 1) + 1):
        centres, labels = kmeans2(Y, k, minit="++", seed=0, iter=50, missing="warn")
        within = max(np.square(Y - centres[labels]).sum(), 1e-12)
        # Calinski-Harabasz criterion
        if (found := (total - within) / (k - 1) * (n - k) / within) > ratio:
            best, ratio = labels, found
    order = np.argsort(np.argsort(-np.bincount(best), kind="stable"))
    return np.array([f"cluster {order[label] + 1}" for label in best], dtype=object)
