"""A page as one HTML file that needs nothing beside it."""

import base64
from html import escape

import pandas as pd

STYLE = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin: 1.8rem 0 .4rem; }
.verdict { font-size: 1.1rem; border-left: .3rem solid #009e73; padding: .3rem .9rem; }
.cautions { border-left: .3rem solid #d55e00; padding: .3rem 1rem .3rem 2rem; margin: 1rem 0; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .15rem 1rem; } dd { margin: 0; } dt { opacity: .7; }
.wide { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .7rem; text-align: right; border-bottom: 1px solid #8884; white-space: nowrap; }
th:first-child, td:first-child { text-align: left; }
figure { margin: 1rem 0; } img { max-width: 100%; background: white; } .note, footer { opacity: .75; font-size: .9rem; }
"""


def to_html(page):
    """Write a page as HTML.

    Parameters
    ----------
    page : Page

    Returns
    -------
    str
        Pictures are in it; there are no scripts, and nothing is loaded.
    """
    facts = "".join(f"<dt>{escape(name)}</dt><dd>{escape(text)}</dd>" for name, text in page.facts.items())
    cautions = "".join(f"<li>{escape(text)}</li>" for text in page.cautions)
    parts = [
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(page.title)}</title>',
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body><main>',
        f"<h1>{escape(page.title)}</h1>",
        f'<p class="verdict">{escape(page.verdict)}</p>',
        f'<ul class="cautions" aria-label="Cautions">{cautions}</ul>' if cautions else "",
        f"<dl>{facts}</dl>",
        *map(_picture, page.pictures),
        *map(_table, page.tables),
        f"</main><footer><p>{escape(page.footer)}</p></footer></body></html>\n",
    ]
    return "\n".join(part for part in parts if part)


def _picture(picture):
    data = base64.b64encode(picture.path.read_bytes()).decode()
    image = f'<img src="data:image/png;base64,{data}" alt="{escape(picture.alternative)}">'
    return f"<h2>{escape(picture.title)}</h2><figure>{image}</figure>"


def _table(table):
    head = "".join(f'<th scope="col">{escape(str(name))}</th>' for name in table.frame.reset_index())
    rows = "".join(
        "<tr>" + "".join(f"<td>{escape(shown(value))}</td>" for value in row) + "</tr>"
        for row in table.frame.reset_index().itertuples(index=False)
    )
    note = f'<p class="note">{escape(table.note)}</p>' if table.note else ""
    body = f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>' if rows else ""
    return f"<h2>{escape(table.title)}</h2>{body}{note}"


def shown(value):
    """A value of a table as text: numbers to three digits after the point, gaps empty; str."""
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return f"{value:.3f}" if isinstance(value, float) else str(value)
