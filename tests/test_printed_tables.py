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


def test_numbers_are_aligned_right_and_text_left():
    table = pd.DataFrame({"n": [9, 120], "kind": ["abc", "d"]}, ["x", "yz"])
    assert to_columns(table).splitlines() == [
        "index    n  kind",
        "x        9  abc",
        "yz     120  d",
    ]


def test_tables_are_printed_with_titles_notes_and_a_warning_of_quick_runs(table, capsys):
    table.attrs["note"] = "A note."
    print_tables({"First": table}, trial=True)
    printed = capsys.readouterr().out
    assert printed.index(TRIAL) < printed.index("First") < printed.index("| x |")
    assert printed.rstrip().endswith("A note.")
    print_tables({"Empty": table.iloc[:0]})
    assert "| name |" not in capsys.readouterr().out


def test_a_terminal_gets_columns_and_json_all_digits(table, capsys, monkeypatch):
    print_tables({"First": table[["R2"]]}, as_json=True, trial=True)
    found = json.loads(capsys.readouterr().out)
    assert found["trial"] == TRIAL
    assert found["First"]["data"][0] == {"name": "x", "R2": 0.12349}
    monkeypatch.setattr("sys.stdout.isatty", lambda: True)
    print_tables({"First": table})
    assert "|" not in capsys.readouterr().out
