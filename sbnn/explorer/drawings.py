"""The map of the page, drawn by bokeh; scripts fill in the data."""

import numpy as np
from bokeh import models
from bokeh.plotting import figure

FEWEST, MOST = 3.5, 9.0  # diameter of a dot in pixels
FONT = "Helvetica, Arial, sans-serif"
BARE = {"toolbar_location": None, "tools": ""}
TEXT, QUIET, LINE = "#1c2024", "#5b636d", "#d5d9de"
AXIS = {
    "axis_line_color": LINE,
    "major_tick_line_color": LINE,
    "major_label_text_color": QUIET,
    "axis_label_text_color": QUIET,
    "axis_label_text_font": FONT,
    "axis_label_text_font_style": "normal",
    "major_label_text_font": FONT,
    "minor_tick_line_color": None,
}
# the page shows through
PLOT = {
    "outline_line_color": None,
    "border_fill_color": None,
    "background_fill_color": None,
    "min_border": 4,
}
GRID = {"grid_line_width": 0.5, "grid_line_color": "#e8eaee"}
TITLE = {"text_font": FONT, "text_color": TEXT}
LOOK = {"Plot": PLOT, "Axis": AXIS, "Title": TITLE, "Grid": GRID}
COLUMNS = ("x", "y", "color", "cell", "type", "family", "value")


def cell_map(xy, axes, equal):
    """Map with a dot for each cell; scripts find its parts by name."""
    map_ = figure(name="map", title=" ", sizing_mode="stretch_both", match_aspect=equal, **BARE)
    map_.lod_threshold = None
    map_.xaxis.axis_label, map_.yaxis.axis_label = axes
    # as scripts fill in the cells later
    x, y = np.transpose([xy.min(0), xy.max(0)]).tolist()
    ends = models.ColumnDataSource({"x": x, "y": y}, name="corners")
    corners = map_.scatter("x", "y", source=ends, alpha=0, size=0)
    for range_ in (map_.x_range, map_.y_range):
        range_.renderers = [corners]
    size = float(np.clip(270 / np.sqrt(len(xy)), FEWEST, MOST))
    # below the dots, whose colours they would hide
    rings = models.ColumnDataSource({"x": [], "y": [], "color": []}, name="rings")
    look = {"fill_color": None, "line_color": "color", "line_width": 1.5}
    map_.scatter("x", "y", source=rings, size=size + 3, **look)

    source = models.ColumnDataSource({name: [] for name in COLUMNS}, name="cells")
    look = {"fill_color": "color", "fill_alpha": 0.9, "line_width": 0.5, "line_alpha": 0.5}
    look["line_color"] = "#3d444c"
    look |= {"nonselection_fill_alpha": 0.15, "nonselection_line_alpha": 0}
    dots = map_.scatter("x", "y", source=source, name="dots", size=size, **look)
    dots.selection_glyph = dots.glyph

    names = models.ColumnDataSource({"x": [], "y": [], "text": []}, name="names")
    look = {"text_align": "center", "text_baseline": "middle", "text_font_size": "12px"}
    look |= {"text_font": {"value": FONT}, "padding": 2, "border_radius": 3}
    look |= {"background_fill_alpha": 0.75, "background_fill_color": "#ffffff", "text_color": TEXT}
    map_.text("x", "y", "text", source=names, name="labels", **look)
    hover = models.HoverTool(name="hover", tooltips=None, attachment="right", limit=1)
    wheel = models.WheelZoomTool()
    pan = models.PanTool(name="pan")
    box = models.BoxSelectTool(name="box")
    lasso = models.LassoSelectTool(name="lasso", continuous=False)
    for tool in (box, lasso, hover):
        tool.renderers = [dots]
    map_.add_tools(pan, box, lasso, wheel, hover, models.ResetTool())
    map_.toolbar.active_drag = lasso
    map_.toolbar.active_scroll = wheel
    mapper = models.LinearColorMapper(name="mapper", palette=["#000000"], low=0, high=1)
    bar = models.ColorBar(name="bar", color_mapper=mapper, width=12, visible=False)
    bar.update(background_fill_color=None, major_label_text_color=QUIET)
    map_.add_layout(bar, "right")
    return map_
