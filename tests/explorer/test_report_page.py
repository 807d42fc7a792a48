"""A report shows its pictures, tables and cautions, and every name as text."""

import numpy as np
import pandas as pd

from sbnn.explorer.report import write_report


def written(tmp_path, tables=(), **about):
    """A report of pictures "a" and "b", and between them one without a file."""
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    pictures = [(tmp_path / f"{name}.png", f"<{name}>", f"it's {name}") for name in "axb"]
    path = tmp_path / "page.html"
    write_report(path, "T<i>", "It is.", pictures, tables, **about)
    return path.read_text(encoding="utf-8")


def test_the_first_picture_stands_above_the_cautions_and_the_others_below(tmp_path):
    page = written(tmp_path, cautions=["one", "<two>"], source="a table")
    assert page.count("T&lt;i&gt;") == 2
    assert "; a table" in page
    assert page.index("&lt;a&gt;") < page.index("<li>one</li><li>&lt;two&gt;</li>")
    assert page.index("<li>one</li>") < page.index("&lt;b&gt;")
    assert page.count("<img") == 2, "a picture without a file is left out"
    assert 'base64,YQ==" alt="it&#x27;s a"' in page
    for part in ("<dt>", "<details>", "<table", "<a "):
        assert part not in page
    assert '<a href="e&amp;.html">' in written(tmp_path, explorer="e&.html")


def test_names_that_were_left_out_can_be_expanded(tmp_path):
    left_out = {"no <type>": ["c1", "c2", "c3", "<4>"]}
    page = written(tmp_path, left_out=left_out, facts={"cells": "9 & more"})
    assert "<summary>4 left out (no &lt;type&gt;): c1, c2, c3 and 1 more</summary>" in page
    assert "<p>c1, c2, c3, &lt;4&gt;</p></details>" in page
    assert "<dt>cells</dt><dd>9 &amp; more</dd>" in page


def test_tables_show_long_texts_and_rounded_numbers(tmp_path):
    table = pd.DataFrame({"R2": [0.12349, np.nan], "text": ["a & b", "c" * 60]}, ["x", "y"])
    page = written(tmp_path, [("Table", table, "Note.")])
    for part in ("<h2>Table</h2>", "<td>0.123</td>", "<td></td>", "a &amp; b", "c" * 60, "Note."):
        assert part in page
