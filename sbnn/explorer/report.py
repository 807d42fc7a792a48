"""A report as one HTML page to print or share, with a verdict, cautions, facts, pictures and tables."""

import base64
from html import escape
from importlib.resources import files
from string import Template

import pandas as pd

from sbnn.data.checks import some
from sbnn.results import library_versions, write_atomically

NAMES_SHOWN = 3


def write_report(
    path, title, verdict, pictures, tables, *, cautions=(), facts=None, left_out=None, source=""
):
    """Write a report with a verdict, pictures (path, title, description) and tables (title, table,
    note).

    The first picture comes right after the verdict. `facts` maps names to facts, and `left_out`
    maps each reason to the names that were left out for it.
    """
    first, *others = [_picture(*picture) if picture[0].exists() else "" for picture in pictures]
    listed = "".join(f"<li>{escape(str(text))}</li>" for text in cautions)
    page = Template(
        (files("sbnn.explorer") / "report.html").read_text(encoding="utf-8")
    ).substitute(
        title=escape(title),
        verdict=escape(verdict),
        map=first,
        cautions=f'<ul class="cautions" aria-label="Cautions">{listed}</ul>' if listed else "",
        facts="".join(
            f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>"
            for name, text in (facts or {}).items()
        ),
        left_out="".join(_left_out(why, names) for why, names in (left_out or {}).items()),
        pictures="".join(others),
        tables="".join(_table(*table) for table in tables),
        footer=escape("; ".join(filter(None, [f"sbnn {library_versions()['sbnn']}", source]))),
    )
    write_atomically(page.encode(), path)


def _left_out(why, names):
    """Write how many names were left out for one reason, and the first names; readers can expand the full list."""
    first = escape(f"{len(names)} left out ({why}): {some(names, NAMES_SHOWN)}")
    if len(names) <= NAMES_SHOWN:
        return f"<p>{first}</p>"
    return (
        f"<details><summary>{first}</summary><p>{escape(', '.join(map(str, names)))}</p></details>"
    )


def _picture(path, title, alternative):
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alternative)}">'
    return f"<h2>{escape(title)}</h2><figure>{image}</figure>"


def _table(title, frame, note=""):
    with pd.option_context("display.max_colwidth", None):
        rows = frame.reset_index().to_html(
            index=False, border=0, na_rep="", float_format="{:.3f}".format
        )
    return (
        f'<h2>{escape(title)}</h2><div class="wide">{rows}</div><p class="note">{escape(note)}</p>'
    )
