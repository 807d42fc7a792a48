"""A report as one HTML page to print or share: verdict, cautions, facts, pictures and tables."""

import base64
from html import escape
from importlib.resources import files
from string import Template

import pandas as pd

from sbnn.data.checks import some
from sbnn.results import library_versions, write_atomically

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
):
    """Write a report with a verdict, pictures and tables.

    Parameters
    ----------
    path : str or path-like
    title, verdict : str
    pictures : sequence of (path, title, description)
        The first comes right after the verdict; those without a file are left out.
    tables : sequence of (title, DataFrame, note)
    cautions : sequence of str
    facts : dict of str to str, optional
    left_out : dict of str to sequence of str, optional
        Reason -> names.
    source : str
        Where the results come from.
    explorer : str
        File name of the explorer of the same fit, in the folder of the report.
    """
    shown = [_picture(*picture) for picture in pictures]
    template = Template((files("sbnn.explorer") / "report.html").read_text(encoding="utf-8"))
    page = template.substitute(
        title=escape(title),
        verdict=escape(verdict),
        map="".join(shown[:1]),
        explorer=EXPLORER.format(escape(explorer)) if explorer else "",
        cautions="".join(f"<li>{escape(str(text))}</li>" for text in cautions),
        facts=_facts(facts or {}),
        left_out=_left_out(left_out or {}),
        pictures="".join(shown[1:]),
        tables="".join(_table(*table) for table in tables),
        footer=escape(f"sbnn {library_versions()['sbnn']}; {source}"),
    )
    write_atomically(page.encode(), path)


def _facts(facts):
    rows = [f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in facts.items()]
    return "".join(rows)


def _left_out(left_out):
    parts = []
    for why, names in left_out.items():
        first = escape(f"{len(names)} left out ({why}): {some(names, NAMES_SHOWN)}")
        everyone = escape(", ".join(map(str, names)))
        parts.append(f"<details><summary>{first}</summary><p>{everyone}</p></details>")
    return "".join(parts)


def _picture(path, title, alternative):
    if not path.exists():
        return ""
    data = base64.b64encode(path.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(alternative)}">'
    return f"<h2>{escape(title)}</h2><figure>{image}</figure>"


def _table(title, frame, note=""):
    look = {"index": False, "border": 0, "na_rep": "", "float_format": "{:.3f}".format}
    with pd.option_context("display.max_colwidth", None):
        rows = frame.reset_index().to_html(**look)
    heading = f"<h2>{escape(title)}</h2>"
    return f'{heading}<div class="wide">{rows}</div><p class="note">{escape(note)}</p>'
