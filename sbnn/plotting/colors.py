"""All colours of the figures."""

import numpy as np
import pandas as pd
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgb

from sbnn.data.checks import GREY, OKABE_ITO, UNKNOWN
from sbnn.plotting.reading import class_of
from sbnn.results import Record

BLUE, VERMILLION, GREEN, PURPLE, ORANGE, SKY, _ = OKABE_ITO
PALETTE = (GREEN, VERMILLION, BLUE, PURPLE, ORANGE, SKY)  # for numbered items
# of models, the same in every figure; widths and ranks have line styles and markers
MODELS = {
    "distilled": GREEN,
    "paper": VERMILLION,
    "linear": "0.35",
    "all genes": BLUE,
    "lasso": "#3B9BD0",
    "greedy": "#B8679A",
    "gates": "#2B2B8C",
    "trees": "#6B5500",
}
METHODS = {  # of the companions
    "ephys_types": {
        "baseline": MODELS["linear"],
        "trees": BLUE,
        "sequence": VERMILLION,
        "kernel": MODELS["greedy"],
        "ours": GREEN,
    },
    "mechanism_shift": {
        "no network": MODELS["linear"],
        "VAE": BLUE,
        "switches": VERMILLION,
        "ours": GREEN,
    },
    "dynamics": {
        "prior": "black",
        "mean": "#1199EE",
        "ar1_mean": "#6677FF",
        "ar1": "#0055FF",
        "ridge": "#3300FF",
        "ar1_ridge": "#000044",
        "path": "#445577",
        "replicate": "#AA7799",
        "none": MODELS["linear"],
        "phoenix": "#0022BB",
        "c_node": "#DD4444",
        "l0": BLUE,
        "path_reg": "#443377",
        "post_hoc": "#884411",
        "imp": "#662211",
        "biological": "#441144",
        "dash": VERMILLION,
        "sparse": GREEN,
    },
}
SHAPES = "os^DvXP*"  # of groups
MOST_GROUPS = 24  # in a legend


def shades(color, n):
    """Shades of a colour, from dark to pale."""
    ends = [_mixed(color, "black", 0.45), color, _mixed(color, "white", 0.6)]
    places = np.linspace(0, 1, n) if n > 1 else [0.5]
    return [to_hex(shade) for shade in LinearSegmentedColormap.from_list("", ends)(places)]


def paler(color):
    """A paler colour."""
    return _mixed(color, "white", 0.55)


def _mixed(color, other, share):
    return to_hex((1 - share) * np.array(to_rgb(color)) + share * np.array(to_rgb(other)))


def model_color(record):
    """Colour of a model."""
    networks = {"SparseBottleneckRegressor": "paper", "DistilledBottleneckRegressor": "distilled"}
    usual = "linear" if "n_selected" in record.values else "all genes"
    return MODELS[networks.get(class_of(record), usual)]


class Groups:
    """Families and types of the cells of a record, in the colours of the types.

    Types replace families if none is known. `table` has the count and colour of each family,
    `colors` one entry for each cell.
    """

    def __init__(self, record):
        labels = record.labels.replace("", UNKNOWN)
        self.families = labels["family"].to_numpy(object)
        self.types = labels["type"].to_numpy(object)
        self.palette = dict(record.colors)
        self.title = "families (cells)"
        if (self.families == UNKNOWN).all():
            self.title = "types (cells)"
            self.families = self.types
        elif labels.groupby("family")["type"].nunique().max() > 1:
            self.title += ", in the colour of their most frequent type"
        self.palette[UNKNOWN] = GREY
        self.table = self.count("family")
        self.colors = pd.Series(self.types).map(self.palette).fillna(GREY).to_numpy(str)

    def count(self, by, cells=slice(None)):
        """Count and colour of families or types, most frequent first."""
        groups = self.families if by == "family" else self.types
        types = pd.Series(self.types[cells]).groupby(groups[cells])
        table = types.agg(["size", lambda own: own.mode()[0]]).rename_axis(by)
        table.columns = ["count", "color"]
        table["color"] = table["color"].map(self.palette).fillna(GREY)
        table.loc[table.index == UNKNOWN, "color"] = GREY
        unknown = table.index == UNKNOWN
        return table.iloc[np.lexsort([-table["count"], unknown])]


def groups_of(adata):
    """`Groups` of an AnnData."""
    labels = pd.DataFrame({"family": "", "type": ""}, adata.obs_names)
    for column in labels.columns.intersection(adata.obs.columns):
        labels[column] = adata.obs[column].astype(str)
    colors = {}
    if "type_colors" in adata.uns:
        colors = dict(zip(adata.obs["type"].cat.categories, adata.uns["type_colors"], strict=True))
    return Groups(Record("cells", "", "", [{}], values={"labels": labels, "colors": colors}))


def listed(table):
    """The most frequent groups, with their own legend entry."""
    return table if len(table) <= MOST_GROUPS else table.iloc[: MOST_GROUPS - 1]


def family_colors(record: Record) -> dict[str, str]:
    """Dict from family to the colour, "#RRGGBB", of its most frequent type; largest first.

    Examples
    --------
    >>> from sbnn import plotting, results
    >>> fit = results.load("saved_models/scala/fit_default_2d.pickle")
    >>> list(plotting.family_colors(fit).items())[:2]
    [('Pvalb', '#BC2C41'), ('Sst', '#D2A328')]
    """
    return Groups(record).table["color"].to_dict()
