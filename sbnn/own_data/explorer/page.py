"""The explorer page: template, style, scripts, the map and data in one HTML text.

Bokeh draws the map without cells; scripts fill in the data.
"""

from __future__ import annotations

import json
import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

import numpy as np
from bokeh import models
from bokeh.embed import json_item
from bokeh.models.annotations import ColorBar
from bokeh.palettes import Viridis256
from bokeh.plotting import figure
from bokeh.resources import Resources
from bokeh.themes import Theme

# each may use those before it
SCRIPTS = (
    "data.js",
    "scales.js",
    "statistics.js",
    "tables.js",
    "files.js",
    "painting.js",
    "legend.js",
    "selection.js",
    "comparison.js",
    "main.js",
)
SMALLEST_DOT, LARGEST_DOT = 3.5, 9.0  # diameters in pixels
FONT = "Helvetica, Arial, sans-serif"
TEXT_COLOR, QUIET_COLOR, LINE_COLOR = "#1c2024", "#5b636d", "#d5d9de"
THEME = {
    # the page shows through
    "Plot": {
        "outline_line_color": None,
        "border_fill_color": None,
        "background_fill_color": None,
        "min_border": 4,
    },
    "Axis": {
        "axis_line_color": LINE_COLOR,
        "major_tick_line_color": LINE_COLOR,
        "major_label_text_color": QUIET_COLOR,
        "axis_label_text_color": QUIET_COLOR,
        "axis_label_text_font": FONT,
        "axis_label_text_font_style": "normal",
        "major_label_text_font": FONT,
        "minor_tick_line_color": None,
    },
    "Title": {"text_font": FONT, "text_color": TEXT_COLOR},
    "Grid": {"grid_line_width": 0.5, "grid_line_color": "#e8eaee"},
}
LABEL_BOX: dict[str, Any] = {  # bokeh's type stubs do not know these
    "padding": 2,
    "border_radius": 3,
    "background_fill_alpha": 0.75,
    "background_fill_color": "#ffffff",
}
CELL_COLUMNS = ("x", "y", "color", "cell", "main", "shown", "value")


def page_html(data: dict[str, Any]) -> str:
    """HTML that shows `page_data`; only its own scripts can run."""
    first = data["maps"][0]
    xy = np.column_stack([_unpack(first["x"]), _unpack(first["y"])])
    map_ = interactive_map(xy, first["axes"], equal=first["equal"])
    theme = Theme(json={"attrs": THEME})
    drawings = {"map": json_item(map_, theme=theme), "palette": Viridis256}
    resources = Resources(mode="inline", components=["bokeh"], log_level="warn")
    library = "\n".join(resources.js_raw)
    page_scripts = "\n".join(_page_part(name) for name in SCRIPTS)
    scripts = f'"use strict";\n(() => {{\n{page_scripts}\n}})();'
    title, model, n_cells = data["title"], data["model"], len(data["cells"])
    template = Template(_page_part("page.html"))
    return template.substitute(
        title=escape(title),
        verdict=_typeset(data["verdict"]),
        about=escape(f"{model}, {n_cells} cells"),
        style=_page_part("page.css"),
        library=library,
        scripts=scripts,
        drawings=_json(drawings),
        data=_json(data),
        checksums=f"{_checksum(library)} {_checksum(scripts)}",
    )


def _unpack(text):
    """Numbers that `sbnn.own_data.explorer.columns` has packed."""
    return np.frombuffer(b64decode(text), "<f4")


def _checksum(script):
    digest = sha256(script.encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"


def _page_part(name):
    return (files("sbnn.own_data.explorer") / name).read_text(encoding="utf-8")


def _json(value):
    """JSON that cannot end a script element."""
    text = json.dumps(value, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")


def _typeset(text):
    """HTML of a text, with R² and long minus signs as in the pictures."""
    with_minus = re.sub(r"(?<![\w.])-(?=\d)", "−", escape(text))
    return re.sub(r"\bR2\b", "R²", with_minus)


def interactive_map(xy: np.ndarray, axes: Sequence[str], equal: bool) -> figure:
    """Map with a dot for each cell; scripts find its parts by name."""
    map_ = figure(
        name="map",
        title=" ",
        sizing_mode="stretch_both",
        match_aspect=equal,
        toolbar_location=None,
        tools="",
    )
    map_.lod_threshold = None
    map_.xaxis.axis_label, map_.yaxis.axis_label = axes
    _fix_ranges(map_, xy)
    diameter = 270 / np.sqrt(len(xy))
    size = float(np.clip(diameter, SMALLEST_DOT, LARGEST_DOT))
    # below the dots, whose colours they would hide
    map_.scatter(
        "x",
        "y",
        source=_empty_source("rings", ["x", "y", "color"]),
        size=size + 3,
        fill_color=None,
        line_color="color",
        line_width=1.5,
    )
    dots = map_.scatter(
        "x",
        "y",
        source=_empty_source("cells", CELL_COLUMNS),
        name="dots",
        size=size,
        fill_color="color",
        fill_alpha=0.9,
        line_width=0.5,
        line_alpha=0.5,
        line_color="#3d444c",
        nonselection_fill_alpha=0.15,
        nonselection_line_alpha=0,
    )
    dots.selection_glyph = dots.glyph
    map_.text(
        "x",
        "y",
        "text",
        source=_empty_source("names", ["x", "y", "text", "dx", "dy"]),
        name="labels",
        x_offset="dx",
        y_offset="dy",
        text_align="center",
        text_baseline="middle",
        text_font_size="12px",
        text_font={"value": FONT},
        text_color=TEXT_COLOR,
        **LABEL_BOX,
    )
    _add_tools(map_, dots)
    mapper = models.LinearColorMapper(name="mapper", palette=["#000000"], low=0, high=1)
    bar = ColorBar(name="bar", color_mapper=mapper, width=12, visible=False)
    bar.update(background_fill_color=None, major_label_text_color=QUIET_COLOR)
    map_.add_layout(bar, "right")
    return map_


def _empty_source(name, columns):
    return models.ColumnDataSource({column: [] for column in columns}, name=name)


def _fix_ranges(map_, xy):
    """Ranges follow two invisible corners, as scripts fill in the cells later."""
    opposite = np.array([xy.min(0), xy.max(0)])
    x, y = opposite.T.tolist()
    source = models.ColumnDataSource({"x": x, "y": y}, name="corners")
    corners = map_.scatter("x", "y", source=source, alpha=0, size=0)
    map_.x_range.renderers = [corners]
    map_.y_range.renderers = [corners]


def _add_tools(map_, dots):
    hover = models.HoverTool(name="hover", tooltips=None, attachment="right", limit=1)
    wheel = models.WheelZoomTool()
    pan = models.PanTool(name="pan")
    box = models.BoxSelectTool(name="box")
    lasso = models.LassoSelectTool(name="lasso", continuous=False)
    for tool in (box, lasso, hover):
        tool.renderers = [dots]
    map_.add_tools(pan, box, lasso)
    map_.add_tools(wheel, hover, models.ResetTool())
    map_.toolbar.active_drag = lasso
    map_.toolbar.active_scroll = wheel
