"""A report as one HTML page to print or share: verdict, cautions, a section per claim, facts."""

import base64
import re
from html import escape
from importlib.resources import files
from string import Template

import pandas as pd

from sbnn.data.checks import some
from sbnn.results import library_versions
from sbnn.store import write_atomically

NAMES_SHOWN = 3
EXPLORER = (
    '<p><a href="{}">Explore the map</a>: colour it by any gene, select and compare cells.</p>'
)


def write_report(
    path,
    title,
    verdict,
    pictures,
    tables,
    *,
    cautions=(),
    facts=None,
    left_out=None,
    source="",
    explorer="",
    drawn_by="",
):
    """Write a report with a verdict, cautions, and a section with a picture and table per claim.

    Parameters
    ----------
    path : str or path-like
    title, verdict : str
    pictures : sequence of (path, title, description)
        `title` is the claim that the picture shows.
    tables : sequence of (title, DataFrame, note)
        A table stands below the picture of the same title.
    cautions : sequence of str
    facts : dict of str to str, optional
    left_out : dict of str to sequence of str, optional
        Reason -> names.
    source : str
        Where the results come from.
    explorer : str
        File name of the explorer of the same fit, in the folder of the report.
    drawn_by : str
        Command that draws missing pictures.
    """
    sections = {}
    for file, claim, description in pictures:
        if file.exists():
            sections[claim] = _picture(file, description)
        else:
            lacking = typeset(f"The picture {file} is missing; {drawn_by} draws it.")
            sections[claim] = f'<p class="note">{lacking}</p>'
    for claim, *table in tables:
        sections[claim] = sections.get(claim, "") + _table(*table)
    contents = []
    shown = []
    for i, (claim, content) in enumerate(sections.items()):
        contents.append(f'<li><a href="#claim{i}">{typeset(claim)}</a></li>')
        shown.append(f'<section><h2 id="claim{i}">{typeset(claim)}</h2>{content}</section>')
    template = Template((files("sbnn.explorer") / "report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(title),
        verdict=typeset(verdict),
        explorer=EXPLORER.format(escape(explorer)) if explorer else "",
        cautions="".join(f"<li>{typeset(str(text))}</li>" for text in cautions),
        contents="".join(contents),
        sections="".join(shown),
        data=_data(facts or {}, left_out or {}),
        footer=escape(f"sbnn {library_versions()['sbnn']}; {source}"),
    )
    write_atomically(page.encode(), path)


def typeset(text):
    """HTML of a text, with R² and long minus signs as in the pictures."""
    return _with_signs(escape(text))


def _with_signs(html):
    with_minus = re.sub(r"(?<![\w.])-(?=\d)", "−", html)
    return re.sub(r"\bR2\b", "R²", with_minus)


def _number(value):
    return f"{round(value, 3) + 0.0:.3f}"  # without a minus before 0.000


def _data(facts, left_out):
    if not (facts or left_out):
        return ""
    rows = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()]
    return f"<h2>The data</h2><dl>{''.join(rows)}</dl>{_left_out(left_out)}"


def _left_out(left_out):
    parts = []
    for why, names in left_out.items():
        first = escape(f"{len(names)} left out ({why}): {some(names, NAMES_SHOWN)}")
        everyone = escape(", ".join(map(str, names)))
        parts.append(f"<details><summary>{first}</summary><p>{everyone}</p></details>")
    return "".join(parts)


def _picture(path, description):
    data = base64.b64encode(path.read_bytes()).decode()
    text = typeset(description)
    image = f'<img src="data:image/png;base64,{data}" alt="{text}">'
    return f"<figure>{image}<figcaption>{text}</figcaption></figure>"


def _table(frame, note=""):
    look = {"index": False, "border": 0, "na_rep": "", "float_format": _number}
    with pd.option_context("display.max_colwidth", None):
        rows = frame.reset_index().to_html(**look)
    return f'<div class="wide">{_with_signs(rows)}</div><p class="note">{typeset(note)}</p>'
