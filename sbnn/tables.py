"""Tables as text."""

import json

import pandas as pd


def to_markdown(table):
    """A table as Markdown, numbers to three digits, gaps empty; str."""
    text = table.reset_index().map(_cell)
    lines = ["| " + " | ".join(text.columns) + " |", "|" + "---|" * text.shape[1]]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in text.itertuples(index=False)])


def _cell(value):
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    return f"{value:.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.3f}"


def print_tables(tables, as_json=False):
    """Print tables, dict of title to DataFrame, as Markdown or as one JSON object."""
    if as_json:
        print(json.dumps({title: json.loads(table.to_json(orient="table")) for title, table in tables.items()}))
        return
    for title, table in tables.items():
        print(f"\n{title}\n\n{to_markdown(table)}")
