"""Tables of the pages, as Markdown."""

import pandas as pd


def to_markdown(table):
    """Format a table: three decimals below 10, empty cells for missing values."""
    text = table.reset_index().map(_cell)
    rows = [list(text.columns), *text.to_numpy().tolist()]
    lines = ["| " + " | ".join(row) + " |" for row in rows]
    lines.insert(1, "|" + "---|" * text.shape[1])
    return "\n".join(lines)


def print_tables(tables):
    """Print tables by title."""
    for title, table in tables.items():
        print(f"\n{title}\n\n{to_markdown(table)}")


def _cell(value):
    if isinstance(value, str):
        return value
    if pd.isna(value):
        return ""
    if abs(value) >= 10 or value == round(value):
        return f"{value:.0f}"
    return f"{value:.3f}"
