"""All colours of the figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
from matplotlib import colormaps
from matplotlib.colors import LinearSegmentedColormap, ListedColormap, to_hex
from pandas.api.types import is_numeric_dtype

from sbnn.data.checks import (
    MOST_GROUPS,
    UNKNOWN,
    group_columns,
    known_labels,
    match_rows,
)
from sbnn.data.colors import GREY, OKABE_ITO, fill_colors
from sbnn.plotting.reading import name_and_color, short_name
from sbnn.results import Record, check_record

BLUE, VERMILLION, GREEN, _, ORANGE, SKY, _ = OKABE_ITO
# of models, the same in every figure; ranks have line styles and markers
MODEL_COLORS = {
    "distilled": GREEN,
    "stacked": ORANGE,
    "published": VERMILLION,
    "linear": "0.35",
    "all genes": BLUE,
    "greedy": "#B8679A",
}
METHOD_COLORS = {  # of the companions
    "ephys_types": {
        "baseline": MODEL_COLORS["linear"],
        "trees": BLUE,
        "sequence": VERMILLION,
        "transfer": "#6B5500",
        "kernel": MODEL_COLORS["greedy"],
        "ours": GREEN,
    },
    "mechanism_shift": {
        "no network": MODEL_COLORS["linear"],
        "all shifts": BLUE,
        "sparse shifts": VERMILLION,
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
        "none": MODEL_COLORS["linear"],
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
#: Of families of neurons, near the published hues of their types; at least 15.9 apart (CIELAB),
#: also for protanopes and deuteranopes.
FAMILY_COLORS = {
    "CT": "#407062",
    "IT": "#3CAE71",
    "Lamp5": "#FF9F98",
    "NP": "#329A92",
    "PT": "#0D688E",
    "Pvalb": "#A91D44",
    "Sncg": "#8505B1",
    "Sst": "#C59121",
    "Vip": "#B83FC3",
}
BOTTLENECK_COLORS = (VERMILLION, "#5B2A86", ORANGE, SKY)  # of the bottleneck, within one figure
MOST_LEGEND_ENTRIES = 24  # in a legend
# few, for a small PDF, and none as pale as the paper
VALUE_COLORS = ListedColormap(colormaps["plasma"](np.linspace(0, 0.85, 32)))
VALUE_CLASSES = 5


def color_gradient(color: str, n: int) -> np.ndarray:
    """Shades of a colour, from dark to pale."""
    scale = LinearSegmentedColormap.from_list("", ["black", color, "white"])
    return scale(np.linspace(0.27, 0.72, n))


def model_color(record: Record) -> str:
    """Colour of a model."""
    _, key = name_and_color(record)
    return MODEL_COLORS[key]


def color_by(record: Record, labels: pd.Series | pd.DataFrame) -> Record:
    """Record whose figures colour the cells by a label, such as their donor or region.

    Parameters
    ----------
    record : Record
        From `sbnn.fit_full` or `sbnn.evaluation.maps.tsne_maps`.
    labels : Series or DataFrame
        Labels, indexed by the names of the cells, such as ``adata.obs["donor"]``. Of a table, such
        as ``adata.obs``, the first column with 2 to 100 different values colours the cells, unless
        their types are known. Numbers of which more than 100 differ are divided into five classes
        with equal numbers of cells.

    Returns
    -------
    Record
        For figures only; it differs from the record that was saved.

    Raises
    ------
    ValueError
        If the labels lack cells, or are all alike or nearly all different.

    Examples
    --------
    >>> from sbnn import SparseReducedRankRegression, fit_full, plotting, simulate_patchseq
    >>> data = simulate_patchseq(n_cells=100, n_genes=60)
    >>> data.obs["donor"] = ["old", "young"] * 50
    >>> fit = fit_full(SparseReducedRankRegression(alpha=0.3), data)
    >>> figure = plotting.latent_subplots(plotting.color_by(fit, data.obs["donor"]))
    """
    check_record("record", record)
    if isinstance(labels, pd.DataFrame):
        columns = group_columns(labels)
        if group_columns(record.labels) or not columns:
            return record
        labels = labels[columns[0]]
    column = match_rows(labels, record.cell_names, "labels")
    if is_numeric_dtype(column) and column.nunique() > MOST_GROUPS:
        return _color_by_class(record, column)
    if not group_columns(column.to_frame()):
        raise ValueError(
            f"labels: {column.name!r} has {column.nunique()} different values in {len(column)} "
            f"cells; a label that colours cells has 2 to {MOST_GROUPS}"
        )
    table = group_table(column).set_axis(record.labels.index)
    colors = fill_colors({}, table)
    values = record.values | {"labels": table, "colors": colors, "label": str(column.name)}
    return replace(record, values=values)


def _color_by_class(record, values):
    """Colour cells by five classes of a number, with equal numbers of cells.

    A lowest value of many cells, such as no expression, is a class of its own.
    """
    if np.isinf(values).any():
        cell = record.cell_names[int(np.isinf(values).to_numpy().argmax())]
        raise ValueError(f"labels: {values.name!r} is infinite in cell {str(cell)!r}; leave it out")
    is_lowest = values == values.min()
    has_ties = bool(is_lowest.mean() > 1 / VALUE_CLASSES)
    others = values.mask(is_lowest) if has_ties else values
    classes = pd.qcut(others, VALUE_CLASSES - has_ties, labels=False, duplicates="drop")
    if has_ties:
        classes = classes.mask(is_lowest, -1)
    names = _name_classes(values.groupby(classes).agg(["min", "max"]))
    column = classes.map(names).astype(object)
    names = names.tolist()
    table = group_table(column).set_axis(record.labels.index)
    shades = [to_hex(color) for color in VALUE_COLORS(np.linspace(0, 1, len(names)))]
    colors = fill_colors(dict(zip(names, shades, strict=True)), table)
    label = str(values.name)
    values = record.values | {"labels": table, "colors": colors, "label": label, "classes": names}
    return replace(record, values=values)


def _name_classes(ranges):
    """Names of classes with these lowest and highest values, with as few digits as tell apart."""
    for digits in range(3, 18):
        lows, highs = (ranges[side].map(f"{{:.{digits}g}}".format) for side in ("min", "max"))
        names = lows.where(lows == highs, lows + " to " + highs).str.replace("-", "−")
        if names.is_unique:
            break
    return names


def color_untyped(record: Record, like: Record | None = None) -> Record:
    """Record in the colours of one output of a fit, if the type of no cell is known.

    The fit is `like`, or the record itself; the output is the one that correlates most with the
    others, so that all fits to the same cells have the same colours.
    """
    labels = record.labels[["family", "type"]]
    if known_labels(labels.to_numpy().ravel()).notna().any():
        return record
    fit = like or record
    output = pd.DataFrame(fit.outputs).corr().pow(2).sum().argmax()
    name = f"{short_name(fit.feature_names[output])}, z-score"
    values = pd.Series(fit.outputs[:, output], fit.cell_names, name=name)
    if values.nunique() < VALUE_CLASSES:
        return record
    return _color_by_class(record, match_rows(values, record.cell_names, "labels"))


def group_table(column: pd.Series) -> pd.DataFrame:
    """A label as family and type of the cells, as `Groups` takes them."""
    known = known_labels(column)
    names = known.where(known.notna(), UNKNOWN).astype(str)
    return pd.DataFrame({"family": names, "type": names})


def family_colors(labels: pd.DataFrame, of_types: Mapping[str, str]) -> dict[str, str]:
    """One colour for each family: that of its type if each has a single one, else a hue of its own.

    Hues are `FAMILY_COLORS`, and others for other names.
    """
    known = labels[labels["family"] != UNKNOWN]
    types = known[known["type"] != UNKNOWN].drop_duplicates().set_index("family")["type"]
    has_type_each = {*types.index} == {*known["family"]} and types.index.is_unique
    if has_type_each and types.is_unique:
        colors = types.map(of_types).fillna(GREY).to_dict()
    else:
        colors = fill_colors(FAMILY_COLORS, known.assign(type=known["family"]))
    return colors | {UNKNOWN: GREY}


class Groups:
    """Families of the cells, or types if no family is known, and their colours.

    `table` has the count and colour of each family, `colors` one entry for each cell. Classes of a
    number, of `color_by`, have no names on a map. With `by_type`, cells have the colours of their
    types, which `shades` has for each family, the most frequent type first.
    """

    title: str
    has_names: bool
    families: np.ndarray
    types: np.ndarray
    colors: np.ndarray
    table: pd.DataFrame
    shades: dict[str, list[str]] | None = None

    def __init__(self, record: Any, by_type: bool = False):
        labels = record.labels[["family", "type"]].astype(str).replace("", UNKNOWN)
        self.title = "families (cells)"
        if (labels["family"] == UNKNOWN).all():
            self.title = "types (cells)"
            labels["family"] = labels["type"]
        values = getattr(record, "values", {})
        label = values.get("label")
        if label is not None:  # of `color_by`
            self.title = f"{short_name(label)} (cells)"
        of_families = family_colors(labels, record.colors)
        colors = labels["family"].map(of_families)
        self.table = count_groups(labels["family"], of_families)
        if by_type and len(labels.drop_duplicates(["family", "type"])) > len(self.table):
            colors = labels["type"].map(dict(record.colors) | {UNKNOWN: GREY}).fillna(GREY)
            by_family = colors.groupby(labels["family"])
            self.shades = by_family.agg(lambda own: [*count_groups(own, {}).index]).to_dict()
            self.title += ", with the colours of their types"
        self.families, self.types = labels.to_numpy(object).T
        self.colors = colors.to_numpy(object)
        classes = values.get("classes", [])  # in ascending order
        self.has_names = not classes
        self.table = self.table.loc[[*classes, *self.table.index.difference(classes, sort=False)]]


def count_groups(names: pd.Series, colors: Mapping[str, str]) -> pd.DataFrame:
    """Count and colour of each name, the most frequent first and unknown ones last."""
    counts = names.value_counts().sort_index()
    order = np.lexsort([-counts, counts.index == UNKNOWN])
    table = counts.iloc[order].to_frame("count")
    return table.assign(color=[colors.get(name, GREY) for name in table.index])
