"""All colours of the figures."""

import numpy as np
from matplotlib.colors import LinearSegmentedColormap

from sbnn.data.checks import GREY, OKABE_ITO, UNKNOWN
from sbnn.plotting.reading import name_and_color

BLUE, VERMILLION, GREEN, _, ORANGE, SKY, _ = OKABE_ITO
# of models, the same in every figure; ranks have line styles and markers
MODELS = {
    "distilled": GREEN,
    "paper": VERMILLION,
    "linear": "0.35",
    "all genes": BLUE,
    "greedy": "#B8679A",
}
METHODS = {  # of the companions
    "ephys_types": {
        "baseline": MODELS["linear"],
        "trees": BLUE,
        "sequence": VERMILLION,
        "transfer": "#6B5500",
        "kernel": MODELS["greedy"],
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
        "none": MODELS["linear"],
        "phoenix": "#0022BB",
        "c_node": "#DD4444",
        "l0": BLUE,
        "path_reg": "#DD77CC",
        "post_hoc": "#7A4A1E",
        "imp": "#AA9900",
        "biological": "#441144",
        "dash": VERMILLION,
    },
}
WIDTHS = (VERMILLION, "#5B2A86", ORANGE, SKY)  # of the bottleneck, within one figure
MOST_GROUPS = 24  # in a legend


def shades(color, n):
    """Shades of a colour, from dark to pale."""
    scale = LinearSegmentedColormap.from_list("", ["black", color, "white"])
    return scale(np.linspace(0.27, 0.8, n))


def model_color(record):
    """Colour of a model."""
    _, key = name_and_color(record)
    return MODELS[key]


class Groups:
    """Families of the cells, or types if no family is known, in the colours of the types.

    `table` has the count and colour of each family, `colors` one entry for each cell.
    """

    def __init__(self, record):
        labels = record.labels[["family", "type"]].astype(str).replace("", UNKNOWN)
        self.title = "families (cells), in the colour of their most frequent type"
        if (labels["family"] == UNKNOWN).all():
            self.title = "types (cells)"
            labels["family"] = labels["type"]
        palette = dict(record.colors) | {UNKNOWN: GREY}
        self.cells = labels.assign(color=labels["type"].map(palette).fillna(GREY))
        self.families, self.types, self.colors = self.cells.to_numpy(object).T
        self.table = self.count("family")

    def count(self, by, cells=slice(None)):
        """Count and colour of families or types, most frequent first."""
        groups = self.cells[cells].groupby(by)["color"]
        table = groups.agg(count="size", color=lambda own: own.mode()[0])
        unknown = table.index == UNKNOWN
        table.loc[unknown, "color"] = GREY
        return table.iloc[np.lexsort([-table["count"], unknown])]
