"""Tables as text."""

import json
import sys

import pandas as pd

TRIAL = "These tables are from a quick run (--fast) with small networks and few folds; do not report them."


def to_markdown(table):
    """Format a table as Markdown, with three decimals for non-integers below 10 and empty cells for missing values."""
    text = table.reset_index().map(_cell)
    lines = ["| " + " | ".join(text.columns) + " |", "|" + "---|" * text.shape[1]]
    return "\n".join(
        lines + ["| " + " | ".join(row) + " |" for row in text.itertuples(index=False)]
    )


def to_columns(table):
    """Format a table for a terminal, with cells as in `to_markdown`, aligned columns and right-aligned numbers."""
    table = table.reset_index()
    columns = []
    for (name, values), kind in zip(table.map(_cell).items(), table.dtypes, strict=True):
        pad, width = (
            (str.rjust if kind.kind in "iuf" else str.ljust),
            max(map(len, [name, *values])),
        )
        columns.append([pad(cell, width) for cell in [name, *values]])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _cell(value):
    if isinstance(value, str):
        return value
    return (
        ""
        if pd.isna(value)
        else f"{value:.0f}"
        if abs(value) >= 10 or value == round(value)
        else f"{value:.3f}"
    )


def print_table(table):
    """Print a table and its note (``table.attrs["note"]``), with aligned columns in a terminal,
    otherwise as Markdown.

    If an empty table has a note, only the note is printed.
    """
    note = table.attrs.get("note", "")
    if len(table) or not note:
        print((to_columns if sys.stdout.isatty() else to_markdown)(table) + "\n" * bool(note))
    if note:
        print(note)


def print_tables(tables, as_json=False, trial=False):
    """Print tables (dict of title to DataFrame) one by one or, if `as_json`, as one JSON object.

    If `trial` is true, a note that the tables are from a quick run is added.
    """
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
