"""The two bokeh figures of the page, the map of the cells and a histogram; the scripts of the page fill in the data."""

import numpy as np
from bokeh import models
from bokeh.plotting import figure

FEWEST, MOST = 3.5, 9.0  # diameter of a dot in pixels, for many and for few cells
FONT = "Helvetica, Arial, sans-serif"


def cell_map(xy, axes, equal):
    """Map with a dot for each cell, a colour bar, and tools without a toolbar; scripts find its parts by name."""
    map_ = figure(
        name="map",
        title=" ",
        sizing_mode="stretch_both",
        toolbar_location=None,
        tools="",
        lod_threshold=None,
        match_aspect=equal,
        x_axis_label=axes[0],
        y_axis_label=axes[1],
        x_range=models.DataRange1d(),
        y_range=models.DataRange1d(),
    )
    # Invisible corners keep the view fixed while types are hidden.
    (left, low), (right, high) = xy.min(0).tolist(), xy.max(0).tolist()
    ends = models.ColumnDataSource({"x": [left, right], "y": [low, high]}, name="corners")
    corners = map_.scatter("x", "y", source=ends, alpha=0, size=0)
    columns = ("x", "y", "color", "cell", "type", "family", "value")
    source = models.ColumnDataSource({name: [] for name in columns}, name="cells")
    size = float(np.clip(270 / np.sqrt(len(xy)), FEWEST, MOST))
    dots = map_.scatter(
        "x",
        "y",
        source=source,
        name="dots",
        size=size,
        view=models.CDSView(filter=models.BooleanFilter(name="shown")),
        fill_color="color",
        fill_alpha=0.9,
        line_width=0.5,
        line_alpha=0.5,
        nonselection_fill_alpha=0.08,
        nonselection_line_alpha=0,
    )
    dots.selection_glyph = dots.glyph
    map_.text(
        "x",
        "y",
        "text",
        source=models.ColumnDataSource({"x": [], "y": [], "text": []}, name="names"),
        name="labels",
        text_align="center",
        text_baseline="middle",
        text_font={"value": FONT},
        text_font_size="12px",
        background_fill_alpha=0.75,
        padding=2,
        border_radius=3,
    )
    for range_ in (map_.x_range, map_.y_range):
        range_.renderers = [corners]
    hover = models.HoverTool(
        name="hover", renderers=[dots], tooltips=None, attachment="right", limit=1
    )
    wheel = models.WheelZoomTool()
    pan, box = models.PanTool(name="pan"), models.BoxSelectTool(name="box")
    lasso = models.LassoSelectTool(name="lasso", continuous=False)
    for tool in (box, lasso):
        tool.renderers = [dots]
    map_.add_tools(pan, box, lasso, wheel, hover, models.ResetTool())
    map_.toolbar.active_drag, map_.toolbar.active_scroll = lasso, wheel
    mapper = models.LinearColorMapper(name="mapper", palette=["#000000"], low=0, high=1)
    bar = models.ColorBar(
        name="bar", color_mapper=mapper, width=12, visible=False, background_fill_color=None
    )
    map_.add_layout(bar, "right")
    _plain(map_)
    return map_


def histogram():
    """Histogram of one feature in selected and in other cells; its source is ``bins`` (left, right, inside, rest)."""
    plot = figure(
        name="histogram",
        sizing_mode="stretch_width",
        height=190,
        toolbar_location=None,
        tools="",
        x_axis_label=" ",
        y_axis_label="share of cells",
    )
    source = models.ColumnDataSource(
        {"left": [0], "right": [1], "inside": [0], "rest": [0]}, name="bins"
    )
    for part in ("rest", "inside"):
        plot.quad(
            left="left",
            right="right",
            top=part,
            bottom=0,
            source=source,
            name=part,
            fill_alpha=0.55,
        )
    plot.y_range.start = 0
    _plain(plot)
    return plot


def _plain(plot):
    """Remove the frame and background of a plot, and set its fonts."""
    # the page shows through
    plot.outline_line_color = plot.border_fill_color = plot.background_fill_color = None
    plot.min_border = 4
    plot.title.text_font = FONT
    for axis in plot.axis:
        axis.axis_label_text_font = axis.major_label_text_font = FONT
        axis.axis_label_text_font_style = "normal"
        axis.minor_tick_line_color = None
    plot.grid.grid_line_width = 0.5
