"""The explorer page: template, style, scripts, drawings and data joined into one self-contained HTML text."""

import json
from base64 import b64decode, b64encode
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template

import numpy as np
from bokeh.embed import json_item
from bokeh.palettes import RdBu, Viridis256, interp_palette
from bokeh.resources import Resources

from sbnn.explorer.drawings import cell_map, histogram

# The order matters: each script may use the scripts before it.
SCRIPTS = (
    *("data.js", "scales.js", "statistics.js", "tables.js", "files.js"),
    *("painting.js", "legend.js", "selection.js", "comparison.js", "link.js", "main.js"),
)
# Zero has the colour of the background, so that differences stand out.
PALETTES = {
    "range": Viridis256,
    "difference_light": interp_palette(RdBu[11], 256),
    "difference_dark": interp_palette(("#9fd0ff", "#2f7ed8", "#3a4048", "#d9502e", "#ffb996"), 256),
}


def page(data):
    """HTML of the page that shows `data`, as returned by `page_data`; only scripts of the page itself can run."""
    first = data["maps"][0]
    xy = np.column_stack([np.frombuffer(b64decode(first[axis]), "<f4") for axis in "xy"])
    map_, bars = (
        json_item(drawing) for drawing in (cell_map(xy, first["axes"], first["equal"]), histogram())
    )
    drawings = {"map": map_, "histogram": bars, "palettes": PALETTES}
    library = "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)
    scripts = "\n".join(_read(name) for name in SCRIPTS)
    own = f'"use strict";\n(() => {{\n{scripts}\n}})();'
    checksums = (b64encode(sha256(script.encode()).digest()).decode() for script in (library, own))
    shown = {
        "title": f"{data['dataset']}: {data['model']}",
        "dataset": data["dataset"],
        "verdict": data["verdict"],
    }
    shown["about"] = f"{data['model']}, {len(data['cells'])} cells"
    parts = {name: escape(text) for name, text in shown.items()}
    parts |= {"style": _read("page.css"), "library": library, "scripts": own}
    parts |= {"drawings": _json(drawings), "data": _json(data)}
    parts["checksums"] = " ".join(f"'sha256-{checksum}'" for checksum in checksums)
    return Template(_read("page.html")).substitute(parts)


def _read(name):
    return (files("sbnn.explorer") / name).read_text(encoding="utf-8")


def _json(value):
    """JSON that cannot end a script element, whatever names it contains."""
    return json.dumps(value, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")
