"""A report shows its pictures, tables and cautions, and every name as text."""

import numpy as np
import pandas as pd
import pytest

from sbnn.explorer.report import write_report


def written(tmp_path, tables=(), **about):
    """A report of pictures "a" and "b", and between them one without a file."""
    for name in "ab":
        (tmp_path / f"{name}.png").write_bytes(name.encode())
    pictures = [(tmp_path / f"{name}.png", f"<{name}>", f"it's {name}") for name in "axb"]
    path = tmp_path / "page.html"
    about["drawn_by"] = "sbnn fit"
    write_report(path, "T<i>", "It is.", pictures, tables, **about)
    return path.read_text(encoding="utf-8")


def test_the_verdict_comes_first_then_cautions_then_a_section_per_claim(tmp_path):
    tables = [("<b>", pd.DataFrame({"R2": [1.0]}), ""), ("alone", pd.DataFrame(), "Note.")]
    page = written(tmp_path, tables, cautions=["one", "<two>"], source="a table")
    assert page.count("T&lt;i&gt;") == 2
    assert "; a table" in page
    order = ["It is.", "<li>one</li><li>&lt;two&gt;</li>", '<a href="#claim0">&lt;a&gt;</a>']
    order += ['id="claim0">&lt;a&gt;</h2>', "YQ==", "x.png is missing; sbnn fit draws it."]
    order += ['id="claim2">&lt;b&gt;</h2>', "Yg==", "<td>"]
    order += ["it&#x27;s b</figcaption>", "<table", 'id="claim3">alone</h2>', "Note."]
    places = [page.find(part) for part in order]
    assert -1 not in places
    # the table of the claim "<b>" stands below its picture
    assert places[:8] == sorted(places[:8])
    assert places[9:] == sorted(places[9:])
    assert page.count("<img") == 2


def test_parts_without_content_are_left_out(tmp_path):
    page = written(tmp_path)
    for part in ("<dt>", "The data", "<details>", "<table", "Explore"):
        assert part not in page
    assert '<a href="e&amp;.html">' in written(tmp_path, explorer="e&.html")


def test_a_file_that_is_no_page_is_not_overwritten(tmp_path):
    (tmp_path / "page.html").write_text("cell,gene1")
    with pytest.raises(ValueError, match="another kind of file"):
        written(tmp_path)


def test_names_that_were_left_out_can_be_expanded(tmp_path):
    left_out = {"no <type>": ["c1", "c2", "c3", "<4>"]}
    page = written(tmp_path, left_out=left_out, facts={"cells": "9 & more"})
    assert "<summary>4 left out (no &lt;type&gt;): c1, c2, c3 and 1 more</summary>" in page
    assert "<p>c1, c2, c3, &lt;4&gt;</p></details>" in page
    assert "<dt>cells</dt><dd>9 &amp; more</dd>" in page


def test_tables_show_long_texts_and_rounded_numbers(tmp_path):
    table = pd.DataFrame({"R2": [0.12349, np.nan], "text": ["a & b", "c" * 60]}, ["x", "y"])
    page = written(tmp_path, [("Table", table, "Note.")])
    for part in ("<td>0.123</td>", "<td></td>", "a &amp; b", "c" * 60, "Note."):
        assert part in page
