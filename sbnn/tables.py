"""Tables as text."""

import json
import sys

import pandas as pd

TRIAL = "A quick run (--fast): small networks and few folds; not results."


def to_markdown(table):
    """A table as a Markdown str, with numbers to three digits and gaps left empty."""
    text = table.reset_index().map(_cell)
    lines = ["| " + " | ".join(text.columns) + " |", "|" + "---|" * text.shape[1]]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in text.itertuples(index=False)])


def to_columns(table):
    """A table as in `to_markdown`, as a str with aligned columns for a terminal, numbers to the right."""
    table = table.reset_index()
    columns = []
    for (name, values), kind in zip(table.map(_cell).items(), table.dtypes, strict=True):
        pad, width = (str.rjust if kind.kind in "iuf" else str.ljust), max(map(len, [name, *values]))
        columns.append([pad(cell, width) for cell in [name, *values]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _cell(value):
    if isinstance(value, str):
        return value
    return "" if pd.isna(value) else f"{value:.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.3f}"


def print_table(table):
    """Print a table and its note (``table.attrs["note"]``), aligned in a terminal, as Markdown in a file or pipe.

    For an empty table only the note is printed.
    """
    note = table.attrs.get("note", "")
    if len(table) or not note:
        print((to_columns if sys.stdout.isatty() else to_markdown)(table) + "\n" * bool(note))
    if note:
        print(note)


def print_tables(tables, as_json=False, trial=False):
    """Print tables (dict of title to DataFrame) one by one or as one JSON object, with a note for a quick run."""
    if as_json:
        found = {"trial": TRIAL} if trial else {}
        for title, table in tables.items():
            note = {"note": table.attrs["note"]} if table.attrs.get("note") else {}
            found[title] = json.loads(table.to_json(orient="table")) | note
        print(json.dumps(found))
        return
    if trial:
        print(f"\n{TRIAL}")
    for title, table in tables.items():
        print(f"\n{title}\n")
        print_table(table)
