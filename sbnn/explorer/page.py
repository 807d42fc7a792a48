"""The explorer page: template, style, scripts, drawings and data in one HTML text."""

import json
import re
from base64 import b64decode, b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
from bokeh.embed import json_item
from bokeh.palettes import Viridis256
from bokeh.resources import Resources
from bokeh.themes import Theme

from sbnn.explorer.drawings import LOOK, cell_map

# each may use those before it
SCRIPTS = (
    *("data.js", "scales.js", "statistics.js", "tables.js", "files.js"),
    *("painting.js", "legend.js", "selection.js", "comparison.js", "main.js"),
)


def page(data):
    """HTML that shows `page_data`; only its own scripts can run."""
    first = data["maps"][0]
    xy = np.column_stack([np.frombuffer(b64decode(first[axis]), "<f4") for axis in "xy"])
    map_ = cell_map(xy, first["axes"], first["equal"])
    theme = Theme(json={"attrs": LOOK})
    drawings = {"map": json_item(map_, theme=theme), "palette": Viridis256}
    resources = Resources(mode="inline", components=["bokeh"], log_level="warn")
    library = "\n".join(resources.js_raw)
    scripts = "\n".join(_read(name) for name in SCRIPTS)
    own = f'"use strict";\n(() => {{\n{scripts}\n}})();'
    return Template(_read("page.html")).substitute(
        title=escape(f"{data['dataset']}: {data['model']}"),
        dataset=escape(data["dataset"]),
        verdict=_typeset(data["verdict"]),
        about=escape(f"{data['model']}, {len(data['cells'])} cells"),
        style=_read("page.css"),
        library=library,
        scripts=own,
        drawings=_json(drawings),
        data=_json(data),
        checksums=f"{_checksum(library)} {_checksum(own)}",
    )


def _checksum(script):
    digest = sha256(script.encode()).digest()
    return f"'sha256-{b64encode(digest).decode()}'"


def _read(name):
    return (files("sbnn.explorer") / name).read_text(encoding="utf-8")


def _json(value):
    """JSON that cannot end a script element."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _typeset(text):
    """HTML of a text, with R² and long minus signs as in the pictures."""
    with_minus = re.sub(r"(?<![\w.])-(?=\d)", "−", escape(text))
    return re.sub(r"\bR2\b", "R²", with_minus)
