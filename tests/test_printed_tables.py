"""Tables as text: Markdown, columns in a terminal, and JSON."""

import json

import numpy as np
import pandas as pd
import pytest

from sbnn.tables import TRIAL, print_tables, to_columns, to_markdown


@pytest.fixture
def table():
    columns = {"R2": [0.12349, -10.5, np.nan], "n": [9, 10, 120000], "": ["a", "bcd", None]}
    return pd.DataFrame(columns, pd.Index(["x", "y z", "w"], name="name"))


def test_numbers_have_three_digits_or_none_if_they_are_whole_or_at_least_ten(table):
    header, _, *rows = to_markdown(table).splitlines()
    assert header == "| name | R2 | n |  |"
    assert rows == ["| x | 0.123 | 9 | a |", "| y z | -10 | 10 | bcd |", "| w |  | 120000 |  |"]
    aligned = ["name     R2       n", "x     0.123       9  a", "y z     -10      10  bcd"]
    assert to_columns(table).splitlines() == [*aligned, "w            120000"]


def test_tables_are_printed_with_titles_notes_and_a_warning_of_quick_runs(
    table, capsys, monkeypatch
):
    table.attrs["note"] = "A note."
    print_tables({"First": table, "Empty": table.iloc[:0]}, trial=True)
    parts = capsys.readouterr().out.strip().split("\n\n")
    assert parts == [TRIAL, "First", to_markdown(table), "A note.", "Empty", "A note."]
    print_tables({"First": table[["R2"]]}, as_json=True, trial=True)
    found = json.loads(capsys.readouterr().out)
    assert found["trial"] == TRIAL
    assert found["First"]["note"] == "A note."
    assert found["First"]["data"][0] == {"name": "x", "R2": 0.12349}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    table.attrs.clear()
    print_tables({"First": table})
    assert capsys.readouterr().out == f"\nFirst\n\n{to_columns(table)}\n"
