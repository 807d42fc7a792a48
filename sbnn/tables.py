"""Tables as text."""

import json
import sys

import pandas as pd

TRIAL = (
    "These tables are from a quick run (--fast) with small networks and few folds; "
    "do not report them."
)


def to_markdown(table):
    """Format a table as Markdown: three decimals below 10, empty cells for missing values."""
    text = table.reset_index().map(_cell)
    rows = [list(text.columns), *text.to_numpy().tolist()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * text.shape[1])
    return "\n".join(lines)


def to_columns(table):
    """Format a table for a terminal: like `to_markdown`, with aligned columns."""
    table = table.reset_index()
    columns = []
    for name in table:
        cells = [name, *table[name].map(_cell)]
        width = max(map(len, cells))
        is_number = table[name].dtype.kind in "iuf"
        columns.append([cell.rjust(width) if is_number else cell.ljust(width) for cell in cells])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _cell(value):
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    if abs(value) >= 10 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.3f}"


def print_table(table):
    """Print a table and its note, aligned in a terminal and otherwise as Markdown."""
    parts = []
    note = table.attrs.get("note")
    if len(table) or not note:
        parts.append(to_columns(table) if sys.stdout.isatty() else to_markdown(table))
    if note:
        parts.append(note)
    print("\n\n".join(parts))


def print_tables(tables, as_json=False, trial=False):
    """Print tables by title or, if `as_json`, as one JSON object; note a `trial`."""
    if as_json:
        found = {}
        if trial:
            found["trial"] = TRIAL
        for title, table in tables.items():
            found[title] = json.loads(table.to_json(orient="table"))
            if table.attrs.get("note"):
                found[title]["note"] = table.attrs["note"]
        print(json.dumps(found))
        return
    if trial:
        print(f"\n{TRIAL}")
    for title, table in tables.items():
        print(f"\n{title}\n")
        print_table(table)
